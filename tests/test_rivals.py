"""StarGAN and pix2pix, the rivals of AsymmetricGAN's tables: their losses, when they take which step, and their runs."""

from __future__ import annotations

import copy
import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymmetricgan_gesture
import pytest
import stargan
import torch
import torch.nn.functional as F
from launch import launched
from support.data.unpaired import FRESH, Domain
from support.run import run as loop
from support.run.accelerator import create_accelerator
from support.run.loader import COMPARED
from support.run.run import Run
from support.trained import load_trained
from tiny import cyclegan_folder, in_halves, logged, same, saved
from torch import Tensor
from waits import graphs_rerun

from asymkit import DomainDiscriminator, StarGenerator, StepGuard, gradient_penalty

SMALL: dict[str, Any] = {"size": 16, "width": 4, "discriminator_width": 4, "workers": 0, "tracker": "none"}
SMALL |= {"minutes": None, "report_every": 100}
STARGAN = replace(stargan.DEMO, discriminator_layers=2, classifier_steps=1, n_critic=5, batch=2, epochs=1, **SMALL)
PIX2PIX = replace(
    asymmetricgan_gesture.DEMO, method="pix2pix", blocks=1, discriminator_layers=1, batch=1, epochs=1, **SMALL
)
RIVALS: dict[str, Any] = {"stargan": STARGAN, "asymmetricgan_gesture": PIX2PIX}
pytestmark = pytest.mark.usefixtures("quick")


