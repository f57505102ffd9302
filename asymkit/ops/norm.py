"""Instance normalisation, plain and conditional, whose gradient stays bounded on flat images.

A region of one colour stays exactly constant through every reflect-padded convolution, its variance is zero, and an
ordinary instance norm then multiplies the gradient by 1/√eps = 316, layer after layer: training on label maps ends in
NaN. Here the gradient that reaches the input is multiplied by var / (var + 1e-6). The forward pass is untouched, and
so, within a thousandth, is the gradient where the variance is above 1e-3.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.checks import check_images, one_of, widen

Activation = Literal["relu", "leaky_relu"]

VARIANCE_FLOOR = 1e-6
"""Below this variance a feature map counts as flat and passes no gradient on to its input."""


def conditional_instance_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each map of each image brought to mean 0 and variance 1, then scaled and shifted [AsymGAN Fig. 12].

    activation(scale · (x − mean) / √(var + eps) + shift) + residual, statistics over the pixels of one map, in
    float32 or wider.

    Args:
        x: feature maps, (N, C, H, W), more than one pixel each.
        scale: the whole multiplier, (N, C); a layer conditioned on z passes 1 + γ(z).
        shift: what is added, (N, C).
        activation: "relu", "leaky_relu" (slope 0.2) or None.
        residual: added last, of x's shape.
        eps: added to the variance.

    Returns:
        Maps of x's shape, dtype and memory layout.

    Raises:
        ValueError: scale or shift is not (N, C), residual not of x's shape, maps of one pixel, unknown activation.

    Example:
        >>> x = torch.randn(2, 3, 8, 8)
        >>> y = conditional_instance_norm(x, scale=torch.ones(2, 3), shift=torch.full((2, 3), 5.0))
        >>> bool((y.mean((2, 3)) - 5).abs().max() < 1e-5)
        True
    """
    check_images(x, "x")
    for name, given in (("scale", scale), ("shift", shift)):
        if given.shape != x.shape[:2]:
            raise ValueError(
                f"{name} must hold one value per image and channel, {tuple(x.shape[:2])}, got {tuple(given.shape)}"
            )
    return _norm(x, scale, shift, activation, residual, eps)


def instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Instance norm with one scale and shift per channel, or none: ``nn.InstanceNorm2d`` with a bounded gradient.

    Args:
        x: feature maps, (N, C, H, W), more than one pixel each.
        weight: multiplier per channel, (C,), or None for 1.
        bias: what is added per channel, (C,), or None for 0.
        activation: "relu", "leaky_relu" (slope 0.2) or None.
        residual: added last, of x's shape.
        eps: added to the variance.

    Returns:
        Maps of x's shape, dtype and memory layout.

    Raises:
        ValueError: as :func:`conditional_instance_norm`.

    Example:
        >>> instance_norm(torch.tensor([[[[0.0, 2.0]]]])).flatten()
        tensor([-1.0000,  1.0000])
    """
    check_images(x, "x")
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != x.shape[1:2]:
            raise ValueError(f"{name} must hold one value per channel, ({x.shape[1]},), got {tuple(given.shape)}")
    n, c = x.shape[:2]
    scale = (
        x.new_ones(n, c, dtype=torch.promote_types(x.dtype, torch.float32)) if weight is None else weight.expand(n, c)
    )
    shift = torch.zeros_like(scale) if bias is None else bias.expand(n, c)
    return _norm(x, scale, shift, activation, residual, eps)


def _norm(
    x: Tensor, scale: Tensor, shift: Tensor, activation: Activation | None, residual: Tensor | None, eps: float
) -> Tensor:
    if x.shape[2] * x.shape[3] < 2:
        raise ValueError(
            f"x must have more than one pixel per map to have a variance, got {tuple(x.shape)}; use larger images or fewer "
            "down-sampling layers"
        )
    if residual is not None and residual.shape != x.shape:
        raise ValueError(f"residual must have x's shape {tuple(x.shape)}, got {tuple(residual.shape)}")
    wide = widen(x)
    out: Tensor = _BoundedInstanceNorm.apply(x, scale.to(wide.dtype), shift.to(wide.dtype), eps)
    if activation is not None:
        one_of("activation", activation, ("relu", "leaky_relu"))
        out = F.relu(out) if activation == "relu" else F.leaky_relu(out, 0.2)
    return out if residual is None else out + residual.to(out.dtype)


class _BoundedInstanceNorm(torch.autograd.Function):
    """One group norm over N·C groups, so that every image brings its own scale and shift at no extra pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        maps = _as_groups(x)
        groups, pixels = maps.shape[1], maps.shape[2] * maps.shape[3]
        out, mean, rstd = torch.native_group_norm(
            maps, scale.reshape(-1), shift.reshape(-1), 1, groups, pixels, groups, eps
        )
        ctx.save_for_backward(x, scale, mean, rstd)
        ctx.eps = eps
        return _like(out, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, mean, rstd = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: gradient penalties differentiate this once more
            return (*_differentiable_backward(grad, x, scale, ctx.eps), None)
        variance = (rstd.square().reciprocal() - ctx.eps).clamp_min(0)
        # the gradient of the input is proportional to the scale, so bounding costs no pass over the maps
        bounded = scale.reshape(-1) * (variance / (variance + VARIANCE_FLOOR)).reshape(-1)
        maps = _as_groups(x)
        groups, pixels = maps.shape[1], maps.shape[2] * maps.shape[3]
        wanted = list(ctx.needs_input_grad[:3])
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_group_norm_backward(
            _as_groups(grad), maps, mean, rstd, bounded, 1, groups, pixels, groups, wanted
        )
        return (
            _like(grad_x, x) if wanted[0] else None,
            grad_scale.view_as(scale) if wanted[1] else None,
            grad_shift.view_as(scale) if wanted[2] else None,
            None,
        )


def _differentiable_backward(grad: Tensor, x: Tensor, scale: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same gradients written in operations that autograd can follow."""
    wide, grad = widen(x), widen(grad)
    centred = wide - wide.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3), keepdim=True)
    rstd = (variance + eps).rsqrt()
    normed = centred * rstd
    inner = grad - grad.mean((2, 3), keepdim=True) - normed * (grad * normed).mean((2, 3), keepdim=True)
    factor = scale[..., None, None] * rstd * variance / (variance + VARIANCE_FLOOR)
    return (factor * inner).to(x.dtype), (grad * normed).sum((2, 3)), grad.sum((2, 3))


def _as_groups(x: Tensor) -> Tensor:
    """(N, C, H, W) as one image of N·C maps, float32 or wider: what a group norm over single maps wants."""
    return widen(x).reshape(1, -1, *x.shape[2:]).contiguous()


def _like(out: Tensor, x: Tensor) -> Tensor:
    """Back to x's shape, dtype and memory layout."""
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    return out.view(x.shape).to(x.dtype).contiguous(memory_format=layout)
