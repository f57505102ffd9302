"""Run what is behind a table or figure of the papers, measure it, and print it with the paper's figures beside.

    python benchmarks/papers --list                                         # every table and figure, and what each needs
    python benchmarks/papers --table asymgan-1 --data datasets --plan       # what would be run, and how long it takes
    python benchmarks/papers --table asymgan-1 asymgan-2 --figure asymgan-12 --data datasets --seeds 0 1 2
    python benchmarks/papers --table asyncgan-4 --data apdrawing=my/pairs --change size=64 epochs=20
    python benchmarks/papers --table asymmetricgan-9 --toy                   # generated images, seconds: does all of it work?

Tables share their runs: what one has trained, the others take. A run that was stopped is gone on with, a figure that is in
the results is not measured again (``--again`` does), so that a command that was stopped is simply given again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import report
import torch

from asymkit.evaluation import json_rows
from papers import gestures, measures, tables, toy
from papers.registry import NEEDS, Arm, Exhibit, chosen
from papers.results import Entry, entries, keep, key_of
from papers.sets import Opened, needed, opened
from papers.tools import Networks, Tools
from papers.train import Training, training
from papers.work import Work


@dataclass(frozen=True)
class Options:
    """Tables and figures of the three papers."""

    table: tuple[str, ...] = ()
    """Such as asymgan-1."""
    figure: tuple[str, ...] = ()
    """Such as asymgan-12."""
    list: bool = False
    """Name every table and figure, its command and what has to be put in place for it, and end."""
    data: tuple[str, ...] = ("datasets",)
    """Folders with a folder for each data set, or NAME=FOLDER for a set, or what stands in for it."""
    seeds: tuple[int, ...] = (0,)
    change: tuple[str, ...] = ()
    """Options of the examples in place of the paper's, for smaller runs, as NAME=VALUE: size=64 epochs=20; of one example
    alone as EXAMPLE:NAME=VALUE."""
    plan: bool = False
    """Say what would be run and how long it takes, and end."""
    cost: bool = True
    """Measure a few steps of every run that is due, to say how long it takes."""
    again: bool = False
    """Measure again what is in the results; delete the folder of a run to have it trained again."""
    toy: bool = False
    """A few steps at 32 pixels on generated images with random networks: shows that all of it works, and nothing else."""
    networks: Networks = field(default_factory=Networks)
    device: str | None = None
    """Where figures are computed; None: the accelerator, if there is one."""
    runs: Path = Path("runs/papers")
    """Folder of runs, images and pages."""
    out: Path | None = None
    """Folder of the results, a JSON file for each paper; None: benchmarks/results/papers, or with --toy that of the runs."""

    def __post_init__(self) -> None:
        """Refuse changes that are none."""
        for change in self.change:
            if "=" not in change:
                raise ValueError(f"change: expected NAME=VALUE such as size=64, got {change!r}")
        if self.again and self.plan:
            raise ValueError("plan: --again measures what --plan only says; leave out one of them")

    @property
    def results(self) -> Path:
        """The folder of the results."""
        return self.out or (self.runs / "results" if self.toy else tables.RESULTS)

    @property
    def changes(self) -> dict[str, Any]:
        """By option; several values are separated by commas."""
        pairs = [change.split("=", 1) for change in self.change]
        return {name: tuple(value.split(",")) if "," in value else value for name, value in pairs}

    def changes_of(self, example: str) -> dict[str, Any]:
        """Those of all examples and of one."""
        named = {name.rpartition(":"): value for name, value in self.changes.items()}
        return {name: value for (of, _, name), value in named.items() if of in ("", example)}


@dataclass(frozen=True)
class Job:
    """One exhibit on one data set that is in place."""

    exhibit: Exhibit
    data: Opened
    arms: tuple[tuple[Arm, dict[str, Any]], ...]
    """And what is changed of the options of each."""

    def training(self, number: int, seed: int, options: Options) -> Training | None:
        """The run of an arm."""
        arm, changes = self.arms[number]
        if not arm.example:
            return None
        pairs = gestures.training_pairs(self.data) if "augmentation" in self.exhibit.measures else None
        return training(arm, self.data, seed, options.runs / "runs", changes, pairs)


def jobs(options: Options, wanted: Sequence[Exhibit]) -> tuple[list[Job], list[str]]:
    """What can be run, and the names of data sets that are not in place."""
    cache, found, missing = options.runs / "data", list[Job](), list[str]()
    for exhibit in wanted:
        for name in exhibit.sets:
            data = toy.opened(name, options.runs) if options.toy else opened(name, options.data, cache)
            if data is None:
                missing += [name] if name not in missing else []
                continue
            arms = [toy.small(arm) if options.toy else (arm, {}) for arm in exhibit.arms]
            found.append(
                Job(exhibit, data, tuple((arm, {**own, **options.changes_of(arm.example)}) for arm, own in arms))
            )
    return found, missing


def due(job: Job, options: Options, seed: int) -> list[int]:
    """The arms whose figures are not in the results, or, with ``again``, all of them."""
    found = entries(options.results, job.exhibit.paper)
    places = range(len(job.arms))
    return [
        n
        for n in places
        if options.again or key_of(job.exhibit, job.data, job.exhibit.arms[n], seed, options) not in found
    ]


def trainings(todo: Sequence[Job], options: Options) -> Iterator[Training]:
    """The runs that are still to be trained, each once."""
    seen: set[Path] = set()
    for job in todo:
        for seed in options.seeds:
            for number in due(job, options, seed):
                run = job.training(number, seed, options)
                if run is not None and not run.done and run.folder not in seen:
                    seen.add(run.folder)
                    yield run


def plan(todo: Sequence[Job], options: Options) -> str:
    """What is going to be trained and measured, and how long the training takes here, by a few steps of each arm."""
    lines, total, known = list[str](), timedelta(), dict[str, timedelta | None]()
    runs = list(trainings(todo, options))
    for run in runs:
        same = " ".join([run.script.name, *run.words[:-2]])  # whatever the seed
        if options.cost and same not in known:
            known[same] = run.cost()
        cost = known.get(same)
        total += cost or timedelta()
        lines.append(f"train {run.command}{f': about {cost}' if cost else ''}")
    for job in todo:
        left = sum(len(due(job, options, seed)) for seed in options.seeds)
        of = len(job.arms) * len(options.seeds)
        lines.append(
            f"measure {job.exhibit.key} on {job.data.title}: {left} of {of} arms and seeds; {of - left} done before"
        )
    training_time = f"about {total} of training in all on this machine, and " if options.cost and runs else ""
    return "\n".join([*lines, f"{len(runs)} runs to train; {training_time}the figures"])


def measured(job: Job, options: Options, tools: Tools, seed: int) -> bool:
    """Train, measure and draw one exhibit on one data set with one seed; False if a training was stopped."""
    exhibit, works, new = job.exhibit, list[Work](), due(job, options, seed)
    runs = [job.training(number, seed, options) for number in range(len(job.arms))]
    if not new and not all(run is None or run.done for run in runs):
        return True  # measured before, on another machine
    changes = "".join(f"-{name}={value}" for name, value in sorted(options.changes.items()))
    below = options.runs / "images" / exhibit.key / plain(f"{job.data.folder.name}{changes}")
    for arm, run in zip(exhibit.arms, runs, strict=True):
        if run is not None and not run.train():
            return False
        works.append(Work(exhibit, arm, job.data, seed, run, below / plain(f"{arm.name}-{seed}"), tools))
    for work in works:
        work.like = None if work.training else next((other for other in works if other.training), None)
    for number in new:
        work = works[number]
        rows = [row for name in exhibit.measures if name in measures.OF_ARM for row in measures.OF_ARM[name](work)]
        command = work.training.command if work.training else ""
        keep(
            options,
            exhibit,
            job.data,
            work.arm,
            seed,
            {"rows": json_rows(rows), "training": command, "machine": report.machine(tools.device)},
        )
    files = dict[str, str]()
    for name in exhibit.measures:
        if name in measures.OF_ALL:
            files |= measures.OF_ALL[name](works)
        if name in measures.PEOPLE:
            asked = measures.PEOPLE[name](works)
            files |= asked.files
            for arm in exhibit.arms:
                entry: Entry = {"people": json_rows(asked.rows.get(arm.name, []))}
                keep(options, exhibit, job.data, arm, seed, entry)
    for about, path in files.items():
        print(f"{about}: {path}")
    return True


def plain(name: str) -> str:
    """A name for a folder."""
    return re.sub(r"[^\w.=-]+", "-", name)


def alone(exhibit: Exhibit, data: Opened | None, options: Options) -> None:
    """Measure what needs no training."""
    found = dict[str, list[Any]]()
    for name in exhibit.measures:
        found |= measures.ALONE[name](exhibit) if data is None else measures.OF_SET[name](exhibit, data)
    for row, figures in found.items():
        about: Entry = {"rows": json_rows(figures), "training": "", "machine": report.machine(torch.device("cpu"))}
        about |= {"toy": False} if data is None else {}  # arithmetic
        keep(options, exhibit, data, Arm(row), 0, about)


def main(options: Options) -> None:
    """Print the plan, run it, and print the tables."""
    if options.list:
        print(tables.listed(), f"{tables.legend()}\n\n{tables.listed_sets()}", sep="\n\n")
        return
    wanted = chosen(options.table, options.figure)
    if not wanted:
        raise ValueError("table: name one, such as --table asymgan-1 or --figure asymgan-12; --list names all of them")
    todo, missing = jobs(options, wanted)
    if missing:
        print(f"not in place, and left out (--data says where to look):\n{needed(missing)}")
    if not todo and all(exhibit.sets for exhibit in wanted):
        raise ValueError(f"data: none of {', '.join(missing)} is in place in {', '.join(options.data)}")
    for exhibit in wanted:
        for what in exhibit.needs:
            print(f"{exhibit.key} needs {what}: {NEEDS[what]}")
    print(plan([job for job in todo if job.exhibit.arms], options), flush=True)
    if options.plan or not everything(wanted, todo, options):
        return
    for exhibit in wanted:
        print(f"\n{tables.beside(exhibit, options.results)}")


def everything(wanted: Sequence[Exhibit], todo: Sequence[Job], options: Options) -> bool:
    """Run all there is to run, a seed of everything before the next; False if a training was stopped."""
    name = options.device or (torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu")
    networks = toy.NETWORKS if options.toy else options.networks
    tools = Tools(networks, torch.device(str(name)), options.toy, options.again)
    for exhibit in wanted:
        if not exhibit.sets:
            alone(exhibit, None, options)
    for seed in options.seeds:
        for job in todo:
            if not job.exhibit.arms:
                alone(job.exhibit, job.data, options)
            elif not measured(job, options, tools, seed):
                print("stopped; the same command goes on")
                return False
    return True
