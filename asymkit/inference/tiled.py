"""Tile-wise inference for images that do not fit into memory, with the instance-norm statistics of the whole image.

Plain tiling normalises each tile by its own statistics, and colours jump at the seams. Here every instance norm is given
the mean and variance of the whole image, and each tile is cut with as much context as the receptive field needs. The
assembled result equals that of one forward pass over the whole image.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from asymkit.arguments import at_least, modules, one_of
from asymkit.checks import check_dense, check_images
from asymkit.inference.any_size import multiple_of
from asymkit.inference.tracing import GivenStatistics, Moments, ReceptiveField
from asymkit.networks.generators import aux_size

Statistics = Literal["exact", "reduced"]


class Tiled(nn.Module):
    """Tile-wise inference: runs a generator on tiles, with the result of one pass over the whole image.

    With ``"exact"`` statistics there is one pass over all tiles for every instance norm, each of which ends at the next
    norm, and one for the result: n norms cost about n / 2 + 1 times the computation, and the memory of one tile.
    ``"reduced"`` takes the statistics from the image resized to the size of a tile, and needs one pass.

    For inference only: gradients are not recorded. Networks whose layers depend on the position in the image, such as
    those with added coordinates, are not supported. ``AnySize(Tiled(generator))`` takes any height and width. The image
    may stay on the CPU while the generator is on a GPU; tiles are moved there one at a time.

    Args:
        generator: any ``(image, condition) -> image`` of convolutions and instance norms that keeps the size, such as
            the generators here or CycleGAN's ``netG_A``.
        tile: side of the square tiles that the result is assembled from, in pixels, without context.
        overlap: context around each tile, in pixels. None takes the radius of the receptive field, which leaves no
            seams; with less, neighbouring tiles are blended linearly.
        statistics: "exact" or "reduced".
        multiple: height and width must be divisible by this; None for ``generator.multiple``, which asymkit's have.

    Raises:
        ValueError: tile is smaller than the generator takes, overlap is negative, statistics is unknown, multiple is
            None and the generator has none, or generator is not a module.

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
        self.multiple, self.least_side = multiple_of(generator, multiple), int(getattr(generator, "least_side", 1))
        self.tile = at_least("tile", tile, least=2 * max(self.multiple, self.least_side))
        self.overlap = None if overlap is None else at_least("overlap", overlap, least=0)
        # torch.compile would trace again for each set of statistics, and DataParallel's threads do not see the mode
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
            condition: as the generator takes it. An image of H×W is cut into the same tiles, a spatial z is resized to
                the feature map that it is concatenated to and cut too, anything else is passed on unchanged. Where z is
                None, it is sampled once for all tiles.

        Returns:
            Images, (N, C', H, W), on the image's device.

        Raises:
            ValueError: image is not a batch of images, its sides are not divisible by ``multiple``, or a layer other
                than an instance norm depends on the whole image, such as attention or global pooling.
        """
        weight = next(self.generator.parameters(), None)
        check_dense("image", image, "a tensor of images (N, C, H, W)", like=weight)
        check_images(image, "image", least_side=self.least_side, multiple_of=self.multiple)
        if condition is not None:
            check_dense("condition", condition, "a tensor as the generator takes it, or None", like=image)
            if condition.ndim == 4:
                check_images(condition, "condition")
        height, width = image.shape[2:]
        run_tile = _TileRunner(self.generator, image, self._prepare_condition(image, condition))
        if max(height, width) <= self.tile:
            return run_tile(_full_span(height), _full_span(width)).to(image.device)
        least = _round_up(max(64, self.least_side), self.multiple)
        network = ReceptiveField(min(height, least))
        run_tile(_full_span(min(height, least)), _full_span(min(width, least)), network)
        radius = _round_up(network.radius, self.multiple)
        overlap = radius if self.overlap is None else _round_up(self.overlap, self.multiple)
        rows, columns = (_spans(side, self.tile, overlap, self.multiple) for side in (height, width))
        tiles = list(itertools.product(rows, columns))
        known = (
            _exact_moments(run_tile, tiles, network.norms)
            if self.statistics == "exact"
            else self._reduced_moments(run_tile)
        )
        blend = 0 if overlap >= radius else min([overlap, *((s.last - s.first) // 2 for s in rows + columns)])
        result: Tensor | None = None
        for down, across in tiles:
            part = run_tile(down, across, GivenStatistics(known)).to(image.device)
            if result is None:
                result = part.new_zeros(*part.shape[:2], height, width)
            weights = down.weights(height, blend)[:, None] * across.weights(width, blend)
            result[..., down.start : down.stop, across.start : across.stop] += part * weights.to(part)
        assert result is not None
        return result

    def _prepare_condition(self, image: Tensor, condition: Tensor | None) -> Tensor | None:
        """The condition, a z that is None sampled, and a spatial z resized so that it can be cut into tiles."""
        translator: Any = getattr(self.generator, "translator", self.generator)  # a DualGenerator calls its translator
        owner: Any = next((each for each in translator.modules() if hasattr(each, "sample_aux")), None)
        if condition is None and getattr(owner, "aux_channels", None):
            size = [aux_size(image)] if getattr(owner, "spatial", False) else []
            condition = owner.sample_aux(image.shape[0], *size)
        if condition is None or condition.ndim != 4 or condition.shape[2:] == image.shape[2:]:
            return condition
        return F.interpolate(condition, [side // self.multiple for side in image.shape[2:]], mode="bilinear")

    def _reduced_moments(self, run_tile: _TileRunner) -> list[Moments]:
        """The moments at every norm for the image resized to the size of a tile."""
        height, width = run_tile.image.shape[2:]
        share = min(1.0, self.tile / max(height, width))
        size = [max(_round_up(max(1, int(side * share)), self.multiple), self.least_side) for side in (height, width)]
        condition = run_tile.condition
        if condition is not None and condition.ndim == 4:
            ratio = condition.shape[2] / height
            condition = _resize(condition, [round(side * ratio) for side in size])
        small = _TileRunner(run_tile.generator, _resize(run_tile.image, size), condition)
        known: list[Moments] = []
        small(_full_span(size[0]), _full_span(size[1]), GivenStatistics(known, Moments.of))
        return known

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"tile={self.tile}, overlap={self.overlap}, statistics={self.statistics!r}"


class _Span(NamedTuple):
    """Range of the rows or columns of a tile: [start, stop) with context, [first, last) without."""

    start: int
    stop: int
    first: int
    last: int

    def slice_of(self, side: int, whole: int) -> slice:
        """The range with context in a feature map of this side, for an image of side ``whole``."""
        return slice(self.start * side // whole, self.stop * side // whole)

    def slice_without_context(self, side: int) -> slice:
        """The range without context in a tile's own feature map of this side."""
        whole = self.stop - self.start
        return slice((self.first - self.start) * side // whole, (self.last - self.start) * side // whole)

    def weights(self, whole: int, blend: int) -> Tensor:
        """Blending weight of each row or column: 1 inside, 0 in the context, a linear ramp of 2 · ``blend`` between."""
        positions = torch.arange(self.start, self.stop) + 0.5
        if not blend:
            return ((positions > self.first) & (positions < self.last)).float()
        rise = (
            ((positions - self.first + blend) / (2 * blend)).clamp(0, 1) if self.first else torch.ones(len(positions))
        )
        return rise * ((self.last + blend - positions) / (2 * blend)).clamp(0, 1) if self.last < whole else rise


def _round_up(side: int, multiple: int) -> int:
    """The least multiple that is not less than side."""
    return -(-side // multiple) * multiple


def _full_span(side: int) -> _Span:
    """All rows or columns of an image, as one tile."""
    return _Span(0, side, 0, side)


def _spans(side: int, tile: int, overlap: int, multiple: int) -> list[_Span]:
    """Tiles of about equal length along one side, at most ``tile`` except for rounding to the multiple."""
    count = -(-side // tile)
    edges = [round(i * side / count / multiple) * multiple for i in range(count + 1)]
    return [_Span(max(0, a - overlap), min(side, b + overlap), a, b) for a, b in itertools.pairwise(edges)]


def _resize(image: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(image, size, mode="bilinear", antialias=True)


class _TileRunner:
    """Calls the generator on a tile of an image and of its condition."""

    def __init__(self, generator: nn.Module, image: Tensor, condition: Tensor | None) -> None:
        self.generator, self.image, self.condition = generator, image, condition
        self.device = next((each.device for each in generator.parameters()), image.device)

    def __call__(
        self, rows: _Span, columns: _Span, mode: contextlib.AbstractContextManager[Any] | None = None
    ) -> Tensor:
        inputs = [self._crop(self.image, rows, columns)]
        if self.condition is not None:
            is_map = self.condition.ndim == 4
            inputs.append(self._crop(self.condition, rows, columns) if is_map else self.condition.to(self.device))
        with mode or contextlib.nullcontext():
            return self.generator(*inputs)

    def _crop(self, x: Tensor, rows: _Span, columns: _Span) -> Tensor:
        (height, width), size = self.image.shape[2:], x.shape[2:]
        return x[..., rows.slice_of(size[0], height), columns.slice_of(size[1], width)].to(self.device)


def _exact_moments(run_tile: _TileRunner, tiles: list[tuple[_Span, _Span]], norms: int) -> list[Moments]:
    """The moments of the whole image at every norm, in order, because those at one norm depend on all norms before it."""
    known: list[Moments] = []
    for _ in range(norms):
        of_tiles = [_moments_at_next_norm(run_tile, rows, columns, known) for rows, columns in tiles]
        known.append(functools.reduce(Moments.merged, of_tiles))
    return known


def _moments_at_next_norm(run_tile: _TileRunner, rows: _Span, columns: _Span, known: list[Moments]) -> Moments:
    """The moments of a tile, without its context, at the first norm after those whose moments are known."""
    found: list[Moments] = []

    def collect(x: Tensor) -> Moments:
        found.append(
            Moments.of(x[..., rows.slice_without_context(x.shape[2]), columns.slice_without_context(x.shape[3])])
        )
        raise _StopForward

    with contextlib.suppress(_StopForward):
        run_tile(rows, columns, GivenStatistics(known, collect))
    return found[0]


class _StopForward(Exception):  # noqa: N818
    """Ends a forward pass of which the remaining layers are not needed."""
