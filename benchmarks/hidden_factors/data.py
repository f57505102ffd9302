"""Handwritten strokes with hidden factors: two unpaired domains whose truth is known in both directions.

A poor image is a stroke in grey. A rich image is a stroke whose look depends on factors drawn at random, the first
``factors`` of :data:`FACTORS`; the others keep one value. Each factor is uniform and is read in :data:`BINS` bins, so
the number of factors is a dial from 0 bits, where each domain determines the other, in steps of log2(12) = 3.58 bits.

The strokes are the 8×8 digits that ship with scikit-learn, turned, scaled and shifted a little, anew for every image;
the textures are patches of freely licensed photographs that ship with scikit-image and scikit-learn.
"""

from __future__ import annotations

import math
import typing
from functools import cache
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from support.data.images import bundled_photos, random_crop
from support.report.classifier import accuracy, train_classifier
from torch import Tensor, nn

FACTORS = ("background hue", "stroke hue", "light", "texture")
BINS = 12
"""Of every factor, in which its entropy is counted; also the number of textures."""

Part = Literal["rich", "poor", "validation", "test"]
"""Strokes of the rich and of the poor domain in training, and two parts that are held out from both."""

CHANCE = (0.25, 0.25, 1 / 3, 1 - 1 / BINS)
"""Mean distance of two independent values of each factor."""
STROKE, BACKGROUND = (0.65, 0.35), (0.3, 0.2)
"""Mean of the three channels and amplitude of the colours, in [0, 1]."""
FIXED = (2 / 3, 1 / 6, 1.0, 0.0)
"""What a factor is where it is not hidden: a blue background, a yellow stroke, full light, no texture."""
DARKEST = 0.55
BY_CLASS = (1, 3, 7, 9)
"""A factor that is determined is this many tenths times the digit, modulo 1: four different orders of the digits."""


class Pairs(NamedTuple):
    """Images with their truth; a training takes the rich half of one batch and the poor half of another."""

    rich: Tensor  # (N, 3, size, size), in [-1, 1]
    poor: Tensor  # (N, 3, size, size), in [-1, 1]
    layout: Tensor  # (N, 1, size, size), what both show: how much of a pixel is stroke, or the class of a pixel
    factors: Tensor  # (N, hidden), in [0, 1)
    digits: Tensor | None = None  # (N,)


class Source(Protocol):
    """Images of two domains: a :class:`Data`, or :class:`hidden_factors.digits.Digits`, whose truth is not known."""

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Pairs:
        """Images of one part, all chance from the generator."""


class Data(Source, Protocol):
    """Two domains with exact truth: :class:`Strokes`, and :class:`hidden_factors.scenes.Scenes`."""

    factors: int
    """How many are hidden."""
    size: int
    """Side of the images in pixels."""
    names: tuple[str, ...]
    """Of the hidden factors."""
    determined: bool
    """Whether they follow from what the poor image shows."""

    def render(self, layout: Tensor, factors: Tensor) -> Tensor:
        """The rich images of these layouts with these factors, (N, hidden)."""

    def read(self, images: Tensor, layout: Tensor) -> Tensor:
        """The hidden factors that explain these rich images best, (N, hidden); exact on true images."""

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Distance of factors, (..., hidden): 1 is the mean distance of independent values."""

    def recognised(self, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> dict[str, float]:
        """How well classifiers of real images recognise G(x) and F(y, z)."""


class Strokes:
    """Both domains, drawn with exact truth.

    Args:
        factors: how many are hidden, 0 to 4.
        size: side of the images in pixels.
        determined: the factors follow from the digit, instead of by chance: then one rich image is right for a poor one.

    Raises:
        ValueError: a number of factors that there is not.
    """

    def __init__(self, factors: int = 1, size: int = 16, determined: bool = False) -> None:
        if not 0 <= factors <= len(FACTORS):
            raise ValueError(f"factors must be from 0 to {len(FACTORS)}, got {factors}")
        self.factors, self.size, self.determined = factors, size, determined
        self.names = FACTORS[:factors]
        self.textures = textures(size)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Pairs:
        """As :class:`Data` says."""
        strokes, digits = digits_of(part)
        places = torch.randint(len(digits), (count,), generator=generator)
        stroke = placed(strokes[places], self.size, generator)
        chance = torch.rand(count, self.factors, generator=generator)
        factors = self._by_class(digits[places]) if self.determined else chance
        if self.factors == len(FACTORS):
            factors = torch.cat([factors[:, :3], ((factors[:, 3:] * BINS).floor() + 0.5) / BINS], dim=1)
        return Pairs(self.render(stroke, factors), self.grey(stroke), stroke, factors, digits[places])

    def grey(self, stroke: Tensor) -> Tensor:
        """The poor image of a stroke."""
        return (2 * stroke - 1).expand(-1, 3, -1, -1).contiguous()

    def render(self, stroke: Tensor, factors: Tensor) -> Tensor:
        """The rich image of a stroke, (N, 1, size, size), with these factors, (N, hidden)."""
        background, ink, light, _ = (
            factors[:, i] if i < self.factors else torch.full((len(stroke),), FIXED[i]) for i in range(4)
        )
        light = DARKEST + (1 - DARKEST) * light
        grain = self.textures[(factors[:, 3] * BINS).long()] if self.factors == len(FACTORS) else 0.0
        behind = colour(background, *BACKGROUND) * (1 + grain)
        image = stroke * colour(ink, *STROKE) + (1 - stroke) * behind
        return 2 * image * light[:, None, None, None] - 1

    def read(self, images: Tensor, stroke: Tensor) -> Tensor:
        """The hidden factors that explain these rich images best, given their strokes; exact on true images.

        For each texture the colours of stroke and background are fitted by least squares, and the texture with the
        smallest residual is taken.

        Returns:
            (N, hidden), in [0, 1].
        """
        pixels = ((images + 1) / 2).flatten(2).transpose(1, 2)
        hidden = self.factors == len(FACTORS)
        grains = self.textures if hidden else torch.zeros(1, 1, self.size, self.size)
        fits = [_fit(pixels, stroke.flatten(1), grain.flatten()) for grain in grains]
        best = torch.stack([residual for _, residual in fits]).argmin(0)
        ink, background = torch.stack([colours for colours, _ in fits])[best, torch.arange(len(images))].unbind(1)
        light = ((background.mean(1) / BACKGROUND[0] - DARKEST) / (1 - DARKEST)).clamp(0, 1)
        found = torch.stack([hue_of(background), hue_of(ink), light, (best + 0.5) / BINS], dim=1)
        return found[:, : self.factors]

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Distance of factors, (..., hidden), 1 for the mean distance of independent values: hues go round in a circle."""
        apart = (found - true).abs()
        kinds = [torch.minimum(apart, 1 - apart), torch.minimum(apart, 1 - apart), apart, (apart > 0.5 / BINS).float()]
        each = [kinds[i][..., i] / CHANCE[i] for i in range(self.factors)]
        return torch.stack(each, dim=-1) if each else apart

    def recognised(self, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> dict[str, float]:
        """Share of G(x) that a classifier trained on real poor images reads right."""
        assert truth.digits is not None
        return {"x→y accuracy": accuracy(reader(self.size), fake_poor, truth.digits)}

    def _by_class(self, digits: Tensor) -> Tensor:
        tenths = digits[:, None] * torch.tensor(BY_CLASS[: self.factors]) % 10
        return (tenths + 0.5) / 10


def colour(hue: Tensor, mean: float, amplitude: float) -> Tensor:
    """(N, 3, 1, 1): the channels are thirds of a circle apart, so that their mean does not depend on the hue."""
    angle = 2 * math.pi * (hue[:, None] - torch.arange(3) / 3)
    return (mean + amplitude * angle.cos())[..., None, None]


def hue_of(colours: Tensor) -> Tensor:
    """Of colours (N, 3); the inverse of :func:`_colour`."""
    red, green, blue = colours.unbind(1)
    return torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * math.pi) % 1


