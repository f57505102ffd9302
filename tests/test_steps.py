"""What the step of every example leaves alone, and what its discriminators are shown."""

from __future__ import annotations

import ast
import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymgan
import asymmetricgan_domains
import pytest
import stargan
import torch
from accelerate.state import AcceleratorState
from asymgan import DEMO as ASYMGAN_DEMO
from asymmetricgan_domains import DEMO as DOMAINS_DEMO
from asymmetricgan_gesture import DEMO as GESTURE_DEMO
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan_munit import DEMO as MUNIT_DEMO
from support.report import logger
from support.run.plan import Plan
from support.run.run import Run
from tiny import cyclegan_folder, logged
from torch import Tensor

from asymkit import StepGuard
from asymkit.objectives.asymmetricgan import unsupervised

SMALL: dict[str, Any] = {"size": 16, "width": 4, "batch": 1, "workers": 0, "tracker": "none", "minutes": None}
UNPAIRED: dict[str, Any] = {"picture_size": None, "blocks": 1, "discriminator_layers": 1, **SMALL}
DOMAINS: dict[str, Any] = {
    "picture_size": None,
    "discriminator_layers": 2,
    "discriminator_width": 4,
    "classifier_steps": 1,
    **SMALL,
}
GESTURES: dict[str, Any] = {
    "features": "random",
    "blocks": 1,
    "discriminator_layers": 1,
    "discriminator_width": 4,
    **SMALL,
}
EXAMPLES: dict[str, Any] = {
    "asymgan": replace(ASYMGAN_DEMO, method="extended", features="random", **UNPAIRED),
    "asyncgan": replace(ASYNCGAN_DEMO, base="asymgan", **UNPAIRED),
    "asyncgan_munit": replace(MUNIT_DEMO, **UNPAIRED),
    "asymmetricgan_domains": replace(DOMAINS_DEMO, **DOMAINS),
    "asymmetricgan_gesture": replace(GESTURE_DEMO, **GESTURES),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(logger, "write_report", lambda *_: None)


def parameters(run: Run, optimizer: str) -> list[Tensor]:
    state: Any = run.states[optimizer]
    return [p for group in state.param_groups for p in group["params"]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_step_moves_its_own_networks_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither side's loss gives the other side gradients, which would count in its own."""
    backward, step = Run.backward, StepGuard.step
    runs: list[Run] = []
    moved: Counter[str] = Counter()

    def gradients(run: Run, optimizer: str) -> list[Tensor | None]:
        return [None if p.grad is None else p.grad.clone() for p in parameters(run, optimizer)]

    def watched_backward(run: Run, loss: Tensor) -> None:
        runs[:] = [run]
        begun = any(grad is not None for grad in gradients(run, "optimizer_g"))
        own, other = ("optimizer_d", "optimizer_g") if begun else ("optimizer_g", "optimizer_d")
        before = gradients(run, other)
        backward(run, loss)
        for one, same in zip(before, gradients(run, other), strict=True):
            assert (one is None and same is None) or (one is not None and same is not None and torch.equal(one, same))
        assert any(grad is not None for grad in gradients(run, own))

    def watched_step(self: StepGuard, optimizer: Any, terms: Any) -> Any:
        weights = {each: parameters(runs[0], each) for each in ("optimizer_g", "optimizer_d")}
        before = {each: [p.detach().clone() for p in those] for each, those in weights.items()}
        taken = step(self, optimizer, terms)
        for each, those in weights.items():
            same = all(map(torch.equal, before[each], those))
            assert same == (runs[0].states[each] is not optimizer), each
            moved[each] += not same
        return taken

    monkeypatch.setattr(Run, "backward", watched_backward)
    monkeypatch.setattr(StepGuard, "step", watched_step)
    data = None if name.endswith("gesture") else cyclegan_folder(tmp_path / "data")
    importlib.import_module(name).main(replace(EXAMPLES[name], data=data, out=tmp_path / "run", dry_run=True))
    assert moved["optimizer_g"] == moved["optimizer_d"] >= 4
    assert all(grad is None for grad in gradients(runs[0], "optimizer_g") + gradients(runs[0], "optimizer_d"))


MUNIT = {f"{side}.{part}" for side in ("rich", "poor") for part in ("content", "style", "decoder")}
MOVES = {
    "asyncgan": (
        {"rich_to_poor", "poor_to_rich", "encoder", "discriminators.rich", "discriminators.poor", "discriminators.aux"},
        {"poor_to_rich", "encoder", "discriminators.rich", "discriminators.aux"},
    ),
    # a partial step has no use for the style of a poor image
    "asyncgan_munit": (
        {*MUNIT, "discriminators.0", "discriminators.1"},
        {"poor.content", "rich.style", "rich.decoder", "discriminators.0"},
    ),
}
"""What moves in joint steps, and in partial ones."""


@pytest.mark.parametrize("name", MOVES)
def test_partial_steps_leave_the_easy_direction_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, batches = StepGuard.step, Run.batches
    runs: list[Run] = []
    found: dict[str, set[str]] = {"joint": set(), "partial": set()}

    def watched_batches(self: Run, page: Any, plan: Plan, *kind: Any) -> Any:
        runs[:] = [self]
        plans[:] = [plan]
        return batches(self, page, plan, *kind)

    plans: list[Plan] = []

    def watched(self: StepGuard, *arguments: Any) -> Any:
        (run,), (plan,) = runs, plans

        def weights() -> dict[str, Tensor]:
            parts: dict[str, Any] = {"": run.states["model"], "discriminators.": run.states["discriminators"]}
            return {f"{of}{n}": p.detach().clone() for of, part in parts.items() for n, p in part.named_parameters()}

        before = weights()
        taken = step(self, *arguments)
        moved = [name for name, value in weights().items() if not torch.equal(before[name], value)]
        found[plan.phase(run.step)] |= {part for part in named for name in moved if name.startswith(f"{part}.")}
        return taken

    named, left = MOVES[name]
    monkeypatch.setattr(StepGuard, "step", watched)
    monkeypatch.setattr(Run, "batches", watched_batches)
    data = cyclegan_folder(tmp_path / "data")
    importlib.import_module(name).main(replace(EXAMPLES[name], data=data, out=tmp_path / "run", dry_run=True))
    assert found == {"joint": named, "partial": left}


@pytest.mark.parametrize(
    ("name", "terms"), [("asymgan", "discriminator_terms"), ("asyncgan", "joint_discriminator_terms")]
)
def test_discriminators_are_shown_earlier_fakes(
    name: str, terms: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example: Any = importlib.import_module(name)
    objective: Any = getattr(example, name)
    forward, terms_of = objective.Translators.forward, getattr(objective, terms)
    made: list[Any] = []
    ages: list[int] = []

    def made_by(self: Any, *images: Any, **options: Any) -> Any:
        cycles = forward(self, *images, **options)
        made.extend([cycles] if isinstance(cycles, objective.Cycles) else [])
        return cycles

    def watched(cycles: Any, discriminators: Any) -> Any:
        for kind in ("fake_poor", "fake_rich"):
            shown = getattr(cycles, kind)
            ages.append([torch.equal(shown, getattr(each, kind)) for each in reversed(made)].index(True))
        assert torch.equal(cycles.x, made[-1].x)
        return terms_of(cycles, discriminators)

    monkeypatch.setattr(objective.Translators, "forward", made_by)
    monkeypatch.setattr(objective, terms, watched)
    settings = replace(EXAMPLES[name], data=cyclegan_folder(tmp_path / "data"), out=tmp_path / "run", pool=1, epochs=12)
    example.main(replace(settings, **({"period": 4} if name == "asyncgan" else {})))
    assert len(ages) >= 24
    assert 0 < sum(age > 0 for age in ages) < len(ages)


WEIGHTLESS: list[tuple[str, dict[str, float], set[str], set[str]]] = [
    ("asymgan", {"content": 0.0, "style": 0.0}, {"content", "style"}, set()),
    (
        "asymmetricgan_domains",
        {"structure": 0.0, "identity": 0.0, "penalty": 10.0},
        {"structure", "identity"},
        {"discriminator_penalty"},
    ),
    # Table 9 of AsymmetricGAN, row by row
    *(
        ("asymmetricgan_domains", dict.fromkeys(without, 0.0), {*without}, set())
        for without in (
            ["identity"],
            ["structure", "cycle"],
            ["structure", "cycle", "identity"],
            ["structure"],
            ["cycle"],
        )
    ),
    (
        "asymmetricgan_domains",
        {"classification": 0.0},
        {"classification", "discriminator_classification"},
        set(),
    ),
    ("asymmetricgan_domains", {"way_back": 10.0}, set(), {"way_back"}),
    ("asymmetricgan_gesture", {"perceptual": 0.0, "identity": 0.0}, {"perceptual", "identity"}, set()),
    (
        "asymmetricgan_gesture",
        {"color": 0.0, "cycle": 0.0, "total_variation": 0.0},
        {"color", "cycle", "total_variation"},
        set(),
    ),
]


@pytest.mark.parametrize(("name", "weights", "without", "more"), WEIGHTLESS)
def test_terms_of_weight_zero_are_not_computed_and_a_penalty_is(
    name: str, weights: dict[str, float], without: set[str], more: set[str], tmp_path: Path
) -> None:
    found: list[set[str]] = []
    data = cyclegan_folder(tmp_path / "data") if name == "asymgan" else None
    for changed in ({}, weights):
        AcceleratorState._reset_state(reset_partial_state=True)
        out = tmp_path / f"run{len(found)}"
        settings = replace(EXAMPLES[name], data=data, out=out, minutes=0.001)
        settings = replace(settings, weights=replace(settings.weights, **changed))
        importlib.import_module(name).main(settings)
        found.append({term for row in logged(out) for term in row})
    assert without <= found[0]
    assert found[1] == (found[0] - without) | more


@pytest.mark.parametrize(
    ("name", "weights"),
    [("asymmetricgan_domains", {"cycle": 0.0, "structure": 0.0}), ("asymmetricgan_gesture", {"cycle": 0.0})],
)
def test_a_reconstruction_that_no_term_asks_for_is_not_made(
    name: str, weights: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in training nor for the report."""
    batches, reconstructors = Run.batches, list[Any]()

    def refuse(*_: Any) -> None:
        raise AssertionError("a reconstruction")

    def watched(run: Run, *arguments: Any) -> Any:
        model: Any = run.states["model"]
        reconstructors.append(model.dual.reconstructor)
        model.dual.reconstructor.register_forward_pre_hook(refuse)
        return batches(run, *arguments)

    monkeypatch.setattr(Run, "batches", watched)
    example, settings = importlib.import_module(name), replace(EXAMPLES[name], dry_run=True)
    with pytest.raises(AssertionError, match="a reconstruction"):
        example.main(replace(settings, out=tmp_path / "with"))
    AcceleratorState._reset_state(reset_partial_state=True)
    example.main(replace(settings, out=tmp_path / "without", weights=replace(settings.weights, **weights)))
    assert all(parameter.grad is None for parameter in reconstructors[1].parameters())


@pytest.mark.parametrize("count", [1, 2])
def test_double_discriminators_are_two_or_one(count: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, register = list[Any](), Run.register_states

    def watched(run: Run, **states: Any) -> None:
        found.append(states["discriminators"])
        register(run, **states)

    monkeypatch.setattr(Run, "register_states", watched)
    name = "asymmetricgan_domains"
    importlib.import_module(name).main(
        replace(EXAMPLES[name], discriminators=count, out=tmp_path / "run", dry_run=True)
    )
    assert [len(each) for each in found] == [count]


def test_presets_of_domains_are_what_the_paper_has_figures_of() -> None:
    """S2 with one discriminator, and S3 without sharing with two, whose row carries the headline figures."""
    presets = {name: settings for name, (_, settings) in asymmetricgan_domains.PRESETS.items()}
    assert presets.keys() == {"baseline", "all", "demo"}
    for name, architecture, count in (("baseline", "S2", 1), ("all", "S3", 2)):
        found = presets[name]
        assert (found.preset, found.sharing, found.discriminators) == (architecture, "none", count)
        assert (found.batch, found.epochs, found.width) == (1, 200, 64)
        assert found.weights == unsupervised.Weights()


EXAMPLE_FILES = sorted([*Path(asymgan.__file__).parent.glob("asy*.py"), Path(stargan.__file__)])


def test_all_seven_examples_are_looked_at() -> None:
    assert len(EXAMPLE_FILES) == 7


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda path: path.stem)
def test_an_example_is_read_top_to_bottom(path: Path) -> None:
    """Settings, networks, losses, backward and steps in one short file that imports no other example."""
    text = path.read_text(encoding="utf-8")
    # MUNIT is no part of asymkit: its networks and losses stand in the example
    assert len(text.splitlines()) <= (240 if path.stem == "asyncgan_munit" else 150)
    assert "run.backward(settings.weights.total(" in text or "run.backward(weights.total(" in text
    for line in (
        "guard_g.step(optimizer_g, ",
        "zero_grad()",
        "linear_decay(run.progress)",
    ):
        assert line in text, line
    names = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert not names & {other.stem for other in EXAMPLE_FILES}
