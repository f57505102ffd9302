"""Unpaired data: a rich and a poor domain, from the bundled photographs, a folder of photos, or a CycleGAN folder."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from asymkit.evaluation.folders import ImageFiles, has_images, image_files
from asymkit.evaluation.images import ValueRange
from support.data.files import PHOTOS, TRIES, BrokenFiles, check_has_data, in_turn, listed
from support.data.held_out import HeldOut, in_batches
from support.data.images import BUNDLED, DERIVE, Pixels, PoorKind, as_tensor, bundled_photos, grey, random_crop, resized
from support.run.settings import RunSettings, Size, sides, size_text

FRESH = 2**40
"""Samples, be they crops or drawn pairs, from this number on are never drawn in training."""

Half = Literal["left", "right"]
Side = Literal["A", "B"]


@dataclass(frozen=True)
class UnpairedSettings(RunSettings):
    """Settings of the images, for the examples between a rich and a poor domain."""

    data: Path | None = None
    """A folder of photos, or a CycleGAN folder with trainA and trainB, and testA and testB for the report; without it,
    photographs that ship with scikit-image and scikit-learn."""
    rich: Side = "A"
    """Which side of a CycleGAN folder is the rich one; python -m asymkit.evaluation.entropy says it. Between symmetric
    domains it is the one that partial steps train to translate to."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""
    side_by_side: bool = False
    """The images of the folder, or of its sub-folder train, show A on the left and B on the right, as pix2pix's do; those
    of a sub-folder test, or else val, are for the report."""
    poor: PoorKind = "grey"
    """What the poor domain is made of where there is no second folder."""
    picture_size: Size | None = None
    """Of the images in the report's pictures, which the networks take in any size: of crops as --size, of test images the
    shorter side is the smaller number. None: that of training, which the report's figures are of."""

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

    def crop(self, index: int, size: Size, seed: tuple[int, int]) -> Tensor:
        """Crop number ``index`` as (channels, H, W) in [-1, 1]; every image once before any a second time."""
        numbers = in_turn(len(self.images), index, *seed)
        image = self.broken.first(partial(self._image, number, size) for number in numbers)
        return self._tensor(random_crop(image, size, self.zoom, np.random.default_rng((*seed, index, 1))))

    def whole(self, count: int, side: int) -> Iterator[Tensor]:
        """So many images or all, evenly spread, whole and with a shorter side of so many pixels, (channels, H, W)."""
        total = len(self.images)
        for place in np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist():
            numbers = (number % total for number in range(place, place + min(TRIES, total)))
            image = self.broken.first(partial(self._image, number, side) for number in numbers)
            yield self._tensor(resized(image, side))

    def _tensor(self, pixels: Pixels) -> Tensor:
        pixels = pixels if self.derive is None else self.derive(pixels)
        return as_tensor(pixels if self.channels == 3 else grey(pixels)[..., :1])

    def _image(self, number: int, size: Size) -> Image.Image:
        if not isinstance(self.images, ImageFiles):
            return self.images[number]
        image = self.images.read(number, math.ceil(self.zoom * max(sides(size))), parts=1 if self.half is None else 2)
        if self.half is None:
            return image
        left = 0 if self.half == "left" else image.width - image.width // 2
        return image.crop((left, 0, left + image.width // 2, image.height))


@dataclass(eq=False)
class Unpaired(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (rich, poor) that have nothing to do with each other; pair number ``index`` is the same in every run."""

    rich: Domain
    poor: Domain
    size: Size
    """Of the crops in pixels."""
    lengths: tuple[int, int]
    """Samples of the rich and of the poor domain; the larger number is an epoch."""
    seed: int
    """Another seed, other crops."""
    meaning: dict[str, str]
    """What the domains are, see :class:`support.run.loader.EndlessData`."""
    test: tuple[Domain, Domain] | None = None
    """The test images of the rich and of the poor domain, where the set has any."""

    def __post_init__(self) -> None:
        self.epoch, self.broken = max(self.lengths), self.rich.broken

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._pair(index, self.size)

    def _pair(self, index: int, size: Size) -> tuple[Tensor, Tensor]:
        return self.rich.crop(index, size, (self.seed, 0)), self.poor.crop(index, size, (self.seed, 1))

    def fresh(self, count: int, size: Size | None = None) -> tuple[Tensor, Tensor]:
        """Crops of both domains that training never draws, of the same photos, (count, 3, H, W) each."""
        x, y = default_collate([self._pair(FRESH + number, size or self.size) for number in range(count)])
        return x, y

    def held_out(self, count: int, size: Size | None = None) -> HeldOut:
        """What a report is of: so many test images of each domain, whole, or fresh crops where there are none.

        Args:
            count: images of each domain; fewer where the test set has fewer.
            size: of the crops; of test images, which keep their aspect ratio, its smaller number is the shorter side. None:
                that of training.

        Raises:
            ValueError: of the test images none can be read.
        """
        size = size or self.size
        if self.test is None:
            x, y = self.fresh(count, size)
            return HeldOut(in_batches(x), in_batches(y))
        broken = self.test[0].broken.found
        known = len(broken)
        rich, poor = (in_batches(domain.whole(count, min(sides(size)))) for domain in self.test)
        if len(broken) > known:
            message = f"data: {len(broken)} test images cannot be read and are skipped:\n{listed(broken)}"
            warnings.warn(message, stacklevel=2)
        return HeldOut(rich, poor)


def unpaired(
    folder: Path | None,
    poor: PoorKind,
    rich_side: Side,
    size: Size,
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
        size: of the crops in pixels.
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
        return _derived(Domain(bundled_photos(), 2.5), poor, size, seed, name, {"rich domain": name})
    names, tests = _folders(folder, side_by_side)
    files, test_files = ([image_files(folder / name, "data", PHOTOS) for name in each] for each in (names, tests))
    broken = BrokenFiles.among(*files, value_range=value_range)
    said = "".join(part.said() for part in files)
    if len(names) == 1 and not side_by_side:
        name, rich = f"the {len(files[0])} photos in {folder.name}", Domain(files[0], 2.5, broken=broken)
        meaning = {"rich domain": "photos of one folder"} | values_of({"photos": files[0]})
        data, source = _derived(rich, poor, size, seed, name, meaning)
        return data, source + said
    if side_by_side:
        _check_wide(files[0], broken)
        named, parts = ["the left half", "the right half"], {"the images": files[0]}
        source = f"{folder.name}: {len(files[0])} images of both domains side by side, {rich_side} the rich one, not used as pairs"
    else:
        named, parts = names, dict(zip(names, files, strict=True))
        rich_count, poor_count = map(len, files if rich_side == "A" else files[::-1])
        source = f"{folder.name}: {rich_count} rich images (train{rich_side}), {poor_count} poor ones"
    rich, other = _domains(files, rich_side, 1.12, broken)
    meaning = dict(zip(("rich domain", "poor domain"), named if rich_side == "A" else named[::-1], strict=True))
    source += f"; {size_text(size)} pixels in training{said}"
    data = Unpaired(rich, other, size, (len(rich.images), len(other.images)), seed, meaning | values_of(parts))
    if not tests:
        return data, source + NO_TEST
    test_broken = BrokenFiles.among(*test_files, like=files)
    if side_by_side:
        _check_wide(test_files[0], test_broken)
    data.test = _domains(test_files, rich_side, 1.0, test_broken)
    counts = " and ".join(f"{len(part)} in {name}" for name, part in zip(tests, test_files, strict=True))
    source += f"; the report's pictures and figures are of whole images of the test set, {counts}"
    return data, source + "".join(part.said() for part in test_files)


NO_TEST = "; the report's pictures and figures are of crops of the same images that training does not draw, for want of test images"


def _folders(folder: Path, side_by_side: bool) -> tuple[list[str], list[str]]:
    """The sub-folders of training and of test images, two each of a CycleGAN folder, "" for the folder itself."""

    def there(*names: str) -> list[str]:
        return [name for name in names if (folder / name).is_dir()]

    if side_by_side:
        return there("train") or [""], there("test", "val")[:1]
    train, test = there("trainA", "trainB"), there("testA", "testB")
    if len(train) == 1:
        raise ValueError(f"data: {str(folder)!r} has {train[0]} only; expected both trainA and trainB, or photos")
    if not train and there("train") and not has_images(folder):
        raise ValueError(
            f"data: {str(folder)!r} has a sub-folder train: add --side-by-side if its images show both domains, or give "
            "the folder of photos itself"
        )
    if train and len(test) == 1:
        raise ValueError(f"data: {str(folder)!r} has {test[0]} only; expected both testA and testB, or neither")
    return train or [""], test if train else []


def _domains(files: Sequence[ImageFiles], rich: Side, zoom: float, broken: BrokenFiles) -> tuple[Domain, Domain]:
    """The rich and the poor domain of files of A and of B, or of files that show A on the left and B on the right."""
    a, b = (Domain(part, zoom, broken=broken) for part in (files[0], files[-1]))
    if len(files) == 1:
        a.half, b.half = "left", "right"
    return (a, b) if rich == "A" else (b, a)


def _check_wide(files: ImageFiles, broken: BrokenFiles) -> None:
    width, height = broken.first(partial(files.read, place) for place in range(len(files))).size
    if width < height:
        raise ValueError(
            f"side_by_side: an image is {width} × {height} pixels; expected images that show A on the left and B on "
            "the right, which are wider than high"
        )


def values_of(parts: Mapping[str, ImageFiles]) -> dict[str, str]:
    """How the values of some files are read, for what a data set means."""
    return {f"value range of {name} (--value-range)": part.applied or "that of 8 bits" for name, part in parts.items()}


def _derived(
    rich: Domain, poor: PoorKind, size: Size, seed: int, name: str, meaning: dict[str, str]
) -> tuple[Unpaired, str]:
    """Both domains are made of the same photos."""
    source = f"rich: random crops of {name}; poor: {poor}, derived from other crops of them; {size_text(size)} pixels in training"
    meaning = meaning | {"poor domain": f"{poor}, derived from photos"}
    samples = max(400, len(rich.images))
    return Unpaired(rich, replace(rich, derive=DERIVE[poor]), size, (samples, samples), seed, meaning), source + NO_TEST
