"""What a run says while it goes on: a bar with losses, speed and time to go, losses.csv, and TensorBoard's files."""

from __future__ import annotations

import csv
import io
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TypeVar

from torch import Tensor
from tqdm import tqdm

from support.run.durable import write_durably

Item = TypeVar("Item")


def seconds_between_states() -> float:
    """Of a progress bar: more where it goes to a file, in which every state stays as a line."""
    return 0.1 if sys.stderr.isatty() else 30.0


def with_bar(steps: Iterable[Item], name: str, visible: bool) -> Iterable[Item]:
    """The same, with a bar that goes away at the end."""
    return tqdm(steps, desc=name, disable=not visible, leave=False, mininterval=seconds_between_states())


class Progress:
    """A bar with losses, images per second and time to go, fed with the part of the training that is done.

    Args:
        visible: False on all processes but the main one.
        done: the part that was done before.
    """

    def __init__(self, visible: bool, done: float = 0.0) -> None:
        style = "{percentage:3.0f}%|{bar:12}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            total=1.0,
            initial=done,
            bar_format=style,
            disable=not visible,
            dynamic_ncols=True,
            mininterval=seconds_between_states(),
        )
        self._images, self._since = 0, monotonic()

    def count(self, images: int) -> None:
        """So many more images have been trained on."""
        self._images += images

    def show(self, done: float, losses: Mapping[str, float], names: Sequence[str]) -> float:
        """Update the bar; ``names`` are the losses worth the room. Gives images per second since it was shown last."""
        now = monotonic()
        speed = self._images / max(now - self._since, 1e-9)
        self._images, self._since = 0, now
        shown = {name: f"{losses[name]:.2f}" for name in names if name in losses}
        self._bar.set_postfix_str(
            ", ".join([f"{speed:.3g} images/s", *(f"{k}={v}" for k, v in shown.items())]), refresh=False
        )
        self.reach(done)
        return speed

    def pause(self) -> None:
        """Time until the next step is not counted against the speed."""
        self._images, self._since = 0, monotonic()

    def reach(self, done: float) -> None:
        """Move the bar alone."""
        self._bar.update(max(0.0, min(done, 1.0) - self._bar.n))

    def close(self) -> None:
        """Leave the bar on the screen."""
        self._bar.close()


class LossLog:
    """losses.csv: a line for a step, a cell for each loss it had; what a resumed run does again is dropped.

    Args:
        path: the file.
        resume_at: the step a resumed run goes on from.
        writing: False on all processes but the main one, whose losses are the ones written.
    """

    def __init__(self, path: Path, resume_at: int = 0, writing: bool = True) -> None:
        self._path, self._writing = path, writing
        self._columns: list[str] = []
        if not writing:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        found = read_losses(path)
        kept = [row for row in found if row["step"] <= resume_at] if resume_at else []
        if resume_at and not found and path.exists() and path.read_bytes().count(b"\n") > 1:
            aside = path.with_name(f"damaged-{path.name}")
            path.replace(aside)
            warnings.warn(f"{str(path)!r} cannot be read; it is now {aside.name}, and a new one is begun", stacklevel=4)
        self._rewrite([{**row, "step": int(row["step"])} for row in kept])

    def write(self, step: int, losses: Mapping[str, float]) -> None:
        """Add one step; losses that no step had before become columns."""
        if not self._writing:
            return
        row = {"step": step, **losses}
        if not row.keys() <= set(self._columns):
            self._rewrite([*read_losses(self._path), row])
            return
        try:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerow(row)
        except OSError:
            self._columns = []  # a part of the line may be there; the next one writes the file anew
            raise

    def _rewrite(self, rows: Sequence[Mapping[str, float]]) -> None:
        self._columns = list(dict.fromkeys(["step", *(name for row in rows for name in row)]))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        write_durably(self._path, text.getvalue().encode())


def read_losses(path: Path) -> list[dict[str, float]]:
    """The lines of losses.csv, losses that a step did not have left out; damaged lines are left out altogether."""
    if not path.exists():
        return []
    lines = path.read_text(errors="replace", encoding="utf-8").splitlines(keepends=True)
    names = lines[0].rstrip().split(",") if lines else []
    if "step" not in names:
        return []
    rows = []
    for line in lines[1:]:
        cells = line.rstrip().split(",")
        if not line.endswith("\n") or len(cells) != len(names):  # torn
            continue
        try:
            row = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell}
        except ValueError:
            continue
        if row.get("step", -1.0) >= 0 and all(map(math.isfinite, row.values())):
            rows.append(row)
    return rows


class Board:
    """Losses, figures and pictures for TensorBoard.

    Args:
        folder: of its files; None: nothing is written.
        step: the first one to come; what an interrupted run wrote of it and later ones is dropped.
    """

    def __init__(self, folder: Path | None, step: int) -> None:
        self._writer = None
        if folder is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step)

    def numbers(self, step: int, group: str, values: Mapping[str, object]) -> None:
        """Curves, one to a name.

        Raises:
            OSError: it could not be written; nothing more is, since the writer does not come back.
        """
        with self._dropped_on_failure():
            for name, value in values.items():
                if self._writer is not None and isinstance(value, int | float):
                    self._writer.add_scalar(f"{group}/{name}", value, step)

    def pictures(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Grids (3, H, W) in [0, 1], by caption.

        Raises:
            OSError: as above.
        """
        with self._dropped_on_failure():
            if self._writer is not None:
                for caption, picture in pictures.items():
                    self._writer.add_image(caption.split(":")[0], picture.clamp(0, 1), step)
                self._writer.flush()

    def close(self) -> None:
        """Bring everything to the disk.

        Raises:
            OSError: as above.
        """
        with self._dropped_on_failure():
            if self._writer is not None:
                self._writer.close()

    @contextmanager
    def _dropped_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._writer = None
            raise
