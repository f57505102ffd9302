"""Images that a report shows and measures: those of the test set, or crops that training never draws."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from asymkit.evaluation.folders import LOOKED_AT, ImageFiles
from support.data.files import BrokenFiles

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


def inspected(test: Sequence[ImageFiles], train: Sequence[ImageFiles]) -> BrokenFiles:
    """Look at some test files, whose values are then read as those of the training files of the same domain.

    Args:
        test: files of each domain.
        train: of the same domains, inspected already.

    Returns:
        Those that cannot be read.

    Raises:
        ValueError: they are more than one in a hundred of those looked at.
    """
    broken = BrokenFiles(sum(map(len, test)))
    for files, like in zip(test, train, strict=True):
        broken.found |= {str(path): problem for path, problem in files.inspect(like.value_range).items()}
        if like.value_range is not None:
            files.note = ""  # it is said of the training files
        if files.warning:
            warnings.warn(f"data: {files.warning}", stacklevel=2)
    broken.check(sum(min(len(files), LOOKED_AT) for files in test))
    return broken
