"""The log of a run in one of Accelerate's experiment trackers: TensorBoard, wandb, MLflow and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from torch import Tensor

from support.run.atomic_write import write_json
from support.run.settings import RunSettings
from support.run.settings_file import as_plain

PROJECT = "asymkit"
"""Project (wandb) or experiment (MLflow) that runs are logged to."""

WITH_IMAGES = frozenset({"tensorboard", "wandb"})
"""Trackers that take a batch of images as a tensor; the pictures of the others are in the report."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that cannot be used.

    Args:
        name: Accelerate's name of it, or "none".

    Raises:
        ValueError: Accelerate does not know it, or its package is not installed.
    """
    if name == "none":
        return
    if name not in LOGGER_TYPE_TO_CLASS:
        raise ValueError(f"tracker: expected one of {', '.join(sorted(LOGGER_TYPE_TO_CLASS))} or none, got {name!r}")
    if name not in map(str, get_available_trackers()):
        raise ValueError(f"tracker: {name} is not installed; pip install {name}, or go without by --tracker none")


class RunTracker:
    """Logs to the tracker of the settings, on the main process only; a resumed run goes on in the log that it has.

    Whatever a tracker raises is for the caller to catch, who then gives it up with :meth:`drop`.

    Args:
        settings: of the run.
        accelerator: of the run, made with that tracker.
        step: done before.

    Raises:
        ValueError: the tracker cannot be started.
    """

    def __init__(self, settings: RunSettings, accelerator: Accelerator, step: int) -> None:
        self.name, self._accelerator = settings.tracker, accelerator
        self._last: Mapping[str, int] = {}
        if self.name == "none" or not accelerator.is_main_process:
            return
        file = settings.folder / "tracker.json"
        try:
            before = json.loads(file.read_text(encoding="utf-8")) if settings.resume and file.exists() else {}
            log = before.get("log") if before.get("tracker") == self.name else None  # that a resumed run goes on with
            config = None if log or self.name == "tensorboard" else _flat(as_plain(settings))
            project = self.name if self.name == "tensorboard" else PROJECT  # TensorBoard takes the name of a folder
            accelerator.init_trackers(project, config, {self.name: self._options(settings, step, log)})
            self._remember(file, log)
        except Exception as error:
            remove = f", or remove {str(file)!r} to begin a new log" if file.exists() else ""
            raise ValueError(
                f"tracker: {self.name} could not be started: {error}; mend this, go without by --tracker none{remove}"
            ) from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers by name."""
        new = {name: value for name, value in values.items() if step > self._last.get(name, -1)}
        if new:
            self._accelerator.log(new, step)

    def log_images(self, images: Mapping[str, Tensor], step: int) -> None:
        """Log batches of images by name, (N, 3, H, W) in [0, 1]."""
        if self.name in WITH_IMAGES:
            for tracker in self._accelerator.trackers:
                tracker.log_images(dict(images), step)

    def finish(self) -> None:
        """Bring everything to where it is kept.

        Not ``Accelerator.end_training``, which also ends the process group, so that no second run could follow.
        """
        for tracker in self._accelerator.trackers:
            tracker.finish()

    def drop(self) -> None:
        """Log nothing more."""
        self._accelerator.trackers.clear()

    def _options(self, settings: RunSettings, step: int, log: str | None) -> dict[str, Any]:
        """What the tracker is started with; ``log`` is the one to go on with."""
        name = settings.folder.resolve().relative_to(settings.out.resolve().parent).as_posix()
        options: dict[str, dict[str, Any]] = {
            # what an interrupted run wrote of later steps is dropped
            "tensorboard": {"purge_step": step + 1},
            # which leaves out steps that its log has already
            "wandb": {"name": name, "dir": str(settings.folder), "id": log, "resume": "allow"},
            "mlflow": {"run_name": name, "run_id": log},
        }
        return options.get(self.name, {})

    def _remember(self, file: Path, log: str | None) -> None:
        """Note the log of the run, so that a resumed one finds it, and what it has already."""
        for tracker in self._accelerator.trackers:
            if self.name == "mlflow":
                if log is not None:
                    self._last = _last_steps(log)
                log = tracker.tracker.info.run_id
            elif self.name == "wandb":
                log = tracker.tracker.id
            if log is not None:
                write_json(file, {"tracker": self.name, "log": log})


def _last_steps(run: str) -> dict[str, int]:
    """The last step of every metric of an MLflow run, which would keep two values of one step side by side."""
    from mlflow import MlflowClient

    client = MlflowClient()
    names = client.get_run(run).data.metrics
    return {name: max(metric.step for metric in client.get_metric_history(run, name)) for name in names}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of settings by dotted names, and what is no number as text."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, bool | int | float) else str(value)
    return flat
