"""How the kernels of :mod:`asymkit.ops.kernels.ssim` blur: along the rows by reading shifted pairs, down them by running sums.

Maps lie in planes, one for each channel of each image. A plane holds its scales one after another, finest first. Rows
have room for TAPS values beyond the scale's width, so that maps of windows can have zeros on both sides, and begin at
even places, so that values are read in pairs: places in a plane are counted in pairs too.

A program blurs a strip, (COLUMNS / 2, 2) values wide, and goes down its rows. A row that has come in adds to the TAPS
rows of the result that it belongs to; of these one is complete, and the others wait in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import triton
import triton.language as tl

ALIGNED = ("images", "maps", "gradients")
"""Arguments of kernels that begin where 16 bytes do."""


def kernel(function: Callable[..., None]) -> Any:
    """A kernel that is compiled once for all sizes and alignments: only arguments in capitals are constants."""
    sizes = [name for name in signature(function).parameters if name.islower() and name not in ALIGNED]
    return triton.jit(function, do_not_specialize=sizes)


@triton.jit
def find_tile(tile, height, width, MARGIN: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where a tile lies that is counted through all scales.

    Returns:
        The scale, top and left of the tile, the sides of the scale, and the pairs of a plane before it.
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
def blurred_row(at, WINDOW: tl.constexpr, TAPS: tl.constexpr, SQUARES: tl.constexpr):
    """The window along a row, for pairs of columns from pairs of values, and along the row of their squares."""
    for k in tl.static_range(TAPS // 2 + 1):
        a, b = tl.split(tl.load(at + tl.full((), 2 * k, tl.int64)))
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
    """What :func:`add_row` begins with."""
    sums = ()
    for _ in tl.static_range(TAPS - 1):
        sums = sums + (tl.zeros((COLUMNS // 2, 2), tl.float32),)
    return sums


@triton.jit
def add_row(sums, row, WINDOW: tl.constexpr, TAPS: tl.constexpr):
    """One more row of a blur down the columns: the blurred row that is complete with it, and the sums that wait for more.

    The window is symmetric, so that the adjoint is the same.
    """
    complete = WINDOW[TAPS - 1] * row
    waiting = ()
    if TAPS > 1:
        complete += sums[0]
        for i in tl.static_range(1, TAPS - 1):
            waiting = waiting + (sums[i] + WINDOW[TAPS - 1 - i] * row,)
        waiting = waiting + (WINDOW[0] * row,)
    return complete, waiting
