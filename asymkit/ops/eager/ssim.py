"""Structural similarity in PyTorch's operations: the plain formula, and its gradient formed in the forward pass.

Wang et al. (2004) print the left sides, with means μ, variances σ² and the covariance σ_xy under a Gaussian window. With
u = x + y and v = x − y they are the right sides,

    luminance                (2 μ_x μ_y + C₁) / (μ_x² + μ_y² + C₁)  =  1 − μ_v² / (½ (μ_u² + μ_v²) + C₁)
    contrast and structure   (2 σ_xy + C₂) / (σ_x² + σ_y² + C₂)     =  1 − 2 σ_v² / (σ_u² + σ_v² + 2 C₂)

which take four blurs instead of five, and are exactly 1 for equal images, where the left ones cancel to values above
1. :func:`similarity` is that formula. :func:`similarity_and_gradients` computes the same values and, with three more
blurs for one input and four for both, the gradient, by the same window turned around (docs/benchmarks.md): nothing else
has to be saved for the backward pass. There all channels of all images lie innermost in memory, (H, W, N·C): both
directions of the blur, the pooling and all sums run over whole vectors, and no intermediate map is ever transposed.
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
"""Below this similarity the fractional power is continued by a hyperbola, see :func:`asymkit.ops.ms_ssim`."""

CHUNK = 12 * 256 * 256
"""Pixels worked on at a time on the finest scales, so that their maps stay in the cache."""


def similarity(
    x: Tensor, y: Tensor, low: float, span: float, window: Sequence[float], exponents: Sequence[float]
) -> Tensor:
    """Structural similarity per image, the formula itself: compilers fuse it, every transform of autograd follows it.

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
        u, v = x + y - (2 * low + span), x - y  # u is 0 in the middle of the range, where squares lose fewer digits
        if tracing() and not exporting() and _convolution_blurs(x):  # twice as fast: all channels innermost in memory
            u, v = _channels_of_one(u), _channels_of_one(v)
        for scale in range(max(len(exponents), 1)):
            if scale > 0:
                u, v = halved(u), halved(v)
            mean_u, mean_v, square_u, square_v = blur(torch.cat([u, v, u.square(), v.square()]), window).chunk(4)
            var_u, var_v = square_u - mean_u.square(), square_v - mean_v.square()
            contrast_structure = 1 - 2 * var_v / (var_u + var_v + 2 * c2)
            similarities.append(contrast_structure)
        mean_u = mean_u + span  # of x + y measured from black
        luminance = 1 - mean_v.square() / ((mean_u.square() + mean_v.square()) / 2 + c1)
        similarities[-1] = similarities[-1] * luminance
    per_scale = [similarity.mean((2, 3)).reshape(x.shape[:2]) for similarity in similarities]
    if not exponents:
        return per_scale[0].mean(1)
    powers = [power(s, exponent)[0] for s, exponent in zip(per_scale, exponents, strict=True)]
    return torch.stack(powers).prod(0).mean(1)


def _channels_of_one(x: Tensor) -> Tensor:
    """All channels of all images as those of one image, innermost in memory."""
    return x.reshape(1, -1, *x.shape[2:]).contiguous(memory_format=torch.channels_last)


def blur(x: Tensor, window: Sequence[float]) -> Tensor:
    """The window along both sides of (N, C, H, W), without padding."""
    if not _convolution_blurs(x):
        return _weighted_slices(_weighted_slices(x, window, 2), window, 3)
    channels, weights = x.shape[1], torch.tensor(window, dtype=x.dtype, device=x.device)
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        x = F.conv2d(x, weights.view(shape).expand(channels, 1, -1, -1), groups=channels)
    return x


