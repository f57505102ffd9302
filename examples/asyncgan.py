"""Async-GAN (Zheng et al., TMM 2022): any cycle model, its easy direction frozen from time to time.

    python examples/asyncgan.py demo                                  # minutes on two CPU cores, photographs included
    python examples/asyncgan.py paper --data datasets/facades         # trainA rich, trainB poor, CycleGAN as the base
    python examples/asyncgan.py paper --base highres --size 512 ...   # the paper's networks

Where it differs from the paper: the learning rate, of whose course it says nothing, falls to zero in the second half, and
GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.unpaired import UnpairedSettings
from support.report.page import Page
from support.report.pictures import asyncgan_snapshot
from support.run.command import command
from support.run.plan import Plan
from support.run.run import Run
from torch import Tensor, nn

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asyncgan

PAPER_SIZES = {
    "cyclegan": (9, 3, 0),
    "highres": (8, 4, 0),
    "asymgan": (6, 3, 8),
}  # residual blocks, layers, length of z


@dataclass(frozen=True)
class Settings(UnpairedSettings):
    """Train a cycle model asynchronously."""

    FIXED = frozenset({"epochs", "picture_size"})  # when a run is resumed
    out: Path = Path("runs/asyncgan")  # folder of the run
    base: Literal["cyclegan", "highres", "asymgan"] = "cyclegan"  # highres: the paper's networks, for 512² and more
    epochs: int = 100  # half of them joint, then joint and partial in turn
    period: int = 10  # epochs of a cycle, whose first half is joint; 10 or, with 120 epochs, 20 in the paper
    rule: Literal["text", "algorithm1"] = "text"  # what the paper says, or prints, with one joint epoch more in ten
    aux_channels: int | None = None  # length of z: None is 8 for asymgan and no z for highres, whose paper takes 128
    blocks: int | None = None  # residual blocks; None: 9 for cyclegan, 8 for highres, 6 for asymgan
    discriminator_layers: int | None = None  # layers of stride 2 in the discriminators; None: 3, and 4 for highres
    upsampling: Upsampling = "transposed"  # as in the papers; or resize, which leaves no checkerboard
    lr_g: float = 2e-4  # learning rate of the generators, for the first half of the run; then it falls to zero
    lr_d: float = 2e-4  # the same of the discriminators
    pool: int = 50  # size of the image pools: earlier fakes that the discriminators are shown again in joint steps
    weights: asyncgan.Weights = field(default_factory=asyncgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_plan("period", "blocks", "discriminator_layers", "aux_channels")
        if self.aux_channels is not None and self.base == "cyclegan":
            raise ValueError("aux_channels: cyclegan has no z; take --base highres or --base asymgan")
        _, layers, _ = self.sizes
        # the discriminators of highres see the image at half its size as well, its generators halve it three times
        self.check_sides(*((layers + 1, 8) if self.base == "highres" else (layers, 4)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Blocks, layers and length of z, those of the base's paper where none are given; a z of 0: there is none."""
        given = self.blocks, self.discriminator_layers, self.aux_channels
        return tuple(p if g is None else g for g, p in zip(given, PAPER_SIZES[self.base], strict=True))


SMALL: dict[str, Any] = {"size": 48, "picture_size": 96, "width": 16, "blocks": 3, "discriminator_layers": 2}
DEMO = Settings(epochs=12, period=2, upsampling="resize", lr_g=1e-3, lr_d=1e-4, batch=2, workers=0, **SMALL)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def networks(settings: Settings) -> tuple[asyncgan.Translators, asyncgan.Discriminators]:
    (blocks, layers, aux), width = settings.sizes, settings.width
    options: dict[str, Any] = {"width": width, "blocks": blocks, "upsampling": settings.upsampling}
    highres = settings.base == "highres"
    plain: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.ResnetGenerator
    with_z: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.AuxGenerator
    discriminator: type[nn.Module] = asymkit.MultiscaleDiscriminator if highres else asymkit.PatchDiscriminator
    rich_to_poor = plain(**options)
    poor_to_rich = with_z(**options, aux_channels=aux) if aux else plain(**options)
    rich, poor = (discriminator(layers=layers, width=width) for _ in range(2))
    encoder = asymkit.AuxEncoder(aux_channels=aux, width=width) if aux else None
    aux_d = asymkit.AuxDiscriminator(aux) if aux else None
    return asyncgan.Translators(rich_to_poor, poor_to_rich, encoder), asyncgan.Discriminators(rich, poor, aux_d)


def main(settings: Settings) -> None:
    data, source = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    model, discriminators = networks(settings)
    pools = asymkit.ImagePools(settings.pool, capturable=settings.graph)
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, average = run.guard(), run.guard(), run.average(model)

    def optimizer_steps(generator_terms: dict[str, Tensor], discriminator_terms: dict[str, Tensor]) -> None:
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless something is not finite
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
        pairs = ddp_model(
            x, phase="partial"
        )  # (ȳ, x): the frozen easy direction makes ȳ of x, the hard one learns ȳ → x
        with asymkit.frozen(ddp_discriminators):
            generator_terms = asyncgan.partial_generator_terms(pairs, ddp_discriminators)
            run.backward(settings.weights.total(generator_terms))
        discriminator_terms = asyncgan.partial_discriminator_terms(pairs.detach(), ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))
        optimizer_steps(generator_terms, discriminator_terms)

    joint, partial = (run.captured(f, optimizer_g, optimizer_d) for f in (joint_step, partial_step))  # with --graph
    easy = [model.rich_to_poor, discriminators.poor]  # the easy direction, frozen in partial steps
    scheduler = asymkit.AsyncScheduler(joint, partial, easy, settings.epochs, settings.period, settings.rule)
    plan = Plan.for_data(scheduler, data.lengths, run.samples_per_step)  # steps of joint and of partial epochs
    shown = data.fresh(6, settings.picture_size, run.device)
    notes = [source, plan.note()]
    page = Page("Async-GAN", notes, lambda trained: asyncgan_snapshot(trained, shown, plan.intermediate))
    run.saves(model=model, discriminators=discriminators, pools=pools, optimizer_g=optimizer_g, optimizer_d=optimizer_d)
    for x, y in run.batches(page, plan):  # x rich, y poor, unpaired
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        scheduler.set_epoch(plan.epoch(run.step))
        scheduler(x, y)  # joint or partial
        if run.ends_step:
            average.update()
            plan.keep_intermediate(run.step, average.model, *shown)  # for the report, at the end of a phase


if __name__ == "__main__":
    command(main, PRESETS)
