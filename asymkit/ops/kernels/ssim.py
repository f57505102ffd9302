"""Structural similarity and its gradient for CUDA: one launch per scale each way, and one between them.

The formulation is that of :mod:`asymkit.ops.eager.ssim`. A program works on a tile of one channel: it blurs down the
columns by loading shifted rows, and along the rows by a product with a band matrix, in full float32 precision. No
atomics: every tile stores its own partial sum, so results are the same in every run. Offsets are int64 and grids have
one dimension, so that images may hold more than 2³¹ pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymkit.ops.eager.ssim import K1, K2, POWER_FLOOR

ROWS = 32
"""Rows of a tile; its width follows from the window."""

MOST_SCALES = 8


@triton.jit
def _band(WINDOW: tl.constexpr, WIDTH: tl.constexpr, TAPS: tl.constexpr, ADJOINT: tl.constexpr):
    """The matrix that blurs the rows of a tile from the right: w[i − j], or w[TAPS − 1 + j − i] for the adjoint."""
    i, j = tl.arange(0, WIDTH)[:, None], tl.arange(0, WIDTH)[None, :]
    tap = TAPS - 1 + j - i if ADJOINT else i - j
    band = tl.zeros((WIDTH, WIDTH), tl.float32)
    for k in tl.static_range(TAPS):
        band = tl.where(tap == k, WINDOW[k], band)
    return band


@triton.jit
def _statistics(
    x, y, m, n, by_u, by_v, partial, small_x, small_y,
    channels, height, width, x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w, middle, span, c1, c2,
    scale, scales, most_tiles,
    WINDOW: tl.constexpr, TAPS: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAST: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """One scale forward: partial sums of the similarity, the maps of its derivatives, and the images halved."""
    STEP: tl.constexpr = WIDTH - TAPS + 1
    across = tl.cdiv(width, STEP)
    tiles = tl.cdiv(height, BLOCK) * across
    plane, tile = tl.program_id(0).to(tl.int64) // tiles, tl.program_id(0).to(tl.int64) % tiles
    top, left = tile // across * BLOCK, tile % across * STEP
    x += plane // channels * x_n + plane % channels * x_c
    y += plane // channels * y_n + plane % channels * y_c
    row, column = tl.arange(0, BLOCK)[:, None], left + tl.arange(0, WIDTH)[None, :]
    mean_u = tl.zeros((BLOCK, WIDTH), tl.float32)
    mean_v = tl.zeros((BLOCK, WIDTH), tl.float32)
    square_u = tl.zeros((BLOCK, WIDTH), tl.float32)
    square_v = tl.zeros((BLOCK, WIDTH), tl.float32)
    for k in tl.static_range(TAPS):
        r = top + row + k
        mask = (r < height) & (column < width)
        a = tl.load(x + r * x_h + column * x_w, mask, 0.0).to(tl.float32)
        b = tl.load(y + r * y_h + column * y_w, mask, 0.0).to(tl.float32)
        u, v = a + b - middle, a - b
        mean_u += WINDOW[k] * u
        mean_v += WINDOW[k] * v
        square_u += WINDOW[k] * u * u
        square_v += WINDOW[k] * v * v
    band = _band(WINDOW, WIDTH, TAPS, False)
    mean_u = tl.dot(mean_u, band, input_precision="ieee")
    mean_v = tl.dot(mean_v, band, input_precision="ieee")
    var_u = tl.dot(square_u, band, input_precision="ieee") - mean_u * mean_u
    var_v = tl.dot(square_v, band, input_precision="ieee") - mean_v * mean_v
    inverse = 1 / (var_u + var_v + 2 * c2)
    share = var_v * inverse
    down, right = height - TAPS + 1, width - TAPS + 1
    r = top + row
    valid = (r < down) & (column < right) & (column < left + STEP)
    du = share * inverse
    dv = du - inverse
    mu, mv = mean_u * du, mean_v * dv
    value = share
    if LAST:
        bright = mean_u + span
        energy = (bright * bright + mean_v * mean_v) / 2 + c1
        dark = mean_v * mean_v / energy
        contrast = 1 - 2 * share
        value = contrast * (1 - dark)
        slope = contrast / energy / 4
        du, dv = du * (1 - dark), dv * (1 - dark)
        mu = mean_u * du - slope * dark * bright
        mv = mean_v * dv + slope * mean_v * (2 - dark)
    total = tl.sum(tl.sum(tl.where(valid, value, 0.0), 1), 0)
    tl.store(partial + (plane * scales + scale) * most_tiles + tile, total)
    if WANT_X or WANT_Y:
        offset = plane * down * right + r * right + column
        tl.store(by_u + offset, du, valid)
        tl.store(by_v + offset, dv, valid)
        if WANT_X and WANT_Y:
            tl.store(m + offset, mu, valid)
            tl.store(n + offset, mv, valid)
        elif WANT_X:
            tl.store(m + offset, mu + mv, valid)
        else:
            tl.store(m + offset, mu - mv, valid)
    if not LAST:
        half_h, half_w = (height + 1) // 2, (width + 1) // 2
        r = top // 2 + tl.arange(0, BLOCK // 2)[:, None]
        c = left // 2 + tl.arange(0, WIDTH // 2)[None, :]
        sum_x = tl.zeros((BLOCK // 2, WIDTH // 2), tl.float32)
        sum_y = tl.zeros((BLOCK // 2, WIDTH // 2), tl.float32)
        for i in tl.static_range(2):
            for j in tl.static_range(2):
                mask = (2 * r + i < height) & (2 * c + j < width)
                sum_x += tl.load(x + (2 * r + i) * x_h + (2 * c + j) * x_w, mask, 0.0).to(tl.float32)
                sum_y += tl.load(y + (2 * r + i) * y_h + (2 * c + j) * y_w, mask, 0.0).to(tl.float32)
        count = tl.where(2 * r + 1 < height, 2.0, 1.0) * tl.where(2 * c + 1 < width, 2.0, 1.0)
        offset = plane * half_h * half_w + r * half_w + c
        visible = (r < half_h) & (c < half_w) & (c < (left + STEP) // 2)
        tl.store(small_x + offset, sum_x / count, visible)
        tl.store(small_y + offset, sum_y / count, visible)


@triton.jit
def _product(
    partial, values, factors, channels, height, width, scales, most_tiles,
    EXPONENTS: tl.constexpr, TAPS: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr, PADDED: tl.constexpr,
    CHUNK: tl.constexpr, FLOOR: tl.constexpr,
):  # fmt: skip
    """The similarity of one image, and what the derivatives of every scale and channel are multiplied by."""
    image = tl.program_id(0).to(tl.int64)
    scale = tl.arange(0, PADDED).to(tl.int64)
    h, w = (height + (1 << scale) - 1) >> scale, (width + (1 << scale) - 1) >> scale
    tiles = tl.where(scale < scales, tl.cdiv(h, BLOCK) * tl.cdiv(w, STEP), 0)
    windows = tl.where(scale < scales, (h - TAPS + 1) * (w - TAPS + 1), 1).to(tl.float32)
    exponent = tl.zeros((PADDED,), tl.float32)
    for k in tl.static_range(len(EXPONENTS)):
        exponent = tl.where(scale == k, EXPONENTS[k], exponent)
    value = 0.0
    for channel in range(channels):
        plane = image * channels + channel
        sums = tl.zeros((PADDED,), tl.float32)
        for start in range(0, most_tiles, CHUNK):
            tile = start + tl.arange(0, CHUNK)
            offset = (plane * scales + scale[:, None]) * most_tiles + tile[None, :]
            sums += tl.sum(tl.load(partial + offset, tile[None, :] < tiles[:, None], 0.0), 1)
        mean = sums / windows
        similarity = tl.where(scale == scales - 1, mean, 1 - 2 * mean)
        slope = tl.full((PADDED,), 1.0, tl.float32)
        if len(EXPONENTS) > 0:
            above = tl.maximum(similarity, FLOOR)
            stretch = 1 + exponent * tl.maximum(FLOOR - similarity, 0.0) / FLOOR
            logarithm = exponent * tl.log(above) - tl.log(stretch)
            product = tl.exp(tl.sum(tl.where(scale < scales, logarithm, 0.0), 0))
            slope = product * exponent / (above * stretch)
            value += product
        else:
            value += tl.sum(tl.where(scale == 0, similarity, 0.0), 0)
        tl.store(factors + (plane * scales + scale), 4 * slope / (windows * channels), scale < scales)
    tl.store(values + image, value / channels)


@triton.jit
def _gradient(
    x, y, m, n, by_u, by_v, factors, coarse_x, coarse_y, grad_x, grad_y,
    channels, height, width, x_n, x_c, x_h, x_w, y_n, y_c, y_h, y_w, middle,
    scale, scales,
    WINDOW: tl.constexpr, TAPS: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAST: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """One scale backward: the adjoint blurs, and what comes down from the coarser scale."""
    STEP: tl.constexpr = WIDTH - TAPS + 1
    across = tl.cdiv(width, STEP)
    tiles = tl.cdiv(height, BLOCK) * across
    plane, tile = tl.program_id(0).to(tl.int64) // tiles, tl.program_id(0).to(tl.int64) % tiles
    top, left = tile // across * BLOCK, tile % across * STEP
    down, right = height - TAPS + 1, width - TAPS + 1
    row, column = tl.arange(0, BLOCK)[:, None], left - (TAPS - 1) + tl.arange(0, WIDTH)[None, :]
    sum_u = tl.zeros((BLOCK, WIDTH), tl.float32)
    sum_v = tl.zeros((BLOCK, WIDTH), tl.float32)
    sum_m = tl.zeros((BLOCK, WIDTH), tl.float32)
    sum_n = tl.zeros((BLOCK, WIDTH), tl.float32)
    for k in tl.static_range(TAPS):
        r = top + row - k
        mask = (r >= 0) & (r < down) & (column >= 0) & (column < right)
        offset = plane * down * right + r * right + column
        sum_u += WINDOW[k] * tl.load(by_u + offset, mask, 0.0)
        sum_v += WINDOW[k] * tl.load(by_v + offset, mask, 0.0)
        sum_m += WINDOW[k] * tl.load(m + offset, mask, 0.0)
        if WANT_X and WANT_Y:
            sum_n += WINDOW[k] * tl.load(n + offset, mask, 0.0)
    band = _band(WINDOW, WIDTH, TAPS, True)
    sum_u = tl.dot(sum_u, band, input_precision="ieee")
    sum_v = tl.dot(sum_v, band, input_precision="ieee")
    sum_m = tl.dot(sum_m, band, input_precision="ieee")
    r, column = top + row, left + tl.arange(0, WIDTH)[None, :]
    visible = (r < height) & (column < width) & (column < left + STEP)
    x += plane // channels * x_n + plane % channels * x_c
    y += plane // channels * y_n + plane % channels * y_c
    a = tl.load(x + r * x_h + column * x_w, visible, 0.0).to(tl.float32)
    b = tl.load(y + r * y_h + column * y_w, visible, 0.0).to(tl.float32)
    u, v = (a + b - middle) * sum_u, (a - b) * sum_v
    factor = tl.load(factors + (plane * scales + scale))
    offset = plane * height * width + r * width + column
    half_h, half_w = (height + 1) // 2, (width + 1) // 2
    above = plane * half_h * half_w + r // 2 * half_w + column // 2
    # a pixel's share of the mean above it: a quarter, or more where the border leaves fewer than four
    share = tl.where((r == height - 1) & (height % 2 == 1), 1.0, 0.5)
    share *= tl.where((column == width - 1) & (width % 2 == 1), 1.0, 0.5)
    if WANT_X and WANT_Y:
        sum_n = tl.dot(sum_n, band, input_precision="ieee")
        pixel_x, pixel_y = (u - sum_m) + (v - sum_n), (u - sum_m) - (v - sum_n)
    else:
        pixel_x, pixel_y = u + v - sum_m, u - v - sum_m
    if WANT_X:
        pixel_x *= factor
        if not LAST:
            pixel_x += share * tl.load(coarse_x + above, visible, 0.0)
        tl.store(grad_x + offset, pixel_x, visible)
    if WANT_Y:
        pixel_y *= factor
        if not LAST:
            pixel_y += share * tl.load(coarse_y + above, visible, 0.0)
        tl.store(grad_y + offset, pixel_y, visible)


class _Scale(NamedTuple):
    """What the way down from a scale needs: its images and the maps of its derivatives."""

    x: Tensor
    y: Tensor
    maps: Tensor


def similarity_and_gradients(
    x: Tensor,
    y: Tensor,
    low: float,
    span: float,
    window: Sequence[float],
    exponents: Sequence[float],
    wanted: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """As :func:`asymkit.ops.eager.ssim.similarity_and_gradients`, for CUDA tensors of any strides."""
    (n, channels, height, width), scales, taps = x.shape, max(len(exponents), 1), len(window)
    block_width = max(32, triton.next_power_of_2(2 * taps))
    step, planes = block_width - taps + 1, n * channels
    # what every launch is given
    tile = {"TAPS": taps, "BLOCK": ROWS, "WIDTH": block_width, "WINDOW": tuple(window)}
    want = {"WANT_X": wanted[0], "WANT_Y": wanted[1]}

    def new(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=x.device)

    most_tiles = triton.cdiv(height, ROWS) * triton.cdiv(width, step)
    partial, factors = new(planes, scales, most_tiles), new(planes, scales)
    values, middle = new(n), 2 * low + span
    levels: list[_Scale] = []
    for scale in range(scales):
        h, w = x.shape[2:]
        maps = new(2 + sum(wanted) if any(wanted) else 0, planes, h - taps + 1, w - taps + 1)
        small = new(2, n, channels, (h + 1) // 2, (w + 1) // 2)
        by_u, by_v, of_mean_u, of_mean_v = maps[0:1], maps[1:2], maps[2:3], maps[-1:]
        _statistics[(planes * triton.cdiv(h, ROWS) * triton.cdiv(w, step),)](
            x, y, of_mean_u, of_mean_v, by_u, by_v, partial, small[0], small[1], channels, h, w, *x.stride(),
            *y.stride(), middle, span,
            (K1 * span) ** 2, (K2 * span) ** 2, scale, scales, most_tiles,
            **tile, **want, LAST=scale == scales - 1,
        )  # fmt: skip
        levels.append(_Scale(x, y, maps))
        x, y = small
    _product[n,](
        partial, values, factors, channels, height, width, scales, most_tiles, EXPONENTS=tuple(exponents), TAPS=taps,
        BLOCK=ROWS, STEP=step, PADDED=MOST_SCALES, CHUNK=128, FLOOR=POWER_FLOOR,
    )  # fmt: skip
    coarse: list[Tensor] = [values, values]  # unused by the coarsest scale
    if any(wanted):
        for scale in reversed(range(scales)):
            a, b, maps = levels[scale]
            h, w = a.shape[2:]
            fine = [new(*(a.shape if wants else (0,))) for wants in wanted]
            _gradient[(planes * triton.cdiv(h, ROWS) * triton.cdiv(w, step),)](
                a, b, maps[2:3], maps[-1:], maps[0:1], maps[1:2], factors, *coarse, *fine, channels, h, w, *a.stride(),
                *b.stride(), middle, scale, scales, **tile, **want, LAST=scale == scales - 1,
            )  # fmt: skip
            coarse = fine
    return values, [gradient if wants else None for gradient, wants in zip(coarse, wanted, strict=True)]
