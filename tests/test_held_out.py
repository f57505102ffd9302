"""What the reports of the unpaired examples are of: test images, whole, or crops that training never draws."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymgan
import asyncgan
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from asymgan import DEMO as ASYMGAN_DEMO
from PIL import Image
from support.data.digits import DigitSettings, UnpairedDigits, digit_sets
from support.data.held_out import HeldOut, first, in_batches
from support.data.images import resized
from support.data.unpaired import FRESH, unpaired
from support.report.grids import PADDING, grid
from support.report.meanings import LOSS, letters, meaning
from support.report.page import Snapshot
from support.report.unpaired import asymgan_snapshot, asyncgan_snapshot
from support.run.plan import IntermediateImages, Plan
from tiny import cyclegan_folder, tiny

from asymkit import AsyncScheduler, AuxEncoder, AuxGenerator, ResnetGenerator
from asymkit.objectives import asymgan as objective

pytestmark = pytest.mark.usefixtures("seen")

SMALL: dict[str, Any] = {"size": 16, "picture_size": None, "width": 4, "blocks": 1, "discriminator_layers": 1}
COURSE: dict[str, Any] = {"minutes": None, "epochs": 1, "batch": 1, "workers": 0, "tracker": "none"}
# so low a rate changes no weight
STILL = replace(ASYMGAN_DEMO, aux_channels=2, lr_g=1e-30, lr_d=1e-30, **(SMALL | COURSE))


def image(path: Path, height: int, width: int, shade: int | None = None, seed: int = 0) -> Path:
    """Of noise, or of one shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels if shade is None else np.full_like(pixels, shade)).save(path)
    return path


