"""The experiments of the unpaired examples: methods, schedules, sizes and test sets, each through the example's own main."""

from __future__ import annotations

import importlib
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import asymgan
import asyncgan
import asyncgan_digits
import asyncgan_munit
import numpy as np
import pytest
import torch
from asymgan import DEMO as ASYMGAN_DEMO
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan_munit import DEMO as MUNIT_DEMO
from PIL import Image
from support.data.digits import DigitSettings
from support.data.images import random_crop
from support.report.page import Snapshot
from support.run import features
from support.run import run as loop
from support.run.checkpoint import save_checkpoint
from support.run.command import command
from support.run.plan import Plan
from support.run.run import Run
from support.trained import load_trained
from tiny import STEPS, cyclegan_folder, logged, tiny

from asymkit import StepGuard, VGGFeatures, load_network
from asymkit.objectives import asyncgan as objective

pytestmark = pytest.mark.usefixtures("seen")

SMALL: dict[str, Any] = {"size": 16, "picture_size": None, "width": 4, "blocks": 1, "discriminator_layers": 1}
COURSE: dict[str, Any] = {"minutes": None, "epochs": 1, "batch": 1, "workers": 0, "tracker": "none"}
# as in the paper; the demo has the base objective
WHOLE: dict[str, Any] = {"method": "extended", "detach_fake_poor": False}
ASYMGAN = replace(ASYMGAN_DEMO, aux_channels=2, pool=3, **(SMALL | COURSE | WHOLE))
MUNIT = replace(MUNIT_DEMO, **(SMALL | COURSE | {"epochs": 4}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return cyclegan_folder(tmp_path / "data")


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["parts"]


CYCLES = {"adversarial_poor", "adversarial_rich", "cycle_rich", "cycle_poor"}
WITH_Z = CYCLES | {"adversarial_aux", "cycle_aux"}
EXTENDED = WITH_Z | {"adversarial_resampled", "adversarial_encoded", "content", "style", "total_variation"}
METHODS: list[tuple[dict[str, Any], set[str], str]] = [
    ({"method": "cyclegan"}, CYCLES, "ResnetGenerator"),
    ({"method": "cyclegan", "dropout": 0.5}, CYCLES, "ResnetGenerator"),
    ({"method": "base"}, WITH_Z, "cin, False"),
    ({"method": "base", "detach_fake_poor": True}, WITH_Z, "cin, False"),
    ({"method": "base", "injection": "concat_all"}, WITH_Z, "concat_all, False"),
    ({"method": "base", "spatial": True, "size": 64}, WITH_Z, "concat, True"),
    ({"injection": "cin_all"}, EXTENDED, "cin_all, False"),
    ({"injection": "concat"}, EXTENDED, "concat, False"),
]


@pytest.mark.parametrize(("options", "terms", "generator"), METHODS, ids=[str(options) for options, *_ in METHODS])
def test_every_method_trains_its_own_terms_and_shows_what_it_has(
    options: dict[str, Any], terms: set[str], generator: str, tmp_path: Path, data: Path, seen: list[Snapshot]
) -> None:
    asymgan.main(replace(ASYMGAN, data=data, out=tmp_path / "run", **options))
    names = {name for row in logged(tmp_path / "run") for name in row}
    assert {name for name in names if not name.startswith("discriminator_")} - {"step"} == terms
    has_z = "cycle_aux" in terms
    assert {"discriminator_adversarial_rich", "discriminator_adversarial_poor"} <= names
    assert ("discriminator_adversarial_aux" in names) == has_z
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    spatial = options.get("spatial", False)
    hard: Any = load_network(state, "poor_to_rich", spatial=spatial)
    assert f"{getattr(hard, 'injection', type(hard).__name__)}{f', {hard.spatial}' if has_z else ''}" == generator
    parts = {name.split(".")[0] for name in state["parts"]["model"]}
    assert parts == {"rich_to_poor", "poor_to_rich"} | ({"encoder"} if has_z else set())
    (look,) = seen
    assert len(look.pictures) == (5 if has_z else 2)
    assert bool(look.slides) == has_z
    assert {"rich_cycle_l1", "poor_cycle_l1", "entropy_fake_rich_bits"} <= look.figures.keys()
    assert ("z_diversity" in look.figures) == has_z


def test_a_run_with_a_spatial_z_is_translated_with_one(tmp_path: Path, data: Path) -> None:
    asymgan.main(replace(ASYMGAN, data=data, out=tmp_path / "run", method="base", spatial=True, size=(64, 96)))
    trained = load_trained(tmp_path / "run")
    assert (trained.generator.spatial, trained.aux_size(None), trained.crops) == (True, (8, 12), (64, 96))
    z = trained.encoder()(torch.zeros(1, 3, 64, 96))
    assert trained.generator(torch.zeros(1, 3, 64, 96), z).shape == (1, 3, 64, 96)
    assert type(load_trained(tmp_path / "run", "rich_to_poor").generator).__name__ == "ResnetGenerator"


def test_dropout_is_that_of_both_generators_of_the_baseline() -> None:
    for dropout in (0.0, 0.5):
        model, _ = asymgan.networks(replace(ASYMGAN, method="cyclegan", dropout=dropout))
        for network in (model.rich_to_poor, model.poor_to_rich):
            x = torch.rand(1, 3, 16, 16)
            torch.manual_seed(0)
            assert torch.equal(network(x), network(x)) == (dropout == 0)
    with pytest.raises(ValueError, match=r"dropout must be a number from 0 to 0.99, got 1.5"):
        asymgan.networks(replace(ASYMGAN, method="cyclegan", dropout=1.5))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"method": "base"}, []),
        ({"method": "cyclegan"}, []),
        ({"weights": replace(ASYMGAN.weights, content=0.0, style=0.0)}, []),
        ({"weights": replace(ASYMGAN.weights, style=0.0)}, [["relu1_1"]]),
        ({}, [["relu1_1"], ["relu1_1"]]),
    ],
)
def test_vgg_is_built_for_the_terms_that_count_alone(
    options: dict[str, Any], asked: list[Any], tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Any] = []
    build = VGGFeatures

    def counted(names: Any, weights: Any, net: Any) -> Any:
        built.append(names)
        return build(names, weights, net)

    monkeypatch.setattr(features, "VGGFeatures", counted)
    asymgan.main(replace(ASYMGAN, data=data, out=tmp_path / "run", dry_run=True, **options))
    assert built == asked


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (ASYMGAN, {"method": "cyclegan", "injection": "cin"}, "cyclegan has no z; leave out --injection and --spatial"),
    (ASYMGAN, {"method": "cyclegan", "spatial": True}, "cyclegan has no z; leave out --injection and --spatial"),
    (
        ASYMGAN,
        {"method": "base", "spatial": True, "injection": "cin"},
        "leave out --spatial, or take --injection concat",
    ),
    (ASYMGAN, {"method": "base", "spatial": True}, "size must be divisible by 4 and at least 64, got 16"),
    (ASYMGAN, {"method": "base", "dropout": 0.5}, "leave it out, or take --method cyclegan"),
    (ASYMGAN, {"size": (16, 18)}, "size must be divisible by 4 and at least 16, got 16 × 18"),
    (ASYMGAN, {"size": (8, 64)}, "size must be divisible by 4 and at least 16, got 8 × 64"),
    (ASYMGAN, {"picture_size": (30, 64)}, "picture_size must be divisible by 4 and at least 16, got 30 × 64"),
    (ASYNCGAN_DEMO, {"base": "highres", "size": (48, 52)}, "size must be divisible by 8 and at least 24, got 48 × 52"),
    (ASYNCGAN_DEMO, {"schedule": "sync", "joint": "easy"}, "sync has no partial steps; leave out --joint easy"),
    (DigitSettings(), {"images": -1}, "images must be an integer of at least 0"),
]


