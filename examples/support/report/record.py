"""What a run leaves behind and says meanwhile: losses, TensorBoard, the progress bar, reports, warnings, the best."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.report.health import Health
from support.report.logs import Board, LossLog, Progress
from support.report.page import Moment, Page, write_report
from support.run.best import Best
from support.run.config import as_plain
from support.run.output import lost_output
from support.run.settings import RunSettings

DISCRIMINATOR = "discriminator_"
"""What the names of the discriminators' losses begin with."""


SHOWN = 4
"""The generators' losses for which there is room beside the progress bar, adversarial ones last: they tell least."""


class Record:
    """Writes it all; on all processes but the main one, nothing.

    Args:
        settings: of the run.
        page: what its report shows.
        model: what the report looks at.
        step: done before.
        done: the part of the training that is.
        main: whether this is the main process.

    Raises:
        ValueError: the figure whose best is to be kept is in no report.
    """

    def __init__(self, settings: RunSettings, page: Page, model: Any, step: int, done: float, main: bool) -> None:
        self.settings, self.page, self.model, self.main, self.folder = settings, page, model, main, settings.folder
        self.best = Best(settings, page.look(model).figures if main and settings.best else {}) if main else None
        self.health, self.bar = Health(DISCRIMINATOR), Progress(main, done)
        self._log = LossLog(self.folder / "losses.csv", resume_at=step, writing=main)
        self._board = Board(self.folder / "tensorboard" if main and settings.tensorboard else None, step + 1)
        self._latest: dict[str, float] = {}

    def losses(self, step: int, done: float, losses: Mapping[str, float]) -> None:
        """The losses of a step; those that are not finite are left out, the guard has named them."""
        latest = {name: value for name, value in losses.items() if math.isfinite(value)}
        self._latest |= latest
        of_generators = [name for name in latest if not name.startswith(DISCRIMINATOR)]
        shown = sorted(of_generators, key=lambda name: name.startswith("adversarial"))[:SHOWN]
        self._latest["images_per_second"] = self.bar.show(done, self._latest, shown)
        self.warn(self.health.losses(step, latest))
        with self.spared(f"losses.csv of step {step}"):
            self._log.write(step, latest)
        with self.spared(f"TensorBoard's file at step {step}"):
            self._board.numbers(step, "losses", latest)
            self._board.numbers(step, "speed", {"images_per_second": self._latest["images_per_second"]})

    def report(
        self, moment: Moment, checkpoint: Path, figures: Mapping[str, float], partial: Sequence[tuple[int, int]]
    ) -> None:
        """Write the report of a moment whose checkpoint is written.

        Args:
            moment: when it is.
            checkpoint: its file.
            figures: about the run; the page adds those about the model.
            partial: first and last steps of partial phases.
        """
        step = moment.step
        with self.spared(f"the report of step {step}", Exception):
            look = self.page.look(self.model)
            self.warn(self.health.figures(step, look.figures))
            self.warn(self.health.output(lost_output()))
            with self.spared(f"best.pt of step {step}"):
                if self.best is not None:
                    self.best.see(look.figures, step, checkpoint)
            write_report(
                self.folder,
                self.page.title,
                look,
                moment,
                dict(figures) | self._latest,
                as_plain(self.settings),
                self.page.notes,
                list(self.health.warnings.values()),
                partial,
            )
            with self.spared(f"TensorBoard's file at step {step}"):
                self._board.numbers(step, "figures", look.figures)
                self._board.pictures(step, look.pictures)
        self.bar.pause()

    def end(self) -> None:
        """Bring everything to the disk."""
        with self.spared("TensorBoard's file"):
            self._board.close()

    def warn(self, found: Sequence[str]) -> None:
        """Say warnings once, not once per process."""
        if self.main:
            for warning in found:
                warnings.warn(warning, stacklevel=3)

    @staticmethod
    @contextmanager
    def spared(what: str, problem: type[Exception] = OSError) -> Iterator[None]:
        """Neither a full disk nor a picture that cannot be drawn must end a training."""
        try:
            yield
        except problem as error:
            why = str(error) if isinstance(error, OSError) else repr(error)
            warnings.warn(f"{what} could not be written: {why}; training goes on", stacklevel=3)
