"""User studies: the page that asks, and the scores of what people answered."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from asymkit.evaluation.study.__main__ import write
from asymkit.evaluation.study.answers import COLUMNS, Answer, Answers, read_answers
from asymkit.evaluation.study.intervals import crossed_interval, student_t, wilson
from asymkit.evaluation.study.page import write_page
from asymkit.evaluation.study.scores import score, table, write_scores
from asymkit.evaluation.study.settings import Settings

SMALL = Settings(practice=2, trials=4, images=8, seconds=0.05)


def folder(path: Path, count: int, side: int = 24, ending: str = "png", name: str = "{:02}") -> Path:
    path.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng([i, side, len(path.name)]).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{name.format(i)}.{ending}")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return {name: folder(tmp_path / name, 12) for name in ("real", "ours", "theirs", "labels")}


def study_of(page: Path) -> dict[str, Any]:
    found = re.search(
        r'<script type="application/json" id="study">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None
    study: dict[str, Any] = json.loads(found[1])
    return study


def pixels_of(url: str) -> np.ndarray:
    import base64
    import io

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,")))))


# the page


def test_the_page_holds_the_images_and_asks_no_host(folders: dict[str, Path], tmp_path: Path) -> None:
    said = write_page(
        folders["real"], {"ours": folders["ours"], "theirs": folders["theirs"]}, tmp_path / "p.html", SMALL
    )
    text, study = (tmp_path / "p.html").read_text(encoding="utf-8"), study_of(tmp_path / "p.html")
    assert "http" not in re.sub(r"base64,[^\"]+|http-equiv", "", text)
    assert "default-src 'none'" in text
    assert re.findall(r"\$\w+", re.sub(r"base64,[^\"]+", "", text)) == []  # every place of the template is filled
    assert (study["methods"], study["seed"], study["box"]) == (["ours", "theirs"], 0, [256, 256])
    assert [len(images) for images in study["fakes"]] == [8, 8]
    assert len(study["real"]) == 12  # of the 16 that two methods of 8 would take
    assert study["id"] in said
    assert "2 trials for practice and 8 that count (4 of each method)" in said
    assert f"{(tmp_path / 'p.html').stat().st_size / 1e6:.1f} MB" in said
    name, url = study["fakes"][0][3]
    with Image.open(folders["ours"] / name) as image:
        difference = pixels_of(url).astype(int) - np.asarray(image)
    assert abs(difference).mean() < 4  # noise at quality 95


def test_the_page_is_a_function_of_files_settings_and_seed(folders: dict[str, Path], tmp_path: Path) -> None:
    def page(name: str, settings: Settings) -> bytes:
        write_page(folders["real"], {"ours": folders["ours"]}, tmp_path / name, settings)
        return (tmp_path / name).read_bytes()

    first = page("a.html", SMALL)
    assert page("b.html", SMALL) == first
    assert page("c.html", replace(SMALL, seed=1)) != first
    ids = {study_of(tmp_path / name)["id"] for name in ("a.html", "b.html", "c.html")}
    assert len(ids) == 2
    page("d.html", replace(SMALL, about="What is asked may change answers."))
    assert study_of(tmp_path / "d.html")["id"] not in ids


def test_names_of_files_and_methods_cannot_leave_their_place(tmp_path: Path) -> None:
    name = "a'b\"c<\u2028{}&lt;<!--<script>alert(1)<"
    real = folder(tmp_path / "real", 8, name=name)
    fake = folder(tmp_path / "fake", 8, name="</script><script>fail()<".replace("/", "\u2215") + "{}")
    method = '</script><img src=x onerror="fail()">'
    settings = replace(SMALL, title="<b>T & t</b>", about="</main><script>fail()</script>")
    write_page(real, {method: fake}, tmp_path / "p.html", settings)
    text, study = (tmp_path / "p.html").read_text(encoding="utf-8"), study_of(tmp_path / "p.html")
    assert study["methods"] == [method]
    assert {image[0] for image in study["real"]} == {path.name for path in real.iterdir()}
    assert text.count("<script") == text.count("</script>") == 2
    assert "<title>&lt;b&gt;T &amp; t&lt;/b&gt;</title>" in text
    assert "<img" not in text


def test_large_images_are_made_smaller_and_others_left_alone(tmp_path: Path) -> None:
    real, fake = folder(tmp_path / "real", 8, side=100), folder(tmp_path / "fake", 8, side=40)
    Image.new("RGB", (300, 150), "red").save(real / "00.png")
    said = write_page(real, {"ours": fake}, tmp_path / "p.html", replace(SMALL, side=64))
    study = study_of(tmp_path / "p.html")
    shapes = {name: pixels_of(url).shape[:2] for name, url in study["real"]}
    assert shapes["00.png"] == (32, 64)
    assert shapes["01.png"] == (64, 64)
    assert {pixels_of(url).shape[:2] for _, url in study["fakes"][0]} == {(40, 40)}
    assert "the images of 'ours' have 40 pixels on their longer side and the real ones 64" in said


def test_shapes_that_tell_methods_apart_are_said(tmp_path: Path) -> None:
    real, wide, square = tmp_path / "real", tmp_path / "wide", folder(tmp_path / "square", 8, side=256)
    for each in (real, wide):
        each.mkdir()
        for i in range(8):
            Image.new("RGB", (256, 192), (i, 0, 0)).save(each / f"{i}.png")
    said = write_page(real, {"square": square, "wide": wide}, tmp_path / "p.html", replace(SMALL, trials=1))
    assert (
        "8 of 8 images of 'square', such as one of 256 × 256 pixels, have a width/height that no image of 'real' has"
        in said
    )
    assert "of 'wide'" not in said
    Image.new("RGB", (192, 256)).save(real / "0.png")  # a portrait is always a real one
    Image.new("RGB", (192, 256)).save(real / "1.png")
    said = write_page(real, {"wide": wide}, tmp_path / "q.html", SMALL)
    assert (
        "2 of 8 images of 'real', such as one of 192 × 256 pixels, have a width/height that no image of 'wide' has"
        in said
    )


@pytest.mark.parametrize("given", ["ours=", "=fakes", "=", ""])
def test_an_empty_name_or_folder_is_refused(folders: dict[str, Path], tmp_path: Path, given: str) -> None:
    with pytest.raises(ValueError, match=f"fake: {given!r} has an empty name or folder; expected NAME=FOLDER"):
        write(folders["real"], (given,), tmp_path / "p.html", SMALL)


def test_images_of_one_name_belong_together(folders: dict[str, Path], tmp_path: Path) -> None:
    jpegs = folder(tmp_path / "jpegs", 10, ending="jpg")  # other endings, and two of them are missing
    settings = replace(SMALL, protocol="mos", inputs=folders["labels"], trials=None, practice=None)
    said = write_page(folders["real"], {"ours": folders["ours"], "theirs": jpegs}, tmp_path / "p.html", settings)
    study = study_of(tmp_path / "p.html")
    every = [study["real"], *study["fakes"], study["inputs"]]
    stems = [[Path(name).stem for name, _ in images] for images in every]
    assert all(each == stems[0] for each in stems)
    assert len(stems[0]) == 8
    assert "real: 2 of 12 images are left out, as not all folders have their names" in said
    assert study["questions"] == ["correctness", "realness", "richness"]
    assert (study["trials"], study["realTrials"], study["practice"]) == (8, 8, 0)


def test_correctness_needs_inputs(folders: dict[str, Path], tmp_path: Path) -> None:
    settings = replace(SMALL, protocol="mos", rate_real=False)
    said = write_page(tmp_path / "not read", {"ours": folders["ours"]}, tmp_path / "p.html", settings)
    study = study_of(tmp_path / "p.html")
    assert study["questions"] == ["realness", "richness"]
    assert (study["real"], study["realTrials"]) == ([], 0)
    assert "correctness is not asked, as that needs --inputs" in said


@pytest.mark.parametrize(
    ("change", "methods", "says"),
    [
        ({"trials": 6}, 1, None),
        ({"trials": 4}, 2, None),
        ({"trials": 6}, 2, "a person meets one real image up to 2 times"),
        ({"trials": 6, "paired": True}, 1, None),
        ({"trials": 4, "paired": True}, 2, "a person meets images of one name up to 2 times"),
        ({"trials": 6, "protocol": "single"}, 2, "a person sees 12 generated images and 11 real ones"),
        ({"trials": 3, "protocol": "single", "paired": True}, 1, None),
        ({"trials": 4, "protocol": "single", "paired": True}, 1, "images of one name up to 2 times"),
    ],
)
def test_what_may_give_answers_away_is_said(
    folders: dict[str, Path], tmp_path: Path, change: dict[str, Any], methods: int, says: str | None
) -> None:
    fakes = {name: folders[name] for name in ("ours", "theirs")[:methods]}
    said = write_page(folders["real"], fakes, tmp_path / "p.html", replace(SMALL, **change))
    assert ("note" in said) is (says is not None)
    assert says is None or says in said


def test_errors_of_the_page(folders: dict[str, Path], tmp_path: Path) -> None:
    real, fakes, out = folders["real"], {"ours": folders["ours"]}, tmp_path / "p.html"

    def refused(message: str, settings: Settings = SMALL, **other: Any) -> None:
        with pytest.raises(ValueError, match=message) as error:
            write_page(**({"real": real, "fakes": fakes, "out": out} | other), settings=settings)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
        assert not out.exists()

    refused("fakes must be 1 to 20 folders", fakes={})
    refused("'real' cannot be a method's name", fakes={"real": folders["ours"]})
    refused("printable characters, got 'a\\\\n'", fakes={"a\n": folders["ours"]})
    refused("ours: .*nowhere' is missing; expected a folder", fakes={"ours": tmp_path / "nowhere"})
    refused("out: no folder", out=tmp_path / "nowhere" / "p.html")
    refused("ours: 8 images are too few for 2 in practice and 7 that count; give more", replace(SMALL, trials=7))
    refused("too few for 9 in practice", replace(SMALL, practice=9, trials=None))
    large = folder(tmp_path / "large", 12, side=200)
    settings = replace(SMALL, images=12, limit=0.1, side=4096)
    refused(r"about \d MB, and --limit is 0.1; take fewer images \(--images, now 12\)", settings, real=large)
    others = folder(tmp_path / "others", 8, name="fake{}")
    refused("no image has one name .*'00.png' of 'real'", replace(SMALL, paired=True), fakes={"ours": others})
    Image.new("RGB", (8, 8)).save(folders["ours"] / "00.bmp")
    refused("ours: images in .* differ by their endings only", replace(SMALL, paired=True))
    (others / "fake3.png").write_bytes(b"no image")
    refused("cannot read .*fake3.png", fakes={"ours": others})


@pytest.mark.parametrize(
    "change",
    [{"protocol": "amt"}, {"images": 0}, {"side": 8}, {"quality": 101}, {"seed": -1}, {"seed": 2**53}, {"trials": 0}, {"practice": -1},
     {"seconds": 0.0}, {"limit": 0.0}, {"paired": 1}, {"rate_real": None}, {"inputs": Path("x")}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_settings_that_make_no_study_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(change))}"):
        Settings(**change)


# the scores


def answers_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def row(person: str, trial: object, answer: object, question: str = "realness", **other: Any) -> list[object]:
    cells: dict[str, object] = dict.fromkeys(COLUMNS, "")
    cells |= {"study": "1f2e", "protocol": "mos", "person": person, "trial": trial, "method": "ours"}
    cells |= {"image": f"{trial}.png", "question": question, "answer": answer} | other
    return list(cells.values())


@pytest.mark.parametrize(
    ("successes", "trials", "ends"),
    [  # scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")
        (0, 10, (0.0, 0.27753279986288915)),
        (3, 10, (0.10779126740630102, 0.6032218525388546)),
        (10, 10, (0.7224672001371109, 1.0)),
        (17, 40, (0.28509392559950375, 0.5780493145800892)),
        (500, 1000, (0.4690696003681042, 0.5309303996318958)),
    ],
)
def test_wilson(successes: int, trials: int, ends: tuple[float, float]) -> None:
    assert wilson(successes, trials) == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize(
    ("confidence", "freedom", "t"),
    [  # scipy.stats.t.ppf((1 + confidence) / 2, freedom)
        (0.9, 1, 6.313751514675037),
        (0.95, 1, 12.706204736174694),
        (0.95, 2, 4.302652729749462),
        (0.95, 5, 2.5705818356363146),
        (0.95, 44, 2.0153675744437636),
        (0.99, 5, 4.032142983555228),
        (0.99, 44, 2.6922782656930218),
    ],
)
def test_student_t(confidence: float, freedom: int, t: float) -> None:
    assert student_t(confidence, freedom) == pytest.approx(t, rel=1e-9)


def slow_crossed(values: list[float], people: list[str], images: list[str]) -> tuple[float, float]:
    """The same as sums over all pairs of answers, cluster by cluster."""
    n, mean = len(values), sum(values) / len(values)

    def pairs(same: Any, clusters: int) -> float:
        total = 0.0
        for i in range(n):
            for j in range(n):
                total += (values[i] - mean) * (values[j] - mean) if same(i, j) else 0.0
        return total * clusters / (clusters - 1)

    by_person = pairs(lambda i, j: people[i] == people[j], len(set(people)))
    by_image = pairs(lambda i, j: images[i] == images[j], len(set(images)))
    both = pairs(
        lambda i, j: people[i] == people[j] and images[i] == images[j], len(set(zip(people, images, strict=True)))
    )
    freedom = min(len(set(people)), len(set(images))) - 1
    half = student_t(0.95, freedom) * math.sqrt(max(by_person + by_image - both, both)) / n
    return mean - half, mean + half


def test_the_interval_over_people_and_images_is_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(0)
    for people, images in ((3, 4), (7, 5), (2, 9)):
        cells = [(p, i) for p in range(people) for i in range(images) if rng.random() < 0.8 or p == i]
        values = [float(rng.integers(1, 6)) for _ in cells]
        who, what = [f"p{p}" for p, _ in cells], [f"i{i}" for _, i in cells]
        assert crossed_interval(values, who, what) == pytest.approx(slow_crossed(values, who, what), abs=1e-12)


def test_with_one_person_the_interval_is_students_over_images() -> None:
    values = [2.0, 3.0, 3.0, 5.0, 4.0]  # SciPy: stats.t.interval(0.95, 4, 3.4, stats.sem(values))
    expected = pytest.approx((1.9842852230, 4.8157147770), abs=1e-9)
    assert crossed_interval(values, ["ann"] * 5, list("abcde")) == expected
    assert crossed_interval(values, list("abcde"), ["one.png"] * 5) == expected
    assert crossed_interval(values, ["ann"] * 5, list("abcde"), bounds=(2, 4)) == (2, 4)
    assert crossed_interval([3.0, 4.0], ["ann"] * 2, ["one.png"] * 2) is None
    assert crossed_interval([3.0, 3.0], ["ann", "bob"], ["one.png"] * 2) is None


def test_the_interval_covers_the_mean_where_people_and_images_differ() -> None:
    rng, covered, naive, rounds = np.random.default_rng(0), 0, 0, 400
    people, images = [p for p in range(8) for _ in range(12)], list(range(12)) * 8
    for _ in range(rounds):
        values = rng.normal(0, 0.6, 8)[people] + rng.normal(0, 0.6, 12)[images] + rng.normal(0, 1, 96)
        low, high = crossed_interval(values.tolist(), people, images) or (1.0, 1.0)
        covered += low <= 0 <= high
        naive += abs(values.mean()) <= 1.985 * values.std(ddof=1) / math.sqrt(96)
    assert 0.92 <= covered / rounds <= 0.985
    assert naive / rounds < 0.7  # what takes answers as independent is far too narrow


def test_fooling_rates(tmp_path: Path) -> None:
    said = {"ours": "real real fake fake fake", "real": "real real real fake real"}
    taken = {"protocol": "single", "question": "real or fake"}
    rows = [
        row(person, 1 + trial + 5 * (method == "real"), answer, method=method, **taken)
        for person in ("ann", "bob")
        for method, text in said.items()
        for trial, answer in enumerate(text.split())
    ]
    scores = score(read_answers([answers_csv(tmp_path / "a.csv", rows)]))
    assert list(scores.methods) == ["ours", "real"]
    ours = scores.methods["ours"]["real or fake"]
    assert (ours.mean, ours.answers, ours.people, ours.images) == (0.4, 10, 2, 5)
    assert ours.wilson == pytest.approx((0.16818033, 0.68732623), abs=1e-8)  # SciPy
    text = table(scores)
    assert re.search(r"ours +40.0 % +\[16.8, 68.7\] +\[.*\] +10 +2 +5", text)
    assert re.search(r"real +80.0 %", text)


def test_mean_opinion_scores_of_several_people_and_files(tmp_path: Path) -> None:
    grades = {"ann": [1, 2, 3, 4], "bob": [2, 2, 4, 5], "cyd": [3, 3, 3, 5]}
    files = [
        answers_csv(
            tmp_path / f"answers-{person}.csv",
            [row(person, 1 + i, g, q) for i, g in enumerate(each) for q in ("realness", "richness")],
        )
        for person, each in grades.items()
    ]
    with files[2].open("a", encoding="utf-8") as file:
        file.write("\r\n")  # an empty line at the end is none of the answers
    files[1].write_bytes(b"\xef\xbb\xbf" + files[1].read_bytes())  # as spreadsheets save it
    scores = score(read_answers(files))
    found = scores.methods["ours"]
    assert list(found) == ["realness", "richness"]
    values = [float(g) for each in grades.values() for g in each]
    assert found["realness"].mean == pytest.approx(37 / 12)
    people, images = [p for p in grades for _ in range(4)], [f"{1 + i}.png" for i in range(4)] * 3
    low, high = slow_crossed(values, people, images)
    assert found["realness"].interval == pytest.approx((max(1, low), min(5, high)))
    assert found["realness"].wilson is None
    write_scores(scores, tmp_path / "scores.json")
    written = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert written["methods"]["ours"]["richness"]["mean"] == found["richness"].mean
    assert (written["study"], written["people"], written["confidence"]) == ("1f2e", 3, 0.95)
    assert re.search(r"ours +3.08 \[.*\] +3.08 \[.*\] +24 +3 +4", table(scores))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (row("ann", 2, 6), "answer must be 1 or 2 or 3 or 4 or 5, got '6'"),
        (row("ann", 2, "4.0"), "answer must be"),
        (row("ann", 2, 4, "beauty"), "unknown question 'beauty'; expected correctness, realness, richness"),
        (row("ann", 0, 4), "trial must be an integer of at least 1, got '0'"),
        (row("ann", "²", 4), "trial must be an integer"),
        (row("", 2, 4), "person is empty"),
        (row("ann", 2, 4, image=""), "image is empty"),
        (row("ann", 1, 4), r"person 'ann' has answered 'realness' of trial 1 in .*a.csv: row 2 already"),
        (row("ann", 2, 4, study="0000"), "it is of study '0000', protocol 'mos', but .*a.csv: row 2 of study '1f2e'"),
        (row("ann", 2, 4, protocol="pair"), "it is of study '1f2e', protocol 'pair', but"),
        (row("ann", 2, 4)[:-1], "13 cells, expected 14"),
        (['1f2e,"mos'], None),
    ],
)  # fmt: skip
def test_bad_rows_are_named(tmp_path: Path, bad: list[object], says: str | None) -> None:
    first = answers_csv(tmp_path / "a.csv", [row("ann", 1, 3)])
    second = answers_csv(tmp_path / "b.csv", [row("bob", 1, 3), bad])
    if says is None:
        second.write_text(second.read_text(encoding="utf-8").replace('"""mos"', '"mos"x'), encoding="utf-8")
        second.write_text(second.read_text(encoding="utf-8").rstrip() + '\r\n1f2e,"mos"x', encoding="utf-8")
        says = ""
    with pytest.raises(ValueError, match=rf"^{re.escape(str(second))}: row [34]: .*{says}") as error:
        read_answers([first, second])
    assert "\n" not in str(error.value)


