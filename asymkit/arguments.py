"""Checks of plain arguments, made once, at the public entry: of numbers, names, switches and modules.

Sizes have upper bounds so that a typo is refused before it fills the memory.
"""

from __future__ import annotations

import difflib
import operator
import reprlib
from collections.abc import Sequence
from numbers import Number, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MOST_CHANNELS, MOST_WIDTH, MOST_BLOCKS, MOST_DOMAINS = 4096, 1024, 256, 10_000

MOST_SEED = 2**63 - 1
"""The largest seed of PyTorch's generators."""

LIMITS = {
    **dict.fromkeys(("in_channels", "out_channels", "aux_channels", "skeleton_channels"), MOST_CHANNELS),
    **dict.fromkeys(("width", "reconstructor_width"), MOST_WIDTH),
    **{"blocks": MOST_BLOCKS, "domains": MOST_DOMAINS, "layers": 8, "scales": 8, "window_size": 255},
}
"""The most of each size that a network or a window may have; the papers' are a tenth of it or less."""


def described(value: object) -> str:
    """What was given, short enough for a message; of tensors and arrays their form and never their values."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}" if value.layout is torch.strided else "a sparse tensor"
    if isinstance(value, (str, Number)):
        return reprlib.repr(value)
    shown = f" {reprlib.repr(value)}" if isinstance(value, (list, tuple, dict, set)) else ""
    return f"{type(value).__name__}{shown}"


def one_of(name: str, value: object, valid: Sequence[str]) -> None:
    """Refuse a name that is not among the valid ones, and say which of them comes closest.

    Raises:
        ValueError: with the argument, the value, the nearest valid name and all valid names.

    Example:
        >>> from asymkit.arguments import one_of
        >>> one_of("injection", "cinn", ["concat", "concat_all", "cin"])
        Traceback (most recent call last):
        ValueError: injection: unknown 'cinn', did you mean 'cin'? Valid: 'concat', 'concat_all', 'cin'
    """
    if isinstance(value, str) and value in valid:
        return
    near = difflib.get_close_matches(value, valid, n=1, cutoff=0.4) if isinstance(value, str) else []
    guess = f", did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{name}: unknown {described(value)}{guess} Valid: {', '.join(map(repr, valid))}")


def names_of(name: str, value: object, valid: Sequence[str]) -> tuple[str, ...]:
    """A list of different names, each among the valid ones."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ValueError(f"{name} must be a list of names such as [{valid[0]!r}], got {described(value)}")
    for each in value:
        one_of(name, each, valid)
    if len(set(value)) < len(value):
        raise ValueError(f"{name} must hold each name once, got {described(value)}")
    return tuple(value)


def at_least(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """The value as an ``int``, refused where it is no integer, such as NumPy's, from ``least`` to ``most``."""
    # no booleans, NumPy's of before 2.0 among them, and no tensors: reading one would make a GPU wait
    other = isinstance(value, (bool, Tensor)) or type(value).__name__ == "bool_" or getattr(value, "shape", ()) != ()
    whole = hasattr(type(value), "__index__") and not other
    found = operator.index(value) if whole else None  # type: ignore[arg-type]  # as hasattr says
    if found is None or found < least or (most is not None and found > most):
        bound = f"at most {most}" if found is not None and found >= least else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {bound}, got {described(value)}")
    return found


def sizes(**given: object) -> tuple[int, ...]:
    """The sizes as integers, each from 1 to its limit of :data:`LIMITS`, in the order given."""
    return tuple(at_least(name, value, most=LIMITS[name]) for name, value in given.items())


def number(name: str, value: object, least: float, most: float, why: str = "") -> float:
    """The value as a ``float``, refused where it is no real number from ``least`` to ``most``, as NaN is not."""
    try:
        found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else float("nan")
    except OverflowError:  # an integer beyond all floats
        found = float("nan")
    if not least <= found <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {described(value)}{why}")
    return found


def numbers(name: str, given: Any, what: str) -> tuple[float, ...]:
    """A sequence of factors, each a number from 0 to 1e6."""
    array = hasattr(given, "__array__") and not isinstance(given, Tensor) and getattr(given, "ndim", 0) == 1
    if isinstance(given, (str, bytes)) or not (array or isinstance(given, Sequence)):
        raise ValueError(f"{name} must hold {what}, got {described(given)}")
    return tuple(number(f"{name}[{i}]", each, 0, 1e6) for i, each in enumerate(given))


def flags(**given: object) -> tuple[bool, ...]:
    """The switches as ``bool``, Python's and NumPy's, in the order given; refused where they are not True or False."""
    for name, value in given.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{name} must be True or False, got {described(value)}")
    return tuple(map(bool, given.values()))


def modules(**given: object) -> None:
    """Refuse anything but networks; one that may be missing is handed in only where it is there."""
    for name, value in given.items():
        if not isinstance(value, nn.Module):
            raise ValueError(f"{name} must be a network (nn.Module), got {described(value)}")


def optional_modules(**given: object) -> None:
    """Refuse anything but networks and None."""
    modules(**{name: value for name, value in given.items() if value is not None})


def callables(**given: object) -> None:
    """Refuse anything that cannot be called."""
    for name, value in given.items():
        if not callable(value):
            raise ValueError(f"{name} must be a function or a network, got {described(value)}")


def instance_of(name: str, value: object, kind: type, how: str) -> None:
    """Refuse anything but an object of this class; ``how`` says where one comes from."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {kind.__name__}, {how}, got {described(value)}")


def range_of(value_range: Any) -> tuple[float, float]:
    """A value range (low, high) as floats, refused where it is none.

    The bounds keep its square, by which similarities are stabilised, within float32.
    """
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    low, high = (number("value_range", each, -1e9, 1e9) for each in value_range) if pair else (0.0, 0.0)
    if not high - low >= 1e-6:
        raise ValueError(
            f"value_range must be (low, high) with low < high, at least 1e-6 apart, got {described(value_range)}; "
            "e.g. (-1, 1), (0, 1) or (0, 255)"
        )
    return low, high
