"""The report of a run: grids, loss curves, metrics.json and one report.html that shows it all."""

from __future__ import annotations

import io
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

import asymkit
from support.data.tree import as_image
from support.report.meanings import letters, meaning
from support.report.template import encoded, filled_in, source
from support.run.atomic_write import write_atomic, write_json

FRAMES = 12
"""Earlier states of every grid on a page, at most."""

WIDEST = 2048
"""Pixels of a grid's width on a page, which shows half as many; the files of grids have all of them."""

KEPT = 48
"""Earlier states of every grid whose files are kept, at most: the first, the last, and some spread over the steps."""


@dataclass(frozen=True)
class Snapshot:
    """What a report shows of a model."""

    pictures: Mapping[str, Tensor]
    """Grids (3, H, W) in [0, 1], by caption."""
    figures: Mapping[str, float]
    """Figures by name."""
    slides: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    """Grids of one size to slide through, by caption."""


@dataclass(frozen=True)
class Page:
    """The report of a run."""

    title: str
    notes: list[str]
    """What a reader must know to understand the pictures."""
    snapshot: Callable[[Any], Snapshot]
    """Pictures and figures of the model, or of its moving average."""


@dataclass(frozen=True)
class Position:
    """Where in the training a report is written."""

    step: int
    epoch: int

    def __str__(self) -> str:
        return f"step {self.step:,}, epoch {self.epoch:,}"


def write_report(
    folder: Path,
    title: str,
    snapshot: Snapshot,
    position: Position,
    metrics: Mapping[str, object],
    settings: Mapping[str, object],
    notes: Sequence[str],
    warnings: Sequence[str] = (),
    partial: Sequence[tuple[int, int]] = (),
    curves: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the pictures, metrics.json and report.html of a run.

    The page shows each grid as it is now and, by a slider, as it was in earlier reports of the run.

    Args:
        folder: the run's folder.
        title: of the page.
        snapshot: what the model does now.
        position: step and epoch.
        metrics: figures by name, those of ``snapshot`` not among them.
        settings: what the run was started with.
        notes: what a reader must know to understand the pictures.
        warnings: what went wrong.
        partial: first and last steps of partial phases, shaded on the loss curves.
        curves: steps and values by the name of the loss, (N, 2), float64.

    Returns:
        The path of report.html.
    """
    pictures = []  # caption, width, labels and sources of frames, place of the frame that is shown first
    for number, (caption, picture) in enumerate(snapshot.pictures.items(), 1):
        write_atomic(folder / f"pictures-{number}.png", _encoded(picture, "PNG"))
        shown = _for_page(picture)
        frames = [*_earlier(folder, number, position), (str(position), source(_encoded(shown, "PNG"), "PNG"))]
        _keep(folder, number, position, shown)
        pictures.append((caption, picture.shape[2], frames, len(frames) - 1))
    for caption, grids in snapshot.slides.items():
        last = max(1, len(grids) - 1)
        frames = [
            (f"{i / last:.0%}", source(_encoded(_for_page(grid), "WEBP"), "WEBP")) for i, grid in enumerate(grids)
        ]
        pictures.append((caption, grids[0].shape[2], frames, 0))
    metrics = dict(snapshot.figures) | dict(metrics)
    write_json(folder / "metrics.json", metrics)
    plot = _loss_curves(curves or {}, partial)
    write_atomic(folder / "losses.png", plot)
    page = filled_in(
        "report.html",
        title=title,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions=_versions(),
        warnings=warnings,
        notes=notes,
        letters=letters([*snapshot.pictures, *snapshot.slides]),
        pictures=pictures,
        widest=WIDEST,
        partial=partial,
        curves=source(plot, "PNG"),
        metrics=metrics,
        meaning=meaning,
        settings=settings,
    )
    report = folder / "report.html"
    write_atomic(report, page)
    return report


def _for_page(grid: Tensor) -> Tensor:
    """A grid that is too wide for a page, such as one of large images, made smaller."""
    height, width = grid.shape[1:]
    size = max(1, round(height * WIDEST / width)), WIDEST
    return F.interpolate(grid[None], size, mode="bilinear", antialias=True)[0] if width > WIDEST else grid


def _encoded(grid: Tensor, form: str) -> bytes:
    return encoded(as_image(255 * grid[None]), form)


def _keep(folder: Path, number: int, position: Position, grid: Tensor) -> None:
    """A smaller file of a grid for later reports; of too many, those that leave the smallest gaps go."""
    (folder / "earlier").mkdir(exist_ok=True)
    write_atomic(folder / "earlier" / f"{position.step:09d}-{position.epoch}-{number}.webp", _encoded(grid, "WEBP"))
    kept = _states(folder, number)
    while len(kept) > KEPT:
        gaps = [after[0].step - before[0].step for before, after in zip(kept, kept[2:], strict=False)]
        kept.pop(1 + gaps.index(min(gaps)))[1].unlink()


def _states(folder: Path, number: int) -> list[tuple[Position, Path]]:
    """The files of a grid in earlier reports, in the order of their steps."""
    found = [
        (Position(int(match[1]), int(match[2])), path)
        for path in (folder / "earlier").glob(f"*-{number}.webp")
        if (match := re.fullmatch(r"(\d+)-(\d+)-\d+", path.stem))
    ]
    return sorted(found, key=lambda state: (state[0].step, state[1]))


def _earlier(folder: Path, number: int, position: Position) -> list[tuple[str, str]]:
    """The same grid in earlier reports; of many, some spread over the run. Those a resumed run does again are dropped."""
    found = []
    for then, path in _states(folder, number):
        if then.step < position.step:
            found.append((str(then), path))
        else:
            path.unlink()
    places = torch.linspace(0, len(found) - 1, min(len(found), FRAMES)).round().int().unique().tolist()
    return [(label, source(path.read_bytes(), "WEBP")) for label, path in (found[place] for place in places)]


def _versions() -> str:
    count = torch.get_num_threads()
    cpu = f"CPU, {count} thread{'s' if count > 1 else ''}"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    return f"asymkit {asymkit.__version__}, torch {torch.__version__}, Python {platform.python_version()}, {device}"


def _loss_curves(curves: Mapping[str, Tensor], partial: Sequence[tuple[int, int]]) -> bytes:
    """A small plot for every loss: each step pale, a running mean on top, partial phases shaded."""
    shown = curves or {"no losses yet": torch.empty(0, 2)}
    lines = -(-len(shown) // 4)
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 2.1 * lines), layout="constrained")
        for place, (name, points) in enumerate(shown.items(), 1):
            axes = figure.add_subplot(lines, 4, place, title=name)
            for first, last in partial:
                axes.axvspan(first, last, color="#fde9c9", linewidth=0)
            steps, values = points.T
            window = max(1, len(values) // 40)
            axes.plot(steps, values, color="#bcd", linewidth=0.6)
            if len(values):
                axes.plot(steps[window - 1 :], values.unfold(0, window, 1).mean(1), color="#036", linewidth=1.4)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
    return buffer.getvalue()
