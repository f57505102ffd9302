"""Features of a target, computed once for as long as the same target is compared with."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Result = TypeVar("Result")


class TargetCache(Generic[Result]):
    """Remembers what was computed from the last target, without a gradient and without keeping that target alive.

    It answers only for the very same tensor, unchanged since, under the same autocast, and for the same unchanged
    network, frozen and in eval mode; any other network is asked every time, and so it is while ``torch.compile`` traces.
    """

    def __init__(self) -> None:
        self._target: weakref.ref[Tensor] | None = None
        self._state: tuple[object, ...] = ()
        self._result: Result | None = None

    def of(self, target: Tensor, network: nn.Module, compute: Callable[[Tensor], Result]) -> Result:
        """``compute(target)``, or what it gave the last time."""
        with torch.no_grad():
            if not _can_be_remembered(target, network):
                return compute(target)
            tensors = (target, *network.parameters(), *network.buffers())
            state = (torch.is_autocast_enabled(target.device.type), *((id(t), t._version) for t in tensors))
            known = self._target is not None and self._target() is target and self._state == state
            if not known or self._result is None:
                result = compute(target)
                self._target, self._state, self._result = weakref.ref(target, self._forget), state, result
            return self._result

    def _forget(self, target: weakref.ref[Tensor]) -> None:
        """The target is gone, and so may its features be."""
        if target is self._target:
            self._target, self._result = None, None

    def __getstate__(self) -> dict[str, None]:
        """Copies and pickles start empty: they are other networks' memories."""
        return {}

    def __setstate__(self, state: dict[str, None]) -> None:
        TargetCache.__init__(self)


def _can_be_remembered(target: Tensor, network: nn.Module) -> bool:
    if torch.compiler.is_compiling() or target.is_inference():
        return False
    return not network.training and not any(parameter.requires_grad for parameter in network.parameters())
