"""A few steps of everything before a long run, and what they say about it."""

from __future__ import annotations

import math
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from time import monotonic

import torch
from accelerate import Accelerator

from support.run.loader import EndlessData
from support.run.plan import Plan
from support.run.settings import RunSettings

EACH = 4
"""Steps of each kind: two to warm up, two to be timed."""

SAMPLES = 8
"""Samples of the data that are timed."""


class DryRun:
    """Which steps are taken, how long they took, and what that means for the whole run.

    Args:
        accelerator: of the run.
        data: of the run, of which a few samples are timed: the first batches are loaded before a step asks for them.
        plan: of an asynchronous run, whose joint and partial steps are both tried, or None.
        whole: steps of the whole run.
    """

    def __init__(self, accelerator: Accelerator, data: EndlessData, plan: Plan | None, whole: int) -> None:
        self.accelerator, self.data, self.plan, self.whole = accelerator, data, plan, whole
        self.steps = list(range(min(EACH, whole))) if plan is None else plan.samples(EACH)
        self._seconds: dict[str, float] = {}

    def add(self, step: int, seconds: float) -> None:
        """A step took so long; of every kind the fastest counts, since first ones are slow."""
        kind = self._kind(step)
        self._seconds[kind] = min(seconds, self._seconds.get(kind, math.inf))

    def say(self, folder: Path, report: float, settings: RunSettings) -> None:
        """Print memory, the time of steps, and an estimate of the whole.

        Args:
            folder: of the dry run.
            report: seconds that a checkpoint and a report took.
            settings: of the run.
        """
        kinds = Counter(self._kind(step) for step in range(self.whole))
        loading = self._loading(settings)
        steps = sum(times * max(loading, self._seconds.get(kind, 0.0)) for kind, times in kinds.items())
        whole = steps + report * (1 + self.whole // settings.report_every)
        limit = (
            f"; --minutes {settings.minutes:g} ends it before" if 60 * (settings.minutes or math.inf) < steps else ""
        )
        each = ", ".join(f"{seconds:.3g} s a {kind}step" for kind, seconds in self._seconds.items())
        self.accelerator.print(
            f"dry run: {len(self.steps)} steps, a checkpoint and a report: {folder / 'report.html'}\n"
            f"memory: {_memory()}\n"
            f"time: {each}, {loading:.2g} s to load for one, {report:.3g} s a report (every {settings.report_every} steps)\n"
            f"the whole run, {self.whole} steps: about {timedelta(seconds=round(whole))}{limit}"
        )

    def _loading(self, settings: RunSettings) -> float:
        """Seconds that the workers of a process take to load for a step; without workers that is a part of the step."""
        begun = monotonic()
        for index in range(SAMPLES):
            self.data[index]
        each = (monotonic() - begun) / SAMPLES
        return each * settings.batch * settings.accumulate / max(1, settings.workers)

    def _kind(self, step: int) -> str:
        return "" if self.plan is None else f"{self.plan.phase(step)} "


def _memory() -> str:
    """The most that was used so far."""
    try:
        import resource
    except ImportError:  # Windows
        main = "an unknown amount"
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        main = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB"
    if not torch.cuda.is_available():
        return f"at most {main}"
    return f"at most {torch.cuda.max_memory_reserved() / 2**30:.2f} GiB on the GPU, {main} beside it"
