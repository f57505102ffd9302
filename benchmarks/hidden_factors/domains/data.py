"""Several unpaired domains: four looks of handwritten strokes with exact truth, or the sub-folders of a folder without it.

Nothing is hidden: a stroke and a look determine the image. Each look has its own strokes in training, so that no stroke is
seen in two of them; a held-out stroke is shown in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from PIL import Image
from support.data.domains import domain_folders
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from asymkit.evaluation.folders import image_files
from asymkit.evaluation.images import read_image
from hidden_factors.data import BACKGROUND, STROKE, Part, colour, digits_of, placed, places_of


class Views(NamedTuple):
    """Images with their domains."""

    images: Tensor  # (N, 3, size, size), in [-1, 1]
    domains: Tensor  # (N,), integers
    stroke: Tensor | None = None  # (N, 1, size, size), what they show, where the truth is known

    def at(self, places: Tensor) -> Views:
        """Those at some places."""
        stroke = None if self.stroke is None else self.stroke[places]
        return Views(self.images[places], self.domains[places], stroke)


class Domains(Protocol):
    """Images of several domains: :class:`StrokeDomains` and :class:`FolderDomains`."""

    @property
    def size(self) -> int:
        """Side of the images in pixels."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the domains."""

    def draw(self, domains: Tensor, generator: torch.Generator) -> Views:
        """Training images of these domains, (N,), all chance from the generator."""

    def held_out(self, part: Part) -> Views:
        """Images of every domain that are not in training, the same ones each time."""

    def truth(self, views: Views, target: Tensor) -> Tensor | None:
        """The true translations to these domains, (N,); None where they are not known."""

    def __hash__(self) -> int:
        """By what the images depend on: a classifier of them is trained once."""


def batch(data: Domains, count: int, generator: torch.Generator) -> tuple[Views, Views]:
    """Training images x, and as many others y, each of another domain than its x."""
    kinds = len(data.names)
    source = torch.randint(kinds, (count,), generator=generator)
    target = (source + torch.randint(1, kinds, (count,), generator=generator)) % kinds
    return data.draw(source, generator), data.draw(target, generator)


def painted(stroke: Tensor, background: float, ink: float) -> Tensor:
    """In two hues, in [0, 1]."""
    behind, before = colour(torch.tensor([background]), *BACKGROUND), colour(torch.tensor([ink]), *STROKE)
    return stroke * before + (1 - stroke) * behind


def outlined(stroke: Tensor) -> Tensor:
    """The contour in white on black."""
    return (dilated(stroke, 3) + dilated(-stroke, 3)).clamp(0, 1).expand(-1, 3, -1, -1)


def bold(stroke: Tensor) -> Tensor:
    """Thick and black on white."""
    return (1 - dilated(stroke, 5)).expand(-1, 3, -1, -1)


def dilated(stroke: Tensor, kernel: int) -> Tensor:
    """The maximum over a square of so many pixels."""
    return F.max_pool2d(stroke, kernel, stride=1, padding=kernel // 2)


LOOKS: dict[str, Callable[[Tensor], Tensor]] = {
    "yellow on blue": lambda stroke: painted(stroke, background=2 / 3, ink=1 / 6),
    "blue on green": lambda stroke: painted(stroke, background=1 / 3, ink=2 / 3),
    "outlined": outlined,
    "bold": bold,
}
"""Strokes (N, 1, H, W) in [0, 1] to images (N, 3, H, W) in [0, 1]."""


HELD_OUT = {"validation": 20, "test": 100}
"""How many strokes are shown in every domain."""


@dataclass(frozen=True)
class StrokeDomains:
    """Looks of strokes, whose truth is exact."""

    size: int = 32
    names: tuple[str, ...] = tuple(LOOKS)

    def draw(self, domains: Tensor, generator: torch.Generator) -> Views:
        """As :class:`Domains` says."""
        strokes = torch.cat([digits_of(part)[0] for part in ("rich", "poor")])
        each = len(strokes) // len(self.names)  # of a domain, by turns
        places = torch.randint(each, domains.shape, generator=generator) * len(self.names) + domains
        return self._views(placed(strokes[places], self.size, generator), domains)

    def held_out(self, part: Part) -> Views:
        """As :class:`Domains` says, the same strokes in every domain."""
        strokes, generator = digits_of(part)[0][: HELD_OUT[part]], torch.Generator().manual_seed(7)
        shown = placed(strokes, self.size, generator).repeat(len(self.names), 1, 1, 1)
        return self._views(shown, torch.arange(len(self.names)).repeat_interleave(len(strokes)))

    def truth(self, views: Views, target: Tensor) -> Tensor | None:
        """As :class:`Domains` says."""
        assert views.stroke is not None
        return self._views(views.stroke, target).images

    def _views(self, stroke: Tensor, domains: Tensor) -> Views:
        every = torch.stack([LOOKS[name](stroke) for name in self.names])
        return Views(2 * every[domains, torch.arange(len(domains))] - 1, domains, stroke)


@dataclass(frozen=True)
class FolderDomains:
    """Images of a folder with one sub-folder for each domain, whose names begin with whom or what they show.

    What a name has before its first ``_`` is a subject, such as a person. Of ten subjects two are for tests and one for
    validation, so that nobody is in two parts.

    Raises:
        ValueError: the folder has fewer than two sub-folders, or a part of a domain is empty.
    """

    folder: Path
    size: int = 32

    def __post_init__(self) -> None:
        """Read everything once."""
        _parts(self.folder, self.size)

    @property
    def names(self) -> tuple[str, ...]:
        """As :class:`Domains` says: those of the sub-folders."""
        return tuple(_folders(self.folder))

    def draw(self, domains: Tensor, generator: torch.Generator) -> Views:
        """As :class:`Domains` says."""
        images, labels = _parts(self.folder, self.size)["training"]
        return Views(images[places_of(domains, labels, generator)], domains)

    def held_out(self, part: Part) -> Views:
        """As :class:`Domains` says."""
        return Views(*_parts(self.folder, self.size)[part])

    def truth(self, views: Views, target: Tensor) -> Tensor | None:
        """Not known."""
        return None


@cache
def _folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"folder: no folder {str(folder)!r}; expected one with a sub-folder of images for each domain")
    return domain_folders(folder)[0]


@cache
def _parts(folder: Path, size: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Images (N, 3, size, size) in [-1, 1] and their domains of training, validation and test."""
    found: dict[str, tuple[list[Tensor], list[int]]] = {part: ([], []) for part in ("training", "validation", "test")}
    files = {name: image_files(path, "folder", "images of a domain") for name, path in _folders(folder).items()}
    subjects = sorted({path.stem.split("_")[0] for each in files.values() for path in each})
    parts = {name: {0: "validation", 1: "test", 2: "test"}.get(i % 10, "training") for i, name in enumerate(subjects)}
    for domain, each in enumerate(files.values()):
        for path in each:
            images, domains = found[parts[path.stem.split("_")[0]]]
            image = read_image(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
            images.append(pil_to_tensor(image) / 127.5 - 1)
            domains.append(domain)
    for part, (_, domains) in found.items():
        if missing := set(range(len(files))) - set(domains):
            names = ", ".join(list(files)[domain] for domain in sorted(missing))
            raise ValueError(
                f"folder: no images for {part} in {names}; expected ten subjects or more in every domain, which file "
                "names begin with, such as S010_001.png"
            )
    return {part: (torch.stack(images), torch.tensor(domains)) for part, (images, domains) in found.items()}
