"""Gram matrices: which features occur together, wherever they occur."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from asymkit.checks import check_images, full_precision, widen


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
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    check_images(features, "features")
    gram: Tensor = _gram(features)
    return gram


@torch.library.custom_op("asymkit::gram", mutates_args=(), schema="(Tensor features) -> Tensor")
def _gram(features: Tensor) -> Tensor:
    """One batched product, divided on the way."""
    maps = widen(_rows(features))
    n, c, pixels = maps.shape
    with full_precision(maps):
        # beta=0: what is added is ignored, here it only has the right shape
        gram: Tensor = torch.baddbmm(maps.new_empty(n, c, c), maps, maps.mT, beta=0, alpha=1 / (c * pixels))
    return gram


@_gram.register_fake
def _(features: Tensor) -> Tensor:
    n, c = features.shape[:2]
    return features.new_empty(n, c, c, dtype=torch.promote_types(features.dtype, torch.float32))


def _rows(features: Tensor) -> Tensor:
    """(N, C, H·W) in either memory layout, without a copy."""
    if features.is_contiguous() or not features.is_contiguous(memory_format=torch.channels_last):
        return features.flatten(2)
    return features.permute(0, 2, 3, 1).flatten(1, 2).mT


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> Tensor:
    """d(F·Fᵀ) = (dG + dGᵀ)·F: one product, where autograd would take two; differentiable once more."""
    (features,) = ctx.saved_tensors
    maps = _rows(features)
    with full_precision(grad):
        both = (grad + grad.mT) / maps[0].numel()
        by_maps = torch.bmm(both, widen(maps)) if maps.is_contiguous() else torch.bmm(widen(maps).mT, both).mT
    by_features: Tensor = by_maps.to(features.dtype).unflatten(2, features.shape[2:])
    return by_features


_gram.register_autograd(_backward, setup_context=_keep)
