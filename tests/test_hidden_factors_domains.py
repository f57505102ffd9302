"""Several domains in the benchmark with hidden factors: exact truth, arms that differ in one thing, scores, commands."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hidden_factors import run, tables
from hidden_factors.claims import CLAIMS, HIGHER_IS_BETTER, LOWER_IS_BETTER
from hidden_factors.data import digits_of
from hidden_factors.domains.arms import ARMS, weights_of
from hidden_factors.domains.data import LOOKS, FolderDomains, StrokeDomains, Views, batch
from hidden_factors.domains.scores import errors, score
from hidden_factors.domains.train import train
from hidden_factors.train import Training
from PIL import Image
from torch import Tensor, nn

from asymkit import DualGenerator
from asymkit.objectives.asymmetricgan.unsupervised import Translators, Weights

TINY = Training(width=4, batch=4, steps=4, looks=2)
DATA = StrokeDomains(16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten subjects in two domains, dark and light."""
    for name, value in (("dark", 40), ("light", 200)):
        (tmp_path / name).mkdir()
        for subject in range(10):
            pixels = np.full((24, 24), value + subject, np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"S{subject:03}_{value}.png")
    return tmp_path


def test_the_truth_is_the_same_stroke_in_another_look() -> None:
    views = DATA.held_out("test")
    assert views.images.shape == (400, 3, 16, 16)
    assert views.images.abs().max() <= 1
    truth = DATA.truth(views, (views.domains + 1) % 4)
    assert truth is not None
    torch.testing.assert_close(truth[:100], views.images[100:200])  # of the first look in the second
    torch.testing.assert_close(truth[300:], views.images[:100])
    again = DATA.held_out("test")
    assert all(torch.equal(a, b) for a, b in zip(views, again, strict=True) if a is not None and b is not None)
    shown = [views.images[100 * i : 100 * (i + 1)] for i in range(4)]
    assert min((a - b).abs().mean().item() for i, a in enumerate(shown) for b in shown[:i]) > 0.1


def test_looks_by_hand() -> None:
    stroke = torch.zeros(1, 1, 8, 8)
    stroke[..., 2:6, 2:6] = 1
    outline, bold = (LOOKS[name](stroke) for name in ("outlined", "bold"))
    assert outline[0, 0, 4].tolist() == [0, 1, 1, 0, 0, 1, 1, 0]  # one pixel to either side of an edge
    assert bold[0, 0, 4].tolist() == [0] * 8  # a stroke in black, two pixels wider
    assert bold[0, 0, :, 4].tolist() == [0] * 8
    assert LOOKS["bold"](torch.zeros(1, 1, 8, 8)).min() == 1


