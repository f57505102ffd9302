"""Compare methods on strokes, or scenes, with hidden factors, or between several domains that hide nothing.

    python benchmarks/hidden_factors --plan
    python benchmarks/hidden_factors --arms cyclegan asymgan --factors 0 1 2 --seeds 0 1 2 --steps 1200
    python benchmarks/hidden_factors --set determined --arms cyclegan async more async-oracle --minutes 5 --steps 100000
    python benchmarks/hidden_factors --set digits --folder datasets --factors 0 --steps 1000
    python benchmarks/hidden_factors --set streets --folder datasets/camvid --factors 0 --size 32 --arms cyclegan async
    python benchmarks/hidden_factors --set domains --factors 0 --size 32 --arms stargan shared S1 S2 S3 --steps 1000
    python benchmarks/hidden_factors --set folder --folder datasets/faces --factors 0 --size 32 --arms stargan S2

Every run is one arm with one number of factors and one seed, and all arms of a seed see the same images. A run is
written when it ends, with its commit, beside what earlier commands have written. What is there already with the same
settings is not run again, so that a command that was stopped goes on; ``--again`` repeats what was measured with
another state of the code. With another ``--out`` everything is run, and compared with what is kept with the project.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import report
import torch
from torch import nn

from hidden_factors import digits, streets
from hidden_factors.arms import ARMS
from hidden_factors.data import Strokes
from hidden_factors.domains import arms as domain_arms
from hidden_factors.domains import scores as domain_scores
from hidden_factors.domains import train as domain_train
from hidden_factors.domains.data import FolderDomains, StrokeDomains
from hidden_factors.pictures import draw
from hidden_factors.scenes import Scenes
from hidden_factors.scores import score
from hidden_factors.tables import repeated
from hidden_factors.train import Trained, Training, best_step, train

HERE = Path(__file__).parent
RESULTS = report.RESULTS / "hidden_factors" / "cpu.json"
MUNIT = HERE.parent.parent / "examples" / "asyncgan_munit.py"
OF_TWO = (
    *(HERE / name for name in ("data.py", "scenes.py", "segmentation.py", "scores.py", "arms.py", "train.py")),
    MUNIT,
)
OF_DIGITS, OF_STREETS = ((*OF_TWO, HERE / name) for name in ("digits.py", "streets.py"))
OF_MANY = tuple(HERE / "domains" / name for name in ("data.py", "scores.py", "arms.py", "train.py"))
"""Files on which figures depend, beside asymkit; those between several domains on both."""

Set = Literal["strokes", "determined", "scenes", "digits", "streets", "domains", "folder"]
FROM_FOLDERS: tuple[Set, ...] = ("digits", "streets", "folder")
"""Sets of real images, of which the project ships none."""


class Kind(NamedTuple):
    """What the runs of a set consist of."""

    arms: Mapping[str, Any]  # by name
    first: tuple[str, ...]  # the arms where none are named
    measured: tuple[Path, ...]  # files on which a figure depends, beside asymkit
    train: Callable[..., Trained[Any]]  # of an arm, data, Training and a seed
    score: Callable[..., dict[str, float]]  # of a model and data
    draw: Callable[..., None]  # of a file, models by arm, and data


TWO = Kind(
    ARMS, ("nothing", "supervised", "cyclegan", "cyclegan-noise", "cyclegan-low", "asymgan"), OF_TWO, train, score, draw
)
REAL_DIGITS = Kind(
    ARMS, ("nothing", "cyclegan", "async"), OF_DIGITS, partial(train, errors=digits.errors), digits.score, draw
)
REAL_STREETS = Kind(
    ARMS, ("nothing", "cyclegan", "async"), OF_STREETS, partial(train, errors=streets.errors), streets.score, draw
)
MANY = Kind(
    domain_arms.ARMS,
    ("nothing", "supervised", "stargan", "shared", "S1", "S2", "S3"),
    (*OF_TWO, *OF_MANY),
    domain_train.train,
    domain_scores.score,
    domain_scores.draw,
)


@dataclass(frozen=True)
class Options:
    """Train and score methods where one domain hides factors from the other."""

    arms: tuple[str, ...] = ()
    """Names of hidden_factors.arms.ARMS, or of hidden_factors.domains.arms.ARMS; none given: those of the first table."""
    factors: tuple[int, ...] = (1,)
    """Numbers of hidden factors, 3.58 bits each; 0 of real digits and between several domains."""
    seeds: tuple[int, ...] = (0, 1, 2)
    set: Set = "strokes"
    """Strokes, strokes whose factors follow from the digit, or drawn scenes; MNIST and USPS, cropped; photographs of streets
    and their label maps; several domains, looks of strokes or the sub-folders of a folder."""
    folder: Path | None = None
    """Of --set digits: with MNIST in mnist and USPS, an .npz, in usps. Of --set streets: in CamVid's format. Of --set folder:
    with a sub-folder for each domain."""
    size: int = 16
    """Side of the images."""
    training: Training = field(default_factory=Training)
    plan: bool = False
    """Say what would be run and how long it takes, and end."""
    again: bool = False
    """Run again what was measured with another state of the code."""
    out: Path = RESULTS
    pictures: Path | None = None
    """A folder for pictures of what the arms of a command make of test images, of those that it trains."""

    def __post_init__(self) -> None:
        """Refuse arms that there are not, and what does not belong to the set."""
        for arm in self.arms:
            if arm not in self.kind.arms:
                raise ValueError(f"arms: there is no {arm!r} of {self.set}; there are {', '.join(self.kind.arms)}")
        if self.kind is not TWO and any(self.factors):
            raise ValueError(f"factors: {self.set} have no hidden ones; give --factors 0")
        if (self.folder is None) == (self.set in FROM_FOLDERS):
            raise ValueError(
                f"folder: of images, for --set {', '.join(FROM_FOLDERS)}, which need one; others have none"
            )

    @property
    def kind(self) -> Kind:
        """What the runs of the set consist of."""
        return {"digits": REAL_DIGITS, "streets": REAL_STREETS, "domains": MANY, "folder": MANY}.get(self.set, TWO)

    def data(self, factors: int) -> Any:
        """The set with this many hidden factors."""
        if self.folder is not None:
            found = {"digits": digits.Digits, "streets": streets.Streets, "folder": FolderDomains}
            return found[self.set](self.folder, self.size)
        if self.set == "domains":
            return StrokeDomains(self.size)
        if self.set == "scenes":
            return Scenes(factors, self.size)
        return Strokes(factors, self.size, determined=self.set == "determined")


class Run(NamedTuple):
    """One arm with one number of factors and one seed."""

    seed: int
    factors: int
    arm: str

    def key(self, options: Options) -> str:
        """Of its entry: another setting, another entry."""
        settings = hashlib.sha256(json.dumps(asdict(options.training), sort_keys=True).encode()).hexdigest()[:8]
        place = options.set if options.folder is None else f"{options.set} {options.folder.resolve().name}"
        return f"{place} {options.size} {settings} {self.factors} {self.arm} {self.seed}"


def runs(options: Options) -> Iterator[Run]:
    """All of them; a seed of every arm before the next seed, so that what is stopped early is still compared."""
    for seed in options.seeds:
        for factors in options.factors:
            for arm in options.arms or options.kind.first:
                yield Run(seed, factors, arm)


def entries(path: Path) -> dict[str, Any]:
    """What was measured so far."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def code(kind: Kind) -> str:
    """A hash of what a figure depends on."""
    own = b"".join(path.read_bytes() for path in kind.measured)
    return hashlib.sha256(report.package().encode() + own).hexdigest()[:12]


