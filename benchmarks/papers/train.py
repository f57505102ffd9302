"""A run of an example behind a table: its command line, its folder, and how long it takes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from papers.registry import Arm
from papers.sets import Opened

ROOT = Path(__file__).parents[2]
STOPPED = "stopped, --resume goes on"
"""What an example prints at the end of a run that is to go on."""

DONE = "done.json"
"""In the folder of a run that has come to its end."""


@dataclass(frozen=True)
class Training:
    """One run: an arm on a data set with a seed."""

    arm: Arm
    data: Opened
    seed: int
    runs: Path
    """The folder of all runs."""
    options: Mapping[str, Any]
    """Of the command line, the data's included."""

    @property
    def words(self) -> list[str]:
        """The command line after the script's name, without ``--out``."""
        found = [self.arm.preset]
        for name, value in self.options.items():
            if value is False:
                continue
            found += [
                f"--{name}",
                *([] if value is True else map(str, value) if isinstance(value, tuple) else [str(value)]),
            ]
        return [*found, "--seed", str(self.seed)]

    @property
    def script(self) -> Path:
        """What is started."""
        return ROOT / ("benchmarks/keep_phases.py" if self.arm.keeps_phases else f"examples/{self.arm.example}.py")

    @property
    def folder(self) -> Path:
        """Of the run: the same command has the same one, whatever table asks for it, and wherever the images are."""
        options = {name: value.name if isinstance(value, Path) else value for name, value in self.options.items()}
        said = [self.script.name, self.arm.preset, self.seed, sorted(options.items())]
        key = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]
        return self.runs / f"{self.arm.example}-{self.data.folder.name}-{self.arm.preset}-{key}"

    @property
    def command(self) -> str:
        """As a person would type it."""
        said = shlex.join(["python", str(self.script.relative_to(ROOT)), *self.words, "--out", str(self.folder)])
        return f"PYTHONPATH=examples {said}" if self.arm.keeps_phases else said

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return (self.folder / DONE).is_file()

    def train(self) -> bool:
        """Train, or go on where it was stopped; False if it was stopped again.

        Raises:
            ValueError: the example failed; it has said why.
        """
        if self.done:
            return True
        begun = any(self.folder.glob("checkpoint.pt")) or any(self.folder.glob("*-*/checkpoint.pt"))
        said = self._start(self.folder, *(["--resume"] if begun else []))
        print(said, end="", flush=True)
        if STOPPED in said:
            return False
        (self.folder / DONE).write_text(json.dumps({"command": self.command}) + "\n", encoding="utf-8")
        return True

    def cost(self) -> timedelta | None:
        """How long the whole would take, by a few steps of it; None where the example does not say."""
        with tempfile.TemporaryDirectory() as folder:
            said = self._start(Path(folder) / "run", "--dry-run")
        found = re.findall(r"the whole run, \d+ steps: about (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)", said)
        parts = [
            timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=int(seconds))
            for days, hours, minutes, seconds in found
        ]
        return sum(parts, timedelta()) if parts else None

    def _start(self, folder: Path, *more: str) -> str:
        return start(self.script, [*self.words, "--out", str(folder), *more])


def start(script: Path, words: Sequence[str]) -> str:
    """Start a script in a process of its own; what it prints, but for its progress and its warnings, which are shown.

    Raises:
        ValueError: it failed; it has said why.
    """
    command = [sys.executable, str(script), *words]
    path = [str(ROOT / "examples"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, encoding="utf-8", env=environment)
    if result.returncode:
        raise ValueError(f"{shlex.join(command[1:])} ended with {result.returncode}; its message stands above")
    return result.stdout


def training(
    arm: Arm, data: Opened, seed: int, runs: Path, changes: Mapping[str, Any], pairs: Path | None = None
) -> Training:
    """The run of an arm on a data set.

    Args:
        arm: which has an example.
        data: opened.
        seed: of the run.
        runs: the folder of all runs.
        changes: options in place of the arm's, for a smaller run than the paper's.
        pairs: of gestures, another file of pairs than the set's.
    """
    folder = data.folder.resolve()
    where: dict[str, dict[str, Any]] = {
        "two": {"data": folder, "side-by-side": data.side_by_side},
        "domains": {"data": folder},
        "gestures": {
            "data": folder / "photos",
            "skeletons": folder / "skeletons",
            "pairs": (pairs or folder / "pairs.csv"),
        },
        "digits": {"digits": "svhn", "mnist": folder / "mnist", "other": folder / "svhn"},
    }
    return Training(arm, data, seed, runs, {**arm.options, **where[data.kind], **changes})
