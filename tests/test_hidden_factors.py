"""The benchmark with hidden factors: exact data, scores that tell a leak, and verdicts worked out by hand."""

from __future__ import annotations

import json
import math
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncgan_munit as munit
import pytest
import torch
from hidden_factors import run, tables
from hidden_factors.arms import ARMS, MunitTranslators, coarse, pseudo_pairs
from hidden_factors.claims import CLAIMS, HIGHER_IS_BETTER, LOWER_IS_BETTER, Claim, interval, verdict
from hidden_factors.data import BACKGROUND, BINS, FACTORS, STROKE, Data, Part, Strokes, digits_of
from hidden_factors.entries import BITS, grouped, measured, pairs_of, place_of
from hidden_factors.headlines import COLUMNS, HEADLINES, headlines_table
from hidden_factors.scenes import CLASSES, Scenes
from hidden_factors.scores import entropy, score
from hidden_factors.segmentation import VOID, label_map, nearest_class, segmentation
from hidden_factors.train import Trained, Training, train
from PIL import Image
from torch import Tensor, nn

from asymkit.evaluation.leak import quantised
from asymkit.objectives import asyncgan
from asymkit.objectives.asymgan import Translators

PARTS: tuple[Part, ...] = typing.get_args(Part)
TINY = Training(width=4, blocks=1, batch=2, steps=6, looks=2, epochs=6, period=2)  # the fifth step is partial


def draw(data: Data, count: int = 32, seed: int = 0, part: Part = "test") -> Any:
    return data.draw(count, torch.Generator().manual_seed(seed), part)


SETS: list[Data] = [*(Strokes(k, size) for k in range(5) for size in (16, 32)), *(Scenes(k, 16) for k in range(4))]


@pytest.mark.parametrize("data", SETS, ids=lambda data: f"{type(data).__name__}-{data.factors}-{data.size}")
def test_the_truth_is_exact_and_follows_from_the_seed(data: Data) -> None:
    pairs, again, other = draw(data), draw(data), draw(data, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(pairs, again, strict=True) if a is not None)
    assert not torch.equal(pairs.rich, other.rich)
    assert pairs.rich.shape == pairs.poor.shape == (32, 3, *pairs.layout.shape[2:])
    assert pairs.rich.abs().max() <= 1
    assert torch.equal(data.render(pairs.layout, pairs.factors), pairs.rich)
    found = data.read(pairs.rich, pairs.layout)
    assert found.shape == pairs.factors.shape == (32, data.factors)
    shown = torch.ones_like(found, dtype=torch.bool)
    if isinstance(data, Scenes):  # the hue of what a scene does not show is not to be seen
        shown = (
            torch.stack([(pairs.layout == i).flatten(1).any(1) for i in range(data.factors)], 1)
            if data.factors
            else shown
        )
    assert shown.float().mean() > 0.9 or not data.factors
    assert (data.distance(found, pairs.factors) * shown).max() < 1e-3 if data.factors else True


def test_without_hidden_factors_each_domain_determines_the_other() -> None:
    pairs = draw(Strokes(0))
    grey = (pairs.poor[:, :1] + 1) / 2
    torch.testing.assert_close(grey, pairs.layout)
    mean = (pairs.rich + 1).mean(1, keepdim=True) / 2
    torch.testing.assert_close((mean - BACKGROUND[0]) / (STROKE[0] - BACKGROUND[0]), pairs.layout)


def test_a_poor_image_tells_nothing_of_the_hidden_factors() -> None:
    data = Strokes(3)
    pairs, others = draw(data), torch.rand(32, 3)
    assert not torch.allclose(data.render(pairs.layout, others), pairs.rich, atol=0.1)
    assert torch.equal(data.grey(pairs.layout), pairs.poor)
    assert (pairs.poor[:, 0] == pairs.poor[:, 2]).all()


def test_no_stroke_is_in_two_parts() -> None:
    strokes = {part: digits_of(part)[0].flatten(1) for part in PARTS}
    assert sum(map(len, strokes.values())) == 1797
    assert all(len(part) >= 150 for part in strokes.values())
    seen: set[bytes] = set()
    for part in strokes.values():
        own = {row.numpy().tobytes() for row in part}
        assert not own & seen
        seen |= own


