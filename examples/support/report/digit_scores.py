"""Translated digits read by classifiers of real ones [Async-GAN §IV-F]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from statistics import mean, stdev
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, nn

from asymkit.objectives import asyncgan
from support.data.digits import DigitSet, DigitSettings, digit_batches, digit_sets
from support.report.classifier import accuracy, train_classifier
from support.run.atomic_write import write_json
from support.run.command import write_settings
from support.run.rng import seeded_inference

Settings = TypeVar("Settings", bound=DigitSettings)
Train = Callable[[Settings, DigitSet, DigitSet, str], asyncgan.Translators | None]


def compare(settings: Settings, variants: Mapping[str, str], train: Train[Settings]) -> None:
    """Train every variant with every seed, each in a folder of its own, and print and write how its digits are read.

    Args:
        settings: of the comparison.
        variants: names to show, by the names that ``train`` is given.
        train: from settings, the rich and the poor set and a variant to the trained model, None if it was stopped.

    Raises:
        ValueError: the folder holds a training.
    """
    if (settings.out / "checkpoint.pt").exists():
        raise ValueError(
            f"out: {str(settings.out)!r} holds one of the trainings of a comparison; give {str(settings.out.parent)!r}"
        )
    rich, poor = digit_sets(settings)
    say, main = PartialState().print, PartialState().is_main_process
    if main and not settings.dry_run and not any(settings.out.glob("*/checkpoint.pt")):
        settings.out.mkdir(parents=True, exist_ok=True)
        write_settings(settings)
    say(f"rich: {rich}; poor: {poor}")
    read_rich, read_poor = (_reader(domain, settings.seed) for domain in (rich, poor))
    real = {rich.name: read_rich(rich.test.images, rich), poor.name: read_poor(poor.test.images, poor)}
    say(", ".join(f"real {name}: {share:.3f}" for name, share in real.items()))
    directions = (f"{rich.name} to {poor.name}", f"{poor.name} to {rich.name}")
    # what the other set's classifier makes of images nobody translated: a translation that helps must beat it
    shares = read_poor(rich.test.images, rich), read_rich(poor.test.images, poor)
    untranslated = dict(zip(directions, shares, strict=True))
    for direction, share in untranslated.items():
        say(f"{'not translated':<15} {direction:<18} {share:.3f}")
    scores = {variant: {direction: list[float]() for direction in directions} for variant in variants}
    for variant, found in scores.items():
        for seed in range(settings.seed, settings.seed + settings.seeds):
            out = settings.out / f"{variant}-{seed}"
            begun = settings.resume and (out / "checkpoint.pt").exists()
            model = train(replace(settings, seed=seed, out=out, resume=begun), rich, poor, variant)
            if settings.dry_run:
                continue
            if model is None:
                return  # by Ctrl-C: nothing is scored half-trained
            found[directions[0]].append(read_poor(_translated(model.rich_to_poor, rich.test.images), rich))
            found[directions[1]].append(read_rich(_translated(model.poor_to_rich, poor.test.images), poor))
    if settings.dry_run:
        return
    for variant, found in scores.items():
        for direction, each in found.items():
            spread = f" ± {stdev(each):.3f}" if len(each) > 1 else ""
            all_of_them = ", ".join(f"{share:.3f}" for share in each)
            say(f"{variants[variant]:<15} {direction:<18} {mean(each):.3f}{spread}   ({all_of_them})")
    if main:
        results = {"real": real, "untranslated": untranslated, "translated": scores}
        write_json(settings.out / "results.json", results | {"entropy_bits": {d.name: d.bits for d in (rich, poor)}})


def _reader(domain: DigitSet, seed: int) -> Callable[[Tensor, DigitSet], float]:
    """A classifier of a domain's real digits: the share it reads right of images that were test digits of a set."""
    classifier = train_classifier(digit_batches(domain.train), 3, 10, torch.device("cpu"), seed)
    return lambda images, of: accuracy(classifier, images, of.test.digits)


@seeded_inference()
def _translated(generator: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([generator(part) for part in images.split(128)])
