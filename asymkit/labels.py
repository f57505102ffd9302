"""Domain labels: integers or vectors in, vectors out, without reading values from a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from asymkit.checks import FLOATING, check_dense
from asymkit.ops.eager.norm import layout_of


def label_vectors(
    labels: Tensor | None, domains: int, batch: int, name: str = "condition", like: Tensor | None = None
) -> Tensor:
    """Labels as vectors, one-hot where they were integers.

    Numbers out of range are refused where that costs nothing, on a CPU and outside ``torch.compile``; on a GPU the
    data set must have refused them, as reading them back would stall it.

    Args:
        labels: domain numbers (batch,), integers from 0, or vectors (batch, domains), floating point.
        domains: how many domains there are.
        batch: how many labels to expect.
        name: the argument's name, for the message.
        like: what they will be brought to the device of.

    Returns:
        (batch, domains); floating point vectors as they are, float32 for numbers.

    Raises:
        ValueError: no labels, a shape or type that is neither form, a number out of range.

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
    whole = labels.dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
    if not whole or tuple(labels.shape) != (batch,):
        raise ValueError(f"{name} must be {form}, got {labels.dtype} of shape {tuple(labels.shape)}")
    if labels.device.type == "cpu" and not torch.compiler.is_compiling() and batch > 0:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= domains:
            raise ValueError(f"{name}: domains are numbered 0 to {domains - 1}, got {low if low < 0 else high}")
    return (labels[:, None] == torch.arange(domains, device=labels.device)).float()


def concat_planes(image: Tensor, label: Tensor) -> Tensor:
    """An image with one plane more for every value of its label, or with the planes given, in the image's layout.

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
