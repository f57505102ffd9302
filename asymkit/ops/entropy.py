"""Shannon entropy of pixel values, by which the information-rich domain is told from the poor one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from asymkit.arguments import range_of
from asymkit.checks import as_images

LEVELS = 256


def shannon_entropy(images: Tensor, value_range: tuple[float, float] = (-1, 1)) -> Tensor:
    """Shannon entropy of the pixel values of each image, all channels pooled [Async-GAN Fig. 1].

    S = −Σ p log₂ p over a histogram of 256 levels. Average it over a domain's images; the domain with the larger mean
    is the information-rich one. No gradient flows.

    Args:
        images: (N, C, H, W), in ``value_range``; values outside are clamped to it.
        value_range: (low, high) of the levels 0 and 255.

    Returns:
        Bits per pixel value, (N,), from 0 for a constant image to 8; NaN for an image that contains NaN.

    Raises:
        ValueError: images is not a batch of images, or the range is empty.

    Example:
        >>> import torch
        >>> from asymkit.ops import shannon_entropy
        >>> half = torch.cat([-torch.ones(1, 1, 4, 8), torch.ones(1, 1, 4, 8)], dim=2)
        >>> shannon_entropy(half), shannon_entropy(torch.zeros(1, 1, 8, 8))
        (tensor([1.]), tensor([0.]))
    """
    low, high = range_of(value_range)
    x = as_images(images, "images").detach()
    level = ((x - low) / (high - low) * (LEVELS - 1)).round().clamp(0, LEVELS - 1).flatten(1)
    index = level.nan_to_num().long()
    counts = torch.zeros(len(x), LEVELS, dtype=torch.long, device=x.device)
    counts.scatter_add_(1, index, torch.ones_like(index))  # int64, because float32 cannot count beyond 2^24
    bits = torch.special.entr((counts / level.shape[1]).to(x.dtype)).sum(1) / math.log(2)
    return bits.masked_fill(level.isnan().any(1), torch.nan)