def test_parts_of_scenes_are_never_drawn_alike() -> None:
    scenes = {part: draw(Scenes(1, 16), part=part).layout for part in PARTS}
    assert not any(torch.equal(scenes[a], scenes[b]) for a in PARTS for b in PARTS if a < b)
    assert {int(c) for c in scenes["rich"].unique()} == set(range(len(CLASSES)))


def test_determined_factors_follow_from_the_digit() -> None:
    pairs = draw(Strokes(2, determined=True))
    torch.testing.assert_close(pairs.factors[:, 0], (pairs.digits + 0.5) / 10)
    assert len({tuple(row) for row in torch.cat([pairs.digits[:, None], pairs.factors], 1).tolist()}) <= 10


@pytest.mark.parametrize("factors", [-1, len(FACTORS) + 1])
def test_there_are_no_other_factors(factors: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 4"):
        Strokes(factors)


class Grey(nn.Module):
    """The true G where the background's hue is hidden; with ``leak``, that hue stays in the colours of G(x)."""

    def __init__(self, leak: float) -> None:
        super().__init__()
        self.leak = leak

    def forward(self, x: Tensor) -> Tensor:
        mean = (x + 1).mean(1, keepdim=True) / 2
        y = (2 * (mean - BACKGROUND[0]) / (STROKE[0] - BACKGROUND[0]) - 1).expand(-1, 3, -1, -1)
        return y + self.leak * ((x + 1) / 2 - mean)


class Colour(nn.Module):
    """The true F: the hue of z, or without z the hue that G(x) has kept, or else always the same one."""

    def forward(self, y: Tensor, z: Tensor | None = None) -> Tensor:
        stroke = ((y.mean(1, keepdim=True) + 1) / 2).clamp(0, 1)
        hue = Strokes(1).read(y, stroke) if z is None else torch.atan2(z[:, 1:], z[:, :1]) / (2 * math.pi) % 1
        return Strokes(1).render(stroke, hue)


class Hue(nn.Module):
    """The true E: the hue of the background as a direction in the plane, which N(0, I) has every one of."""

    aux_channels = 2

    def forward(self, x: Tensor) -> Tensor:
        mean = (x + 1).mean(1, keepdim=True) / 2
        stroke = (mean - BACKGROUND[0]) / (STROKE[0] - BACKGROUND[0])
        angle = 2 * math.pi * Strokes(1).read(x, stroke)
        return torch.cat([angle.cos(), angle.sin()], 1)


def test_the_truth_scores_perfectly() -> None:
    found = score(Translators(Grey(0.0), Colour(), Hue()), Strokes(1))
    for name in ("x→y error", "y→x error", "rebuild", "rebuild from y", "leak", "factors", "factors from y", "style"):
        assert found[name] == pytest.approx(0, abs=1e-4), name
    assert found["x→y accuracy"] > 0.9
    assert found["bits"] == pytest.approx(1, abs=0.02)
    assert found["bits, background hue"] == found["bits"]
    assert 0 < found["quantised"] < found["noise"] < 0.05


def test_a_leak_is_seen_by_the_true_y_alone() -> None:
    found = score(Translators(Grey(0.2), Colour()), Strokes(1))
    assert found["factors"] == pytest.approx(0, abs=1e-3)  # all of x is decoded from G(x)
    assert found["factors from y"] == pytest.approx(1, abs=0.15)  # and nothing of it is in the true y
    assert found["factor leak"] > 0.8
    assert found["leak"] > 0.03 > 10 * found["rebuild"]
    assert found["x→y error"] < 0.02  # as small as that
    assert found["bits"] == 0
    assert "style" not in found


def test_an_honest_generator_without_z_leaks_nothing() -> None:
    found = score(Translators(Grey(0.0), Colour()), Strokes(1))
    assert found["leak"] == pytest.approx(0, abs=1e-3)
    assert found["rebuild"] == pytest.approx(found["rebuild from y"], abs=1e-3)
    assert found["rebuild"] > 0.03


def test_doing_nothing_is_a_row() -> None:
    found = score(train(ARMS["nothing"], Strokes(1), TINY, 0).last, Strokes(1))
    assert found["rebuild"] == 0
    assert found["rebuild from y"] == found["x→y error"] == found["leak"] > 0.05
    assert found["bits"] == 0


def test_determined_factors_are_right_or_not() -> None:
    data = Strokes(1, determined=True)
    leaking = score(Translators(Grey(0.2), Colour()), data)
    assert leaking["right from G(x)"] == 1
    assert leaking["right"] < 0.3


def test_the_reader_reads_true_images() -> None:
    truth = draw(Strokes(1), 300)
    assert Strokes(1).recognised(truth.poor, truth.rich, truth)["x→y accuracy"] > 0.9


def test_entropy_of_known_values() -> None:
    spread = torch.arange(BINS).repeat(5) / BINS + 0.01
    torch.testing.assert_close(
        entropy(torch.stack([spread, torch.zeros_like(spread)], 1)), torch.tensor([math.log2(BINS), 0.0])
    )
    assert entropy((torch.arange(8) % 2)[:, None] * 0.5).item() == pytest.approx(1)


@pytest.mark.slow
def test_scenes_are_scored_by_their_classes() -> None:
    pairs = draw(Scenes(2, 16), 64)
    assert torch.equal(nearest_class(pairs.poor), pairs.layout[:, 0])
    found = Scenes(2, 16).recognised(pairs.poor, pairs.rich, pairs)
    assert found["x→y pixels"] == found["x→y classes"] == found["x→y IoU"] == 1
    assert found["y→x pixels"] > 0.8
    true, guess = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 1]]])
    by_hand = {"pixels": 3 / 4, "classes": (1 / 2 + 1) / 2, "IoU": (1 / 2 + 2 / 3) / 2}
    assert segmentation(guess, true) == pytest.approx(by_hand)
    with_void = torch.tensor([[[0, 0, 1, 1, VOID]]]), torch.tensor([[[0, 1, 1, 1, 3]]])
    assert segmentation(with_void[1], with_void[0]) == pytest.approx(by_hand)
    assert not label_map(torch.full((1, 2, 2), VOID)).any()  # grey


