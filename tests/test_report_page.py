"""report.html as a person sees it: opened in Chromium, offline, with its sliders moved."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from chromium import seen_in_chromium
from PIL import Image
from support.report import page as report
from support.report.logger import LossHistory
from support.report.page import Position, Snapshot, write_report
from torch import Tensor

PROBE = """
  found.sliders = [];
  found.images = [...document.images].map(image => [image.naturalWidth, image.naturalHeight]);
  for (const slider of document.querySelectorAll("input[type=range]")) {
    const figure = slider.closest("figure"), states = [];
    const state = () => [[...figure.querySelectorAll("img")].map(image => image.offsetHeight > 0), figure.querySelector("output").value];
    states.push(state());
    for (const place of [slider.min, slider.max]) {
      slider.value = place;
      slider.dispatchEvent(new Event("input"));
      states.push(state());
    }
    found.sliders.push(states);
  }
"""


def grid(value: float, width: int = 120) -> Tensor:
    return torch.full((3, 60, width), value)


def page_of_a_run(folder: Path) -> Path:
    """Three reports of one run, as a training writes them."""
    history = LossHistory()
    for step in range(1, 100, 10):
        history.add(step, {"cycle": 1 / step, "discriminator_adversarial": 0.5} if step < 60 else {"pseudo": 0.1})
    for step in (40, 80, 99):
        look = Snapshot(
            {"Cycle: <x>, G(x)": grid(step / 99), "Wide": grid(0.3, 3000)},
            {"z_diversity": 0.1},
            {"Slide z": [grid(i / 4) for i in range(5)]},
        )
        settings = {"width": 64, "data": "фото/" + "long" * 60, "weights": {"cycle": 10.0}}
        notes = ["Features are random.\nA second line."]
        page = write_report(
            folder, "A run & its <page>", look, Position(step, step // 40), {"steps": step}, settings, notes, ["z is forgotten"],
            [(60, 99)], history.state_dict(),
        )  # fmt: skip
    return page


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Chromium found on the page, on a screen as wide as a phone's held sideways."""
    folder = tmp_path_factory.mktemp("run")
    return seen_in_chromium(page_of_a_run(folder), PROBE, folder / "profile")


def test_the_page_has_no_errors_and_asks_for_nothing(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["requests"] == []


def test_every_picture_is_shown(seen: dict[str, Any]) -> None:
    assert all(width > 0 for width, _ in seen["images"])
    assert len(seen["images"]) == 3 + 3 + 5 + 1
    assert seen["overflow"] <= 0  # nothing hangs out at the side
    assert {tuple(size) for size in seen["images"] if size[0] > 1900} == {(2048, 41)}  # of 3000 × 60


def test_the_files_of_grids_have_all_pixels_though_a_page_shows_fewer(tmp_path: Path) -> None:
    page_of_a_run(tmp_path)
    with Image.open(tmp_path / "pictures-2.png") as wide:
        assert wide.size == (3000, 60)


def test_sliders_show_one_frame_and_say_which(seen: dict[str, Any]) -> None:
    *by_report, by_z = seen["sliders"]
    assert len(by_report) == 2
    for states in by_report:
        assert states == [
            [[False, False, True], "step 99, epoch 2"],
            [[True, False, False], "step 40, epoch 1"],
            [[False, False, True], "step 99, epoch 2"],
        ]
    assert by_z == [
        [[True, False, False, False, False], "0%"],
        [[True, False, False, False, False], "0%"],
        [[False, False, False, False, True], "100%"],
    ]


def test_the_page_is_whole_without_scripts(tmp_path: Path) -> None:
    text = page_of_a_run(tmp_path).read_text(encoding="utf-8")
    assert "http" not in re.sub(r"base64,[^\"]+", "", text)
    for piece in (
        "A run &amp; its &lt;page&gt;",
        "Cycle: &lt;x&gt;",
        "z is forgotten",
        "Shaded: partial",
        "asymkit 0.",
        "G translates from rich to poor",
        "with two z, in parts of the value range; at 0 z is ignored</td>",
    ):
        assert piece in text
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert [figure.count("<img") - figure.count(" hidden ") for figure in figures] == [1, 1, 1, 1]


def test_of_many_reports_some_are_kept_and_those_done_again_dropped(tmp_path: Path) -> None:
    for step in range(10, 310, 10):
        text = write_report(tmp_path, "run", Snapshot({"a": grid(0.5)}, {}), Position(step, 0), {}, {}, []).read_text(
            encoding="utf-8"
        )
    assert len(list((tmp_path / "earlier").iterdir())) == 30
    steps = [int(step) for step in re.findall(r'alt="step (\d+), epoch 0"', text)]
    assert len(steps) == 13
    assert (steps[0], steps[-2:]) == (10, [290, 300])
    write_report(tmp_path, "run", Snapshot({"a": grid(0.5)}, {}), Position(200, 0), {}, {}, [])
    assert len(list((tmp_path / "earlier").iterdir())) == 20


def test_earlier_states_are_thinned_out_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "KEPT", 8)
    monkeypatch.setattr(report, "_loss_curves", lambda *_: b"")  # which take longer than all else

    def reports(*steps: int) -> list[int]:
        for step in steps:
            write_report(tmp_path, "run", Snapshot({"a": grid(0.5), "b": grid(0.2)}, {}), Position(step, 0), {}, {}, [])
        a, b = ([int(path.name[:9]) for path in sorted((tmp_path / "earlier").glob(f"*-{n}.webp"))] for n in (1, 2))
        assert a == b
        gaps = [after - before for before, after in pairwise(a[:-1])]  # the last one is kept however near it is
        assert max(gaps) <= 3 * min(gaps)
        return a

    assert reports(*range(10, 90, 10)) == list(range(10, 90, 10))
    kept = reports(*range(90, 310, 10))
    assert (len(kept), kept[0], kept[-1]) == (8, 10, 300)
    before = [step for step in kept if step < 200]
    assert reports(200) == [*before, 200]  # resumed there: what is done again is dropped
    kept = reports(*range(210, 610, 10))
    assert (len(kept), kept[0], kept[-1]) == (8, 10, 600)
