"""Images in a folder and all folders below it, as tensors and back, and the names of what is made of them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from asymkit.checkpoints.durable import write_whole
from asymkit.evaluation.folders import ImageFiles, has_images, image_files
from asymkit.evaluation.images import ENDINGS, BrokenImageError
from support.data.images import DERIVE, PoorKind, grey


def images_below(folder: Path, leave_out: Path) -> ImageFiles:
    """The images of a folder and those below it, or a single one; hidden folders aside.

    Links to folders are followed, and each folder is searched once, by its own name where that is below.

    Args:
        folder: the folder, or the path of one image.
        leave_out: a folder that is not searched, where it is below.

    Raises:
        ValueError: it is missing, holds no images, or a folder below it cannot be listed.
    """
    if folder.is_file():
        return ImageFiles(folder.parent, [folder.name])
    if not folder.is_dir():
        raise ValueError(f"folder: no {str(folder)!r}; expected a folder of images, or one image")
    names, left_out = list[str](), Counter[str]()
    for below in _folders(folder, leave_out):
        if has_images(below):
            found = image_files(below, "folder", "a folder of images")
            names += [str((below / name).relative_to(folder)) for name in found.names]
            left_out += found.left_out
    if not names:
        raise ValueError(f"folder: no images in {str(folder)!r} or below it; images end in {', '.join(ENDINGS)}")
    del left_out["folders"]  # which are searched
    return ImageFiles(folder, names, left_out)


def _folders(folder: Path, leave_out: Path) -> Iterator[Path]:
    seen = {_identity(leave_out)} if leave_out.exists() else set()
    starts = [folder]  # and links to folders, which are searched when no other way to them is left
    for start in starts:
        if start != folder and _identity(start) in seen:
            continue
        for root, below, _ in os.walk(start, onerror=_refuse, followlinks=True):
            here = Path(root)
            seen.add(_identity(here))
            paths = [here / name for name in sorted(below) if name[0] != "."]
            starts += [path for path in paths if path.is_symlink()]
            below[:] = [path.name for path in paths if not path.is_symlink() and _identity(path) not in seen]
            yield here


def _identity(folder: Path) -> tuple[int, int]:
    """Equal for all names of one folder, so that links in a circle come to an end."""
    try:
        found = folder.stat()
    except OSError as error:
        _refuse(error)
    return found.st_dev, found.st_ino


def _refuse(error: OSError) -> NoReturn:
    raise ValueError(
        f"folder: cannot search {str(error.filename)!r}: {error.strerror}; give permission to read it, or move it elsewhere"
    ) from error


def readable(files: ImageFiles, side: int | None, broken: dict[Path, str]) -> Iterator[tuple[int, Image.Image]]:
    """Each image that can be read, with its number; the others are named on standard error and skipped.

    Args:
        files: the images.
        side: how long a shorter side need be, see :func:`asymkit.evaluation.images.read_image`.
        broken: files that are known to be broken, with what is wrong; those that are found are added.
    """
    for place, path in enumerate(files):
        try:
            if path in broken:
                raise BrokenImageError(path, broken[path])
            image = files.read(place, side)
        except BrokenImageError as error:
            broken[path] = error.problem
            tqdm.write(f"skipped: {error}", file=sys.stderr)
        else:
            yield place, image


def planned(files: ImageFiles, out: Path, endings: Sequence[str], overwrite: bool, *others: Path) -> list[list[Path]]:
    """Where the results of each image go: its name and sub-folder, an ending for each result, always PNG.

    Args:
        files: the images.
        out: folder of the results.
        endings: of the names without suffix, one for each result.
        overwrite: replace files that are there.
        *others: further files that are going to be written.

    Raises:
        ValueError: a file is there already, would replace an image that is to be read, or two would have one name.
    """
    stems = [os.path.splitext(name)[0] for name in files.names]
    often = Counter(stem.casefold() for stem in stems)  # some file systems do not tell A from a
    bases = [name if often[stem.casefold()] > 1 else stem for name, stem in zip(files.names, stems, strict=True)]
    plan = [[out / f"{base}{ending}.png" for ending in endings] for base in bases]
    paths = [path for row in plan for path in row]
    if doubled := [path for path, count in Counter(paths).items() if count > 1]:
        raise ValueError(f"folder: two images would give {str(doubled[0])!r}; rename one of them")
    sources = {path.resolve() for path in files}
    if own := [path for path in paths if path.resolve() in sources]:
        raise ValueError(f"out: {str(own[0])!r} is one of the images themselves; give another folder by -o")
    there = [path for path in (*paths, *others) if os.path.lexists(path)]
    if there and not overwrite:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ValueError(f"out: {str(there[0])!r}{more} exist already; give another folder by -o, or --overwrite")
    return plan


def as_input(image: Image.Image, channels: int, size: int | None, derive: PoorKind | None = None) -> Tensor:
    """An image as (1, channels, H, W) with values of 0 to 255, prepared as in training.

    Args:
        image: RGB.
        channels: 3, or 1 for grey.
        size: resize it first, to so many pixels of its shorter side.
        derive: make an image of the poor domain of it.
    """
    if size is not None:
        sides = [max(1, round(side * size / min(image.size))) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    if derive is not None:
        pixels = DERIVE[derive](pixels)
    if channels == 1:
        pixels = grey(pixels)[..., :1]
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()


def as_image(levels: Tensor) -> Image.Image:
    """(1, 1 or 3, H, W) of 0 to 255 as an image, grey or RGB."""
    pixels = levels[0].round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def write_image(path: Path, levels: Tensor) -> None:
    """Write it as PNG, whole or not at all, and the folders that it needs.

    Raises:
        OSError: no room, no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: as_image(levels).save(file, "PNG"))
