"""Unpaired data: a rich and a poor domain, from the bundled photographs, a folder of photos, or a CycleGAN folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from support.images import BUNDLED, DERIVE, Pixels, PoorKind, bundled_photos, image_files, random_crop, read_image

FRESH = 2**40
"""Samples, be they crops or drawn pairs, from this number on are never drawn in training."""


class Domain:
    """One side of the data: images, how closely to look at them, and what to make of a crop.

    Args:
        images: in memory or as files.
        zoom: crops show between all of an image's shorter side and a ``zoom``-th of it.
        derive: what the domain shows instead of the crop itself.
    """

    def __init__(
        self, images: Sequence[Image.Image | Path], zoom: float, derive: Callable[[Pixels], Pixels] | None = None
    ) -> None:
        self.images, self.zoom, self.derive = images, zoom, derive

    def crop(self, index: int, size: int, seed: tuple[int, int]) -> Tensor:
        """Crop number ``index`` as (3, size, size) in [-1, 1]; every image once before any a second time."""
        turn, place = divmod(index, len(self.images))
        image = self.images[np.random.default_rng((*seed, turn)).permutation(len(self.images))[place]]
        if isinstance(image, Path):
            image = read_image(image)
        pixels = random_crop(image, size, self.zoom, np.random.default_rng((*seed, index, 1)))
        pixels = np.ascontiguousarray(pixels if self.derive is None else self.derive(np.ascontiguousarray(pixels)))
        return torch.tensor(pixels).permute(2, 0, 1) / 127.5 - 1


class Unpaired(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (rich, poor) that have nothing to do with each other; pair number ``index`` is the same in every run.

    Args:
        rich: the rich domain.
        poor: the poor domain.
        size: side of the crops in pixels.
        lengths: samples of the rich and of the poor domain; the larger number is an epoch.
        seed: another seed, other crops.
    """

    def __init__(self, rich: Domain, poor: Domain, size: int, lengths: tuple[int, int], seed: int) -> None:
        self.rich, self.poor, self.size, self.lengths, self.seed = rich, poor, size, lengths, seed
        self.epoch = max(lengths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._pair(index, self.size)

    def _pair(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        return self.rich.crop(index, size, (self.seed, 0)), self.poor.crop(index, size, (self.seed, 1))

    def fresh(self, count: int, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Crops of both domains that training never draws, of the same photos, (count, 3, size, size) each."""
        pairs = [self._pair(index, size or self.size) for index in range(FRESH, FRESH + count)]
        return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])


def unpaired(
    folder: Path | None, poor: PoorKind, rich_side: Literal["A", "B"], size: int, seed: int
) -> tuple[Unpaired, str]:
    """The data set a person asked for, and a sentence that says what it is.

    Args:
        folder: None for the bundled photographs, a folder of photos, or a CycleGAN folder with trainA and trainB.
        poor: what the poor domain is made of where there is no second folder.
        rich_side: which side of a CycleGAN folder is the rich one.
        size: side of the crops in pixels.
        seed: another seed, other crops.

    Raises:
        ValueError: a folder that is missing or empty.
    """
    sides = [side for side in ("trainA", "trainB") if folder is not None and (folder / side).is_dir()]
    if len(sides) == 1:
        raise ValueError(f"data: {str(folder)!r} has {sides[0]} only; expected both trainA and trainB, or photos")
    if folder is not None and sides:
        a, b = (Domain(image_files(folder / side), zoom=1.12) for side in ("trainA", "trainB"))
        rich, other = (a, b) if rich_side == "A" else (b, a)
        source = f"{folder.name}: {len(rich.images)} rich images (train{rich_side}), {len(other.images)} poor ones"
        source += f"; {size} pixels in training"
        return Unpaired(rich, other, size, (len(rich.images), len(other.images)), seed), source
    photos: Sequence[Image.Image | Path] = bundled_photos() if folder is None else image_files(folder)
    name = f"the photographs {', '.join(BUNDLED)}" if folder is None else f"the {len(photos)} photos in {folder.name}"
    rich, derived = Domain(photos, zoom=2.5), Domain(photos, zoom=2.5, derive=DERIVE[poor])
    source = f"rich: random crops of {name}; poor: {poor}, derived from other crops of them; {size} pixels in training"
    return Unpaired(rich, derived, size, (max(400, len(photos)),) * 2, seed), source
