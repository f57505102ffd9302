"""A run of an example so small that a test can have many: asynchronous AsymGAN at 16 pixels, nine steps in all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan import Settings as AsyncSettings
from PIL import Image
from torch import Tensor

STEPS = 9
"""Joint epochs 0, 1 and 2 of two steps, the partial epoch 3 of three."""

FIRST_PARTIAL = 6


def logged(folder: Path) -> list[dict[str, float]]:
    """The losses of a run by the step they were logged at, from its checkpoint."""
    return rows(torch.load(folder / "checkpoint.pt", weights_only=True)["parts"]["losses"])


def rows(curves: dict[str, Tensor]) -> list[dict[str, float]]:
    """The losses of a history by their steps."""
    found: dict[float, dict[str, float]] = {}
    for name, points in curves.items():
        for step, value in points.tolist():
            found.setdefault(step, {"step": step})[name] = value
    return [found[step] for step in sorted(found)]


def cyclegan_folder(folder: Path, rich: int = 3, poor: int = 2) -> Path:
    """Images of noise in trainA and trainB."""
    chance = np.random.default_rng(0)
    for side, count in (("trainA", rich), ("trainB", poor)):
        (folder / side).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(chance.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(folder / side / f"{i}.png")
    return folder


def tiny(folder: Path, data: Path, **changes: Any) -> AsyncSettings:
    """Its settings."""
    size: dict[str, Any] = {"size": 16, "picture_size": None, "width": 4, "blocks": 1, "discriminator_layers": 1}
    course: dict[str, Any] = {"base": "asymgan", "epochs": 4, "period": 2, "batch": 1, "pool": 3, "tensorboard": False}
    return replace(ASYNCGAN_DEMO, data=data, out=folder, **(size | course | changes))