def test_transforms_of_pseudo_pairs() -> None:
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    assert len(coarse(x).unique()) <= 4
    assert quantised(torch.tensor([-1.0, 1.0, 0.01]), 3).tolist() == [-1, 1, 0]
    for name in ("async-quantised", "async-noise", "async-blur"):
        changed = ARMS[name].transform(x)
        assert changed.shape == x.shape
        assert not torch.equal(changed, x)
    assert torch.equal(ARMS["async"].transform(x), x)


def test_pseudo_pairs_are_those_of_the_objective() -> None:
    model, _ = ARMS["async-asymgan"].networks(4, 1, 4)
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        poor = model.rich_to_poor(x)
    torch.manual_seed(1)
    own = pseudo_pairs(model, x, poor)
    torch.manual_seed(1)
    theirs = model(x, phase="partial")
    assert all(image is not None for image in own)
    assert all(torch.equal(a, b) for a, b in zip(own, theirs, strict=True) if a is not None and b is not None)


KINDS = {"nothing", "supervised", "cyclegan-noise", "cyclegan-stop", "asymgan-z2", "extended-zcycle1", "async-oracle"}
KINDS |= {"munit", "cyclegan-light", "all-three"}


@pytest.mark.parametrize(
    "arm", [arm if arm in KINDS else pytest.param(arm, marks=pytest.mark.slow) for arm in sorted(ARMS)]
)
def test_every_arm_trains(arm: str) -> None:
    trained = train(ARMS[arm], Strokes(1), TINY, seed=0)
    found = score(trained.last, Strokes(1), count=16)
    assert all(map(math.isfinite, found.values()))
    assert ("style" in found) == (ARMS[arm].injection is not None)
    if arm != "nothing":
        assert [look["step"] for look in trained.history] == [3, 6]


