"""Steps that are not taken."""

from __future__ import annotations

import copy
import math
import multiprocessing
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import nn
from waits import NoWaiting

from asymkit import StepGuard

NAN = float("nan")


def trained(**options: Any) -> tuple[nn.Linear, torch.optim.Adam, StepGuard]:
    layer = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return layer, optimizer, StepGuard(**options)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_bad_loss_costs_its_step_and_nothing_else(bad: float) -> None:
    layer, optimizer, guard = trained()
    before = [p.detach().clone() for p in layer.parameters()]
    average = optimizer.state[layer.weight]["exp_avg"].clone()
    terms = {"cycle": layer(torch.full((1, 2), bad)).sum(), "identity": 0, "gan": layer(torch.ones(1, 2)).sum()}
    torch.stack([torch.as_tensor(term) for term in terms.values()]).sum().backward()
    with pytest.warns(UserWarning, match=r"step 1 was not taken: cycle is (nan|inf|-inf); 1 skipped so far"):
        assert not guard.step(optimizer, terms)
    assert all(torch.equal(a, p) for a, p in zip(before, layer.parameters(), strict=True))
    assert torch.equal(average, optimizer.state[layer.weight]["exp_avg"])
    assert layer.weight.grad is None

    loss = layer(torch.ones(1, 2)).sum()
    loss.backward()
    assert guard.step(optimizer, loss)
    assert (guard.steps, guard.skipped, guard.consecutive_skips) == (2, 1, 0)
    assert not torch.equal(before[0], layer.weight)


def test_bad_gradients_of_finite_losses_are_seen() -> None:
    layer, optimizer, guard = trained()
    (layer(torch.zeros(1, 2)) - layer.bias).abs().sqrt().sum().backward()  # 0, whose root has no gradient
    with pytest.warns(UserWarning, match="gradients are not finite, losses are"):
        assert not guard.step(optimizer, {"cycle": torch.tensor(0.0)})


def test_large_gradients_are_finite_and_terms_need_not_be_scalars() -> None:
    layer, optimizer, guard = trained()
    (1e20 * layer(torch.ones(1, 2)).sum()).backward()  # whose squares are not
    assert guard.step(optimizer, {"cycle": torch.ones(3)})
    with pytest.warns(UserWarning, match="cycle is nan"):
        assert not guard.step(optimizer, {"cycle": torch.full((3,), torch.nan)})


@pytest.mark.parametrize("sparse", [False, True])
def test_parameters_without_elements_are_no_obstacle(sparse: bool) -> None:
    layer, _, guard = trained()
    empty = nn.Parameter(torch.zeros(0, 2))
    optimizer = torch.optim.SGD([*layer.parameters(), empty], 1.0)
    for bad in (False, True):
        layer(torch.full((1, 2), float("nan") if bad else 1.0)).sum().backward()
        empty.grad = torch.zeros(0, 2).to_sparse(1) if sparse else torch.zeros(0, 2)
        with pytest.warns(UserWarning, match="gradients are not finite") if bad else nullcontext():
            assert guard.step(optimizer, {}) is not bad
    empty.grad = torch.zeros(0, 2)
    assert guard.step(torch.optim.SGD([empty], 1.0), {})


@pytest.mark.parametrize(("term", "shown"), [(10**400, "inf"), (-(10**400), "-inf")], ids=["above", "below"])
def test_integers_beyond_all_floats_are_not_finite(term: int, shown: str) -> None:
    _, optimizer, guard = trained()
    with pytest.warns(UserWarning, match=f"step 1 was not taken: cycle is {shown}; 1 skipped so far"):
        assert not guard.step(optimizer, {"cycle": term})


def test_it_gives_up_after_so_many_in_a_row() -> None:
    _, optimizer, guard = trained(limit=3)
    for _ in range(2):
        with pytest.warns(UserWarning, match="not taken"):
            guard.step(optimizer, {"style": torch.tensor(float("nan"))})
    with pytest.raises(FloatingPointError, match=r"step 3 was not taken: style is nan; that makes 3 in a row"):
        guard.step(optimizer, {"style": torch.tensor(float("nan"))})
    with pytest.raises(ValueError, match="limit must be"):
        StepGuard(limit=0)


def test_a_scaler_keeps_its_own_eye_on_gradients() -> None:
    layer, optimizer, guard = trained()
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = layer.weight.detach().clone()
    scaler.scale(layer(torch.full((1, 2), 1e38)).sum()).backward()  # overflows where it is scaled
    assert guard.step(optimizer, {"gan": torch.tensor(1.0)}, scaler)
    scaler.update()
    assert torch.equal(before, layer.weight)
    assert scaler.get_scale() < 4.0
    scaler.scale(layer(torch.ones(1, 2)).sum()).backward()
    with pytest.warns(UserWarning, match="gan is nan"):
        assert not guard.step(optimizer, {"gan": torch.tensor(float("nan"))}, scaler)
    scaler.update()  # as after every step


