"""MNIST and USPS, every digit cropped to its box: real sets of one geometry, scored by classifiers that read digits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from support.data.digits import DigitSet, DigitSettings, Split, digit_batches, digit_sets
from support.report.classifier import accuracy, train_classifier
from torch import Tensor, nn

from asymkit.objectives.asymgan import Translators
from hidden_factors.data import Pairs, Part, places_of
from hidden_factors.scores import Scores, apart, sampled

MOST, VALIDATION = 12_000, 500
"""Images of each set, and how many of those of training are held out for the choice of the best epoch."""


@dataclass(frozen=True)
class Digits:
    """Real digits, of which nothing is known but what they say.

    Args:
        folder: with MNIST in ``mnist`` and USPS, an .npz, in ``usps``.
        size: side of the images in pixels.
    """

    folder: Path
    size: int = 16

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Pairs:
        """Rich and poor images that say the same digits; the two domains of training are drawn apart from each other."""
        rich, poor = (_part(domain, part) for domain in _sets(self.folder, self.size))
        places = torch.randint(len(rich.digits), (count,), generator=generator)
        said, nothing = rich.digits[places], torch.empty(count, 0)
        others = places_of(said, poor.digits, generator)
        return Pairs(rich.images[places], poor.images[others], nothing, nothing, said)

    def recognised(self, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> Scores:
        """Shares of G(x) and F(y) that classifiers of real images read right."""
        assert truth.digits is not None
        read_rich, read_poor = readers(self)
        return {
            "x→y accuracy": accuracy(read_poor, fake_poor, truth.digits),
            "y→x accuracy": accuracy(read_rich, fake_rich, truth.digits),
        }


def errors(data: Digits, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> Scores:
    """Shares that are misread, by whose sum the best epoch is chosen."""
    found = data.recognised(fake_poor, fake_rich, truth)
    return {name.replace("accuracy", "misread"): 1 - share for name, share in found.items()}


@torch.no_grad()
def score(model: Translators, data: Digits, part: Part = "test", count: int = 1000, seed: int = 7) -> Scores:
    """All scores of translators on images that are held out, the same ones for every model."""
    generator = torch.Generator().manual_seed(seed)
    truth = data.draw(count, generator, part)
    z = sampled(model, count, generator)
    code = None if model.encoder is None else model.encoder(truth.rich)
    fake_poor = model.to_poor(truth.rich)
    found = data.recognised(fake_poor, model.to_rich(truth.poor, z), truth)
    return found | {"rebuild": apart(model.to_rich(fake_poor, code), truth.rich)}


@cache
@torch.enable_grad()
def readers(data: Digits) -> tuple[nn.Module, nn.Module]:
    """Classifiers of real rich and of real poor images."""
    rich, poor = (
        train_classifier(digit_batches(_part(domain, "rich")), 3, 10, torch.device("cpu"))
        for domain in _sets(data.folder, data.size)
    )
    return rich, poor


@cache
def _sets(folder: Path, size: int) -> tuple[DigitSet, DigitSet]:
    files = sorted((folder / "usps").glob("*.npz"))
    if not files or not (folder / "mnist").is_dir():
        raise ValueError(f"folder: {str(folder)!r} must have MNIST's files in mnist and an .npz of USPS in usps")
    return digit_sets(
        DigitSettings(digits="usps", mnist=folder / "mnist", other=files[0], size=size, images=MOST, crop=True)
    )


def _part(domain: DigitSet, part: Part) -> Split:
    if part == "test":
        return domain.test
    chosen = slice(None, VALIDATION) if part == "validation" else slice(VALIDATION, None)
    return Split(domain.train.images[chosen], domain.train.digits[chosen])
