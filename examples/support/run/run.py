"""Everything around a training step: devices, batches, training states, the clock, logs, signals."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from time import monotonic
from typing import Any, TypeVar

import torch
from torch import Tensor

from asymkit import CapturedStep, ImagePool, ImagePools, StepGuard
from support.report.logger import DISCRIMINATOR, LossHistory, RunLogger
from support.report.page import Page, Position
from support.run.accelerator import create_accelerator
from support.run.checkpoint import Stateful, load_checkpoint, save_checkpoint
from support.run.command import open_run, write_settings
from support.run.dry_run import DryRun
from support.run.ema import MovingAverage
from support.run.loader import BatchLoader, EndlessData
from support.run.plan import Plan
from support.run.settings import RunSettings
from support.run.settings_file import as_plain
from support.run.signals import LoadingInterrupted, StopRequest, stop_on_signals
from support.run.summary import ended, summary

LOG_EVERY = 10

Network = TypeVar("Network", bound=torch.nn.Module)


class Run:
    """What a training needs beside its method, which stays in the example's loop.

        run = Run(settings, data)
        ddp_model = run.prepare(model)
        ema = run.ema(model)
        run.register_states(model=model, optimizer=optimizer)
        for x, y in run.batches(page):
            loss = ...
            run.backward(loss)
            run.log(generator_terms, discriminator_terms)
            if run.ends_step:
                optimizer.step()
                optimizer.zero_grad()
                ema.update()

    It never sees the objective. A run ends after the epochs or the minutes of its settings, or by a signal such as Ctrl-C,
    always with a checkpoint and a report.

    Args:
        settings: of the run, whose folder it takes.
        data: sampled in order, so that a resumed run goes on where it was.

    Raises:
        ValueError: the folder is taken, holds another run, or nothing to resume.
    """

    def __init__(self, settings: RunSettings, data: EndlessData) -> None:
        self.settings, self.data, self.folder = settings, data, settings.folder
        self.accelerator = create_accelerator(settings)
        self.device, self.is_main = self.accelerator.device, self.accelerator.is_main_process
        open_run(settings)
        self.samples_per_step = settings.batch * settings.accumulate * self.accelerator.num_processes
        self.step, self.seconds, self.stopped, self.ends_step = 0, 0.0, False, False
        self._steps = settings.epochs * max(1, data.epoch // self.samples_per_step)
        self._plan: Plan | None = None
        self._guards, self._skipped = list[StepGuard](), 0
        self._graph_memory = torch.cuda.graph_pool_handle() if settings.graph else None  # one step runs at a time
        self.states: dict[str, Stateful] = {}
        self._checkpoint, self._saved = self.folder / "checkpoint.pt", -1
        self._history, self._means = LossHistory(), dict[str, Tensor]()
        self._waited = self._since = 0.0  # seconds of this start, in all and for images

    def prepare(self, network: Network) -> Network:
        """The network on the device of this process: distributed over all processes, in the precision of the settings."""
        return self.accelerator.prepare(network)

    def prepare_each(self, networks: Network) -> Network:
        """A module, such as a ModuleList, whose parts are prepared one by one, because each is called by itself."""
        prepared = copy.copy(networks)
        prepared._modules = {name: self.prepare(network) for name, network in networks.named_children()}
        return prepared

    def guard(self) -> StepGuard:
        """A guard for one optimizer, whose skipped steps since this start the report counts."""
        self._guards.append(StepGuard(self.settings.max_skipped))
        return self._guards[-1]

    def register_states(self, **states: Stateful) -> None:
        """What checkpoints hold, by name; networks themselves, since wrappers change the names of parameters."""
        self.states |= states

    def ema(self, model: torch.nn.Module) -> MovingAverage:
        """A moving average of a model with ``--ema``, or the model itself; what checkpoints hold and the report shows."""
        self._ema = MovingAverage(model, self.settings.ema)
        return self._ema

    def captured(self, step: Callable[..., None], *optimizers: torch.optim.Optimizer) -> Callable[..., None]:
        """A step from batches to updated weights, ``zero_grad`` included; with ``--graph`` as one CUDA graph."""
        if not self.settings.graph:
            return step

        def whole(*batch: Tensor) -> dict[str, Tensor]:
            step(*batch)
            return self._means

        graph = CapturedStep(whole, optimizers, self._guards, self._graph_memory)

        def replay(*batch: Tensor) -> None:
            self._means = graph(*batch)

        return replay

    def backward(self, loss: Tensor) -> None:
        """``loss.backward()``, for a mean over the batches of a step where ``--accumulate`` takes several."""
        self.accelerator.backward(loss / self.settings.accumulate)

    def log(self, generators: Mapping[str, Tensor], discriminators: Mapping[str, Tensor]) -> None:
        """Unweighted terms of a batch; what is logged is their mean over the batches of a step."""
        terms = dict(generators) | {f"{DISCRIMINATOR}{name}": term for name, term in discriminators.items()}
        for name, term in terms.items():
            self._means[name] = self._means.get(name, 0) + term.detach() / self.settings.accumulate

    @property
    def progress(self) -> float:
        """The part of the training that is done before this step, by steps or by the clock, whichever is more."""
        by_steps = self.step / self._steps if self._plan is None else self._plan.progress(self.step)
        by_clock = self.seconds / (60 * self.settings.minutes) if self.settings.minutes else 0.0
        return min(max(by_steps, by_clock), 1.0)

    def batches(self, page: Page, plan: Plan | None = None, kind: Callable[[int], str] | None = None) -> Iterator[Any]:
        """Batches until the run ends, ``--accumulate`` of them to a step, the last of which finds ``ends_step`` set.

        Args:
            page: what the report shows.
            plan: of a run with epochs of several kinds; None: all are alike.
            kind: of a step, for --dry-run, where some cost more than others. None: the plan's.

        Raises:
            ValueError: a checkpoint is damaged or of other settings, images cannot be loaded.
        """
        settings, data = self.settings, self.data
        self._plan, self._steps = plan, self._steps if plan is None else plan.steps
        broken_files = self.folder / "broken-files.txt"
        self._loader = BatchLoader(self.accelerator, data, settings.batch, settings.workers, broken_files)
        # what the data mean is compared first: it says more than that weights do not fit
        self.states = {"data": self._loader, **self.states, "average": self._ema, "losses": self._history}
        self.states |= {} if plan is None else {"intermediate": plan.intermediate}
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        if settings.resume:
            self.step, self.seconds = load_checkpoint(self._checkpoint, self.states, self.samples_per_step, process)
        epoch = None if plan else data.epoch
        self.accelerator.print("\n".join([*page.notes, *summary(settings, self._steps, epoch, processes, self.device)]))
        kind = kind or (plan.kind if plan else lambda _: "")
        self._dry = DryRun(self.accelerator, data, kind, self._steps) if settings.dry_run else None
        self.logger = RunLogger(
            settings, page, self._ema.model, self._history, self.accelerator, self.step, self.progress
        )
        if self.is_main:
            write_settings(settings)  # now that a run of them can be
        with stop_on_signals() as stop:
            yield from self._until(stop)
            if self._dry is not None and self.is_main:
                self._dry.time_reports(lambda: self._save(last=True), self._report)
            self._save(last=True)
            self.logger.end()
        if self._dry is not None:
            self._dry.say(self.folder, settings)
            return
        self.accelerator.print(ended(self.step, self.seconds, self.stopped, plan is None, self.folder))

    def _until(self, stop: StopRequest) -> Iterator[Any]:
        steps = count(self.step) if self._dry is None else self._dry.steps
        first, after = (self.step, self._steps) if self._dry is None else (0, len(self._dry.steps))
        each = self.samples_per_step
        loader, before = self._loader.batches(first * each, after * each), monotonic()
        for self.step in steps:
            done = self.progress
            if done >= 1 and self._dry is None:
                break
            batches, problem = self._load(loader, stop)
            if not self._may_step(stop, problem):
                self.stopped = True
                break
            self._means = {}
            for guard in self._guards:
                guard.steps = self.step  # it counts on from there, and names the steps of the whole run
            for number, batch in enumerate(batches, start=1):
                self.ends_step = number == len(batches)
                yield batch
            self._end(monotonic() - before)
            before = monotonic()
            if (self.step - 1) % LOG_EVERY == 0 or self._dry is not None:
                self.logger.losses(self.step, done, {name: value.item() for name, value in self._means.items()})
            if self.step % self.settings.report_every == 0 and self._dry is None:
                self._save()
                before = monotonic()
        if not self.stopped:
            self.logger.bar.reach(1.0)
        self.logger.bar.close()

    def _load(self, loader: Iterator[Any], stop: StopRequest) -> tuple[list[Any], Exception | None]:
        """All batches of a step, or what went wrong in loading them; none where a signal ends the run meanwhile."""
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
        self.logger.bar.count(images * self.accelerator.num_processes)
        return batches, None

    def _may_step(self, stop: StopRequest, problem: Exception | None) -> bool:
        """Whether to take the step. What one process meets all act upon together, or some would wait for ever.

        Raises:
            Exception: the problem, after a checkpoint.
        """
        stopped, failed, broken = self._any(stop.is_set(), problem is not None, self._loader.found_broken)
        if stopped:  # which may be why loading failed
            return False
        if broken:
            try:
                self._loader.report_broken()
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
        answers = torch.tensor(mine, dtype=torch.float32, device=self.device)
        return [total > 0 for total in self.accelerator.reduce(answers, "sum").tolist()]

    def _forget_nonfinite(self) -> None:
        """Drop images of steps that were left out; what a CUDA device counts is read now."""
        for guard in self._guards:
            guard.read()
        skipped = sum(guard.skipped for guard in self._guards)
        if skipped > self._skipped:
            self._skipped = skipped
            for state in self.states.values():
                if isinstance(state, ImagePool | ImagePools):
                    state.forget_nonfinite()

    def _end(self, seconds: float) -> None:
        """A step is done."""
        if sum(guard.skipped for guard in self._guards) > self._skipped:  # on a CUDA device, up to ten steps ago
            self._forget_nonfinite()
        if self._dry is not None:
            self._dry.add(self.step, seconds)
        self.step, self.seconds, self._since = self.step + 1, self.seconds + seconds, self._since + seconds

    def _save(self, last: bool = False) -> None:
        self._forget_nonfinite()
        if not self.is_main or self._saved == self.step:
            return
        try:
            settings = as_plain(self.settings)
            save_checkpoint(self._checkpoint, self.step, self.seconds, self.states, self.samples_per_step, settings)
        except OSError as error:
            kept = "the one before it is kept" if self._checkpoint.exists() else "there is none before it"
            message = f"the checkpoint of step {self.step} could not be written: {error}; {kept}"
            if last:
                raise ValueError(message) from error
            warnings.warn(f"{message}; training goes on", stacklevel=2)
            return
        self._saved = self.step
        self._report()

    def _report(self) -> None:
        waiting = self._waited / max(self._since, 1e-9)
        self.logger.warn(self.logger.health.waiting(waiting if self._since > 60 else 0.0))
        figures: dict[str, float] = {"done": self.progress, "steps": self.step, "seconds": self.seconds}
        skipped, broken = sum(guard.skipped for guard in self._guards), len(self.data.broken.found)
        figures |= {"waiting_for_data": waiting, "skipped_steps": skipped, "broken_files": broken}
        plan = self._plan
        epoch = plan.epoch(self.step) if plan else self.step * self.samples_per_step // self.data.epoch
        spans = plan.partial_spans(self.step) if plan else []
        self.logger.report(Position(self.step, epoch), self._checkpoint, figures, spans)
