"""Images of many domains: a folder with one sub-folder for each, or domains derived from the bundled photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from asymkit.evaluation.folders import has_images, image_files
from asymkit.evaluation.images import ValueRange
from support.data.files import PHOTOS, BrokenFiles, check_has_data
from support.data.images import BUNDLED, Pixels, bundled_photos, grey
from support.data.unpaired import FRESH, Domain, values_of

Sample = tuple[Tensor, int, Tensor, int]
"""x (C, H, W) in [-1, 1] and its domain, y and its domain."""

HELD_OUT = 10
"""Of the files of a domain one in ten is never trained on."""


class Domains(Dataset[Sample]):
    """Pairs of images of two different domains; pair number ``index`` is the same in every run.

    Args:
        domains: by name, in the order of their numbers.
        size: side of the crops in pixels.
        seed: another seed, other crops.
        epoch: samples to an epoch.
        meaning: what the domains are besides their names, see :class:`support.run.loader.EndlessData`.
    """

    def __init__(
        self, domains: Mapping[str, Domain], size: int, seed: int, epoch: int, meaning: Mapping[str, str]
    ) -> None:
        self.names, self.domains = tuple(domains), tuple(domains.values())
        self.size, self.seed, self.epoch, self.broken = size, seed, epoch, self.domains[0].broken
        channels = str(self.domains[0].channels)
        self.meaning = {"domains by number": ", ".join(domains), "channels": channels, **meaning}

    def __getitem__(self, index: int) -> Sample:
        source, target = np.random.default_rng((self.seed, index)).permutation(len(self.names))[:2]
        x, y = self.crop(int(source), 2 * index), self.crop(int(target), 2 * index + 1)
        return x, int(source), y, int(target)

    def crop(self, domain: int, number: int, size: int | None = None) -> Tensor:
        """Crop ``number`` of a domain, (channels, size, size) in [-1, 1]; None: the size of training."""
        return self.domains[domain].crop(number, size or self.size, (self.seed, domain))

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
        check_has_data(value_range=value_range)
        photos = bundled_photos()
        derived = {name: Domain(photos, 2.5, derive, channels=channels) for name, derive in DERIVED.items()}
        train, test = (Domains(derived, size, seed + i, 400, DERIVED_MEANING) for i in range(2))
        source = f"domains {', '.join(DERIVED)}, derived from random crops of the photographs {', '.join(BUNDLED)}"
        return train, test, f"{source}; held-out crops are of the same photographs"
    if not folder.is_dir():
        raise ValueError(f"data: no folder {str(folder)!r}; expected one with a sub-folder of images for each domain")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    if len(found) < 2:
        raise ValueError(
            f"data: {str(folder)!r} has {len(found)} sub-folders; expected one with images for each of two domains or more"
        )
    files = {path.name: image_files(path, "data", PHOTOS) for path in found}
    broken = BrokenFiles.among(*files.values(), value_range=value_range)
    halves = {name: part.split(HELD_OUT) for name, part in files.items()}
    counts = ", ".join(f"{name} {len(kept)}" for name, (kept, _) in halves.items())
    source = f"{folder.name}: {len(files)} domains ({counts} images for training), one file in {HELD_OUT} held out"
    source += "".join(part.said() for part in files.values())
    if has_images(folder):
        source += f"; images of {folder.name} that are in none of its sub-folders are left out"

    def part(which: int) -> Domains:
        domains = {name: Domain(half[which], 1.12, channels=channels, broken=broken) for name, half in halves.items()}
        return Domains(domains, size, seed, sum(len(half[which]) for half in halves.values()), values_of(files))

    return part(0), part(1), source


DERIVED_MEANING = {"photos": "those of scikit-image and scikit-learn"}


def photo(photo: Pixels) -> Pixels:
    """As it is."""
    return photo


def hue(photo: Pixels) -> Pixels:
    """Colours turned by a third of the circle."""
    hues, *others = Image.fromarray(photo).convert("HSV").split()
    turned = hues.point(lambda hue: (hue + 85) % 256)
    return np.asarray(Image.merge("HSV", [turned, *others]).convert("RGB"))


def night(photo: Pixels) -> Pixels:
    """Dark and blue."""
    return (photo * np.array([0.25, 0.3, 0.5])).astype(np.uint8)


def sepia(photo: Pixels) -> Pixels:
    """Brown prints."""
    return np.clip(grey(photo) * np.array([1.07, 0.87, 0.62]), 0, 255).astype(np.uint8)


DERIVED: dict[str, Callable[[Pixels], Pixels]] = {step.__name__: step for step in (photo, hue, grey, night, sepia)}
