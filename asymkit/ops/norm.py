"""Instance normalisation, plain and conditional, with a gradient that stays bounded on constant feature maps.

A region of one colour stays exactly constant through every reflect-padded convolution. Its variance is zero, so an
ordinary instance norm multiplies the gradient by 1/√eps = 316 in every layer, and training on label maps ends in NaN.
Here the gradient with respect to the input is multiplied by var / (var + 1e-6). The forward pass is unchanged, and the
gradient changes by less than a thousandth where the variance is above 1e-3.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from asymkit.arguments import number, one_of
from asymkit.checks import check_images, check_tensor
from asymkit.ops.backend import (
    differentiable_backward,
    kernels_for,
    needs_plain_backward,
    needs_plain_formula,
    tracing,
)
from asymkit.ops.eager import norm as eager

Activation = Literal["relu", "leaky_relu"]

NEGATIVE_SLOPE = 0.2
"""As in CycleGAN's discriminators; PyTorch's default is 0.01."""


def conditional_instance_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    negative_slope: float = NEGATIVE_SLOPE,
) -> Tensor:
    """Instance norm with a scale and a shift for each image and channel [AsymGAN Fig. 12].

    activation(scale · (x − mean) / √(var + eps) + shift) + residual, with statistics over the pixels of each feature map,
    computed in float32 or wider.

    Args:
        x: feature maps, (N, C, H, W), with more than one pixel.
        scale: the multiplier, (N, C); a layer conditioned on z passes 1 + γ(z).
        shift: added after scaling, (N, C).
        activation: "relu", "leaky_relu" or None.
        residual: added after the activation, of x's shape.
        eps: added to the variance, 1e-12 to 1.
        negative_slope: of "leaky_relu", 0 to 1.

    Returns:
        Feature maps of x's shape, dtype and memory layout.

    Raises:
        ValueError: scale or shift is not (N, C), residual is not of x's shape, one of them is not floating point or on
            another device, x has one pixel, activation is unknown, or eps or negative_slope is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit.ops import conditional_instance_norm
        >>> x = torch.randn(2, 3, 8, 8)
        >>> y = conditional_instance_norm(x, scale=torch.ones(2, 3), shift=torch.full((2, 3), 5.0))
        >>> bool((y.mean((2, 3)) - 5).abs().max() < 1e-5)
        True
    """
    check_images(x, "x")
    for name, given in (("scale", scale), ("shift", shift)):
        check_tensor(name, given, x.shape[:2], x.device, "hold one value per image and channel")
    return norm_of_images(x, scale, shift, activation, residual, eps, negative_slope)


def instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    negative_slope: float = NEGATIVE_SLOPE,
) -> Tensor:
    """Instance norm with one scale and shift per channel, or none: ``nn.InstanceNorm2d`` with a bounded gradient.

    Args:
        x: feature maps, (N, C, H, W), with more than one pixel.
        weight: scale of each channel, (C,), or None for 1.
        bias: shift of each channel, (C,), or None for 0.
        activation: "relu", "leaky_relu" or None.
        residual: added after the activation, of x's shape.
        eps: added to the variance, 1e-12 to 1.
        negative_slope: of "leaky_relu", 0 to 1.

    Returns:
        Feature maps of x's shape, dtype and memory layout.

    Raises:
        ValueError: as :func:`conditional_instance_norm`.

    Example:
        >>> import torch
        >>> from asymkit.ops import instance_norm
        >>> instance_norm(torch.tensor([[[[0.0, 2.0]]]])).flatten()
        tensor([-1.0000,  1.0000])
    """
    check_images(x, "x")
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None:
            check_tensor(name, given, x.shape[1:2], x.device, "hold one value per channel")
    scale, shift = (None if given is None else given.expand(x.shape[:2]) for given in (weight, bias))
    return norm_of_images(x, scale, shift, activation, residual, eps, negative_slope)


def norm_of_images(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    activation: Activation | None,
    residual: Tensor | None,
    eps: float,
    negative_slope: float,
) -> Tensor:
    """Instance norm of feature maps that are checked already, as are scale and shift, (N, C); the rest is checked here."""
    if x.shape[2] * x.shape[3] < 2:
        raise ValueError(
            f"x must have more than one pixel per map to have a variance, got {tuple(x.shape)}; use larger images or fewer "
            "down-sampling layers"
        )
    if residual is not None:
        check_tensor("residual", residual, x.shape, x.device, "have x's shape")
    if activation is not None:
        one_of("activation", activation, ("relu", "leaky_relu"))
    eps = number("eps", eps, 1e-12, 1)
    slope = {None: 1.0, "relu": 0.0, "leaky_relu": number("negative_slope", negative_slope, 0, 1)}[activation]
    wide = torch.promote_types(x.dtype, torch.float32)
    scale, shift = (None if given is None else given.to(wide) for given in (scale, shift))
    return normalized(x, scale, shift, residual, slope, eps)


def normalized(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, residual: Tensor | None, slope: float, eps: float
) -> Tensor:
    """Instance norm of checked arguments, by the plain formula, the eager backend or the Triton kernels.

    A ``TorchFunctionMode`` intercepts it like one of PyTorch's functions; :class:`asymkit.Tiled` relies on that to replace
    the statistics.
    """
    tensors = (x, scale, shift, residual)
    if not tracing() and has_torch_function(tensors):
        return handle_torch_function(normalized, tensors, *tensors, slope, eps)
    if needs_plain_formula(*tensors):
        return eager.instance_norm(*tensors, slope, eps)
    return _InstanceNorm.apply(*tensors, slope, eps)


class _InstanceNorm(torch.autograd.Function):
    """The eager backend and the Triton kernels, with a hand-written backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        residual: Tensor | None,
        slope: float,
        eps: float,
    ) -> Tensor:
        with torch.cuda.device_of(x):
            out: Tensor
            out, mean, rstd = kernels_for(x.device, x.dtype, "norm").normalize(x, scale, shift, residual, slope, eps)
        ctx.set_materialize_grads(False)
        ctx.slope, ctx.eps = slope, eps
        ctx.residual_dtype = None if residual is None else residual.dtype
        # the output is saved by the next convolution anyway, so that saving it here costs no memory
        activated = out if residual is None and slope != 1 and not x.is_cuda else None
        ctx.save_for_backward(x, scale, shift, mean, rstd, activated)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 6
        x, scale, shift, mean, rstd, out = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        grad_residual = grad.to(ctx.residual_dtype) if wanted[3] else None
        if not any(wanted[:3]):
            return None, None, None, grad_residual, None, None
        if needs_plain_backward(grad):
            formula = partial(eager.instance_norm, residual=None, slope=ctx.slope, eps=ctx.eps)
            gradients = differentiable_backward(formula, (x, scale, shift), wanted[:3], grad)
        else:
            with torch.cuda.device_of(x):
                gradients = kernels_for(x.device, x.dtype, "norm").normalize_backward(
                    grad, x, scale, shift, mean, rstd, out, ctx.slope, ctx.eps
                )
        grad_x, grad_scale, grad_shift = (g if wants else None for g, wants in zip(gradients, wanted, strict=False))
        return grad_x, grad_scale, grad_shift, grad_residual, None, None
