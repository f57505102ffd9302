"""Broken image files of a data set: found, counted and skipped; and the order in which files are taken.

By hand: torchvision's ImageFolder stops at the first broken file.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from asymkit.arguments import exact
from asymkit.evaluation.folders import LOOKED_AT, ImageFiles
from asymkit.evaluation.images import FULL_RANGE, OUTSIDE, BrokenImageError, ValueRange, read_image

PHOTOS = "a folder of photos, or one with the folders trainA and trainB (asymmetricgan_domains.py takes other ones)"

MOST_BROKEN = 0.01
"""The part of the files that may be broken before a run stops."""

TRIES = 100
"""Images in a row that may be broken before one cannot be had."""

Read = TypeVar("Read")


class BrokenFiles:
    """The files of a data set that could not be read, with what is wrong, beside how many there are in all.

    Args:
        total: files of the data set; 0 where none is read.
        names: stands for the names of all files.
    """

    def __init__(self, total: int = 0, names: str = "") -> None:
        self.total, self.names, self.found = total, names, dict[str, str]()

    def first(self, reads: Iterable[Callable[[], Read]]) -> Read:
        """What the first of some reads gives that works; the files of the others are remembered as broken.

        Raises:
            ValueError: none works.
        """
        tried = 0
        for tried, read in enumerate(reads, 1):  # noqa: B007
            try:
                return read()
            except BrokenImageError as error:
                self.found[str(error.path)] = error.problem
        raise ValueError(
            f"data: none of {tried} images in a row can be read, the last is {next(reversed(self.found))!r}"
        )

    @classmethod
    def among(
        cls, *parts: ImageFiles, value_range: ValueRange | None = None, like: Iterable[ImageFiles] | None = None
    ) -> BrokenFiles:
        """Those of a data set, found so far by inspecting some files of each of its parts.

        A wrong folder is noticed like this before the training, and a million files cost no more than a few hundred.

        Args:
            *parts: the files; how their values are read is known afterwards.
            value_range: stated by the user, see :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.
            like: for test images the training images of the same domains, inspected already: their values are read alike.

        Raises:
            ValueError: more than one in a hundred of those looked at cannot be read.
        """
        names = "\n\n".join("\n".join(files.names) for files in parts)
        broken, looked_at = cls(sum(map(len, parts)), hashlib.sha256(names.encode(errors="replace")).hexdigest()), 0
        ranges = [value_range] * len(parts) if like is None else [files.value_range for files in like]
        for files, of_part in zip(parts, ranges, strict=True):
            found = files.inspect(of_part)
            if like is not None and of_part is not None:
                files.note = ""  # it is said of the training images
            broken.found |= {str(path): problem for path, problem in found.items()}
            looked_at += min(len(files), LOOKED_AT)
        if value_range is not None:
            taken = value_range == FULL_RANGE or any(files.applied for files in parts)
            broken.check_range(value_range, looked_at, taken)
        for files in parts:
            if files.warning:
                warnings.warn(f"data: {files.warning}", stacklevel=2)
        broken.check(looked_at)
        return broken

    def join(self, others: BrokenFiles) -> None:
        """Take over those of further files."""
        self.total, self.names = self.total + others.total, f"{self.names} {others.names}"
        self.found |= others.found

    def recall(self, found: dict[str, str]) -> None:
        """Take over what an earlier start of the run found, but for what has been mended or removed since."""
        for name in found:
            try:
                if os.path.lexists(name):
                    read_image(Path(name))
            except BrokenImageError as error:
                self.found[name] = error.problem

    def check_range(self, value_range: ValueRange, of: int, taken: bool) -> None:
        """Refuse a range that was stated and does not fit the images, or is for none of them.

        Args:
            value_range: as stated.
            of: files that were looked at.
            taken: whether some of them are read with it.

        Raises:
            ValueError: it is for none, or more than one in a hundred have values outside of it.
        """
        stated = f"--value-range {' '.join(map(exact, value_range))}"
        if not taken and len(self.found) < of:
            raise ValueError(
                f"value_range: none of the {of} images looked at is grey with values that {stated} is for: up to 255 for 8 "
                "bits, any for more bits; leave it out, or save them as grey images"
            )
        outside = {path: problem for path, problem in self.found.items() if OUTSIDE in problem}
        if len(outside) > MOST_BROKEN * of:
            raise ValueError(
                f"value_range: {stated} does not fit {len(outside)} of {of} images; state one that holds all values, or "
                f"leave it out to have it found:\n{listed(outside)}"
            )

    def check(self, of: int | None = None) -> None:
        """Refuse to go on with too many of them.

        Args:
            of: files they were found among; None: all.

        Raises:
            ValueError: more than one in a hundred; the message lists them.
        """
        of = self.total if of is None else of
        if len(self.found) > MOST_BROKEN * of:
            raise ValueError(
                f"data: cannot read {len(self.found)} of {of} images, more than one in a hundred; mend or remove them:\n"
                + listed(self.found)
            )


def check_has_data(add: str = "--data FOLDER", /, **options: object) -> None:
    """Refuse options that are for images of one's own where there are none; all in one error, with all that is to add."""
    if given := [name for name, value in options.items() if value]:
        needs = "needs" if len(given) == 1 else "need"
        raise ValueError(f"{', '.join(given)}: {needs} images of your own; give {add} as well")


def listed(found: dict[str, str], most: int = 20) -> str:
    """A line for every broken file, up to a number."""
    lines = [f"  {path}: {problem}" for path, problem in list(found.items())[:most]]
    return "\n".join([*lines, f"  and {len(found) - most} more"] if len(found) > most else lines)


def in_turn(count: int, index: int, *key: int) -> list[int]:
    """The images to try for sample ``index``, by their numbers; each comes first once before any does a second time."""
    turn, place = divmod(index, count)
    return _shuffled(count, *key, turn).take(range(place, place + min(TRIES, count)), mode="wrap").tolist()


@functools.lru_cache(maxsize=32)
def _shuffled(count: int, *key: int) -> NDArray[np.int64]:
    """The numbers below ``count`` in an order that depends on the key alone."""
    return np.random.default_rng(key).permutation(count)
