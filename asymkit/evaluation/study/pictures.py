"""The images of a study's page: which are chosen out of their folders, and how the page holds them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple

from PIL import Image

from asymkit.evaluation.folders import ImageFiles, image_files
from asymkit.evaluation.study.protocols import REAL
from asymkit.evaluation.study.settings import Settings

_LEAST_SHOWN = 256


def inspected(name: str, folder: Path, settings: Settings, notes: list[str]) -> ImageFiles:
    """The image files of a folder, and notes on what was left out of it and what their values mean.

    Raises:
        ValueError: no folder, no images, or a value range that has to be stated.
    """
    files = image_files(folder, name, f"a folder with images of {name!r}")
    files.inspect(settings.value_range)  # a broken file matters only if it is chosen, and is refused when it is read
    notes += [note for note in (files.said().removeprefix("; "), files.warning) if note]
    return files


def _order(seed: int, name: str) -> bytes:
    """A key to sort by in an order that depends on the seed, and in which a new file moves no other one."""
    return sha256(f"{seed}:{name}".encode(errors="surrogatepass")).digest()


def chosen(files: Mapping[str, ImageFiles], settings: Settings, methods: int) -> dict[str, list[int]]:
    """Places of images in their folders, each folder's on its own."""
    found = {}
    for name, each in files.items():
        most = settings.images * (methods if name == REAL and settings.protocol != "mos" else 1)
        order = sorted((_order(settings.seed, file), place) for place, file in enumerate(each.names))
        found[name] = [place for _, place in order[:most]]
    return found


def matched_by_name(files: Mapping[str, ImageFiles], settings: Settings, notes: list[str]) -> dict[str, list[int]]:
    """Places of images in their folders, those of one name (endings aside) at the same place of each list.

    Raises:
        ValueError: names that do not tell images apart, or no name that all folders have.
    """
    by_stem: dict[str, dict[str, int]] = {}
    for name, each in files.items():
        by_stem[name] = {Path(file).stem: place for place, file in enumerate(each.names)}
        if len(by_stem[name]) < len(each):
            raise ValueError(
                f"{name}: images in {str(each.folder)!r} differ by their endings only, but names must tell them apart"
            )
    common = set.intersection(*(set(stems) for stems in by_stem.values()))
    if not common:
        examples = ", ".join(f"{each.names[0]!r} of {name!r}" for name, each in files.items())
        raise ValueError(f"no image has one name (endings aside) in all folders: {examples}; rename them alike")
    for name, stems in by_stem.items():
        if len(stems) > len(common):
            notes.append(
                f"{name}: {len(stems) - len(common)} of {len(stems)} images are left out, as not all folders have their names"
            )
    order = sorted(common, key=lambda stem: _order(settings.seed, stem))[: settings.images]
    return {name: [stems[stem] for stem in order] for name, stems in by_stem.items()}


class Embedded(NamedTuple):
    """An image as the page has it."""

    embedded: tuple[str, str]
    """Its file's name, and its data as a URL."""
    size: tuple[int, int]


def embedded(
    files: Mapping[str, ImageFiles], places: Mapping[str, list[int]], settings: Settings
) -> dict[str, list[Embedded]]:
    """The images of each folder as the page has them.

    Raises:
        ValueError: an image that cannot be read, or more data than the page may have.
    """
    found: dict[str, list[Embedded]] = {name: [] for name in places}
    total, done, count = 0, 0, sum(len(each) for each in places.values())
    for name, each in places.items():
        for place in each:
            image = files[name].read(place)
            image.thumbnail((settings.side, settings.side), Image.Resampling.LANCZOS, reducing_gap=None)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
            data = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
            found[name].append(Embedded((files[name].names[place], data), image.size))
            total, done = total + len(data), done + 1
            if total > settings.limit * 1e6:
                raise too_large(total * count / done, settings)
    return found


def too_large(size: float, settings: Settings) -> ValueError:
    """The error for a page of so many bytes."""
    return ValueError(
        f"the page would have about {size / 1e6:.0f} MB, and --limit is {settings.limit:g}; take fewer images (--images, now "
        f"{settings.images}), smaller ones (--side, now {settings.side}), a lower --quality (now {settings.quality}), or raise --limit"
    )


def unlike(images: Mapping[str, list[Embedded]]) -> list[str]:
    """What to say of methods whose images have another size or shape than the real ones, which alone tells them apart."""
    sizes = {name: [image.size for image in each] for name, each in images.items() if name != "inputs"}
    real, found = sizes.pop(REAL, []), list[str]()
    for name, each in sizes.items() if real else ():
        length, of_real = (median(map(max, some)) for some in (each, real))
        if not 0.9 <= length / of_real <= 1.1:
            found.append(
                f"the images of {name!r} have {length:g} pixels on their longer side and the real ones {of_real:g}, so that "
                f"people may tell them by their sharpness; bring them to one size, such as by --side {min(length, of_real):.0f}"
            )
        for some, of, others, lack in ((each, name, real, REAL), (real, REAL, each, name)):
            if odd := _of_other_shape(some, others):
                width, height = odd[0]
                found.append(
                    f"{len(odd)} of {len(some)} images of {of!r}, such as one of {width} × {height} pixels, have a width/height "
                    f"that no image of {lack!r} has, so that people may tell them by their shape; crop them alike"
                )
                break
    return found


def _of_other_shape(sizes: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sizes whose width/height is off by more than 5 % from that of all others; none where that is rare."""
    ratios = {width / height for width, height in others}
    shapes = {(w, h): min(max(w / h / ratio, ratio * h / w) for ratio in ratios) for w, h in set(sizes)}
    odd = [size for size in sizes if shapes[size] > 1.05]
    return odd if len(odd) > len(sizes) / 10 else []


def box(images: list[Embedded]) -> tuple[int, int]:
    """Width and height at which images are shown, all alike; small ones are enlarged, so that they can be seen."""
    width, height = (max(image.size[axis] for image in images) for axis in (0, 1))
    scale = max(1.0, _LEAST_SHOWN / max(width, height))
    return round(width * scale), round(height * scale)
