"""What an asynchronous run needs beside its steps: epochs of unequal length, and pictures of every cycle."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from asymkit import AsyncScheduler
from asymkit.training.schedule import Phase
from support.run.rng import seeded_inference


class Plan:
    """Where the epochs of a schedule begin, counted in steps.

    Args:
        scheduler: says which epochs are joint.
        joint: steps of a joint epoch, the smaller set's samples.
        partial: steps of a partial one, the rich set's samples.
        asynchronous: False for a baseline, all of whose steps are joint, in epochs of the same lengths.
    """

    def __init__(self, scheduler: AsyncScheduler, joint: int, partial: int, asynchronous: bool = True) -> None:
        self.scheduler, self.asynchronous = scheduler, asynchronous
        phases = [scheduler.phase(epoch) for epoch in range(scheduler.total_epochs)]
        self.starts = [0, *accumulate(partial if phase == "partial" else joint for phase in phases)]
        self.steps = self.starts[-1]
        self.intermediate = IntermediateImages()

    @classmethod
    def for_data(
        cls, scheduler: AsyncScheduler, lengths: tuple[int, int], batch: int, asynchronous: bool = True
    ) -> Plan:
        """The plan for sets of so many rich and poor samples, and so many samples to a step of all processes."""
        rich, poor = (max(1, length // batch) for length in lengths)
        return cls(scheduler, min(rich, poor), rich, asynchronous)

    def note(self) -> str:
        """The plan as a sentence, for a report."""
        return "; ".join(" ".join(line.split()) for line in self.scheduler.table().splitlines())

    def epoch(self, step: int) -> int:
        """The epoch that a step, counted from 0, belongs to; after the last one, the last epoch."""
        return min(bisect_right(self.starts, step), len(self.starts) - 1) - 1

    def phase(self, step: int) -> Phase:
        """What a step is."""
        return self.scheduler.phase(self.epoch(step)) if self.asynchronous else "joint"

    def samples(self, each: int) -> list[int]:
        """So many steps of each phase; the joint ones are the last before the first partial one."""
        first_partial = next((step for step in range(self.steps) if self.phase(step) == "partial"), None)
        if first_partial is None:
            return list(range(min(each, self.steps)))
        return list(range(max(0, first_partial - each), min(first_partial + each, self.steps)))

    def progress(self, step: int) -> float:
        """The part of the epochs that is done before a step; epochs count alike, however long they are."""
        if step >= self.steps:
            return 1.0
        epoch = self.epoch(step)
        first, after = self.starts[epoch : epoch + 2]
        return (epoch + (step - first) / (after - first)) / self.scheduler.total_epochs

    def ends_phase(self, step: int) -> bool:
        """Is this the last step before the phase changes, or the last of all?"""
        if step + 1 == self.steps:
            return True
        return self.scheduler.phase(self.epoch(step)) != self.scheduler.phase(self.epoch(step + 1))

    def keep_intermediate(self, step: int, model: nn.Module, x: Tensor, y: Tensor) -> None:
        """If the step is the last one of its phase, keep what a model makes of rich and poor images."""
        if self.ends_phase(step):
            with seeded_inference():
                cycles = model(x, y)
            self.intermediate.add(f"epoch {self.epoch(step)} ({self.phase(step)})", cycles.fake_poor, cycles.fake_rich)

    def partial_spans(self, steps: int) -> list[tuple[int, int]]:
        """First and last steps of the partial phases among the first ``steps``, joined where they touch."""
        spans: list[tuple[int, int]] = []
        if not self.asynchronous:
            return spans
        for epoch, (first, after) in enumerate(pairwise(self.starts)):
            if first >= steps or self.scheduler.phase(epoch) == "joint":
                continue
            begin = spans.pop()[0] if spans and spans[-1][1] == first else first
            spans.append((begin, min(after, steps)))
        return spans


class IntermediateImages:
    """What both directions made of the same images at the end of every phase [Async-GAN Fig. 7]; part of checkpoints."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, name: str, poor: Tensor, rich: Tensor) -> None:
        """Add images, (N, C, H, W) each, under a name such as "epoch 6"."""
        self.made[name] = poor.detach().cpu(), rich.detach().cpu()

    def rows(self, direction: int) -> list[Tensor]:
        """Images in the order they were made; direction 0 is rich to poor, 1 poor to rich."""
        return [images[direction] for images in self.made.values()]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return dict(self.made)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a checkpoint."""
        self.made = {name: (torch.as_tensor(poor), torch.as_tensor(rich)) for name, (poor, rich) in state.items()}
