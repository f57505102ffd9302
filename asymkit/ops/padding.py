"""Padding by reflection and by replication that keeps the memory layout.

On CUDA, PyTorch's padding returns NCHW for channels-last inputs, so that a network in channels-last copies every feature
map twice for each padded convolution. Its backward pass uses atomic additions, whose order differs between runs, and it
saves its input.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.ops.backend import differentiable_backward, needs_plain_backward, needs_plain_formula, takes_kernels
from asymkit.ops.eager.norm import layout_of


def reflect_pad(x: Tensor, margin: int) -> Tensor:
    """``F.pad(x, (margin,) * 4, mode="reflect")`` in x's memory layout.

    Args:
        x: feature maps, (N, C, H, W), H and W greater than margin.
        margin: number of rows and columns added on every side.

    Returns:
        (N, C, H + 2 · margin, W + 2 · margin).

    Example:
        >>> import torch
        >>> from asymkit.ops.padding import reflect_pad
        >>> reflect_pad(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 1)[0, 0]
        tensor([[4., 3., 4., 3.],
                [2., 1., 2., 1.],
                [4., 3., 4., 3.],
                [2., 1., 2., 1.]])
    """
    too_small = min(x.shape[2:]) <= margin  # F.pad raises the error
    return _plain(x, margin, 0) if too_small or not _takes_kernels(x) else _Pad.apply(x, margin, 0)


def replicate_pad(x: Tensor) -> Tensor:
    """``F.pad(x, (1, 1, 1, 1), mode="replicate")`` in x's memory layout.

    Args:
        x: feature maps, (N, C, H, W).

    Returns:
        (N, C, H + 2, W + 2).

    Example:
        >>> import torch
        >>> from asymkit.ops.padding import replicate_pad
        >>> replicate_pad(torch.tensor([[[[1.0, 2.0]]]]))[0, 0]
        tensor([[1., 1., 2., 2.],
                [1., 1., 2., 2.],
                [1., 1., 2., 2.]])
    """
    return _Pad.apply(x, 1, 1) if _takes_kernels(x) else _plain(x, 1, 1)


def _takes_kernels(x: Tensor) -> bool:
    return x.ndim == 4 and x.numel() > 0 and not needs_plain_formula(x) and takes_kernels(x.device, x.dtype)


def _plain(x: Tensor, margin: int, edge: int) -> Tensor:
    return F.pad(x, (margin,) * 4, mode="replicate" if edge else "reflect")


class _Pad(torch.autograd.Function):
    """The Triton kernels, for eager mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, margin: int, edge: int) -> Tensor:
        from asymkit.ops.kernels import padding

        ctx.set_materialize_grads(False)
        ctx.shape, ctx.layout, ctx.margin, ctx.edge = x.shape, layout_of(x), margin, edge
        with torch.cuda.device_of(x):
            return padding.pad(x, margin, edge)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        from asymkit.ops.kernels import padding

        if grad is None:
            return None, None, None
        if needs_plain_backward(grad):  # padding is linear: its gradient does not depend on x
            maps = torch.zeros(ctx.shape, dtype=grad.dtype, device=grad.device, requires_grad=True)
            formula = partial(_plain, margin=ctx.margin, edge=ctx.edge)
            return *differentiable_backward(formula, [maps], [True], grad), None, None
        with torch.cuda.device_of(grad):
            return padding.pad_backward(grad, ctx.layout, ctx.margin, ctx.edge), None, None
