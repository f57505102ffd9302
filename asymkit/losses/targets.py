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

    It answers only for the very same tensor, unchanged since, and the same unchanged frozen network; a network that
    is being trained is asked every time, and so it is while ``torch.compile`` is tracing.
    """

    def __init__(self) -> None:
        self._target: weakref.ref[Tensor] | None = None
        self._versions: tuple[tuple[int, int], ...] = ()
        self._result: Result | None = None

    def of(self, target: Tensor, network: nn.Module, compute: Callable[[Tensor], Result]) -> Result:
        """``compute(target)``, or what it gave the last time."""
        with torch.no_grad():
            if not _can_be_remembered(target, network):
                return compute(target)
            weights = (*network.parameters(), *network.buffers())
            versions = tuple((id(tensor), tensor._version) for tensor in (target, *weights))
            known = self._target is not None and self._target() is target and self._versions == versions
            if not known or self._result is None:
                self._target, self._versions, self._result = weakref.ref(target), versions, compute(target)
            return self._result

    def __getstate__(self) -> dict[str, None]:
        """Copies and pickles start empty: they are other networks' memories."""
        return {}

    def __setstate__(self, state: dict[str, None]) -> None:
        TargetCache.__init__(self)


def _can_be_remembered(target: Tensor, network: nn.Module) -> bool:
    if torch.compiler.is_compiling() or target.is_inference():
        return False
    return not any(parameter.requires_grad for parameter in network.parameters())
