"""Pixel-wise sums: the cycle, identity and smoothness losses are made of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from asymkit.checks import as_image_pair, as_images, one_of
from asymkit.ops.finished import chain, keep, wants_gradient
from asymkit.ops.paths import kernels_for

Reduction = Literal["mean", "sum"]


def color_l1(x: Tensor, y: Tensor, channel_weights: Sequence[float] | Tensor | None = None) -> Tensor:
    """Mean absolute difference of each colour channel, summed over the channels [AsymmetricGAN Eq. 2].

    L1 separates over channels, so without weights this is exactly C times the mean absolute difference: a cycle weight
    of 10 acts like 30 in code that used ``nn.L1Loss`` on three channels.

    Args:
        x: images, (N, C, H, W), any range.
        y: images of the same shape.
        channel_weights: one factor per channel, (C,); None for ones.

    Returns:
        One value per image, (N,), float32 or wider.

    Raises:
        ValueError: shapes differ, or the weights are not one per channel.

    Example:
        >>> black, white = -torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
        >>> color_l1(black, white), color_l1(black, white, channel_weights=[1, 0, 0])
        (tensor([6.]), tensor([2.]))
    """
    x, y = as_image_pair(x, y)
    means: Tensor = _channel_l1(x, y, wants_gradient(x) or wants_gradient(y))[0]
    if channel_weights is None:
        return means.sum(1)
    weights = torch.as_tensor(channel_weights, dtype=x.dtype, device=x.device)
    if weights.shape != x.shape[1:2]:
        raise ValueError(
            f"channel_weights must hold one weight for each of the {x.shape[1]} channels, got shape {tuple(weights.shape)}"
        )
    return (means * weights).sum(1)


def total_variation(x: Tensor, power: int = 2, reduction: Reduction = "mean") -> Tensor:
    """Roughness of each image: differences of neighbouring pixels, raised to a power [AsymGAN Eq. 18].

    The paper prints a minus between the two directions, which has no lower bound; here they are added.

    Args:
        x: images, (N, C, H, W), any range, H and W at least 2.
        power: 1 for absolute differences (AsymmetricGAN), 2 for squares (AsymGAN).
        reduction: "mean" over channels and pixels, or "sum" (AsymmetricGAN's weight of 1e-6 belongs to a sum).

    Returns:
        One value per image, (N,), float32 or wider.

    Raises:
        ValueError: x is no batch of images, or one pixel thin; a power below 1; an unknown reduction.

    Example:
        >>> total_variation(torch.ones(2, 3, 8, 8))
        tensor([0., 0.])
    """
    x = as_images(x, least_side=2)
    one_of("reduction", reduction, ("mean", "sum"))
    if power < 1:
        raise ValueError(
            f"power must be at least 1, got {power!r}: below that the gradient of equal pixels is infinite"
        )
    values: Tensor = _roughness(x, float(power), reduction == "mean", wants_gradient(x))[0]
    return values


@torch.library.custom_op(
    "asymkit::channel_l1", mutates_args=(), schema="(Tensor x, Tensor y, bool want) -> (Tensor, Tensor)"
)
def _channel_l1(x: Tensor, y: Tensor, want: bool) -> tuple[Tensor, Tensor]:
    """Mean absolute difference per channel, (N, C), and the signs of the differences if wanted."""
    with torch.cuda.device_of(x):
        kernels = kernels_for(x, "pixel")
        result: tuple[Tensor, Tensor] = (kernels.channel_l1 if kernels else channel_l1)(x, y, want)
    return result


def channel_l1(x: Tensor, y: Tensor, want: bool) -> tuple[Tensor, Tensor]:
    """The same in PyTorch's own operations."""
    sums, signs = [], torch.empty_like(x) if want else x.new_empty(0)
    for i, (a, b) in enumerate(zip(_in_cache(x), _in_cache(y), strict=True)):
        difference = a - b
        if want:
            torch.sign(difference, out=signs[i : i + len(a)])
        sums.append(difference.abs_().sum((2, 3)))
    return torch.cat(sums) / x[0, 0].numel(), signs


@_channel_l1.register_fake
def _(x: Tensor, y: Tensor, want: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[:2]), torch.empty_like(x) if want else x.new_empty(0)


def _channel_l1_backward(ctx: Any, grad: Tensor | None, *unused: Any) -> tuple[Tensor | None, ...]:
    (signs,) = ctx.saved_tensors
    by_x = chain(None if grad is None else grad / signs[0, 0].numel(), signs)
    return by_x, -by_x if by_x is not None and ctx.needs_input_grad[1] else None, None


_channel_l1.register_autograd(_channel_l1_backward, setup_context=keep)


@torch.library.custom_op(
    "asymkit::roughness",
    mutates_args=(),
    schema="(Tensor x, float power, bool mean, bool want) -> (Tensor, Tensor)",
)
def _roughness(x: Tensor, power: float, mean: bool, want: bool) -> tuple[Tensor, Tensor]:
    """Powers of the differences to the pixels below and to the right, (N,), and the gradient if wanted."""
    with torch.cuda.device_of(x):
        kernels = kernels_for(x, "pixel")
        result: tuple[Tensor, Tensor] = (kernels.roughness if kernels else roughness)(x, power, mean, want)
    return result


def roughness(x: Tensor, power: float, mean: bool, want: bool) -> tuple[Tensor, Tensor]:
    """The same in PyTorch's own operations."""
    values, gradient = [], torch.zeros_like(x) if want else x.new_empty(0)
    for i, images in enumerate(_in_cache(x)):
        value = x.new_zeros(len(images))
        for dim in (2, 3):
            side = images.shape[dim] - 1
            difference = images.narrow(dim, 1, side) - images.narrow(dim, 0, side)
            weight = 1 / difference[0].numel() if mean else 1.0
            if want:
                slope, part = _slope(difference, power), gradient[i : i + len(images)]
                part.narrow(dim, 1, side).add_(slope, alpha=weight * power)
                part.narrow(dim, 0, side).sub_(slope, alpha=weight * power)
            powers = difference.square_() if power == 2 else difference.abs_().pow_(power)
            value += powers.sum((1, 2, 3)) * weight
        values.append(value)
    return torch.cat(values), gradient


def _slope(difference: Tensor, power: float) -> Tensor:
    """The derivative of |d|^p, divided by p."""
    if power in {1.0, 2.0}:
        return difference.sign() if power == 1 else difference
    return difference.abs().pow_(power - 1).mul_(difference.sign())


@_roughness.register_fake
def _(x: Tensor, power: float, mean: bool, want: bool) -> tuple[Tensor, Tensor]:
    return x.new_empty(len(x)), torch.zeros_like(x) if want else x.new_empty(0)


def _roughness_backward(ctx: Any, grad: Tensor | None, *unused: Any) -> tuple[Tensor | None, ...]:
    return chain(grad, *ctx.saved_tensors), None, None, None


_roughness.register_autograd(_roughness_backward, setup_context=keep)


def _in_cache(x: Tensor) -> Sequence[Tensor]:
    """Images one by one on the CPU, where each then stays in the cache for all its passes; elsewhere all at once."""
    return x.split(1) if x.device.type == "cpu" else [x]
