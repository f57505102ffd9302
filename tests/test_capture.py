"""Training steps that a CUDA graph can hold, on machines without a GPU; tests/test_cuda.py captures some."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from waits import NoWaiting, WaitsError, fake_cuda, graphs_rerun

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    CapturedStep,
    ColorCycleLoss,
    ContentLoss,
    DiscriminatorAugmentation,
    DomainDiscriminator,
    DualGenerator,
    GramStyleLoss,
    ImagePools,
    LogisticLoss,
    MSSSIMLoss,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    ResnetGenerator,
    SSIMLoss,
    StepGuard,
    VGGFeatures,
    frozen,
    linear_decay,
    ops,
)
from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.objectives.terms import in_one_batch
from conftest import images_like

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}
PATCH: dict[str, Any] = {"width": 4, "layers": 1}


@pytest.fixture
def on_fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors that say they are on a GPU and compute nothing."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    with FakeTensorMode():
        try:
            torch.ones(1).to("cuda")
        except RuntimeError:  # PyTorch 2.9
            pytest.skip("this PyTorch looks for a driver even for tensors that compute nothing")
    with FakeTensorMode(), torch.device("cuda"):
        yield


def test_what_waits_is_found(on_fake_cuda: None) -> None:
    x = torch.rand(2)
    fake_cuda(x)
    for waits in (lambda: bool(x.sum() > 0), lambda: x.cpu(), lambda: x.tolist()):
        with pytest.raises(WaitsError), NoWaiting():
            waits()
    with torch.device("cpu"):
        numbers = torch.ones(2)
    with pytest.raises(WaitsError), NoWaiting():
        numbers.to("cuda")


def stepped(model: nn.Module, terms: dict[str, Tensor], guard: StepGuard) -> None:
    """The optimizer's part, with gradients made up: without a GPU there is no backward pass of fake CUDA tensors."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True, capturable=True)
    optimizer.param_groups[0]["lr"] = torch.full((), 1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(2):
        with torch.device("cpu"), NoWaiting():
            fake_cuda(guard.step(optimizer, terms | {"off": 0}))  # type: ignore[arg-type]


def test_a_step_of_asymgan_and_asyncgan_neither_waits_nor_copies(on_fake_cuda: None) -> None:
    model = asyncgan.Translators(ResnetGenerator(**SMALL), AuxGenerator(**SMALL), AuxEncoder(width=4), extended=True)
    discriminators = asymgan.Discriminators(
        PatchDiscriminator(**PATCH), PatchDiscriminator(**PATCH), AuxDiscriminator(8)
    )
    content, style = (loss(VGGFeatures(["relu2_2"], None)) for loss in (ContentLoss, GramStyleLoss))
    color, similarity, guard = ColorCycleLoss([1, 2, 3]), MSSSIMLoss(scales=1), StepGuard()
    pools = ImagePools(4, capturable=True)
    x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    for _ in range(2):
        with torch.device("cpu"), NoWaiting():  # as in training: what is made without a device is on the CPU
            cycles = model(x, y)
            with frozen(discriminators):
                terms = asymgan.generator_terms(cycles, discriminators, content, style)
            asymgan.Weights().total(terms)
            asymgan.discriminator_terms(pools(cycles), discriminators)
            terms["color"] = color(cycles.rebuilt_rich, x)
            terms["structure"] = similarity(cycles.rebuilt_poor, y) + SSIMLoss()(cycles.rebuilt_poor, y)
            pairs = model(x, phase="partial")
            asyncgan.Weights().total(asyncgan.partial_generator_terms(pairs, discriminators, LogisticLoss()))
            asyncgan.partial_discriminator_terms(pairs.detach(), discriminators)
            ops.color_l1(x, y, torch.ones(3, device="cuda"))
    fake_cuda(*terms.values())
    stepped(model, terms, guard)


def test_a_step_of_asymmetricgan_neither_waits_nor_copies(on_fake_cuda: None) -> None:
    model = unsupervised.Translators(DualGenerator.preset("S2", 3, "none", 4))
    discriminators = nn.ModuleList([DomainDiscriminator(3, image_size=32, width=4, layers=2)])
    multiscale = MultiscaleDiscriminator(scales=2, layers=1, width=4)
    DiscriminatorAugmentation().attach(multiscale)
    x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    source, target = torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64)
    with torch.device("cpu"), NoWaiting():
        cycle = model(x, source, y, target)
        terms = unsupervised.generator_terms(cycle, discriminators, structure=MSSSIMLoss(scales=1))
        unsupervised.Weights().total(terms)
        unsupervised.discriminator_terms(cycle.detach(), discriminators)
        LogisticLoss().discriminator_loss(multiscale(x), multiscale(y))
    stepped(model, terms, StepGuard())


