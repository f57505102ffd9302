"""Structural similarity of two images, at one scale and at several.

With u = x + y and v = x − y, blurred by a Gaussian window:

    contrast and structure   cs = 1 − 2 Var v / (Var u + Var v + 2 C₂)
    luminance                l  = 1 − v̄² / (½(ū² + v̄²) + C₁)

which equals the usual quotients of means, variances and the covariance, needs four blurs instead of five, and is
exactly 1 for equal images, where the usual form cancels to values above 1.
"""

from __future__ import annotations

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.checks import as_image_pair, at_least, full_precision, span_of

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of Wang et al. (2003), finest scale first."""

K1, K2 = 0.01, 0.03

POWER_FLOOR = 1e-3
"""Below this similarity the fractional power is continued by a hyperbola, see :func:`ms_ssim`."""


def ssim(
    x: Tensor, y: Tensor, value_range: tuple[float, float] = (-1, 1), window_size: int = 11, sigma: float = 1.5
) -> Tensor:
    """Structural similarity, averaged over pixels and channels [AsymmetricGAN Eq. 5].

    Only windows that lie wholly inside the image count. Values are measured from the low end of ``value_range``: taken
    as they are, images in [-1, 1] and their inverted copies would count as similar.

    Args:
        x: images, (N, C, H, W), in ``value_range``, both sides at least ``window_size``.
        y: images of the same shape.
        value_range: (low, high), e.g. (-1, 1), (0, 1) or (0, 255).
        window_size: side of the Gaussian window in pixels, odd.
        sigma: its standard deviation in pixels.

    Returns:
        One similarity per image, (N,), at most 1, float32 or wider.

    Raises:
        ValueError: shapes differ, images smaller than the window, an empty range, an even window.

    Example:
        >>> x = torch.rand(2, 3, 32, 32) * 2 - 1
        >>> ssim(x, x)
        tensor([1., 1.])
    """
    x, y = as_image_pair(x, y, least_side=window_size)
    span = span_of(value_range)
    window = gaussian_window(window_size, sigma)
    contrast, luminance = _similarities(x + y - 2 * value_range[0] - span, x - y, span, window)
    return (contrast * luminance).mean((1, 2, 3))


def ms_ssim(
    x: Tensor,
    y: Tensor,
    value_range: tuple[float, float] = (-1, 1),
    scales: int | None = None,
    window_size: int = 11,
    sigma: float = 1.5,
) -> Tensor:
    """Structural similarity at several scales, multiplied per channel, then averaged [AsymmetricGAN Eq. 6].

    ∏ⱼ f(csⱼ)^wⱼ over the scales, the last with luminance, each scale half the side of the one before (2×2 means; the
    last row and column of an odd side are averaged over the pixels they have). With fewer than five scales the first
    weights are used and divided by their sum.

    A similarity s can be zero or negative, where s^w has no finite gradient or no value. Below 1e-3 it is therefore
    continued by the hyperbola that has the same value and slope there: positive, falling, never flat, so that images
    that look like negatives of each other still learn. Above 1e-3, which is where images live, nothing changes.

    Args:
        x: images, (N, C, H, W), in ``value_range``, both sides at least ``window_size``.
        y: images of the same shape.
        value_range: (low, high), e.g. (-1, 1), (0, 1) or (0, 255).
        scales: 1 to 5; None takes as many as fit (five need a side above 160), and warns where that is fewer than five.
        window_size: side of the Gaussian window in pixels, odd.
        sigma: its standard deviation in pixels.

    Returns:
        One similarity per image, (N,), at most 1, float32 or wider.

    Raises:
        ValueError: shapes differ, images too small for the scales asked for, an empty range, an even window.

    Example:
        >>> x = torch.rand(2, 3, 64, 64)
        >>> ms_ssim(x, x, value_range=(0, 1), scales=3)
        tensor([1., 1.])
    """
    x, y = as_image_pair(x, y, least_side=window_size)
    span = span_of(value_range)
    window = gaussian_window(window_size, sigma)
    weights = _scale_weights(x.shape[2], x.shape[3], scales, window_size)
    u, v = x + y - 2 * value_range[0] - span, x - y
    product = x.new_ones(x.shape[:2])
    for scale, weight in enumerate(weights):
        contrast, luminance = _similarities(u, v, span, window)
        last = scale == len(weights) - 1
        similarity = (contrast * luminance if last else contrast).mean((2, 3))
        product = product * _power(similarity, weight)
        if not last:
            u, v = _halve(u), _halve(v)
    return product.mean(1)


def scales_that_fit(height: int, width: int, window_size: int = 11) -> int:
    """How many scales MS-SSIM can use: the window must fit the image halved scale − 1 times; at most five.

    Example:
        >>> [scales_that_fit(side, side) for side in (16, 64, 128, 161)]
        [1, 3, 4, 5]
    """
    side = min(height, width)
    return sum(math.ceil(side / 2**scale) >= window_size for scale in range(len(SCALE_WEIGHTS)))


def scale_weights(scales: int) -> list[float]:
    """The published exponents of all five scales, which sum to 1.0001, or the first few divided by their sum."""
    weights = list(SCALE_WEIGHTS[:scales])
    return weights if scales == len(SCALE_WEIGHTS) else [weight / sum(weights) for weight in weights]


def gaussian_window(size: int, sigma: float) -> list[float]:
    """Weights of a Gaussian over ``size`` pixels, summing to one, in float64."""
    at_least("window_size", size)
    if size % 2 == 0:
        raise ValueError(f"window_size must be odd, so that the window has a middle pixel, got {size}")
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma!r}")
    heights = [math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)]
    return [height / sum(heights) for height in heights]


def _scale_weights(height: int, width: int, scales: int | None, window_size: int) -> list[float]:
    fit = scales_that_fit(height, width, window_size)
    if scales is None:
        scales = fit
        if fit < len(SCALE_WEIGHTS) and not torch.compiler.is_compiling():
            warnings.warn(
                f"MS-SSIM: images of {height}×{width} hold {fit} of the 5 scales, their weights are renormalised; "
                f"pass scales={fit} to say that this is wanted",
                stacklevel=3,
            )
    at_least("scales", scales)
    if scales > len(SCALE_WEIGHTS):
        raise ValueError(f"scales must be at most {len(SCALE_WEIGHTS)}, got {scales}")
    if scales > fit:
        raise ValueError(
            f"scales={scales} needs sides of more than {(window_size - 1) * 2 ** (scales - 1)} pixels, "
            f"got {height}×{width}; use scales={fit} or larger images"
        )
    return scale_weights(scales)


def _similarities(u: Tensor, v: Tensor, span: float, window: list[float]) -> tuple[Tensor, Tensor]:
    """Contrast and luminance at every window; u is measured from twice the middle of the range."""
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    mean_u, mean_v, square_u, square_v = _blur(torch.stack([u, v, u * u, v * v]), window)
    var_u, var_v = square_u - mean_u * mean_u, square_v - mean_v * mean_v
    contrast = 1 - 2 * var_v / (var_u + var_v + 2 * c2)
    bright = mean_u + span
    luminance = 1 - mean_v * mean_v / ((bright * bright + mean_v * mean_v) / 2 + c1)
    return contrast, luminance


def _blur(x: Tensor, window: list[float]) -> Tensor:
    """Window along both sides of (maps, N, C, H, W), without padding."""
    flat = x.flatten(0, 2)
    for _ in range(2):
        flat = _blur_columns(flat, window).mT.contiguous()
    return flat.view(*x.shape[:3], *flat.shape[1:])


def _blur_columns(x: Tensor, window: list[float]) -> Tensor:
    if x.is_cuda:  # a convolution would round to TF32 there, whose error is of the size of C₂
        length = x.shape[1] - len(window) + 1
        blurred = x.narrow(1, 0, length) * window[0]
        for i, weight in enumerate(window[1:], 1):
            blurred = torch.add(blurred, x.narrow(1, i, length), alpha=weight)
        return blurred
    # A contiguous (B, H, W) is, without a copy, a channels-last (B, W, H, 1): W vectorised channels of one column each.
    width = x.shape[2]
    kernel = x.new_tensor(window).view(1, 1, -1, 1).expand(width, 1, -1, 1)
    with full_precision(x):
        blurred = F.conv2d(x.unsqueeze(2).permute(0, 3, 1, 2), kernel, groups=width)
    return blurred.permute(0, 2, 3, 1).squeeze(2)


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)


def _power(similarity: Tensor, weight: float) -> Tensor:
    """s^w, continued below POWER_FLOOR with the same value and slope by a hyperbola that stays positive."""
    ordinary = similarity.clamp_min(POWER_FLOOR).pow(weight)
    below = (POWER_FLOOR - similarity).clamp_min(0) / POWER_FLOOR
    return ordinary / (1 + weight * below)
