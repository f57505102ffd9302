"""Checks of arguments, made once, at the public entry: of shapes, types and names, never of tensor values.

Sizes have upper bounds so that a typo is refused before it fills the memory.
"""

from __future__ import annotations

import difflib
import operator
import reprlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from numbers import Number, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
MOST_CHANNELS, MOST_WIDTH, MOST_BLOCKS, MOST_DOMAINS = 4096, 1024, 256, 10_000
LIMITS = {
    **dict.fromkeys(("in_channels", "out_channels", "aux_channels", "skeleton_channels"), MOST_CHANNELS),
    **dict.fromkeys(("width", "reconstructor_width"), MOST_WIDTH),
    **{"blocks": MOST_BLOCKS, "domains": MOST_DOMAINS, "layers": 8, "scales": 8, "window_size": 255},
}
"""The most of each size that a network or a window may have; the papers' are a tenth of it or less."""


def check_images(
    x: Tensor,
    name: str,
    *,
    channels: int | None = None,
    least_side: int = 1,
    multiple_of: int = 1,
    like: Tensor | None = None,
) -> None:
    """Refuse anything but a non-empty floating point batch (N, C, H, W) of usable size.

    Args:
        x: what was given.
        name: the argument's name, for the message.
        channels: the exact channel count wanted, if there is one.
        least_side: H and W must be at least this, in pixels.
        multiple_of: H and W must be divisible by this.
        like: a weight of the network that is to take the images: their types must agree, or autocast be on.

    Raises:
        ValueError: with the argument's name, what was given, what is expected and how to get there.
    """
    check_dense(name, x, "a tensor of images (N, C, H, W)")
    shape = tuple(x.shape)
    if x.ndim != 4:
        hint = f"; for a single image use {name}.unsqueeze(0)" if x.ndim == 3 else ""
        raise ValueError(f"{name} must be a batch of images (N, C, H, W), got shape {shape}{hint}")
    if x.dtype not in FLOATING:
        raise ValueError(
            f"{name} must be floating point, got {x.dtype}; "
            f"for 0–255 images use {name}.float() / 127.5 - 1 to reach [-1, 1]"
        )
    if channels is not None and shape[1] != channels:
        hint = ""
        if shape[3] == channels:
            hint = f"; did you mean {name}.permute(0, 3, 1, 2)?"
        elif shape[1] == 1:
            hint = f"; for grey images use {name}.expand(-1, {channels}, -1, -1), or build for 1 channel"
        raise ValueError(f"{name} must have {channels} channels, got {shape[1]} in shape {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{name} is empty: got shape {shape}, expected at least one image with at least one pixel")
    if min(shape[2:]) < least_side:
        raise ValueError(
            f"{name} is too small: got {shape[2]}×{shape[3]}, expected both sides to be at least {least_side}; "
            "enlarge or pad the images"
        )
    if shape[2] % multiple_of or shape[3] % multiple_of:
        raise ValueError(
            f"{name} must have sides divisible by {multiple_of}, got {shape[2]}×{shape[3]}; "
            f"crop it, or pad it with torch.nn.functional.pad(..., mode='reflect') and crop the result back"
        )
    if like is not None:
        check_like(name, x, like)


def check_together(**images: Tensor) -> None:
    """Refuse batches of images that do not agree in number, size, type and device; channels may differ."""
    for name, each in images.items():
        check_images(each, name)
    (first, x), *others = images.items()
    for name, each in others:
        if (x.shape[0], x.shape[2:], x.dtype, x.device) != (each.shape[0], each.shape[2:], each.dtype, each.device):
            raise ValueError(
                f"{first} and {name} must agree in batch, size, type and device, got {described(x)} on {x.device} and "
                f"{described(each)} on {each.device}; drop the longer loader's last batch, crop to one size"
            )


def check_input(generator: Any, image: Tensor) -> None:
    """Refuse images that a generator here does not take, by its own channels, sides and type of weights."""
    check_images(
        image,
        "image",
        channels=generator.in_channels,
        least_side=generator.least_side,
        multiple_of=generator.multiple,
        like=weight_of(generator.to_image),
    )


