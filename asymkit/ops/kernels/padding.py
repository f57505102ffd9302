"""Padding by reflection or replication for CUDA, in NCHW and channels-last, one launch each way.

A tensor is planes of pixels of channels, one after the other in memory: in NCHW N·C planes of one channel, in channels-last
N planes of C. A program works on a tile of pixels × channels of the maps before padding. Forward writes each value wherever the
padded map shows it, backward sums the gradient from the same positions, in a fixed order and without atomics. Offsets are
int64 and grids have one dimension, so that maps may hold more than 2³¹ values.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymkit.ops.eager.norm import layout_of
from asymkit.ops.kernels.integers import cdiv, next_power_of_2

MOST_COLUMNS, MOST_CHANNELS = 64, 64
"""Of a tile."""
TILE = {torch.contiguous_format: 1024, torch.channels_last: 2048}
"""Values of a tile."""


@triton.jit
def _tile(height, width, channels, TILE_H: tl.constexpr, TILE_W: tl.constexpr, TILE_C: tl.constexpr):
    """Plane (int64), rows and columns of each pixel, and channels that this program works on."""
    blocks, across, down = tl.cdiv(channels, TILE_C), tl.cdiv(width, TILE_W), tl.cdiv(height, TILE_H)
    block, tile = tl.program_id(0) % blocks, tl.program_id(0) // blocks
    p = tl.arange(0, TILE_H * TILE_W)
    row, column = tile // across % down * TILE_H + p // TILE_W, tile % across * TILE_W + p % TILE_W
    return (tile // across // down).to(tl.int64), row, column, block * TILE_C + tl.arange(0, TILE_C)


@triton.jit
def _shown(position, side, MARGIN: tl.constexpr, EDGE: tl.constexpr, BOTH: tl.constexpr, k: tl.constexpr):
    """Where the padded map shows a row or column, and whether it does: in the middle (k = 0) and in the margins.

    Of maps so narrow that a row can be in BOTH margins, k = 1 is the first and k = 2 the last; of others k = 1 is either.
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
    """Write one tile wherever the padded map shows it."""
    plane, row, column, c = _tile(height, width, channels, TILE_H, TILE_W, TILE_C)
    mask = ((row < height) & (column < width))[:, None] & (c < channels)[None, :]
    pixel = plane * height * width + row.to(tl.int64) * width + column
    value = tl.load(x + (pixel[:, None] * channels + c[None, :]), mask)
    for i in tl.static_range(3 if BOTH else 2):
        out_row, row_shown = _shown(row, height, MARGIN, EDGE, BOTH, i)
        for j in tl.static_range(3 if BOTH else 2):
            out_column, column_shown = _shown(column, width, MARGIN, EDGE, BOTH, j)
            pixel = (plane * (height + 2 * MARGIN) + out_row) * (width + 2 * MARGIN) + out_column
            shown = (row_shown & column_shown)[:, None] & mask
            tl.store(out + (pixel[:, None] * channels + c[None, :]), value, shown)


@triton.jit
def _pad_backward(grad, grad_x, height, width, channels, MARGIN: tl.constexpr, EDGE: tl.constexpr, BOTH: tl.constexpr,
                  TILE_H: tl.constexpr, TILE_W: tl.constexpr, TILE_C: tl.constexpr):  # fmt: skip
    """Sum the gradient of one tile over wherever the padded map shows it."""
    plane, row, column, c = _tile(height, width, channels, TILE_H, TILE_W, TILE_C)
    mask = ((row < height) & (column < width))[:, None] & (c < channels)[None, :]
    total = tl.zeros((TILE_H * TILE_W, TILE_C), tl.float32)
    for i in tl.static_range(3 if BOTH else 2):
        out_row, row_shown = _shown(row, height, MARGIN, EDGE, BOTH, i)
        for j in tl.static_range(3 if BOTH else 2):
            out_column, column_shown = _shown(column, width, MARGIN, EDGE, BOTH, j)
            pixel = (plane * (height + 2 * MARGIN) + out_row) * (width + 2 * MARGIN) + out_column
            shown = (row_shown & column_shown)[:, None] & mask
            total += tl.load(grad + (pixel[:, None] * channels + c[None, :]), shown, 0.0).to(tl.float32)
    pixel = plane * height * width + row.to(tl.int64) * width + column
    tl.store(grad_x + (pixel[:, None] * channels + c[None, :]), total, mask)


def _launch(
    kernel, source: Tensor, target: Tensor, x: Tensor, layout: torch.memory_format, margin: int, edge: int
) -> None:
    """Run a kernel on two dense tensors of one layout; x is the one of them before padding."""
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
    """Maps with rows and columns around them that mirror them.

    Args:
        x: (N, C, H, W).
        margin: how many on every side, fewer than H + edge and W + edge.
        edge: 0 leaves the border out of the mirror image, which is reflection; 1 repeats it, which with a margin of 1 is
            replication.

    Returns:
        (N, C, H + 2 · margin, W + 2 · margin), in x's layout.
    """
    layout, (n, channels, height, width) = layout_of(x), x.shape
    shape = (n, channels, height + 2 * margin, width + 2 * margin)
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
    _launch(_pad, x.contiguous(memory_format=layout), out, x, layout, margin, edge)
    return out


def pad_backward(grad: Tensor, layout: torch.memory_format, margin: int, edge: int) -> Tensor:
    """The gradient of :func:`pad`'s x, in x's layout, from that of its result; summed in float32."""
    n, channels, height, width = grad.shape
    shape = (n, channels, height - 2 * margin, width - 2 * margin)
    grad_x = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=layout)
    _launch(_pad_backward, grad.contiguous(memory_format=layout), grad_x, grad_x, layout, margin, edge)
    return grad_x
