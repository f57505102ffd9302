"""Validation of plain arguments, once, at the public entry: numbers, names, booleans and modules.

Sizes have upper bounds, so that a typo is refused before it fills the memory.
"""

from __future__ import annotations

import difflib
import operator
import os
import reprlib
from collections.abc import Sequence
from numbers import Number, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

MOST_CHANNELS, MOST_BLOCKS = 4096, 256

MOST_SEED = 2**63 - 1
"""The largest seed of PyTorch's generators."""

LIMITS = {
    **dict.fromkeys(("in_channels", "out_channels", "aux_channels", "skeleton_channels"), MOST_CHANNELS),
    **{"width": 1024, "reconstructor_width": 1024, "blocks": MOST_BLOCKS, "domains": 10_000},
    **{"layers": 8, "scales": 8, "window_size": 255},
}
"""Upper bound of each size argument; the papers use at most a tenth of it."""


def described(value: object) -> str:
    """A value as text for an error message: short, and of tensors and arrays the type and shape only, never values."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}" if value.layout is torch.strided else "a sparse tensor"
    if isinstance(value, (str, Number)):
        return reprlib.repr(value)
    shown = f" {reprlib.repr(value)}" if isinstance(value, (list, tuple, dict, set)) else ""
    return f"{type(value).__name__}{shown}"


def one_of(name: str, value: object, valid: Sequence[str]) -> None:
    """Refuse a string that is not among the valid ones.

    Raises:
        ValueError: with the argument's name, the value, the nearest valid string and all valid ones.

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
    """A sequence of distinct strings, each among the valid ones, as a tuple."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ValueError(f"{name} must be a list of names such as [{valid[0]!r}], got {described(value)}")
    for each in value:
        one_of(name, each, valid)
    if len(set(value)) < len(value):
        raise ValueError(f"{name} must hold each name once, got {described(value)}")
    return tuple(value)


def at_least(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """The value as an ``int``, Python's or NumPy's; refused if it is no integer from ``least`` to ``most``."""
    # neither booleans (``bool_`` is NumPy's before 2.0) nor tensors, whose value would have to be read from the device
    refused = isinstance(value, (bool, Tensor)) or type(value).__name__ == "bool_" or getattr(value, "shape", ()) != ()
    integer = hasattr(type(value), "__index__") and not refused
    found = operator.index(value) if integer else None  # type: ignore[arg-type]  # as hasattr says
    if found is None or found < least or (most is not None and found > most):
        bound = f"at most {most}" if found is not None and found >= least else f"an integer of at least {least}"
        raise ValueError(f"{name} must be {bound}, got {described(value)}")
    return found


def sizes(**given: object) -> tuple[int, ...]:
    """Size arguments as integers, each checked to be from 1 to its bound in :data:`LIMITS`, in the order given."""
    return tuple(at_least(name, value, most=LIMITS[name]) for name, value in given.items())


def number(name: str, value: object, least: float, most: float, why: str = "") -> float:
    """The value as a ``float``; refused if it is NaN or no real number from ``least`` to ``most``."""
    try:
        found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else float("nan")
    except OverflowError:  # an integer too large for a float
        found = float("nan")
    if not least <= found <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {described(value)}{why}")
    return found


def numbers(name: str, given: Any, what: str) -> tuple[float, ...]:
    """A sequence or 1-D array of weights, each a number from 0 to 1e6, as a tuple."""
    array = hasattr(given, "__array__") and not isinstance(given, Tensor) and getattr(given, "ndim", 0) == 1
    if isinstance(given, (str, bytes)) or not (array or isinstance(given, Sequence)):
        raise ValueError(f"{name} must hold {what}, got {described(given)}")
    return tuple(number(f"{name}[{i}]", each, 0, 1e6) for i, each in enumerate(given))


def flags(**given: object) -> tuple[bool, ...]:
    """Boolean arguments, Python's or NumPy's, as ``bool``, in the order given; anything else is refused."""
    for name, value in given.items():
        # NumPy's type is known by its name, "bool_" before 2.0, so that importing asymkit does not need NumPy
        of_numpy = type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")
        if not isinstance(value, bool) and not of_numpy:
            raise ValueError(f"{name} must be True or False, got {described(value)}")
    return tuple(map(bool, given.values()))


def modules(**given: object) -> None:
    """Refuse arguments that are not an ``nn.Module``."""
    for name, value in given.items():
        if not isinstance(value, nn.Module):
            raise ValueError(f"{name} must be a network (nn.Module), got {described(value)}")


def optional_modules(**given: object) -> None:
    """Refuse arguments that are neither an ``nn.Module`` nor None."""
    modules(**{name: value for name, value in given.items() if value is not None})


def callables(**given: object) -> None:
    """Refuse anything that cannot be called."""
    for name, value in given.items():
        if not callable(value):
            raise ValueError(f"{name} must be a function or a network, got {described(value)}")


def instance_of(name: str, value: object, kind: type, how: str) -> None:
    """Refuse a value that is not an instance of this class; ``how`` says in the message how to get one."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {kind.__name__}, {how}, got {described(value)}")


def range_of(value_range: Any) -> tuple[float, float]:
    """A value range (low, high) as two floats; refused if it is not two numbers, the first below the second.

    The bounds keep the square of the range, which SSIM's constants contain, within float32.
    """
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    low, high = (number("value_range", each, -1e9, 1e9) for each in value_range) if pair else (0.0, 0.0)
    if not high - low >= 1e-6:
        raise ValueError(
            f"value_range must be (low, high) with low < high, at least 1e-6 apart, got {described(value_range)}; "
            "e.g. (-1, 1), (0, 1) or (0, 255)"
        )
    return low, high


def exact(value: float) -> str:
    """A value as the shortest text that is read back as the same number; integers without a decimal point.

    Example:
        >>> from asymkit.arguments import exact
        >>> exact(4095.0), exact(1234567.0), exact(0.1234567)
        ('4095', '1234567', '0.1234567')
    """
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def path_of(name: str, value: object) -> Path:
    """The value as a ``Path``, refused where it is no path or an empty one."""
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise ValueError(f"{name} must be a path, got {described(value)}")
    return Path(value)
