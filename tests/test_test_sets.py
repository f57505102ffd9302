"""Test sets of the multi-domain and paired examples: which layouts are known, what of them is shown, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymmetricgan_domains
import asymmetricgan_gesture
import numpy as np
import pytest
import stargan
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from support.data.domains import Domains, domain_sets
from support.data.files import check_has_data
from support.data.gestures import FilePairs, gesture_pairs
from support.data.pairs import read_pairs, read_splits
from support.report.classifier import domain_accuracy, each_image
from support.report.domains import domain_pictures
from torch import Tensor, nn

from asymkit import AnySize, DualGenerator
from asymkit.objectives.asymmetricgan import unsupervised


def photos(folder: Path, *levels: int, size: tuple[int, int] = (30, 20)) -> Path:
    """Images of one grey level each, wider than high."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, level in enumerate(levels):
        Image.new("RGB", size, (level, level, level)).save(folder / f"{number:02}.png")
    return folder


def level_of(image: Tensor) -> int:
    return round((image.mean().item() + 1) * 127.5)


def split_folder(
    folder: Path, train: str = "train/{}", test: str = "test/{}", names: tuple[str, ...] = ("a", "b")
) -> Path:
    for place, name in enumerate(names):
        photos(folder / train.format(name), *range(70 + 20 * place, 82 + 20 * place))
        photos(folder / test.format(name), 200 + place, 210 + place, 220 + place, size=(48, 24))
    return folder


@pytest.mark.parametrize(("train", "test"), [("train/{}", "test/{}"), ("train{}", "test{}")])
def test_test_images_are_whole_and_no_training_image_is_held_out(tmp_path: Path, train: str, test: str) -> None:
    data, held_out, source = domain_sets(split_folder(tmp_path, train, test), 16, 3, 0)
    assert data.names == held_out.names == ("a", "b")
    assert data.epoch == 24
    assert [len(domain.images) for domain in data.domains] == [12, 12]
    assert {level_of(data.crop(0, number)) for number in range(12)} == {
        *range(70, 82)
    }  # every one of them is trained on
    found = held_out.shown_of_each(32)
    assert [[tuple(image.shape) for image in of_one] for of_one in found] == [[(3, 16, 32)] * 3] * 2
    assert [[level_of(image) for image in of_one] for of_one in found] == [[200, 210, 220], [201, 211, 221]]
    assert [level_of(image) for image in held_out.shown_of_each(2, 8)[0]] == [200, 220]  # evenly spread
    assert held_out.shown_of_each(1, 20)[1][0].shape == (3, 20, 40)
    assert "a test set of its own (a 3, b 3 images), shown whole" in source
    assert "held out" not in source
    grey = domain_sets(tmp_path, 16, 1, 0)[1].shown_of_each(1)
    assert grey[0][0].shape == (1, 16, 32)


def test_without_a_test_set_some_are_held_out_as_ever(tmp_path: Path) -> None:
    for name in ("a", "b"):
        photos(tmp_path / "train" / name, *range(70, 82))
    data, held_out, source = domain_sets(tmp_path, 16, 3, 0)
    assert data.names == ("a", "b")
    assert "one file in 10 held out" in source
    assert [len(domain.images) for domain in held_out.domains] == [2, 2]
    assert held_out.shown_of_each(4)[0].shape == (4, 3, 16, 16)  # type: ignore[union-attr]
    for name in ("trainA", "trainB"):
        photos(tmp_path / "sides" / name, *range(70, 82))
    assert domain_sets(tmp_path / "sides", 16, 3, 0)[0].names == ("trainA", "trainB")


def test_folders_that_are_of_no_split_are_said(tmp_path: Path) -> None:
    split_folder(tmp_path / "one")
    photos(tmp_path / "one" / "val" / "a", 90)
    data, _, source = domain_sets(tmp_path / "one", 16, 3, 0)
    assert data.names == ("a", "b")
    assert source.endswith("; left out: val")
    split_folder(tmp_path / "other", "train{}", "test{}", ("0", "1", "2"))
    photos(tmp_path / "other" / "val0", 90)
    data, _, source = domain_sets(tmp_path / "other", 16, 3, 0)
    assert data.names == ("0", "1", "2")
    assert source.endswith("; left out: val0")
    photos(tmp_path / "plain" / "train", 90)  # a domain of trains
    photos(tmp_path / "plain" / "tram", 90)
    assert domain_sets(tmp_path / "plain", 16, 3, 0)[0].names == ("train", "tram")


