"""The tables of docs/results.md, from what ``python benchmarks/hidden_factors`` has measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from report import KINDS, Results, kind_of, table

from hidden_factors.claims import CLAIMS, COSTS, HIGHER_IS_BETTER, LOWER_IS_BETTER, verdict
from hidden_factors.entries import (
    BITS,
    Entry,
    budget,
    differences,
    grouped,
    measured,
    of_equal_steps,
    paired,
    pairs_of,
    place_of,
    settings_of,
    shown,
    values_of,
)
from hidden_factors.headlines import headlines_table

WHEN = ("last", "best")

COLUMNS = {
    "directions": ("x→y error", "x→y accuracy", "y→x error", "rebuild", "bits", "style"),
    "leak": ("rebuild", "rebuild from y", "leak", "factors", "factors from y", "factor leak", "noise", "quantised"),
    "determined": ("x→y error", "y→x error", "right", "right from G(x)"),
    "digits": ("x→y accuracy", "y→x accuracy", "rebuild"),
    "segmentation": ("x→y error", "x→y pixels", "x→y IoU", "y→x pixels", "y→x IoU", "leak", "bits", "diversity"),
    "domains": ("translation error", "reconstruction error", "domain accuracy"),
    "folder": ("reconstruction error", "domain accuracy", "real accuracy"),
}


def scores_table(entries: Iterable[Entry], columns: Sequence[str]) -> str:
    """One row for each number of factors, arm and epoch: mean ± half the 95 % interval over the seeds."""
    rows = []
    for (*_, factors, arm), runs in grouped(entries).items():
        for when in WHEN if runs[0]["steps"] else WHEN[:1]:
            row: dict[str, Any] = {"hidden bits": f"{factors * BITS:.3g}", "arm": arm, "epoch": when}
            row |= {"seeds": len(runs), "steps": budget(runs)}
            row |= {name: shown(values_of(runs, name, when)) for name in columns}
            rows.append(row)
    return table(("hidden bits", "arm", "epoch", "seeds", "steps", *columns), rows)


def costs_table(entries: Iterable[Entry]) -> str:
    """One row for each arm whose cost was measured, in a set and a size on a kind of CPU: the mean over its runs."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for runs in grouped(entry for entry in entries if entry.get("cost")).values():
        for run in runs:
            place = f"{place_of(run)}, {KINDS[kind_of(run['machine'])]}"
            found.setdefault((place, run["about"]), []).append(run)
    rows: list[dict[str, Any]] = [
        {"set": place, "arm": arm, "runs": len(runs)}
        | {name: fmean(values) for name in COSTS if (values := values_of(runs, name))}
        for (place, arm), runs in sorted(found.items(), key=lambda item: item[0][0])
    ]
    return table(("set", "arm", "runs", *COSTS), rows)


def verdicts_table(entries: Iterable[Entry]) -> str:
    """One row for each claim, set, budget and number of factors that was measured."""
    by_arm, rows = grouped(entries), []
    for claim in CLAIMS:
        for own, other in pairs_of(by_arm, claim.arm, claim.rival):
            row: dict[str, Any] = {"claim": claim.about, "score": claim.score}
            row |= {"arm": own[0]["about"], "against": other[0]["about"]}
            row |= {
                "set": place_of(own[0]),
                "hidden bits": f"{own[0]['factors'] * BITS:.3g}",
                "steps": budget([*own, *other]),
            }
            for when in WHEN:
                found = differences(claim, own, other, when)
                row[f"{when} epoch"] = f"{verdict(found)} ({shown(found)})" if found else None
            if row["last epoch"]:
                rows.append(row)
    columns = ("claim", "score", "arm", "against", "set", "hidden bits", "steps", "last epoch", "best epoch")
    return table(columns, rows)


def gains(entries: Iterable[Entry], arm: str, rival: str) -> dict[str, dict[float, list[float]]]:
    """The dial: by score and hidden bits, by how much every seed of an arm is better than a rival on strokes.

    Of the setting, other than minutes, in which both were run with most numbers of factors, then seeds, then steps.
    """
    settings: dict[tuple[str, ...], list[tuple[list[Entry], list[Entry]]]] = {}
    for pair in pairs_of(grouped(of_equal_steps(entry for entry in entries if entry["set"] == "strokes")), arm, rival):
        settings.setdefault((str(pair[0][0]["size"]), settings_of(pair[0][0])), []).append(pair)
    pairs = max(
        settings.values(),
        key=lambda pairs: (len(pairs), sum(min(map(len, pair)) for pair in pairs), pairs[0][0][0]["steps"]),
        default=[],
    )
    found: dict[str, dict[float, list[float]]] = {}
    for claim in CLAIMS:
        for own, other in pairs:
            gained = differences(claim, own, other, "last")
            if gained and (claim.arm, claim.rival) == (arm, rival):
                found.setdefault(claim.score, {})[own[0]["factors"] * BITS] = gained
    return {score: dict(sorted(places.items())) for score, places in found.items()}


