"""How an op is computed: by Triton kernels, by hand-written eager code, or by the plain formula that can be traced."""

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
"""Ops that are their formula and nothing else."""

SWITCH, OFF = "ASYMKIT_KERNELS", ("0", "off", "false")
LEAST_CAPABILITY = (8, 0)
TYPES = (torch.float32, torch.float16, torch.bfloat16)


class Backend(NamedTuple):
    """What computes an op in eager mode, and why; the results agree."""

    name: Literal["eager", "triton", "winograd"]
    reason: str
    """One sentence."""


def backend_of(op: str, x: Tensor) -> Backend:
    """Which backend an op of :mod:`asymkit.ops` takes for a tensor in eager mode, and why.

    Inside ``torch.compile``, ``torch.export``, ``torch.jit.trace``, ONNX export, ``torch.func`` and forward-mode AD every
    op takes its plain formula. Setting the environment variable ``ASYMKIT_KERNELS=off`` before asymkit is imported turns
    the kernels off. Those of "ssim" and "ms_ssim" are for windows of up to 15 pixels; larger ones are computed in eager mode.

    Args:
        op: its name, such as "ms_ssim".
        x: the first argument it would be given.

    Returns:
        ``name``, "triton" or "eager", and ``reason``.

    Raises:
        ValueError: an unknown op, or x is no tensor.

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
    """The module of :mod:`asymkit.ops.kernels` for such tensors, or its namesake of :mod:`asymkit.ops.eager`."""
    package = "kernels" if takes_kernels(device, dtype) else "eager"
    return importlib.import_module(f"asymkit.ops.{package}.{module}")


def takes_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the ops that have Triton kernels take them for such tensors in eager mode."""
    return triton_or_eager(device, dtype).name == "triton"


@functools.lru_cache(maxsize=64)
def triton_or_eager(device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend of every op of :data:`TRITON` for tensors of this device and type."""
    obstacle = _obstacle(device, dtype)
    return Backend("triton", f"Triton kernels for {dtype}") if obstacle is None else Backend("eager", obstacle)


def _obstacle(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot take a tensor, or None."""
    switch = os.environ.get(SWITCH, "")
    too_old = "the GPU has compute capability {}.{}, the kernels need {}.{}"
    if device.type != "cuda":
        return f"the tensor is on {device.type}, the kernels are for CUDA"
    capability = torch.cuda.get_device_capability(device) if torch.version.hip is None else LEAST_CAPABILITY
    obstacles = {
        f"{SWITCH}={switch} turns the kernels off": switch.lower() in OFF,
        "the kernels are written for NVIDIA GPUs and untested on ROCm": torch.version.hip is not None,
        "Triton is not installed; pip install triton": importlib.util.find_spec("triton") is None,
        f"the kernels compute in float32, which would lose digits of {dtype}": dtype not in TYPES,
        too_old.format(*capability, *LEAST_CAPABILITY): capability < LEAST_CAPABILITY,
    }
    return next((reason for reason, holds in obstacles.items() if holds), None)


def tracing() -> bool:
    """Whether operations are being recorded, by torch.compile, torch.export, torch.jit.trace or an ONNX export."""
    return torch.compiler.is_compiling() or exporting()


def exporting() -> bool:
    """Whether they are recorded for other runtimes, which know few operations but the usual ones."""
    return exporting_program() or torch.jit.is_tracing()  # type: ignore[no-untyped-call, attr-defined]


def exporting_program() -> bool:
    """Whether they are recorded by torch.export."""
    # torch.compiler.is_exporting() returns this flag, but up to PyTorch 2.10 True inside of torch.compile too
    return torch.compiler._is_exporting_flag


def needs_plain_formula(*tensors: Tensor | None, compiled: bool = True) -> bool:
    """Whether more than an eager forward and backward pass looks at an op, so that hand-written code would be wrong.

    That is a tracer, a function transform (torch.func), forward-mode AD, a dispatch mode or a tensor subclass.

    Args:
        tensors: what the op is given.
        compiled: whether torch.compile needs the plain formula too.
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
    """Whether a hand-written backward pass would not do: under ``create_graph=True``, or for a batch of gradients.

    The latter are those of ``torch.autograd.grad(..., is_grads_batched=True)``, which have no memory of their own.
    """
    return torch.is_grad_enabled() or torch._C._functorch.is_legacy_batchedtensor(grad)


@torch.enable_grad()  # also for a batch of gradients, which is asked for without a graph
def differentiable_backward(
    formula: Callable[..., Tensor], inputs: Sequence[Tensor | None], wanted: Sequence[bool], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of a plain formula in operations that autograd can follow once more.

    The backward passes of hand-written ops return these where :func:`needs_plain_backward`, for gradient penalties.

    Args:
        formula: computes the op from ``inputs``.
        inputs: as the op was given them.
        wanted: for each input, whether its gradient is; ``ctx.needs_input_grad``.
        grad: the gradient of the op's result.

    Returns:
        A gradient for each input that wants one.
    """
    # views, because the same tensor may have been given twice
    views = [t.view_as(t) if t is not None and wants else t for t, wants in zip(inputs, wanted, strict=True)]
    variables = [t for t, wants in zip(views, wanted, strict=True) if t is not None and wants]
    found = iter(torch.autograd.grad(formula(*views), variables, grad, create_graph=True))
    return [next(found) if t is not None and wants else None for t, wants in zip(views, wanted, strict=True)]
