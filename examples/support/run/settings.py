"""What the command line can tell a run; each example adds the settings of its method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal

from asymkit.arguments import at_least

Precision = Literal["auto", "no", "bf16"]

Size = int | tuple[int, int]
"""Of images in pixels: the side of a square, or height and width."""

MOST_SEED = 2**32 - 1
"""The largest seed of NumPy's random state, from which libraries draw; every process adds its number to the run's."""


def sides(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def size_text(size: Size) -> str:
    """A size as people write it, such as "128" or "512 × 1024", height first."""
    return str(size) if isinstance(size, int) else " × ".join(map(str, size))


def to_add(missing: Mapping[str, str]) -> str:
    """The options to add for settings that are missing, from what each of them is called in help."""
    return " and ".join(f"--{name.replace('_', '-')} {what}" for name, what in missing.items())


@dataclass(frozen=True)
class RunSettings:
    """Settings that all examples have."""

    FIXED: ClassVar[frozenset[str]] = frozenset()
    """Settings that a resumed run must not change, beside those that none may."""
    NEEDS: ClassVar[Mapping[str, str]] = {"data": "FOLDER"}
    """Files and folders that training on images of one's own needs all of, and what each is called in help."""

    out: Path = Path("runs/run")
    """Folder of the run."""
    resume: bool = False
    """Go on from the checkpoint in that folder."""
    seed: int = 0
    """Seed of the first weights, the order of the data, crops and z."""
    epochs: int = 200
    """How often training goes through the data, or through 400 crops where there are fewer photos than that."""
    minutes: float | None = None
    """Stop after this much training, if that is before the last epoch; the learning rate then follows the clock. None:
    train by epochs."""
    size: Size = 128
    """Of the crops in training, in pixels: one number for squares, or height and width, such as 512 1024."""
    width: int = 64
    """Channels of the generators' first layer; deeper layers have a multiple of them."""
    batch: int = 1
    """Batch size of each process."""
    accumulate: int = 1
    """Batches whose gradients are averaged before a step is taken: a larger batch in the memory of a small one."""
    precision: Precision = "auto"
    """no: float32; bf16: bfloat16 autocast; auto: bf16 on a GPU that has it, else no."""
    ema: float = 0.0
    """Decay of an exponential moving average of the generators, e.g. 0.999, which the report then shows; 0: none."""
    graph: bool = False
    """Replay the whole step as one CUDA graph: many times fewer launches, which small batches wait for. One process with a
    CUDA device, without --accumulate."""
    workers: int = 2
    """Processes that load images, for each process that trains."""
    threads: int | None = None
    """Threads of a process that trains on the CPU. None: those the run had before, if it is resumed; one where steps are
    small, which gain little from a second one and lose most of their speed on a busy machine; else PyTorch's number."""
    report_every: int = 1000
    """Steps between checkpoints and reports."""
    best: str | None = None
    """Name of a figure of the report, such as rich_cycle_l1; the checkpoint in which it is best is kept as best.pt."""
    best_is: Literal["lowest", "highest"] = "lowest"
    """Which value of that figure is the best."""
    max_skipped: int = 20
    """Steps in a row that may be skipped because a loss or a gradient is not finite, before the run stops."""
    tracker: str = "tensorboard"
    """Where losses, figures and pictures are logged beside the report: tensorboard (in the folder tensorboard of the run),
    wandb, mlflow, trackio, aim, comet_ml, clearml, dvclive or swanlab, whose package must be installed; none: nowhere."""
    dry_run: bool = False
    """Take a few steps of everything, with a checkpoint and a report in the folder dry-run of the run, and say what
    memory and time the whole run needs."""

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.out / "dry-run" if self.dry_run else self.out

    @property
    def work(self) -> int:
        """Values in the generators' first layer for a batch: how much there is to share between threads."""
        return self.batch * self.width * math.prod(sides(self.size))

    def __post_init__(self) -> None:
        self.check_integers("epochs", "batch", "width", "report_every", "accumulate", "max_skipped", "threads")
        if self.graph and self.accumulate > 1:
            raise ValueError(f"graph: a CUDA graph holds a step of one batch, got accumulate={self.accumulate}")
        if self.dry_run and self.resume:
            raise ValueError("dry_run: takes its steps from the beginning; leave out --resume")
        at_least("workers", self.workers, least=0)
        at_least("seed", self.seed, least=0, most=MOST_SEED)
        self.check_side("size", least=16)
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be a decay of at least 0 and below 1, e.g. 0.999, got {self.ema}")
        for name in ("minutes", *(field.name for field in fields(self) if field.name.startswith("lr_"))):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")

    def check_integers(self, *names: str) -> None:
        """Refuse settings that are not at least 1, or None."""
        for name in names:
            if getattr(self, name) is not None:
                at_least(name, getattr(self, name))

    def check_plan(self, *names: str) -> None:
        """Refuse a clock where the epochs are of several kinds, and what counts them if it is not at least 1."""
        self.check_integers(*names)
        if self.minutes is not None:
            raise ValueError("minutes: the plan of joint and partial phases counts epochs; give --epochs instead")

    def check_side(self, name: str, least: int, multiple_of: int = 4) -> None:
        """Refuse a side of images that networks cannot take; None is any."""
        size: Size | None = getattr(self, name)
        if size is not None and any(side < least or side % multiple_of for side in sides(size)):
            raise ValueError(f"{name} must be divisible by {multiple_of} and at least {least}, got {size_text(size)}")