class Watched:
    """The runs that an example begins, and the optimizers that take a step, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: Callable[[Run], None] = lambda run: None) -> None:
        self.runs: list[Run] = []
        self.steps: list[tuple[int, str]] = []
        self.gradients: dict[tuple[int, str], list[Tensor]] = {}
        step, batches = StepGuard.step, Run.batches

        def watched_batches(run: Run, *arguments: Any, **named: Any) -> Any:
            self.runs.append(run)
            before(run)
            return batches(run, *arguments, **named)

        def watched_step(guard: StepGuard, optimizer: Any, terms: Any) -> Any:
            run = self.runs[-1]
            (name,) = [name for name, state in run.states.items() if state is optimizer]
            self.steps.append((run.step, name))
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self.gradients[run.step, name] = [
                torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters
            ]
            taken = step(guard, optimizer, terms)
            return taken

        monkeypatch.setattr(Run, "batches", watched_batches)
        monkeypatch.setattr(StepGuard, "step", watched_step)


def test_stargans_discriminator_takes_five_steps_for_each_of_the_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    data = cyclegan_folder(tmp_path / "data", 12, 12)
    stargan.main(replace(STARGAN, data=data, out=tmp_path / "run", batch=1, epochs=1))
    steps = watched.runs[0].step
    assert steps >= 15
    counts = Counter(name for _, name in watched.steps)
    assert counts["optimizer_d"] == steps
    assert counts["optimizer_g"] == -(-steps // 5)
    assert [step for step, name in watched.steps if name == "optimizer_g"] == list(range(0, steps, 5))
    rows = logged(tmp_path / "run")
    of_generator = {"adversarial", "classification", "reconstruction"}
    of_discriminator = {"discriminator_wasserstein", "discriminator_classification", "discriminator_penalty"}
    for step, row in enumerate(rows):
        assert row.keys() - {"step"} == of_discriminator | (set() if step % 5 else of_generator)


def test_stargan_loads_no_image_that_it_does_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops: Counter[int] = Counter()
    crop = Domain.crop

    def counted(domain: Domain, index: int, *rest: Any) -> Tensor:
        crops[id(domain)] += index < FRESH  # others are for the report's classifier
        return crop(domain, index, *rest)

    watched = Watched(monkeypatch)
    monkeypatch.setattr(Domain, "crop", counted)
    stargan.main(replace(STARGAN, data=cyclegan_folder(tmp_path / "data", 12, 12), out=tmp_path / "run"))
    run: Any = watched.runs[0]
    trained = sum(crops[id(domain)] for domain in run.data.domains)
    assert trained == run.step * run.settings.batch + COMPARED


def test_stargans_gradients_are_those_of_its_equations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a step of both networks, written out with copies of them; the points of the penalty are recorded."""
    copies: dict[str, Any] = {}
    points: list[tuple[Tensor, Tensor]] = []

    def before(run: Run) -> None:
        model: Any = copy.deepcopy(run.states["model"])
        copies["generator"] = model.dual.translator
        copies["discriminator"] = copy.deepcopy(run.states["discriminator"])

    def penalty(discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
        points.append((real, fake))
        return gradient_penalty(discriminator, real, real.flip(3))  # as exact here as in the copies

    watched = Watched(monkeypatch, before)
    monkeypatch.setattr("asymkit.gradient_penalty", penalty)
    data = cyclegan_folder(tmp_path / "data", 4, 4)
    settings = replace(STARGAN, data=data, out=tmp_path / "run", n_critic=1)
    settings = replace(settings, weights=replace(settings.weights, classification=0.7))
    monkeypatch.setattr(torch, "rand", lambda *size, **options: torch.full(size, 0.25, **options))
    stargan.main(settings)
    samples, _, _ = settings.images()
    batch = [samples[index] for index in range(2)]
    x = torch.stack([sample[0] for sample in batch])
    source, target = (torch.tensor([sample[place] for sample in batch]) for place in (1, 3))
    generator, discriminator = copies["generator"], copies["discriminator"]
    fake = generator(x, target)
    assert torch.equal(points[0][0], x)
    torch.testing.assert_close(points[0][1], fake.detach())
    scores, logits = discriminator(fake)
    loss = -scores.mean() + 0.7 * F.cross_entropy(logits, target) + 10 * (generator(fake, source) - x).abs().mean()
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    torch.testing.assert_close(watched.gradients[0, "optimizer_g"], list(expected), rtol=1e-3, atol=1e-5)
    between = (0.75 * x.flip(3) + 0.25 * x).requires_grad_()  # lerp(fake, real, 0.25)
    (slope,) = torch.autograd.grad(discriminator(between)[0].sum(), between, create_graph=True)
    loss = discriminator(fake.detach())[0].mean() - discriminator(x)[0].mean()
    loss = loss + 0.7 * F.cross_entropy(discriminator(x)[1], source)
    loss = loss + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    expected = torch.autograd.grad(loss, list(discriminator.parameters()))
    torch.testing.assert_close(watched.gradients[0, "optimizer_d"], list(expected), rtol=1e-3, atol=1e-5)


def test_a_penalty_of_the_domain_discriminator_has_the_right_second_derivatives() -> None:
    """Against differences of the penalty, with weights changed in a random direction."""
    discriminator = DomainDiscriminator(3, image_size=16, width=4, layers=2).double()
    real, fake = torch.randn(2, 3, 16, 16).double(), torch.randn(2, 3, 16, 16).double()
    parameters = [p for name, p in discriminator.named_parameters() if "to_domain" not in name]
    directions = [torch.randn_like(p) for p in parameters]

    def moved(step: float) -> Tensor:
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=step)
        torch.manual_seed(1)
        return gradient_penalty(lambda image: discriminator(image)[0], real, fake).detach()

    torch.manual_seed(1)
    value = gradient_penalty(lambda image: discriminator(image)[0], real, fake)
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    slope = sum((g * d).sum() for g, d in zip(found, directions, strict=True) if g is not None)
    torch.testing.assert_close(torch.as_tensor(slope), (moved(1e-6) - moved(-2e-6)) / 2e-6, rtol=1e-4, atol=1e-7)


def test_stargans_terms_of_weight_zero_are_not_computed(tmp_path: Path) -> None:
    settings = replace(STARGAN, data=cyclegan_folder(tmp_path / "data"), out=tmp_path / "run")
    stargan.main(replace(settings, weights=replace(settings.weights, penalty=0.0, reconstruction=0.0)))
    names = {name for row in logged(tmp_path / "run") for name in row}
    assert "adversarial" in names
    assert not names & {"reconstruction", "discriminator_penalty"}


