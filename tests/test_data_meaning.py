"""A resumed run has the data of before, or says what changed; and every data set goes to workers started anew."""

from __future__ import annotations

import multiprocessing
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import asymmetricgan_domains
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from asymmetricgan_domains import DEMO as DOMAINS_DEMO
from asymmetricgan_domains import Settings as DomainSettings
from PIL import Image
from support.data.digits import DigitSettings, UnpairedDigits, digit_sets
from support.data.domains import DERIVED, domain_sets
from support.data.files import BrokenFiles
from support.data.gestures import gesture_pairs
from support.data.images import DERIVE
from support.data.unpaired import unpaired
from support.run.checkpoint import save_checkpoint
from support.run.command import open_run, write_settings
from support.run.loader import BatchLoader, EndlessData
from support.run.settings_file import as_plain, read_settings


def images(folder: Path, *names: str, seed: int = 0, scale: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    for name in names:
        pixels = chance.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels if scale == 1 else pixels[..., 0].astype(np.uint16) * scale).save(folder / name)
    return folder


def made(folder: Path) -> Path:
    """One folder with the data of every example."""
    for name in ("cat", "dog", "fox"):
        images(folder / "domains" / name, "0.png", "1.png")
    for side in ("trainA", "trainB"):
        images(folder / "sides" / side, "0.png", "1.png", seed=len(side) + (side == "trainB"))
    for name in ("photos", "masks"):
        images(folder / "gestures" / name, "a.png", "b.png", "c.png")
    (folder / "pairs.csv").write_text("source,target\na,b\nb,c\na,c\n", encoding="utf-8")
    return folder


def sides(folder: Path, rich: Any = "A", side_by_side: bool = False, poor: Any = "grey") -> EndlessData:
    return unpaired(folder / "sides", poor, rich, 16, 0, side_by_side)[0]


def domains(folder: Path, channels: int = 3) -> EndlessData:
    return domain_sets(folder / "domains", 16, channels, 0)[0]


def gestures(folder: Path) -> EndlessData:
    return gesture_pairs(folder / "gestures" / "photos", folder / "gestures" / "masks", folder / "pairs.csv", 16, 0)[0]


def digits(folder: Path, **settings: Any) -> EndlessData:
    rich, poor = digit_sets(DigitSettings(size=16, **settings))
    return UnpairedDigits(rich, poor, 100, 0)


def feed(data: EndlessData) -> BatchLoader:
    return BatchLoader(Accelerator(), data, 1, 0, Path("unused"))


def swapped(folder: Path) -> None:
    (folder / "sides" / "trainA").rename(folder / "sides" / "trainC")
    (folder / "sides" / "trainB").rename(folder / "sides" / "trainA")
    (folder / "sides" / "trainC").rename(folder / "sides" / "trainB")


def to_json(folder: Path) -> None:
    hand = [10.0, 10.0, 1.0] * 21
    for name in ("a", "b", "c"):
        text = f'{{"people": [{{"hand_left_keypoints_2d": {hand}}}]}}'
        (folder / "gestures" / "masks" / f"{name}.json").write_text(text, encoding="utf-8")


def nothing(_: Path) -> None:
    """The command line has changed, not the files."""