def test_no_stroke_is_seen_in_two_domains_nor_held_out() -> None:
    strokes = torch.cat([digits_of("rich")[0], digits_of("poor")[0]])
    drawn: list[set[bytes]] = []
    for domain in range(4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hidden_factors.domains.data.placed", lambda strokes, *_: strokes)
            found = DATA.draw(torch.full((2000,), domain), torch.Generator().manual_seed(0)).stroke
        assert found is not None
        drawn.append({stroke.numpy().tobytes() for stroke in found})
    assert all(len(own) > 300 for own in drawn)
    assert sum(map(len, drawn)) == len(set().union(*drawn))
    assert set().union(*drawn) <= {stroke.numpy().tobytes() for stroke in strokes}


def test_pairs_are_of_two_domains_and_follow_from_the_seed() -> None:
    x, y = batch(DATA, 256, torch.Generator().manual_seed(0))
    again, _ = batch(DATA, 256, torch.Generator().manual_seed(0))
    assert torch.equal(x.images, again.images)
    assert (x.domains != y.domains).all()
    pairs = {(int(a), int(b)) for a, b in zip(x.domains, y.domains, strict=True)}
    assert len(pairs) == 4 * 3
    assert torch.equal(DATA.truth(x, x.domains), x.images)  # type: ignore[arg-type]


class Perfect(nn.Module):
    """The true translation, of the strokes of the test images, in their order."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        views = DATA.held_out("test")
        self.known, self.offset = {image.numpy().tobytes(): i for i, image in enumerate(views.images)}, offset

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        views = DATA.held_out("test")
        assert views.stroke is not None
        places = torch.tensor([self.known[each.numpy().tobytes()] for each in image])
        some = Views(image, views.domains[places], views.stroke[places])
        truth = DATA.truth(some, condition)  # type: ignore[arg-type]
        assert truth is not None
        return truth + self.offset


class Off(nn.Module):
    """The image, less a constant."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        return image - self.offset


def test_the_truth_scores_perfectly() -> None:
    found = score(Translators(DualGenerator(Perfect(), Perfect())), DATA)
    assert found["translation error"] == found["reconstruction error"] == 0
    assert found["domain accuracy"] == found["real accuracy"] > 0.99


def test_errors_are_parts_of_the_value_range() -> None:
    found = score(Translators(DualGenerator(Perfect(0.2), Off(0.0))), DATA)
    assert found["translation error"] == pytest.approx(0.1, abs=1e-6)
    nothing = score(train(ARMS["nothing"], DATA, TINY, 0).last, DATA)
    assert nothing["reconstruction error"] == 0
    assert nothing["translation error"] > 0.1
    assert nothing["domain accuracy"] < 0.01


def test_the_best_epoch_is_that_of_the_best_translations(folder: Path) -> None:
    model = train(ARMS["nothing"], DATA, TINY, 0).last
    found = errors(model, DATA)
    assert found.keys() == {"translation error"}
    assert found["translation error"] == score(model, DATA, "validation")["translation error"]
    assert found["translation error"] != score(model, DATA)["translation error"]  # on other images
    assert errors(model, FolderDomains(folder, 16)) == {"wrong domain": pytest.approx(1.0)}


@pytest.mark.parametrize(
    "arm",
    [
        arm if arm in {"stargan", "S1", "S2-no-cycle", "supervised"} else pytest.param(arm, marks=pytest.mark.slow)
        for arm in ARMS
    ],
)
def test_every_arm_trains(arm: str) -> None:
    trained = train(ARMS[arm], DATA, TINY, seed=0)
    found = score(trained.last, DATA, "validation")
    assert all(map(math.isfinite, found.values()))
    if arm != "nothing":
        assert [look["step"] for look in trained.history] == [2, 4]
        fresh, _ = (torch.manual_seed(0), ARMS[arm].networks(4, DATA))[1]
        changed = [not torch.equal(a, b) for a, b in zip(trained.last.parameters(), fresh.parameters(), strict=True)]
        assert all(changed)


def test_a_run_follows_from_its_seed() -> None:
    runs = [train(ARMS["S2"], DATA, TINY, seed).last for seed in (0, 0, 1)]
    first, again, other = (torch.cat([p.flatten() for p in model.parameters()]) for model in runs)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_weights_of_the_arms() -> None:
    counts = {name: weights_of(arm.networks(16, DATA)[0]) for name, arm in ARMS.items()}
    assert counts["nothing"] == 0
    assert counts["stargan"] == counts["shared"] < counts["S1"] < counts["S2"] < counts["S3"] == 2 * counts["shared"]
    assert counts["S1"] < 1.01 * counts["shared"]
    for name in ("S2-narrow", "S3-narrow"):
        assert counts[name] == pytest.approx(counts["shared"], rel=0.06)


def test_ablations_take_away_one_thing_each() -> None:
    whole = ARMS["S2-double"]
    assert replace(whole, discriminators=1, about="S2") == replace(ARMS["S2"], adversarial=whole.adversarial)
    for name in ("identity", "structure", "cycle"):
        arm = ARMS[f"S2-no-{name}"]
        expected = replace(whole, about=arm.about, weights=replace(Weights(), **{name: 0.0}))
        assert arm == replace(expected, adversarial=arm.adversarial)


def test_stargan_moves_its_generator_in_every_second_step() -> None:
    def weights(steps: int) -> Tensor:
        model = train(ARMS["stargan"], DATA, replace(TINY, steps=steps, looks=1, average=0.0, lr_g=1e-3), 0).last
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    torch.manual_seed(0)
    fresh, _ = ARMS["stargan"].networks(4, DATA)
    start = torch.cat([weight.detach().flatten() for weight in fresh.parameters()])
    assert torch.equal(weights(1), start)
    assert not torch.equal(weights(2), start)


def test_the_way_back_trains_the_translator_alone() -> None:
    options = replace(TINY, steps=1, looks=1, average=0.0, lr_g=1e-3)
    plain, both = (train(ARMS[name], DATA, options, 0).last.dual for name in ("S2", "S2-way-back"))
    for ours, theirs in zip(plain.reconstructor.parameters(), both.reconstructor.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    pairs = list(zip(plain.translator.parameters(), both.translator.parameters(), strict=True))
    assert any(not torch.equal(ours, theirs) for ours, theirs in pairs)


def test_the_way_back_is_to_the_domain_of_x_without_a_gradient_of_the_translation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[tuple[Tensor, Tensor]]()
    translate = DualGenerator.translate

    def heard(self: DualGenerator, image: Tensor, condition: Tensor) -> Tensor:
        calls.append((image, condition))
        return translate(self, image, condition)

    monkeypatch.setattr(DualGenerator, "translate", heard)
    train(ARMS["S2-way-back"], DATA, replace(TINY, steps=1, looks=1), 0)
    x, _ = batch(DATA, TINY.batch, torch.Generator().manual_seed(1000))
    image, condition = calls[1]  # the first call makes the translations
    assert torch.equal(condition, x.domains)
    assert image.shape == x.images.shape
    assert not image.requires_grad


def test_a_folder_is_parted_by_subject(folder: Path) -> None:
    data = FolderDomains(folder, 16)
    assert data.names == ("dark", "light")
    of = {part: data.held_out(part) for part in ("validation", "test")}
    assert {part: len(views.domains) for part, views in of.items()} == {"validation": 2, "test": 4}
    values = {part: {round((float(image.mean()) + 1) * 127.5) for image in views.images} for part, views in of.items()}
    assert values == {"validation": {40, 200}, "test": {41, 42, 201, 202}}
    drawn = data.draw(torch.arange(200) % 2, torch.Generator().manual_seed(0))
    seen = [{round((float(image.mean()) + 1) * 127.5) for image in drawn.images[d::2]} for d in range(2)]
    assert seen == [set(range(43, 50)), set(range(203, 210))]
    assert data.truth(drawn, drawn.domains) is None
    found = score(train(ARMS["S1"], data, TINY, 0).last, data)
    assert found.keys() == {"reconstruction error", "domain accuracy", "real accuracy"}
    with pytest.raises(ValueError, match="leave out supervised"):
        train(ARMS["supervised"], data, TINY, 0)


def test_folders_that_are_no_domains(folder: Path) -> None:
    for path in (folder / "light").glob("S00[12]*"):
        path.unlink()
    with pytest.raises(ValueError, match="no images for test in light"):
        FolderDomains(folder, 16)
    with pytest.raises(ValueError, match="no folder"):
        FolderDomains(folder / "missing")


@pytest.mark.slow
def test_commands_between_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common: dict[str, Any] = {"set": "domains", "factors": (0,), "size": 16, "training": TINY}
    options = run.Options(("nothing", "S1"), seeds=(0,), out=tmp_path / "found.json", **common)
    run.main(replace(options, pictures=tmp_path / "pictures"))
    with Image.open(tmp_path / "pictures" / "domains-0-factors-seed-0.png") as picture:
        assert picture.size == (13 * 50 + 3 * 14 + 2, 6 * 50 + 2)  # an image, then the truth and two arms, in 4 domains
    entries = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    entry = entries[run.Run(0, 0, "S1").key(options)]
    assert entry["cost"]["parameters"] == weights_of(ARMS["S1"].networks(4, DATA)[0])
    assert entry["cost"]["CPU ms a step"] > 0
    assert run.due(options) == []
    rows = tables.scores_table(entries.values(), tables.COLUMNS["domains"]).splitlines()
    assert any("| Do nothing: images are their own translations | last | 1 | 0 | 0." in row for row in rows)
    assert {name for _, _, name in run.runs(replace(options, arms=()))} == set(run.MANY.first)
    with pytest.raises(ValueError, match="give --factors 0"):
        replace(options, factors=(1,))
    with pytest.raises(ValueError, match="there is no 'asymgan' of domains"):
        replace(options, arms=("asymgan",))
    for change in ({"set": "folder"}, {"folder": tmp_path}):
        with pytest.raises(ValueError, match="for --set digits, streets, folder, which need one"):
            replace(options, **change)


def test_figures_of_domains_depend_on_their_own_files() -> None:
    assert set(run.TWO.measured) < set(run.MANY.measured)
    assert all(path.is_file() for path in run.MANY.measured)
    assert run.code(run.TWO) != run.code(run.MANY)


def test_every_score_of_domains_is_known_to_the_claims() -> None:
    found = score(train(ARMS["nothing"], DATA, TINY, 0).last, DATA)
    assert {claim.score for claim in CLAIMS if claim.arm == "S2-double"} <= found.keys()
    assert found.keys() <= LOWER_IS_BETTER.keys() | HIGHER_IS_BETTER.keys()
