"""Grids of pictures: rows of images, which may be of several sizes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = 2
"""White pixels around every image."""


def grid(rows: Iterable[Iterable[Tensor]]) -> Tensor:
    """Images in rows and columns, each in the middle of its cell; columns and rows are as large as their largest image.

    Args:
        rows: as many images in each, (1 or 3, H, W), in [-1, 1].

    Returns:
        (3, H, W) in [0, 1], on the CPU, white where no image is.
    """
    table = [[image.detach().cpu().expand(3, -1, -1) for image in row] for row in rows]
    widths = [max(image.shape[2] for image in column) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        height = max(image.shape[1] for image in row)
        cells = [_in_the_middle(image, height, width) for image, width in zip(row, widths, strict=True)]
        lines.append(torch.cat(cells, dim=2))
    whole = F.pad(torch.cat(lines, dim=1), (0, PADDING, 0, PADDING), value=1.0)
    return (whole.clamp(-1, 1) + 1) / 2


def _in_the_middle(image: Tensor, height: int, width: int) -> Tensor:
    """The image in a white cell of a size, with the padding above and left of the cell."""
    right, below = width - image.shape[2], height - image.shape[1]
    left, top = right // 2, below // 2
    return F.pad(image, (PADDING + left, right - left, PADDING + top, below - top), value=1.0)
