"""Separable Gaussian blur inside the kernels of :mod:`asymkit.ops.kernels.ssim`, and the memory layout of their maps.

Memory layout: one plane for each channel of each image; in a plane all scales one after the other, finest first. The row
pitch is the scale's width plus TAPS, rounded up to an even number, so that maps of window positions can be padded with
zeros on both sides and values can be loaded in pairs. Offsets inside a plane are counted in pairs.

A program blurs a strip of COLUMNS columns, held as (COLUMNS / 2, 2) pairs, and iterates over its rows. Each row is
blurred horizontally from shifted loads and then added to the TAPS output rows that it contributes to; one of these is
then complete, and the others stay in registers as partial sums.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import triton
import triton.language as tl

ALIGNED = ("images", "maps", "gradients")
"""Pointer arguments that are aligned to 16 bytes."""


def kernel(function: Callable[..., None]) -> Any:
    """Decorator of kernels that are compiled once for all sizes: only arguments in capitals are compile-time constants."""
    sizes = [name for name in signature(function).parameters if name.islower() and name not in ALIGNED]
    return triton.jit(function, do_not_specialize=sizes)


@triton.jit
def find_tile(tile, height, width, MARGIN: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Position of a tile, given its index over all scales.

    Args:
        tile: index of the tile, over all scales of one plane.
        height: of the finest scale, in pixels.
        width: of the finest scale, in pixels.
        MARGIN: rows and columns by which the tiled maps are smaller than the scale: 0 for pixels, TAPS − 1 for windows.
        TAPS: side of the window.
        ROWS: rows of a tile.
        COLUMNS: columns of a tile.

    Returns:
        The scale, the tile's first row and column, height and width of the scale, and the scale's offset in a plane, in pairs.
    """
    scale = tl.full((), 0, tl.int32)
    start, tile = tl.full((), 0, tl.int64), tile.to(tl.int64)
    h, w = height.to(tl.int64), width.to(tl.int64)
    across = tl.cdiv(w - MARGIN, COLUMNS)
    while tile >= tl.cdiv(h - MARGIN, ROWS) * across:
        tile -= tl.cdiv(h - MARGIN, ROWS) * across
        start += h * ((w + TAPS + 1) // 2)
        scale += 1
        h, w = (h + 1) // 2, (w + 1) // 2
        across = tl.cdiv(w - MARGIN, COLUMNS)
    return scale, tile // across * ROWS, tile % across * COLUMNS, h, w, start


@triton.jit
def blurred_row(pointer, WINDOW: tl.constexpr, TAPS: tl.constexpr, SQUARES: tl.constexpr):
    """Horizontal blur of one row of a strip, and of its squares.

    Args:
        pointer: to the first value that each output column depends on, (COLUMNS / 2, 2), in pairs.
        WINDOW: weights, symmetric, TAPS numbers.
        TAPS: side of the window.
        SQUARES: also blur the squares.

    Returns:
        Two tensors (COLUMNS / 2, 2); the second has no meaning without SQUARES.
    """
    for k in tl.static_range(TAPS // 2 + 1):
        a, b = tl.split(tl.load(pointer + tl.full((), 2 * k, tl.int64)))
        if k == 0:
            even, odd = WINDOW[0] * a, WINDOW[0] * b
            even_square, odd_square = even * a, odd * b
        else:
            even += WINDOW[2 * k] * a
            odd += WINDOW[2 * k - 1] * a
            odd += WINDOW[2 * k] * b
            if SQUARES:
                even_square += WINDOW[2 * k] * (a * a)
                odd_square += WINDOW[2 * k - 1] * (a * a)
                odd_square += WINDOW[2 * k] * (b * b)
        if 2 * k + 1 < TAPS:
            even += WINDOW[2 * k + 1] * b
            if SQUARES:
                even_square += WINDOW[2 * k + 1] * (b * b)
    return tl.join(even, odd), tl.join(even_square, odd_square)


@triton.jit
def no_rows(TAPS: tl.constexpr, COLUMNS: tl.constexpr):
    """The partial sums of :func:`add_row` before the first row: TAPS − 1 zeros of (COLUMNS / 2, 2)."""
    sums = ()
    for _ in tl.static_range(TAPS - 1):
        sums = sums + (tl.zeros((COLUMNS // 2, 2), tl.float32),)
    return sums


@triton.jit
def add_row(sums, row, WINDOW: tl.constexpr, TAPS: tl.constexpr):
    """Add a row to the vertical blur; the window is symmetric, so that this is also its adjoint.

    Args:
        sums: partial sums of the next TAPS − 1 output rows, (COLUMNS / 2, 2) each.
        row: horizontally blurred row, (COLUMNS / 2, 2).
        WINDOW: weights, symmetric, TAPS numbers.
        TAPS: side of the window.

    Returns:
        The output row that is complete now, and the new partial sums.
    """
    complete = WINDOW[TAPS - 1] * row
    waiting = ()
    if TAPS > 1:
        complete += sums[0]
        for i in tl.static_range(1, TAPS - 1):
            waiting = waiting + (sums[i] + WINDOW[TAPS - 1 - i] * row,)
        waiting = waiting + (WINDOW[0] * row,)
    return complete, waiting
