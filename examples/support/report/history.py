"""The losses of a run, for the curves of its report."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor


class LossHistory:
    """Every logged loss with its step; part of checkpoints, so that a resumed run has the curves of what it goes on from."""

    def __init__(self) -> None:
        self._points: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def add(self, step: int, losses: Mapping[str, float]) -> None:
        """The losses of a step; other steps may have other ones."""
        for name, value in losses.items():
            self._points[name].extend((step, value))

    def state_dict(self) -> dict[str, Tensor]:
        """Steps and values by the name of the loss, (N, 2), float64."""
        return {name: torch.tensor(points, dtype=torch.float64).view(-1, 2) for name, points in self._points.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over those of a checkpoint."""
        self._points.clear()
        self._points.update({name: array("d", points.flatten().tolist()) for name, points in state.items()})
