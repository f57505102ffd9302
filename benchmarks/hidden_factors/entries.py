"""What was measured: runs, those that differ in their seed alone, and differences of two arms."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from report import RESULTS, kind_of

from hidden_factors.claims import COSTS, Claim, interval

Entry = Mapping[str, Any]
Grouped = dict[tuple[str, str, int, str, int, str], list[Entry]]
"""Runs that differ in nothing but the seed, by set, folder, size, settings, factors and arm."""
FOLDER = RESULTS / "hidden_factors"
BITS = math.log2(12)
"""Of a hidden factor."""
WIDTH = 16
"""Of the generators in most runs."""


def measured(folder: Path = FOLDER) -> list[Entry]:
    """The entries of all files; what an arm is called says its width, where that is not the usual one."""
    return [
        entry
        if (width := entry["training"]["width"]) == WIDTH
        else entry | {"about": f"{entry['about']}, width {width}"}
        for path in sorted(folder.glob("*.json"))
        for entry in json.loads(path.read_text(encoding="utf-8")).values()
    ]


def grouped(entries: Iterable[Entry]) -> Grouped:
    """Runs that differ in nothing but the seed."""
    found: Grouped = {}
    for entry in sorted(entries, key=lambda entry: (entry["factors"], entry["seed"])):
        key = (
            entry["set"],
            entry.get("folder") or "",
            entry["size"],
            settings_of(entry),
            entry["factors"],
            entry["about"],
        )
        found.setdefault(key, []).append(entry)
    return found


def settings_of(entry: Entry) -> str:
    """Of its training, as text."""
    return json.dumps(entry["training"], sort_keys=True)


def minutes_of(entry: Entry) -> float:
    """After which a run was ended; 0 for one of a number of steps."""
    minutes: float = entry["training"].get("minutes", 0.0)
    return minutes


def of_equal_steps(entries: Iterable[Entry]) -> list[Entry]:
    """Those that were not ended by the clock."""
    return [entry for entry in entries if not minutes_of(entry)]


def place_of(entry: Entry) -> str:
    """The set, or the name of the folder that it is, and the size of its images."""
    return f"{entry['folder'] if entry['set'] == 'folder' else entry['set']} {entry['size']}²"


def scores_of(run: Entry, when: str) -> Mapping[str, float]:
    """Of an epoch, with what the whole run has cost."""
    return {**run[when], **run.get("cost", {})}


def values_of(runs: Sequence[Entry], name: str, when: str = "last") -> list[float]:
    """A score of each run that has it."""
    return [scores[name] for run in runs if name in (scores := scores_of(run, when))]


def pairs_of(by_arm: Grouped, arm: str, rival: str) -> list[tuple[list[Entry], list[Entry]]]:
    """The runs of two arms that differ in nothing else."""
    return [
        (own, other)
        for key, own in by_arm.items()
        for rival_key, other in by_arm.items()
        if key[:-1] == rival_key[:-1] and (own[0]["arm"], other[0]["arm"]) == (arm, rival)
    ]


def paired(score: str, own: Sequence[Entry], other: Sequence[Entry], when: str) -> list[tuple[float, float]]:
    """A score of both arms with each seed that both have; of costs, on the same kind of CPU."""

    def of(run: Entry) -> tuple[int, str]:
        return run["seed"], kind_of(run["machine"]) if score in COSTS else ""

    rivals = {of(run): scores_of(run, when) for run in other}
    both = [(scores_of(run, when), rivals[of(run)]) for run in own if of(run) in rivals]
    return [(a[score], b[score]) for a, b in both if score in a and score in b]


def differences(claim: Claim, own: Sequence[Entry], other: Sequence[Entry], when: str) -> list[float]:
    """By seed, positive where the claim is right."""
    return [claim.difference(a, b) for a, b in paired(claim.score, own, other, when)]


def shown(values: Sequence[float]) -> str | None:
    """Mean ± half the 95 % interval."""
    if not values:
        return None
    mean, half = interval(values)
    digits = ",.0f" if abs(mean) >= 1000 else ".4f"
    return f"{mean:{digits}}" if math.isnan(half) else f"{mean:{digits}} ± {half:{digits}}"


def budget(runs: Sequence[Entry]) -> int | str:
    """Steps of runs with one setting, and the minutes that have ended them, if it was those."""
    steps = [run["steps"] for run in runs]
    if not (minutes := minutes_of(runs[0])):
        return max(steps)
    few, most = min(steps), max(steps)
    return f"{few:,}{f' to {most:,}' if most > few else ''} in {minutes:g} min"
