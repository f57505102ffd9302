"""Reading of weights files, without running code from them, with verification of their checksums."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asymkit.optional import needed_for

CHECKSUM = "asymkit.sha256"
"""Key of :func:`digest` in the metadata of a safetensors file."""


def read_file(path: str | Path) -> Any:
    """The contents of a weights file, on the CPU; checksums are verified, and no code in the file is run.

    Raises:
        ValueError: the file is missing, damaged, or a pickle with other objects than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file {str(path)!r}")
    return _from_safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)


def file_of(path: str | Path) -> Path:
    """The weights file in a folder: a run's training state, or the weights of a folder to share or for the hub.

    Args:
        path: the folder, or a file, which is returned as it is.

    Raises:
        ValueError: a folder with neither of them.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for name in ("checkpoint.pt", "model.safetensors"):
        if (path / name).exists():
            return path / name
    raise ValueError(
        f"{str(path)!r} has neither a checkpoint.pt, as the folder of a run, nor a model.safetensors, as one to share or "
        "for the hub; give such a folder or a weights file"
    )


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, dtypes, shapes and bytes of tensors, in hexadecimal."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def safetensors_library() -> Any:
    """``safetensors.torch``, or an ImportError that names the extra to install."""
    with needed_for("a safetensors file", '"asymkit[hub]"'):
        import safetensors.torch
    return safetensors.torch


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    library = safetensors_library()
    try:
        with library.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except Exception as error:
        raise ValueError(f"{str(path)!r} is no safetensors file, or damaged: {error}") from error
    wanted = metadata.pop(CHECKSUM, None)
    # shared weights
    state |= {name: state[twin] for name, twin in metadata.items() if name not in state and twin in state}
    if wanted is not None and wanted != digest(state):
        raise ValueError(f"{str(path)!r} is damaged: its tensors are not those that were written, by their SHA-256")
    return state


def _check_archive(path: Path) -> None:
    """Verify the CRC-32 of every entry, which torch.load does not; 0 means none (``set_crc32_options(False)``)."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as file:
                while entry.CRC and file.read(1 << 20):
                    pass


def _unpickled(path: Path) -> Any:
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        with warnings.catch_warnings():  # about what is refused right afterwards
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{str(path)!r} is not loaded: it is damaged, or holds more than tensors, and opening such a file runs code from "
            "it; where you trust it, open it in the code it came from and save state_dict() of its networks"
        ) from error
    except Exception as error:  # torch.load raises whatever the broken byte happened to hit
        raise ValueError(f"{str(path)!r} is no file of weights, or damaged: {error}") from error
