from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_msssim
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asymkit import ColorCycleLoss, MSSSIMLoss, SSIMLoss, ops
from conftest import images_like


def noisy(x: Tensor, amount: float = 0.2) -> Tensor:
    return (x + amount * torch.randn_like(x)).clamp(-1, 1)


@pytest.mark.parametrize("shape", [(1, 1, 11, 11), (2, 3, 13, 16), (1, 4, 16, 12)])
def test_ssim_is_the_equation(shape: tuple[int, int, int, int]) -> None:
    x = images_like(*shape)
    y = noisy(x)
    torch.testing.assert_close(ops.ssim(x, y), reference.ssim(x, y))
    torch.testing.assert_close(ops.ssim(x, -x), reference.ssim(x, -x))


def test_other_windows_and_ranges() -> None:
    x = images_like(1, 2, 14, 12)
    y = noisy(x)
    torch.testing.assert_close(ops.ssim(x, y, window_size=7, sigma=1.0), reference.ssim(x, y, size=7, sigma=1.0))
    for low, high in [(0.0, 1.0), (0.0, 255.0), (-0.5, 2.0)]:
        a, b = ((image + 1) / 2 * (high - low) + low for image in (x, y))
        torch.testing.assert_close(ops.ssim(a, b, value_range=(low, high)), ops.ssim(x, y))


@pytest.mark.parametrize(("shape", "scales"), [((1, 1, 22, 24), 2), ((2, 3, 21, 23), 2), ((1, 1, 41, 43), 3)])
def test_ms_ssim_is_the_equation(shape: tuple[int, int, int, int], scales: int) -> None:
    x = images_like(*shape)
    y = noisy(x)
    torch.testing.assert_close(ops.ms_ssim(x, y, scales=scales), reference.ms_ssim(x, y, scales))


@pytest.mark.parametrize("contrast", [0.02, 0.05, 1.0])
def test_similarities_below_a_thousandth_are_continued_by_the_equations_hyperbola(contrast: float) -> None:
    """Of images and their negatives: just below 0 where contrasts are faint, near −1 where they are strong."""
    x = contrast * images_like(1, 2, 22, 23)
    for scales in (1, 2):
        found, expected = ops.ms_ssim(x, -x, scales=scales), reference.ms_ssim(x, -x, scales)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("side", [(176, 192), (256, 256)])
def test_even_sizes_agree_with_pytorch_msssim(side: tuple[int, int]) -> None:
    x = images_like(1, 3, *side).float()
    y = noisy(x)
    theirs = pytorch_msssim.ms_ssim((x + 1) / 2, (y + 1) / 2, data_range=1, size_average=False)
    torch.testing.assert_close(ops.ms_ssim(x, y), theirs, rtol=0, atol=3e-6)
    exact = ops.ms_ssim(x.double(), y.double())
    torch.testing.assert_close(ops.ms_ssim(x, y).double(), exact, rtol=0, atol=1e-6)


def test_backend_pytorch_msssim_is_that_package() -> None:
    x = images_like(2, 3, 176, 176).float()
    y = noisy(x)
    mapped = (x + 1, y + 1)
    ssim = 1 - pytorch_msssim.ssim(*mapped, data_range=2)
    ms_ssim = 1 - pytorch_msssim.ms_ssim(*mapped, data_range=2)
    torch.testing.assert_close(SSIMLoss(backend="pytorch-msssim")(x, y), ssim)
    torch.testing.assert_close(MSSSIMLoss(backend="pytorch-msssim")(x, y), ms_ssim, rtol=0, atol=3e-6)
    torch.testing.assert_close(MSSSIMLoss()(x, y), ms_ssim, rtol=0, atol=3e-6)
    few = MSSSIMLoss(scales=2, backend="pytorch-msssim")(x, y)
    torch.testing.assert_close(few, MSSSIMLoss(scales=2)(x, y), rtol=0, atol=3e-6)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.2, 1.0])
def test_equal_images_are_exactly_one(value: float) -> None:
    constant = torch.full((2, 3, 44, 44), value)
    noise = torch.rand(2, 3, 44, 44)
    for x in (constant, noise, constant + 1e-7):
        assert ops.ssim(x, x.clone()).tolist() == [1.0, 1.0]
        assert ops.ms_ssim(x, x.clone(), scales=3).tolist() == [1.0, 1.0]


def test_never_above_one_for_nearly_equal_images() -> None:
    x = torch.full((1, 3, 32, 32), 0.6)
    for step in (1e-7, 1e-6, 1e-4):
        y = x + step * torch.randn_like(x)
        assert 1 - 1e-3 < ops.ssim(x, y).item() <= 1
        assert 1 - 1e-3 < ops.ms_ssim(x, y, scales=2).item() <= 1


def test_inverted_images_are_not_similar(images: Tensor) -> None:
    assert ops.ssim(images, -images).max() < 0.1
    # a pair of images that would be called similar if they were compared without their range
    bright = torch.full((1, 1, 16, 16), 0.9)
    assert ops.ssim(bright, -bright).item() < 0.2


@pytest.mark.parametrize("scales", [1, 3])
def test_anticorrelated_images_have_finite_gradients_that_lead_away(scales: int) -> None:
    x = images_like(1, 3, 64, 64)
    y = (-x).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that anomaly mode is slow
        with torch.autograd.detect_anomaly(check_nan=True):
            value = ops.ms_ssim(x, y, scales=scales)
            (gradient,) = torch.autograd.grad(value.sum(), y)
    assert 0 < value.item() < 0.05
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    closer = y.detach() + 0.2 * gradient / gradient.abs().max()
    assert ops.ms_ssim(x, closer, scales=scales).item() > value.item()


