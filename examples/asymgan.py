"""AsymGAN (Li et al., TIP 2019): rich images to poor ones and back, one-to-many, by an auxiliary variable z.

    python examples/asymgan.py demo                          # 3.5 minutes on two CPU cores, photographs included
    python examples/asymgan.py paper --data datasets/facades  # the paper's settings; trainA rich, trainB poor

Where it differs from the paper: total variation is a mean, with a plus; the learning rate decays with every step; GPUs that
have bfloat16 compute in it (--precision no turns that off). Adam's betas, batch 1 and the image pool are CycleGAN's, since
the paper names none. The demo is smaller, has five times the learning rate, random features and resize convolutions.
"""

import support.quick_help  # noqa: F401

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from support.data.unpaired import UnpairedSettings
from support.report.page import Page
from support.report.pictures import asymgan_snapshot
from support.run.command import command
from support.run.features import vgg_features
from support.run.run import Run
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asymgan


@dataclass(frozen=True)
class Settings(UnpairedSettings):
    """Train AsymGAN."""

    out: Path = Path("runs/asymgan")  # folder of the run
    blocks: int = 6  # residual blocks of a generator
    aux_channels: int = 8  # length of z
    discriminator_layers: int = 3  # how often a discriminator halves its image
    upsampling: Upsampling = "transposed"  # as in the paper; or resize, which leaves no checkerboard
    lr_g: float = 2e-4
    """Learning rate of generators and encoder, for the first half of the run; then it falls to zero."""
    lr_d: float = 1e-4  # the same of the discriminators
    pool: int = 50  # size of the image pools: earlier fakes that the discriminators are shown again
    features: str = "imagenet"
    """Of the VGG16 behind content and style: imagenet, random, a file, or auto: imagenet where it can be downloaded."""
    content_layer: str = "relu2_2"  # of the VGG16, whose activations the content loss compares
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    """Of the VGG16, whose Gram matrices the style loss compares."""
    weights: asymgan.Weights = field(default_factory=asymgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("blocks", "aux_channels", "discriminator_layers")
        self.check_sides(halvings=self.discriminator_layers)


DEMO = Settings(
    out=Path("runs/demo"),
    minutes=3.5,
    size=48,
    picture_size=128,
    batch=2,
    width=16,
    blocks=3,
    aux_channels=3,
    discriminator_layers=2,
    upsampling="resize",
    lr_g=1e-3,
    features="random",  # nothing is downloaded
    content_layer="relu1_1",
    style_layers=("relu1_1",),
    workers=0,
    report_every=2000,
    # random features are smaller than ImageNet's, so content and style need more weight; smoothness needs less at 48²
    weights=asymgan.Weights(content=10.0, style=10.0, total_variation=1.0),
)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def main(settings: Settings) -> None:
    data, source = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    [content_features, style_features], notes = vgg_features(
        settings.features, [settings.content_layer], list(settings.style_layers)
    )
    content = asymkit.ContentLoss(content_features).to(run.device) if settings.weights.content > 0 else None
    style = asymkit.GramStyleLoss(style_features).to(run.device) if settings.weights.style > 0 else None

    options: dict[str, Any] = {"width": settings.width, "blocks": settings.blocks, "upsampling": settings.upsampling}
    model = asymgan.Translators(
        rich_to_poor=asymkit.ResnetGenerator(**options),
        poor_to_rich=asymkit.AuxGenerator(aux_channels=settings.aux_channels, **options),
        encoder=asymkit.AuxEncoder(aux_channels=settings.aux_channels, width=settings.width),
        extended=True,
    )
    discriminator_options = {"width": settings.width, "layers": settings.discriminator_layers}
    discriminators = asymgan.Discriminators(
        rich=asymkit.PatchDiscriminator(**discriminator_options),
        poor=asymkit.PatchDiscriminator(**discriminator_options),
        aux=asymkit.AuxDiscriminator(settings.aux_channels),
    )
    pools = asymkit.ImagePools(settings.pool, capturable=settings.graph)
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)

    # for figures and pictures of the report: crops of the training photos that training never draws
    measured, shown = data.fresh(64, None, run.device), data.fresh(8, settings.picture_size, run.device)
    page = Page("AsymGAN", [source, *notes], lambda trained: asymgan_snapshot(trained, measured, shown))
    guard_g, guard_d, average = run.guard(), run.guard(), run.average(model)

    run.saves(model=model, discriminators=discriminators, pools=pools, optimizer_g=optimizer_g, optimizer_d=optimizer_d)

    def train_step(x: Tensor, y: Tensor) -> None:  # x rich, y poor, unpaired
        cycles = ddp_model(x, y)
        with asymkit.frozen(ddp_discriminators):
            generator_terms = asymgan.generator_terms(cycles, ddp_discriminators, content, style)
            run.backward(settings.weights.total(generator_terms))
        pooled = pools(cycles)  # detached; some of its generated images are earlier ones
        discriminator_terms = asymgan.discriminator_terms(pooled, ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))  # without CycleGAN's factor of a half, as Eq. 19
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless something is not finite
            guard_d.step(optimizer_d, discriminator_terms)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    step = run.captured(train_step, optimizer_g, optimizer_d)  # with --graph one CUDA graph, else the function itself
    for x, y in run.batches(page):
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        step(x, y)
        if run.ends_step:
            average.update()


if __name__ == "__main__":
    command(main, PRESETS)
