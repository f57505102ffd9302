"""Images of many domains: a folder with one sub-folder for each, or domains derived from the bundled photographs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
from support.run.settings import RunSettings, Size, sides

Sample = tuple[Any, ...]
"""x (C, H, W) in [-1, 1] and its domain, y and its domain; or, without y, x, its domain and another one."""

HELD_OUT = 10
"""Of the files of a domain one in ten is never trained on, where there is no test set."""

MEASURED, SHOWN = 32, 2
"""Held-out images of each domain in the report's figures and in its pictures, at most."""

Images = Sequence[Tensor | Sequence[Tensor]]
"""Of every domain some images, (C, H, W) in [-1, 1] each, which may be of several sizes."""


@dataclass(frozen=True)
class DomainSettings(RunSettings):
    """Settings of the images and of what scores them, for the examples between many domains."""

    data: Path | None = None
    """A folder with a sub-folder of images for each domain, or with such sub-folders in train and, for figures and pictures,
    in test, or with trainA, trainB, testA, testB and so on; without it, domains derived from photographs that come along."""
    value_range: tuple[float, float] | None = None
    """Values of grey images that become black and white: 0 4095 for 12 bits, 0 33 for label ids. None: for grey images of
    more than 8 bits it is found and said."""
    channels: Literal[1, 3] = 3
    """Of the images: 3, or 1 for grey ones."""
    picture_size: Size | None = None
    """Of the images in the report's pictures: of crops as --size, of whole test images the shorter side is the smaller
    number. None: that of training; other sizes need a label embedding to look right."""
    discriminator_width: int = 64
    """Channels of a discriminator's first layer."""
    discriminator_layers: int = 6
    """How often a discriminator halves its image."""
    classifier_steps: int = 400
    """Training steps of the classifier that scores translated images in the report."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("discriminator_width", "discriminator_layers", "classifier_steps")
        self.check_side("size", least=2**self.discriminator_layers, multiple_of=max(4, 2**self.discriminator_layers))
        self.check_side("picture_size", least=8)

    def images(self, pairs: bool = True) -> tuple[Domains, Domains, str]:
        """Training images, others of the same domains, and a sentence that says what they are; see :func:`domain_sets`."""
        train, held_out, source = domain_sets(self.data, self.size, self.channels, self.seed, self.value_range)
        train.pairs = pairs
        return train, held_out, source


class Domains(Dataset[Sample]):
    """Pairs of images of two different domains, or images and the names of two; ``index`` gives the same in every run.

    Args:
        domains: by name, in the order of their numbers.
        size: of the crops in pixels.
        seed: another seed, other crops.
        epoch: samples to an epoch.
        meaning: what the domains are besides their names, see :class:`support.run.loader.EndlessData`.
        whole: they are a test set, which is shown in whole images instead of crops.

    Attributes:
        pairs: samples have y, an image of the domain that x is translated to.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        size: Size,
        seed: int,
        epoch: int,
        meaning: Mapping[str, str],
        whole: bool = False,
    ) -> None:
        self.names, self.domains = tuple(domains), tuple(domains.values())
        self.size, self.seed, self.epoch, self.broken = size, seed, epoch, self.domains[0].broken
        self.whole, self.pairs = whole, True
        self.meaning = {"domains by number": ", ".join(domains), "channels": str(self.domains[0].channels), **meaning}

    def __getitem__(self, index: int) -> Sample:
        source, target = np.random.default_rng((self.seed, index)).permutation(len(self.names))[:2]
        x = self.crop(int(source), 2 * index)
        if not self.pairs:
            return x, int(source), int(target)
        return x, int(source), self.crop(int(target), 2 * index + 1), int(target)

    def crop(self, domain: int, number: int, size: Size | None = None) -> Tensor:
        """Crop ``number`` of a domain, (channels, H, W) in [-1, 1]; None: the size of training."""
        return self.domains[domain].crop(number, size or self.size, (self.seed, domain))

    def of_each(self, count: int, size: Size | None = None, device: torch.device | None = None) -> list[Tensor]:
        """The first crops of every domain, (count, channels, H, W) each."""
        return [
            torch.stack([self.crop(domain, number, size) for number in range(count)]).to(device)
            for domain in range(len(self.names))
        ]

    def shown_of_each(self, count: int, size: Size | None = None, device: torch.device | None = None) -> Images:
        """So many images of every domain for figures and pictures: crops, or of a test set whole ones, evenly spread.

        Args:
            count: images of a domain; a test set may have fewer.
            size: of crops; of whole images its smaller number is the shorter side. None: that of training.
            device: where they are.
        """
        if not self.whole:
            return self.of_each(count, size, device)
        side = min(sides(size or self.size))
        return [[image.to(device) for image in domain.whole(count, side)] for domain in self.domains]


