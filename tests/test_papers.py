"""Every table and figure of the papers has its place, its command is one that the examples take, and all of it runs."""

from __future__ import annotations

import csv
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import papers_toy
import pytest
import report
import torch
import tyro
from papers import alone, measures, people, registry, results, run, sets, tables, toy, train
from papers.registry import Arm, Exhibit, exhibits
from papers.run import Options
from papers.tools import Tools
from papers.work import Work
from PIL import Image

from asymkit.evaluation import Row
from asymkit.evaluation.study.answers import COLUMNS
from asymkit.evaluation.study.settings import Settings

NUMBERS = {"asymmetricgan": (13, 10), "asymgan": (3, 12), "asyncgan": (10, 10)}
"""How many tables and figures each paper has, counted in the papers."""

EXHIBITS = exhibits()
RUN = [each for each in EXHIBITS if each.measures]

CHEAP = (
    "asymmetricgan-table-1",
    "asymmetricgan-table-4",
    "asymmetricgan-table-10",
    "asyncgan-figure-1",
    "asymgan-table-2",
)
"""Of which `make test` runs all."""


def exhibit(key: str) -> Exhibit:
    return next(each for each in EXHIBITS if each.key == key)


def options(folder: Path, *keys: str, **changes: Any) -> Options:
    wanted = [exhibit(key) for key in keys]
    tables_of, figures_of = (tuple(each.id for each in wanted if each.kind == kind) for kind in ("table", "figure"))
    return replace(Options(tables_of, figures_of, toy=True, cost=False, runs=folder, device="cpu"), **changes)


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "start", papers_toy.start)


# the registry


@pytest.mark.parametrize("paper", NUMBERS)
def test_every_table_and_figure_of_the_papers_is_in_the_list(paper: str) -> None:
    tables_of, figures_of = NUMBERS[paper]
    expected = {f"{paper}-table-{n}" for n in range(1, tables_of + 1)}
    expected |= {f"{paper}-figure-{n}" for n in range(1, figures_of + 1)}
    keys = [each.key for each in EXHIBITS if each.paper == paper]
    assert len(keys) == len(set(keys))
    assert set(keys) - {"asyncgan-table-digits"} == expected
    listed = tables.listed(paper)
    for each in EXHIBITS:
        if each.paper == paper and each.key != "asyncgan-table-5":
            title = f"| {tables.PAPERS[paper]} {each.kind.capitalize()} {each.number} |"
            (line,) = [line for line in listed.splitlines() if line.startswith(title)]
            assert (f"`--{each.kind} {each.id}`" in line) == bool(each.measures)
            assert each.measures or "a diagram" in line, "what is not run says why"
            assert all(name in line for name in [*each.sets, *each.needs])


@pytest.mark.parametrize("each", EXHIBITS, ids=lambda each: str(each.key))
def test_an_exhibit_is_made_of_what_there_is(each: Exhibit) -> None:
    known = [*measures.OF_ARM, *measures.OF_ALL, *measures.PEOPLE, *measures.OF_SET, *measures.ALONE]
    assert set(each.measures) <= set(known)
    assert set(each.sets) <= set(sets.SETS)
    assert set(each.needs) <= set(registry.NEEDS)
    assert set(each.reported) <= {*each.sets, ""}
    assert len({arm.name for arm in each.arms}) == len(each.arms)
    assert bool(each.arms) == any(
        name in {*measures.OF_ARM, *measures.OF_ALL, *measures.PEOPLE} for name in each.measures
    )
    for figures in each.reported.values():
        assert all(cell.strip() for row in figures.values() for cell in row.values())
        methods = {arm.name for arm in each.arms}
        assert not methods or methods & set(figures), "no row of the paper is one of ours"


def test_needs_and_sets_say_what_to_put_in_place() -> None:
    for name, said in registry.NEEDS.items():
        assert name in tables.legend()
        assert len(said) > 20
    for name in sets.SETS:
        assert name in tables.listed_sets()
        assert "folder" in sets.needed([name])
    used = {name for each in EXHIBITS for name in each.sets}
    assert used == set(sets.SETS)
    assert {name for each in EXHIBITS for name in each.needs} == set(registry.NEEDS)


def arms() -> list[Any]:
    """Those that differ, with the kind of their data."""
    found: dict[str, Any] = {}
    for each in EXHIBITS:
        for arm in each.arms:
            said = f"{arm.example} {arm.preset} {dict(arm.options)}"
            if arm.example and said not in found:
                found[said] = pytest.param(arm, sets.SETS[each.sets[0]].kind, id=f"{each.key} {arm.name}")
    return list(found.values())


