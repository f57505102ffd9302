"""`make demo` moves an earlier run aside and says so; it deletes nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile in a folder of its own, with an environment whose Python prints what it is asked to run."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "python $*"\n', encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / ".venv" / ".examples").touch()
    return tmp_path


def make_demo(folder: Path, *options: str) -> str:
    return subprocess.run(["make", "demo", *options], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_an_earlier_run_is_moved_aside_and_said(checkout: Path) -> None:
    assert "python examples/asymgan.py demo --out runs/demo" in make_demo(checkout)
    (checkout / "runs" / "demo").mkdir(parents=True)
    (checkout / "runs" / "demo" / "report.html").write_text("an hour of training", encoding="utf-8")
    said = make_demo(checkout)
    moved = re.search(r"the run that was in runs/demo is now in (runs/demo-until-\S+)", said)
    assert moved is not None
    assert (checkout / moved[1] / "report.html").read_text(encoding="utf-8") == "an hour of training"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("option", ["--resume", "--dry-run", "--help"])
def test_a_run_that_goes_on_stays_where_it_is(checkout: Path, option: str) -> None:
    (checkout / "runs" / "demo").mkdir(parents=True)
    said = make_demo(checkout, f"ARGS={option}")
    assert f"--out runs/demo {option}" in re.sub(" +", " ", said)
    assert [path.name for path in (checkout / "runs").iterdir()] == ["demo"]
