"""Atomic, durable writing of files: written to a temporary file, synced, and renamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace a file atomically: at any time, also after a crash, either the old or the new content is complete.

    If several processes write the same path at the same time, the last one to finish wins. The mode of the old file is kept.

    Args:
        path: of the file.
        write: called with the temporary file, opened for writing.

    Raises:
        OSError: the disk is full, permission is missing, or path is a folder, device or pipe; the old file is unchanged.
    """
    path = path.resolve()  # follows symbolic links, so that they are kept
    old = path.stat() if path.exists() else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OSError(f"{str(path)!r} is no regular file, which writing to it would replace; give another path")
    new = path.with_name(f".new-{uuid4().hex}")  # a short name, since path.name may be as long as allowed
    try:
        new.touch(0o666 if old is None else 0o600, exist_ok=False)
        write_to_disk(new, write)
        if old is not None:
            new.chmod(stat.S_IMODE(old.st_mode))
        new.replace(path)
        sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)


def write_to_disk(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file and sync it to the disk.

    Raises:
        OSError: the disk is full, or permission is missing.
    """
    with path.open("wb") as file:
        try:
            write(file)
        except RuntimeError as error:  # torch.save hides the OSError when it closes its archive
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to the disk, on systems that support it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
