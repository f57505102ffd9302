"""Random states: all of them are saved and given back, those of any accelerator too."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from support.run.checkpoint import load_checkpoint, save_checkpoint
from support.run.rng import seeded, seeded_inference
from torch import Tensor


class Accelerator:
    """PyTorch's module of one, whose functions take no device where they need not, as those of torch.mps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        self.state = torch.tensor([3], dtype=torch.uint8)
        manual_seed = torch.manual_seed

        def reseed(seed: int) -> torch.Generator:
            self.state = torch.tensor([seed % 256], dtype=torch.uint8)
            return manual_seed(seed)

        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_: torch.device(kind))
        monkeypatch.setattr(torch, "get_device_module", lambda *_: self)
        monkeypatch.setattr(torch, "manual_seed", reseed)  # which reseeds accelerators too

    def get_rng_state(self) -> Tensor:
        return self.state.clone()

    def set_rng_state(self, state: Tensor) -> None:
        self.state = state.clone()


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_inference_takes_nothing_from_the_chance_of_an_accelerator(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    device = Accelerator(monkeypatch, kind)
    for _ in range(2):
        with seeded_inference():
            assert device.state.item() == 0  # the same for every report
            device.state += 1
        assert device.state.item() == 3


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_checkpoints_hold_the_chance_of_an_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with monkeypatch.context() as patch:
        device = Accelerator(patch, kind)
        save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {})
        device.state += 1
        load_checkpoint(tmp_path / "checkpoint.pt", {})
        assert device.state.item() == 3
    load_checkpoint(tmp_path / "checkpoint.pt", {})  # where there is none, and where there is another one
    other = Accelerator(monkeypatch, {"cuda": "mps", "xpu": "cuda", "mps": "xpu"}[kind])
    other.state += 1
    load_checkpoint(tmp_path / "checkpoint.pt", {})
    assert other.state.item() == 4


def draws() -> list[float]:
    return [random.random(), float(np.random.random()), float(torch.rand(()))]  # noqa: NPY002


def test_seeded_numbers_leave_every_state_as_it_was() -> None:
    with seeded(7):
        first = float(torch.rand(()))
    with seeded(1):
        wanted = draws()
    with seeded(7):
        assert float(torch.rand(())) == first
        draws()
    with pytest.raises(ValueError, match="Seed must be"), seeded(7):
        np.random.seed(-1)  # noqa: NPY002
    with seeded(1):
        assert draws() == wanted
