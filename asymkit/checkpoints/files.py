"""Files of weights: PyTorch's and safetensors', read without running anything that they may hold."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

StateDict = dict[str, Tensor]


def read_state_dict(path: str | Path, part: str | None = None) -> StateDict:
    """The tensors of a file, on the CPU; a pickle that holds more than tensors is refused, as opening it runs its code.

    Args:
        path: ``.safetensors``, or anything ``torch.save`` wrote, of any age.
        part: which of several state dicts to take, where a file holds them by name, as MUNIT's and many trainers' do.

    Returns:
        Tensors by name.

    Raises:
        ValueError: no such file, not a file of weights, a pickle with objects in it, several state dicts and no part.

    Example:
        >>> import tempfile, os
        >>> file = os.path.join(tempfile.mkdtemp(), "latest.pth")
        >>> torch.save({"a": nn.Linear(2, 1).state_dict(), "b": nn.Linear(3, 1).state_dict()}, file)
        >>> read_state_dict(file, part="b")["weight"].shape
        torch.Size([1, 3])
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file {str(path)!r}")
    held: Any
    if path.suffix == ".safetensors":
        library = _safetensors()
        try:
            held = library.load_file(path)
        except Exception as error:
            raise ValueError(f"{str(path)!r} is no safetensors file: {error}") from error
    else:
        held = _unpickled(path)
    if part is not None:
        if not isinstance(held, Mapping) or part not in held:
            raise ValueError(f"part {part!r} is not in {str(path)!r}, which holds {_names(held)}")
        held = held[part]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        hint = "; give one of them as part" if isinstance(held, Mapping) and part is None else ""
        raise ValueError(f"{str(path)!r} is no state dict, tensors by name, it holds {_names(held)}{hint}")
    return dict(held)


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the weights of a module, as safetensors where the name ends so, otherwise by ``torch.save``.

    Weights that two of its parts share are written once to safetensors, and shared again by :func:`load_weights`.

    Args:
        module: any.
        path: of the file; its folder must exist.

    Raises:
        ValueError: the folder is missing.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"no folder {str(path.parent)!r} to write {path.name!r} to")
    if path.suffix == ".safetensors":
        _safetensors().save_model(module, str(path))
    else:
        torch.save(module.state_dict(), path)


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill a module with the weights of a file that :func:`save_weights` wrote.

    Args:
        module: built as the one that was saved was; stays as it is where the file does not fit.
        path: of the file.

    Raises:
        ValueError: as :func:`read_state_dict`, and weights of another module, with the first key that differs.
    """
    state, own = read_state_dict(path), module.state_dict()
    for name, value in own.items():  # what was written once fills all that share it
        for twin in (other for other in state.keys() & own.keys() if other != name and _same(own[other], value)):
            if not torch.equal(state.setdefault(name, state[twin]), state[twin]):
                raise ValueError(
                    f"{str(path)!r} holds no weights of this {type(module).__name__}: it shares {name!r} and {twin!r}, which "
                    "differ in the file; build it without sharing"
                )
    if difference := first_difference({name: value.shape for name, value in own.items()}, state):
        raise ValueError(f"{str(path)!r} holds no weights of this {type(module).__name__}: {difference}")
    module.load_state_dict(state)


def first_difference(expected: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> str | None:
    """Where a state dict leaves what is expected: the first key it has too many, lacks, or has in another shape."""
    for key in state:
        if key not in expected:
            return f"the first differing key is {key!r}, which does not belong there"
    for key, shape in expected.items():
        if key not in state:
            return f"the first differing key is {key!r}, which is missing"
        if state[key].shape != shape:
            return f"the first differing key is {key!r}, of shape {tuple(state[key].shape)} instead of {tuple(shape)}"
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two names stand for one weight."""
    place = (a.untyped_storage()._cdata, a.storage_offset(), a.shape, a.stride())
    return place == (b.untyped_storage()._cdata, b.storage_offset(), b.shape, b.stride())


def _unpickled(path: Path) -> Any:
    try:
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


def _names(held: Any) -> str:
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    names = [repr(name) for name in held]
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or "nothing"


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise ImportError('safetensors files need: pip install "asymkit[hub]"') from error
    return safetensors.torch
