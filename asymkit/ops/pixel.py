"""Pixel-wise comparisons and total variation, for the cycle, identity and smoothness losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from asymkit.arguments import number, numbers, one_of
from asymkit.checks import as_image_pair, as_images, check_tensor

Reduction = Literal["mean", "sum"]


def color_l1(x: Tensor, y: Tensor, channel_weights: Sequence[float] | Tensor | None = None) -> Tensor:
    """Mean absolute difference of each colour channel, summed over the channels [AsymmetricGAN Eq. 2].

    Without weights this is exactly C times the mean absolute difference: on three channels, a cycle weight of 10 acts
    like a weight of 30 in code that uses ``nn.L1Loss``.

    Args:
        x: images, (N, C, H, W), any range.
        y: images of the same shape.
        channel_weights: one weight for each channel, (C,), at least 0; None for ones.

    Returns:
        One value per image, (N,), float32 or wider.

    Raises:
        ValueError: the shapes differ, or channel_weights does not hold one weight for each channel.

    Example:
        >>> import torch
        >>> from asymkit.ops import color_l1
        >>> black, white = -torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
        >>> color_l1(black, white), color_l1(black, white, channel_weights=[1, 0, 0])
        (tensor([6.]), tensor([2.]))
    """
    x, y = as_image_pair(x, y)
    if isinstance(channel_weights, Tensor):
        check_tensor("channel_weights", channel_weights, x.shape[1:2], x.device, "hold one weight for each channel")
    elif channel_weights is not None:
        channel_weights = numbers("channel_weights", channel_weights, "one weight for each channel")
    return weighted_l1(x, y, channel_weights)


def weighted_l1(x: Tensor, y: Tensor, channel_weights: Sequence[float] | Tensor | None) -> Tensor:
    """:func:`color_l1` of checked arguments, except that the number of weights is checked here."""
    difference = (x - y).abs()
    if channel_weights is None:
        return x.shape[1] * difference.mean((1, 2, 3))
    if len(channel_weights) != x.shape[1]:
        raise ValueError(
            f"channel_weights must hold one weight for each of the {x.shape[1]} channels, got {len(channel_weights)}"
        )
    means = difference.mean((2, 3))
    if isinstance(channel_weights, Tensor):
        return (means * channel_weights.to(x.dtype)).sum(1)
    # Python numbers one by one: a tensor of them would be copied to the device, which synchronises
    return torch.stack([weight * mean for weight, mean in zip(channel_weights, means.unbind(1), strict=True)]).sum(0)


def total_variation(x: Tensor, power: int = 2, reduction: Reduction = "mean") -> Tensor:
    """Total variation: absolute differences of neighbouring pixels, raised to a power [AsymGAN Eq. 18].

    The paper prints a minus between the two directions, which has no lower bound; here they are added.

    Args:
        x: images, (N, C, H, W), any range, H and W at least 2.
        power: 1 for absolute differences (AsymmetricGAN), 2 for squares (AsymGAN), at most 10.
        reduction: "mean" over channels and pixels, or "sum" (AsymmetricGAN's weight of 1e-6 belongs to a sum).

    Returns:
        One value per image, (N,), float32 or wider.

    Raises:
        ValueError: x is not a batch of images, a side has one pixel, power is below 1 or above 10, or reduction is unknown.

    Example:
        >>> import torch
        >>> from asymkit.ops import total_variation
        >>> total_variation(torch.ones(2, 3, 8, 8))
        tensor([0., 0.])
    """
    x = as_images(x, least_side=2)
    return variation(x, *variation_options(power, reduction))


def variation_options(power: float, reduction: Reduction) -> tuple[float, Reduction]:
    """Checked ``power`` and ``reduction`` of :func:`total_variation`."""
    one_of("reduction", reduction, ("mean", "sum"))
    why = ": below 1 the gradient of equal pixels is infinite, far above 2 powers leave float32's range"
    return number("power", power, 1, 10, why), reduction


def variation(x: Tensor, power: float, reduction: Reduction) -> Tensor:
    """:func:`total_variation` of checked arguments."""
    down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
    reduce = torch.mean if reduction == "mean" else torch.sum
    return reduce(_powers(down, power), (1, 2, 3)) + reduce(_powers(right, power), (1, 2, 3))


def _powers(difference: Tensor, power: float) -> Tensor:
    """|d|^p; ``pow`` saves more tensors for backward, and its second derivative at 0 is NaN for p = 1."""
    if power == 2:
        return difference.square()
    return difference.abs() if power == 1 else difference.abs().pow(power)
