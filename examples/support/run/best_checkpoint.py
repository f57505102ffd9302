"""The checkpoint in which a figure was best, kept beside the newest one."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from support.run.atomic_write import write_json, write_with_checksum
from support.run.settings import RunSettings


class BestCheckpoint:
    """Keeps best.pt, and best.json, which says what it is the best of.

    Args:
        settings: of the run, which name the figure, or none.
        figures: of a report as it would be now.

    Raises:
        ValueError: no report has that figure.
    """

    def __init__(self, settings: RunSettings, figures: Mapping[str, float]) -> None:
        self.name, self.lowest, self.folder = settings.best, settings.best_is == "lowest", settings.folder
        self.value: float | None = None
        if self.name is None:
            return
        if self.name not in figures:
            raise ValueError(f"best: the report has no figure {self.name!r}; it has {', '.join(figures)}")
        record = self.folder / "best.json"
        if settings.resume and record.exists():
            try:
                saved = json.loads(record.read_text(encoding="utf-8"))
                self.value = float(saved["value"]) if saved["figure"] == self.name else None
            except (OSError, ValueError, TypeError, KeyError) as error:
                warnings.warn(f"{str(record)!r} cannot be read, {error!r}: the next report is the best", stacklevel=3)

    def update(self, figures: Mapping[str, float], step: int, checkpoint: Path) -> None:
        """Keep the checkpoint of this step if its figure is better than all before.

        Raises:
            OSError: no room, no permission.
        """
        if self.name is None or not math.isfinite(value := figures[self.name]):
            return
        if self.value is not None and not (value < self.value if self.lowest else value > self.value):
            return
        best = self.folder / "best.pt"
        with checkpoint.open("rb") as source:
            write_with_checksum(best, lambda file: shutil.copyfileobj(source, file), keep_previous=False)
        self.value = value
        write_json(self.folder / "best.json", {"figure": self.name, "value": value, "step": step})
