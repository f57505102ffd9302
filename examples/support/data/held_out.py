"""Images that a report shows and measures: those of the test set, or crops that training never draws."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

MOST_PIXELS = 16 * 256**2
"""Pixels of a batch: as many as the generators of the papers translate at once in a few GB."""


class HeldOut(NamedTuple):
    """Rich and poor images, unpaired, in batches (N, C, H, W) of images of one size, in [-1, 1], on the CPU."""

    rich: list[Tensor]
    poor: list[Tensor]


def in_batches(images: Iterable[Tensor]) -> list[Tensor]:
    """Images (C, H, W) in their order, as many in a batch as follow each other with one size and are not too many."""
    batches: list[Tensor] = []
    for shape, alike in groupby(images, lambda image: image.shape):
        batches += torch.stack(list(alike)).split(max(1, MOST_PIXELS // (shape[-2] * shape[-1])))
    return batches


def first(batches: Iterable[Tensor], count: int) -> list[Tensor]:
    """The first so many images of some batches, in batches."""
    return in_batches([image for batch in batches for image in batch][:count])
