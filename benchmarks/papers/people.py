"""Studies with people: the page that asks them, and the scores of the answers that were put beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from asymkit.evaluation import Row
from asymkit.evaluation.study.answers import read_answers
from asymkit.evaluation.study.page import write_page
from asymkit.evaluation.study.scores import score
from asymkit.evaluation.study.settings import Settings
from papers import domains, gestures
from papers.work import Work


class Asked(NamedTuple):
    """Pages by what they ask, and figures by the name of the arm, none where nobody has answered."""

    files: dict[str, str]
    rows: dict[str, list[Row]]


def ask(works: Sequence[Work], real: Path, fakes: Mapping[str, Path], settings: Settings, name: str = "") -> Asked:
    """Write a page beside the images of all arms, and score the answers in the folder that has its name."""
    first = works[0]
    page = first.out.parent / f"study{f'-{name}' if name else ''}-{first.seed}.html"
    if first.tools.toy:
        settings = replace(settings, practice=1)
    print(write_page(real, fakes, page, replace(settings, title=first.exhibit.title)))
    answers = sorted(page.with_suffix("").glob("*.csv"))
    about = f"page for people; put the CSV files that they save in {page.with_suffix('')}"
    if not answers:
        return Asked({about: str(page)}, {})
    found, rows = score(read_answers(answers)), dict[str, list[Row]]()
    for method, by_question in found.methods.items():
        for question, each in by_question.items():
            said, grades = f"{each.answers:,} answers of {each.people} people", question != "real or fake"
            spread = None if each.interval is None else (each.interval[1] - each.interval[0]) / 2
            figure = question if grades else f"{f'to {name}: ' if name else ''}taken for real (%)"
            times = 1 if grades else 100
            row = Row(figure, times * each.mean, f"{said}; ± half the 95 % interval", spread and times * spread)
            rows.setdefault(method, []).append(row)
    return Asked({about: str(page)}, rows)


def mos(works: Sequence[Work]) -> Asked:
    """Grades from 1 to 5 for correctness, realness and richness [AsymGAN Table III]."""
    first = works[0]
    settings = Settings(protocol="mos", inputs=first.test("B", first.at), rate_real=False)
    fakes = {work.arm.name: work.translated("poor_to_rich") for work in works if work.training}
    return ask(works, first.test("A", first.at), fakes, settings)


def domain_pairs(works: Sequence[Work]) -> Asked:
    """Which of two images is real; of two domains one page for each direction [AsymmetricGAN Table 5]."""
    trained = [work for work in works if work.training]
    made = {work.arm.name: domains.translated(work) for work in trained}
    inputs = domains.real(trained[0])
    if len(inputs) > 2:
        fakes = {work.arm.name: domains.pooled(work, "all", made[work.arm.name]) for work in trained}
        return ask(works, domains.pooled(trained[0], "real", inputs), fakes, Settings())
    asked = Asked({}, {})
    for target, folder in inputs.items():
        called = {"A": "photo", "B": "label"}.get(target, target)
        one = ask(works, folder, {name: folders[target] for name, folders in made.items()}, Settings(), called)
        asked.files.update({f"to {called}: {about}": page for about, page in one.files.items()})
        for name, rows in one.rows.items():
            asked.rows.setdefault(name, []).extend(rows)
    return asked


def gesture_pairs(works: Sequence[Work]) -> Asked:
    """Which of two photos of a hand is real [AsymmetricGAN Table 11, Table 12]."""
    folders = {work.arm.name: gestures.translated(work) for work in works if work.training}
    real = next(iter(folders.values()))[0]
    return ask(works, real, {name: fake for name, (_, fake) in folders.items()}, Settings(paired=True))
