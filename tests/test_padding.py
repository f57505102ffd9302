"""Padding in its input's memory layout: the kernels against PyTorch, and every network in channels-last through them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    DomainDiscriminator,
    DualGenerator,
    HighResGenerator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    Tiled,
    checkpoint_blocks,
    networks,
)
from asymkit.ops import backend
from asymkit.ops.backend import Backend
from asymkit.ops.eager.norm import layout_of
from asymkit.ops.norm import normalized
from asymkit.ops.padding import reflect_pad, replicate_pad

pytest.importorskip("triton", reason="Triton is not installed")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
Pad = Callable[[Tensor], Tensor]
PADS: dict[str, tuple[Pad, int]] = {
    "reflect 1": (partial(reflect_pad, margin=1), 1),
    "reflect 3": (partial(reflect_pad, margin=3), 3),
    "replicate 1": (replicate_pad, 1),
}


@pytest.fixture
def _kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kernels are taken on this device, and what they do not write is NaN."""
    monkeypatch.setattr(backend, "triton_or_eager", lambda device, dtype: Backend("triton", "for a test"))
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def plain(name: str, x: Tensor) -> Tensor:
    return F.pad(x, (PADS[name][1],) * 4, mode=name.split(maxsplit=1)[0])


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PADS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 2, 7, 66), (1, 1, 40, 70)], ids=str)
def test_kernels_give_pytorchs_values_and_gradients(
    shape: tuple[int, ...], name: str, layout: str, dtype: torch.dtype
) -> None:
    """Among the shapes maps so narrow that a row is in both margins, and maps of several tiles."""
    assert_exact(shape, name, layout, dtype)


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("channels", [64, 70])
def test_kernels_take_any_number_of_channels(channels: int) -> None:
    assert_exact((1, channels, 5, 7), "reflect 1", "channels-last", torch.float32)


def assert_exact(shape: tuple[int, ...], name: str, layout: str, dtype: torch.dtype) -> None:
    x = torch.randn(shape, device=DEVICE).to(dtype).contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    exact = x.detach().cpu().double().requires_grad_()
    out, expected = PADS[name][0](x), plain(name, exact)
    assert out.dtype == dtype
    assert layout_of(out) == layout_of(x)
    assert torch.equal(out.cpu().double(), expected)
    grad = torch.randn(expected.shape, device=DEVICE).to(dtype)
    (found,) = torch.autograd.grad(out, x, grad)
    (wanted,) = torch.autograd.grad(expected, exact, grad.cpu().double())
    assert layout_of(found) == layout_of(x)
    tolerance = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
    assert (found.cpu().double() - wanted).norm() <= tolerance * wanted.norm()


@pytest.mark.usefixtures("_kernels")
def test_maps_of_one_row_or_column_can_be_replicated() -> None:
    for shape in ((1, 2, 1, 1), (1, 2, 1, 5), (2, 3, 4, 1)):
        x = torch.randn(shape, device=DEVICE, requires_grad=True)
        out, expected = replicate_pad(x), F.pad(x, (1, 1, 1, 1), mode="replicate")
        assert torch.equal(out, expected)
        grad = torch.randn_like(out)
        torch.testing.assert_close(*(torch.autograd.grad(y, x, grad) for y in (out, expected)))


@pytest.mark.usefixtures("_kernels")
def test_inputs_and_gradients_as_they_lie_in_memory() -> None:
    wide = torch.randn(1, 2, 8, 20, device=DEVICE)
    for x in (wide[..., ::2], wide.mT, wide[:, :1].expand_as(wide), wide.flatten()[1:281].view(1, 2, 7, 20)):
        leaf = x.detach().requires_grad_()
        for name, (pad, _) in PADS.items():
            out, expected = pad(leaf), plain(name, leaf)
            assert torch.equal(out, expected)
            grad = torch.randn(out.mT.shape, device=DEVICE).mT
            torch.testing.assert_close(*(torch.autograd.grad(y, leaf, grad) for y in (out, expected)))
            # the gradient of a sum has no memory of its own
            torch.testing.assert_close(*(torch.autograd.grad(y.sum(), leaf) for y in (pad(leaf), plain(name, leaf))))


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("name", PADS)
def test_second_derivatives(name: str) -> None:
    x, pad = torch.randn(1, 2, 5, 6, device=DEVICE, requires_grad=True), PADS[name][0]

    def penalty(padded: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(padded.pow(3).sum(), x, create_graph=True)
        return gradient.square().sum()

    found, expected = (torch.autograd.grad(penalty(padded), x) for padded in (pad(x), plain(name, x)))
    torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("_kernels")
@pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning")
@pytest.mark.parametrize("name", PADS)
def test_transforms_compilers_and_exports_see_pytorchs_operation(name: str) -> None:
    pad, x = PADS[name][0], torch.randn(2, 3, 6, 5, device=DEVICE)
    expected = plain(name, x)
    assert torch.equal(torch.func.jvp(pad, (x,), (x,))[1], expected)
    assert torch.equal(torch.func.vmap(pad)(x[:, None])[:, 0], expected)
    program = torch.export.export(Layer(pad), (x,))
    assert torch.equal(program.module()(x), expected)
    assert "aten.pad" in program.graph_module.code
    torch._dynamo.reset()
    assert torch.equal(torch.compile(pad, fullgraph=True, backend="aot_eager")(x), expected)


class Layer(nn.Module):
    def __init__(self, function: Pad) -> None:
        super().__init__()
        self.forward = function


@pytest.mark.usefixtures("_kernels")
def test_nothing_is_saved_for_the_backward_pass() -> None:
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda x: x):
        reflect_pad(torch.randn(1, 2, 8, 8, device=DEVICE, requires_grad=True), 1)
    assert not saved


