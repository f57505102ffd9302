"""Finds a network in a nested state dict, builds it and loads its weights, or describes in an error what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from asymkit.checkpoints.layouts import (
    STATISTICS,
    Layout,
    cyclegan_discriminator,
    cyclegan_generator,
    nearest,
    numbers,
    plain_generator,
    stargan_discriminator,
    stargan_generator,
)
from asymkit.checkpoints.recognition import KINDS, NetworkSpec, candidates, recognise
from asymkit.networks import DomainDiscriminator, PatchDiscriminator, PlainGenerator, ResnetGenerator, StarGenerator
from asymkit.state_dicts import (
    StateDict,
    Tree,
    check_weights,
    described,
    find,
    first_difference,
    flat_of,
    nodes_of,
    tree_of,
)
from asymkit.weight_files import file_of, read_file

Source = Mapping[str, Any] | str | Path
Network = TypeVar("Network", bound=nn.Module)

REPLACED = (
    "where layers were replaced, build the network as it was and fill it with asymkit.load_weights(network, path)"
)
"""For messages: how to load a modified network of asymkit."""

LAYOUTS: dict[type[nn.Module], Callable[[StateDict], Layout]] = {
    ResnetGenerator: lambda state: cyclegan_generator(
        max(len(numbers(state, r"model\.(\d+)\.conv_block\.")), 1), any(".conv_block.6." in key for key in state)
    ),
    # at most three digits: a layout is built for the largest number, whatever the file says
    PatchDiscriminator: lambda state: cyclegan_discriminator(
        max(numbers(state, r"model\.(\d{1,3})\."), default=3) // 3
    ),
    StarGenerator: lambda state: stargan_generator(len(numbers(state, r"main\.(\d+)\.main\."))),
    DomainDiscriminator: lambda state: stargan_discriminator(max(len(numbers(state, r"main\.(\d+)\.weight")), 1)),
    PlainGenerator: lambda _: plain_generator(),
}
"""For each class the published layout, with the number of layers read off the keys."""


def load(source: Source, wanted: str, kinds: Sequence[type[Network]]) -> Network:
    """The network in ``source`` of one of these classes, with the names of published code or of asymkit.

    Args:
        source: a state dict, nested mappings with one, or the path of a file or folder with one.
        wanted: name of the network, for messages.
        kinds: accepted classes.

    Raises:
        ValueError: there is no such network, or several; a weight is not a finite floating point number.
    """
    tree = tree_with_networks(source, wanted)

    def fits(node: Tree) -> bool:
        state = flat_of(node)
        if _published(state, kinds) is not None:
            return True
        spec = recognise(state)
        return spec is not None and spec.kind in kinds

    state = find(tree, fits, None, f"state_dict: which {wanted}")
    if state is None:
        raise ValueError(f"state_dict is no {wanted}{describe_contents(tree)}")
    if (kind := _published(state, kinds)) is None:
        own = recognise(state)
        assert own is not None
        check_weights(state)
        return cast(Network, own.build(state))
    layout = LAYOUTS[kind](state)
    renamed = {ours: state[theirs] for theirs, ours in layout.keys.items()}
    try:
        _check_convolutions(state, layout)
        arguments = KINDS[kind]({name: value.shape for name, value in renamed.items()})
        if "upsampling" in arguments:
            arguments["upsampling"] = "transposed"  # as in all published code; the shapes are compared below
        spec = NetworkSpec(kind, arguments)
        shapes = spec.shapes()
    except ValueError as error:
        raise ValueError(f"state_dict is no {wanted}: keys are those of {layout.name}, but {error}") from error
    if difference := first_difference({theirs: shapes[ours] for theirs, ours in layout.keys.items()}, state):
        raise ValueError(f"state_dict is no {wanted}: keys are those of {layout.name}, but {difference}")
    check_weights(state)
    return cast(Network, spec.build(renamed))


def tree_with_networks(source: Source, wanted: str) -> Tree:
    """The tree of tensors in nested mappings, or in the file of a path, without running statistics.

    Raises:
        ValueError: source is no mapping or path, the file cannot be read, a mapping has tensors and other entries, or there
            are no tensors.
    """
    held = read_file(file_of(source)) if isinstance(source, str | Path) else source
    if not isinstance(held, Mapping):
        hint = "; give its state_dict()" if isinstance(held, nn.Module) else ""
        raise ValueError(
            f"state_dict must be tensors by name or the path of a file with them, got a {type(held).__name__}{hint}"
        )
    tensors = any(isinstance(value, Tensor) for value in held.values())
    for key, value in held.items():
        if tensors and not (isinstance(key, str) and isinstance(value, Tensor | Mapping)):
            what, wrong = (repr(key), value) if isinstance(key, str) else (f"the key {key!r}", key)
            raise ValueError(
                f"state_dict is no {wanted}: expected tensors by name, but {what} is a {type(wrong).__name__}"
            )
    tree = tree_of(held)
    for _, node in nodes_of(tree):
        for name in STATISTICS & node.keys():
            del node[name]
    if not flat_of(tree):
        raise ValueError(f"state_dict is no {wanted}: it has no tensors, it holds {described(held)}")
    return tree


def _check_convolutions(state: StateDict, layout: Layout) -> None:
    """Refuse weights of convolutions without four dimensions, from which no arguments can be read."""
    for name in layout.keys:
        shape, (layer, _, part) = state[name].shape, name.rpartition(".")
        if part == "weight" and layer not in layout.norms and (len(shape) != 4 or 0 in shape):
            raise ValueError(
                f"{name!r} is of shape {tuple(shape)}, expected the four dimensions of a convolution's weight"
            )


def describe_contents(tree: Tree) -> str:
    """Which networks a tree contains instead of the wanted one, as the end of an error message."""
    flat = flat_of(tree)
    if known := [(path, said) for path, node in nodes_of(tree) if (said := _identify(node))]:
        if known[0][0] == "":
            return f", it is {known[0][1]}"
        listed = "; ".join(f"{path!r} is {said}" for path, said in known[:8])
        return f", but holds other networks: {listed}"
    if own := candidates(flat):
        spec, difference = max(own, key=lambda found: len(found[0].shapes().keys() & flat.keys()))
        return f"; its names are those of asymkit's {spec.kind.__name__}, but {difference}; {REPLACED}"
    near = nearest(flat, [layout(flat) for layout in LAYOUTS.values()])
    if near is None:
        return f", nor another network that is known here; its keys are {described(flat)}; {REPLACED}"
    # compare names only: every key that exists counts as equal in shape
    expected = {key: flat[key].shape if key in flat else next(iter(flat.values())).shape for key in near.keys}
    other_norm = any(key.rpartition(".")[0] in near.norms for key in flat.keys() - near.keys.keys())
    return (
        f"; of the known layouts {near.name} comes nearest, with {len(near.keys.keys() & flat.keys())} of its "
        f"{len(near.keys)} keys; {first_difference(expected, flat)}"
        + ("; it may have been trained with batch norm, which the networks here do not have" if other_norm else "")
    )


def _identify(node: Tree) -> str | None:
    """Name of the network that a tree is, and of the function that loads it, or None."""
    state = flat_of(node)
    if (kind := _published(state, list(LAYOUTS))) is not None:
        layout = LAYOUTS[kind](state)
        return f"{layout.name}; use asymkit.{layout.loader}"
    spec = recognise(state)
    return None if spec is None else f"asymkit's {spec.kind.__name__}; use asymkit.load_network"


def _published(state: StateDict, kinds: Sequence[type[nn.Module]]) -> type[nn.Module] | None:
    """The class for weights that have the names of published code, or None."""
    return next((kind for kind in kinds if LAYOUTS[kind](state).keys.keys() == state.keys()), None)
