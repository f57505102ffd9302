from __future__ import annotations

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asymkit import ColorCycleLoss, TotalVariationLoss, ops
from conftest import images_like

SHAPES = [(1, 1, 2, 2), (2, 3, 7, 9), (3, 4, 5, 16)]


@pytest.mark.parametrize("shape", SHAPES)
def test_color_l1_is_the_equation(shape: tuple[int, int, int, int]) -> None:
    x, y = images_like(*shape), images_like(*shape)
    weights = [0.5, 1.0, 2.0, 3.0][: shape[1]]
    torch.testing.assert_close(ops.color_l1(x, y), reference.color_l1(x, y))
    torch.testing.assert_close(ops.color_l1(x, y, weights), reference.color_l1(x, y, weights))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_color_l1_is_channels_times_mean_l1_and_so_is_its_gradient(channels: int) -> None:
    x, y = images_like(2, channels, 8, 9).requires_grad_(), images_like(2, channels, 8, 9)
    torch.testing.assert_close(ColorCycleLoss()(x, y), channels * torch.nn.functional.l1_loss(x, y))
    ours = torch.autograd.grad(ColorCycleLoss()(x, y), x)
    theirs = torch.autograd.grad(channels * torch.nn.functional.l1_loss(x, y), x)
    torch.testing.assert_close(ours, theirs)


def test_a_channel_of_weight_zero_has_no_gradient(images: Tensor) -> None:
    x = images.requires_grad_()
    (gradient,) = torch.autograd.grad(ColorCycleLoss([1, 0, 2])(x, torch.zeros_like(x)), x)
    assert gradient[:, 1].abs().max() == 0
    assert gradient[:, 2].abs().min() > 0


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", SHAPES)
def test_total_variation_is_the_equation_with_a_plus(shape: tuple[int, ...], power: int, reduction: str) -> None:
    x = images_like(*shape)
    ours = ops.total_variation(x, power, reduction)  # type: ignore[arg-type]
    torch.testing.assert_close(ours, reference.total_variation(x, power, reduction))


def test_total_variation_of_stripes_is_never_negative() -> None:
    rows = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    assert ops.total_variation(rows) == ops.total_variation(rows.mT) == 1
    assert TotalVariationLoss()(rows) == 1


def test_gradients(images: Tensor) -> None:
    x, y = images[..., :5, :6].requires_grad_(), images[..., 5:10, 6:12].requires_grad_()
    assert torch.autograd.gradcheck(ops.color_l1, (x, y))
    assert torch.autograd.gradcheck(lambda a: ops.total_variation(a, 2, "mean"), x)
    assert torch.autograd.gradcheck(lambda a: ops.total_variation(a, 1, "sum"), x)


@given(n=st.integers(1, 3), c=st.integers(1, 5), h=st.integers(2, 9), w=st.integers(2, 9))
@settings(deadline=None, max_examples=30)
def test_one_value_per_image_zero_for_equal_ones(n: int, c: int, h: int, w: int) -> None:
    x = torch.rand(n, c, h, w)
    assert ops.color_l1(x, x).tolist() == [0.0] * n
    assert ops.total_variation(x[..., :1, :1].expand_as(x)).tolist() == [0.0] * n
    assert ops.total_variation(x).shape == (n,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_float32_out(images: Tensor, dtype: torch.dtype) -> None:
    x, y = images.to(dtype), images.flip(3).to(dtype)
    for ours, expected in [
        (ops.color_l1(x, y), reference.color_l1(x, y)),
        (ops.total_variation(x, 1, "sum"), reference.total_variation(x, 1, "sum")),
    ]:
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: ops.color_l1(x, x[:, :1]),
            r"x and y must have the same shape, got \(2, 3, 19, 24\) and \(2, 1, 19, 24\)",
        ),
        (lambda x: ops.color_l1(x, x[:1]), "nothing is broadcast"),
        (lambda x: ops.color_l1(x, x, [1.0]), "channel_weights must hold one weight for each of the 3 channels"),
        (lambda x: ops.color_l1(x.int(), x), "x must be floating point, got torch.int32"),
        (lambda x: ops.color_l1(x[0], x[0]), r"for a single image use x.unsqueeze\(0\)"),
        (lambda x: ops.color_l1(x[:0], x[:0]), "x is empty"),
        (lambda x: ops.color_l1(x.tolist(), x), "x must be a tensor of images .*, got list"),
        (lambda x: ops.total_variation(x[..., :1]), "x is too small: got 19×1"),
        (
            lambda x: ops.total_variation(x, 2, "men"),  # type: ignore[arg-type]
            "unknown 'men', did you mean 'mean'",
        ),
        (lambda x: ops.total_variation(x, 0), "power must be a number from 1 to 10, got 0"),
        (lambda _: TotalVariationLoss(reduction="summ"), "did you mean 'sum'"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused(images: Tensor, call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(images)  # type: ignore[operator]
