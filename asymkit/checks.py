"""Validation of tensors, once, at the public entry: shapes, dtypes and devices, never values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asymkit.arguments import described
from asymkit.precision import widen, widen_pair

FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


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
        x: the argument.
        name: the argument's name, for the message.
        channels: the number of channels required, or None for any.
        least_side: H and W must be at least this, in pixels.
        multiple_of: H and W must be divisible by this.
        like: a weight of the network that takes the images; the dtypes must agree unless autocast is enabled.

    Raises:
        ValueError: with the argument's name, what was given, what is expected and how to fix it.
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
    """Refuse batches of images that differ in batch size, height, width, dtype or device; channels may differ."""
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
    """Refuse images that one of asymkit's generators cannot take, by its channels, sizes and the dtype of its weights."""
    check_images(
        image,
        "image",
        channels=generator.in_channels,
        least_side=generator.least_side,
        multiple_of=generator.multiple,
        like=weight_of(generator.to_image),
    )


def weight_of(layer: nn.Module) -> Tensor:
    """The first weight in a layer, which a user may have replaced by a container of layers."""
    for part in layer.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor):
            return weight
    raise ValueError(
        f"network: its last layer was replaced by a {type(layer).__name__} without a weight; use one with weights"
    )


def check_dense(name: str, x: object, what: str, hint: str = "", like: Tensor | None = None) -> None:
    """Refuse anything but a dense tensor: not sparse, not nested, not on the meta device."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be {what}, got {type(x).__name__}{hint}")
    if x.layout is not torch.strided or x.is_nested:
        kind = "nested" if x.is_nested else str(x.layout)
        raise ValueError(f"{name} must be {what}, dense, got a {kind} tensor; use {name}.to_dense() or a padded batch")
    if x.is_meta and like is not None and not like.is_meta:
        raise ValueError(f"{name} must be {what}, got one on the meta device, which has no values")


def check_array(
    name: str,
    x: object,
    what: str,
    dimensions: Sequence[int],
    *,
    integers: bool = False,
    length: int | None = None,
    least: int = 1,
) -> None:
    """Refuse anything but a dense tensor with values, of this kind, so many dimensions and such a length of the first."""
    check_dense(name, x, what, like=torch.zeros(()))
    assert isinstance(x, Tensor)
    fits = x.ndim in dimensions and 0 not in x.shape and x.dtype in (INTEGERS if integers else FLOATING)
    if not fits or len(x) < least or length not in (None, len(x)):
        raise ValueError(f"{name} must be {what}, got {described(x)}")


def have_values(**tensors: Tensor | None) -> None:
    """Refuse tensors on the meta device, which have a shape only."""
    for name, x in tensors.items():
        if x is not None and x.is_meta:
            raise ValueError(f"{name} must have values, got a tensor on the meta device")


def check_device(name: str, x: Tensor, like: Tensor) -> None:
    """Refuse a tensor on another device than the weights it is used with."""
    if x.device != like.device and not like.is_meta:  # offloaded weights are on the meta device until they are used
        raise ValueError(
            f"{name} must be on {like.device} as the weights are, got {x.device}; use {name}.to({str(like.device)!r})"
        )


def usable_device(device: object) -> torch.device:
    """The device, refused where there is none of this name or no use of it here."""
    try:
        found = torch.device(device)  # type: ignore[call-overload]
        torch.zeros((), device=found)
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        first = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(f"device: {described(device)} cannot be used ({first}); use 'cpu'") from error
    return found


def check_like(name: str, x: Tensor, like: Tensor) -> None:
    """Refuse a tensor on another device or, unless autocast is enabled, of another dtype than the weights it is used with."""
    check_device(name, x, like)
    if x.dtype != like.dtype and (x.is_meta or not torch.is_autocast_enabled(x.device.type)):
        raise ValueError(f"{name} must be {like.dtype} as the weights are, got {x.dtype}; use {name}.to({like.dtype})")


def check_tensor(name: str, x: object, shape: Sequence[int], device: torch.device, must: str) -> None:
    """Refuse anything but a floating point tensor of exactly this shape and device; ``must`` completes the message."""
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
    """A batch of images, checked and converted to float32 (float64 stays float64)."""
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


def as_image_pair(
    x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y"), least_side: int = 1
) -> tuple[Tensor, Tensor]:
    """Two batches of images of one shape and device, checked and converted to the wider dtype of the two, at least float32."""
    check_image_pair(x, y, names, least_side)
    return widen_pair(x, y)


def check_vector(z: Tensor, name: str, length: int, batch: int | None = None, like: Tensor | None = None) -> None:
    """Refuse a latent code z that is not (batch, length), with any batch size if ``batch`` is None, of the dtype of ``like``."""
    wanted = f"({'N' if batch is None else batch}, {length})"
    check_dense(name, z, f"a floating point tensor {wanted}, one vector per image")
    shape = tuple(z.shape)
    fits = z.ndim == 2 and 0 not in shape and shape[1] == length and (batch is None or batch == shape[0])
    if fits and z.dtype in FLOATING:
        if like is not None:
            check_like(name, z, like)
        return
    hint = ""
    if 0 in shape:
        hint = "; it is empty"
    elif z.dtype not in FLOATING:
        hint = f"; for labels use torch.nn.functional.one_hot(labels, {length}).float()"
    elif shape == (length,):
        hint = "; for a single vector use unsqueeze(0)"
    elif z.ndim == 2 and shape[1] != length:
        hint = "; generator, encoder and discriminator of z need the same aux_channels"
    raise ValueError(f"{name} must be floating point, one vector for each image, {wanted}, got {z.dtype} {shape}{hint}")