def with_tests(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A CycleGAN folder whose test images have these heights and widths."""
    cyclegan_folder(folder)
    for side in "AB":
        for number, size in enumerate(sizes):
            image(folder / f"test{side}" / f"{number}.png", *size, seed=number)
    return folder


def shapes(images: HeldOut) -> list[list[tuple[int, ...]]]:
    return [[tuple(batch.shape) for batch in part] for part in images]


def test_test_images_are_whole_in_their_own_aspect_ratio(tmp_path: Path) -> None:
    data, source = unpaired(with_tests(tmp_path / "d", (40, 80), (40, 80), (60, 40), (33, 100)), "grey", "A", 16, 0)
    assert source.endswith("pictures and figures are of whole images of the test set, 4 in testA and 4 in testB")
    # the longer side is rounded to a multiple of 8, as the shorter one is
    assert shapes(data.held_out(9)) == [[(2, 3, 16, 32), (1, 3, 24, 16), (1, 3, 16, 48)]] * 2
    assert shapes(data.held_out(2, (20, 36))) == [[(1, 3, 20, 40), (1, 3, 20, 60)]] * 2  # the first and the last
    for number, batch in zip((0, 2, 3), data.held_out(4).rich, strict=True):
        with Image.open(tmp_path / "d" / "testA" / f"{number}.png") as file:
            whole = torch.from_numpy(np.array(resized(file, 16))).permute(2, 0, 1) / 127.5 - 1
        torch.testing.assert_close(batch[0], whole.float())


def test_without_test_images_they_are_crops_that_training_never_draws(tmp_path: Path) -> None:
    for folder in (cyclegan_folder(tmp_path / "two"), None):
        data, source = unpaired(folder, "grey", "A", 16, 0)
        assert source.endswith(
            "pictures and figures are of crops of the same images that training does not draw, for want of test images"
        )
        rich, poor = data.held_out(3)
        x, y = (torch.stack(part) for part in zip(*(data[FRESH + i] for i in range(3)), strict=True))
        assert torch.equal(torch.cat(rich), x)
        assert torch.equal(torch.cat(poor), y)
        assert shapes(data.held_out(2, (16, 32))) == [[(2, 3, 16, 32)]] * 2


@pytest.mark.parametrize("rich", ["A", "B"])
def test_the_rich_side_is_that_of_training(tmp_path: Path, rich: Any) -> None:
    cyclegan_folder(tmp_path / "d")
    for side, shade in (("testA", 100), ("testB", 200)):
        image(tmp_path / "d" / side / "0.png", 20, 20, shade)
    held = unpaired(tmp_path / "d", "grey", rich, 16, 0)[0].held_out(1)
    levels = [(batches[0].mean().item() + 1) * 127.5 for batches in held]
    assert levels == pytest.approx([100, 200] if rich == "A" else [200, 100], abs=1e-3)


@pytest.mark.parametrize("split", ["test", "val"])
def test_pairs_side_by_side_have_a_test_set_too(tmp_path: Path, split: str) -> None:
    for folder, count in (("train", 3), (split, 2)):
        for number in range(count):
            path = image(tmp_path / folder / f"{number}.png", 20, 60, 10)
            with Image.open(path) as file:
                halves = file.copy()
            halves.paste((200, 200, 200), (30, 0, 60, 20))
            halves.save(path)
    data, source = unpaired(tmp_path, "grey", "A", 16, 0, side_by_side=True)
    assert f"whole images of the test set, 2 in {split}" in source
    held = data.held_out(2)
    assert shapes(held) == [[(2, 3, 16, 24)]] * 2
    assert [(batches[0].mean().item() + 1) * 127.5 for batches in held] == pytest.approx([10, 200], abs=1e-3)


def test_test_folders_are_checked_as_those_of_training(tmp_path: Path) -> None:
    folder = with_tests(tmp_path / "d", (20, 20))
    (folder / "testA" / "0.png").rename(folder / "testA" / "0.txt")
    with pytest.raises(ValueError, match=r"data: no images in '.*testA', 1 .txt; expected"):
        unpaired(folder, "grey", "A", 16, 0)
    (folder / "testA" / "0.txt").unlink()
    (folder / "testA").rmdir()
    with pytest.raises(ValueError, match="has testB only; expected both testA and testB, or neither"):
        unpaired(folder, "grey", "A", 16, 0)
    broken = with_tests(tmp_path / "e", (20, 20), (20, 20))
    (broken / "testB" / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"(?s)cannot read 1 of 4 images, .*testB.1.png"):
        unpaired(broken, "grey", "A", 16, 0)


def test_a_test_image_that_breaks_later_is_named_and_the_next_taken(tmp_path: Path) -> None:
    folder = with_tests(tmp_path / "d", (20, 20), (20, 30))
    data, _ = unpaired(folder, "grey", "A", 16, 0)
    (folder / "testA" / "0.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"(?s)1 test images cannot be read and are skipped.*testA.0.png"):
        held = data.held_out(2)
    assert shapes(held) == [[(2, 3, 16, 24)], [(1, 3, 16, 16), (1, 3, 16, 24)]]
    assert not data.broken.found  # those of training


def test_values_of_test_images_are_read_as_those_of_training(tmp_path: Path) -> None:
    """Whose largest values may be smaller."""
    for split, top in (("train", 16_000), ("test", 4090)):
        for side in "AB":
            (tmp_path / f"{split}{side}").mkdir()
            levels = np.linspace(0, top, 400).reshape(20, 20).round().astype(np.uint16)
            Image.fromarray(levels).save(tmp_path / f"{split}{side}" / "0.png")
    data, source = unpaired(tmp_path, "grey", "A", 16, 0)
    assert source.count("of which 0 becomes black and 16383 white") == 2
    assert "4095" not in source  # which the test images alone would say
    highest = data.held_out(1).rich[0].max().item()
    assert (highest + 1) / 2 == pytest.approx(4090 / 16383, abs=0.01)


def figures(tmp_path: Path, name: str, seen: list[Snapshot], folder: Path) -> dict[str, float]:
    AcceleratorState._reset_state(reset_partial_state=True)
    asymgan.main(replace(STILL, data=folder, out=tmp_path / name))
    return dict(seen[-1].figures)


def test_figures_are_those_of_the_test_images_whatever_training_saw(tmp_path: Path, seen: list[Snapshot]) -> None:
    folder = with_tests(tmp_path / "d", (40, 24), (30, 60))
    before = figures(tmp_path, "one", seen, folder)
    for path in sorted((folder / "trainA").iterdir()):
        image(path, 24, 20, seed=7)
    assert figures(tmp_path, "two", seen, folder) == before
    image(folder / "testA" / "0.png", 40, 24, seed=8)
    after = figures(tmp_path, "three", seen, folder)
    assert {name for name, value in after.items() if value != before[name]} == {
        "rich_cycle_l1",
        "checkerboard_real_rich",
        "entropy_rich_bits",
        "entropy_fake_poor_bits",
    }


def test_pictures_have_rows_of_each_image_in_its_own_size(tmp_path: Path, seen: list[Snapshot]) -> None:
    folder = with_tests(tmp_path / "d", (40, 80), (60, 40))
    asymgan.main(replace(STILL, data=folder, out=tmp_path / "run"))
    high, wide = 16 + 24 + 3 * PADDING, 32 + PADDING  # columns are as wide as the wider image
    sizes = [tuple(picture.shape) for picture in seen[-1].pictures.values()]
    assert sizes[:3] == [(3, high, 3 * wide + PADDING)] * 2 + [(3, high, 8 * wide + PADDING)]
    # a row of two photos above, in the manner of which the others are
    assert sizes[3] == (3, 24 + PADDING + high, 3 * wide + PADDING)
    (slides,) = seen[-1].slides.values()
    assert {tuple(slide.shape) for slide in slides} == {(3, 2 * (24 + PADDING) + PADDING, 32 + 16 + 3 * PADDING)}


def test_grids_of_one_size_are_those_of_torchvision() -> None:
    from torchvision.utils import make_grid

    images = torch.randn(2, 3, 3, 5, 7)
    expected = make_grid(images.flatten(0, 1), nrow=3, normalize=True, value_range=(-1, 1), pad_value=1)
    torch.testing.assert_close(grid(images), expected)
    assert grid([[torch.zeros(1, 4, 4)]]).shape == (3, 8, 8)


def test_batches_are_of_one_size_and_no_larger_than_fits() -> None:
    images = [torch.full((3, 8, side), float(number)) for number, side in enumerate((8, 8, 16, 8))]
    batches = in_batches(images)
    assert [tuple(batch.shape) for batch in batches] == [(2, 3, 8, 8), (1, 3, 8, 16), (1, 3, 8, 8)]
    assert [one[0, 0, 0].item() for batch in batches for one in batch] == [0, 1, 2, 3]
    assert [len(batch) for batch in first(batches, 3)] == [2, 1]
    assert [len(batch) for batch in in_batches(torch.zeros(3, 1, 1024, 512))] == [2, 1]


@pytest.mark.parametrize("spatial", [False, True])
def test_snapshots_take_images_of_any_sizes_with_a_vector_and_with_a_map_as_z(spatial: bool) -> None:
    options: dict[str, Any] = {"width": 4, "blocks": 1}
    model = objective.Translators(
        ResnetGenerator(**options),
        AuxGenerator(aux_channels=2, injection="concat", spatial=spatial, **options),
        AuxEncoder(aux_channels=2, width=4, pooled=not spatial),
        extended=True,
    )
    held = HeldOut([torch.rand(2, 3, 16, 24), torch.rand(1, 3, 32, 16)], [torch.rand(1, 3, 24, 16)])
    look = asymgan_snapshot(model, held, held)
    assert len(look.pictures) == 5
    assert all(np.isfinite(value) for value in look.figures.values())
    kept = Plan(AsyncScheduler(print, print, [model], 4, 2), (1, 1), 1, shown=held)
    kept.keep_intermediate(3, model)
    assert all(meaning(name) != LOSS for name in look.figures)
    assert letters(look.pictures).count("G translates from rich to poor") == letters(look.pictures).count("E is") == 1
    look = asyncgan_snapshot(model, held, held, kept.intermediate)
    assert all(meaning(name) != LOSS for name in look.figures)
    assert letters(look.pictures).startswith("x is a rich image and y a poor one. F translates from rich to poor, G ")
    assert [tuple(picture.shape[1:]) for name, picture in look.pictures.items() if "Intermediate" in name] == [
        (16 + 16 + 32 + 4 * PADDING, 2 * 24 + 3 * PADDING),
        (24 + 2 * PADDING, 2 * 16 + 3 * PADDING),
    ]


def test_a_resumed_run_keeps_translating_the_images_it_began_with(tmp_path: Path) -> None:
    """Though the test set has changed since: each row of the intermediate domains is of one image."""
    folder = with_tests(tmp_path / "d", (20, 30))
    settings = tiny(tmp_path / "run", folder, report_every=5)
    asyncgan.main(settings)
    before = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["parts"]["intermediate"]
    for side in "AB":
        image(folder / f"test{side}" / "0.png", 40, 20, seed=3)
    now = IntermediateImages(unpaired(folder, "grey", "A", 16, 0)[0].held_out(1))
    now.load_state_dict(before)
    assert [[tuple(one.shape) for one in row] for row in now.rows(0)] == [[(3, 16, 24)] * 3]
    assert torch.equal(now.rows(0)[0][0].half(), before["shown"][0][0])
    assert now.state_dict().keys() == before.keys()


def mnist_folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    for half in ("train", "t10k"):
        for name, content in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            header = b"\0" * (16 if content.ndim == 3 else 8)
            (folder / f"{half}-{name}-ubyte.gz").write_bytes(gzip.compress(header + content.tobytes()))
    return folder


@pytest.mark.parametrize(("images", "training", "tests"), [(None, 50, 50), (0, 50, 50), (30, 30, 5), (12_000, 50, 50)])
def test_digits_are_all_there_unless_fewer_are_asked_for(
    tmp_path: Path, images: int | None, training: int, tests: int
) -> None:
    np.savez(tmp_path / "usps.npz", x=np.arange(60 * 256).reshape(60, 16, 16) % 256, y=np.arange(60) % 10)
    settings = DigitSettings(
        digits="usps", mnist=mnist_folder(tmp_path / "m", 50), other=tmp_path / "usps.npz", images=images
    )
    sets = {each.name: each for each in digit_sets(settings)}
    assert (len(sets["mnist"].train.digits), len(sets["mnist"].test.digits)) == (training, tests)
    data = UnpairedDigits(sets["mnist"], sets["usps"], None, seed=0)
    assert data.lengths == (training, min(50, images or 50))
    assert data.epoch == max(data.lengths)
    assert UnpairedDigits(sets["mnist"], sets["usps"], 7, seed=0).lengths == (7, 7)