@pytest.mark.parametrize(("settings", "change", "message"), REFUSED)
def test_settings_that_make_no_sense_are_refused_with_what_to_do(
    settings: Any, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(settings, **change)


def chosen(monkeypatch: pytest.MonkeyPatch, example: Any, *words: str) -> Any:
    """The settings that the words of a command line mean."""
    found: list[Any] = []
    images = [] if words[0] == "demo" or example is asyncgan_digits else ["--data", "photos"]
    monkeypatch.setattr(sys, "argv", ["example.py", *words, *images])
    command(found.append, example.PRESETS)
    return found[0]


def test_presets_are_the_sizes_and_networks_of_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = chosen(monkeypatch, asyncgan, "paper")
    assert (paper.base, paper.size, paper.sizes, paper.epochs, paper.period) == ("highres", 512, (8, 4, 0), 100, 10)
    cityscapes = chosen(monkeypatch, asyncgan, "paper", "--size", "512", "1024", "--aux-channels", "128")
    assert (cityscapes.size, cityscapes.sizes) == ((512, 1024), (8, 4, 128))
    cyclegan = chosen(monkeypatch, asyncgan, "cyclegan", "--schedule", "sync")
    assert (cyclegan.base, cyclegan.size, cyclegan.schedule) == ("cyclegan", 256, "sync")
    munit = chosen(monkeypatch, asyncgan_munit, "paper", "--picture-size", "64", "128")
    assert (munit.size, munit.picture_size, munit.epochs) == (256, (64, 128), 100)
    digits = chosen(monkeypatch, asyncgan_digits, "paper")
    assert (digits.digits, digits.images, digits.samples, digits.epochs) == ("svhn", None, None, 100)
    assert chosen(monkeypatch, asyncgan_digits, "demo").images == 12_000
    assert chosen(monkeypatch, asymgan, "paper", "--method", "base", "--size", "64").size == 64


@pytest.mark.parametrize("detach", [False, True])
def test_the_cycle_of_x_trains_the_easy_direction_unless_it_is_detached(detach: bool) -> None:
    of_asymgan = [
        asymgan.networks(replace(ASYMGAN_DEMO, method=method, detach_fake_poor=detach))[0]
        for method in ("cyclegan", "base", "extended")
    ]
    of_asyncgan = [
        asyncgan.networks(replace(ASYNCGAN_DEMO, base=base, detach_fake_poor=detach))[0]
        for base in ("cyclegan", "asymgan")
    ]
    assert [model.detach_fake_poor for model in (*of_asymgan, *of_asyncgan)] == [detach] * 5


def test_a_rectangle_trains_and_goes_on_to_the_bit(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny(tmp_path / "whole", data, size=(16, 24), report_every=4)
    shapes: set[tuple[int, ...]] = set()
    batches = Run.batches

    def watched(self: Run, *arguments: Any) -> Any:
        for x, y in batches(self, *arguments):
            shapes.update((tuple(x.shape), tuple(y.shape)))
            yield x, y

    def kept(path: Path, step: int, *rest: Any) -> None:
        save_checkpoint(path, step, *rest)
        if step == 4:
            shutil.copytree(path.parent, tmp_path / "half")

    monkeypatch.setattr(Run, "batches", watched)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", kept)
        asyncgan.main(settings)
    assert shapes == {(1, 3, 16, 24)}
    (tmp_path / "half" / ".lock").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="had other settings; add --size 16 24; or take all of them"):
        asyncgan.main(replace(settings, out=tmp_path / "half", resume=True, size=(24, 16)))
    asyncgan.main(replace(settings, out=tmp_path / "half", resume=True))
    whole, half = saved(tmp_path / "whole"), saved(tmp_path / "half")
    assert all(torch.equal(value, half["model"][name]) for name, value in whole["model"].items())
    assert logged(tmp_path / "whole") == logged(tmp_path / "half")
    assert half["intermediate"]["made"]
    assert chosen(monkeypatch, asyncgan, str(tmp_path / "half")).size == (16, 24)  # as the settings file says


def test_crops_of_a_rectangle_have_its_aspect_ratio() -> None:
    """Of an image whose red says how far right a pixel is, and whose green how far down."""
    down, right = np.mgrid[0:60, 0:120]
    image = Image.fromarray(np.stack([2 * right, 4 * down, 0 * down], axis=2).astype(np.uint8))
    for size in ((16, 24), (24, 16), (16, 64)):
        heights = []
        for seed in range(100):
            crop = random_crop(image, size, 3.0, np.random.default_rng(seed)).astype(float)
            assert crop.shape == (*size, 3)
            red, green = crop[..., 0].mean(0) / 2, crop[..., 1].mean(1) / 4
            height, width = (np.ptp(line) * len(line) / (len(line) - 1) for line in (green, red))
            assert abs(width / height - size[1] / size[0]) < 0.15 * size[1] / size[0]
            heights.append(height)
        largest = min(60, 120 * size[0] / size[1])
        assert largest / 3 - 2 < min(heights) < largest / 3 + 5
        assert largest - 5 < max(heights) < largest + 2


def trained(name: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, set[str]]]:
    """Of every step of a run the number, its phase by the plan, and the networks whose parameters moved."""
    step, batches = StepGuard.step, Run.batches
    runs: list[Any] = []
    moved: dict[int, set[str]] = {}

    def watched_batches(self: Run, page: Any, plan: Plan) -> Any:
        runs[:] = [self, plan]
        return batches(self, page, plan)

    def watched(self: StepGuard, *arguments: Any) -> Any:
        run, _ = runs
        parts = {**dict(run.states["model"].named_children())}
        parts |= {f"discriminators.{name}": part for name, part in run.states["discriminators"].named_children()}
        before = {name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items()}
        taken = step(self, *arguments)
        for each, part in parts.items():
            if not all(map(torch.equal, before[each], part.parameters())):
                moved.setdefault(run.step, set()).add(each)
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(StepGuard, "step", watched)
        patch.setattr(Run, "batches", watched_batches)
        importlib.import_module(name).main(settings)
    plan = runs[1]
    assert sorted(moved) == list(range(plan.steps))
    return [(number, plan.phase(number), parts) for number, parts in moved.items()]


