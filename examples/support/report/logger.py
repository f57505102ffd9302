"""What a run writes and says meanwhile: its tracker, the progress bar, reports, warnings, the best checkpoint."""

from __future__ import annotations

import math
import warnings
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from support.report.health import Health
from support.report.page import Page, Position, write_report
from support.report.progress import Progress
from support.report.tracker import RunTracker
from support.run.best_checkpoint import BestCheckpoint
from support.run.settings import RunSettings
from support.run.settings_file import as_plain
from support.run.stdio import output_errors

DISCRIMINATOR = "discriminator_"
"""What the names of the discriminators' losses begin with."""

SHOWN = 4
"""The generators' losses for which there is room beside the progress bar, adversarial ones last: they tell least."""


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


class RunLogger:
    """Writes it all; on all processes but the main one, nothing.

    Args:
        settings: of the run.
        page: what its report shows.
        model: the one that the report shows.
        history: of the losses, with those of before if the run is resumed.
        accelerator: of the run, made with the tracker of the settings.
        step: done before.
        done: the part of the training that is.

    Raises:
        ValueError: the figure whose best is to be kept is in no report, or the tracker cannot be started.
    """

    def __init__(
        self,
        settings: RunSettings,
        page: Page,
        model: Any,
        history: LossHistory,
        accelerator: Accelerator,
        step: int,
        done: float,
    ) -> None:
        self.settings, self.page, self.model, self.history = settings, page, model, history
        self.main = accelerator.is_main_process
        if self.main:
            self.best = BestCheckpoint(settings, page.snapshot(model).figures if settings.best else {})
        self.health, self.bar = Health(DISCRIMINATOR), Progress(self.main, done)
        self.tracker = RunTracker(settings, accelerator, step)
        self._latest: dict[str, float] = {}

    def losses(self, step: int, done: float, losses: Mapping[str, float]) -> None:
        """The losses of a step; those that are not finite are left out, the guard has named them."""
        latest = {name: value for name, value in losses.items() if math.isfinite(value)}
        self.history.add(step, latest)
        of_generators = [name for name in latest if not name.startswith(DISCRIMINATOR)]
        shown = sorted(of_generators, key=lambda name: name.startswith("adversarial"))[:SHOWN]
        speed = {"images_per_second": self.bar.show(done, latest, shown)}
        self._latest |= latest | speed
        self.warn(self.health.losses(step, latest))
        self._track(step, lambda: self.tracker.log(_grouped("losses", latest) | _grouped("speed", speed), step))

    def report(
        self, position: Position, checkpoint: Path, figures: Mapping[str, float], partial: Sequence[tuple[int, int]]
    ) -> None:
        """Write a report, after the checkpoint.

        Args:
            position: where the training is.
            checkpoint: its file.
            figures: about the run; the page adds those about the model.
            partial: first and last steps of partial phases.
        """
        step, folder, page = position.step, self.settings.folder, self.page
        with _warn_of(f"the report of step {step}", Exception):
            snapshot = page.snapshot(self.model)
            self.warn(self.health.figures(step, snapshot.figures))
            self.warn(self.health.output(output_errors()))
            with _warn_of(f"best.pt of step {step}"):
                self.best.update(snapshot.figures, step, checkpoint)
            found, settings = list(self.health.warnings.values()), as_plain(self.settings)
            metrics, curves = dict(figures) | self._latest, self.history.state_dict()
            write_report(folder, page.title, snapshot, position, metrics, settings, page.notes, found, partial, curves)
            images = {caption.split(":")[0]: grid.clamp(0, 1)[None] for caption, grid in snapshot.pictures.items()}
            self._track(step, lambda: self.tracker.log(_grouped("figures", snapshot.figures), step))
            self._track(step, lambda: self.tracker.log_images(images, step))
        self.bar.pause()

    def end(self) -> None:
        """Bring everything to the disk."""
        self._track(None, self.tracker.finish)

    def warn(self, found: Sequence[str]) -> None:
        """Say warnings once, not once per process."""
        if self.main:
            for warning in found:
                warnings.warn(warning, stacklevel=3)

    def _track(self, step: int | None, write: Callable[[], None]) -> None:
        at = "" if step is None else f" at step {step}"
        with _warn_of(f"the log of {self.tracker.name}{at}", Exception):
            try:
                write()
            except Exception:
                self.tracker.drop()  # a writer whose thread has failed does not come back, a server is waited for each time
                raise


@contextmanager
def _warn_of(what: str, problem: type[Exception] = OSError) -> Iterator[None]:
    """Neither a full disk nor a picture that cannot be drawn must end a training."""
    try:
        yield
    except problem as error:
        why = str(error) if isinstance(error, OSError) else repr(error)
        warnings.warn(f"{what} could not be written: {why}; training goes on", stacklevel=3)


def _grouped(group: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}