def weight_of(layer: nn.Module) -> Tensor:
    """The first weight in a layer, which somebody may have replaced by several."""
    for part in layer.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor):
            return weight
    raise ValueError(
        f"network: its last layer was replaced by a {type(layer).__name__} without a weight; use one with weights"
    )


def check_dense(name: str, x: object, what: str, hint: str = "", like: Tensor | None = None) -> None:
    """Refuse anything but a tensor that holds all of its values: no sparse or nested one, none on the meta device."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be {what}, got {type(x).__name__}{hint}")
    if x.layout is not torch.strided or x.is_nested:
        kind = "nested" if x.is_nested else str(x.layout)
        raise ValueError(f"{name} must be {what}, dense, got a {kind} tensor; use {name}.to_dense() or a padded batch")
    if x.is_meta and like is not None and not like.is_meta:
        raise ValueError(f"{name} must be {what}, got one on the meta device, which has no values")


def check_device(name: str, x: Tensor, like: Tensor) -> None:
    """Refuse a tensor of another device than the weights that it meets."""
    if x.device != like.device and not like.is_meta:  # weights that are offloaded come when they are needed
        raise ValueError(
            f"{name} must be on {like.device} as the weights are, got {x.device}; use {name}.to({str(like.device)!r})"
        )


def check_like(name: str, x: Tensor, like: Tensor) -> None:
    """Refuse a tensor of another device or, unless autocast is on, type than the weights that it meets."""
    check_device(name, x, like)
    if x.dtype != like.dtype and (x.is_meta or not torch.is_autocast_enabled(x.device.type)):
        raise ValueError(f"{name} must be {like.dtype} as the weights are, got {x.dtype}; use {name}.to({like.dtype})")


def check_tensor(name: str, x: object, shape: Sequence[int], device: torch.device, must: str) -> None:
    """Refuse anything but a floating point tensor of exactly this shape and device; ``must`` says what it is to be."""
    wanted = tuple(shape)
    check_dense(name, x, f"a floating point tensor {wanted}")
    assert isinstance(x, Tensor)
    if tuple(x.shape) != wanted or x.dtype not in FLOATING:
        found = tuple(x.shape) if x.dtype in FLOATING else f"{tuple(x.shape)} of {x.dtype}"
        raise ValueError(
            f"{name} must {must}, {wanted}, got {found}; it is to be floating point, and nothing is broadcast"
        )
    if x.device != device:
        raise ValueError(f"{name} must be on {device}, got {x.device}; use {name}.to({str(device)!r})")


def as_images(x: Tensor, name: str = "x", least_side: int = 1) -> Tensor:
    """The batch of images itself, checked and widened to float32 (float64 stays float64)."""
    check_images(x, name, least_side=least_side)
    return widen(x)


def check_image_pair(x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y"), least_side: int = 1) -> None:
    """Refuse anything but two batches of images of one shape and device."""
    check_images(x, names[0], least_side=least_side)
    check_images(y, names[1], least_side=least_side)
    if x.shape != y.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}; "
            "nothing is broadcast"
        )
    if x.device != y.device:
        raise ValueError(
            f"{names[0]} and {names[1]} must be on one device, got {x.device} and {y.device}; move one with .to()"
        )


def widen_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in the wider type of the two, float32 or wider."""
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return x.to(dtype), y.to(dtype)


def as_image_pair(
    x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y"), least_side: int = 1
) -> tuple[Tensor, Tensor]:
    """Two batches of images of one shape and device, both checked and widened to the wider type of the two."""
    check_image_pair(x, y, names, least_side)
    return widen_pair(x, y)


def widen(x: Tensor) -> Tensor:
    """The tensor in float32, or as it is where it is wider already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast leaves computations on x's device in the precision of their inputs."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


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
        >>> from asymkit.checks import one_of
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
