"""The loop of the examples: resumed at any step, losses that are not finite, averages, the best, dry runs, records."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from asymgan import DEMO as ASYMGAN_DEMO
from support.data.unpaired import Domain
from support.report import logger
from support.report import unpaired as pictures
from support.report.page import Snapshot
from support.run import run as loop
from support.run.accelerator import create_accelerator
from support.run.atomic_write import write_with_checksum
from support.run.best_checkpoint import BestCheckpoint
from support.run.checkpoint import load_checkpoint, save_checkpoint
from support.run.ema import MovingAverage
from support.run.plan import Plan
from support.run.signals import SIGNALS
from tiny import FIRST_PARTIAL, STEPS, cyclegan_folder, in_halves, interrupted, logged, same, saved, tiny
from torch import Tensor, nn
from waits import graphs_rerun

from asymkit import StepGuard
from asymkit.objectives.asyncgan import Translators

asyncgan: Any = importlib.import_module("asyncgan")  # the example, whose parts tests replace
pytestmark = pytest.mark.usefixtures("quick")


def change_terms(monkeypatch: pytest.MonkeyPatch, change: Callable[[int, dict[str, Tensor]], None]) -> None:
    """Let a function change the generators' terms of every joint step; it is given the number of the call."""
    terms, calls = asyncgan.asyncgan.joint_generator_terms, iter(range(10**6))

    def changed(*arguments: Any) -> dict[str, Tensor]:
        found: dict[str, Tensor] = terms(*arguments)
        change(next(calls), found)
        return found

    monkeypatch.setattr(asyncgan.asyncgan, "joint_generator_terms", changed)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "batch": 1, "epochs": 8, "period": 4, "workers": 1}])
