"""Pairs of photos of one person with their skeletons, from folders or drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from asymkit.evaluation.folders import image_files
from asymkit.evaluation.images import ValueRange, read_image
from support.data.files import BrokenFiles, check_has_data, in_turn
from support.data.hands import DrawnHands, NoHandError, draw_skeleton, read_keypoints
from support.data.images import BUNDLED, as_tensor, bundled_photos, cut_out, largest_part, own_size
from support.data.pairs import Names, split_pairs
from support.data.unpaired import FRESH, values_of
from support.run.settings import RunSettings, Size, sides, to_add

Pair = tuple[Tensor, ...]
"""x, its skeleton, y, its skeleton, each (3, H, W) in [-1, 1], or batches of them."""

HELD_OUT = 20
"""One pair in so many is never trained on, where there are no test pairs."""

SHOWN = 32
"""Pairs in the report's figures, at most."""


@dataclass(frozen=True)
class GestureSettings(RunSettings):
    """Settings of the photos and skeletons."""

    NEEDS: ClassVar[Mapping[str, str]] = {"data": "FOLDER", "skeletons": "FOLDER", "pairs": "FILE.csv"}

    data: Path | None = None
    """A folder of photos; without it, drawn hands over patches of the photographs that ship with scikit-image."""
    skeletons: Path | None = None
    """A folder with a file for every photo, of the same name: a skeleton or mask image, or OpenPose hand keypoints as
    JSON."""
    pairs: Path | None = None
    """A CSV file with the columns source and target, or with file and person: pairs are then all of one person. A third
    column, split, says train or test."""
    test_pairs: Path | None = None
    """A file like --pairs, of photos in the same folder, for figures and pictures only. None: those of the column split, or
    one pair in twenty is held out."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""

    def images(self) -> tuple[GesturePairs, GesturePairs, str]:
        """Training pairs, others, and a sentence that says what they are; see :func:`gesture_pairs`."""
        folders = self.data, self.skeletons, self.pairs
        return gesture_pairs(*folders, self.size, self.seed, self.value_range, self.test_pairs)


class GesturePairs(Dataset[Pair]):
    """Photos of a hand in two poses and their skeletons; pair number ``index`` is the same in every run."""

    epoch: int
    broken: BrokenFiles
    meaning: dict[str, str]

    def head(self, most: int, device: torch.device | None = None) -> list[Pair]:
        """The first pairs, or as many as there are, in batches of one size."""
        pairs = [self[i] for i in range(min(most, self.epoch))]
        alike = (default_collate(list(group)) for _, group in groupby(pairs, lambda pair: pair[0].shape))
        return [tuple(images.to(device) for images in batch) for batch in alike]


class DrawnPairs(GesturePairs):
    """Pairs of :class:`support.data.hands.DrawnHands`."""

    def __init__(self, hands: DrawnHands, first: int, epoch: int) -> None:
        self.hands, self.first, self.epoch, self.broken = hands, first, epoch, BrokenFiles()
        self.meaning = {"pairs": "drawn hands"}

    def __getitem__(self, index: int) -> Pair:
        return tuple(map(as_tensor, self.hands.pair(self.first + index)))


@dataclass(eq=False)
class FilePairs(GesturePairs):
    """Pairs of photo files; every pair comes before any comes again.

    No image is stretched, as in the examples between two domains; the paper says nothing of it. Of photos that have
    another aspect ratio than the size, training sees the largest part that has it, at a random place, which is the same
    for both photos of a pair and their skeletons, since what is behind a hand must not move. ``--size`` with the height
    and width of the photos' aspect ratio shows them whole. Test pairs are shown whole, with the aspect ratio of x: y and
    its skeleton, if they have another one, are cropped to it in the middle.
    """

    photos: dict[str, Path]
    """By name without ending."""
    skeletons: dict[str, Path]
    """A file for every photo, by the same names."""
    pairs: list[tuple[str, str]]
    """Names of source and target."""
    size: Size
    """Of the images in pixels."""
    seed: int
    """Another seed, another order, other crops."""
    broken: BrokenFiles
    """Files that could not be read are added to it, and the next pair taken instead."""
    ranges: Mapping[str, ValueRange | None]
    """Of the values of photos and, where they are images, of skeletons, see :func:`asymkit.evaluation.images.read_image`."""
    meaning: dict[str, str]
    """What the pairs are, see :class:`support.run.loader.EndlessData`."""
    shown: Literal["crop", "middle", "whole"] = "crop"
    """A part of an image at a random place, in its middle, or all of it, with the size's smaller number as shorter side."""

    def __post_init__(self) -> None:
        self.epoch = len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        numbers = in_turn(len(self.pairs), index, self.seed)
        rng = np.random.default_rng((self.seed, index))
        place = (rng.uniform(), rng.uniform()) if self.shown == "crop" else (0.5, 0.5)
        return self.broken.first(partial(self._pair, *self.pairs[number], place) for number in numbers)

    def _pair(self, source: str, target: str, place: tuple[float, float]) -> Pair:
        (x, skeleton_x), (y, skeleton_y) = self._load(source), self._load(target)
        size = own_size(x, min(sides(self.size))) if self.shown == "whole" else self.size
        of_x, of_y = (largest_part(photo, size, place) for photo in (x, y))
        parts = (x, of_x), (skeleton_x, of_x), (y, of_y), (skeleton_y, of_y)
        return tuple(as_tensor(cut_out(image, part, size)) for image, part in parts)

    def _load(self, name: str) -> tuple[Image.Image, Image.Image]:
        photo, path = read_image(self.photos[name], value_range=self.ranges["photos"]), self.skeletons[name]
        if path.suffix.lower() == ".json":
            return photo, draw_skeleton(read_keypoints(path), photo.size)
        return photo, read_image(path, value_range=self.ranges["skeletons"])


