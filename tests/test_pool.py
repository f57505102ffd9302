"""Pools of earlier fakes, one kind at a time and for all kinds of an objective."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from waits import NoWaiting

from asymkit import CapturableImagePool, ImagePool, ImagePools, PatchDiscriminator
from asymkit.objectives import asymgan
from conftest import images_like


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
    assert [image.sum().item() for image in pool.images] == [0, 0]
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
    with pytest.raises(ValueError, match="size must be an integer of at least 0, got -1"):
        ImagePool(-1)


def test_a_checkpoint_of_different_channels_is_refused() -> None:
    pool = ImagePool(4)
    pool(torch.rand(1, 3, 2, 2))
    before = list(pool.images)
    with pytest.raises(ValueError, match=r"images of a pool have one number of channels, got \[1, 3\]"):
        pool.load_state_dict({"images": [torch.rand(3, 4, 4), torch.rand(1, 4, 4)]})
    assert pool.images == before
    pool.load_state_dict({"images": [torch.rand(3, 4, 4), torch.rand(3, 2, 6)]})  # sizes may differ
    assert len(pool) == 2


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
        (torch.rand(2, 3, 4, 8), r"height and width of those in the pool, \(8, 8\), .*batch of 2, got \(4, 8\)"),
        (torch.rand(1, 1, 8, 8), "images must have 3 channels, got 1"),
        ([torch.rand(3, 8, 8)], "images must be a tensor .* got list"),
    ],
)
def test_a_pool_refuses_what_it_cannot_mix(images: Any, message: str) -> None:
    pool = ImagePool(4)
    pool(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=message):
        pool(images)


def test_batches_of_one_may_have_any_size_as_in_cyclegan() -> None:
    """``--preprocess none`` gives every image its own size."""
    pool, sizes = ImagePool(3), [(4, 5), (6, 3), (2, 2), (5, 5)]
    made = [torch.rand(1, 3, *sizes[i % 4]) for i in range(60)]
    given = [pool.query(image) for image in made]
    assert all(torch.equal(a, b) for a, b in zip(made[:3], given, strict=False))  # until it is full
    assert all(any(torch.equal(image, earlier) for earlier in made[: i + 1]) for i, image in enumerate(given))
    assert {tuple(a.shape) != tuple(b.shape) for a, b in zip(made, given, strict=True)} == {True, False}

    other = ImagePool(3)
    other.load_state_dict(pool.state_dict())
    for each in (pool, other):
        torch.manual_seed(1)
        each.given = [each(image) for image in made]  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(pool.given, other.given, strict=True))  # type: ignore[attr-defined]

    pool.images = [torch.rand(3, 4, 5), torch.full((3, 6, 3), torch.nan), torch.rand(3, 2, 2)]
    pool.forget_nonfinite()
    assert [tuple(image.shape) for image in pool.images] == [(3, 4, 5), (3, 2, 2)]
    with pytest.raises(ValueError, match="batch of 2"):  # of the size of the first image kept, but not of the second
        pool(torch.rand(2, 3, 4, 5))


def test_a_pool_answers_in_the_type_it_is_asked_in() -> None:
    pool = ImagePool(2)
    pool(torch.rand(2, 3, 4, 4, dtype=torch.bfloat16))
    assert {pool(torch.rand(2, 3, 4, 4)).dtype for _ in range(20)} == {torch.float32}
    assert {pool(torch.rand(1, 3, 4, 4, dtype=torch.bfloat16)).dtype for _ in range(20)} == {torch.bfloat16}


def cycles_with_a_graph() -> asymgan.Cycles:
    images = [images_like(2, 3, 8, 9).requires_grad_() for _ in range(8)]
    codes = [torch.randn(2, 4, requires_grad=True) for _ in range(3)]
    return asymgan.Cycles(*images[:6], *codes, *images[6:])


def test_the_pools_mixes_all_fakes_with_earlier_ones_and_nothing_else() -> None:
    pools, first = ImagePools(size=2), cycles_with_a_graph()
    assert torch.equal(pools(first).fake_rich, first.fake_rich)  # fills the pools
    made = [cycles_with_a_graph() for _ in range(8)]
    shown = [pools(cycles) for cycles in made]
    for kind in ("fake_poor", "fake_rich", "rebuilt_resampled", "fake_encoded"):
        new = [image for cycles in made for image in getattr(cycles, kind)]
        old = [*getattr(first, kind), *new]
        given = [image for cycles in shown for image in getattr(cycles, kind)]
        assert any(not torch.equal(a, b) for a, b in zip(given, new, strict=True))
        assert all(any(torch.equal(image, earlier) for earlier in old) for image in given)
        assert len(pools.pools[kind]) == 2
    for cycles, mixed in zip(made, shown, strict=True):
        for name in ("x", "y", "z", "encoded_z", "rebuilt_rich", "rebuilt_poor"):
            assert torch.equal(getattr(cycles, name), getattr(mixed, name))
        assert not any(tensor is not None and tensor.requires_grad for tensor in mixed)
    other = ImagePools(size=2)
    other.load_state_dict(pools.state_dict())
    for kind, pool in pools.pools.items():
        assert all(torch.equal(a, b) for a, b in zip(other.pools[kind].images, pool.images, strict=True))
    with pytest.raises(ValueError, match=r"the image pools in it are \['fake_poor'\]"):
        other.load_state_dict({"fake_poor": {"images": []}})


def test_an_objective_trains_on_photographs_of_any_size() -> None:
    """Pools of several sizes, through an objective's own discriminator terms."""
    pools = ImagePools(size=2)
    patch = {"width": 4, "layers": 1}
    discriminators = asymgan.Discriminators(PatchDiscriminator(**patch), PatchDiscriminator(**patch))
    sizes = [(8, 12), (12, 8), (8, 8)]
    seen = set()
    for i in range(20):
        x, y = (torch.rand(1, 3, *sizes[(i + shift) % 3]) for shift in (0, 1))
        cycles = pools(asymgan.Cycles(x, y, y, x, x, y))
        seen.add((x.shape, cycles.fake_poor.shape))
        terms = asymgan.discriminator_terms(cycles, discriminators)
        assert torch.stack(list(terms.values())).isfinite().all()
    assert len(seen) > 3


