"""Files that are written whole or not at all: beside the old one, brought to the disk, renamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace a file by what ``write`` writes; whatever happens meanwhile, the old or the new one is there to its end.

    Several may write the same path at the same time: the last one that ends stays. The mode of the old file is kept.

    Args:
        path: of the file.
        write: given a file opened for it.

    Raises:
        OSError: no room, no permission, a folder, device or pipe of that name; what was there before is untouched then.
    """
    path = path.resolve()  # a link stays one
    old = path.stat() if path.exists() else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OSError(f"{str(path)!r} is no regular file, which writing to it would replace; give another path")
    new = path.with_name(f".new-{uuid4().hex}")  # no longer than a name may be, however long that of the file is
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
    """Write a file and wait until the disk has it.

    Raises:
        OSError: no room, no permission.
    """
    with path.open("wb") as file:
        try:
            write(file)
        except RuntimeError as error:  # in closing its archive torch.save hides why that could not be written
            cause = error.__context__
            raise cause if isinstance(cause, OSError) else OSError(str(error)) from error
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
