"""Unpaired data: a rich and a poor domain, from the bundled photographs, a folder of photos, or a CycleGAN folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from asymkit.evaluation.folders import ImageFiles, has_images, image_files
from asymkit.evaluation.images import ValueRange
from support.data.files import PHOTOS, BrokenFiles, check_has_data, in_turn
from support.data.images import BUNDLED, DERIVE, Pixels, PoorKind, as_tensor, bundled_photos, grey, random_crop
from support.run.settings import RunSettings

FRESH = 2**40
"""Samples, be they crops or drawn pairs, from this number on are never drawn in training."""

Half = Literal["left", "right"]
Side = Literal["A", "B"]


@dataclass(frozen=True)
class UnpairedSettings(RunSettings):
    """Settings of the images, for the examples between a rich and a poor domain."""

    data: Path | None = None
    """A folder of photos, or a CycleGAN folder with trainA and trainB; without it, photographs that ship with
    scikit-image and scikit-learn."""
    rich: Side = "A"
    """Which side of a CycleGAN folder is the rich one; python -m asymkit.evaluation.entropy says it."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""
    side_by_side: bool = False
    """The images of the folder, or of its sub-folder train, show A on the left and B on the right, as pix2pix's do."""
    poor: PoorKind = "grey"
    """What the poor domain is made of where there is no second folder."""
    picture_size: int | None = None
    """Side of the crops in the report's pictures, which the networks take in any size; None: that of training."""

    def images(self) -> tuple[Unpaired, str]:
        """The data set, and a sentence that says what it is; see :func:`unpaired`."""
        return unpaired(self.data, self.poor, self.rich, self.size, self.seed, self.side_by_side, self.value_range)

    def check_sides(self, halvings: int, multiple_of: int = 4) -> None:
        """Refuse sizes that discriminators which halve an image so often cannot take, or generators."""
        for name in ("size", "picture_size"):
            self.check_side(name, max(16, 3 * 2**halvings), multiple_of)


