"""AsymmetricGAN (Tang and Sebe), supervised: a photo of a hand and a skeleton to a photo of that hand in that pose.

    python examples/asymmetricgan_gesture.py demo                # minutes on two CPU cores, drawn hands included
    python examples/asymmetricgan_gesture.py paper --data photos --skeletons keypoints --pairs pairs.csv

Its rival is --method pix2pix (Isola et al., CVPR 2017): one generator, the discriminator that sees photo, skeleton and result,
and L1. That generator is this paper's Gᵗ, no U-Net and without dropout, so that both methods differ in their losses alone;
its pairs train both ways, as AsymmetricGAN's do.

The paper names no optimizer and no learning rate: Adam with pix2pix's rate and betas is ours, as is its fall to zero in the
second half. GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.gestures import SHOWN, GestureSettings
from support.report.page import Page
from support.report.pictures import gesture_snapshot
from support.run.command import command
from support.run.features import load_vgg
from support.run.run import Run
from support.run.settings import Size
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives.asymmetricgan import supervised


@dataclass(frozen=True)
class Settings(GestureSettings):
    """Train AsymmetricGAN to give a hand another pose."""

    out: Path = Path("runs/gesture")  # folder of the run
    method: Literal["asymmetric", "pix2pix"] = "asymmetric"  # pix2pix: one generator, adversarial and L1 losses
    l1: float = 100.0  # weight of L1, the mean over channels, for --method pix2pix
    size: Size = 256  # of the images in training, in pixels: one number for squares, or height and width
    batch: int = 4  # batch size of each process
    epochs: int = 20  # how often training goes through the pairs
    blocks: int = 9  # residual blocks of a generator
    reconstructor_width: int = 4  # channels of the reconstruction generator's first layer
    double_discriminators: bool = False  # add a second discriminator that does not see the skeleton, Eq. 9
    discriminator_width: int = 64  # channels of a discriminator's first layer
    discriminator_layers: int = 3  # how often a discriminator halves its image
    upsampling: Upsampling = "transposed"  # transposed convolutions as in the paper; resize leaves no checkerboard
    lr_g: float = 2e-4  # learning rate of the generators, for the first half of the run; then it falls to zero
    lr_d: float = 2e-4  # learning rate of the discriminators, likewise
    features: str = "imagenet"
    """Weights of the VGG19 of the perceptual loss: imagenet (downloaded), random, a file, or auto: imagenet where it can be downloaded."""
    feature_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers of that VGG19 whose activations the perceptual loss compares."""
    weights: supervised.Weights = field(default_factory=supervised.Weights)  # of asymmetric

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.l1 <= 1e9:
            raise ValueError(f"l1 must be a weight from 0 to 1e9, got {self.l1}")
        if self.method == "asymmetric" and self.l1 != Settings.l1:
            raise ValueError("l1: is a weight of pix2pix; add --method pix2pix, or give --weights.color")
        for name in UNUSED_BY_PIX2PIX if self.method == "pix2pix" else ():
            if getattr(self, name) not in [getattr(preset, name) for _, preset in PRESETS.values()]:
                raise ValueError(f"{name}: means nothing to pix2pix; leave it out, or leave out --method pix2pix")
        self.check_integers("blocks", "reconstructor_width", "discriminator_width", "discriminator_layers")
        self.check_side("size", least=max(16, 3 * 2**self.discriminator_layers))


UNUSED_BY_PIX2PIX = ("reconstructor_width", "double_discriminators", "features", "feature_layers", "weights")
DEMO = Settings(
    minutes=5,
    size=64,
    batch=2,
    width=16,
    blocks=3,
    discriminator_width=16,
    discriminator_layers=2,
    upsampling="resize",
    lr_g=2e-3,
    features="auto",
    feature_layers=("relu1_1",),
    workers=0,
    report_every=2000,
    # with the paper's 1, fitting pixels outweighs the discriminator a hundredfold, and so short a training ends in a blur
    weights=supervised.Weights(adversarial=30.0),
)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def main(settings: Settings) -> None:
    data, held_out, about = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    weights, title = settings.weights, "AsymmetricGAN, gestures"
    dual = asymkit.DualGenerator.supervised(
        settings.width, settings.reconstructor_width, settings.blocks, upsampling=settings.upsampling
    )
    if settings.method == "pix2pix":
        weights, title = supervised.Weights(1.0, settings.l1 / 3, 0.0, 0.0, 0.0, 0.0), "pix2pix, gestures"
        dual = asymkit.DualGenerator(dual.translator, dual.translator)  # which is one generator
    model = supervised.Translators(dual, identity=weights.identity > 0, reconstruction=weights.cycle > 0)
    perceptual, notes = None, list[str]()  # where it weighs nothing, its network is not even loaded
    if weights.perceptual > 0:
        vgg, notes = load_vgg(settings.features, {"perceptual": list(settings.feature_layers)}, net="vgg19")
        depths = [int(layer[4]) for layer in settings.feature_layers]  # the paper's 1/32, 1/16, 1/8, 1/4, 1 by block
        by_layer = [(1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)[depth - 1] for depth in depths]
        perceptual = asymkit.PerceptualLoss(vgg["perceptual"], by_layer).to(run.device)
    options: dict[str, Any] = {"width": settings.discriminator_width, "layers": settings.discriminator_layers}
    discriminators = supervised.Discriminators(
        triplet=asymkit.PatchDiscriminator(in_channels=9, **options),
        pair=asymkit.PatchDiscriminator(in_channels=6, **options) if settings.double_discriminators else None,
    )
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)

    shown = held_out.head(SHOWN, run.device)
    page = Page(title, [about, *notes], lambda trained: gesture_snapshot(trained, shown))
    run.register_states(model=model, discriminators=discriminators, optimizer_g=optimizer_g, optimizer_d=optimizer_d)

    def train_step(x: Tensor, skeleton_x: Tensor, y: Tensor, skeleton_y: Tensor) -> None:  # photos and their skeletons
        cycles = ddp_model(x, skeleton_x, y, skeleton_y)
        with asymkit.frozen(ddp_discriminators):
            generator_terms = supervised.generator_terms(cycles, ddp_discriminators, perceptual, weights=weights)
            run.backward(weights.total(generator_terms))
        discriminator_terms = supervised.discriminator_terms(cycles.detach(), ddp_discriminators)
        run.backward(weights.total(discriminator_terms))
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless a term or gradient is not finite
            guard_d.step(optimizer_d, discriminator_terms)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    step = run.captured(train_step, optimizer_g, optimizer_d)  # with --graph one CUDA graph, else the function itself
    for x, skeleton_x, y, skeleton_y in run.batches(page):
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        step(x, skeleton_x, y, skeleton_y)
        if run.ends_step:
            ema.update()


if __name__ == "__main__":
    command(main, PRESETS)