def test_arms_are_what_their_names_say() -> None:
    stopped = {name for name, arm in ARMS.items() if name != "nothing" and arm.networks(4, 1, 4)[0].detach_fake_poor}
    assert stopped == {"cyclegan-stop", "async-stop", "skip-stop-zcycle1", "cyclegan-skip-stop"}
    skipping = {name for name, arm in ARMS.items() if "skip.weight" in str(list(arm.networks(4, 1, 4)[0].state_dict()))}
    assert skipping == {"skip-zcycle1", "skip-stop-zcycle1", "cyclegan-skip", "cyclegan-skip-stop"}
    of_each: dict[str, Any] = {name: ARMS[name].weights for name in ("asymgan", "asymgan-zcycle0.1", "asymgan-zcycle1")}
    weights = {name: each.cycle_aux for name, each in of_each.items()}
    assert weights == {"asymgan": 10, "asymgan-zcycle0.1": 0.1, "asymgan-zcycle1": 1}
    encoders: dict[str, Any] = {name: ARMS[name].networks(4, 1, 4)[0].encoder for name in ("asymgan", "asymgan-z2")}
    assert {name: encoder.aux_channels for name, encoder in encoders.items()} == {"asymgan": 4, "asymgan-z2": 2}
    ways: dict[str, Any] = {name: ARMS[f"{name}-zcycle1"] for name in ("asymgan", "concat", "concat-all", "cin-all")}
    injections = {name: arm.networks(4, 1, 4)[0].poor_to_rich.injection for name, arm in ways.items()}
    assert injections == {"asymgan": "cin", "concat": "concat", "concat-all": "concat_all", "cin-all": "cin_all"}
    assert all(arm.weights.cycle_aux == 1 for arm in ways.values())
    combined = replace(ARMS["all-three"], light=False, about=ARMS["async-asymgan-zcycle1"].about)
    assert combined == ARMS["async-asymgan-zcycle1"]
    assert replace(ARMS["all-three"], schedule="joint", about=ARMS["asymgan-light"].about) == ARMS["asymgan-light"]


def test_a_light_generator_has_a_sixteenth_of_the_weights() -> None:
    light, full = (ARMS[name].networks(16, 3, 4)[0] for name in ("asymgan-light", "asymgan-zcycle1"))
    assert weights_of(light.rich_to_poor) < weights_of(full.rich_to_poor) / 12
    assert weights_of(light.poor_to_rich) == weights_of(full.poor_to_rich)
    assert weights_of(light.encoder) == weights_of(full.encoder)
    x = torch.rand(2, 3, 16, 16)
    assert light.to_poor(x).shape == x.shape


def weights_of(network: Any) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_munit_trains_the_networks_of_its_example() -> None:
    model, discriminators = ARMS["munit"].networks(8, 2, 4)
    assert isinstance(model, MunitTranslators)
    x, y, style = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.randn(2, 4)
    made, net = model.net(x, y), model.net
    assert torch.equal(model.to_rich(y, style), net.to_rich(y, style))
    assert torch.equal(model.to_poor(x), net.poor.decoder(net.rich.content(x), torch.zeros(2, 4)))
    assert torch.equal(model.to_poor(x), model.to_poor(x))  # nothing is sampled where scores are counted
    assert model.encoder is net.rich.style
    assert weights_of(model) == weights_of(net)  # none is counted twice, none is left out
    terms = munit.generator_terms(made, x, y, discriminators.rich, discriminators.poor)
    ARMS["munit"].weights.total(terms).backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_a_run_keeps_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, *(10.0 + step for step in range(1, 7)), 16.6])
    monkeypatch.setattr("hidden_factors.train.time.process_time", lambda: next(ticks))
    trained = train(ARMS["cyclegan"], Strokes(1), TINY, seed=0)
    assert run.costs(trained) == {"parameters": weights_of(trained.last), "CPU ms a step": 1100.0}
    assert run.costs(train(ARMS["nothing"], Strokes(1), TINY, 0)) == {"parameters": 0}


