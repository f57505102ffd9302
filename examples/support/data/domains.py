"""Images of many domains: a folder with one sub-folder for each, or domains derived from the bundled photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from asymkit.evaluation.folders import ImageFiles, has_images, image_files
from asymkit.evaluation.images import ValueRange
from support.data.files import PHOTOS, TRIES, BrokenFiles
from support.data.images import BUNDLED, Pixels, bundled_photos, grey, random_crop
from support.data.unpaired import FRESH, as_tensor, values_of

Sample = tuple[Tensor, int, Tensor, int]
"""x (C, H, W) in [-1, 1] and its domain, y and its domain."""

HELD_OUT = 10
"""Of the files of a domain one in ten is never trained on."""


class Domains(Dataset[Sample]):
    """Pairs of images of two different domains; pair number ``index`` is the same in every run.

    Args:
        names: of the domains, in the order of their numbers.
        photos: of each domain, in memory or as files.
        derive: what each domain shows instead of the crop itself.
        zoom: crops show between all of an image's shorter side and a ``zoom``-th of it.
        size: side of the crops in pixels.
        channels: 3, or 1 for grey images.
        seed: another seed, other crops.
        broken: files that could not be read are added to it, and the ones after them taken instead.
        meaning: what the domains are besides their names, see :class:`support.run.loader.EndlessData`.
    """

    def __init__(
        self,
        names: Sequence[str],
        photos: Sequence[Sequence[Image.Image] | ImageFiles],
        derive: Sequence[Callable[[Pixels], Pixels]] | None,
        zoom: float,
        size: int,
        channels: int,
        seed: int,
        broken: BrokenFiles | None = None,
        meaning: Mapping[str, str] | None = None,
    ) -> None:
        self.names, self.photos, self.derive, self.zoom = tuple(names), photos, derive, zoom
        self.size, self.channels, self.seed = size, channels, seed
        self.epoch = sum(map(len, photos)) if derive is None else 400
        self.broken = BrokenFiles() if broken is None else broken
        self.meaning = {"domains by number": ", ".join(names), "channels": str(channels), **(meaning or {})}

    def __getitem__(self, index: int) -> Sample:
        source, target = np.random.default_rng((self.seed, index)).permutation(len(self.names))[:2]
        x, y = self.crop(int(source), 2 * index), self.crop(int(target), 2 * index + 1)
        return x, int(source), y, int(target)

    def crop(self, domain: int, number: int, size: int | None = None) -> Tensor:
        """Crop ``number`` of a domain, (channels, size, size) in [-1, 1], drawn anew for every number.

        Args:
            domain: its number.
            number: of the crop.
            size: another side in pixels than that of training.
        """
        rng, size = np.random.default_rng((self.seed, domain, number, 1)), size or self.size
        photos = self.photos[domain]
        places = (int(rng.integers(len(photos))) for _ in range(TRIES))
        image = self.broken.first(partial(self._image, photos, place, size) for place in places)
        pixels = random_crop(image, size, self.zoom, rng)
        if self.derive is not None:
            pixels = self.derive[domain](np.ascontiguousarray(pixels))
        if self.channels == 1:
            pixels = grey(np.ascontiguousarray(pixels))[..., :1]
        return as_tensor(pixels)

    def _image(self, photos: Sequence[Image.Image] | ImageFiles, place: int, size: int) -> Image.Image:
        if isinstance(photos, ImageFiles):
            return photos.read(place, math.ceil(self.zoom * size))
        return photos[place]

    def of_each(self, count: int, size: int | None = None, device: torch.device | None = None) -> list[Tensor]:
        """The first crops of every domain, (count, channels, size, size) each."""
        return [
            torch.stack([self.crop(domain, number, size) for number in range(count)]).to(device)
            for domain in range(len(self.names))
        ]


def domain_batches(data: Domains, steps: int, batch: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """Crops and the domains they are of, every domain as often, none of which training draws."""
    labels = torch.arange(batch) % len(data.names)
    for step in range(steps):
        yield torch.stack([data.crop(int(d), FRESH + step * batch + i) for i, d in enumerate(labels)]), labels


def domain_sets(
    folder: Path | None, size: int, channels: int, seed: int, value_range: ValueRange | None = None
) -> tuple[Domains, Domains, str]:
    """Training and held-out images of the same domains, and a sentence that says what they are.

    Args:
        folder: with one sub-folder of images for each domain; None derives domains from the bundled photographs.
        size: side of the crops in pixels.
        channels: 3 or 1.
        seed: another seed, other crops.
        value_range: values of grey images that become black and white; None: found, see
            :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.

    Raises:
        ValueError: a folder that is missing, has fewer than two sub-folders, or an empty one.
    """
    if folder is None:
        if value_range is not None:
            raise ValueError("value_range: needs images of your own; give --data FOLDER as well")
        photos = bundled_photos()
        parts = [[photos] * len(DERIVED)] * 2
        source = f"domains {', '.join(DERIVED)}, derived from random crops of the photographs {', '.join(BUNDLED)}"
        made = [
            Domains(list(DERIVED), part, list(DERIVED.values()), 2.5, size, channels, seed + i, meaning=DERIVED_MEANING)
            for i, part in enumerate(parts)
        ]
        return made[0], made[1], f"{source}; held-out crops are of the same photographs"
    if not folder.is_dir():
        raise ValueError(f"data: no folder {str(folder)!r}; expected one with a sub-folder of images for each domain")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    if len(found) < 2:
        raise ValueError(
            f"data: {str(folder)!r} has {len(found)} sub-folders; expected one with images for each of two domains or more"
        )
    files = [image_files(path, "data", PHOTOS) for path in found]
    broken = BrokenFiles.among(*files, value_range=value_range)
    kept, held = zip(*(part.split(HELD_OUT) for part in files), strict=True)
    names = [path.name for path in found]
    counts = ", ".join(f"{name} {len(part)}" for name, part in zip(names, kept, strict=True))
    source = f"{folder.name}: {len(names)} domains ({counts} images for training), one file in {HELD_OUT} held out"
    source += "".join(part.said() for part in files)
    if has_images(folder):
        source += f"; images of {folder.name} that are in none of its sub-folders are left out"
    meaning = values_of(dict(zip(names, files, strict=True)))
    train, test = (Domains(names, part, None, 1.12, size, channels, seed, broken, meaning) for part in (kept, held))
    return train, test, source


DERIVED_MEANING = {"photos": "those of scikit-image and scikit-learn"}


def photo(photo: Pixels) -> Pixels:
    """As it is."""
    return photo


def hue(photo: Pixels) -> Pixels:
    """Colours turned by a third of the circle."""
    pixels = np.asarray(Image.fromarray(photo).convert("HSV")).copy()
    pixels[..., 0] += 85
    turned: Pixels = np.asarray(Image.fromarray(pixels, mode="HSV").convert("RGB"))
    return turned


def night(photo: Pixels) -> Pixels:
    """Dark and blue."""
    dark: Pixels = (photo * np.array([0.25, 0.3, 0.5])).astype(np.uint8)
    return dark


def sepia(photo: Pixels) -> Pixels:
    """Brown prints."""
    light = np.asarray(Image.fromarray(photo).convert("L"), dtype=np.float64)[..., None]
    brown: Pixels = np.clip(light * np.array([1.07, 0.87, 0.62]), 0, 255).astype(np.uint8)
    return brown


DERIVED: dict[str, Callable[[Pixels], Pixels]] = {
    "photo": photo,
    "hue": hue,
    "grey": grey,
    "night": night,
    "sepia": sepia,
}
