"""Async-GAN around another model: a compact MUNIT of our own, whose easy direction is parts of two networks.

    python examples/asyncgan_munit.py demo                            # minutes on two CPU cores, photographs included
    python examples/asyncgan_munit.py paper --data datasets/facades   # trainA rich, trainB poor

Rich to poor is the rich domain's content encoder and the poor domain's decoder; partial steps freeze these two and the
poor domain's critic, and leave all other parts to be trained. The model is in support/munit.py.
"""

import torch
from support import munit
from support.checkpoint import Stateful
from support.data import unpaired
from support.loop import Training
from support.phases import Intermediate, Plan
from support.pictures import looking, munit_figures, munit_pictures
from support.record import Page
from support.report import Look
from support.run import command, open_run
from support.settings_async import MUNIT_PRESETS, MunitSettings
from support.start import start
from torch import nn

from asymkit import AsyncScheduler, PatchDiscriminator, frozen


def main(settings: MunitSettings) -> None:
    accelerator = start(settings)
    data, source = unpaired(
        settings.data,
        settings.poor,
        settings.rich,
        settings.size,
        settings.seed,
        settings.side_by_side,
        settings.value_range,
    )
    open_run(settings, keep=frozenset({"epochs"}))
    shown_x, shown_y = (images.to(accelerator.device) for images in data.fresh(6, settings.picture_size))

    model = munit.Munit(settings.width, settings.blocks, settings.style)
    critics = nn.ModuleList(PatchDiscriminator(width=settings.width, layers=settings.critic_layers) for _ in range(2))
    rich_critic, poor_critic = critics
    moments = Intermediate()
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics, "intermediate": moments}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = [accelerator.prepare(critic) for critic in (rich_critic, poor_critic)]

    def step(made: munit.Swapped | munit.Paired) -> None:
        with frozen(*judges):
            training.step_generators(munit.generator_terms(made, *judges))
        training.step_critics(munit.discriminator_terms(made, *judges))

    scheduler = AsyncScheduler(
        joint=lambda x, y: step(translators(x, y)),
        partial=lambda x, _y: step(translators(x)),
        frozen=[*model.rich_to_poor_parts(), poor_critic],
        total_epochs=settings.epochs,
        period=settings.period,
        rule=settings.rule,
    )
    batch = settings.samples_to_a_step(accelerator.num_processes)
    plan = Plan.for_data(scheduler, data.lengths, batch)

    def look(model: munit.Munit) -> Look:
        return Look(munit_pictures(model, shown_x, shown_y, moments), munit_figures(model, shown_x, shown_y))

    losses = ("image", "style", "pseudo", "adversarial_rich")
    page, networks = Page("Async-MUNIT", [source, plan.note()], look, losses), (translators, *judges)
    training = Training(accelerator, settings, data, parts, networks, (optimizer_g, optimizer_d), page, plan)
    for x, y in training:
        epoch = plan.epoch(training.step)
        scheduler.set_epoch(epoch)
        scheduler(x, y)
        if accelerator.sync_gradients and plan.ends_phase(training.step):
            with looking():
                made = model(shown_x, shown_y)
            moments.add(f"epoch {epoch} ({scheduler.phase(epoch)})", made.fake_poor, made.fake_rich)


if __name__ == "__main__":
    command(main, MUNIT_PRESETS)
