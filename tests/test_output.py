"""Output that fails does not end a run: messages are dropped, which the report says, and training goes on."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from asymgan import PRESETS as ASYMGAN_PRESETS
from asymgan import Settings as AsymGANSettings
from launch import ROOT
from support.report.health import Health
from support.report.progress import Progress
from support.run import stdio
from support.run.command import command
from tiny import STEPS, cyclegan_folder

RUN = """
import sys
from pathlib import Path
import asyncgan
from support.run.command import command
from tiny import tiny

data, out = sys.argv[1:]
sys.argv[1:] = ["tiny"]
command(asyncgan.main, {"tiny": ("Small.", tiny(Path(out), Path(data))), "other": ("A second one.", tiny(Path(out), Path(data)))})
"""


class Full(io.StringIO):
    """A text stream on a full disk."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.filterwarnings("default")
def test_prints_bars_and_warnings_are_dropped_while_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_problems", [])
    streams = {name: Full() for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)

    def main(_: AsymGANSettings) -> None:
        warnings.warn_explicit("a warning", UserWarning, str(ROOT / "examples" / "asymgan.py"), 1)
        bar = Progress(visible=True)
        bar.show(0.5, {}, ())
        print("printed", flush=True)
        sys.stdout.writelines(["a", "b"])
        for stream in streams.values():
            stream.full = False  # somebody made room
        print("later")
        bar.close()

    monkeypatch.setattr(sys, "argv", ["asymgan.py", "demo"])
    command(main, ASYMGAN_PRESETS)
    assert streams["stdout"].getvalue() == "later\n"
    assert stdio.output_errors() == (
        "stderr: [Errno 28] No space left on device; stdout: [Errno 28] No space left on device"
    )


def test_a_stream_that_is_closed_meanwhile_is_dropped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_problems", [])
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    stdio.ignore_output_errors()
    stdio.ignore_output_errors()  # wrapped once
    stream.close()
    print("lost", flush=True)
    assert stdio.output_errors() == "stdout: I/O operation on closed file"


def test_lost_messages_are_said_once_in_the_report() -> None:
    health = Health("discriminator_")
    assert health.output(None) == []
    assert health.output("stdout: [Errno 32] Broken pipe") == [
        "some messages of the run could not be written and are lost: stdout: [Errno 32] Broken pipe"
    ]
    assert health.output("stdout: [Errno 32] Broken pipe; stderr: [Errno 32] Broken pipe") == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
@pytest.mark.parametrize(
    ("how", "said"), [("full", "No space left on device"), ("pipe", "Broken pipe"), ("closed", "stdout was closed")]
)
def test_a_run_whose_output_fails_goes_on_to_its_end(tmp_path: Path, how: str, said: str) -> None:
    data, script = cyclegan_folder(tmp_path / "data"), tmp_path / "train.py"
    script.write_text(RUN, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRACEBACK": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / name) for name in ("", "examples", "tests"))
    words: list[Any] = [sys.executable, script, data, tmp_path / "run"]
    if how == "pipe":
        reader, writer = os.pipe()
        os.close(reader)  # as that of a `tee` that died
    else:
        writer = os.open("/dev/full", os.O_WRONLY)
    if how == "closed":
        words = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    result = subprocess.run(words, stdout=writer, stderr=writer, check=False, env=environment)
    os.close(writer)
    assert result.returncode == 0
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == STEPS
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "some messages of the run could not be written and are lost" in report
    assert said in report
