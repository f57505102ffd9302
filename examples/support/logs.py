"""What a run says while it goes on: a bar with losses, speed and time to go, losses.csv, and TensorBoard's files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from torch import Tensor
from tqdm import tqdm


class Progress:
    """A bar with losses, images per second and time to go, fed with the part of the training that is done.

    Args:
        visible: False on all processes but the main one.
        done: the part that was done before.
    """

    def __init__(self, visible: bool, done: float = 0.0) -> None:
        style = "{percentage:3.0f}%|{bar:12}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(total=1.0, initial=done, bar_format=style, disable=not visible, dynamic_ncols=True)
        self._images, self._since = 0, monotonic()

    def count(self, images: int) -> None:
        """So many more images have been trained on."""
        self._images += images

    def show(self, done: float, losses: Mapping[str, float], names: tuple[str, ...]) -> float:
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
        if not writing:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read_losses(path) if row["step"] <= resume_at] if resume_at else []
        self._rewrite([{**row, "step": int(row["step"])} for row in kept])

    def write(self, step: int, losses: Mapping[str, float]) -> None:
        """Add one step; losses that no step had before become columns."""
        if not self._writing:
            return
        row = {"step": step, **losses}
        if not row.keys() <= set(self._columns):
            self._rewrite([*read_losses(self._path), row])
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self, rows: Sequence[Mapping[str, float]]) -> None:
        self._columns = list(dict.fromkeys(["step", *(name for row in rows for name in row)]))
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


def read_losses(path: Path) -> list[dict[str, float]]:
    """The lines of losses.csv, losses that a step did not have left out; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


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
        """Curves, one to a name."""
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{group}/{name}", value, step)

    def pictures(self, step: int, pictures: Mapping[str, Tensor]) -> None:
        """Grids (3, H, W) in [0, 1], by caption."""
        if self._writer is not None:
            for caption, picture in pictures.items():
                self._writer.add_image(caption.split(":")[0], picture.clamp(0, 1), step)
            self._writer.flush()

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._writer is not None:
            self._writer.close()
