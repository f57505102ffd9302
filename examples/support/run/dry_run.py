"""A few steps of everything before a long run, and what they say about it."""

from __future__ import annotations

import math
import sys
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from pathlib import Path
from time import monotonic

import torch
from accelerate import Accelerator

from support.run.loader import EndlessData
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
        kind: of a step, "" where all are alike; every kind is tried.
        whole: steps of the whole run.

    Attributes:
        steps: those taken, the latest of every kind up to where enough of all kinds have been.
    """

    def __init__(self, accelerator: Accelerator, data: EndlessData, kind: Callable[[int], str], whole: int) -> None:
        self.accelerator, self.data, self.kind, self.whole = accelerator, data, kind, whole
        self._counts = Counter(map(kind, range(whole)))
        latest = {name: deque[int](maxlen=EACH) for name in self._counts}
        for step in range(whole):
            latest[kind(step)].append(step)
            if all(len(steps) == min(EACH, self._counts[name]) for name, steps in latest.items()):
                break
        self.steps = sorted(chain.from_iterable(latest.values()))
        self._seconds: dict[str, float] = {}
        self.first_report = self.later_report = 0.0

    def add(self, step: int, seconds: float) -> None:
        """A step took so long; of every kind the fastest counts, since first ones are slow."""
        kind = self.kind(step)
        self._seconds[kind] = min(seconds, self._seconds.get(kind, math.inf))

    def time_reports(self, first: Callable[[], None], later: Callable[[], None]) -> None:
        """Make the first report, with a checkpoint, and another one: the first may train what scores images for all."""
        begun = monotonic()
        first()
        between = monotonic()
        later()
        self.first_report, self.later_report = between - begun, monotonic() - between

    def estimate(self, loading: float, report_every: int) -> tuple[float, float]:
        """Seconds of all steps of the whole run, and of the run with its reports.

        Args:
            loading: seconds to load the images of a step.
            report_every: steps between reports.
        """
        steps = sum(times * max(loading, self._seconds.get(kind, 0.0)) for kind, times in self._counts.items())
        return steps, steps + self.first_report + self.later_report * (self.whole // report_every)

    def say(self, folder: Path, settings: RunSettings) -> None:
        """Print memory, the time of steps, and an estimate of the whole.

        Args:
            folder: of the dry run.
            settings: of the run.
        """
        loading = self._loading(settings)
        steps, whole = self.estimate(loading, settings.report_every)
        ends_before = settings.minutes is not None and 60 * settings.minutes < steps
        limit = f"; --minutes {settings.minutes:g} ends it before" if ends_before else ""
        each = ", ".join(f"{seconds:.3g} s a {f'{kind} step'.strip()}" for kind, seconds in self._seconds.items())
        self.accelerator.print(
            f"dry run: {len(self.steps)} steps, a checkpoint and a report: {folder / 'report.html'}\n"
            f"memory: {_memory()}\n"
            f"time: {each}, {loading:.2g} s to load for one, {self.later_report:.3g} s a report "
            f"(every {settings.report_every} steps), {self.first_report:.3g} s the first one\n"
            f"the whole run, {self.whole} steps: about {timedelta(seconds=round(whole))}{limit}"
        )

    def _loading(self, settings: RunSettings) -> float:
        """Seconds that the workers of a process take to load for a step; without workers that is a part of the step."""
        begun = monotonic()
        for index in range(SAMPLES):
            self.data[index]
        each = (monotonic() - begun) / SAMPLES
        return each * settings.batch * settings.accumulate / max(1, settings.workers)


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
