"""Skips optimizer steps whose losses or gradients are not finite, and reports which losses were not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from asymkit.arguments import at_least, described, instance_of

READ_EVERY = 10
"""Steps between two readings of a CUDA device's counters, where nothing else is asked for."""


class StepGuard:
    """Takes an optimizer's step only if all losses and gradients are finite, and warns with the terms that are not.

        self.optimizer_G.step()  # before
        self.guard.step(self.optimizer_G, {"cycle": self.loss_cycle_A, "gan": self.loss_G_A})  # after

    A skipped step changes neither weights nor the optimizer's state, and sets the gradients to None. In distributed
    training all processes skip a step, or none does. Use one guard for each optimizer, and call it once a step.

    On a CUDA device, ``torch.optim.Adam(..., fused=True)`` and ``AdamW`` decide on the device, by the ``found_inf`` of
    ``torch.amp.GradScaler``'s protocol, so that no step synchronises and a CUDA graph can contain it
    (:class:`asymkit.CapturedStep`). A step that is not finite still changes neither weights nor the optimizer's state, but
    the warning, the counts and the error come when the device's counters are read, up to ``read_every`` steps later, and
    gradients are kept until the next ``zero_grad()``. With any other optimizer or device, or with a scaler, each step
    synchronises.

    Args:
        limit: number of consecutive skipped steps at which :meth:`step` raises.
        read_every: steps between two readings of the device's counters, each of which synchronises. None: 10 with a fused
            Adam or AdamW on a CUDA device, else 1. An integer also applies to a fused one on a CPU.

    Attributes:
        steps: number of calls of :meth:`step`, replays included.
        skipped: number of skipped steps at the last reading of the counters.
        consecutive_skips: number of consecutive skipped steps at the last reading of the counters.

    Raises:
        ValueError: limit or ``read_every`` is below 1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit import StepGuard
        >>> layer = nn.Linear(1, 1)
        >>> optimizer, guard = torch.optim.Adam(layer.parameters()), StepGuard()
        >>> loss = layer(torch.ones(1, 1)).sum()
        >>> loss.backward()
        >>> guard.step(optimizer, {"loss": loss}), guard.skipped
        (True, 0)
    """

    def __init__(self, limit: int = 20, read_every: int | None = None) -> None:
        self.limit = at_least("limit", limit)
        self.read_every = None if read_every is None else at_least("read_every", read_every)
        self.steps, self.skipped, self.consecutive_skips = 0, 0, 0
        self._every = self._unread = 0  # steps between readings, and since the last one
        self._counts: Tensor | None = None  # on the device, since the last reading: skipped, in a row, the longest row
        self._values: dict[tuple[str, ...], Tensor] = {}  # terms of the last skipped step, by all their names

    def step(
        self, optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor | float] | Tensor, scaler: Any = None
    ) -> bool | Tensor:
        """Take the optimizer's step, or skip it.

        Args:
            optimizer: any optimizer that steps without a closure, after ``backward``. Parameters without a gradient do not
                change, as in ``optimizer.step()``.
            terms: the loss, or its terms by name, as tensors or numbers.
            scaler: a ``torch.amp.GradScaler``. If enabled, it checks the gradients itself and takes or skips the step. It is
                not used if the optimizer has no gradients; if no optimizer has any, do not call ``scaler.update()``, which
                needs at least one.

        Returns:
            Whether the step was taken or, with a scaler, passed to the scaler. After a skipped step, images of this step
            should not enter an image pool. If the device decides, a boolean tensor (), so that only reading it, as in
            ``if guard.step(...)``, synchronises.

        Raises:
            ValueError: optimizer, terms or scaler is of another type.
            FloatingPointError: ``limit`` consecutive steps were skipped.
            RuntimeError: the first step with these terms is inside the capture of a CUDA graph.
        """
        instance_of("optimizer", optimizer, torch.optim.Optimizer, "such as torch.optim.Adam(network.parameters())")
        if scaler is not None:
            instance_of("scaler", scaler, torch.amp.GradScaler, "or None")
        named = _named(terms)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if scaler is not None and not (scaler.is_enabled() and gradients):
            scaler = None  # an enabled scaler raises if there are no gradients to unscale
        device = next((p.device for p in parameters), torch.device("cpu"))
        fused = _fused(optimizer) if scaler is None else None
        every = self.read_every or (READ_EVERY if device.type == "cuda" else 1)
        if fused is not None and every > 1 and device.type in ("cuda", "cpu"):
            self._every = every
            return self._step_on_device(optimizer, fused, named, gradients, device)
        self.steps += 1
        fine, values = _all_finite(named, [] if scaler is not None else gradients, device)
        if bool(fine):
            self.consecutive_skips = 0
            scaler.step(optimizer) if scaler is not None else optimizer.step()
            return True
        self.skipped, self.consecutive_skips = self.skipped + 1, self.consecutive_skips + 1
        if scaler is not None:
            with suppress(RuntimeError):  # raised if these gradients were unscaled before, for clipping
                scaler.unscale_(optimizer)  # scaler.update() requires it
        optimizer.zero_grad(set_to_none=True)
        bad = _non_finite_terms(dict(zip(named, values.tolist(), strict=True)))
        self._warn_or_raise(f"step {self.steps} was not taken: {bad}", self.consecutive_skips)
        return False

    def replayed(self) -> None:
        """Count a step that a CUDA graph replayed, and read the device's counters after every ``read_every`` steps.

        :class:`asymkit.CapturedStep` calls it after every replay.

        Raises:
            FloatingPointError: ``limit`` steps in a row were skipped.
        """
        self.steps, self._unread = self.steps + 1, self._unread + 1
        if self._unread >= self._every:
            self.read()

    def read(self) -> None:
        """Read the device's counters now, which synchronises, e.g. before saving a training state.

        Raises:
            FloatingPointError: ``limit`` steps in a row were skipped.
        """
        unread, self._unread = self._unread, 0
        if self._counts is None or unread == 0:
            return
        skipped, self.consecutive_skips, longest = map(int, self._counts.tolist())
        if longest != self.consecutive_skips:
            self._counts[2] = self.consecutive_skips
        if skipped == 0:
            return
        self.skipped += skipped
        self._counts[0] = 0
        values: dict[str, float] = {}
        for names, kept in self._values.items():
            found = zip(names, kept.tolist(), strict=True)
            values |= {name: value for name, value in found if not math.isfinite(value)}
            kept.zero_()
        which = f"step {self.steps} was"
        if unread > 1:
            which = f"{skipped} of steps {self.steps - unread + 1} to {self.steps} {'was' if skipped == 1 else 'were'}"
        self._warn_or_raise(f"{which} not taken: {_non_finite_terms(values)}", longest)

    def _step_on_device(
        self,
        optimizer: torch.optim.Optimizer,
        fused: torch.optim.Optimizer,
        named: Mapping[str, Tensor | float],
        gradients: list[Tensor],
        device: torch.device,
    ) -> Tensor:
        """Step without synchronising: the fused optimizer changes nothing if ``found_inf`` is 1."""
        fine, values = _all_finite(named, gradients, device)
        skipped = (~fine).float()
        with torch.no_grad():
            self._count_on_device(skipped, values, tuple(named))
        fused.found_inf = skipped  # type: ignore[attr-defined]
        try:
            optimizer.step()
        finally:
            vars(fused).pop("found_inf", None)
        if not _capturing(device):
            self.replayed()
        return fine

    def _count_on_device(self, skipped: Tensor, values: Tensor, names: tuple[str, ...]) -> None:
        if self._counts is None or names not in self._values:
            if _capturing(skipped.device):  # each replay would set them to zero
                raise RuntimeError("take a step with this StepGuard and these terms before one is captured")
            self._counts = skipped.new_zeros(3) if self._counts is None else self._counts
            self._values[names] = self._counts.new_zeros(len(names))
        skipped, values = skipped.to(self._counts.device), values.to(self._counts.device)
        total, consecutive, longest = self._counts.unbind()
        total += skipped
        consecutive.add_(1).mul_(skipped)
        torch.maximum(longest, consecutive, out=longest)
        kept = self._values[names]
        kept.copy_(torch.where(skipped > 0, values, kept))

    def _warn_or_raise(self, message: str, consecutive: int) -> None:
        if consecutive >= self.limit:
            raise FloatingPointError(
                f"{message}; that makes {consecutive} in a row. Look for images that are not finite, lower the learning "
                "rate, or resume from an earlier training state"
            )
        warnings.warn(f"{message}; {self.skipped} skipped so far", stacklevel=3)


