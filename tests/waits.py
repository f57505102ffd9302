"""Finds what a CUDA graph cannot hold, without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asymkit import CapturedStep
from asymkit.training import capture

READS = {"_local_scalar_dense", "equal", "nonzero", "is_nonzero", "masked_select", "item", "_unique2"}


class WaitsError(AssertionError):
    """An operation waits for the device, or copies between it and the host."""


class NoWaiting(TorchDispatchMode):
    """Raises at the first operation that reads a tensor's values or has tensors on two kinds of devices.

    Fake CUDA tensors show copies from the host as well; real ones on the CPU only what is read.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in READS:
            raise WaitsError(f"{func} reads values")
        if name == "_fused_adam_" and any(isinstance(x, FakeTensor) for x in tree_leaves(args)):
            found: Any = None  # it works in place, and there is no fake of it
        else:
            found = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, dict(kwargs or {}), found)) if isinstance(x, Tensor)]
        devices = {(x.fake_device if isinstance(x, FakeTensor) else x.device).type for x in tensors}
        if len(devices) > 1:
            raise WaitsError(f"{func} has tensors on {sorted(devices)}")
        return found


def fake_cuda(*tensors: Tensor) -> None:
    """Sure that a test's tensors are what it means them to be."""
    assert all(isinstance(x, FakeTensor) and x.fake_device == torch.device("cuda", 0) for x in tensors)


class Rerun:
    """In place of a graph: a replay calls the recorded function again."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.replay = function


def graphs_rerun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets CapturedStep work on the CPU, where a replay calls the step again, and lists what it does."""
    done: list[str] = []

    def warm_up(step: Any) -> Any:
        done.append("warm-up")
        return step.step(*step._inputs)

    def captured(step: Any) -> None:
        done.append("capture")

        def run() -> None:
            done.append("replay")
            step._result = step.step(*step._inputs)

        step._graph = Rerun(run)

    monkeypatch.setattr(capture, "_device_of", lambda optimizers: torch.device("cpu"))
    monkeypatch.setattr(CapturedStep, "_warm_up", warm_up)
    monkeypatch.setattr(CapturedStep, "_capture", captured)
    return done