@pytest.mark.parametrize("enabled", [None, True, False])
def test_an_optimizer_without_gradients_takes_its_empty_step(enabled: bool | None) -> None:
    """All it holds is frozen, or its terms are off: what ``optimizer.step()`` does then, with a scaler or without."""
    layer, optimizer, guard = trained()
    scaler = None if enabled is None else torch.amp.GradScaler("cpu", init_scale=4.0, enabled=enabled)
    before = copy.deepcopy((layer.state_dict(), optimizer.state_dict()))
    for terms in ({"gan": torch.tensor(1.0)}, {"gan": 0}, {}):
        assert guard.step(optimizer, terms, scaler)
    after = (layer.state_dict(), optimizer.state_dict())
    assert str(before) == str(after)
    assert (guard.steps, guard.skipped) == (3, 0)
    with pytest.warns(UserWarning, match="gan is nan"):
        assert not guard.step(optimizer, {"gan": torch.tensor(torch.nan)}, scaler)

    if scaler is not None:  # another optimizer of the same scaler steps as ever
        other = nn.Linear(2, 1)
        second = torch.optim.SGD(other.parameters(), 1.0)
        weight = other.weight.detach().clone()
        scaler.scale(other(torch.ones(1, 2)).sum()).backward()
        assert guard.step(optimizer, {"off": 0}, scaler)
        assert guard.step(second, {"gan": torch.tensor(1.0)}, scaler)
        scaler.update()
        torch.testing.assert_close(other.weight, weight - 1)
        assert scaler.get_scale() == (4.0 if enabled else 1.0)


