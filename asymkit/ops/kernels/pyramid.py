"""The 2×2 means of all scales in one launch, and their adjoint: what :mod:`asymkit.ops.kernels.ssim` begins and ends with.

A program handles the same part of the image at every scale. Maps lie as :mod:`asymkit.ops.kernels.strips` says. The last
row and column of an odd side are averaged over the pixels they have.
"""

from __future__ import annotations

import triton
import triton.language as tl

from asymkit.ops.kernels.strips import kernel

BLOCK = {"ROWS": 16, "COLUMNS": 32, "num_warps": 1}
"""The part of a program at the finest scale: both sides can be halved four times, for five scales."""


@triton.jit
def _pixels(tile, across, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows and columns of the tile of this number where ``across`` lie side by side."""
    row, column = tile // across * ROWS + tl.arange(0, ROWS), tile % across * COLUMNS + tl.arange(0, COLUMNS)
    return row[:, None], column[None, :]


@triton.jit
def _pitch(width, TAPS: tl.constexpr):
    """From one row of a scale to the next."""
    return (width.to(tl.int64) + TAPS + 1) // 2 * 2


@triton.jit
def _sums_of_four(x):
    """Sums of 2×2 values."""
    return tl.sum(tl.sum(tl.reshape(x, (x.shape[0] // 2, 2, x.shape[1] // 2, 2)), 3), 1)


@triton.jit
def _upsampled(x, share):
    """Every value at 2×2 places, times their share of it."""
    four = tl.broadcast_to(tl.reshape(x, (x.shape[0], 1, x.shape[1], 1)), (x.shape[0], 2, x.shape[1], 2))
    return share * tl.reshape(four, (2 * x.shape[0], 2 * x.shape[1]))


@kernel
def pyramid(
    x, y, images, channels, height, width, area, stack, x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w, middle,
    SCALES: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The maps u = x + y, measured from the middle of the range, and v = x − y, at all scales.

    An odd row ends with a zero, so that it can be read in pairs.
    """
    across = tl.cdiv(width, COLUMNS)
    tiles = tl.cdiv(height, ROWS) * across
    plane, tile, stack = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles, stack.to(tl.int64)
    row, column = _pixels(tile, across, ROWS, COLUMNS)
    h, w = height, width
    inside = (row < h) & (column < w)
    x += plane // channels * x_n + plane % channels * x_c
    y += plane // channels * y_n + plane % channels * y_c
    a = tl.load(x + (row.to(tl.int64) * x_h + column.to(tl.int64) * x_w), inside, 0.0).to(tl.float32)
    b = tl.load(y + (row.to(tl.int64) * y_h + column.to(tl.int64) * y_w), inside, 0.0).to(tl.float32)
    u, v = tl.where(inside, a + b - middle, 0.0), a - b
    images += 2 * plane * area
    for scale in tl.static_range(SCALES):
        if scale > 0:
            images += h * _pitch(w, TAPS)
            row, column = _pixels(tile, across, ROWS // 2**scale, COLUMNS // 2**scale)
            count = tl.where(2 * row + 1 < h, 2.0, 1.0) * tl.where(2 * column + 1 < w, 2.0, 1.0)
            h, w = (h + 1) // 2, (w + 1) // 2
            u, v = _sums_of_four(u) / count, _sums_of_four(v) / count
        offset, pairs = row.to(tl.int64) * _pitch(w, TAPS) + column, (row < h) & (column < (w + 1) // 2 * 2)
        tl.store(images + offset, u, pairs)
        tl.store(images + (2 * stack + offset), v, pairs)


@kernel
def gather(
    gradients, factors, grad, out_x, out_y, channels, height, width, area, stack, step,
    x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w,
    SCALES: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """The gradients of all scales, each multiplied by its factor, added up at the pixels of the finest one."""
    across = tl.cdiv(width, COLUMNS)
    tiles = tl.cdiv(height, ROWS) * across
    plane, tile, stack = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles, stack.to(tl.int64)
    image, channel = plane // channels, plane % channels
    whole = tl.load(grad + image * step)
    gradients += 2 * (plane + 1) * area
    for finer in tl.static_range(SCALES):
        # from the coarsest scale, whose place is the last in a plane, to the finest
        row, column = _pixels(tile, across, ROWS // 2 ** (SCALES - 1 - finer), COLUMNS // 2 ** (SCALES - 1 - finer))
        h, w = tl.cdiv(height, 2 ** (SCALES - 1 - finer)), tl.cdiv(width, 2 ** (SCALES - 1 - finer))
        gradients -= h * _pitch(w, TAPS)
        inside, offset = (row < h) & (column < w), row.to(tl.int64) * _pitch(w, TAPS) + column
        factor = whole * tl.load(factors + (plane * SCALES + SCALES - 1 - finer))
        own_x = factor * tl.load(gradients + offset, inside, 0.0)
        own_y = own_x
        if WANT_X and WANT_Y:
            own_y = factor * tl.load(gradients + (2 * stack + offset), inside, 0.0)
        if finer == 0:
            sum_x, sum_y = own_x, own_y
        else:
            # a half of the mean above each way, or all where the border leaves a pixel alone
            share = tl.where((row == h - 1) & (h % 2 == 1), 1.0, 0.5)
            share *= tl.where((column == w - 1) & (w % 2 == 1), 1.0, 0.5)
            sum_x, sum_y = own_x + _upsampled(sum_x, share), own_y + _upsampled(sum_y, share)
    row, column = row.to(tl.int64), column.to(tl.int64)
    if WANT_X:
        tl.store(out_x + (image * x_n + channel * x_c + row * x_h + column * x_w), sum_x, inside)
    if WANT_Y:
        tl.store(out_y + (image * y_n + channel * y_c + row * y_h + column * y_w), sum_y, inside)
