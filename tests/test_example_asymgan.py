"""The reference loop, run as a person would, but small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launch import launched
from tiny import cyclegan_folder, logged

ROOT = Path(__file__).parent.parent
TINY = [
    "--size",
    "32",
    "--width",
    "4",
    "--blocks",
    "3",
    "--batch",
    "2",
    "--method",
    "extended",
    "--features",
    "random",
    "--style-layers",
    "relu1_2",
    "--content-layer",
    "relu1_2",
]


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "asymgan.py"), "demo", "--out", str(out), *TINY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


def folder_of_photos(folder: Path, count: int) -> Path:
    from support.data.images import bundled_photos

    folder.mkdir()
    for i, photo in enumerate(bundled_photos()[:count]):
        photo.resize((48, 40)).save(folder / f"{i}.png")
    return folder


@pytest.mark.slow
def test_a_timed_run_leaves_a_folder_that_shows_it(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "--minutes", "0.05")
    assert result.returncode == 0, result.stderr
    assert "report.html" in result.stdout
    assert re.search(r"\d images/s, cycle_rich=\d", result.stderr)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "report.html",
        "metrics.json",
        "settings.json",
        "losses.png",
        "checkpoint.pt",
        "pictures-5.png",
    } <= names
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["done"] == 1  # by the clock, however many steps that were
    assert metrics["seconds"] >= 0.05 * 60
    assert metrics["steps"] < 200 * 400 / 2
    assert metrics["entropy_poor_bits"] < metrics["entropy_rich_bits"] < 8
    assert 0 < metrics["z_cycle_l1"] < 2
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "random weights" in report
    assert "derived from other crops" in report
    again = run(tmp_path / "run", "--minutes", "0.05")
    assert again.returncode != 0
    assert "holds a run already" in again.stderr


TWO_PROCESSES = """
import os, sys
from dataclasses import replace
from pathlib import Path
import torch
import asymgan
from support.data import unpaired as sets
from support.report import logger

kept = []

class Remembered(asymgan.asymgan.Translators):
    def __init__(self, **networks):
        super().__init__(**networks)
        kept.append(self)

whole_epoch = sets.unpaired

def short_epoch(*arguments):
    data, source = whole_epoch(*arguments)
    data.epoch = 16
    return data, source

sets.unpaired, asymgan.asymgan.Translators = short_epoch, Remembered
logger.write_report = lambda *_: None
photos, out, resume = sys.argv[1:]
asymgan.main(replace(
    asymgan.DEMO, data=Path(photos), out=Path(out), resume=bool(int(resume)), minutes=None, epochs=1 + int(resume), size=32,
    width=4, pool=3, features="random", picture_size=None, tracker="none",
))
seen = {"weights": kept[0].state_dict(), "random": torch.get_rng_state()}
torch.save(seen, f"{out}/rank{os.environ['RANK']}.pt")
"""


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", 4)
    script, out = tmp_path / "train.py", tmp_path / "run"
    script.write_text(TWO_PROCESSES, encoding="utf-8")
    for resume in ("0", "1"):
        result = launched(script, 2, str(photos), str(out), resume)
        assert result.returncode == 0, result.stderr
        one, other = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])
        assert not torch.equal(one["random"], other["random"])  # each samples its own z
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 8
    assert all(torch.equal(saved["parts"]["model"][name], one["weights"][name]) for name in one["weights"])
    assert [row["step"] for row in logged(out)] == [1]  # of the main process, and kept through the resume


TOLD = """
import os, signal, sys
from pathlib import Path
import asyncgan
from support.report import logger
from support.run.run import Run
from tiny import tiny

data, out = sys.argv[1:]
log, logger.write_report = Run.log, lambda *_: None

def told(run, *terms):
    log(run, *terms)
    if run.step == 3 and os.environ["RANK"] == "1":
        os.killpg(0, signal.SIGTERM)  # as schedulers do: the processes that load images are told too

Run.log = told
asyncgan.main(tiny(Path(out), Path(data), epochs=40, workers=1))
"""


@pytest.mark.slow
def test_processes_agree_on_the_step_to_stop_at(tmp_path: Path) -> None:
    """SIGTERM that reaches one process of two."""
    data, script = cyclegan_folder(tmp_path / "data"), tmp_path / "train.py"
    script.write_text(TOLD, encoding="utf-8")
    result = launched(script, 2, str(data), str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    assert "stopped, --resume goes on: 4 steps" in result.stdout
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 4


@pytest.mark.slow
def test_problems_are_one_clear_line(tmp_path: Path) -> None:
    result = run(tmp_path / "run", "--data", str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "nowhere' is missing; expected a folder of photos" in result.stderr
    assert not (tmp_path / "run").exists()
    result = run(tmp_path / "run", "--poor", "gray")
    assert result.returncode != 0
    assert "grey" in result.stdout + result.stderr