def test_a_guard_says_that_its_first_step_cannot_be_captured(
    on_fake_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    layer, guard = nn.Linear(2, 1), StepGuard()
    with pytest.raises(RuntimeError, match="take a step with this StepGuard and these terms before one is captured"):
        stepped(layer, {"gan": torch.zeros(())}, guard)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    stepped(layer, {"gan": torch.zeros(())}, guard)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    stepped(layer, {"gan": torch.zeros(())}, guard)
    assert guard.steps == 2  # captured ones are not steps; replays are
    guard.replayed()
    assert guard.steps == 3


@pytest.fixture
def without_graphs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return graphs_rerun(monkeypatch)


class Case:
    """A network, its optimizer, its schedule and its step."""

    def __init__(self, lr: Any = 0.1) -> None:
        torch.manual_seed(0)
        self.layer = nn.Linear(2, 1)
        self.optimizer = torch.optim.Adam(self.layer.parameters(), lr, fused=True)
        self.guard = StepGuard(read_every=4)

    def step(self, x: Tensor) -> Tensor:
        loss = self.layer(x).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.guard.step(self.optimizer, loss)
        return loss.detach()


def test_every_call_is_one_step_on_its_own_batch(without_graphs: list[str]) -> None:
    one, other = Case(), Case()
    step = CapturedStep(one.step, [one.optimizer])
    for _ in range(7):
        x = torch.rand(3, 2)
        torch.testing.assert_close(step(x), other.step(x.clone()))
        x.zero_()  # a copy was taken
    assert without_graphs == ["warm-up"] * 3 + ["capture"] + ["replay"] * 4
    assert step.steps == 7
    torch.testing.assert_close(one.layer.state_dict(), other.layer.state_dict())


@pytest.mark.parametrize("how", ["schedule", "number", "tensor from the beginning"])
def test_the_learning_rate_goes_on_to_change(how: str, without_graphs: list[str]) -> None:
    one, other = (Case(torch.tensor(0.1) if how.startswith("tensor") and own else 0.1) for own in (True, False))
    step, held = CapturedStep(one.step, [one.optimizer]), None
    courses = [
        torch.optim.lr_scheduler.LambdaLR(case.optimizer, lambda i: linear_decay(i / 10)) for case in (one, other)
    ]
    for i in range(9):
        if how == "number":
            for case in (one, other):
                case.optimizer.param_groups[0]["lr"] = 0.1 * linear_decay(i / 10)
        x = torch.rand(3, 2)
        step(x), other.step(x)
        rate = one.optimizer.param_groups[0]["lr"]
        assert isinstance(rate, Tensor)
        assert held is None or rate is held  # the one that the graph reads
        held = rate
        torch.testing.assert_close(float(rate), float(other.optimizer.param_groups[0]["lr"]))
        if how != "number":
            for course in courses:
                course.step()
    assert float(held) < 0.05  # type: ignore[arg-type]
    torch.testing.assert_close(one.layer.state_dict(), other.layer.state_dict())


@pytest.mark.parametrize("graph_first", [True, False])
def test_training_states_of_both_kinds_of_steps_fit_each_other(graph_first: bool, without_graphs: list[str]) -> None:
    """Of a graph's learning rate, a tensor, and of an optimizer that was never captured."""
    batches = torch.rand(8, 3, 2)
    whole, first, second = Case(), Case(), Case()

    def step_of(case: Case, graph: bool) -> Any:
        return CapturedStep(case.step, [case.optimizer]) if graph else case.step

    for x in batches:
        whole.step(x)
    step = step_of(first, graph_first)
    for x in batches[:5]:
        step(x)
    second.layer.load_state_dict(copy.deepcopy(first.layer.state_dict()))
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    step = step_of(second, not graph_first)
    for x in batches[5:]:
        step(x)
    torch.testing.assert_close(second.layer.state_dict(), whole.layer.state_dict())


def test_a_state_loaded_after_the_first_call_is_refused(without_graphs: list[str]) -> None:
    case = Case()
    step = CapturedStep(case.step, [case.optimizer])
    step(torch.rand(3, 2))
    case.optimizer.load_state_dict(case.optimizer.state_dict())
    with pytest.raises(RuntimeError, match="load its state, and add groups, before it"):
        step(torch.rand(3, 2))


def test_batches_of_another_form_are_refused(without_graphs: list[str]) -> None:
    case = Case()
    step = CapturedStep(case.step, [case.optimizer])
    step(torch.rand(3, 2))
    for wrong in ((torch.rand(2, 2),), (torch.rand(3, 2).double(),), (), (torch.rand(3, 2),) * 2):
        with pytest.raises(
            ValueError, match=r"shapes and types of the first call, \[\(\(3, 2\), torch.float32\)\].*drop_last"
        ):
            step(*wrong)
    with pytest.raises(ValueError, match=r"inputs must be tensors, got \['3'\]"):
        step(3)  # type: ignore[arg-type]


def test_a_guard_counts_replays_and_reads(without_graphs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a graph, in which its own Python code does not run."""
    case, inside = Case(), []

    def recorded(x: Tensor) -> Tensor:
        inside.append(case.guard.steps)
        with monkeypatch.context() as patch:
            if "capture" in without_graphs:
                patch.setattr(StepGuard, "replayed", lambda guard: None)
            return case.step(x)

    step = CapturedStep(recorded, [case.optimizer], [case.guard])
    for _ in range(5):
        step(torch.ones(3, 2))
    before = copy.deepcopy(case.layer.state_dict())
    step(torch.full((3, 2), torch.nan))
    step(torch.full((3, 2), torch.inf))
    assert str(case.layer.state_dict()) == str(before)
    with pytest.warns(UserWarning, match="2 of steps 5 to 8 were not taken: the loss is"):
        step(torch.ones(3, 2))
    assert (case.guard.steps, case.guard.skipped, case.guard.consecutive_skips) == (8, 2, 0)


def test_what_cannot_be_captured_is_said() -> None:
    layer = nn.Linear(2, 1)
    adam = torch.optim.Adam(layer.parameters(), fused=True)
    with pytest.raises(ValueError, match="parameters on one CUDA device, got cpu; elsewhere call the step itself"):
        CapturedStep(layer, [adam])
    with pytest.raises(ValueError, match="got no parameters"):
        CapturedStep(layer, [])
    with pytest.raises(ValueError, match=r"optimizers\[1\]: SGD cannot be captured; take torch.optim.Adam"):
        CapturedStep(layer, [adam, torch.optim.SGD(layer.parameters(), 0.1)])
    with pytest.raises(ValueError, match=r"optimizers must be a list, got .*; e.g. \[optimizer\]"):
        CapturedStep(layer, adam)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step must be a training step, something to call"):
        CapturedStep(None, [adam])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"optimizers\[0\] must be"):
        CapturedStep(layer, [layer])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"guards\[0\] must be"):
        CapturedStep(layer, [adam], [adam])  # type: ignore[list-item]


def test_calls_in_one_batch_equal_one_call_each() -> None:
    """Values and gradients, of a generator with its identity image and of discriminators with real and fake images."""
    x, y = images_like(1, 3, 32, 32), images_like(2, 3, 32, 32)
    for network in (
        ResnetGenerator(**SMALL),
        PatchDiscriminator(**PATCH),
        MultiscaleDiscriminator(scales=2, layers=1, width=4),
        DomainDiscriminator(3, image_size=32, width=4, layers=2),
    ):
        network.double()
        found = []
        for batched in (True, False):
            network.zero_grad()
            made: dict[str, Any]
            made = in_one_batch(network, {"a": (x,), "b": (y,)}) if batched else {"a": network(x), "b": network(y)}
            parts = torch.utils._pytree.tree_leaves(made)
            torch.cat([part.square().flatten() for part in parts]).sum().backward()
            found.append([parts, [p.grad.clone() for p in network.parameters() if p.grad is not None]])
            assert isinstance(made["a"], type(network(x)))
        torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ({}, "the same number of arguments for each call"),
        ({"a": (images_like(2, 3, 8, 8), torch.zeros(1, 4))}, r"calls\['a'\] must have one batch size, got \[2, 1\]"),
        ({"a": ()}, "must be a tuple of batches"),
        ({"a": images_like(2, 3, 8, 8), "b": images_like(2, 3, 8, 8)}, "must be a tuple of batches"),
        (
            {"a": (images_like(2, 3, 8, 8),), "b": (images_like(2, 3, 8, 9),)},
            "differ from the others in the batch size and",
        ),
        ({"a": (images_like(2, 3, 8, 8),), "b": (images_like(2, 3, 8, 8).int(),)}, "the floating-point type only"),
    ],
)
def test_calls_that_do_not_fit_into_one_batch_are_refused(calls: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_one_batch(nn.Identity(), calls)


def test_half_precision_images_beside_float32_ones_lose_nothing() -> None:
    """Autocast makes bfloat16 images, which a discriminator compares with real ones in float32."""
    real, fake = images_like(2, 3, 8, 8).float(), images_like(1, 3, 8, 8).bfloat16()
    for calls in ({"real": (real,), "fake": (fake,)}, {"fake": (fake,), "real": (real,)}):
        made = in_one_batch(nn.Identity(), calls)
        assert torch.equal(made["real"], real)
        assert torch.equal(made["fake"], fake.float())


def test_what_a_network_gives_is_taken_apart() -> None:
    class Scores(NamedTuple):
        patches: Tensor
        logits: Tensor

    x, y = images_like(1, 3, 8, 8), images_like(2, 3, 8, 8)
    made = in_one_batch(lambda image: Scores(image, image.mean((1, 2, 3))), {"a": (x,), "b": (y,)})
    assert isinstance(made["b"], Scores)
    assert torch.equal(made["b"].logits, y.mean((1, 2, 3)))
    with pytest.raises(ValueError, match="network must give a tensor, or tuples and lists of them, got dict"):
        in_one_batch(lambda image: {"score": image}, {"a": (x,), "b": (y,)})


def test_one_rate_given_to_all_groups_is_one_for_each(without_graphs: list[str]) -> None:
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    groups = [{"params": layer.parameters()} for layer in layers]
    optimizer = torch.optim.Adam(groups, lr=torch.tensor(0.1), fused=True)
    step = CapturedStep(lambda x: None, [optimizer])
    step(torch.ones(1))
    optimizer.param_groups[0]["lr"] = 0.01
    step(torch.ones(1))
    assert [round(float(group["lr"]), 6) for group in optimizer.param_groups] == [0.01, 0.1]


def test_the_page_on_speed_shows_a_step_that_trains(
    without_graphs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    _, _, section = page.partition("### A whole step as one CUDA graph")
    code = section.split("```python\n")[1].split("```")[0]
    for old, new in (
        ('"cuda", 256, 200', '"cpu", 32, 2'),
        ("ResnetGenerator()", "ResnetGenerator(width=4, blocks=1)"),
        ("PatchDiscriminator()", "PatchDiscriminator(width=4, layers=1)"),
    ):
        assert code.count(old) == 1
        code = code.replace(old, new)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/benchmarks.md", "exec"), names)
    assert without_graphs.count("replay") == 17
    assert len(names["pool_x"]) == 20
    assert all(math.isfinite(float(term)) for term in names["terms"].values())
    assert float(names["optimizer_g"].param_groups[0]["lr"]) == pytest.approx(0)
    assert capsys.readouterr().out.splitlines()[1].startswith("1 {'gan':")
