"""AsymmetricGAN (Tang and Sebe), unsupervised: images of any number of domains, each to all others, by one model.

    python examples/asymmetricgan_domains.py demo                               # minutes on two CPU cores, images included
    python examples/asymmetricgan_domains.py baseline --data datasets/seasons   # one sub-folder of images per domain
    python examples/asymmetricgan_domains.py all --data datasets/seasons        # without sharing, two discriminators

Table 9 takes losses away: --weights.identity 0 (I), --weights.structure 0 (S), --weights.cycle 0 (C), --discriminators 1 (D).
What weighs nothing is not computed. Its rival, StarGAN, is stargan.py; with these losses, --preset S3 --sharing full. Ours, and
better than the paper's objective where it was measured: --weights.way-back 10.

The paper names no optimizer and no learning rate: Adam with CycleGAN's rate and betas is ours, as is its fall to zero in the
second half, and the second discriminator's layer less. GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.domains import DomainSettings
from support.report.domains import domain_report
from support.report.page import Page
from support.run.command import command
from support.run.run import Run
from support.run.settings import sides
from torch import Tensor, nn

import asymkit
from asymkit.layers import Upsampling
from asymkit.networks.dual import Preset, Sharing
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.ops.ssim import scales_that_fit


@dataclass(frozen=True)
class Settings(DomainSettings):
    """Train AsymmetricGAN between the domains of a folder."""

    out: Path = Path("runs/domains")  # folder of the run
    preset: Preset = "S2"  # size of the reconstruction generator: S1 the smallest, S3 as large as the translator
    sharing: Sharing = "none"  # layers that the generators share; S3 with full is StarGAN with this paper's losses
    label_embedding: int | None = None  # length of the label's linear embedding; None: one-hot label planes
    discriminators: Literal[1, 2] = 1  # 2 for the paper's double discriminators, the second with a layer less
    upsampling: Upsampling = "transposed"  # transposed convolutions as in the paper; resize leaves no checkerboard
    lr_g: float = 2e-4  # learning rate of the generators, for the first half of the run; then it falls to zero
    lr_d: float = 2e-4  # learning rate of the discriminators, likewise
    weights: unsupervised.Weights = field(default_factory=unsupervised.Weights)


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
PRESETS = {
    "baseline": ("The paper's baseline: S2, a light reconstructor, and one discriminator.", Settings()),
    "all": (
        "The paper's headline figures: S3, nothing shared, and two discriminators.",
        Settings(preset="S3", discriminators=2),
    ),
    "demo": ("Minutes on a CPU.", DEMO),
}


def main(settings: Settings) -> None:
    data, held_out, about = settings.images()
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
    reconstruction = weights.cycle > 0 or weights.structure > 0  # else no loss uses it
    model = unsupervised.Translators(dual, weights.identity > 0, reconstruction, way_back=weights.way_back > 0)
    discriminators = nn.ModuleList(
        asymkit.DomainDiscriminator(domains, settings.channels, d_width, d_layers - i, image_size=settings.size)
        for i in range(settings.discriminators)
    )
    msssim = asymkit.MSSSIMLoss(scales=scales_that_fit(*sides(settings.size)))
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)

    snapshot = domain_report(settings, data, held_out, run.device, run.is_main)
    page = Page("AsymmetricGAN, domains", [about], snapshot)
    run.register_states(model=model, discriminators=discriminators, optimizer_g=optimizer_g, optimizer_d=optimizer_d)

    def train_step(x: Tensor, domain_x: Tensor, y: Tensor, domain_y: Tensor) -> None:  # images and their domains
        cycle = ddp_model(x, domain_x, y, domain_y)
        with asymkit.frozen(ddp_discriminators):
            generator_terms = unsupervised.generator_terms(cycle, ddp_discriminators, structure=msssim, weights=weights)
            run.backward(weights.total(generator_terms))
        discriminator_terms = unsupervised.discriminator_terms(cycle.detach(), ddp_discriminators, weights=weights)
        run.backward(weights.total(discriminator_terms))
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless a term or gradient is not finite
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
            ema.update()


if __name__ == "__main__":
    command(main, PRESETS)
