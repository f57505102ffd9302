"""Files that are whole or not there: written beside, brought to the disk, renamed; with a checksum, the one before kept.

By hand: torch.save and libraries of atomic writes keep no checksum and no previous file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from asymkit.checkpoints.durable import sync_folder, write_to_disk, write_whole


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file; whatever happens meanwhile, the old or the new one is there to its end.

    Args:
        path: of the file.
        content: all of it.

    Raises:
        OSError: no room, no permission; what was there before is untouched then.
    """
    write_whole(path, lambda file: file.write(content))


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """The same for values by name.

    Raises:
        OSError: as above.
    """
    write_atomic(path, (json.dumps(values, indent=2) + "\n").encode())


def write_with_checksum(path: Path, write: Callable[[BinaryIO], object], keep_previous: bool = True) -> None:
    """Replace a file by what ``write`` writes, with a checksum beside it, and keep the one that was there as the previous.

    Whenever the power fails or the process is killed, :func:`file_and_previous` finds a file that was written to its end.

    Args:
        path: of the file.
        write: given the open file.
        keep_previous: the file that was there, if it is whole, with its checksum.

    Raises:
        OSError: no room, no permission; what was there before is untouched then.
    """
    new, checksum = path.with_name(f"{path.name}.new"), checksum_of(path)
    new_checksum = checksum_of(new)
    try:
        write_to_disk(new, write)
        line = f"{digest(new)}  {path.name}\n".encode()  # what `sha256sum --check` reads
        write_to_disk(new_checksum, lambda file: file.write(line))
        if keep_previous:
            if path.exists() and _problem_of(path) is None:  # a damaged one does not take the place of a good one
                _also_as(path, previous_of(path))
                _also_as(checksum, checksum_of(previous_of(path)))
            # in between, the checksum is not this file's, but the previous file is the same and has its own
            new_checksum.replace(checksum)
            new.replace(path)
        else:  # in between, there is no checksum
            checksum.unlink(missing_ok=True)
            new.replace(path)
            new_checksum.replace(checksum)
        sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)
        new_checksum.unlink(missing_ok=True)


def file_and_previous(path: Path) -> Iterator[tuple[Path, str | None]]:
    """The file and the previous one, as far as they are there, each with what is wrong with it, or None."""
    for candidate in (path, previous_of(path)):
        if candidate.exists():
            yield candidate, _problem_of(candidate)


def _problem_of(path: Path) -> str | None:
    """Why a file cannot be read or is not what its checksum says, if it has one."""
    checksum = checksum_of(path)
    try:
        if not checksum.exists():
            return None
        wanted = checksum.read_bytes().split()[:1]
        if not wanted or not re.fullmatch(rb"[0-9a-f]{64}", wanted[0]):
            return f"its SHA-256 in {checksum.name!r} is damaged; if the file itself is trusted, delete that one"
        same = wanted[0] == digest(path).encode()
    except OSError as error:
        return str(error)
    return None if same else "its bytes are not those that were written, by their SHA-256"


def previous_of(path: Path) -> Path:
    """Where the file before this one is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def checksum_of(path: Path) -> Path:
    """Where the SHA-256 of a file is kept."""
    return path.with_name(f"{path.name}.sha256")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _also_as(path: Path, name: Path) -> None:
    """Give a file a second name, replacing what had it; a copy where the file system knows no links."""
    if not path.exists():
        name.unlink(missing_ok=True)
        return
    between = name.with_name(f"{name.name}.new")
    between.unlink(missing_ok=True)
    try:
        try:
            os.link(path, between)
        except OSError:
            shutil.copyfile(path, between)
        between.replace(name)
    finally:
        between.unlink(missing_ok=True)
