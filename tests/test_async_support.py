"""What the asynchronous examples are made of: plans in steps, intermediate domains, losses by phase, digits."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncgan_munit as munit
import numpy as np
import pytest
import torch
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan import PRESETS as ASYNCGAN_PRESETS
from asyncgan_munit import DEMO as MUNIT_DEMO
from support.data.digits import DigitSettings, UnpairedDigits, digit_batches, digit_sets
from support.data.held_out import HeldOut
from support.report.classifier import accuracy, train_classifier
from support.report.logger import LossHistory
from support.report.page import Position, Snapshot, write_report
from support.run.plan import IntermediateImages, Plan
from tiny import rows
from torch import Tensor, nn

from asymkit import AsyncScheduler, PatchDiscriminator, frozen


def plan_of(joint: int, partial: int, total: int = 8, period: int = 4) -> Plan:
    return Plan(AsyncScheduler(print, print, [nn.Linear(1, 1)], total, period), (partial, joint), 1)


def test_joint_epochs_are_as_long_as_the_smaller_set_partial_ones_as_the_rich_one() -> None:
    plan = plan_of(joint=3, partial=5)  # epochs 6 and 7 are partial
    assert plan.steps == 6 * 3 + 2 * 5
    epochs = [plan.epoch(step) for step in range(plan.steps)]
    assert [epochs.count(epoch) for epoch in range(8)] == [3] * 6 + [5] * 2
    assert epochs == sorted(epochs)


def test_a_plan_counts_whole_steps_of_the_smaller_and_of_the_rich_set() -> None:
    scheduler = AsyncScheduler(print, print, [nn.Linear(1, 1)], 8, 4)
    for lengths, joint, partial in (((11, 7), 3, 5), ((7, 11), 3, 3), ((1, 9), 1, 1)):
        plan = Plan(scheduler, lengths, 2)
        assert plan.steps == 6 * joint + 2 * partial
        assert plan.starts[1] == joint


def test_phases_end_where_they_end() -> None:
    plan = plan_of(joint=3, partial=5, total=16)  # joint until 9, partial 10 and 11, joint, partial 14 and 15
    ends = [step for step in range(plan.steps) if plan.ends_phase(step)]
    assert ends == [29, 39, 45, 55]
    assert plan.steps == 56
    assert plan.partial_spans(plan.steps) == [(30, 40), (46, 56)]
    assert plan.partial_spans(33) == [(30, 33)]
    assert plan.partial_spans(30) == []
    assert [plan.progress(step) for step in (0, 24, 30, 35, 56)] == [0, 8 / 16, 10 / 16, 11 / 16, 1]
    assert plan.note().startswith("epochs 0-9 joint 10 epochs; epochs 10-11 partial 2 epochs; ")


def test_intermediate_domains_survive_a_checkpoint(tmp_path: Path) -> None:
    x, y = (torch.full((2, 3, 4, 4), value) for value in (0.25, 0.5))
    moments, again = IntermediateImages(HeldOut([x], [y])), IntermediateImages()
    for epoch in (3, 5):
        moments.add(f"epoch {epoch}", torch.full((2, 3, 4, 4), float(epoch)), torch.zeros(2, 3, 4, 4))
    torch.save(moments.state_dict(), tmp_path / "state.pt")
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert list(again.made) == ["epoch 3", "epoch 5"]
    assert [[image.mean().item() for image in row] for row in again.rows(0)] == [[0.25, 3.0, 5.0]] * 2
    assert [[image.mean().item() for image in row] for row in again.rows(1)] == [[0.5, 0.0, 0.0]] * 2


def test_intermediate_domains_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    before = {"epoch 3": (torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4))}
    with pytest.raises(ValueError, match="in an earlier form; begin a run of its own"):
        IntermediateImages().load_state_dict(before)


def test_steps_of_different_phases_log_different_losses() -> None:
    history, resumed = LossHistory(), LossHistory()
    history.add(1, {"cycle": 1.0})
    history.add(11, {"cycle": 0.5, "adversarial": 2.0})
    history.add(21, {"pseudo": 0.25, "adversarial": 3.0})
    resumed.load_state_dict(history.state_dict())
    history.add(31, {"cycle": 0.125})
    expected = [
        {"step": 1, "cycle": 1.0},
        {"step": 11, "cycle": 0.5, "adversarial": 2.0},
        {"step": 21, "pseudo": 0.25, "adversarial": 3.0},
    ]
    assert rows(history.state_dict()) == [*expected, {"step": 31, "cycle": 0.125}]
    resumed.add(31, {"pseudo": 1.0})
    assert rows(resumed.state_dict()) == [*expected, {"step": 31, "pseudo": 1.0}]
    assert list(resumed.state_dict()) == ["cycle", "adversarial", "pseudo"]


def test_partial_phases_are_marked_on_the_curves(tmp_path: Path) -> None:
    history = LossHistory()
    for step in range(1, 200, 10):
        history.add(step, {"pseudo" if step > 100 else "cycle": 1 / step, "adversarial": 1.0})
    pages = []
    for partial in ([], [(100, 200)]):
        write_report(
            tmp_path, "run", Snapshot({}, {}), Position(1, 0), {}, {}, [], partial=partial, curves=history.state_dict()
        )
        pages.append(
            (
                (tmp_path / "losses.png").read_bytes(),
                "Shaded: partial phases" in (tmp_path / "report.html").read_text(encoding="utf-8"),
            )
        )
    assert pages[0][0] != pages[1][0]
    assert [said for _, said in pages] == [False, True]


@pytest.mark.parametrize(("base", "blocks", "layers"), [("cyclegan", 9, 3), ("highres", 8, 4), ("asymgan", 6, 3)])
def test_every_base_has_the_depth_of_its_paper(base: Any, blocks: int, layers: int) -> None:
    paper = ASYNCGAN_PRESETS["paper"][1]
    assert replace(paper, base=base).sizes[:2] == (blocks, layers)  # what --base after the preset does
    assert replace(paper, base=base, blocks=2, discriminator_layers=1).sizes[:2] == (2, 1)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        (ASYNCGAN_DEMO, {"minutes": 3.0}, "minutes: the plan of joint and partial phases counts epochs"),
        (ASYNCGAN_DEMO, {"aux_channels": 8}, "cyclegan has no z"),
        (ASYNCGAN_DEMO, {"period": 0}, "period must be"),
        (ASYNCGAN_DEMO, {"base": "highres", "size": 52}, "size must be divisible by 8 and at least 24"),
        (ASYNCGAN_DEMO, {"discriminator_layers": 5}, "size must be divisible by 4 and at least 96"),
        (MUNIT_DEMO, {"style": 0}, "style must be"),
        (MUNIT_DEMO, {"picture_size": 50}, "picture_size must be divisible by 4"),
        (DigitSettings(), {"seeds": 0}, "seeds must be"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(settings, **change)


def test_munit_trains_parts_only_in_a_partial_step() -> None:
    model, discriminators = munit.Munit(4, 1, 3), [PatchDiscriminator(width=4, layers=1) for _ in range(2)]
    x, y = torch.randn(2, 3, 16, 16).tanh(), torch.randn(2, 3, 16, 16).tanh()
    joint, partial = model(x, y), model(x)
    assert isinstance(joint, munit.Joint)
    assert isinstance(partial, munit.Partial)
    assert not partial.poor.requires_grad
    weights, easy = munit.Weights(), [model.rich.content, model.poor.decoder]
    with frozen(*discriminators):
        weights.total(munit.generator_terms(joint, x, y, *discriminators)).backward()
        assert all(p.grad is not None for p in model.parameters())
        model.zero_grad()
        with frozen(*easy):
            weights.total(munit.generator_terms(model(x), x, y, *discriminators)).backward()
    trained = [model.poor.content, model.rich.decoder, model.rich.style]
    assert all(p.grad is not None for part in trained for p in part.parameters())
    assert all(p.grad is None for part in easy for p in part.parameters())
    weights.total(munit.discriminator_terms(partial, x, y, *discriminators)).backward()
    assert all(p.grad is not None for p in discriminators[0].parameters())
    assert all(p.grad is None for p in discriminators[1].parameters())


def mean_l1(*pairs: tuple[Tensor, Tensor]) -> Tensor:
    return torch.stack([(a - b).abs().mean() for a, b in pairs]).sum()


def test_munits_joint_step_is_its_equations() -> None:
    model, (rich, poor) = munit.Munit(4, 1, 3), [PatchDiscriminator(width=4, layers=1) for _ in range(2)]
    x, y = torch.randn(2, 3, 16, 16).tanh(), torch.randn(2, 3, 16, 16).tanh()
    made = model(x, y)
    assert isinstance(made, munit.Joint)
    content_x, content_y = model.rich.content(x), model.poor.content(y)
    fake_rich, fake_poor = (
        model.rich.decoder(content_y, made.styles[0]),
        model.poor.decoder(content_x, made.styles[1]),
    )
    same = model.rich.decoder(content_x, model.rich.style(x)), model.poor.decoder(content_y, model.poor.style(y))
    contents = (model.poor.content(fake_poor), content_x), (model.rich.content(fake_rich), content_y)
    styles = (model.rich.style(fake_rich), made.styles[0]), (model.poor.style(fake_poor), made.styles[1])
    expected = {
        "adversarial_rich": (rich(fake_rich) - 1).square().mean(),
        "adversarial_poor": (poor(fake_poor) - 1).square().mean(),
        "image": mean_l1((same[0], x), (same[1], y)),
        "content": mean_l1(*contents),
        "style": mean_l1(*styles),
    }
    torch.testing.assert_close(munit.generator_terms(made, x, y, rich, poor), expected)
    torch.testing.assert_close(
        munit.discriminator_terms(made, x, y, rich, poor),
        {
            "adversarial_rich": (rich(x) - 1).square().mean() + rich(fake_rich).square().mean(),
            "adversarial_poor": (poor(y) - 1).square().mean() + poor(fake_poor).square().mean(),
        },
    )


def test_munits_partial_step_is_its_equations() -> None:
    model, (rich, poor) = munit.Munit(4, 1, 3), [PatchDiscriminator(width=4, layers=1) for _ in range(2)]
    x = torch.randn(2, 3, 16, 16).tanh()
    torch.manual_seed(1)
    made = model(x)
    torch.manual_seed(1)
    _, style_poor = torch.randn(2, 3), torch.randn(2, 3)
    assert isinstance(made, munit.Partial)
    pseudo = model.poor.decoder(model.rich.content(x), style_poor)
    torch.testing.assert_close(made.poor, pseudo)
    content = model.poor.content(pseudo)
    rebuilt, fake = (model.rich.decoder(content, style) for style in (model.rich.style(x), made.style))
    expected = {
        "adversarial_rich": ((rich(rebuilt) - 1).square().mean() + (rich(fake) - 1).square().mean()) / 2,
        "pseudo": mean_l1((rebuilt, x)),
        "style": mean_l1((model.rich.style(fake), made.style)),
    }
    torch.testing.assert_close(munit.generator_terms(made, x, x, rich, poor), expected)
    fakes = (rich(rebuilt).square().mean() + rich(fake).square().mean()) / 2
    expected = {"adversarial_rich": (rich(x) - 1).square().mean() + fakes}
    torch.testing.assert_close(munit.discriminator_terms(made, x, x, rich, poor), expected)


def test_a_munit_style_changes_the_image() -> None:
    model = munit.Munit(4, 1, 3)
    content = model.poor.content(torch.randn(1, 3, 16, 16).tanh())
    a, b = (model.rich.decoder(content, torch.randn(1, 3)) for _ in range(2))
    assert (a - b).abs().mean() > 1e-3


def idx(images: np.ndarray) -> bytes:
    return b"\0" * (16 if images.ndim == 3 else 8) + images.astype(np.uint8).tobytes()


def mnist_folder(folder: Path, compressed: bool) -> Path:
    """Ten digits which are bars at ten heights."""
    folder.mkdir(parents=True)
    digits = np.arange(40) % 10
    images = np.zeros((40, 28, 28))
    for image, digit in zip(images, digits, strict=True):
        image[2 * digit + 2 : 2 * digit + 6] = 255
    for half in ("train", "t10k"):
        for name, content in (("images-idx3", images), ("labels-idx1", digits)):
            data = idx(content)
            path = folder / f"{half}-{name}-ubyte{'.gz' if compressed else ''}"
            path.write_bytes(gzip.compress(data) if compressed else data)
    return folder


@pytest.mark.parametrize("compressed", [True, False])
def test_mnist_and_usps_from_files(tmp_path: Path, compressed: bool) -> None:
    folder = mnist_folder(tmp_path / "datasets" / "MNIST" / "raw", compressed).parent.parent  # torchvision's layout
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 16, 16)).astype(np.uint8)
    pixels[:, 0, 0] = np.arange(60) % 10 * 20  # the corner says which digit it is
    np.savez(tmp_path / "usps.npz", x=pixels, y=np.arange(60) % 10 + 1)
    rich, poor = digit_sets(DigitSettings(digits="usps", mnist=folder, other=tmp_path / "usps.npz"))
    assert (rich.name, poor.name) == ("usps", "mnist")
    assert poor.bits == pytest.approx(0.5917, abs=1e-3)  # four lines of 28 are white
    assert rich.bits > 6  # noise, in its own 16²
    assert poor.train.images.shape == (40, 3, 32, 32)
    assert poor.train.digits.tolist() == list(range(10)) * 4
    assert len(rich.train.digits) == 50
    assert len(rich.test.digits) == 10
    corner = (rich.train.images[:, 0, 0, 0] + 1) * 127.5 / 20
    assert corner[rich.train.digits == 0].max() < corner[rich.train.digits == 9].min()  # label 1 is the digit 0
    assert {*rich.train.digits.tolist(), *rich.test.digits.tolist()} == set(range(10))
    assert -1 <= rich.train.images.min() < rich.train.images.max() <= 1


def test_cropped_digits_fill_their_images(tmp_path: Path) -> None:
    folder = mnist_folder(tmp_path / "mnist", compressed=False)
    pixels = np.full((60, 16, 16), 10, np.uint8)  # a background that is not quite black
    pixels[:, 4:12, 6:9] = 100 + np.arange(3) * 70
    pixels[59] = 0  # no digit at all: there is nothing to crop to
    np.savez(tmp_path / "usps.npz", x=pixels, y=np.arange(60) % 10)
    options: dict[str, Any] = {"digits": "usps", "mnist": folder, "other": tmp_path / "usps.npz", "size": 16}
    sets = {each.name: each for each in digit_sets(DigitSettings(**options, crop=True))}
    assert sets["mnist"].train.images.min() > 0.999  # bars that fill their images
    usps = sets["usps"]
    both = torch.cat([usps.train.images, usps.test.images])
    assert both.shape == (60, 3, 16, 16)
    filled = both[both.amax((1, 2, 3)) > 0]
    assert len(filled) == 59
    assert ((filled + 1) * 127.5 > 95).all()  # stretched to the whole image
    across = ((filled[0, 0, 8, [0, 8, 15]] + 1) * 127.5).tolist()
    assert across == pytest.approx([100, 170, 240], abs=8)
    plain = {each.name: each for each in digit_sets(DigitSettings(**options))}
    for name, each in sets.items():
        assert (each.bits, each.train.digits.tolist()) == (plain[name].bits, plain[name].train.digits.tolist())
        assert each.meaning == plain[name].meaning.replace(name, f"{name}, cropped", 1)  # not resumed as the other
        assert str(each) == str(plain[name]).replace(name, f"{name}, cropped", 1)
    with pytest.raises(ValueError, match=r"crop: .* which MNIST and USPS have; got --digits photos"):
        DigitSettings(crop=True)


def test_with_nothing_at_hand_digits_lie_on_photographs() -> None:
    rich, poor = digit_sets(DigitSettings())
    assert (rich.name, poor.name) == ("photos", "plain")
    assert rich.bits > poor.bits + 2
    data = UnpairedDigits(rich, poor, samples=100, seed=0)
    again = UnpairedDigits(rich, poor, samples=100, seed=0)
    assert data.epoch == 100
    x, y = data[7]
    assert torch.equal(x, again[7][0])
    assert torch.equal(y, again[7][1])
    assert not torch.equal(x, UnpairedDigits(rich, poor, samples=100, seed=1)[7][0])
    assert not torch.equal(x, data[8][0])


def test_what_is_missing_or_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist = mnist_folder(tmp_path / "mnist", compressed=False)
    with pytest.raises(ValueError, match=r"an .npz of images x and labels y"):
        digit_sets(DigitSettings(digits="usps", mnist=mnist, other=tmp_path / "missing.npz"))

    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    for name in ("MNIST", "SVHN", "USPS"):
        monkeypatch.setattr(f"torchvision.datasets.{name}", offline)
    with pytest.raises(ValueError, match=r"MNIST is not in .*\nUSPS is not in "):  # both in one error
        digit_sets(DigitSettings(digits="usps", mnist=tmp_path / "nothing", other=tmp_path / "usps"))
    for name, settings in (
        ("MNIST", DigitSettings(digits="usps", mnist=tmp_path / "nothing", other=tmp_path / "usps")),
        ("SVHN", DigitSettings(digits="svhn", mnist=mnist, other=tmp_path / "svhn")),
        ("USPS", DigitSettings(digits="usps", mnist=mnist, other=tmp_path / "usps")),
    ):
        with pytest.raises(
            ValueError, match=rf"{name} is not in .* cannot be downloaded \(no network\); put its files"
        ):
            digit_sets(settings)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.linspace(0, 1, 60), 10, "images with values 0 to 1; expected 0 to 255"),  # would be black
        (np.full(60, np.nan), 10, "images with values nan to nan"),
        (np.arange(60.0) * 4, 12, "has labels from 0 to 11; expected 0 to 9"),
        (np.arange(59.0) * 4, 10, r"has images \(59, 16, 16\) and labels \(60,\); expected"),
    ],
)
def test_digits_that_would_be_read_as_something_else_are_refused(
    tmp_path: Path, images: Any, labels: int, message: str
) -> None:
    mnist = mnist_folder(tmp_path / "mnist", compressed=False)
    np.savez(tmp_path / "usps.npz", x=images[:, None, None] * np.ones((16, 16)), y=np.arange(60) % labels)
    with pytest.raises(ValueError, match=f"other: .*usps.npz' {message}|other: .*usps.npz' has {message}"):
        digit_sets(DigitSettings(digits="usps", mnist=mnist, other=tmp_path / "usps.npz"))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data[:30] + b"xyz" + data[33:], lambda _: b""]
)
def test_damaged_files_of_digits_are_named(tmp_path: Path, damage: Any) -> None:
    mnist = mnist_folder(tmp_path / "mnist", compressed=True)
    path = mnist / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"mnist: cannot read '.*train-images-idx3-ubyte.gz': "):
        digit_sets(DigitSettings(digits="usps", mnist=mnist))
    np.savez(tmp_path / "usps.npz", x=np.zeros((60, 16, 16)), y=np.zeros(60))
    (tmp_path / "usps.npz").write_bytes((tmp_path / "usps.npz").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"usps.npz' must be an .npz of images x and labels y: "):
        digit_sets(DigitSettings(digits="usps", mnist=mnist_folder(tmp_path / "m", True), other=tmp_path / "usps.npz"))


@pytest.mark.slow
def test_the_classifier_reads_real_digits_and_leaves_the_training_alone() -> None:
    _, poor = digit_sets(DigitSettings())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    classifier = train_classifier(digit_batches(poor.train), channels=3, classes=10, device=torch.device("cpu"))
    assert torch.equal(state, torch.get_rng_state())
    images, digits = poor.test
    assert accuracy(classifier, images, digits) > 0.95
    assert accuracy(classifier, images, (digits + 1) % 10) < 0.05
