"""The one training loop of all arms, and what a step of those between two domains is."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncgan_munit as munit
import torch
from support.run.ema import MovingAverage
from torch import Tensor, nn

from asymkit import AsyncScheduler, ImagePools, frozen, linear_decay
from asymkit.objectives import asyncgan
from asymkit.objectives.asyncgan import Translators
from hidden_factors.arms import Arm, MunitTranslators, paired_cycles, pseudo_pairs
from hidden_factors.data import Pairs, Source
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


Model = TypeVar("Model", bound=nn.Module)


@dataclass
class Trained(Generic[Model]):
    """The moving averages after the last epoch and after the best one, and how it went."""

    last: Model
    best: Model
    steps: int
    seconds: float
    history: list[dict[str, float]]  # errors on the validation images
    cpu_seconds: float = 0.0  # of all threads


class Optimizers:
    """Adam for generators and for discriminators, with the learning rates of a training."""

    def __init__(self, model: nn.Module, discriminators: nn.Module, options: Training) -> None:
        self._rates = options.lr_g, options.lr_d
        self._both = [
            torch.optim.Adam(networks.parameters(), rate, betas=(0.5, 0.999), fused=True)
            for networks, rate in zip((model, discriminators), self._rates, strict=True)
        ]

    def decay(self, progress: float) -> None:
        """Set the learning rates after a part of the run, from 0 to 1."""
        for optimizer, rate in zip(self._both, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * linear_decay(progress)

    def update_generators(self, loss: Tensor) -> None:
        """A step of theirs, and of the encoder."""
        self._update(self._both[0], loss)

    def update_discriminators(self, loss: Tensor) -> None:
        """A step of theirs."""
        self._update(self._both[1], loss)

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


Errors = Callable[[Any, Tensor, Tensor, Pairs], dict[str, float]]
"""Of data, G(x), F(y, z) and the truth."""


def train(arm: Arm, data: Source, options: Training, seed: int, errors: Errors = directions) -> Trained[Translators]:
    """Train one arm between two domains with one seed; which images it sees depends on the seed alone.

    The best epoch is the one with the least sum of the errors.
    """
    torch.manual_seed(seed)
    model, discriminators = arm.networks(options.width, options.blocks, options.aux)
    if arm.schedule == "none":
        return Trained(model, model, 0, 0.0, [])
    optimizers, pools = Optimizers(model, discriminators, options), ImagePools(options.pool)

    def update_generators(terms: Mapping[str, Tensor]) -> None:
        optimizers.update_generators(arm.weights.total(terms))

    def update_discriminators(terms: Mapping[str, Tensor]) -> None:
        optimizers.update_discriminators(arm.weights.total(terms))

    def munit_step(rich: Pairs, poor: Pairs) -> None:
        assert isinstance(model, MunitTranslators)
        x, y, of_images = rich.rich, poor.poor, (discriminators.rich, discriminators.poor)
        made = model.net(x, y)
        with frozen(discriminators):
            update_generators(munit.generator_terms(made, x, y, *of_images))
        update_discriminators(munit.discriminator_terms(made, x, y, *of_images))

    def joint(rich: Pairs, poor: Pairs) -> None:
        paired = arm.schedule == "supervised"
        cycles = paired_cycles(model, rich.rich, rich.poor) if paired else model(rich.rich, poor.poor)
        with frozen(discriminators):
            update_generators(asyncgan.joint_generator_terms(cycles, discriminators))
        update_discriminators(asyncgan.joint_discriminator_terms(pools(cycles), discriminators))

    def partial(rich: Pairs, _poor: Pairs) -> None:
        with torch.no_grad():
            made = rich.poor if arm.oracle else arm.transform(model.rich_to_poor(rich.rich))
        pairs = pseudo_pairs(model, rich.rich, made)
        with frozen(discriminators):
            update_generators(asyncgan.partial_generator_terms(pairs, discriminators))
        update_discriminators(asyncgan.partial_discriminator_terms(pairs.detach(), discriminators))

    easy = [model.rich_to_poor, discriminators.poor]
    second = partial if arm.schedule == "async" else joint  # with the easy direction frozen
    scheduler = AsyncScheduler(joint, second, easy, options.epochs, options.period)
    in_phases = scheduler if arm.schedule in {"async", "more"} else munit_step if arm.munit else joint
    generator = torch.Generator().manual_seed(1000 + seed)

    def step(progress: float) -> None:
        rich, poor = (data.draw(options.batch, generator, part) for part in ("rich", "poor"))
        scheduler.set_epoch(int(progress * options.epochs))
        in_phases(rich, poor)

    return trained(model, optimizers, step, Validation(data, errors).errors, options)


def trained(
    model: Model,
    optimizers: Optimizers,
    step: Callable[[float], None],
    errors: Callable[[Model], dict[str, float]],
    options: Training,
) -> Trained[Model]:
    """The loop of every training.

    Args:
        model: what is trained, and whose moving average is scored.
        optimizers: whose learning rates fall.
        step: one step, given the part of the run that is over, from 0 to below 1.
        errors: of the moving average on the validation images, by whose sum the best epoch is chosen.
        options: of the run.
    """
    average, history = MovingAverage(model, options.average), list[dict[str, float]]()
    best, begin, cpu_begin, step_number, progress = model, time.monotonic(), time.process_time(), 0, 0.0
    while progress < 1:
        optimizers.decay(progress)
        step(progress)
        average.update()
        step_number += 1
        minutes = (time.process_time() - cpu_begin) / 60
        progress = max(step_number / options.steps, minutes / options.minutes if options.minutes else 0.0)
        if progress >= min(1.0, (len(history) + 1) / options.looks):
            history.append({"step": step_number} | errors(average.model.eval()))
            if best_step(history) == step_number:
                best = copy.deepcopy(average.model)
    seconds, cpu_seconds = time.monotonic() - begin, time.process_time() - cpu_begin
    return Trained(average.model.eval(), best.eval(), step_number, seconds, history, cpu_seconds)


def best_step(history: list[dict[str, float]]) -> int:
    """The step after which the sum of the errors was the least; 0 where nothing was trained."""

    def error(look: dict[str, float]) -> float:
        return sum(value for name, value in look.items() if name != "step")

    return int(min(history, key=error, default={"step": 0})["step"])


class Validation:
    """Errors of both directions on held-out images, by which the best epoch is chosen."""

    def __init__(self, data: Source, errors: Errors = directions) -> None:
        self.data, self._errors = data, errors
        self.truth = data.draw(128, torch.Generator().manual_seed(5), "validation")

    @torch.no_grad()
    def errors(self, model: Translators) -> dict[str, float]:
        """On the same images with the same z each time."""
        z = sampled(model, len(self.truth.poor), torch.Generator().manual_seed(6))
        return self._errors(self.data, model.to_poor(self.truth.rich), model.to_rich(self.truth.poor, z), self.truth)