def exchanged(stored: list[Tensor], images: Tensor, size: int, swaps: Tensor, places: Tensor) -> Tensor:
    """CycleGAN's pool, image by image, with the choices given; the images kept are changed in place."""
    given = []
    for image, swap, place in zip(images, swaps.tolist(), places.tolist(), strict=True):
        if len(stored) < size:
            stored.append(image)
            given.append(image)
        elif swap:
            given.append(stored[place])
            stored[place] = image
        else:
            given.append(image)
    return torch.stack(given)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_capturable_pool_is_cyclegans_image_by_image(batch: int, layout: torch.memory_format) -> None:
    """Also where the pool fills within a batch, and where images of one batch go to one place."""
    pool, stored = CapturableImagePool(size=4), list[Tensor]()
    torch.manual_seed(0)
    for _ in range(60):
        images = torch.rand(batch, 3, 2, 3).contiguous(memory_format=layout)
        state = torch.get_rng_state()
        with NoWaiting():
            given = pool(images)
        torch.set_rng_state(state)
        swaps, places = torch.rand(batch) < 0.5, torch.randint(4, (batch,))
        assert torch.equal(given, exchanged(stored, images, 4, swaps, places))
        assert given.stride() == images.stride()
        assert len(pool) == len(stored)
        assert all(map(torch.equal, pool.images, stored))


def test_a_capturable_pool_swaps_as_often_as_the_other() -> None:
    """Of 2,000 images about half come from the pool, and from all of its places alike."""
    for pool in (ImagePool(5), CapturableImagePool(5)):
        torch.manual_seed(0)
        made = torch.arange(2005.0).view(-1, 1, 1, 1)
        given = torch.cat([pool(image[None]) for image in made]).flatten()
        assert torch.equal(given[:5], made[:5].flatten())
        ages = (made.flatten() - given)[5:]
        swapped = ages > 0
        assert 0.46 < swapped.float().mean() < 0.54
        assert 9 < ages[swapped].mean() < 11  # each place is taken by every tenth image
        assert len(given[5:].unique()) == 2000  # an image leaves the pool when it is handed out


