"""Backend selection for the ops: Triton kernels, hand-written eager code, or the plain formula, which can be traced."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from asymkit.arguments import instance_of, one_of

TRITON = ("conditional_instance_norm", "instance_norm", "ms_ssim", "ssim")
"""Ops that have Triton kernels."""

PLAIN = ("color_l1", "shannon_entropy", "total_variation")
"""Ops that have the plain formula only."""

SWITCH, OFF = "ASYMKIT_KERNELS", ("0", "off", "false")
LEAST_CAPABILITY = (8, 0)
TYPES = (torch.float32, torch.float16, torch.bfloat16)


class Backend(NamedTuple):
    """The backend of an op in eager mode, and why it was chosen; all backends give the same results."""

    name: Literal["eager", "triton", "winograd"]
    reason: str
    """One sentence."""


def backend_of(op: str, x: Tensor) -> Backend:
    """The backend that an op of :mod:`asymkit.ops` uses for a tensor in eager mode, and why.

    Inside ``torch.compile``, ``torch.export``, ``torch.jit.trace``, ONNX export, ``torch.func`` and forward-mode AD every
    op uses its plain formula. Setting the environment variable ``ASYMKIT_KERNELS=off`` before asymkit is imported turns
    the kernels off. Those of "ssim" and "ms_ssim" take windows of up to 15 pixels; larger ones use the eager backend.

    Args:
        op: name of the op, such as "ms_ssim".
        x: the tensor that would be its first argument.

    Returns:
        ``name``, "triton" or "eager", and ``reason``.

    Raises:
        ValueError: op is unknown, or x is not a tensor.

    Example:
        >>> import torch
        >>> from asymkit.ops import backend_of
        >>> backend_of("ms_ssim", torch.zeros(1, 3, 256, 256))
        Backend(name='eager', reason='the tensor is on cpu, the kernels are for CUDA')
    """
    one_of("op", op, (*TRITON, *PLAIN, "gram_matrix"))
    instance_of("x", x, Tensor, "the first argument of the op")
    if op == "gram_matrix":
        return Backend("eager", f"{op} is a batched matrix product, which PyTorch's libraries compute fastest")
    if op in PLAIN:
        return Backend("eager", f"{op} is a plain formula, which torch.compile fuses")
    return triton_or_eager(x.device, x.dtype)


def kernels_for(device: torch.device, dtype: torch.dtype, module: str) -> Any:
    """The module of this name in :mod:`asymkit.ops.kernels`, or in :mod:`asymkit.ops.eager` if kernels cannot be used."""
    package = "kernels" if takes_kernels(device, dtype) else "eager"
    return importlib.import_module(f"asymkit.ops.{package}.{module}")


def takes_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the ops that have Triton kernels use them for tensors of this device and dtype in eager mode."""
    return triton_or_eager(device, dtype).name == "triton"


@functools.lru_cache(maxsize=64)
def triton_or_eager(device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend of every op in :data:`TRITON` for tensors of this device and dtype."""
    if device.type != "cuda":
        return Backend("eager", f"the tensor is on {device.type}, the kernels are for CUDA")
    switch = os.environ.get(SWITCH, "")
    too_old = "the GPU has compute capability {}.{}, the kernels need {}.{}"
    capability = torch.cuda.get_device_capability(device) if torch.version.hip is None else LEAST_CAPABILITY
    obstacles = {
        f"{SWITCH}={switch} turns the kernels off": switch.lower() in OFF,
        "the kernels are written for NVIDIA GPUs and untested on ROCm": torch.version.hip is not None,
        "Triton is not installed; pip install triton": importlib.util.find_spec("triton") is None,
        f"the kernels compute in float32, which would lose digits of {dtype}": dtype not in TYPES,
        too_old.format(*capability, *LEAST_CAPABILITY): capability < LEAST_CAPABILITY,
    }
    obstacle = next((reason for reason, holds in obstacles.items() if holds), None)
    return Backend("triton", f"Triton kernels for {dtype}") if obstacle is None else Backend("eager", obstacle)


def tracing() -> bool:
    """Whether a graph is being recorded, by torch.compile, torch.export, torch.jit.trace or an ONNX export."""
    return torch.compiler.is_compiling() or exporting()


def exporting() -> bool:
    """Whether a graph is being recorded for export, by torch.export, torch.jit.trace or an ONNX export."""
    return exporting_program() or torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]


def exporting_program() -> bool:
    """Whether a graph is being recorded by torch.export."""
    # torch.compiler.is_exporting() returns this flag too, but up to PyTorch 2.10 is also True inside torch.compile
    return torch.compiler._is_exporting_flag


def needs_plain_formula(*tensors: Tensor | None, compiled: bool = True) -> bool:
    """Whether an op must use its plain formula instead of hand-written forward and backward code.

    It must while a graph is being recorded, under function transforms (torch.func), forward-mode AD or a dispatch mode,
    and for tensor subclasses.

    Args:
        tensors: the arguments of the op.
        compiled: whether torch.compile needs the plain formula too; export always does.
    """
    if tracing():
        return compiled or exporting()
    return (
        torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
        or any(
            t is not None and (type(t) not in {Tensor, nn.Parameter} or unpack_dual(t).tangent is not None)
            for t in tensors
        )
    )


def needs_plain_backward(grad: Tensor) -> bool:
    """Whether a backward pass must be differentiable or batched: ``create_graph=True`` or ``is_grads_batched=True``.

    Batched gradients are tensors without storage, which kernels cannot read.
    """
    return torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(grad)


@torch.enable_grad()  # batched gradients may be computed with gradients disabled
def differentiable_backward(
    formula: Callable[..., Tensor], inputs: Sequence[Tensor | None], wanted: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of a plain formula, themselves differentiable, e.g. for gradient penalties.

    The backward passes of hand-written ops return these if :func:`needs_plain_backward`.

    Args:
        formula: computes the op from ``inputs``.
        inputs: the inputs of the op.
        wanted: for each input, whether its gradient is needed; ``ctx.needs_input_grad``.
        grad: the gradient with respect to the output.

    Returns:
        For each input its gradient, or None where it is not needed.
    """
    # views, because the same tensor may be several of the inputs
    views = [t.view_as(t) if t is not None and wants else t for t, wants in zip(inputs, wanted, strict=True)]
    variables = [t for t, wants in zip(views, wanted, strict=True) if t is not None and wants]
    found = iter(torch.autograd.grad(formula(*views), variables, grad, create_graph=True))
    return [next(found) if t is not None and wants else None for t, wants in zip(views, wanted, strict=True)]
