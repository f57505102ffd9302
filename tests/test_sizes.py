"""Sizes of images as height and width, in every example; and photos of another aspect ratio, which are not stretched."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymmetricgan_domains
import asymmetricgan_gesture
import asyncgan_digits
import cyclegan_dropin
import numpy as np
import pytest
import stargan
import torch
from asyncgan import PRESETS as ASYNCGAN_PRESETS
from PIL import Image
from support.data.files import in_turn
from support.data.gestures import FilePairs, gesture_pairs
from support.data.hands import DrawnHands
from support.data.images import bundled_photos
from support.data.unpaired import unpaired
from support.report.digit_scores import compare
from support.report.page import Snapshot
from support.run.run import Run
from support.run.settings_file import as_plain, read_settings
from support.trained import load_trained
from test_rivals import PIX2PIX, STARGAN
from test_steps import EXAMPLES, UNPAIRED
from tiny import cyclegan_folder, in_halves, same, saved

pytestmark = pytest.mark.usefixtures("seen")

SIZE = (16, 24)
FEW: dict[str, Any] = {"size": SIZE, "epochs": 2, "report_every": 2, "batch": 1}
PERIOD: dict[str, Any] = FEW | {"epochs": 4, "period": 2}
RUNS: dict[str, tuple[str, Any]] = {
    **{name: (name, replace(EXAMPLES[name], **FEW)) for name in EXAMPLES if not name.startswith("asyncgan")},
    **{name: (name, replace(EXAMPLES[name], **PERIOD)) for name in EXAMPLES if name.startswith("asyncgan")},
    "highres": (
        "asyncgan",
        replace(ASYNCGAN_PRESETS["paper"][1], **(UNPAIRED | PERIOD | {"size": (16, 32)})),
    ),
    "two discriminators": (
        "asymmetricgan_domains",
        replace(EXAMPLES["asymmetricgan_domains"], preset="S3", discriminators=2, **FEW),
    ),
    "stargan": ("stargan", replace(STARGAN, **FEW)),
    "pix2pix": ("asymmetricgan_gesture", replace(PIX2PIX, **FEW)),
}


def photo(path: Path, height: int, width: int, seed: int = 0) -> Path:
    """Smooth, so that resizing changes little: red grows downwards, green to the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    down, right = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    Image.fromarray(np.stack([down, right, np.full_like(down, 20 * seed)], 2).astype(np.uint8)).save(path)
    return path


def hands(folder: Path, *sizes: tuple[int, int], split: bool = False) -> dict[str, Any]:
    """Photos of these sizes with their skeletons, and all pairs of each photo with the next one."""
    for number, size in enumerate(sizes):
        for kind in ("photos", "masks"):
            photo(folder / kind / f"{number}.png", *size, seed=number)
    lines = [f"{number},{number + 1}" for number in range(len(sizes) - 1)]
    if split:
        lines = [f"{line},{'train' if line == lines[0] else 'test'}" for line in lines]
    path = folder / "pairs.csv"
    path.write_text("\n".join(["source,target" + (",split" if split else ""), *lines]), encoding="utf-8")
    return {"data": folder / "photos", "skeletons": folder / "masks", "pairs": path}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_every_example_trains_on_rectangles_and_goes_on_where_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Snapshot]
) -> None:
    example, settings = RUNS[name]
    module, (high, wide) = importlib.import_module(example), settings.size
    if example == "asymmetricgan_gesture":
        settings = replace(settings, **hands(tmp_path / "data", *[(20, 30)] * 4))
    else:
        settings = replace(settings, data=cyclegan_folder(tmp_path / "data"))
    trained: set[tuple[int, ...]] = set()
    batches = Run.batches

    def watched(run: Run, *arguments: Any, **named: Any) -> Iterator[Any]:
        for batch in batches(run, *arguments, **named):
            trained.update(tuple(part.shape[2:]) for part in batch if part.ndim == 4)
            yield batch

    monkeypatch.setattr(Run, "batches", watched)
    module.main(replace(settings, out=tmp_path / "whole"))
    assert 0 < in_halves(monkeypatch, module.main, settings, tmp_path / "halves") < saved(tmp_path / "whole")["step"]
    assert same(saved(tmp_path / "whole"), saved(tmp_path / "halves"))
    assert trained == {(high, wide)}
    grids = {tuple(grid.shape[1:]) for snapshot in seen for grid in snapshot.pictures.values()}
    assert all((height - 2) % (high + 2) == 0 == (width - 2) % (wide + 2) for height, width in grids), grids


