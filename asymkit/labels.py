"""Domain labels as one-hot vectors and as planes of an image, without reading values from a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from asymkit.checks import FLOATING, INTEGERS, check_dense
from asymkit.ops.eager.norm import layout_of


def label_vectors(
    labels: Tensor | None, domains: int, batch: int, name: str = "condition", like: Tensor | None = None
) -> Tensor:
    """Domain labels as vectors: integers become one-hot vectors, vectors are returned unchanged.

    Integers out of range are refused on the CPU, outside ``torch.compile``. On a GPU, checking would read values back and
    stall the device, so the data set must refuse them.

    Args:
        labels: domain indices (batch,), integers from 0, or vectors (batch, domains), floating point.
        domains: number of domains.
        batch: number of labels expected.
        name: the argument's name, for the message.
        like: a tensor on the device that the labels will be moved to.

    Returns:
        (batch, domains); floating point vectors unchanged, float32 for integers.

    Raises:
        ValueError: labels is no tensor or None, has another shape or type than these two, or an index is out of range.

    Example:
        >>> import torch
        >>> from asymkit.labels import label_vectors
        >>> label_vectors(torch.tensor([2, 0]), domains=3, batch=2)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    form = f"domain labels: ({batch},) integers below {domains}, or ({batch}, {domains}) floats"
    check_dense(name, labels, form, f"; e.g. torch.full(({batch},), 0)", like=like)
    assert isinstance(labels, Tensor)
    if labels.dtype in FLOATING and tuple(labels.shape) == (batch, domains):
        return labels
    if labels.dtype not in INTEGERS or tuple(labels.shape) != (batch,):
        raise ValueError(f"{name} must be {form}, got {labels.dtype} of shape {tuple(labels.shape)}")
    if labels.device.type == "cpu" and not torch.compiler.is_compiling() and batch > 0:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= domains:
            raise ValueError(f"{name}: domains are numbered 0 to {domains - 1}, got {low if low < 0 else high}")
    return (labels[:, None] == torch.arange(domains, device=labels.device)).float()


def concat_planes(image: Tensor, label: Tensor) -> Tensor:
    """Concatenate a label to an image as constant planes, in the image's memory layout.

    Args:
        image: images or feature maps, (N, C, H, W).
        label: vectors, (N, k), of which each value becomes a plane, or planes, (N, k, H, W).

    Returns:
        (N, C + k, H, W).

    Example:
        >>> import torch
        >>> from asymkit.labels import concat_planes
        >>> concat_planes(torch.zeros(1, 1, 1, 2), torch.tensor([[0.0, 1.0]]))[0]
        tensor([[[0., 0.]],
                [[0., 0.]],
                [[1., 1.]]])
    """
    planes = label[..., None, None].expand(*label.shape, *image.shape[2:]) if label.ndim == 2 else label
    return torch.cat([image, planes.to(image.dtype).contiguous(memory_format=layout_of(image))], dim=1)
