"""What a run says while it goes on: losses in checkpoints, TensorBoard, progress bars."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from support.report.logger import LossHistory, RunLogger
from support.report.page import Page, Position, Snapshot
from support.report.progress import Progress, with_bar
from tiny import rows, tiny


def test_losses_are_kept_with_checkpoints_to_the_last_digit(tmp_path: Path) -> None:
    history, again = LossHistory(), LossHistory()
    for step in (1, 11, 2**40 + 1):
        history.add(step, {"a": 1 / 3, "b": -1e-300} if step > 1 else {"a": 0.1})
    torch.save(history.state_dict(), tmp_path / "state.pt")
    again.add(99, {"c": 1.0})  # replaced
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert rows(again.state_dict()) == [
        {"step": 1, "a": 0.1},
        {"step": 11, "a": 1 / 3, "b": -1e-300},
        {"step": 2**40 + 1, "a": 1 / 3, "b": -1e-300},
    ]


def test_losses_of_which_there_are_none_yet_are_kept_too() -> None:
    history = LossHistory()
    history.load_state_dict(LossHistory().state_dict())
    assert history.state_dict() == {}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_of_tensorboard_whose_thread_fails_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    accelerator = Accelerator(log_with="tensorboard", project_dir=tmp_path)
    page = Page("a run", [], lambda _: Snapshot({}, {}))
    others = set(threading.enumerate())
    logger = RunLogger(tiny(tmp_path, tmp_path, tracker="tensorboard"), page, None, LossHistory(), accelerator, 0, 0.0)
    (thread,) = {one for one in set(threading.enumerate()) - others if "Writer" in type(one).__name__}
    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    monkeypatch.setattr("support.report.logger.write_report", lambda *_: None)

    def write(*steps: int) -> None:
        for step in steps:
            logger.losses(step, 0.0, {"a": 1.0})
            logger.report(Position(step, 0), tmp_path / "checkpoint.pt", {}, [])

    with pytest.warns(UserWarning, match="the log of tensorboard at step 1 could not be written: .*No space left"):
        write(1)
    write(*range(2, 40))  # more than its queue holds
    logger.end()
    logger.bar.close()
    thread.join()


@pytest.mark.parametrize("terminal", [False, True])
def test_bars_do_not_fill_a_log(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    bars: Any = (with_bar([1, 2], "a", visible=True), Progress(visible=True)._bar)
    assert [bar.mininterval for bar in bars] == [0.1 if terminal else 30] * 2
