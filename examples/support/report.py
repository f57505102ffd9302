"""A run as a folder a person can open: grids, loss curves, metrics.json and one report.html that shows it all."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import asymkit

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
h2 {{ margin-top: 2.5rem; }} img {{ max-width: 100%; }} figure {{ margin: 1.5rem 0; }}
img.pixels {{ image-rendering: pixelated; min-width: 60%; }} figcaption {{ margin-bottom: .4rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }} .notes {{ background: #f6f3e8; padding: .5rem 1rem; }}
</style>
<h1>{title}</h1>
<p>{date} · {versions}</p>
<div class="notes">{notes}</div>
<h2>Pictures</h2>{pictures}
<h2>Losses</h2>{shaded}<figure>{curves}</figure>
<h2>Figures</h2><table>{metrics}</table>
<h2>Settings</h2><table>{settings}</table>
</html>
"""


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


def write_report(
    folder: Path,
    title: str,
    pictures: Mapping[str, Tensor],
    metrics: Mapping[str, object],
    settings: Mapping[str, object],
    notes: list[str],
    partial: Sequence[tuple[int, int]] = (),
) -> Path:
    """Write the pictures, settings.json, metrics.json and report.html of a run; losses.csv is there already.

    Args:
        folder: the run's folder.
        title: of the page.
        pictures: (3, H, W) in [0, 1], by caption.
        metrics: figures by name.
        settings: what the run was started with.
        notes: what a reader must know to judge the pictures.
        partial: first and last steps of partial phases, shaded on the loss curves.

    Returns:
        The path of report.html.
    """
    figures = []
    for number, (caption, picture) in enumerate(pictures.items(), 1):
        pixels = picture.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
        path = folder / f"pictures-{number}.png"
        Image.fromarray(pixels).save(path)
        figures.append(
            f"<figure><figcaption>{html.escape(caption)}</figcaption>{_img(path.read_bytes(), caption, 'pixels')}</figure>"
        )
    for name, values in (("settings", settings), ("metrics", metrics)):
        (folder / f"{name}.json").write_text(json.dumps(values, indent=2) + "\n")
    curves = _loss_curves(read_losses(folder / "losses.csv"), partial)
    (folder / "losses.png").write_bytes(curves)
    page = PAGE.format(
        title=html.escape(title),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions=f"asymkit {asymkit.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        notes="".join(f"<p>{html.escape(note)}</p>" for note in notes),
        pictures="".join(figures),
        shaded="<p>Shaded: partial phases, in which the easy direction is frozen.</p>" if partial else "",
        curves=_img(curves, "loss curves"),
        metrics=_table(metrics),
        settings=_table(settings),
    )
    report = folder / "report.html"
    report.write_text(page, encoding="utf-8")
    return report


def _loss_curves(rows: list[dict[str, float]], partial: Sequence[tuple[int, int]]) -> bytes:
    """A small plot for every loss: each step pale, a running mean on top, partial phases shaded."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "step")) or ["no losses yet"]
    lines = -(-len(names) // 4)
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 2.1 * lines), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(lines, 4, place, title=name)
            for first, last in partial:
                axes.axvspan(first, last, color="#fde9c9", linewidth=0)
            steps = torch.tensor([row["step"] for row in rows if name in row])
            values = torch.tensor([row[name] for row in rows if name in row])
            window = max(1, len(values) // 40)
            axes.plot(steps, values, color="#bcd", linewidth=0.6)
            if len(values):
                axes.plot(steps[window - 1 :], values.unfold(0, window, 1).mean(1), color="#036", linewidth=1.4)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _img(png: bytes, alt: str, style: str = "") -> str:
    data = base64.b64encode(png).decode()
    return f'<img class="{style}" alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def _table(values: Mapping[str, object]) -> str:
    rows = []
    for name, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))
        rows.append(f'<tr><td>{html.escape(name)}</td><td class="number">{shown}</td></tr>')
    return "".join(rows)
