"""The end of a loop by a signal: Ctrl-C, SIGTERM, a closed terminal, or what schedulers send before the end.

By hand: a handler that only remembers the signal, so that a step and its checkpoint are whole.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

SECOND_CTRL_C = 2.0
"""Seconds within which Ctrl-C is taken for the same one."""

ENDING = {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"}
SIGNALS = tuple(number for number in signal.Signals if number.name in ENDING)  # Windows has two of them
"""What asks a run to end. All would end the process at once, as every signal does that schedulers send in time."""


class LoadingInterrupted(BaseException):
    """Raised out of loading by a signal; no Exception, or what handles broken files would take it for one."""


class StopRequest:
    """Whether the loop is to end."""

    def __init__(self) -> None:
        self._requested = self._loading = False

    def is_set(self) -> bool:
        """Whether it was."""
        return self._requested

    def set(self) -> None:
        """Tell it; out of :meth:`loading` this raises."""
        self._requested = True
        if self._loading:
            self._loading = False  # once
            raise LoadingInterrupted

    @contextmanager
    def loading(self) -> Iterator[None]:
        """What may take for ever, on a network disk that does not answer, and may be left at any place.

        Raises:
            LoadingInterrupted: a signal asked the loop to end, before or meanwhile.
        """
        self._loading = True
        try:
            if self._requested:
                raise LoadingInterrupted
            yield
        finally:
            self._loading = False


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A :class:`StopRequest` that signals set, for a loop to end after the step it is in; a second Ctrl-C ends it at once.

    Launchers and schedulers pass on signals that the process has got already: more of the same are ignored, and Ctrl-C within
    seconds. Signals that the process was started to ignore stay so: nohup's SIGHUP, Ctrl-C of jobs in the background.
    """
    stop, since = StopRequest(), monotonic()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    # None: one that is not Python's, and could not be put back
    before = {number: old for number, old in handlers.items() if old is not None and old != signal.SIG_IGN}

    def handle(number: int, _: object) -> None:
        nonlocal since
        if number == signal.SIGINT and stop.is_set() and monotonic() - since > SECOND_CTRL_C:
            raise KeyboardInterrupt
        if not stop.is_set():
            since = monotonic()
            stop.set()

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