EASY = {"rich_to_poor", "discriminators.poor"}
HARD = {"poor_to_rich", "encoder", "discriminators.rich", "discriminators.aux"}


def test_joint_steps_of_the_second_half_may_train_the_easy_direction_alone(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Fig. 9 does with line 12 of Algorithm 1; its first half trains both."""
    found = trained("asyncgan", tiny(tmp_path / "run", data, joint="easy"), monkeypatch)
    assert len(found) == STEPS
    for number, phase, moved in found:  # joint epochs 0 and 1 of two steps, then one joint and one partial epoch
        if phase == "partial":
            assert moved == HARD
        else:
            assert moved == (EASY | HARD if number < 4 else EASY), number
    assert [phase for _, phase, _ in found] == ["joint"] * 6 + ["partial"] * 3


def test_without_reconstruction_partial_steps_have_no_pixel_term(tmp_path: Path, data: Path) -> None:
    found = []
    for pseudo in (10.0, 0.0):
        out = tmp_path / f"run{pseudo}"
        asyncgan.main(tiny(out, data, weights=objective.Weights(pseudo=pseudo), dry_run=True))
        found.append(logged(out / "dry-run"))
    assert "pseudo" not in {name for row in found[1] for name in row}
    assert all("pseudo" in row for row in found[0] if "cycle_poor" not in row)


@pytest.mark.parametrize("name", ["asyncgan", "asyncgan_munit"])
def test_a_synchronous_run_takes_as_many_steps_all_joint_without_a_warning(
    name: str, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = {"epochs": 4, "period": 2}
    for schedule in ("async", "sync"):
        changes: dict[str, Any] = common | {"schedule": schedule}
        out = tmp_path / schedule
        settings = tiny(out, data, **changes) if name == "asyncgan" else replace(MUNIT, data=data, out=out, **changes)
        found = trained(name, settings, monkeypatch)
        assert len(found) == STEPS
        everything = {"rich", "poor", "discriminators.0", "discriminators.1"} if name != "asyncgan" else EASY | HARD
        assert {phase for _, phase, _ in found} == ({"joint"} if schedule == "sync" else {"joint", "partial"})
        if schedule == "sync":
            assert all(moved == everything for _, _, moved in found)


def test_a_plan_without_partial_epochs_is_warned_of_unless_none_is_wanted(tmp_path: Path, data: Path) -> None:
    short = {"epochs": 1, "period": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncgan.main(tiny(tmp_path / "sync", data, schedule="sync", **short))
    with pytest.warns(UserWarning, match="this plan has no partial epoch"):
        asyncgan.main(tiny(tmp_path / "async", data, **short))