@pytest.mark.parametrize("arm", ["cyclegan", "async", "more", "async-oracle"])
def test_minutes_end_a_run(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes, partial = iter(range(100)), list[Any]()
    monkeypatch.setattr("hidden_factors.train.time.process_time", lambda: 60.0 * next(minutes))
    terms = asyncgan.partial_generator_terms

    def counted(*given: Any) -> dict[str, Tensor]:
        partial.append(given)
        return terms(*given)

    monkeypatch.setattr(asyncgan, "partial_generator_terms", counted)
    options = replace(TINY, steps=1000, minutes=8.0)
    trained = train(ARMS[arm], Strokes(1, determined=True), options, seed=0)
    assert trained.steps == 8
    assert [look["step"] for look in trained.history] == [4, 8]
    assert len(partial) == (arm in {"async", "async-oracle"})  # the phases are counted in minutes as well


def test_a_run_follows_from_its_seed() -> None:
    runs = [train(ARMS["asymgan"], Strokes(1), TINY, seed).last for seed in (0, 0, 1)]
    first, again, other = (torch.cat([p.flatten() for p in model.parameters()]) for model in runs)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_arms_differ_in_nothing_but_their_method() -> None:
    arms = (
        replace(ARMS["cyclegan-noise"], noise=0.0),
        ARMS["cyclegan"],
        ARMS["cyclegan-noise"],
        ARMS["async"],
        ARMS["more"],
    )
    ends = [train(arm, Strokes(1), TINY, 0).last for arm in arms]
    silent, plain, *others = (torch.cat([p.flatten() for p in end.parameters()]) for end in ends)
    assert torch.equal(silent, plain)
    assert not any(torch.equal(end, plain) for end in others)


def test_scenes_are_trained_alike() -> None:
    data = Scenes(1, 16)
    found = score(train(ARMS["asymgan"], data, TINY, seed=0).last, data, count=8)
    assert {"x→y IoU", "y→x IoU", "leak", "bits", "style"} <= found.keys()


def test_verdicts_by_hand() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2.0, 4.303 / 3**0.5), rel=1e-3
    )  # Student's quantile for 2 degrees
    assert verdict([1.0, 1.1, 0.9]) == "holds"  # 1 ± 0.25
    assert verdict([-1.0, -1.1, -0.9]) == "fails"
    assert verdict([1.0, 2.0, 3.0]) == "undecided"  # 2 ± 2.48
    assert verdict([1.0] * 8 + [-0.1]) == "undecided"  # 0.88 ± 0.28, but one seed is ordered otherwise
    assert verdict([1.0, 1.0]) == "undecided"  # two seeds
    assert verdict([0.0, 0.0, 0.0]) == "undecided"
    assert Claim("a", "b", "leak", "").difference(0.1, 0.3) == pytest.approx(0.2)
    assert Claim("a", "b", "bits", "").difference(0.1, 0.3) == pytest.approx(-0.2)
    nearly = Claim("a", "b", "leak", "", margin=0.1)  # "as good" is at most a tenth worse
    assert nearly.difference(0.32, 0.3) == pytest.approx(0.01)
    assert nearly.difference(0.34, 0.3) == pytest.approx(-0.01)
    assert Claim("a", "b", "bits", "", margin=0.1).difference(0.95, 1.0) == pytest.approx(0.05)


def test_claims_are_about_arms_that_there_are() -> None:
    for claim in CLAIMS:
        assert any({claim.arm, claim.rival} <= kind.arms.keys() for kind in (run.TWO, run.MANY)), claim
    assert {claim.score for claim in CLAIMS} <= LOWER_IS_BETTER.keys() | HIGHER_IS_BETTER.keys()
    assert len({(claim.arm, claim.rival, claim.score, claim.margin) for claim in CLAIMS}) == len(CLAIMS)


def test_the_plan_takes_the_time_of_a_step_without_what_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = list[int]()

    def timed(_arm: Any, _data: Any, training: Training, _seed: int) -> Trained[nn.Module]:
        trained.append(training.steps)
        once = 50.0 if len(trained) == 1 else 3.0
        return Trained(nn.Identity(), nn.Identity(), training.steps, 0.0, [], once + 0.25 * training.steps)

    monkeypatch.setattr(run, "TWO", run.TWO._replace(train=timed))
    options = run.Options(("cyclegan",), (1,), (0, 1), training=replace(TINY, steps=1000))
    lines = run.plan(options, list(run.runs(options))).splitlines()
    assert lines == [
        "cyclegan, 1 factors: 250 s for each seed",
        "2 runs, 0 done before; about 8 minutes of one core, and scores",
    ]


