"""A run from the command line: its folder and settings, its end by Ctrl-C or SIGTERM, and errors in one line."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Any, TypeVar

import tyro
from accelerate import PartialState
from tqdm import tqdm

from support.durable import previous_of, write_durably

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings")

MAY_CHANGE = frozenset(
    {"out", "resume", "epochs", "minutes", "report_every", "workers", "precision", "picture_size", "seeds"}
)
"""Settings that a resumed run may have otherwise than before."""


def command(main: Callable[[Settings], None], presets: Mapping[str, tuple[str, Settings]]) -> None:
    """Run ``main`` with the settings of the command line; what a person can mend is said in one line.

    Args:
        main: the training.
        presets: by name, what they are and their settings.
    """
    try:
        main(tyro.extras.overridable_config_cli(dict(presets)))
    except (ValueError, FloatingPointError) as error:
        if "TRACEBACK" in os.environ:
            raise
        sys.exit(f"error: {error}\n(TRACEBACK=1 in the environment shows where)")


def open_run(
    folder: Path, settings: DataclassInstance, resume: bool, keep: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Take a run's folder, if it is free or the run in it was of these settings, and write the settings into it.

    Args:
        folder: of the run; no other run can take it until this one ends.
        settings: of this start.
        resume: go on with what is there.
        keep: settings that a resumed run must not change, beside those that none may.

    Returns:
        The settings as plain values.

    Raises:
        ValueError: the folder holds a run and this is not to resume it, it is of other settings, or one is running there.
    """
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    checkpoint, written = folder / "checkpoint.pt", folder / "settings.json"
    if not resume and (checkpoint.exists() or previous_of(checkpoint).exists()):
        raise ValueError(
            f"out: {str(folder)!r} holds a run already; add --resume to go on with it, or give another --out"
        )
    if resume and written.exists() and checkpoint.exists():
        before = json.loads(written.read_text())
        if different := _options(before, plain, MAY_CHANGE - keep):
            raise ValueError(
                f"resume: the run in {str(folder)!r} had other settings; add {' '.join(different)}, "
                "or leave out --resume and give another --out"
            )
    if PartialState().is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
        write_durably(written, lambda file: file.write(json.dumps(plain, indent=2).encode()), keep=False)
    return plain


_locks: dict[Path, IO[str]] = {}
"""By folder; open for as long as the process lives; the system lets go of them however it ends."""


def _lock(folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows, where two runs in one folder are not noticed
        return
    if folder.resolve() in _locks:
        return
    # opened without emptying it: the number in it is the other run's until the lock is had
    lock = (folder / ".lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        other = lock.read().strip()
        lock.close()
        raise ValueError(
            f"out: process {other} is training in {str(folder)!r}; wait for it, or give another --out"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    _locks[folder.resolve()] = lock
    atexit.register(lock.close)


def _options(
    before: Mapping[str, Any], now: Mapping[str, Any], may_change: frozenset[str], prefix: str = ""
) -> list[str]:
    """The command line options that bring ``now`` back to what was ``before``."""
    options = []
    for name, value in before.items():
        if name in may_change or name not in now or now[name] == value:
            continue
        option = f"{prefix}{name.replace('_', '-')}"
        if isinstance(value, dict):
            options += _options(value, now[name], may_change, f"{option}.")
        else:
            options.append(f"--{option} {' '.join(map(str, value)) if isinstance(value, list) else value}")
    return options


@contextmanager
def stop_when_told() -> Iterator[Event]:
    """An event that Ctrl-C or SIGTERM sets, for a loop to end after the step it is in; told again, it ends at once."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def first(*_: object) -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.set()

    for number in before:
        signal.signal(number, first)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """A bar with losses and time to go, fed with the part of the training that is done."""

    def __init__(self, visible: bool) -> None:
        style = "{percentage:3.0f}%|{bar:12}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(total=1.0, bar_format=style, disable=not visible, dynamic_ncols=True)

    def show(self, done: float, losses: Mapping[str, float] | None = None, names: tuple[str, ...] = ()) -> None:
        """Update the bar; ``names`` are the losses worth the room."""
        if losses is not None:
            shown = {name: f"{losses[name]:.2f}" for name in names if name in losses}
            self._bar.set_postfix(shown, refresh=False)
        self._bar.update(min(done, 1.0) - self._bar.n)

    def close(self) -> None:
        """Leave the bar on the screen."""
        self._bar.close()
