"""Messages that cannot be written do not end a run: a full disk under ``> log``, a pipe or a terminal that is gone.

By hand: Python raises, and neither logging nor tqdm covers what libraries print.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

from asymkit.console import print_in_any_encoding

_problems: list[str] = []
"""Why messages of this process were lost, each reason once."""


def ignore_output_errors() -> None:
    """Until the process ends, drop what standard output and standard error cannot take, instead of raising."""
    for number in range(3):
        # a file opened later would get the free number, and what libraries print would be written into it
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    print_in_any_encoding()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # Python's for one that was closed
            _lost(f"{name} was closed")
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for as long as the process lives
        if not isinstance(stream, _Spared):
            setattr(sys, name, cast(TextIO, _Spared(name, stream)))


def output_errors() -> str | None:
    """Why messages could not be written, if some could not."""
    return "; ".join(_problems) or None


def _lost(problem: str) -> None:
    if problem not in _problems:
        _problems.append(problem)


class _Spared:
    """A text stream whose failures are remembered instead of raised; it tries again with every message."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name, self._stream = name, stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            _lost(f"{self._name}: {error}")
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            _lost(f"{self._name}: {error}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
