"""Diversity over z: how different the images are that one input is translated to."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from asymkit.arguments import at_least, callables, described, range_of
from asymkit.checks import check_array, check_dense, check_images, have_values


@torch.inference_mode()
def pairwise_distance(images: Tensor, distance: Callable[[Tensor, Tensor], Tensor], batch: int = 16) -> float:
    """Average distance of all pairs of images; with LPIPS, the diversity of Async-GAN's Table VIII.

    Args:
        images: translations of one input by different z, (Z, 3, H, W), in [-1, 1], at least two.
        distance: two batches to distances (N,), such as ``LPIPSLoss().distances``.
        batch: pairs that are compared at once.

    Returns:
        The mean over the Z (Z − 1) / 2 pairs; 0 where z changes nothing.

    Raises:
        ValueError: fewer than two images, or a distance that does not give one number for each pair.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import pairwise_distance
        >>> images = torch.tensor([0.0, 0.0, 0.3]).view(3, 1, 1, 1).expand(3, 3, 8, 8)
        >>> round(pairwise_distance(images, lambda x, y: (x - y).abs().mean((1, 2, 3))), 4)
        0.2
    """
    check_images(images, "images")
    have_values(images=images)
    callables(distance=distance)
    batch = at_least("batch", batch)
    if len(images) < 2:
        raise ValueError("images must hold at least two translations of one input, got 1")
    first, second = torch.combinations(torch.arange(len(images), device=images.device)).T
    found = []
    for i, j in zip(first.split(batch), second.split(batch), strict=True):
        each = distance(images[i], images[j])
        if not isinstance(each, Tensor) or each.shape != i.shape:
            raise ValueError(
                f"distance must give one number for each of {len(i)} pairs, got {described(each)}; of LPIPSLoss use .distances"
            )
        found.append(each.double().cpu())
    return torch.cat(found).mean().item()


@torch.inference_mode()
def diversity_over_z(
    generator: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    z: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Average pairwise distance over z, of each input [Async-GAN Table VIII].

    Args:
        generator: ``(image, z) -> image``, such as an ``AuxGenerator``.
        inputs: of the poor domain, (N, C, H, W), in [-1, 1].
        z: latent codes, (Z, ...), at least two; every input is translated with each of them.
        distance: see :func:`pairwise_distance`.

    Returns:
        A figure per input, (N,), float64; its mean is the table's.

    Raises:
        ValueError: no images, fewer than two z, or what the generator and the distance refuse.

    Example:
        >>> import torch
        >>> from asymkit import AuxGenerator, LPIPSLoss
        >>> from asymkit.evaluation import diversity_over_z
        >>> generator = AuxGenerator(width=4, blocks=1).eval()
        >>> diversity_over_z(generator, torch.zeros(1, 3, 32, 32), torch.randn(3, 8), LPIPSLoss(weights=None).distances) > 0
        tensor([True])
    """
    callables(generator=generator, distance=distance)
    check_images(inputs, "inputs")
    have_values(inputs=inputs)
    check_array("z", z, "at least two latent codes (Z, ...), floating point", range(1, 6), least=2)
    found = []
    for image in inputs.split(1):
        translated = torch.cat([generator(image, each) for each in z.split(1)])
        found.append(pairwise_distance(translated, distance))
    return torch.tensor(found, dtype=torch.float64)


def entropy_over_z(values: Tensor, bins: int = 12, value_range: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Shannon entropy of what z changes, such as the mean hue of a region: how many of its values z reaches, in bits.

    Args:
        values: of each translation of each input, (Z, ...); one entropy is taken over the first dimension.
        bins: equal parts of the range that are told apart.
        value_range: (low, high) of the values; those outside count as the nearest end.

    Returns:
        Bits, (...), float64: 0 where z changes nothing, log₂ bins where every part is as likely. Z should be several times
        as large as ``bins``: fewer can show log₂ Z at most.

    Raises:
        ValueError: no values, fewer than two bins, no range.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import entropy_over_z
        >>> entropy_over_z(torch.arange(400) / 400, bins=4)
        tensor(2., dtype=torch.float64)
    """
    check_array("values", values, "floating point, (Z, ...)", range(1, 9))
    bins = at_least("bins", bins, 2, 65_536)
    low, high = range_of(value_range)
    bin_of = ((values.double() - low) / (high - low) * bins).floor().clamp(0, bins - 1)
    shares = torch.stack([(bin_of == each).double().mean(0) for each in range(bins)])
    return torch.special.entr(shares).sum(0) / math.log(2)


def mean_hue(images: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean hue of each image, or of a region of it, as an angle: the direction of its mean colour in the hue plane.

    Args:
        images: (N, 3, H, W), in [-1, 1].
        mask: True where pixels count, (N, 1, H, W) or (N, H, W); None for all.

    Returns:
        Hues (N,), from 0 to 1: red 0, green 1/3, blue 2/3. Grey has none, and gives an arbitrary one.

    Raises:
        ValueError: no colour images, a mask of another shape.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import mean_hue
        >>> mean_hue(torch.tensor([-1.0, 1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
        tensor([0.3333])
    """
    check_images(images, "images", channels=3)
    weights = images.new_ones(len(images), 1, *images.shape[2:])
    if mask is not None:
        check_dense("mask", mask, "boolean, (N, 1, H, W) or (N, H, W)", like=images)
        shapes = ((len(images), 1, *images.shape[2:]), (len(images), *images.shape[2:]))
        if tuple(mask.shape) not in shapes or mask.dtype != torch.bool:
            raise ValueError(f"mask must be boolean, {shapes[0]}, got {described(mask)}")
        weights = mask.reshape(shapes[0]).to(images)
    red, green, blue = ((images * weights).sum((2, 3)) / weights.sum((2, 3)).clamp_min(1)).unbind(1)
    angle = torch.atan2(3**0.5 * (green - blue), 2 * red - green - blue)
    return (angle / (2 * torch.pi)) % 1
