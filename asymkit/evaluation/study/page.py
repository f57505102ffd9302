"""The page of a user study: folders of images and a protocol in, one HTML file out that asks no host for anything."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import asymkit
from asymkit.arguments import described, instance_of, path_of
from asymkit.checkpoints.durable import write_whole
from asymkit.evaluation.study.pictures import box, chosen, embedded, inspected, matched_by_name, too_large, unlike
from asymkit.evaluation.study.protocols import QUESTIONS, REAL
from asymkit.evaluation.study.settings import Settings

_PRACTICE, _TRIALS = {"pair": 10, "single": 10, "mos": 0}, {"pair": 40, "single": 40, "mos": 20}
_MOST_METHODS, _MOST_NAME = 20, 60


class _Planned(NamedTuple):
    """How many trials one person has: for practice, of each method, of real images, and in all that count."""

    practice: int
    trials: int
    real: int
    counted: int
    notes: list[str]


def write_page(
    real: Path,
    fakes: Mapping[str, Path],
    out: Path,
    settings: Settings = Settings(),  # noqa: B008  it is frozen
) -> str:
    """Write the page of a user study.

    Args:
        real: a folder of real images.
        fakes: folders of generated images, by the names of the methods that made them; people do not see the names.
        out: the page to write.
        settings: how the study is made.

    Returns:
        What a person wants to read: the study's id, the page's size, how many trials it has, and what to beware of.

    Raises:
        ValueError: folders that are missing or do not fit together, too few images for the trials, an image that cannot be
            read, or a page larger than the limit.
    """
    methods, out, real = _checked_names(fakes), path_of("out", out), path_of("real", real)
    instance_of("settings", settings, Settings, "of asymkit.evaluation.study.settings")
    if not out.parent.is_dir():
        raise ValueError(f"out: no folder {str(out.parent)!r}; expected the path of a page in a folder that exists")
    mos = settings.protocol == "mos"
    folders = {name: path_of(f"fakes[{name!r}]", folder) for name, folder in fakes.items()}
    folders |= {REAL: real} if not mos or settings.rate_real else {}
    folders |= {"inputs": Path(settings.inputs)} if settings.inputs is not None else {}
    notes: list[str] = []
    files = {name: inspected(name, folder, settings, notes) for name, folder in folders.items()}
    matched = settings.paired or settings.inputs is not None
    places = matched_by_name(files, settings, notes) if matched else chosen(files, settings, len(methods))
    planned = _planned({name: len(each) for name, each in places.items()}, methods, settings, matched)
    images = embedded(files, places, settings)
    notes += planned.notes + unlike(images)
    questions = [name for name in QUESTIONS[settings.protocol] if name != "correctness" or "inputs" in files]
    if len(questions) < len(QUESTIONS[settings.protocol]):
        notes.append("correctness is not asked, as that needs --inputs to compare with")
    seconds = 4.0 * len(questions) if mos else settings.seconds + 3
    study: dict[str, Any] = {
        "protocol": settings.protocol,
        "seed": settings.seed,
        "seconds": settings.seconds,
        "matched": matched,
        "methods": methods,
        "questions": questions,
        "practice": planned.practice,
        "trials": planned.trials,
        "realTrials": planned.real,
        "minutes": max(1, round((planned.practice + planned.counted) * seconds / 60)),
        "real": [image.embedded for image in images.get(REAL, [])],
        "fakes": [[image.embedded for image in images[name]] for name in methods],
        "inputs": [image.embedded for image in images.get("inputs", [])],
        "box": box([image for name, each in images.items() if name != "inputs" for image in each]),
    }
    study["id"] = sha256(json.dumps([study, settings.title, settings.about]).encode()).hexdigest()[:12]
    page = _page(study, settings)
    if len(page) > settings.limit * 1e6:
        raise too_large(len(page), settings)
    write_whole(out, lambda file: file.write(page))
    each = f"{planned.trials} of each method" + (f", {planned.real} of real images" if planned.real else "")
    lines = [
        f"{out}: study {study['id']}, protocol {settings.protocol}, seed {settings.seed}, {len(page) / 1e6:.1f} MB",
        f"one person has {planned.practice} trials for practice and {planned.counted} that count ({each}), "
        f"about {study['minutes']} min",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])


def _checked_names(fakes: Mapping[str, Path]) -> list[str]:
    if not isinstance(fakes, Mapping) or not 1 <= len(fakes) <= _MOST_METHODS:
        raise ValueError(
            f"fakes must be 1 to {_MOST_METHODS} folders of generated images, by name, got {described(fakes)}"
        )
    for name in fakes:
        if not isinstance(name, str) or not 0 < len(name.strip()) == len(name) <= _MOST_NAME or not name.isprintable():
            raise ValueError(
                f"fakes: a method's name must be 1 to {_MOST_NAME} printable characters, got {described(name)}"
            )
        if name in (REAL, "inputs"):
            raise ValueError(
                f"fakes: {name!r} cannot be a method's name here; give another one, such as mine={fakes[name]}"
            )
    return list(fakes)


def _planned(counts: Mapping[str, int], methods: list[str], settings: Settings, matched: bool) -> _Planned:
    """How many trials a person has, such that nobody is asked about one image of a method twice."""
    practice = _PRACTICE[settings.protocol] if settings.practice is None else settings.practice
    fakes = -(-practice // 2) if settings.protocol == "single" else practice  # every other one is real in "single"
    reals = {"pair": practice, "single": practice // 2, "mos": 0}[settings.protocol]
    shown = {name: practice if matched else -(-fakes // len(methods)) for name in methods}
    shown |= {REAL: practice if matched else reals} if REAL in counts else {}
    left = {name: counts[name] - spent for name, spent in shown.items()}
    rated = methods + ([REAL] if settings.protocol == "mos" and REAL in counts else [])
    least = min(rated, key=lambda name: left[name])
    trials = min(left[least], _TRIALS[settings.protocol]) if settings.trials is None else settings.trials
    if trials > left[least] or min(left.values()) < 1:
        least = min(left, key=lambda name: left[name])
        raise ValueError(
            f"{least}: {counts[least]} images are too few for {shown[least]} in practice and {max(trials, 1)} that count; give "
            "more images (--images says how many are taken), fewer --trials or less --practice"
        )
    wanted = trials * len(methods)
    if settings.protocol == "mos":
        real = trials if REAL in counts else 0
        return _Planned(practice, trials, real, wanted + real, [])
    single, notes = settings.protocol == "single", []
    real = min(wanted, left[REAL]) if single else 0
    needed = wanted + real if matched else 0 if single else wanted
    if needed > left[REAL]:
        what = "images of one name" if matched else "one real image"
        notes.append(
            f"a person meets {what} up to {math.ceil(needed / left[REAL])} times, which may give answers away; more images "
            f"in {REAL!r} (or a larger --images) or fewer --trials avoid that"
        )
    if single and real < wanted:
        notes.append(
            f"a person sees {wanted} generated images and {real} real ones; more images in {REAL!r} balance them"
        )
    return _Planned(practice, trials, real, wanted + real, notes)


def _page(study: Mapping[str, Any], settings: Settings) -> bytes:
    folder = Path(__file__).parent
    title = settings.title or ("How good are these pictures?" if settings.protocol == "mos" else "Real or fake?")
    # in HTML a script ends at the first "</", whatever stands around it, and the text of a script has no entities
    data = json.dumps(study).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    page = Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        about=html.escape(settings.about),
        version=html.escape(asymkit.__version__),
        study=data,
        script="".join((folder / name).read_text(encoding="utf-8") for name in ("order.js", "page.js")),
    )
    return page.encode(errors="backslashreplace")