def test_a_capturable_pool_stays_where_it_is_in_memory() -> None:
    """A graph reads and writes there, whatever is loaded."""
    pool = CapturableImagePool(3)
    pool(torch.zeros(2, 1, 2, 2))
    place = pool._rows.data_ptr()  # type: ignore[union-attr]
    pool.load_state_dict({"images": [torch.ones(1, 2, 2)]})
    assert [image.mean() for image in pool.images] == [1]
    pool.forget_nonfinite()
    pool(torch.full((2, 1, 2, 2), 2.0))
    assert [image.mean() for image in pool.images] == [1, 2, 2]
    pool.load_state_dict({"images": []})
    assert len(pool) == 0
    assert pool._rows.data_ptr() == place  # type: ignore[union-attr]


def test_states_of_both_pools_fit_each_other() -> None:
    pool, capturable = ImagePool(4), CapturableImagePool(4)
    pool(torch.rand(3, 2, 5, 4))
    capturable.load_state_dict(pool.state_dict())
    assert all(map(torch.equal, capturable.images, pool.images))
    capturable(torch.rand(3, 2, 5, 4))
    pool.load_state_dict(capturable.state_dict())
    assert len(pool) == 4
    assert all(map(torch.equal, capturable.images, pool.images))
    kept = pool.images[0].clone()
    for _ in range(20):
        capturable(torch.rand(3, 2, 5, 4))
    assert torch.equal(pool.images[0], kept)  # a state is a copy
    with pytest.raises(ValueError, match="holds 4 images, this one has size=2"):
        CapturableImagePool(2).load_state_dict(pool.state_dict())
    pools, others = ImagePools(2), ImagePools(2, capturable=True)
    pools(cycles_with_a_graph())
    others.load_state_dict(pools.state_dict())
    mixed = others(cycles_with_a_graph())
    assert not any(tensor is not None and tensor.requires_grad for tensor in mixed)
    assert all(isinstance(pool, CapturableImagePool) for pool in others.pools.values())


def test_a_capturable_pool_does_not_keep_images_that_are_not_finite() -> None:
    pool = CapturableImagePool(2)
    batch = torch.stack([torch.full((1, 2, 2), value) for value in (torch.nan, 1.0, torch.inf, 2.0, 3.0)])
    for _ in range(20):
        given = pool(batch)
        assert given[[0, 2]].isfinite().logical_not().all()
        assert given[[1, 3, 4]].isfinite().all()
    assert all(image.isfinite().all() for image in pool.images)
    assert len(pool) == 2


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(1, 3, 4, 8), r"of the size of those in the pool, \(3, 8, 8\), got \(3, 4, 8\); use ImagePool"),
        (torch.rand(2, 1, 8, 8), "images must have 3 channels, got 1"),
        (torch.rand(3, 8, 8), "images must be a batch of images"),
    ],
)
def test_a_capturable_pool_holds_images_of_one_size(images: Tensor, message: str) -> None:
    pool = CapturableImagePool(4)
    pool(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=message):
        pool(images)
    with pytest.raises(ValueError, match="have one size"):
        pool.load_state_dict({"images": [torch.rand(3, 8, 8), torch.rand(3, 8, 4)]})
    assert len(pool) == 2
    assert torch.equal(CapturableImagePool(0)(batch := torch.rand(1, 3, 4, 4)), batch)


def test_a_capturable_pool_answers_in_the_type_it_is_asked_in() -> None:
    pool = CapturableImagePool(2)
    pool(torch.rand(2, 3, 4, 4, dtype=torch.bfloat16))
    assert {pool(torch.rand(2, 3, 4, 4)).dtype for _ in range(20)} == {torch.float32}
    returned = [pool(torch.rand(1, 3, 4, 4, device="meta")) for _ in range(2)]  # as after a checkpoint
    assert {image.device.type for image in returned} == {"meta"}


def test_a_capturable_pool_keeps_what_its_type_can_hold_and_may_begin_in_inference_mode() -> None:
    pool = CapturableImagePool(4)
    with torch.inference_mode():
        pool(torch.zeros(1, 3, 4, 4, dtype=torch.float16))
    pool(torch.full((1, 3, 4, 4), 1e6))  # infinite in float16
    pool(torch.ones(1, 3, 4, 4))
    assert [image.max().item() for image in pool.images] == [0.0, 1.0]
