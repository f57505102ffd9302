"""Everything around a training step: batches, learning rates, the clock, losses, checkpoints, reports, Ctrl-C."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from time import monotonic
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from asymkit import linear_decay
from support.checkpoint import Stateful, load_checkpoint, save_checkpoint
from support.phases import Plan
from support.report import LossLog
from support.run import Progress, stop_when_told
from support.settings import RunSettings
from support.start import numbers, set_learning_rate

LOG_EVERY = 10


class EndlessData(Protocol):
    """A data set without an end: sample number ``index`` is the same in every run."""

    epoch: int
    """Samples to an epoch."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""


class UnpairedData(EndlessData, Protocol):
    """One of pairs (rich, poor) that have nothing to do with each other."""

    lengths: tuple[int, int]
    """Samples of the rich and of the poor domain."""


class Training:
    """The batches of a run, each followed by what has to happen after a step.

        training = Training(accelerator, settings, data, parts, rates, report, ("cycle",))
        for x, y in training:
            ...  # one step of both optimizers
            training.losses(terms, judged)

    Ends after the epochs or the minutes of the settings, or by Ctrl-C, always with a checkpoint and a report.

    Args:
        accelerator: of :func:`support.start.start`.
        settings: of the run.
        data: sampled in order, so that a resumed run goes on where it was.
        parts: what a checkpoint holds, by name; no wrappers, which would change names.
        rates: prepared optimizers and their learning rates, which stay for half of the run and then fall to zero.
        report: writes the report, given steps, seconds and losses.
        shown: losses worth the room beside the bar.
        plan: of an asynchronous run; None: all epochs are alike.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        settings: RunSettings,
        data: EndlessData,
        parts: Mapping[str, Stateful],
        rates: Mapping[torch.optim.Optimizer, float],
        report: Callable[[dict[str, float]], None],
        shown: tuple[str, ...],
        plan: Plan | None = None,
    ) -> None:
        self.accelerator, self.settings, self.data, self.parts = accelerator, settings, data, parts
        self.rates, self.report, self.shown = rates, report, shown
        self.checkpoint, self.step, self.seconds = settings.out / "checkpoint.pt", 0, 0.0
        if settings.resume:
            self.step, self.seconds = load_checkpoint(
                self.checkpoint, parts, accelerator.process_index, accelerator.num_processes
            )
        self.batch = settings.batch * accelerator.num_processes
        self.steps = settings.epochs * max(1, data.epoch // self.batch) if plan is None else plan.steps
        self.plan, self.stopped = plan, False
        self._terms: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] = ({}, {})
        self._numbers: dict[str, float] = {}

    def losses(self, terms: Mapping[str, Tensor], judged: Mapping[str, Tensor]) -> None:
        """Tell the losses of this step; they are read, which makes a GPU wait, in one step of ten."""
        self._terms = terms, judged

    def __iter__(self) -> Iterator[Any]:
        with stop_when_told() as stop:
            yield from self._until(stop)
            self._save(last=True)
        # a run that follows a plan cannot be made longer
        whole = "done, --resume with more --minutes or --epochs goes on" if self.plan is None else "done"
        ended = "stopped, --resume goes on" if self.stopped else whole
        where = self.settings.out / "report.html"
        self.accelerator.print(f"{ended}: {self.step} steps in {self.seconds:.0f} s; open {where}")

    def _until(self, stop: Event) -> Iterator[Any]:
        main, before = self.accelerator.is_main_process, monotonic()
        log = LossLog(self.settings.out / "losses.csv", resume_at=self.step, writing=main)
        bar = Progress(main)
        for batch in self._batches():
            done = self._done()
            self.stopped = self._told(stop)
            if done >= 1 or self.stopped:
                break
            for optimizer, rate in self.rates.items():
                set_learning_rate(optimizer, rate * linear_decay(done))
            yield batch
            self.step, self.seconds, before = self.step + 1, self.seconds + monotonic() - before, monotonic()
            if self.step % LOG_EVERY == 1:
                terms, judged = self._terms
                latest = numbers(terms) | numbers(judged, prefix="critic_")
                self._numbers |= latest
                log.write(self.step, latest)
                bar.show(done, self._numbers, self.shown)
            if self.step % self.settings.report_every == 0:
                self._save()
                before = monotonic()
        if not self.stopped:
            bar.show(1.0)
        bar.close()

    def _told(self, stop: Event) -> bool:
        """Whether to stop. Several processes must stop at the same step, or one waits for ever: they ask each other."""
        if self.accelerator.num_processes == 1:
            return stop.is_set()
        if self.step % LOG_EVERY:
            return False
        told = torch.tensor(float(stop.is_set()), device=self.accelerator.device)
        return bool(self.accelerator.reduce(told, "sum") > 0)

    def _done(self) -> float:
        """The part of the training that is done, which the learning rate follows."""
        if self.settings.minutes:
            return self.seconds / (60 * self.settings.minutes)
        return self.step / self.steps if self.plan is None else self.plan.progress(self.step)

    def _batches(self) -> Any:
        order = range(self.step * self.batch, self.steps * self.batch)
        chance = torch.Generator()  # its own, so that loading disturbs nothing
        workers = self.settings.workers
        loader: DataLoader[Any] = DataLoader(
            self.data,  # type: ignore[arg-type]  # a map without a length, which a sampler makes unnecessary
            self.settings.batch,
            sampler=order,
            num_workers=workers,
            generator=chance,
        )
        return self.accelerator.prepare(loader)

    def _save(self, last: bool = False) -> None:
        if not self.accelerator.is_main_process:
            return
        try:
            save_checkpoint(self.checkpoint, self.step, self.seconds, self.parts, self.accelerator.num_processes)
        except OSError as error:
            if last:
                raise ValueError(
                    f"the checkpoint of step {self.step} could not be written: {error}; {self._kept()}"
                ) from error
            warnings.warn(
                f"the checkpoint of step {self.step} could not be written: {error}; {self._kept()}; training goes on",
                stacklevel=2,
            )
            return
        self.report({"steps": self.step, "seconds": self.seconds} | self._numbers)

    def _kept(self) -> str:
        return "the one before it is kept" if self.checkpoint.exists() else "there is none before it"