def test_a_command_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    options = run.Options(("nothing", "cyclegan"), (0, 2), (0, 1), training=TINY, out=out)
    assert len(run.due(options)) == 8
    options = replace(options, factors=(0,))
    run.main(replace(options, plan=True))
    assert not out.exists()
    assert "4 runs, 0 done before; about " in capsys.readouterr().out
    run.main(replace(options, seeds=(0,), pictures=tmp_path / "pictures"))
    with Image.open(tmp_path / "pictures" / "strokes-0-factors-seed-0.png") as picture:
        assert picture.size == (
            2 * 50 + 2 * (14 + 2 * 50) + 2,
            6 * 50 + 2,
        )  # x and y, then a gap, G(x) and F(y) of two arms
    assert run.due(options) == [(1, 0, "nothing"), (1, 0, "cyclegan")]
    assert len(run.due(replace(options, training=replace(TINY, steps=7)))) == 4
    entries = json.loads(out.read_text(encoding="utf-8"))
    entry = entries[run.Run(0, 0, "cyclegan").key(options)]
    assert entry["steps"] == 6
    assert entry["images of each domain"] == 12
    assert {"last", "best", "machine", "command", "seconds", "code", "training"} <= entry.keys()
    entry["code"] = "of another day"
    out.write_text(json.dumps(entries), encoding="utf-8")
    assert (0, 0, "cyclegan") not in run.due(options)
    assert (0, 0, "cyclegan") in run.due(replace(options, again=True))
    assert (0, 0, "nothing") not in run.due(replace(options, again=True))
    with pytest.raises(ValueError, match="there is no 'pix2pix'"):
        run.Options(arms=("pix2pix",))


def entry(arm: str, seed: int, leak: float) -> dict[str, Any]:
    scores = {"leak": leak, "x→y error": 0.1}
    about = {"arm": arm, "about": f"about {arm}", "factors": 1, "seed": seed, "set": "strokes", "size": 16}
    about |= {"machine": {"device": "cpu: A", "instructions": ["avx2"]}}
    return about | {"training": {}, "steps": 5, "last": scores, "best": scores}


def test_the_dial_shows_the_gain_of_every_seed() -> None:
    entries = [entry(arm, seed, leak) for arm, leak in (("cyclegan", 0.5), ("asymgan", 0.1)) for seed in (0, 1)]
    entries += [entry(arm, 0, leak) | {"factors": 0} for arm, leak in (("cyclegan", 0.25), ("asymgan", 0.25))]
    entries += [entry("cyclegan", 2, 0.5), entry("asymgan", 0, 0.0) | {"factors": 3}]  # without a counterpart
    found = tables.gains(entries, "asymgan", "cyclegan")
    assert found["leak"] == {0.0: [0.0], BITS: [0.4, 0.4]}
    assert list(found) == ["leak", "x→y error"]


def test_an_arm_of_another_width_is_called_so(tmp_path: Path) -> None:
    runs = {f"{width}": entry("asymgan", 0, 0.1) | {"training": {"width": width}} for width in (16, 4)}
    (tmp_path / "cpu.json").write_text(json.dumps(runs), encoding="utf-8")
    assert [run["about"] for run in measured(tmp_path)] == ["about asymgan", "about asymgan, width 4"]


def test_a_run_that_is_repeated_stands_beside_what_is_kept() -> None:
    found = {"both": entry("cyclegan", 0, 0.5), "here": entry("cyclegan", 1, 0.5)}
    kept = {"both": entry("cyclegan", 0, 0.25), "there": entry("cyclegan", 2, 0.5)}
    assert tables.repeated(found, kept).splitlines()[2:] == [
        "| both | leak | 0.5000 | 0.2500 |",
        "|  | x→y error | 0.1000 | 0.1000 |",
    ]


def test_the_short_table_is_of_the_setting_with_most_seeds() -> None:
    entries = [entry(arm, seed, leak) for arm, leak in (("cyclegan", 0.5), ("asymgan", 0.1)) for seed in range(3)]
    entries += [entry(arm, 0, leak) | {"factors": 2, "steps": 9} for arm, leak in (("cyclegan", 0.0), ("asymgan", 1.0))]
    lines = tables.short_table(entries, "asymgan").splitlines()
    assert lines[0] == (
        "about asymgan / about cyclegan; means of 3 seeds after 5 steps, and whether the first is better:"
    )
    assert lines[2] == "| score | 3.58 bits hidden |"
    assert lines[4].startswith("| error of the rebuild")
    assert lines[4].endswith("(lower is better) | 0.100 / 0.500, holds |")
    assert len(lines) == 6  # claims whose score was measured
    assert tables.short_table(entries[:3], "asymgan") == "Not measured."


