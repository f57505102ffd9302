"""A run as a folder a person can open: grids, loss curves, metrics.json and one report.html that shows it all."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import platform
from collections.abc import Mapping
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
<h2>Losses</h2><figure>{curves}</figure>
<h2>Figures</h2><table>{metrics}</table>
<h2>Settings</h2><table>{settings}</table>
</html>
"""


class LossLog:
    """losses.csv: a line for a step; what a resumed run does again is dropped.

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
        path.write_text("")
        for row in kept:
            self.write(int(row.pop("step")), row)

    def write(self, step: int, losses: Mapping[str, float]) -> None:
        """Add one step."""
        if not self._writing:
            return
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["step", *losses])
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({"step": step, **losses})


def read_losses(path: Path) -> list[dict[str, float]]:
    """The lines of losses.csv; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def write_report(
    folder: Path,
    title: str,
    pictures: Mapping[str, Tensor],
    metrics: Mapping[str, object],
    settings: Mapping[str, object],
    notes: list[str],
) -> Path:
    """Write the pictures, settings.json, metrics.json and report.html of a run; losses.csv is there already.

    Args:
        folder: the run's folder.
        title: of the page.
        pictures: (3, H, W) in [0, 1], by caption.
        metrics: figures by name.
        settings: what the run was started with.
        notes: what a reader must know to judge the pictures.

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
    curves = _loss_curves(read_losses(folder / "losses.csv"))
    (folder / "losses.png").write_bytes(curves)
    page = PAGE.format(
        title=html.escape(title),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        versions=f"asymkit {asymkit.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        notes="".join(f"<p>{html.escape(note)}</p>" for note in notes),
        pictures="".join(figures),
        curves=_img(curves, "loss curves"),
        metrics=_table(metrics),
        settings=_table(settings),
    )
    report = folder / "report.html"
    report.write_text(page, encoding="utf-8")
    return report


def _loss_curves(rows: list[dict[str, float]]) -> bytes:
    """A small plot for every loss: each step pale, a running mean on top."""
    if not rows:
        rows = [{"step": 0.0, "no losses yet": 0.0}]
    names = [name for name in rows[0] if name != "step"]
    lines = -(-len(names) // 4)
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 2.1 * lines), layout="constrained")
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(lines, 4, place, title=name)
            steps = torch.tensor([row["step"] for row in rows])
            values = torch.tensor([row[name] for row in rows])
            window = max(1, len(values) // 40)
            axes.plot(steps, values, color="#bcd", linewidth=0.6)
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
