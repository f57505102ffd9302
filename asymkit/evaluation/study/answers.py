"""The answers that people saved from the page of a study, read from their CSV files and checked row by row."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asymkit.arguments import described, path_of
from asymkit.evaluation.study.protocols import QUESTIONS, REAL

COLUMNS = (
    "study", "protocol", "person", "trial", "method", "image", "real", "side", "question", "answer",
    "shown_ms", "answer_ms", "width_px", "time",
)  # fmt: skip
"""Of the files, in this order; docs/study.md says what each holds."""

_GRADES = {str(grade): float(grade) for grade in range(1, 6)}
_TAKEN = {"real": 1.0, "fake": 0.0}


class Answer(NamedTuple):
    """What one person said about one image."""

    person: str
    trial: int
    method: str
    """Of the image; "real" for a real one."""
    image: str
    """The name of its file."""
    question: str
    value: float
    """1 to 5; or 1 where the image was taken for real and 0 where it was not."""


class Answers(NamedTuple):
    """The answers of several people to one study."""

    study: str
    protocol: str
    rows: list[Answer]


def read_answers(files: Sequence[Path]) -> Answers:
    """Read the answers that people saved from the page of one study.

    Args:
        files: the CSV files.

    Returns:
        All answers in them.

    Raises:
        ValueError: a file that is none of them or of another study than the first, a row that is damaged or there twice, or no
            answers at all. The message names file and row as a spreadsheet does: the header is row 1.
        OSError: a file that is missing or cannot be read.
    """
    if isinstance(files, str) or not isinstance(files, Sequence):
        raise ValueError(f"files must be a list of paths, got {described(files)}")
    rows: list[Answer] = []
    seen: dict[tuple[str, int, str], str] = {}
    first: tuple[str, str, str] | None = None
    for file in files:
        for where, cells in _rows(path_of("files", file)):
            study, protocol = cells["study"], cells["protocol"]
            first = first or (study, protocol, where)
            if (study, protocol) != first[:2]:
                raise ValueError(
                    f"{where}: it is of study {study!r}, protocol {protocol!r}, but {first[2]} of study {first[0]!r}, protocol "
                    f"{first[1]!r}; score each study on its own"
                )
            answer = _answer(where, cells)
            key = (answer.person, answer.trial, answer.question)
            if key in seen:
                raise ValueError(
                    f"{where}: person {answer.person!r} has answered {answer.question!r} of trial {answer.trial} in {seen[key]} "
                    "already; give each person's answers once"
                )
            seen[key] = where
            rows.append(answer)
    if first is None:
        raise ValueError(
            f"no answers in {len(files)} files; expected the CSV files that people saved from the page of a study"
        )
    return Answers(first[0], first[1], rows)


def _rows(file: Path) -> list[tuple[str, dict[str, str]]]:
    """Each row of a file, with its place as messages have it."""
    number, found = 0, []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:  # spreadsheets may put a byte order mark first
            for number, cells in enumerate(csv.reader(lines, strict=True), 1):
                where = f"{file}: row {number}"
                if number == 1 and tuple(cells) != COLUMNS:
                    raise ValueError(
                        f"{where}: its columns are not those of a study's answers, which are {','.join(COLUMNS)}; give the file "
                        "as the page saved it (spreadsheets may write other separators)"
                    )
                if number > 1 and cells:
                    if len(cells) != len(COLUMNS):
                        raise ValueError(f"{where}: {len(cells)} cells, expected {len(COLUMNS)}")
                    found.append((where, dict(zip(COLUMNS, cells, strict=True))))
    except csv.Error as error:
        raise ValueError(f"{file}: row {number + 1}: no CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: after row {number}: no text in UTF-8; give the file as the page saved it") from error
    return found


def _answer(where: str, cells: dict[str, str]) -> Answer:
    for name in ("study", "person", "method", "image"):
        if not cells[name]:
            raise ValueError(f"{where}: {name} is empty")
    if cells["protocol"] not in QUESTIONS:
        raise ValueError(f"{where}: unknown protocol {cells['protocol']!r}; expected {', '.join(QUESTIONS)}")
    if not (cells["trial"].isdecimal() and int(cells["trial"]) >= 1):
        raise ValueError(f"{where}: trial must be an integer of at least 1, got {cells['trial']!r}")
    questions = QUESTIONS[cells["protocol"]]
    if cells["question"] not in questions:
        raise ValueError(f"{where}: unknown question {cells['question']!r}; expected {', '.join(questions)}")
    if cells["protocol"] == "pair" and cells["method"] == REAL:
        raise ValueError(f"{where}: method {REAL!r} in protocol 'pair', whose rows are about generated images")
    valid = _GRADES if cells["protocol"] == "mos" else _TAKEN
    if cells["answer"] not in valid:
        raise ValueError(f"{where}: answer must be {' or '.join(valid)}, got {cells['answer']!r}")
    return Answer(
        cells["person"], int(cells["trial"]), cells["method"], cells["image"], cells["question"], valid[cells["answer"]]
    )
