"""Reconstruction losses between images, and total variation: modules around :mod:`asymkit.ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from asymkit.arguments import numbers, one_of, range_of
from asymkit.checks import as_image_pair, as_images, check_image_pair
from asymkit.ops.pixel import Reduction, variation, variation_options, weighted_l1
from asymkit.ops.ssim import (
    SCALE_WEIGHTS,
    checked_scales,
    checked_window,
    compare,
    compare_scales,
    scale_weights,
)
from asymkit.optional import needed_for
from asymkit.precision import full_precision, widen_pair

Backend = Literal["asymkit", "pytorch-msssim"]
NAMES = ("prediction", "target")


class ColorCycleLoss(nn.Module):
    """Batch mean of :func:`asymkit.ops.color_l1`: for RGB images three times ``nn.L1Loss`` [AsymmetricGAN Eq. 2].

    Args:
        channel_weights: one weight for each channel, at least 0; None for ones.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit import ColorCycleLoss
        >>> prediction, target = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
        >>> ColorCycleLoss()(prediction, target), nn.L1Loss()(prediction, target)
        (tensor(3.), tensor(1.))
    """

    def __init__(self, channel_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.channel_weights = (
            None if channel_weights is None else numbers("channel_weights", channel_weights, "one number per channel")
        )

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar loss of two batches (N, C, H, W) of one shape."""
        return weighted_l1(*as_image_pair(prediction, target, NAMES), self.channel_weights).mean()

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return "" if self.channel_weights is None else f"channel_weights={self.channel_weights}"


class TotalVariationLoss(nn.Module):
    """Batch mean of :func:`asymkit.ops.total_variation` [AsymGAN Eq. 18].

    Args:
        power: 1 for absolute differences, 2 for squares, at most 10.
        reduction: "mean" or "sum" over channels and pixels.

    Example:
        >>> import torch
        >>> from asymkit import TotalVariationLoss
        >>> TotalVariationLoss()(torch.eye(2).view(1, 1, 2, 2))
        tensor(2.)
    """

    def __init__(self, power: int = 2, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.power, self.reduction = variation_options(power, reduction)

    def forward(self, image: Tensor) -> Tensor:
        """The scalar loss of a batch (N, C, H, W)."""
        return variation(as_images(image, "image", least_side=2), self.power, self.reduction).mean()

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"power={self.power}, reduction={self.reduction!r}"


class SSIMLoss(nn.Module):
    """1 − :func:`asymkit.ops.ssim`, batch mean [AsymmetricGAN Eq. 5].

    Args:
        value_range: (low, high) of the images.
        window_size: side of the Gaussian window in pixels, odd, at most 255.
        sigma: its standard deviation in pixels, 0.1 to 1,000.
        backend: "asymkit", or "pytorch-msssim" for exactly the values of that package.

    Example:
        >>> import torch
        >>> from asymkit import SSIMLoss
        >>> image = torch.rand(1, 3, 32, 32) * 2 - 1
        >>> SSIMLoss()(image, image)
        tensor(0.)
    """

    def __init__(
        self,
        value_range: tuple[float, float] = (-1, 1),
        window_size: int = 11,
        sigma: float = 1.5,
        backend: Backend = "asymkit",
    ) -> None:
        super().__init__()
        self.value_range, self.backend = range_of(value_range), backend
        self.window_size, self.sigma = checked_window(window_size, sigma)
        one_of("backend", backend, ("asymkit", "pytorch-msssim"))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar loss of two batches (N, C, H, W) of one shape, from 0 for equal images to 2."""
        check_image_pair(prediction, target, NAMES, self.window_size)
        args = (prediction, target, self.value_range, self.window_size, self.sigma)
        return 1 - (compare(*args) if self.backend == "asymkit" else _pytorch_msssim("ssim", *args)).mean()

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"value_range={self.value_range}, backend={self.backend!r}"


class MSSSIMLoss(nn.Module):
    """1 − :func:`asymkit.ops.ms_ssim`, batch mean [AsymmetricGAN Eq. 6].

    Args:
        value_range: (low, high) of the images.
        scales: 1 to 5; None uses as many as fit (five need sides above 160), with a warning if that is fewer than five.
        window_size: side of the Gaussian window in pixels, odd, at most 255.
        sigma: its standard deviation in pixels, 0.1 to 1,000.
        backend: "asymkit", or "pytorch-msssim" for exactly the values of that package.

    Example:
        >>> import torch
        >>> from asymkit import MSSSIMLoss
        >>> image = torch.rand(1, 3, 64, 64) * 2 - 1
        >>> MSSSIMLoss(scales=3)(image, image)
        tensor(0.)
    """

    def __init__(
        self,
        value_range: tuple[float, float] = (-1, 1),
        scales: int | None = None,
        window_size: int = 11,
        sigma: float = 1.5,
        backend: Backend = "asymkit",
    ) -> None:
        super().__init__()
        self.value_range, self.scales, self.backend = range_of(value_range), checked_scales(scales), backend
        self.window_size, self.sigma = checked_window(window_size, sigma)
        one_of("backend", backend, ("asymkit", "pytorch-msssim"))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar loss of two batches (N, C, H, W) of one shape, from 0 for equal images to 1."""
        check_image_pair(prediction, target, NAMES, self.window_size)
        if self.backend == "asymkit":
            options = (self.value_range, self.scales, self.window_size, self.sigma)
            return 1 - compare_scales(prediction, target, *options).mean()
        height, width = prediction.shape[-2:]
        if min(height, width) <= (self.window_size - 1) * 16:
            raise ValueError(
                f"backend='pytorch-msssim' needs sides above {(self.window_size - 1) * 16}, whatever the scales, got "
                f"{height}×{width}; use larger images or backend='asymkit'"
            )
        args = (prediction, target, self.value_range, self.window_size, self.sigma)
        return 1 - _pytorch_msssim("ms_ssim", *args, weights=scale_weights(self.scales or len(SCALE_WEIGHTS))).mean()

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"value_range={self.value_range}, scales={self.scales}, backend={self.backend!r}"


def _pytorch_msssim(
    function: str,
    x: Tensor,
    y: Tensor,
    value_range: tuple[float, float],
    window_size: int,
    sigma: float,
    **options: Any,
) -> Tensor:
    """The same comparison by the pytorch-msssim package, one value per image."""
    with needed_for('backend="pytorch-msssim"', "pytorch-msssim"):
        import pytorch_msssim

    (low, high), (x, y) = value_range, widen_pair(x, y)
    with full_precision(x):
        return getattr(pytorch_msssim, function)(
            x - low,
            y - low,
            data_range=high - low,
            size_average=False,
            win_size=window_size,
            win_sigma=sigma,
            **options,
        )
