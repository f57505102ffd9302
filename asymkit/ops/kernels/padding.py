"""Padding by reflection or replication for CUDA, in NCHW and channels-last, one launch each way.

Tensors are treated as (planes, H, W, channels): N·C planes of one channel in NCHW, N planes of C channels in channels-last.
A program works on a tile of pixels × channels of the tensor before padding. Forward writes each value to all its positions in
the padded tensor, backward sums the gradient over the same positions, in a fixed order and without atomics. Offsets are
int64 and grids have one dimension, so that tensors may hold more than 2³¹ values.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymkit.ops.eager.norm import layout_of
from asymkit.ops.kernels.integers import cdiv, next_power_of_2

MOST_COLUMNS, MOST_CHANNELS = 64, 64
"""Upper bounds of a tile."""
TILE = {torch.contiguous_format: 1024, torch.channels_last: 2048}
"""Number of values in a tile."""


@triton.jit
def _tile(height, width, channels, TILE_H: tl.constexpr, TILE_W: tl.constexpr, TILE_C: tl.constexpr):
    """Plane (int64), rows and columns of each pixel, and channels that this program works on."""
    blocks, across, down = tl.cdiv(channels, TILE_C), tl.cdiv(width, TILE_W), tl.cdiv(height, TILE_H)
    block, tile = tl.program_id(0) % blocks, tl.program_id(0) // blocks
    p = tl.arange(0, TILE_H * TILE_W)
    row, column = tile // across % down * TILE_H + p // TILE_W, tile % across * TILE_W + p % TILE_W
    return (tile // across // down).to(tl.int64), row, column, block * TILE_C + tl.arange(0, TILE_C)


@triton.jit
def _padded_position(position, side, MARGIN: tl.constexpr, EDGE: tl.constexpr, BOTH: tl.constexpr, k: tl.constexpr):
    """Position k of a row or column in the padded tensor, and a mask: k = 0 is the middle, others are in the margins.

    In tensors so narrow that a row can be in BOTH margins, k = 1 is the first and k = 2 the last; else k = 1 is either.
    """
    if k == 0:
        return position + MARGIN, position < side
    first, last = MARGIN - EDGE - position, MARGIN + 2 * side - 2 + EDGE - position
    in_first = (first >= 0) & (first < MARGIN)
    in_last = (last >= side + MARGIN) & (last < side + 2 * MARGIN)
    if k == 2:
        return last, in_last
    if BOTH:
        return first, in_first
    return tl.where(in_first, first, last), in_first | in_last


@triton.jit
def _pad(x, out, height, width, channels, MARGIN: tl.constexpr, EDGE: tl.constexpr, BOTH: tl.constexpr,
         TILE_H: tl.constexpr, TILE_W: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """Write one tile of x, (planes, H, W, channels), to all its positions in out, (planes, H + 2·MARGIN, W + 2·MARGIN, channels)."""
    plane, row, column, c = _tile(height, width, channels, TILE_H, TILE_W, TILE_C)
    mask = ((row < height) & (column < width))[:, None] & (c < channels)[None, :]
    pixel = plane * height * width + row.to(tl.int64) * width + column
    value = tl.load(x + (pixel[:, None] * channels + c[None, :]), mask)
    for i in tl.static_range(3 if BOTH else 2):
        out_row, row_mask = _padded_position(row, height, MARGIN, EDGE, BOTH, i)
        for j in tl.static_range(3 if BOTH else 2):
            out_column, column_mask = _padded_position(column, width, MARGIN, EDGE, BOTH, j)
            pixel = (plane * (height + 2 * MARGIN) + out_row) * (width + 2 * MARGIN) + out_column
            pixel_mask = (row_mask & column_mask)[:, None] & mask
            tl.store(out + (pixel[:, None] * channels + c[None, :]), value, pixel_mask)


@triton.jit
def _pad_backward(grad, grad_x, height, width, channels, MARGIN: tl.constexpr, EDGE: tl.constexpr, BOTH: tl.constexpr,
                  TILE_H: tl.constexpr, TILE_W: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """Sum grad, of the shape of the padded tensor, over all positions of one tile, into grad_x."""
    plane, row, column, c = _tile(height, width, channels, TILE_H, TILE_W, TILE_C)
    mask = ((row < height) & (column < width))[:, None] & (c < channels)[None, :]
    total = tl.zeros((TILE_H * TILE_W, TILE_C), tl.float32)
    for i in tl.static_range(3 if BOTH else 2):
        out_row, row_mask = _padded_position(row, height, MARGIN, EDGE, BOTH, i)
        for j in tl.static_range(3 if BOTH else 2):
            out_column, column_mask = _padded_position(column, width, MARGIN, EDGE, BOTH, j)
            pixel = (plane * (height + 2 * MARGIN) + out_row) * (width + 2 * MARGIN) + out_column
            pixel_mask = (row_mask & column_mask)[:, None] & mask
            total += tl.load(grad + (pixel[:, None] * channels + c[None, :]), pixel_mask, 0.0).to(tl.float32)
    pixel = plane * height * width + row.to(tl.int64) * width + column
    tl.store(grad_x + (pixel[:, None] * channels + c[None, :]), total, mask)


def _launch(
    kernel, source: Tensor, target: Tensor, x: Tensor, layout: torch.memory_format, margin: int, edge: int
) -> None:
    """Launch a kernel on two dense tensors of one memory layout; x is the one before padding."""
    n, channels, height, width = x.shape
    planes = n
    if layout == torch.contiguous_format:
        planes, channels = n * channels, 1
    tile_c = min(next_power_of_2(channels), MOST_CHANNELS)
    tile_w = min(next_power_of_2(width), MOST_COLUMNS, TILE[layout] // tile_c)
    tile_h = min(next_power_of_2(height), TILE[layout] // (tile_c * tile_w))
    tiles = cdiv(height, tile_h) * cdiv(width, tile_w) * cdiv(channels, tile_c)
    kernel[(planes * tiles,)](
        source, target, height, width, channels, MARGIN=margin, EDGE=edge, BOTH=min(height, width) <= 2 * margin + 1,
        TILE_H=tile_h, TILE_W=tile_w, TILE_C=tile_c,
    )  # fmt: skip


def pad(x: Tensor, margin: int, edge: int) -> Tensor:
    """Reflection or replication padding.

    Args:
        x: (N, C, H, W).
        margin: rows and columns added on every side, fewer than H + edge and W + edge.
        edge: 0 for reflection; 1 repeats the border row, which with a margin of 1 is replication.

    Returns:
        (N, C, H + 2 · margin, W + 2 · margin), in x's layout.
    """
    layout, (n, channels, height, width) = layout_of(x), x.shape
    shape = (n, channels, height + 2 * margin, width + 2 * margin)
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    _launch(_pad, x.contiguous(memory_format=layout), out, x, layout, margin, edge)
    return out


def pad_backward(grad: Tensor, layout: torch.memory_format, margin: int, edge: int) -> Tensor:
    """The gradient of x of :func:`pad`, in x's memory layout, from that of its output; summed in float32."""
    n, channels, height, width = grad.shape
    shape = (n, channels, height - 2 * margin, width - 2 * margin)
    grad_x = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=layout)
    _launch(_pad_backward, grad.contiguous(memory_format=layout), grad_x, grad_x, layout, margin, edge)
    return grad_x
