"""Everything at the size of a test: images of coloured boxes, and runs of a few steps with random networks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from papers.registry import Arm
from papers.sets import SETS, Opened
from papers.tools import Networks

SIDE = 32
TRAIN, TEST = 4, 3

NETWORKS = Networks(features="random", lpips="squeeze", frd="imagenet", steps=3)
"""Their figures are named as those of random weights."""

COLOURS = {"ground": (128, 64, 128), "box": (70, 70, 70), "lamp": (250, 170, 30)}

COURSE: Mapping[str, Any] = {
    "epochs": 1,
    "batch": 2,
    "width": 4,
    "workers": 0,
    "tracker": "none",
    "report-every": 1000,
}
TWO: Mapping[str, Any] = {**COURSE, "size": SIDE, "picture-size": SIDE, "discriminator-layers": 1, "blocks": 1}
DOMAINS: Mapping[str, Any] = {
    **COURSE,
    "minutes": "None",
    "size": SIDE,
    "picture-size": SIDE,
    "discriminator-width": 4,
    "discriminator-layers": 3,
    "classifier-steps": 2,
}

SMALL: Mapping[str, Mapping[str, Any]] = {
    "asymgan": {**TWO, "minutes": "None"},
    "asyncgan": {**TWO, "epochs": 4, "period": 2},
    "asyncgan_munit": {**TWO, "epochs": 4, "period": 2},
    "asyncgan_digits": {**COURSE, "digits": "photos", "samples": 8, "batch": 4, "epochs": 4, "period": 2, "blocks": 1},
    "asymmetricgan_domains": DOMAINS,
    "stargan": DOMAINS,
    "asymmetricgan_gesture": {
        **{name: value for name, value in DOMAINS.items() if name not in ("picture-size", "classifier-steps")},
        "discriminator-layers": 1,
        "blocks": 1,
        "features": "random",
    },
}
"""Options of every example, after those of its preset ``demo``."""

OF_PRESET: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("asymmetricgan_domains", "all"): {"preset": "S3", "discriminators": 2},
    ("asyncgan", "paper"): {"base": "highres"},
    ("asyncgan", "cyclegan"): {"base": "cyclegan"},
}
"""What tells the presets of an example apart, which ``demo`` would lose."""


def small(arm: Arm) -> tuple[Arm, dict[str, Any]]:
    """An arm as a run of a few steps, and what is changed of its options."""
    if not arm.example:
        return arm, {}
    changes: dict[str, Any] = dict(SMALL[arm.example])
    size: Any = arm.options.get("size", SIDE)
    if isinstance(size, tuple) and size[0] != size[1]:
        changes["size"] = (SIDE, 2 * SIDE)
        changes["picture-size"] = (SIDE, 2 * SIDE)
    if arm.options.get("method") == "pix2pix":
        del changes["features"]  # it has none
    if arm.options.get("spatial"):
        changes["size"] = changes["picture-size"] = 2 * SIDE  # the discriminator of a spatial z needs 64²
    given = {**OF_PRESET.get((arm.example, arm.preset), {}), **arm.options}
    return replace(arm, preset="demo", options=given), changes


def opened(name: str, folder: Path) -> Opened:
    """A generated data set of the kind of another one."""
    kind = SETS[name].kind
    place = folder / "toy-data" / kind
    if not place.is_dir():
        place.mkdir(parents=True)
        if kind in MAKE:
            MAKE[kind](place)
    return Opened(name, kind, place, cache=folder / "data" / f"toy-{kind}")


def _scene(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo and its labels: boxes and lamps on ground, with light and noise."""
    chance = np.random.default_rng(number)
    classes = np.zeros((SIDE + 8, SIDE + 8), dtype=np.int64)
    for kind in (1, 2):
        top, left = chance.integers(2, SIDE - 12, 2)
        classes[top : top + 14 - 4 * kind, left : left + 14 - 4 * kind] = kind
    labels = np.array(list(COLOURS.values()), dtype=np.uint8)[classes]
    photo = labels * chance.uniform(0.5, 1.2) + chance.normal(0, 12, labels.shape)
    return photo.clip(0, 255).astype(np.uint8), labels


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _two(place: Path) -> None:
    for part, count in (("train", TRAIN), ("test", TEST)):
        for number in range(count):
            photo, labels = _scene(number + (100 if part == "test" else 0))
            _save(photo, place / f"{part}A" / f"{number}.png")
            _save(labels, place / f"{part}B" / f"{number}.png")
    (place / "palette.json").write_text(json.dumps(COLOURS), encoding="utf-8")


def _domains(place: Path) -> None:
    tints = {"autumn": (1.2, 0.8, 0.4), "summer": (0.6, 1.2, 0.5), "winter": (0.9, 1.0, 1.3)}
    for part, count in (("train", TRAIN), ("test", TEST)):
        for place_of, (name, tint) in enumerate(tints.items()):
            for number in range(count):
                photo, _ = _scene(1000 * place_of + number + (100 if part == "test" else 0))
                _save((photo * np.array(tint)).clip(0, 255).astype(np.uint8), place / part / name / f"{number}.png")


def _gestures(place: Path) -> None:
    """Three gestures of four persons; all pairs of one person."""
    rows = []
    for person in range(4):
        for gesture in range(3):
            name = f"p{person}g{gesture}"
            photo, _ = _scene(10 * person + gesture)
            skeleton = np.zeros_like(photo)
            skeleton[4 + 8 * gesture : 8 + 8 * gesture, 4:-4] = 255
            _save(np.where(skeleton > 0, 255 - photo, photo).astype(np.uint8), place / "photos" / f"{name}.png")
            _save(skeleton, place / "skeletons" / f"{name}.png")
            rows.append((name, gesture, person))
    with (place / "gestures.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "gesture"), *((name, gesture) for name, gesture, _ in rows)])
    with (place / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("source", "target", "split"))
        for source, _, person in rows:
            for target, _, other in rows:
                if person == other and source != target:
                    writer.writerow((source, target, "test" if person == 3 else "train"))


MAKE: Mapping[str, Callable[[Path], None]] = {"two": _two, "domains": _domains, "gestures": _gestures}
"""What writes a generated data set, by kind; digits come with scikit-learn."""
