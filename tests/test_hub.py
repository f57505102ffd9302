"""save_pretrained and from_pretrained, with a folder and without a network."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import asymkit
from asymkit import hub

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}
CASES: list[tuple[Any, dict[str, Any], tuple[Any, ...]]] = [
    (hub.HubResnetGenerator, {"in_channels": 1, **SMALL, "upsampling": "resize", "skip": True}, ()),
    (
        hub.HubAuxGenerator,
        {"aux_channels": 5, "in_channels": 1, "injection": "concat_all", **SMALL},
        (torch.randn(1, 5),),
    ),
    (hub.HubAuxEncoder, {"in_channels": 1, "aux_channels": 5, "pooled": False, "width": 4}, ()),
    (hub.HubHighResGenerator, {"in_channels": 1, "aux_channels": 5, **SMALL}, (torch.randn(1, 5),)),
    (hub.HubStarGenerator, {"domains": 3, "in_channels": 1, "label_embedding": 7, **SMALL}, (torch.tensor([2]),)),
    (hub.HubPlainGenerator, {"domains": 3, "in_channels": 1}, (torch.tensor([2]),)),
]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refused)


@pytest.mark.parametrize(("network", "options", "condition"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_network_comes_back_as_it_was_built(
    network: Any, options: dict[str, Any], condition: tuple[Any, ...], tmp_path: Path
) -> None:
    built: nn.Module = network(**options)
    built.save_pretrained(tmp_path)  # type: ignore[operator]
    assert (tmp_path / "model.safetensors").is_file()
    assert options.items() <= json.loads((tmp_path / "config.json").read_text(encoding="utf-8")).items()
    image = torch.randn(1, 1, 32, 32)
    loaded = network.from_pretrained(tmp_path)
    assert isinstance(loaded, getattr(asymkit, network.__name__.removeprefix("Hub")))
    assert torch.equal(loaded(image, *condition), built(image, *condition))


def test_weights_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    generator = hub.HubResnetGenerator(**SMALL)
    generator.save_pretrained(tmp_path)
    save_file(asymkit.to_published(generator), tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match=r"encoder\.0\.conv\.weight"):
        hub.HubResnetGenerator.from_pretrained(tmp_path)


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hub.HubResnetGenerator(**SMALL)
    first.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("written by hand", encoding="utf-8")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            hub.HubResnetGenerator(width=8, blocks=2).save_pretrained(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    hub.HubResnetGenerator(width=8, blocks=2).save_pretrained(tmp_path)
    assert len(hub.HubResnetGenerator.from_pretrained(tmp_path).blocks) == 2
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "written by hand"


def test_damaged_weights_are_an_error(tmp_path: Path) -> None:
    generator = hub.HubResnetGenerator(**SMALL)
    generator.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged: its tensors are not those that were written, by their SHA-256"):
        hub.HubResnetGenerator.from_pretrained(tmp_path)
    save_file({name: value / 0 for name, value in generator.state_dict().items()}, path)
    with pytest.raises(ValueError, match=r"model.safetensors': '.*' holds NaN or infinity"):
        hub.HubResnetGenerator.from_pretrained(tmp_path)


def test_the_weights_of_a_folder_are_read_without_the_hub_too(tmp_path: Path) -> None:
    generator = hub.HubAuxGenerator(**SMALL)
    generator.save_pretrained(tmp_path)
    loaded = asymkit.load_network(tmp_path / "model.safetensors")
    assert all(map(torch.equal, loaded.state_dict().values(), generator.state_dict().values()))


def test_a_card_says_what_it_is(tmp_path: Path) -> None:
    hub.HubResnetGenerator(**SMALL).save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "library_name: asymkit" in card
    assert "image-to-image" in card


def test_the_extra_is_named_where_it_is_missing() -> None:
    code = "import sys; sys.modules['huggingface_hub'] = None; import asymkit.hub"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'asymkit.hub needs huggingface_hub: pip install "asymkit[hub]"' in result.stderr
