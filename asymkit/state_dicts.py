"""State dicts: removal of wrappers' prefixes, search for networks in nested mappings, and checks of weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

StateDict = dict[str, Tensor]
Tree = dict[str, Any]
"""Nested dicts of tensors, one level for each component of their dotted names."""

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Components that DataParallel, AveragedModel, timm's ModelEma, torch.compile, FSDP and gradient checkpointing put into names."""

COUNTERS = frozenset({"n_averaged"})
"""Entries that AveragedModel keeps beside its ``module``."""

EMA_COUNTERS = frozenset({"initted", "step"})
"""Entries that ema_pytorch's EMA keeps beside its ``ema_model``."""

AVERAGE = re.compile(r"^(?:ema|average|averaged|shadow)(?:_|$)|_ema$")
"""What the component of a moving average is called: ``ema_model``, ``state_dict_ema``, ``g_ema``, ``average``."""

CONTAINERS = frozenset({"", "model", "online_model", "state_dict", "model_state_dict", "params", "parts"})
"""Components that are containers and no part of a network's name."""


def bare_name(name: str) -> str:
    """A dotted name without the components of wrappers, except for the last component."""
    *path, last = name.split(".")
    return ".".join([*(component for component in path if component not in WRAPPERS), last])


def bare_names(names: Mapping[str, object]) -> dict[str, str]:
    """From names to names without the components of wrappers; unchanged if two names would become equal."""
    bare = {name: bare_name(name) for name in names}
    return bare if len(set(bare.values())) == len(bare) else {name: name for name in names}


def bare_state(state: Mapping[str, Tensor]) -> StateDict:
    """A state dict without the components of wrappers in its names and without wrappers' counters."""
    names = bare_names(state)
    return {names[name]: value for name, value in state.items() if not _is_counter(name, state)}


