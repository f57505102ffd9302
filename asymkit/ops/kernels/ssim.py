"""Structural similarity and its gradient for CUDA: four launches in forward and one in backward, each for all scales.

The formulation is that of :mod:`asymkit.ops.eager.ssim`, the memory layout of intermediate maps that of
:mod:`asymkit.ops.kernels.strips`. No atomics: every strip stores its own sum, so results are the same in every run.
Offsets are int64 and grids have one dimension, so that images may hold more than 2³¹ pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton.language as tl
from torch import Tensor

from asymkit.ops.eager.ssim import K1, K2, POWER_FLOOR
from asymkit.ops.kernels.integers import cdiv
from asymkit.ops.kernels.pyramid import BLOCK, gather, pyramid
from asymkit.ops.kernels.strips import add_row, blurred_row, find_tile, kernel, no_rows

STRIP_COLUMNS = 64
STRIP_ROWS = (32, 16, 8)
ENOUGH_STRIPS = 1500
"""A program blurs one strip. The highest strip is chosen, so that few rows are loaded twice, of which there are at least
ENOUGH_STRIPS to occupy all multiprocessors."""

MOST_SCALES = 8


@kernel
def _statistics(
    images, maps, partial, height, width, area, stack, tiles, most_tiles, scales, span, c1, c2,
    WINDOW: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """The sum of the similarities in a strip, and the derivatives at each window position.

    Arguments, with shapes:
        images: u and v at all scales, (2, planes, area, 2), by :func:`asymkit.ops.kernels.pyramid.pyramid`.
        maps: output, (3 or 4, planes, area, 2): half of the derivatives by var_u and by var_v, and a quarter of those by
            the means, negated: by mean_u and by mean_v if both gradients are wanted, else their sum for x or difference for y.
        partial: output, sum over each strip, (planes, scales, most_tiles).
        height: of the images; width likewise.
        area: pairs of a plane.
        stack: planes · area.
        tiles: strips of all scales of a plane.
        most_tiles: strips of the finest scale of a plane.
        span: white minus black; c1 and c2: the constants of SSIM.
    """
    plane, stack = (tl.program_id(0) // tiles).to(tl.int64), stack.to(tl.int64)
    scale, top, left, h, w, start = find_tile(tl.program_id(0) % tiles, height, width, TAPS - 1, TAPS, ROWS, COLUMNS)
    pitch, down, right, last = (w + TAPS + 1) // 2, h - TAPS + 1, w - TAPS + 1, scale == scales - 1
    lane, side = tl.arange(0, COLUMNS // 2).to(tl.int64)[:, None], tl.arange(0, 2).to(tl.int64)[None, :]
    start += plane * area + top * pitch
    # lanes beyond the last pair load the last one again, so that no load is out of bounds
    pointer = images + (2 * (start + tl.minimum(left // 2 + lane, (right - 1) // 2)) + side)
    out = maps + (2 * (start + TAPS // 2 + left // 2 + lane) + side)
    column, mask, margin = left + 2 * lane + side, left + 2 * lane < right, 2 * lane + side
    margins = maps + (2 * start + tl.where(margin < TAPS - 1, margin, right + margin))
    mean_u, mean_v = no_rows(TAPS, COLUMNS), no_rows(TAPS, COLUMNS)
    square_u, square_v = no_rows(TAPS, COLUMNS), no_rows(TAPS, COLUMNS)
    total = tl.zeros((COLUMNS // 2, 2), tl.float32)
    first = top + TAPS - 1
    for row in range(top, tl.minimum(top + ROWS, down) + TAPS - 1):
        u_1, u_2 = blurred_row(pointer, WINDOW, TAPS, True)
        v_1, v_2 = blurred_row(pointer + 2 * stack, WINDOW, TAPS, True)
        pointer += 2 * pitch
        m_u, mean_u = add_row(mean_u, u_1, WINDOW, TAPS)
        m_v, mean_v = add_row(mean_v, v_1, WINDOW, TAPS)
        s_u, square_u = add_row(square_u, u_2, WINDOW, TAPS)
        s_v, square_v = add_row(square_v, v_2, WINDOW, TAPS)
        if row >= first:
            var_v = s_v - m_v * m_v
            inverse = 1 / (s_u - m_u * m_u + var_v + 2 * c2)
            share = var_v * inverse
            value, d_var_u = share, share * inverse
            d_var_v = d_var_u - inverse
            d_mean_u, d_mean_v = m_u * d_var_u, m_v * d_var_v
            if last:
                bright = m_u + span
                energy = (bright * bright + m_v * m_v) / 2 + c1
                dark = m_v * m_v / energy
                contrast = 1 - 2 * share
                value = contrast * (1 - dark)
                slope = contrast / energy / 4
                d_var_u, d_var_v = d_var_u * (1 - dark), d_var_v * (1 - dark)
                d_mean_u = m_u * d_var_u - slope * dark * bright
                d_mean_v = m_v * d_var_v + slope * m_v * (2 - dark)
            total += value
            if WANT_X or WANT_Y:
                d_means = d_mean_u + d_mean_v if WANT_X else d_mean_u - d_mean_v
                if WANT_X and WANT_Y:
                    d_means = d_mean_u
                    tl.store(out + 6 * stack, tl.where(column < right, d_mean_v, 0.0), mask)
                tl.store(out, tl.where(column < right, d_var_u, 0.0), mask)
                tl.store(out + 2 * stack, tl.where(column < right, d_var_v, 0.0), mask)
                tl.store(out + 4 * stack, tl.where(column < right, d_means, 0.0), mask)
                if left == 0:
                    for which in tl.static_range(4 if WANT_X and WANT_Y else 3):
                        tl.store(margins + 2 * which * stack, 0.0, margin <= 2 * (TAPS - 1))
                out += 2 * pitch
                margins += 2 * pitch
    total = tl.sum(tl.sum(tl.where(column < right, total, 0.0), 1), 0)
    tl.store(
        partial + ((plane * scales + scale) * most_tiles + top // ROWS * tl.cdiv(right, COLUMNS) + left // COLUMNS),
        total,
    )


@kernel
def _product(
    partial, values, factors, channels, height, width, scales, most_tiles,
    EXPONENTS: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, PADDED: tl.constexpr,
    CHUNK: tl.constexpr, FLOOR: tl.constexpr,
):  # fmt: skip
    """The similarity of one image, and the factors of its derivatives at each scale and channel.

    Arguments, with shapes:
        partial: sums of strips, (planes, scales, most_tiles).
        values: output, similarities, (N,).
        factors: output, (planes, scales).
    """
    image = tl.program_id(0).to(tl.int64)
    scale = tl.arange(0, PADDED).to(tl.int64)
    h, w = (height + (1 << scale) - 1) >> scale, (width + (1 << scale) - 1) >> scale
    down, right = h - TAPS + 1, w - TAPS + 1
    tiles = tl.where(scale < scales, tl.cdiv(down, ROWS) * tl.cdiv(right, COLUMNS), 0)
    windows = tl.where(scale < scales, down * right, 1).to(tl.float32)
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


@kernel
def _gradient(
    images, maps, gradients, height, width, area, stack, tiles,
    WINDOW: tl.constexpr, TAPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    WANT_X: tl.constexpr, WANT_Y: tl.constexpr,
):  # fmt: skip
    """The gradient of each scale by its own pixels, without its factor: adjoint blurs of the derivatives, combined with u, v.

    Arguments, with shapes:
        images: u and v at all scales, (2, planes, area, 2).
        maps: of :func:`_statistics`, (3 or 4, planes, area, 2).
        gradients: output, (1 or 2, planes, area, 2).
    """
    plane, stack = (tl.program_id(0) // tiles).to(tl.int64), stack.to(tl.int64)
    _, top, left, h, w, start = find_tile(tl.program_id(0) % tiles, height, width, 0, TAPS, ROWS, COLUMNS)
    pitch, down = (w + TAPS + 1) // 2, h - TAPS + 1
    lane, side = tl.arange(0, COLUMNS // 2).to(tl.int64)[:, None], tl.arange(0, 2).to(tl.int64)[None, :]
    pair, mask = plane * area + start + tl.minimum(left // 2 + lane, (w - 1) // 2), left + 2 * lane < w
    pixel = 2 * (pair + top * pitch) + side
    sums_u, sums_v = no_rows(TAPS, COLUMNS), no_rows(TAPS, COLUMNS)
    sums_m, sums_n = no_rows(TAPS, COLUMNS), no_rows(TAPS, COLUMNS)
    for row in range(tl.maximum(top - (TAPS - 1), 0), tl.minimum(top + ROWS, h)):
        line = maps + (2 * (pair + tl.minimum(row, down - 1) * pitch) + side)
        of_u = blurred_row(line, WINDOW, TAPS, False)[0]
        of_v = blurred_row(line + 2 * stack, WINDOW, TAPS, False)[0]
        of_m = blurred_row(line + 4 * stack, WINDOW, TAPS, False)[0]
        d_var_u, sums_u = add_row(sums_u, tl.where(row < down, of_u, 0.0), WINDOW, TAPS)
        d_var_v, sums_v = add_row(sums_v, tl.where(row < down, of_v, 0.0), WINDOW, TAPS)
        by_m, sums_m = add_row(sums_m, tl.where(row < down, of_m, 0.0), WINDOW, TAPS)
        if WANT_X and WANT_Y:
            of_n = blurred_row(line + 6 * stack, WINDOW, TAPS, False)[0]
            by_n, sums_n = add_row(sums_n, tl.where(row < down, of_n, 0.0), WINDOW, TAPS)
        if row >= top:
            u, v = tl.load(images + pixel) * d_var_u, tl.load(images + (2 * stack + pixel)) * d_var_v
            if WANT_X and WANT_Y:
                tl.store(gradients + pixel, (u - by_m) + (v - by_n), mask)
                tl.store(gradients + (2 * stack + pixel), (u - by_m) - (v - by_n), mask)
            elif WANT_X:
                tl.store(gradients + pixel, u + v - by_m, mask)
            else:
                tl.store(gradients + pixel, u - v - by_m, mask)
            pixel += 2 * pitch


def similarity_and_gradients(
    x: Tensor,
    y: Tensor,
    low: float,
    span: float,
    window: Sequence[float],
    exponents: Sequence[float],
    wanted: Sequence[bool],
) -> tuple[Tensor, list[Tensor]]:
    """As :func:`asymkit.ops.eager.ssim.similarity_and_gradients`, for CUDA tensors of any strides and types.

    Returns:
        Similarities, (N,), and, if any gradient is needed, the tensors for :func:`backward`: gradients of each scale, (1 or 2,
        planes, area, 2), and their factors, (planes, scales).
    """
    (n, channels, height, width), scales, taps = x.shape, max(len(exponents), 1), len(window)
    planes, gradients_needed = n * channels, sum(wanted)
    sides = [(cdiv(height, 2**scale), cdiv(width, 2**scale)) for scale in range(scales)]
    area = sum(h * ((w + taps + 1) // 2) for h, w in sides)
    strip = _strip(planes, height, width)
    window_tiles = [_tiles(h - taps + 1, w - taps + 1, strip) for h, w in sides]

    def new(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=x.device)

    images, maps, gradients_of_scales = (
        new(2, planes, area, 2),
        new(2 + gradients_needed if gradients_needed else 0, planes, area, 2),
        new(gradients_needed, planes, area, 2),
    )
    partial, factors, values = new(planes, scales, window_tiles[0]), new(planes, scales), new(n)
    size, blur = (height, width, area, planes * area), {"WINDOW": tuple(window), "TAPS": taps, **strip}
    want = {"WANT_X": wanted[0], "WANT_Y": wanted[1]}
    pyramid[planes * _tiles(height, width, BLOCK),](
        x, y, images, channels, *size, *x.stride(), *y.stride(), 2 * low + span, SCALES=scales, TAPS=taps, **BLOCK
    )
    _statistics[planes * sum(window_tiles),](
        images, maps, partial, *size, sum(window_tiles), window_tiles[0], scales, span, (K1 * span) ** 2, (K2 * span) ** 2,
        **blur, **want,
    )  # fmt: skip
    _product[n,](
        partial, values, factors, channels, height, width, scales, window_tiles[0], EXPONENTS=tuple(exponents),
        TAPS=taps, ROWS=strip["ROWS"], COLUMNS=strip["COLUMNS"], PADDED=MOST_SCALES, CHUNK=128, FLOOR=POWER_FLOOR,
    )  # fmt: skip
    if gradients_needed:
        tiles = sum(_tiles(h, w, strip) for h, w in sides)
        _gradient[planes * tiles,](images, maps, gradients_of_scales, *size, tiles, **blur, **want)
    return values, [gradients_of_scales, factors] if gradients_needed else []


def backward(
    gradients: Sequence[Tensor], grad: Tensor, images: Sequence[Tensor], window: Sequence[float], wanted: Sequence[bool]
) -> list[Tensor | None]:
    """Chain rule: the gradients of :func:`similarity_and_gradients` times the gradient of the similarities, (N,).

    Returns:
        For x and y the gradient, in its dtype and memory layout, or None.
    """
    (gradients_of_scales, factors), (n, channels, height, width) = gradients, images[0].shape
    _, planes, area, _ = gradients_of_scales.shape
    out = [torch.empty_like(image) if wants else image for image, wants in zip(images, wanted, strict=True)]
    gather[n * channels * _tiles(height, width, BLOCK),](
        gradients_of_scales, factors, grad, *out, channels, height, width, area, planes * area,
        grad.stride(0), *out[0].stride(), *out[1].stride(), SCALES=factors.shape[1], TAPS=len(window),
        WANT_X=wanted[0], WANT_Y=wanted[1], **BLOCK,
    )  # fmt: skip
    return [image if wants else None for image, wants in zip(out, wanted, strict=True)]


def _strip(planes: int, height: int, width: int) -> dict[str, int]:
    """Launch constants: rows and columns of a strip, and warps."""
    across = planes * cdiv(width, STRIP_COLUMNS)
    rows = next((rows for rows in STRIP_ROWS if across * cdiv(height, rows) >= ENOUGH_STRIPS), STRIP_ROWS[-1])
    return {"ROWS": rows, "COLUMNS": STRIP_COLUMNS, "num_warps": 1}


def _tiles(height: int, width: int, tile: dict[str, int]) -> int:
    """The number of tiles that cover a map."""
    return cdiv(height, tile["ROWS"]) * cdiv(width, tile["COLUMNS"])
