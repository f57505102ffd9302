"""share.py: the folder that it writes translates as the run does, and holds nothing that is of one computer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import share
import torch
from support.trained import load_trained
from test_translate import Runs, levels, noise, run

from asymkit import AuxGenerator, ResnetGenerator, load_network, save_weights

Options: Any = share.Options


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def shared(run: Path, out: Path, **options: Any) -> Path:
    share.main(Options(run=run, out=out, **options))
    return out


@pytest.mark.parametrize("name", ["photos", "average", "cyclegan", "highres"])
def test_both_directions_and_a_photos_z_are_those_of_the_run(runs: Runs, tmp_path: Path, name: str) -> None:
    noise(tmp_path / "photos" / "a.png", 40, 32)
    folder = shared(runs(name), tmp_path / "shared")
    like: list[dict[str, Any]] = [{"like": (tmp_path / "photos" / "a.png",)}] if name != "cyclegan" else []
    ways: list[dict[str, Any]] = [{}, {"direction": "rich_to_poor"}, *like]
    for number, way in enumerate(ways):
        of = [tmp_path / f"{kind}-{number}" for kind in ("run", "shared")]
        for source, out in zip((runs(name), folder), of, strict=True):
            assert run(source, tmp_path / "photos", out, **way) == ["a.png"]
        assert torch.equal(*(levels(out / "a.png") for out in of))
    assert load_trained(folder).derive == load_trained(runs(name)).derive == ("grey" if name == "photos" else None)


def test_a_translator_to_many_domains_keeps_their_names(runs: Runs, tmp_path: Path) -> None:
    folder = shared(runs("domains"), tmp_path / "shared")
    assert load_trained(folder).domains == load_trained(runs("domains")).domains == ("trainA", "trainB")


def test_one_line_loads_each_network(runs: Runs, tmp_path: Path) -> None:
    folder = shared(runs("photos"), tmp_path / "shared")
    assert isinstance(load_network(folder, "poor_to_rich"), AuxGenerator)
    assert isinstance(load_network(folder, "rich_to_poor"), ResnetGenerator)
    z = load_network(folder, "encoder")(torch.zeros(1, 3, 16, 16))
    assert torch.equal(z, load_network(runs("photos"), "encoder")(torch.zeros(1, 3, 16, 16)))


def test_only_weights_and_what_they_mean_are_shared(runs: Runs, tmp_path: Path) -> None:
    folder = shared(runs("photos"), tmp_path / "shared")
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", "run.json"]
    said = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert said["settings"]["size"] == 16
    assert said["meaning"]["poor domain"].startswith("grey, derived")
    assert str(runs.folder) not in json.dumps(said)
    state = torch.load(runs("photos") / "checkpoint.pt", weights_only=True)["parts"]
    assert (folder / "model.safetensors").stat().st_size < (runs("photos") / "checkpoint.pt").stat().st_size
    assert set(said["meaning"].items()) == set(state["data"]["meaning"].items())


def test_nothing_is_replaced_unless_it_is_said(runs: Runs, tmp_path: Path) -> None:
    folder = shared(runs("photos"), tmp_path / "shared")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"out: '.*model.safetensors' exists already; .* --overwrite"):
        shared(runs("average"), folder)
    assert (folder / "model.safetensors").read_bytes() == before
    shared(runs("average"), folder, overwrite=True)
    assert (folder / "model.safetensors").read_bytes() != before


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    save_weights(ResnetGenerator(width=4, blocks=1), tmp_path / "one.pt")
    with pytest.raises(ValueError, match="is no run of the examples; weights files can be passed on as they are"):
        shared(tmp_path / "one.pt", tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_a_damaged_description_is_said(runs: Runs, tmp_path: Path) -> None:
    folder = shared(runs("photos"), tmp_path / "shared")
    for content in ("{", "[]", '{"settings": {}}'):
        (folder / "run.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"^run: .*run.json.* damaged") as error:
            load_trained(folder)
        assert not re.search(r"\n", str(error.value))
