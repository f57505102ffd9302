"""Instance norm in PyTorch's operations: the plain formula, and a hand-written forward and backward for eager mode.

The hand-written form needs no copy in either memory layout. In NCHW it is one group norm with N·C groups of one channel,
each with its own scale and shift. In channels-last each image is a matrix of H·W rows and C columns, whose columns are
normalised; PyTorch's norms would copy it to NCHW and back, or lose precision.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.ops.backend import exporting, tracing
from asymkit.precision import widen

VARIANCE_FLOOR = 1e-6
"""Well below this variance, a feature map counts as constant and passes no gradient to its input."""


def instance_norm(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, residual: Tensor | None, slope: float, eps: float
) -> Tensor:
    """activation(scale · (x − mean) / √(var + eps) + shift) + residual, the plain formula.

    ``torch.compile`` fuses it, all autograd transforms work on it, and in an export the norm is one operator.

    Args:
        x: (N, C, H, W).
        scale: (N, C), float32 or wider, as are all statistics; None for 1.
        shift: (N, C), or None for 0.
        residual: of x's shape, or None.
        slope: negative slope of the activation: 1 for no activation, 0 for a ReLU.
        eps: added to the variance.

    Returns:
        Feature maps of x's shape and type.
    """
    wide, pixels = widen(x), (2, 3)
    if exporting():
        variance = wide.var(pixels, correction=0, keepdim=True)
        out = F.instance_norm(wide, eps=eps)
    else:
        variance, mean = torch.var_mean(wide, pixels, correction=0, keepdim=True)
        out = (wide - mean) * (variance + eps).rsqrt()
        if torch.compiler.is_compiling():  # one more for the bound, without a gradient, of which it makes faster code
            variance = wide.detach().var(pixels, correction=0, keepdim=True)
    if _may_have_gradient(out):
        out = bound_gradient(out, variance / (variance + VARIANCE_FLOOR))
    if scale is not None:
        out = out * scale[..., None, None]
    if shift is not None:
        out = out + shift[..., None, None]
    if slope != 1:
        out = F.relu(out) if slope == 0 else F.leaky_relu(out, slope)
    return (out if residual is None else out + residual).to(x.dtype)


def _may_have_gradient(out: Tensor) -> bool:
    """Whether the gradient of a result can be needed; if not, it is left out of a recorded graph."""
    if torch.onnx.is_in_onnx_export():
        return False
    # not for torch.jit.trace, which traces again without gradients and requires the same graph
    return not torch.compiler.is_compiling() or (torch.is_grad_enabled() and out.requires_grad)


def bound_gradient(x: Tensor, factor: Tensor) -> Tensor:
    """The identity, which multiplies the gradient and the tangent by a factor."""
    if tracing():  # operations that every tracer can record; in second derivatives the factor is a constant
        constant = x.detach()
        return constant + (x - constant) * factor.detach()
    return _BoundedGradient.apply(x, factor)


class _BoundedGradient(torch.autograd.Function):
    """:func:`bound_gradient` for eager autograd and torch.func; second derivatives include that of the factor."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.saved_tensors[0], None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: Tensor | None) -> Tensor:
        bounded: Tensor = tangent * ctx.saved_tensors[0]
        return bounded


def layout_of(x: Tensor) -> torch.memory_format:
    """The memory format of x, which results for x have too."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def dense(x: Tensor, layout: torch.memory_format) -> Tensor:
    """Feature maps as a dense tensor of this memory format, in float32 or wider."""
    return widen(x).contiguous(memory_format=layout)


def normalize(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, residual: Tensor | None, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The output of :func:`instance_norm` in x's layout, and mean and 1 / √(var + eps), (N, C), for backward."""
    layout = layout_of(x)
    maps = dense(x, layout)
    if layout == torch.channels_last:
        out, mean, rstd = _normalize_columns(maps, scale, shift, eps)
    else:
        rows, pixels = maps.shape[0] * maps.shape[1], maps.shape[2] * maps.shape[3]
        normed, mean, rstd = torch.native_group_norm(
            _rows(maps), _vector(scale), _vector(shift), 1, rows, pixels, rows, eps
        )
        # normed.view(maps.shape), but not marked as a view: nn.ReLU(True) could not modify it in place
        out = torch.ops.aten._unsafe_view(normed, list(maps.shape))
    if slope != 1:
        _ = out.relu_() if slope == 0 else F.leaky_relu_(out, slope)  # out = leaky_relu(out, slope)
    if residual is not None:
        out += residual  # out = out + residual
    return out.to(x.dtype), mean.view(x.shape[:2]), rstd.view(x.shape[:2])


