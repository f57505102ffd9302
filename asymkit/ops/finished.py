"""Losses whose gradient is finished in the forward pass: only it is saved, and backward is one multiplication.

An op of this kind returns values, one per image or per channel of each image, and for the inputs that want one the
gradient of the value that each pixel belongs to.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def wants_gradient(x: Tensor) -> bool:
    """Whether autograd will ask for the gradient of this input."""
    return torch.is_grad_enabled() and x.requires_grad


def keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    """What such an op saves: its finished gradients, all that it returns after the values."""
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[1:])


def chain(grad: Tensor | None, finished: Tensor) -> Tensor | None:
    """The gradient of the loss with respect to the images, from that of the values, (N,) or (N, C), and the finished one."""
    if grad is None or not finished.numel():
        return None
    scaled = grad.reshape(*grad.shape, *[1] * (4 - grad.ndim)) * finished
    if torch.is_grad_enabled():  # create_graph=True
        first_only: Tensor = _FirstOnly.apply(scaled, torch.zeros((), device=grad.device, requires_grad=True))
        return first_only
    return scaled


class _FirstOnly(torch.autograd.Function):
    """Lets a gradient through and refuses to be differentiated once more: silently, terms would be missing."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, anchor: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(
            "asymkit's image losses (color_l1, total_variation, ssim, ms_ssim) have first derivatives only: their gradient is "
            "finished in the forward pass. Compute gradient penalties from the critic alone, or leave this loss out of them"
        )
