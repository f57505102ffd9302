"""Every derivative of every op: backward, second, forward-mode and under torch.func, equal to the plain equation's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from asymkit import (
    AuxEncoder,
    AuxGenerator,
    DomainDiscriminator,
    HighResGenerator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    ops,
)
from asymkit.layers import Conv3x3, InstanceNorm2d
from asymkit.ops import convolution
from asymkit.ops.backend import Backend
from asymkit.ops.eager.norm import bound_gradient

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")
"""PyTorch's own forward mode calls it."""

Formula = Callable[..., Tensor]


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def equation_of_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. (2004), with five blurs, in operations that PyTorch differentiates."""
    window = torch.exp(-((torch.arange(7, dtype=x.dtype) - 3) ** 2) / 2)
    kernel = (window[:, None] * window / window.sum() ** 2).expand(x.shape[1], 1, 7, 7)

    def blur(image: Tensor) -> Tensor:
        return F.conv2d(image, kernel, groups=image.shape[1])

    x, y = x + 1, y + 1
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, cov = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = 0.02**2, 0.06**2
    value = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return value.mean((1, 2, 3))


def equation_of_norm(x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor) -> Tensor:
    centred = x - x.mean((2, 3), keepdim=True)
    normed = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    return F.leaky_relu(normed * scale[..., None, None] + shift[..., None, None], 0.2) + residual


def equation_of_variation(x: Tensor, power: int) -> Tensor:
    down, right = x.diff(dim=2).abs() ** power, x.diff(dim=3).abs() ** power
    return down.mean((1, 2, 3)) + right.mean((1, 2, 3))


# the norms' maps have a variance of 300, where the bound of their gradient changes no digit
OPS: dict[str, tuple[Formula, Formula, tuple[Tensor, ...]]] = {
    "color_l1": (
        ops.color_l1,
        lambda x, y: x.shape[1] * (x - y).abs().mean((1, 2, 3)),
        (images(2, 3, 4, 5), images(2, 3, 4, 5, seed=1)),
    ),
    "color_l1, weights": (
        lambda x, y: ops.color_l1(x, y, [1, 0, 2]),
        lambda x, y: (x - y).abs().mean((2, 3)) @ torch.tensor([1.0, 0, 2]).double(),
        (images(2, 3, 4, 5), images(2, 3, 4, 5, seed=1)),
    ),
    "total_variation, 1": (
        lambda x: ops.total_variation(x, 1),
        lambda x: equation_of_variation(x, 1),
        (images(2, 3, 4, 5),),
    ),
    "total_variation, 2": (ops.total_variation, lambda x: equation_of_variation(x, 2), (images(2, 3, 4, 5),)),
    "total_variation, 3": (
        lambda x: ops.total_variation(x, 3),
        lambda x: equation_of_variation(x, 3),
        (images(2, 3, 4, 5),),
    ),
    "gram_matrix": (
        ops.gram_matrix,
        lambda x: torch.einsum("nchw,ndhw->ncd", x, x) / x[0].numel(),
        (images(2, 3, 4, 3),),
    ),
    "ssim": (
        lambda x, y: ops.ssim(x, y, window_size=7, sigma=1.0),
        equation_of_ssim,
        (images(2, 2, 9, 8), images(2, 2, 9, 8, seed=1)),
    ),
    "conditional_instance_norm": (
        lambda x, scale, shift, residual: ops.conditional_instance_norm(x, scale, shift, "leaky_relu", residual),
        equation_of_norm,
        (30 * images(2, 3, 4, 5), images(2, 3, seed=1), images(2, 3, seed=2), images(2, 3, 4, 5, seed=3)),
    ),
    "instance_norm": (
        lambda x, weight, bias: ops.instance_norm(x, weight, bias, "leaky_relu", x),
        lambda x, weight, bias: equation_of_norm(x, weight.expand(2, 3), bias.expand(2, 3), x),
        (30 * images(2, 3, 4, 5), images(3, seed=1), images(3, seed=2)),
    ),
    "instance_norm, no weights": (
        ops.instance_norm,
        lambda x: F.instance_norm(x, eps=1e-5),
        (30 * images(2, 3, 4, 5),),
    ),
}


def leaves(inputs: tuple[Tensor, ...]) -> list[Tensor]:
    return [t.clone().requires_grad_() for t in inputs]


def tangent_of(function: Formula, inputs: tuple[Tensor, ...], direction: tuple[Tensor, ...]) -> Tensor:
    """The derivative along a direction, in forward mode; the value must be the usual one."""
    found: Any = torch.func.jvp(function, inputs, direction)
    torch.testing.assert_close(found[0], function(*inputs))
    tangent: Tensor = found[1]
    return tangent


def close(found: object, expected: object) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", OPS)
def test_the_derivatives_are_the_equations(name: str) -> None:
    op, equation, inputs = OPS[name]
    direction = tuple(images(*t.shape, seed=9 + i) for i, t in enumerate(inputs))
    close(op(*inputs), equation(*inputs))
    found, expected = leaves(inputs), leaves(inputs)
    close(
        torch.autograd.grad(op(*found).square().sum(), found),
        torch.autograd.grad(equation(*expected).square().sum(), expected),
    )
    # rate by rate, along one direction: finite differences have the last word
    step = 1e-6
    ahead, behind = (op(*(t + sign * step * d for t, d in zip(inputs, direction, strict=True))) for sign in (1, -1))
    tangent = tangent_of(op, inputs, direction)
    assert tangent.abs().max() > 0
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)
    with forward_ad.dual_level():
        dual = op(*map(forward_ad.make_dual, inputs, direction))
        close(forward_ad.unpack_dual(dual).tangent, tangent)
    arguments = tuple(range(len(inputs)))

    def of_op(*t: Tensor) -> Tensor:
        return op(*t).square().sum()

    def of_equation(*t: Tensor) -> Tensor:
        return equation(*t).square().sum()

    close(torch.func.grad(of_op, arguments)(*inputs), torch.func.grad(of_equation, arguments)(*inputs))
    close(torch.func.hessian(of_op)(*inputs), torch.func.hessian(of_equation)(*inputs))


@pytest.mark.parametrize("name", OPS)
def test_autograd_checks_every_derivative(name: str) -> None:
    op, _, inputs = OPS[name]
    variables = leaves(inputs)
    assert torch.autograd.gradcheck(op, variables, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(op, variables, fast_mode=True)


@pytest.mark.parametrize("scales", [1, 2])
def test_ms_ssim_has_every_derivative(scales: int) -> None:
    """With anticorrelated images too, where a similarity is below the floor of the power."""
    x = images(1, 1, 21, 22)
    for y in (images(1, 1, 21, 22, seed=1), -x, 0.7 * x + 0.2):
        variables: list[Any] = leaves((x, y))
        op = partial(ops.ms_ssim, scales=scales)
        assert torch.autograd.gradcheck(op, variables, check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(op, variables, fast_mode=True)
        tangent = tangent_of(op, (x, y), (y, x))
        by_backward_pass = torch.autograd.grad(op(*variables).sum(), variables)
        close(tangent.sum(), (by_backward_pass[0] * y).sum() + (by_backward_pass[1] * x).sum())


def by_backward(penalty: Tensor, parameter: Tensor) -> Tensor | None:
    penalty.backward()
    return parameter.grad


def by_grad(penalty: Tensor, parameter: Tensor) -> Tensor | None:
    return torch.autograd.grad(penalty, [parameter])[0]


def by_backward_to_inputs(penalty: Tensor, parameter: Tensor) -> Tensor | None:
    torch.autograd.backward(penalty, inputs=[parameter])
    return parameter.grad


@pytest.mark.parametrize("way", [by_backward, by_grad, by_backward_to_inputs])
@pytest.mark.parametrize("name", OPS)
def test_a_gradient_penalty_has_all_its_terms_on_every_way(
    name: str, way: Callable[[Tensor, Tensor], Tensor | None]
) -> None:
    """The penalty of a parameter behind the op's input: its gradient passes through the op's second derivative."""
    op, equation, (x, *others) = OPS[name]
    results = []
    for function in (op, equation):
        parameter = torch.ones((), dtype=torch.float64, requires_grad=True)
        value = function(parameter * x + parameter.square(), *others).pow(2).sum()
        (gradient,) = torch.autograd.grad(value, parameter, create_graph=True)
        results.append(way(gradient.square(), parameter))
    close(*results)


@pytest.mark.parametrize("name", OPS)
def test_a_gradient_penalty_outside_a_compiled_op_has_all_its_terms(name: str) -> None:
    """By the backend that leaves derivatives to autograd; the others refuse second ones by an error."""
    op, _, (x, *others) = OPS[name]
    results = []
    for function in (op, torch.compile(op, backend="eager", fullgraph=True)):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf, *others).square().sum(), leaf, create_graph=True)
        (gradient.square().sum() + leaf.sum()).backward()
        results.append(leaf.grad)
    close(*results)


def test_an_image_that_was_changed_in_place_is_refused_only_for_second_derivatives() -> None:
    x, y = images(1, 1, 16, 16).requires_grad_(), images(1, 1, 16, 16, seed=1)
    value = ops.ssim(x, y).sum()
    expected = torch.autograd.grad(value, x, retain_graph=True)
    y.zero_()
    assert torch.equal(torch.autograd.grad(value, x, retain_graph=True)[0], expected[0])
    with pytest.raises(RuntimeError, match=r"changed in place .* change a copy instead"):
        torch.autograd.grad(value, x, create_graph=True)


def test_vmap_over_images_is_the_batch() -> None:
    x, y, scale = images(3, 2, 12, 13), images(3, 2, 12, 13, seed=1), images(3, 2, seed=2)
    formulas: list[Formula] = [
        lambda x, y, scale: ops.ssim(x, y),
        lambda x, y, scale: ops.ms_ssim(x, y, scales=1),
        lambda x, y, scale: ops.color_l1(x, y),
        lambda x, y, scale: ops.total_variation(x),
        lambda x, y, scale: ops.gram_matrix(x),
        lambda x, y, scale: ops.conditional_instance_norm(x, scale, scale, "relu", y),
    ]
    for formula in formulas:

        def of_one(x: Tensor, y: Tensor, scale: Tensor, formula: Formula = formula) -> Tensor:
            return formula(x[None], y[None], scale[None])[0]

        def total(x: Tensor, y: Tensor, scale: Tensor, of_one: Formula = of_one) -> Tensor:
            return of_one(x, y, scale).sum()

        close(torch.vmap(of_one)(x, y, scale), formula(x, y, scale))
        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(formula(leaf, y, scale).sum(), leaf)
        close(torch.vmap(torch.func.grad(total))(x, y, scale), expected)


def flat_and_steep() -> Tensor:
    """One map of nearly one value, and one of ordinary variance."""
    return torch.cat([0.3 + 1e-3 * images(1, 1, 5, 6), images(1, 1, 5, 6, seed=1)], dim=1)


def test_flat_maps_pass_the_same_bounded_gradient_on_in_every_mode() -> None:
    x, weight = flat_and_steep(), images(1, 2, 5, 6, seed=2)
    variance = x.var((2, 3), correction=0, keepdim=True)

    def loss(norm: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        return (norm(x) * weight).sum()

    leaf = x.clone().requires_grad_()
    (plain,) = torch.autograd.grad(loss(lambda x: F.instance_norm(x, eps=1e-5), leaf), leaf)
    expected = plain * variance / (variance + 1e-6)
    assert (plain[:, 0] - expected[:, 0]).norm() > 0.5 * plain[:, 0].norm()
    for create_graph in (False, True):
        (found,) = torch.autograd.grad(loss(ops.instance_norm, leaf), leaf, create_graph=create_graph)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    direction = images(1, 2, 5, 6, seed=3)
    found = torch.func.grad(lambda x: loss(ops.instance_norm, x))(x)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    tangent = tangent_of(lambda x: loss(ops.instance_norm, x), (x,), (direction,))
    torch.testing.assert_close(tangent, (expected * direction).sum(), rtol=1e-6, atol=1e-8)


def test_the_second_derivative_on_flat_maps_is_that_of_the_bounded_gradient() -> None:
    x, weight, direction = flat_and_steep(), images(1, 2, 5, 6, seed=2), images(1, 2, 5, 6, seed=3)

    def gradient(x: Tensor) -> Tensor:
        found: Tensor = torch.func.grad(lambda x: (ops.instance_norm(x) * weight).sum())(x)
        return found

    step = 1e-7
    expected = (gradient(x + step * direction) - gradient(x - step * direction)) / (2 * step)
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad((ops.instance_norm(leaf) * weight).sum(), leaf, create_graph=True)
    found = tangent_of(gradient, (x,), (direction,))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)
    (backward,) = torch.autograd.grad((first * weight).sum(), leaf)
    rate = (gradient(x + step * direction) - gradient(x - step * direction)).mul(weight).sum() / (2 * step)
    torch.testing.assert_close((backward * direction).sum(), rate, rtol=1e-5, atol=1e-3)


def test_a_bounded_gradient_is_the_product() -> None:
    x, factor = images(1, 2, 3, 3).requires_grad_(), images(1, 2, 1, 1, seed=1)
    (gradient,) = torch.autograd.grad(bound_gradient(x, factor).sum(), x)
    close(gradient, factor.expand_as(x))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], list[Tensor]]]] = {
    "resnet": (lambda: ResnetGenerator(width=4, blocks=1), list),
    "resnet, resized, skip": (lambda: ResnetGenerator(width=4, blocks=1, upsampling="resize", skip=True), list),
    "plain": (lambda: PlainGenerator(5), lambda: [images(2, 5)]),
    "star": (lambda: StarGenerator(5, width=4, blocks=1), lambda: [images(2, 5)]),
    "aux, cin": (lambda: AuxGenerator(width=4, blocks=4), lambda: [images(2, 8)]),
    "high": (lambda: HighResGenerator(width=4, blocks=1, aux_channels=5), lambda: [images(2, 5)]),
    "patch": (lambda: PatchDiscriminator(width=4), list),
    "domain": (lambda: DomainDiscriminator(5, image_size=64, width=4), list),
    "encoder": (lambda: AuxEncoder(width=4), list),
    "encoder, spatial": (lambda: AuxEncoder(width=4, pooled=False), list),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_forward_mode_of_every_network_is_the_finite_difference(name: str) -> None:
    build, condition = NETWORKS[name]
    network, x, more = build().double(), images(2, 3, 64, 64), condition()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.2)

    def call(x: Tensor) -> Tensor:
        out = network(x, *more)
        values: list[Tensor] = [each.sin().sum() for each in (out if isinstance(out, tuple) else (out,))]
        return torch.stack(values).sum()

    direction, step = images(2, 3, 64, 64, seed=1), 1e-6
    tangent = tangent_of(call, (x,), (direction,))
    with torch.no_grad():
        expected = (call(x + step * direction) - call(x - step * direction)) / (2 * step)
    torch.testing.assert_close(tangent, expected, rtol=1e-3, atol=1e-5)
    (gradient,) = torch.autograd.grad(call(leaf := x.clone().requires_grad_()), leaf)
    torch.testing.assert_close((gradient * direction).sum(), tangent, rtol=1e-6, atol=1e-8)
    close(torch.func.grad(call)(x), gradient)


def test_winograd_steps_aside_for_forward_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "conv3x3_backend", lambda x, weight: Backend("winograd", "for a test"))
    layer, x, direction = Conv3x3(2, 3).double(), images(1, 2, 8, 8), images(1, 2, 8, 8, seed=1)
    tangent = tangent_of(layer, (x,), (direction,))
    close(tangent, F.conv2d(direction, layer.weight, padding=1))
    (gradient,) = torch.autograd.grad(layer(leaf := x.clone().requires_grad_()).square().sum(), leaf)
    close(torch.func.grad(lambda x: layer(x).square().sum())(x), gradient)


def test_per_sample_gradients_of_a_norm() -> None:
    norm, x = InstanceNorm2d(3, affine=True).double(), images(4, 3, 5, 5)

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(norm, parameters, (x[None],))
        return out.sin().sum()

    parameters: dict[str, Tensor] = dict(norm.named_parameters())
    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for i in range(4):
        expected = torch.autograd.grad(loss(parameters, x[i]), list(parameters.values()))
        close([gradient[i] for gradient in found.values()], list(expected))
