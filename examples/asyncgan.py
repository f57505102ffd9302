"""Async-GAN (Zheng et al., TMM 2022): any cycle model, its easy direction frozen from time to time.

    python examples/asyncgan.py demo                                  # minutes on two CPU cores, photographs included
    python examples/asyncgan.py paper --data datasets/facades         # trainA rich, trainB poor, CycleGAN as the base
    python examples/asyncgan.py paper --base highres --size 512 ...   # the paper's networks
    accelerate launch examples/asyncgan.py paper --data ...           # several GPUs

Where it differs from the paper: the learning rate, of whose course it says nothing, is constant for half of the training
and then falls to zero with every step, and GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

from typing import Any

import torch
from accelerate.utils import set_seed
from support.checkpoint import Stateful
from support.data import unpaired
from support.feed import UnpairedData
from support.loop import Training
from support.phases import Intermediate, Plan
from support.pictures import asyncgan_pictures, cycle_figures, looking, z_slides
from support.record import Page
from support.report import Look
from support.run import command, open_run
from support.settings_async import ASYNCGAN_PRESETS, AsyncCycleSettings, AsyncSettings
from support.start import start
from torch import Tensor, nn

from asymkit import (
    AsyncScheduler,
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    HighResGenerator,
    ImagePools,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    ResnetGenerator,
    frozen,
)
from asymkit.objectives import asyncgan


def networks(settings: AsyncSettings) -> tuple[asyncgan.Translators, asyncgan.Critics]:
    width, up, aux = settings.width, settings.upsampling, settings.aux_channels
    blocks, layers = settings.depths
    size: dict[str, Any] = {"width": width, "blocks": blocks}
    rich_to_poor: nn.Module
    poor_to_rich: nn.Module
    judges: list[nn.Module]
    if settings.base == "highres":
        rich_to_poor = HighResGenerator(**size, upsampling=up)
        poor_to_rich = HighResGenerator(**size, aux_channels=aux, upsampling=up)
        judges = [MultiscaleDiscriminator(layers=layers, width=width) for _ in range(2)]
    else:
        aux = (aux or 8) if settings.base == "asymgan" else None
        rich_to_poor = ResnetGenerator(**size, upsampling=up)
        poor_to_rich = (
            ResnetGenerator(**size, upsampling=up)
            if aux is None
            else AuxGenerator(**size, aux_channels=aux, upsampling=up)
        )
        judges = [PatchDiscriminator(layers=layers, width=width) for _ in range(2)]
    encoder, aux_judge = (
        (None, None) if aux is None else (AuxEncoder(aux_channels=aux, width=width), AuxDiscriminator(aux))
    )
    return asyncgan.Translators(rich_to_poor, poor_to_rich, encoder), asyncgan.Critics(judges[0], judges[1], aux_judge)


def train(
    settings: AsyncCycleSettings,
    data: UnpairedData,
    model: asyncgan.Translators,
    critics: asyncgan.Critics,
    shown: tuple[Tensor, Tensor],
    title: str,
    source: str,
    asynchronous: bool = True,
) -> bool:
    accelerator = start(settings)
    open_run(settings, keep=frozenset({"epochs"}))
    shown_x, shown_y = (images.to(accelerator.device) for images in shown)
    pools, moments = ImagePools(settings.pool), Intermediate()
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics, "pools": pools, "intermediate": moments}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = asyncgan.Critics(*(accelerator.prepare(critic) for critic in critics.children()))

    def joint(x: Tensor, y: Tensor) -> None:
        cycles = translators(x, y)
        with frozen(judges):
            training.step_generators(asyncgan.joint_generator_terms(cycles, judges))
        training.step_critics(asyncgan.joint_discriminator_terms(pools(cycles), judges))

    def partial(x: Tensor, _y: Tensor) -> None:
        pairs = translators(x, phase="partial")
        with frozen(judges):
            training.step_generators(asyncgan.partial_generator_terms(pairs, judges))
        training.step_critics(asyncgan.partial_discriminator_terms(pairs.detach(), judges))

    easy = [model.rich_to_poor, critics.poor]
    scheduler = AsyncScheduler(joint, partial, easy, settings.epochs, settings.period, settings.rule)
    step = scheduler if asynchronous else joint
    batch = settings.samples_to_a_step(accelerator.num_processes)
    plan = Plan.for_data(scheduler, data.lengths, batch, asynchronous)
    notes = [source, plan.note()] if asynchronous else [source]

    def look(model: asyncgan.Translators) -> Look:
        pictures, figures = asyncgan_pictures(model, shown_x, shown_y, moments), cycle_figures(model, shown_x, shown_y)
        return Look(pictures, figures, {} if model.encoder is None else z_slides(model, shown_y))

    page = Page(title, notes, look, ("cycle_rich", "cycle_poor", "pseudo", "adversarial_rich"))
    networks, optimizers = (translators, judges), (optimizer_g, optimizer_d)
    training = Training(accelerator, settings, data, parts, networks, optimizers, page, plan)
    for x, y in training:
        scheduler.set_epoch(epoch := plan.epoch(training.step))
        step(x, y)
        if accelerator.sync_gradients and plan.ends_phase(training.step):
            with looking():
                cycles = model(shown_x, shown_y)
            moments.add(f"epoch {epoch} ({plan.phase(training.step)})", cycles.fake_poor, cycles.fake_rich)
    return not training.stopped


def main(settings: AsyncSettings) -> None:
    set_seed(settings.seed)
    data, source = unpaired(
        settings.data,
        settings.poor,
        settings.rich,
        settings.size,
        settings.seed,
        settings.side_by_side,
        settings.value_range,
    )
    model, critics = networks(settings)
    train(settings, data, model, critics, data.fresh(6, settings.picture_size), "Async-GAN", source)


if __name__ == "__main__":
    command(main, ASYNCGAN_PRESETS)