def test_a_map_too_small_to_reflect_is_refused_alike(request: pytest.FixtureRequest) -> None:
    x = torch.zeros(1, 2, 3, 8, device=DEVICE)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="less than the corresponding input dimension"):
            reflect_pad(x, 3)
        request.getfixturevalue("_kernels")


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], list[Tensor]]]] = {}


def network(name: str, *inputs: Callable[[], Tensor]) -> Callable[[Callable[[], nn.Module]], None]:
    def add(build: Callable[[], nn.Module]) -> None:
        NETWORKS[name] = build, lambda: [make() for make in inputs]

    return add


def image(channels: int = 3, side: int = 32) -> Callable[[], Tensor]:
    return lambda: torch.randn(2, channels, side, side, device=DEVICE)


def labels() -> Tensor:
    return torch.tensor([0, 2], device=DEVICE)


def z() -> Tensor:
    return torch.randn(2, 4, device=DEVICE)


aux = partial(AuxGenerator, aux_channels=4, width=8, blocks=2)
network("ResnetGenerator", image())(lambda: ResnetGenerator(width=8, blocks=1))
network("ResnetGenerator, resize", image())(lambda: ResnetGenerator(width=8, blocks=1, upsampling="resize"))
network("ResnetGenerator, checkpointed", image())(lambda: checkpointed(ResnetGenerator(width=8, blocks=1)))
network("AuxGenerator, cin", image(), z)(lambda: aux(injection="cin"))
network("AuxGenerator, concat", image(), z)(lambda: aux(injection="concat"))
network("AuxGenerator, concat_all", image(), z)(lambda: aux(injection="concat_all"))
network("HighResGenerator", image())(lambda: HighResGenerator(width=4, blocks=1))
network("StarGenerator", image(), labels)(lambda: StarGenerator(3, blocks=1, width=8))
network("PlainGenerator", image(), labels)(lambda: PlainGenerator(3))
network("DualGenerator", image(), labels)(lambda: DualGenerator.preset("S2", domains=3, width=8))
network("AuxEncoder", image())(lambda: AuxEncoder(aux_channels=4, width=8))
network("AuxEncoder, maps", image())(lambda: AuxEncoder(aux_channels=4, width=8, pooled=False))
network("PatchDiscriminator", image())(lambda: PatchDiscriminator(width=8))
network("MultiscaleDiscriminator", image(side=64))(lambda: MultiscaleDiscriminator(width=8, layers=2))
network("DomainDiscriminator", image(side=64))(lambda: DomainDiscriminator(3, image_size=64, width=8))
network("AuxDiscriminator", z)(lambda: AuxDiscriminator(4))
network("AuxDiscriminator, maps", image(4, 8))(lambda: AuxDiscriminator(4, spatial=True))


def checkpointed(generator: nn.Module) -> nn.Module:
    checkpoint_blocks(generator)
    return generator


class Layouts(TorchFunctionMode):
    """Collects the maps, and gradients of results, that convolutions and norms get with another dimension innermost."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.wrong = 0, list[str]()

    def look(self, what: str, x: Tensor) -> None:
        self.seen += 1
        # some channels of a channels-last map are as good
        if x.stride(1) != 1 and not x.is_contiguous(memory_format=torch.channels_last):
            self.wrong.append(f"{what}: {tuple(x.shape)}, strides {x.stride()}")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.pad and {"reflect", "replicate"} & {*args[2:], *(kwargs or {}).values()}:
            return result.contiguous()  # as on CUDA
        if func in {F.conv2d, F.conv_transpose2d, normalized}:
            name = func.__name__
            # input, and a norm's residual
            for given in (args[0], *args[3:4]) if func is normalized else args[:1]:
                if given is not None:
                    self.look(f"{name}'s input", given)
            if result.requires_grad:
                result.register_hook(partial(self.look, f"{name}'s gradient"))
        return result


@pytest.mark.usefixtures("_kernels")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_channels_last_stay_there_forward_and_backward(name: str) -> None:
    """Whatever gets another layout is copied by the library, or makes its result one."""
    build, inputs = NETWORKS[name]
    net = build().to(DEVICE).to(memory_format=torch.channels_last)
    given = [x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs()]
    leaves = [x.requires_grad_() for x in given if x.is_floating_point()]
    with Layouts() as layouts:
        out = net(*given)
        # the gradient of a mean of maps is NCHW; asymkit's losses sum over pixels
        loss = torch.stack([each.square().sum() for each in ([out] if isinstance(out, Tensor) else out)]).sum()
        loss.backward()
    assert layouts.seen or name == "AuxDiscriminator"
    # the encoder ends in a mean over the pixels of its few channels, at an eighth of the image's size
    assert len(layouts.wrong) == (name == "AuxEncoder"), layouts.wrong
    assert all(x.grad is not None and x.grad.isfinite().all() for x in leaves)


def test_every_network_is_looked_at() -> None:
    public = {name for name, found in vars(networks).items() if inspect.isclass(found) and issubclass(found, nn.Module)}
    wrappers = {"AnySize", "Tiled", "VGGFeatures"}
    assert {name.split(",")[0] for name in NETWORKS} == public - wrappers


@pytest.mark.usefixtures("_kernels")
def test_tiles_go_through_the_kernels() -> None:
    generator = ResnetGenerator(width=2, blocks=1).to(DEVICE).to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, 64, 32, device=DEVICE).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(Tiled(generator, tile=32)(x), generator(x), rtol=1e-4, atol=1e-5)
