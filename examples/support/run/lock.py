"""A folder that one run has at a time."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import IO

LOCK = ".lock"

_locks: dict[tuple[int, int], IO[str]] = {}
"""By device and number of the file, which stay when folders are renamed. Open for as long as the process lives; the
system lets go of them however it ends."""


def hold(folder: Path) -> None:
    """Keep other processes out of a folder for as long as this one lives.

    Raises:
        ValueError: another one holds it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows, where two runs in one folder are not noticed
        return
    # opened without emptying it: the number in it is the other run's until the lock is had
    lock = (folder / LOCK).open("a+", encoding="utf-8")
    file = os.fstat(lock.fileno())
    if (file.st_dev, file.st_ino) in _locks:
        lock.close()
        return
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
    _locks[file.st_dev, file.st_ino] = lock
    atexit.register(lock.close)


def let_go() -> None:
    """In a process that was forked: leave the folders to the one it came from."""
    for lock in _locks.values():
        lock.close()