@pytest.mark.parametrize(("arm", "kind"), arms())
def test_an_arm_is_a_command_that_its_example_takes(arm: Arm, kind: Any, tmp_path: Path) -> None:
    """At its full size, with a data set, and small as the toy runs are."""
    data = sets.Opened("name", kind, tmp_path)
    presets = importlib.import_module(arm.example).PRESETS
    for one, changes in ((arm, {}), toy.small(arm)):
        words = train.training(one, data, 3, tmp_path / "runs", changes).words
        settings: Any = tyro.extras.overridable_config_cli(dict(presets), args=[*words, "--out", "x"])
        assert settings.seed == 3
        for option, value in one.options.items():
            if option in changes or option.startswith("no-"):
                continue
            found = settings
            for part in option.replace("-", "_").split("."):
                found = getattr(found, part)
            assert found == value, option


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no 'asymgan-9'; there are .*asymgan-3"):
        registry.chosen(["asymgan-9"], [])
    with pytest.raises(ValueError, match="asymgan-2 is not run: a diagram"):
        registry.chosen([], ["asymgan-2"])
    with pytest.raises(ValueError, match="--list names all"):
        run.main(Options())
    with pytest.raises(ValueError, match="NAME=VALUE"):
        Options(change=("size",))


def test_a_change_is_of_all_examples_or_of_one() -> None:
    given = Options(change=("size=64,128", "asymgan:features=random", "stargan:batch=2"))
    assert given.changes_of("asymgan") == {"size": ("64", "128"), "features": "random"}
    assert given.changes_of("asyncgan") == {"size": ("64", "128")}


# arithmetic


def printed_as(value: float, printed: str) -> set[str]:
    """A count as the paper may print it, in units of K or M: most are cut off, 2.9K and 11.388M are rounded."""
    digits = len(printed.split(".")[1]) - 1
    scaled = value / {"K": 1e3, "M": 1e6}[printed[-1]] * 10**digits
    return {f"{number / 10**digits:.{digits}f}{printed[-1]}" for number in (int(scaled), round(scaled))}


@pytest.mark.parametrize(
    "key", ["asymmetricgan-table-1", "asymmetricgan-table-2", "asymmetricgan-table-3", "asymmetricgan-table-10"]
)
def test_counts_are_the_papers(key: str) -> None:
    each = exhibit(key)
    found = measures.ALONE[each.measures[0]](each)
    for row, cells in each.reported[""].items():
        for printed in cells.values():
            assert printed in printed_as(found[row][0].value, printed)


def test_layers_are_those_of_table_2() -> None:
    found = alone.layers(exhibit("asymmetricgan-table-2"))
    shapes = [rows[0].by for rows in found.values()]
    assert shapes[0] == "(h, w, 10) → (h, w, 64)"
    assert shapes[2] == "(h/2, w/2, 128) → (h/4, w/4, 256)"
    assert shapes[3] == "(h/4, w/4, 256) → (h/2, w/2, 128)"
    assert [int(name[6:8]) for name in list(found)[:-1]] == [1, 2, 3, 4, 5, 6]


# data sets


def test_a_set_is_found_by_its_name_or_by_what_stands_in(tmp_path: Path) -> None:
    toy.opened("helen", tmp_path)
    place = tmp_path / "toy-data"
    (place / "two").rename(place / "helen")
    found = sets.opened("helen", [str(tmp_path), str(place)], tmp_path / "cache")
    assert found is not None
    assert (found.folder, found.title) == (place / "helen", "helen")
    other = sets.opened("cityscapes", [f"cityscapes={place / 'helen'}"], tmp_path / "cache")
    assert other is not None
    assert other.title == "helen for cityscapes"
    assert sets.opened("maps", [str(place)], tmp_path / "cache") is None
    (place / "helen" / "testB").rename(place / "helen" / "elsewhere")
    with pytest.raises(ValueError, match=r"helen: .* has no testB; expected trainA \(rich\), trainB"):
        sets.opened("helen", [str(place)], tmp_path / "cache")


def test_both_halves_of_pix2pix_images_are_sides(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "facades" / part).mkdir(parents=True)
        pixels = np.zeros((40, 80, 3), np.uint8)
        pixels[:, 40:] = 255
        Image.fromarray(pixels).save(tmp_path / "facades" / part / "1.png")
    found = sets.opened("facades", [str(tmp_path)], tmp_path / "cache")
    assert found is not None
    assert found.side_by_side
    means = []
    for side in ("testA", "testB"):
        with Image.open(found.side(side) / "1.png") as image:
            assert image.size == (40, 40)
            means.append(np.asarray(image).mean())
    assert means == [0, 255]
    assert "--side-by-side" in train.training(Arm("a", "asymgan"), found, 0, tmp_path, {}).words


