"""What generators do with an image and a condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cyclegan import init_net
from torch import Tensor, nn

from asymkit import AuxGenerator, HighResGenerator, ResnetGenerator
from asymkit.blocks import ImageSkip
from asymkit.layers import ConditionalInstanceNorm2d, InstanceNorm2d, ResizeConv2d
from conftest import INJECTIONS, SMALL, build


@given(
    h=st.integers(2, 12).map(lambda k: 4 * k),
    w=st.integers(2, 12).map(lambda k: 4 * k),
    n=st.integers(1, 2),
    c=st.sampled_from([1, 3, 4]),
    upsampling=st.sampled_from(["transposed", "resize"]),
    skip=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_generators_keep_the_size(h: int, w: int, n: int, c: int, upsampling: Any, skip: bool) -> None:
    x = torch.randn(n, c, h, w)
    options: dict[str, Any] = {"width": 4, "blocks": 1, "upsampling": upsampling, "skip": skip}
    generators: list[nn.Module] = [ResnetGenerator(c, 2, **options)]
    generators += [build(i, in_channels=c, out_channels=2, **options) for i in INJECTIONS]
    for generator in generators:
        out = generator(x)
        assert out.shape == (n, 2, h, w)
        assert out.abs().max() <= 1


def label_map() -> Tensor:
    image = torch.full((2, 3, 32, 32), -1.0)
    image[:, 0, 8:24, 8:15] = image[:, 1, 10:18, 12:28] = 1.0
    return image


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("image", [torch.rand(2, 3, 32, 32), label_map()], ids=["photo", "label map"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_z_changes_the_output_at_initialisation(injection: str, image: Tensor, upsampling: Any) -> None:
    generator = build(injection, width=16, blocks=6, upsampling=upsampling)
    one, other = generator(image, torch.randn(2, 8)), generator(image, torch.randn(2, 8))
    # in the middle of the picture too, not only where padding lets a constant plane leave a trace
    assert (one - other)[..., 12:20, 12:20].abs().mean() > 1e-3
    assert torch.equal(generator.eval()(image, torch.ones(2, 8)), generator.train()(image, torch.ones(2, 8)))


def test_spatial_z_changes_its_own_place_most() -> None:
    generator = build("concat", width=16, blocks=6, spatial=True)
    image, z = torch.rand(1, 3, 64, 64), torch.randn(1, 8, 8, 8)
    moved = z.clone()
    moved[..., :4] = torch.randn(1, 8, 8, 4)
    difference = (generator(image, moved) - generator(image, z)).abs()
    assert difference[..., :24].mean() > 4 * difference[..., 40:].mean()


def test_generators_called_without_z_sample_it() -> None:
    generator, image = build(), torch.rand(2, 3, 32, 32)
    assert not torch.equal(generator(image), generator(image))
    assert generator.sample_aux(5).shape == (5, 8)
    spatial = build("concat", spatial=True)
    assert spatial.sample_aux(2, (4, 5)).shape == (2, 8, 4, 5)
    assert spatial(torch.rand(1, 3, 36, 40)).shape == (1, 3, 36, 40)
    assert build("concat").sample_aux(1, (4, 4)).shape == (1, 8, 4, 4)
    samples = generator.double().sample_aux(4000)
    assert samples.dtype == torch.float64
    assert samples.mean().abs() < 0.05
    assert abs(samples.std() - 1) < 0.05


def test_all_injections_start_with_pictures_of_the_same_strength() -> None:
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    spread = [build(injection, width=32, blocks=6)(image, torch.randn(2, 8)).std().item() for injection in INJECTIONS]
    assert max(spread) < 2 * min(spread)


def test_concat_all_normalises_only_where_no_norm_follows() -> None:
    concats = build("concat_all", width=32, blocks=6).concats
    assert [name for name, concat in concats.items() if concat.norm is not None] == ["image"]
    mixed = concats["image"](torch.randn(2, 32, 8, 8), torch.randn(2, 8))
    assert mixed.mean((2, 3)).abs().max() < 1e-5, "each channel of each image has mean 0"


def test_cin_is_in_the_middle_three_blocks() -> None:
    conditional = [
        i
        for i, block in enumerate(AuxGenerator(width=4).blocks)
        if any(isinstance(m, ConditionalInstanceNorm2d) for m in block.modules())
    ]
    assert conditional == [1, 2, 3]


def test_cin_all_is_in_every_norm() -> None:
    """Of the stem, the down-sampling, the blocks and the up-sampling, each scaled by 1 + γ(z) and shifted by β(z)."""
    generator = AuxGenerator(injection="cin_all", width=4, blocks=4).double()
    norms = [m for m in generator.modules() if isinstance(m, ConditionalInstanceNorm2d | InstanceNorm2d)]
    assert [type(norm) for norm in norms] == [ConditionalInstanceNorm2d] * (3 + 2 * 4 + 2)
    image, z = torch.rand(2, 3, 16, 16).double(), torch.randn(2, 8).double()
    calls: list[tuple[nn.Module, Tensor]] = []
    for norm in norms:
        norm.register_forward_hook(lambda norm, inputs, _: calls.append((norm, inputs[1])))
    generator(image, z).sum().backward()
    assert [norm for norm, _ in calls] == norms
    assert all(given is z for _, given in calls)
    assert all(p.grad is not None and p.grad.abs().max() > 0 for norm in norms for p in norm.parameters())


SKIPPING = [ResnetGenerator, AuxGenerator, HighResGenerator]


@pytest.mark.parametrize("kind", SKIPPING)
@pytest.mark.parametrize("setup", [lambda net: net, init_net], ids=["as built", "CycleGAN's init_net"])
def test_a_generator_with_a_skip_begins_near_its_image(kind: Any, setup: Any) -> None:
    """In CycleGAN code too, whose init_net draws new weights for whatever calls itself a convolution."""
    image = torch.rand(2, 3, 32, 32) * 2 - 1

    def error(skip: bool) -> float:
        made: Tensor = setup(kind(skip=skip))(image)
        return (made - image).abs().mean().item()

    assert 1.2 * error(skip=True) < error(skip=False)


def test_a_skip_between_other_channels_begins_as_their_mean() -> None:
    image = torch.rand(2, 3, 4, 4)
    to_grey, to_colour = ImageSkip(3, 1), ImageSkip(1, 3)
    torch.testing.assert_close(to_grey(image), 1.3 * image.mean(1, keepdim=True))
    torch.testing.assert_close(to_colour(image[:, :1]), 1.3 * image[:, :1].expand(-1, 3, -1, -1))
    torch.testing.assert_close(ImageSkip(3, 3)(image), 1.3 * image)
    with_condition = torch.cat([image, torch.rand(2, 3, 4, 4)], dim=1)
    torch.testing.assert_close(ImageSkip(6, 3)(with_condition), 1.3 * image)


@pytest.mark.parametrize("kind", SKIPPING)
def test_a_skip_adds_its_image_before_the_tanh_and_learns(kind: Any) -> None:
    plain, skipping = kind().double(), kind(skip=True).double()
    assert skipping.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["skip.weight"]
    weight = skipping.get_parameter("skip.weight")
    nn.init.normal_(weight, 0.0, 0.02)
    image = torch.rand(1, 3, 32, 32).double()
    condition = [torch.randn(1, 8).double()] if kind is AuxGenerator else []
    made, padded = skipping(image, *condition), F.pad(image, (3, 3, 3, 3), mode="reflect")
    torch.testing.assert_close(made.atanh(), plain(image, *condition).atanh() + F.conv2d(padded, weight))
    made.sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().min() > 0


def test_dropout_is_in_the_blocks_and_in_training_only() -> None:
    plain, dropping = (ResnetGenerator(width=8, blocks=2, dropout=p).double() for p in (0.0, 0.5))
    dropping.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 16, 16).double()
    assert not torch.equal(dropping(image), dropping(image))
    torch.testing.assert_close(dropping.eval()(image), plain(image))
    block: Any = dropping.train().blocks[0]
    zeros = []
    block.conv2.register_forward_pre_hook(lambda _, inputs: zeros.append((inputs[0] == 0).double().mean()))
    block(torch.randn(1, 32, 64, 64).double())
    assert zeros[0].item() == pytest.approx(0.75, abs=0.02)  # half by the ReLU, half of the rest
    with pytest.raises(ValueError, match=r"dropout must be a number from 0 to 0\.99"):
        ResnetGenerator(dropout=1.0)


@pytest.mark.parametrize(
    ("injection", "places"),
    [("cin", []), ("concat", ["block3"]), ("concat_all", ["block3", "block4", "block5", "up0", "up1", "image"])],
)
def test_z_is_concatenated_from_the_middle_on(injection: str, places: list[str]) -> None:
    """Of six blocks after the third; each time before the layer of that name."""
    generator = build(injection, width=4, blocks=6).double()
    assert list(generator.concats) == places
    image, z = torch.rand(1, 3, 16, 16).double(), torch.randn(1, 8).double()
    hidden = generator.encoder(image)

    def mixed(place: str, x: Tensor) -> Tensor:
        result: Tensor = generator.concats[place](x, z) if place in places else x
        return result

    for i, block in enumerate(generator.blocks):
        conditional = injection == "cin" and i in (1, 2, 3)
        hidden = mixed(f"block{i}", hidden)
        hidden = block(hidden, z) if conditional else block(hidden)
    for i, up in enumerate(generator.decoder):
        hidden = up(mixed(f"up{i}", hidden))
    torch.testing.assert_close(generator(image, z), generator.to_image(mixed("image", hidden)).tanh())


def test_a_condition_image_is_concatenated() -> None:
    generator = ResnetGenerator(in_channels=5, **SMALL)
    image, condition = torch.rand(2, 3, 16, 16), torch.rand(2, 2, 16, 16)
    assert torch.equal(generator(image, condition), generator(torch.cat([image, condition], 1)))


def test_resize_convolution_is_nearest_upsampling_and_a_convolution() -> None:
    fast, x = ResizeConv2d(5, 3).double(), torch.randn(2, 5, 6, 7, dtype=torch.float64, requires_grad=True)
    slow = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(5, 3, 3, padding=1, padding_mode="reflect")).double()
    slow[1].load_state_dict(fast.state_dict())
    torch.testing.assert_close(fast(x), slow(x))
    ours = torch.autograd.grad(fast(x).square().sum(), [x, *fast.parameters()])
    theirs = torch.autograd.grad(slow(x).square().sum(), [x, *slow.parameters()])
    torch.testing.assert_close(ours, theirs)


IMAGE = torch.rand(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ResnetGenerator(**SMALL)(torch.rand(1, 3, 30, 32)), "image must have sides divisible by 4, got 30×32"),
        (lambda: ResnetGenerator(**SMALL)(torch.rand(1, 1, 32, 32)), "image must have 3 channels, got 1"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE, torch.randn(2, 8)), "use AuxGenerator for a latent code z"),
        (
            lambda: ResnetGenerator(6, **SMALL)(IMAGE, torch.randn(2, 8)),
            r"condition must be a batch of images .* \(2, 8\)",
        ),
        (lambda: ResnetGenerator(6, **SMALL)(IMAGE, IMAGE[:1]), "nothing is broadcast"),
        (lambda: ResnetGenerator(6, **SMALL)(IMAGE), "image must have 6 channels, got 3"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE[:0]), "image is empty"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE.byte()), r"floating point, got torch.uint8; for 0–255 images"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE[..., :4, :4]), "image is too small: got 4×4, .* at least 8"),
        (lambda: ResnetGenerator(blocks=0), "blocks must be an integer of at least 1, got 0"),
        (lambda: ResnetGenerator(width=-4), "width must be"),
        (lambda: ResnetGenerator(upsampling="resized"), "upsampling: unknown 'resized', did you mean 'resize'"),  # type: ignore[arg-type]
        (lambda: build("cinn"), "injection: unknown 'cinn', did you mean 'cin'"),
        (lambda: build("cin", spatial=True), "spatial=True needs injection='concat', got 'cin'"),
        (lambda: build()(IMAGE, torch.randn(2, 7)), r"condition \(z\) must be .*\(2, 8\), got .*\(2, 7\)"),
        (lambda: build()(IMAGE, torch.randn(1, 8)), r"condition \(z\) must be .*\(2, 8\), got .*\(1, 8\)"),
        (lambda: build()(IMAGE, torch.zeros(2, 8).long()), "got torch.int64"),
        (lambda: build("cin")(IMAGE, torch.randn(2, 8, 4, 4)), r"got .*\(2, 8, 4, 4\)"),
        (lambda: build("concat")(IMAGE, torch.randn(2, 7, 4, 4)), r"condition \(z\) must have 8 channels, got 7"),
        (lambda: build("concat")(IMAGE, torch.randn(1, 8, 4, 4)), "one map for each of the 2 images, got 1"),
        (lambda: build()(IMAGE, torch.randn(8)), r"got torch.float32 \(8,\); for a single vector use unsqueeze\(0\)"),
        (lambda: build()(IMAGE, torch.tensor([0, 1])), r"for labels use .*one_hot\(labels, 8\)"),
        (
            lambda: build()(IMAGE, torch.randn(2, 8).double()),
            r"condition \(z\) must be torch.float32 .* got torch.float64",
        ),
        (lambda: build()(IMAGE.double()), r"image must be torch.float32 as the weights are, .* use image.to\("),
        (lambda: build()(IMAGE, 0.5), "one vector per image, got float"),
        (lambda: build()(IMAGE.permute(0, 2, 3, 1)), r"did you mean image.permute\(0, 3, 1, 2\)\?"),
        (lambda: build()(IMAGE[:, :1]), r"for grey images use image.expand\(-1, 3, -1, -1\)"),
        (lambda: build("concat").sample_aux(2, 4), r"size must be \(height, width\) .*, got 4"),  # type: ignore[arg-type]
        (lambda: build("cin").sample_aux(2, (4, 4)), "takes a vector z; leave it out"),
        (lambda: build("concat", spatial=True).sample_aux(2), "takes a spatial z, give"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
