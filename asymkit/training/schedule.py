"""Freezing of modules, Async-GAN's schedule of joint and partial steps, and learning-rate decay."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Literal

from torch import Tensor, nn

from asymkit.arguments import at_least, described, number, one_of

Phase = Literal["joint", "partial"]
Rule = Literal["text", "algorithm1"]

MOST_EPOCHS = 10**8


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Context manager that freezes modules: parameters require no gradient, eval mode; everything is restored on exit.

    Gradients still flow *through* the modules to their inputs. ``.grad`` of the parameters is None inside and restored on
    exit, so that an optimizer step inside does not change the parameters at all, in spite of momentum and weight decay, and
    accumulated gradients are not lost. Can be nested; restores after exceptions too.

    Args:
        *modules: whole networks or parts of them.

    Raises:
        ValueError: an argument is not a module.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit import frozen
        >>> discriminator = nn.Linear(2, 1)
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> with frozen(discriminator):
        ...     discriminator(x).sum().backward()
        >>> discriminator.weight.grad is None, x.grad is None, discriminator.weight.requires_grad
        (True, False, True)
    """
    for module in modules:
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"frozen takes modules, got {described(module)}; for several write frozen(a, b) or frozen(*modules)"
            )
    together = nn.ModuleList(modules)
    before = [(p, p.requires_grad, p.grad) for p in together.parameters()]
    modes = [(layer, layer.training) for layer in together.modules()]
    try:
        for parameter, *_ in before:
            parameter.requires_grad_(False)
            parameter.grad = None
        for layer, _ in modes:
            layer.training = False
        yield
    finally:
        for parameter, required, gradient in before:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        for layer, training in modes:
            layer.training = training


