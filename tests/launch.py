"""Scripts started as people start them: in one process, or in several by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def launched(script: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What became of a script that can import the examples and what tests share."""
    launch = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    environment = {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "examples", "tests"))
    command = [sys.executable, *launch, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
