"""Data of AsymmetricGAN's examples: folders of domains, derived ones, hand skeletons and pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.data.domains import DERIVED, domain_sets
from support.data.gestures import FilePairs, gesture_pairs
from support.data.hands import COLOURS, DrawnHands, draw_skeleton, hand_points, read_keypoints
from support.data.images import bundled_photos
from support.data.pairs import read_pairs
from support.report.pictures import gesture_pictures
from torch.utils.data import default_collate

from asymkit import DualGenerator
from asymkit.objectives.asymmetricgan import supervised


def save(path: Path, colour: tuple[int, int, int] = (90, 90, 90), size: tuple[int, int] = (20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_a_folder_of_folders_is_as_many_domains(tmp_path: Path) -> None:
    for domain, grey in (("winter", 250), ("autumn", 100), ("night", 70)):
        for i in range(11):
            save(tmp_path / domain / f"{i:02}.png", (grey, grey, grey))
    save(tmp_path / ".ipynb_checkpoints" / "00.png")
    (tmp_path / "__MACOSX").mkdir()
    train, test, source = domain_sets(tmp_path, 16, 3, 0)
    assert train.names == ("autumn", "night", "winter")
    assert "autumn 9" in source
    assert [len(domain.images) for domain in test.domains] == [2, 2, 2]
    assert not {*train.domains[0].images} & {*test.domains[0].images}
    value = {0: 100, 1: 70, 2: 250}
    seen = set()
    for index in range(20):
        x, source_domain, y, target_domain = train[index]
        assert source_domain != target_domain
        assert round((x.mean().item() + 1) * 127.5) == value[source_domain]
        assert round((y.mean().item() + 1) * 127.5) == value[target_domain]
        assert torch.equal(train[index][0], x)
        seen |= {(source_domain, target_domain)}
    assert len(seen) > 4
    grey_train, _, _ = domain_sets(tmp_path, 16, 1, 0)
    assert grey_train[0][0].shape == (1, 16, 16)


def test_derived_domains_differ_as_they_should() -> None:
    train, test, source = domain_sets(None, 32, 3, 0)
    assert train.names == test.names == tuple(DERIVED)
    assert "derived from random crops" in source
    batches = dict(zip(train.names, train.of_each(16), strict=True))
    assert batches["night"].mean() < batches["photo"].mean() - 0.3
    assert torch.equal(batches["grey"][:, 0], batches["grey"][:, 2])
    assert (batches["sepia"][:, 0] >= batches["sepia"][:, 2]).all()
    assert not torch.equal(train.crop(0, 0), test.crop(0, 0))


def keypoints(path: Path, hand: np.ndarray, side: str = "right") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    person = {"hand_left_keypoints_2d": [0.0] * 63, "hand_right_keypoints_2d": [0.0] * 63}
    person[f"hand_{side}_keypoints_2d"] = hand.flatten().tolist()
    path.write_text(json.dumps({"version": 1.3, "people": [person]}), encoding="utf-8")
    return path


@pytest.mark.parametrize("side", ["left", "right"])
def test_openpose_keypoints_are_read_and_drawn_in_the_fingers_colours(tmp_path: Path, side: str) -> None:
    hand = hand_points(np.ones(5, dtype=bool)) * [100, 100, 1]
    assert np.array_equal(read_keypoints(keypoints(tmp_path / "a.json", hand, side)), hand)
    image = np.asarray(draw_skeleton(hand, (100, 100)))
    for finger, colour in enumerate(COLOURS):
        assert (image == colour).all(2).any()
        middle = ((hand[4 * finger + 1] + hand[4 * finger + 2]) / 2)[:2].astype(int)
        near = image[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2]
        assert (near == colour).all(2).any()
    hand[5:9, 2] = 0.01  # the index finger was not seen
    image = np.asarray(draw_skeleton(hand, (100, 100)))
    assert not (image == COLOURS[1]).all(2).any()
    columns, rows = hand[:, :2].astype(int).T
    assert [bool(image[row, column].all()) for row, column in zip(rows, columns, strict=True)] == [
        not 5 <= joint < 9 for joint in range(21)
    ]


def test_drawn_hands_are_where_their_skeletons_are() -> None:
    hands = DrawnHands(bundled_photos(), 64, 0)
    assert all(np.array_equal(a, b) for a, b in zip(hands.pair(3), hands.pair(3), strict=True))
    moved, still = [], []
    for number in range(12):
        x, skeleton_x, y, skeleton_y = hands.pair(number)
        bones, other_bones = skeleton_x.max(2) > 0, skeleton_y.max(2) > 0
        changed = np.abs(x.astype(int) - y.astype(int)).max(2) > 12
        moved.append(changed[bones ^ other_bones].mean())
        still.append(changed[~(bones | other_bones)].mean())
    assert np.mean(moved) > 0.5  # where one skeleton is and the other is not, the picture changed
    assert np.mean(still) < 0.2


def test_pairs_from_files(tmp_path: Path) -> None:
    for i, name in enumerate(["a1", "a2", "a3", "b1", "b2"]):
        save(tmp_path / "photos" / f"{name}.jpg", (50 * i, 0, 0))
        save(tmp_path / "masks" / f"{name}.png", (0, 50 * i, 0))
    listed = tmp_path / "pairs.csv"
    listed.write_text("source,target\na1.jpg,a2.jpg\na2,a3\na3,gone\n", encoding="utf-8")
    assert read_pairs(listed) == [("a1", "a2"), ("a2", "a3"), ("a3", "gone")]
    persons = tmp_path / "persons.csv"
    persons.write_text("file,gesture,person\na1,1,A\na2,2,A\na3,3,A\nb1,1,B\nb2,2,B\n", encoding="utf-8")
    assert len(read_pairs(persons)) == 6 + 2
    train, test, source = gesture_pairs(tmp_path / "photos", tmp_path / "masks", persons, 16, 0)
    assert isinstance(train, FilePairs)
    assert isinstance(test, FilePairs)
    assert not {*train.pairs} & {*test.pairs}
    assert "6 pairs of one person for training, 1 others held out" in source
    assert not {pair[::-1] for pair in train.pairs} & {*test.pairs}  # a pair trains both ways
    assert {*train.pairs, *test.pairs} <= {*read_pairs(persons)}
    reds = set()
    for index in range(len(train.pairs)):
        x, skeleton_x, y, skeleton_y = train[index]
        assert x.shape == skeleton_y.shape == (3, 16, 16)
        assert abs((x[0].mean() - skeleton_x[1].mean()).item()) < 0.05
        assert abs((y[0].mean() - skeleton_y[1].mean()).item()) < 0.05
        reds |= {(round(x[0].mean().item(), 1), round(y[0].mean().item(), 1))}
    assert len(reds) == len(train.pairs)  # every pair once
    _, _, source = gesture_pairs(tmp_path / "photos", tmp_path / "masks", listed, 16, 0)
    assert re.search(r"1 of \d+ pairs left out for want of files, such as of gone", source)
    hand = hand_points(np.ones(5, dtype=bool)) * [20, 30, 1]
    for name in ("a1", "a2", "a3"):
        keypoints(tmp_path / "json" / f"{name}.json", hand)
    train, _, _ = gesture_pairs(tmp_path / "photos", tmp_path / "json", listed, 16, 0)
    assert train[0][1].max() > 0
    for name in ("a1", "a2", "a3"):  # OpenPose's own names, and a photo in which it saw nothing
        (tmp_path / "json" / f"{name}.json").rename(tmp_path / "json" / f"{name}_keypoints.json")
    (tmp_path / "json" / "b1_keypoints.json").write_text('{"people": []}', encoding="utf-8")
    listed.write_text("\ufeffsource,target\na1,a2\na2,a3\na1,b1\n", encoding="utf-8")  # as Excel writes it
    train, _, source = gesture_pairs(tmp_path / "photos", tmp_path / "json", listed, 16, 0)
    assert "1 photos left out in which no hand was seen; 1 of 3 pairs left out" in source
    pairs = default_collate([train[0]])
    model = supervised.Translators(DualGenerator.supervised(width=4, blocks=1))
    assert len(gesture_pictures(model, [tuple(pairs)])) == 2  # one held-out pair is enough for a picture


def folder(path: Path, count: int) -> Path:
    for i in range(count):
        save(path / f"domain{i}" / "a.png")
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: domain_sets(d / "none", 16, 3, 0), "no folder .*none"),
        (lambda d: domain_sets(folder(d / "x", 1), 16, 3, 0), "has 1 sub-folders; .* two domains or more"),
        (lambda d: gesture_pairs(folder(d / "x", 1) / "domain0", None, None, 16, 0), "need --skeletons FOLDER"),
        (
            lambda d: gesture_pairs(folder(d / "x", 1) / "domain0", d / "gone", d / "p.csv", 16, 0),
            "skeletons: .*gone' is missing; expected a folder with an image or an OpenPose JSON file",
        ),
        (lambda d: gesture_pairs(d / "gone", d, d / "p.csv", 16, 0), "gone' is missing; expected a folder of photos$"),
        (lambda d: read_pairs(text(d / "p.csv", "source,target\na,b\nc\n")), "line 3 of .*p.csv' has an empty cell"),
        (lambda d: read_pairs(text(d / "p.csv", "file,person\na,1\nb,2\n")), "names 2 files, no two of one person"),
        (lambda d: read_pairs(d / "gone.csv"), "cannot read .*gone.csv"),
        (
            lambda d: read_pairs(text(d / "p.csv", "a,b\n1,2\n")),
            r"has columns \['a', 'b'\]; expected source and target",
        ),
        (lambda d: read_keypoints(text(d / "a.json", "{")), "cannot read .*a.json' as OpenPose JSON"),
        (lambda d: read_keypoints(text(d / "a.json", '{"people": []}')), "no hand in .*a.json"),
        (
            lambda d: gesture_pairs(
                folder(d, 2) / "domain0", d / "domain1", text(d / "p.csv", "source,target\na,b\nb,a\n"), 16, 0
            ),
            "names 2 pairs, 0 of them with photo and skeleton; 'b' has no photo and no skeleton",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, call: Callable[[Path], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