def test_digits_are_stretched_to_rectangles(tmp_path: Path) -> None:
    small: dict[str, Any] = {"size": (16, 32), "width": 4, "blocks": 1, "images": 60, "samples": 8, "epochs": 4}
    settings = replace(asyncgan_digits.DEMO, out=tmp_path / "run", tracker="none", report_every=100, **small)
    compared: list[Any] = []

    compare(settings, {"async": "Async-CycleGAN"}, lambda *given: compared.append(given))
    ((_, rich, poor, _),) = compared
    assert {tuple(part.images.shape[1:]) for digits in (rich, poor) for part in (digits.train, digits.test)} == {
        (3, 16, 32)
    }
    model = asyncgan_digits.train(settings, rich, poor, "async")
    assert model is not None
    assert saved(tmp_path / "run")["settings"]["size"] == [16, 32]


def test_the_drop_in_parts_take_rectangles(tmp_path: Path) -> None:
    small: dict[str, Any] = {"steps": 6, "crop_size": SIZE, "ngf": 4, "ndf": 4, "n_blocks": 1, "n_layers_D": 1}
    options = cyclegan_dropin.Options(use=("aux", "discriminator", "ms_ssim", "guard"), out=tmp_path, **small)
    data, _ = unpaired(None, "grey", "A", options.crop_size, 0)
    model = cyclegan_dropin.train(options, data)
    assert model.real_A.shape == model.fake_B.shape == (2, 3, *SIZE)


@pytest.mark.parametrize("name", [*EXAMPLES, "stargan"])
def test_rectangles_survive_settings_files(name: str, tmp_path: Path) -> None:
    settings = replace(EXAMPLES.get(name, STARGAN), size=SIZE)
    (tmp_path / "settings.json").write_text(json.dumps(as_plain(settings)), encoding="utf-8")
    assert read_settings(tmp_path / "settings.json", type(settings)) == settings


@pytest.mark.parametrize("example", [asymmetricgan_domains, stargan])
def test_a_rectangle_whose_last_map_is_no_rectangle_is_refused(example: Any) -> None:
    with pytest.raises(ValueError, match="size must be divisible by 16 and at least 16, got 32 × 40"):
        replace(example.DEMO, size=(32, 40))
    with pytest.raises(ValueError, match="size must be divisible by 4 and at least 16, got 16 × 18"):
        replace(asymmetricgan_gesture.DEMO, discriminator_layers=1, size=(16, 18))