def repeated(found: Mapping[str, Entry], kept: Mapping[str, Entry]) -> str:
    """The scores after the last epoch of runs that have been measured twice, with the same settings and seed."""
    rows = [
        {"run": key, "score": name, "here": f"{score:.4f}", "kept": f"{kept[key]['last'][name]:.4f}"}
        for key in found
        if key in kept
        for name, score in found[key]["last"].items()
        if name in LOWER_IS_BETTER | HIGHER_IS_BETTER
    ]
    return table(("run", "score", "here", "kept"), rows)


def short_table(entries: Iterable[Entry], arm: str = "asymgan-zcycle1", rival: str = "cyclegan") -> str:
    """Two arms by every claim about them, after the last epoch: of the settings with most seeds of both, then most steps."""
    both = pairs_of(grouped(of_equal_steps(entries)), arm, rival)
    if not both:
        return "Not measured."
    seeds, steps = most = max((min(map(len, pair)), pair[0][0]["steps"]) for pair in both)
    chosen = [pair for pair in both if (min(map(len, pair)), pair[0][0]["steps"]) == most]
    bits = {pair[0][0]["factors"]: f"{pair[0][0]['factors'] * BITS:.3g} bits hidden" for pair in chosen}
    rows: list[dict[str, Any]] = []
    for claim in CLAIMS:
        if (claim.arm, claim.rival) != (arm, rival):
            continue
        row: dict[str, Any] = {"score": _about(claim.score)}
        for own, other in chosen:
            if found := paired(claim.score, own, other, "last"):
                means = [f"{fmean(values):.3f}" for values in zip(*found, strict=True)]
                decided = verdict([claim.difference(*pair) for pair in found])
                row[bits[own[0]["factors"]]] = f"{' / '.join(means)}, {decided}"
        if len(row) > 1:
            rows.append(row)
    names = [runs[0]["about"] for runs in chosen[0]]
    about = f"{' / '.join(names)}; means of {seeds} seeds after {steps:,} steps, and whether the first is better:"
    return f"{about}\n\n{table(('score', *(bits[factors] for factors in sorted(bits))), rows)}"


def _about(score: str) -> str:
    lower = score in LOWER_IS_BETTER
    return f"{(LOWER_IS_BETTER if lower else HIGHER_IS_BETTER)[score]} ({'lower' if lower else 'higher'} is better)"


def legend() -> str:
    """What the scores are."""
    both = {"lower": LOWER_IS_BETTER, "higher": HIGHER_IS_BETTER}
    rows = [{"score": n, "what": what, "better": way} for way, names in both.items() for n, what in names.items()]
    return table(("score", "what", "better"), rows)


def commands(entries: Iterable[Entry]) -> str:
    """The exact commands, commits and machines."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in entries:
        about = entry["machine"]
        key = (entry["command"], about["commit"], about["device"])
        row = rows.setdefault(
            key, {"command": f"`{key[0]}`", "commit": key[1], "machine": key[2], "runs": 0, "min": 0.0}
        )
        row["runs"], row["min"] = row["runs"] + 1, row["min"] + entry["seconds"] / 60
        row["threads"], row["torch"] = about["threads"], about["torch"]
    return table(("command", "commit", "machine", "threads", "torch", "runs", "min"), list(rows.values()))


def _of(kind: str) -> list[Entry]:
    return [entry for entry in measured() if entry["set"] == kind]


def _block(text: str, found: Sequence[Entry]) -> str:
    return text if found else "Not measured."


def _table(kind: str, columns: str) -> Callable[[Results], str]:
    return lambda _: _block(scores_table(_of(kind), COLUMNS[columns]), _of(kind))


BLOCKS: dict[str, Callable[[Results], str]] = {
    "hidden-factors-headlines": lambda _: _block(headlines_table(measured()), measured()),
    "hidden-factors-directions": _table("strokes", "directions"),
    "hidden-factors-short": lambda _: short_table(_of("strokes")),
    "hidden-factors-leak": _table("strokes", "leak"),
    "hidden-factors-determined": _table("determined", "determined"),
    "hidden-factors-digits": _table("digits", "digits"),
    "hidden-factors-scenes": _table("scenes", "segmentation"),
    "hidden-factors-streets": _table("streets", "segmentation"),
    "hidden-factors-domains": _table("domains", "domains"),
    "hidden-factors-folder": _table("folder", "folder"),
    "hidden-factors-costs": lambda _: _block(costs_table(measured()), [run for run in measured() if run.get("cost")]),
    "hidden-factors-verdicts": lambda _: _block(verdicts_table(measured()), measured()),
    "hidden-factors-scores": lambda _: legend(),
    "hidden-factors-commands": lambda _: _block(commands(measured()), measured()),
}
"""By the name of a block of a page, as benchmarks/pages.py writes them."""
