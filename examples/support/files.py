"""Image files: listed without being opened, read as RGB whatever they are, and skipped where they are broken."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

PHOTOS = "a folder of photos, or one with the folders trainA and trainB (asymmetricgan_domains.py takes other ones)"

LEAST_SIDE = 8
"""An image with fewer pixels to a side is counted as broken."""

MOST_BROKEN = 0.01
"""The part of the files that may be broken before a run stops."""

TRIES = 100
"""Images in a row that may be broken before one cannot be had."""

LOOKED_AT = 500
"""Files whose headers are read before a training, spread over the folder, however many it has."""

Read = TypeVar("Read")


class ImageFiles(Sequence[Path]):
    """Files of one folder by their names, which take a tenth of the memory of paths.

    Args:
        folder: where they are.
        names: of the files.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: int) -> Path:  # type: ignore[override]  # slices are not needed
        return self.folder / self.names[place]

    def split(self, every: int) -> tuple[ImageFiles, ImageFiles]:
        """All but one file in so many, and those; a folder with one file gives it to both."""
        held = ImageFiles(self.folder, self.names[::every])
        return ImageFiles(self.folder, [name for i, name in enumerate(self.names) if i % every] or self.names), held


def image_files(folder: Path, option: str = "data", expected: str = PHOTOS) -> ImageFiles:
    """The image files directly in a folder, sorted by name; none of them is opened.

    Args:
        folder: where to look.
        option: of the command line, for messages.
        expected: what the folder should be, for messages.

    Raises:
        ValueError: the folder does not exist or holds no images.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "missing"
        raise ValueError(f"{option}: {str(folder)!r} is {what}; expected {expected}")
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if _is_image(entry))
    if not names:
        folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
        inside = f", only the folders {', '.join(folders)}, which are not searched" if folders else ""
        raise ValueError(
            f"{option}: no images in {str(folder)!r}{inside}; expected {expected}; images end in {', '.join(SUFFIXES)}"
        )
    return ImageFiles(folder, names)


def _is_image(entry: os.DirEntry[str]) -> bool:
    """By its name; macOS leaves hidden files beside images. A link that leads nowhere is a broken image."""
    if entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
        return False
    return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())


class BrokenImageError(ValueError):
    """A file that cannot be read as an image.

    Args:
        path: of the file.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(f"data: cannot read {str(path)!r} as an image: {problem}")
        self.path, self.problem = path, str(problem)


class Broken:
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
    def among(cls, *parts: ImageFiles) -> Broken:
        """Those of a data set, found so far by reading the headers of some files of each of its parts.

        A wrong folder is noticed like this before the training, and a million files cost no more than a few hundred.

        Raises:
            ValueError: more than one in a hundred of those looked at cannot be read.
        """
        names = "\n\n".join("\n".join(files.names) for files in parts)
        broken, looked_at = cls(sum(map(len, parts)), hashlib.sha256(names.encode(errors="replace")).hexdigest()), 0
        for files in parts:
            places = np.unique(np.linspace(0, len(files) - 1, min(len(files), LOOKED_AT)).astype(int))
            looked_at += len(places)
            for place in places:
                try:
                    with _opened(files[place]) as image:
                        image.verify()
                except BrokenImageError as error:
                    broken.found[str(error.path)] = error.problem
        broken.check(looked_at)
        return broken

    def recall(self, found: dict[str, str]) -> None:
        """Take over what an earlier start of the run found, but for what has been mended or removed since."""
        for name in found:
            try:
                if Path(name).exists():
                    read_image(Path(name))
            except BrokenImageError as error:
                self.found[name] = error.problem

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


def listed(found: dict[str, str], most: int = 20) -> str:
    """A line for every broken file, up to a number."""
    lines = [f"  {path}: {problem}" for path, problem in list(found.items())[:most]]
    return "\n".join([*lines, f"  and {len(found) - most} more"] if len(found) > most else lines)


def in_turn(count: int, index: int, *key: int) -> list[int]:
    """The images to try for sample ``index``, by their numbers; each comes first once before any does a second time."""
    turn, place = divmod(index, count)
    tries = range(place, place + min(TRIES, count))
    return list(map(int, _shuffled(count, *key, turn).take(tries, mode="wrap")))


@functools.lru_cache(maxsize=8)
def _shuffled(count: int, *key: int) -> NDArray[np.int64]:
    """The numbers below ``count`` in an order that depends on the key alone."""
    return np.random.default_rng(key).permutation(count)


def read_image(path: Path, side: int | None = None, parts: int = 1) -> Image.Image:
    """One file as RGB, turned upright as its EXIF data says, what is transparent in it white, 16 bits as 8.

    Args:
        path: of the file.
        side: how long its shorter side need be at least; a larger JPEG is decoded at a half, a quarter or an eighth
            of its size, which is several times as fast.
        parts: images that stand side by side in it, each of which is to have such a side.

    Raises:
        BrokenImageError: the file is missing, no readable image, or too small to be one.
    """
    with _opened(path) as image:
        shorter = min(image.width // parts, image.height)
        if side is not None and side < shorter:
            width, height = (-(-length * side // shorter) for length in image.size)
            image.draft(None, (width, height))  # None keeps the mode
        return _as_rgb(path, ImageOps.exif_transpose(image))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file; whatever goes wrong in reading it is said with its name."""
    try:
        with Image.open(path) as image:
            if min(image.size) < LEAST_SIDE:
                raise BrokenImageError(path, f"{image.width} × {image.height} pixels are too few")
            yield image
    except BrokenImageError:
        raise
    except UnidentifiedImageError as error:
        what = "no image, or damaged at its beginning" if path.stat().st_size else "the file is empty"
        raise BrokenImageError(path, what) from error
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make decoders raise almost anything
        raise BrokenImageError(path, str(error) or type(error).__name__) from error


def _as_rgb(path: Path, image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BrokenImageError(path, "its pixels are floating point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits, of which Pillow would cut off all above 255
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise BrokenImageError(path, "its pixels have more than 16 bits")
        values = np.where(values == image.info.get("transparency", -1), 65535, values)
        image = Image.fromarray((values / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(with_alpha)
    return image.convert("RGB")
