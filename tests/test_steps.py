"""What the step of every example leaves alone, and what its critics are shown."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from support import loop, record
from support.run.settings import ASYMGAN_DEMO
from support.settings_asymmetric import DOMAINS_DEMO, GESTURE_DEMO
from support.settings_async import ASYNCGAN_DEMO, MUNIT_DEMO
from tiny import cyclegan_folder
from torch import Tensor

SMALL: dict[str, Any] = {"size": 16, "width": 4, "batch": 1, "workers": 0, "tensorboard": False, "minutes": None}
UNPAIRED: dict[str, Any] = {"picture_size": None, "blocks": 1, "critic_layers": 1, **SMALL}
DOMAINS: dict[str, Any] = {"picture_size": None, "critic_layers": 2, "critic_width": 4, "classifier_steps": 1, **SMALL}
GESTURES: dict[str, Any] = {"features": "random", "blocks": 1, "critic_layers": 1, "critic_width": 4, **SMALL}
EXAMPLES: dict[str, Any] = {
    "asymgan": replace(ASYMGAN_DEMO, features="random", **UNPAIRED),
    "asyncgan": replace(ASYNCGAN_DEMO, base="asymgan", **UNPAIRED),
    "asyncgan_munit": replace(MUNIT_DEMO, **UNPAIRED),
    "asymmetricgan_domains": replace(DOMAINS_DEMO, **DOMAINS),
    "asymmetricgan_gesture": replace(GESTURE_DEMO, **GESTURES),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(record, "write_report", lambda *_: None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_step_moves_its_own_networks_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And critics get no gradient from the generators' step, which would count in their own."""
    descend, moved = loop.Training._descend, dict[str, int]()

    def watched(self: Any, optimizer: Any, terms: Mapping[str, Tensor], prefix: str) -> None:
        weights = {
            each: [p for group in each.param_groups for p in group["params"]]
            for each in (self.generators, self.critics)
        }
        assert all(p.grad is None for parameters in weights.values() for p in parameters)
        before = {each: [p.detach().clone() for p in parameters] for each, parameters in weights.items()}
        descend(self, optimizer, terms, prefix)
        for each, parameters in weights.items():
            same = all(map(torch.equal, before[each], parameters))
            assert same == (each is not optimizer), prefix
        moved[prefix] = moved.get(prefix, 0) + 1

    monkeypatch.setattr(loop.Training, "_descend", watched)
    data = None if name.endswith("gesture") else cyclegan_folder(tmp_path / "data")
    importlib.import_module(name).main(replace(EXAMPLES[name], data=data, out=tmp_path / "run", dry_run=True))
    assert moved[""] == moved["critic_"] >= 4


MUNIT = {f"{side}.{part}" for side in ("rich", "poor") for part in ("content", "style", "decoder")}
MOVES = {
    "asyncgan": (
        {"rich_to_poor", "poor_to_rich", "encoder", "critics.rich", "critics.poor", "critics.aux"},
        {"poor_to_rich", "encoder", "critics.rich", "critics.aux"},
    ),
    # a partial step has no use for the style of a poor image
    "asyncgan_munit": (
        {*MUNIT, "critics.0", "critics.1"},
        {"poor.content", "rich.style", "rich.decoder", "critics.0"},
    ),
}
"""What moves in joint steps, and in partial ones."""


@pytest.mark.parametrize("name", MOVES)
def test_partial_steps_leave_the_easy_direction_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descend = loop.Training._descend
    found: dict[str, set[str]] = {"joint": set(), "partial": set()}

    def watched(self: Any, *arguments: Any) -> None:
        def weights() -> dict[str, Tensor]:
            parts = {"": self.parts["model"], "critics.": self.parts["critics"]}
            return {f"{of}{n}": p.detach().clone() for of, part in parts.items() for n, p in part.named_parameters()}

        before = weights()
        descend(self, *arguments)
        moved = [name for name, value in weights().items() if not torch.equal(before[name], value)]
        found[self.plan.phase(self.step)] |= {part for part in named for name in moved if name.startswith(f"{part}.")}

    named, left = MOVES[name]
    monkeypatch.setattr(loop.Training, "_descend", watched)
    data = cyclegan_folder(tmp_path / "data")
    importlib.import_module(name).main(replace(EXAMPLES[name], data=data, out=tmp_path / "run", dry_run=True))
    assert found == {"joint": named, "partial": left}


@pytest.mark.parametrize(
    ("name", "terms"), [("asymgan", "discriminator_terms"), ("asyncgan", "joint_discriminator_terms")]
)
def test_critics_are_shown_earlier_fakes(
    name: str, terms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example: Any = importlib.import_module(name)
    objective: Any = getattr(example, name)
    forward, judge = objective.Translators.forward, getattr(objective, terms)
    made: list[Any] = []
    ages: list[int] = []

    def made_by(self: Any, *images: Any, **options: Any) -> Any:
        cycles = forward(self, *images, **options)
        made.extend([cycles] if isinstance(cycles, objective.Cycles) else [])
        return cycles

    def judged(cycles: Any, critics: Any) -> Any:
        for kind in ("fake_poor", "fake_rich"):
            shown = getattr(cycles, kind)
            ages.append([torch.equal(shown, getattr(each, kind)) for each in reversed(made)].index(True))
        assert torch.equal(cycles.x, made[-1].x)
        return judge(cycles, critics)

    monkeypatch.setattr(objective.Translators, "forward", made_by)
    monkeypatch.setattr(objective, terms, judged)
    settings = replace(EXAMPLES[name], data=cyclegan_folder(tmp_path / "data"), out=tmp_path / "run", pool=1, epochs=12)
    example.main(replace(settings, **({"period": 4} if name == "asyncgan" else {})))
    assert len(ages) >= 24
    assert 0 < sum(age > 0 for age in ages) < len(ages)