@pytest.mark.parametrize(
    ("before", "change", "after", "message"),
    [
        (
            domains,
            lambda d: (d / "domains" / "cat").rename(d / "domains" / "zebra"),
            domains,
            "domains by number: cat, dog, fox before, dog, fox, zebra now",
        ),
        (
            domains,
            lambda d: images(d / "domains" / "cow", "0.png"),
            domains,
            "domains by number: cat, dog, fox before, cat, cow, dog, fox now",
        ),
        (domains, nothing, lambda d: domains(d, channels=1), "channels: 3 before, 1 now"),
        (domains, nothing, lambda _: domain_sets(None, 16, 3, 0)[0], "photos: none before, those of scikit"),
        (
            domains,
            lambda d: images(d / "domains" / "dog", "0.png", "1.png", scale=16),
            domains,
            r"value range of dog \(--value-range\): that of 8 bits before, 0 to 4095 now",
        ),
        (sides, nothing, lambda d: sides(d, rich="B"), "rich domain: trainA before, trainB now"),
        (
            lambda d: unpaired(d / "sides" / "trainA", "grey", "A", 16, 0)[0],
            nothing,
            lambda d: unpaired(d / "sides" / "trainA", "edges", "A", 16, 0)[0],
            "poor domain: grey, derived from photos before, edges, derived from photos now",
        ),
        (
            lambda d: unpaired(d / "sides" / "trainA", "grey", "A", 16, 0)[0],
            nothing,
            lambda d: unpaired(d / "sides" / "trainA", "grey", "A", 16, 0, side_by_side=True)[0],
            "rich domain: photos of one folder before, the left half now",
        ),
        (gestures, to_json, gestures, "skeletons: images before, OpenPose JSON now"),
        (
            gestures,
            lambda d: (d / "pairs.csv").write_text("source,target\na,b\nb,c\nc,b\n", encoding="utf-8"),
            gestures,
            r"pairs: 3 \(........\) before, 3 \(........\) now",
        ),
        (gestures, nothing, lambda _: gesture_pairs(None, None, None, 16, 0)[0], "pairs: 3 .* before, drawn hands now"),
    ],
)
def test_data_that_mean_something_else_are_refused(
    tmp_path: Path, before: Callable[[Path], EndlessData], change: Callable[[Path], Any], after: Any, message: str
) -> None:
    state = feed(before(made(tmp_path))).state_dict()
    feed(before(tmp_path)).load_state_dict(state)
    change(tmp_path)
    with pytest.raises(ValueError, match=f"the data mean something else; .*{message}.*; put back what was"):
        feed(after(tmp_path)).load_state_dict(state)


def test_other_digits_are_refused() -> None:
    rich, poor = digit_sets(DigitSettings(size=16))
    state = feed(UnpairedDigits(rich, poor, 100, 0)).state_dict()
    fewer = replace(poor, test=type(poor.test)(poor.test.images[1:], poor.test.digits[1:]))
    for other, what in (
        ((poor, rich), "rich domain: photos, .* before, plain, .* now"),
        ((rich, fewer), "and 299 others"),
    ):
        with pytest.raises(ValueError, match=what):
            feed(UnpairedDigits(*other, 100, 0)).load_state_dict(state)


