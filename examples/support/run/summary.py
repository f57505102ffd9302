"""What a run says of itself before it begins, and when it has ended."""

from __future__ import annotations

from pathlib import Path

import torch

from support.run.accelerator import SMALL
from support.run.settings import RunSettings


def summary(settings: RunSettings, steps: int, epoch: int | None, processes: int, device: torch.device) -> list[str]:
    """Epochs, steps, samples and threads, as lines.

    Args:
        settings: of the run.
        steps: of the whole run.
        epoch: samples to an epoch, if all epochs are alike.
        processes: that train.
        device: of this one.
    """
    samples = settings.batch * settings.accumulate * processes
    each = f"{processes} process{'es' if processes > 1 else ''} × --batch {settings.batch}"
    each += f" × --accumulate {settings.accumulate}" if settings.accumulate > 1 else ""
    of_samples = "" if epoch is None else f", each of {epoch} samples"
    limit = f"; or --minutes {settings.minutes:g}" if settings.minutes else ""
    lines = [f"epochs: {settings.epochs}{of_samples}; steps: {steps}, each of {samples} samples ({each}){limit}"]
    if device.type == "cpu":
        small = "" if settings.threads or settings.work > SMALL else "; so small steps gain little from more"
        lines.append(f"threads: {torch.get_num_threads()}{small} (--threads)")
    return lines


def ended(step: int, seconds: float, stopped: bool, longer: bool, folder: Path) -> str:
    """What was done, and how to go on.

    Args:
        step: steps taken.
        seconds: of training.
        stopped: by a signal.
        longer: whether the run can be made longer, which one that follows a plan cannot.
        folder: of the run.
    """
    whole = "done, --resume with more --minutes or --epochs goes on" if longer else "done"
    how = "stopped, --resume goes on" if stopped else whole
    return f"{how}: {step} steps in {seconds:.0f} s of training; open {folder / 'report.html'}"