def test_steps_of_both_kinds_by_graphs_train_as_steps_that_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph for steps of the discriminator alone and one for those of both; replays call the step again."""
    done = graphs_rerun(monkeypatch)
    monkeypatch.setattr(loop, "create_accelerator", lambda settings: create_accelerator(replace(settings, graph=False)))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    data = cyclegan_folder(tmp_path / "data", 12, 12)
    settings = replace(STARGAN, data=data, batch=1, n_critic=2)
    stargan.main(replace(settings, out=tmp_path / "graph", graph=True))

    def called_with_tensors(_: Run, step: Any, *optimizers: torch.optim.Optimizer) -> Any:
        def called(*batch: Tensor) -> None:
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = torch.full((), float(group["lr"]))  # float32, as a graph reads it
            step(*batch)

        return called

    monkeypatch.setattr(Run, "captured", called_with_tensors)
    stargan.main(replace(settings, out=tmp_path / "called", graph=True))
    assert (done.count("capture"), done.count("warm-up")) == (2, 6)
    assert logged(tmp_path / "graph") == logged(tmp_path / "called") != []
    graph, called = (saved(tmp_path / name)["parts"] for name in ("graph", "called"))
    for part in ("model", "discriminator"):
        assert all(torch.equal(value, called[part][name]) for name, value in graph[part].items())


def test_a_run_of_stargan_translates_pictures(tmp_path: Path) -> None:
    data = cyclegan_folder(tmp_path / "data")
    stargan.main(replace(STARGAN, data=data, out=tmp_path / "run"))
    trained = load_trained(tmp_path / "run")
    assert trained.domains == ("trainA", "trainB")
    assert isinstance(trained.generator, StarGenerator)
    found = saved(tmp_path / "run")["parts"]["model"]
    for name, value in trained.generator.state_dict().items():
        assert torch.equal(value, found[f"dual.translator.{name}"])


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_rival_goes_on_to_the_bit(
    name: str, accumulate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cyclegan_folder(tmp_path / "data", 8, 8) if name == "stargan" else None
    example = importlib.import_module(name)
    monkeypatch.setattr("support.data.gestures.DrawnPairs.__init__", few_pairs)
    settings = replace(
        RIVALS[name], data=data, out=tmp_path / "whole", batch=1, accumulate=accumulate, ema=0.9, report_every=3
    )
    assert in_halves(monkeypatch, example.main, settings, tmp_path / "halves") == 3
    example.main(settings)
    whole, halves = saved(tmp_path / "whole"), saved(tmp_path / "halves")
    assert whole["step"] == halves["step"] >= 6
    assert same(whole, halves)
    assert logged(tmp_path / "whole") == logged(tmp_path / "halves") != []


def few_pairs(self: Any, hands: Any, first: int, epoch: int) -> None:
    self.hands, self.first, self.epoch = hands, first, 12
    self.broken, self.meaning = importlib.import_module("support.data.files").BrokenFiles(), {"pairs": "drawn hands"}


TRAIN = """
import importlib, os, sys
from dataclasses import replace
from pathlib import Path
import torch
import asymkit
from support.report import logger
import test_rivals
from test_rivals import RIVALS, few_pairs
from support.data.gestures import DrawnPairs

DrawnPairs.__init__ = few_pairs
torch.set_default_dtype(torch.float64)
logger.write_report = lambda *_: None
# the points of a penalty come from the images: the same for a sample, whichever process has it
torch.rand = lambda *size, **options: torch.full(size, 0.25, **options)
name, data, out, *runs = sys.argv[1:]
for run in runs:
    batch, accumulate = map(int, run.split("x"))
    # of gradients that should be zero Adam makes steps of noise, in proportion to the rate
    exact = {"lr_g": 2e-5, "lr_d": 2e-5, "batch": batch, "accumulate": accumulate, "out": Path(out) / run}
    exact |= {"data": Path(data), "n_critic": 2} if name == "stargan" else {}
    importlib.import_module(name).main(replace(RIVALS[name], **exact))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", RIVALS)
def test_two_processes_and_accumulated_batches_are_one_process_with_a_larger_batch(name: str, tmp_path: Path) -> None:
    data = cyclegan_folder(tmp_path / "data", 8, 8)
    script = tmp_path / "train.py"
    script.write_text(TRAIN, encoding="utf-8")
    found: list[dict[str, Tensor]] = []
    for processes, runs in ((1, ("4x1", "2x2")), (2, ("2x1", "1x2"))):
        out = tmp_path / f"{processes}"
        result = launched(script, processes, name, str(data), str(out), *runs)
        assert result.returncode == 0, result.stderr
        for run in runs:
            state = saved(out / run)
            assert state["step"] >= 3
            parts = state["parts"]
            found.append(parts["model"] | parts.get("discriminator", parts.get("discriminators")))
    for weights in found[1:]:
        for key, value in found[0].items():
            torch.testing.assert_close(weights[key], value, rtol=0, atol=1e-10)


