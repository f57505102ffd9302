"""Real digits in the benchmark with hidden factors: unpaired in training, of the same classes in tests, scored by readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hidden_factors import digits, run, tables
from hidden_factors.arms import ARMS
from hidden_factors.train import Training, train
from test_async_support import mnist_folder
from torch import nn

from asymkit.objectives.asymgan import Translators

TINY = Training(width=4, blocks=1, batch=2, steps=2, looks=1, epochs=6, period=2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Digits that are dark or light bars, the digit by its place; MNIST's halves are the same forty."""
    monkeypatch.setattr(digits, "VALIDATION", 10)
    mnist_folder(tmp_path / "mnist", compressed=False)
    pixels = np.zeros((120, 16, 16), np.uint8)
    for i in range(120):
        pixels[i, :, i % 10 + 2] = 255
        pixels[i, :, [0, 15]] = 120 + i
    (tmp_path / "usps").mkdir()
    np.savez(tmp_path / "usps" / "usps.npz", x=pixels, y=np.arange(120) % 10)
    return tmp_path


def draw(data: digits.Digits, part: Any, count: int = 30) -> Any:
    return data.draw(count, torch.Generator().manual_seed(0), part)


def test_both_images_say_the_same_and_no_image_is_in_two_parts(folder: Path) -> None:
    data, images = digits.Digits(folder, 16), dict[str, set[bytes]]()
    for part in ("rich", "validation", "test"):
        pairs, again = draw(data, part, 400), draw(data, part, 400)
        assert pairs.rich.shape == pairs.poor.shape == (400, 3, 16, 16)
        assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True))
        bar = pairs.rich[:, 0, 8, 1:15].argmax(1)  # of USPS, whose pixels have the higher entropy
        assert torch.equal(bar - 1, pairs.digits)
        images[part] = {image.numpy().tobytes() for image in pairs.rich}
    assert len(set().union(*images.values())) == sum(map(len, images.values()))


def test_readers_read_what_is_translated_well(folder: Path) -> None:
    data = digits.Digits(folder, 16)
    truth = draw(data, "test", 100)
    found = data.recognised(truth.poor, truth.rich, truth)
    assert found["y→x accuracy"] > 0.9  # the true images
    wrong = data.recognised(truth.poor, truth.rich, truth._replace(digits=(truth.digits + 1) % 10))
    assert wrong["y→x accuracy"] < 0.1
    missed = digits.errors(data, truth.poor, truth.rich, truth)
    assert missed == {name.replace("accuracy", "misread"): pytest.approx(1 - share) for name, share in found.items()}


def test_doing_nothing_is_scored_as_untranslated_images(folder: Path) -> None:
    data = digits.Digits(folder, 16)
    found = digits.score(Translators(nn.Identity(), nn.Identity()), data, count=50)
    truth = data.draw(50, torch.Generator().manual_seed(7), "test")
    assert found == data.recognised(truth.rich, truth.poor, truth) | {"rebuild": 0.0}
    trained = train(ARMS["async"], data, TINY, 0, digits.errors)
    assert trained.history[0].keys() == {"step", "x→y misread", "y→x misread"}


def test_a_command_compares_real_digits(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    options = run.Options(("nothing", "cyclegan"), (0,), (0,), "digits", folder, training=TINY, out=out)
    run.main(options)
    entries = json.loads(out.read_text(encoding="utf-8"))
    assert [entry["arm"] for entry in entries.values()] == ["cyclegan", "nothing"]
    rows = tables.verdicts_table(entries.values()).splitlines()
    assert sum("| training beats doing nothing |" in row or row.startswith("|  |") for row in rows) == 2
    assert {"x→y accuracy", "y→x accuracy", "rebuild"} == entries[run.Run(0, 0, "nothing").key(options)]["last"].keys()
    with pytest.raises(ValueError, match="must have MNIST's files in mnist"):
        digits.Digits(tmp_path / "usps", 16).draw(1, torch.Generator(), "test")