@pytest.mark.parametrize("op", [ops.ssim, ops.ms_ssim])
def test_images_are_let_go_with_the_graph_and_no_earlier(op: Callable[..., Tensor]) -> None:
    """A loss that is kept for a log must not keep the images, and all that they were computed from."""
    leaf, y = images_like(1, 1, 176, 176).float().requires_grad_(), images_like(1, 1, 176, 176).float()
    x = leaf * 1
    value, alive = op(x, y).sum(), weakref.ref(x)
    del x
    (first,) = torch.autograd.grad(value, leaf, retain_graph=True)
    (again,) = torch.autograd.grad(value, leaf, create_graph=True)
    torch.testing.assert_close(again, first)
    assert again.requires_grad
    assert alive() is not None
    del again
    value.backward()
    assert alive() is None
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(value, leaf, create_graph=True)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_constant_against_noise_has_finite_gradients(value: float) -> None:
    x = torch.full((1, 1, 48, 48), value)
    for y in (torch.rand(1, 1, 48, 48), torch.full((1, 1, 48, 48), 1.0)):
        y.requires_grad_()
        (gradient,) = torch.autograd.grad(ops.ms_ssim(x, y, scales=3).sum(), y)
        assert torch.isfinite(gradient).all()


def test_gradients() -> None:
    x = images_like(1, 2, 12, 13).requires_grad_()
    y = noisy(x.detach()).requires_grad_()
    assert torch.autograd.gradcheck(ops.ssim, (x, y), fast_mode=True)
    x = images_like(1, 1, 21, 23).requires_grad_()
    y = noisy(x.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: ops.ms_ssim(a, b, scales=2), (x, y), fast_mode=True)
    inverted = (-x.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: ops.ms_ssim(a, b, scales=2), (x, inverted), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = images_like(1, 3, 48, 48).to(dtype)
    y = noisy(x)
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            ours = ops.ms_ssim(x, y, scales=3)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), ops.ms_ssim(x.double(), y.double(), scales=3), rtol=0, atol=2e-6)


@given(h=st.integers(16, 50), w=st.integers(16, 50), c=st.integers(1, 4), n=st.integers(1, 2))
@settings(deadline=None, max_examples=25)
def test_any_size_from_16_pixels_works_and_is_symmetric(h: int, w: int, c: int, n: int) -> None:
    x, y = torch.rand(n, c, h, w), torch.rand(n, c, h, w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forward, backward = ops.ms_ssim(x, y, (0, 1)), ops.ms_ssim(y, x, (0, 1))
    assert forward.shape == (n,)
    torch.testing.assert_close(forward, backward)
    assert bool(((forward >= 0) & (forward <= 1)).all())


def test_fewer_scales_are_said() -> None:
    x = torch.rand(1, 3, 64, 64)
    with pytest.warns(UserWarning, match="images of 64×64 hold 3 of the 5 scales.*pass scales=3"):
        value = ops.ms_ssim(x, x.flip(3))
    assert value.item() == ops.ms_ssim(x, x.flip(3), scales=3).item()
    assert ops.scales_that_fit(160, 400) == 4
    assert ops.scales_that_fit(161, 400) == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.ssim(x[..., :10, :], x[..., :10, :]), "x is too small: got 10×48, .* at least 11"),
        (
            lambda x: ops.ms_ssim(x, x, scales=4),
            r"scales=4 needs sides of more than 80 pixels, got 48×48; use scales=3",
        ),
        (lambda x: ops.ms_ssim(x, x, scales=6), "scales must be at most 5, got 6"),
        (lambda x: ops.ms_ssim(x, x, scales=0), "scales must be an integer of at least 1, got 0"),
        (lambda x: ops.ssim(x, x, value_range=(1, -1)), "value_range must be"),
        (lambda x: ops.ssim(x, x, window_size=10), "window_size must be odd"),
        (lambda x: ops.ssim(x, x, sigma=0), "sigma must be a number from 0.1 to 1000, got 0"),
        (lambda x: ops.ssim(x, x[:, :1]), "nothing is broadcast"),
        (lambda x: ops.ssim(x.byte(), x.byte()), "must be floating point"),
        (
            lambda x: MSSSIMLoss(backend="pytorch-msssim")(x, x),
            r"needs sides above 160, whatever the scales, got 48×48",
        ),
        (lambda x: SSIMLoss(backend="pytorch_msssim"), "did you mean 'pytorch-msssim'"),  # type: ignore[arg-type]
        (lambda x: MSSSIMLoss(value_range=(0, 0)), "value_range must be"),
    ],
)
def test_bad_input_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.rand(1, 3, 48, 48))  # type: ignore[operator]


@pytest.mark.parametrize("backend", ["asymkit", "pytorch-msssim"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": 0}, "scales must be an integer of at least 1, got 0"),
        ({"scales": 7}, "scales must be at most 5, got 7"),
        ({"value_range": 1.0}, r"value_range must be \(low, high\)"),
    ],
)
def test_losses_are_refused_where_they_are_built(backend: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MSSSIMLoss(**options, backend=backend)


def test_losses_name_their_own_arguments() -> None:
    for loss in (MSSSIMLoss(), SSIMLoss(), ColorCycleLoss()):
        with pytest.raises(ValueError, match="prediction and target must have the same shape"):
            loss(torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"channel_weights must hold one number per channel, got 2\.0"):
        ColorCycleLoss(2.0)  # type: ignore[arg-type]
