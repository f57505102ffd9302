"""What arguments may be: the examples that once went through, and values that must not be refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import asymkit
from asymkit import AsyncScheduler, LPIPSLoss, arguments, checks, linear_decay, ops
from asymkit.objectives import asymgan
from asymkit.objectives.asymmetricgan import supervised
from asymkit.objectives.terms import aux_l1

MAPS, IMAGE = torch.rand(2, 4, 8, 8), torch.rand(2, 3, 32, 32)


def translators() -> asymgan.Translators:
    generator, encoder = asymkit.AuxGenerator(width=4, blocks=1), asymkit.AuxEncoder(width=4)
    return asymgan.Translators(asymkit.ResnetGenerator(width=4, blocks=1), generator, encoder)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.ssim(IMAGE, IMAGE, value_range=(0, 1, 255)), r"value_range must be \(low, high\).*\(0, 1, 255\)"),  # type: ignore[arg-type]
        (lambda: ops.ssim(IMAGE, IMAGE, value_range=(0, float("nan"))), "value_range must be a number"),
        (lambda: ops.ssim(IMAGE, IMAGE, sigma=1e-170), "sigma must be a number from 0.1 to 1000, got 1e-170"),
        (lambda: ops.total_variation(IMAGE, power=float("nan")), "power must be a number from 1 to 10, got nan"),  # type: ignore[arg-type]
        (lambda: ops.instance_norm(MAPS, eps=-1), "eps must be a number from 1e-12 to 1, got -1"),
        (lambda: ops.instance_norm(MAPS, residual=MAPS.to(torch.uint8)), "residual must have x's shape.*torch.uint8"),
        (lambda: ops.instance_norm(MAPS, residual=MAPS.to("meta")), "residual must be on cpu, got meta"),
        (lambda: translators()(IMAGE, IMAGE, torch.zeros(2, 8, dtype=torch.int64)), "z must have.*torch.int64"),
        (lambda: translators()(IMAGE, IMAGE, torch.zeros(2, 8, dtype=torch.complex64)), "z must have.*torch.complex64"),
        (lambda: aux_l1(torch.zeros(4, 8), torch.zeros(1, 8)), r"have the original's shape, \(1, 8\)"),
        (lambda: asymkit.Tiled(None, multiple=4), r"generator must be a network \(nn.Module\), got None"),  # type: ignore[arg-type]
        (lambda: asymkit.DomainDiscriminator(3, layers=2**63), "layers must be at most 8"),
        (lambda: asymkit.PatchDiscriminator(width=2**40), "width must be at most 1024"),
        (lambda: asymgan.Weights(style=float("nan")), "style must be a number from 0 to 1e"),
        (
            lambda: LPIPSLoss(weights=5),  # type: ignore[arg-type]
            "weights: got 5, expected a state dict of torchvision's alexnet, the path of",
        ),
        (
            lambda: asymkit.VGGFeatures(["relu1_1"], {1: None}),  # type: ignore[dict-item]
            "weights: 1 is a NoneType, expected a state dict of torchvision's vgg16",
        ),
        (lambda: asymkit.PatchDiscriminator()(torch.zeros(1, 3, 64, 64, device="meta")), "image must be on cpu"),
        (lambda: asymkit.PatchDiscriminator()(torch.zeros(1, 3, 64, 64).to_sparse()), "image must be.*dense"),
    ],
)
def test_nonsense_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_weights_of_a_feature_network_are_refused() -> None:
    shapes = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}
    good = {key: torch.randn(shape) for key, shape in shapes.items()}
    asymkit.VGGFeatures(["relu1_1"], good)
    for bad in (torch.full((64,), torch.nan), torch.ones(64, dtype=torch.bool), torch.ones(64, dtype=torch.complex64)):
        with pytest.raises(ValueError, match=r"features\.0\.bias.*(NaN|bool|complex)"):
            asymkit.VGGFeatures(["relu1_1"], good | {"features.0.bias": bad})


def test_numpy_integers_are_sizes_and_epochs() -> None:
    four = np.int64(4)
    generator = asymkit.AuxGenerator(width=four, blocks=np.int32(1), aux_channels=np.uint8(8))  # type: ignore[arg-type]
    assert type(generator.aux_channels) is int
    assert generator(IMAGE).shape == IMAGE.shape
    discriminator = asymkit.DomainDiscriminator(four, width=four, layers=four, image_size=np.int64(64))  # type: ignore[arg-type]
    assert discriminator(torch.zeros(1, 3, 64, 64))[1].shape == (1, 4)
    scheduler = AsyncScheduler(lambda: "joint", lambda: "partial", [nn.Linear(1, 1)], np.int64(8), four)  # type: ignore[arg-type]
    assert [scheduler.phase(epoch) for epoch in np.arange(8)] == 6 * ["joint"] + 2 * ["partial"]  # type: ignore[arg-type]
    scheduler.set_epoch(np.int64(7))  # type: ignore[arg-type]
    assert scheduler() == "partial"
    assert asymkit.MSSSIMLoss(scales=np.int64(2), window_size=np.int64(11))(IMAGE, IMAGE) == 0  # type: ignore[arg-type]


def test_numpy_numbers_are_numbers() -> None:
    low, high = np.float32(-1), np.int64(1)
    loss = asymkit.SSIMLoss((low, high), sigma=np.float64(1.5))  # type: ignore[arg-type]
    assert loss(IMAGE, IMAGE.flip(3)) == asymkit.SSIMLoss()(IMAGE, IMAGE.flip(3))


def test_numpy_booleans_are_booleans() -> None:
    """As a comparison of arrays gives them."""
    yes, no = np.bool_(True), np.bool_(False)
    assert arguments.flags(yes=yes, no=no, true=True) == (True, False, True)
    assert asymkit.DomainClassificationLoss(multi_label=yes).multi_label is True  # type: ignore[arg-type]
    assert asymkit.AuxEncoder(width=4, pooled=no).pooled is False  # type: ignore[arg-type]
    scores, loss = torch.rand(1, 1, 4, 4), asymkit.LeastSquaresLoss()
    assert loss(scores, yes) == loss(scores, True) != loss(scores, no)
    for bad in (1, "True", np.int64(1), np.array([True]), torch.tensor(True), None):
        with pytest.raises(ValueError, match=r"^pooled must be True or False, got "):
            arguments.flags(pooled=bad)


def test_random_lpips_is_the_same_in_every_object_and_leaves_random_numbers_alone() -> None:
    torch.manual_seed(1)
    first = LPIPSLoss("squeeze", weights=None)
    drawn = torch.rand(3)
    second = LPIPSLoss("squeeze", weights=None)
    assert first(IMAGE, IMAGE.flip(3)) == second(IMAGE, IMAGE.flip(3)) > 0
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)


def test_the_rate_after_the_last_epoch_is_zero() -> None:
    assert [linear_decay(epoch / 200) for epoch in (199, 200, 201)] == pytest.approx([0.01, 0, 0])
    assert linear_decay(1.005, constant=1.0) == 1
    for mistake in (2, 100, -0.005, float("nan"), "0.5", None, True, torch.tensor(0.5)):
        with pytest.raises(ValueError, match="progress must be a number from 0 to 2"):
            linear_decay(mistake)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:this plan has no partial epoch")
@pytest.mark.parametrize("rule", ["text", "algorithm1"])
def test_a_plan_knows_whether_it_has_partial_epochs_without_going_through_it(rule: Any) -> None:
    held = [nn.Linear(1, 1)]
    for total, period in itertools.product(range(1, 26), range(1, 30)):
        scheduler = AsyncScheduler(print, print, held, total, period, rule)
        has = "partial" in map(scheduler.phase, range(total))
        assert scheduler._has_partial(period) == has, (total, period)
    AsyncScheduler(print, print, held, 10**8, 10**8 // 3, rule)


def test_no_tensor_is_checked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    check = checks.check_dense

    def noting(name: str, x: object, *options: Any, **more: Any) -> None:
        seen.append(id(x))
        check(name, x, *options, **more)

    monkeypatch.setattr(checks, "check_dense", noting)
    small = supervised.Translators(asymkit.DualGenerator.supervised(4, 4, 1))
    given = [torch.rand(1, 3, 32, 32) for _ in range(4)]
    calls: list[tuple[Callable[..., object], list[Tensor]]] = [
        (small, given),
        (asymkit.MSSSIMLoss(scales=1), given[:2]),
        (asymkit.SSIMLoss(), given[:2]),
        (asymkit.ColorCycleLoss(), given[:2]),
        (asymkit.TotalVariationLoss(), given[:1]),
    ]
    for call, tensors in calls:
        seen.clear()
        call(*tensors)
        assert [seen.count(id(tensor)) for tensor in tensors] == [1] * len(tensors), call


@pytest.mark.parametrize("dynamic", [False, True])
def test_checks_are_no_obstacle_to_compilation(dynamic: bool) -> None:
    def losses(x: Tensor, y: Tensor) -> Tensor:
        parts = (
            asymkit.MSSSIMLoss(scales=2)(x, y),
            asymkit.TotalVariationLoss()(x),
            asymkit.ColorCycleLoss([1, 2, 3])(x, y),
        )
        return torch.stack(parts).sum() + ops.ssim(x, y).mean()

    compiled = torch.compile(losses, fullgraph=True, backend="eager", dynamic=dynamic)
    assert compiled(IMAGE, IMAGE.flip(3)) == pytest.approx(losses(IMAGE, IMAGE.flip(3)))
