"""The one training loop of all arms."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import asyncgan_munit as munit
import torch
from support.run.ema import MovingAverage
from torch import Tensor

from asymkit import AsyncScheduler, ImagePools, frozen, linear_decay
from asymkit.objectives import asyncgan
from asymkit.objectives.asyncgan import Translators
from hidden_factors.arms import Arm, MunitTranslators, paired_cycles, pseudo_pairs
from hidden_factors.data import Data, Pairs
from hidden_factors.scores import directions, sampled


@dataclass(frozen=True)
class Training:
    """What all arms have in common."""

    width: int = 16
    blocks: int = 3  # residual blocks of a generator
    aux: int = 4  # length of z
    batch: int = 16
    steps: int = 1200
    minutes: float = 0.0  # of processor time, after which a run ends; 0: only its steps end it
    lr_g: float = 5e-4  # for the first half of the run; then it falls to zero
    lr_d: float = 2e-4
    average: float = 0.99  # decay of the moving average of the weights, which is what is scored
    pool: int = 50  # images of the pools
    epochs: int = 100  # of the asynchronous schedule and of the search for the best epoch, whatever the steps
    period: int = 10  # of the asynchronous schedule
    looks: int = 5  # how often the validation strokes are looked at


@dataclass
class Trained:
    """The moving averages after the last epoch and after the best one, and how it went."""

    last: Translators
    best: Translators
    steps: int
    seconds: float
    history: list[dict[str, float]]  # errors on the validation strokes
    cpu_seconds: float = 0.0  # of all threads


def train(arm: Arm, data: Data, options: Training, seed: int) -> Trained:
    """Train one arm with one seed; which images it sees depends on the seed alone."""
    torch.manual_seed(seed)
    model, discriminators = arm.networks(options.width, options.blocks, options.aux)
    if arm.schedule == "none":
        return Trained(model, model, 0, 0.0, [])
    optimizer_g = torch.optim.Adam(model.parameters(), options.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), options.lr_d, betas=(0.5, 0.999), fused=True)
    pools, average = ImagePools(options.pool), MovingAverage(model, options.average)

    def update(optimizer: torch.optim.Optimizer, terms: dict[str, Tensor]) -> None:
        optimizer.zero_grad()
        arm.weights.total(terms).backward()
        optimizer.step()

    def munit_step(rich: Pairs, poor: Pairs) -> None:
        assert isinstance(model, MunitTranslators)
        x, y, of_images = rich.rich, poor.poor, (discriminators.rich, discriminators.poor)
        made = model.net(x, y)
        with frozen(discriminators):
            update(optimizer_g, munit.generator_terms(made, x, y, *of_images))
        update(optimizer_d, munit.discriminator_terms(made, x, y, *of_images))

    def joint(rich: Pairs, poor: Pairs) -> None:
        paired = arm.schedule == "supervised"
        cycles = paired_cycles(model, rich.rich, rich.poor) if paired else model(rich.rich, poor.poor)
        with frozen(discriminators):
            update(optimizer_g, asyncgan.joint_generator_terms(cycles, discriminators))
        update(optimizer_d, asyncgan.joint_discriminator_terms(pools(cycles), discriminators))

    def partial(rich: Pairs, _poor: Pairs) -> None:
        with torch.no_grad():
            made = rich.poor if arm.oracle else arm.transform(model.rich_to_poor(rich.rich))
        pairs = pseudo_pairs(model, rich.rich, made)
        with frozen(discriminators):
            update(optimizer_g, asyncgan.partial_generator_terms(pairs, discriminators))
        update(optimizer_d, asyncgan.partial_discriminator_terms(pairs.detach(), discriminators))

    easy = [model.rich_to_poor, discriminators.poor]
    second = partial if arm.schedule == "async" else joint  # with the easy direction frozen
    scheduler = AsyncScheduler(joint, second, easy, options.epochs, options.period)
    step = scheduler if arm.schedule in {"async", "more"} else munit_step if arm.munit else joint
    generator, validation = torch.Generator().manual_seed(1000 + seed), Validation(data)
    history: list[dict[str, float]] = []
    best, begin, cpu_begin, step_number, progress = model, time.monotonic(), time.process_time(), 0, 0.0
    while progress < 1:
        for optimizer, rate in ((optimizer_g, options.lr_g), (optimizer_d, options.lr_d)):
            optimizer.param_groups[0]["lr"] = rate * linear_decay(progress)
        rich, poor = (data.draw(options.batch, generator, part) for part in ("rich", "poor"))
        scheduler.set_epoch(int(progress * options.epochs))
        step(rich, poor)
        average.update()
        step_number += 1
        minutes = (time.process_time() - cpu_begin) / 60
        progress = max(step_number / options.steps, minutes / options.minutes if options.minutes else 0.0)
        if progress >= min(1.0, (len(history) + 1) / options.looks):
            history.append({"step": step_number} | validation.errors(average.model.eval()))
            if best_step(history) == step_number:
                best = copy.deepcopy(average.model)
    seconds, cpu_seconds = time.monotonic() - begin, time.process_time() - cpu_begin
    return Trained(average.model.eval(), best.eval(), step_number, seconds, history, cpu_seconds)


def best_step(history: list[dict[str, float]]) -> int:
    """The step after which the sum of both directions' errors was the least; 0 where nothing was trained."""
    least = min(history, key=lambda look: look["x→y error"] + look["y→x error"], default={"step": 0})
    return int(least["step"])


class Validation:
    """Errors of both directions on held-out strokes, by which the best epoch is chosen."""

    def __init__(self, data: Data) -> None:
        self.data, self.truth = data, data.draw(128, torch.Generator().manual_seed(5), "validation")

    @torch.no_grad()
    def errors(self, model: Translators) -> dict[str, float]:
        """On the same strokes with the same z each time."""
        z = sampled(model, len(self.truth.poor), torch.Generator().manual_seed(6))
        return directions(self.data, model.to_poor(self.truth.rich), model.to_rich(self.truth.poor, z), self.truth)
