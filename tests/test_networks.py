from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import asymkit
from asymkit import AuxDiscriminator, AuxEncoder, AuxGenerator, PatchDiscriminator, ResnetGenerator
from asymkit.layers import ConditionalInstanceNorm2d, InstanceNorm2d, ResizeConv2d
from asymkit.networks.generators import aux_size

SMALL: dict[str, Any] = {"width": 8, "blocks": 4}
INJECTIONS = ("concat", "concat_all", "cin")


def build(injection: Any = "cin", **options: Any) -> AuxGenerator:
    return AuxGenerator(injection=injection, **(SMALL | options))


ALL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet": (lambda: ResnetGenerator(**SMALL), (2, 3, 32, 32)),
    "resnet resize": (lambda: ResnetGenerator(**SMALL, upsampling="resize"), (2, 3, 32, 32)),
    "cin": (lambda: build("cin"), (2, 3, 32, 32)),
    "concat": (lambda: build("concat", spatial=True), (2, 3, 32, 32)),
    "concat_all": (lambda: build("concat_all"), (2, 3, 32, 32)),
    "encoder": (lambda: AuxEncoder(width=8), (2, 3, 32, 32)),
    "spatial encoder": (lambda: AuxEncoder(width=8, pooled=False), (2, 3, 32, 32)),
    "patch": (lambda: PatchDiscriminator(width=8), (2, 3, 32, 32)),
    "aux": (lambda: AuxDiscriminator(8, width=8), (2, 8)),
    "spatial aux": (lambda: AuxDiscriminator(8, spatial=True, width=8), (2, 8, 8, 8)),
}


@pytest.fixture(params=ALL)
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    make, shape = ALL[request.param]
    return make(), torch.randn(shape)


def forward(network: nn.Module, x: Tensor) -> Tensor:
    torch.manual_seed(3)  # a generator without z samples one
    out: Tensor = network(x)
    return out


