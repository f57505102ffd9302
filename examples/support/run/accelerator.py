"""The accelerator of a run: device, precision, processes and threads."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import set_seed

from asymkit.arguments import at_least
from support.report.tracker import check_tracker
from support.run.checkpoint import saved_entry
from support.run.settings import MOST_SEED, RunSettings

SMALL = 2**18
"""Work, see :attr:`support.run.settings.RunSettings.work`, up to which a second thread gains little."""

THREADS = torch.get_num_threads()
"""PyTorch's own choice: one for each core, or what OMP_NUM_THREADS says."""


def create_accelerator(settings: RunSettings) -> Accelerator:
    """Choose device, precision, processes and threads, and seed everything.

    Precision "auto" takes bfloat16 on a GPU that has it. Seeds are different on every process, or all would sample the
    same z.

    Args:
        settings: of the run.

    Raises:
        ValueError: a tracker that is unknown or not installed; a time limit for several processes, whose clocks would
            disagree; a CUDA graph without a CUDA device or for several processes; a seed too large for the last process.
    """
    precision: str = settings.precision
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    # torchrun does not say that its processes are to train on CPUs, and without a word each would train alone
    cpu = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.accelerator.is_available()
    check_tracker(settings.tracker)
    tracker = None if settings.tracker == "none" else settings.tracker
    accelerator = Accelerator(
        cpu=cpu, mixed_precision=precision, kwargs_handlers=[ddp], log_with=tracker, project_dir=settings.folder
    )
    if settings.minutes is not None and accelerator.num_processes > 1:
        raise ValueError("minutes: a time limit works with one process; give epochs instead")
    if settings.graph and (accelerator.device.type != "cuda" or accelerator.num_processes > 1):
        raise ValueError(
            f"graph: needs a CUDA device and one process, got {accelerator.device.type} and {accelerator.num_processes}; "
            "leave out --graph"
        )
    at_least("seed", settings.seed, least=0, most=MOST_SEED - (accelerator.num_processes - 1))
    if accelerator.device.type == "cpu":
        torch.set_num_threads(threads_for(settings))
    set_seed(settings.seed, device_specific=True)
    return accelerator


def threads_for(settings: RunSettings) -> int:
    """How many threads a process that trains on the CPU takes.

    A resumed run takes as many as before, since the last bits of sums depend on them, unless there are not so many cores.
    """
    if settings.threads is not None:
        return settings.threads
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1  # launchers share the cores between the processes
    if settings.resume and alone:
        before: int | None = saved_entry(settings.folder / "checkpoint.pt", "threads")
        if before is not None and before <= (os.cpu_count() or 1):
            return before
    return 1 if settings.work <= SMALL else THREADS
