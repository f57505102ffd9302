"""Signals that ask a run to end: all that are sent before the end is forced, also while loading hangs."""

from __future__ import annotations

import importlib
import os
import signal
import threading
import time
from itertools import cycle
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from support.report import logger
from support.run.signals import SIGNALS, LoadingInterrupted, stop_on_signals
from tiny import STEPS, cyclegan_folder, tiny

asyncgan: Any = importlib.import_module("asyncgan")

GUARD = 120.0
"""Seconds after which a hanging test gives up; nothing waits for them where the run ends as it should."""


def test_what_terminals_and_schedulers_send_is_known() -> None:
    names = {signal.Signals(number).name for number in SIGNALS}
    assert {"SIGINT", "SIGTERM"} <= names
    if os.name == "posix":
        assert {"SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"} <= names


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_that_were_ignored_stay_so(number: int) -> None:
    before = signal.signal(
        number, signal.SIG_IGN
    )  # as nohup does with SIGHUP, and shells with Ctrl-C of their background
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(number)
            assert not stop.is_set()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_loading_is_interrupted_and_steps_are_not() -> None:
    with stop_on_signals() as stop:
        with stop.loading():
            pass
        with pytest.raises(LoadingInterrupted), stop.loading():
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # in a step
        assert stop.is_set()
        with pytest.raises(LoadingInterrupted), stop.loading():
            pytest.fail("what comes after the signal is not begun")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the file that was being read
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes stand for a network disk that hangs")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_ends_with_a_checkpoint_while_loading_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], workers: int, number: int
) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(logger, "write_report", lambda *_: None)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 2 * GUARD)  # nor are workers waited for
    data = cyclegan_folder(tmp_path / "data")
    ended, gave_up = threading.Event(), threading.Event()

    def tell(stalled: list[Path]) -> None:
        for path in cycle(stalled):
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads it yet
                time.sleep(0.01)
                continue
            os.kill(os.getpid(), number)  # to the main thread, which waits for an image now or will in a moment
            if not ended.wait(GUARD):
                gave_up.set()
            os.close(writer)
            return

    terms, calls = asyncgan.asyncgan.joint_generator_terms, iter(range(10**6))
    teller: list[threading.Thread] = []

    def stall(*arguments: Any) -> Any:
        if next(calls) == 1:
            paths = list((data / "trainA").iterdir())
            for path in paths:
                path.unlink()
                os.mkfifo(path)
            teller.append(threading.Thread(target=tell, args=(paths,)))
            teller[0].start()
        return terms(*arguments)

    monkeypatch.setattr(asyncgan.asyncgan, "joint_generator_terms", stall)
    inherited = signal.signal(number, signal.default_int_handler)
    others = set(active_children())
    try:
        asyncgan.main(tiny(tmp_path / "run", data, workers=workers))
    finally:
        ended.set()
        signal.signal(number, inherited)
        teller[0].join()
    assert not gave_up.is_set(), "it waited for the image"
    assert not set(active_children()) - others
    said = capsys.readouterr().out
    step = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    assert 2 <= step < STEPS
    assert f"stopped, --resume goes on: {step} steps" in said
