"""CycleGAN and Async-CycleGAN between two sets of digits, side by side, scored as Async-GAN §IV-F does.

    python examples/asyncgan_digits.py demo                    # a quarter of an hour on two CPU cores, no files needed
    python examples/asyncgan_digits.py demo --digits usps --mnist datasets/mnist --other datasets/usps.npz --seeds 3
    python examples/asyncgan_digits.py paper                   # SVHN and MNIST, all images; downloads them, needs a GPU

Digits of the rich set are translated to the poor one, and a classifier trained on real poor digits reads them; then the
other way round. Neither model ever sees a label: nothing tells a 3 from an 8 but their shapes. Both variants take the same
number of steps on the same images; partial steps are the cheaper ones. Of this experiment the paper says the two sets alone, SVHN
and MNIST: networks (CycleGAN's for small images), size, batch, optimizer and rates are ours. Epochs and period are Async-GAN's.
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from support.data.digits import DigitSet, DigitSettings, UnpairedDigits
from support.data.held_out import HeldOut
from support.report.digit_scores import compare
from support.report.page import Page
from support.report.unpaired import asyncgan_snapshot
from support.run.command import command
from support.run.plan import Plan
from support.run.run import Run
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asyncgan

VARIANTS = {"cyclegan": "CycleGAN", "async": "Async-CycleGAN"}


@dataclass(frozen=True)
class Settings(DigitSettings):
    """Train CycleGAN and Async-CycleGAN between two sets of digits, and score both by a classifier of real ones."""

    FIXED = frozenset({"epochs", "picture_size"})  # when a run is resumed
    out: Path = Path("runs/digits")  # folder of the runs
    samples: int | None = None
    """Images of each set in an epoch; None: all of the smaller or, in partial epochs, of the rich set."""
    batch: int = 32  # pairs of images that a step takes
    blocks: int = 6  # residual blocks of a generator
    epochs: int = 100  # half of them joint, then joint and partial in turn
    period: int = 10  # epochs of a cycle, whose first half is joint
    upsampling: Upsampling = "transposed"  # transposed convolutions as in CycleGAN; resize leaves no checkerboard
    lr_g: float = 2e-4  # learning rate of the generators, for the first half of the run; then it falls to zero
    lr_d: float = 2e-4  # learning rate of the discriminators, likewise
    pool: int = 50  # size of the image pools: earlier fakes that the discriminators are shown again in joint steps
    report_every: int = 10_000  # steps between checkpoints and reports
    weights: asyncgan.Weights = field(default_factory=asyncgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_plan("period", "blocks", "samples")


COURSE: dict[str, Any] = {"images": 12_000, "samples": 1200, "epochs": 12, "period": 2, "batch": 8, "workers": 0}
DEMO = Settings(width=16, blocks=3, upsampling="resize", lr_g=5e-4, **COURSE)
PAPER = "Async-GAN's epochs on all of SVHN and MNIST; the rest is ours."
PRESETS = {"demo": ("Minutes on a CPU.", DEMO), "paper": (PAPER, Settings(digits="svhn"))}


def train(settings: Settings, rich: DigitSet, poor: DigitSet, variant: str) -> asyncgan.Translators | None:
    """One variant with one seed; None if the run was stopped before its end."""
    data = UnpairedDigits(rich, poor, settings.samples, settings.seed)
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    options: dict[str, Any] = {"width": settings.width, "blocks": settings.blocks, "upsampling": settings.upsampling}
    model = asyncgan.Translators(asymkit.ResnetGenerator(**options), asymkit.ResnetGenerator(**options))
    discriminators = asyncgan.Discriminators(
        *(asymkit.PatchDiscriminator(width=2 * settings.width, layers=2) for _ in range(2))
    )
    pools = asymkit.ImagePools(settings.pool, capturable=settings.graph)
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)

    def optimizer_steps(generator_terms: dict[str, Tensor], discriminator_terms: dict[str, Tensor]) -> None:
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless a term or gradient is not finite
            guard_d.step(optimizer_d, discriminator_terms)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    def joint_step(x: Tensor, y: Tensor) -> None:
        cycles = ddp_model(x, y)
        with asymkit.frozen(ddp_discriminators):
            generator_terms = asyncgan.joint_generator_terms(cycles, ddp_discriminators)
            run.backward(settings.weights.total(generator_terms))
        pooled = pools(cycles)  # detached; some of its generated images are earlier ones
        discriminator_terms = asyncgan.joint_discriminator_terms(pooled, ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))
        optimizer_steps(generator_terms, discriminator_terms)

    def partial_step(x: Tensor, _y: Tensor) -> None:
        pairs = ddp_model(x, phase="partial")
        with asymkit.frozen(ddp_discriminators):
            generator_terms = asyncgan.partial_generator_terms(pairs, ddp_discriminators)
            run.backward(settings.weights.total(generator_terms))
        discriminator_terms = asyncgan.partial_discriminator_terms(pairs.detach(), ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))
        optimizer_steps(generator_terms, discriminator_terms)

    joint, partial = (run.captured(f, optimizer_g, optimizer_d) for f in (joint_step, partial_step))  # with --graph
    easy = [model.rich_to_poor, discriminators.poor]  # the easy direction, frozen in partial steps
    scheduler = asymkit.AsyncScheduler(joint, partial, easy, settings.epochs, settings.period)
    step = scheduler if variant == "async" else joint
    measured, shown = (HeldOut([rich.test.images[:n]], [poor.test.images[:n]]) for n in (256, 8))
    plan = Plan(scheduler, data.lengths, run.samples_per_step, variant == "async", shown)
    notes = [f"rich: {rich}; poor: {poor}; pictures and figures are of test digits", plan.note()]
    page = Page(
        VARIANTS[variant], notes, lambda trained: asyncgan_snapshot(trained, measured, shown, plan.intermediate)
    )
    run.register_states(
        model=model, discriminators=discriminators, pools=pools, optimizer_g=optimizer_g, optimizer_d=optimizer_d
    )
    for x, y in run.batches(page, plan):  # x rich, y poor, unpaired
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        scheduler.set_epoch(plan.epoch(run.step))
        step(x, y)
        if run.ends_step:
            ema.update()
            plan.keep_intermediate(run.step, ema.model)  # for the report, at the end of a phase
    return None if run.stopped else ema.model.cpu()


if __name__ == "__main__":
    command(lambda settings: compare(settings, VARIANTS, train), PRESETS)
