"""The reference loop, run as a person would, but small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
TINY = "--size 32 --width 4 --blocks 3 --batch 2 --features random --style-layers relu1_2 --content-layer relu1_2".split()
UNTIMED = ["--minutes", "None", "--report-every", "4"]


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "examples" / "asymgan.py", "demo", "--out", out, *TINY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


def folder_of_photos(folder: Path, count: int) -> Path:
    from support.images import bundled_photos

    folder.mkdir()
    for i, photo in enumerate(bundled_photos()[:count]):
        photo.resize((48, 40)).save(folder / f"{i}.png")
    return folder


@pytest.mark.slow
def test_a_timed_run_leaves_a_folder_that_shows_it(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "--minutes", "0.05")
    assert result.returncode == 0, result.stderr
    assert "report.html" in result.stdout
    assert "cycle_rich=" in result.stderr
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"report.html", "metrics.json", "settings.json", "losses.csv", "losses.png", "checkpoint.pt", "pictures-5.png"} <= names
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 2 < metrics["seconds"] < 30
    assert metrics["entropy_poor_bits"] < metrics["entropy_rich_bits"] < 8
    assert 0 < metrics["z_cycle_l1"] < 2
    report = (tmp_path / "run" / "report.html").read_text()
    assert "random weights" in report
    assert "derived from other crops" in report
    again = run(tmp_path / "run", "--minutes", "0.05")
    assert again.returncode != 0
    assert "holds a run already" in again.stderr


@pytest.mark.slow
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", 4)
    options = ["--data", str(photos), *UNTIMED]
    # an epoch of a small folder is 400 pairs, 200 steps: cut two copies of one run at different places
    code = (
        "import sys, asymgan, support.data as d; from dataclasses import replace; from pathlib import Path\n"
        "make = asymgan.unpaired\n"
        "def short(*a):\n    data, source = make(*a); data.epoch = 24; return data, source\n"
        "asymgan.unpaired = short\n"
    )
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    base = f"replace(asymgan.DEMO, data=Path({str(photos)!r}), minutes=None, epochs=1, size=32, width=4, blocks=3, batch=2, " \
        "features='random', style_layers=('relu1_2',), content_layer='relu1_2', report_every=4, pool=3, "
    stop = (
        "saves = []\nreal = asymgan.save_checkpoint\n"
        "def once(*a):\n    real(*a); saves.append(a[1])\n    if len(saves) == 2: raise KeyboardInterrupt\n"
    )
    scripts = [
        f"{code}asymgan.main({base}out=Path({str(whole)!r})))",
        f"{code}{stop}asymgan.save_checkpoint = once\nasymgan.main({base}out=Path({str(halves)!r})))",
        f"{code}asymgan.main({base}out=Path({str(halves)!r}), resume=True))",
    ]
    codes = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT / "examples")
        for script in scripts
    ]
    assert options
    assert codes[0].returncode == 0, codes[0].stderr
    assert "KeyboardInterrupt" in codes[1].stderr
    assert codes[2].returncode == 0, codes[2].stderr
    one, other = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, halves))
    assert one["step"] == other["step"] == 12
    flat = [torch.utils._pytree.tree_leaves(saved["parts"]) for saved in (one, other)]
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(*flat, strict=True))
    assert (whole / "losses.csv").read_text() == (halves / "losses.csv").read_text()


@pytest.mark.slow
def test_problems_are_one_clear_line(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "--data", str(tmp_path / "nowhere"))
    assert result.returncode != 0
    assert "no folder" in result.stderr.splitlines()[-1]
    result = run(tmp_path / "run", "--poor", "gray")
    assert result.returncode != 0
    assert "grey" in result.stdout + result.stderr


def test_the_loop_is_short_enough_to_read() -> None:
    assert len((ROOT / "examples" / "asymgan.py").read_text().splitlines()) < 150