def _convolution_blurs(x: Tensor) -> bool:
    """Whether a convolution may: on a GPU it would round to TF32, whose error is of C₂'s size; it is slow in float64."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def _weighted_slices(x: Tensor, window: Sequence[float], dim: int) -> Tensor:
    length = x.shape[dim] - len(window) + 1
    blurred = x.narrow(dim, 0, length) * window[0]
    for i, weight in enumerate(window[1:], 1):
        blurred = torch.add(blurred, x.narrow(dim, i, length), alpha=weight)
    return blurred


def halved(x: Tensor) -> Tensor:
    """2×2 means; the last row and column of an odd side are averaged over the pixels they have."""
    return F.avg_pool2d(x, 2, ceil_mode=True)


def power(similarity: Tensor, exponent: float) -> tuple[Tensor, Tensor]:
    """s^w and the slope of its logarithm; below POWER_FLOOR a hyperbola of the same value and slope there."""
    above = similarity.clamp_min(POWER_FLOOR)
    stretch = 1 + exponent * (POWER_FLOOR - similarity).clamp_min(0) / POWER_FLOOR
    return above.pow(exponent) / stretch, exponent / (above * stretch)


class Level(NamedTuple):
    """One scale of one chunk of channels: mean similarity, and its gradient up to the constant 4 / windows."""

    similarity: Tensor  # (channels,)
    windows: int  # how many the similarity is the mean of
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
    """Structural similarity per image and its gradients.

    Args:
        x: images, (N, C, H, W), float32 or float64.
        y: images of the same shape and type.
        low: the value of black.
        span: white minus black.
        window: weights of the blur, summing to one.
        exponents: of each scale, finest first; none at all for the plain mean of one scale.
        wanted: whether the gradient of x is, and that of y.

    Returns:
        Similarities, (N,), and for each input that wants one the gradient of its image's similarity, (N, C, H, W).
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
            _gathered(levels, slopes, which, x.shape).mul_(scale_of_all) if wanted[which] else None for which in (0, 1)
        ]
        return product.view(n, c).mean(1), gradients


