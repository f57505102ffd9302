"""Structural similarity in PyTorch's operations: the plain formula, and a form that computes its gradient in forward.

Wang et al. (2004) print the left-hand sides, with means μ, variances σ² and the covariance σ_xy under a Gaussian window.
With u = x + y and v = x − y they equal the right-hand sides,

    luminance                (2 μ_x μ_y + C₁) / (μ_x² + μ_y² + C₁)  =  1 − μ_v² / (½ (μ_u² + μ_v²) + C₁)
    contrast and structure   (2 σ_xy + C₂) / (σ_x² + σ_y² + C₂)     =  1 − 2 σ_v² / (σ_u² + σ_v² + 2 C₂)

which take four blurs instead of five and are exactly 1 for equal images, where rounding lets the left-hand sides exceed
1. :func:`similarity` is that formula. :func:`similarity_and_gradients` computes the same values and also the gradients,
with three more blurs for one input and four for both (docs/benchmarks.md); nothing else has to be saved for backward.
It works in the memory layout (H, W, N·C), in which blurs, pooling and sums are vectorised over the channels of all images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.ops.backend import exporting, tracing
from asymkit.precision import full_precision

K1, K2 = 0.01, 0.03

POWER_FLOOR = 1e-3
"""Below this similarity the fractional power is replaced by a hyperbola, see :func:`asymkit.ops.ms_ssim`."""

CHUNK = 12 * 256 * 256
"""Number of values processed at a time at the finest scale, so that intermediate results stay in the cache."""


def similarity(
    x: Tensor, y: Tensor, low: float, span: float, window: Sequence[float], exponents: Sequence[float]
) -> Tensor:
    """Structural similarity of each image, the plain formula, which torch.compile fuses.

    Args:
        x: images, (N, C, H, W), float32 or float64.
        y: images of the same shape and type.
        low: the value of black.
        span: white minus black.
        window: weights of the blur, summing to one.
        exponents: of each scale, finest first; none at all for the plain mean of one scale.

    Returns:
        Similarities, (N,).
    """
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    similarities = []
    with full_precision(x):
        u, v = x + y - (2 * low + span), x - y  # centred at 0 for the precision of squares
        if tracing() and not exporting() and _convolution_blurs(x):  # twice as fast with channels innermost in memory
            u, v = _channels_of_one(u), _channels_of_one(v)
        for scale in range(max(len(exponents), 1)):
            if scale > 0:
                u, v = halved(u), halved(v)
            mean_u, mean_v, square_u, square_v = blur(torch.cat([u, v, u.square(), v.square()]), window).chunk(4)
            var_u, var_v = square_u - mean_u.square(), square_v - mean_v.square()
            contrast_structure = 1 - 2 * var_v / (var_u + var_v + 2 * c2)
            similarities.append(contrast_structure)
        mean_u = mean_u + span  # mean of x + y − 2 · low
        luminance = 1 - mean_v.square() / ((mean_u.square() + mean_v.square()) / 2 + c1)
        similarities[-1] = similarities[-1] * luminance
    per_scale = [similarity.mean((2, 3)).reshape(x.shape[:2]) for similarity in similarities]
    if not exponents:
        return per_scale[0].mean(1)
    powers = [power(s, exponent)[0] for s, exponent in zip(per_scale, exponents, strict=True)]
    return torch.stack(powers).prod(0).mean(1)


def _channels_of_one(x: Tensor) -> Tensor:
    """(N, C, H, W) as one image, (1, N·C, H, W), in channels-last memory format."""
    return x.reshape(1, -1, *x.shape[2:]).contiguous(memory_format=torch.channels_last)


def blur(x: Tensor, window: Sequence[float], adjoint: bool = False) -> Tensor:
    """Separable blur of (N, C, H, W) along height and width without padding, or its adjoint, which pads with zeros."""
    margin = len(window) - 1 if adjoint else 0
    if not _convolution_blurs(x):
        x = F.pad(x, (margin,) * 4) if adjoint else x
        return _weighted_slices(_weighted_slices(x, window, 2), window, 3)
    channels, weights = x.shape[1], torch.tensor(window, dtype=x.dtype, device=x.device)
    for shape, padding in (((1, 1, -1, 1), (margin, 0)), ((1, 1, 1, -1), (0, margin))):
        x = F.conv2d(x, weights.view(shape).expand(channels, 1, -1, -1), padding=padding, groups=channels)
    return x


def _convolution_blurs(x: Tensor) -> bool:
    """Whether to blur by F.conv2d: on a GPU it would use TF32, whose error is as large as C₂; in float64 it is slow."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def _weighted_slices(x: Tensor, window: Sequence[float], dim: int) -> Tensor:
    length = x.shape[dim] - len(window) + 1
    blurred = x.narrow(dim, 0, length) * window[0]
    for i, weight in enumerate(window[1:], 1):
        blurred = torch.add(blurred, x.narrow(dim, i, length), alpha=weight)
    return blurred


