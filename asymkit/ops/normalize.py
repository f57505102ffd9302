"""Instance norm and its gradient in PyTorch's own operations: the CPU path and the reference.

Both memory layouts are worked on as they lie. In NCHW every map is a row, and one group norm over N·C groups does all
the work, each image with its own scale and shift. In channels-last an image is a matrix of H·W rows and C columns;
PyTorch's norms would copy it to NCHW and back, or lose digits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.checks import widen

VARIANCE_FLOOR = 1e-6
"""Below this variance a feature map counts as flat and passes no gradient on to its input."""


def layout_of(x: Tensor) -> torch.memory_format:
    """The memory layout that results for x have: its own."""
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def dense(x: Tensor, layout: torch.memory_format) -> Tensor:
    """The same maps without gaps, in a layout, float32 or wider."""
    return widen(x).contiguous(memory_format=layout)


def normalize(
    x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | None, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """activation(scale · (x − mean) / √(var + eps) + shift) + residual.

    Args:
        x: (N, C, H, W).
        scale: (N, C), float32 or wider, as are all statistics.
        shift: (N, C).
        residual: of x's shape, or None.
        slope: what negative values are multiplied by: 1 for no activation, 0 for a ReLU.
        eps: added to the variance.

    Returns:
        Maps of x's shape, type and layout, mean and 1 / √(var + eps), (N, C).
    """
    layout = layout_of(x)
    maps = dense(x, layout)
    if layout == torch.channels_last:
        out, mean, rstd = _normalize_columns(maps, scale, shift, eps)
    else:
        n, c, height, width = maps.shape
        rows, pixels = n * c, height * width
        flat_out, mean, rstd = torch.native_group_norm(
            maps.view(1, rows, height, width), scale.reshape(-1), shift.reshape(-1), 1, rows, pixels, rows, eps
        )
        out = flat_out.view_as(maps)
    if slope != 1:
        _ = out.relu_() if slope == 0 else F.leaky_relu_(out, slope)
    if residual is not None:
        out += residual
    return out.to(x.dtype), mean.view_as(scale), rstd.view_as(scale)


def exportable(x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor | None, slope: float, eps: float) -> Tensor:
    """The maps of :func:`normalize` in operations that other runtimes know, for ``torch.export`` and ONNX."""
    out = F.instance_norm(widen(x), eps=eps) * scale[..., None, None] + shift[..., None, None]
    if slope != 1:
        out = F.relu(out) if slope == 0 else F.leaky_relu(out, slope)
    return (out if residual is None else out + residual).to(x.dtype)


def normalize_backward(
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
    """The gradients of x, scale and shift; that of x bounded where a map is flat.

    Args:
        grad: the gradient of :func:`normalize`'s maps.
        x: as given there, and scale, shift, slope and eps.
        scale: (N, C).
        shift: (N, C).
        mean: (N, C), as returned there.
        rstd: (N, C), as returned there.
        out: the maps, where no residual was added to them; spares computing once more which were negative.
        slope: of the activation.
        eps: added to the variance.

    Returns:
        Gradients in the shapes of x, scale and shift.
    """
    layout = layout_of(x)
    maps, wide = dense(x, layout), dense(grad, layout)
    n, c, height, width = maps.shape
    if slope != 1:
        if out is None:
            factor = scale * rstd
            offset = shift - mean * factor
            signs = torch.addcmul(offset[..., None, None], maps, factor[..., None, None])
        else:
            signs = dense(out, layout)
        wide = torch.ops.aten.leaky_relu_backward(wide, signs, slope, False)
    bounded = scale * bound(rstd, eps)
    if layout == torch.channels_last:
        by_x, by_scale, by_shift = _columns_backward(wide, maps, bounded, mean, rstd)
    else:
        rows, pixels = n * c, height * width
        shape = (1, rows, height, width)
        by_x, by_scale, by_shift = torch.ops.aten.native_group_norm_backward(
            wide.view(shape),
            maps.view(shape),
            mean.view(1, rows),
            rstd.view(1, rows),
            bounded.reshape(-1),
            1,
            rows,
            pixels,
            rows,
            [True, True, True],
        )
    return by_x.view_as(maps).to(x.dtype), by_scale.view_as(scale), by_shift.view_as(scale)


def bound(rstd: Tensor, eps: float) -> Tensor:
    """What the gradient of x is multiplied by, (N, C): 1, but for flat maps.

    That gradient is proportional to the scale, so bounding it costs no pass over the maps.
    """
    variance = (rstd.square().reciprocal() - eps).clamp_min(0)
    return variance / (variance + VARIANCE_FLOOR)


def differentiable_backward(
    grad: Tensor, x: Tensor, scale: Tensor, shift: Tensor, slope: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same gradients in operations that autograd can follow once more, for gradient penalties."""
    wide, grad = widen(x), widen(grad)
    centred = wide - wide.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3), keepdim=True)
    rstd = (variance + eps).rsqrt()
    normed = centred * rstd
    if slope != 1:
        negative = normed * scale[..., None, None] + shift[..., None, None] <= 0
        grad = torch.where(negative, slope * grad, grad)
    inner = grad - grad.mean((2, 3), keepdim=True) - normed * (grad * normed).mean((2, 3), keepdim=True)
    factor = scale[..., None, None] * rstd * variance / (variance + VARIANCE_FLOOR)
    return (factor * inner).to(x.dtype), (grad * normed).sum((2, 3)), grad.sum((2, 3))


def _matrices(x: Tensor) -> Tensor:
    """A channels-last (N, C, H, W) as matrices, (N, H·W, C), without a copy."""
    n, c, height, width = x.shape
    return x.permute(0, 2, 3, 1).view(n, height * width, c)


def _normalize_columns(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    out, mean, rstd = torch.empty_like(x), scale.new_empty(scale.shape), scale.new_empty(scale.shape)
    scratch = torch.empty_like(_matrices(x)[0])
    # image by image, so that each stays in the cache for all its passes
    for i, (image, result) in enumerate(zip(_matrices(x), _matrices(out), strict=True)):
        torch.mean(image, 0, out=mean[i])
        torch.sub(image, mean[i], out=result)
        torch.rsqrt(torch.mul(result, result, out=scratch).mean(0) + eps, out=rstd[i])
        torch.addcmul(shift[i], result, scale[i] * rstd[i], out=result)
    return out, mean, rstd


def _columns_backward(
    grad: Tensor, x: Tensor, scale: Tensor, mean: Tensor, rstd: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    by_x, by_scale, by_shift = torch.empty_like(x), scale.new_empty(scale.shape), scale.new_empty(scale.shape)
    images = zip(_matrices(grad), _matrices(x), _matrices(by_x), strict=True)
    for i, (g, image, result) in enumerate(images):
        torch.sum(g, 0, out=by_shift[i])
        products = torch.mul(g, image, out=result).sum(0)
        torch.mul(products - mean[i] * by_shift[i], rstd[i], out=by_scale[i])
        by_g = scale[i] * rstd[i]
        by_image = -by_g * rstd[i] * by_scale[i] / len(image)
        constant = -by_g * by_shift[i] / len(image) - by_image * mean[i]
        torch.addcmul(constant, image, by_image, out=result).addcmul_(g, by_g)
    return by_x, by_scale, by_shift
