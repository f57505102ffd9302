"""Weights inside wrappers, trainers' checkpoints and averages; and that nothing else is taken for weights."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
import pytest
import torch
from published import lively
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from asymkit import (
    AuxGenerator,
    DomainDiscriminator,
    LPIPSLoss,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    VGGFeatures,
    load_asymmetricgan_generators,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_network,
    load_stargan_discriminator,
    load_stargan_generator,
    load_weights,
    read_state_dict,
    save_weights,
    to_published,
)

Wrap = Callable[[nn.Module], nn.Module]


class ModelEma(nn.Module):
    """The names of timm's ModelEmaV2 and V3."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)


class EMA(nn.Module):
    """The names of ema_pytorch's EMA, whose average is not the model that is trained."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.ema_model, self.online_model = model, copy.deepcopy(model)
        with torch.no_grad():
            for parameter in self.online_model.parameters():
                parameter.add_(1)
        self.register_buffer("initted", torch.tensor(True))
        self.register_buffer("step", torch.tensor(7))


def parts_compiled(network: nn.Module) -> nn.Module:
    for name, child in list(network.named_children()):
        setattr(network, name, torch.compile(child))
    return network


WRAPS: dict[str, Wrap] = {
    "compile": lambda net: torch.compile(net),  # type: ignore[dict-item, return-value]
    "parts compiled": parts_compiled,
    "DataParallel": nn.DataParallel,
    "AveragedModel": AveragedModel,
    "compile of DataParallel": lambda net: torch.compile(nn.DataParallel(net)),  # type: ignore[dict-item, return-value]
    "DataParallel of compile": lambda net: nn.DataParallel(torch.compile(net)),  # type: ignore[type-var]
    "AveragedModel of compile of DataParallel": lambda net: AveragedModel(torch.compile(nn.DataParallel(net))),  # type: ignore[arg-type]
    "ModelEma of DataParallel": lambda net: ModelEma(nn.DataParallel(net)),
    "EMA": EMA,
    "EMA of compile": lambda net: EMA(torch.compile(net)),  # type: ignore[arg-type]
    "DataParallel of EMA": lambda net: nn.DataParallel(EMA(net)),
}
ARGUMENTS: dict[str, Any] = {"width": 4, "blocks": 1}


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_wrappers_leave_no_trace_in_files(wrap: Wrap, tmp_path: Path) -> None:
    network = lively(ResnetGenerator(**ARGUMENTS))
    wrapped, path = wrap(copy.deepcopy(network)), tmp_path / "whatever.pth"
    torch.save(wrapped.state_dict(), path)
    assert read_state_dict(path).keys() == network.state_dict().keys()
    load_weights(other := ResnetGenerator(**ARGUMENTS), path)
    assert same(other, network)
    assert same(load_cyclegan_generator(path), network)
    assert same(load_network(wrapped.state_dict()), network)
    for saved in (tmp_path / "saved.pt", tmp_path / "saved.safetensors"):
        save_weights(wrapped, saved)
        assert read_state_dict(saved).keys() == network.state_dict().keys()
        load_weights(inner := wrap(ResnetGenerator(**ARGUMENTS)), saved)
        assert same(load_network(inner.state_dict()), network)
    assert same(load_cyclegan_generator(to_published(wrapped)), network)


LOADERS: dict[str, tuple[Callable[[Any], nn.Module], Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "CycleGAN generator": (
        load_cyclegan_generator,
        lambda: published.CycleGANGenerator(width=4, blocks=1),
        lambda: ResnetGenerator(**ARGUMENTS),
    ),
    "CycleGAN discriminator": (
        load_cyclegan_discriminator,
        lambda: published.PatchGAN(width=4, layers=2),
        lambda: PatchDiscriminator(width=4, layers=2),
    ),
    "StarGAN generator": (
        load_stargan_generator,
        lambda: published.StarGANGenerator(width=4, blocks=1),
        lambda: StarGenerator(5, **ARGUMENTS),
    ),
    "StarGAN discriminator": (
        load_stargan_discriminator,
        lambda: published.StarGANDiscriminator(64, 4),
        lambda: DomainDiscriminator(5, image_size=64, width=4),
    ),
    "AsymmetricGAN": (
        lambda state: load_asymmetricgan_generators(state, state).reconstructor,
        published.PlainGAN,
        lambda: PlainGenerator(5),
    ),
}


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("wrap", [WRAPS["AveragedModel of compile of DataParallel"], WRAPS["EMA of compile"]])
@pytest.mark.parametrize("theirs", [True, False])
def test_every_loader_sees_through_wrappers_and_knows_both_names(loader: Any, wrap: Wrap, theirs: bool) -> None:
    load, build_published, build_own = loader
    network = lively((build_published if theirs else build_own)())
    wanted = load(network.state_dict())
    assert same(load(wrap(network).state_dict()), wanted)
    lightning = {
        "epoch": 3,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
        "hyper_parameters": {"lr": 1.0},
    }
    others = {f"criterion.features.{i}.weight": torch.zeros(2, 2) for i in range(3)}
    inside = {f"net_G.{name}": value for name, value in network.state_dict().items()}
    assert same(load({"state_dict": inside | others, **lightning}), wanted)


@pytest.mark.parametrize("average", ["ema", "model_ema", "state_dict_ema", "average", "shadow"])
def test_of_a_model_and_its_average_the_average_is_taken(average: str, tmp_path: Path) -> None:
    trained, averaged = (lively(ResnetGenerator(**ARGUMENTS)) for _ in range(2))
    plain = "state_dict" if average.startswith("state") else "model"
    path = tmp_path / "trainer.ckpt"
    torch.save({"epoch": 3, plain: trained.state_dict(), average: AveragedModel(averaged).state_dict()}, path)
    assert same(load_network(path), averaged)
    assert same(load_network(path, part=plain), trained)
    assert same(load_cyclegan_generator(read_state_dict(path)), averaged)
    assert same(load_cyclegan_generator(read_state_dict(path, part=plain)), trained)
    load_weights(other := ResnetGenerator(**ARGUMENTS), path)
    assert same(other, averaged)


def test_one_of_two_generators_is_never_guessed(tmp_path: Path) -> None:
    first, second = (lively(ResnetGenerator(**ARGUMENTS)) for _ in range(2))
    path = tmp_path / "lightning.ckpt"
    both = nn.ModuleDict({"netG_A": first, "netG_B": second})
    torch.save({"state_dict": both.state_dict(), "epoch": 1}, path)
    for load in (load_network, load_cyclegan_generator, lambda path: load_weights(ResnetGenerator(**ARGUMENTS), path)):
        with pytest.raises(ValueError, match=r"several, 'state_dict.netG_A', 'state_dict.netG_B'; choose one by part"):
            load(path)
    assert same(load_network(path, "netG_B"), second)
    assert same(load_cyclegan_generator(read_state_dict(path, "netG_B")), second)
    load_weights(other := ResnetGenerator(**ARGUMENTS), path, "netG_A")
    assert same(other, first)


class Both(nn.Module):
    """A part named as a wrapper names what it wraps, beside a weight that would then have the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(1, 1)
        self.a.module = nn.Linear(1, 1)


