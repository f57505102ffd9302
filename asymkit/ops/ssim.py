"""Structural similarity (SSIM and MS-SSIM) of two images; the formula is in :mod:`asymkit.ops.eager.ssim`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from asymkit.arguments import at_least, number, range_of, sizes
from asymkit.checks import check_image_pair
from asymkit.ops.backend import differentiable_backward, kernels_for, needs_plain_backward, needs_plain_formula
from asymkit.ops.eager import ssim as eager
from asymkit.precision import widen_pair

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of Wang et al. (2003), finest scale first."""

LARGEST_KERNEL_WINDOW = 15
"""The Triton kernels hold this many rows in registers; larger windows use the eager backend."""


def ssim(
    x: Tensor, y: Tensor, value_range: tuple[float, float] = (-1, 1), window_size: int = 11, sigma: float = 1.5
) -> Tensor:
    """Structural similarity (SSIM), averaged over pixels and channels [AsymmetricGAN Eq. 5].

    Only windows that lie completely inside the image are used. Values are measured from the low end of ``value_range``:
    the luminance term of raw values in [-1, 1] would rate an image and its negative as similar.

    Args:
        x: images, (N, C, H, W), in ``value_range``, both sides at least ``window_size``.
        y: images of the same shape.
        value_range: (low, high), e.g. (-1, 1), (0, 1) or (0, 255).
        window_size: side of the Gaussian window in pixels, odd, at most 255.
        sigma: its standard deviation in pixels, 0.1 to 1,000.

    Returns:
        One similarity per image, (N,), at most 1, float32 or wider.

    Raises:
        ValueError: the shapes differ, the images are smaller than the window, value_range is not (low, high), or the window
            size is even or out of bounds.

    Example:
        >>> import torch
        >>> from asymkit.ops import ssim
        >>> x = torch.rand(2, 3, 32, 32) * 2 - 1
        >>> ssim(x, x)
        tensor([1., 1.])
    """
    value_range, (window_size, sigma) = range_of(value_range), checked_window(window_size, sigma)
    check_image_pair(x, y, least_side=window_size)
    return compare(x, y, value_range, window_size, sigma)


def ms_ssim(
    x: Tensor,
    y: Tensor,
    value_range: tuple[float, float] = (-1, 1),
    scales: int | None = None,
    window_size: int = 11,
    sigma: float = 1.5,
) -> Tensor:
    """Multi-scale structural similarity (MS-SSIM), averaged over channels [AsymmetricGAN Eq. 6].

    For each channel ∏ⱼ csⱼ^wⱼ over the scales, with contrast and structure cs and, at the last scale, luminance. Each
    scale halves the image by 2×2 means; the last row or column of an odd side is averaged over the pixels that exist.
    With fewer than five scales the first weights are used, divided by their sum.

    A similarity s can be zero or negative, where s^w has an infinite gradient or is undefined. Below 1e-3 the power is
    therefore replaced by a hyperbola of the same value and slope at 1e-3, which is positive and strictly increasing, so
    that the gradient does not vanish for images that are negatives of each other. Above 1e-3 the formula is unchanged.

    Args:
        x: images, (N, C, H, W), in ``value_range``, both sides at least ``window_size``.
        y: images of the same shape.
        value_range: (low, high), e.g. (-1, 1), (0, 1) or (0, 255).
        scales: 1 to 5; None uses as many as fit (five need a side above 160), with a warning if that is fewer than five.
        window_size: side of the Gaussian window in pixels, odd, at most 255.
        sigma: its standard deviation in pixels, 0.1 to 1,000.

    Returns:
        One similarity per image, (N,), at most 1, float32 or wider.

    Raises:
        ValueError: the shapes differ, the images are too small for ``scales``, value_range is not (low, high), or the
            window size is even or out of bounds.

    Example:
        >>> import torch
        >>> from asymkit.ops import ms_ssim
        >>> x = torch.rand(2, 3, 64, 64)
        >>> ms_ssim(x, x, value_range=(0, 1), scales=3)
        tensor([1., 1.])
    """
    value_range, (window_size, sigma) = range_of(value_range), checked_window(window_size, sigma)
    scales = checked_scales(scales)
    check_image_pair(x, y, least_side=window_size)
    return compare_scales(x, y, value_range, scales, window_size, sigma)


def scales_that_fit(height: int, width: int, window_size: int = 11) -> int:
    """Number of scales that MS-SSIM can use: the window must fit into the image after scales − 1 halvings; at most five.

    Raises:
        ValueError: height or width is below 1, or window_size is not from 1 to 255.

    Example:
        >>> from asymkit.ops import scales_that_fit
        >>> [scales_that_fit(side, side) for side in (16, 64, 128, 161)]
        [1, 3, 4, 5]
    """
    sides = at_least("height", height), at_least("width", width)
    (window_size,) = sizes(window_size=window_size)
    return _fitting(*sides, window_size)


def _fitting(height: int, width: int, window_size: int) -> int:
    """:func:`scales_that_fit` of sizes that are checked, or symbolic inside ``torch.compile``."""
    side = min(height, width)
    return sum(math.ceil(side / 2**scale) >= window_size for scale in range(len(SCALE_WEIGHTS)))


