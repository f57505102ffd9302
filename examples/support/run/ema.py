"""An exponential moving average of a model, which makes steadier images than its last weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Weights = tuple[Tensor, ...] | list[Tensor]


class MovingAverage:
    """The average that torch's ``AveragedModel`` keeps; with a decay of 0, the model itself.

    Over the first steps the decay is smaller, (1 + n) / (10 + n), so that first weights are soon forgotten.

    Args:
        model: on its device, no wrapper.
        decay: the part that stays at each step, 0 to below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._source, self._decay, self._steps = model, decay, 0
        self._average = AveragedModel(model, multi_avg_fn=self._blend).requires_grad_(False) if decay else None

    @property
    def model(self) -> Any:
        """The model to evaluate: the average, if there is one."""
        return self._source if self._average is None else self._average.module

    def update(self) -> None:
        """Take the model's weights into the average, after a step."""
        if self._average is not None:
            self._steps = int(self._average.n_averaged)  # on the CPU; what _blend is given may be on the device
            self._average.update_parameters(self._source)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {} if self._average is None else self._average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a checkpoint."""
        if self._average is not None:
            self._average.load_state_dict(state)

    def _blend(self, kept: Weights, new: Weights, _: Tensor | int) -> None:
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for average, weight in zip(kept, new, strict=True):
            average.lerp_(weight, 1 - decay)
