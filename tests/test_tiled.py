"""Tiles put together equal the image in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import published
import pytest
import torch
from torch import Tensor, nn

from asymkit import (
    AnySize,
    AuxGenerator,
    DualGenerator,
    HighResGenerator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    Tiled,
)
from asymkit.inference.tracing import Moments, ReceptiveField
from conftest import images_like

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}


def lively(network: nn.Module) -> nn.Module:
    """In float64, and every layer shows in the output."""
    return published.lively(network).double()


class NetG(nn.Module):
    """As CycleGAN code builds them, with PyTorch's own norms."""

    def __init__(self, norm: type[nn.Module] = nn.InstanceNorm2d) -> None:
        super().__init__()
        up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7), nn.InstanceNorm2d(4, affine=True), nn.ReLU()),
            *(nn.Conv2d(4, 8, 3, stride=2, padding=1), norm(8), nn.ReLU(), nn.Upsample(scale_factor=2)),
            *(nn.Conv2d(8, 8, 4, stride=2, padding=1), norm(8), nn.ReLU(), up, norm(4), nn.ReLU()),
            *(nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


CASES: dict[str, tuple[Any, Any]] = {
    "resnet": (lambda: ResnetGenerator(**SMALL), None),
    "resized": (lambda: ResnetGenerator(**SMALL, upsampling="resize"), None),
    "skip": (lambda: ResnetGenerator(**SMALL, skip=True), None),
    "skeleton": (lambda: ResnetGenerator(5, 3, **SMALL), lambda: torch.randn(2, 2, 120, 88)),
    "cin": (lambda: AuxGenerator(**SMALL), lambda: torch.randn(2, 8)),
    "cin_all": (lambda: AuxGenerator(**SMALL, injection="cin_all"), lambda: torch.randn(2, 8)),
    "concat_all": (lambda: AuxGenerator(**SMALL, injection="concat_all"), lambda: torch.randn(2, 8)),
    "spatial": (lambda: AuxGenerator(**SMALL, injection="concat", spatial=True), lambda: torch.randn(2, 8, 15, 11)),
    "high": (lambda: HighResGenerator(aux_channels=4, **SMALL), lambda: torch.randn(2, 4)),
    "star": (lambda: StarGenerator(5, **SMALL), lambda: torch.tensor([1, 4])),
    "embedded": (lambda: StarGenerator(5, **SMALL, label_embedding=3), lambda: torch.tensor([1, 4])),
    "plain": (lambda: PlainGenerator(5), lambda: torch.tensor([1, 4])),
    "foreign": (NetG, None),
}


def drawn(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    network, condition = CASES[name]
    given = () if condition is None else (condition(),)
    given = tuple(each.double() if each.is_floating_point() else each for each in given)
    return lively(network()), (images_like(2, 3, 120, 88), *given)


@pytest.mark.parametrize("name", CASES)
def test_exact_tiles_equal_the_whole(name: str) -> None:
    network, inputs = drawn(name)
    tiled = Tiled(network, tile=32, multiple=4 if name == "foreign" else None)
    with torch.no_grad():
        torch.testing.assert_close(tiled(*inputs), network(*inputs), rtol=0, atol=1e-11)


def test_own_statistics_per_tile_would_not() -> None:
    network, (image,) = drawn("resnet")
    with torch.no_grad():
        alone = torch.cat([network(half) for half in image.split(60, dim=2)], dim=2)
        assert (alone - network(image)).abs().mean() > 0.05


def test_in_float32() -> None:
    network, (image,) = drawn("resnet")
    network, image = network.float(), image.float()
    with torch.no_grad():
        torch.testing.assert_close(Tiled(network, tile=40)(image), network(image), rtol=0, atol=1e-4)


def test_reduced_statistics_are_near_on_smooth_images_and_have_no_seams() -> None:
    network, _ = drawn("resnet")
    image = nn.functional.interpolate(images_like(1, 3, 24, 24), (192, 192), mode="bicubic")
    with torch.no_grad():
        whole, reduced = network(image), Tiled(network, tile=96, statistics="reduced")(image)
    assert 0 < (reduced - whole).abs().mean() < 0.25 * whole.std()
    other = Tiled(network, tile=64, statistics="reduced")
    other.tile = 96  # the same statistics, other seams
    jumps = [(x[..., 1:] - x[..., :-1]).abs().mean((0, 1, 2)) for x in (whole, reduced)]
    assert jumps[1][95] < 3 * jumps[0].max()


def test_too_little_context_is_faded() -> None:
    network, (image,) = drawn("resnet")
    with torch.no_grad():
        whole = network(image)
        hard, faded = (Tiled(network, tile=40, overlap=overlap)(image) for overlap in (0, 8))
    assert (faded - whole).abs().mean() < (hard - whole).abs().mean()
    far = nn.Conv2d(3, 3, 33, padding=16, bias=False).double()  # may look 16 pixels far, and takes the pixel itself
    nn.init.dirac_(far.weight)
    spread = Tiled(far, tile=16, overlap=8, multiple=1)
    torch.testing.assert_close(spread(image), image)  # the weights of all tiles sum to one


def test_z_is_drawn_once_for_all_tiles() -> None:
    spatial, aux = AuxGenerator(**SMALL, injection="concat", spatial=True), AuxGenerator(**SMALL)
    for generator in (
        spatial,
        aux,
        DualGenerator(AuxGenerator(**SMALL), ResnetGenerator(**SMALL)),
        nn.DataParallel(aux),
    ):
        network, image = lively(generator), images_like(1, 3, 64, 64)
        torch.manual_seed(3)
        whole = network(image)
        torch.manual_seed(3)
        tiled = Tiled(network, tile=32, multiple=4)
        torch.testing.assert_close(tiled(image), whole, rtol=0, atol=1e-11)
        assert not isinstance(tiled.generator, nn.DataParallel)  # whose threads would not see the statistics
    other = lively(DualGenerator(ResnetGenerator(**SMALL), aux))  # only the reconstructor takes a z
    torch.testing.assert_close(Tiled(other, tile=32)(image), other(image), rtol=0, atol=1e-11)


def test_any_size_and_one_tile() -> None:
    network, (image,) = drawn("resnet")
    odd = image[..., :117, :83]
    with torch.no_grad():
        torch.testing.assert_close(AnySize(Tiled(network, tile=32))(odd), AnySize(network)(odd), rtol=0, atol=1e-11)
        assert torch.equal(Tiled(network, tile=128)(image), network(image))


def test_eval_statistics_and_compiled_networks_pass() -> None:
    network = lively(NetG(lambda channels: nn.InstanceNorm2d(channels, track_running_stats=True)))  # type: ignore[arg-type]
    image = images_like(1, 3, 64, 64)
    network(image)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(Tiled(network, tile=32, multiple=4)(image), network(image), rtol=0, atol=1e-11)
    compiled: Any = torch.compile(network, backend="eager")
    assert Tiled(compiled, tile=32, multiple=4).generator is network


class Gate(nn.Module):
    """Something that looks at the whole map, and keeps its shape."""

    def __init__(self, look: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.look = look

    def forward(self, x: Tensor) -> Tensor:
        return x * self.look(x)


LOOKS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.sum((2, 3), keepdim=True),
    lambda x: x.amax((2, 3), keepdim=True),
    lambda x: x.view(len(x), -1).std(1).view(-1, 1, 1, 1),
    lambda x: x.softmax(3),
    lambda x: torch.fft.fft2(x).real,
    lambda x: x.flip(3),
    lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)[..., ::2, ::2],
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_looks_at_the_whole_map_is_refused(look: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"calls \w+ on a feature map .* instance norms"):
        Tiled(NetG(lambda _: Gate(look)), tile=32, multiple=4)(torch.zeros(1, 3, 64, 64))  # type: ignore[arg-type]


class UpBlock(nn.Module):
    """Up-sampling in both branches of a residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        up = nn.functional.interpolate(x, scale_factor=2)
        out: Tensor = up + self.conv(nn.functional.interpolate(x.relu(), scale_factor=2))
        return out


def test_branches_that_both_change_the_size_are_followed() -> None:
    down = [nn.Conv2d(3, 8, 4, 2, 1), nn.InstanceNorm2d(8), nn.Conv2d(8, 8, 4, 2, 1)]
    network = lively(nn.Sequential(*down, UpBlock(8), nn.InstanceNorm2d(8), UpBlock(8), nn.Conv2d(8, 3, 3, padding=1)))
    image = images_like(1, 3, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(Tiled(network, tile=32, multiple=4)(image), network(image), rtol=0, atol=1e-11)


@pytest.mark.parametrize("norm", [lambda c: nn.GroupNorm(2, c), lambda c: nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d])
def test_networks_that_see_the_whole_image_otherwise_are_refused(norm: Any) -> None:
    network = NetG(norm) if norm is not nn.BatchNorm2d else NetG(nn.BatchNorm2d).train()
    with pytest.raises(ValueError, match=r"calls \w+ on a feature map .* instance norms"):
        Tiled(network, tile=32, multiple=4)(torch.zeros(1, 3, 64, 64))


def test_mistakes_are_named() -> None:
    generator = ResnetGenerator(**SMALL)
    with pytest.raises(ValueError, match="tile must be an integer of at least 16"):
        Tiled(generator, tile=8)
    with pytest.raises(ValueError, match="did you mean 'exact'"):
        Tiled(generator, statistics="exakt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overlap"):
        Tiled(generator, overlap=-1)
    with pytest.raises(ValueError, match="divisible by 4"):
        Tiled(generator)(torch.zeros(1, 3, 30, 32))


def test_the_receptive_field_is_never_too_small() -> None:
    """A pixel outside of the receptive field has no gradient, where norms do not carry it."""
    network, (image,) = drawn("foreign")
    with ReceptiveField(120) as field:
        network(image)
    for norm in [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]:
        norm.forward = lambda x: x  # type: ignore[method-assign, assignment]
    image.requires_grad_()
    network(image)[..., 60, 44].sum().backward()
    assert image.grad is not None
    rows, columns = image.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    farthest = max(int((rows - 60).abs().max()), int((columns - 44).abs().max()))
    assert 0 < farthest <= field.radius < 3 * farthest


def test_moments_join_without_loss_of_digits() -> None:
    x = 1e4 + torch.randn(2, 3, 40, 30, dtype=torch.float64)
    joined = Moments.of(x[..., :7, :]).merged(Moments.of(x[..., 7:, :]))
    whole = Moments.of(x)
    assert joined.pixels == whole.pixels
    torch.testing.assert_close(joined.mean, whole.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(joined.variance, whole.variance, rtol=1e-10, atol=0)
