"""What trained translators make of held-out images, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from support.report.grids import grid
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.utils import save_image

from asymkit.objectives.asymgan import Translators
from hidden_factors.data import Source
from hidden_factors.scores import sampled

ROWS, SAMPLES, ENLARGED = 6, 4, 3


@torch.no_grad()
def draw(path: Path, models: Mapping[str, Translators], data: Source) -> None:
    """One row for each of a few test images, one block of columns for each model.

    The columns are x, the true y (of real digits another one of the same class), and then of each model G(x) and F(y, z) with
    several z, the same ones in all rows; a model without z has one F(y).
    """
    generator = torch.Generator().manual_seed(7)
    truth = data.draw(ROWS, generator, "test")
    columns = [truth.rich, truth.poor]
    side = truth.rich.shape[-1]
    gap = torch.ones(ROWS, 3, side, side // 4)
    for model in models.values():
        columns += [gap, model.to_poor(truth.rich)]
        codes = [sampled(model, 1, generator) for _ in range(SAMPLES if model.encoder else 1)]
        columns += [model.to_rich(truth.poor, z if z is None else z.expand(ROWS, -1)) for z in codes]
    rows = zip(*(enlarged(images) for images in columns), strict=True)
    save_image(grid(rows), path)


def enlarged(images: Tensor) -> Tensor:
    """Each pixel as a square of several."""
    return interpolate(images, scale_factor=ENLARGED, mode="nearest")
