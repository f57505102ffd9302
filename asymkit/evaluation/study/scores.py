"""Scores of a user study: fooling rates and mean opinion scores (MOS) of each method, with confidence intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

from asymkit.arguments import instance_of, path_of
from asymkit.checkpoints.durable import write_whole
from asymkit.evaluation.study.answers import Answer, Answers
from asymkit.evaluation.study.intervals import Interval, crossed_interval, wilson
from asymkit.evaluation.study.protocols import QUESTIONS, REAL
from asymkit.evaluation.table import aligned

_CROSSED = (
    "over people and images: Student's t with errors clustered by person and by image, because answers of one person and answers "
    "about one image are alike; for comparing methods. With one person it is over images only, with one image over people only"
)
_WILSON = "Wilson: of all answers as if they were independent; sensible at 0 % and 100 % and for few answers"


@dataclass(frozen=True)
class Score:
    """The answers to one question about one method.

    Attributes:
        mean: the share of its images that were taken for real, or their mean grade.
        interval: of the mean, over people and images; None where there is nothing to tell from.
        wilson: Wilson's interval of the share; None for grades.
        answers: how many.
        people: who gave them.
        images: they are about.
    """

    mean: float
    interval: Interval | None
    wilson: Interval | None
    answers: int
    people: int
    images: int


@dataclass(frozen=True)
class Scores:
    """All scores of a study.

    Attributes:
        study: its id.
        protocol: "pair", "single" or "mos".
        confidence: of the intervals.
        people: how many answered.
        methods: the scores of each method by question; "real" stands for the real images and comes last.
        intervals: what the intervals are.
    """

    study: str
    protocol: str
    confidence: float
    people: int
    methods: dict[str, dict[str, Score]]
    intervals: list[str] = field(default_factory=list)


def score(answers: Answers, confidence: float = 0.95) -> Scores:
    """Score the answers to a study.

    Args:
        answers: of one or several people, see :func:`asymkit.evaluation.study.answers.read_answers`.
        confidence: of the intervals.

    Returns:
        For each method the fooling rate (protocols "pair" and "single") or the MOS of each attribute ("mos").

    Raises:
        ValueError: a confidence that is not between 0 and 1.

    Example:
        >>> from asymkit.evaluation.study.answers import Answer, Answers
        >>> from asymkit.evaluation.study.scores import score
        >>> said = [Answer("ann", trial, "ours", f"{trial}.png", "real or fake", trial % 2) for trial in range(1, 11)]
        >>> found = score(Answers("1f2e", "pair", said)).methods["ours"]["real or fake"]
        >>> found.mean, [round(end, 3) for end in found.wilson]
        (0.5, [0.237, 0.763])
    """
    instance_of("answers", answers, Answers, "what read_answers gives")
    mos = answers.protocol == "mos"
    methods: dict[str, dict[str, Score]] = {}
    for method in sorted({row.method for row in answers.rows}, key=lambda name: (name == REAL, name)):
        rows = [row for row in answers.rows if row.method == method]
        by_question = {name: [row for row in rows if row.question == name] for name in QUESTIONS[answers.protocol]}
        methods[method] = {name: _score(found, mos, confidence) for name, found in by_question.items() if found}
    people = len({row.person for row in answers.rows})
    said = [_CROSSED] if mos else [_WILSON, _CROSSED]
    return Scores(answers.study, answers.protocol, confidence, people, methods, said)


def _score(rows: Sequence[Answer], mos: bool, confidence: float) -> Score:
    values, people, images = [row.value for row in rows], [row.person for row in rows], [row.image for row in rows]
    return Score(
        fmean(values),
        crossed_interval(values, people, images, confidence, bounds=(1, 5) if mos else (0, 1)),
        None if mos else wilson(round(sum(values)), len(values), confidence),
        len(values),
        len(set(people)),
        len(set(images)),
    )


def table(scores: Scores) -> str:
    """The scores as a person reads them: a table, and what its intervals are.

    Args:
        scores: of a study.

    Returns:
        Lines of text.
    """
    instance_of("scores", scores, Scores, "what score gives")
    mos, level = scores.protocol == "mos", f"{100 * scores.confidence:g} %"
    if mos:
        names = [name for name in QUESTIONS["mos"] if any(name in each for each in scores.methods.values())]
        header = ["method", *(f"{name} [{level}]" for name in names)]
    else:
        header = ["method", "taken for real", f"Wilson {level}", f"people and images {level}"]
    lines = [[*header, "answers", "people", "images"]]
    for method, found in scores.methods.items():
        if mos:
            cells = [f"{found[n].mean:.2f} {_ends(found[n].interval, 1, '.2f')}" if n in found else "–" for n in names]
        else:
            (each,) = found.values()
            cells = [f"{100 * each.mean:.1f} %", _ends(each.wilson, 100, ".1f"), _ends(each.interval, 100, ".1f")]
        every = found.values()
        answers = sum(each.answers for each in every)
        people, images = max(each.people for each in every), max(each.images for each in every)
        lines.append([method, *cells, str(answers), str(people), str(images)])
    notes = {
        "pair": "50 % would be chance: people cannot tell these images from real ones",
        "single": f"row {REAL!r}: how often real images were taken for real; a method as good would have the same share",
        "mos": "1 bad, 2 poor, 3 fair, 4 good, 5 excellent",
    }
    head = f"study {scores.study}, protocol {scores.protocol}, people: {scores.people}"
    return "\n".join([head, "", *aligned(lines), "", notes[scores.protocol], *scores.intervals])


def _ends(interval: Interval | None, scale: float, form: str) -> str:
    return "[–]" if interval is None else f"[{scale * interval[0]:{form}}, {scale * interval[1]:{form}}]"


def write_scores(scores: Scores, path: Path) -> None:
    """Write the scores as JSON: the attributes of :class:`Scores`, of which shares and intervals are not rounded.

    Args:
        scores: of a study.
        path: the file to write.
    """
    instance_of("scores", scores, Scores, "what score gives")
    content = json.dumps(asdict(scores), indent=2, ensure_ascii=False) + "\n"
    write_whole(path_of("path", path), lambda file: file.write(content.encode(errors="backslashreplace")))
