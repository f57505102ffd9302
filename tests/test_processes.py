"""Several processes are one with a larger batch, in both phases, with and without accumulation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from launch import launched
from tiny import FIRST_PARTIAL, STEPS, cyclegan_folder

TRAIN = """
import os, sys
from pathlib import Path
import torch
import asyncgan
from support.report import logger
from tiny import FIRST_PARTIAL, tiny

kept = []

class Seen(asyncgan.asyncgan.Translators):
    # z comes from the image: the same for a sample, whichever process has it

    def __init__(self, *networks, **options):
        super().__init__(*networks, **options)
        kept.append(self)

    def forward(self, x, y=None, z=None, phase="joint"):
        return super().forward(x, y, 3 * x.flatten(1)[:, :8], phase)

asyncgan.asyncgan.Translators = Seen
torch.set_default_dtype(torch.float64)
data, out, *runs = sys.argv[1:]
rank = int(os.environ.get("RANK", "0"))
logger.write_report = lambda *_: None
for run in runs:
    batch, accumulate = map(int, run.split("x"))
    # of gradients that should be zero Adam makes steps of noise, in proportion to the rate
    exact = {"pool": 0, "lr_g": 2e-5, "report_every": FIRST_PARTIAL}
    exact["resume"] = (Path(out) / run / "checkpoint.pt").exists()
    asyncgan.main(tiny(Path(out) / run, Path(data), batch=batch, accumulate=accumulate, **exact))
    torch.save(kept.pop().state_dict(), Path(out) / run / f"rank{rank}.pt")
"""


BUG = """
import os, sys
from pathlib import Path
import asyncgan
from support.report import logger
from support.data.unpaired import Domain
from tiny import tiny

crop, logger.write_report = Domain.crop, lambda *_: None

def wrong(self, index, *rest):
    if index == 7 and os.environ["RANK"] == "1":
        raise KeyError("a bug")
    return crop(self, index, *rest)

Domain.crop = wrong
data, out = sys.argv[1:]
asyncgan.main(tiny(Path(out), Path(data), workers=1))
"""


@pytest.mark.slow
def test_what_one_process_cannot_load_ends_all_after_a_checkpoint(tmp_path: Path) -> None:
    data, script = cyclegan_folder(tmp_path / "data", 12, 8), tmp_path / "train.py"
    script.write_text(BUG, encoding="utf-8")
    result = launched(script, 2, str(data), str(tmp_path / "run"))
    assert result.returncode == 1
    step = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step <= 3  # the eighth sample is for the fourth step of two processes
    assert "another process could not load its images; its message says why" in result.stderr
    assert f"--resume goes on from step {step}" in result.stderr
    assert "KeyError: 'a bug'" in result.stderr


def ends_of(folder: Path, data: Path, processes: int, *runs: str) -> list[dict[str, Any]]:
    """The weights that runs of so many processes end with, each of samples per process times batches to a step."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    result = launched(folder / "train.py", processes, str(data), str(folder), *runs)
    assert result.returncode == 0, result.stderr
    found = []
    for run in runs:
        first, *others = (torch.load(folder / run / f"rank{i}.pt", weights_only=True) for i in range(processes))
        for other in others:  # processes agree bit for bit
            assert all(torch.equal(value, other[name]) for name, value in first.items())
        saved = torch.load(folder / run / "checkpoint.pt", weights_only=True)
        joint = torch.load(folder / run / "checkpoint.previous.pt", weights_only=True)
        assert (joint["step"], saved["step"]) == (FIRST_PARTIAL, STEPS)
        for part, easy in (
            ("model", "rich_to_poor."),
            ("discriminators", "poor."),
        ):  # partial steps froze the easy direction
            same = {
                name: torch.equal(value, joint["parts"][part][name]) for name, value in saved["parts"][part].items()
            }
            assert all(same[name] for name in same if name.startswith(easy))
            assert not all(same.values())
        found.append(saved["parts"]["model"] | saved["parts"]["discriminators"])
    return found


@pytest.mark.slow
def test_two_processes_with_half_the_batch_are_one_with_the_whole(tmp_path: Path) -> None:
    data = cyclegan_folder(tmp_path / "data", 12, 8)  # joint epochs of two steps of four, a partial one of three
    (whole,) = ends_of(tmp_path / "one", data, 1, "4x1")
    found = ends_of(tmp_path / "two", data, 2, "2x1", "1x2")
    (tmp_path / "other" / "2x2").mkdir(parents=True)
    for suffix in ("", ".sha256"):  # what two processes began one ends
        begun = tmp_path / "two" / "2x1" / f"checkpoint.previous.pt{suffix}"
        shutil.copyfile(begun, tmp_path / "other" / "2x2" / f"checkpoint.pt{suffix}")
    found += ends_of(tmp_path / "other", data, 1, "2x2")
    for weights in found:
        assert weights.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-10)