def test_labels_keep_their_colours_when_they_are_resized(tmp_path: Path) -> None:
    data = toy.opened("helen", tmp_path)
    for exact in (True, False):
        folder = data.resized(data.side("testB"), (48, 64), exact=exact)
        with Image.open(folder / "0.png") as image:
            assert image.size == (64, 48)
            colours = {color for _, color in image.getcolors(48 * 64) or []}
        assert (colours <= set(toy.COLOURS.values())) == exact


def test_what_is_not_in_place_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy.opened("helen", tmp_path)
    given = options(tmp_path, "asymgan-table-1", toy=False, data=(str(tmp_path),))
    with pytest.raises(ValueError, match="none of cityscapes is in place"):
        run.main(given)
    said = capsys.readouterr().out
    assert "cityscapes: Cityscapes" in said
    assert "palette.json" in said


# plans, and going on


def test_a_plan_adds_up_what_the_examples_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Sequence[str]] = []

    def start(_script: Path, words: Sequence[str]) -> str:
        started.append(words)
        return "time: ...\nthe whole run, 12 steps: about 1 day, 2:03:04\n"

    monkeypatch.setattr(train, "start", start)
    given = options(tmp_path, "asymgan-table-1", "asymgan-table-3", plan=True, cost=True, seeds=(0, 1))
    run.main(given)
    said = capsys.readouterr().out
    assert len(started) == 3, "an arm is tried once, whatever seeds and tables there are"
    assert all(words[-1] == "--dry-run" for words in started)
    assert said.count("train python examples/asymgan.py demo") == 6
    assert "6 runs to train; about 6 days, 12:18:24 of training in all" in said
    assert "measure asymgan-table-1 on two for cityscapes: 6 of 6 arms and seeds; 0 done before" in said
    assert not results.entries(given.results, "asymgan")


def test_a_command_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []

    def stops(_script: Path, words: Sequence[str]) -> str:
        started.append(list(words))
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint.pt").touch()
        return train.STOPPED if len(started) == 2 else "done"

    monkeypatch.setattr(train, "start", stops)
    monkeypatch.setitem(measures.OF_ARM, "label_scores", lambda _: [])
    given = options(tmp_path, "asymgan-table-1")
    run.main(given)
    assert "stopped; the same command goes on" in capsys.readouterr().out
    assert not results.entries(given.results, "asymgan")
    run.main(given)
    assert [("--resume" in words) for words in started] == [False, False, True, False]
    assert started[1] == started[2][:-1], "the run that was stopped goes on in its folder"
    assert len(results.entries(given.results, "asymgan")) == 3
    monkeypatch.setattr(train, "start", lambda *_: pytest.fail("trained again"))
    monkeypatch.setitem(measures.OF_ARM, "label_scores", lambda _: pytest.fail("measured again"))
    run.main(given)
    monkeypatch.setitem(measures.OF_ARM, "label_scores", lambda _: [Row("again", 1.0)])
    run.main(replace(given, again=True))
    (rows,) = {str(entry["rows"]) for entry in results.entries(given.results, "asymgan").values()}
    assert "again" in rows


def test_a_run_is_the_same_wherever_its_images_are(tmp_path: Path) -> None:
    arm, places = Arm("a", "asymgan", {"size": 64}), (tmp_path / "a" / "helen", tmp_path / "b" / "helen")
    folders = [train.training(arm, sets.Opened("helen", "two", place), 0, tmp_path, {}).folder for place in places]
    assert folders[0] == folders[1]
    others = [
        train.training(arm, sets.Opened("helen", "two", tmp_path / "camvid"), 0, tmp_path, {}),
        train.training(arm, sets.Opened("helen", "two", places[0]), 1, tmp_path, {}),
        train.training(arm, sets.Opened("helen", "two", places[0]), 0, tmp_path, {"size": "32"}),
    ]
    assert len({folders[0], *(other.folder for other in others)}) == 4


