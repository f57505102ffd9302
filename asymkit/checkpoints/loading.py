"""How every loader finds its network in what it was given, builds and fills it, or says what it found instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
from asymkit.checkpoints.own import KINDS, Recognised, guesses, recognised
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

HEADS = frozenset({"model", "main", "conv1", "conv2"})
"""What names in published checkpoints begin with."""

REPLACED = (
    "where layers were replaced, build the network as it was and fill it with asymkit.load_weights(network, path)"
)
"""What to do with a network of asymkit whose weights no longer tell its class and arguments."""

LAYOUTS: dict[Callable[..., nn.Module], Callable[[StateDict], Layout]] = {
    ResnetGenerator: lambda state: cyclegan_generator(
        max(len(numbers(state, r"model\.(\d+)\.conv_block\.")), 1), any(".conv_block.6." in key for key in state)
    ),
    PatchDiscriminator: lambda state: cyclegan_discriminator(max(numbers(state, r"model\.(\d+)\."), default=3) // 3),
    StarGenerator: lambda state: stargan_generator(len(numbers(state, r"main\.(\d+)\.main\."))),
    DomainDiscriminator: lambda state: stargan_discriminator(max(len(numbers(state, r"main\.(\d+)\.weight")), 1)),
    PlainGenerator: lambda _: plain_generator(),
}
"""The published layout of each class here, at the depth that the keys suggest."""


def load(held: Mapping[Any, Any], wanted: str, kinds: Sequence[Callable[..., nn.Module]]) -> nn.Module:
    """The one network in ``held`` that is one of these classes, by the names of published code or by those of asymkit.

    Args:
        held: tensors by name, at any depth.
        wanted: what it is called in messages.
        kinds: that will do.

    Raises:
        ValueError: none, or several; weights that are not finite floating point numbers.
    """
    tree = tree_with_networks(held, wanted)

    def fits(node: Tree) -> bool:
        return _published(flat_of(node), kinds) is not None or _own(node, kinds) is not None

    state = find(tree, fits, None, f"state_dict: which {wanted}")
    if state is None:
        raise ValueError(f"state_dict is no {wanted}{found_instead(tree)}")
    if (kind := _published(state, kinds)) is None:
        own = recognised(state)
        assert own is not None
        check_weights(state)
        return own.filled(state)
    layout = LAYOUTS[kind](state)
    renamed = {ours: state[theirs] for theirs, ours in layout.keys.items()}
    try:
        _check_convolutions(state, layout)
        arguments = KINDS[kind]({name: value.shape for name, value in renamed.items()})
        if "upsampling" in arguments:
            arguments["upsampling"] = "transposed"  # as in all published code; the shapes are compared below
        guess = Recognised(kind, arguments)
        shapes = guess.shapes()
    except ValueError as error:
        raise ValueError(f"state_dict is no {wanted}: keys are those of {layout.name}, but {error}") from error
    if difference := first_difference({theirs: shapes[ours] for theirs, ours in layout.keys.items()}, state):
        raise ValueError(f"state_dict is no {wanted}: keys are those of {layout.name}, but {difference}")
    check_weights(state)
    return guess.filled(renamed)


def tree_with_networks(held: Mapping[Any, Any], wanted: str) -> Tree:
    """All tensors that may be a network's, without running statistics.

    Raises:
        ValueError: entries that are no tensors beside others that are, or no tensor at all.
    """
    tensors = any(isinstance(value, Tensor) for value in held.values())
    for key, value in held.items():
        if tensors and not (isinstance(key, str) and isinstance(value, Tensor | Mapping)):
            what = (
                f"the key {key!r} is a {type(key).__name__}"
                if not isinstance(key, str)
                else f"{key!r} is a {type(value).__name__}"
            )
            raise ValueError(f"state_dict is no {wanted}: expected tensors by name, but {what}")
    tree = tree_of(held)
    for _, node in nodes_of(tree):
        for name in STATISTICS & node.keys():
            del node[name]
    if not flat_of(tree):
        raise ValueError(f"state_dict is no {wanted}: it has no tensors, it holds {described(held)}")
    return tree


def _check_convolutions(state: StateDict, layout: Layout) -> None:
    """Refuse weights of convolutions that have not four dimensions, from which no arguments can be read."""
    for name in layout.keys:
        shape, (layer, _, part) = state[name].shape, name.rpartition(".")
        if part == "weight" and layer not in layout.norms and (len(shape) != 4 or 0 in shape):
            raise ValueError(
                f"{name!r} is of shape {tuple(shape)}, expected the four dimensions of a convolution's weight"
            )


def found_instead(tree: Tree) -> str:
    """What a tree holds where it is not what was wanted, as the rest of a sentence."""
    flat = flat_of(tree)
    if known := [(path, said) for path, node in nodes_of(tree) if (said := _known(node))]:
        if known[0][0] == "":
            return f", it is {known[0][1]}"
        listed = "; ".join(f"{path!r} is {said}" for path, said in known[:8])
        return f", but holds other networks: {listed}"
    if own := guesses(flat):
        guess, difference = max(own, key=lambda found: len(found[0].shapes().keys() & flat.keys()))
        return f"; its names are those of asymkit's {_name(guess)}, but {difference}; {REPLACED}"
    near = nearest(flat, [layout(flat) for layout in LAYOUTS.values()])
    if near is None:
        return f", nor another network that is known here; its keys are {described(flat)}; {REPLACED}"
    # shapes are of no interest yet: every key that is there counts as fitting
    expected = {key: flat[key].shape if key in flat else next(iter(flat.values())).shape for key in near.keys}
    other_norm = any(key.rpartition(".")[0] in near.norms for key in flat.keys() - near.keys.keys())
    return (
        f"; of the known layouts {near.name} comes nearest, with {len(near.keys.keys() & flat.keys())} of its "
        f"{len(near.keys)} keys; {first_difference(expected, flat)}"
        + ("; it may have been trained with batch norm, which the networks here do not have" if other_norm else "")
    )


def _known(node: Tree) -> str | None:
    """What network a tree is, and which function loads it."""
    state = flat_of(node)
    if (kind := _published(state, list(LAYOUTS))) is not None:
        layout = LAYOUTS[kind](state)
        return f"{layout.name}; use asymkit.{layout.loader}"
    guess = recognised(state)
    return None if guess is None else f"asymkit's {_name(guess)}; use asymkit.load_network"


def _published(state: StateDict, kinds: Sequence[Callable[..., nn.Module]]) -> Callable[..., nn.Module] | None:
    """The class here for weights that have the names of published code."""
    if not {name.split(".")[0] for name in state} <= HEADS:
        return None
    return next((kind for kind in kinds if LAYOUTS[kind](state).keys.keys() == state.keys()), None)


def _own(node: Tree, kinds: Sequence[Callable[..., nn.Module]]) -> Recognised | None:
    guess = recognised(flat_of(node))
    return guess if guess is not None and guess.kind in kinds else None


def _name(guess: Recognised) -> str:
    return str(getattr(guess.kind, "__name__", guess.kind))