def test_tables_hold_mean_interval_seeds_and_verdicts() -> None:
    entries = [entry("cyclegan", seed, 0.5) for seed in range(3)]
    entries += [entry("asymgan", seed, leak) for seed, leak in enumerate((0.1, 0.2, 0.3))]
    rows = tables.scores_table(entries, ("leak", "bits")).splitlines()
    assert rows[2] == "| 3.58 | about cyclegan | last | 3 | 5 | 0.5000 ± 0.0000 | – |"
    assert rows[4] == "|  | about asymgan | last | 3 | 5 | 0.2000 ± 0.2484 | – |"
    verdicts = tables.verdicts_table(entries).splitlines()
    assert (
        verdicts[2] == "| AsymGAN leaks less | leak | about asymgan | about cyclegan | strokes 16² | 3.58 | 5 "
        "| holds (0.3000 ± 0.2484) | holds (0.3000 ± 0.2484) |"
    )
    assert verdicts[3].startswith(
        "| AsymGAN is nearer to the true y | x→y error | about asymgan | about cyclegan | strokes 16² | 3.58 | 5 "
        "| undecided (0.0000"
    )
    assert len(verdicts) == 4


def test_runs_of_equal_minutes_stand_apart_from_those_of_equal_steps() -> None:
    entries = [entry(arm, seed, leak) for arm, leak in (("cyclegan", 0.5), ("asymgan", 0.1)) for seed in range(3)]
    timed = [
        entry(arm, seed, leak) | {"training": {"minutes": 2.0}, "steps": 100 * (seed + 1)}
        for arm, leak in (("cyclegan", 0.25), ("asymgan", 0.25))
        for seed in range(3)
    ]
    both = [*entries, *timed]
    rows = tables.scores_table(both, ("leak",)).splitlines()
    assert [row for row in rows if "about cyclegan | last" in row] == [
        "| 3.58 | about cyclegan | last | 3 | 5 | 0.5000 ± 0.0000 |",
        "|  | about cyclegan | last | 3 | 100 to 300 in 2 min | 0.2500 ± 0.0000 |",
    ]
    verdicts = [row for row in tables.verdicts_table(both).splitlines() if "| leak |" in row]
    assert [("| 5 |" in row, "| holds (0.4000" in row) for row in verdicts] == [(True, True), (False, False)]
    assert "| 100 to 300 in 2 min | undecided (0.0000" in verdicts[1]
    for found in (both, [*timed, *entries]):  # neither the dial nor the short table is of them
        assert tables.gains(found, "asymgan", "cyclegan") == tables.gains(entries, "asymgan", "cyclegan")
        assert tables.short_table(found, "asymgan") == tables.short_table(entries, "asymgan")


def test_the_dial_is_of_one_setting() -> None:
    def runs(steps: int, factors: tuple[int, ...], leak: float) -> list[dict[str, Any]]:
        about = {"steps": steps, "training": {"steps": steps}}
        arms = (("cyclegan", leak + 0.5), ("asymgan", leak))
        return [entry(arm, 0, value) | about | {"factors": k} for k in factors for arm, value in arms]

    wide, long = runs(5, (0, 1, 2), 0.25), runs(9, (1,), 0.5)
    found = [tables.gains(entries, "asymgan", "cyclegan")["leak"] for entries in (wide + long, long + wide)]
    assert found == 2 * [{0.0: [0.5], BITS: [0.5], 2 * BITS: [0.5]}]


