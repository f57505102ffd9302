"""translate.py: what comes out for a folder of images is what the trained network gives, and nothing is lost on the way."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import translate
from accelerate.state import AcceleratorState
from asymgan import DEMO as ASYMGAN_DEMO
from asymmetricgan_domains import DEMO as DOMAINS_DEMO
from asymmetricgan_gesture import DEMO as GESTURE_DEMO
from asyncgan_munit import DEMO as MUNIT_DEMO
from chromium import seen_in_chromium
from PIL import Image
from published import lively
from support.conditions import conditions, path_through
from support.data.tree import images_below
from support.report import logger
from support.trained import load_trained
from tiny import cyclegan_folder, tiny
from torch import Tensor

from asymkit import (
    AuxEncoder,
    AuxGenerator,
    ResnetGenerator,
    StarGenerator,
    load_network,
    save_weights,
    to_published,
)
from asymkit.evaluation.images import read_image

Options: Any = translate.Options
SMALL: dict[str, Any] = {
    "size": 16,
    "width": 4,
    "batch": 1,
    "workers": 0,
    "tracker": "none",
    "minutes": None,
    "dry_run": True,
}
UNPAIRED: dict[str, Any] = {"picture_size": None, "blocks": 1, "discriminator_layers": 1, **SMALL}
DOMAINS: dict[str, Any] = {
    "picture_size": None,
    "discriminator_layers": 2,
    "discriminator_width": 4,
    "classifier_steps": 1,
}
GESTURES: dict[str, Any] = {"features": "random", "blocks": 1, "discriminator_layers": 1, "discriminator_width": 4}


class Runs:
    """Tiny runs of the examples, each trained when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, dict[str, Path]()
        self.data = cyclegan_folder(folder / "data")
        deep = folder / "deep"
        for side in ("trainA", "trainB"):
            (deep / side).mkdir(parents=True)
            for i in range(2):
                levels = np.random.default_rng(i).integers(0, 4096, (24, 20), dtype=np.uint16)
                Image.fromarray(levels).save(deep / side / f"{i}.png")
        unpaired: dict[str, Any] = {"data": self.data, "dry_run": True, "epochs": 4}
        self.settings: dict[str, tuple[str, Any]] = {
            **{base: ("asyncgan", tiny(Path(), **unpaired, base=base)) for base in ("cyclegan", "asymgan")},
            "highres": ("asyncgan", tiny(Path(), **unpaired, base="highres", size=32, aux_channels=5)),
            "average": ("asyncgan", tiny(Path(), **unpaired, ema=0.9)),
            "deep": ("asyncgan", tiny(Path(), **(unpaired | {"data": deep}))),
            "photos": ("asyncgan", tiny(Path(), **(unpaired | {"data": self.data / "trainA"}), poor="grey")),
            "extended": ("asymgan", replace(ASYMGAN_DEMO, data=self.data, features="random", **UNPAIRED)),
            "domains": ("asymmetricgan_domains", replace(DOMAINS_DEMO, data=self.data, **SMALL, **DOMAINS)),
            "grey": ("asymmetricgan_domains", replace(DOMAINS_DEMO, data=self.data, channels=1, **SMALL, **DOMAINS)),
            "munit": ("asyncgan_munit", replace(MUNIT_DEMO, data=self.data, **UNPAIRED)),
            "gesture": ("asymmetricgan_gesture", replace(GESTURE_DEMO, **SMALL, **GESTURES)),
        }

    def __call__(self, name: str) -> Path:
        if name not in self.made:
            AcceleratorState._reset_state(reset_partial_state=True)
            example, settings = self.settings[name]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(logger, "write_report", lambda *_: None)  # which takes longer than the training
                importlib.import_module(example).main(replace(settings, out=self.folder / name))
            self.made[name] = self.folder / name / "dry-run"
        return self.made[name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def noise(path: Path, height: int, width: int, seed: int = 0, channels: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images, the second in a sub-folder, of sides that no network divides evenly."""
    noise(tmp_path / "photos" / "a.png", 37, 26)
    noise(tmp_path / "photos" / "sub" / "b.png", 30, 51, seed=1)
    return tmp_path / "photos"


def run(run: Path, folder: Path, out: Path, **options: Any) -> list[str]:
    """Translate, and say what was written."""
    translate.main(Options(run=run, folder=folder, out=out, device="cpu", **options))
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))


def levels(path: Path) -> Tensor:
    """(1, C, H, W) of 0 to 255, as they stand in the file."""
    pixels = np.asarray(Image.open(path))
    return torch.from_numpy(np.array(pixels[..., None] if pixels.ndim == 2 else pixels)).permute(2, 0, 1)[None].float()


def by_hand(generator: Any, image: Tensor, condition: Tensor | None = None) -> Tensor:
    """What a generator makes of 0 to 255, padded to a multiple of 8 by reflection and cropped back, as levels."""
    height, width = image.shape[2:]
    x = torch.nn.functional.pad(
        image / 127.5 - 1, (0, -width % generator.multiple, 0, -height % generator.multiple), "reflect"
    )
    with torch.no_grad():
        y = generator(x) if condition is None else generator(x, condition)
    return ((y[..., :height, :width] + 1) * 127.5).round().clamp(0, 255)


def drawn(length: int, count: int = 1, seed: int = 0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(seed)
    return [torch.randn(1, length, generator=chance) for _ in range(count)]


def assert_same(one: Tensor, other: Tensor, off: float = 1) -> None:
    """Within a level: sums of float32 may round otherwise."""
    assert one.shape == other.shape
    assert float((one - other).abs().max()) <= off


CASES = [("cyclegan", 0), ("highres", 5), ("asymgan", 8), ("extended", 3)]


@pytest.mark.parametrize(("name", "length"), CASES)
def test_results_are_what_the_network_of_the_run_gives(
    runs: Runs, photos: Path, tmp_path: Path, name: str, length: int
) -> None:
    folder = runs(name)
    assert run(folder, photos, tmp_path / "out") == ["a.png", "sub/b.png"]
    generator = load_network(folder, "poor_to_rich")
    [z] = drawn(length) if length else [None]
    for file in ("a.png", "sub/b.png"):
        assert_same(levels(tmp_path / "out" / file), by_hand(generator, levels(photos / file), z))
    run(folder, photos, tmp_path / "back", direction="rich_to_poor")
    back = by_hand(load_network(folder, "rich_to_poor"), levels(photos / "a.png"))
    assert_same(levels(tmp_path / "back" / "a.png"), back)


def test_the_moving_average_is_taken_where_there_is_one(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("average")
    run(folder, photos, tmp_path / "out", z="zero")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["parts"]
    for part, prefix, same in (("average", "module.poor_to_rich.", True), ("model", "poor_to_rich.", False)):
        generator = AuxGenerator(width=4, blocks=1, upsampling="resize", skip=True)
        own = {name.removeprefix(prefix): value for name, value in state[part].items() if name.startswith(prefix)}
        generator.load_state_dict(own)
        expected = by_hand(generator, levels(photos / "a.png"), torch.zeros(1, 8))
        assert torch.equal(levels(tmp_path / "out" / "a.png"), expected) == same


def test_a_seed_gives_the_same_z_however_many_are_drawn(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("asymgan")
    three = run(folder, photos, tmp_path / "three", samples=3, seed=7)
    assert three == ["a-1.png", "a-2.png", "a-3.png", "sub/b-1.png", "sub/b-2.png", "sub/b-3.png"]
    run(folder, photos, tmp_path / "one", seed=7)
    run(folder, photos, tmp_path / "other", seed=8)
    first = levels(tmp_path / "three" / "a-1.png")
    assert torch.equal(first, levels(tmp_path / "one" / "a.png"))
    assert not torch.equal(first, levels(tmp_path / "other" / "a.png"))
    generator = load_network(folder, "poor_to_rich")
    for number, z in enumerate(drawn(8, 3, seed=7), 1):
        assert_same(levels(tmp_path / "three" / f"a-{number}.png"), by_hand(generator, levels(photos / "a.png"), z))


def test_like_takes_the_z_that_the_encoder_gives(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("extended")
    like = noise(tmp_path / "like.png", 40, 33, seed=5), noise(tmp_path / "other.png", 24, 24, seed=6)
    assert run(folder, photos, tmp_path / "out", like=like) == ["a-1.png", "a-2.png", "sub/b-1.png", "sub/b-2.png"]
    generator, encoder = load_network(folder, "poor_to_rich"), load_network(folder, "encoder")
    with torch.no_grad():
        codes = [encoder(levels(path) / 127.5 - 1) for path in like]
    results = [by_hand(generator, levels(photos / "a.png"), z) for z in codes]
    for number, result in enumerate(results, 1):
        assert_same(levels(tmp_path / "out" / f"a-{number}.png"), result)
    run(folder, photos / "a.png", tmp_path / "strip", like=like, interpolate=3)
    strip = levels(tmp_path / "strip" / "a-strip.png").split(26, dim=3)
    middle = by_hand(generator, levels(photos / "a.png"), (codes[0] + codes[1]) / 2)
    for part, expected in zip(strip, (results[0], middle, results[1]), strict=True):
        assert_same(part, expected)


def test_a_strip_goes_from_one_z_to_the_next(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("asymgan")
    assert run(folder, photos, tmp_path / "out", interpolate=5) == ["a-strip.png", "sub/b-strip.png"]
    run(folder, photos, tmp_path / "samples", samples=2)
    strip = levels(tmp_path / "out" / "a-strip.png").split(26, dim=3)
    assert len(strip) == 5
    assert_same(strip[0], levels(tmp_path / "samples" / "a-1.png"))
    assert_same(strip[-1], levels(tmp_path / "samples" / "a-2.png"))


def test_labels_are_given_by_name_or_number(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("domains")
    every = run(folder, photos, tmp_path / "all")
    assert every == ["a-trainA.png", "a-trainB.png", "sub/b-trainA.png", "sub/b-trainB.png"]
    assert run(folder, photos, tmp_path / "name", domain=("trainB",)) == ["a.png", "sub/b.png"]
    run(folder, photos, tmp_path / "number", domain=("1",))
    expected = by_hand(load_network(folder, "translator"), levels(photos / "a.png"), torch.tensor([1]))
    for file in ("all/a-trainB.png", "name/a.png", "number/a.png"):
        assert_same(levels(tmp_path / file), expected)
    run(folder, photos, tmp_path / "strip", interpolate=3)
    strip = levels(tmp_path / "strip" / "a-strip.png").split(26, dim=3)
    assert_same(strip[-1], expected)


def test_grey_networks_give_grey_images(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("grey")
    run(folder, photos, tmp_path / "out", domain=("0",))
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert (image.mode, image.size) == ("L", (26, 37))
    grey = np.asarray(Image.open(photos / "a.png").convert("L"))
    pixels = torch.from_numpy(grey.copy())[None, None].float()
    expected = by_hand(load_network(folder, "translator"), pixels, torch.tensor([0]))
    assert_same(levels(tmp_path / "out" / "a.png"), expected)


def test_tiles_give_the_same_as_the_whole_image(runs: Runs, tmp_path: Path) -> None:
    folder = runs("asymgan")
    noise(tmp_path / "photos" / "large.png", 90, 121)
    for out, tile in (("whole", None), ("tiles", 32)):
        run(folder, tmp_path / "photos", tmp_path / out, tile=tile)
    assert_same(levels(tmp_path / "tiles" / "large.png"), levels(tmp_path / "whole" / "large.png"))


def test_images_are_read_as_in_training(runs: Runs, tmp_path: Path) -> None:
    """Upright, what is transparent in them white, grey ones in all channels, values by the range of the run."""
    folder, photos = runs("deep"), tmp_path / "photos"
    noise(photos / "grey.png", 24, 32, channels=1)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open(noise(photos / "turned.png", 24, 32)).save(photos / "turned.png", exif=turned)
    clear = np.random.default_rng(0).integers(0, 256, (24, 32, 4), dtype=np.uint8)
    Image.fromarray(clear).save(photos / "clear.png")
    deep = np.random.default_rng(3).integers(0, 1000, (24, 32), dtype=np.uint16)  # alone it would be taken for 10 bits
    Image.fromarray(deep).save(photos / "deep.png")
    run(folder, photos, tmp_path / "out", z="zero")
    generator = load_network(folder, "poor_to_rich")
    read = {
        name: torch.from_numpy(np.array(read_image(photos / f"{name}.png"))) for name in ("grey", "turned", "clear")
    }
    read["deep"] = torch.from_numpy((deep.astype(np.float64) * 255 / 4095).round())[..., None].expand(-1, -1, 3)
    for name, pixels in read.items():
        expected = by_hand(generator, pixels.permute(2, 0, 1)[None].float(), torch.zeros(1, 8))
        assert_same(levels(tmp_path / "out" / f"{name}.png"), expected)
    assert levels(tmp_path / "out" / "turned.png").shape[2:] == (32, 24)
    run(folder, photos / "deep.png", tmp_path / "stated", z="zero", value_range=(0, 1000))
    stated = torch.from_numpy((deep.astype(np.float64) * 255 / 1000).round())[..., None].expand(-1, -1, 3)
    expected = by_hand(generator, stated.permute(2, 0, 1)[None].float(), torch.zeros(1, 8))
    assert_same(levels(tmp_path / "stated" / "deep.png"), expected)


def test_photos_become_what_the_run_made_its_poor_domain_of(
    runs: Runs, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs("photos")
    run(folder, photos, tmp_path / "out", z="zero")
    assert "Images are made grey first" in capsys.readouterr().out
    run(folder, photos, tmp_path / "no", z="zero", derive="no")
    run(folder, photos, tmp_path / "back", direction="rich_to_poor")
    generator, colour = load_network(folder, "poor_to_rich"), Image.open(photos / "a.png")
    grey = torch.from_numpy(np.array(colour.convert("L").convert("RGB"))).permute(2, 0, 1)[None].float()
    z = torch.zeros(1, 8)
    assert_same(levels(tmp_path / "out" / "a.png"), by_hand(generator, grey, z))
    assert_same(levels(tmp_path / "no" / "a.png"), by_hand(generator, levels(photos / "a.png"), z))
    back = by_hand(load_network(folder, "rich_to_poor"), levels(photos / "a.png"))
    assert_same(levels(tmp_path / "back" / "a.png"), back)


def test_images_are_resized_by_their_shorter_side(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("cyclegan")
    run(folder, photos, tmp_path / "out", size=20)
    small = Image.open(photos / "a.png").resize((20, 28), Image.Resampling.BICUBIC)
    image = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float()
    assert_same(levels(tmp_path / "out" / "a.png"), by_hand(load_network(folder, "poor_to_rich"), image))


def test_weights_files_of_any_kind_are_taken(photos: Path, tmp_path: Path) -> None:
    """asymkit's, the hub's, and those of published code; a lone image instead of a folder."""
    resnet, star = lively(ResnetGenerator(width=4, blocks=1)), lively(StarGenerator(domains=3, width=4, blocks=1))
    aux, encoder = lively(AuxGenerator(aux_channels=4, width=4, blocks=1)), lively(AuxEncoder(aux_channels=4, width=4))
    torch.save(to_published(resnet), tmp_path / "latest_net_G_A.pth")
    torch.save(to_published(star), tmp_path / "200000-G.ckpt")
    save_weights(resnet, tmp_path / "own.pt")
    (tmp_path / "hub").mkdir()
    save_weights(aux, tmp_path / "hub" / "model.safetensors")
    save_weights(encoder, tmp_path / "encoder.pt")
    image, one = levels(photos / "a.png"), photos / "a.png"
    for name in ("latest_net_G_A.pth", "own.pt"):
        assert run(tmp_path / name, one, tmp_path / f"out {name}") == ["a.png"]
        assert_same(levels(tmp_path / f"out {name}" / "a.png"), by_hand(resnet, image))
    assert run(tmp_path / "200000-G.ckpt", one, tmp_path / "star") == ["a-0.png", "a-1.png", "a-2.png"]
    assert_same(levels(tmp_path / "star" / "a-2.png"), by_hand(star, image, torch.tensor([2])))
    run(tmp_path / "hub", one, tmp_path / "hubs", like=(one,), encoder=tmp_path / "encoder.pt")
    with torch.no_grad():
        z = encoder(image / 127.5 - 1)
    assert_same(levels(tmp_path / "hubs" / "a.png"), by_hand(aux, image, z))


def test_broken_images_are_named_skipped_and_counted(
    runs: Runs, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"nothing")
    cut = (photos / "a.png").read_bytes()
    (photos / "sub" / "cut.png").write_bytes(cut[: len(cut) // 2])
    assert run(runs("cyclegan"), photos, tmp_path / "out") == ["a.png", "sub/b.png"]
    said = capsys.readouterr()
    assert "translated 2 of 4 images" in said.out
    assert "2 could not be read" in said.out
    for name in ("broken.png", "cut.png"):
        assert re.search(rf"skipped: cannot read '.*{name}' as an image", said.err)
    with pytest.raises(ValueError, match=r"none of the 1 images .* can be read"):
        run(runs("cyclegan"), photos / "broken.png", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_nothing_is_overwritten_unless_told_to(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder, out = runs("cyclegan"), tmp_path / "out"
    run(folder, photos, out)
    before = (out / "a.png").read_bytes()
    (out / "sub" / "b.png").write_bytes(b"mine")
    (out / "a.png").unlink()
    with pytest.raises(ValueError, match=r"b.png' exists? already; give another folder by -o, or --overwrite"):
        run(folder, photos, out)
    assert not (out / "a.png").exists()  # refused before the first is written
    assert (out / "sub" / "b.png").read_bytes() == b"mine"
    run(folder, photos, out, overwrite=True)
    assert (out / "a.png").read_bytes() == before
    assert (out / "sub" / "b.png").read_bytes() != b"mine"
    with pytest.raises(ValueError, match="is one of the images themselves"):
        run(folder, photos, photos, overwrite=True)


def test_images_of_one_name_and_results_below_the_images_are_told_apart(
    runs: Runs, photos: Path, tmp_path: Path
) -> None:
    Image.open(photos / "a.png").save(photos / "A.jpg")
    (photos / ".hidden").mkdir()
    shutil.copyfile(photos / "a.png", photos / ".hidden" / "a.png")
    expected = ["A.jpg.png", "a.png.png", "sub/b.png"]
    assert run(runs("cyclegan"), photos, photos / "out") == expected
    assert (
        run(runs("cyclegan"), photos, photos / "out", overwrite=True) == expected
    )  # results are no images to translate
    noise(tmp_path / "few" / "x.png", 24, 24)
    noise(tmp_path / "few" / "x-1.png", 24, 24)
    assert len(run(runs("asymgan"), tmp_path / "few", tmp_path / "samples", samples=2)) == 4


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("cyclegan", {"samples": 2}, "samples: the generator is a ResnetGenerator without z"),
    ("cyclegan", {"like": (Path("a.png"),)}, "like: the generator is a ResnetGenerator without z"),
    ("cyclegan", {"z": "zero"}, "z: the generator is a ResnetGenerator without z"),
    ("cyclegan", {"domain": ("0",)}, "domain: the generator is a ResnetGenerator, which takes no labels"),
    ("cyclegan", {"interpolate": 3}, "interpolate: needs a generator with z, or two domains"),
    ("domains", {"interpolate": 3, "domain": ("0",)}, "interpolate: needs a generator with z, or two domains"),
    ("domains", {"domain": ("night",)}, "domain: 'night' is none; give one of trainA, trainB, or a number from 0 to 1"),
    ("domains", {"domain": ("2",)}, "domain: '2' is none"),
    ("domains", {"samples": 2}, "samples: the generator is a StarGenerator without z"),
    ("domains", {"domain": ("trainB", "1")}, "domain: 'trainB' is given twice; give each domain once"),
    ("asymgan", {"like": (Path("no.png"),)}, "cannot read 'no.png' as an image"),
    (
        "asymgan",
        {"direction": "to_rich"},
        "no network of asymkit of the name 'to_rich'.*; give --direction 'poor_to_rich'",
    ),
    ("asymgan", {"direction": "encoder"}, "direction: the network 'encoder' is a AuxEncoder, which does not translate"),
    ("asymgan", {"device": "abacus"}, "device: 'abacus' cannot be used"),
    ("asymgan", {"tile": 2}, "tile must be an integer of at least 16"),
    ("asymgan", {"folder": Path("nowhere")}, "folder: no 'nowhere'; expected a folder of images, or one image"),
    ("munit", {}, r"is a run of asyncgan_munit.py, .* takes single networks"),
    ("gesture", {}, r"is a run of asymmetricgan_gesture.py, whose generator needs a skeleton"),
]


@pytest.mark.parametrize(("name", "options", "message"), ERRORS)
def test_what_cannot_be_done_is_said(
    runs: Runs, photos: Path, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    given = {"run": runs(name), "folder": photos, "out": tmp_path / "out", "device": "cpu"} | options
    with pytest.raises(ValueError, match=message):
        translate.main(Options(**given))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["samples", "interpolate", "size"])
def test_numbers_out_of_bounds_are_refused(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be an integer of at least"):
        Options(run=Path(), folder=Path(), out=Path(), **{option: 0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 3, "z": "zero"}, "samples: nothing is sampled, as --z zero is a single z"),
        ({"samples": 3, "like": (Path("a.png"),)}, "samples: nothing is sampled, as --like encodes z of photos"),
        ({"z": "zero", "like": (Path("a.png"),)}, "z: --like encodes z of photos; leave out either"),
        ({"encoder": Path("e.pt")}, "encoder: encodes z of the photos of --like, and none are given"),
        ({"seed": 2**64}, f"seed must be at most {2**63 - 1}"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        Options(run=Path(), folder=Path(), out=Path(), **options)
    assert "\n" not in str(error.value)


def test_a_strip_has_as_many_images_as_it_was_asked_for(tmp_path: Path) -> None:
    save_weights(AuxGenerator(width=4, blocks=1), tmp_path / "aux.pt")
    trained = load_trained(tmp_path / "aux.pt")
    options = Options(run=Path(), folder=Path(), out=Path(), interpolate=300)
    path = path_through(options, trained, conditions(options, trained), 300)
    assert len(path) == 300
    assert all(torch.equal(z, drawn(8, 2)[place]) for place, (_, z) in ((0, path[0]), (1, path[-1])) if z is not None)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    noise(tmp_path / "photos" / "sub" / "a.png", 24, 24)
    noise(tmp_path / "elsewhere" / "deep" / "b.png", 24, 24)
    noise(tmp_path / "photos" / "out" / "old.png", 24, 24)
    links = {
        "again": "photos/sub",
        "circle": "photos",
        "link": "elsewhere",
        "sub/link": "elsewhere",
        "old": "photos/out",
    }
    for name, target in links.items():
        (tmp_path / "photos" / name).symlink_to(tmp_path / target, target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos", target_is_directory=True)
    found = images_below(tmp_path / "photos", tmp_path / "photos" / "out")
    assert sorted(map(Path, found.names)) == [Path("link/deep/b.png"), Path("sub/a.png")]


def test_folders_that_cannot_be_listed_are_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = os.scandir

    def scandir(path: Any = ".") -> Any:
        if str(path) == str(photos / "sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=r"folder: cannot search '.*sub': Permission denied"):
        images_below(photos, tmp_path / "out")


def test_a_generator_from_the_hub_is_given_the_z_it_was_trained_with(photos: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("asymkit.hub")
    generator: Any = lively(hub.HubAuxGenerator(aux_channels=4, width=4, blocks=1, injection="concat", spatial=True))
    generator.save_pretrained(tmp_path / "hub")
    noise(tmp_path / "square" / "a.png", 32, 32)
    run(tmp_path / "hub", tmp_path / "square", tmp_path / "out", size=32)
    z = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = by_hand(generator, levels(tmp_path / "square" / "a.png"), z)
    assert_same(levels(tmp_path / "out" / "a.png"), expected)
    with pytest.raises(ValueError, match=r"size: the generator takes a spatial z, .* give that size by --size"):
        run(tmp_path / "hub", photos, tmp_path / "none")
    encoder = lively(AuxEncoder(aux_channels=4, width=4, pooled=False))
    save_weights(encoder, tmp_path / "encoder.pt")
    like = photos / "a.png", photos / "sub" / "b.png"
    written = run(tmp_path / "hub", tmp_path / "square", tmp_path / "likes", like=like, encoder=tmp_path / "encoder.pt")
    assert written == ["a-1.png", "a-2.png"]  # z of two sizes, which only a path between them could not have
    (tmp_path / "hub" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"run: .*config.json beside it is damaged"):
        run(tmp_path / "hub", photos, tmp_path / "none", size=32)


def test_several_encoders_in_a_file_are_said_with_what_to_do(photos: Path, tmp_path: Path) -> None:
    networks = {
        "G": AuxGenerator(width=4, blocks=1),
        "A.encoder": AuxEncoder(width=4),
        "B.encoder": AuxEncoder(width=4),
    }
    torch.save({name: network.state_dict() for name, network in networks.items()}, tmp_path / "two.pt")
    with pytest.raises(ValueError, match=r"like: .*'A.encoder', 'B.encoder'.*give --encoder encoder.pt") as error:
        run(tmp_path / "two.pt", photos, tmp_path / "out", direction="G", like=(photos / "a.png",))
    assert "source" not in str(error.value)
    save_weights(load_network(tmp_path / "two.pt", "B.encoder"), tmp_path / "encoder.pt")
    like = {"like": (photos / "a.png",), "encoder": tmp_path / "encoder.pt"}
    assert run(tmp_path / "two.pt", photos, tmp_path / "out", direction="G", **like) == ["a.png", "sub/b.png"]


def test_files_that_hold_no_such_generator_are_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has neither a checkpoint.pt, .* nor a model.safetensors"):
        run(tmp_path / "empty", photos, tmp_path / "out")
    with pytest.raises(ValueError, match="no file"):
        run(tmp_path / "nothing.pt", photos, tmp_path / "out")
    save_weights(ResnetGenerator(in_channels=6, width=4, blocks=1), tmp_path / "six.pt")
    with pytest.raises(ValueError, match="takes images of 6 channels and gives 3"):
        run(tmp_path / "six.pt", photos, tmp_path / "out")
    torch.save({name: ResnetGenerator(width=4, blocks=1).state_dict() for name in ("G_A", "G_B")}, tmp_path / "two.pt")
    with pytest.raises(ValueError, match=r"there are several, 'G_A', 'G_B'; give --direction 'G_A'"):
        run(tmp_path / "two.pt", photos, tmp_path / "out")
    published = {name: to_published(ResnetGenerator(width=4, blocks=1)) for name in ("G_A", "G_B")}
    torch.save(published, tmp_path / "published.pt")
    with pytest.raises(ValueError, match="there are several, 'G_A', 'G_B'; give --direction 'G_A'"):
        run(tmp_path / "published.pt", photos, tmp_path / "published")
    assert run(tmp_path / "published.pt", photos, tmp_path / "published", direction="G_A") == ["a.png", "sub/b.png"]
    save_weights(ResnetGenerator(width=4, blocks=1), tmp_path / "one.pt")
    assert run(tmp_path / "two.pt", photos, tmp_path / "out", direction="G_B") == ["a.png", "sub/b.png"]
    with pytest.raises(ValueError, match="one network only, without a name: leave --direction out"):
        run(tmp_path / "one.pt", photos, tmp_path / "named", direction="G_B")
    save_weights(AuxGenerator(width=4, blocks=1), tmp_path / "aux.pt")
    with pytest.raises(ValueError, match=r"like: needs the encoder that was trained with the generator.*by --encoder"):
        run(tmp_path / "aux.pt", photos, tmp_path / "liked", like=(photos / "a.png",))
    save_weights(AuxEncoder(aux_channels=3, width=4), tmp_path / "encoder.pt")
    with pytest.raises(ValueError, match="expected an AuxEncoder with a z of 8 values"):
        run(tmp_path / "aux.pt", photos, tmp_path / "liked", like=(photos / "a.png",), encoder=tmp_path / "encoder.pt")


def test_a_damaged_training_state_is_named_with_the_one_before(runs: Runs, photos: Path, tmp_path: Path) -> None:
    shutil.copyfile(runs("cyclegan") / "checkpoint.pt", tmp_path / "checkpoint.previous.pt")
    whole = (tmp_path / "checkpoint.previous.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"run: .*damaged.*the training state before it is '.*checkpoint.previous.pt'"):
        run(tmp_path, photos, tmp_path / "out")
    assert run(tmp_path / "checkpoint.previous.pt", photos, tmp_path / "out") == ["a.png", "sub/b.png"]


def test_the_command_line_says_errors_in_one_line(photos: Path, tmp_path: Path) -> None:
    save_weights(ResnetGenerator(width=4, blocks=1), tmp_path / "own.pt")
    script = Path(translate.__file__)
    command = [sys.executable, str(script), str(tmp_path / "own.pt"), str(photos), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"translated 2 of 2 images into {tmp_path / 'out'}" in done.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("error: out: ")
    assert len(again.stderr.splitlines()) == 1


def test_the_page_holds_everything(runs: Runs, photos: Path, tmp_path: Path) -> None:
    folder = runs("asymgan")
    (photos / "a.png").rename(photos / "a & <b>.png")
    assert "page.html" in run(folder, photos, tmp_path / "out", page=True)
    text = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)
    assert "a &amp; &lt;b&gt;.png" in text
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert [(figure.count("<img"), figure.count(" hidden ")) for figure in figures] == [(25, 23)] * 2
    with pytest.raises(ValueError, match="already"):
        run(folder, photos, tmp_path / "out", page=True, samples=2)  # the page alone is in the way


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("asymgan", ("0° on a circle in z", "345° on a circle in z")),
        ("domains", ("0% from trainA to trainB", "100% from trainA to trainB")),
    ],
)
def test_the_slider_changes_the_pictures(
    runs: Runs, photos: Path, tmp_path: Path, name: str, labels: tuple[str, str]
) -> None:
    run(runs(name), photos, tmp_path / "out", page=True)
    probe = """
      const state = () => [document.querySelector("output").value, [...document.querySelectorAll("figure")].map(
        figure => [...figure.querySelectorAll("img.frame")].filter(image => image.offsetHeight > 0).map(image => image.src))];
      found.first = state();
      const slider = document.querySelector("input[type=range]");
      slider.value = slider.max;
      slider.dispatchEvent(new Event("input"));
      found.last = state();
      document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft", bubbles: true}));
      found.before_last = state();
    """
    for width in (1300, 500):
        found = seen_in_chromium(tmp_path / "out" / "page.html", probe, tmp_path / f"profile {width}", width)
        assert (found["errors"], found["requests"]) == ([], [])
        assert found["overflow"] <= 0
        assert (found["first"][0], found["last"][0]) == labels
        states = [found[name][1] for name in ("first", "last", "before_last")]
        for shown in zip(*states, strict=True):  # each figure
            assert [len(sources) for sources in shown] == [1, 1, 1]
            assert len({sources[0] for sources in shown}) == 3


@pytest.mark.slow
def test_a_generator_without_z_has_a_page_without_slider(runs: Runs, photos: Path, tmp_path: Path) -> None:
    run(runs("cyclegan"), photos, tmp_path / "out", page=True)
    probe = 'found.sliders = document.querySelectorAll("input").length; found.shown = [...document.images].map(i => i.offsetHeight > 0);'
    found = seen_in_chromium(tmp_path / "out" / "page.html", probe, tmp_path / "profile")
    assert (found["errors"], found["sliders"], found["shown"]) == ([], 0, [True] * 4)
