"""What discriminators and encoders see, and at which sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asymkit import AuxDiscriminator, AuxEncoder, PatchDiscriminator, ResnetGenerator
from asymkit.layers import InstanceNorm2d
from asymkit.networks.generators import aux_size
from conftest import images_like


@given(h=st.integers(24, 60), w=st.integers(24, 60), n=st.integers(1, 2))
@settings(deadline=None, max_examples=15)
def test_discriminators_and_encoders_take_odd_sizes(h: int, w: int, n: int) -> None:
    x = torch.randn(n, 3, h, w)
    assert PatchDiscriminator(width=4)(x).shape == (n, 1, h // 8 - 2, w // 8 - 2)
    assert AuxEncoder(width=4)(x).shape == (n, 8)
    assert AuxEncoder(width=4, pooled=False)(x).shape == (n, 8, *aux_size(x))


def test_the_smallest_sizes_work_and_smaller_ones_are_refused() -> None:
    for layers in (1, 2, 3, 4):
        discriminator = PatchDiscriminator(width=4, layers=layers)
        side = 3 * 2**layers
        assert discriminator(torch.randn(1, 3, side, side)).shape == (1, 1, 1, 1)
        with pytest.raises(ValueError, match=f"image is too small.* at least {side}"):
            discriminator(torch.randn(1, 3, side - 1, side))
    assert ResnetGenerator(width=8, blocks=4)(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert AuxEncoder(width=4, pooled=False)(torch.randn(1, 3, 16, 16)).shape == (1, 8, 2, 2)


def receptive_field(discriminator: nn.Module, x: Tensor) -> tuple[int, int]:
    """Height and width of the pixels that the score in the middle depends on; norms would couple all of them."""
    for layer in list(discriminator.modules()):
        if isinstance(layer, InstanceNorm2d):
            layer.forward = lambda x, **_: x  # type: ignore
    x = x.requires_grad_()
    scores = discriminator(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0) > 0
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize(("layers", "pixels"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field_of_the_image_discriminator(layers: int, pixels: int) -> None:
    discriminator = PatchDiscriminator(width=4, layers=layers).double()
    x = torch.rand(1, 3, 320, 288).double()
    assert receptive_field(discriminator, x) == (pixels, pixels)


def test_receptive_field_of_the_spatial_aux_discriminator_is_exactly_20() -> None:
    assert receptive_field(AuxDiscriminator(8, spatial=True, width=4).double(), torch.rand(1, 8, 64, 72).double()) == (
        20,
        20,
    )


def test_the_pooled_encoder_has_no_norm_and_sees_colour_and_contrast() -> None:
    assert not any(isinstance(m, InstanceNorm2d) for m in AuxEncoder(width=4).modules())
    encoder = AuxEncoder(width=16)
    image = torch.rand(1, 3, 32, 32) - 0.5
    z = encoder(image)
    for changed in (image * 1.5, image + torch.tensor([0.4, 0.0, -0.4]).view(1, 3, 1, 1)):
        assert (encoder(changed) - z).abs().max() > 0.05 * z.abs().max()


@pytest.mark.parametrize("pooled", [True, False])
def test_an_encoder_is_its_layers_one_after_the_other(pooled: bool) -> None:
    """7×7 stem, three stride-2 convolutions, three residual blocks, projection; the pooled form means over the image."""
    encoder: Any = AuxEncoder(width=4, pooled=pooled).double()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    image = images_like(2, 3, 32, 40)
    norm: Any = (lambda x: x) if pooled else F.instance_norm
    convs = [layer for layer in encoder.down.modules() if isinstance(layer, nn.Conv2d)]
    assert [conv.weight.shape[2] for conv in convs] == [7, 3, 3, 3]
    hidden = norm(F.conv2d(F.pad(image, (3, 3, 3, 3), mode="reflect"), convs[0].weight, convs[0].bias)).relu()
    for conv in convs[1:]:
        hidden = norm(F.conv2d(hidden, conv.weight, conv.bias, stride=2, padding=1)).relu()
    assert len(encoder.blocks) == 3
    for block in encoder.blocks:
        inner = hidden
        for conv, last in ((block.conv1, False), (block.conv2, True)):
            inner = norm(F.conv2d(F.pad(inner, (1, 1, 1, 1), mode="reflect"), conv.weight, conv.bias))
            inner = inner if last else inner.relu()
        hidden = hidden + inner
    z = F.conv2d(hidden.relu(), encoder.to_aux.weight, encoder.to_aux.bias)
    torch.testing.assert_close(encoder(image), z.mean((2, 3)) if pooled else z)


@pytest.mark.parametrize("spatial", [False, True])
def test_the_discriminator_of_z_is_its_layers_one_after_the_other(spatial: bool) -> None:
    discriminator: Any = AuxDiscriminator(8, spatial=spatial, width=4).double()
    for parameter in discriminator.parameters():
        nn.init.normal_(parameter, std=0.2)
    z = torch.randn(2, 8, 12, 9).double() if spatial else torch.randn(2, 8).double()
    hidden = z
    for number, layer in enumerate(discriminator.layers):
        weights = (layer.weight, layer.bias)
        hidden = F.conv2d(hidden, *weights, layer.stride, padding=1) if spatial else F.linear(hidden, *weights)
        hidden = hidden if number == 3 else torch.where(hidden > 0, hidden, 0.2 * hidden)
    torch.testing.assert_close(discriminator(z), hidden)
    assert len(discriminator.layers) == 4


def test_a_discriminator_allows_a_gradient_penalty() -> None:
    discriminator, x = PatchDiscriminator(width=4, layers=2), torch.rand(1, 3, 24, 24, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    (gradient.norm() - 1).square().backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all()
        for n, p in discriminator.named_parameters()
        if "weight" in n
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AuxEncoder()(torch.rand(1, 3, 15, 32)), "image is too small: got 15×32, .* at least 16"),
        (lambda: AuxEncoder(aux_channels=0), "aux_channels must be"),
        (lambda: PatchDiscriminator()(torch.rand(1, 4, 64, 64)), "image must have 3 channels, got 4"),
        (lambda: AuxDiscriminator(8)(torch.randn(2, 8, 8, 8)), r"z must be .*\(N, 8\), got .*\(2, 8, 8, 8\)"),
        (lambda: AuxDiscriminator(8)(torch.randn(0, 8)), r"\(N, 8\), got torch.float32 \(0, 8\); it is empty"),
        (lambda: AuxDiscriminator(8)(None), r"z must be a floating point tensor \(N, 8\), .* got NoneType"),
        (lambda: AuxDiscriminator(8)(torch.randn(2, 4)), "need the same aux_channels"),
        (lambda: AuxDiscriminator(8, spatial=True)(torch.randn(2, 8)), "z must be a batch of images"),
        (lambda: AuxDiscriminator(8, spatial=True)(torch.randn(2, 8, 7, 8)), "z is too small"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
