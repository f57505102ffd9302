"""Drawn scenes with hidden factors, for scores of segmentation: a label map, and a rendering of it like a photograph.

Sky, ground and objects (houses, trees and a sun) at random places. The poor image is the label map in one colour for
each class; the rich one gives each class the grain of a photograph and a shade, and a hue that is drawn at random for
the first ``factors`` of :data:`FACTORS`. Training images never repeat, and the parts come from different generators.
"""

from __future__ import annotations

import math
import typing
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hidden_factors.data import CHANCE, Pairs, Part, colour, hue_of, textures
from hidden_factors.segmentation import both_ways, label_map, train_segmenter

CLASSES = ("sky", "ground", "house", "tree", "sun")
FACTORS = ("sky", "ground", "house")
FIXED = torch.tensor([0.6, 0.25, 0.05, 0.36, 0.15])
"""Hues of the classes where they are not hidden."""
MEAN, AMPLITUDE = 0.4, 0.25


class Scenes:
    """Both domains, drawn with exact truth; a :class:`hidden_factors.data.Data`.

    Args:
        factors: how many are hidden, 0 to 3.
        size: side of the images in pixels, at least 16.

    Raises:
        ValueError: a number of factors that there is not.
    """

    determined = False

    def __init__(self, factors: int = 1, size: int = 32) -> None:
        if not 0 <= factors <= len(FACTORS):
            raise ValueError(f"factors must be from 0 to {len(FACTORS)}, got {factors}")
        self.factors, self.size, self.names = factors, size, FACTORS[:factors]
        down = torch.linspace(0.85, 1.15, size)[:, None]
        self.grain = (1 + textures(size)[: len(CLASSES), 0]) * down  # of each class, (classes, size, size)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Pairs:
        """As :class:`hidden_factors.data.Data` says."""
        own = torch.Generator().manual_seed(_seed(part, generator))
        layout = torch.stack([self._layout(own) for _ in range(count)])[:, None]
        factors = torch.rand(count, self.factors, generator=own)
        return Pairs(self.render(layout, factors), self.poor(layout), layout, factors)

    def poor(self, layout: Tensor) -> Tensor:
        """The label maps in colours, (N, 3, size, size)."""
        return label_map(layout[:, 0])

    def render(self, layout: Tensor, factors: Tensor) -> Tensor:
        """As :class:`hidden_factors.data.Data` says."""
        hues = torch.cat([factors, FIXED[self.factors :].expand(len(layout), -1)], dim=1)
        colours = colour(hues.flatten(), MEAN, AMPLITUDE).view(len(layout), len(CLASSES), 3, 1, 1)
        shown = _one_hot(layout)[:, :, None] * colours * self.grain[None, :, None]
        return 2 * shown.sum(1) - 1

    def read(self, images: Tensor, layout: Tensor) -> Tensor:
        """The hue of each class by least squares; of a class that a scene does not show, that of black, 0."""
        weight = _one_hot(layout)[:, : self.factors] * self.grain[: self.factors]
        squares = weight.square().sum((2, 3)).clamp(min=1e-9)
        colours = torch.einsum("nkhw,nchw->nkc", weight, (images + 1) / 2) / squares[..., None]
        return hue_of(colours.flatten(0, 1)).view(len(images), self.factors)

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """As :class:`hidden_factors.data.Data` says."""
        apart = (found - true).abs()
        return torch.minimum(apart, 1 - apart) / CHANCE[0]

    def recognised(self, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> dict[str, float]:
        """G(x) by its nearest palette colour, F(y, z) by a network that was trained on real rich images."""
        return both_ways(fake_poor, fake_rich, truth.layout[:, 0], segmenter(self.size))

    def _layout(self, generator: torch.Generator) -> Tensor:
        """Classes, (size, size)."""

        def between(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=generator))

        down, right = torch.meshgrid(*[(torch.arange(self.size) + 0.5) / self.size] * 2, indexing="ij")
        horizon = between(0.4, 0.65)
        classes = (down > horizon + 0.05 * torch.sin(2 * math.pi * (right + between(0, 1)))).long()
        x, y, radius = between(0.15, 0.85), between(0.1, 0.25), between(0.07, 0.12)
        classes[(right - x).square() + (down - y).square() < radius**2] = CLASSES.index("sun")
        x, width, height, foot = between(0.15, 0.85), between(0.1, 0.18), between(0.2, 0.4), horizon + between(0.1, 0.3)
        classes[((right - x).abs() < width) & (down < foot) & (down > foot - height)] = CLASSES.index("house")
        x, width, height, foot = between(0.1, 0.9), between(0.08, 0.15), between(0.25, 0.4), horizon + between(0.1, 0.3)
        below = (down - foot + height) / height  # of a triangle, from its tip
        classes[(below < 1) & ((right - x).abs() < width * below)] = CLASSES.index("tree")
        return classes


@cache
def segmenter(size: int, steps: int = 150) -> nn.Module:
    """Of rich images, trained on true ones with all factors hidden."""
    data, generator = Scenes(len(FACTORS), size), torch.Generator().manual_seed(0)
    drawn = (data.draw(8, generator, "rich") for _ in range(steps))
    return train_segmenter((pairs.rich, pairs.layout[:, 0]) for pairs in drawn)


def _one_hot(layout: Tensor) -> Tensor:
    """(N, classes, H, W)."""
    return F.one_hot(layout[:, 0], len(CLASSES)).permute(0, 3, 1, 2).float()


def _seed(part: Part, generator: torch.Generator) -> int:
    """Of a batch; those of different parts are never the same."""
    parts = typing.get_args(Part)
    return len(parts) * int(torch.randint(2**40, (), generator=generator)) + parts.index(part)
