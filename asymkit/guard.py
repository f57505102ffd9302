"""One non-finite loss ends most trainings unnoticed; here it costs a step and is named."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from asymkit.checks import at_least, described, instance_of


class StepGuard:
    """Takes an optimizer's step where losses and gradients are finite, and says which were not where it does not.

        self.optimizer_G.step()  # before
        self.guard.step(self.optimizer_G, {"cycle": self.loss_cycle_A, "gan": self.loss_G_A})  # after

    A skipped step leaves weights and the optimizer's averages as they are and forgets the gradients. Where several
    processes train together, all skip or none does. Looking costs one wait for the GPU per step.

    Args:
        limit: how many steps in a row may be skipped before it gives up.

    Raises:
        ValueError: a limit below 1.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> optimizer, guard = torch.optim.Adam(layer.parameters()), StepGuard()
        >>> loss = layer(torch.ones(1, 1)).sum()
        >>> loss.backward()
        >>> guard.step(optimizer, {"loss": loss}), guard.skipped
        (True, 0)
    """

    def __init__(self, limit: int = 20) -> None:
        limit = at_least("limit", limit)
        self.limit, self.steps, self.skipped, self.in_a_row = limit, 0, 0, 0

    def step(
        self, optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor | float] | Tensor, scaler: Any = None
    ) -> bool:
        """Step, or not.

        Args:
            optimizer: after ``backward``, any that can step without a closure. Parameters without a gradient stay as they
                are, as in ``optimizer.step()``: frozen ones, or those of terms that are off.
            terms: the loss, or its terms by name; plain numbers, such as the 0 of a term that is off, are welcome.
            scaler: a ``torch.amp.GradScaler``. Unless it is disabled it looks after gradients itself and is given the step,
                which it may leave out on its own account. Where the optimizer has no gradient at all it is left
                untouched; if no optimizer has one, leave out ``scaler.update()`` too, which needs at least one.

        Returns:
            Whether the step was taken or, with a scaler, handed to the scaler. Where it was not, what the networks made
            is best kept from the discriminators' image pool too.

        Raises:
            ValueError: something else than an optimizer, losses or a scaler is given.
            FloatingPointError: ``limit`` steps in a row were skipped.
        """
        instance_of("optimizer", optimizer, torch.optim.Optimizer, "such as torch.optim.Adam(network.parameters())")
        if scaler is not None:
            instance_of("scaler", scaler, torch.amp.GradScaler, "or None")
        named = _named(terms)
        self.steps += 1
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if scaler is not None and not (scaler.is_enabled() and gradients):
            scaler = None  # a disabled one looks after nothing; an enabled one raises where there is nothing to unscale
        device = next((p.device for p in parameters), torch.device("cpu"))
        if self._finite(named, [] if scaler is not None else gradients, device):
            self.in_a_row = 0
            scaler.step(optimizer) if scaler is not None else optimizer.step()
            return True
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if scaler is not None:
            with suppress(RuntimeError):  # of a scaler that unscaled these gradients before, to clip them
                scaler.unscale_(optimizer)  # it wants to have looked before it is asked to update
        optimizer.zero_grad(set_to_none=True)
        values = {
            name: float(term.detach().float().sum() if isinstance(term, Tensor) else term)
            for name, term in named.items()
        }
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        what = ", ".join(f"{name} is {value}" for name, value in bad.items()) or "gradients are not finite, losses are"
        message = f"step {self.steps} was not taken: {what}"
        if self.in_a_row >= self.limit:
            raise FloatingPointError(
                f"{message}; that makes {self.in_a_row} in a row. Look for images that are not finite, lower the learning "
                "rate, or go back to a checkpoint"
            )
        warnings.warn(f"{message}; {self.skipped} skipped so far", stacklevel=2)
        return False

    @staticmethod
    def _finite(named: Mapping[str, Tensor | float], gradients: list[Tensor], device: torch.device) -> bool:
        """One answer for all processes, read from the device once."""
        numbers = all(math.isfinite(value) for value in named.values() if not isinstance(value, Tensor))
        looked = [value.detach().float().sum() for value in named.values() if isinstance(value, Tensor)]
        # the norm of sparse gradients is that of their values, summed where an index came twice
        values = [grad.coalesce().values() if grad.is_sparse else grad for grad in gradients]
        values = [value for value in values if value.numel()]  # nothing has no largest value
        if values:
            looked.append(torch.nn.utils.get_total_norm(values, float("inf")))
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not looked and not several:
            return numbers
        fine = torch.tensor(numbers, device=device)
        if looked:
            fine = torch.stack([value.to(device).isfinite() for value in looked]).all() & fine
        if several:  # also where this process has no losses and no gradients: the others wait for its answer
            everywhere = fine.float()
            torch.distributed.all_reduce(everywhere, torch.distributed.ReduceOp.MIN)
            return bool(everywhere)
        return bool(fine)


def _named(terms: Mapping[str, Tensor | float] | Tensor) -> dict[str, Tensor | float]:
    """The terms by name, refused where they are no losses."""
    named = {"the loss": terms} if isinstance(terms, Tensor) else terms
    if not isinstance(named, Mapping):
        raise ValueError(f"terms must be the loss, a tensor, or a dict of its terms by name, got {described(terms)}")
    found: dict[str, Tensor | float] = {}
    for name, term in named.items():
        if isinstance(term, bool) or not isinstance(term, Tensor | Real) or (isinstance(term, Tensor) and term.is_meta):
            raise ValueError(f"terms[{name!r}] must be a tensor or a number, got {described(term)}")
        try:
            found[name] = term if isinstance(term, Tensor) else float(term)
        except OverflowError:  # an integer beyond all floats
            found[name] = math.inf if term > 0 else -math.inf
    return found
