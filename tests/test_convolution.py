"""Winograd's algorithm against PyTorch's convolution, and when it is taken."""

from __future__ import annotations

from typing import Literal
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit import ResnetGenerator, StarGenerator, ops
from asymkit.layers import Conv3x3
from asymkit.ops import convolution, winograd
from asymkit.ops.backend import Backend

LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


@pytest.fixture
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Winograd's algorithm whatever the machine and the size."""
    monkeypatch.setattr(convolution, "_backend", lambda x, weight: Backend("winograd", "for a test"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 3, 6, 6), (2, 3, 10, 14), (2, 2, 9, 7), (1, 5, 3, 12)])
def test_it_is_the_convolution_with_its_gradients(shape: tuple[int, ...], layout: str) -> None:
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    weight = torch.randn(4, shape[1], 3, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, weight, bias)
    grad = torch.randn_like(expected)
    found = convolution._conv3x3(x, weight, bias)
    torch.testing.assert_close(found, expected)
    theirs = torch.autograd.grad(expected, (x, weight, bias), grad)
    torch.testing.assert_close(torch.autograd.grad(found, (x, weight, bias), grad), theirs)


def test_float32_keeps_its_digits() -> None:
    """Of 256 channels, the most there are: the error grows with their number."""
    x, weight = torch.randn(1, 256, 34, 34), torch.randn(256, 256, 3, 3) / 48
    grad = torch.randn(1, 256, 32, 32)
    exact = F.conv2d(x.double(), weight.double())
    by_x = F.conv_transpose2d(grad.double(), weight.double())
    found = winograd.convolve(x, weight, None)
    found_by_x, _ = winograd.convolve_backward(grad, x, weight, True, False)
    assert found_by_x is not None
    assert (found - exact).norm() / exact.norm() < 3e-6
    assert (found_by_x - by_x).norm() / by_x.norm() < 3e-6


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(4, 8), (5, 8), (5, 7)])  # whole tiles, cropped in one direction, in both
def test_results_may_be_changed_in_place(size: tuple[int, int], layout: str) -> None:
    x = torch.randn(1, 2, size[0] + 2, size[1] + 2, dtype=torch.float64).contiguous(memory_format=LAYOUTS[layout])
    weight = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(F.conv2d(x, weight).relu().sum(), weight)
    found = torch.autograd.grad(convolution._conv3x3(x, weight, None).relu_().sum(), weight)
    torch.testing.assert_close(found, (expected,))


def test_only_what_is_wanted_is_computed() -> None:
    x, weight, grad = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3), torch.randn(1, 3, 4, 4)
    assert winograd.convolve_backward(grad, x, weight, False, True)[0] is None
    assert winograd.convolve_backward(grad, x, weight, True, False)[1] is None


def test_second_derivatives() -> None:
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor, weight: Tensor) -> Tensor:
        result: Tensor = convolution._conv3x3(x, weight, None)
        return result

    assert torch.autograd.gradcheck(call, (x, weight))
    assert torch.autograd.gradgradcheck(call, (x, weight))


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("winograds", [True, False])
def test_the_layer_is_pytorchs(
    mode: Literal["zeros", "reflect"], winograds: bool, request: pytest.FixtureRequest
) -> None:
    if winograds:
        request.getfixturevalue("_always")
    layer = Conv3x3(3, 5, padding_mode=mode)
    theirs = nn.Conv2d(3, 5, 3, padding=1, padding_mode=mode)
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 9, 8)
    torch.testing.assert_close(layer(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_always")
@pytest.mark.parametrize("build", [lambda: ResnetGenerator(width=8, blocks=2), lambda: StarGenerator(3, 2, width=8)])
def test_a_generator_gives_the_same_with_it(build: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    generator, x = build(), torch.randn(1, 3, 32, 32)
    label = [torch.tensor([1])] if isinstance(generator, StarGenerator) else []

    def gradients() -> list[Tensor]:
        out = generator(x, *label)
        return [out.detach(), *torch.autograd.grad(out.square().sum(), list(generator.parameters()))]

    found = gradients()
    monkeypatch.setattr(convolution, "_backend", lambda x, weight: Backend("eager", "for a test"))
    expected = gradients()
    # a bias before an instance norm has no gradient but rounding
    least = 1e-3 * max(float(theirs.norm()) for theirs in expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() <= 1e-3 * theirs.norm().clamp_min(least)


def test_the_backend_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    many, few = torch.zeros(256, 256, 3, 3), torch.zeros(64, 64, 3, 3)
    monkeypatch.setattr(convolution, "MACHINE_OBSTACLE", None)
    assert ops.conv3x3_backend(torch.zeros(1, 256, 64, 64), many) == (
        "winograd",
        "Winograd's algorithm, float32 with AVX2 or AVX-512",
    )
    assert "fewer than 128 channels" in ops.conv3x3_backend(torch.zeros(1, 64, 64, 64), few).reason
    assert "or 1024 pixels" in ops.conv3x3_backend(torch.zeros(1, 256, 16, 16), many).reason
    assert "is for float32" in ops.conv3x3_backend(torch.zeros(1, 256, 64, 64).double(), many.double()).reason
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ops.conv3x3_backend(torch.zeros(1, 256, 64, 64), many).name == "eager"
    meta = (torch.zeros(1, 256, 64, 64, device="meta"), many.to("meta"))
    assert "on meta the device's library" in ops.conv3x3_backend(*meta).reason
    for capability in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        assert convolution.machine_obstacle() is None
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert convolution.machine_obstacle() == "faster on CPUs with AVX2 or AVX-512, not measured on DEFAULT"
    monkeypatch.setenv("ASYMKIT_KERNELS", "off")
    assert convolution.machine_obstacle() == "ASYMKIT_KERNELS=off turns Winograd's algorithm off"


@pytest.mark.parametrize("obstacle", [pytest.param(None, marks=pytest.mark.slow), "for a test"])
def test_it_compiles_into_one_graph_either_way(obstacle: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "MACHINE_OBSTACLE", obstacle)
    torch._dynamo.reset()
    layer, x = Conv3x3(128, 128, padding_mode="reflect"), torch.randn(1, 128, 32, 32, requires_grad=True)
    convolve = Mock(wraps=winograd.convolve)
    monkeypatch.setattr(winograd, "convolve", convolve)
    found = torch.compile(layer, fullgraph=True)(x)
    expected = layer(x)
    assert convolve.call_count == (2 if obstacle is None else 0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*(torch.autograd.grad(y.square().sum(), x) for y in (found, expected)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'reflect'"):
        ops.conv3x3(torch.zeros(1, 2, 8, 8), torch.zeros(2, 2, 3, 3), padding="reflct")  # type: ignore[arg-type]
