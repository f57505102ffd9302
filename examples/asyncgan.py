"""Async-GAN (Zheng et al., TMM 2022): any cycle model, its easy direction frozen from time to time.

    python examples/asyncgan.py demo                            # minutes on two CPU cores, photographs included
    python examples/asyncgan.py paper --data datasets/facades   # 512², trainA rich; --size 512 1024 for Cityscapes
    python examples/asyncgan.py cyclegan --schedule sync ...    # CycleGAN at 256²; without sync Async-CycleGAN

The paper gives neither optimizer nor rate, batch or image pool: Adam, 2e-4 that falls to zero in the second half, batch 1 and the
pool are ours, as CycleGAN's. GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.cycle_models import Base, Sizes, cycle_model, sizes_of
from support.report.page import Page
from support.report.unpaired import asyncgan_snapshot
from support.run.command import command
from support.run.plan import Plan, PlanSettings
from support.run.run import Run
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asyncgan


@dataclass(frozen=True)
class Settings(PlanSettings):
    """Train a cycle model asynchronously."""

    out: Path = Path("runs/asyncgan")  # folder of the run
    base: Base = "highres"  # the networks: cyclegan, highres (Async-GAN's, for 512² and more) or asymgan (with z)
    aux_channels: int | None = None  # length of z. None: 8 for asymgan, none for highres; 128 gives the paper's with z
    blocks: int | None = None  # residual blocks of a generator. None: 9 for cyclegan, 8 for highres, 6 for asymgan
    discriminator_layers: int | None = None  # how often a discriminator halves its image. None: 3, and 4 for highres
    detach_fake_poor: bool = False  # the cycle of x does not train rich_to_poor, which then hides nothing for it; ours
    upsampling: Upsampling = "transposed"  # as in the papers; or resize, which leaves no checkerboard
    skip: bool = False  # generators add their image to what they make, for domains that are aligned; not in the paper
    joint: Literal["both", "easy"] = "both"  # what joint steps of the second half train; easy: G alone, Fig. 9
    pool: int = 50  # size of the image pools: earlier fakes that the discriminators are shown again in joint steps
    weights: asyncgan.Weights = field(default_factory=asyncgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("blocks", "discriminator_layers", "aux_channels")
        if self.aux_channels is not None and self.base == "cyclegan":
            raise ValueError("aux_channels: cyclegan has no z; take --base highres or --base asymgan")
        highres = self.base == "highres"  # its discriminators also see half the size, its generators halve three times
        self.check_sides(halvings=self.sizes.layers + highres, multiple_of=8 if highres else 4)
        if self.schedule == "sync" and self.joint == "easy":
            raise ValueError("schedule: sync has no partial steps; leave out --joint easy")

    @property
    def sizes(self) -> Sizes:
        """Those of the base's paper, but for those given."""
        return sizes_of(self.base, blocks=self.blocks, layers=self.discriminator_layers, aux=self.aux_channels)


SMALL: dict[str, Any] = {"size": 48, "picture_size": 96, "width": 16, "blocks": 3, "discriminator_layers": 2}
COURSE: dict[str, Any] = {"epochs": 12, "period": 2, "batch": 2, "lr_g": 1e-3, "lr_d": 1e-4, "workers": 0}
DEMO = Settings(base="cyclegan", detach_fake_poor=True, upsampling="resize", skip=True, **(SMALL | COURSE))
PRESETS = {
    "paper": ("Async-GAN: high-resolution networks at 512², or --size 512 1024.", Settings(size=512)),
    "cyclegan": ("Async-CycleGAN at 256².", Settings(base="cyclegan", size=256)),
    "demo": ("Minutes on a CPU.", DEMO),
}


def networks(settings: Settings) -> tuple[asyncgan.Translators, asyncgan.Discriminators]:
    options = {name: getattr(settings, name) for name in ("width", "upsampling", "skip")}
    return cycle_model(settings.base, settings.sizes, settings.detach_fake_poor, **options)


def main(settings: Settings) -> None:
    data, about = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    model, discriminators = networks(settings)
    pools = asymkit.ImagePools(settings.pool, capturable=settings.graph)
    ddp_model, ddp_discriminators = run.prepare(model), run.prepare_each(discriminators)
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
        pairs = ddp_model(x, phase="partial")  # (ȳ, x): the frozen easy direction makes ȳ, the hard one learns ȳ → x
        with asymkit.frozen(ddp_discriminators):
            generator_terms = asyncgan.partial_generator_terms(pairs, ddp_discriminators, weights=settings.weights)
            run.backward(settings.weights.total(generator_terms))
        discriminator_terms = asyncgan.partial_discriminator_terms(pairs.detach(), ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))
        optimizer_steps(generator_terms, discriminator_terms)

    # with --graph one CUDA graph each; a graph keeps what was frozen, so the joint step of G alone has its own
    steps = (joint_step, joint_step, partial_step)
    joint, joint_easy, partial = (run.captured(each, optimizer_g, optimizer_d) for each in steps)
    easy = [model.rich_to_poor, discriminators.poor]  # the easy direction, frozen in partial steps
    hard = [part for part in (*model.children(), *discriminators.children()) if part not in easy]

    def joint_or_easy(x: Tensor, y: Tensor) -> None:
        if plan.kind(run.step) == "joint":  # plan is made below, from the scheduler
            return joint(x, y)
        with asymkit.frozen(*hard):
            joint_easy(x, y)

    with settings.unwarned():  # of a schedule without partial epochs, which --schedule sync wants
        epochs, period, rule = settings.epochs, settings.period, settings.rule
        scheduler = asymkit.AsyncScheduler(joint_or_easy, partial, easy, epochs, period, rule)
    step = scheduler if settings.asynchronous else joint  # it calls one of its two steps, and freezes in partial ones
    measured, shown = data.held_out(64), data.held_out(6, settings.picture_size)  # for the report
    # the steps at which epochs begin, since joint and partial ones differ in length; keeps translations of shown
    plan = Plan(scheduler, data.lengths, run.samples_per_step, settings.asynchronous, shown, settings.joint == "easy")
    page = Page("Async-GAN", [about, plan.note()], lambda m: asyncgan_snapshot(m, measured, shown, plan.intermediate))
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


if __name__ == "__main__":
    command(main, PRESETS)
