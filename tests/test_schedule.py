from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from asymkit import frozen, linear_decay


def network() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Sequential(nn.Dropout(), nn.Conv2d(4, 1, 1))
    )


def test_frozen_parameters_do_not_move_and_gradients_flow_through() -> None:
    discriminator, generator = network(), nn.Conv2d(3, 3, 1)
    optimizer = torch.optim.Adam([*discriminator.parameters(), *generator.parameters()], weight_decay=0.1)
    x = torch.randn(2, 3, 8, 8)
    discriminator(generator(x)).sum().backward()
    optimizer.step()  # momentum has built up, and gradients are still there
    before = [t.clone() for t in discriminator.state_dict().values()]
    moved = generator.weight.clone()
    for _ in range(3):
        with frozen(discriminator):
            generator.zero_grad()
            discriminator(generator(x)).sum().backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.state_dict().values(), strict=True))
    assert not torch.equal(moved, generator.weight)


def test_everything_is_restored_also_after_an_exception() -> None:
    net = network()
    net[0].weight.requires_grad_(False)
    net[2].eval()
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    before = [(p.requires_grad, p.grad) for p in net.parameters()], [m.training for m in net.modules()]
    with pytest.raises(KeyError), frozen(net):  # noqa: PT012
        assert not any(p.requires_grad or p.grad is not None for p in net.parameters())
        assert not any(m.training for m in net.modules())
        raise KeyError
    after = [(p.requires_grad, p.grad) for p in net.parameters()], [m.training for m in net.modules()]
    assert all(a[0] == b[0] and a[1] is b[1] for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1]


def test_nests_and_takes_parts_and_repeats() -> None:
    net = network()
    with frozen(net[0], net):
        with frozen(net[2]):
            pass
        assert not any(p.requires_grad for p in net.parameters())
    assert all(p.requires_grad for p in net.parameters())
    with frozen(net[2]):
        assert net[0].weight.requires_grad
        assert not net[2][1].weight.requires_grad


def test_gradients_accumulated_outside_are_not_lost() -> None:
    net = nn.Linear(2, 1)
    net(torch.ones(1, 2)).sum().backward()
    with frozen(net):
        pass
    net(torch.ones(1, 2)).sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.tolist() == [[2.0, 2.0]]


def test_frozen_refuses_lists() -> None:
    with pytest.raises(ValueError, match="frozen takes modules, got list"), frozen([network()]):  # type: ignore[arg-type]
        pass


def test_learning_rate_is_constant_then_falls_to_zero() -> None:
    factors = [linear_decay(epoch / 200) for epoch in range(201)]
    assert factors[:101] == [1.0] * 101
    assert factors[150] == pytest.approx(0.5)
    assert factors[200] == 0.0
    assert linear_decay(0.5, constant=1.0) == linear_decay(1.0, constant=1.0) == 1.0
    assert linear_decay(0.25, constant=0.0) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="constant must be a number from 0 to 1, got 100: a part of the training"):
        linear_decay(0.5, constant=100)
    for epoch in (2, -1, 2.5):  # an epoch is no part of a training
        with pytest.raises(
            ValueError, match=r"progress must be .* the part of the training that is done, epoch / epochs"
        ):
            linear_decay(epoch)