def test_resumed_at_any_step_a_run_goes_on_to_the_bit(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """In the middle of an epoch, across the change of the phase, with image pools filled and full, with an average."""
    settings = tiny(tmp_path / "whole", data, ema=0.9, report_every=1, **changes)

    def kept(path: Path, step: int, *rest: Any) -> None:
        save_checkpoint(path, step, *rest)
        if path.parent.name == "whole":
            (tmp_path / f"from {step}").mkdir(exist_ok=True)
            shutil.copyfile(path, tmp_path / f"from {step}" / "checkpoint.pt")

    monkeypatch.setattr(loop, "save_checkpoint", kept)
    asyncgan.main(settings)
    whole, losses = saved(tmp_path / "whole"), logged(tmp_path / "whole")
    assert len(losses) == whole["step"] >= (8 if changes else STEPS)
    assert {"pseudo", "cycle_poor"} <= {name for row in losses for name in row}
    for step in range(1, whole["step"]):
        folder = tmp_path / f"from {step}"
        torch.manual_seed(step)  # chance is the checkpoint's, not this
        asyncgan.main(replace(settings, out=folder, resume=True))
        assert same(saved(folder), whole), step
        assert logged(folder) == losses, step


def test_asymgan_goes_on_to_the_bit(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extended objective, with content and style."""
    example = importlib.import_module("asymgan")
    size: dict[str, Any] = {
        "size": 16,
        "picture_size": None,
        "width": 4,
        "blocks": 1,
        "discriminator_layers": 1,
        "batch": 1,
    }
    course: dict[str, Any] = {"minutes": None, "epochs": 2, "pool": 3, "features": "random", "tracker": "none"}
    course |= {"method": "extended", "detach_fake_poor": False}
    settings = replace(ASYMGAN_DEMO, data=data, out=tmp_path / "whole", report_every=4, **size, **course)
    assert in_halves(monkeypatch, example.main, settings, tmp_path / "halves") == 4
    example.main(settings)
    assert saved(tmp_path / "whole")["step"] == 6
    assert same(saved(tmp_path / "whole"), saved(tmp_path / "halves"))
    assert logged(tmp_path / "whole") == logged(tmp_path / "halves") != []


def test_a_planned_run_cannot_be_made_longer(tmp_path: Path, data: Path) -> None:
    asyncgan.main(tiny(tmp_path, data))
    with pytest.raises(ValueError, match="add --epochs 4; or take all of them"):
        asyncgan.main(tiny(tmp_path, data, epochs=6, resume=True))


def test_pictures_of_every_phase_are_of_one_size(tmp_path: Path, data: Path) -> None:
    """Those of earlier phases are in the checkpoint."""
    asyncgan.main(tiny(tmp_path, data))
    with pytest.raises(ValueError, match="had other settings; add --picture-size None"):
        asyncgan.main(tiny(tmp_path, data, picture_size=32, resume=True))


@pytest.mark.parametrize("change", [{"batch": 3}, {"best": "fid"}])
def test_a_refused_start_leaves_the_settings_of_the_run(tmp_path: Path, data: Path, change: dict[str, Any]) -> None:
    asyncgan.main(tiny(tmp_path, data))
    before = (tmp_path / "settings.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"a step of the run took 1 samples, now it would take 3|no figure 'fid'"):
        asyncgan.main(tiny(tmp_path, data, resume=True, **change))
    assert (tmp_path / "settings.json").read_text(encoding="utf-8") == before


def test_a_run_says_what_it_is_before_it_begins(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[float] = []
    monkeypatch.setattr(logger, "write_report", lambda *rest: done.append(rest[4]["done"]))
    asyncgan.main(tiny(tmp_path, data, accumulate=2, report_every=1))
    assert done == [0.25, 0.5, 0.75, 1.0]
    said = capsys.readouterr().out
    assert "3 rich images (trainA), 2 poor ones; 16 pixels in training" in said
    assert re.search(r"epochs: 4; steps: 4, each of 2 samples \(1 process × --batch 1 × --accumulate 2\)", said)
    assert "threads: 1; so small steps gain little from more (--threads)" in said


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_is_told_to_stop_finishes_its_step(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    inherited = signal.signal(number, signal.default_int_handler)  # jobs in the background have Ctrl-C ignored
    change_terms(monkeypatch, lambda call, _: signal.raise_signal(number) if call == 3 else None)
    asyncgan.main(tiny(tmp_path, data))
    signal.signal(number, inherited)
    assert "stopped, --resume goes on: 4 steps" in capsys.readouterr().out
    assert saved(tmp_path)["step"] == 4
    asyncgan.main(tiny(tmp_path, data, resume=True))
    assert saved(tmp_path)["step"] == STEPS


def test_a_step_without_finite_losses_is_named_and_left_out(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(call: int, terms: dict[str, Tensor]) -> None:
        if call == 2:
            terms["cycle_rich"] = terms["cycle_rich"] * torch.nan

    change_terms(monkeypatch, spoil)
    with pytest.warns(UserWarning, match="step 3 was not taken: cycle_rich is nan; 1 skipped so far"):
        asyncgan.main(tiny(tmp_path, data))
    state = saved(tmp_path)
    assert state["step"] == STEPS
    assert all(value.isfinite().all() for value in state["parts"]["model"].values())
    counts = {int(one["step"]) for one in state["parts"]["optimizer_g"]["state"].values()}
    assert counts == {FIRST_PARTIAL - 1, STEPS - 1}  # the easy direction's and the others', one less than taken
    rows = logged(tmp_path)
    assert "cycle_rich" not in rows[2]
    assert "cycle_poor" in rows[2]


def test_images_that_are_not_finite_do_not_stay_in_the_pool(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = asyncgan.asyncgan.Translators.forward
    calls = iter(range(100))

    def overflows(self: nn.Module, *arguments: Any, **options: Any) -> Any:
        cycles = forward(self, *arguments, **options)
        return cycles._replace(fake_rich=cycles.fake_rich * torch.inf) if next(calls) == 2 else cycles

    monkeypatch.setattr(asyncgan.asyncgan.Translators, "forward", overflows)
    with pytest.warns(UserWarning, match="step 3 was not taken") as said:
        asyncgan.main(tiny(tmp_path, data, pool=50))
    assert (
        len([one for one in said if "was not taken" in str(one.message)]) == 2
    )  # generators and discriminators, and no more
    pools = saved(tmp_path)["parts"]["pools"]
    assert all(image.isfinite().all() for pool in pools.values() for image in pool["images"])
    counts = {kind: len(pool["images"]) for kind, pool in pools.items()}
    assert counts == {
        "fake_poor": FIRST_PARTIAL,
        "fake_rich": FIRST_PARTIAL - 1,
        "rebuilt_resampled": 0,
        "fake_encoded": 0,
    }


def test_a_checkpoint_is_not_written_before_it_is_known_what_was_skipped(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards that are read every ten steps, as on a CUDA device, and a checkpoint after the third."""
    forward, calls = asyncgan.asyncgan.Translators.forward, iter(range(100))

    def overflows(self: nn.Module, *arguments: Any, **options: Any) -> Any:
        cycles = forward(self, *arguments, **options)
        return cycles._replace(fake_rich=cycles.fake_rich * torch.inf) if next(calls) == 1 else cycles

    monkeypatch.setattr(asyncgan.asyncgan.Translators, "forward", overflows)
    monkeypatch.setattr(loop, "StepGuard", partial(StepGuard, read_every=10))
    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    with pytest.warns(UserWarning, match="1 of steps 1 to 3 was not taken"), pytest.raises(KeyboardInterrupt):
        asyncgan.main(tiny(tmp_path, data, pool=50, report_every=3))
    pools = saved(tmp_path)["parts"]["pools"]
    assert len(pools["fake_poor"]["images"]) == 3
    assert all(image.isfinite().all() for pool in pools.values() for image in pool["images"])


def test_a_run_that_stays_broken_ends_with_its_last_good_weights(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_terms(monkeypatch, lambda call, terms: terms.update(cycle_poor=terms["cycle_poor"] / (0 if call > 1 else 1)))
    with (
        pytest.warns(UserWarning, match="step [34] was not taken: cycle_poor is inf"),
        pytest.raises(FloatingPointError, match=r"step 5 was not taken: cycle_poor is inf; that makes 3 in a row"),
    ):
        asyncgan.main(tiny(tmp_path, data, max_skipped=3, report_every=1))
    state = saved(tmp_path)
    assert state["step"] == 4
    assert all(value.isfinite().all() for value in state["parts"]["model"].values())


EXACT: dict[str, Any] = {"pool": 0, "lr_g": 2e-5}


def test_gradients_are_averaged_over_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four batches of one are one batch of four; z comes from the image, the same however they are cut."""

    class Seen(Translators):
        def forward(self, x: Tensor, y: Tensor | None = None, z: Tensor | None = None, phase: Any = "joint") -> Any:
            return super().forward(x, y, 3 * x.flatten(1)[:, :8], phase)

    monkeypatch.setattr(asyncgan.asyncgan, "Translators", Seen)
    folder = cyclegan_folder(tmp_path / "data", 12, 8)
    torch.set_default_dtype(torch.float64)
    try:
        for batch, accumulate in ((4, 1), (1, 4)):
            # of gradients that should be zero Adam makes steps of noise, in proportion to the rate
            asyncgan.main(tiny(tmp_path / f"{batch}", folder, batch=batch, accumulate=accumulate, **EXACT))
    finally:
        torch.set_default_dtype(torch.float32)
    one, other = (saved(tmp_path / name)["parts"] for name in ("4", "1"))
    for part in ("model", "discriminators"):
        for name, value in one[part].items():
            torch.testing.assert_close(other[part][name], value, rtol=0, atol=1e-10)
    rows = [logged(tmp_path / name) for name in ("4", "1")]
    assert rows[0] == [pytest.approx(row, abs=1e-9) for row in rows[1]]


@pytest.mark.slow
def test_half_the_digits_on_a_cpu_too(tmp_path: Path, data: Path) -> None:
    asyncgan.main(tiny(tmp_path, data, precision="bf16", size=32))
    assert all(value.isfinite().all() for value in saved(tmp_path)["parts"]["model"].values())
    assert {value.dtype for value in saved(tmp_path)["parts"]["model"].values()} == {torch.float32}


def test_moving_averages() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    average = MovingAverage(layer, 0.5)
    average.update()
    nn.init.constant_(layer.weight, 2.0)
    average.update()  # the second one: the decay is (1 + 1) / (10 + 1)
    assert average.model.weight.item() == pytest.approx(2 - 2 / 11)
    for _ in range(20):
        average.update()
    again = MovingAverage(layer, 0.5)
    again.load_state_dict(average.state_dict())
    for _ in range(2):
        before = again.model.weight.item()
        nn.init.constant_(layer.weight, 4.0)
        again.update()
    assert again.model.weight.item() == pytest.approx(before + (4 - before) / 2)
    assert not any(value.requires_grad for value in again.model.parameters())
    assert MovingAverage(layer, 0.0).model is layer
    assert MovingAverage(layer, 0.0).state_dict() == {}


def test_the_average_is_what_is_shown(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[nn.Module] = []

    def looked(model: nn.Module, *_: Any) -> dict[str, float]:
        seen.append(model)
        return {}

    keep = Plan.keep_intermediate

    def kept(plan: Plan, step: int, model: nn.Module) -> None:
        keep(plan, step, model)
        seen.append(model)

    monkeypatch.setattr(pictures, "cycle_figures", looked)
    monkeypatch.setattr(Plan, "keep_intermediate", kept)
    asyncgan.main(tiny(tmp_path, data, ema=0.9))
    assert len({id(model) for model in seen}) == 1  # the pictures at the ends of phases too
    parts = saved(tmp_path)["parts"]
    shown = seen[-1].state_dict()
    assert all(torch.equal(value, parts["average"][f"module.{name}"]) for name, value in shown.items())
    assert any(not torch.equal(value, parts["model"][name]) for name, value in shown.items())


def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[dict[str, Any]]:
    """The parts of a run's checkpoint after every step."""
    found: list[dict[str, Any]] = []

    def kept(path: Path, step: int, *rest: Any) -> None:
        save_checkpoint(path, step, *rest)
        found.append(saved(tmp_path)["parts"])

    monkeypatch.setattr(loop, "save_checkpoint", kept)
    asyncgan.main(replace(settings, report_every=1))
    return found


def test_the_average_follows_the_weights_of_every_step(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = states(tmp_path, monkeypatch, tiny(tmp_path, data, ema=0.2))
    assert len(after) == STEPS
    average = after[0]["model"]  # the first weights are taken over as they are
    for number, parts in enumerate(after):
        if number:
            decay = min(0.2, (1 + number) / (10 + number))
            average = {name: decay * average[name] + (1 - decay) * value for name, value in parts["model"].items()}
        for name, value in average.items():
            torch.testing.assert_close(parts["average"][f"module.{name}"], value, rtol=1e-4, atol=1e-6)
    moved = [not torch.equal(after[0]["model"][name], value) for name, value in after[-1]["model"].items()]
    assert any(moved)


def test_learning_rates_are_constant_for_half_of_the_run_then_fall_to_zero(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs count alike: those of two steps, and the last one of three."""
    step, rates = StepGuard.step, dict[StepGuard, list[float]]()

    def taken(self: StepGuard, optimizer: torch.optim.Optimizer, terms: Any) -> Any:
        rates.setdefault(self, []).extend(group["lr"] for group in optimizer.param_groups)
        return step(self, optimizer, terms)

    monkeypatch.setattr(StepGuard, "step", taken)
    asyncgan.main(tiny(tmp_path, data, lr_g=1e-3, lr_d=1e-5))
    factors = [1, 1, 1, 1, 1, 3 / 4, 1 / 2, 1 / 3, 1 / 6]
    for found, rate in zip(rates.values(), (1e-3, 1e-5), strict=True):
        assert found == pytest.approx([rate * factor for factor in factors])


def test_a_timed_run_follows_the_clock(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that goes on by a second whenever somebody looks at it."""
    ticks, seconds, rates = itertools.count(), list[float](), list[float]()

    def kept(path: Path, step: int, done: float, parts: Any, *rest: Any) -> None:
        save_checkpoint(path, step, done, parts, *rest)
        seconds.append(done)
        rates.append(parts["optimizer_g"].state_dict()["param_groups"][0]["lr"])

    monkeypatch.setattr(loop, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(loop, "save_checkpoint", kept)
    small: dict[str, Any] = {
        "size": 16,
        "picture_size": None,
        "width": 4,
        "blocks": 1,
        "discriminator_layers": 1,
        "batch": 1,
    }
    course: dict[str, Any] = {"minutes": 0.5, "features": "random", "tracker": "none", "report_every": 1}
    settings = replace(ASYMGAN_DEMO, data=data, out=tmp_path, lr_g=1e-3, **small, **course)
    example: Any = importlib.import_module("asymgan")
    monkeypatch.setattr(example, "asymgan_snapshot", lambda *_: Snapshot({}, {}))
    example.main(settings)
    each = seconds[0]
    assert seconds == pytest.approx([each * step for step in range(1, len(seconds) + 1)])
    assert seconds[-2] < 30 <= seconds[-1]
    assert len(seconds) > 4
    before = [0.0, *seconds[:-1]]
    assert rates == pytest.approx([1e-3 * min(1, 2 * (1 - done / 30)) for done in before])


def test_epochs_that_end_before_the_minutes_let_rates_fall_too(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run that is made longer goes on at the rate of where it is, not at that of its end, zero."""
    step, rates = StepGuard.step, list[float]()

    def taken(self: StepGuard, optimizer: torch.optim.Optimizer, terms: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return step(self, optimizer, terms)

    monkeypatch.setattr(StepGuard, "step", taken)
    example: Any = importlib.import_module("asymgan")
    monkeypatch.setattr(example, "asymgan_snapshot", lambda *_: Snapshot({}, {}))
    small: dict[str, Any] = {
        "size": 16,
        "picture_size": None,
        "width": 4,
        "blocks": 1,
        "discriminator_layers": 1,
        "batch": 1,
    }
    course: dict[str, Any] = {"minutes": 60.0, "epochs": 2, "features": "random", "tracker": "none"}
    settings = replace(ASYMGAN_DEMO, data=data, out=tmp_path, lr_g=1e-3, lr_d=1e-3, **small, **course)
    example.main(settings)
    steps = len(rates) // 2
    factors = [min(1.0, 2 * (1 - done / steps)) for done in range(steps)]
    assert rates[::2] == rates[1::2] == pytest.approx([1e-3 * factor for factor in factors])
    rates.clear()
    AcceleratorState._reset_state(reset_partial_state=True)
    example.main(replace(settings, epochs=4, resume=True))
    factors = [min(1.0, 2 * (1 - done / (2 * steps))) for done in range(steps, 2 * steps)]
    assert rates[::2] == pytest.approx([1e-3 * factor for factor in factors])


class Anything:
    """A part that takes any state."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@pytest.mark.parametrize(("best_is", "step"), [("lowest", 4), ("highest", 6)])
def test_the_best_checkpoint_is_kept(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, best_is: Any, step: int
) -> None:
    values = iter([9.0, 5.0, 2.0, 7.0, 6.0, 6.5])  # the first one is asked for before the training
    monkeypatch.setattr(pictures, "cycle_figures", lambda *_: {"made_up": next(values)})
    settings = tiny(tmp_path, data, best="made_up", best_is=best_is, report_every=2)
    asyncgan.main(settings)
    assert saved(tmp_path)["step"] == STEPS
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == step
    assert (tmp_path / "best.pt.sha256").read_text(encoding="utf-8").endswith("  best.pt\n")
    kept = json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))
    assert kept == {"figure": "made_up", "value": {4: 2.0, 6: 7.0}[step], "step": step}
    for suffix in ("", ".sha256"):  # how a run goes on from its best
        shutil.copyfile(tmp_path / f"best.pt{suffix}", tmp_path / f"checkpoint.pt{suffix}")
    assert not os.path.samefile(tmp_path / "best.pt", tmp_path / "checkpoint.pt")
    assert (
        load_checkpoint(tmp_path / "checkpoint.pt", {name: Anything() for name in saved(tmp_path)["parts"]})[0] == step
    )
    values = iter([0.0, 6.0, 6.0, 6.0, 6.0])
    asyncgan.main(replace(settings, resume=True))
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8")) == kept


def test_a_best_that_could_not_be_kept_is_not_the_one_to_beat(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, copies = iter([9.0, 5.0, 2.0, 3.0, 4.0, 4.0]), iter([False, True, False])

    def sometimes(*arguments: Any, **more: Any) -> None:
        if next(copies):
            raise OSError(28, "No space left on device")
        write_with_checksum(*arguments, **more)

    monkeypatch.setattr(pictures, "cycle_figures", lambda *_: {"made_up": next(values)})
    monkeypatch.setattr("support.run.best_checkpoint.write_with_checksum", sometimes)
    with pytest.warns(UserWarning, match=r"best.pt of step 4 could not be written: \[Errno 28\]"):
        asyncgan.main(tiny(tmp_path, data, best="made_up", report_every=2))
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == 6
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))["value"] == 3.0


@pytest.mark.filterwarnings("ignore:the report of step")
def test_the_best_is_kept_though_its_page_cannot_be_drawn(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(logger, "write_report", fails)
    asyncgan.main(tiny(tmp_path, data, best="rich_cycle_l1"))
    assert (tmp_path / "best.pt").exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"figure": "rich_cycle_l1", "value": "low"}'])
def test_a_damaged_note_of_the_best_is_said(tmp_path: Path, data: Path, text: str) -> None:
    (tmp_path / "best.json").write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match=r"best.json' cannot be read, .*: the next report is the best"):
        assert (
            BestCheckpoint(tiny(tmp_path, data, best="rich_cycle_l1", resume=True), {"rich_cycle_l1": 1.0}).value
            is None
        )


def test_a_best_that_no_report_has_is_refused_before_the_training(tmp_path: Path, data: Path) -> None:
    with pytest.raises(
        ValueError, match="best: the report has no figure 'fid'; it has rich_cycle_l1, poor_cycle_l1, z_"
    ):
        asyncgan.main(tiny(tmp_path, data, best="fid"))
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_dry_run_tries_everything_and_takes_nothing(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # a second one replaces the first
        asyncgan.main(tiny(tmp_path, data, dry_run=True, tracker="tensorboard", epochs=40, period=4))
    said = capsys.readouterr().out
    assert re.search(r"dry run: 8 steps, a checkpoint and a report: .*dry-run/report.html", said)
    assert re.search(r"memory: at most \d+\.\d+ GiB", said)
    assert re.search(
        r"time: \S+ s a joint step, \S+ s a partial step, \S+ s to load for one, \S+ s a report",
        said,
    )
    assert re.search(r"the whole run, 90 steps: about \d+:\d\d:\d\d", said)
    assert [path.name for path in tmp_path.iterdir()] == ["dry-run"]
    assert {"checkpoint.pt", "settings.json", "tensorboard"} <= {p.name for p in (tmp_path / "dry-run").iterdir()}
    assert len(list((tmp_path / "dry-run" / "tensorboard").iterdir())) == 1
    phases = [set(row) for row in logged(tmp_path / "dry-run")]
    assert ["pseudo" in losses for losses in phases] == [False] * 4 + [True] * 4
    asyncgan.main(tiny(tmp_path, data))
    with pytest.raises(ValueError, match="leave out --resume"):
        tiny(tmp_path, data, dry_run=True, resume=True)


def test_tensorboard_has_losses_figures_and_pictures(tmp_path: Path, data: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = tiny(tmp_path, data, tracker="tensorboard", report_every=4)
    asyncgan.main(settings)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="going on from the one before, step 8"):
        asyncgan.main(replace(settings, resume=True))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {
        "losses/cycle_rich",
        "losses/discriminator_adversarial_rich",
        "losses/pseudo",
        "figures/z_diversity",
    } <= set(tags["scalars"])
    assert {"Rich → poor → rich", "Sampled z"} <= set(tags["images"])
    assert [event.step for event in events.Scalars("losses/adversarial_rich")] == list(range(1, STEPS + 1))
    assert [event.step for event in events.Images("Sampled z")][:2] == [4, 8]


def test_data_that_fail_leave_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cyclegan_folder(tmp_path / "data")

    def spoil(call: int, _: dict[str, Tensor]) -> None:
        if call == 3:
            (folder / "trainA" / "1.png").write_bytes(b"")

    change_terms(monkeypatch, spoil)
    message = r"(?s)cannot read 1 of 5 images.*1.png: the file is empty\n--resume goes on from step (\d)"
    with pytest.raises(ValueError, match=message) as raised:
        asyncgan.main(tiny(tmp_path / "run", folder))
    assert str(saved(tmp_path / "run")["step"]) == str(raised.value)[-1] != "0"
    assert "1.png: the file is empty" in (tmp_path / "run" / "broken-files.txt").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_is_killed_leaves_a_checkpoint(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = Domain.crop

    def deadly(self: Domain, index: int, *rest: Any) -> Tensor:
        if index == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return crop(self, index, *rest)

    monkeypatch.setattr(Domain, "crop", deadly)
    message = r"(?s)a process that loads images died .* fewer --workers\n--resume goes on from step (\d)"
    with pytest.raises(ValueError, match=message) as raised:
        asyncgan.main(tiny(tmp_path, data, workers=1))
    assert str(saved(tmp_path)["step"]) == str(raised.value)[-1]


def test_a_bug_in_the_data_leaves_a_checkpoint(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = Domain.crop

    def wrong(self: Domain, index: int, *rest: Any) -> Tensor:
        if index == 5:
            raise KeyError("a bug")
        return crop(self, index, *rest)

    monkeypatch.setattr(Domain, "crop", wrong)
    with pytest.raises(KeyError, match="a bug"):
        asyncgan.main(tiny(tmp_path, data))
    assert saved(tmp_path)["step"] == 4  # one batch is loaded ahead


def test_a_run_may_move_and_other_files_are_said(tmp_path: Path) -> None:
    folder, settings = cyclegan_folder(tmp_path / "data"), tiny(tmp_path / "run", tmp_path / "data")
    asyncgan.main(settings)
    moved, there = folder.rename(tmp_path / "elsewhere"), (tmp_path / "run").rename(tmp_path / "there")
    asyncgan.main(replace(settings, data=moved, out=there, resume=True))
    (moved / "trainB" / "1.png").rename(moved / "trainB" / "2.png")
    with pytest.warns(UserWarning, match="the files are not those of before, 5 then and 5 now"):
        asyncgan.main(replace(settings, data=moved, out=there, resume=True))


@pytest.mark.parametrize(("full", "left"), [({1}, STEPS), ({2, 3, 4, 5}, 2)])
def test_a_full_disk_costs_a_checkpoint(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, full: set[int], left: int
) -> None:
    calls = iter(range(1, 100))

    def sometimes(path: Path, *rest: Any) -> None:
        if next(calls) in full:
            raise OSError(28, "No space left on device")
        write_with_checksum(path, *rest)

    monkeypatch.setattr("support.run.checkpoint.write_with_checksum", sometimes)
    message = "could not be written: .* No space left on device; "
    refused = pytest.raises(ValueError, match=f"the checkpoint of step {STEPS} {message}the one before it is kept")
    with pytest.warns(UserWarning, match=f"{message}.*; training goes on"), refused if left == 2 else nullcontext():
        asyncgan.main(tiny(tmp_path, data, report_every=2))
    assert saved(tmp_path)["step"] == left


def test_a_full_disk_does_not_end_a_run(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logger, "write_report", full)
    with pytest.warns(UserWarning, match="could not be written") as said:
        asyncgan.main(tiny(tmp_path, data))
    messages = {str(one.message) for one in said}
    assert (
        f"the report of step {STEPS} could not be written: [Errno 28] No space left on device; training goes on"
        in messages
    )
    assert saved(tmp_path)["step"] == STEPS


def test_losses_after_the_checkpoint_are_dropped_on_a_resume(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after step 6, of which step 4 has a checkpoint: its losses are those of a run that was not killed."""
    asyncgan.main(tiny(tmp_path / "whole", data))

    def killed(call: int, _: dict[str, Tensor]) -> None:
        if call == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        change_terms(patch, killed)
        with pytest.raises(KeyboardInterrupt):
            asyncgan.main(tiny(tmp_path / "killed", data, report_every=4))
    assert [row["step"] for row in logged(tmp_path / "killed")] == [1, 2, 3, 4]
    asyncgan.main(tiny(tmp_path / "killed", data, resume=True))
    assert logged(tmp_path / "killed") == logged(tmp_path / "whole")


def test_a_picture_that_cannot_be_drawn_does_not_end_a_run(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(pictures, "asyncgan_pictures", fails)
    with pytest.warns(UserWarning, match=rf"the report of step {STEPS} could not be written: RuntimeError\('CUDA out"):
        asyncgan.main(tiny(tmp_path, data))
    assert saved(tmp_path)["step"] == STEPS


def test_tensorboard_on_a_full_disk_is_given_up(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def full(*arguments: Any, **_: Any) -> None:
        calls.append(arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    with pytest.warns(UserWarning, match="the log of tensorboard at step 1 could not be written"):
        asyncgan.main(tiny(tmp_path, data, tracker="tensorboard"))
    assert len(calls) == 1
    assert len(logged(tmp_path)) == STEPS


def test_nothing_is_written_twice_at_one_step(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    monkeypatch.setattr(loop, "save_checkpoint", lambda path, step, *rest: steps.append(step))
    asyncgan.main(tiny(tmp_path, data, report_every=3))
    assert steps == [3, 6, 9]


def test_warnings_of_a_run_reach_the_person_and_the_report(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(logger, "write_report", lambda *arguments: reports.append(arguments))
    monkeypatch.setattr("support.report.health.SAME", 2.0)
    with pytest.warns(UserWarning, match="images for different z are nearly the same"):
        asyncgan.main(tiny(tmp_path, data, report_every=4))
    assert any("z_diversity" in text for text in reports[-1][7])


def test_a_graph_is_refused_where_there_can_be_none(tmp_path: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="graph: a CUDA graph holds a step of one batch, got accumulate=2"):
        tiny(tmp_path, data, graph=True, accumulate=2)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="graph: needs a CUDA device and one process, got cpu and 1; leave out"):
            asyncgan.main(tiny(tmp_path, data, graph=True))


def test_steps_taken_by_graphs_train_as_steps_that_are_called(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joint and partial steps, each with a graph of its own, learning rates falling; in place of replays they are called."""

    def called_with_tensors(
        _: loop.Run, step: Callable[..., None], *optimizers: torch.optim.Optimizer
    ) -> Callable[..., None]:
        def called(*batch: Tensor) -> None:
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = torch.full((), float(group["lr"]))  # float32, as a graph reads it
            step(*batch)

        return called

    done = graphs_rerun(monkeypatch)
    monkeypatch.setattr(loop, "create_accelerator", lambda settings: create_accelerator(replace(settings, graph=False)))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    course = {"graph": True, "epochs": 12, "period": 4}
    asyncgan.main(tiny(tmp_path / "graph", data, **course))
    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "captured", called_with_tensors)
        asyncgan.main(tiny(tmp_path / "called", data, **course))
    graph, called = (logged(tmp_path / name) for name in ("graph", "called"))
    assert len(graph) == len(done) - 2
    assert (done.count("capture"), done.count("warm-up")) == (2, 6)
    assert {"pseudo", "cycle_poor"} <= {name for row in graph for name in row}
    assert graph == called
    state, expected = saved(tmp_path / "graph"), saved(tmp_path / "called")
    for part in ("model", "discriminators", "pools"):
        leaves_of_both = (torch.utils._pytree.tree_leaves(each["parts"][part]) for each in (state, expected))
        assert all(map(torch.equal, *leaves_of_both)), part
    assert isinstance(state["parts"]["optimizer_g"]["param_groups"][0]["lr"], Tensor)
    AcceleratorState._reset_state(reset_partial_state=True)  # and it goes on without a graph
    asyncgan.main(tiny(tmp_path / "graph", data, **(course | {"graph": False, "resume": True})))
    assert saved(tmp_path / "graph")["step"] == state["step"]
