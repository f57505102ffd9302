"""The end of a loop by Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic

SECOND_CTRL_C = 2.0
"""Seconds within which Ctrl-C is taken for the same one."""


@contextmanager
def stop_when_told() -> Iterator[Event]:
    """An event that Ctrl-C or SIGTERM sets, for a loop to end after the step it is in; a second Ctrl-C ends it at once.

    Launchers and schedulers pass on what the process is told already: more of the same is ignored, and Ctrl-C within
    seconds.
    """
    stop, since = Event(), monotonic()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def told(number: int, _: object) -> None:
        nonlocal since
        if number == signal.SIGINT and stop.is_set() and monotonic() - since > SECOND_CTRL_C:
            raise KeyboardInterrupt
        if not stop.is_set():
            since = monotonic()
            stop.set()

    for number in before:
        signal.signal(number, told)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