def backward(
    gradients: Sequence[Tensor | None],
    grad: Tensor,
    images: Sequence[Tensor],
    window: Sequence[float],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The chain rule: what :func:`similarity_and_gradients` found, times the gradient by the similarities, (N,)."""
    return [None if gradient is None else grad[:, None, None, None] * gradient for gradient in gradients]


def _product(similarities: list[Tensor], exponents: Sequence[float]) -> tuple[Tensor, list[Tensor]]:
    """The product of all scales' powers for every channel, and its derivatives by the similarity of each scale."""
    if not exponents:
        return similarities[0], [torch.ones_like(similarities[0])]
    powers = [power(s, exponent) for s, exponent in zip(similarities, exponents, strict=True)]
    factors, slopes = zip(*powers, strict=True)
    product = torch.stack(factors).prod(0)
    return product, [product * slope for slope in slopes]


def _sums_and_differences(x: Tensor, y: Tensor, low: float, span: float) -> list[Tensor]:
    """Stacks of u, v and room for their squares, (4, channels, H, W) each; u is 0 in the middle of the range."""
    stacks = [_empty(4, chunk) for chunk in _chunks(x)]
    for stack, a, b in zip(stacks, _chunks(x), _chunks(y), strict=True):
        torch.add(a, b, out=stack[:1]).sub_(2 * low + span)
        torch.sub(a, b, out=stack[1:2])
    return stacks


def _chunks(x: Tensor) -> list[Tensor]:
    """All channels of all images as one image's channels, innermost in memory, a few at a time."""
    channels, height, width = x.shape[0] * x.shape[1], *x.shape[2:]
    size = max(CHUNK // (height * width) // 4 * 4, 4)
    chunks = x.reshape(1, channels, height, width).split(size, dim=1)
    return [_channels_of_one(chunk) for chunk in chunks]


def _level(stack: Tensor, span: float, window: Sequence[float], last: bool, wanted: Sequence[bool]) -> Level:
    """One scale from u and v and room for their squares, (4, channels, H, W)."""
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    torch.mul(stack[:2], stack[:2], out=stack[2:])  # u², v²
    mean_u, mean_v, var_u, var_v = _blur(stack, window).split(1)
    var_u.addcmul_(mean_u, mean_u, value=-1)  # blur(u²) − mean_u²
    var_v.addcmul_(mean_v, mean_v, value=-1)
    inverse = var_u.add_(var_v).add_(2 * c2).reciprocal_()  # 1 / (var_u + var_v + 2 · c2)
    share = var_v.mul_(inverse)  # contrast and structure are 1 − 2 · share
    windows = share[0, 0].numel()
    if last:
        bright, squared = mean_u + span, mean_v * mean_v
        energy = ((bright * bright + squared) / 2).add_(c1)
        dark = squared / energy  # luminance is 1 − dark
        luminance, contrast = 1 - dark, 1 - 2 * share
        similarity = (contrast * luminance).mean((0, 2, 3))
    else:
        similarity = 1 - 2 * share.mean((0, 2, 3))
    if not any(wanted):
        return Level(similarity, windows, (None, None))
    # by_u and by_v are half the derivatives by Var u and Var v; m_u and m_v gather a quarter of those by the means
    maps = _empty(2 + sum(wanted), share)
    by_u, by_v, *_ = maps.split(1)
    torch.mul(share, inverse, out=by_u)
    torch.sub(by_u, inverse, out=by_v)
    if last:
        maps[:2] *= luminance
        slope = contrast / energy / 4
        extra_u, extra_v = -slope * dark * bright, slope * mean_v * (2 - dark)
        m_u, m_v = mean_u.mul_(by_u).add_(extra_u), mean_v.mul_(by_v).add_(extra_v)
    else:
        m_u, m_v = mean_u.mul_(by_u), mean_v.mul_(by_v)
    u, v = stack[:2].split(1)
    if all(wanted):
        maps[2:3], maps[3:] = m_u, m_v
        by_u, by_v, m_u, m_v = _blur(maps, window, adjoint=True).split(1)
        grad_u, grad_v = by_u.mul_(u).sub_(m_u), by_v.mul_(v).sub_(m_v)
        return Level(similarity, windows, (grad_u + grad_v, grad_u.sub_(grad_v)))
    sign = 1 if wanted[0] else -1
    torch.add(m_u, m_v, alpha=sign, out=maps[2:])
    by_u, by_v, m = _blur(maps, window, adjoint=True).split(1)
    gradient = by_u.mul_(u).addcmul_(by_v, v, value=sign).sub_(m)
    return Level(similarity, windows, (gradient, None) if wanted[0] else (None, gradient))


def _gathered(levels: list[list[Level]], slopes: list[Tensor], which: int, shape: torch.Size) -> Tensor:
    """The gradients of all scales added up, in units of the finest one's slope, as a contiguous (N, C, H, W)."""
    parts: list[Tensor] = []
    for scale in reversed(range(len(levels))):
        coarse = parts
        parts = [part for level in levels[scale] if (part := level.gradients[which]) is not None]
        if coarse:
            share = (
                coarse[0] * (slopes[scale + 1] / slopes[scale] / 4)[:, None, None]
            )  # all but the finest are one chunk
            for part, added in zip(parts, share.split([part.shape[1] for part in parts], dim=1), strict=True):
                part.add_(_halved_adjoint(added, part.shape[2:]))
    gradient = torch.empty(shape, dtype=parts[0].dtype, device=parts[0].device)
    for place, part in zip(gradient.flatten(0, 1).split([part.shape[1] for part in parts]), parts, strict=True):
        place.copy_(part[0])
    return gradient


def _empty(maps: int, like: Tensor) -> Tensor:
    """Room for (maps, channels, H, W), channels innermost."""
    shape = (maps, *like.shape[1:])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _halved(stacks: list[Tensor]) -> Tensor:
    """2×2 means of u and v; the last row and column of an odd side are averaged over the pixels they have."""
    halves = [F.avg_pool2d(stack[:2], 2, ceil_mode=True) for stack in stacks]
    whole = _empty(4, halves[0].new_empty(0, sum(half.shape[1] for half in halves), *halves[0].shape[2:]))
    for place, half in zip(whole[:2].split([half.shape[1] for half in halves], dim=1), halves, strict=True):
        place.copy_(half)
    return whole


def _halved_adjoint(shares: Tensor, sides: Sequence[int]) -> Tensor:
    """The adjoint of :func:`_halved`, but for a factor of 4, (1, channels, h, w) to (1, channels, H, W)."""
    for dim, side in ((2, sides[0]), (3, sides[1])):
        if side % 2:
            shares.select(dim, -1).mul_(2)
    whole = F.interpolate(shares.contiguous(memory_format=torch.channels_last), scale_factor=2)
    return whole[..., : sides[0], : sides[1]]


def _blur(x: Tensor, window: Sequence[float], adjoint: bool = False) -> Tensor:
    """The window along both sides of (maps, channels, H, W), without padding; the adjoint spreads values back."""
    margin = len(window) - 1 if adjoint else 0
    if not _convolution_blurs(x):
        x = F.pad(x, (margin,) * 4)
        return _weighted_slices(_weighted_slices(x, window, 2), window, 3)
    channels, weights = x.shape[1], x.new_tensor(window)
    for shape, padding in (((1, 1, -1, 1), (margin, 0)), ((1, 1, 1, -1), (0, margin))):
        kernel = weights.view(shape).expand(channels, 1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, kernel, padding=padding, groups=channels)
    return x
