"""What an asynchronous run needs beside its steps: epochs of unequal length, and pictures of every cycle."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from asymkit import AsyncScheduler
from asymkit.training.schedule import Phase, Rule
from support.data.held_out import HeldOut, in_batches
from support.data.unpaired import UnpairedSettings
from support.run.rng import seeded_inference


@dataclass(frozen=True)
class PlanSettings(UnpairedSettings):
    """Settings of an asynchronous run, or of its synchronous baseline."""

    FIXED: ClassVar[frozenset[str]] = frozenset({"epochs", "picture_size"})
    """When a run is resumed."""

    schedule: Literal["async", "sync"] = "async"
    """sync: the synchronous baseline, with as many steps in epochs of the same lengths, all of them joint."""
    epochs: int = 100
    """Half of them joint, then joint and partial in turn."""
    period: int = 10
    """Epochs of a cycle, whose first half is joint; 10 or, with 120 epochs, 20 in the paper."""
    rule: Rule = "text"
    """Joint epochs of a period. text: its first half, as the paper's text says; algorithm1: one more, as its listing prints."""
    lr_g: float = 2e-4
    """Learning rate of the generators, for the first half of the run; then it falls to zero."""
    lr_d: float = 2e-4
    """The same of the discriminators."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_plan("period")

    @property
    def asynchronous(self) -> bool:
        """Whether some steps are partial."""
        return self.schedule == "async"

    @contextmanager
    def unwarned(self) -> Iterator[None]:
        """No warning of a plan without partial epochs where none is to be partial."""
        with warnings.catch_warnings():
            if not self.asynchronous:
                warnings.filterwarnings("ignore", "this plan has no partial epoch")
            yield


class Plan:
    """Where the epochs of a schedule begin, counted in steps.

    Args:
        scheduler: says which epochs are joint.
        lengths: samples of the rich and of the poor set; a joint epoch has those of the smaller, a partial one those of the rich.
        batch: samples that all processes together take for a step.
        asynchronous: False for a baseline, all of whose steps are joint, in epochs of the same lengths.
        shown: images whose translations at the end of every phase are kept.
        easy_alone: joint steps after the first half of the epochs train the easy direction alone [Async-GAN Fig. 9].
    """

    def __init__(
        self,
        scheduler: AsyncScheduler,
        lengths: tuple[int, int],
        batch: int,
        asynchronous: bool = True,
        shown: HeldOut | None = None,
        easy_alone: bool = False,
    ) -> None:
        self.scheduler, self.asynchronous, self.easy_alone = scheduler, asynchronous, easy_alone
        rich, poor = (max(1, length // batch) for length in lengths)
        phases = [scheduler.phase(epoch) for epoch in range(scheduler.total_epochs)]
        self.starts = [0, *accumulate(rich if phase == "partial" else min(rich, poor) for phase in phases)]
        self.steps = self.starts[-1]
        self.intermediate = IntermediateImages(shown)

    def note(self) -> str:
        """The plan as a sentence, for a report."""
        if not self.asynchronous:
            return f"synchronous: {self.scheduler.total_epochs} joint epochs, as long as those of the asynchronous plan"
        return "; ".join(" ".join(line.split()) for line in self.scheduler.table().splitlines())

    def epoch(self, step: int) -> int:
        """The epoch that a step, counted from 0, belongs to; after the last one, the last epoch."""
        return min(bisect_right(self.starts, step), len(self.starts) - 1) - 1

    def phase(self, step: int) -> Phase:
        """What a step is."""
        return self.scheduler.phase(self.epoch(step)) if self.asynchronous else "joint"

    def kind(self, step: int) -> Literal["joint", "partial", "easy"]:
        """Its phase, or easy for a joint step that trains the easy direction alone."""
        alone = self.easy_alone and 2 * self.epoch(step) >= self.scheduler.total_epochs
        return "easy" if alone and self.phase(step) == "joint" else self.phase(step)

    def progress(self, step: int) -> float:
        """The part of the epochs that is done before a step; epochs count alike, however long they are."""
        if step >= self.steps:
            return 1.0
        epoch = self.epoch(step)
        first, after = self.starts[epoch : epoch + 2]
        return (epoch + (step - first) / (after - first)) / self.scheduler.total_epochs

    def ends_phase(self, step: int) -> bool:
        """Is this the last step before the phase changes, or the last of all?"""
        now, then = (self.scheduler.phase(self.epoch(place)) for place in (step, step + 1))
        return now != then or step + 1 == self.steps

    def keep_intermediate(self, step: int, model: Any) -> None:
        """If the step is the last one of its phase, keep what a model, by ``to_poor`` and ``to_rich``, makes of images."""
        if not self.ends_phase(step):
            return
        device, (rich, poor) = next(model.parameters()).device, self.intermediate.shown
        with seeded_inference():
            fake_poor = [image for x in rich for image in model.to_poor(x.to(device))]
            fake_rich = [image for y in poor for image in model.to_rich(y.to(device))]
        self.intermediate.add(f"epoch {self.epoch(step)} ({self.phase(step)})", fake_poor, fake_rich)

    def partial_spans(self, steps: int) -> list[tuple[int, int]]:
        """First and last steps of the partial phases among the first ``steps``, joined where they touch."""
        spans: list[tuple[int, int]] = []
        for first, after in pairwise(self.starts):
            if first < steps and self.phase(first) == "partial":
                begin = spans.pop()[0] if spans and spans[-1][1] == first else first
                spans.append((begin, min(after, steps)))
        return spans


class IntermediateImages:
    """What both directions made of the same images at the end of every phase [Async-GAN Fig. 7]; part of checkpoints.

    Args:
        shown: the images. A resumed run goes on with those of its checkpoint, whatever the test set is by then.
    """

    def __init__(self, shown: HeldOut | None = None) -> None:
        # as a checkpoint holds them, so that a resumed run translates the same
        self.shown = HeldOut(*([batch.half().to(batch) for batch in batches] for batches in shown or ([], [])))
        self.made: dict[str, tuple[list[Tensor], list[Tensor]]] = {}

    def add(self, name: str, poor: Iterable[Tensor], rich: Iterable[Tensor]) -> None:
        """Add images, (C, H, W) each, under a name such as "epoch 6"; in half precision, which pictures do not show."""
        poor, rich = ([image.detach().cpu().half() for image in images] for images in (poor, rich))
        self.made[name] = poor, rich

    def rows(self, direction: int) -> list[list[Tensor]]:
        """An image, then its translations in the order they were made; direction 0 is rich to poor, 1 poor to rich."""
        shown = [image for batch in self.shown[direction] for image in batch]
        made = [images[direction] for images in self.made.values()]
        return [[image.float() for image in row] for row in zip(shown, *made, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        shown = tuple([image.half() for batch in batches for image in batch] for batches in self.shown)
        return {"shown": shown, "made": dict(self.made)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a checkpoint.

        Raises:
            ValueError: it was written by an earlier version, which did not keep the images themselves.
        """
        if state.keys() != {"shown", "made"}:
            raise ValueError("it holds the intermediate domains in an earlier form; begin a run of its own")
        rich, poor = (in_batches(image.to(torch.get_default_dtype()) for image in images) for images in state["shown"])
        self.shown, self.made = HeldOut(rich, poor), dict(state["made"])