def _is_counter(name: str, state: Mapping[str, object]) -> bool:
    """Whether an entry is a wrapper's counter: all entries beside it are weights of the wrapped module."""
    before, dot, last = name.rpartition(".")
    head = before + dot
    beside = [other for other in state if other.startswith(head) and other != name] if last in COUNTERS else []
    return bool(beside) and all(other.startswith(f"{head}module.") for other in beside)


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside wrappers such as DataParallel, torch.compile and AveragedModel; of an average, the averaged module.

    A module with parameters or buffers of its own, other than the counters of averages, is not a wrapper.
    """
    inner = ("ema_model", *WRAPPERS)
    children = dict(module.named_children())
    own = [*module._parameters, *module._buffers]
    counters = EMA_COUNTERS if "ema_model" in children else COUNTERS
    if children and children.keys() <= {*inner, "online_model"} and counters.issuperset(own):
        for name in inner:
            if name in children:
                return unwrapped(children[name])
    return module


def tree_of(held: Mapping[Any, Any]) -> Tree:
    """All tensors of nested mappings as a tree, without the components of wrappers."""
    root: Tree = {}
    for name, value in bare_state(flat_of(held)).items():
        *path, last = name.split(".")
        node = root
        for component in path:
            node = node.setdefault(component, {})
            if not isinstance(node, dict):
                raise ValueError(f"state_dict: {name!r} and a tensor named like the beginning of it cannot both be")
        if last in node:
            raise ValueError(f"state_dict: {name!r} is there both as a tensor and as the beginning of other names")
        node[last] = value
    return root


def flat_of(held: Mapping[Any, Any]) -> StateDict:
    """All tensors of nested mappings by their dotted names."""
    flat: StateDict = {}
    for key, value in held.items():
        if isinstance(key, str) and isinstance(value, Tensor):
            flat[key] = value
        elif isinstance(key, str) and isinstance(value, Mapping):
            flat |= {f"{key}.{name}": tensor for name, tensor in flat_of(value).items()}
    return flat


def nodes_of(tree: Tree, path: str = "") -> Iterator[tuple[str, Tree]]:
    """All subtrees of a tree with their dotted paths, itself first."""
    yield path, tree
    for name, child in tree.items():
        if isinstance(child, dict):
            yield from nodes_of(child, f"{path}.{name}" if path else name)


def find(
    tree: Tree, fits: Callable[[Tree], bool], part: str | None, what: str, how: str = "read_state_dict(path, part={!r})"
) -> StateDict | None:
    """The state dict in a tree that a predicate accepts; of a network and its moving average, the average.

    Args:
        tree: of :func:`tree_of`.
        fits: predicate of a subtree.
        part: the last components of its path, or None for any.
        what: description of what is searched for, for the message.
        how: how to choose one of several, for the message, with a ``{!r}`` for its name.

    Returns:
        A state dict, or None if none is accepted.

    Raises:
        ValueError: several are accepted (the message names them), or part is not a string.
    """
    if part is not None and not isinstance(part, str):
        raise ValueError(f"part must be a name in the file, got {part!r}")
    found = fitting(tree, fits, part)
    if len(found) > 1:
        names = ", ".join(map(repr, found))
        raise ValueError(
            f"{what}: there are several, {names}; choose one by part, as in {how.format(next(iter(found)))}"
        )
    return next((flat_of(node) for node in found.values()), None)


def fitting(tree: Tree, fits: Callable[[Tree], bool], part: str | None = None) -> dict[str, Tree]:
    """All subtrees that a predicate accepts, by path; of a network and its moving average, the average."""
    found: dict[str, Tree] = {}
    for path, node in nodes_of(tree):
        inside = any(not outer or path.startswith(f"{outer}.") for outer in found)
        if not inside and (part is None or _ends(path, part)) and fits(node):
            found[path] = node
    averages = {short_of(path) for path in found if is_average(path)}
    return {path: node for path, node in found.items() if is_average(path) or short_of(path) not in averages}


def short_of(path: str) -> str:
    """A path without the components of containers and averages."""
    bare = (AVERAGE.sub("", component) for component in path.split("."))
    return ".".join(component for component in bare if component not in CONTAINERS)


def is_average(path: str) -> bool:
    """Whether a path is that of a moving average."""
    return any(AVERAGE.search(component) for component in path.split("."))


def check_weights(
    state: Mapping[str, Tensor],
    what: str = "state_dict",
    like: Mapping[str, Tensor] | None = None,
    finite: Container[str] | None = None,
) -> None:
    """Refuse tensors that cannot be weights: not floating point, not dense, without values, or not finite.

    Values are checked on the CPU only.

    Args:
        state: tensors by name.
        what: name of the state dict, for the message.
        like: tensors of the same names, whose kind of dtype is required; None for floating point.
        finite: names of tensors that must be finite, also after conversion to the dtype of ``like``; None for all.

    Raises:
        ValueError: a tensor cannot be a weight; the message names the first one.
    """
    for name, value in state.items():
        wanted = torch.float32 if like is None else like[name].dtype
        if _kind(value.dtype) != _kind(wanted):
            expected = "floating point" if wanted.is_floating_point else str(wanted)
            raise ValueError(
                f"{what}: {name!r} is of type {value.dtype}, expected {expected}; convert it where it comes from"
            )
        if value.is_meta or value.layout != torch.strided:
            kind = "is on the meta device, without values" if value.is_meta else f"is of layout {value.layout}"
            raise ValueError(
                f"{what}: {name!r} {kind}, expected a dense tensor; save it from a network that holds its weights"
            )
        if value.device.type == "cpu" and (finite is None or name in finite):
            if not _is_finite(value):
                raise ValueError(
                    f"{what}: {name!r} holds NaN or infinity; the training it comes from diverged, take an earlier file of it"
                )
            if value.dtype != wanted and not _is_finite(value.to(wanted)):
                raise ValueError(
                    f"{what}: {name!r} is of type {value.dtype} and holds values too large for {wanted}, in which it would "
                    f"be infinite; load it into a module of type {value.dtype}"
                )


def first_difference(expected: Mapping[str, torch.Size], state: Mapping[str, Tensor]) -> str | None:
    """The first key that is unexpected, missing or of another shape, as text; None if there is none."""
    for key in state:
        if key not in expected:
            return f"the first differing key is {key!r}, which does not belong there"
    for key, shape in expected.items():
        if key not in state:
            return f"the first differing key is {key!r}, which is missing"
        if state[key].shape != shape:
            return f"the first differing key is {key!r}, of shape {tuple(state[key].shape)} instead of {tuple(shape)}"
    return None


def described(held: Any) -> str:
    """The keys of a mapping, or the type of another object, for a message."""
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    names = [repr(name) for name in held]
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or "nothing"


def _kind(dtype: torch.dtype) -> str | torch.dtype:
    return "floating point" if dtype.is_floating_point else "complex" if dtype.is_complex else dtype


def _is_finite(value: Tensor) -> bool:
    # float8 does not support isfinite
    return bool((value if value.element_size() > 1 else value.float()).isfinite().all())


def _ends(path: str, part: str) -> bool:
    part = ".".join(component for component in part.split(".") if component not in WRAPPERS)
    return path == part or path.endswith(f".{part}")
