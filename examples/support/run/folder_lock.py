"""A folder that one run has at a time."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

LOCK, PROCESS = ".lock", ".lock.pid"

_locks: dict[tuple[int, int], FileLock] = {}
"""By device and inode of the lock file, which stay when folders are renamed. Held for as long as the process lives; the
system lets go of them however it ends, and processes that are forked do not hold them."""


def lock_folder(folder: Path) -> None:
    """Keep other processes out of a folder for as long as this one lives.

    Raises:
        ValueError: another one holds it.
    """
    path = folder / LOCK
    if path.exists() and _inode(path) in _locks:
        return
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = (folder / PROCESS).read_text(encoding="utf-8") if (folder / PROCESS).exists() else "another"
        raise ValueError(
            f"out: process {other} is training in {str(folder)!r}; wait for it, or give another --out"
        ) from None
    # beside it: Windows lets nobody read a locked file
    (folder / PROCESS).write_text(str(os.getpid()), encoding="utf-8")
    _locks[_inode(path)] = lock


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
