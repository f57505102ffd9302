"""Which way an op computes: fused Triton kernels on NVIDIA GPUs, PyTorch's own operations everywhere else."""

from __future__ import annotations

import functools
import importlib.util
import os
from typing import Any, NamedTuple

import torch
from torch import Tensor

from asymkit.checks import one_of

FUSED = ("color_l1", "conditional_instance_norm", "instance_norm", "ms_ssim", "ssim", "total_variation")
"""Ops that have Triton kernels; the Gram matrix is one batched product, which cuBLAS does best."""

SWITCH, OFF = "ASYMKIT_KERNELS", ("0", "off", "false")
LEAST_CAPABILITY = (8, 0)
TYPES = (torch.float32, torch.float16, torch.bfloat16)


class Path(NamedTuple):
    """The way an op takes, and why."""

    kernels: bool
    """True for kernels of this library, False for PyTorch's own operations; the results agree."""
    reason: str
    """One sentence."""


def path_of(op: str, x: Tensor) -> Path:
    """Which path an op of :mod:`asymkit.ops` takes for a tensor, and why.

    Setting the environment variable ``ASYMKIT_KERNELS=off`` before asymkit is imported turns the kernels off.

    Args:
        op: its name, such as "ms_ssim".
        x: the first argument it would be given.

    Returns:
        ``kernels`` and ``reason``.

    Raises:
        ValueError: an unknown op.

    Example:
        >>> path_of("ms_ssim", torch.zeros(1, 3, 256, 256))
        Path(kernels=False, reason='the tensor is on cpu, the kernels are for CUDA')
    """
    one_of("op", op, (*FUSED, "gram_matrix"))
    if op not in FUSED:
        return Path(False, f"{op} is a batched matrix product, which PyTorch's libraries compute fastest")
    return path(x.device, x.dtype)


def kernels_for(x: Tensor, module: str) -> Any:
    """The module of :mod:`asymkit.ops.kernels` that takes this tensor, or None for the reference path."""
    return importlib.import_module(f"asymkit.ops.kernels.{module}") if path(x.device, x.dtype).kernels else None


@functools.lru_cache(maxsize=64)
def path(device: torch.device, dtype: torch.dtype) -> Path:
    """The path of every fused op for tensors of this device and type."""
    obstacle = _obstacle(device, dtype)
    return Path(True, f"Triton kernels for {dtype}") if obstacle is None else Path(False, obstacle)


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
