"""The page of a user study as a person meets it: played in Chromium with real keys and clicks, its answers scored."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import Page, browser
from test_study import SMALL, folder

from asymkit.evaluation.study.answers import COLUMNS, read_answers
from asymkit.evaluation.study.page import write_page
from asymkit.evaluation.study.scores import score, table

pytestmark = pytest.mark.slow

ASKED, TOLD = "#choices:not([hidden])", "#feedback:not([hidden])"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    folder(place / "real", 24)
    folder(place / "labels", 24)
    folder(place / "ours", 12)
    folder(place / "theirs", 12)
    return place


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path) as opened:
        yield opened
        assert opened.problems() == []


def written(data: Path, out: Path, **change: Any) -> str:
    write_page(data / "real", {"ours": data / "ours", "theirs": data / "theirs"}, out, replace(SMALL, **change))
    return out.as_uri()


def there(page: Page, selector: str) -> None:
    page.until(f"document.querySelector({selector!r}) !== null")


def asked(page: Page, number: int, of: int) -> None:
    """Wait until the question of a trial is there."""
    page.until(f"document.querySelector('#number').textContent === 'Trial {number} of {of}'")
    there(page, ASKED)


def shown(page: Page) -> str:
    """The text that can be read on the page."""
    text: str = page.value("document.body.innerText")
    return text


def saved(page: Page) -> list[dict[str, str]]:
    with page.download().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_pair_study_with_the_keyboard_alone_and_a_reload(data: Path, tmp_path: Path, page: Page) -> None:
    url = written(data, tmp_path / "page.html")
    page.visit(url)
    assert "In each trial two pictures appear side by side for 0.05 seconds." in shown(page)
    assert "seed 0" in shown(page)
    page.press("Enter")  # the button to start has the focus
    for number in (1, 2):
        page.until(f"document.querySelector('#number').textContent === 'Practice {number} of 2'")
        there(page, ASKED)
        page.press("ArrowLeft")
        there(page, TOLD)
        captions = page.value("[...document.querySelectorAll('#stage figcaption')].map(each => each.textContent)")
        assert sorted(captions) == ["fake", "real"]
        right = captions[0] == "real"
        assert ("Right: the left picture is real." if right else "No, the right picture is real.") in shown(page)
        page.press("Enter")
    there(page, "#counted:not([hidden])")
    page.press("Enter")
    keys = ["ArrowLeft", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowLeft"]
    for number, key in enumerate(keys):
        asked(page, number + 1, of=8)
        visible = "[...document.querySelectorAll('#stage img')].map(each => getComputedStyle(each).visibility)"
        assert page.value(visible) == ["hidden", "hidden"]  # the question comes when the pictures are gone
        if number == 3:  # in the middle of a trial
            page.reload()
            assert "Welcome back. This browser has kept your answers: 3 of 8 trials are done" in shown(page)
            page.press("Enter")
            asked(page, 4, of=8)
        page.press(key)
    there(page, "#end:not([hidden])")
    assert "Thank you" in shown(page)
    page.reload()  # nor is anything lost afterwards
    assert "You have answered 8 of 8 trials." in shown(page)
    page.press("Enter")
    rows = saved(page)
    assert tuple(rows[0]) == COLUMNS
    assert [row["trial"] for row in rows] == [str(number) for number in range(1, 9)]
    for row, key in zip(rows, keys, strict=True):
        taken = {"ArrowLeft": "left", "ArrowRight": "right"}[key] == row["side"]
        assert row["answer"] == ("real" if taken else "fake")
        assert float(row["shown_ms"]) >= 49
    (person,) = {row["person"] for row in rows}
    (file,) = page.folder.glob("answers-*.csv")
    assert file.name == f"answers-{rows[0]['study']}-{person}.csv"
    scores = score(read_answers([file]))
    for method in ("ours", "theirs"):
        mine = [row["answer"] == "real" for row in rows if row["method"] == method]
        found = scores.methods[method]["real or fake"]
        assert (len(mine), found.answers, found.mean) == (4, 4, sum(mine) / 4)
    assert "taken for real" in table(scores)
    assert set(page.requests()) == {url}


def test_grades_with_keys_and_mouse_beside_the_input(data: Path, tmp_path: Path, page: Page) -> None:
    url = written(data, tmp_path / "page.html", protocol="mos", inputs=data / "labels", trials=2, practice=0)
    page.screen(400, 800)
    page.visit(url + "?person=ann")
    assert "beside the input that it was made from" in shown(page)
    page.press("Enter")
    given: list[tuple[str, ...]] = []
    for number in range(6):  # two methods and the real images
        there(page, "#ratings:not([hidden])")
        page.until(f"document.querySelector('#number').textContent === 'Trial {number + 1} of 6'")
        page.until("document.querySelectorAll('fieldset').length === 3 && !document.querySelector(':checked')")
        assert page.value("document.querySelector('#next').disabled")
        assert page.value("document.documentElement.scrollWidth <= 400")
        grades = tuple(str(1 + (number + i) % 5) for i in range(3))
        given.append(grades)
        if number % 2:
            for i, grade in enumerate(grades, 1):
                page.click(f"fieldset:nth-of-type({i}) label:nth-of-type({grade}) span")
            page.click("#next")
        else:
            for grade in grades:
                page.press(grade)
            page.press("Enter")
    there(page, "#end:not([hidden])")
    page.click("#save")
    rows = saved(page)
    assert [row["answer"] for row in rows] == [grade for grades in given for grade in grades]
    assert [row["question"] for row in rows] == ["correctness", "realness", "richness"] * 6
    assert Counter(row["method"] for row in rows) == {"ours": 6, "theirs": 6, "real": 6}
    assert {row["person"] for row in rows} == {"ann"}
    scores = score(read_answers([page.folder / f"answers-{rows[0]['study']}-ann.csv"]))
    richness = [int(row["answer"]) for row in rows if (row["method"], row["question"]) == ("ours", "richness")]
    assert scores.methods["ours"]["richness"].mean == sum(richness) / 2


def test_one_picture_at_a_time_stopped_and_the_next_person(data: Path, tmp_path: Path, page: Page) -> None:
    page.visit(written(data, tmp_path / "page.html", protocol="single", practice=0, trials=2))
    page.click("#begin")
    asked(page, 1, of=8)
    page.click("#first")
    page.until("document.querySelector('#number').textContent === 'Trial 2 of 8'")
    page.click("#stop")
    assert "You have answered 1 of 8 trials." in shown(page)
    page.click("#back")
    there(page, ASKED)
    page.click("#second")
    page.until("document.querySelector('#number').textContent === 'Trial 3 of 8'")
    page.click("#stop")
    page.click("#save")
    first = saved(page)
    assert [row["answer"] for row in first] == ["real", "fake"]
    page.click("#another")
    page.click("#begin")
    there(page, ASKED)
    page.press("ArrowRight")
    page.until("document.querySelector('#number').textContent === 'Trial 2 of 8'")
    page.click("#stop")
    page.click("#save")
    second = saved(page)
    assert [(row["trial"], row["answer"]) for row in second] == [("1", "fake")]
    assert first[0]["person"] != second[0]["person"]
    read = read_answers(sorted(page.folder.glob("answers-*.csv")))
    assert len(read.rows) == 3


@pytest.mark.parametrize("paired", [False, True], ids=["unpaired", "paired"])
@pytest.mark.parametrize("protocol", ["pair", "single", "mos"])
def test_trials_are_dealt_evenly(data: Path, tmp_path: Path, page: Page, protocol: Any, paired: bool) -> None:
    trials, practice = (3, 2) if paired and protocol != "mos" else (5, 4)
    if paired and protocol == "single":
        trials = 2
    change: dict[str, Any] = {"protocol": protocol, "paired": paired, "trials": trials, "practice": practice}
    page.visit(written(data, tmp_path / "page.html", images=12, **change))
    embedded = "JSON.parse(document.getElementById('study').textContent)"

    def plan(person: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = page.value(
            f"plan({embedded}, {person!r}).map(trial => ({{...trial, image: trial.image[0], real: trial.real && trial.real[0]}}))"
        )
        return found

    orders = {person: plan(person) for person in ("ann", "bob", "cyd", "dan", "eve", "fay")}
    assert plan("ann") == orders["ann"]
    assert orders["bob"] != orders["ann"]
    names = ["ours", "theirs"] + ["real"] * {"pair": 0, "single": 2, "mos": 1}[protocol]
    for order in orders.values():
        assert [each.get("practice", False) for each in order[:practice]] == [True] * practice
        counted = order[practice:]
        assert Counter(each["method"] for each in counted) == Counter(names * trials)
        for start in range(0, len(counted), len(names)):  # every method once in each round
            assert Counter(each["method"] for each in counted[start : start + len(names)]) == Counter(names)
        images = [(each["method"], each["image"]) for each in order]
        assert len(set(images)) == len(images)  # no image of a method twice, nor one that practice has shown
        if protocol == "pair":
            reals = [each["real"] for each in order]
            assert len(set(reals)) == len(reals)
            assert not paired or reals == [each["image"] for each in order]
        if protocol == "mos" and paired:  # the same ones of each method are compared
            kinds = {name: {each["image"] for each in counted if each["method"] == name} for name in names}
            assert kinds["ours"] == kinds["theirs"] == kinds["real"]
        if protocol == "single" and paired:
            assert len({each["image"] for each in order}) == len(order)
    if protocol == "pair":
        sides = Counter(each["side"] for order in orders.values() for each in order)
        assert min(sides.values()) > len(orders) * len(orders["ann"]) / 4


def test_names_with_markup_and_a_browser_that_keeps_nothing(tmp_path: Path, page: Page) -> None:
    name = "a'b\"c,<\u2028{}&lt;<!--<script>alert(1)<"
    folder(tmp_path / "real", 4)
    folder(tmp_path / "fake", 4, name=name)
    method = '</script><img src=x onerror="fail()">, "x"'
    settings = replace(SMALL, practice=0, trials=2, about="</p><script>fail()</script>")
    write_page(tmp_path / "real", {method: tmp_path / "fake"}, tmp_path / "page.html", settings)
    page.tell(
        "Page.addScriptToEvaluateOnNewDocument",
        source="Object.defineProperty(window, 'localStorage', { get() { throw new Error('refused'); } });",
    )
    page.visit((tmp_path / "page.html").as_uri())
    assert "</p><script>fail()</script>" in shown(page)
    assert "This browser does not keep answers for this page." in shown(page)
    page.press("Enter")
    for number in (1, 2):
        asked(page, number, of=2)
        page.press("ArrowLeft")
    there(page, "#end:not([hidden])")
    page.press("Enter")
    rows = saved(page)
    assert {row["method"] for row in rows} == {method}
    assert {row["image"] for row in rows} <= {path.name for path in (tmp_path / "fake").iterdir()}
    assert list(score(read_answers(list(page.folder.glob("answers-*.csv")))).methods) == [method]


@pytest.mark.parametrize("width", [400, 1300])
def test_nothing_hangs_out_at_the_side_and_text_can_be_read(data: Path, tmp_path: Path, page: Page, width: int) -> None:
    url = written(data, tmp_path / "page.html", title="A" * 90)
    luminance = (
        "(color => { const [r, g, b] = color.match(/[\\d.]+/g).map(Number); return 0.3 * r + 0.6 * g + 0.1 * b; })"
    )
    for scheme in ("light", "dark"):
        page.screen(width, 800, scheme)
        page.visit(url)
        there(page, "#start:not([hidden])")
        assert page.value("document.documentElement.scrollWidth") == width
        style = "getComputedStyle(document.body)"
        text, back = (page.value(f"{luminance}({style}.{name})") for name in ("color", "backgroundColor"))
        assert abs(text - back) > 150
        assert (back < text) is (scheme == "dark")
        page.press("Enter")
        there(page, ASKED)
        assert page.value("document.documentElement.scrollWidth") == width
