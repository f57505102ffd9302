from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reference
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asymkit import AuxGenerator, ResnetGenerator, ops
from asymkit.layers import ConditionalInstanceNorm2d, InstanceNorm2d
from conftest import images_like


def test_conditional_instance_norm_is_the_equation(images: Tensor) -> None:
    scale, shift = torch.randn(2, 3).double(), torch.randn(2, 3).double()
    expected = reference.conditional_instance_norm(images, scale, shift)
    torch.testing.assert_close(ops.conditional_instance_norm(images, scale, shift), expected)
    fused = ops.conditional_instance_norm(images, scale, shift, activation="relu", residual=images)
    torch.testing.assert_close(fused, expected.relu() + images)
    leaky = ops.conditional_instance_norm(images, scale, shift, activation="leaky_relu")
    torch.testing.assert_close(leaky, F.leaky_relu(expected, 0.2))
    for slope in (0.0, 0.01, 1.0):
        steep = ops.conditional_instance_norm(images, scale, shift, "leaky_relu", negative_slope=slope)
        torch.testing.assert_close(steep, F.leaky_relu(expected, slope))


def test_the_conditional_layer_multiplies_by_one_plus_gamma(images: Tensor) -> None:
    """With γ far from 0 as well as near it, whatever the layer's weights start from."""
    layer, z = ConditionalInstanceNorm2d(3, 5).double(), torch.randn(2, 5).double()
    for size in (0.01, 1.0):
        for linear in (layer.gamma, layer.beta):
            nn.init.normal_(linear.weight, std=size)
            nn.init.normal_(linear.bias, std=size)
        gamma, beta = (z @ linear.weight.T + linear.bias for linear in (layer.gamma, layer.beta))
        torch.testing.assert_close(layer(images, z), reference.conditional_instance_norm(images, 1 + gamma, beta))


def test_plain_norm_is_torchs(images: Tensor) -> None:
    torch.testing.assert_close(ops.instance_norm(images), F.instance_norm(images))
    affine, theirs = InstanceNorm2d(3, affine=True).double(), nn.InstanceNorm2d(3, affine=True).double()
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    affine.load_state_dict(theirs.state_dict())
    x = images.requires_grad_()
    torch.testing.assert_close(affine(x), theirs(x))
    ours = torch.autograd.grad(affine(x).square().sum(), [x, *affine.parameters()])
    expected = torch.autograd.grad(theirs(x).square().sum(), [x, *theirs.parameters()])
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def views(shape: tuple[int, int]) -> dict[str, Tensor]:
    """Tensors of one shape whose values lie in memory in other ways than one after the other."""
    n, c = shape
    return {
        "every second column": torch.randn(n, 2 * c)[:, ::2],
        "one column of many": torch.randn(n, c + 3)[:, 2 : 2 + c],
        "transposed": torch.randn(c, n).T,
        "one for all images": torch.randn(c).expand(n, c),
        "one for all channels": torch.randn(n, 1).expand(n, c),
        "one for all": torch.randn(1, 1).expand(n, c),
    }


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("name", views((1, 1)))
def test_scale_and_shift_may_be_any_views(name: str, channels: int) -> None:
    """PyTorch's group norm reads them by their pointer and ignores strides, which older versions' reshape keeps."""
    view = views((4, channels))[name]
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(4, channels, 6, 5).contiguous(memory_format=layout).requires_grad_()
        grad = torch.randn(4, channels, 1, 1).expand_as(x)  # no strides along the pixels either
        results = []
        for values in (view, view.contiguous()):
            scale, shift = values.detach().requires_grad_(), values.detach().requires_grad_()
            out = ops.conditional_instance_norm(x, scale, shift, "relu", residual=x)
            results.append((out, *torch.autograd.grad(out, (x, scale, shift), grad)))
        torch.testing.assert_close(*results)
        by_hand = F.instance_norm(x) * view[..., None, None] + view[..., None, None]
        torch.testing.assert_close(results[0][0], F.relu(by_hand) + x)


