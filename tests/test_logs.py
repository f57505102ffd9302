"""losses.csv: cut where a run is resumed, and read though it is damaged."""

from __future__ import annotations

import csv
import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.report.logs import Board, LossLog, Progress, read_losses, with_bar


def test_losses_are_cut_where_a_run_is_resumed(tmp_path: Path) -> None:
    log = LossLog(tmp_path / "losses.csv")
    for step in (1, 11, 21):
        log.write(step, {"a": step / 2})
    log = LossLog(tmp_path / "losses.csv", resume_at=12)
    log.write(21, {"a": 0.0})
    assert read_losses(tmp_path / "losses.csv") == [
        {"step": 1, "a": 0.5},
        {"step": 11, "a": 5.5},
        {"step": 21, "a": 0.0},
    ]


@pytest.mark.parametrize("line", ["9,0.00012", "x" * 200_000 + "\n", "-inf,1\n", "9,nan\n", "9,1,2\n"])
def test_damaged_lines_of_losses_are_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(f"step,a\n1,0.5\n{line}", encoding="utf-8")
    assert read_losses(path) == [{"step": 1.0, "a": 0.5}]


def test_losses_without_steps_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("stfp,a\n1,0.5\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"losses.csv' cannot be read; it is now damaged-losses.csv"):
        LossLog(path, resume_at=4).write(5, {"a": 1.0})
    assert (tmp_path / "damaged-losses.csv").read_text(encoding="utf-8") == "stfp,a\n1,0.5\n"
    assert read_losses(path) == [{"step": 5.0, "a": 1.0}]


def test_a_line_after_a_torn_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "losses.csv"
    log = LossLog(path)
    log.write(1, {"a": 1.0})

    def torn(self: Any, row: Any) -> Any:
        self.writer.writerow(["2", "0."])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(csv.DictWriter, "writerow", torn)
        with pytest.raises(OSError, match="No space"):
            log.write(2, {"a": 0.5})
    log.write(3, {"a": 0.25})
    assert read_losses(path)[-1] == {"step": 3.0, "a": 0.25}


def test_losses_of_which_there_are_none_yet_are_not_damaged(tmp_path: Path) -> None:
    LossLog(tmp_path / "losses.csv")
    LossLog(tmp_path / "losses.csv", resume_at=4)
    assert [path.name for path in tmp_path.iterdir()] == ["losses.csv"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_of_tensorboard_whose_thread_fails_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def write(board: Board, step: int) -> None:
        board.numbers(step, "losses", {"a": 1.0})
        board.pictures(step, {})  # waits for the thread

    others = set(threading.enumerate())
    board = Board(tmp_path, 1)
    (thread,) = set(threading.enumerate()) - others
    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    with pytest.raises(OSError, match="No space left"):
        write(board, 1)
    for step in range(2, 40):  # more than its queue holds
        write(board, step)
    board.close()
    thread.join()


@pytest.mark.parametrize("terminal", [False, True])
def test_bars_do_not_fill_a_log(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    bars: Any = (with_bar([1, 2], "a", visible=True), Progress(visible=True)._bar)
    assert [bar.mininterval for bar in bars] == [0.1 if terminal else 30] * 2
