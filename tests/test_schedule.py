from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from asymkit import ImagePool, frozen, linear_decay


def network() -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Sequential(nn.Dropout(), nn.Conv2d(4, 1, 1))
    )


def test_frozen_parameters_do_not_move_and_gradients_flow_through() -> None:
    critic, generator = network(), nn.Conv2d(3, 3, 1)
    optimizer = torch.optim.Adam([*critic.parameters(), *generator.parameters()], weight_decay=0.1)
    x = torch.randn(2, 3, 8, 8)
    critic(generator(x)).sum().backward()
    optimizer.step()  # momentum has built up, and gradients are still there
    before = [t.clone() for t in critic.state_dict().values()]
    moved = generator.weight.clone()
    for _ in range(3):
        with frozen(critic):
            generator.zero_grad()
            critic(generator(x)).sum().backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, critic.state_dict().values(), strict=True))
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
    with pytest.raises(ValueError, match="constant must be a part"):
        linear_decay(0.5, constant=100)
    for epoch in (2, -1, 1.01):  # an epoch is no part of a training
        with pytest.raises(ValueError, match=r"progress must be the part that is done, .* give epoch / epochs"):
            linear_decay(epoch)


def test_a_pool_hands_out_old_images_about_half_the_time() -> None:
    pool = ImagePool(size=10)
    for i in range(10):
        assert pool(torch.full((1, 1, 1, 1), float(i))).item() == i
    assert len(pool) == 10
    returned = [pool(torch.full((1, 1, 1, 1), float(i))).item() for i in range(10, 2010)]
    swapped = sum(value != i for i, value in enumerate(returned, 10))
    assert 900 < swapped < 1100
    assert len(set(returned)) == 2000  # an image leaves the pool when it is handed out


def test_a_pool_detaches_copies_and_can_be_switched_off() -> None:
    images = torch.zeros(2, 3, 1, 1, requires_grad=True)
    pool = ImagePool(size=2)
    assert not pool(images).requires_grad
    with torch.no_grad():
        images += 1
    assert all(image.sum() == 0 for image in pool.images)
    off = ImagePool(size=0)
    assert torch.equal(off(images), images)
    assert len(off) == 0


def test_a_pool_survives_a_checkpoint() -> None:
    pool, other = ImagePool(4), ImagePool(4)
    pool(torch.randn(4, 2, 1, 1))
    other.load_state_dict(pool.state_dict())
    torch.manual_seed(1)
    first = pool(torch.ones(3, 2, 1, 1))
    torch.manual_seed(1)
    assert torch.equal(other(torch.ones(3, 2, 1, 1)), first)
    with pytest.raises(ValueError, match="holds 4 images, this one has size=2"):
        ImagePool(2).load_state_dict(pool.state_dict())
    with pytest.raises(ValueError, match="size must be a whole number of at least 0, got -1"):
        ImagePool(-1)


def test_a_pool_is_called_as_in_cyclegan_and_gives_images_on_the_device_of_new_ones() -> None:
    pool, images = ImagePool(4), torch.rand(4, 3, 2, 2)
    assert torch.equal(pool.query(images), images)
    returned = [pool(images[:1].to("meta")) for _ in range(30)]  # as after a checkpoint, whose images are on the CPU
    assert {image.device.type for image in returned} == {"meta"}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(3, 8, 8), r"images must be a batch of images .*images.unsqueeze\(0\)"),
        (torch.rand(0, 3, 8, 8), "images is empty"),
        (torch.rand(1, 3, 4, 8), r"shape of those in the pool, \(3, 8, 8\), got \(3, 4, 8\)"),
        ([torch.rand(3, 8, 8)], "images must be a tensor .* got list"),
    ],
)
def test_a_pool_refuses_what_it_cannot_mix(images: Any, message: str) -> None:
    pool = ImagePool(4)
    pool(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=message):
        pool(images)