def _all_finite(
    named: Mapping[str, Tensor | float], gradients: list[Tensor], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Whether all terms and gradients are finite, in all processes, and the terms; tensors on the device."""
    with torch.no_grad():
        terms = [_on_device(term, device) for term in named.values()]
        checked = list(terms)
        # coalesced values of sparse gradients
        values = [grad.coalesce().values() if grad.is_sparse else grad for grad in gradients]
        values = [value for value in values if value.numel()]  # the maximum of an empty tensor is an error
        if values:
            norm = torch.nn.utils.get_total_norm(values, math.inf).to(device)
            # checked in its own dtype, which may be wider than float32
            checked.append(torch.where(norm.isfinite(), 0.0, math.inf).float())
        fine = torch.stack(checked).isfinite().all() if checked else torch.ones((), dtype=torch.bool, device=device)
        # also without losses and gradients, as the other processes wait
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            everywhere = fine.float()
            torch.distributed.all_reduce(everywhere, torch.distributed.ReduceOp.MIN)
            fine = everywhere > 0
        return fine, torch.stack(terms) if terms else fine.new_zeros(0, dtype=torch.float32)


def _fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer | None:
    """The fused Adam or AdamW, also inside accelerate's wrapper, which skips steps by ``found_inf``; None for any other.

    A fused SGD does so too, but its momentum is uninitialised if the very first step is skipped.
    """
    if getattr(optimizer, "scaler", None) is not None:  # accelerate's wrapper, whose scaler uses found_inf itself
        return None
    inner = getattr(optimizer, "optimizer", optimizer)
    plain = type(inner) in (torch.optim.Adam, torch.optim.AdamW)  # a subclass may override step
    return inner if plain and all(group["fused"] for group in inner.param_groups) else None


def _on_device(term: Tensor | float, device: torch.device) -> Tensor:
    """A term as a float32 scalar on the device; a number is written by a kernel, not copied from the host."""
    if not isinstance(term, Tensor):
        most = torch.finfo(torch.float32).max
        number = max(-most, min(term, most)) if math.isfinite(term) else term
        return torch.full((), number, device=device)
    term = term.detach().float().to(device)
    return term.sum() if term.ndim else term


def _capturing(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _non_finite_terms(values: Mapping[str, float]) -> str:
    """The terms that are not finite, for a message."""
    bad = {name: value for name, value in values.items() if not math.isfinite(value)}
    return ", ".join(f"{name} is {value}" for name, value in bad.items()) or "gradients are not finite, losses are"


def _named(terms: Mapping[str, Tensor | float] | Tensor) -> dict[str, Tensor | float]:
    """Checked terms by name."""
    named = {"the loss": terms} if isinstance(terms, Tensor) else terms
    if not isinstance(named, Mapping):
        raise ValueError(f"terms must be the loss, a tensor, or a dict of its terms by name, got {described(terms)}")
    found: dict[str, Tensor | float] = {}
    for name, term in named.items():
        if isinstance(term, bool) or not isinstance(term, (Tensor, Real)) or getattr(term, "is_meta", False):
            raise ValueError(f"terms[{name!r}] must be a tensor or a number, got {described(term)}")
        try:
            found[name] = term if isinstance(term, Tensor) else float(term)
        except OverflowError:  # an integer too large for a float
            found[name] = math.inf if term > 0 else -math.inf
    return found
