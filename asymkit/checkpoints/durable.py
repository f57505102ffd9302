"""Files that are written whole or not at all: beside the old one, brought to the disk, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace a file by what ``write`` writes; whatever happens meanwhile, the old or the new one is there to its end.

    Args:
        path: of the file.
        write: given a file opened for it.

    Raises:
        OSError: no room, no permission; what was there before is untouched then.
    """
    path = path.resolve()  # a link stays one
    new = path.with_name(f"{path.name}.new")
    try:
        write_to_disk(new, write)
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
