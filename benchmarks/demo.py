"""Train the AsymGAN demo for a while and look whether its losses stay finite and its cycles come closer.

PYTHONPATH=examples python benchmarks/demo.py --minutes 1
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure
import torch
import tyro
from report import Report
from support.run.run import LOG_EVERY

from asymkit.console import print_in_any_encoding

COLUMNS = ("loss", "first tenth", "last tenth", "steps")
FALLING = ("cycle_rich", "cycle_poor")
EXAMPLE = Path(__file__).parent.parent / "examples" / "asymgan.py"


@dataclass
class Options(measure.Options):
    """Train the demo."""

    minutes: float | None = 1.0
    """None: one epoch."""
    size: int = 128
    width: int = 64
    batch: int = 8


def main(options: Options) -> None:
    """Train, print and write the losses; fail where they are not finite, or the cycles not closer than at first."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = {
            "size": options.size,
            "picture-size": options.size,
            "width": options.width,
            "batch": options.batch,
            "minutes": options.minutes,
            "epochs": 100_000 if options.minutes else 1,
            "features": "random",  # nothing is downloaded
            "report-every": 1_000_000,
            "out": folder,
        }
        arguments = [text for name, value in chosen.items() for text in (f"--{name}", str(value))]
        subprocess.run([sys.executable, str(EXAMPLE), "demo", *arguments, "--tracker", "none"], check=True)
        saved = torch.load(Path(folder) / "checkpoint.pt", weights_only=True)
    losses, steps = saved["parts"]["losses"], saved["step"]
    if not steps:
        raise SystemExit("no step was taken")
    logged = -(-steps // LOG_EVERY)
    tenth, report = -(-logged // 10), Report("demo", options, COLUMNS)
    for name, points in losses.items():
        values = points[:, 1].tolist()
        first, last = statistics.mean(values[:tenth]), statistics.mean(values[-tenth:])
        report.rows.append(dict(zip(COLUMNS, (name, first, last, steps), strict=True)))
    report.write()
    if bad := [name for name, points in losses.items() if len(points) < logged] or (not losses and ["all losses"]):
        raise SystemExit(f"not finite at some step: {', '.join(bad)}")
    for row in report.rows:
        if row["loss"] in FALLING and row["last tenth"] >= row["first tenth"]:
            raise SystemExit(f"{row['loss']} did not fall: {row['first tenth']:.3g}, then {row['last tenth']:.3g}")


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
