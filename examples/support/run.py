"""A run from the command line: its folder and settings, its end by Ctrl-C, and errors in one line."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import tyro
from tqdm import tqdm

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
    """Check that the run's folder is free, or that the run in it was of these settings; writes nothing.

    Args:
        folder: of the run.
        settings: of this start.
        resume: go on with what is there.
        keep: settings that a resumed run must not change, beside those that none may.

    Returns:
        The settings as plain values.

    Raises:
        ValueError: the folder holds a run and this is not to resume it, or it is of other settings.
    """
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    if not resume and (folder / "checkpoint.pt").exists():
        raise ValueError(
            f"out: {str(folder)!r} holds a run already; add --resume to go on with it, or give another --out"
        )
    if resume and (folder / "settings.json").exists():
        before = json.loads((folder / "settings.json").read_text())
        if different := _options(before, plain, MAY_CHANGE - keep):
            raise ValueError(
                f"resume: the run in {str(folder)!r} had other settings; add {' '.join(different)}, "
                "or leave out --resume and give another --out"
            )
    return plain


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
def stop_at_ctrl_c(processes: int) -> Iterator[Event]:
    """An event that the first Ctrl-C sets, for a loop to end after the step it is in; the second one ends at once.

    Args:
        processes: with several, which would stop at different steps and wait for each other, Ctrl-C stays as it is.
    """
    stop = Event()
    if processes > 1:
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


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
