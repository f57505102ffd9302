"""The reference loop, run as a person would, but small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    assert {
        "report.html",
        "metrics.json",
        "settings.json",
        "losses.csv",
        "losses.png",
        "checkpoint.pt",
        "pictures-5.png",
    } <= names
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


RESUMED = """
import sys
from dataclasses import replace
from pathlib import Path
import asymgan
from support import loop
from support.settings import ASYMGAN_DEMO

whole_epoch, save = asymgan.unpaired, loop.save_checkpoint
saves = []

def short_epoch(*arguments):
    data, source = whole_epoch(*arguments)
    data.epoch = 24
    return data, source

def interrupted(path, step, *rest):
    save(path, step, *rest)
    saves.append(step)
    if len(saves) == 2:
        raise KeyboardInterrupt

asymgan.unpaired = short_epoch
photos, out, how = sys.argv[1:]
if how == "interrupt":
    loop.save_checkpoint = interrupted
asymgan.main(replace(
    ASYMGAN_DEMO, data=Path(photos), out=Path(out), resume=how == "resume", minutes=None, epochs=1, size=32, width=4, pool=3,
    features="random", report_every=4,
))
"""


@pytest.mark.slow
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", 4)
    runs = [("whole", "go"), ("halves", "interrupt"), ("halves", "resume")]
    commands = [[sys.executable, "-c", RESUMED, str(photos), str(tmp_path / name), how] for name, how in runs]
    results = [
        subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "examples")
        for command in commands
    ]
    assert results[0].returncode == 0, results[0].stderr
    assert "KeyboardInterrupt" in results[1].stderr
    assert results[2].returncode == 0, results[2].stderr
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "halves"))
    assert one["step"] == other["step"] == 12
    flat = [torch.utils._pytree.tree_leaves(saved["parts"]) for saved in (one, other)]
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(*flat, strict=True))
    assert (tmp_path / "whole" / "losses.csv").read_text() == (tmp_path / "halves" / "losses.csv").read_text()


TWO_PROCESSES = """
import os, sys
from dataclasses import replace
from pathlib import Path
import torch
import asymgan
from support.settings import ASYMGAN_DEMO

kept = []

class Remembered(asymgan.asymgan.Translators):
    def __init__(self, **networks):
        super().__init__(**networks)
        kept.append(self)

whole_epoch = asymgan.unpaired

def short_epoch(*arguments):
    data, source = whole_epoch(*arguments)
    data.epoch = 16
    return data, source

asymgan.unpaired, asymgan.asymgan.Translators = short_epoch, Remembered
photos, out, resume = sys.argv[1:]
asymgan.main(replace(
    ASYMGAN_DEMO, data=Path(photos), out=Path(out), resume=bool(int(resume)), minutes=None, epochs=1 + int(resume), size=32,
    width=4, pool=3, features="random",
))
seen = {"weights": kept[0].state_dict(), "random": torch.get_rng_state()}
torch.save(seen, f"{out}/rank{os.environ['RANK']}.pt")
"""


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", 4)
    script, out = tmp_path / "train.py", tmp_path / "run"
    script.write_text(TWO_PROCESSES)
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "examples"),
    }
    for resume in ("0", "1"):
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(script), str(photos)]
        command += [str(out), resume]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert result.returncode == 0, result.stderr
        one, other = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])
        assert not torch.equal(one["random"], other["random"])  # each samples its own z
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 8
    assert all(torch.equal(saved["parts"]["model"][name], one["weights"][name]) for name in one["weights"])
    steps = [line.split(",")[0] for line in (out / "losses.csv").read_text().splitlines()]
    assert steps == ["step", "1"]  # written once, by the main process, and kept through the resume


TOLD = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import asymgan
from support import loop
from support.settings import ASYMGAN_DEMO

photos, out = sys.argv[1:]
last = int(os.environ.get("WORLD_SIZE", "1")) - 1
number = signal.SIGTERM if last == 0 else signal.SIGINT
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background have Ctrl-C ignored
step_critics = loop.Training.step_critics

def told(training, *terms):
    step_critics(training, *terms)
    if training.step == 3 and int(os.environ.get("RANK", "0")) == last:
        os.kill(os.getpid(), number)

loop.Training.step_critics = told
asymgan.main(replace(
    ASYMGAN_DEMO, data=Path(photos), out=Path(out), minutes=None, epochs=100, size=32, width=4, features="random",
))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "steps"), [(1, 4), (2, 10)])
def test_a_run_that_is_told_to_stop_saves_and_stops(tmp_path: Path, processes: int, steps: int) -> None:
    """SIGTERM, and Ctrl-C that reaches one process of two: they agree on the step to stop at."""
    photos, script = folder_of_photos(tmp_path / "photos", 4), tmp_path / "train.py"
    script.write_text(TOLD)
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "examples")}
    launch = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    command = [sys.executable, *launch, str(script), str(photos), str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    assert f"stopped, --resume goes on: {steps} steps" in result.stdout
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == steps
    assert (tmp_path / "run" / "report.html").exists()


FULL_DISK = """
import sys
from dataclasses import replace
from pathlib import Path
import asymgan
from support import checkpoint
from support.settings import ASYMGAN_DEMO

photos, out, full = sys.argv[1:]
write, written = checkpoint.write_durably, []

def sometimes(path, *rest):
    written.append(path)
    if str(len(written)) in full.split(","):
        raise OSError(28, "No space left on device")
    write(path, *rest)

whole_epoch = asymgan.unpaired

def short_epoch(*arguments):
    data, source = whole_epoch(*arguments)
    data.epoch = 4
    return data, source

asymgan.unpaired, checkpoint.write_durably = short_epoch, sometimes
try:
    asymgan.main(replace(
        ASYMGAN_DEMO, data=Path(photos), out=Path(out), minutes=None, epochs=3, size=32, width=4,
        features="random", report_every=2,
    ))
except ValueError as error:
    sys.exit(f"error: {error}")
"""


@pytest.mark.slow
def test_a_full_disk_costs_a_checkpoint_and_not_the_run(tmp_path: Path) -> None:
    photos = folder_of_photos(tmp_path / "photos", 4)
    results = []
    for name, full in (("first", "1"), ("last", "2,3,4")):
        command = [sys.executable, "-c", FULL_DISK, str(photos), str(tmp_path / name), full]
        results.append(subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "examples"))
    message = "could not be written: [Errno 28] No space left on device; "
    assert results[0].returncode == 0, results[0].stderr
    assert f"the checkpoint of step 2 {message}there is none before it; training goes on" in results[0].stderr
    assert torch.load(tmp_path / "first" / "checkpoint.pt", weights_only=True)["step"] == 6
    assert results[1].returncode == 1
    assert f"error: the checkpoint of step 6 {message}the one before it is kept" in results[1].stderr
    assert torch.load(tmp_path / "last" / "checkpoint.pt", weights_only=True)["step"] == 2


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


def test_the_loop_is_short_enough_to_read() -> None:
    assert len((ROOT / "examples" / "asymgan.py").read_text().splitlines()) < 150
