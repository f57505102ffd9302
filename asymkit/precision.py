"""Float32 or wider, with autocast off: the precision in which statistics and losses are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """The tensor in float32, or unchanged if it is float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def widen_pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in the wider type of the two, float32 or wider."""
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return x.to(dtype), y.to(dtype)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast leaves computations on x's device in the precision of their inputs."""
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
