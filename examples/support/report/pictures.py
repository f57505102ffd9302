"""What the report of AsymmetricGAN's example of gestures shows of its model: grids of pictures, and figures beside them.

The model is a trained one, images are on its device in [-1, 1], and grids are (3, H, W) in [0, 1] by caption.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asymkit.evaluation import psnr
from asymkit.objectives.asymmetricgan import supervised
from support.data.gestures import Pair
from support.report.grids import grid
from support.report.page import Snapshot
from support.run.rng import seeded_inference

Pairs = Sequence[Pair]
"""Held out, in batches of one size."""


def gesture_snapshot(model: supervised.Translators, pairs: Pairs) -> Snapshot:
    """Hands in other poses and back, with signal-to-noise ratios."""
    return Snapshot(gesture_pictures(model, pairs), gesture_figures(model, pairs))


@seeded_inference()
def gesture_pictures(model: supervised.Translators, pairs: Pairs, rows: int = 5, columns: int = 7) -> dict[str, Tensor]:
    """Grids: one photo with many skeletons as in Fig. 10, and the way there and back, of pairs of the most frequent size."""
    batch = max(pairs, key=lambda batch: len(batch[0]))
    x, _skeleton_x, _y, skeleton_y = batch
    photos, wanted = x[:rows], skeleton_y[:columns]
    fakes = [model.dual.translate(photos, skeleton.expand(len(photos), -1, -1, -1)) for skeleton in wanted]
    corner = torch.ones_like(x[:1])
    table = torch.cat([torch.cat([corner, wanted])[None], torch.stack([photos, *fakes], dim=1)])
    cycles = model(*(part[:rows] for part in batch))
    there, caption = [cycles.x, cycles.skeleton_y, cycles.fake_y, cycles.y], "There: x, l_y, y' = Gᵗ(x, l_y), y"
    if cycles.rebuilt_x is not None:
        there += [cycles.skeleton_x, cycles.rebuilt_x]
        caption = "There and back: x, l_y, y' = Gᵗ(x, l_y), y, l_x, x̂ = Gʳ(y', l_x)"
    return {
        "One photo, many skeletons: x, then Gᵗ(x, l) for the skeleton l above": grid(table),
        caption: grid(zip(*there, strict=True)),
    }


@seeded_inference()
def gesture_figures(model: supervised.Translators, pairs: Pairs, batch: int = 8) -> dict[str, float]:
    """Peak signal-to-noise ratios in decibels, means over held-out pairs."""
    sums: dict[str, float] = {}
    count = sum(len(x) for x, *_ in pairs)
    parts = (part for each in pairs for part in zip(*(images.split(batch) for images in each), strict=True))
    for part in parts:
        cycles = model(*part)
        values = {
            "psnr_translated_db": psnr(cycles.fake_y, cycles.y),
            "psnr_of_copying_x_db": psnr(cycles.x, cycles.y),
        }
        if cycles.rebuilt_x is not None:
            values["psnr_rebuilt_db"] = psnr(cycles.rebuilt_x, cycles.x)
        for name, value in values.items():
            finite = value.clamp_max(100)  # it is infinite for equal images
            sums[name] = sums.get(name, 0.0) + finite.sum().item() / count
    return sums
