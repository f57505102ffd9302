"""Folders of images: listing without opening files, and the value range of their pixels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from asymkit.arguments import exact, range_of
from asymkit.evaluation.images import (
    DARK,
    ENDINGS,
    FULL_RANGE,
    LEAST_SIDE,
    BrokenImageError,
    Kind,
    PixelInfo,
    ValueRange,
    inspect_image,
    read_image,
    takes,
    unfit,
)

if TYPE_CHECKING:
    from PIL import Image

LOOKED_AT = 500
"""Upper bound of the files whose headers :meth:`ImageFiles.inspect` reads, evenly spread over the folder."""

MEASURED, MEASURED_DEEP = 16, 100
"""About how many of them have their values measured: in general, and of those with more than 8 bits in a channel."""


class ImageFiles(Sequence[Path]):
    """The image files of one folder; stores names, which take a tenth of the memory of paths.

    Args:
        folder: that contains them.
        names: of the files.
        left_out: numbers of other entries of the folder, by kind.

    Attributes:
        value_range: of :func:`asymkit.evaluation.images.read_image`, set by :meth:`inspect`.
        applied: that range as text if it has an effect on these images, else None.
        note: how values are mapped, as text; "" if they are not.
        warning: that the images would be nearly black; "" if they are not.
    """

    def __init__(self, folder: Path, names: list[str], left_out: Counter[str] | None = None) -> None:
        self.folder, self.names, self.left_out = folder, names, left_out or Counter()
        self.value_range: ValueRange | None = None
        self.applied: str | None = None
        self.note = self.warning = ""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: int) -> Path:  # type: ignore[override]  # slices are not needed
        return self.folder / self.names[place]

    def read(self, place: int, side: int | None = None, parts: int = 1, least_side: int = LEAST_SIDE) -> Image.Image:
        """Read one image, see :func:`asymkit.evaluation.images.read_image`."""
        return read_image(self[place], side, parts, self.value_range, least_side)

    def split(self, every: int) -> tuple[ImageFiles, ImageFiles]:
        """Split into training files and one in ``every`` held-out files; a single file is in both.

        The choice depends on a hash of each name, so that adding or removing a file moves hardly any other one.
        """
        count = -(-len(self.names) // every)
        held = set(sorted(self.names, key=lambda name: sha256(name.encode(errors="replace")).digest())[:count])
        kept = [name for name in self.names if name not in held] or self.names
        return self._part(kept), self._part([name for name in self.names if name in held])

    def _part(self, names: list[str]) -> ImageFiles:
        part = ImageFiles(self.folder, names)
        part.value_range, part.applied = self.value_range, self.applied
        return part

    def said(self) -> str:
        """Ignored entries and the mapping of values, as the end of a sentence; "" if there are none."""
        parts = [self.note] if self.note else []
        if self.left_out:
            counts = ", ".join(f"{count} {what}" for what, count in self.left_out.most_common(8))
            more = ", …" if len(self.left_out) > 8 else ""
            parts.append(f"left out of {self.folder.name}: {counts}{more} (images end in {', '.join(ENDINGS)})")
        return "".join(f"; {part}" for part in parts)

    def inspect(self, value_range: ValueRange | None = None, least_side: int = LEAST_SIDE) -> dict[Path, str]:
        """Read the headers of some files and measure the values of fewer, to set the value range.

        If it is not given, the range of grey images of more than 8 bits is inferred: from 0 to the largest value of 8, 10,
        12, 14 or 16 bits, whichever includes the measured values.

        Args:
            value_range: given by the user, see :func:`asymkit.evaluation.images.read_image`; None to infer it.
            least_side: an image with a shorter side counts as broken.

        Returns:
            The problem of each file that cannot be read.

        Raises:
            ValueError: the range must be given, because it cannot be inferred or the images would be nearly black.
        """
        infos, broken = _inspect_some(self, least_side)
        if value_range is None:
            self.value_range, self.note = self._found(list(infos.values()))
        else:
            self.value_range = low, high = range_of(value_range)
            if any(takes(info.kind, self.value_range) for info in infos.values()):
                self.note = f"{self.folder.name}: value {exact(low)} becomes black and {exact(high)} white, as stated"
        if self.note and self.value_range is not None:
            self.applied = " to ".join(map(exact, self.value_range))
        self.warning = self._darkness(list(infos.values()))
        for path, info in infos.items():
            if problem := unfit(info.kind, info.values, self.value_range):
                broken[path] = problem
        return broken

    def _found(self, infos: list[PixelInfo]) -> tuple[ValueRange | None, str]:
        """The value range inferred from measured values, and a note about it."""
        name = self.folder.name
        deep, colour = _extremes(infos, "deep"), _extremes(infos, "deep colour")
        if colour and colour[1] <= DARK:
            raise ValueError(
                f"value_range: {name} has 16-bit colour images with values below {256 * (colour[1] + 1):g} of 65536, "
                "which would be nearly black, and of 16 bits of colour only the upper 8 are read; save them with 8 bits, "
                "also where they are meant to be black"
            )
        if deep and (deep[0] < 0 or deep[1] > FULL_RANGE[1] or 0 < deep[1] <= DARK):
            low, high = map(exact, deep)
            raise ValueError(
                f"value_range: {name} has grey images of more than 8 bits with values {low} to {high}; state which values "
                f"are black and white, such as --value-range {low} {high}"
            )
        if deep:
            top = next(float(2**bits - 1) for bits in (8, 10, 12, 14, 16) if deep[1] < 2**bits)
            measured = f"{name}: 16-bit images with values {exact(deep[0])} to {exact(deep[1])}"
            return (0.0, top), f"{measured}, of which 0 becomes black and {exact(top)} white"
        return (FULL_RANGE, "") if colour else (None, "")

    def _darkness(self, infos: list[PixelInfo]) -> str:
        """A warning if no measured image would have a level above a quarter, as label maps; else ""."""
        levels = list[float]()
        for info in infos:
            if info.values is not None and unfit(info.kind, info.values, self.value_range) is None:
                low, high = self.value_range if takes(info.kind, self.value_range) else (0, 255)  # type: ignore[misc]
                levels.append(255.0 if info.see_through else (info.values[1] - low) / (high - low) * 255)
        highest = max(levels, default=255.0)
        if highest > DARK:
            return ""
        return (
            f"{self.folder.name}: the images are nearly black, none of those measured has a level above {highest:.0f} of "
            "255; if they are label ids or have another range, give them colours, or, if they are grey, --value-range"
        )


def image_files(folder: Path, option: str, expected: str) -> ImageFiles:
    """The image files directly in a folder, sorted by name, without opening them.

    Args:
        folder: to list.
        option: name of the command-line option, for messages.
        expected: description of the folder, for messages.

    Raises:
        ValueError: the folder does not exist or holds no images.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "missing"
        raise ValueError(f"{option}: {str(folder)!r} is {what}; expected {expected}")
    names, left_out = list[str](), Counter[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            other = _what(entry)
            if other is None:
                names.append(entry.name)
            elif not entry.name.startswith("."):  # macOS leaves hidden files beside images
                left_out[other] += 1
    if names:
        return ImageFiles(folder, sorted(names), left_out)
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    inside = f", only the folders {', '.join(folders)}, which are not searched" if folders else ""
    found = "".join(f", {count} {what}" for what, count in left_out.most_common(8) if what != FOLDERS)
    raise ValueError(
        f"{option}: no images in {str(folder)!r}{inside}{found}; expected {expected}; images end in {', '.join(ENDINGS)}"
    )


FOLDERS = "folders"


def has_images(folder: Path) -> bool:
    """Whether a folder directly contains an image file, by its name."""
    with os.scandir(folder) as entries:
        return any(_what(entry) is None for entry in entries)


def _what(entry: os.DirEntry[str]) -> str | None:
    """None for an image file, by its name, else its kind. A dangling or circular link counts as a broken image."""
    ending = os.path.splitext(entry.name)[1].lower()
    try:
        file = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        file = True
    if not file:
        return FOLDERS if entry.is_dir() else "neither file nor folder"
    return (ending or "without an ending") if ending not in ENDINGS or entry.name.startswith(".") else None


def _inspect_some(files: ImageFiles, least_side: int) -> tuple[dict[Path, PixelInfo], dict[Path, str]]:
    """Pixel information of some files of a folder, and the problems of those that cannot be read."""
    import numpy as np

    places = np.unique(np.linspace(0, len(files) - 1, min(len(files), LOOKED_AT)).astype(int))
    infos, broken, seen = dict[Path, PixelInfo](), dict[Path, str](), set[Kind]()

    def measure(kind: Kind) -> bool:
        first = kind not in seen
        seen.add(kind)
        most = MEASURED if kind in ("8 bits", "grey") else MEASURED_DEEP
        return first or number % max(1, len(places) // most) == 0

    for number, place in enumerate(places):  # noqa: B007  it is used above
        try:
            infos[files[place]] = inspect_image(files[place], measure, least_side)
        except BrokenImageError as error:
            broken[error.path] = error.problem
    return infos, broken


def _extremes(infos: list[PixelInfo], kind: Kind) -> tuple[float, float] | None:
    found = [info.values for info in infos if info.kind == kind and info.values is not None]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None