@dataclass
class Domain:
    """One side of the data: images, of which it gives random crops."""

    images: Sequence[Image.Image] | ImageFiles
    """In memory or as files."""
    zoom: float
    """Crops show between all of an image's shorter side and a ``zoom``-th of it."""
    derive: Callable[[Pixels], Pixels] | None = None
    """What the domain shows instead of the crop itself."""
    half: Half | None = None
    """The part of every image that belongs to this domain, where two stand side by side."""
    channels: int = 3
    """Of the crops: 3, or 1 for grey ones."""
    broken: BrokenFiles = field(default_factory=BrokenFiles)
    """Files that could not be read are added to it, and the next ones in the order taken instead."""

    def crop(self, index: int, size: int, seed: tuple[int, int]) -> Tensor:
        """Crop number ``index`` as (channels, size, size) in [-1, 1]; every image once before any a second time."""
        numbers = in_turn(len(self.images), index, *seed)
        image = self.broken.first(partial(self._image, number, size) for number in numbers)
        pixels = random_crop(image, size, self.zoom, np.random.default_rng((*seed, index, 1)))
        pixels = pixels if self.derive is None else self.derive(pixels)
        return as_tensor(pixels if self.channels == 3 else grey(pixels)[..., :1])

    def _image(self, number: int, size: int) -> Image.Image:
        if not isinstance(self.images, ImageFiles):
            return self.images[number]
        image = self.images.read(number, math.ceil(self.zoom * size), parts=1 if self.half is None else 2)
        if self.half is None:
            return image
        left = 0 if self.half == "left" else image.width - image.width // 2
        return image.crop((left, 0, left + image.width // 2, image.height))


@dataclass(eq=False)
class Unpaired(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (rich, poor) that have nothing to do with each other; pair number ``index`` is the same in every run."""

    rich: Domain
    poor: Domain
    size: int
    """Side of the crops in pixels."""
    lengths: tuple[int, int]
    """Samples of the rich and of the poor domain; the larger number is an epoch."""
    seed: int
    """Another seed, other crops."""
    meaning: dict[str, str]
    """What the domains are, see :class:`support.run.loader.EndlessData`."""

    def __post_init__(self) -> None:
        self.epoch, self.broken = max(self.lengths), self.rich.broken

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._pair(index, self.size)

    def _pair(self, index: int, size: int) -> tuple[Tensor, Tensor]:
        return self.rich.crop(index, size, (self.seed, 0)), self.poor.crop(index, size, (self.seed, 1))

    def fresh(self, count: int, size: int | None = None, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Crops of both domains that training never draws, of the same photos, (count, 3, size, size) each."""
        pairs = [self._pair(index, size or self.size) for index in range(FRESH, FRESH + count)]
        x, y = (torch.stack(images) for images in zip(*pairs, strict=True))
        return x.to(device), y.to(device)


def unpaired(
    folder: Path | None,
    poor: PoorKind,
    rich_side: Side,
    size: int,
    seed: int,
    side_by_side: bool = False,
    value_range: ValueRange | None = None,
) -> tuple[Unpaired, str]:
    """The data set a person asked for, and a sentence that says what it is.

    Args:
        folder: None for the bundled photographs, a folder of photos, a CycleGAN folder with trainA and trainB, or one of
            images that show both domains side by side.
        poor: what the poor domain is made of where there is no second folder.
        rich_side: which side of a CycleGAN folder, or of images with both, is the rich one.
        size: side of the crops in pixels.
        seed: another seed, other crops.
        side_by_side: images of the folder, or of its sub-folder train, show A on the left and B on the right.
        value_range: values of grey images that become black and white; None: found, see
            :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.

    Raises:
        ValueError: a folder that is missing or empty, or of another layout.
    """
    if folder is None:
        check_has_data(side_by_side=side_by_side, value_range=value_range)
        name = f"the photographs {', '.join(BUNDLED)}"
        return _derived(bundled_photos(), poor, size, seed, name, BrokenFiles(), {"rich domain": name})
    sides = [side for side in ("trainA", "trainB") if (folder / side).is_dir()]
    if side_by_side:
        files = [image_files(folder / "train" if (folder / "train").is_dir() else folder, "data", PHOTOS)]
    elif len(sides) == 1:
        raise ValueError(f"data: {str(folder)!r} has {sides[0]} only; expected both trainA and trainB, or photos")
    elif not sides and (folder / "train").is_dir() and not has_images(folder):
        raise ValueError(
            f"data: {str(folder)!r} has a sub-folder train: add --side-by-side if its images show both domains, or give "
            "the folder of photos itself"
        )
    else:
        files = [image_files(folder / side, "data", PHOTOS) for side in sides or [""]]
    broken = BrokenFiles.among(*files, value_range=value_range)
    said = "".join(part.said() for part in files)
    if not side_by_side and not sides:
        meaning = {"rich domain": "photos of one folder"} | values_of({"photos": files[0]})
        data, source = _derived(
            files[0], poor, size, seed, f"the {len(files[0])} photos in {folder.name}", broken, meaning
        )
        return data, source + said
    if side_by_side:
        _check_wide(files[0], broken)
        a, b = (Domain(files[0], 1.12, half=half, broken=broken) for half in ("left", "right"))
        names, parts = ["the left half", "the right half"], {"the images": files[0]}
        source = f"{folder.name}: {len(files[0])} images of both domains side by side, {rich_side} the rich one, not used as pairs"
    else:
        a, b = (Domain(part, 1.12, broken=broken) for part in files)
        names, parts = sides, dict(zip(sides, files, strict=True))
        rich_count, poor_count = map(len, files if rich_side == "A" else files[::-1])
        source = f"{folder.name}: {rich_count} rich images (train{rich_side}), {poor_count} poor ones"
    rich, other = (a, b) if rich_side == "A" else (b, a)
    meaning = dict(zip(("rich domain", "poor domain"), names if rich_side == "A" else names[::-1], strict=True))
    lengths = len(rich.images), len(other.images)
    source += f"; {size} pixels in training{said}"
    return Unpaired(rich, other, size, lengths, seed, meaning | values_of(parts)), source


def _check_wide(files: ImageFiles, broken: BrokenFiles) -> None:
    width, height = broken.first(partial(files.read, place) for place in range(len(files))).size
    if width < height:
        raise ValueError(
            f"side_by_side: an image is {width} × {height} pixels; expected images that show A on the left and B on "
            "the right, which are wider than high"
        )


def values_of(parts: Mapping[str, ImageFiles]) -> dict[str, str]:
    """How the values of some files are read, for what a data set means."""
    return {
        f"value range of {name} (--value-range)": files.applied or "that of 8 bits" for name, files in parts.items()
    }


def _derived(
    photos: Sequence[Image.Image] | ImageFiles,
    poor: PoorKind,
    size: int,
    seed: int,
    name: str,
    broken: BrokenFiles,
    meaning: dict[str, str],
) -> tuple[Unpaired, str]:
    """Both domains are made of the same photos."""
    rich, other = (Domain(photos, 2.5, derive, broken=broken) for derive in (None, DERIVE[poor]))
    source = f"rich: random crops of {name}; poor: {poor}, derived from other crops of them; {size} pixels in training"
    meaning = meaning | {"poor domain": f"{poor}, derived from photos"}
    return Unpaired(rich, other, size, (max(400, len(photos)),) * 2, seed, meaning), source
