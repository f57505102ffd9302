"""When and what to train: freezing for a while, and learning rates over time."""

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
MOST_PROGRESS = math.nextafter(2, 0)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Hold modules still for a while: no gradient for their parameters, eval mode; all restored on exit.

    Gradients still flow *through* the modules to their inputs. Gradients that the parameters hold on entry are set
    aside and come back on exit, so that an optimizer stepped inside leaves the parameters alone bit for bit, momentum
    and weight decay included, and gradients accumulated outside are not lost. Nests; restores after exceptions.

    Args:
        *modules: whole networks or parts of them.

    Raises:
        ValueError: something else than modules is given.

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
    parameters = {id(p): p for module in modules for p in module.parameters()}.values()
    layers = {id(layer): layer for module in modules for layer in module.modules()}.values()
    before = [(p, p.requires_grad, p.grad) for p in parameters]
    modes = [(layer, layer.training) for layer in layers]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        for layer in layers:
            layer.training = False
        yield
    finally:
        for parameter, required, gradient in before:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        for layer, training in modes:
            layer.training = training


class AsyncScheduler:
    """Train both directions for a while, then the hard one only, on pairs the easy one makes [Async-GAN Algorithm 1].

    The first half of the training is joint. From there on cycles of ``period`` epochs begin jointly and end partially:
    the easy direction is frozen and the hard one trained on pseudo pairs. Call the scheduler instead of the step; it
    runs the one whose turn it is, with everything in ``frozen`` held still during partial steps. The phase depends on
    the number of the epoch alone: there is nothing to save, and resuming is ``set_epoch(epoch)``.

    Args:
        joint: a training step of any cycle model, optimizers included.
        partial: a training step of the hard direction and its discriminator on pseudo pairs; takes what ``joint`` takes.
        frozen: modules, or parts of them, that partial steps leave alone: the easy direction and the poor domain's
            discriminator. They may share one optimizer with all others.
        total_epochs: N, epochs or iterations: whatever is given to :meth:`set_epoch`; at most 100 million.
        period: T, in the same unit; N / 10 and N / 6 did best in the paper.
        rule: "text", what the paper's text says: of every T epochs the first half is joint. "algorithm1" is the printed
            algorithm, whose count runs from 1: six joint epochs of ten, and never a partial one with T = 2.

    Raises:
        ValueError: a period or total below 1, above 100 million or no integer, an unknown rule, ``frozen`` holds no
            modules.

    Warns:
        UserWarning: a plan without any partial epoch, e.g. with T = N.

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
            raise ValueError(
                f"frozen must be a list of modules to hold still in partial steps, got {_kind(frozen, held)}; "
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
        """Say which epoch, or iteration, the following steps belong to, counted from 0.

        Raises:
            ValueError: below 0, not below ``total_epochs``, or no integer.
        """
        self._epoch = self._checked(epoch)

    def phase(self, epoch: int) -> Phase:
        """What an epoch is: "joint" or "partial"; depends on nothing but its number.

        In joint epochs the paper draws as many samples as the smaller set has, in partial ones all of the rich set.

        Raises:
            ValueError: below 0, not below ``total_epochs``, or no integer.
        """
        return "partial" if self._is_partial(self._checked(epoch)) else "joint"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step whose turn it is, with these arguments, and return what it returns.

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
        """The whole plan, one line for every run of epochs of one phase."""
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
        steps = ", ".join(
            f"{name}={_step_name(step)}" for name, step in (("joint", self.joint), ("partial", self.partial))
        )
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
        """Whether there is a partial epoch: the first is one of three, by either rule."""
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
    """Factor for the learning rate: 1 for a while, then linearly to 0 [AsymGAN §IV-A].

    Args:
        progress: how much of the training is done, 0 to 1, in epochs, iterations or minutes alike. A little more counts
            as 1, as schedulers ask for the rate after the last epoch too.
        constant: the part before the decay begins; the paper's 100 + 100 epochs are 0.5.

    Returns:
        The factor, 0 to 1.

    Raises:
        ValueError: progress is outside [0, 2), as the number of an epoch is, or constant outside [0, 1].

    Example:
        >>> import torch
        >>> from asymkit import linear_decay
        >>> [linear_decay(epoch / 200) for epoch in (0, 100, 150, 200)]
        [1.0, 1.0, 0.5, 0.0]

        PyTorch's ``LambdaLR`` counts from 0 in every run. Add the epochs of earlier runs, or a resumed training starts at
        the full rate, and divide by one more than there are, or the last epoch may be trained at rate 0:

        >>> epochs, done = 200, 150  # done: by the run that is resumed
        >>> optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: linear_decay((done + epoch) / (epochs + 1)))
        >>> optimizer.param_groups[0]["lr"] == linear_decay(150 / 201) > 0
        True
    """
    why = ": the part of the training that is done, epoch / epochs"
    progress = min(1.0, number("progress", progress, 0, MOST_PROGRESS, why))
    constant = number("constant", constant, 0, 1, ": a part of the training")
    if progress <= constant:
        return 1.0
    return (1 - progress) / (1 - constant)


def _kind(given: object, items: tuple[object, ...]) -> str:
    return type(given).__name__ if isinstance(given, nn.Module) else f"[{', '.join(type(i).__name__ for i in items)}]"


def _step_name(step: Callable[..., Any]) -> str:
    return str(getattr(step, "__qualname__", type(step).__name__))
