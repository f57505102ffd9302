"""Gram matrices: which features occur together, wherever they occur."""

from __future__ import annotations

import torch
from torch import Tensor

from asymkit.checks import as_images, full_precision


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
    flat = as_images(features, "features").flatten(2)
    with full_precision(flat):
        # divided before the product, so that no intermediate is larger than the result
        flat = flat / (flat.shape[1] * flat.shape[2]) ** 0.5
        return torch.bmm(flat, flat.mT)