def test_the_first_table_says_what_was_found_and_what_was_not_measured() -> None:
    better = {"asymgan-zcycle1": 0.125, "cyclegan": 0.5}
    entries = [entry(arm, seed, leak) | {"factors": 2} for arm, leak in better.items() for seed in range(3)]
    few = [
        run | {"steps": 9, "last": {"leak": 7.0}} for run in entries if run["seed"]
    ]  # longer, but of two seeds alone
    rows = headlines_table([*entries, *[run | {"training": {"width": 9}} for run in few]]).splitlines()[2:]
    assert rows[0].startswith(
        "| z carries what the poor domain lacks, and G leaks less | strokes in random looks 16², 7.17 bits hidden |"
    )
    assert rows[0].endswith("| AsymGAN / CycleGAN | leak, lower is better | 0.125 / 0.500 | holds |")
    assert rows[1] == "|  |  |  | x→y error, lower is better | 0.100 / 0.100 | undecided |"
    assert sum(row.endswith("| not measured |") for row in rows) == len(rows) - 2 == len(HEADLINES) - 1
    scores = {(claim.arm, claim.rival, claim.score) for claim in CLAIMS}
    assert {(each.arm, each.rival, score) for each in HEADLINES for score in each.scores} <= scores
    assert len(COLUMNS) == rows[0].count(" | ") + 1


def test_runs_on_two_folders_are_two_things(tmp_path: Path) -> None:
    of = {name: entry("S2", 0, 0.1) | {"set": "folder", "folder": name} for name in ("cats", "faces")}
    assert [place_of(run) for run in (*of.values(), entry("S2", 0, 0.1))] == ["cats 16²", "faces 16²", "strokes 16²"]
    assert len(grouped(of.values())) == 2
    rivals = [entry("shared", 0, 0.2) | {"set": "folder", "folder": name} for name in ("faces", "dogs")]
    assert len(pairs_of(grouped([*of.values(), *rivals]), "S2", "shared")) == 1
    keys = {
        run.Run(0, 0, "S2").key(run.Options(("S2",), (0,), (0,), "folder", tmp_path / name))
        for name in ("cats", "faces")
    }
    assert len(keys) == 2


def test_figures_are_those_that_decide() -> None:
    """Of equal seeds, and of costs on one kind of CPU."""
    leaks = {"asymgan-zcycle1": (0.1, 0.1, 0.1), "cyclegan": (0.2, 0.2, 0.2, 9.0)}
    entries = [
        entry(arm, seed, leak) | {"factors": 2} for arm, found in leaks.items() for seed, leak in enumerate(found)
    ]
    row = next(row for row in headlines_table(entries).splitlines() if "leak, lower" in row)
    assert row.endswith("| 0.100 / 0.200 | holds |")
    assert any("0.100 / 0.200, holds" in row for row in tables.short_table(entries).splitlines())
    fewer = [
        run | {"steps": 9, "training": {"width": 9}} for run in entries if run["arm"] == "cyclegan" or not run["seed"]
    ]
    row = next(row for row in headlines_table([*entries, *fewer]).splitlines() if "leak, lower" in row)
    assert row.endswith("| holds |")  # of the setting in which both have most seeds


def test_costs_are_a_table_and_decide_claims() -> None:
    costs = {"cyclegan": {"parameters": 2000, "CPU ms a step": 20.5}, "cyclegan-light": {"parameters": 1500}}
    entries = [entry(arm, seed, 0.5) | {"cost": cost} for arm, cost in costs.items() for seed in range(3)]
    assert tables.costs_table([*entries, entry("asymgan", 0, 0.5)]).splitlines()[2:] == [
        "| strokes 16², CPU, AVX2 | about cyclegan | 3 | 2,000 | 20.5 |",
        "|  | about cyclegan-light | 3 | 1,500 | – |",
    ]
    other = {"machine": {"device": "cpu: B", "instructions": ["avx512_f"]}}
    rows = tables.costs_table([*entries, entries[0] | other | {"cost": {"parameters": 2000}}]).splitlines()
    assert rows[2] == "| strokes 16², CPU, AVX-512 | about cyclegan | 1 | 2,000 | – |"
    apart = [run | other if run["arm"] == "cyclegan" and run["seed"] == 0 else run for run in entries]
    assert "| undecided (500.0000 ± 0.0000) |" in tables.verdicts_table(apart)
    [row] = [row for row in tables.verdicts_table(entries).splitlines() if "cheaper" in row]
    assert "| parameters | about cyclegan-light | about cyclegan |" in row
    assert row.endswith("| holds (500.0000 ± 0.0000) | holds (500.0000 ± 0.0000) |")