def normalize_backward(
    grad: Tensor,
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    out: Tensor | None,
    slope: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, scale and shift; that of x is bounded where a feature map is constant.

    Args:
        grad: the gradient with respect to the output of :func:`normalize`, (N, C, H, W).
        x: input of :func:`normalize`, (N, C, H, W).
        scale: (N, C), or None.
        shift: (N, C), or None.
        mean: (N, C), as returned by :func:`normalize`.
        rstd: (N, C), as returned by :func:`normalize`.
        out: the output, if no residual was added to it, for the signs before the activation; None to compute them again.
        slope: negative slope of the activation.
        eps: added to the variance.

    Returns:
        Gradients of shape (N, C, H, W), (N, C) and (N, C).
    """
    layout = layout_of(x)
    maps, wide = dense(x, layout), dense(grad, layout)
    if slope != 1:
        signs = _before_activation(maps, scale, shift, mean, rstd) if out is None else dense(out, layout)
        wide = torch.ops.aten.leaky_relu_backward(wide, signs, slope, False)
    # the gradient of x is proportional to scale, so that bounding scale bounds it without another pass over x
    variance = (rstd.square().reciprocal() - eps).clamp_min(0)
    bounded = variance / (variance + VARIANCE_FLOOR)
    bounded = bounded if scale is None else scale * bounded
    if layout == torch.channels_last:
        grad_x, grad_scale, grad_shift = _columns_backward(wide, maps, bounded, mean, rstd)
    else:
        rows, pixels = maps.shape[0] * maps.shape[1], maps.shape[2] * maps.shape[3]
        grad_x, grad_scale, grad_shift = torch.ops.aten.native_group_norm_backward(
            *(_rows(wide), _rows(maps), mean.reshape(1, rows), rstd.reshape(1, rows), _vector(bounded)),
            *(1, rows, pixels, rows, [True, True, True]),
        )
    return grad_x.view_as(maps).to(x.dtype), grad_scale.view(x.shape[:2]), grad_shift.view(x.shape[:2])


def _before_activation(x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, rstd: Tensor) -> Tensor:
    """(x − mean) · rstd · scale + shift."""
    factor = rstd if scale is None else scale * rstd
    offset = -mean * factor if shift is None else shift - mean * factor
    return torch.addcmul(offset[..., None, None], x, factor[..., None, None])


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) as one image, (1, N·C, H, W); contiguous, because native_group_norm ignores strides."""
    return x.contiguous().view(1, x.shape[0] * x.shape[1], *x.shape[2:])


def _vector(x: Tensor | None) -> Tensor | None:
    """(N, C) as a contiguous (N·C,); ``reshape`` may keep strides, which native_group_norm ignores."""
    return None if x is None else x.contiguous().view(-1)


def _matrices(x: Tensor) -> Tensor:
    """A channels-last (N, C, H, W) as matrices, (N, H·W, C), without a copy."""
    n, c, height, width = x.shape
    return x.permute(0, 2, 3, 1).view(n, height * width, c)


def _normalize_columns(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    out, mean, rstd = torch.empty_like(x), x.new_empty(x.shape[:2]), x.new_empty(x.shape[:2])
    scratch = torch.empty_like(_matrices(x)[0])
    # one image at a time, so that it stays in the cache; each in-place line is followed by what it computes
    for i, (image, result) in enumerate(zip(_matrices(x), _matrices(out), strict=True)):  # (H·W, C) each
        torch.mean(image, 0, out=mean[i])  # mean = image.mean(0)
        torch.sub(image, mean[i], out=result)  # result = image - mean
        torch.rsqrt(torch.mul(result, result, out=scratch).mean(0) + eps, out=rstd[i])  # rstd = (var + eps) ** -0.5
        factor = rstd[i] if scale is None else scale[i] * rstd[i]
        # result = shift + result * factor
        _ = result.mul_(factor) if shift is None else torch.addcmul(shift[i], result, factor, out=result)
    return out, mean, rstd


def _columns_backward(
    grad: Tensor, x: Tensor, scale: Tensor, mean: Tensor, rstd: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    grad_x, grad_scale, grad_shift = torch.empty_like(x), torch.empty_like(mean), torch.empty_like(mean)
    images = zip(_matrices(grad), _matrices(x), _matrices(grad_x), strict=True)
    for i, (g, image, result) in enumerate(images):  # (H·W, C) each
        torch.sum(g, 0, out=grad_shift[i])  # grad_shift = g.sum(0)
        products = torch.mul(g, image, out=result).sum(0)  # (g * image).sum(0)
        # grad_scale = (g * (image - mean) * rstd).sum(0)
        torch.mul(products - mean[i] * grad_shift[i], rstd[i], out=grad_scale[i])
        # scale · rstd · (g − grad_shift / n − normed · grad_scale / n), which is linear in g and image
        of_g = scale[i] * rstd[i]
        of_image = -of_g * rstd[i] * grad_scale[i] / len(image)
        constant = -of_g * grad_shift[i] / len(image) - of_image * mean[i]
        torch.addcmul(constant, image, of_image, out=result).addcmul_(g, of_g)  # constant + image * of_image + g * of_g
    return grad_x, grad_scale, grad_shift