def test_copies_pickles_and_state_dicts_compute_the_same(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    expected = forward(net, x)
    assert torch.equal(forward(copy.deepcopy(net), x), expected)
    assert torch.equal(forward(pickle.loads(pickle.dumps(net)), x), expected)
    other = copy.deepcopy(net)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(net.state_dict())
    assert torch.equal(forward(other, x), expected)
    assert torch.equal(forward(net.eval(), x), expected)


def test_every_parameter_gets_a_gradient(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    (forward(net, x) * torch.randn(1)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_weights_start_as_cyclegans(network: tuple[nn.Module, Tensor]) -> None:
    net, _ = network
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    weights = torch.cat([m.weight.flatten() for m in convolutions])
    assert abs(weights.mean()) < 0.003
    assert weights.std().item() == pytest.approx(0.02, rel=0.1)
    assert all(m.bias is None or not m.bias.any() for m in convolutions)
    assert not any(isinstance(m, nn.Dropout) for m in net.modules())


def test_works_under_autocast(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = forward(net, x)
    torch.testing.assert_close(out.float(), forward(net, x), rtol=0.1, atol=0.05)


def test_channels_last_gives_the_same(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    if x.ndim == 2:
        return
    expected = forward(net, x)
    net.to(memory_format=torch.channels_last)
    torch.testing.assert_close(forward(net, x.to(memory_format=torch.channels_last)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_compiles_into_one_graph(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    if isinstance(net, AuxGenerator):
        z = net.sample_aux(2, aux_size(x) if net.spatial else None)
        torch.testing.assert_close(torch.compile(net, fullgraph=True)(x, z), net(x, z), rtol=1e-3, atol=1e-4)
    else:
        torch.testing.assert_close(torch.compile(net, fullgraph=True)(x), net(x), rtol=1e-3, atol=1e-4)
    torch._dynamo.reset()


def test_cyclegans_init_net_reaches_everything(network: tuple[nn.Module, Tensor]) -> None:
    """What CycleGAN's init_weights looks at: class names with Conv or Linear that have a weight."""
    net, x = network
    for module in net.modules():
        name = type(module).__name__
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is not None and ("Conv" in name or "Linear" in name):
            nn.init.constant_(weight, 0.001)
            if bias is not None:
                nn.init.constant_(bias, 0.0)
    assert all(((p == 0) | ((p - 0.001).abs() < 1e-6)).all() for p in net.parameters())
    assert torch.isfinite(forward(net, x)).all()


@given(
    h=st.integers(2, 12).map(lambda k: 4 * k),
    w=st.integers(2, 12).map(lambda k: 4 * k),
    n=st.integers(1, 2),
    c=st.sampled_from([1, 3, 4]),
    upsampling=st.sampled_from(["transposed", "resize"]),
)
@settings(deadline=None, max_examples=20)
def test_generators_keep_the_size(h: int, w: int, n: int, c: int, upsampling: Any) -> None:
    x = torch.randn(n, c, h, w)
    generators: list[nn.Module] = [ResnetGenerator(c, 2, width=4, blocks=1, upsampling=upsampling)]
    generators += [
        build(i, in_channels=c, out_channels=2, width=4, blocks=1, upsampling=upsampling) for i in INJECTIONS
    ]
    for generator in generators:
        out = generator(x)
        assert out.shape == (n, 2, h, w)
        assert out.abs().max() <= 1


@given(h=st.integers(24, 60), w=st.integers(24, 60), n=st.integers(1, 2))
@settings(deadline=None, max_examples=15)
def test_critics_and_encoders_take_odd_sizes(h: int, w: int, n: int) -> None:
    x = torch.randn(n, 3, h, w)
    assert PatchDiscriminator(width=4)(x).shape == (n, 1, h // 8 - 2, w // 8 - 2)
    assert AuxEncoder(width=4)(x).shape == (n, 8)
    assert AuxEncoder(width=4, pooled=False)(x).shape == (n, 8, *aux_size(x))


def test_the_smallest_sizes_work_and_smaller_ones_are_refused() -> None:
    for layers in (1, 2, 3, 4):
        critic = PatchDiscriminator(width=4, layers=layers)
        side = 3 * 2**layers
        assert critic(torch.randn(1, 3, side, side)).shape == (1, 1, 1, 1)
        with pytest.raises(ValueError, match=f"image is too small.* at least {side}"):
            critic(torch.randn(1, 3, side - 1, side))
    assert ResnetGenerator(**SMALL)(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    assert AuxEncoder(width=4, pooled=False)(torch.randn(1, 3, 16, 16)).shape == (1, 8, 2, 2)


def test_published_sizes() -> None:
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(ResnetGenerator()) == 11_378_179  # CycleGAN's nine blocks, as its own code prints: 11.378 M
    assert count(ResnetGenerator(blocks=6)) == 7_837_699
    assert count(PatchDiscriminator()) == 2_764_737


def label_map() -> Tensor:
    image = torch.full((2, 3, 32, 32), -1.0)
    image[:, 0, 8:24, 8:15] = image[:, 1, 10:18, 12:28] = 1.0
    return image


def receptive_field(critic: nn.Module, x: Tensor) -> tuple[int, int]:
    """Height and width of the pixels that the score in the middle depends on; norms would couple all of them."""
    for layer in list(critic.modules()):
        if isinstance(layer, InstanceNorm2d):
            layer.forward = lambda x, activation=None, residual=None: x  # type: ignore[method-assign]
    x = x.requires_grad_()
    scores = critic(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0) > 0
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@pytest.mark.parametrize(("layers", "pixels"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_receptive_field_of_the_image_critic(layers: int, pixels: int) -> None:
    critic = PatchDiscriminator(width=4, layers=layers).double()
    x = torch.rand(1, 3, 320, 288).double()
    assert receptive_field(critic, x) == (pixels, pixels)


def test_receptive_field_of_the_spatial_aux_critic_is_exactly_20() -> None:
    assert receptive_field(AuxDiscriminator(8, spatial=True, width=4).double(), torch.rand(1, 8, 64, 72).double()) == (
        20,
        20,
    )


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
    moved[..., :4] += 3
    difference = (generator(image, moved) - generator(image, z)).abs()
    assert difference[..., :24].mean() > 1.5 * difference[..., 40:].mean()


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


def test_cin_is_in_the_middle_three_blocks() -> None:
    conditional = [
        i
        for i, block in enumerate(AuxGenerator(width=4).blocks)
        if any(isinstance(m, ConditionalInstanceNorm2d) for m in block.modules())
    ]
    assert conditional == [1, 2, 3]


def test_the_pooled_encoder_has_no_norm_and_sees_colour_and_contrast() -> None:
    assert not any(isinstance(m, InstanceNorm2d) for m in AuxEncoder(width=4).modules())
    encoder = AuxEncoder(width=16)
    image = torch.rand(1, 3, 32, 32) - 0.5
    z = encoder(image)
    for changed in (image * 1.5, image + torch.tensor([0.4, 0.0, -0.4]).view(1, 3, 1, 1)):
        assert (encoder(changed) - z).abs().max() > 0.05 * z.abs().max()


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


def test_a_critic_allows_a_gradient_penalty() -> None:
    critic, x = PatchDiscriminator(width=4, layers=2), torch.rand(1, 3, 24, 24, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    (gradient.norm() - 1).square().backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() for n, p in critic.named_parameters() if "weight" in n
    )


IMAGE = torch.rand(2, 3, 32, 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ResnetGenerator(**SMALL)(torch.rand(1, 3, 30, 32)), "image must have sides divisible by 4, got 30×32"),
        (lambda: ResnetGenerator(**SMALL)(torch.rand(1, 1, 32, 32)), "image must have 3 channels, got 1"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE, torch.randn(2, 8)), "use AuxGenerator for an auxiliary z"),
        (
            lambda: ResnetGenerator(6, **SMALL)(IMAGE, torch.randn(2, 8)),
            r"condition must be a batch of images .* \(2, 8\)",
        ),
        (lambda: ResnetGenerator(6, **SMALL)(IMAGE, IMAGE[:1]), "nothing is broadcast"),
        (lambda: ResnetGenerator(6, **SMALL)(IMAGE), "image must have 6 channels, got 3"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE[:0]), "image is empty"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE.byte()), r"floating point, got torch.uint8; for 0–255 images"),
        (lambda: ResnetGenerator(**SMALL)(IMAGE[..., :4, :4]), "image is too small: got 4×4, .* at least 8"),
        (lambda: ResnetGenerator(blocks=0), "blocks must be a whole number of at least 1, got 0"),
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
        (lambda: build("cin").sample_aux(2, (4, 4)), "takes a vector z, got size"),
        (lambda: build("concat", spatial=True).sample_aux(2), "takes a spatial z, give"),
        (lambda: AuxEncoder()(torch.rand(1, 3, 15, 32)), "image is too small: got 15×32, .* at least 16"),
        (lambda: AuxEncoder(aux_channels=0), "aux_channels must be"),
        (lambda: PatchDiscriminator()(torch.rand(1, 4, 64, 64)), "image must have 3 channels, got 4"),
        (lambda: AuxDiscriminator(8)(torch.randn(2, 8, 8, 8)), r"z must be .*\(2, 8\), got .*\(2, 8, 8, 8\)"),
        (lambda: AuxDiscriminator(8)(torch.randn(0, 8)), "z is empty"),
        (lambda: AuxDiscriminator(8, spatial=True)(torch.randn(2, 8)), "z must be a batch of images"),
        (lambda: AuxDiscriminator(8, spatial=True)(torch.randn(2, 8, 7, 8)), "z is too small"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_the_public_names_are_the_contract() -> None:
    names = {name for name in asymkit.__all__ if isinstance(getattr(asymkit, name), type)}
    assert {"AuxDiscriminator", "AuxEncoder", "AuxGenerator", "PatchDiscriminator", "ResnetGenerator"} <= names
