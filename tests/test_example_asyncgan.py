"""The asynchronous examples, run as a person would, but small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.images import bundled_photos

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
    report = (out / "report.html").read_text()
    assert "Intermediate domains, poor → rich" in report
    assert "Shaded: partial phases" in report
    assert "partial of" in report  # the plan
    header = (out / "losses.csv").read_text().splitlines()[0].split(",")
    assert {"pseudo", "adversarial_rich", "adversarial_poor", "critic_adversarial_rich"} <= set(header)
    moments = torch.load(out / "checkpoint.pt", weights_only=True)["parts"]["intermediate"]
    wide = 0
    for path in out.glob("pictures-*.png"):
        with Image.open(path) as grid:
            wide += grid.width == (len(moments) + 1) * 34 + 2  # a column for every moment
    assert wide >= 2
    assert any("(partial)" in name for name in moments)


RESUMED = """
import sys
from dataclasses import replace
from pathlib import Path
import asyncgan
from support import loop
from support.settings_async import ASYNCGAN_DEMO

save, saves = loop.save_checkpoint, []

def interrupted(path, step, *rest):
    save(path, step, *rest)
    saves.append(step)
    if len(saves) == 2:
        raise KeyboardInterrupt

data, out, how = sys.argv[1:]
if how == "interrupt":
    loop.save_checkpoint = interrupted
asyncgan.main(replace(
    ASYNCGAN_DEMO, data=Path(data), out=Path(out), resume=how == "resume", epochs=8, period=4, size=32, picture_size=32,
    width=4, blocks=1, report_every=14,
))
"""


@pytest.mark.slow
def test_a_run_resumed_in_a_partial_phase_ends_like_an_uninterrupted_one(tmp_path: Path, sets: Path) -> None:
    results = [
        subprocess.run(
            [sys.executable, "-c", RESUMED, str(sets), str(tmp_path / name), how],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT / "examples",
        )
        for name, how in (("whole", "go"), ("halves", "interrupt"), ("halves", "resume"))
    ]
    assert [result.returncode for result in results] == [0, 1, 0] or results[1].returncode < 0, results[-1].stderr
    assert "KeyboardInterrupt" in results[1].stderr
    whole, halves = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "halves"))
    assert whole["step"] == halves["step"] == 6 * 4 + 2 * 6
    for name in ("model", "critics"):
        for key, value in whole["parts"][name].items():
            assert torch.equal(value, halves["parts"][name][key]), key
    assert list(whole["parts"]["intermediate"]) == list(halves["parts"]["intermediate"])
    other = run("asyncgan", tmp_path / "halves", "--data", str(sets), *SHORT, "--resume", "--epochs", "9")
    assert other.returncode == 1
    assert "--epochs 8" in other.stderr  # another plan


TWO_PROCESSES = """
import os, sys
from dataclasses import replace
from pathlib import Path
import torch
import asyncgan
from support.settings_async import ASYNCGAN_DEMO

kept, frozen_at = [], {}
networks, train = asyncgan.networks, asyncgan.AsyncScheduler.__call__

def remembered(settings):
    kept.extend(networks(settings))
    return kept[0], kept[1]

def watched(scheduler, *batch):
    if scheduler.phase(scheduler._epoch) == "partial":
        frozen_at.setdefault("before", [p.detach().clone() for m in scheduler.frozen for p in m.parameters()])
        frozen_at["modules"] = scheduler.frozen
    return train(scheduler, *batch)

asyncgan.networks, asyncgan.AsyncScheduler.__call__ = remembered, watched
data, out = sys.argv[1:]
asyncgan.main(replace(
    ASYNCGAN_DEMO, data=Path(data), out=Path(out), base="asymgan", epochs=8, period=4, batch=1, size=32, picture_size=32,
    width=4, blocks=1,
))
after = [p for module in frozen_at["modules"] for p in module.parameters()]
same = all(torch.equal(a, b) for a, b in zip(frozen_at["before"], after, strict=True))
weights = kept[0].state_dict() | {f"critics.{name}": value for name, value in kept[1].state_dict().items()}
torch.save({"weights": weights, "same": same}, f"{out}/rank{os.environ['RANK']}.pt")
"""


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_froze_theirs(tmp_path: Path, sets: Path) -> None:
    script, out = tmp_path / "train.py", tmp_path / "run"
    script.write_text(TWO_PROCESSES)
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "examples")}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(script), str(sets), str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    one, other = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])
    assert one["same"]  # the last two epochs are the partial ones
    assert other["same"]


@pytest.mark.slow
def test_digits_are_scored_for_both_variants(tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ["--samples", "20", "--batch", "10", "--epochs", "4", "--width", "4", "--blocks", "1", "--seeds", "2"]
    result = run("asyncgan_digits", out, *small)
    assert result.returncode == 0, result.stderr
    results = json.loads((out / "results.json").read_text())
    assert min(results["real"].values()) > 0.5
    for variant in ("cyclegan", "async"):
        for direction in ("photos to plain", "plain to photos"):
            shares = results["translated"][variant][direction]
            assert len(shares) == 2
            assert all(0 <= share <= 1 for share in shares)
        assert (out / f"{variant}-1" / "report.html").exists()
    assert "Shaded" in (out / "async-0" / "report.html").read_text()
    assert "Shaded" not in (out / "cyclegan-0" / "report.html").read_text()
    assert "Async-CycleGAN  photos to plain" in result.stdout
