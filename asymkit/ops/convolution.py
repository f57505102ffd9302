"""The 3×3 convolution of the residual blocks: Winograd's algorithm on CPUs where it is faster, else ``F.conv2d``."""

from __future__ import annotations

import os
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from asymkit.arguments import one_of
from asymkit.checks import check_dense, check_images, check_like, check_tensor
from asymkit.ops import winograd
from asymkit.ops.backend import OFF, SWITCH, Backend, needs_plain_formula
from asymkit.ops.eager.norm import layout_of
from asymkit.ops.padding import reflect_pad

Padding = Literal["none", "zeros", "reflect"]
LEAST_SIDES = {"none": 3, "zeros": 1, "reflect": 2}

LEAST_CHANNELS, LEAST_PIXELS = 128, 1024
"""Below these sizes, Winograd's transforms cost as much as the products that they save (benchmarks/conv_paths.py)."""

FASTER_ON = ("AVX2", "AVX512")
"""What ``torch.backends.cpu.get_cpu_capability()`` calls the CPUs on which it was measured."""


def machine_obstacle() -> str | None:
    """Why Winograd's algorithm is not used on this machine, or None if it is."""
    capability = torch.backends.cpu.get_cpu_capability()
    if os.environ.get(SWITCH, "").lower() in OFF:
        return f"{SWITCH}={os.environ[SWITCH]} turns Winograd's algorithm off"
    return None if capability in FASTER_ON else f"faster on CPUs with AVX2 or AVX-512, not measured on {capability}"


MACHINE_OBSTACLE = machine_obstacle()
"""Computed once, so that it is a constant for ``torch.compile``."""


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: Padding = "none") -> Tensor:
    """``F.conv2d`` with a 3×3 kernel and stride 1, faster in training on many CPUs.

    On CPUs with AVX2 or AVX-512, in float32 and with many channels, it uses Winograd's algorithm, see
    :mod:`asymkit.ops.winograd`, whose results agree with ``F.conv2d`` to about 2e-6 of their root mean square, at most
    1.4e-5 of the largest. Everywhere else it calls ``F.conv2d``.

    Args:
        x: feature maps, (N, C, H, W).
        weight: (O, C, 3, 3).
        bias: (O,), or None.
        padding: "none", or "zeros" or "reflect" for padding of one pixel on every side.

    Returns:
        Feature maps, (N, O, H, W), or (N, O, H − 2, W − 2) without padding.

    Raises:
        ValueError: padding is unknown, x is not a batch of feature maps or too small for the padding, or weight or bias
            has another shape, dtype or device.

    Example:
        >>> import torch
        >>> from asymkit.ops import conv3x3
        >>> conv3x3(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3)).shape
        torch.Size([1, 4, 3, 3])
    """
    one_of("padding", padding, tuple(LEAST_SIDES))
    _check(x, weight, least_side=LEAST_SIDES[padding])
    if bias is not None:
        check_tensor("bias", bias, weight.shape[:1], x.device, "hold one value per channel of the result")
        check_like("bias", bias, weight)
    plain = needs_plain_formula(x, weight, bias, compiled=False) or _backend(x, weight).name != "winograd"
    if padding == "reflect":
        x = reflect_pad(x, 1)
    if plain:
        return F.conv2d(x, weight, bias, padding=1 if padding == "zeros" else 0)
    return _conv3x3(F.pad(x, (1, 1, 1, 1)) if padding == "zeros" else x, weight, bias)


def conv3x3_backend(x: Tensor, weight: Tensor) -> Backend:
    """The backend of :func:`conv3x3` for these tensors: "winograd" or "eager", and why.

    Raises:
        ValueError: as :func:`conv3x3`.

    Example:
        >>> import torch
        >>> from asymkit.ops import conv3x3_backend
        >>> conv3x3_backend(torch.zeros(1, 8, 66, 66), torch.zeros(8, 8, 3, 3)).name
        'eager'
    """
    _check(x, weight)
    return _backend(x, weight)


def _check(x: Tensor, weight: Tensor, least_side: int = 1) -> None:
    check_dense("x", x, "a tensor of maps (N, C, H, W)")
    check_dense("weight", weight, "a tensor (O, C, 3, 3)", like=x)
    if weight.ndim != 4 or weight.shape[2:] != (3, 3) or 0 in weight.shape:
        raise ValueError(f"weight must be (O, C, 3, 3), got {tuple(weight.shape)}")
    check_images(x, "x", channels=weight.shape[1], least_side=least_side, like=weight)


def _backend(x: Tensor, weight: Tensor) -> Backend:
    if x.device.type != "cpu":
        obstacle = f"on {x.device.type} the device's library chooses its own algorithm"
    elif MACHINE_OBSTACLE is not None:
        obstacle = MACHINE_OBSTACLE
    elif x.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
        obstacle = f"{x.dtype} or autocast: Winograd's algorithm is for float32"
    elif min(weight.shape[:2]) < LEAST_CHANNELS or x[:, 0].numel() < LEAST_PIXELS:
        obstacle = f"fewer than {LEAST_CHANNELS} channels or {LEAST_PIXELS} pixels: direct convolution is as fast"
    else:
        return Backend("winograd", "Winograd's algorithm, float32 with AVX2 or AVX-512")
    return Backend("eager", obstacle)


@torch.library.custom_op(
    "asymkit::conv3x3", mutates_args=(), schema="(Tensor x, Tensor weight, Tensor? bias) -> Tensor"
)
def _conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """3×3 convolution without padding, by Winograd's algorithm."""
    return winograd.convolve(x, weight, bias)


@_conv3x3.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    shape = (len(x), len(weight), x.shape[2] - 2, x.shape[3] - 2)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout_of(x))


@torch.library.custom_op(
    "asymkit::conv3x3_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor weight, bool want_x, bool want_weight) -> (Tensor, Tensor)",
)
def _conv3x3_backward(
    grad: Tensor, x: Tensor, weight: Tensor, want_x: bool, want_weight: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of x and weight; a tensor without elements for one that is not needed."""
    grad_x, grad_weight = winograd.convolve_backward(grad, x, weight, want_x, want_weight)
    return x.new_empty(0) if grad_x is None else grad_x, x.new_empty(0) if grad_weight is None else grad_weight


@_conv3x3_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, want_x: bool, want_weight: bool) -> tuple[Tensor, Tensor]:
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=layout_of(x))
    return grad_x if want_x else x.new_empty(0), weight.new_empty(weight.shape) if want_weight else x.new_empty(0)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    want_x, want_weight, want_bias = ctx.needs_input_grad
    grad_x = grad_weight = None
    if torch.is_grad_enabled():  # create_graph=True: PyTorch's functions are differentiable again
        grad_x = F.conv_transpose2d(grad, weight) if want_x else None
        grad_weight = conv2d_weight(x, list(weight.shape), grad) if want_weight else None
    elif want_x or want_weight:
        gradients = _conv3x3_backward(grad, x, weight, want_x, want_weight)
        grad_x, grad_weight = (each if each.numel() else None for each in gradients)
    return grad_x, grad_weight, grad.sum((0, 2, 3)) if want_bias else None


_conv3x3.register_autograd(_backward, setup_context=_setup_context)
