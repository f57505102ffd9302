"""AsymmetricGAN (Tang and Sebe), unsupervised: images of any number of domains, each to all others, by one model.

    python examples/asymmetricgan_domains.py demo                            # minutes on two CPU cores, images included
    python examples/asymmetricgan_domains.py paper --data datasets/seasons   # one sub-folder of images per domain

Where it differs from the paper: the learning rate, of which it says nothing, falls to zero in the second half as StarGAN's,
Adam has CycleGAN's rate and betas, and GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.domains import domain_batches, domain_sets
from support.report.classifier import train_classifier
from support.report.page import Page
from support.report.pictures import domain_snapshot
from support.report.progress import with_bar
from support.run.command import command
from support.run.run import Run
from support.run.settings import RunSettings
from torch import Tensor, nn

import asymkit
from asymkit.layers import Upsampling
from asymkit.networks.dual import Preset, Sharing
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.ops.ssim import scales_that_fit


@dataclass(frozen=True)
class Settings(RunSettings):
    """Train AsymmetricGAN between the domains of a folder."""

    data: Path | None = None
    """A folder with a sub-folder of images for each domain; without it, domains derived from photographs that come along."""
    out: Path = Path("runs/domains")  # folder of the run
    value_range: tuple[float, float] | None = None
    """Values of grey images that become black and white: 0 4095 for 12 bits, 0 33 for label ids. None: for grey images of
    more than 8 bits it is found and said."""
    channels: Literal[1, 3] = 3  # of the images: 3, or 1 for grey ones
    preset: Preset = "S2"  # the reconstruction generator: S1, S2 or S3, as large as the translator
    sharing: Sharing = "none"  # what the generators share; S3 with full is StarGAN with this paper's losses
    picture_size: int | None = None
    """Side of the crops in the report's pictures, if not that of training; those need a label embedding to look right."""
    label_embedding: int | None = None  # length of the label's linear embedding; None: one-hot label planes
    discriminators: Literal[1, 2] = 1  # 2 for the paper's double discriminators, the second with a layer less
    discriminator_width: int = 64  # channels of a discriminator's first layer
    discriminator_layers: int = 6  # how often a discriminator halves its image
    upsampling: Upsampling = "transposed"  # as in the paper; or resize, which leaves no checkerboard
    lr_g: float = 2e-4  # learning rate of the generators, for the first half of the run; then it falls to zero
    lr_d: float = 2e-4  # the same of the discriminators
    classifier_steps: int = 400  # training steps of the classifier that scores translated images in the report
    weights: unsupervised.Weights = field(default_factory=unsupervised.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("discriminator_width", "discriminator_layers", "classifier_steps")
        self.check_side("size", least=2**self.discriminator_layers, multiple_of=max(4, 2**self.discriminator_layers))
        self.check_side("picture_size", least=8)


SMALL: dict[str, Any] = {
    "size": 48,
    "picture_size": 96,
    "batch": 2,
    "width": 16,
    "discriminator_width": 16,
    "discriminator_layers": 4,
}
DEMO = Settings(
    minutes=4,
    label_embedding=64,
    upsampling="resize",
    lr_g=1e-3,
    workers=0,
    report_every=2000,
    weights=unsupervised.Weights(identity=10.0),  # so short a training learns detail from the identity loss first
    **SMALL,
)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def main(settings: Settings) -> None:
    data, held_out, source = domain_sets(
        settings.data, settings.size, settings.channels, settings.seed, settings.value_range
    )
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    domains, weights = len(data.names), settings.weights
    d_width, d_layers = settings.discriminator_width, settings.discriminator_layers
    dual = asymkit.DualGenerator.preset(
        settings.preset,
        domains=domains,
        sharing=settings.sharing,
        width=settings.width,
        in_channels=settings.channels,
        out_channels=settings.channels,
        label_embedding=settings.label_embedding,
        upsampling=settings.upsampling,
    )
    model = unsupervised.Translators(dual, identity=weights.identity > 0)
    discriminators = nn.ModuleList(
        asymkit.DomainDiscriminator(domains, settings.channels, d_width, d_layers - i, image_size=settings.size)
        for i in range(settings.discriminators)
    )
    msssim = asymkit.MSSSIMLoss(scales=scales_that_fit(settings.size, settings.size))
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, average = run.guard(), run.guard(), run.average(model)

    @functools.cache
    def classifier() -> nn.Module:  # trained when the report first needs it, after the checks of a resumed run
        images = with_bar(domain_batches(data, settings.classifier_steps), "classifier for the report", run.main)
        return train_classifier(images, settings.channels, domains, run.device)

    measured, shown = (held_out.of_each(n, side, run.device) for n, side in ((32, None), (2, settings.picture_size)))
    snapshot = functools.partial(domain_snapshot, names=data.names, measured=measured, shown=shown)
    page = Page("AsymmetricGAN, domains", [source], lambda trained: snapshot(trained, classifier()))
    run.saves(model=model, discriminators=discriminators, optimizer_g=optimizer_g, optimizer_d=optimizer_d)

    def train_step(x: Tensor, domain_x: Tensor, y: Tensor, domain_y: Tensor) -> None:  # images and their domains
        cycle = ddp_model(x, domain_x, y, domain_y)
        with asymkit.frozen(ddp_discriminators):
            generator_terms = unsupervised.generator_terms(cycle, ddp_discriminators, structure=msssim, weights=weights)
            run.backward(weights.total(generator_terms))
        discriminator_terms = unsupervised.discriminator_terms(cycle.detach(), ddp_discriminators, weights=weights)
        run.backward(weights.total(discriminator_terms))
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless something is not finite
            guard_d.step(optimizer_d, discriminator_terms)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    step = run.captured(train_step, optimizer_g, optimizer_d)  # with --graph one CUDA graph, else the function itself
    for x, domain_x, y, domain_y in run.batches(page):
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        step(x, domain_x, y, domain_y)
        if run.ends_step:
            average.update()


if __name__ == "__main__":
    command(main, PRESETS)