def test_pix2pix_is_one_generator_with_an_adversarial_loss_and_l1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: dict[str, Any] = {}

    def before(run: Run) -> None:
        model: Any = run.states["model"]
        assert model.dual.translator is model.dual.reconstructor
        copies["generator"] = copy.deepcopy(model.dual.translator)
        copies["discriminators"] = copy.deepcopy(run.states["discriminators"])

    def none_needed(*_: Any, **__: Any) -> Any:
        raise AssertionError("pix2pix has no use for VGG")

    monkeypatch.setattr("support.data.gestures.DrawnPairs.__init__", few_pairs)
    monkeypatch.setattr(asymmetricgan_gesture, "load_vgg", none_needed)
    watched = Watched(monkeypatch, before)
    settings = replace(PIX2PIX, out=tmp_path / "run", l1=70.0)
    asymmetricgan_gesture.main(settings)
    names = {name for row in logged(tmp_path / "run") for name in row}
    assert names == {"step", "adversarial", "color", "discriminator_adversarial"}
    samples, _, _ = settings.images()
    x, skeleton_x, y, skeleton_y = (part[None] for part in samples[0])
    generator, discriminators = copies["generator"], copies["discriminators"]
    assert discriminators.pair is None
    loss: Any = 0
    real_and_fake: Any = 0
    for image, skeleton, wanted in ((x, skeleton_y, y), (y, skeleton_x, x)):
        made = generator(image, skeleton)
        seen = discriminators.triplet(torch.cat([image, skeleton, made], 1))
        loss = loss + F.softplus(-seen).mean() + 70 * (made - wanted).abs().mean()
        fake = discriminators.triplet(torch.cat([image, skeleton, made.detach()], 1))
        real = discriminators.triplet(torch.cat([image, skeleton, wanted], 1))
        real_and_fake = real_and_fake + F.softplus(fake).mean() + F.softplus(-real).mean()
    expected = torch.autograd.grad(loss, list(generator.parameters()))
    torch.testing.assert_close(watched.gradients[0, "optimizer_g"], list(expected), rtol=1e-3, atol=1e-4)
    expected = torch.autograd.grad(real_and_fake, list(discriminators.parameters()))
    torch.testing.assert_close(watched.gradients[0, "optimizer_d"], list(expected), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"double_discriminators": True}, "double_discriminators: means nothing to pix2pix; leave it out"),
        ({"reconstructor_width": 8}, "reconstructor_width: means nothing to pix2pix"),
        ({"features": "random"}, "features: means nothing to pix2pix"),
        ({"feature_layers": ("relu2_1",)}, "feature_layers: means nothing to pix2pix"),
        ({"weights": replace(PIX2PIX.weights, color=1.0)}, "weights: means nothing to pix2pix"),
        ({"l1": -1.0}, "l1 must be a weight from 0 to 1e9, got -1.0"),
        ({"l1": float("nan")}, "l1 must be a weight"),
        (
            {"method": "asymmetric", "l1": 10.0},
            "l1: is a weight of pix2pix; add --method pix2pix, or give --weights.color",
        ),
    ],
)
def test_options_without_a_meaning_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PIX2PIX, **changes)


def test_settings_of_stargan() -> None:
    """Choi et al. 2018."""
    paper = stargan.PRESETS["paper"][1]
    assert (paper.batch, paper.n_critic, paper.lr_g, paper.lr_d, paper.size) == (16, 5, 1e-4, 1e-4, 128)
    assert (paper.width, paper.discriminator_width, paper.discriminator_layers) == (64, 64, 6)
    weights = paper.weights
    assert (weights.classification, weights.reconstruction, weights.penalty) == (1, 10, 10)
    with pytest.raises(ValueError, match="n_critic must be an integer of at least 1"):
        replace(paper, n_critic=0)