def test_groups_without_gradients_stay_as_they_are() -> None:
    part, frozen = nn.Linear(2, 1), nn.Linear(2, 1).requires_grad_(False)
    groups: list[dict[str, Any]] = [{"params": part.parameters()}, {"params": frozen.parameters(), "lr": 1.0}]
    optimizer = torch.optim.Adam(groups, 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for each in (None, scaler):
        before = part.weight.detach().clone(), frozen.weight.detach().clone()
        loss = part(torch.ones(1, 2)).sum()
        (loss if each is None else each.scale(loss)).backward()
        assert StepGuard().step(optimizer, loss, each)
        assert not torch.equal(before[0], part.weight)
        assert torch.equal(before[1], frozen.weight)
        optimizer.zero_grad()
    scaler.update()


def test_a_scaler_that_is_disabled_looks_after_nothing() -> None:
    """``GradScaler(enabled=args.amp)`` is how training scripts switch it off."""
    layer, optimizer, guard = trained()
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    before = layer.weight.detach().clone()
    scaler.scale((layer(torch.zeros(1, 2)) - layer.bias).abs().sqrt().sum()).backward()  # 0, whose root has no gradient
    with pytest.warns(UserWarning, match="gradients are not finite"):
        assert not guard.step(optimizer, {"gan": torch.tensor(1.0)}, scaler)
    scaler.update()
    assert torch.equal(before, layer.weight)


def test_gradients_that_were_unscaled_to_be_clipped_can_be_skipped() -> None:
    layer, optimizer, guard = trained()
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for term, taken in ((1.0, True), (float("nan"), False)):
        scaler.scale(layer(torch.ones(1, 2)).sum()).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        with nullcontext() if taken else pytest.warns(UserWarning, match="gan is nan"):
            assert guard.step(optimizer, {"gan": torch.tensor(term)}, scaler) == taken
        scaler.update()
        optimizer.zero_grad()


def test_sparse_gradients_are_looked_at() -> None:
    table, dense = nn.Embedding(4, 2, sparse=True), nn.Linear(2, 1)
    optimizer, guard = torch.optim.SGD([*table.parameters(), *dense.parameters()], 1.0), StepGuard()
    for factor, taken in ((1.0, True), (2e38, False)):  # twice the same row: the sum is not finite
        before = table.weight.detach().clone()
        optimizer.zero_grad()
        (factor * table(torch.tensor([1, 1]))).sum().backward()
        with nullcontext() if taken else pytest.warns(UserWarning, match="gradients are not finite"):
            assert guard.step(optimizer, {"loss": 0.0}) == taken
        assert torch.equal(before, table.weight) != taken


def _process(rank: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "29611", "RANK": str(rank), "WORLD_SIZE": "2"}
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    layer = nn.Linear(1, 1)
    guard, optimizer = StepGuard(), torch.optim.SGD(layer.parameters(), 1.0)
    layer(torch.ones(1, 1)).sum().backward()
    import warnings

    warnings.simplefilter("ignore")
    taken = [guard.step(optimizer, {"loss": torch.tensor(float("nan") if rank else 1.0)})]
    if rank == 0:
        layer(torch.ones(1, 1)).sum().backward()
    taken.append(guard.step(optimizer, {"loss": 0}))  # this process has no gradient, its term is off: it still answers
    fused = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.ones(1, 1)).sum().backward()
    taken.append(bool(StepGuard(read_every=10).step(fused, {"loss": torch.tensor(NAN if rank else 1.0)})))
    Path(folder, f"{rank}").write_text(str(taken), encoding="utf-8")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_all_processes_skip_or_none(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_process, args=(rank, str(tmp_path))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [(tmp_path / str(rank)).read_text(encoding="utf-8") for rank in range(2)] == [
        "[False, True, False]",
        "[False, True, False]",
    ]


def fused(cls: type[torch.optim.Adam] = torch.optim.Adam, **options: Any) -> tuple[nn.Linear, torch.optim.Adam]:
    torch.manual_seed(0)
    layer = nn.Linear(2, 1)
    return layer, cls(layer.parameters(), 0.1, weight_decay=0.01, fused=True, **options)


def step(layer: nn.Module, optimizer: torch.optim.Optimizer, guard: StepGuard | None, value: float) -> Any:
    """Of a loss of this size; without a guard as it is."""
    loss = value * layer(torch.ones(1, 2)).sum()
    optimizer.zero_grad()
    loss.backward()
    if guard is None:
        return optimizer.step()
    with NoWaiting():
        return guard.step(optimizer, {"gan": loss, "off": 0})


@pytest.mark.parametrize("cls", [torch.optim.Adam, torch.optim.AdamW])
def test_a_fused_adam_leaves_steps_out_without_waiting(cls: type[torch.optim.Adam]) -> None:
    """Weights and state after finite steps and others are those after the finite ones, from the very first on."""
    values = [NAN, 1.0, -2.0, float("inf"), 0.5, NAN, NAN, 3.0]
    layer, optimizer = fused(cls)
    expected, plain = fused(cls)
    guard = StepGuard(read_every=100)
    for value in values:
        taken = step(layer, optimizer, guard, value)
        assert isinstance(taken, torch.Tensor)
        assert bool(taken) == math.isfinite(value)
        if math.isfinite(value):
            step(expected, plain, None, value)
        for one, other in zip(layer.parameters(), expected.parameters(), strict=True):
            assert torch.equal(one, other)
            for name, kept in plain.state[other].items():
                assert torch.equal(optimizer.state[one][name], kept), name
    assert (guard.steps, guard.skipped) == (8, 0)  # nothing is read yet
    with pytest.warns(UserWarning, match=r"^4 of steps 1 to 8 were not taken: gan is nan; 4 skipped so far$"):
        guard.read()
    assert (guard.steps, guard.skipped, guard.consecutive_skips) == (8, 4, 0)
    guard.read()  # nothing new, no warning


def test_the_counters_are_read_every_so_many_steps() -> None:
    layer, optimizer = fused()
    guard = StepGuard(read_every=3)
    for _ in range(2):
        step(layer, optimizer, guard, NAN)
    assert guard.skipped == 0
    layer(torch.ones(1, 2)).sum().backward()
    with pytest.warns(
        UserWarning, match=r"3 of steps 1 to 3 were not taken: gan is nan, other is inf; 3 skipped so far"
    ):
        guard.step(
            optimizer, {"other": torch.tensor(torch.inf)}
        )  # in other words: these terms are a record of their own
    assert (guard.skipped, guard.consecutive_skips) == (3, 3)
    layer.weight.grad = torch.full_like(layer.weight, NAN)
    guard.step(optimizer, torch.tensor(1.0))
    with pytest.warns(
        UserWarning, match=r"^step 4 was not taken: gradients are not finite, losses are; 4 skipped so far$"
    ):
        guard.read()
    for _ in range(3):
        step(layer, optimizer, guard, 1.0)
    assert (guard.steps, guard.skipped, guard.consecutive_skips) == (7, 4, 0)


def test_it_gives_up_after_so_many_in_a_row_that_it_has_not_read() -> None:
    """Also where a finite step came after them, and where they began before the last reading."""
    layer, optimizer = fused()
    guard = StepGuard(limit=4, read_every=10)
    values = [1.0] * 8 + [NAN] * 2
    for value in values:
        with pytest.warns(UserWarning, match="2 of steps 1 to 10") if guard.steps == 9 else nullcontext():
            step(layer, optimizer, guard, value)
    before = copy.deepcopy(layer.state_dict())
    for _ in range(3):
        step(layer, optimizer, guard, NAN)
    assert str(layer.state_dict()) == str(before)
    for _ in range(6):
        step(layer, optimizer, guard, 0.0)
    with pytest.raises(
        FloatingPointError, match=r"^3 of steps 11 to 20 were not taken: gan is nan; that makes 5 in a row"
    ):
        step(layer, optimizer, guard, 0.0)
    assert guard.steps == 20


class OwnStep(torch.optim.Adam):
    """A subclass, which may do anything."""


@pytest.mark.parametrize(
    "optimizer_of",
    [
        lambda p: torch.optim.Adam(p, 0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True),
        lambda p: OwnStep(p, 0.1, fused=True),
    ],
    ids=["Adam", "fused SGD", "subclass"],
)
def test_other_optimizers_wait_for_their_answer(optimizer_of: Any) -> None:
    layer = nn.Linear(2, 1)
    guard, optimizer = StepGuard(read_every=10), optimizer_of(list(layer.parameters()))
    layer(torch.ones(1, 2)).sum().backward()
    with pytest.warns(UserWarning, match="step 1 was not taken: gan is nan; 1 skipped so far"):
        assert guard.step(optimizer, {"gan": torch.tensor(NAN)}) is False
    assert not optimizer.state


def test_on_a_cpu_and_with_a_scaler_nothing_is_put_off_unless_asked_for() -> None:
    layer, optimizer = fused()
    layer(torch.ones(1, 2)).sum().backward()
    assert StepGuard().step(optimizer, {"gan": torch.tensor(1.0)}) is True
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(layer(torch.ones(1, 2)).sum()).backward()
    with pytest.warns(UserWarning, match="step 1 was not taken: gan is nan"):
        assert StepGuard(read_every=10).step(optimizer, {"gan": torch.tensor(NAN)}, scaler) is False
    with pytest.raises(ValueError, match="read_every must be an integer of at least 1, got 0"):
        StepGuard(read_every=0)


def test_accelerates_wrapper_is_looked_into() -> None:
    layer, optimizer = fused()
    wrapped, guard = Accelerator(cpu=True).prepare(optimizer), StepGuard(read_every=10)
    for value in (1.0, NAN):
        before = layer.weight.detach().clone()
        taken = step(layer, wrapped, guard, value)
        assert torch.equal(before, layer.weight) != bool(taken) == (value == 1.0)


def test_no_gradients_and_no_terms_are_a_step_on_the_device_too() -> None:
    layer, optimizer = fused()
    guard, before = StepGuard(read_every=2), layer.weight.detach().clone()
    for terms in ({}, {"off": 0}):
        assert bool(guard.step(optimizer, terms))
    assert torch.equal(layer.weight, before)
    assert not bool(guard.step(optimizer, {"off": 10**400}))
    with pytest.warns(UserWarning, match="step 3 was not taken: off is inf"):
        guard.read()


def test_a_wrapper_with_a_scaler_is_left_to_it() -> None:
    """accelerate's, in float16: the scaler uses found_inf itself, so that the guard has to wait for its answer."""
    layer, optimizer = fused()
    wrapped = AcceleratedOptimizer(optimizer, scaler=torch.amp.GradScaler("cpu", init_scale=1.0))
    guard = StepGuard(read_every=2)
    for value, message in ((1.0, None), (NAN, "step 2 was not taken: gan is nan")):
        wrapped.scaler.scale(layer(torch.ones(1, 2)).sum()).backward()
        before = layer.weight.detach().clone()
        with pytest.warns(UserWarning, match=message) if message else nullcontext():
            taken = guard.step(wrapped, {"gan": torch.tensor(value)})
        assert taken is (value == 1.0)
        assert torch.equal(before, layer.weight) != taken


def test_a_row_that_was_given_up_does_not_count_again() -> None:
    layer, optimizer = fused()
    guard = StepGuard(limit=4, read_every=2)
    for value in [NAN] * 3:
        with pytest.warns(UserWarning, match="2 of steps 1 to 2") if guard.steps == 1 else nullcontext():
            step(layer, optimizer, guard, value)
    with pytest.raises(FloatingPointError, match="that makes 4 in a row"):
        step(layer, optimizer, guard, NAN)
    for value in [1.0] * 8 + [NAN]:
        step(layer, optimizer, guard, value)
    with pytest.warns(UserWarning, match="1 of steps 13 to 14 was not taken"):
        step(layer, optimizer, guard, 1.0)


def test_numbers_beyond_float32_are_finite_on_the_device_too() -> None:
    layer, optimizer = fused()
    assert bool(StepGuard(read_every=2).step(optimizer, {"large": 1e39, "small": -1e300}))
    layer = layer.double()
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    (layer(torch.ones(1, 2).double()).sum() * 1e200).backward()
    assert bool(StepGuard(read_every=2).step(optimizer, {"gan": torch.tensor(1.0)}))
