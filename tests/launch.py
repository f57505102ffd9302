"""Scripts started as people start them: in one process, or in several by torchrun."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def script(path: Path) -> ModuleType:
    """A script that lies in no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launched(script: Path, processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What became of a script that can import the examples and what tests share."""
    launch = [] if processes == 1 else ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    environment = {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "examples", "tests"))
    command = [sys.executable, *launch, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
