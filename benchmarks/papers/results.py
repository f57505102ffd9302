"""Results as JSON: a file for each paper, an entry for each arm of an exhibit on a data set with a seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import report

from papers.registry import Arm, Exhibit
from papers.sets import Opened

Entry = dict[str, Any]


class Where(Protocol):
    """What of the options decides where an entry stands."""

    @property
    def results(self) -> Path:
        """Folder of the files."""

    @property
    def changes(self) -> dict[str, Any]:
        """Options in place of the paper's."""

    @property
    def toy(self) -> bool:
        """Whether figures mean nothing."""


def entries(folder: Path, paper: str) -> dict[str, Entry]:
    """What was measured so far of a paper."""
    path = folder / f"{paper}.json"
    found: dict[str, Entry] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def key_of(exhibit: Exhibit, data: Opened | None, arm: Arm, seed: int, options: Where) -> str:
    """Of an entry: another folder of data or another setting, another entry."""
    changes = " ".join(f"{name}={value}" for name, value in sorted(options.changes.items()))
    parts = [exhibit.key, "" if data is None else data.title, arm.name, str(seed), *([changes] if changes else [])]
    return " | ".join([*parts, *(["toy"] if options.toy else [])])


def keep(options: Where, exhibit: Exhibit, data: Opened | None, arm: Arm, seed: int, entry: Entry) -> None:
    """Write an entry beside the others, over what it says again."""
    found, key = entries(options.results, exhibit.paper), key_of(exhibit, data, arm, seed, options)
    about: Entry = {"exhibit": exhibit.key, "set": "" if data is None else data.name, "arm": arm.name, "seed": seed}
    about |= {"data": "" if data is None else data.folder.name, "changes": options.changes, "toy": options.toy}
    found[key] = {**found.get(key, {}), **about, **entry}
    report.write_entries(options.results / f"{exhibit.paper}.json", found)