def halved(x: Tensor) -> Tensor:
    """2×2 means; the last row or column of an odd side is averaged over the pixels that exist."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


def power(similarity: Tensor, exponent: float) -> tuple[Tensor, Tensor]:
    """s^w and the derivative of its logarithm; below POWER_FLOOR, a hyperbola of the same value and slope there."""
    above = similarity.clamp_min(POWER_FLOOR)
    stretch = 1 + exponent * (POWER_FLOOR - similarity).clamp_min(0) / POWER_FLOOR
    return above.pow(exponent) / stretch, exponent / (above * stretch)


class Level(NamedTuple):
    """Mean similarity at one scale for a chunk of channels, and its gradients divided by 4 / windows."""

    similarity: Tensor  # (channels,)
    windows: int  # number of window positions that the similarity is averaged over
    gradients: tuple[Tensor | None, Tensor | None]  # with respect to x and to y, (1, channels, H, W)


def similarity_and_gradients(
    x: Tensor,
    y: Tensor,
    low: float,
    span: float,
    window: Sequence[float],
    exponents: Sequence[float],
    wanted: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """Structural similarity of each image and its gradients, computed together.

    The arguments are those of :func:`similarity`; ``wanted`` says whether the gradient of x is needed, and whether that of
    y is.

    Returns:
        Similarities, (N,), and for x and y the gradient of each image's similarity, (N, C, H, W), or None.
    """
    n, c = x.shape[:2]
    with full_precision(x), torch.no_grad():
        stacks = _sums_and_differences(x, y, low, span)
        scales = max(len(exponents), 1)
        levels = [[_level(stack, span, window, scales == 1, wanted) for stack in stacks]]
        for scale in range(1, scales):
            stacks = [_halved(stacks)]
            levels.append([_level(stacks[0], span, window, scale == scales - 1, wanted)])
        product, slopes = _product([torch.cat([part.similarity for part in level]) for level in levels], exponents)
        slopes = [slope * 4 / part[0].windows for slope, part in zip(slopes, levels, strict=True)]
        scale_of_all = slopes[0].view(n, c, 1, 1) / c
        gradients = [
            _sum_of_scales(levels, slopes, which, x.shape).mul_(scale_of_all) if wanted[which] else None
            for which in (0, 1)
        ]
        return product.view(n, c).mean(1), gradients


def backward(
    gradients: Sequence[Tensor | None], grad: Tensor, images: object, window: object, wanted: object
) -> list[Tensor | None]:
    """Chain rule: the gradients of :func:`similarity_and_gradients` times the gradient of the similarities, (N,)."""
    return [None if gradient is None else grad[:, None, None, None] * gradient for gradient in gradients]


def _product(similarities: list[Tensor], exponents: Sequence[float]) -> tuple[Tensor, list[Tensor]]:
    """The product of the powers of all scales for each channel, and its derivative by the similarity of each scale."""
    if not exponents:
        return similarities[0], [torch.ones_like(similarities[0])]
    powers = [power(s, exponent) for s, exponent in zip(similarities, exponents, strict=True)]
    factors, slopes = zip(*powers, strict=True)
    product = torch.stack(factors).prod(0)
    return product, [product * slope for slope in slopes]


def _sums_and_differences(x: Tensor, y: Tensor, low: float, span: float) -> list[Tensor]:
    """For each chunk (u, v, –, –), (4, channels, H, W), with memory for u² and v²; u is 0 in the middle of the range."""
    stacks = []
    for a, b in zip(_chunks(x), _chunks(y), strict=True):
        stack = _empty(4, a)
        torch.add(a, b, out=stack[:1]).sub_(2 * low + span)  # u = a + b - (2 * low + span)
        torch.sub(a, b, out=stack[1:2])  # v = a - b
        stacks.append(stack)
    return stacks


def _chunks(x: Tensor) -> list[Tensor]:
    """(N, C, H, W) as parts of one image, (1, channels, H, W) each, in channels-last memory format."""
    channels, height, width = x.shape[0] * x.shape[1], *x.shape[2:]
    size = max(CHUNK // (height * width) // 4 * 4, 4)
    chunks = x.reshape(1, channels, height, width).split(size, dim=1)
    return [_channels_of_one(chunk) for chunk in chunks]


def _level(stack: Tensor, span: float, window: Sequence[float], last: bool, wanted: Sequence[bool]) -> Level:
    """One scale from (u, v, –, –), (4, channels, H, W). Behind each in-place line stands the line that it replaces."""
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    torch.mul(stack[:2], stack[:2], out=stack[2:])  # u², v²
    mean_u, mean_v, var_u, var_v = blur(stack, window).split(1)
    var_u.addcmul_(mean_u, mean_u, value=-1)  # var_u = blur(u²) - mean_u²
    var_v.addcmul_(mean_v, mean_v, value=-1)  # var_v = blur(v²) - mean_v²
    inverse = var_u.add_(var_v).add_(2 * c2).reciprocal_()  # inverse = 1 / (var_u + var_v + 2 * c2)
    share = var_v.mul_(inverse)  # share = var_v * inverse; contrast and structure are 1 - 2 * share
    windows = share[0, 0].numel()
    if last:
        bright, squared = mean_u + span, mean_v * mean_v  # mean of x + y − 2 · low, as in similarity()
        energy = ((bright * bright + squared) / 2).add_(c1)  # energy = (bright² + mean_v²) / 2 + c1
        dark = squared / energy
        luminance, contrast = 1 - dark, 1 - 2 * share
        similarity = (contrast * luminance).mean((0, 2, 3))
    else:
        similarity = 1 - 2 * share.mean((0, 2, 3))
    if not any(wanted):
        return Level(similarity, windows, (None, None))
    # half of the derivatives by var_u and var_v, and a quarter of those by mean_u and mean_v, negated
    maps = _empty(2 + sum(wanted), share)
    d_var_u, d_var_v, *_ = maps.split(1)
    torch.mul(share, inverse, out=d_var_u)  # d_var_u = share * inverse
    torch.sub(d_var_u, inverse, out=d_var_v)  # d_var_v = (share - 1) * inverse
    if last:
        maps[:2] *= luminance  # d_var_u = d_var_u * luminance, d_var_v = d_var_v * luminance
        slope = contrast / energy / 4
        extra_u, extra_v = -slope * dark * bright, slope * mean_v * (2 - dark)
        # d_mean_u = mean_u * d_var_u + extra_u, d_mean_v = mean_v * d_var_v + extra_v
        d_mean_u, d_mean_v = mean_u.mul_(d_var_u).add_(extra_u), mean_v.mul_(d_var_v).add_(extra_v)
    else:
        d_mean_u, d_mean_v = mean_u.mul_(d_var_u), mean_v.mul_(d_var_v)
    u, v = stack[:2].split(1)
    if all(wanted):
        maps[2:3], maps[3:] = d_mean_u, d_mean_v
        d_var_u, d_var_v, d_mean_u, d_mean_v = blur(maps, window, adjoint=True).split(1)
        # grad_u = d_var_u * u - d_mean_u, grad_v = d_var_v * v - d_mean_v
        grad_u, grad_v = d_var_u.mul_(u).sub_(d_mean_u), d_var_v.mul_(v).sub_(d_mean_v)
        return Level(similarity, windows, (grad_u + grad_v, grad_u.sub_(grad_v)))
    sign = 1 if wanted[0] else -1
    torch.add(d_mean_u, d_mean_v, alpha=sign, out=maps[2:])  # d_mean = d_mean_u + sign * d_mean_v
    d_var_u, d_var_v, d_mean = blur(maps, window, adjoint=True).split(1)
    # gradient = d_var_u * u + sign * d_var_v * v - d_mean
    gradient = d_var_u.mul_(u).addcmul_(d_var_v, v, value=sign).sub_(d_mean)
    return Level(similarity, windows, (gradient, None) if wanted[0] else (None, gradient))


def _sum_of_scales(levels: list[list[Level]], slopes: list[Tensor], which: int, shape: torch.Size) -> Tensor:
    """The sum of all scales' gradients, divided by the slope of the finest scale, as a contiguous (N, C, H, W)."""
    parts: list[Tensor] = []
    for scale in reversed(range(len(levels))):
        coarse = parts
        parts = [part for level in levels[scale] if (part := level.gradients[which]) is not None]
        if coarse:
            # only the finest scale is in several chunks
            share = coarse[0] * (slopes[scale + 1] / slopes[scale] / 4)[:, None, None]
            for part, added in zip(parts, share.split([part.shape[1] for part in parts], dim=1), strict=True):
                part.add_(_halved_adjoint(added, part.shape[2:]))
    return torch.cat([part[0] for part in parts]).view(shape)


def _empty(maps: int, like: Tensor) -> Tensor:
    """An empty (maps, channels, H, W) in channels-last memory format."""
    shape = (maps, *like.shape[1:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _halved(stacks: list[Tensor]) -> Tensor:
    """2×2 means of u and v of all chunks, as one (u, v, –, –)."""
    halves = torch.cat([halved(stack[:2]) for stack in stacks], dim=1)
    whole = _empty(4, halves)
    whole[:2] = halves
    return whole


def _halved_adjoint(shares: Tensor, sides: Sequence[int]) -> Tensor:
    """The adjoint of :func:`_halved`, but for a factor of 4, (1, channels, h, w) to (1, channels, H, W)."""
    for dim, side in ((2, sides[0]), (3, sides[1])):
        if side % 2:
            shares.select(dim, -1).mul_(2)
    whole = F.interpolate(shares.contiguous(memory_format=torch.channels_last), scale_factor=2)
    return whole[..., : sides[0], : sides[1]]
