"""The asynchronous examples, run as a person would, but small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.data.images import bundled_photos

ROOT = Path(__file__).parent.parent
SHORT = ["--epochs", "8", "--period", "4", "--size", "32", "--picture-size", "32", "--width", "4", "--blocks", "1"]


def run(example: str, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / f"{example}.py"), "demo", "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Twelve rich images and eight poor ones: in twos, joint epochs have four steps and partial ones six."""
    for side, count in (("trainA", 12), ("trainB", 8)):
        (tmp_path / "sets" / side).mkdir(parents=True)
        for i, photo in enumerate(bundled_photos() * 2):
            if i < count:
                grey = photo.convert("L" if side == "trainB" else "RGB")
                grey.resize((48, 40)).save(tmp_path / "sets" / side / f"{i}.png")
    return tmp_path / "sets"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "options"),
    [
        ("asyncgan", []),
        ("asyncgan", ["--base", "highres", "--aux-channels", "5"]),
        ("asyncgan", ["--base", "asymgan", "--rule", "algorithm1", "--period", "3", "--epochs", "6"]),
        ("asyncgan_munit", []),
    ],
)
def test_a_run_shows_its_phases(tmp_path: Path, sets: Path, example: str, options: list[str]) -> None:
    out = tmp_path / "run"
    result = run(example, out, "--data", str(sets), *SHORT, "--report-every", "9", *options)
    assert result.returncode == 0, result.stderr
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Intermediate domains, poor → rich" in report
    assert "Shaded: partial phases" in report
    assert "partial of" in report  # the plan
    parts = torch.load(out / "checkpoint.pt", weights_only=True)["parts"]
    assert {"pseudo", "adversarial_rich", "adversarial_poor", "discriminator_adversarial_rich"} <= parts[
        "losses"
    ].keys()
    moments = parts["intermediate"]["made"]
    wide = 0
    for path in out.glob("pictures-*.png"):
        with Image.open(path) as grid:
            wide += grid.width == (len(moments) + 1) * 34 + 2  # a column for every moment
    assert wide >= 2
    assert any("(partial)" in name for name in moments)


@pytest.mark.slow
def test_digits_are_scored_for_both_variants(tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ["--samples", "20", "--batch", "10", "--epochs", "4", "--width", "4", "--blocks", "1", "--seeds", "2"]
    result = run("asyncgan_digits", out, *small)
    assert result.returncode == 0, result.stderr
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert min(results["real"].values()) > 0.5
    for variant in ("cyclegan", "async"):
        for direction in ("photos to plain", "plain to photos"):
            shares = results["translated"][variant][direction]
            assert len(shares) == 2
            assert all(0 <= share <= 1 for share in shares)
        assert (out / f"{variant}-1" / "report.html").exists()
    assert "Shaded" in (out / "async-0" / "report.html").read_text(encoding="utf-8")
    assert "Shaded" not in (out / "cyclegan-0" / "report.html").read_text(encoding="utf-8")
    assert "Async-CycleGAN  photos to plain" in result.stdout
    result = run("asyncgan_digits", out, *small, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert json.loads((out / "results.json").read_text(encoding="utf-8")) == results
    assert "Async-CycleGAN  photos to plain" not in result.stdout
    result = run("asyncgan_digits", out / "async-0", "--resume")
    assert re.search(r"async-0' holds one of the trainings of a comparison; give '.*run'", result.stderr)
    assert json.loads((out / "settings.json").read_text(encoding="utf-8"))["seeds"] == 2
