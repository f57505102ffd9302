"""Gram matrices: inner products of all pairs of feature maps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asymkit.checks import check_images
from asymkit.ops.backend import needs_plain_formula
from asymkit.precision import full_precision, widen


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix: inner products of all pairs of feature maps, divided by C·H·W [AsymGAN Eq. 17].

    Computed in float32 or wider even under autocast, because the sum over pixels easily exceeds float16's range.

    Args:
        features: feature maps, (N, C, H, W).

    Returns:
        Symmetric matrices, (N, C, C), float32 or wider.

    Raises:
        ValueError: features is not a batch of feature maps.

    Example:
        >>> import torch
        >>> from asymkit.ops import gram_matrix
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    check_images(features, "features")
    if needs_plain_formula(features):
        return _gram(features)
    return _Gram.apply(features)


def _gram(features: Tensor) -> Tensor:
    maps = widen(features).flatten(2)
    with full_precision(maps):
        return torch.bmm(maps, maps.mT) / maps[0].numel()


class _Gram(torch.autograd.Function):
    """The eager backend: one matrix product in the backward pass instead of autograd's two, (dG + dGᵀ)·F.

    It is not used inside torch.compile, which does not differentiate the backward pass of an autograd.Function: a
    gradient penalty would lose its gradient without an error.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return _gram(features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        maps = features.flatten(2)
        with full_precision(grad):
            both = (grad + grad.mT) / maps[0].numel()
            # in the order whose result has the memory layout of the features
            grad_maps = torch.bmm(both, widen(maps)) if maps.is_contiguous() else torch.bmm(widen(maps).mT, both).mT
        return grad_maps.to(features.dtype).unflatten(2, features.shape[2:])