def _fit(pixels: Tensor, stroke: Tensor, grain: Tensor) -> tuple[Tensor, Tensor]:
    """Colours of stroke and background (N, 2, 3), and what they leave unexplained (N,)."""
    parts = torch.stack([stroke, (1 - stroke) * (1 + grain)], dim=2)
    squares = parts.transpose(1, 2) @ parts + 1e-9 * torch.eye(2)
    colours = torch.linalg.solve(squares, parts.transpose(1, 2) @ pixels)
    return colours, (pixels - parts @ colours).square().mean((1, 2))


def places_of(wanted: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Places of images whose labels are the wanted ones, (N,), each image of a label as likely as any other."""
    chance = torch.rand(len(wanted), generator=generator)
    alike = [(labels == label).nonzero()[:, 0] for label in range(int(labels.max()) + 1)]
    pairs = zip(wanted.tolist(), chance.tolist(), strict=True)
    return torch.stack([alike[label][int(share * len(alike[label]))] for label, share in pairs])


def placed(strokes: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Strokes (N, 1, 8, 8) turned by up to 9 degrees, scaled to 0.8 to 1 of the side and shifted by up to 8 % of it."""
    chance = 2 * torch.rand(len(strokes), 4, generator=generator) - 1
    angle, scale, shift = 0.157 * chance[:, 0], 0.9 + 0.1 * chance[:, 1], 0.16 * chance[:, 2:]
    cos, sin = angle.cos() / scale, angle.sin() / scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, [len(strokes), 1, size, size], align_corners=False)
    return (1.25 * F.grid_sample(strokes, grid, align_corners=False)).clamp(0, 1)


@cache
def digits_of(part: Part) -> tuple[Tensor, Tensor]:
    """Strokes (N, 1, 8, 8) in [0, 1] and what they say; no digit is in two parts."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    test, validation, training = order[:300], order[300:450], order[450:]
    chosen = {"rich": training[::2], "poor": training[1::2], "validation": validation, "test": test}[part]
    return torch.from_numpy(data.images[chosen] / 16).float()[:, None], torch.from_numpy(data.target[chosen]).long()


@cache
def textures(size: int) -> Tensor:
    """Patches of the bundled photographs, (BINS, 1, size, size), of mean zero and at most ±0.4."""
    rng = np.random.default_rng(0)
    photos = bundled_photos()
    patches = np.stack([random_crop(photos[i % len(photos)], size, 6.0, rng).mean(2) for i in range(BINS)])
    grain = torch.from_numpy(patches).float()[:, None]
    grain = grain - grain.mean((2, 3), keepdim=True)
    return 0.4 * grain / grain.abs().amax((2, 3), keepdim=True)


@cache
@torch.enable_grad()
def reader(size: int) -> nn.Module:
    """A classifier of true poor images, trained on the strokes of both domains' training parts."""
    data, generator, parts = Strokes(0, size), torch.Generator().manual_seed(0), typing.get_args(Part)[:2]
    batches = (data.draw(64, generator, part) for _ in range(100) for part in parts)
    return train_classifier(((pairs.poor, pairs.digits) for pairs in batches), 3, 10, torch.device("cpu"))  # type: ignore[misc]