def test_a_script_that_fails_ends_the_command(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; print('Θ'); sys.exit(len(sys.argv) - 2)", encoding="utf-8")
    assert train.start(script, ["--size"]) == "Θ\n"
    with pytest.raises(ValueError, match=r"script.py --size -1 ended with 1; its message"):
        train.start(script, ["--size", "-1"])


# tables


def entry(arm: str, seed: int, value: float, **about: Any) -> dict[str, Any]:
    row = {"figure": "per-pixel accuracy", "value": value, "spread": None, "shown": "", "by": ""}
    known = {"exhibit": "asymgan-table-1", "set": "cityscapes", "data": "cityscapes", "changes": {}, "toy": False}
    return known | {"arm": arm, "seed": seed, "rows": [row]} | about


def test_a_table_has_the_papers_row_above_ours(tmp_path: Path) -> None:
    entries = [entry("Ours", seed, value) for seed, value in enumerate((0.5, 0.6))]
    entries += [entry("Ours", 0, 0.25, data="camvid", changes={"size": "64"})]
    report.write_entries(tmp_path / "asymgan.json", {str(i): each for i, each in enumerate(entries)})
    lines = tables.beside(exhibit("asymgan-table-1"), tmp_path).splitlines()
    ours = next(i for i, line in enumerate(lines) if line.startswith("| Ours | "))
    assert lines[ours] == "| Ours | paper | 63.1% | 22.1% | 16.1% | – |"
    assert lines[ours + 1] == "|  | here | 55.0% ± 7.1% | – | – | 2 |"
    assert lines[ours + 2] == "|  | here (camvid, size=64) | 25.0% | – | – | – |"
    assert any(line.startswith("| CycleGAN baseline | paper | 58.4% |") for line in lines)


def test_people_are_asked_and_their_answers_scored(tmp_path: Path) -> None:
    each, data = exhibit("asymmetricgan-table-7"), toy.opened("rafd", tmp_path)
    tools = Tools(toy.NETWORKS, torch.device("cpu"), toy=True)
    made = data.domains("test")
    work = Work(each, each.arms[0], data, 0, None, tmp_path / "out" / "a", tools)
    work.out.parent.mkdir()
    settings = Settings()
    asked = people.ask([work], made["summer"], {"StarGAN": made["winter"]}, settings)
    (page,) = asked.files.values()
    assert Path(page).read_text(encoding="utf-8").startswith("<!")
    assert not asked.rows
    folder = Path(page).with_suffix("")
    folder.mkdir()
    with (folder / "ann.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for trial, said in enumerate(("real", "fake"), 1):
            named = (
                "1f2e",
                "pair",
                "ann",
                trial,
                "StarGAN",
                f"{trial}.png",
                f"{trial}.png",
                "left",
                "real or fake",
                said,
            )
            rows.writerow((*named, 1000, 900, 100, "2026-01-01T00:00:00Z"))
    ((row,),) = people.ask([work], made["summer"], {"StarGAN": made["winter"]}, settings).rows.values()
    assert (row.figure, row.value) == ("taken for real (%)", 50.0)
    assert "2 answers of 1 people" in row.by


# all of it, small


def check(given: Options, keys: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    run.main(given)
    said = capsys.readouterr().out
    for key in keys:
        each = exhibit(key)
        found = [one for one in results.entries(given.results, each.paper).values() if one["exhibit"] == key]
        named = {(one["set"], one["arm"]) for one in found}
        if each.arms:
            assert named == {(name, arm.name) for name in each.sets for arm in each.arms}
        assert found
        if any(name in measures.OF_ARM for name in each.measures):
            assert all(one["rows"] for one in found)
        for one in found:
            assert {"machine", "training"} <= one.keys()
            assert one["training"].startswith(("python examples/", "PYTHONPATH=")) or not one["training"]
            for row in one["rows"]:
                name = row["figure"]
                assert not re.search(r"\b(FID|KID|LPIPS|FRD|Inception Score)\b", re.sub("no (LPIPS|FRD)", "", name)), (
                    "random networks have no such figures"
                )
        assert f"{tables.PAPERS[each.paper]}, {each.kind.capitalize()} {each.number}: {each.title}" in said
        if any(name in {*measures.OF_ARM, *measures.OF_SET, *measures.ALONE} for name in each.measures):
            assert "| here" in said
    pictures = re.findall(r": (\S+\.(?:png|html))$", said, re.MULTILINE)
    for path in pictures:
        assert Path(path).stat().st_size > 100
    if any(name in {*measures.OF_ALL, *measures.PEOPLE} for key in keys for name in exhibit(key).measures):
        assert pictures


@pytest.mark.slow
@pytest.mark.usefixtures("_in_process")
def test_cheap_rows_run_at_toy_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(options(tmp_path, *CHEAP), CHEAP, capsys)


@pytest.mark.slow
@pytest.mark.usefixtures("_in_process")
@pytest.mark.parametrize("paper", NUMBERS)
def test_every_row_runs_at_toy_size(paper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for each in RUN:  # one after the other, in one folder: they share their runs
        if each.paper == paper and each.key != "asyncgan-table-5":
            check(options(tmp_path, each.key), [each.key], capsys)


@pytest.mark.slow
def test_the_command_runs_examples_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(options(tmp_path, "asyncgan-table-5", cost=True), ["asyncgan-table-5"], capsys)
    found = results.entries(tmp_path / "results", "asyncgan").values()
    after = {re.findall(r"after epoch (\d+)", one["rows"][0]["by"])[0] for one in found}
    assert len(after) > 1, "the rows are of several moments"
    json.dumps(list(found))
