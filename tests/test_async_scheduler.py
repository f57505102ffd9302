from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from asymkit import AsyncScheduler
from asymkit.training.schedule import Rule

PLANS = [(100, 10), (120, 20), (100, 30), (100, 5), (100, 15), (4, 2), (3, 2), (1, 1)]

# first and last epochs of every partial phase, by hand from the paper's text and from its Algorithm 1
PARTIAL: dict[tuple[int, int, Rule], list[tuple[int, int]]] = {
    (100, 10, "text"): [(55, 59), (65, 69), (75, 79), (85, 89), (95, 99)],
    (100, 10, "algorithm1"): [(55, 58), (65, 68), (75, 78), (85, 88), (95, 98)],
    (120, 20, "text"): [(70, 79), (90, 99), (110, 119)],
    (120, 20, "algorithm1"): [(70, 78), (90, 98), (110, 118)],
    (100, 30, "text"): [(65, 79), (95, 99)],
    (100, 30, "algorithm1"): [(50, 58), (75, 88)],
    (100, 5, "text"): [(e + 3, e + 4) for e in range(50, 100, 5)],
    (100, 5, "algorithm1"): [(e + 2, e + 3) for e in range(50, 100, 5)],
    (100, 15, "text"): [(58, 64), (73, 79), (88, 94)],
    (100, 15, "algorithm1"): [(52, 58), (67, 73), (82, 88), (97, 99)],
    (4, 2, "text"): [(3, 3)],
    (4, 2, "algorithm1"): [],
    (3, 2, "text"): [],
    (3, 2, "algorithm1"): [],
    (1, 1, "text"): [],
    (1, 1, "algorithm1"): [],
}