def due(options: Options) -> list[Run]:
    """The runs that have no entry, or, with ``again``, none of this state of the code."""
    found, now = entries(options.out), code(options.kind)
    done = {key for key, entry in found.items() if not options.again or entry["code"] == now}
    return [run for run in runs(options) if run.key(options) not in done]


def measured(run: Run, options: Options) -> tuple[dict[str, Any], nn.Module]:
    """Train and score one arm: the entry of the results, and the translators after the last epoch."""
    kind, data = options.kind, options.data(run.factors)
    arm = kind.arms[run.arm]
    about, state = report.machine(torch.device("cpu")), code(kind)  # of the files that were imported, not of later ones
    trained = kind.train(arm, data, options.training, run.seed)
    entry = run._asdict() | {
        "about": arm.about,
        "set": options.set,
        "folder": None if options.folder is None else options.folder.resolve().name,
        "size": options.size,
        "training": asdict(options.training),
        "machine": about,
        "code": state,
        "command": shlex.join(["python", "benchmarks/hidden_factors", *sys.argv[1:]]),
        "seconds": round(trained.seconds, 1),
        "steps": trained.steps,
        "images of each domain": trained.steps * options.training.batch,
        "cost": costs(trained),
        "best step": best_step(trained.history),
        "last": _rounded(kind.score(trained.last, data)),
        "best": _rounded(kind.score(trained.best, data)),
        "validation": [_rounded(look) for look in trained.history],
    }
    return entry, trained.last


