"""Which photos are pairs, and which of the pairs are for the test: CSV files."""

from __future__ import annotations

import csv
from collections import defaultdict
from itertools import permutations
from pathlib import Path

from asymkit.evaluation.images import shortened

Names = tuple[str, str]
"""Of source and target, without ending."""

SPLITS = ("train", "test")


def split_pairs(pairs: Path, test_pairs: Path | None) -> tuple[list[Names], list[Names]]:
    """Pairs for training and for the test, the latter none where nothing says which they are.

    Args:
        pairs: a file for :func:`read_splits`.
        test_pairs: another one, or None.

    Raises:
        ValueError: a file that cannot be read as pairs, or both say which the test pairs are.
    """
    splits = read_splits(pairs)
    if test_pairs is None:
        return splits["train"], splits.get("test", [])
    tests = read_splits(test_pairs, "test_pairs")
    for path, found in ((pairs, splits), (test_pairs, tests)):
        if "test" in found:
            raise ValueError(
                f"test_pairs: {str(path)!r} has a column split, which says it already; give that file as --pairs and no other"
            )
    return splits["train"], tests["train"]


def read_pairs(path: Path) -> list[Names]:
    """Names, without ending, of source and target: as listed, or all of one person; of all splits.

    Raises:
        ValueError: see :func:`read_splits`.
    """
    return [pair for pairs in read_splits(path).values() for pair in pairs]


def read_splits(path: Path, option: str = "pairs") -> dict[str, list[Names]]:
    """The pairs of a file by split: train and test, if it has a column of that name, else all of them as train.

    Args:
        path: a CSV file with columns source and target, or file and person.
        option: name of the command-line option, for messages.

    Raises:
        ValueError: the file is missing, has other columns or other splits, or no pairs of one of them.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # Excel's files begin with a byte order mark
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{option}: cannot read {str(path)!r}: {shortened(error)}") from error
    columns = {str(name) for name in rows[0]} if rows else set()  # cells beside the columns have the name None
    for number, row in enumerate(rows, 2):
        line = f"{option}: line {number} of {str(path)!r}"
        if any(not row[name] for name in ("source", "target", "file", "person", "split") if name in columns):
            raise ValueError(f"{line} has an empty cell")
        if "split" in columns and row["split"] not in SPLITS:
            raise ValueError(f"{line} has the split {shortened(row['split'])!r}; expected train or test")
    said = f"{option}: {str(path)!r}"
    if "split" not in columns:
        return {"train": _pairs_of(rows, columns, said)}
    parts = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    if missing := [split for split, part in parts.items() if not part]:
        raise ValueError(f"{said} has a column split, and no line of {missing[0]}; expected both splits")
    return {split: _pairs_of(part, columns, said) for split, part in parts.items()}


def _pairs_of(rows: list[dict[str, str]], columns: set[str], said: str) -> list[Names]:
    if {"source", "target"} <= columns:
        return [(Path(row["source"]).stem, Path(row["target"]).stem) for row in rows]
    if {"file", "person"} <= columns:
        persons: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            persons[row["person"]].append(Path(row["file"]).stem)
        if found := [pair for names in persons.values() for pair in permutations(names, 2)]:
            return found
        raise ValueError(f"{said} names {len(rows)} files, no two of one person; a pair needs two")
    raise ValueError(f"{said} has columns {shortened(sorted(columns))}; expected source and target, or file and person")
