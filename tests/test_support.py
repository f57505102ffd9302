"""Data, checkpoints and reports of the examples."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from asymgan import DEMO as ASYMGAN_DEMO
from asymgan import Settings as AsymGANSettings
from asyncgan import DEMO as ASYNCGAN_DEMO
from PIL import Image
from support.data.digits import DigitSettings
from support.data.files import PHOTOS
from support.data.images import BUNDLED, DERIVE, PoorKind, bundled_photos, random_crop
from support.data.unpaired import Domain, Unpaired, unpaired
from support.report.logger import LossHistory
from support.report.page import Position, Snapshot, write_report
from support.report.unpaired import checkerboard
from support.run import accelerator
from support.run.checkpoint import load_checkpoint, save_checkpoint
from support.run.command import open_run, write_settings
from support.run.settings import RunSettings
from support.run.settings_file import as_plain
from support.run.signals import SIGNALS, stop_on_signals
from torch import nn

from asymkit import ops
from asymkit.evaluation.folders import image_files
from asymkit.evaluation.images import read_image

Settings = TypeVar("Settings", bound=RunSettings)


def save(path: Path, size: tuple[int, int] = (40, 32), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture(scope="module")
def bundled() -> Unpaired:
    data, source = unpaired(None, "grey", "A", 32, 0)
    assert "astronaut" in source
    assert "grey" in source
    return data


def test_crops_are_the_same_in_every_run_and_differ_from_each_other(bundled: Unpaired) -> None:
    again, _ = unpaired(None, "grey", "A", 32, 0)
    for index in (0, 5, 400):
        x, y = bundled[index]
        assert x.shape == y.shape == (3, 32, 32)
        assert x.dtype == torch.float32
        assert -1 <= x.min() < x.max() <= 1
        assert torch.equal(x, again[index][0])
        assert torch.equal(y, again[index][1])
    assert not torch.equal(bundled[0][0], bundled[7][0])
    other, _ = unpaired(None, "grey", "A", 32, seed=1)
    assert not torch.equal(bundled[0][0], other[0][0])


def test_poor_images_are_not_made_of_the_rich_crop_beside_them(bundled: Unpaired) -> None:
    x, y = bundled.fresh(16)
    luminance = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)
    assert ((luminance - y[:, 0]).abs().mean((1, 2)) > 0.02).all()
    assert torch.equal(y[:, 0], y[:, 2])


def test_crops_come_from_everywhere_at_every_magnification_half_of_them_mirrored() -> None:
    """Of an image whose red says how far right a pixel is, and whose green how far down."""
    down, right = np.mgrid[0:60, 0:120]
    image = Image.fromarray(np.stack([2 * right, 4 * down, 0 * down], axis=2).astype(np.uint8))
    sides, lefts, tops, mirrored = [], [], [], []
    for seed in range(300):
        crop = random_crop(image, 16, 3.0, np.random.default_rng(seed)).astype(float)
        assert crop.shape == (16, 16, 3)
        red, green = crop[..., 0].mean(0) / 2, crop[..., 1].mean(1) / 4
        mirrored.append(red[0] > red[-1])
        side = (red.max() - red.min()) * 16 / 15
        assert abs(side - (green[-1] - green[0]) * 16 / 15) < 1.5  # squares, and never upside down
        sides.append(side)
        lefts.append(red.min() - side / 32)
        tops.append(green[0] - side / 32)
    assert 18 < min(sides) < 24
    assert 56 < max(sides) < 62
    assert (min(lefts) < 3) & (max(lefts) > 85)
    assert (min(tops) < 1) & (max(tops) > 30)
    assert 120 < sum(mirrored) < 180


def test_pictures_may_be_larger_than_the_crops_of_training(bundled: Unpaired) -> None:
    (x, y), (small, _) = bundled.fresh(3, size=96), bundled.fresh(3)
    assert x.shape == y.shape == (3, 3, 96, 96)
    shrunk = torch.nn.functional.interpolate(x, small.shape[2:], mode="area")
    assert (shrunk - small).abs().mean() < 0.1  # the same crops


def test_every_image_comes_once_before_any_comes_again() -> None:
    colours = [Image.new("RGB", (16, 16), (10 * i, 0, 0)) for i in range(7)]
    domain = Domain(colours, zoom=2.0)
    for turn in range(3):
        reds = {round((domain.crop(i, 8, (0, 0))[0, 0, 0].item() + 1) * 127.5) for i in range(7 * turn, 7 * turn + 7)}
        assert reds == {10 * i for i in range(7)}


@pytest.mark.parametrize("poor", DERIVE)
def test_derived_domains_are_poorer(poor: PoorKind) -> None:
    data, _ = unpaired(None, poor, "A", 64, 0)
    x, y = data.fresh(24)
    assert ops.shannon_entropy(y).mean() < ops.shannon_entropy(x).mean()
    assert y.shape == x.shape


def test_six_photographs_are_bundled() -> None:
    """Each of them is in the table of photographs with a licence, so that a trained model may be passed on."""
    photos = bundled_photos()
    assert len(photos) == len(BUNDLED) == 6
    table = (Path(__file__).parent.parent / "docs" / "images" / "README.md").read_text(encoding="utf-8")
    licences = dict(re.findall(r"^\| (\w+) \| [^|]+ \| (CC0|CC BY 2.0|public domain) \|", table, re.MULTILINE))
    assert set(BUNDLED) <= set(licences)
    assert all(photo.mode == "RGB" and min(photo.size) >= 300 for photo in photos)


def test_a_folder_of_photos(tmp_path: Path) -> None:
    for name in ("a.jpg", "ü b.png", "C.WEBP"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "folder.jpg").mkdir()
    data, source = unpaired(tmp_path, "edges", "A", 16, 0)
    assert "3 photos" in source
    assert data[0][0].shape == (3, 16, 16)


def test_a_cyclegan_folder_and_its_sides(tmp_path: Path) -> None:
    for i in range(5):
        save(tmp_path / "trainA" / f"{i}.png")
    for i in range(3):
        Image.new("RGB", (30, 30), (255, 0, 0)).save(save(tmp_path / "trainB" / f"{i}.png"))
    data, source = unpaired(tmp_path, "grey", "A", 16, 0)
    assert "5 rich images (trainA), 3 poor ones" in source
    assert data.epoch == 5
    assert data[0][1].amax((1, 2)).tolist() == [1.0, -1.0, -1.0]
    swapped, _ = unpaired(tmp_path, "grey", "B", 16, 0)
    assert swapped[0][0].amax((1, 2)).tolist() == [1.0, -1.0, -1.0]


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "depth.png")
    pixels = np.asarray(read_image(tmp_path / "depth.png"))
    assert pixels.shape == (64, 64, 3)
    np.testing.assert_allclose(pixels[..., 0], values / 257, atol=0.51)


def test_images_are_turned_upright_and_made_rgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    save(tmp_path / "phone.jpg", (40, 20), exif=exif)
    assert read_image(tmp_path / "phone.jpg").size == (20, 40)
    Image.new("RGBA", (9, 9), (1, 2, 3, 0)).save(tmp_path / "rgba.png")
    Image.new("L", (9, 9), 7).save(tmp_path / "grey.png")
    assert {read_image(tmp_path / name).mode for name in ("rgba.png", "grey.png")} == {"RGB"}


def broken(path: Path) -> Path:
    path.write_bytes(b"\xff\xd8\xff no jpeg")
    return path


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: unpaired(d / "none", "grey", "A", 16, 0), "none' is missing; expected a folder"),
        (lambda d: unpaired(d, "grey", "A", 16, 0), "no images in"),
        (lambda d: image_files(save(d / "a.png"), "data", PHOTOS), "a.png' is a file; expected a folder"),
        (
            lambda d: image_files(save(d / "photos" / "a.png").parent.parent, "data", PHOTOS),
            "no images in .*, only the folders photos",
        ),
        (lambda d: unpaired(save(d / "trainA" / "a.png").parent.parent, "grey", "A", 16, 0), "has trainA only"),
        (lambda d: read_image(d / "gone.jpg"), "cannot read .*gone.jpg"),
        (lambda d: read_image(broken(d / "broken.jpg")), "cannot read .*broken.jpg"),
        (lambda d: unpaired(broken(d / "broken.jpg").parent, "grey", "A", 16, 0), "(?s)cannot read 1 of 1.*broken.jpg"),
        (lambda d: load_checkpoint(d / "checkpoint.pt", {}), "no checkpoint .*checkpoint.pt"),
        (lambda d: load_checkpoint(broken(d / "checkpoint.pt"), {}), "cannot read .*checkpoint.pt"),
        (lambda d: load_checkpoint(saved(d / "checkpoint.pt", [1]), {}), "checkpoint.pt' is no checkpoint of a run"),
        (lambda d: load_checkpoint(saved(d / "checkpoint.pt", {"a": 1}), {}), "is no checkpoint of a run"),
    ],
)
def test_file_problems_name_the_file(tmp_path: Path, call: Callable[[Path], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def test_checkpoints_restore_parts_and_the_random_state(tmp_path: Path) -> None:
    path, net = tmp_path / "checkpoint.pt", nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save_checkpoint(path, 7, 1.5, {"net": net, "optimizer": optimizer})
    expected = torch.randn(3)
    other = nn.Linear(2, 2)
    fresh = torch.optim.Adam(other.parameters())
    assert load_checkpoint(path, {"net": other, "optimizer": fresh}) == (7, 1.5)
    assert torch.equal(torch.randn(3), expected)
    assert torch.equal(other.weight, net.weight)
    assert fresh.state_dict()["state"][0]["step"] == 1
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.pt.sha256"}
    with pytest.raises(ValueError, match=r"holds \['net', 'optimizer'\], this run has \['net'\]"):
        load_checkpoint(path, {"net": other})
    with pytest.raises(ValueError, match=r"net in .* is of other settings"):
        load_checkpoint(path, {"net": nn.Linear(3, 2), "optimizer": fresh})


def test_the_report_is_one_file_that_shows_everything(tmp_path: Path) -> None:
    history = LossHistory()
    history.add(1, {"cycle": 1.0})
    look = Snapshot({"caption & more": torch.rand(3, 8, 8)}, {"z": 0.5})
    page = write_report(
        tmp_path,
        "A <run>",
        look,
        Position(1, 0),
        {},
        {"size": 64},
        ["a note"],
        ["a warning"],
        curves=history.state_dict(),
    )
    text = page.read_text(encoding="utf-8")
    for piece in ("A &lt;run&gt;", "caption &amp; more", "a note", "a warning", "0.5", "64", "asymkit 0.", "torch 2."):
        assert piece in text
    assert text.count("data:image/png;base64,") == 2
    assert "http" not in text
    assert {p.name for p in tmp_path.iterdir()} == {
        "earlier",
        "losses.png",
        "metrics.json",
        "pictures-1.png",
        "report.html",
    }


def test_checkerboards_are_seen() -> None:
    grid = torch.zeros(1, 3, 16, 16)
    grid[..., ::2, ::2] = grid[..., 1::2, 1::2] = 1
    ramp = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    assert checkerboard(grid) > 2
    assert checkerboard(ramp) < 1e-5


def held(folder: Path, settings: Settings) -> Settings:
    """The settings of a run that has a checkpoint in a folder."""
    settings = replace(settings, out=folder)
    open_run(settings)
    write_settings(settings)
    save_checkpoint(folder / "checkpoint.pt", 1, 0.0, {}, settings=as_plain(settings))
    return settings


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    settings = held(tmp_path / "run", ASYMGAN_DEMO)
    assert json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))["weights"]["content"] == 10
    with pytest.raises(ValueError, match=r"holds a run already; add --resume"):
        open_run(settings)
    open_run(replace(settings, resume=True))


def test_a_run_is_resumed_with_its_own_settings_only(tmp_path: Path) -> None:
    settings = held(tmp_path, ASYMGAN_DEMO)
    open_run(replace(settings, resume=True, minutes=9.0, epochs=3))
    weights = replace(ASYMGAN_DEMO.weights, style=0.0)
    changes: dict[str, Any] = {"poor": "flat", "style_layers": ("relu2_1", "relu2_2"), "side_by_side": True}
    other = replace(settings, resume=True, width=8, weights=weights, **changes)
    message = (
        "add --width 16 --no-side-by-side --poor grey --style-layers relu1_1 --weights.style 10.0; or take all of "
    )
    message += f"them: python .* {tmp_path} --resume; or leave out"
    (tmp_path / "settings.json").unlink()  # what counts is in the checkpoint
    with pytest.raises(ValueError, match=message):
        open_run(other)
    save_checkpoint(tmp_path / "checkpoint.pt", 2, 0.0, {}, settings=as_plain(settings))
    (tmp_path / "checkpoint.pt").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=message):
        open_run(other)


FREE = {"out", "resume", "epochs", "minutes", "report_every", "workers", "precision", "picture_size", "best", "best_is"}
FREE |= {"threads", "value_range", "max_skipped", "tracker", "dry_run", "batch", "accumulate", "graph"}
"""Options that a resumed run may have otherwise; every other one changes what it computes."""


@pytest.mark.parametrize("settings", [ASYMGAN_DEMO, ASYNCGAN_DEMO], ids=["asymgan", "asyncgan"])
def test_no_other_option_may_change(tmp_path: Path, settings: Any) -> None:
    settings = held(tmp_path, settings)
    before = as_plain(settings)
    free = FREE - settings.FIXED
    fixed = before.keys() - free
    assert {"lr_g", "lr_d", "ema", "seed", "width", "pool", "weights"} <= fixed
    for name in fixed:
        save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {}, settings=before | {name: "another"})
        with pytest.raises(ValueError, match=rf"had other settings; add --{name.replace('_', '-')} another;"):
            open_run(replace(settings, resume=True))
    for name in free - {"dry_run"}:
        save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {}, settings=before | {name: "another"})
        open_run(replace(settings, resume=True))


def test_what_an_earlier_version_could_not_set_was_as_its_default_says(tmp_path: Path) -> None:
    settings = held(tmp_path, ASYMGAN_DEMO)
    before = {name: value for name, value in as_plain(settings).items() if name != "skip"}
    save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {}, settings=before)
    assert settings.skip
    with pytest.raises(ValueError, match="had other settings; add --no-skip; or take all of them"):
        open_run(replace(settings, resume=True))
    open_run(replace(settings, resume=True, skip=False))


def test_data_may_move_but_not_come_or_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = held(tmp_path, replace(ASYMGAN_DEMO, data=tmp_path / "here"))
    open_run(replace(settings, resume=True, data=tmp_path / "there", report_every=7))
    assert capsys.readouterr().out == (
        f"resume: other than before, report_every 2000 → 7, data {tmp_path / 'here'} → {tmp_path / 'there'}\n"
    )
    with pytest.raises(ValueError, match=f"had other settings; add --data {tmp_path / 'here'}; or take all of them"):
        open_run(replace(settings, resume=True, data=None))
    with pytest.raises(ValueError, match=r"resume: no checkpoint .*nowhere"):
        open_run(replace(settings, resume=True, out=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"size": 50}, "size must be divisible by 4 and at least 16, got 50"),
        ({"picture_size": 12}, "picture_size must be divisible by 4 and at least 16, got 12"),
        ({"discriminator_layers": 4}, "size must be divisible by 4 and at least 48, got 40"),
        ({"minutes": 0}, "minutes must be above 0"),
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"batch": 0}, "batch must be"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"seed": 2**32}, f"seed must be at most {2**32 - 1}"),
        ({"lr_d": -1.0}, "lr_d must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ASYMGAN_DEMO, **({"size": 40} | setting))


def test_threads_are_chosen_by_the_work_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "THREADS", 8)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    small, large = replace(ASYMGAN_DEMO, out=tmp_path), AsymGANSettings(out=tmp_path)
    assert (accelerator.threads_for(small), accelerator.threads_for(large)) == (1, 8)
    assert accelerator.threads_for(replace(small, threads=3)) == 3
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        save_checkpoint(tmp_path / "checkpoint.pt", 1, 0.0, {})
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for settings in (small, large):  # the last bits of sums depend on the number
        assert accelerator.threads_for(replace(settings, resume=True)) == 2
        assert accelerator.threads_for(replace(settings, resume=True, threads=1)) == 1
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")  # which share the cores
        assert accelerator.threads_for(replace(large, resume=True)) == 8
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # another machine
    assert accelerator.threads_for(replace(small, resume=True)) == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_a_loop_to_end_and_a_second_ctrl_c_ends_it(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    inherited = signal.signal(number, signal.default_int_handler)  # jobs in the background have Ctrl-C ignored
    before = signal.getsignal(number)
    for _ in range(2):
        with stop_on_signals() as stop:
            assert not stop.is_set()
            signal.raise_signal(number)
            assert stop.is_set()
            signal.raise_signal(number)  # a launcher may pass on what the process was told already
            monkeypatch.setattr("support.run.signals.SECOND_CTRL_C", 0.0)
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            monkeypatch.undo()
        with stop_on_signals():
            pass
        assert signal.getsignal(number) is before  # no run leaves anything to the next one
    signal.signal(number, inherited)


def test_seeds_leave_room_for_what_is_added_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=f"seed must be at most {2**32 - 3}, got"):
        DigitSettings(seed=2**32 - 2, seeds=3)

    class Three:
        num_processes, device = 3, torch.device("cpu")

    monkeypatch.setattr(accelerator, "Accelerator", lambda **_: Three())
    with pytest.raises(ValueError, match=f"seed must be at most {2**32 - 3}, got"):
        accelerator.create_accelerator(replace(ASYMGAN_DEMO, minutes=None, seed=2**32 - 2))