def test_test_images_of_domains_are_whole_the_shorter_side_that_of_a_rectangle(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for domain in "ab":
            photo(tmp_path / part / domain / "0.png", 30, 60)
    settings = replace(EXAMPLES["asymmetricgan_domains"], data=tmp_path, size=SIZE)
    train, held_out, _ = settings.images()
    assert train[0][0].shape == (3, *SIZE)
    assert [image.shape for image in held_out.shown_of_each(1)[0]] == [(3, 16, 32)]
    assert [image.shape for image in held_out.shown_of_each(1, (20, 8))[0]] == [(3, 8, 16)]


def gestures(folder: Path, size: Any, *sizes: tuple[int, int]) -> tuple[FilePairs, FilePairs]:
    train, test, _ = gesture_pairs(**hands(folder, *sizes, split=True), size=size, seed=0)
    assert isinstance(train, FilePairs)
    assert isinstance(test, FilePairs)
    return train, test


def spans(image: torch.Tensor) -> tuple[float, float]:
    """Which part of a photo's height and of its width an image shows."""
    red, green = (image[:2] + 1) / 2
    return float(red[-1].mean() - red[0].mean()), float(green[:, -1].mean() - green[:, 0].mean())


@pytest.mark.parametrize(
    ("size", "seen"), [(32, (1.0, 0.5)), ((32, 64), (1.0, 1.0)), ((32, 16), (1.0, 0.25)), ((16, 64), (0.5, 1.0))]
)
def test_training_photos_of_another_aspect_ratio_are_cropped_alike_and_not_stretched(
    size: Any, seen: tuple[float, float], tmp_path: Path
) -> None:
    train, _ = gestures(tmp_path, size, (80, 160), (80, 160), (80, 160))
    places = set()
    for index in range(8):
        x, skeleton_x, y, skeleton_y = train[index]
        assert x.shape[1:] == ((size, size) if isinstance(size, int) else size)
        for image in (x, skeleton_x, y, skeleton_y):
            # half a pixel is missing at both ends
            assert spans(image) == pytest.approx(seen, abs=0.08)
        assert torch.equal(x, skeleton_x)  # which the files are, too
        assert torch.equal(x[:2], y[:2])  # what is behind the hand does not move
        assert all(torch.equal(a, b) for a, b in zip(train[index], (x, skeleton_x, y, skeleton_y), strict=True))
        places.add((round(float(x[0].mean()), 2), round(float(x[1].mean()), 2)))
    assert (len(places) == 1) == (seen == (1.0, 1.0))


def test_a_skeleton_of_another_size_than_its_photo_is_cropped_like_it(tmp_path: Path) -> None:
    files = hands(tmp_path, (80, 160), (80, 160), (80, 160), split=True)
    for number in range(3):
        photo(files["skeletons"] / f"{number}.png", 64, 64, seed=number)  # as a network that stretches draws them
    train, _, _ = gesture_pairs(**files, size=32, seed=0)
    x, skeleton_x, _, _ = train[0]
    torch.testing.assert_close(x, skeleton_x, atol=0.06, rtol=0)


def test_test_pairs_are_whole_in_the_aspect_ratio_of_x(tmp_path: Path) -> None:
    _, test = gestures(tmp_path, (32, 48), (80, 160), (80, 160), (160, 80), (80, 80), (80, 80))
    found = [test[index] for index in range(len(test.pairs))]
    by_pair = {pair: found[index] for index, pair in ((index, _pair_of(test, index)) for index in range(len(found)))}
    for pair, shape in {("1", "2"): (32, 64), ("2", "3"): (64, 32), ("3", "4"): (32, 32)}.items():
        x, skeleton_x, y, skeleton_y = by_pair[pair]
        assert {image.shape[1:] for image in (x, skeleton_x, y, skeleton_y)} == {shape}
        assert spans(x) == pytest.approx((1, 1), abs=0.05)
        assert torch.equal(x, skeleton_x)
        assert torch.equal(y, skeleton_y)
    x, _, y, _ = by_pair["1", "2"]  # y is upright: a quarter of its height is left, in the middle
    assert spans(y) == pytest.approx((0.25, 1), abs=0.05)
    assert float(y[0].mean()) == pytest.approx(0, abs=0.02)
    shapes = sorted((len(x), *x.shape[2:]) for x, *_ in test.head(3))
    assert sum(count for count, *_ in shapes) == 3
    assert {shape[1:] for shape in shapes} == {(32, 64), (64, 32), (32, 32)}


def _pair_of(data: FilePairs, index: int) -> tuple[str, str]:
    return data.pairs[in_turn(len(data.pairs), index, data.seed)[0]]


@pytest.mark.parametrize("size", [(64, 128), (128, 64)])
def test_drawn_hands_on_rectangles_are_not_stretched(size: tuple[int, int]) -> None:
    wide, square = DrawnHands(bundled_photos(), size, 0), DrawnHands(bundled_photos(), 64, 0)
    compared = 0
    for number in range(12):
        boxes = list[tuple[int, ...]]()
        for hand in (wide.pair(number), square.pair(number)):
            places = np.nonzero(hand[1].max(2))
            if all(at.min() > 0 and at.max() < hand[1].shape[axis] - 1 for axis, at in enumerate(places)):
                boxes.append(tuple(int(np.ptp(at)) for at in places))
        if len(boxes) == 2:
            assert all(abs(a - b) <= 4 for a, b in zip(*boxes, strict=True))  # lines are thicker on the larger image
            compared += 1
    assert compared > 3


def test_a_run_of_rectangles_is_loaded_for_translation(tmp_path: Path) -> None:
    settings = replace(RUNS["asymgan"][1], data=cyclegan_folder(tmp_path / "data"), out=tmp_path / "run", epochs=1)
    importlib.import_module("asymgan").main(settings)
    trained = load_trained(tmp_path / "run")
    assert trained.crops == SIZE
    assert trained.generator(torch.zeros(1, 3, 24, 40)).shape == (1, 3, 24, 40)
