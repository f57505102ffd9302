"""Tables: the list of all exhibits, and one exhibit's figures with the paper's beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from report import RESULTS as ALL_RESULTS
from report import Results, table

from papers.registry import NEEDS, Exhibit, exhibits
from papers.results import Entry, entries
from papers.sets import LAYOUTS, SETS

RESULTS = ALL_RESULTS / "papers"
PAPERS = {"asymmetricgan": "AsymmetricGAN", "asymgan": "AsymGAN", "asyncgan": "Async-GAN"}
SHARES = ("accuracy", "IoU", "top-1", "top-5")
"""Figures that are printed as per cent, by what is in their names."""


def shown(name: str, value: float | None) -> str | None:
    """A figure as it stands in a table."""
    if value is None:
        return None
    if any(part in name for part in SHARES):
        return f"{value:.1%}"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4g}"


def size_of(exhibit: Exhibit) -> str:
    """The sides of the images in training, as far as they are said and not the example's own."""
    found = []
    for arm in exhibit.arms:
        size: Any = arm.options.get("size", {"cyclegan": 256}.get(arm.preset))
        if arm.example == "asyncgan" and size is None:
            size = 512
        own = {"asymmetricgan_domains": 128, "stargan": 128, "asymmetricgan_gesture": 256, "asyncgan_digits": 32}
        size = own.get(arm.example) if size is None else size
        text = f"{size[0]}×{size[1]}" if isinstance(size, tuple) else "" if size is None else f"{size}²"
        found += [text] if text and text not in found else []
    return ", ".join(found)


def listed(paper: str | None = None) -> str:
    """Every table and figure: its command, its size, the data sets and what else is needed, or where the rest is."""
    rows = []
    for each in exhibits():
        if paper not in (None, each.paper):
            continue
        name = f"{PAPERS[each.paper]} {each.kind.capitalize()} {each.number}"
        row = {"": name, "shows": each.title, "command": f"`--{each.kind} {each.id}`" if each.measures else None}
        arms = ", ".join(dict.fromkeys(arm.name for arm in each.arms))
        rows.append(
            row
            | {
                "arms": arms or None,
                "size": size_of(each) or None,
                "data": ", ".join(each.sets) or None,
                "needs": ", ".join(each.needs) or None,
                "notes": each.note or None,
            }
        )
    return table(("", "shows", "command", "arms", "size", "data", "needs", "notes"), rows)


def legend() -> str:
    """What the words under "needs" are."""
    return table(
        ("needs", "what to put in place"),
        [{"needs": name, "what to put in place": said} for name, said in NEEDS.items()],
    )


def listed_sets() -> str:
    """What to put in place for every data set."""
    rows = [
        {
            "data": name,
            "in the papers": one.title,
            "from": one.where or None,
            "folder": "; ".join(filter(None, (LAYOUTS[one.kind], one.also))),
        }
        for name, one in SETS.items()
    ]
    return table(("data", "in the papers", "from", "folder"), rows)


def beside(exhibit: Exhibit, folder: Path = RESULTS) -> str:
    """The figures of an exhibit, the paper's above ours, a table for each data set."""
    found = [entry for entry in entries(folder, exhibit.paper).values() if entry["exhibit"] == exhibit.key]
    parts = []
    for name in exhibit.sets or [""]:
        of_set = [entry for entry in found if entry["set"] == name]
        text = _table(exhibit, exhibit.reported.get(name, {}), of_set)
        parts.append(f"{name}\n\n{text}" if name else text)
    return "\n\n".join(
        [f"{PAPERS[exhibit.paper]}, {exhibit.kind.capitalize()} {exhibit.number}: {exhibit.title}", *parts]
    )


def _table(exhibit: Exhibit, reported: Mapping[str, Mapping[str, str]], found: Sequence[Entry]) -> str:
    ours: dict[tuple[str, str], list[Entry]] = {}
    for entry in found:
        ours.setdefault((entry["arm"], _settings(entry)), []).append(entry)
    order = [*(arm.name for arm in exhibit.arms), *(arm for arm, _ in ours)]
    names = [name for name in reported if name not in order] + list(dict.fromkeys(order))
    rows: list[dict[str, str | None]] = []
    for name in names:
        if name in reported:
            rows.append({"method": name, "from": "paper", **reported[name]})
        for (arm, settings), of_arm in ours.items():
            if arm == name:
                rows.append({"method": name, "from": f"here{settings}", **_figures(of_arm)})
    columns = dict.fromkeys(column for row in [*rows[::-1], *rows] for column in row)
    first = [column for row in reported.values() for column in row]
    ordered = ["method", "from", *dict.fromkeys([*first, *(c for c in columns if c not in ("method", "from"))])]
    if not rows:
        return "Not measured."
    return table(ordered, rows) if len(ordered) > 2 else "Pictures, no figures."


def _settings(entry: Entry) -> str:
    said = [entry["data"]] if entry["data"] != entry["set"] else []
    said += [f"{name}={value}" for name, value in entry["changes"].items()]
    said += ["toy: no figures to report"] if entry["toy"] else []
    return f" ({', '.join(said)})" if said else ""


def _figures(of_arm: Sequence[Entry]) -> dict[str, str | None]:
    """Mean over the seeds, with the deviation where there are several, else that of the figure itself."""
    values: dict[str, list[Any]] = {}
    for entry in of_arm:
        for row in [*entry.get("rows", []), *entry.get("people", [])]:
            values.setdefault(row["figure"], []).append(row)
    cells: dict[str, str | None] = {"seeds": str(len(of_arm))} if len(of_arm) > 1 else {}
    for name, rows in values.items():
        numbers = [row["value"] for row in rows if row["value"] is not None]
        if not numbers:
            cells[name] = None
            continue
        text = shown(name, mean(numbers))
        spread = stdev(numbers) if len(numbers) > 1 else rows[0]["spread"]
        cells[name] = text if spread is None else f"{text} ± {shown(name, spread)}"
    return cells


def _measured(paper: str) -> str:
    done = {entry["exhibit"] for entry in entries(RESULTS, paper).values()}
    texts = [beside(each) for each in exhibits() if each.key in done]
    return "\n\n".join(texts) or "Not measured."


BLOCKS: dict[str, Callable[[Results], str]] = {
    "papers-sets": lambda _: listed_sets(),
    "papers-needs": lambda _: legend(),
    **{f"papers-{paper}-list": (lambda _, paper=paper: listed(paper)) for paper in PAPERS},  # type: ignore[misc]
    **{f"papers-{paper}": (lambda _, paper=paper: _measured(paper)) for paper in PAPERS},  # type: ignore[misc]
}
"""By the name of a block of a page, as benchmarks/pages.py writes them."""
