"""What ``--dry-run`` tries: enough steps of every kind that a run has, and an estimate that counts each kind."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stargan
from support.data.files import BrokenFiles
from support.report import logger
from support.run.accelerator import create_accelerator
from support.run.dry_run import EACH, DryRun
from support.run.run import Run
from test_rivals import STARGAN
from test_steps import EXAMPLES
from tiny import cyclegan_folder, tiny


class NoData:
    """Never sampled here."""

    epoch, broken, meaning = 1, BrokenFiles(), dict[str, str]()

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError


@pytest.fixture
def accelerator() -> Any:
    return create_accelerator(STARGAN)


@pytest.mark.parametrize("n_critic", [1, 2, 5, 7])
@pytest.mark.parametrize("whole", [1, 6, 200])
def test_every_kind_of_step_is_tried_as_often(n_critic: int, whole: int, accelerator: Any) -> None:
    def kind(step: int) -> str:
        return "discriminator" if step % n_critic else "generator"

    dry = DryRun(accelerator, NoData(), kind, whole)
    there = Counter(map(kind, range(whole)))
    assert Counter(map(kind, dry.steps)) == {name: min(EACH, count) for name, count in there.items()}
    assert dry.steps == sorted(set(dry.steps))
    assert dry.steps[-1] < min(whole, EACH * n_critic)  # no more of the data than these need
    for step in dry.steps:  # the first of each kind is slow
        dry.add(step, (100.0 if step < n_critic else 0.0) + {"generator": 3.0, "discriminator": 1.0}[kind(step)])
    dry.first_report, dry.later_report = 50.0, 7.0
    if whole == 200:
        steps, all_of_it = dry.estimate(loading=0.0, report_every=60)
        assert steps == sum(count * {"generator": 3.0, "discriminator": 1.0}[name] for name, count in there.items())
        assert all_of_it == steps + 50.0 + 3 * 7.0
        # where loading takes longer than a step, it is what a step waits for
        assert dry.estimate(loading=2.0, report_every=60)[0] == 3.0 * there["generator"] + 2.0 * there["discriminator"]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The steps that dry runs take, with the kind of each; reports are not drawn."""
    steps: list[tuple[int, str]] = []
    batches = Run.batches

    def watched(run: Run, *arguments: Any, **named: Any) -> Iterator[Any]:
        for batch in batches(run, *arguments, **named):
            assert run._dry is not None
            steps.append((run.step, run._dry.kind(run.step)))
            yield batch

    monkeypatch.setattr(Run, "batches", watched)
    monkeypatch.setattr(logger, "write_report", lambda *_: None)
    return steps


@pytest.mark.parametrize(("n_critic", "both"), [(1, 4), (2, 4), (5, 4)])
def test_a_dry_run_of_stargan_moves_the_generator_as_often_as_the_discriminator_alone(
    n_critic: int, both: int, taken: list[tuple[int, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = cyclegan_folder(tmp_path / "data")
    stargan.main(replace(STARGAN, data=data, out=tmp_path / "run", n_critic=n_critic, epochs=60, dry_run=True))
    kinds = Counter(kind for _, kind in taken)
    assert kinds == {"generator": both} | ({"discriminator": EACH} if n_critic > 1 else {})
    assert all((kind == "generator") == (step % n_critic == 0) for step, kind in taken)
    assert "s a generator step" in capsys.readouterr().out


def test_a_dry_run_tries_the_easy_direction_alone_where_it_is_trained_alone(
    taken: list[tuple[int, str]], tmp_path: Path
) -> None:
    data = cyclegan_folder(tmp_path / "data")
    asyncgan: Any = importlib.import_module("asyncgan")
    asyncgan.main(tiny(tmp_path / "run", data, joint="easy", epochs=40, period=4, dry_run=True))
    assert Counter(kind for _, kind in taken) == {"joint": EACH, "easy": EACH, "partial": EACH}
    assert [kind for _, kind in taken[:EACH]] == ["joint"] * EACH  # those before the first partial one


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_dry_run_of_every_example_tries_all_that_it_has(
    name: str, taken: list[tuple[int, str]], tmp_path: Path
) -> None:
    settings = replace(EXAMPLES[name], out=tmp_path / "run", dry_run=True, epochs=40)
    data = None if name == "asymmetricgan_gesture" else cyclegan_folder(tmp_path / "data")
    importlib.import_module(name).main(replace(settings, data=data))
    asynchronous = name in ("asyncgan", "asyncgan_munit")
    assert Counter(kind for _, kind in taken) == dict.fromkeys(("joint", "partial") if asynchronous else ("",), EACH)


def test_what_only_the_first_report_does_is_counted_once(
    tmp_path: Path, taken: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = list[str]()
    monkeypatch.setattr(Run, "_report", lambda run: reports.append("report"))
    data = cyclegan_folder(tmp_path / "data")
    stargan.main(replace(STARGAN, data=data, out=tmp_path / "run", dry_run=True))
    assert reports == ["report", "report"]