def gesture_pairs(
    data: Path | None,
    skeletons: Path | None,
    pairs: Path | None,
    size: Size,
    seed: int,
    value_range: ValueRange | None = None,
    test_pairs: Path | None = None,
) -> tuple[GesturePairs, GesturePairs, str]:
    """Training pairs, others, and a sentence that says what they are.

    Args:
        data: a folder of photos, or None for drawn hands.
        skeletons: a folder with a file of the same name for every photo: an image, a mask, or OpenPose JSON.
        pairs: a CSV file with columns source and target, or file and person, see
            :func:`support.data.pairs.read_splits`.
        size: of the images in pixels.
        seed: another seed, another order, other crops, other drawn hands.
        value_range: values of grey images that become black and white; None: found, see
            :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.
        test_pairs: another such file; None: the test pairs of ``pairs``, or some are held out.

    Raises:
        ValueError: folders or files that are missing, or do not fit each other.
    """
    given = dict(zip(GestureSettings.NEEDS, (data, skeletons, pairs), strict=True))
    missing = {name: what for name, what in GestureSettings.NEEDS.items() if given[name] is None}
    if data is None:
        also = {"value_range": value_range, "skeletons": skeletons, "pairs": pairs, "test_pairs": test_pairs}
        check_has_data(to_add(missing), **also)
        hands = DrawnHands(bundled_photos(), size, seed)
        source = (
            f"drawn hands over patches of the photographs {', '.join(BUNDLED)}: skeletons and motions are known exactly"
        )
        return DrawnPairs(hands, 0, 2000), DrawnPairs(hands, FRESH, 64), source
    if skeletons is None or pairs is None:
        raise ValueError(f"{', '.join(missing)}: photos in {str(data)!r} need {to_add(missing)} as well")
    parts = {"photos": image_files(data, "data", "a folder of photos")}
    photos = {path.stem: path for path in parts["photos"]}
    # without the hidden files that macOS leaves beside them
    found = [path for path in sorted(skeletons.glob("[!.]*")) if path.suffix.lower() == ".json"]
    drawn = {path.stem.removesuffix("_keypoints"): path for path in found if _has_hand(path)}
    if not found:
        expected = "a folder with an image or an OpenPose JSON file for every photo"
        parts["skeletons"] = image_files(skeletons, "skeletons", expected)
        drawn = {path.stem: path for path in parts["skeletons"]}
    broken = BrokenFiles.among(*parts.values(), value_range=value_range)
    named, tests = split_pairs(pairs, test_pairs)
    known = photos.keys() & drawn.keys()
    order = np.random.default_rng(seed).permutation(len(named))
    shuffled = [named[i] for i in order]  # before any is left out, so that a file that goes moves no other pair
    first = set(shuffled[: max(1, len(named) // HELD_OUT)])
    usable = _usable(shuffled, photos, drawn, 1 if tests else 2, f"pairs: {str(pairs)!r}")
    if tests:
        said = f"pairs: {str(pairs)!r}" if test_pairs is None else f"test_pairs: {str(test_pairs)!r}"
        fresh = _usable(tests, photos, drawn, 1, said)
    else:
        fresh = [pair for pair in usable if pair in first] or usable[:1]
    seen = {frozenset(pair) for pair in fresh}  # a pair trains both ways, so its mirror image is held out with it
    kept = [pair for pair in usable if frozenset(pair) not in seen]
    if not kept:
        raise ValueError(f"pairs: {str(pairs)!r} leaves no pair to train on beside those held out; give more pairs")
    held = f"{len(fresh)} test pairs" if tests else f"{len(fresh)} others held out"
    source = f"{data.name}: {len(kept)} pairs of one person for training, {held}, figures over {SHOWN} at most"
    if tests and len(kept) < len(usable):
        source += f"; {len(usable) - len(kept)} pairs left out of training that are test pairs, one way or the other"
    if len(drawn) < len(found):
        source += f"; {len(found) - len(drawn)} photos left out in which no hand was seen"
    everything = [*named, *tests]
    if gone := sum(pair[0] not in known or pair[1] not in known for pair in everything):
        such = ", ".join(sorted({name for pair in everything for name in pair} - known)[:3])
        source += f"; {gone} of {len(everything)} pairs left out for want of files, such as of {such}"
    source += "".join(part.said() for part in parts.values())
    if same := len(parts["photos"]) - len(photos):
        source += f"; {same} photos left out that differ from others by their ending only"
    ranges = {name: part.value_range for name, part in parts.items()}
    meaning = {"skeletons": "OpenPose JSON" if found else "images", "pairs": _listed(named)}
    meaning |= ({"test pairs": _listed(tests)} if tests else {}) | values_of(parts)
    train = FilePairs(photos, drawn, kept, size, seed, broken, ranges, meaning)
    return train, replace(train, pairs=fresh, shown="whole"), source


def _usable(
    named: list[Names], photos: Mapping[str, Path], drawn: Mapping[str, Path], least: int, said: str
) -> list[Names]:
    """Pairs whose files are there, at least so many."""
    known = photos.keys() & drawn.keys()
    found = [pair for pair in named if pair[0] in known and pair[1] in known]
    if len(found) < least:
        example = next((name for pair in named for name in pair if name not in known), "none")
        raise ValueError(
            f"{said} names {len(named)} pairs, {len(found)} of them with photo and skeleton; {example!r} has "
            f"{'a' if example in photos else 'no'} photo and {'a' if example in drawn else 'no'} skeleton"
        )
    return found


def _listed(pairs: list[Names]) -> str:
    """How many, and what stands for their names."""
    return f"{len(pairs)} ({hashlib.sha256(repr(sorted(pairs)).encode(errors='replace')).hexdigest()[:8]})"


def _has_hand(path: Path) -> bool:
    """Every file is read before the training, so that none ends it hours later."""
    try:
        read_keypoints(path)
    except NoHandError:
        return False
    return True