def without(folder: Path) -> Path:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: (d / "test" / "b").rename(d / "test" / "c"),
            "domains of .* differ, b only in train and c only in test; expected the same sub-folders in both",
        ),
        (lambda d: without(d / "test" / "b"), "differ, b only in train and none only in test"),
        (
            lambda d: (without(d / "test" / "a"), without(d / "test" / "b")),
            "differ, a, b only in train and none only in",
        ),
        (
            lambda d: (without(d / "train" / "b"), without(d / "test" / "b")),
            r"train' has 1 sub-folders; .* two domains or more",
        ),
        (lambda d: [path.unlink() for path in (d / "test" / "b").iterdir()], r"no images in '.*test.b'"),
    ],
)
def test_splits_that_do_not_fit_are_refused(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    change(split_folder(tmp_path))
    with pytest.raises(ValueError, match=message):
        domain_sets(tmp_path, 16, 3, 0)


def test_a_broken_test_image_is_counted_and_the_next_one_shown(tmp_path: Path) -> None:
    split_folder(tmp_path)
    photos(tmp_path / "test" / "a", *range(55, 255), size=(16, 16))
    data, held_out, _ = domain_sets(tmp_path, 16, 3, 0)
    (tmp_path / "test" / "a" / "00.png").write_bytes(b"no image")
    assert level_of(held_out.shown_of_each(1)[0][0]) == 56
    assert list(data.broken.found) == [str(tmp_path / "test" / "a" / "00.png")]
    assert data.broken.total == 24 + 200 + 3


def test_test_images_are_read_as_training_images_are(tmp_path: Path) -> None:
    for part, level in (("train", 4000), ("test", 1000)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(2):
                Image.fromarray(np.full((20, 20), level, dtype=np.uint16)).save(
                    tmp_path / part / name / f"{number}.png"
                )
    with pytest.warns(UserWarning, match="[ab]: the images are nearly black, none .* above 62 of 255"):
        _, held_out, source = domain_sets(tmp_path, 16, 3, 0)
    assert level_of(held_out.shown_of_each(1)[0][0]) == round(1000 / 4095 * 255)
    assert source.count("becomes black and 4095 white") == 2
    assert "1023" not in source


class Brightest(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([-image.mean((1, 2, 3)), image.mean((1, 2, 3))], dim=1)


def test_images_of_many_sizes_are_translated_one_by_one() -> None:
    model = unsupervised.Translators(DualGenerator.preset("S2", domains=2, width=4)).eval()
    images = [[torch.rand(3, 16, 22) - 1, torch.rand(3, 18, 16) - 1], [torch.rand(3, 16, 22), torch.rand(3, 19, 35)]]
    flat = [image for of_one in images for image in of_one]
    with torch.no_grad():
        made = each_image(model.dual, flat, [1, 0, 1, 1])
        for image, result, label in zip(flat, made, [1, 0, 1, 1], strict=True):
            alone = AnySize(model.dual)(image[None], torch.tensor([label]))[0]
            torch.testing.assert_close(result, alone, rtol=1e-4, atol=1e-5)
    scores = domain_accuracy(Brightest(), model, images)
    assert scores["real"] == [1.0, 1.0]
    with torch.no_grad():
        wanted = [
            sum(
                int(Brightest()(AnySize(model.dual)(image[None], torch.tensor([target]))).argmax() == target)
                for image in images[1 - target]
            )
            / 2
            for target in (0, 1)
        ]
    assert scores["translated"] == wanted
    every, back = domain_pictures(model, images, ("a", "b")).values()
    assert every.shape == back.shape == (3, 16 + 18 + 16 + 19 + 4 * 2 + 2, 3 * (35 + 2) + 2)
    assert (every[:, 2 : 2 + 16, 2:8] == 1).all()  # an image of 22 pixels in the middle of 35
    assert (every[:, 2 : 2 + 16, 8 : 8 + 22] < 1).any((0, 1)).all()
    assert (every[:, 2 : 2 + 16, 30:39] == 1).all()


SMALL: dict[str, Any] = {"size": 16, "width": 4, "discriminator_width": 4, "workers": 0, "tracker": "none"}
SMALL |= {"minutes": None, "epochs": 1, "batch": 2}
DOMAINS: dict[str, Any] = {"discriminator_layers": 2, "classifier_steps": 1, **SMALL}


@pytest.mark.parametrize("example", [asymmetricgan_domains, stargan])
def test_a_run_shows_its_test_set(tmp_path: Path, example: Any) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    split_folder(tmp_path / "data")
    small = DOMAINS | ({"picture_size": 20} if example is asymmetricgan_domains else {})
    example.main(replace(example.DEMO, data=tmp_path / "data", out=tmp_path / "run", **small))
    side = small.get("picture_size", 16)
    with Image.open(tmp_path / "run" / "pictures-1.png") as grid:
        assert grid.size == (3 * (2 * side + 2) + 2, 4 * (side + 2) + 2)  # two of each domain, each to both
    assert "a test set of its own" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert {"accuracy_real_a", "accuracy_translated_b", "accuracy_translated"} <= metrics.keys()


def hands(folder: Path) -> tuple[Path, Path]:
    names = ("a1", "a2", "a3", "a4", "b1", "b2", "b3")
    for kind in ("photos", "masks"):
        (folder / kind).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (20, 20), (100, 0, 0)).save(folder / kind / f"{name}.png")
    return folder / "photos", folder / "masks"


def listed(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sets(photos: Path, masks: Path, pairs: Path, test_pairs: Path | None = None) -> tuple[FilePairs, FilePairs, str]:
    train, test, source = gesture_pairs(photos, masks, pairs, 16, 0, test_pairs=test_pairs)
    assert isinstance(train, FilePairs)
    assert isinstance(test, FilePairs)
    return train, test, source


def test_a_column_says_which_pairs_are_for_the_test(tmp_path: Path) -> None:
    lines = [
        "source,target,split",
        "a1,a2,train",
        "a2,a3,train",
        "a4,a3,test",
        "a3,a4,train",
        "b1,b2,test",
        "b1,gone,test",
    ]
    pairs = listed(tmp_path / "pairs.csv", *lines)
    train, test, source = sets(*hands(tmp_path), pairs)
    assert sorted(train.pairs) == [("a1", "a2"), ("a2", "a3")]
    assert test.pairs == [("a4", "a3"), ("b1", "b2")]
    assert "2 pairs of one person for training, 2 test pairs, figures over 32 at most" in source
    assert "1 pairs left out of training that are test pairs, one way or the other" in source
    assert "1 of 6 pairs left out for want of files, such as of gone" in source
    assert "held out" not in source
    persons = listed(
        tmp_path / "persons.csv", "file,person,split", "a1,A,train", "a2,A,train", "b1,B,test", "b2,B,test", "a3,A,test"
    )
    assert read_splits(persons) == {"train": [("a1", "a2"), ("a2", "a1")], "test": [("b1", "b2"), ("b2", "b1")]}
    assert len(read_pairs(persons)) == 4


def test_a_file_of_its_own_says_the_same(tmp_path: Path) -> None:
    folders = hands(tmp_path)
    pairs = listed(tmp_path / "pairs.csv", "source,target", "a1,a2", "a2,a3", "a3,a4")
    tests = listed(tmp_path / "tests.csv", "file,person", "b1,B", "b2,B")
    train, test, source = sets(*folders, pairs, test_pairs=tests)
    assert sorted(train.pairs) == [("a1", "a2"), ("a2", "a3"), ("a3", "a4")]
    assert sorted(test.pairs) == [("b1", "b2"), ("b2", "b1")]
    assert "3 pairs of one person for training, 2 test pairs" in source
    assert train.meaning["test pairs"] == test.meaning["test pairs"]
    alone, _, _ = sets(*folders, pairs)
    assert "test pairs" not in alone.meaning
    assert alone.meaning["pairs"] == train.meaning["pairs"]


@pytest.mark.parametrize(
    ("pairs", "tests", "message"),
    [
        (
            ["source,target,split", "a1,a2,val"],
            None,
            r"pairs: line 2 of .*pairs.csv' has the split 'val'; expected train or",
        ),
        (["source,target,split", "a1,a2,"], None, r"pairs: line 2 of .*pairs.csv' has an empty cell"),
        (["source,target,split", "a1,a2,train"], None, "has a column split, and no line of test; expected both splits"),
        (["source,target,split", "a1,a2,test"], None, "has a column split, and no line of train"),
        (
            ["source,target,split", "a1,a2,train", "a3,a4,test"],
            ["source,target", "b1,b2"],
            "test_pairs: .*pairs.csv' has a column split, which says it already",
        ),
        (
            ["source,target", "a1,a2"],
            ["source,target,split", "b1,b2,test", "b2,b3,train"],
            "test_pairs: .*tests.csv' has a column split, which says it already; give that file as --pairs and no other",
        ),
        (
            ["source,target", "a1,a2"],
            ["one,other", "b1,b2"],
            r"test_pairs: .*tests.csv' has columns \['one', 'other'\]",
        ),
        (["source,target", "a1,a2"], ["source,target", "c1,c2"], "test_pairs: .* names 1 pairs, 0 of them with photo"),
        (
            ["source,target", "c1,c2"],
            ["source,target", "a1,a2"],
            "pairs: .*pairs.csv' names 1 pairs, 0 of them with photo",
        ),
        (["source,target", "a1,a2"], ["source,target", "a2,a1"], "leaves no pair to train on beside those held out"),
        (["source,target", "a1,a2"], [], r"test_pairs: cannot read '.*tests.csv'"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(
    tmp_path: Path, pairs: list[str], tests: list[str] | None, message: str
) -> None:
    folders, file = hands(tmp_path), listed(tmp_path / "pairs.csv", *pairs)
    other = tmp_path / "tests.csv"
    if tests:
        listed(other, *tests)
    with pytest.raises(ValueError, match=message):
        sets(*folders, file, test_pairs=None if tests is None else other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["skeletons"], "skeletons: needs images of your own; give --data FOLDER and --pairs FILE.csv as well"),
        (["pairs"], "pairs: needs images of your own; give --data FOLDER and --skeletons FOLDER as well"),
        (["skeletons", "pairs"], "skeletons, pairs: need images of your own; give --data FOLDER as well"),
        (["test_pairs"], "give --data FOLDER and --skeletons FOLDER and --pairs FILE.csv as well"),
        (["data"], "skeletons, pairs: photos in 'somewhere' need --skeletons FOLDER and --pairs FILE.csv as well"),
        (["data", "pairs"], "^skeletons: photos in 'somewhere' need --skeletons FOLDER as well"),
    ],
)
def test_files_without_the_others_are_refused_with_all_that_is_missing(options: list[str], message: str) -> None:
    given: dict[str, Any] = dict.fromkeys(options, Path("somewhere"))
    with pytest.raises(ValueError, match=message):
        replace(asymmetricgan_gesture.DEMO, **given).images()
    check_has_data(**dict.fromkeys(options))


def test_a_run_of_gestures_shows_its_test_pairs_and_goes_on_with_the_same_ones_only(tmp_path: Path) -> None:
    folders = hands(tmp_path)
    pairs = listed(tmp_path / "pairs.csv", "source,target", "a1,a2", "a2,a3", "a3,a4")
    tests = listed(tmp_path / "tests.csv", "source,target", "b1,b2")
    small: dict[str, Any] = {"features": "random", "blocks": 1, "discriminator_layers": 1, **SMALL}
    settings = replace(asymmetricgan_gesture.DEMO, data=folders[0], skeletons=folders[1], pairs=pairs, **small)
    settings = replace(settings, test_pairs=tests, out=tmp_path / "run")
    AcceleratorState._reset_state(reset_partial_state=True)
    asymmetricgan_gesture.main(settings)
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "3 pairs of one person for training, 1 test pairs" in report
    moved = tests.rename(tmp_path / "elsewhere.csv")
    asymmetricgan_gesture.main(replace(settings, test_pairs=moved, resume=True, epochs=2))
    other = listed(tmp_path / "other.csv", "source,target", "b2,b3")
    with pytest.raises(ValueError, match=r"the data mean something else; test pairs: 1 \(.*\) before, 1 \(.*\) now"):
        asymmetricgan_gesture.main(replace(settings, test_pairs=other, resume=True, epochs=3))
    with pytest.raises(ValueError, match=r"had other settings; add --test-pairs .*elsewhere.csv"):
        asymmetricgan_gesture.main(replace(settings, test_pairs=None, resume=True, epochs=3))


def test_training_and_test_sets_go_to_workers(tmp_path: Path) -> None:
    import pickle

    for data in domain_sets(split_folder(tmp_path), 16, 3, 0)[:2]:
        copied: Domains = pickle.loads(pickle.dumps(data))
        assert torch.equal(copied[3][0], data[3][0])