def domain_batches(data: Domains, steps: int, batch: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """Crops and the domains they are of, every domain as often, none of which training draws."""
    labels = torch.arange(batch) % len(data.names)
    for step in range(steps):
        yield torch.stack([data.crop(int(d), FRESH + step * batch + i) for i, d in enumerate(labels)]), labels


def domain_sets(
    folder: Path | None, size: Size, channels: int, seed: int, value_range: ValueRange | None = None
) -> tuple[Domains, Domains, str]:
    """Training images, others of the same domains, and a sentence that says what they are.

    Args:
        folder: of one of the layouts of :func:`domain_folders`; None derives domains from the bundled photographs.
        size: of the crops in pixels.
        channels: 3 or 1.
        seed: another seed, other crops.
        value_range: values of grey images that become black and white; None: found, see
            :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.

    Raises:
        ValueError: a folder that is missing, has fewer than two domains, or an empty one, or test images of other domains.
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
    *splits, left_out = domain_folders(folder)
    files, tests = ({name: image_files(path, "data", PHOTOS) for name, path in each.items()} for each in splits)
    broken = BrokenFiles.among(*files.values(), value_range=value_range)
    if tests:
        broken.join(BrokenFiles.among(*tests.values(), like=[files[name] for name in tests]))
    halves = {name: (each, tests[name]) if tests else each.split(HELD_OUT) for name, each in files.items()}
    counts = ", ".join(f"{name} {len(kept)}" for name, (kept, _) in halves.items())
    held = f"one file in {HELD_OUT} held out"
    if tests:
        held = ", ".join(f"{name} {len(each)}" for name, each in tests.items())
        held = f"a test set of its own ({held} images), shown whole, figures over {MEASURED} of each domain at most"
    source = f"{folder.name}: {len(files)} domains ({counts} images for training), {held}"
    source += "".join(each.said() for each in (*files.values(), *tests.values()))
    if has_images(folder):
        source += f"; images of {folder.name} that are in none of its sub-folders are left out"
    if left_out:
        source += f"; left out: {', '.join(left_out)}"

    def part(which: int) -> Domains:
        domains = {name: Domain(half[which], 1.12, channels=channels, broken=broken) for name, half in halves.items()}
        epoch = sum(len(half[which]) for half in halves.values())
        return Domains(domains, size, seed, epoch, values_of(files), whole=bool(tests) and which == 1)

    return part(0), part(1), source


def domain_folders(folder: Path) -> tuple[dict[str, Path], dict[str, Path], list[str]]:
    """Which of a folder's sub-folders hold the images of which domain, in one of three layouts.

    Sub-folders ``train`` and ``test`` with one sub-folder for each domain, as StarGAN's code has them, ``test`` or not;
    ``trainA``, ``trainB``, ``testA``, ``testB`` and so on, as CycleGAN's and ComboGAN's code; or one for each domain.

    Returns:
        Folders of training images and of test images by the domain's name, the latter empty where there are none, and the
        names of folders that are of neither.

    Raises:
        ValueError: fewer than two domains, or test images of other domains than those of training.
    """
    found = _sub_folders(folder)
    train, test, left_out = found, dict[str, Path](), list[str]()
    parted = {name: re.fullmatch(r"(train|test|val)(.+)", name) for name in found}
    if "train" in found and not has_images(found["train"]) and _sub_folders(found["train"]):
        train = _sub_folders(found["train"])
        test = _sub_folders(found["test"]) if "test" in found else {}
        left_out = [name for name in found if name not in ("train", "test")]
        folder = found["train"]
    elif all(parted.values()) and {"train", "test"} <= {match[1] for match in parted.values() if match}:
        train, test = (
            {match[2]: found[name] for name, match in parted.items() if match and match[1] == part}
            for part in ("train", "test")
        )
        left_out = [name for name, match in parted.items() if match and match[1] == "val"]
    if len(train) < 2:
        raise ValueError(
            f"data: {str(folder)!r} has {len(train)} sub-folders; expected one with images for each of two domains or more"
        )
    if (test or "test" in found) and train is not found and train.keys() != test.keys():
        only = [
            f"{', '.join(sorted(names)) or 'none'} only in {part}"
            for part, names in (("train", train.keys() - test.keys()), ("test", test.keys() - train.keys()))
        ]
        raise ValueError(
            f"data: the domains of {str(folder)!r} and of its test images differ, {' and '.join(only)}; expected the same "
            "sub-folders in both"
        )
    return train, {name: test[name] for name in train} if test else {}, left_out


def _sub_folders(folder: Path) -> dict[str, Path]:
    """By name, sorted, without hidden ones and those of tools."""
    paths = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    return {path.name: path for path in paths}


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
