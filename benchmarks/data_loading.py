"""How fast one worker decodes and crops images of several kinds, beside the transforms that CycleGAN's code uses.

    PYTHONPATH=examples python benchmarks/data_loading.py --size 256 --out benchmarks/results

"plain" is Resize, RandomCrop, flip, ToTensor and Normalize of torchvision on the decoded image. The examples read the
same files, decode a large JPEG at a fraction of its size, and crop and resize in one go. A step takes one image of each
domain per sample of its batch: a worker keeps up with as many samples a second as it gives images, divided by two.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import measure
import torch
import torchvision.transforms as T
import tyro
from PIL import Image
from report import Report
from support.data.images import bundled_photos
from support.data.unpaired import Domain
from torch import Tensor

from asymkit.console import print_in_any_encoding
from asymkit.evaluation.folders import ImageFiles

COLUMNS = ("images", "method", "ms", "images/s of a worker", "× faster", "rounds")

KINDS: dict[str, tuple[tuple[int, int], str]] = {
    "JPEG, 256 × 256": ((256, 256), "jpg"),
    "JPEG, 600 × 400": ((600, 400), "jpg"),
    "JPEG, 4000 × 3000": ((4000, 3000), "jpg"),
    "PNG, 512 × 512": ((512, 512), "png"),
    "WebP, 1024 × 1024": ((1024, 1024), "webp"),
}


@dataclass
class Options(measure.Options):
    """Time the loading of images."""

    size: int = 256
    """Side of the crops."""
    device: str = "cpu"
    only: str | None = None
    """Kinds with this in their name."""


def files(folder: Path, size: tuple[int, int], suffix: str) -> ImageFiles:
    """The seven bundled photographs in one size and format."""
    folder.mkdir()
    names = []
    for number, photo in enumerate(bundled_photos()):
        names.append(f"{number}.{suffix}")
        photo.resize(size, Image.Resampling.BICUBIC).save(folder / names[-1], quality=92)
    return ImageFiles(folder, names)


def plain(images: ImageFiles, size: int) -> Callable[[int], Tensor]:
    """What CycleGAN's code does with a file, by torchvision."""
    side = size * 286 // 256
    transform = T.Compose(
        [
            T.Resize((side, side), T.InterpolationMode.BICUBIC),
            T.RandomCrop(size),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )

    def load(index: int) -> Tensor:
        with Image.open(images[index % len(images)]) as image:
            result: Tensor = transform(image.convert("RGB"))
        return result

    return load


def ours(images: ImageFiles, size: int) -> Callable[[int], Tensor]:
    """What the examples do with it."""
    domain = Domain(images, zoom=286 / 256)
    return lambda index: domain.crop(index, size, (0, 0))


def _next(load: Callable[[int], Tensor], numbers: Iterator[int]) -> Tensor:
    return load(next(numbers))


def main(options: Options) -> None:
    """Time every kind, print and write the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    report = Report(f"data_loading-{options.size}", options, COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        for kind, (size, suffix) in KINDS.items():
            if options.only is not None and options.only not in kind:
                continue
            images = files(Path(folder) / str(len(report.rows)), size, suffix)
            methods = {"plain": plain(images, options.size), "asymkit's examples": ours(images, options.size)}
            turns = {name: partial(_next, load, itertools.count()) for name, load in methods.items()}
            found = options.times(turns)
            for name, seconds in found.items():
                median = measure.milliseconds(seconds)
                faster = measure.ratio(found["plain"], seconds)
                row = {"images": kind, "method": name, "ms": median, "images/s of a worker": 1e3 / median}
                report.rows.append(row | {"× faster": faster, "rounds": len(seconds)})
    report.write()
    torch.set_num_threads(threads)


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
