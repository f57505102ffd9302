from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import asymkit
from asymkit import AuxDiscriminator, AuxEncoder, AuxGenerator, PatchDiscriminator, ResnetGenerator
from asymkit.initialisation import HeInitialised
from asymkit.networks.generators import aux_size
from conftest import SMALL, build

ALL: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet": (lambda: ResnetGenerator(**SMALL), (2, 3, 32, 32)),
    "resnet resize": (lambda: ResnetGenerator(**SMALL, upsampling="resize"), (2, 3, 32, 32)),
    "cin": (lambda: build("cin"), (2, 3, 32, 32)),
    "concat": (lambda: build("concat", spatial=True), (2, 3, 32, 32)),
    "concat_all": (lambda: build("concat_all"), (2, 3, 32, 32)),
    "cin_all": (lambda: build("cin_all"), (2, 3, 32, 32)),
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


def assert_near(out: Tensor, expected: Tensor) -> None:
    """Within a thousandth of the output's own size: freshly made discriminators score 1e-6."""
    assert (out - expected).norm() < 1e-3 * expected.norm()


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
    """All but those that would make z mute, which start as in He et al. 2015: see tests/test_initialisation.py."""
    net, _ = network
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    own = [m for m in convolutions if isinstance(m, HeInitialised)]
    normal = [m for m in convolutions if m not in own]
    if normal:
        weights = torch.cat([m.weight.flatten() for m in normal])
        assert abs(weights.mean()) < 0.003
        assert weights.std().item() == pytest.approx(0.02, rel=0.1)
    for m in own:
        parts = m.weight.split(m.joined or m.weight.shape[1], dim=1)
        gain = 1 if m.nonlinearity == "linear" else 2
        scaled = torch.cat([(part * (part[0].numel() / gain) ** 0.5).flatten() for part in parts])
        assert scaled.square().mean().item() == pytest.approx(1, abs=5 / len(scaled) ** 0.5)
    assert all(m.bias is None or not m.bias.any() for m in convolutions)
    assert not any(isinstance(m, nn.Dropout) for m in net.modules())


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("resnet", set()),
        ("patch", set()),
        ("cin", {"gamma", "beta"}),
        ("concat", {"mix"}),
        ("concat_all", {"mix"}),
        ("cin_all", {"gamma", "beta"}),
        ("spatial encoder", {"to_aux"}),
        ("encoder", None),
        ("aux", None),
        ("spatial aux", None),
    ],
)
def test_which_layers_have_a_start_of_their_own(name: str, own: set[str] | None) -> None:
    """None: all of them."""
    layers = {
        n: m for n, m in ALL[name][0]().named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    }
    found = {n for n, m in layers.items() if isinstance(m, HeInitialised)}
    assert found == (set(layers) if own is None else {n for n in layers if n.split(".")[-1] in own})


def test_works_under_autocast(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = forward(net, x)
    expected = forward(net, x)
    assert (out.float() - expected).norm() < 0.1 * expected.norm()


def test_channels_last_gives_the_same(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    if x.ndim == 2:
        pytest.skip("a vector has no layout")
    expected = forward(net, x)
    net.to(memory_format=torch.channels_last)
    assert_near(forward(net, x.to(memory_format=torch.channels_last)), expected)


@pytest.mark.slow
def test_compiles_into_one_graph(network: tuple[nn.Module, Tensor]) -> None:
    net, x = network
    if isinstance(net, AuxGenerator):
        z = net.sample_aux(2, aux_size(x) if net.spatial else None)
        assert_near(torch.compile(net, fullgraph=True)(x, z), net(x, z))
    else:
        assert_near(torch.compile(net, fullgraph=True)(x), net(x))
    torch._dynamo.reset()


def test_cyclegans_init_net_reaches_everything(network: tuple[nn.Module, Tensor]) -> None:
    """What CycleGAN's init_weights looks at: class names with Conv or Linear that have a weight.

    All but the layers that such a start would make mute; those keep theirs, to the bit.
    """
    net, x = network
    before = {id(p): p.detach().clone() for m in net.modules() if isinstance(m, HeInitialised) for p in m.parameters()}
    for module in net.modules():
        name = type(module).__name__
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is not None and ("Conv" in name or "Linear" in name):
            nn.init.constant_(weight, 0.001)
            if bias is not None:
                nn.init.constant_(bias, 0.0)
    for p in net.parameters():
        if id(p) in before:
            assert torch.equal(p, before[id(p)])
        else:
            assert ((p == 0) | ((p - 0.001).abs() < 1e-6)).all()
    assert torch.isfinite(forward(net, x)).all()


def test_published_sizes() -> None:
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(ResnetGenerator()) == 11_378_179  # CycleGAN's nine blocks, as its own code prints: 11.378 M
    assert count(ResnetGenerator(blocks=6)) == 7_837_699
    assert count(PatchDiscriminator()) == 2_764_737


def test_the_public_names_are_the_contract() -> None:
    names = {name for name in asymkit.__all__ if isinstance(getattr(asymkit, name), type)}
    assert {"AuxDiscriminator", "AuxEncoder", "AuxGenerator", "PatchDiscriminator", "ResnetGenerator"} <= names