class AsyncScheduler:
    """Alternates joint steps of both directions and partial steps of the hard direction [Async-GAN Algorithm 1].

    The first half of the training is joint. After that, each period begins with joint epochs and ends with partial ones, in
    which the easy direction is frozen and the hard one is trained on pseudo pairs. Call the scheduler instead of the step:
    it calls the step of the current phase, with the modules in ``frozen`` frozen during partial steps. The phase depends on
    the epoch number only: there is no state to save, and resuming is ``set_epoch(epoch)``.

    Args:
        joint: a training step of any cycle model, optimizers included.
        partial: a training step of the hard direction and its discriminator on pseudo pairs, with the arguments of ``joint``.
        frozen: modules, or parts of them, to freeze in partial steps: the easy direction and the poor domain's
            discriminator. They may share one optimizer with all others.
        total_epochs: N, in epochs or iterations, the unit of :meth:`set_epoch`; at most 100 million.
        period: T, in the same unit; N / 10 and N / 6 did best in the paper.
        rule: "text": the first half of every T epochs is joint, as in the paper's text. "algorithm1": the printed
            algorithm, which counts from 1: six joint epochs of ten, and no partial one for T = 2.

    Raises:
        ValueError: period or total_epochs is not an integer from 1 to 100 million, rule is unknown, or ``frozen`` is not a
            list of modules.

    Warns:
        UserWarning: no epoch is partial, e.g. for T = N.

    Example:
        >>> from torch import nn
        >>> from asymkit import AsyncScheduler
        >>> easy = nn.Linear(1, 1)
        >>> step = AsyncScheduler(lambda x: "joint", lambda x: "partial", [easy], total_epochs=8, period=4)
        >>> for epoch in range(8):
        ...     step.set_epoch(epoch)
        ...     print(step("a batch"), end=" ")
        joint joint joint joint joint joint partial partial
        >>> print(step.table())
        epochs 0-5    joint     6 epochs
        epochs 6-7    partial   2 epochs
        6 joint and 2 partial of 8; period 4, rule 'text'
    """

    def __init__(
        self,
        joint: Callable[..., Any],
        partial: Callable[..., Any],
        frozen: Iterable[nn.Module],
        total_epochs: int,
        period: int,
        rule: Rule = "text",
    ) -> None:
        for name, step in (("joint", joint), ("partial", partial)):
            if not callable(step):
                raise ValueError(f"{name} must be a training step, something to call, got {type(step).__name__}")
        held = tuple(frozen) if isinstance(frozen, Iterable) and not isinstance(frozen, nn.Module | Tensor) else ()
        if not held or not all(isinstance(module, nn.Module) for module in held):
            names = ", ".join(type(module).__name__ for module in held)
            got = type(frozen).__name__ if isinstance(frozen, nn.Module) else f"[{names}]"
            raise ValueError(
                f"frozen must be a list of modules to hold still in partial steps, got {got}; "
                "e.g. [rich_to_poor, poor_discriminator]"
            )
        total_epochs = at_least("total_epochs", total_epochs, most=MOST_EPOCHS)
        period = at_least("period", period, most=MOST_EPOCHS)
        one_of("rule", rule, ("text", "algorithm1"))
        self.joint, self.partial, self.frozen = joint, partial, held
        self.total_epochs, self.period, self.rule = total_epochs, period, rule
        self._epoch: int | None = None
        if not self._has_partial(period):
            candidates = [total_epochs // 6, total_epochs // 10, *range(2, min(2 * total_epochs, 100))]
            good = next((other for other in candidates if other and self._has_partial(other)), None)
            advice = "so short a training has none with any period" if good is None else f"period={good} has some"
            warnings.warn(
                f"this plan has no partial epoch: total_epochs={total_epochs}, period={period}, rule={rule!r}; {advice}",
                stacklevel=2,
            )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, or iteration, of the following steps, counted from 0.

        Raises:
            ValueError: epoch is not an integer from 0 to ``total_epochs`` − 1.
        """
        self._epoch = self._checked(epoch)

    def phase(self, epoch: int) -> Phase:
        """The phase of an epoch, "joint" or "partial", which depends on its number only.

        In joint epochs the paper draws as many samples as the smaller set has, in partial ones all of the rich set.

        Raises:
            ValueError: epoch is not an integer from 0 to ``total_epochs`` − 1.
        """
        return "partial" if self._is_partial(self._checked(epoch)) else "joint"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the step of the current phase with these arguments, and return its result.

        Raises:
            RuntimeError: ``set_epoch`` was never called.
        """
        if self._epoch is None:
            raise RuntimeError(
                "set_epoch was never called: call scheduler.set_epoch(epoch) before the steps of an epoch"
            )
        if not self._is_partial(self._epoch):
            return self.joint(*args, **kwargs)
        with frozen(*self.frozen):
            return self.partial(*args, **kwargs)

    def table(self) -> str:
        """The whole plan as text, one line for each range of epochs of one phase."""
        plan = [self.phase(epoch) for epoch in range(self.total_epochs)]
        lines, begin = [], 0
        for phase, run in groupby(plan):
            length = len(list(run))
            span = f"{begin}-{begin + length - 1}" if length > 1 else f"{begin}"
            lines.append(f"epochs {span:<6} {phase:<9} {length} epoch{'s' if length > 1 else ''}")
            begin += length
        counts = f"{plan.count('joint')} joint and {plan.count('partial')} partial of {self.total_epochs}"
        return "\n".join([*lines, f"{counts}; period {self.period}, rule {self.rule!r}"])

    def __repr__(self) -> str:
        steps = f"joint={_step_name(self.joint)}, partial={_step_name(self.partial)}"
        held = ", ".join(type(module).__name__ for module in self.frozen)
        plan = f"total_epochs={self.total_epochs}, period={self.period}, rule={self.rule!r}"
        now = "no epoch set" if self._epoch is None else f"epoch {self._epoch}: {self.phase(self._epoch)}"
        return f"AsyncScheduler({steps}, frozen=[{held}], {plan}; {now})"

    def _checked(self, epoch: int) -> int:
        try:
            return at_least("epoch", epoch, least=0, most=self.total_epochs - 1)
        except ValueError as error:
            raise ValueError(f"{error}; epochs are numbered from 0 to {self.total_epochs - 1}") from None

    def _has_partial(self, period: int) -> bool:
        """Whether any epoch is partial; by either rule, the first one is among three candidates."""
        half, number = math.ceil(self.total_epochs / 2), self.total_epochs // 2 + 1
        first = (half + math.ceil(period / 2), number - 1, number - number % period + period // 2)
        return any(epoch < self.total_epochs and self._is_partial(epoch, period) for epoch in first)

    def _is_partial(self, epoch: int, period: int | None = None) -> bool:
        period, half = period or self.period, math.ceil(self.total_epochs / 2)
        if self.rule == "text":
            return epoch >= half and 2 * ((epoch - half) % period) >= period
        number = epoch + 1
        return 2 * number > self.total_epochs and 2 * (number % period) > period


def linear_decay(progress: float, constant: float = 0.5) -> float:
    """Learning-rate factor: constant at 1, then linear decay to 0 [AsymGAN §IV-A].

    Args:
        progress: fraction of the training that is done, 0 to 1, e.g. epoch / epochs. Values above 1 and below 2 count as
            1, because schedulers also compute the factor after the last epoch.
        constant: fraction before the decay begins; the paper's 100 + 100 epochs are 0.5.

    Returns:
        The factor, 0 to 1.

    Raises:
        ValueError: progress is not in [0, 2), e.g. an epoch number, or constant is not in [0, 1].

    Example:
        >>> import torch
        >>> from asymkit import linear_decay
        >>> [linear_decay(epoch / 200) for epoch in (0, 100, 150, 200)]
        [1.0, 1.0, 0.5, 0.0]

        PyTorch's ``LambdaLR`` counts from 0 in every run. Add the epochs of earlier runs, so that a resumed training does not
        start at the full rate, and divide by one more than there are epochs, so that the last one is not trained at rate 0:

        >>> epochs, done = 200, 150  # done: epochs before resuming
        >>> optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: linear_decay((done + epoch) / (epochs + 1)))
        >>> optimizer.param_groups[0]["lr"] == linear_decay(150 / 201) > 0
        True
    """
    why = ": the part of the training that is done, epoch / epochs"
    progress = min(1.0, number("progress", progress, 0, math.nextafter(2, 0), why))
    constant = number("constant", constant, 0, 1, ": a part of the training")
    if progress <= constant:
        return 1.0
    return (1 - progress) / (1 - constant)


def _step_name(step: Callable[..., Any]) -> str:
    return str(getattr(step, "__qualname__", type(step).__name__))
