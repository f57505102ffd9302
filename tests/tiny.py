"""A run of an example so small that a test can have many: asynchronous AsymGAN at 16 pixels, nine steps in all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan import Settings as AsyncSettings
from PIL import Image
from support.run import run as loop
from support.run.checkpoint import save_checkpoint
from torch import Tensor

STEPS = 9
"""Joint epochs 0, 1 and 2 of two steps, the partial epoch 3 of three."""

FIRST_PARTIAL = 6


def logged(folder: Path) -> list[dict[str, float]]:
    """The losses of a run by the step they were logged at, from its checkpoint."""
    return rows(torch.load(folder / "checkpoint.pt", weights_only=True)["parts"]["losses"])


def saved(folder: Path) -> dict[str, Any]:
    """The training state of a run."""
    state: dict[str, Any] = torch.load(folder / "checkpoint.pt", weights_only=True)
    return state


def leaves(state: dict[str, Any]) -> list[Any]:
    """All of a run's state, but not how long it took."""
    return torch.utils._pytree.tree_leaves([state["step"], state["parts"], state["random"]])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs are in the same state, to the bit."""
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


def interrupted(path: Path, step: int, *rest: Any) -> None:
    """Save a checkpoint, and end the run as Ctrl-C does."""
    save_checkpoint(path, step, *rest)
    raise KeyboardInterrupt


def in_halves(monkeypatch: pytest.MonkeyPatch, main: Callable[[Any], None], settings: Any, out: Path) -> int:
    """A run that is interrupted after its first checkpoint, and resumed; the step of that checkpoint."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", interrupted)
        with pytest.raises(KeyboardInterrupt):
            main(replace(settings, out=out))
    step: int = saved(out)["step"]
    main(replace(settings, out=out, resume=True))
    return step


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
    course: dict[str, Any] = {"base": "asymgan", "epochs": 4, "period": 2, "batch": 1, "pool": 3, "tracker": "none"}
    return replace(ASYNCGAN_DEMO, data=data, out=folder, **(size | course | changes))
