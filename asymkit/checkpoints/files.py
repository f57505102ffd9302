"""Weights files, of PyTorch and safetensors, which are loaded without running code from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asymkit.checkpoints.durable import write_whole
from asymkit.state_dicts import (
    StateDict,
    Tree,
    bare_names,
    bare_state,
    check_weights,
    described,
    find,
    first_difference,
    flat_of,
    is_average,
    nodes_of,
    short_of,
    tree_of,
    unwrapped,
)
from asymkit.weight_files import CHECKSUM, digest, read_file, safetensors_library


def read_state_dict(path: str | Path, part: str | None = None) -> StateDict:
    """Read the state dict in a weights file, on the CPU, without running code from the file.

    The prefixes of wrappers are removed from names: ``module.`` of DataParallel, DistributedDataParallel and
    ``AveragedModel``, ``_orig_mod.`` of ``torch.compile``, and FSDP's. State dicts are also found under ``state_dict``,
    ``model`` and similar keys, as in Lightning's files. If the file has a model and its moving average (``ema``,
    ``ema_model``, ``state_dict_ema``, …), the average is read; ``part`` selects the other.

    Args:
        path: a ``.safetensors`` file, or one written by any version of ``torch.save``.
        part: which of several state dicts to read: a key in the file, or a component of the tensors' names, such as
            ``"netG_A"`` for ``state_dict.netG_A.model.1.weight``.

    Returns:
        Tensors by name.

    Raises:
        ValueError: the file is missing, damaged (by the CRC-32 of PyTorch's files or the SHA-256 of :func:`save_weights`),
            no weights file, or a pickle with other objects than tensors and plain values; it has several state dicts and
            part is None, or no such part.

    Example:
        >>> import os, tempfile, torch
        >>> from asymkit import read_state_dict
        >>> file = os.path.join(tempfile.mkdtemp(), "latest.pth")
        >>> torch.save({"a": torch.nn.Linear(2, 1).state_dict(), "b": torch.nn.Linear(3, 1).state_dict()}, file)
        >>> read_state_dict(file, part="b")["weight"].shape
        torch.Size([1, 3])
    """
    held = read_file(path)
    if part is not None and not isinstance(part, str):
        raise ValueError(f"part must be a name in the file, got {part!r}")
    if isinstance(held, Mapping) and part is not None and part not in held:
        return _averaged(_part_of(held, part, path))
    held, hint = (held[part], "") if isinstance(held, Mapping) and part is not None else _without_containers(held)
    entries = held.items() if isinstance(held, Mapping) else ()
    if not entries or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in entries):
        raise ValueError(f"{str(path)!r} is no state dict, tensors by name, it holds {described(held)}{hint}")
    return _averaged(bare_state(held))


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the weights of a module, as safetensors if the path ends in ``.safetensors``, else by ``torch.save``.

    The file is replaced atomically, so that an old one stays if the disk is full. :func:`load_weights` and
    :func:`read_state_dict` detect damage: safetensors files get a SHA-256 of the tensors in their metadata, and
    ``torch.save`` writes a CRC-32 for each entry. Names are those of the module inside wrappers such as
    DistributedDataParallel, ``torch.compile`` and ``AveragedModel``, whose own counters are not saved. Shared weights are
    written once to safetensors, and restored by :func:`load_weights`.

    Args:
        module: any module.
        path: of the file; its folder must exist.

    Raises:
        ValueError: the folder is missing, module is not a module, or an entry of its state dict is not a tensor, as
            ``get_extra_state`` may add, or is on the meta device.
        OSError: the disk is full, permission is missing, or path is a folder, device or pipe; the old file is unchanged.
    """
    path = Path(path)
    if not isinstance(module, nn.Module):
        raise ValueError(f"module must be an nn.Module, got {type(module).__name__}")
    if not path.parent.is_dir():
        raise ValueError(f"no folder {str(path.parent)!r} to write {path.name!r} to")
    state = bare_state(_tensors_of(unwrapped(module)))
    if path.suffix != ".safetensors":
        write_whole(path, lambda file: torch.save(state, file))
        return
    twins = {name: first for first, *others in _shared(state) for name in others}
    # the library refuses views of one storage
    dense = {name: value.detach().clone().contiguous() for name, value in state.items() if name not in twins}
    content = safetensors_library().save(dense, metadata=twins | {CHECKSUM: digest(state)})
    write_whole(path, lambda file: file.write(content))


def load_weights(module: nn.Module, path: str | Path, part: str | None = None) -> None:
    """Load the weights of a module from a file of :func:`save_weights`, or any other weights file or training state.

    The weights may be nested in the file, such as one network of a Lightning file or of an example's training state: the
    part with the module's names and shapes is loaded, and of a model and its moving average the average. The module may be
    wrapped.

    Args:
        module: built with the same arguments as the one that was saved; unchanged if an error is raised.
        path: of the file.
        part: as in :func:`read_state_dict`, needed if several networks in the file fit.

    Raises:
        ValueError: as :func:`read_state_dict`; the weights are of another module (the message has the first key that
            differs), of an incompatible dtype, or NaN or infinite, also after conversion to the module's dtype; or
            :func:`save_weights` would refuse the module.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module must be an nn.Module, got {type(module).__name__}")
    module = unwrapped(module)
    full = _tensors_of(module)
    held, names, own = read_file(path), bare_names(full), bare_state(full)
    shapes = {name: value.shape for name, value in own.items()}
    shared = _shared(own)

    def completed(state: StateDict) -> StateDict:
        """The state dict with shared weights under all of their names."""
        for names in shared:
            if present := [state[name] for name in names if name in state]:
                state = state | {name: present[0] for name in names if name not in state}
        return state

    def fits(node: Tree) -> bool:
        return first_difference(shapes, completed(flat_of(node))) is None

    refused = f"{str(path)!r} holds no weights of this {type(module).__name__}"
    how = "load_weights(module, path, part={!r})"
    found = find(tree_of(held), fits, part, refused, how) if isinstance(held, Mapping) else None
    state = completed(read_state_dict(path, part) if found is None else found)
    if difference := first_difference(shapes, state):
        raise ValueError(f"{refused}: {difference}; build it as the one that was saved was, replaced layers included")
    learned = {names.get(name, name) for name, _ in module.named_parameters(remove_duplicate=False)}
    check_weights(state, refused, own, finite=learned)
    for name, *others in shared:
        for twin in others:
            if not torch.equal(state[name], state[twin]):
                raise ValueError(
                    f"{refused}: it shares {name!r} and {twin!r}, which differ in the file; build it without sharing"
                )
    module.load_state_dict({name: state.get(names[name], value) for name, value in full.items()})


def _tensors_of(module: nn.Module) -> StateDict:
    """The state dict of a module, refused if an entry is not a tensor or is on the meta device."""
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"module: {name!r} in its state dict is a {type(value).__name__}, as get_extra_state() may add, expected "
                "a tensor; keep it elsewhere, or use torch.save and torch.load for the whole state dict"
            )
        if value.is_meta:
            raise ValueError(
                f"module: {name!r} is on the meta device, which holds no values; call module.to_empty(device=...), then "
                "fill or load it"
            )
    return state


def _without_containers(held: Any) -> tuple[Any, str]:
    """The mapping inside ``state_dict`` and similar keys, averages first, and a hint for the message if it is ambiguous."""
    while isinstance(held, Mapping) and not all(isinstance(value, Tensor) for value in held.values()):
        inside = [name for name in held if isinstance(name, str) and isinstance(held[name], Mapping) and held[name]]
        known = [name for name in inside if not short_of(name)]
        known = [name for name in known if is_average(name)] or known
        if len(known) != 1:
            return held, "; give one of them as part" if inside else ""
        held = held[known[0]]
    return held, ""


def _part_of(held: Mapping[Any, Any], part: str, path: str | Path) -> StateDict:
    tree = tree_of(held)
    state = find(tree, lambda node: bool(flat_of(node)), part, str(path))
    if state is None:
        inside = {short_of(name): None for name, _ in nodes_of(tree)}
        names = [name for name in inside if name and "." not in name]
        raise ValueError(
            f"part {part!r} is not in {str(path)!r}, which holds {described(dict.fromkeys(names or held))}"
        )
    return state


def _averaged(state: StateDict) -> StateDict:
    """Of a wrapper that has both, such as ema_pytorch's, the averaged weights."""
    kept = {name.removeprefix("ema_model."): value for name, value in state.items() if name.startswith("ema_model.")}
    return kept or state


def _shared(state: StateDict) -> list[list[str]]:
    """The names of each weight that has several."""
    groups: dict[Any, list[str]] = {}
    for name, value in state.items():
        place = (value.untyped_storage()._cdata, value.storage_offset(), value.shape, value.stride())
        groups.setdefault(place, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
