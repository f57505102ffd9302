"""When and what to train: freezing for a while, and learning rates over time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
        >>> critic = nn.Linear(2, 1)
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> with frozen(critic):
        ...     critic(x).sum().backward()
        >>> critic.weight.grad is None, x.grad is None, critic.weight.requires_grad
        (True, False, True)
    """
    for module in modules:
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"frozen takes modules, got {type(module).__name__}; for several write frozen(a, b) or frozen(*modules)"
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


def linear_decay(progress: float, constant: float = 0.5) -> float:
    """Factor for the learning rate: 1 for a while, then linearly to 0 [AsymGAN §IV-A].

    Args:
        progress: how much of the training is done, 0 to 1, in epochs, iterations or minutes alike.
        constant: the part before the decay begins; the paper's 100 + 100 epochs are 0.5.

    Returns:
        The factor, 0 to 1.

    Raises:
        ValueError: progress or constant is outside [0, 1].

    Example:
        >>> [linear_decay(epoch / 200) for epoch in (0, 100, 150, 200)]
        [1.0, 1.0, 0.5, 0.0]

        In CycleGAN's ``get_scheduler``: ``LambdaLR(optimizer, lambda epoch: linear_decay(epoch / 200))``.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"progress must be the part that is done, 0 to 1, got {progress!r}; give epoch / epochs")
    if not 0 <= constant <= 1:
        raise ValueError(f"constant must be a part of the training between 0 and 1, got {constant!r}")
    if progress <= constant:
        return 1.0
    return (1 - progress) / (1 - constant)
