"""Images larger than memory, tile by tile, with the instance norms of the whole image.

An instance norm looks at the whole image: on tiles each is normalised by itself, and colours jump at the seams. Here
every norm is given the statistics of the whole image, and tiles are cut with as much context as the network reaches.
What is put together from them is what the network makes of the image in one piece.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from asymkit.arguments import at_least, modules, one_of
from asymkit.checks import check_dense, check_images
from asymkit.inference.any_size import divisor_of
from asymkit.inference.tracing import GivenNorms, Moments, ReceptiveField
from asymkit.networks.generators import aux_size

Statistics = Literal["exact", "reduced"]


class Tiled(nn.Module):
    """A generator that works on tiles and gives what it would give for the whole image.

    With ``"exact"`` statistics the image is gone through once for every instance norm, each time one norm deeper, and
    once more for the result: n norms cost about n / 2 + 1 times the computation, and never more memory than a tile
    needs. ``"reduced"`` takes the statistics from the image shrunk to the size of a tile and goes through it once.

    For inference: gradients are not kept. Layers that know where in the image they are, such as added coordinates, are
    not for tiles. ``AnySize(Tiled(generator))`` takes any height and width. Images may stay on
    the CPU while the generator is on a GPU, tiles are sent there one by one.

    Args:
        generator: any ``(image, condition) -> image`` of convolutions and instance norms that keeps the size, such as
            the generators here or CycleGAN's ``netG_A``.
        tile: side of the squares that the result is made of, in pixels; the context comes on top.
        overlap: context around each tile, in pixels. None takes as much as the network reaches, with which there are no
            seams; with less, neighbouring tiles are faded into each other.
        statistics: "exact" or "reduced".
        multiple: what the generator needs sides to be divisible by; None for its own, which those here state.

    Raises:
        ValueError: a tile smaller than the generator takes, a negative overlap, unknown statistics, no multiple stated, a
            generator that is no network.

    Example:
        >>> import torch
        >>> from asymkit import ResnetGenerator, Tiled
        >>> generator, image = ResnetGenerator(width=4, blocks=1), torch.randn(1, 3, 96, 64)
        >>> torch.allclose(Tiled(generator, tile=32)(image), generator(image), atol=1e-5)
        True
    """

    def __init__(
        self,
        generator: nn.Module,
        tile: int = 512,
        overlap: int | None = None,
        statistics: Statistics = "exact",
        multiple: int | None = None,
    ) -> None:
        super().__init__()
        one_of("statistics", statistics, ("exact", "reduced"))
        modules(generator=generator)
        self.multiple, self.least_side = divisor_of(generator, multiple), int(getattr(generator, "least_side", 1))
        self.tile = at_least("tile", tile, least=2 * max(self.multiple, self.least_side))
        self.overlap = None if overlap is None else at_least("overlap", overlap, least=0)
        # a compiled network would be traced anew for each set of statistics, and DataParallel's threads do not see them
        inner: Any = generator
        while isinstance(inner, nn.DataParallel | DistributedDataParallel) or hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod if hasattr(inner, "_orig_mod") else inner.module
        self.generator: nn.Module = inner
        self.statistics = statistics

    @torch.no_grad()
    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, C, H, W), on any device, sides divisible by ``multiple``.
            condition: as the generator takes it. An image of H×W is cut as the image is, a spatial z brought to the size
                of the map it joins, anything else handed on; where z is left out, it is drawn once for all tiles.

        Returns:
            Images, (N, C', H, W), on the image's device.

        Raises:
            ValueError: no batch of images, sides that do not divide, a network whose layers see the whole image in
                another way than instance norms do.
        """
        weight = next(self.generator.parameters(), None)
        check_dense("image", image, "a tensor of images (N, C, H, W)", like=weight)
        check_images(image, "image", least_side=self.least_side, multiple_of=self.multiple)
        if condition is not None:
            check_dense("condition", condition, "a tensor as the generator takes it, or None", like=image)
            if condition.ndim == 4:
                check_images(condition, "condition")
        height, width = image.shape[2:]
        cut = _Cut(self.generator, image, self._spread(image, condition))
        if max(height, width) <= self.tile:
            return cut(_whole(height), _whole(width)).to(image.device)
        least = _up(max(64, self.least_side), self.multiple)
        network = ReceptiveField(min(height, least))
        cut(_whole(min(height, least)), _whole(min(width, least)), network)
        reach = _up(network.pixels, self.multiple)
        overlap = reach if self.overlap is None else _up(self.overlap, self.multiple)
        rows, columns = (_spans(side, self.tile, overlap, self.multiple) for side in (height, width))
        tiles = list(itertools.product(rows, columns))
        known = _exact(cut, tiles, network.norms) if self.statistics == "exact" else self._reduced(cut)
        fade = 0 if overlap >= reach else min([overlap, *(span.length // 2 for tile in tiles for span in tile)])
        result: Tensor | None = None
        for down, across in tiles:
            part = cut(down, across, GivenNorms(known)).to(image.device)
            if result is None:
                result = part.new_zeros(*part.shape[:2], height, width)
            weights = down.weights(height, fade)[:, None] * across.weights(width, fade)
            result[..., down.start : down.stop, across.start : across.stop] += part * weights.to(part)
        assert result is not None
        return result

    def _spread(self, image: Tensor, condition: Tensor | None) -> Tensor | None:
        """The condition, drawn if need be, a map brought to where every tile can have its part of it."""
        translator: Any = getattr(self.generator, "translator", self.generator)  # of a pair, the one that is called
        drawn: Any = next((each for each in translator.modules() if hasattr(each, "sample_aux")), None)
        if condition is None and getattr(drawn, "aux_channels", None):
            size = [aux_size(image)] if getattr(drawn, "spatial", False) else []
            condition = drawn.sample_aux(image.shape[0], *size)
        if condition is None or condition.ndim != 4 or condition.shape[2:] == image.shape[2:]:
            return condition
        return F.interpolate(condition, [side // self.multiple for side in image.shape[2:]], mode="bilinear")

    def _reduced(self, cut: _Cut) -> list[Moments]:
        height, width = cut.image.shape[2:]
        share = min(1.0, self.tile / max(height, width))
        size = [max(_up(max(1, int(side * share)), self.multiple), self.least_side) for side in (height, width)]
        small = _Cut(cut.generator, _resized(cut.image, size), cut.condition)
        if small.condition is not None and small.condition.ndim == 4:
            ratio = small.condition.shape[2] / height
            small.condition = _resized(small.condition, [round(side * ratio) for side in size])
        known: list[Moments] = []
        small(_whole(size[0]), _whole(size[1]), GivenNorms(known, Moments.of))
        return known

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"tile={self.tile}, overlap={self.overlap}, statistics={self.statistics!r}"


class _Span(NamedTuple):
    """Rows or columns of a tile."""

    start: int
    """With context."""
    stop: int
    first: int
    """Without."""
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first

    def of(self, side: int, whole: int) -> slice:
        """The same part, with context, of a map whose whole side corresponds to ``whole`` pixels."""
        return slice(self.start * side // whole, self.stop * side // whole)

    def inner(self, side: int) -> slice:
        """The part without context of a tile's map, ``side`` pixels long."""
        whole = self.stop - self.start
        return slice((self.first - self.start) * side // whole, (self.last - self.start) * side // whole)

    def weights(self, whole: int, fade: int) -> Tensor:
        """How much of each pixel to take: 1 inside and 0 in the context, fading over twice ``fade`` in between."""
        places = torch.arange(self.start, self.stop) + 0.5
        if not fade:
            return ((places > self.first) & (places < self.last)).float()
        rise = ((places - self.first + fade) / (2 * fade)).clamp(0, 1) if self.first else torch.ones(len(places))
        return rise * ((self.last + fade - places) / (2 * fade)).clamp(0, 1) if self.last < whole else rise


Tile = tuple[_Span, _Span]


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _whole(side: int) -> _Span:
    return _Span(0, side, 0, side)


def _spans(side: int, tile: int, overlap: int, multiple: int) -> list[_Span]:
    """Parts of about equal length, ``tile`` at most but for rounding to the multiple."""
    count = -(-side // tile)
    edges = [round(i * side / count / multiple) * multiple for i in range(count + 1)]
    return [_Span(max(0, a - overlap), min(side, b + overlap), a, b) for a, b in itertools.pairwise(edges)]


def _resized(image: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(image, list(size), mode="bilinear", antialias=True)


class _Cut:
    """What the generator makes of a tile of an image and of its condition."""

    def __init__(self, generator: nn.Module, image: Tensor, condition: Tensor | None) -> None:
        self.generator, self.image, self.condition = generator, image, condition
        self.device = next((each.device for each in generator.parameters()), image.device)

    def __call__(
        self, rows: _Span, columns: _Span, watch: contextlib.AbstractContextManager[Any] | None = None
    ) -> Tensor:
        inputs = [self._part(self.image, rows, columns)]
        if self.condition is not None:
            is_map = self.condition.ndim == 4
            inputs.append(self._part(self.condition, rows, columns) if is_map else self.condition.to(self.device))
        with watch or contextlib.nullcontext():
            return self.generator(*inputs)

    def _part(self, x: Tensor, rows: _Span, columns: _Span) -> Tensor:
        (height, width), size = self.image.shape[2:], x.shape[2:]
        return x[..., rows.of(size[0], height), columns.of(size[1], width)].to(self.device)


def _exact(cut: _Cut, tiles: list[Tile], norms: int) -> list[Moments]:
    """The moments at every norm, found one after the other: those of the next depend on all before."""
    known: list[Moments] = []
    for _ in range(norms):
        known.append(functools.reduce(Moments.joined, [_next(cut, rows, columns, known) for rows, columns in tiles]))
    return known


def _next(cut: _Cut, rows: _Span, columns: _Span, known: list[Moments]) -> Moments:
    """The moments of a tile, without its context, at the first norm whose moments are not known yet."""
    found: list[Moments] = []

    def gather(x: Tensor) -> Moments:
        found.append(Moments.of(x[..., rows.inner(x.shape[2]), columns.inner(x.shape[3])]))
        raise _Enough

    with contextlib.suppress(_Enough):
        cut(rows, columns, GivenNorms(known, gather))
    return found[0]


class _Enough(Exception):  # noqa: N818
    """Ends a forward pass whose rest is not needed."""