def test_files_that_are_no_answers_are_named(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a;b\n1;2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other.csv: row 1: its columns are not those of a study's answers"):
        read_answers([tmp_path / "other.csv"])
    (tmp_path / "utf16.csv").write_bytes("study".encode("utf-16"))
    with pytest.raises(ValueError, match=r"utf16.csv: after row 0: no text in UTF-8"):
        read_answers([tmp_path / "utf16.csv"])
    with pytest.raises(ValueError, match="no answers in 1 files"):
        read_answers([answers_csv(tmp_path / "empty.csv", [])])
    with pytest.raises(ValueError, match="no answers in 0 files"):
        read_answers([])
    pair = row("ann", 1, "real", "real or fake", protocol="pair", method="real")
    with pytest.raises(ValueError, match="row 2: method 'real' in protocol 'pair'"):
        read_answers([answers_csv(tmp_path / "pair.csv", [pair])])


def test_nonsense_is_refused_by_the_name_of_its_argument(folders: dict[str, Path], tmp_path: Path) -> None:
    fakes, out, one = {"ours": folders["ours"]}, tmp_path / "p.html", Answers("1f2e", "mos", [])
    calls: dict[str, Any] = {
        "real": lambda value: write_page(value, fakes, out),
        "fakes": lambda value: write_page(folders["real"], value, out),
        "fakes['ours']": lambda value: write_page(folders["real"], {"ours": value}, out),
        "out": lambda value: write_page(folders["real"], fakes, value),
        "settings": lambda value: write_page(folders["real"], fakes, out, value),
        "inputs": lambda value: Settings("mos", inputs=value),
        "title": lambda value: Settings(title=value),
        "files": lambda value: read_answers(value),
        "answers": lambda value: score(value),
        "scores": lambda value: table(value),
        "path": lambda value: write_scores(score(one), value),
    }
    for name, call in calls.items():
        for value in (3, 1.5, b"x", object(), {"a": 1}):
            with pytest.raises(ValueError, match=f"^{re.escape(name)} must be "):
                call(value if name != "fakes" or not isinstance(value, dict) else list(value))
    with pytest.raises(ValueError, match="files must be a list of paths, got 'answers"):
        read_answers("answers.csv")  # type: ignore[arg-type]


def test_a_confidence_is_a_share() -> None:
    one = Answers("1f2e", "mos", [Answer("ann", 1, "ours", "1.png", "realness", 3)])
    for confidence in (0, 1, 95, float("nan")):
        with pytest.raises(ValueError, match="confidence must be a number"):
            score(one, confidence)


@pytest.mark.slow
def test_the_commands(folders: dict[str, Path], tmp_path: Path) -> None:
    def command(*words: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "asymkit.evaluation.study", *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)

    small = ("--practice", 2, "--trials", 4, "--images", 8)
    done = command(folders["real"], f"a={folders['ours']}", folders["theirs"], "-o", "p.html", *small)
    assert done.returncode == 0, done.stderr
    assert study_of(tmp_path / "p.html")["methods"] == ["a", "theirs"]
    wrong = command(folders["real"], f"a={folders['ours']}", "a=x", "-o", "q.html")
    assert wrong.returncode == 1
    assert wrong.stderr == "error: fake: two folders have the name 'a'; give them names, such as a=x\n"
    answers_csv(tmp_path / "answers-ann.csv", [row("ann", trial, 1 + trial % 5) for trial in range(1, 9)])
    done = command("score", "answers-ann.csv", "-o", "s.json", "--confidence", "0.9")
    assert done.returncode == 0, done.stderr
    assert "realness [90 %]" in done.stdout
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["confidence"] == 0.9
    wrong = command("score", "missing.csv")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: ")
    assert "missing.csv" in wrong.stderr