@pytest.mark.parametrize("channels", [1, 2])
def test_learned_scales_reach_every_image(channels: int) -> None:
    x, ours = torch.randn(4, channels, 8, 8), InstanceNorm2d(channels, affine=True)
    theirs = nn.InstanceNorm2d(channels, affine=True)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    found, expected = (torch.autograd.grad(norm(x).sin().sum(), list(norm.parameters())) for norm in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_first_and_second_gradients() -> None:
    x = torch.randn(2, 3, 5, 4).double().requires_grad_()
    scale, shift = (torch.randn(2, 3).double().requires_grad_() for _ in range(2))

    def call(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return ops.conditional_instance_norm(x, scale, shift, activation="leaky_relu", residual=x)

    assert torch.autograd.gradcheck(call, (x, scale, shift))
    assert torch.autograd.gradgradcheck(call, (x, scale, shift))


def test_both_ways_of_computing_the_gradient_agree_on_flat_maps_too() -> None:
    x = torch.cat([torch.full((1, 2, 6, 6), 0.3), 1e-3 * torch.randn(1, 2, 6, 6)]).double().requires_grad_()
    scale, shift = (torch.randn(2, 2).double().requires_grad_() for _ in range(2))
    loss = (ops.conditional_instance_norm(x, scale, shift) * torch.randn(2, 2, 6, 6).double()).sum()
    fused = torch.autograd.grad(loss, (x, scale, shift), retain_graph=True)
    plain = torch.autograd.grad(loss, (x, scale, shift), create_graph=True)
    torch.testing.assert_close(fused, plain, rtol=1e-3, atol=1e-4)


def test_small_scales_are_not_rounded_away_under_autocast(images: Tensor) -> None:
    layer, x = ConditionalInstanceNorm2d(3, 5), images.float()
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(layer.gamma.bias, 0.002)  # bfloat16 knows nothing between 1 and 1 + 1/128
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x, torch.randn(2, 5))
    torch.testing.assert_close(out, 1.002 * ops.instance_norm(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_is_that_of_the_equation_times_variance_over_variance_plus_1e_6(
    layout: torch.memory_format, create_graph: bool
) -> None:
    deviations = torch.tensor([1e-4, 3e-4, 1e-3, 3e-3, 1e-1]).double()
    x = (deviations[:, None, None] * torch.randn(2, 5, 6, 7).double()).contiguous(memory_format=layout).requires_grad_()
    scale, shift, weights = torch.randn(2, 5).double(), torch.randn(2, 5).double(), torch.randn(2, 5, 6, 7).double()
    loss = (ops.conditional_instance_norm(x, scale, shift) * weights).sum()
    (found,) = torch.autograd.grad(loss, x, create_graph=create_graph)
    (plain,) = torch.autograd.grad((F.instance_norm(x) * scale[..., None, None] * weights).sum(), x)
    variance = x.detach().var((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(found.detach(), plain * variance / (variance + 1e-6), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_type_and_is_computed_in_float32(dtype: torch.dtype) -> None:
    x = (images_like(2, 3, 16, 16) * 3 + 40).to(dtype)
    out = ops.instance_norm(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), ops.instance_norm(x.double()), rtol=0, atol=2e-2)
    x.requires_grad_()
    ops.instance_norm(x, residual=x).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype


def test_memory_layout_is_kept(images: Tensor) -> None:
    x = images.contiguous(memory_format=torch.channels_last)
    out = InstanceNorm2d(3)(x, activation="relu", residual=x)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, InstanceNorm2d(3)(images, activation="relu", residual=images))


@given(n=st.integers(1, 3), c=st.integers(1, 4), h=st.integers(1, 7), w=st.integers(2, 7))
@settings(deadline=None, max_examples=30)
def test_any_shape_comes_out_with_mean_and_variance_of_z(n: int, c: int, h: int, w: int) -> None:
    x, z = torch.randn(n, c, h, w, dtype=torch.float64), torch.randn(n, 5, dtype=torch.float64)
    layer = ConditionalInstanceNorm2d(c, 5).double()
    out = layer(x, z)
    assert out.shape == x.shape
    torch.testing.assert_close(out.mean((2, 3)), layer.beta(z))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_results_may_be_changed_in_place(dtype: torch.dtype, layout: torch.memory_format) -> None:
    """As PyTorch's norm, also behind ``nn.ReLU(True)``, with the same gradients."""
    x = torch.randn(2, 4, 6, 5, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    residual, grad = torch.randn_like(x), torch.randn_like(x)
    each: tuple[dict[str, Any], ...] = ({}, {"residual": residual}, {"residual": residual, "activation": "relu"})
    for options in each:
        expected = torch.autograd.grad(F.silu(ops.instance_norm(x, **options)), x, grad)
        found = torch.autograd.grad(nn.SiLU(inplace=True)(ops.instance_norm(x, **options)), x, grad)
        torch.testing.assert_close(found, expected)
    nn.Sequential(InstanceNorm2d(4), nn.ReLU(inplace=True))(x.float()).sum().backward()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_saved_activated_result_that_was_changed_in_place_is_noticed(layout: torch.memory_format) -> None:
    """The backward pass reads the signs from it, so autograd compares its versions."""
    x = torch.randn(2, 4, 6, 5).contiguous(memory_format=layout).requires_grad_()
    out = ops.instance_norm(x, activation="relu").sub_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_layer_built_on_the_meta_device_can_be_initialised() -> None:
    with torch.device("meta"):
        layers = nn.Sequential(InstanceNorm2d(3, affine=True), InstanceNorm2d(3))
    for layer in layers.to_empty(device="cpu"):
        for parameter in layer.parameters():
            nn.init.constant_(parameter, 7)  # whatever lay there
        layer.reset_parameters()  # type: ignore[operator]
    expected = InstanceNorm2d(3, affine=True).state_dict()
    torch.testing.assert_close(layers[0].state_dict(), expected)
    torch.testing.assert_close(expected, nn.InstanceNorm2d(3, affine=True).state_dict())


def test_train_and_eval_mode_agree(images: Tensor) -> None:
    layer = InstanceNorm2d(3, affine=True).double()
    torch.testing.assert_close(layer.train()(images), layer.eval()(images), rtol=0, atol=0)


def test_compiles_into_one_graph() -> None:
    plain = ConditionalInstanceNorm2d(3, 4)
    norm = torch.compile(plain, fullgraph=True)
    x, z = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(2, 4)
    out = norm(x, z, activation="relu", residual=x)
    torch.testing.assert_close(out, plain(x, z, activation="relu", residual=x))
    out.sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_compiled_too_a_constant_map_among_others_passes_no_gradient(memory_format: torch.memory_format) -> None:
    x = torch.randn(2, 3, 8, 8).to(memory_format=memory_format)
    x[:, 1] = 0.3
    x.requires_grad_()
    direction = torch.randn(2, 3, 8, 8)
    norm = torch.compile(ops.instance_norm, fullgraph=True, backend="aot_eager")
    (found,), (expected,) = (torch.autograd.grad(of(x), x, direction) for of in (norm, ops.instance_norm))
    assert found[:, 1].abs().max() < 1e-2  # of an ordinary norm hundreds
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-3)


def input_gradient(generator: nn.Module, image: Tensor) -> float:
    """Size of the gradient of a reconstruction loss with respect to the input and all weights."""
    x = image.clone().requires_grad_()
    target = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    generator.zero_grad()
    (generator(x) - target).square().mean().backward()
    gradients = [x.grad, *(p.grad for p in generator.parameters())]
    assert all(g is None or torch.isfinite(g).all() for g in gradients)
    return max(float(g.norm()) for g in gradients if g is not None)


def label_maps(side: int) -> dict[str, Tensor]:
    blocks = torch.full((1, 3, side, side), -1.0)
    blocks[:, 0, : side // 2, : side // 3] = 0.6
    blocks[:, 1, side // 4 :, side // 2 :] = 1.0
    dot = torch.zeros(1, 3, side, side)
    dot[..., side // 2, side // 2] = 1.0
    return {
        "black": torch.full((1, 3, side, side), -1.0),
        "grey": torch.zeros(1, 3, side, side),
        "one colour": torch.tensor([0.2, -0.7, 0.6]).view(1, 3, 1, 1).expand(1, 3, side, side).contiguous(),
        "blocks": blocks,
        "one dot": dot,
    }


def photograph(side: int) -> Tensor:
    from skimage import data
    from skimage.transform import resize

    return torch.tensor(resize(data.astronaut(), (side, side))).permute(2, 0, 1)[None].float() * 2 - 1


@pytest.mark.parametrize(
    "build", [lambda: ResnetGenerator(width=16, blocks=9), lambda: AuxGenerator(width=16, blocks=9)]
)
def test_label_maps_do_not_explode_in_the_deepest_generator(build: Callable[[], nn.Module]) -> None:
    generator = build()
    on_photo = input_gradient(generator, photograph(64))
    for name, label in label_maps(64).items():
        assert input_gradient(generator, label) < 100 * on_photo, name


def test_torchs_norm_does_explode_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trap exists: with torch's norm in its place the same test fails by orders of magnitude."""

    def theirs(
        x: Tensor, _weight: object, _bias: object, activation: str | None, residual: Tensor | None, *_: float
    ) -> Tensor:
        out = F.instance_norm(x)
        out = out.relu() if activation == "relu" else out
        return out if residual is None else out + residual

    generator = ResnetGenerator(width=16, blocks=9)
    ours = input_gradient(generator, label_maps(64)["one colour"])
    monkeypatch.setattr("asymkit.layers.norm_of_images", theirs)
    assert input_gradient(generator, label_maps(64)["one colour"]) > 1e3 * max(
        ours, input_gradient(generator, photograph(64))
    )


def test_ordinary_images_are_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone().requires_grad_()
        out = generator(x)
        return out, torch.autograd.grad((out - 0.3).abs().mean(), x)[0]

    generator = ResnetGenerator(width=16, blocks=9)
    out, gradient = gradients(photograph(64))
    monkeypatch.setattr("asymkit.ops.eager.norm.VARIANCE_FLOOR", 0.0)
    plain_out, plain_gradient = gradients(photograph(64))
    assert torch.equal(out, plain_out)
    assert (gradient - plain_gradient).norm() / plain_gradient.norm() < 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.instance_norm(x[..., :1, :1]), "more than one pixel per map"),
        (
            lambda x: ops.conditional_instance_norm(x, torch.ones(3), torch.ones(2, 3)),
            r"scale must hold .*\(2, 3\), got \(3,\)",
        ),
        (
            lambda x: ops.conditional_instance_norm(x, torch.ones(2, 3), torch.ones(1, 3)),
            r"shift must hold .*got \(1, 3\)",
        ),
        (lambda x: ops.instance_norm(x, torch.ones(2)), r"weight must hold one value per channel, \(3,\), got \(2,\)"),
        (lambda x: ops.instance_norm(x, residual=x[:1]), "residual must have x's shape"),
        (lambda x: ops.instance_norm(x, activation="rely"), "did you mean 'relu'"),  # type: ignore[arg-type]
        (lambda x: InstanceNorm2d(4)(x), "x must have 4 channels, got 3"),
        (lambda x: ConditionalInstanceNorm2d(3, 8)(x, torch.randn(2, 7)), r"z must be .*\(2, 8\), got .*\(2, 7\)"),
        (lambda x: ConditionalInstanceNorm2d(3, 8)(x, torch.randn(1, 8)), r"\(2, 8\), got .*\(1, 8\)"),
        (lambda x: ConditionalInstanceNorm2d(3, 8)(x, None), "got NoneType"),
    ],
)
def test_bad_input_is_refused(images: Tensor, call: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(images.float())