class Scaled(nn.Module):
    """A part named as a wrapper names what it wraps, beside weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(1, 1)
        self.scale = nn.Parameter(torch.randn(1))


class Counting(nn.Module):
    """A buffer named as AveragedModel names its counter, beside weights."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.register_buffer("n_averaged", torch.randn(1))


class CountingScaled(Scaled):
    """Both."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("n_averaged", torch.randn(1))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", [Scaled, Counting, CountingScaled])
@pytest.mark.parametrize("wrap", [lambda net: net, nn.DataParallel, AveragedModel], ids=["bare", "parallel", "average"])
def test_modules_with_the_names_of_wrappers_lose_nothing(
    tmp_path: Path, suffix: str, kind: Callable[[], nn.Module], wrap: Wrap
) -> None:
    one, other, path = kind(), kind(), tmp_path / f"weights{suffix}"
    save_weights(wrap(one), path)
    assert len(read_state_dict(path)) == len(one.state_dict())
    load_weights(other, path)
    assert same(one, other)
    load_weights(wrapped := wrap(kind()), path)
    assert same(one, wrapped.module if isinstance(wrapped, nn.DataParallel | AveragedModel) else wrapped)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_names_that_would_become_the_same_are_kept(tmp_path: Path, suffix: str) -> None:
    one, other = Both(), Both()
    save_weights(one, tmp_path / f"both{suffix}")
    assert read_state_dict(tmp_path / f"both{suffix}").keys() == one.state_dict().keys()
    load_weights(other, tmp_path / f"both{suffix}")
    assert same(one, other)


EVERY_LOADER: dict[str, Callable[[Any], nn.Module]] = {name: loader[0] for name, loader in LOADERS.items()} | {
    "load_network": load_network,
    "VGGFeatures": lambda state: VGGFeatures(["relu1_2"], state),
    "LPIPSLoss": lambda state: LPIPSLoss("squeeze", state),
}


def backbone() -> dict[str, Tensor]:
    chance = {
        "features.0.weight": (64, 3, 3, 3),
        "features.0.bias": (64,),
        "features.2.weight": (64, 64, 3, 3),
        "features.2.bias": (64,),
    }
    return {name: torch.rand(shape) for name, shape in chance.items()}


def squeezenet() -> dict[str, Tensor]:
    from torchvision.models import squeezenet1_1

    state: dict[str, Tensor] = squeezenet1_1(weights=None).features.state_dict(prefix="features.")
    return state


def states_of(name: str) -> list[dict[str, Tensor]]:
    if name in LOADERS:
        return [build().state_dict() for build in LOADERS[name][1:]]
    if name == "load_network":
        return [AuxGenerator(width=4, blocks=1).state_dict()]
    return [squeezenet() if name == "LPIPSLoss" else backbone()]


def damaged(state: dict[str, Tensor], chance: random.Random) -> tuple[Any, str]:
    """What is no state dict of finite floating point weights any more, and how it came about."""
    key = chance.choice([name for name, value in state.items() if value.is_floating_point()])
    value, bad = state[key], dict(state)
    with_nan = value.clone()
    with_nan.view(-1)[chance.randrange(value.numel())] = chance.choice([float("nan"), float("inf"), -float("inf")])
    values: list[Any] = [None, 0, 1.5, "text", [1.0], value.numpy(), nn.Linear(1, 1), value > 0, value.long()]
    values += [
        value.to(torch.complex64),
        with_nan,
        value.to_sparse(),
        value.to("meta"),
        value[None],
        value.flatten()[:0],
    ]
    values += [torch.tensor(1.0), torch.rand(2, 2), {}, {"weight": value}]
    keys: list[Any] = [None, 0, 1.5, (key,), b"key", "", ".", "..", key + ".x", "x." + key, key[:-1]]
    match chance.randrange(5):
        case 0:
            bad[key] = chance.choice(values)
        case 1:
            del bad[key]
            bad[chance.choice(keys)] = value
        case 2:
            bad[chance.choice(keys)] = chance.choice(values)
        case 3:
            del bad[key]
        case _:
            return chance.choice(
                [None, 0, 1.5, True, [], (), {}, b"", [value], value, nn.Linear(1, 1), "", "nowhere.pth", {0: value}]
            ), "whole"
    return bad, key


@pytest.mark.parametrize("name", EVERY_LOADER)
def test_whatever_a_loader_is_given_it_loads_or_says_why_not(name: str) -> None:
    chance, load, states = random.Random(name), EVERY_LOADER[name], states_of(name)
    said = []
    for _ in range(60):
        bad, how = damaged(chance.choice(states), chance)
        if bad is None and name in {"VGGFeatures", "LPIPSLoss"}:  # which stands for random weights
            continue
        try:
            loaded = load(bad)
        except ValueError as error:
            said.append(str(error))
        else:
            weights = [*loaded.parameters(), *loaded.buffers()]
            assert all(weight.isfinite().all() and weight.is_floating_point() for weight in weights), how
    assert len(said) > 20
    assert not [message for message in said if "object has no attribute" in message or "unpack" in message]


@pytest.mark.parametrize("name", EVERY_LOADER)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value / 0, "holds NaN or infinity"),
        (lambda value: value > 0, r"is of type torch.bool, expected floating point"),
        (lambda value: value.to(torch.complex64), r"is of type torch.complex64, expected floating point"),
        (lambda value: (100 * value).byte(), r"is of type torch.uint8, expected floating point"),
        (lambda value: value.to("meta"), "is on the meta device, without values"),
        (lambda value: value.numpy(), "is a ndarray"),
        (lambda value: None, "is a NoneType"),
    ],
)
def test_weights_that_are_none_are_refused_by_name(name: str, change: Callable[[Tensor], Any], message: str) -> None:
    for state in states_of(name):
        key = next(iter(state))
        with pytest.raises(ValueError, match=rf"'{key}' {message}"):
            EVERY_LOADER[name](state | {key: change(state[key])})


@pytest.mark.parametrize("name", EVERY_LOADER)
def test_keys_and_arguments_of_other_types_are_refused(name: str) -> None:
    for state in states_of(name):
        for key in (0, None, b"key"):
            with pytest.raises(ValueError, match=rf"{key!r} is a "):
                EVERY_LOADER[name](state | {key: torch.zeros(1)})
    others: list[Any] = [0, [], torch.zeros(1), nn.Linear(1, 1)]
    for given in others:
        with pytest.raises(
            ValueError, match=r"weights: got .*, expected a state dict|or the path of a file with them, got a "
        ):
            EVERY_LOADER[name](given)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_too_large_for_the_type_of_a_module_are_refused(suffix: str, tmp_path: Path) -> None:
    large, half, path = nn.Linear(2, 2), nn.Linear(2, 2).half(), tmp_path / f"w{suffix}"
    nn.init.constant_(large.weight, 1e6)
    save_weights(large, path)
    before = copy.deepcopy(half)
    with pytest.raises(ValueError, match=r"'weight' is of type torch.float32 .* too large for torch.float16"):
        load_weights(half, path)
    assert same(half, before)
    load_weights(brain := nn.Linear(2, 2).bfloat16(), path)
    assert brain.weight.isfinite().all()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_are_not_compared_with_themselves(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN, which a buffer may hold, is not equal to itself."""
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    for module in (one, other):
        module.register_buffer("unset", torch.full((1,), float("nan")))
    save_weights(one, tmp_path / f"w{suffix}")
    load_weights(other, tmp_path / f"w{suffix}")
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_modules_without_values_are_neither_saved_nor_loaded_into(suffix: str, tmp_path: Path) -> None:
    path, meta = tmp_path / f"w{suffix}", nn.Sequential(nn.Linear(2, 2, device="meta"))
    with pytest.raises(ValueError, match=r"'0.weight' is on the meta device, .*to_empty"):
        save_weights(meta, path)
    assert not path.exists()
    save_weights(nn.Sequential(nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match=r"'0.weight' is on the meta device, .*to_empty"):
        load_weights(meta, path)
    load_weights(meta.to_empty(device="cpu"), path)
    assert meta.state_dict().keys() == read_state_dict(path).keys()
    assert all(torch.equal(value, read_state_dict(path)[name]) for name, value in meta.state_dict().items())


class Extra(nn.Linear):
    """What it adds to its state dict is no tensor."""

    def get_extra_state(self) -> Any:
        return {"version": 3}

    def set_extra_state(self, state: Any) -> None:
        raise AssertionError


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_entries_that_are_no_tensors_are_named(suffix: str, tmp_path: Path) -> None:
    path, extra = tmp_path / f"w{suffix}", nn.Sequential(Extra(2, 2))
    with pytest.raises(ValueError, match=r"module: '0._extra_state' in its state dict is a dict, .* expected a tensor"):
        save_weights(extra, path)
    assert not path.exists()
    save_weights(nn.Sequential(nn.Linear(2, 2)), path)
    with pytest.raises(ValueError, match=r"module: '0._extra_state' in its state dict is a dict, .* expected a tensor"):
        load_weights(extra, path)


def test_load_weights_checks_as_the_loaders_do(tmp_path: Path) -> None:
    network, path = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), tmp_path / "w.pt"
    good = network.state_dict()
    for value, message in (
        (torch.full((2, 2), float("nan")), "'0.weight' holds NaN"),
        (torch.ones(2, 2, dtype=torch.bool), "'0.weight' is of type torch.bool, expected floating point"),
        (torch.ones(2, 2, dtype=torch.complex64), "'0.weight' is of type torch.complex64"),
    ):
        torch.save(good | {"0.weight": value}, path)
        before = copy.deepcopy(network)
        with pytest.raises(ValueError, match=message):
            load_weights(network, path)
        assert same(network, before)
    torch.save(good | {"1.num_batches_tracked": torch.tensor(1.5)}, path)
    with pytest.raises(ValueError, match=r"'1.num_batches_tracked' is of type torch.float32, expected torch.int64"):
        load_weights(network, path)
    torch.save(good, path)
    load_weights(network, path)
    for given in (None, good):
        with pytest.raises(ValueError, match=r"module must be an nn.Module"):
            load_weights(given, path)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"module must be an nn.Module"):
            save_weights(given, path)  # type: ignore[arg-type]
