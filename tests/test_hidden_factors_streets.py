"""Photographs and label maps in CamVid's format in the benchmark of the methods: unpaired in training, scored by classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hidden_factors import run, streets, tables
from hidden_factors.arms import ARMS
from hidden_factors.segmentation import VOID, label_map
from hidden_factors.streets import CLASSES, SCENE, Streets
from hidden_factors.train import Training, train
from PIL import Image
from torch import nn

from asymkit.objectives.asymgan import Translators

TINY = Training(width=4, blocks=1, batch=2, steps=2, looks=1, epochs=6, period=2)
WIDTH, HEIGHT = 32, 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Bands of three of CamVid's classes, cars at the right and void at the left; a photo's brightness says which file it is."""
    for part, count in (("train", 3 * SCENE), ("val", 4), ("test", 6)):
        for name in (part, f"{part}_label"):
            (tmp_path / name).mkdir()
        for i in range(count):
            labels = np.repeat(np.array([0, 1, 3], np.uint8), HEIGHT // 3)[:, None].repeat(WIDTH, 1)
            labels[-HEIGHT // 3 :, -8:] = 8
            labels[:, :3] = 11
            photo = 60 * labels[..., None].astype(int) % 251 // 2 + np.array([2 * i, 3, 90], np.uint8)
            Image.fromarray(photo.astype(np.uint8)).save(tmp_path / part / f"{i:03d}.png")
            Image.fromarray(labels).save(tmp_path / f"{part}_label" / f"{i:03d}.png")
    return tmp_path


def draw(data: Streets, part: Any, count: int = 300) -> Any:
    return data.draw(count, torch.Generator().manual_seed(0), part)


def test_a_photo_and_its_label_map_show_the_same_square(folder: Path) -> None:
    data = Streets(folder, HEIGHT)  # the size of the files: no pixel is a mixture
    for part in ("rich", "poor", "validation", "test"):
        pairs = draw(data, part)
        assert pairs.rich.shape == pairs.poor.shape == (300, 3, HEIGHT, HEIGHT)
        assert all(torch.equal(a, b) for a, b in zip(pairs[:4], draw(data, part)[:4], strict=True))
        green = torch.tensor([60 * c % 251 // 2 + 3 for c in range(12)])
        shown = ((pairs.rich[:, 1] + 1) * 127.5).round().long()
        seen = (shown[..., None] == green).int().argmax(-1)  # CamVid's class of each pixel
        assert torch.equal(CLASSES[seen], pairs.layout[:, 0])
        assert torch.equal(label_map(pairs.layout[:, 0]), pairs.poor)
        left, right = pairs.layout[:, 0, 0, 0] == VOID, pairs.layout[:, 0, 0, -1] == VOID
        assert left.any()
        assert right.any() == (part in {"rich", "poor"})  # only images of training are mirrored


def test_the_domains_of_training_show_different_streets(folder: Path) -> None:
    files = {
        part: {round(127.5 * float(row.min() + 1)) for row in draw(Streets(folder, HEIGHT), part, 2000).rich[:, 0, 0]}
        for part in ("rich", "poor")
    }
    assert files["rich"]
    assert files["poor"]
    assert not files["rich"] & files["poor"]


def test_true_images_are_read_right_and_wrong_ones_are_not(folder: Path) -> None:
    data = Streets(folder, 16)
    truth = draw(data, "test", 40)
    found = data.recognised(truth.poor, truth.rich, truth)
    assert found["x→y pixels"] == found["x→y IoU"] == 1
    assert found["y→x pixels"] > 0.9
    upside_down = data.recognised(truth.poor.flip(2), truth.rich.flip(2), truth)
    assert max(upside_down["x→y pixels"], upside_down["y→x pixels"]) < 0.7
    wrong = streets.errors(data, truth.poor, truth.rich, truth)
    assert wrong == {"x→y wrong": 0.0, "y→x wrong": 1 - found["y→x pixels"]}


def test_doing_nothing_is_scored_and_a_command_compares_methods(folder: Path, tmp_path: Path) -> None:
    data = Streets(folder, 16)
    nothing = streets.score(Translators(nn.Identity(), nn.Identity()), data, count=20)
    assert (nothing["rebuild"], nothing["diversity"]) == (0, 0)
    assert nothing["leak"] == nothing["rebuild from y"] > 0
    with_z = train(ARMS["asymgan-zcycle1"], data, TINY, 0, streets.errors)
    assert with_z.history[0].keys() == {"step", "x→y wrong", "y→x wrong"}
    assert streets.score(with_z.last, data, count=20)["diversity"] > 0
    out = tmp_path / "found.json"
    run.main(run.Options(("cyclegan", "async"), (0,), (0, 1, 2), "streets", folder, 16, training=TINY, out=out))
    entries = json.loads(out.read_text(encoding="utf-8"))
    assert len(entries) == 6
    assert sum(" IoU |" in row for row in tables.verdicts_table(entries.values()).splitlines()) == 2
    assert set(tables.COLUMNS["segmentation"]) - {"bits"} <= set(next(iter(entries.values()))["last"])


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected CamVid's folders train, train_label"):
        draw(Streets(tmp_path, 16), "test")
    with pytest.raises(ValueError, match="for --set digits, streets, folder, which need one"):
        run.Options(("cyclegan",), (0,), (0,), "streets")
