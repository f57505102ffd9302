"""Instance norm with activation and residual for CUDA, in NCHW and channels-last, one or two launches each way.

A program works on a tile of pixels × channels: in NCHW many pixels of one channel, in channels-last some pixels of
many channels, so that loads are contiguous either way. Where one tile holds whole maps, one launch does everything
and reads x once. Larger maps are split: a first launch leaves each part's mean and squared deviations, the second puts
them together (Chan et al.) and writes. No atomics, so results are the same in every run.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymkit.ops.normalize import VARIANCE_FLOOR, layout_of

MOST_PARTS, LEAST_PART = 64, 8192
WHOLE = 16384
"""Maps of up to so many pixels fit one program's registers."""


@triton.jit
def _moments(x, means, deviations, channels, pixels, step_c, step_p, part_size,
             PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """Mean and sum of squared deviations of each part of each map."""
    blocks = tl.cdiv(channels, TILE_C)
    image, part = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(1)
    c = tl.program_id(0) % blocks * TILE_C + tl.arange(0, TILE_C)
    real, base = c < channels, image * channels * pixels + c[None, :] * step_c
    end = tl.minimum((part + 1) * part_size, pixels)
    mean, deviation = tl.zeros((TILE_C,), tl.float32), tl.zeros((TILE_C,), tl.float32)
    seen = 0
    for start in range(part * part_size, end, TILE_P):
        p = start + tl.arange(0, TILE_P)[:, None]
        inside = (p < end) & real[None, :]
        value = tl.load(x + base + p * step_p, inside, 0.0).to(tl.float32)
        count = tl.minimum(end - start, TILE_P)
        own_mean = tl.sum(value, 0) / count
        off = tl.where(inside, value - own_mean[None, :], 0.0)
        delta, total = own_mean - mean, seen + count
        deviation += tl.sum(off * off, 0) + delta * delta * (1.0 * seen * count / total)
        mean += delta * (1.0 * count / total)
        seen = total
    at = (image * channels + c) * PARTS + part
    tl.store(means + at, mean, real)
    tl.store(deviations + at, deviation, real)


@triton.jit
def _write(value, mean, factor, offset, slope, residual, out, place, inside, RESIDUAL: tl.constexpr):
    """Normalise, activate, add and store one tile."""
    y = (value - mean[None, :]) * factor[None, :] + offset[None, :]
    y = tl.where(y > 0, y, slope * y)
    if RESIDUAL:
        y += tl.load(residual + place, inside, 0.0).to(tl.float32)
    tl.store(out + place, y, inside)


@triton.jit
def _apply(x, scale, shift, residual, means, deviations, out, mean_out, rstd_out,
           channels, pixels, step_c, step_p, part_size, slope, eps,
           PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, RESIDUAL: tl.constexpr):  # fmt: skip
    """Normalise one part of each map; with PARTS = 0 the one tile is the whole map and brings its own moments."""
    blocks = tl.cdiv(channels, TILE_C)
    image, part = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(1)
    c = tl.program_id(0) % blocks * TILE_C + tl.arange(0, TILE_C)
    end = tl.minimum((part + 1) * part_size, pixels)
    base = image * channels * pixels + c[None, :] * step_c
    real, at = c < channels, image * channels + c
    weight, offset = tl.load(scale + at, real, 0.0), tl.load(shift + at, real, 0.0)
    if PARTS == 0:
        p = tl.arange(0, TILE_P)[:, None]
        place, inside = base + p * step_p, (p < pixels) & real[None, :]
        value = tl.load(x + place, inside, 0.0).to(tl.float32)
        mean = tl.sum(value, 0) / pixels
        off = tl.where(inside, value - mean[None, :], 0.0)
        rstd = 1 / tl.sqrt(tl.sum(off * off, 0) / pixels + eps)
        _write(value, mean, weight * rstd, offset, slope, residual, out, place, inside, RESIDUAL)
    else:
        k = tl.arange(0, PARTS)[:, None]
        count = tl.maximum(tl.minimum(pixels - k * part_size, part_size), 0).to(tl.float32)
        known = (count > 0) & real[None, :]
        own_mean = tl.load(means + at[None, :] * PARTS + k, known, 0.0)
        mean = tl.sum(own_mean * count, 0) / pixels
        delta = own_mean - mean[None, :]
        deviation = tl.load(deviations + at[None, :] * PARTS + k, known, 0.0) + delta * delta * count
        rstd = 1 / tl.sqrt(tl.sum(deviation, 0) / pixels + eps)
        for start in range(part * part_size, end, TILE_P):
            p = start + tl.arange(0, TILE_P)[:, None]
            place, inside = base + p * step_p, (p < end) & real[None, :]
            value = tl.load(x + place, inside, 0.0).to(tl.float32)
            _write(value, mean, weight * rstd, offset, slope, residual, out, place, inside, RESIDUAL)
    if part == 0:
        tl.store(mean_out + at, mean, real)
        tl.store(rstd_out + at, rstd, real)


@triton.jit
def _active(grad, normed, scale, shift, slope):
    """The gradient before the activation."""
    return tl.where(normed * scale[None, :] + shift[None, :] > 0, grad, slope * grad)


@triton.jit
def _spread(grad, normed, plain, weighted, factor, by_x, place, inside):
    """Take the shares of mean and variance out of the gradient of one tile, and store it."""
    tl.store(by_x + place, (grad - plain[None, :] - normed * weighted[None, :]) * factor[None, :], inside)


@triton.jit
def _sums(grad, x, scale, shift, means, rstds, by_shift, by_scale, channels, pixels, step_c, step_p, part_size, slope,
          PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """Sums of the gradient, and of its products with the normalised maps, over each part of each map."""
    blocks = tl.cdiv(channels, TILE_C)
    image, part = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(1)
    c = tl.program_id(0) % blocks * TILE_C + tl.arange(0, TILE_C)
    real, at = c < channels, image * channels + c
    weight, offset = tl.load(scale + at, real, 0.0), tl.load(shift + at, real, 0.0)
    mean, rstd = tl.load(means + at, real, 0.0), tl.load(rstds + at, real, 0.0)
    end = tl.minimum((part + 1) * part_size, pixels)
    plain, weighted = tl.zeros((TILE_C,), tl.float32), tl.zeros((TILE_C,), tl.float32)
    for start in range(part * part_size, end, TILE_P):
        p = start + tl.arange(0, TILE_P)[:, None]
        inside = (p < end) & real[None, :]
        place = image * channels * pixels + c[None, :] * step_c + p * step_p
        normed = (tl.load(x + place, inside, 0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
        g = _active(tl.load(grad + place, inside, 0.0).to(tl.float32), normed, weight, offset, slope)
        plain += tl.sum(g, 0)
        weighted += tl.sum(g * normed, 0)
    tl.store(by_shift + at * PARTS + part, plain, real)
    tl.store(by_scale + at * PARTS + part, weighted, real)


@triton.jit
def _gradient(grad, x, scale, shift, means, rstds, part_by_shift, part_by_scale, by_x, by_scale, by_shift,
              channels, pixels, step_c, step_p, part_size, slope, eps, floor,
              PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """The gradient of one part of each map; with PARTS = 0 the one tile is the whole map and brings its own sums."""
    blocks = tl.cdiv(channels, TILE_C)
    image, part = (tl.program_id(0) // blocks).to(tl.int64), tl.program_id(1)
    c = tl.program_id(0) % blocks * TILE_C + tl.arange(0, TILE_C)
    real, at = c < channels, image * channels + c
    weight, offset = tl.load(scale + at, real, 0.0), tl.load(shift + at, real, 0.0)
    mean, rstd = tl.load(means + at, real, 0.0), tl.load(rstds + at, real, 1.0)
    base = image * channels * pixels + c[None, :] * step_c
    end = tl.minimum((part + 1) * part_size, pixels)
    variance = tl.maximum(1 / (rstd * rstd) - eps, 0.0)
    factor = weight * rstd * variance / (variance + floor)
    if PARTS == 0:
        p = tl.arange(0, TILE_P)[:, None]
        place, inside = base + p * step_p, (p < pixels) & real[None, :]
        normed = (tl.load(x + place, inside, 0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
        g = _active(tl.load(grad + place, inside, 0.0).to(tl.float32), normed, weight, offset, slope)
        plain, weighted = tl.sum(g, 0), tl.sum(tl.where(inside, g * normed, 0.0), 0)
        _spread(g, normed, plain / pixels, weighted / pixels, factor, by_x, place, inside)
    else:
        k = tl.arange(0, PARTS)[:, None]
        known = (k * part_size < pixels) & real[None, :]
        plain = tl.sum(tl.load(part_by_shift + at[None, :] * PARTS + k, known, 0.0), 0)
        weighted = tl.sum(tl.load(part_by_scale + at[None, :] * PARTS + k, known, 0.0), 0)
        for start in range(part * part_size, end, TILE_P):
            p = start + tl.arange(0, TILE_P)[:, None]
            place, inside = base + p * step_p, (p < end) & real[None, :]
            normed = (tl.load(x + place, inside, 0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
            g = _active(tl.load(grad + place, inside, 0.0).to(tl.float32), normed, weight, offset, slope)
            _spread(g, normed, plain / pixels, weighted / pixels, factor, by_x, place, inside)
    if part == 0:
        tl.store(by_shift + at, plain, real)
        tl.store(by_scale + at, weighted, real)


class _Tiling(NamedTuple):
    """How maps are cut into tiles, and how far apart neighbours lie in memory."""

    grid: tuple[int, int]
    sizes: tuple[int, int, int, int, int]
    """channels, pixels, steps from channel to channel and from pixel to pixel, pixels of a part."""
    tile_p: int
    tile_c: int
    parts: int
    """0 where one tile holds whole maps."""
    warps: int

    def constants(self) -> dict[str, int]:
        """What every launch is compiled for."""
        return {"PARTS": self.parts, "TILE_P": self.tile_p, "TILE_C": self.tile_c, "num_warps": self.warps}


def _tiling(x: Tensor) -> _Tiling:
    n, channels, height, width = x.shape
    pixels = height * width
    if layout_of(x) == torch.channels_last:
        tile_c, tile_p = min(triton.next_power_of_2(channels), 32), 64
        steps, least_part, whole = (1, channels), LEAST_PART // 32, 0
    else:
        tile_c, tile_p = 1, min(triton.next_power_of_2(pixels), 2048)
        steps, least_part, whole = (pixels, 1), LEAST_PART, WHOLE
    if pixels <= whole:
        tile_p, parts, part_size = triton.next_power_of_2(pixels), 0, pixels
    else:
        parts = min(triton.next_power_of_2(triton.cdiv(pixels, least_part)), MOST_PARTS)
        part_size = triton.cdiv(pixels, parts)
    warps = 16 if tile_p * tile_c > 8192 else 8 if tile_p * tile_c > 2048 else 4
    grid = (n * triton.cdiv(channels, tile_c), max(parts, 1))
    return _Tiling(grid, (channels, pixels, *steps, part_size), tile_p, tile_c, parts, warps)


def normalize(
    x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | None, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`asymkit.ops.normalize.normalize`, for CUDA tensors."""
    layout = layout_of(x)
    x, scale, shift = x.contiguous(memory_format=layout), scale.contiguous(), shift.contiguous()
    added = x if residual is None else residual.contiguous(memory_format=layout)
    out, mean, rstd = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
    tiling = _tiling(x)
    means, deviations = (scale.new_empty(scale.numel() * tiling.parts) for _ in range(2))
    if tiling.parts:
        _moments[tiling.grid](x, means, deviations, *tiling.sizes, **tiling.constants())
    _apply[tiling.grid](
        x, scale, shift, added, means, deviations, out, mean, rstd, *tiling.sizes, slope, eps, **tiling.constants(),
        RESIDUAL=residual is not None,
    )  # fmt: skip
    return out, mean, rstd


def normalize_backward(
    grad: Tensor,
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    rstd: Tensor,
    out: Tensor | None,
    slope: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`asymkit.ops.normalize.normalize_backward`; which maps were negative is computed once more."""
    layout = layout_of(x)
    x, grad = x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout)
    scale, shift = scale.contiguous(), shift.contiguous()
    by_x, by_scale, by_shift = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
    tiling = _tiling(x)
    parts = [scale.new_empty(scale.numel() * tiling.parts) for _ in range(2)]
    if tiling.parts:
        _sums[tiling.grid](grad, x, scale, shift, mean, rstd, *parts, *tiling.sizes, slope, **tiling.constants())
    _gradient[tiling.grid](
        grad, x, scale, shift, mean, rstd, *parts, by_x, by_scale, by_shift, *tiling.sizes, slope, eps, VARIANCE_FLOOR,
        **tiling.constants(),
    )  # fmt: skip
    return by_x, by_scale, by_shift
