"""What a run says of itself before it begins."""

from __future__ import annotations

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
