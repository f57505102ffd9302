"""Image pyramid by 2×2 means, all scales in one launch, and its adjoint: first and last step of SSIM and its gradient.

A program handles the same region of the image at every scale. The memory layout is that of
:mod:`asymkit.ops.kernels.strips`. The last row or column of an odd side is averaged over the pixels that exist.
"""

from __future__ import annotations

import triton
import triton.language as tl

from asymkit.ops.kernels.strips import kernel

BLOCK = {"ROWS": 16, "COLUMNS": 32, "num_warps": 1}
"""Region of a program at the finest scale; both sides can be halved four times, for five scales."""


@triton.jit
def _pixels(tile, across, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows (ROWS, 1) and columns (1, COLUMNS) of a tile, given its index, where ``across`` tiles lie side by side."""
    row, column = tile // across * ROWS + tl.arange(0, ROWS), tile % across * COLUMNS + tl.arange(0, COLUMNS)
    return row[:, None], column[None, :]


@triton.jit
def _pitch(width, TAPS: tl.constexpr):
    """Row pitch of a scale, in values."""
    return (width.to(tl.int64) + TAPS + 1) // 2 * 2


@triton.jit
def _sums_of_four(x):
    """Sums of 2×2 values, (R, C) to (R / 2, C / 2)."""
    return tl.sum(tl.sum(tl.reshape(x, (x.shape[0] // 2, 2, x.shape[1] // 2, 2)), 3), 1)


@triton.jit
def _upsampled(x, share):
    """Nearest-neighbour up-sampling, (R, C) to (2R, 2C), times share."""
    four = tl.broadcast_to(tl.reshape(x, (x.shape[0], 1, x.shape[1], 1)), (x.shape[0], 2, x.shape[1], 2))
    return share * tl.reshape(four, (2 * x.shape[0], 2 * x.shape[1]))


@kernel
def pyramid(
    x, y, images, channels, height, width, area, stack, x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w, middle,
    SCALES: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The pyramids of u = x + y − middle and v = x − y.

    Arguments, with shapes:
        x: images, (N, C, H, W), with strides x_n, x_c, x_h, x_w; y likewise.
        images: output, (2, planes, area, 2): u and v at all scales; an odd row ends with a zero, to be loaded in pairs.
        channels: C.
        height: H; width: W.
        area: pairs of a plane.
        stack: planes · area.
        middle: 2 · low + span, so that u is 0 in the middle of the value range.
    """
    across = tl.cdiv(width, COLUMNS)
    tiles = tl.cdiv(height, ROWS) * across
    plane, tile, stack = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles, stack.to(tl.int64)
    row, column = _pixels(tile, across, ROWS, COLUMNS)
    h, w = height, width
    mask = (row < h) & (column < w)
    x += plane // channels * x_n + plane % channels * x_c
    y += plane // channels * y_n + plane % channels * y_c
    a = tl.load(x + (row.to(tl.int64) * x_h + column.to(tl.int64) * x_w), mask, 0.0).to(tl.float32)
    b = tl.load(y + (row.to(tl.int64) * y_h + column.to(tl.int64) * y_w), mask, 0.0).to(tl.float32)
    u, v = tl.where(mask, a + b - middle, 0.0), a - b
    images += 2 * plane * area
    for scale in tl.static_range(SCALES):
        if scale > 0:
            images += h * _pitch(w, TAPS)
            row, column = _pixels(tile, across, ROWS // 2**scale, COLUMNS // 2**scale)
            count = tl.where(2 * row + 1 < h, 2.0, 1.0) * tl.where(2 * column + 1 < w, 2.0, 1.0)
            h, w = (h + 1) // 2, (w + 1) // 2
            u, v = _sums_of_four(u) / count, _sums_of_four(v) / count
        offset, pair_mask = row.to(tl.int64) * _pitch(w, TAPS) + column, (row < h) & (column < (w + 1) // 2 * 2)
        tl.store(images + offset, u, pair_mask)
        tl.store(images + (2 * stack + offset), v, pair_mask)


@kernel
def gather(
    gradients, factors, grad, out_x, out_y, channels, height, width, area, stack, step,
    x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w,
    SCALES: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """The gradient at the finest scale: those of all scales, each times its factor, through the adjoint of the means.

    Arguments, with shapes:
        gradients: of each scale, (1 or 2, planes, area, 2).
        factors: of each scale, (planes, SCALES).
        grad: incoming gradient, (N,), with stride step.
        out_x: output, (N, C, H, W), with strides x_n, x_c, x_h, x_w; out_y likewise.
        channels: C.
        height: H; width: W.
        area: pairs of a plane.
        stack: planes · area.
    """
    across = tl.cdiv(width, COLUMNS)
    tiles = tl.cdiv(height, ROWS) * across
    plane, tile, stack = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles, stack.to(tl.int64)
    image, channel = plane // channels, plane % channels
    incoming = tl.load(grad + image * step)
    gradients += 2 * (plane + 1) * area
    for finer in tl.static_range(SCALES):
        # from the coarsest scale, which is the last in a plane, to the finest
        row, column = _pixels(tile, across, ROWS // 2 ** (SCALES - 1 - finer), COLUMNS // 2 ** (SCALES - 1 - finer))
        h, w = tl.cdiv(height, 2 ** (SCALES - 1 - finer)), tl.cdiv(width, 2 ** (SCALES - 1 - finer))
        gradients -= h * _pitch(w, TAPS)
        mask, offset = (row < h) & (column < w), row.to(tl.int64) * _pitch(w, TAPS) + column
        factor = incoming * tl.load(factors + (plane * SCALES + SCALES - 1 - finer))
        grad_x = factor * tl.load(gradients + offset, mask, 0.0)
        grad_y = grad_x
        if WANT_X and WANT_Y:
            grad_y = factor * tl.load(gradients + (2 * stack + offset), mask, 0.0)
        if finer == 0:
            sum_x, sum_y = grad_x, grad_y
        else:
            # half of the coarser gradient along each side, or all of it for the last row or column of an odd side
            share = tl.where((row == h - 1) & (h % 2 == 1), 1.0, 0.5)
            share *= tl.where((column == w - 1) & (w % 2 == 1), 1.0, 0.5)
            sum_x, sum_y = grad_x + _upsampled(sum_x, share), grad_y + _upsampled(sum_y, share)
    row, column = row.to(tl.int64), column.to(tl.int64)
    if WANT_X:
        tl.store(out_x + (image * x_n + channel * x_c + row * x_h + column * x_w), sum_x, mask)
    if WANT_Y:
        tl.store(out_y + (image * y_n + channel * y_c + row * y_h + column * y_w), sum_y, mask)
