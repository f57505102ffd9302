"""Gram matrices: which features occur together, wherever they occur."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asymkit.checks import check_images
from asymkit.ops.backend import needs_plain_formula
from asymkit.precision import full_precision, widen


def gram_matrix(features: Tensor) -> Tensor:
    """Products of all pairs of feature maps, summed over the pixels, divided by C·H·W [AsymGAN Eq. 17].

    Computed in float32 or wider even under autocast: the sum over pixels leaves float16's range quickly.

    Args:
        features: feature maps, (N, C, H, W).

    Returns:
        Symmetric matrices, (N, C, C), float32 or wider.

    Raises:
        ValueError: features are no batch of maps.

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
    """The form for eager mode, one product in the backward pass, where autograd takes two: d(F·Fᵀ) = (dG + dGᵀ)·F.

    No compiler finds that, but torch.compile records the backward pass of an autograd.Function without its own
    derivative: a gradient penalty would be lost without an error.
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
            # the product in the order that gives the features' own memory layout
            grad_maps = torch.bmm(both, widen(maps)) if maps.is_contiguous() else torch.bmm(widen(maps).mT, both).mT
        return grad_maps.to(features.dtype).unflatten(2, features.shape[2:])
