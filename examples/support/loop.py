"""Everything between training steps: batches, learning rates, the clock, guarded steps, checkpoints, signals."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from time import monotonic
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from asymkit import StepGuard, linear_decay
from support.average import MovingAverage
from support.checkpoint import Forgetful, Stateful, load_checkpoint, save_checkpoint
from support.config import as_plain
from support.dry import DryRun
from support.feed import EndlessData, Feed
from support.phases import Plan
from support.record import CRITIC, Page, Record
from support.report import Moment
from support.run import write_settings
from support.settings import RunSettings
from support.start import SMALL, set_learning_rate
from support.stop import LoadingInterrupted, Stop, stop_when_told

LOG_EVERY = 10


class Training:
    """The batches of a run, the steps of its optimizers, and all that has to happen between them.

        training = Training(accelerator, settings, data, parts, networks, optimizers, page)
        for x, y in training:
            ...
            training.step_generators(terms)
            ...
            training.step_critics(judged)

    Ends after the epochs or the minutes of the settings, or by a signal such as Ctrl-C, always with a checkpoint and a
    report.

    Args:
        accelerator: of :func:`support.start.start`.
        settings: of the run.
        data: sampled in order, so that a resumed run goes on where it was.
        parts: what a checkpoint holds, by name, among it the model; no wrappers, which would change names.
        networks: all that are trained, prepared.
        optimizers: those of the generators and of the critics, prepared; their learning rates stay for half of the run
            and then fall to zero.
        page: what the report shows.
        plan: of an asynchronous run; None: all epochs are alike.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        settings: RunSettings,
        data: EndlessData,
        parts: Mapping[str, Stateful],
        networks: Iterable[nn.Module],
        optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
        page: Page,
        plan: Plan | None = None,
    ) -> None:
        self.accelerator, self.settings, self.data, self.plan = accelerator, settings, data, plan
        self.folder, self.main = settings.folder, accelerator.is_main_process
        self.generators, self.critics = optimizers
        self._guards = {optimizer: StepGuard(settings.skips) for optimizer in optimizers}
        self._wrapped = [part for network in networks for part in network.modules() if hasattr(part, "no_sync")]
        model = parts["model"]
        assert isinstance(model, nn.Module)
        self.average = MovingAverage(model, settings.ema)
        self._feed = Feed(accelerator, data, settings.batch, settings.workers, self.folder / "broken-files.txt")
        # what the data mean is compared first: it says more than that weights do not fit
        self.parts = {"data": self._feed} | dict(parts) | {"average": self.average}
        self.checkpoint, self.step, self.seconds = self.folder / "checkpoint.pt", 0, 0.0
        self.batch = settings.samples_to_a_step(accelerator.num_processes)
        if settings.resume:
            self.step, self.seconds = load_checkpoint(
                self.checkpoint, self.parts, self.batch, accelerator.process_index
            )
        self.steps = settings.epochs * max(1, data.epoch // self.batch) if plan is None else plan.steps
        self.stopped, self._saved = False, -1
        self._means: dict[str, Tensor] = {}
        self._waited = self._since = 0.0  # seconds of this start, in all and for images
        self._introduce(page)
        self._dry = DryRun(accelerator, data, plan, self.steps) if settings.dry_run else None
        self.record = Record(settings, page, self.average.model, self.step, self._done(), self.main)
        if self.main:
            write_settings(settings)  # now that a run of them can be

    def _introduce(self, page: Page) -> None:
        """Say what is trained on and how, before the bar appears."""
        processes, settings = self.accelerator.num_processes, self.settings
        each = f"{processes} process{'es' if processes > 1 else ''} × --batch {settings.batch}"
        each += f" × --accumulate {settings.accumulate}" if settings.accumulate > 1 else ""
        limit = f"; or --minutes {settings.minutes:g}" if settings.minutes else ""
        epochs = f"epochs: {settings.epochs}"
        if self.plan is None:
            epochs += f", each of {self.data.epoch} samples"
        steps = f"steps: {self.steps}, each of {self.batch} samples ({each}){limit}"
        lines = [*page.notes, f"{epochs}; {steps}"]
        if self.accelerator.device.type == "cpu":
            small = "" if settings.threads or settings.work > SMALL else "; so small steps gain little from more"
            lines.append(f"threads: {torch.get_num_threads()}{small} (--threads)")
        self.accelerator.print("\n".join(lines))

    def step_generators(self, terms: Mapping[str, Tensor]) -> None:
        """Go down the gradient of the weighted terms with the generators' optimizer.

        A step is taken after the last of its batches, or left out where a term or a gradient is not finite.
        """
        self._descend(self.generators, terms, "")

    def step_critics(self, terms: Mapping[str, Tensor]) -> None:
        """The same for the critics."""
        self._descend(self.critics, terms, CRITIC)

    def _descend(self, optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor], prefix: str) -> None:
        self.accelerator.backward(self.settings.weights.total(terms))
        part = 1 / self.settings.accumulate
        means = {f"{prefix}{name}": term.detach() * part for name, term in terms.items()}
        means = {name: self._means.get(name, 0) + value for name, value in means.items()}
        self._means |= means
        if self.accelerator.sync_gradients:
            guard = self._guards[optimizer]
            guard.steps = self.step  # it counts on from there, and names the steps of the whole run
            guard.step(optimizer, means)
            optimizer.zero_grad()

    def __iter__(self) -> Iterator[Any]:
        with stop_when_told() as stop:
            yield from self._until(stop)
            begun = monotonic()
            self._save(last=True)
            self.record.end()
        if self._dry is not None:
            self._dry.say(self.folder, monotonic() - begun, self.settings)
            return
        # a run that follows a plan cannot be made longer
        whole = "done, --resume with more --minutes or --epochs goes on" if self.plan is None else "done"
        ended = "stopped, --resume goes on" if self.stopped else whole
        where = self.folder / "report.html"
        self.accelerator.print(f"{ended}: {self.step} steps in {self.seconds:.0f} s of training; open {where}")

    def _until(self, stop: Stop) -> Iterator[Any]:
        steps = count(self.step) if self._dry is None else self._dry.steps
        first, after = (self.step, self.steps) if self._dry is None else (0, len(self._dry.steps))
        loader, before = self._feed.batches(first * self.batch, after * self.batch), monotonic()
        for self.step in steps:
            done = self._done()
            if done >= 1 and self._dry is None:
                break
            batches, problem = self._load(loader, stop)
            if not self._go_on(stop, problem):
                self.stopped = True
                break
            self._begin(done)
            for batch in batches:
                with self.accelerator.accumulate(*self._wrapped):
                    yield batch
            self._end(monotonic() - before)
            before = monotonic()
            if self.step % LOG_EVERY == 1 or LOG_EVERY == 1 or self._dry is not None:
                self.record.losses(self.step, done, {name: value.item() for name, value in self._means.items()})
            if self.step % self.settings.report_every == 0 and self._dry is None:
                self._save()
                before = monotonic()
        if not self.stopped:
            self.record.bar.reach(1.0)
        self.record.bar.close()

    def _load(self, loader: Iterator[Any], stop: Stop) -> tuple[list[Any], Exception | None]:
        """All batches of a step, or what went wrong in loading them; none where the run is told to stop meanwhile."""
        waiting = monotonic()
        try:
            with stop.loading():
                batches = [next(loader) for _ in range(self.settings.accumulate)]
        except LoadingInterrupted:
            return [], None
        except Exception as error:
            return [], error
        self._waited += monotonic() - waiting
        images = sum(len(part) for batch in batches for part in batch if part.ndim == 4)
        self.record.bar.count(images * self.accelerator.num_processes)
        return batches, None

    def _go_on(self, stop: Stop, problem: Exception | None) -> bool:
        """Whether to take the step. What one process meets all act upon together, or some would wait for ever.

        Raises:
            Exception: the problem, after a checkpoint.
        """
        told, failed, news = self._any(stop.is_set(), problem is not None, self._feed.news)
        if told:  # which may be why loading failed
            return False
        if news:
            try:
                self._feed.tell()
            except ValueError as error:
                problem = problem or error
        if not failed and problem is None:
            return True
        self._save()
        self.accelerator.wait_for_everyone()  # launchers end all processes as soon as one has ended
        if problem is None:
            problem = ValueError("data: another process could not load its images; its message says why")
        if isinstance(problem, ValueError):
            raise ValueError(f"{problem}\n--resume goes on from step {self.step}") from problem
        raise problem

    def _any(self, *mine: bool) -> list[bool]:
        """Each of some answers as soon as one process gives it."""
        if self.accelerator.num_processes == 1:
            return list(mine)
        told = torch.tensor(mine, dtype=torch.float32, device=self.accelerator.device)
        return [answer > 0 for answer in self.accelerator.reduce(told, "sum").tolist()]

    def _begin(self, done: float) -> None:
        rates = ((self.generators, self.settings.lr_generators), (self.critics, self.settings.lr_critics))
        for optimizer, rate in rates:
            set_learning_rate(optimizer, rate * linear_decay(done))
        self._means = {}

    def _end(self, seconds: float) -> None:
        """A step is done."""
        if any(guard.in_a_row for guard in self._guards.values()):
            for part in self.parts.values():
                if isinstance(part, Forgetful):
                    part.forget_nonfinite()
        self.average.update()
        if self._dry is not None:
            self._dry.add(self.step, seconds)
        self.step, self.seconds, self._since = self.step + 1, self.seconds + seconds, self._since + seconds

    def _done(self) -> float:
        """The part of the training that is done, which the learning rate follows."""
        if self.step >= self.steps:
            return 1.0
        if self.settings.minutes:
            return min(self.seconds / (60 * self.settings.minutes), 1.0)
        return self.step / self.steps if self.plan is None else self.plan.progress(self.step)

    def _save(self, last: bool = False) -> None:
        if not self.main or self._saved == self.step:
            return
        try:
            save_checkpoint(self.checkpoint, self.step, self.seconds, self.parts, self.batch, as_plain(self.settings))
        except OSError as error:
            kept = "the one before it is kept" if self.checkpoint.exists() else "there is none before it"
            message = f"the checkpoint of step {self.step} could not be written: {error}; {kept}"
            if last:
                raise ValueError(message) from error
            warnings.warn(f"{message}; training goes on", stacklevel=2)
            return
        self._saved = self.step
        self._report()

    def _report(self) -> None:
        waiting = self._waited / max(self._since, 1e-9)
        self.record.warn(self.record.health.waiting(waiting if self._since > 60 else 0.0))
        figures: dict[str, float] = {"done": self._done(), "steps": self.step, "seconds": self.seconds}
        figures["waiting_for_data"] = waiting
        figures["skipped_steps"] = sum(guard.skipped for guard in self._guards.values())
        figures["broken_files"] = len(self.data.broken.found)
        epoch = self.step * self.batch // self.data.epoch if self.plan is None else self.plan.epoch(self.step)
        spans = [] if self.plan is None else self.plan.partial_spans(self.step)
        self.record.report(Moment(self.step, epoch), self.checkpoint, figures, spans)