def costs(trained: Trained[Any]) -> dict[str, float]:
    """What a run has taken, by the names of :data:`hidden_factors.claims.COSTS`."""
    parameters = domain_arms.weights_of(trained.last)
    per_step = {"CPU ms a step": round(1000 * trained.cpu_seconds / trained.steps, 1)} if trained.steps else {}
    return {"parameters": parameters, **per_step}


def plan(options: Options, todo: list[Run]) -> str:
    """What a command is going to run and how long it takes on this machine, by a few steps of each arm."""
    seconds: dict[tuple[str, int], float] = {}
    for run in todo:
        if (run.arm, run.factors) in seconds:
            continue
        kind, arm = options.kind, options.kind.arms[run.arm]
        if arm.schedule == "none":
            seconds[run.arm, run.factors] = 0.0
        elif options.training.minutes:
            seconds[run.arm, run.factors] = 60 * options.training.minutes
        else:
            few, more = (replace(options.training, steps=steps, looks=1) for steps in (2, 8))
            # the first training of a process also pays for what is set up once
            _, short, long = (
                kind.train(arm, options.data(run.factors), each, 0).cpu_seconds for each in (few, few, more)
            )
            seconds[run.arm, run.factors] = (long - short) / 6 * options.training.steps
    lines = [f"{arm}, {factors} factors: {each:.0f} s for each seed" for (arm, factors), each in seconds.items()]
    total = sum(seconds[run.arm, run.factors] for run in todo) / 60
    done = len(list(runs(options))) - len(todo)
    return "\n".join(
        [*lines, f"{len(todo)} runs, {done} done before; about {total:.0f} minutes of one core, and scores"]
    )


def main(options: Options) -> None:
    """Print the plan, then run it."""
    todo = due(options)
    print(plan(options, todo), flush=True)
    models: dict[tuple[int, int], dict[str, nn.Module]] = {}
    for run in [] if options.plan else todo:
        entry, trained = measured(run, options)
        if options.pictures:
            models.setdefault((run.seed, run.factors), {})[run.arm] = trained
        report.write_entries(options.out, entries(options.out) | {run.key(options): entry})
        shown = {name: value for name, value in entry["last"].items() if not name.startswith("bits,")}
        print(f"{run.key(options)}: {entry['seconds']} s, {entry['steps']} steps, {shown}", flush=True)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for (seed, factors), arms in models.items():
            path = options.pictures / f"{options.set}-{factors}-factors-seed-{seed}.png"
            options.kind.draw(path, arms, options.data(factors))
    if options.out != RESULTS:
        print(repeated(entries(options.out), entries(RESULTS)))


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in scores.items()}
