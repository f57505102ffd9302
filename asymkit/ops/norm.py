"""Instance normalisation, plain and conditional, whose gradient stays bounded on flat images.

A region of one colour stays exactly constant through every reflect-padded convolution, its variance is zero, and an
ordinary instance norm then multiplies the gradient by 1/√eps = 316, layer after layer: training on label maps ends in
NaN. Here the gradient that reaches the input is multiplied by var / (var + 1e-6). The forward pass is untouched, and
so, within a thousandth, is the gradient where the variance is above 1e-3.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from asymkit.checks import check_images, one_of
from asymkit.ops import normalize
from asymkit.ops.normalize import differentiable_backward, exportable, layout_of
from asymkit.ops.paths import kernels_for

Activation = Literal["relu", "leaky_relu"]

SLOPES = {None: 1.0, "relu": 0.0, "leaky_relu": 0.2}
"""What an activation multiplies negative values by."""


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
    if activation is not None:
        one_of("activation", activation, ("relu", "leaky_relu"))
    wide = torch.promote_types(x.dtype, torch.float32)
    if torch.compiler.is_exporting():
        return exportable(x, scale.to(wide), shift.to(wide), residual, SLOPES[activation], eps)
    out: Tensor = _instance_norm(x, scale.to(wide), shift.to(wide), residual, SLOPES[activation], eps)[0]
    return out


@torch.library.custom_op(
    "asymkit::instance_norm",
    mutates_args=(),
    schema="(Tensor x, Tensor scale, Tensor shift, Tensor? residual, float slope, float eps) -> (Tensor, Tensor, Tensor)",
)
def _instance_norm(
    x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | None, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Maps like x, mean and 1 / √(var + eps)."""
    with torch.cuda.device_of(x):
        compute = (kernels_for(x, "norm") or normalize).normalize
        result: tuple[Tensor, Tensor, Tensor] = compute(x, scale, shift, residual, slope, eps)
    return result


@_instance_norm.register_fake
def _(x: Tensor, scale: Tensor, *unused: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(x), scale.new_empty(scale.shape), scale.new_empty(scale.shape)


@torch.library.custom_op(
    "asymkit::instance_norm_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor scale, Tensor shift, Tensor mean, Tensor rstd, Tensor? out, float slope, "
    "float eps) -> (Tensor, Tensor, Tensor)",
)
def _instance_norm_backward(
    grad: Tensor,
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    rstd: Tensor,
    out: Tensor | None,
    slope: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, scale and shift."""
    with torch.cuda.device_of(x):
        compute = (kernels_for(x, "norm") or normalize).normalize_backward
        result: tuple[Tensor, Tensor, Tensor] = compute(grad, x, scale, shift, mean, rstd, out, slope, eps)
    return result


@_instance_norm_backward.register_fake
def _(grad: Tensor, x: Tensor, scale: Tensor, *unused: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(x), scale.new_empty(scale.shape), scale.new_empty(scale.shape)


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout_of(x))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, scale, shift, residual, ctx.slope, ctx.eps = inputs
    out, mean, rstd = output
    ctx.mark_non_differentiable(mean, rstd)
    ctx.residual_dtype = None if residual is None else residual.dtype
    # an activated map is what the next convolution keeps anyway
    kept = out if residual is None and ctx.slope != 1 and not x.is_cuda else None
    ctx.save_for_backward(x, scale, shift, mean, rstd, kept)


def _backward(ctx: Any, grad: Tensor, *unused: Any) -> tuple[Tensor | None, ...]:
    x, scale, shift, mean, rstd, out = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True: gradient penalties differentiate this once more
        by_x, by_scale, by_shift = differentiable_backward(grad, x, scale, shift, ctx.slope, ctx.eps)
    else:
        by_x, by_scale, by_shift = _instance_norm_backward(grad, x, scale, shift, mean, rstd, out, ctx.slope, ctx.eps)
    by_residual = None if ctx.residual_dtype is None else grad.to(ctx.residual_dtype)
    return by_x, by_scale, by_shift, by_residual, None, None


_instance_norm.register_autograd(_backward, setup_context=_keep)