def schedule(total: int, period: int, rule: Rule = "text", **parts: Any) -> AsyncScheduler:
    arguments: dict[str, Any] = {"joint": lambda: "joint", "partial": lambda: "partial", "frozen": [nn.Linear(1, 1)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AsyncScheduler(**{**arguments, **parts}, total_epochs=total, period=period, rule=rule)


@pytest.mark.parametrize(("total", "period", "rule"), PARTIAL)
def test_every_phase_of_every_plan(total: int, period: int, rule: Rule) -> None:
    step = schedule(total, period, rule)
    partial = {e for first, last in PARTIAL[total, period, rule] for e in range(first, last + 1)}
    assert [step.phase(e) for e in range(total)] == ["partial" if e in partial else "joint" for e in range(total)]


@pytest.mark.parametrize(("total", "period"), [*PLANS, (101, 7), (10, 7), (9, 8), (30, 31)])
def test_phases_are_those_of_the_paper_told_step_by_step(total: int, period: int) -> None:
    text = ["joint"] * math.ceil(total / 2)
    while len(text) < total:
        text += ["joint"] * math.ceil(period / 2) + ["partial"] * (period // 2)
    algorithm1 = ["joint" if n <= total / 2 or n % period <= period / 2 else "partial" for n in range(1, total + 1)]
    assert [schedule(total, period).phase(e) for e in range(total)] == text[:total]
    assert [schedule(total, period, "algorithm1").phase(e) for e in range(total)] == algorithm1


def test_the_right_step_runs_with_the_arguments_as_they_are() -> None:
    step = schedule(
        4, 2, joint=lambda batch, *, k: ("joint", batch, k), partial=lambda batch, *, k: ("partial", batch, k)
    )
    batch = {"A": 1, "B": 2}
    for epoch, phase in ((0, "joint"), (3, "partial"), (2, "joint")):
        step.set_epoch(epoch)
        name, given, k = step(batch, k=3)
        assert (name, k) == (phase, 3)
        assert given is batch


def test_a_resumed_schedule_goes_on_where_it_was() -> None:
    whole, resumed = schedule(20, 4), schedule(20, 4)
    for epoch in range(20):
        whole.set_epoch(epoch)
        if epoch >= 13:
            resumed.set_epoch(epoch)
            assert resumed() == whole()


def test_iterations_instead_of_epochs() -> None:
    step = schedule(1000, 100)
    assert [step.phase(i) for i in (499, 500, 549, 550, 599, 600)] == ["joint"] * 3 + ["partial"] * 2 + ["joint"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": 0}, "period must be an integer of at least 1, got 0"),
        ({"period": 2.0}, "period must be an integer"),
        ({"total_epochs": 0}, "total_epochs must be an integer of at least 1"),
        ({"rule": "prose"}, "rule"),
        ({"joint": 3}, "joint must be a training step, something to call, got int"),
        ({"frozen": []}, r"frozen must be a list of modules .* got \[\]"),
        ({"frozen": nn.Linear(1, 1)}, "got Linear"),
        ({"frozen": [torch.zeros(1)]}, r"got \[Tensor\]"),
        ({"frozen": nn.ReLU().children()}, r"got \[\]"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "joint": print,
        "partial": print,
        "frozen": [nn.Linear(1, 1)],
        "total_epochs": 8,
        "period": 4,
    }
    with pytest.raises(ValueError, match=message):
        AsyncScheduler(**{**good, **change})


@pytest.mark.parametrize("epoch", [-1, 8, 1.0, True, None])
def test_an_epoch_out_of_range_is_refused(epoch: Any) -> None:
    step = schedule(8, 4)
    with pytest.raises(ValueError, match="from 0 to 7"):
        step.set_epoch(epoch)
    with pytest.raises(ValueError, match="from 0 to 7"):
        step.phase(epoch)


def test_an_epoch_never_set_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"scheduler.set_epoch\(epoch\)"):
        schedule(8, 4)()


@pytest.mark.parametrize(("total", "period", "rule"), [plan for plan, spans in PARTIAL.items() if not spans])
def test_a_plan_without_partial_epochs_warns(total: int, period: int, rule: Rule) -> None:
    with pytest.warns(UserWarning, match="no partial epoch"):
        AsyncScheduler(print, print, [nn.Linear(1, 1)], total, period, rule)


def test_a_person_can_read_it() -> None:
    step = schedule(100, 10, joint=print)
    assert repr(step).startswith("AsyncScheduler(joint=print, partial=")
    assert "frozen=[Linear], total_epochs=100, period=10, rule='text'; no epoch set)" in repr(step)
    step.set_epoch(57)
    assert repr(step).endswith("epoch 57: partial)")
    lines = step.table().splitlines()
    assert lines[:2] == ["epochs 0-54   joint     55 epochs", "epochs 55-59  partial   5 epochs"]
    assert lines[-1] == "75 joint and 25 partial of 100; period 10, rule 'text'"


class Model(nn.Module):
    """Two directions and two discriminators; buffers in those that get frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.easy = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
        self.hard = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
        self.rich_discriminator = nn.Conv2d(3, 1, 3)
        self.poor_discriminator = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))

    def forward(self, x: Tensor, phase: str = "joint") -> Tensor:
        if phase == "partial":
            with torch.no_grad():
                poor = self.easy(x)
            rich = self.hard(poor)
            partial: Tensor = (rich - x).abs().mean() + self.rich_discriminator(rich).square().mean()
            return partial
        poor = self.easy(x)
        rich = self.hard(poor)
        scores = self.rich_discriminator(rich).square().mean() + self.poor_discriminator(poor).square().mean()
        joint: Tensor = (rich - x).abs().mean() + scores
        return joint


def state(*modules: nn.Module) -> list[Tensor]:
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def same(before: list[Tensor], after: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def parameters(*modules: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for module in modules for tensor in module.parameters()]


def trained(model: Model, call: Any, set_to_none: bool, held_of: Any = state) -> None:
    """50 joint steps, then 50 partial ones which must leave the easy half alone, with one shared optimizer."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=0.1)

    def step_of(phase: str) -> Any:
        def step(x: Tensor) -> None:
            optimizer.zero_grad(set_to_none=set_to_none)
            call(x, phase).backward()
            optimizer.step()

        return step

    parts = [model.easy, model.poor_discriminator]
    step = AsyncScheduler(step_of("joint"), step_of("partial"), parts, total_epochs=4, period=2)
    model.poor_discriminator[1].eval()  # a mode of one's own comes back as it was
    modes, required = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    for epoch in (0, 3):
        held, moving = held_of(*parts), state(model.hard, model.rich_discriminator)
        step.set_epoch(epoch)
        for _ in range(50):
            step(torch.randn(2, 3, 8, 8))
        assert same(held, held_of(*parts)) == (epoch == 3)
        assert not same(moving, state(model.hard, model.rich_discriminator))
        assert [m.training for m in model.modules()] == modes
        assert [p.requires_grad for p in model.parameters()] == required


@pytest.mark.parametrize("set_to_none", [True, False])
def test_frozen_is_bit_identical_under_one_shared_adam(set_to_none: bool) -> None:
    model = Model()
    trained(model, model, set_to_none)


def test_modules_may_come_one_by_one() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    step = schedule(4, 2, partial=lambda: [p.requires_grad for p in net.parameters()], frozen=net.children())
    step.set_epoch(3)
    assert step() == [False] * 4


@pytest.mark.parametrize("total", range(1, 13))
@pytest.mark.parametrize("rule", ["text", "algorithm1"])
def test_a_period_that_is_advised_has_partial_epochs(total: int, rule: Rule) -> None:
    with pytest.warns(UserWarning, match="no partial epoch") as seen:
        AsyncScheduler(print, print, [nn.Linear(1, 1)], total, 1, rule)
    advised = re.search(r"period=(\d+) has some$", str(seen[0].message))
    if advised:
        assert "partial" in [schedule(total, int(advised[1]), rule).phase(e) for e in range(total)]
    else:
        plans = [schedule(total, period, rule) for period in range(1, 4 * total)]
        assert all(plan.phase(e) == "joint" for plan in plans for e in range(total))


def test_restores_after_an_exception_and_nests() -> None:
    model, other = Model(), Model()

    def fails() -> None:
        assert not any(p.requires_grad for p in model.easy.parameters())
        raise KeyError

    inner = schedule(4, 2, joint=fails, partial=fails, frozen=[model.easy])
    outer = schedule(4, 2, joint=inner, partial=inner, frozen=[other, model.easy[0]])
    inner.set_epoch(3)
    outer.set_epoch(3)
    with pytest.raises(KeyError):
        outer()
    for each in (model, other):
        assert all(p.requires_grad for p in each.parameters())
        assert all(m.training for m in each.modules())


@pytest.mark.slow
def test_works_with_a_compiled_model() -> None:
    model = Model()
    trained(model, torch.compile(model), set_to_none=True)


def process(rank: int, folder: str, broadcast: bool) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = Model()
    torch.manual_seed(rank)
    # where DDP gives the first process's buffers to the other, those of the other do change, once
    held_of = parameters if broadcast and rank else state
    ddp = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True, broadcast_buffers=broadcast)
    trained(model, ddp, set_to_none=rank == 0, held_of=held_of)
    torch.save(parameters(model), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("broadcast", [True, False])
def test_frozen_is_bit_identical_in_two_processes(tmp_path: Path, broadcast: bool) -> None:
    spawn(process, (str(tmp_path), broadcast), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert same(first, second)