def scale_weights(scales: int) -> list[float]:
    """The published exponents of all five scales, whose sum is 1.0001, or the first few normalised to a sum of 1."""
    weights = list(SCALE_WEIGHTS[:scales])
    return weights if scales == len(SCALE_WEIGHTS) else [weight / sum(weights) for weight in weights]


def checked_window(window_size: int, sigma: float) -> tuple[int, float]:
    """Checked side and standard deviation of a Gaussian window."""
    (side,) = sizes(window_size=window_size)
    if side % 2 == 0:
        raise ValueError(f"window_size must be odd, so that the window has a middle pixel, got {side}")
    return side, number("sigma", sigma, 0.1, 1000)


def checked_scales(scales: int | None) -> int | None:
    """Checked number of scales, or None."""
    return None if scales is None else at_least("scales", scales, most=len(SCALE_WEIGHTS))


def gaussian_window(size: int, sigma: float) -> list[float]:
    """Weights of a Gaussian over ``size`` pixels, summing to one, in float64."""
    heights = [math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)]
    return [height / sum(heights) for height in heights]


def compare(
    x: Tensor,
    y: Tensor,
    value_range: tuple[float, float],
    window_size: int,
    sigma: float,
    exponents: Sequence[float] = (),
) -> Tensor:
    """:func:`ssim` of checked arguments; with exponents, :func:`ms_ssim` over as many scales."""
    low, high = value_range
    options = (low, high - low, gaussian_window(window_size, sigma), list(exponents))
    if needs_plain_formula(x, y):
        return _formula(x, y, options)
    module: Any = eager
    if window_size <= LARGEST_KERNEL_WINDOW:
        module = kernels_for(x.device, torch.promote_types(x.dtype, y.dtype), "ssim")
    if module is eager:  # the kernels convert each pixel themselves
        x, y = widen_pair(x, y)
    wanted = [torch.is_grad_enabled() and image.requires_grad for image in (x, y)]
    return _Similarity.apply(x, y, module, wanted, options)


def compare_scales(
    x: Tensor, y: Tensor, value_range: tuple[float, float], scales: int | None, window_size: int, sigma: float
) -> Tensor:
    """:func:`ms_ssim` of checked arguments, except that the number of scales that fit is checked here."""
    height, width = x.shape[2:]
    fit = _fitting(height, width, window_size)
    if scales is None:
        scales = fit
        if fit < len(SCALE_WEIGHTS) and not torch.compiler.is_compiling():
            warnings.warn(
                f"MS-SSIM: images of {height}×{width} hold {fit} of the 5 scales, their weights are renormalised; "
                f"pass scales={fit} to say that this is wanted",
                stacklevel=3,
            )
    if scales > fit:
        raise ValueError(
            f"scales={scales} needs sides of more than {(window_size - 1) * 2 ** (scales - 1)} pixels, "
            f"got {height}×{width}; use scales={fit} or larger images"
        )
    return compare(x, y, value_range, window_size, sigma, scale_weights(scales))


class _Similarity(torch.autograd.Function):
    """The eager backend and the Triton kernels: the gradient is computed in forward, with which it shares most of the work.

    Only that gradient is saved; backward multiplies it by the incoming gradient (chain rule).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, module: Any, wanted: list[bool], options: tuple[Any, ...]) -> Tensor:
        with torch.cuda.device_of(x):
            values: Tensor
            values, saved = module.similarity_and_gradients(x, y, *options, wanted)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*saved)
        ctx.module, ctx.wanted = module, wanted
        # The images are needed for second derivatives only. As saved tensors they could not be modified in place even
        # if no second derivative is computed, so they are attributes, with their versions for a check. They are dropped
        # when backward frees the graph, like saved tensors: a loss that is kept for a log does not keep the images.
        ctx.images, ctx.versions, ctx.options = (x, y), (_version(x), _version(y)), options
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # raises PyTorch's error if the graph was freed already
        images = ctx.images
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.images = None
        if grad is None:
            return (None,) * 5
        if not needs_plain_backward(grad):
            with torch.cuda.device_of(grad):
                grad_x, grad_y = ctx.module.backward(saved, grad, images, ctx.options[2], ctx.wanted)
            return grad_x, grad_y, None, None, None
        if ctx.versions != tuple(map(_version, images)):
            raise RuntimeError(
                "an image given to ssim or ms_ssim was changed in place before a backward pass with create_graph=True, "
                "which computes from it once more; change a copy instead: image.clone()"
            )
        formula = partial(_formula, options=ctx.options)
        grad_x, grad_y = differentiable_backward(formula, images, ctx.needs_input_grad[:2], grad)
        return grad_x, grad_y, None, None, None


def _formula(x: Tensor, y: Tensor, options: tuple[Any, ...]) -> Tensor:
    return eager.similarity(*widen_pair(x, y), *options)


def _version(x: Tensor) -> int | None:
    """The counter of in-place changes, which inference tensors do not have."""
    return None if x.is_inference() else x._version
