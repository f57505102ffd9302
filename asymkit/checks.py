"""What people hand in, checked once: every check looks at shapes, types and names, never at tensor values."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor


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
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a tensor of images (N, C, H, W), got {type(x).__name__}")
    shape = tuple(x.shape)
    if x.ndim != 4:
        hint = f"; for a single image use {name}.unsqueeze(0)" if x.ndim == 3 else ""
        raise ValueError(f"{name} must be a batch of images (N, C, H, W), got shape {shape}{hint}")
    if not x.is_floating_point():
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
        check_dtype(x, name, like)


def check_input(generator: Any, image: Tensor) -> None:
    """Refuse images that a generator here does not take, by its own channels, sides and type of weights."""
    check_images(
        image,
        "image",
        channels=generator.in_channels,
        least_side=generator.least_side,
        multiple_of=generator.multiple,
        like=generator.to_image.weight,
    )


def check_dtype(x: Tensor, name: str, like: Tensor) -> None:
    """Refuse a tensor of another floating point type than the weights it meets, unless autocast is on."""
    if x.dtype != like.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"{name} must be {like.dtype} as the weights are, got {x.dtype}; use {name}.to({like.dtype})")


def as_images(x: Tensor, name: str = "x", least_side: int = 1) -> Tensor:
    """The batch of images itself, checked and widened to float32 (float64 stays float64)."""
    check_images(x, name, least_side=least_side)
    return widen(x)


def as_image_pair(
    x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y"), least_side: int = 1
) -> tuple[Tensor, Tensor]:
    """Two batches of images of one shape and device, both checked and widened to the wider type of the two."""
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
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return x.to(dtype), y.to(dtype)


def widen(x: Tensor) -> Tensor:
    """The tensor in float32, or as it is where it is wider already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast leaves computations on x's device in the precision of their inputs."""
    return torch.autocast(x.device.type, enabled=False)


def one_of(name: str, value: str, valid: Sequence[str]) -> None:
    """Refuse a name that is not among the valid ones, and say which of them comes closest.

    Raises:
        ValueError: with the argument, the value, the nearest valid name and all valid names.

    Example:
        >>> one_of("injection", "cinn", ["concat", "concat_all", "cin"])
        Traceback (most recent call last):
        ValueError: injection: unknown 'cinn', did you mean 'cin'? Valid: 'concat', 'concat_all', 'cin'
    """
    if value in valid:
        return
    near = difflib.get_close_matches(str(value), valid, n=1, cutoff=0.4)
    guess = f", did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{name}: unknown {value!r}{guess} Valid: {', '.join(map(repr, valid))}")


def at_least(name: str, value: int, least: int = 1) -> None:
    """Refuse anything but a whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def span_of(value_range: tuple[float, float]) -> float:
    """The width of a value range (low, high), refused where it is none."""
    pair = isinstance(value_range, (tuple, list))
    if not pair or not value_range[0] < value_range[1]:
        raise ValueError(
            f"value_range must be (low, high) with low < high, got {value_range!r}; e.g. (-1, 1), (0, 1) or (0, 255)"
        )
    return float(value_range[1] - value_range[0])
