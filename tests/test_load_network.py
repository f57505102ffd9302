"""Networks of asymkit out of files: whatever code wrote them, and an example's own training state."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from published import lively
from support.report import logger
from tiny import cyclegan_folder, tiny
from torch import nn

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
    load_asymmetricgan_generators,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_network,
    load_weights,
    read_state_dict,
    save_weights,
    to_published,
)

SMALL: dict[str, Any] = {"width": 4, "blocks": 3}
BUILT: list[tuple[Any, dict[str, Any]]] = [
    (ResnetGenerator, {"in_channels": 2, "out_channels": 1, **SMALL}),
    (ResnetGenerator, {"width": 1, "blocks": 1, "upsampling": "resize"}),
    (ResnetGenerator, {"in_channels": 1, "skip": True, **SMALL}),
    (AuxGenerator, {"aux_channels": 5, **SMALL}),
    (AuxGenerator, {"aux_channels": 5, "skip": True, **SMALL}),
    (AuxGenerator, {"aux_channels": 5, "injection": "concat", **SMALL}),
    (AuxGenerator, {"aux_channels": 5, "injection": "cin_all", **SMALL}),
    (AuxGenerator, {"aux_channels": 5, "injection": "concat_all", "upsampling": "resize", "width": 4, "blocks": 4}),
    (HighResGenerator, {"in_channels": 1, "skip": True, **SMALL}),
    (HighResGenerator, {"aux_channels": 6, "upsampling": "resize", **SMALL}),
    (StarGenerator, {"domains": 4, **SMALL}),
    (StarGenerator, {"domains": 4, "width": 4, "blocks": 0, "upsampling": "resize"}),
    (StarGenerator, {"domains": 4, "label_embedding": 7, "in_channels": 2, **SMALL}),
    (StarGenerator, {"domains": 4, "label_embedding": 7, "in_channels": 2, "width": 4, "blocks": 0}),
    (StarGenerator, {"domains": 4, "in_channels": 1, "out_channels": 3, **SMALL}),
    (PlainGenerator, {"domains": 4, "in_channels": 3, "out_channels": 1}),
    (PlainGenerator, {"domains": 4}),
    (PlainGenerator, {"domains": 4, "label_embedding": 7, "in_channels": 2}),
    (AuxEncoder, {"in_channels": 1, "aux_channels": 5, "width": 4}),
    (AuxEncoder, {"aux_channels": 5, "pooled": False, "width": 4}),
    (PatchDiscriminator, {"in_channels": 6, "width": 4, "layers": 2}),
    (MultiscaleDiscriminator, {"scales": 3, "layers": 2, "width": 4}),
    (DomainDiscriminator, {"domains": 3, "image_size": 48, "width": 4, "layers": 3}),
    (DomainDiscriminator, {"domains": 3, "image_size": (16, 24), "width": 4, "layers": 3}),
    (AuxDiscriminator, {"aux_channels": 5, "width": 4}),
    (AuxDiscriminator, {"aux_channels": 5, "spatial": True, "width": 4}),
]


@pytest.mark.parametrize(("kind", "arguments"), BUILT)
@pytest.mark.parametrize("name", ["latest_net_G_A.pth", "net.safetensors"])
def test_a_network_is_built_as_the_one_that_was_saved(
    kind: Any, arguments: dict[str, Any], name: str, tmp_path: Path
) -> None:
    network = lively(kind(**arguments)).train()
    if name.endswith(".pth"):
        torch.save(nn.DataParallel(network).module.cpu().state_dict(), tmp_path / name)  # as CycleGAN's save_networks
    else:
        save_weights(network, tmp_path / name)
    loaded = load_network(tmp_path / name)
    assert type(loaded) is kind
    assert not loaded.training
    assert str(loaded) == str(network)
    plain = {name: value for name, value in vars(network).items() if isinstance(value, int | str | None)}
    assert {name: vars(loaded)[name] for name in plain} == plain | {"training": False}
    pairs = zip(network.state_dict().items(), loaded.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_spatial_z_has_to_be_said(tmp_path: Path) -> None:
    save_weights(AuxGenerator(injection="concat", spatial=True, **SMALL), tmp_path / "a.pth")
    image = torch.rand(1, 3, 32, 32)
    assert not load_network(tmp_path / "a.pth").spatial
    loaded = load_network(tmp_path / "a.pth", spatial=True)
    assert loaded.spatial
    assert loaded(image).shape == image.shape
    save_weights(AuxGenerator(**SMALL), tmp_path / "b.pth")
    with pytest.raises(ValueError, match="spatial=True is for an AuxGenerator with injection='concat'"):
        load_network(tmp_path / "b.pth", spatial=True)


def test_what_cyclegan_code_saved_of_asymkits_networks_is_loaded(tmp_path: Path) -> None:
    networks = {"G_A": ResnetGenerator(**SMALL), "G_B": AuxGenerator(**SMALL), "D_A": PatchDiscriminator(width=4)}
    paths = {name: tmp_path / f"latest_net_{name}.pth" for name in networks}
    for name, network in networks.items():
        torch.save(network.state_dict(), paths[name])
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(load_cyclegan_generator(paths["G_A"])(image), networks["G_A"](image))
        assert torch.equal(load_cyclegan_discriminator(paths["D_A"])(image), networks["D_A"](image))
    with pytest.raises(ValueError, match=r"it is asymkit's AuxGenerator; use asymkit.load_network"):
        load_cyclegan_generator(paths["G_B"])
    with pytest.raises(ValueError, match=r"no CycleGAN discriminator, it is asymkit's ResnetGenerator"):
        load_cyclegan_discriminator(paths["G_A"])
    dual = DualGenerator.supervised(width=4, blocks=1)
    both = (part.state_dict() for part in (dual.translator, dual.reconstructor))
    assert str(load_asymmetricgan_generators(*both)) == str(dual)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_generator_of_a_run_is_one_call(tmp_path: Path, ema: float, monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(logger, "write_report", lambda *_: None)
    run = tmp_path / "run"
    settings = tiny(run, cyclegan_folder(tmp_path / "data"), ema=ema)
    asyncgan: Any = importlib.import_module("asyncgan")
    asyncgan.main(settings)
    generator = load_network(run, "poor_to_rich")
    assert isinstance(generator, AuxGenerator)
    assert not generator.training
    state = torch.load(run / "checkpoint.pt", weights_only=True)["parts"]
    model, _ = asyncgan.networks(settings)
    model.load_state_dict(state["model"])
    trained = copy.deepcopy(model.poor_to_rich.state_dict())
    if ema:
        averaged = {
            name.removeprefix("module."): value for name, value in state["average"].items() if "module." in name
        }
        model.load_state_dict(averaged)
    wanted = model.poor_to_rich.state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in generator.state_dict().items())
    assert str(generator) == str(model.poor_to_rich)
    assert isinstance(load_network(run / "checkpoint.pt", "rich_to_poor"), ResnetGenerator)
    assert isinstance(load_network(run, "encoder"), AuxEncoder)
    last = load_network(run, "model.poor_to_rich").state_dict()  # the trained one, though there is an average
    assert all(torch.equal(trained[name], value) for name, value in last.items())
    with pytest.raises(ValueError, match=r"which network: there are several, '.*rich_to_poor', '.*poor_to_rich'"):
        load_network(run)
    with pytest.raises(
        ValueError, match=r"no network of asymkit of the name 'netG', but holds other networks: '.*rich_to_poor'"
    ):
        load_network(run, "netG")


def test_a_part_names_the_trained_network_or_its_average(tmp_path: Path) -> None:
    trained, averaged = lively(ResnetGenerator(**SMALL)), lively(ResnetGenerator(**SMALL))
    torch.save({"G_A": trained.state_dict(), "G_A_ema": averaged.state_dict()}, tmp_path / "trainer.pt")
    for part, wanted in ((None, averaged), ("G_A", trained), ("G_A_ema", averaged)):
        found = load_network(tmp_path / "trainer.pt", part).state_dict()
        assert all(torch.equal(value, found[name]) for name, value in wanted.state_dict().items())


def test_of_a_run_that_was_shared_into_its_own_folder_the_training_state_is_read(tmp_path: Path) -> None:
    shared, newer = (lively(ResnetGenerator(width=4, blocks=1)) for _ in range(2))
    save_weights(shared, tmp_path / "model.safetensors")
    torch.save({"model": newer.state_dict()}, tmp_path / "checkpoint.pt")
    found = load_network(tmp_path, "model").state_dict()
    assert all(torch.equal(found[name], value) for name, value in newer.state_dict().items())


def test_folders_and_files_that_hold_none_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has neither a checkpoint.pt, .* nor a model.safetensors"):
        load_network(tmp_path)
    with pytest.raises(ValueError, match=r"no file .*nothing"):
        load_network(tmp_path / "nothing")
    torch.save({"parts": {"model": nn.Linear(2, 2).state_dict()}, "step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(
        ValueError, match=r"no network of asymkit, nor another network that is known here; its keys are 'parts.model"
    ):
        load_network(tmp_path)


def test_a_name_that_is_wrong_or_missing_is_answered_with_the_call_that_works(tmp_path: Path) -> None:
    networks = {name: ResnetGenerator(**SMALL).state_dict() for name in ("poor_to_rich", "rich_to_poor")}
    average = {f"module.{name}": state for name, state in networks.items()}
    torch.save({"parts": {"model": networks, "average": average}}, path := tmp_path / "checkpoint.pt")
    answer = r"but holds other networks: 'poor_to_rich', 'rich_to_poor'; give load_network\(source, '{}'\)$"
    for wrong, meant in (("rich_to_pooor", "rich_to_poor"), ("netG", "poor_to_rich")):
        with pytest.raises(ValueError, match=answer.format(meant)):
            load_network(path, wrong)
        load_network(path, meant)
        with pytest.raises(
            ValueError, match=rf"part '{wrong}' is not in .*, which holds 'poor_to_rich', 'rich_to_poor'"
        ):
            read_state_dict(path, wrong)
    with pytest.raises(
        ValueError, match=r"choose one by part, as in load_network\(source, 'parts.average.poor_to_rich'\)"
    ):
        load_network(path)
    with pytest.raises(ValueError, match=r"as in load_weights\(module, path, part='parts.average.poor_to_rich'\)"):
        load_weights(ResnetGenerator(**SMALL), path)
    with pytest.raises(ValueError, match="holds one network only, without a name: leave part out"):
        load_network(networks["poor_to_rich"], "poor_to_rich")
    with pytest.raises(ValueError, match="part must be a name in the file, got 3"):
        load_network(path, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "layer"), [(ResnetGenerator, "to_image"), (AuxGenerator, "to_image"), (HighResGenerator, "to_image")]
)
def test_a_replaced_layer_is_said_and_works(kind: Any, layer: str, tmp_path: Path) -> None:
    def replaced() -> Any:
        network = kind(**SMALL)
        setattr(network, layer, nn.Sequential(getattr(network, layer)))
        return network

    network, image = replaced(), torch.rand(1, 3, 32, 32)
    assert network(image).shape == image.shape
    with pytest.raises(ValueError, match=r"must be torch.float32 as the weights are"):
        network(image.double())
    save_weights(network, path := tmp_path / "replaced.pt")
    load = r"where layers were replaced, build the network as it was and fill it with asymkit.load_weights\(network, path\)"
    for loader in (load_network, load_cyclegan_generator):
        with pytest.raises(ValueError, match=load):
            loader(path)
    with pytest.raises(
        ValueError, match="does not belong there; build it as the one that was saved was, replaced layers"
    ):
        load_weights(kind(**SMALL), path)
    load_weights(other := replaced(), path)
    torch.manual_seed(0)
    expected = network(image)
    torch.manual_seed(0)
    assert torch.equal(other(image), expected)


def test_published_statistics_of_a_replaced_norm_are_an_error_that_names_it() -> None:
    star: Any = StarGenerator(domains=2, **SMALL)
    star.encoder[0].norm = nn.InstanceNorm2d(4, affine=True)
    with pytest.raises(
        ValueError, match=r"'encoder.0.norm' was replaced by a InstanceNorm2d.*running_statistics=False"
    ):
        to_published(star)
    assert to_published(star, running_statistics=False)
