"""Files of weights: PyTorch's and safetensors', read without running anything that they may hold."""

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
    """The tensors of a file, on the CPU; a pickle that holds more than tensors is refused, as opening it runs its code.

    Names are without what wrappers put into them: ``module.`` of DataParallel, DistributedDataParallel and
    ``AveragedModel``, ``_orig_mod.`` of ``torch.compile``, FSDP's. State dicts are also found inside ``state_dict``,
    ``model`` and the like, where Lightning and others keep them, and of a model and its moving average the average is
    taken (``ema``, ``ema_model``, ``state_dict_ema``, …); ``part`` names the other one.

    Args:
        path: ``.safetensors``, or anything ``torch.save`` wrote, of any age.
        part: which of several state dicts to take: a name in the file, or the beginning of the tensors' names, with or
            without what stands before it: ``"netG_A"`` for ``state_dict.netG_A.model.1.weight``.

    Returns:
        Tensors by name.

    Raises:
        ValueError: no such file, damaged (by the CRC-32 of PyTorch's files, the SHA-256 of :func:`save_weights`), not
            a file of weights, a pickle with objects in it, several state dicts and no part, no such part.

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
    if not isinstance(held, Mapping) or not held or not all(_is_entry(*item) for item in held.items()):
        raise ValueError(f"{str(path)!r} is no state dict, tensors by name, it holds {described(held)}{hint}")
    return _averaged(bare_state(held))


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the weights of a module, as safetensors where the name ends so, otherwise by ``torch.save``.

    The file is written whole or not at all: on a full disk the old one stays. :func:`load_weights` and
    :func:`read_state_dict` notice every damage: safetensors get a SHA-256 of the tensors in their metadata, and
    ``torch.save`` gives every entry a CRC-32. Names are those of the module inside wrappers such as
    DistributedDataParallel, ``torch.compile`` and ``AveragedModel``, whose own counters are not saved. Weights that two
    of its parts share are written once to safetensors, and shared again by :func:`load_weights`.

    Args:
        module: any.
        path: of the file; its folder must exist.

    Raises:
        ValueError: the folder is missing, or no module is given; entries of its state dict that are no tensors, such as
            ``get_extra_state`` adds, or are on the meta device.
        OSError: no room, no permission, a folder, device or pipe of that name; what was there before is untouched then.
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
    shared = _twins(state)
    twins = {name: others[0] for name, others in shared.items() if others[0] != name}
    # the library refuses views of one storage
    dense = {name: value.detach().clone().contiguous() for name, value in state.items() if name not in twins}
    content = safetensors_library().save(dense, metadata=twins | {CHECKSUM: digest(state)})
    write_whole(path, lambda file: file.write(content))


def load_weights(module: nn.Module, path: str | Path, part: str | None = None) -> None:
    """Fill a module with the weights of a file that :func:`save_weights` wrote, or any other that holds them.

    They may lie deeper in the file, as those of one network in a Lightning checkpoint or in the training state of an
    example do: the one part that has the module's names and shapes is taken, and of a model and its moving average the
    average. The module may be wrapped.

    Args:
        module: built as the one that was saved was; stays as it is where the file does not fit.
        path: of the file.
        part: as in :func:`read_state_dict`, where several networks of the file fit.

    Raises:
        ValueError: as :func:`read_state_dict`, and weights of another module, with the first key that differs; of
            another kind of type than the module's; parameters that are NaN or infinite, or would be in the module's
            type; a module that :func:`save_weights` refuses.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module must be an nn.Module, got {type(module).__name__}")
    module = unwrapped(module)
    full = _tensors_of(module)
    held, names, own = read_file(path), bare_names(full), bare_state(full)
    shapes = {name: value.shape for name, value in own.items()}
    twins = _twins(own)

    def completed(state: StateDict) -> StateDict:
        """What was written once fills all that share it."""
        present = {name: next((twin for twin in others if twin in state), name) for name, others in twins.items()}
        return state | {name: state[twin] for name, twin in present.items() if name not in state and twin in state}

    def fits(node: Tree) -> bool:
        heads = {name.split(".")[0] for name in own}
        return node.keys() <= heads and first_difference(shapes, completed(flat_of(node))) is None

    refused = f"{str(path)!r} holds no weights of this {type(module).__name__}"
    how = "load_weights(module, path, part={!r})"
    found = find(tree_of(held), fits, part, refused, how) if isinstance(held, Mapping) else None
    state = completed(read_state_dict(path, part) if found is None else found)
    if difference := first_difference(shapes, state):
        raise ValueError(f"{refused}: {difference}; build it as the one that was saved was, replaced layers included")
    learned = {names.get(name, name) for name, _ in module.named_parameters(remove_duplicate=False)}
    check_weights(state, refused, own, finite=learned)
    for name, others in twins.items():
        for twin in others:
            if twin != name and not torch.equal(state[name], state[twin]):
                raise ValueError(
                    f"{refused}: it shares {name!r} and {twin!r}, which differ in the file; build it without sharing"
                )
    module.load_state_dict({name: state.get(names[name], value) for name, value in full.items()})


def _tensors_of(module: nn.Module) -> StateDict:
    """Its state dict, of tensors with values only."""
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


def _is_entry(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _without_containers(held: Any) -> tuple[Any, str]:
    """What lies in ``state_dict`` and the like, averages first, and what to say where that is no state dict."""
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
    """The averaged weights of a wrapper that keeps both, as ema_pytorch's does."""
    kept = {name.removeprefix("ema_model."): value for name, value in state.items() if name.startswith("ema_model.")}
    return kept or state


def _twins(state: StateDict) -> dict[str, list[str]]:
    """To each name all names of the same weight, itself among them, in their order."""
    groups: dict[Any, list[str]] = {}
    places = {
        name: (value.untyped_storage()._cdata, value.storage_offset(), value.shape, value.stride())
        for name, value in state.items()
    }
    for name, place in places.items():
        groups.setdefault(place, []).append(name)
    return {name: groups[place] for name, place in places.items()}
