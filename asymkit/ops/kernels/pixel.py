"""Colour L1 and total variation with their gradients for CUDA, in one pass over the images each."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048
ROWS, COLUMNS = 16, 64


@triton.jit
def _differences(x, y, partial, signs, pixels, WANT: tl.constexpr, TILE: tl.constexpr):
    """Sum of absolute differences of one stretch of one channel, and their signs."""
    plane, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    p = part * TILE + tl.arange(0, TILE)
    at, inside = plane * pixels + p, p < pixels
    d = tl.load(x + at, inside, 0.0) - tl.load(y + at, inside, 0.0)
    tl.store(partial + plane * tl.num_programs(1) + part, tl.sum(tl.abs(d), 0))
    if WANT:
        tl.store(signs + at, tl.where(d > 0, 1.0, tl.where(d < 0, -1.0, d)), inside)  # NaN stays NaN


def channel_l1(x: Tensor, y: Tensor, want: bool) -> tuple[Tensor, Tensor]:
    """As :func:`asymkit.ops.pixel.channel_l1`, for CUDA tensors."""
    layout = torch.empty_like(x) if want else x.new_empty(0)
    x, y = x.contiguous(), y.contiguous()
    n, c, height, width = x.shape
    pixels = height * width
    parts = triton.cdiv(pixels, TILE)
    partial = x.new_empty(n, c, parts)
    signs = torch.empty_like(x) if want else layout
    _differences[n * c, parts](x, y, partial, signs, pixels, WANT=want, TILE=TILE)
    return partial.sum(2) / pixels, signs if signs.stride() == layout.stride() else layout.copy_(signs)


@triton.jit
def _step(d, POWER: tl.constexpr):
    """|d|^p and its derivative."""
    if POWER == 1:
        return tl.abs(d), tl.where(d > 0, 1.0, tl.where(d < 0, -1.0, d))
    if POWER == 2:
        return d * d, 2 * d
    size = tl.abs(d)
    lower = tl.where(size > 0, tl.exp2((POWER - 1) * tl.log2(tl.where(size > 0, size, 1.0))), 0.0)
    return lower * size, tl.where(d < 0, -POWER * lower, POWER * lower)


@triton.jit
def _variation(x, partial, gradient, height, width, weight_down, weight_right,
               POWER: tl.constexpr, WANT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """One tile of one channel: differences to the four neighbours, each counted once and differentiated twice."""
    plane, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    across = tl.cdiv(width, COLUMNS)
    r = tile // across * ROWS + tl.arange(0, ROWS)[:, None]
    c = tile % across * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    x += plane * height * width
    inside = (r < height) & (c < width)
    at = r * width + c
    own = tl.load(x + at, inside, 0.0)
    below, beside = inside & (r + 1 < height), inside & (c + 1 < width)
    down, slope_down = _step(tl.where(below, tl.load(x + at + width, below, 0.0) - own, 0.0), POWER)
    right, slope_right = _step(tl.where(beside, tl.load(x + at + 1, beside, 0.0) - own, 0.0), POWER)
    total = tl.sum(tl.sum(down * weight_down + right * weight_right, 1), 0)
    tl.store(partial + plane * tl.num_programs(1) + tile, total)
    if WANT:
        above, before = inside & (r > 0), inside & (c > 0)
        _, slope_up = _step(tl.where(above, own - tl.load(x + at - width, above, 0.0), 0.0), POWER)
        _, slope_left = _step(tl.where(before, own - tl.load(x + at - 1, before, 0.0), 0.0), POWER)
        result = (slope_up - slope_down) * weight_down + (slope_left - slope_right) * weight_right
        tl.store(gradient + plane * height * width + at, result, inside)


def roughness(x: Tensor, power: float, mean: bool, want: bool) -> tuple[Tensor, Tensor]:
    """As :func:`asymkit.ops.pixel.roughness`, for CUDA tensors."""
    layout = torch.empty_like(x) if want else x.new_empty(0)
    x = x.contiguous()
    n, c, height, width = x.shape
    weights = (1 / (c * (height - 1) * width), 1 / (c * height * (width - 1))) if mean else (1.0, 1.0)
    tiles = triton.cdiv(height, ROWS) * triton.cdiv(width, COLUMNS)
    partial = x.new_empty(n, c * tiles)
    gradient = torch.empty_like(x) if want else layout
    _variation[n * c, tiles](
        x, partial, gradient, height, width, *weights, POWER=power, WANT=want, ROWS=ROWS, COLUMNS=COLUMNS
    )
    return partial.sum(1), gradient if gradient.stride() == layout.stride() else layout.copy_(gradient)
