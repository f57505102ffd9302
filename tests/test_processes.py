"""Several processes are one with a larger batch, in both phases, with and without accumulation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import FIRST_PARTIAL, STEPS, cyclegan_folder

ROOT = Path(__file__).parent.parent

TRAIN = """
import os, sys
from pathlib import Path
import torch
import asyncgan
from support import record
from tiny import FIRST_PARTIAL, tiny

kept = []

class Seen(asyncgan.asyncgan.Translators):
    # z comes from the image: the same for a sample, whichever process has it

    def __init__(self, *networks):
        super().__init__(*networks)
        kept.append(self)

    def forward(self, x, y=None, z=None, phase="joint"):
        return super().forward(x, y, 3 * x.flatten(1)[:, :8], phase)

asyncgan.asyncgan.Translators = Seen
torch.set_default_dtype(torch.float64)
data, out, *runs = sys.argv[1:]
rank = int(os.environ.get("RANK", "0"))
record.write_report = lambda *_: None
for run in runs:
    batch, accumulate = map(int, run.split("x"))
    # of gradients that should be zero Adam makes steps of noise, in proportion to the rate
    exact = {"pool": 0, "lr_generators": 1e-4, "report_every": FIRST_PARTIAL}
    asyncgan.main(tiny(Path(out) / run, Path(data), batch=batch, accumulate=accumulate, **exact))
    torch.save(kept.pop().state_dict(), Path(out) / run / f"rank{rank}.pt")
"""


def launched(folder: Path, data: Path, processes: int, *runs: str) -> list[dict[str, Any]]:
    """The weights that runs of so many processes end with, each of samples per process times batches to a step."""
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    launch = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("examples", "tests"))
    command = [sys.executable, *launch, str(folder / "train.py"), str(data), str(folder), *runs]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    found = []
    for run in runs:
        first, *others = (torch.load(folder / run / f"rank{i}.pt", weights_only=True) for i in range(processes))
        for other in others:  # processes agree bit for bit
            assert all(torch.equal(value, other[name]) for name, value in first.items())
        saved = torch.load(folder / run / "checkpoint.pt", weights_only=True)
        joint = torch.load(folder / run / "checkpoint.previous.pt", weights_only=True)
        assert (joint["step"], saved["step"]) == (FIRST_PARTIAL, STEPS)
        for part, easy in (("model", "rich_to_poor."), ("critics", "poor.")):  # partial steps froze the easy direction
            same = {
                name: torch.equal(value, joint["parts"][part][name]) for name, value in saved["parts"][part].items()
            }
            assert all(same[name] for name in same if name.startswith(easy))
            assert not all(same.values())
        found.append(saved["parts"]["model"] | saved["parts"]["critics"])
    return found


@pytest.mark.slow
def test_two_processes_with_half_the_batch_are_one_with_the_whole(tmp_path: Path) -> None:
    data = cyclegan_folder(tmp_path / "data", 12, 8)  # joint epochs of two steps of four, a partial one of three
    (whole,) = launched(tmp_path / "one", data, 1, "4x1")
    for weights in launched(tmp_path / "two", data, 2, "2x1", "1x2"):
        assert weights.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-10)
