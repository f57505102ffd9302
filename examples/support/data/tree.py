"""Images in a folder and all folders below it, and the files that are made of them, in the same sub-folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from asymkit.evaluation.folders import ImageFiles, has_images, image_files
from asymkit.evaluation.images import ENDINGS


def images_below(folder: Path, leave_out: Path) -> ImageFiles:
    """The images of a folder and those below it, or a single one; hidden folders aside.

    Args:
        folder: the folder, or the path of one image.
        leave_out: a folder that is not searched, where it is below.

    Raises:
        ValueError: it is missing, or holds no images.
    """
    if folder.is_file():
        return ImageFiles(folder.parent, [folder.name])
    if not folder.is_dir():
        raise ValueError(f"folder: no {str(folder)!r}; expected a folder of images, or one image")
    names, left_out = list[str](), Counter[str]()
    for below in _folders(folder, leave_out.resolve()):
        if has_images(below):
            found = image_files(below, "folder", "a folder of images")
            names += [str((below / name).relative_to(folder)) for name in found.names]
            left_out += found.left_out
    if not names:
        raise ValueError(f"folder: no images in {str(folder)!r} or below it; images end in {', '.join(ENDINGS)}")
    del left_out["folders"]  # which are searched
    return ImageFiles(folder, names, left_out)


def _folders(folder: Path, leave_out: Path) -> Iterator[Path]:
    for root, below, _ in os.walk(folder):
        here = Path(root)
        below[:] = sorted(name for name in below if name[0] != "." and (here / name).resolve() != leave_out)
        yield here


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
    doubled = [path for path, count in Counter(paths).items() if count > 1]
    if doubled:
        raise ValueError(f"folder: two images would give {str(doubled[0])!r}; rename one of them")
    sources = {path.resolve() for path in files}
    if own := [path for path in paths if path.resolve() in sources]:
        raise ValueError(f"out: {str(own[0])!r} is one of the images themselves; give another folder by -o")
    there = [path for path in (*paths, *others) if os.path.lexists(path)]
    if there and not overwrite:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise ValueError(f"out: {str(there[0])!r}{more} exist already; give another folder by -o, or --overwrite")
    return plan