@pytest.mark.parametrize(
    "change",
    [swapped, lambda d: images(d / "sides" / "trainB", "0.png", "1.png", seed=99)],
    ids=["sides swapped on the disk", "other images of the same names"],
)
def test_files_of_the_same_names_that_look_otherwise_are_said(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    state = feed(sides(made(tmp_path))).state_dict()
    change(tmp_path)
    with pytest.warns(UserWarning, match="files of the same names look otherwise than before"):
        feed(sides(tmp_path)).load_state_dict(state)


def test_a_domain_that_is_derived_otherwise_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    state = feed(unpaired(None, "grey", "A", 16, 0)[0]).state_dict()
    feed(unpaired(None, "grey", "A", 16, 0)[0]).load_state_dict(state)
    monkeypatch.setitem(DERIVE, "grey", lambda pixels: 255 - pixels)
    with pytest.warns(UserWarning, match="another version of a library reads them differently"):
        feed(unpaired(None, "grey", "A", 16, 0)[0]).load_state_dict(state)


def test_what_a_checkpoint_knows_of_the_data_is_plain(tmp_path: Path) -> None:
    state = feed(sides(made(tmp_path))).state_dict()
    torch.save(state, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == state


def test_files_that_go_move_no_others_from_training_to_test(tmp_path: Path) -> None:
    made(tmp_path)
    for name in ("cat", "dog", "fox"):
        images(tmp_path / "domains" / name, *[f"{i:03}.png" for i in range(98)])
    train, held_out, _ = domain_sets(tmp_path / "domains", 16, 3, 0)
    trained, tested = ({*part.domains[0].images} for part in (train, held_out))
    assert (len(trained), len(tested)) == (90, 10)
    min(trained).unlink()
    again = {*domain_sets(tmp_path / "domains", 16, 3, 0)[1].domains[0].images}
    assert again <= tested
    (tmp_path / "gestures" / "photos" / "c.png").unlink()
    rows = [f"{i},{j}" for i in range(12) for j in range(i)]
    for name in ("photos", "masks"):
        images(tmp_path / "gestures" / name, *[f"{i}.png" for i in range(12)])
    (tmp_path / "pairs.csv").write_text("\n".join(["source,target", *rows]), encoding="utf-8")
    place = tmp_path / "gestures" / "photos", tmp_path / "gestures" / "masks", tmp_path / "pairs.csv"
    _, before, _ = gesture_pairs(*place, 16, 0)
    (tmp_path / "gestures" / "photos" / "5.png").unlink()
    _, after, _ = gesture_pairs(*place, 16, 0)
    assert {*after.pairs} <= {*before.pairs}  # type: ignore[attr-defined]


def test_a_run_of_renamed_domains_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(
        DOMAINS_DEMO,
        data=made(tmp_path) / "domains",
        out=tmp_path / "run",
        minutes=None,
        epochs=1,
        size=16,
        picture_size=None,
        width=4,
        label_embedding=None,
        discriminator_width=4,
        classifier_steps=1,
        tracker="none",
    )
    asymmetricgan_domains.main(settings)
    (tmp_path / "domains" / "cat").rename(tmp_path / "domains" / "zebra")
    monkeypatch.setattr("support.report.domains.train_classifier", Mock(side_effect=AssertionError("before the check")))
    with pytest.raises(ValueError, match=r"domains by number: cat, dog, fox before, dog, fox, zebra now"):
        asymmetricgan_domains.main(replace(settings, resume=True, epochs=2))
    images(tmp_path / "domains" / "ant", "0.png")  # more domains: not that weights do not fit
    with pytest.raises(ValueError, match=r"domains by number: cat, dog, fox before, ant, dog, fox, zebra now"):
        asymmetricgan_domains.main(replace(settings, resume=True, epochs=2))


def test_a_range_may_be_stated_on_a_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(DOMAINS_DEMO, out=tmp_path)
    save_checkpoint(tmp_path / "checkpoint.pt", 1, 1.0, {}, settings=as_plain(settings))
    stated = replace(settings, resume=True, value_range=(0.0, 4095.0))
    open_run(stated)
    assert "resume: other than before, value_range None → [0.0, 4095.0]" in capsys.readouterr().out
    write_settings(stated)
    assert read_settings(tmp_path / "settings.json", DomainSettings) == replace(stated, resume=False)


class Everything:
    """One sample of every data set there is."""

    def __init__(self, sets: list[Any]) -> None:
        self.sets, self.epoch, self.broken, self.meaning = sets, len(sets), BrokenFiles(), {"sets": "all"}

    def __getitem__(self, index: int) -> Any:
        return self.sets[index % len(self.sets)][7]


def every_set(folder: Path) -> list[Any]:
    made(folder)
    images(folder / "wide", "0.png")
    sets: list[Any] = [unpaired(None, poor, "A", 16, 0)[0] for poor in DERIVE]
    sets += [
        unpaired(folder / "sides" / "trainA", "grey", "A", 16, 0)[0],
        sides(folder),
        unpaired(folder / "wide", "grey", "A", 16, 0, side_by_side=True)[0],
    ]
    sets += [*domain_sets(None, 16, 3, 0)[:2], *domain_sets(folder / "domains", 16, 1, 0)[:2]]
    sets += [*gesture_pairs(None, None, None, 16, 0)[:2], gestures(folder)]
    to_json(folder)
    return [*sets, gestures(folder), digits(folder)]


@pytest.mark.slow
def test_every_data_set_goes_to_a_worker_that_is_started_anew(tmp_path: Path) -> None:
    data = Everything(every_set(tmp_path))
    wanted = [data[i] for i in range(data.epoch)]
    assert {type(one).__name__ for one in data.sets} == {
        "Unpaired",
        "Domains",
        "DrawnPairs",
        "FilePairs",
        "UnpairedDigits",
    }
    domains = [pickle.loads(pickle.dumps(derive)) for derive in DERIVED.values()]
    assert domains == list(DERIVED.values())
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        batches = BatchLoader(Accelerator(), data, 1, 1, tmp_path / "broken.txt").batches(0, data.epoch)
        found = list(batches)
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert len(found) == len(wanted)
    for got, sample in zip(found, wanted, strict=True):
        for part, one in zip(got, sample, strict=True):
            assert torch.equal(part[0].cpu(), torch.as_tensor(one))


def test_a_range_that_was_found_and_one_that_was_stated_are_the_same(tmp_path: Path) -> None:
    folder = made(tmp_path)
    images(folder / "sides" / "trainB", "0.png", "1.png", scale=16)
    state = feed(sides(folder)).state_dict()
    stated, _ = unpaired(folder / "sides", "grey", "A", 16, 0, value_range=(0, 4095))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        feed(stated).load_state_dict(state)
    images(folder / "sides" / "trainB", "0.png", "1.png", scale=64)
    with pytest.raises(ValueError, match=r"value range of trainB \(--value-range\): 0 to 4095 before, 0 to 16383 now"):
        feed(sides(folder)).load_state_dict(state)
