"""What holds for every op: registered as PyTorch asks, compiled, deterministic, light in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_msssim
import torch
from measure import saved_bytes
from torch import Tensor

from asymkit import (
    ColorCycleLoss,
    ContentLoss,
    GramStyleLoss,
    LeastSquaresLoss,
    LogisticLoss,
    LPIPSLoss,
    MSSSIMLoss,
    PerceptualLoss,
    SSIMLoss,
    TotalVariationLoss,
    VGGFeatures,
    ops,
)


def image(*shape: int, seed: int = 0, channels_last: bool = False) -> Tensor:
    x = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


SAMPLES: dict[str, list[tuple[Any, ...]]] = {
    "conv3x3": [
        (image(2, 3, 8, 9), image(4, 3, 3, 3, seed=1), image(4)),
        (image(1, 8, 6, 6, channels_last=True), image(4, 8, 3, 3, seed=1), None),
    ],
    "conv3x3_backward": [(image(2, 4, 6, 7), image(2, 3, 8, 9), image(4, 3, 3, 3, seed=1), True, True)],
}


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck looks at it
@pytest.mark.parametrize(("name", "sample"), [(name, sample) for name, each in SAMPLES.items() for sample in each])
def test_pytorch_accepts_the_registration(name: str, sample: tuple[Any, ...]) -> None:
    differentiable = {"conv3x3": (0, 1, 2), "conv3x3_backward": ()}[name]
    arguments = [
        value.clone(memory_format=torch.preserve_format).requires_grad_(i in differentiable)
        if isinstance(value, Tensor)
        else value
        for i, value in enumerate(sample)
    ]
    torch.library.opcheck(getattr(torch.ops.asymkit, name).default, tuple(arguments))


def test_every_op_is_among_the_samples() -> None:
    found = {name.split("::")[1] for name in torch._C._dispatch_get_all_op_names() if name.startswith("asymkit::")}
    assert {name.split(".")[0] for name in found} == set(SAMPLES)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ColorCycleLoss": ColorCycleLoss(),
    "weighted ColorCycleLoss": ColorCycleLoss([1, 2, 3]),
    "MSSSIMLoss": MSSSIMLoss(scales=2),
    "SSIMLoss": SSIMLoss(),
    "TotalVariationLoss": lambda x, y: TotalVariationLoss()(x),
    "GramStyleLoss": GramStyleLoss(VGGFeatures(["relu1_1"], weights=None)),
    "ContentLoss": ContentLoss(VGGFeatures(["relu1_1"], weights=None)),
    "PerceptualLoss": PerceptualLoss(VGGFeatures(["relu1_1"], weights=None), [1.0]),
    "LeastSquaresLoss": lambda x, y: LeastSquaresLoss().discriminator_loss(x, y),
    "LogisticLoss": lambda x, y: LogisticLoss().generator_loss(x + y),
    "gram_matrix": lambda x, y: ops.gram_matrix(x).square().mean(),
    "conditional_instance_norm": lambda x, y: (
        ops.conditional_instance_norm(x, y[:, :, 0, 0], y[:, :, 1, 1], "relu", residual=y).square().mean()
    ),
}


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", LOSSES)
def test_compiles_into_one_graph_with_the_same_gradient(name: str, backend: str) -> None:
    torch._dynamo.reset()
    x, y = image(2, 3, 24, 24).requires_grad_(), image(2, 3, 24, 24, seed=1)
    loss = LOSSES[name]
    expected = loss(x, y)
    found = torch.compile(loss, fullgraph=True, backend=backend)(x, y)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, x), torch.autograd.grad(expected, x))


def test_lpips_compiles_into_one_graph() -> None:
    torch._dynamo.reset()
    loss, x, y = LPIPSLoss(weights=None), image(1, 3, 32, 32), image(1, 3, 32, 32, seed=1)
    torch.testing.assert_close(torch.compile(loss, fullgraph=True, backend="aot_eager")(x, y), loss(x, y))


@pytest.mark.parametrize("name", LOSSES)
def test_channels_last_and_strided_inputs_give_the_same(name: str) -> None:
    x, y = image(2, 3, 24, 24).requires_grad_(), image(2, 3, 24, 24, seed=1)
    value = LOSSES[name](x, y)
    (gradient,) = torch.autograd.grad(value, x)
    wide = torch.zeros(2, 3, 24, 48)
    wide[..., ::2] = x.detach()
    for other in (x.detach().contiguous(memory_format=torch.channels_last), wide[..., ::2]):
        other.requires_grad_()
        again = LOSSES[name](other, y)
        torch.testing.assert_close(again, value)
        torch.testing.assert_close(torch.autograd.grad(again, other)[0], gradient)


@pytest.mark.parametrize("name", LOSSES)
def test_same_input_same_bits(name: str) -> None:
    results = []
    for _ in range(2):
        x, y = image(2, 3, 24, 24).requires_grad_(), image(2, 3, 24, 24, seed=1)
        value = LOSSES[name](x, y)
        results.append((value, *torch.autograd.grad(value, x)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_ms_ssim_saves_a_fifteenth_of_what_the_usual_package_saves() -> None:
    x, y = image(1, 3, 256, 256).requires_grad_(), image(1, 3, 256, 256, seed=1)
    theirs = saved_bytes(lambda: pytorch_msssim.ms_ssim(x, y, data_range=2))
    ours = saved_bytes(lambda: ops.ms_ssim(x, y))
    assert ours <= 1.01 * x.untyped_storage().nbytes()
    assert theirs / ours >= 15


def test_nothing_is_saved_where_no_gradient_is_wanted() -> None:
    x, y = image(1, 3, 64, 64).requires_grad_(), image(1, 3, 64, 64, seed=1)
    with torch.no_grad():
        assert not ops.ms_ssim(x, y, scales=2).requires_grad
    assert not ops.ms_ssim(x.detach(), y, scales=2).requires_grad
    weight = torch.ones(3, requires_grad=True)
    ops.color_l1(x.detach(), y, weight).sum().backward()
    torch.testing.assert_close(weight.grad, (x.detach() - y).abs().mean((0, 2, 3)))


def test_weak_precision_and_autocast_are_computed_in_float32() -> None:
    x, y = image(1, 3, 24, 24).bfloat16(), image(1, 3, 24, 24, seed=1).bfloat16()
    for name in ("ColorCycleLoss", "MSSSIMLoss", "TotalVariationLoss", "gram_matrix"):
        exact = LOSSES[name](x.double(), y.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = LOSSES[name](x, y)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)
