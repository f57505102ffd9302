"""Instance norm with activation and residual for CUDA, in NCHW and channels-last, one or two launches each way.

A program works on a tile of pixels × channels: in NCHW many pixels of one channel, in channels-last some pixels of
many channels, so that loads are contiguous either way. If one tile holds whole feature maps, one launch does everything
and reads x once. Larger maps are split into parts: a first launch stores each part's mean and sum of squared deviations,
the second combines them (Chan et al.) and writes. No atomics, so results are the same in every run. Offsets are int64 and
grids have one dimension, so that tensors may hold more than 2³¹ values.

Arguments of the kernels: x, residual, grad, out and grad_x are (N, C, H, W) of one memory layout, with ``step_c`` and
``step_p`` values from channel to channel and from pixel to pixel; scale, shift, mean, rstd and their gradients (N, C);
means, deviations, part_shifts and part_scales, which hold one value per part, (N, C, PARTS).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymkit.ops.eager.norm import VARIANCE_FLOOR, layout_of
from asymkit.ops.kernels.integers import cdiv, next_power_of_2

MOST_PARTS = {torch.contiguous_format: 64, torch.channels_last: 128}
LEAST_PART = 8192
"""Values of a part at least; in channels-last those of 32 channels together."""
WHOLE = 16384
"""Feature maps of up to this many pixels fit into the registers of one program."""


@triton.jit
def _part(channels, PARTS: tl.constexpr, TILE_C: tl.constexpr, SECOND: tl.constexpr):
    """Image, channels (TILE_C,) and part of the feature maps that this program works on, int64.

    The SECOND launch goes in reverse order, to begin with what the first one read last, which is still in the cache: the
    first loads with evict_last, the second with evict_first.
    """
    program, parts = tl.program_id(0).to(tl.int64), tl.maximum(PARTS, 1)
    if SECOND:
        program = tl.num_programs(0) - 1 - program
    part, program, blocks = program % parts, program // parts, tl.cdiv(channels, TILE_C)
    return program // blocks, program % blocks * TILE_C + tl.arange(0, TILE_C), part


@triton.jit
def _affine(scale, shift, row, mask, AFFINE: tl.constexpr, TILE_C: tl.constexpr):
    """Scale and shift of each channel, (TILE_C,)."""
    weight, bias = tl.full((TILE_C,), 1.0, tl.float32), tl.zeros((TILE_C,), tl.float32)
    if AFFINE:
        weight, bias = tl.load(scale + row, mask, 0.0), tl.load(shift + row, mask, 0.0)
    return weight, bias


@triton.jit
def _moments(x, means, deviations, channels, pixels, step_c, step_p, part_size,
             PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """First launch of forward: mean and sum of squared deviations of each part of each map."""
    image, c, part = _part(channels, PARTS, TILE_C, SECOND=False)
    channel_mask, base = c < channels, image * channels * pixels + c[None, :] * step_c
    end = tl.minimum((part + 1) * part_size, pixels)
    mean, deviation = tl.zeros((TILE_C,), tl.float32), tl.zeros((TILE_C,), tl.float32)
    for start in range(part * part_size, end, TILE_P):
        p = start + tl.arange(0, TILE_P)[:, None].to(tl.int64)
        mask = (p < end) & channel_mask[None, :]
        value = tl.load(x + base + p * step_p, mask, 0.0, eviction_policy="evict_last").to(tl.float32)
        seen, count = start - part * part_size, tl.minimum(end - start, TILE_P)
        part_mean = tl.sum(value, 0) / count
        off = tl.where(mask, value - part_mean[None, :], 0.0)
        delta, total = part_mean - mean, seen + count
        deviation += tl.sum(off * off, 0) + delta * delta * (1.0 * seen * count / total)
        mean += delta * (1.0 * count / total)
    row = (image * channels + c) * PARTS + part
    tl.store(means + row, mean, channel_mask)
    tl.store(deviations + row, deviation, channel_mask)


@triton.jit
def _write(value, mean, factor, bias, slope, residual, out, offset, mask, RESIDUAL: tl.constexpr):
    """Normalise, activate, add the residual and store one tile, (TILE_P, TILE_C)."""
    y = (value - mean[None, :]) * factor[None, :] + bias[None, :]
    y = tl.where(y > 0, y, slope * y)
    if RESIDUAL:
        y += tl.load(residual + offset, mask, 0.0, eviction_policy="evict_first").to(tl.float32)
    tl.store(out + offset, y, mask)


@triton.jit
def _apply(x, scale, shift, residual, means, deviations, out, mean_out, rstd_out,
           channels, pixels, step_c, step_p, part_size, slope, eps,
           PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, AFFINE: tl.constexpr, RESIDUAL: tl.constexpr):  # fmt: skip
    """Normalise one part of each map; with PARTS = 0 the tile is the whole map, whose moments are computed here."""
    image, c, part = _part(channels, PARTS, TILE_C, SECOND=True)
    end = tl.minimum((part + 1) * part_size, pixels)
    base = image * channels * pixels + c[None, :] * step_c
    channel_mask, row = c < channels, image * channels + c
    weight, bias = _affine(scale, shift, row, channel_mask, AFFINE, TILE_C)
    if PARTS == 0:
        p = tl.arange(0, TILE_P)[:, None].to(tl.int64)
        offset, mask = base + p * step_p, (p < pixels) & channel_mask[None, :]
        value = tl.load(x + offset, mask, 0.0).to(tl.float32)
        mean = tl.sum(value, 0) / pixels
        off = tl.where(mask, value - mean[None, :], 0.0)
        rstd = 1 / tl.sqrt(tl.sum(off * off, 0) / pixels + eps)
        _write(value, mean, weight * rstd, bias, slope, residual, out, offset, mask, RESIDUAL)
    else:
        k = tl.arange(0, PARTS)[:, None].to(tl.int64)
        count = tl.maximum(tl.minimum(pixels - k * part_size, part_size), 0).to(tl.float32)
        part_mask = (count > 0) & channel_mask[None, :]
        part_mean = tl.load(means + row[None, :] * PARTS + k, part_mask, 0.0)
        mean = tl.sum(part_mean * count, 0) / pixels
        delta = part_mean - mean[None, :]
        deviation = tl.load(deviations + row[None, :] * PARTS + k, part_mask, 0.0) + delta * delta * count
        rstd = 1 / tl.sqrt(tl.sum(deviation, 0) / pixels + eps)
        for start in range(part * part_size, end, TILE_P):
            p = start + tl.arange(0, TILE_P)[:, None].to(tl.int64)
            offset, mask = base + p * step_p, (p < end) & channel_mask[None, :]
            value = tl.load(x + offset, mask, 0.0, eviction_policy="evict_first").to(tl.float32)
            _write(value, mean, weight * rstd, bias, slope, residual, out, offset, mask, RESIDUAL)
    if part == 0:
        tl.store(mean_out + row, mean, channel_mask)
        tl.store(rstd_out + row, rstd, channel_mask)


@triton.jit
def _active(grad, normed, scale, shift, slope):
    """The gradient before the activation."""
    return tl.where(normed * scale[None, :] + shift[None, :] > 0, grad, slope * grad)


@triton.jit
def _store_grad_x(grad, normed, plain, weighted, factor, grad_x, offset, mask):
    """Subtract the contributions through mean and variance from the gradient of one tile, and store it."""
    tl.store(grad_x + offset, (grad - plain[None, :] - normed * weighted[None, :]) * factor[None, :], mask)


@triton.jit
def _sums(grad, x, scale, shift, means, rstds, grad_shift, grad_scale, channels, pixels, step_c, step_p, part_size, slope,
          PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, AFFINE: tl.constexpr):  # fmt: skip
    """First launch of backward: sums of the gradient, and of its product with the normalised map, over each part."""
    image, c, part = _part(channels, PARTS, TILE_C, SECOND=False)
    channel_mask, row = c < channels, image * channels + c
    weight, bias = _affine(scale, shift, row, channel_mask, AFFINE, TILE_C)
    mean, rstd = tl.load(means + row, channel_mask, 0.0), tl.load(rstds + row, channel_mask, 0.0)
    end = tl.minimum((part + 1) * part_size, pixels)
    plain, weighted = tl.zeros((TILE_C,), tl.float32), tl.zeros((TILE_C,), tl.float32)
    for start in range(part * part_size, end, TILE_P):
        p = start + tl.arange(0, TILE_P)[:, None].to(tl.int64)
        mask = (p < end) & channel_mask[None, :]
        offset = image * channels * pixels + c[None, :] * step_c + p * step_p
        value = tl.load(x + offset, mask, 0.0, eviction_policy="evict_last").to(tl.float32)
        normed = (value - mean[None, :]) * rstd[None, :]
        g = tl.load(grad + offset, mask, 0.0, eviction_policy="evict_last").to(tl.float32)
        g = _active(g, normed, weight, bias, slope)
        plain += tl.sum(g, 0)
        weighted += tl.sum(g * normed, 0)
    tl.store(grad_shift + row * PARTS + part, plain, channel_mask)
    tl.store(grad_scale + row * PARTS + part, weighted, channel_mask)


@triton.jit
def _gradient(grad, x, scale, shift, means, rstds, part_shifts, part_scales, grad_x, grad_scale, grad_shift,
              channels, pixels, step_c, step_p, part_size, slope, eps, floor,
              PARTS: tl.constexpr, TILE_P: tl.constexpr, TILE_C: tl.constexpr, AFFINE: tl.constexpr):  # fmt: skip
    """The gradient of one part of each map; with PARTS = 0 the tile is the whole map, whose sums are computed here."""
    image, c, part = _part(channels, PARTS, TILE_C, SECOND=True)
    channel_mask, row = c < channels, image * channels + c
    weight, bias = _affine(scale, shift, row, channel_mask, AFFINE, TILE_C)
    mean, rstd = tl.load(means + row, channel_mask, 0.0), tl.load(rstds + row, channel_mask, 1.0)
    base = image * channels * pixels + c[None, :] * step_c
    end = tl.minimum((part + 1) * part_size, pixels)
    variance = tl.maximum(1 / (rstd * rstd) - eps, 0.0)
    factor = weight * rstd * variance / (variance + floor)
    if PARTS == 0:
        p = tl.arange(0, TILE_P)[:, None].to(tl.int64)
        offset, mask = base + p * step_p, (p < pixels) & channel_mask[None, :]
        normed = (tl.load(x + offset, mask, 0.0).to(tl.float32) - mean[None, :]) * rstd[None, :]
        g = _active(tl.load(grad + offset, mask, 0.0).to(tl.float32), normed, weight, bias, slope)
        plain, weighted = tl.sum(g, 0), tl.sum(tl.where(mask, g * normed, 0.0), 0)
        _store_grad_x(g, normed, plain / pixels, weighted / pixels, factor, grad_x, offset, mask)
    else:
        k = tl.arange(0, PARTS)[:, None].to(tl.int64)
        part_mask = (k * part_size < pixels) & channel_mask[None, :]
        plain = tl.sum(tl.load(part_shifts + row[None, :] * PARTS + k, part_mask, 0.0), 0)
        weighted = tl.sum(tl.load(part_scales + row[None, :] * PARTS + k, part_mask, 0.0), 0)
        for start in range(part * part_size, end, TILE_P):
            p = start + tl.arange(0, TILE_P)[:, None].to(tl.int64)
            offset, mask = base + p * step_p, (p < end) & channel_mask[None, :]
            value = tl.load(x + offset, mask, 0.0, eviction_policy="evict_first").to(tl.float32)
            normed = (value - mean[None, :]) * rstd[None, :]
            g = tl.load(grad + offset, mask, 0.0, eviction_policy="evict_first").to(tl.float32)
            g = _active(g, normed, weight, bias, slope)
            _store_grad_x(g, normed, plain / pixels, weighted / pixels, factor, grad_x, offset, mask)
    if part == 0:
        tl.store(grad_shift + row, plain, channel_mask)
        tl.store(grad_scale + row, weighted, channel_mask)


class _Tiling(NamedTuple):
    """Grid, tile sizes and strides of the launches for one tensor."""

    grid: tuple[int]
    sizes: tuple[int, int, int, int, int]
    """Channels, pixels, step_c, step_p, pixels of a part."""
    tile_p: int
    tile_c: int
    parts: int
    """0 if one tile holds whole maps."""
    warps: int

    def constants(self) -> dict[str, int]:
        """Compile-time constants of every launch."""
        return {"PARTS": self.parts, "TILE_P": self.tile_p, "TILE_C": self.tile_c, "num_warps": self.warps}


def _tiling(x: Tensor) -> _Tiling:
    n, channels, height, width = x.shape
    pixels = height * width
    layout = layout_of(x)
    if layout == torch.channels_last:
        tile_c, tile_p = min(next_power_of_2(channels), 32), 128
        steps, least_part, whole = (1, channels), LEAST_PART // 32, 0
    else:
        tile_c, tile_p = 1, min(next_power_of_2(pixels), 2048)
        steps, least_part, whole = (pixels, 1), LEAST_PART, WHOLE
    if pixels <= whole:
        tile_p, parts, part_size = next_power_of_2(pixels), 0, pixels
    else:
        parts = min(next_power_of_2(cdiv(pixels, least_part)), MOST_PARTS[layout])
        part_size = cdiv(pixels, parts)
    warps = 16 if tile_p * tile_c > 8192 else 8 if tile_p * tile_c > 2048 else 4
    grid = (n * cdiv(channels, tile_c) * max(parts, 1),)
    return _Tiling(grid, (channels, pixels, *steps, part_size), tile_p, tile_c, parts, warps)


def normalize(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, residual: Tensor | None, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`asymkit.ops.eager.norm.normalize`, for CUDA tensors."""
    layout = layout_of(x)
    x, affine = x.contiguous(memory_format=layout), _scale_and_shift(x, scale, shift)
    added = x if residual is None else residual.contiguous(memory_format=layout)
    out, mean = torch.empty_like(x), x.new_empty(x.shape[:2], dtype=torch.float32)
    tiling, rstd = _tiling(x), torch.empty_like(mean)
    means, deviations = _partial(mean, tiling.parts)
    if tiling.parts:
        _moments[tiling.grid](x, means, deviations, *tiling.sizes, **tiling.constants())
    _apply[tiling.grid](
        x, *affine, added, means, deviations, out, mean, rstd, *tiling.sizes, slope, eps, **tiling.constants(),
        AFFINE=affine[0] is not x, RESIDUAL=residual is not None,
    )  # fmt: skip
    return out, mean, rstd


def normalize_backward(
    grad: Tensor,
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    out: Tensor | None,
    slope: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`asymkit.ops.eager.norm.normalize_backward`; ``out`` is not used, the signs are computed again."""
    layout = layout_of(x)
    x, grad = x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout)
    affine = _scale_and_shift(x, scale, shift)
    grad_x, grad_scale, grad_shift = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    tiling = _tiling(x)
    parts = _partial(mean, tiling.parts)
    constants = {**tiling.constants(), "AFFINE": affine[0] is not x}
    if tiling.parts:
        _sums[tiling.grid](grad, x, *affine, mean, rstd, *parts, *tiling.sizes, slope, **constants)
    _gradient[tiling.grid](
        grad, x, *affine, mean, rstd, *parts, grad_x, grad_scale, grad_shift, *tiling.sizes, slope, eps, VARIANCE_FLOOR,
        **constants,
    )  # fmt: skip
    return grad_x, grad_scale, grad_shift


def _partial(values: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """Memory for two values per part, (N, C, PARTS); without parts the given tensor, as a pointer that is not read."""
    if not parts:
        return values, values
    return values.new_empty(values.numel() * parts), values.new_empty(values.numel() * parts)


def _scale_and_shift(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, Tensor]:
    """Both contiguous; x in their place, as a pointer that is not read, if there is neither."""
    if scale is None and shift is None:
        return x, x
    weight = x.new_ones(x.shape[:2], dtype=torch.float32) if scale is None else scale.contiguous()
    return weight, torch.zeros_like(weight) if shift is None else shift.contiguous()
