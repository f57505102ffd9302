"""The figures of the reports, against what they are said to be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from asyncgan_munit import Munit
from support.data.held_out import HeldOut
from support.report.classifier import domain_accuracy
from support.report.pictures import gesture_figures
from support.report.unpaired import asymgan_figures, checkerboard, cycle_figures, munit_figures
from support.run.rng import seeded_inference
from torch import Tensor, nn

from asymkit import AuxEncoder, AuxGenerator, DualGenerator, ResnetGenerator, ops
from asymkit.evaluation import psnr
from asymkit.objectives import asyncgan
from asymkit.objectives.asymmetricgan import supervised, unsupervised

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}


def images(count: int) -> Tensor:
    return torch.rand(count, 3, 16, 16) * 2 - 1


def near(value: Tensor | float) -> Any:
    return pytest.approx(float(value), rel=1e-4)


def test_cycle_figures_are_mean_differences() -> None:
    model = asyncgan.Translators(ResnetGenerator(**SMALL), AuxGenerator(**SMALL), AuxEncoder(width=4))
    x, y = images(4), images(4)
    with seeded_inference():
        cycles: Any = model(x, y)
        other = model.to_rich(y, torch.randn(4, 8))
        code = model.get_submodule("encoder")(cycles.fake_rich)
    expected = {
        "rich_cycle_l1": near((cycles.rebuilt_rich - x).abs().mean()),
        "poor_cycle_l1": near((cycles.rebuilt_poor - y).abs().mean()),
        "z_cycle_l1": near((code - cycles.z).abs().mean()),
        "z_diversity": near((cycles.fake_rich - other).abs().mean() / 2),  # of the range [-1, 1]
    }
    assert cycle_figures(model, HeldOut([x], [y])) == expected
    figures = asymgan_figures(model, HeldOut([x], [y]))
    assert {name: figures[name] for name in expected} == expected
    for name, shown in (("rich", x), ("poor", y), ("fake_rich", cycles.fake_rich), ("fake_poor", cycles.fake_poor)):
        assert figures[f"entropy_{name}_bits"] == near(ops.shannon_entropy(shown).mean())
    assert figures["checkerboard_fake_rich"] == near(checkerboard(cycles.fake_rich))
    assert figures["checkerboard_real_rich"] == near(checkerboard(x))


def test_figures_of_several_batches_are_means_over_all_images() -> None:
    model = asyncgan.Translators(ResnetGenerator(**SMALL), ResnetGenerator(**SMALL))  # without z nothing is drawn
    x, y = images(5), images(5)
    parts, whole = (asymgan_figures(model, HeldOut(list(x.split(n)), list(y.split(n)))) for n in (2, 5))
    for name in ("rich_cycle_l1", "poor_cycle_l1", "entropy_rich_bits", "entropy_fake_poor_bits"):
        assert parts[name] == near(whole[name]), name
    assert "z_diversity" not in whole


def test_munit_figures_are_mean_differences() -> None:
    model, x, y = Munit(4, 1, 3), images(2), images(2)
    with seeded_inference():
        one, other = model.to_rich(y), model.to_rich(y)
        same = model.rich.decoder(model.rich.content(x), model.rich.style(x))
        same_y = model.poor.decoder(model.poor.content(y), model.poor.style(y))
    assert munit_figures(model, HeldOut([x], [y])) == {
        "rich_decoded_l1": near((same - x).abs().mean()),
        "poor_decoded_l1": near((same_y - y).abs().mean()),
        "z_diversity": near((one - other).abs().mean() / 2),
    }


def test_gesture_figures_are_psnr_of_the_right_pairs() -> None:
    model = supervised.Translators(DualGenerator.supervised(width=4, blocks=1))
    x, skeleton_x, y, skeleton_y = images(3), images(3), images(3), images(3)
    pairs = x, skeleton_x, y, skeleton_y
    of_two_sizes = [tuple(part[:2] for part in pairs), tuple(part[2:] for part in pairs)]
    with torch.no_grad():
        made = model.dual.translate(x, skeleton_y)
        rebuilt = model.dual.reconstruct(made, skeleton_x)
    for batches, batch in (([pairs], 2), ([pairs], 8), (of_two_sizes, 8)):
        assert gesture_figures(model, batches, batch) == {
            "psnr_translated_db": near(psnr(made, y).mean()),
            "psnr_rebuilt_db": near(psnr(rebuilt, x).mean()),
            "psnr_of_copying_x_db": near(psnr(x, y).mean()),
        }
    same = gesture_figures(model, [(x, skeleton_x, x, skeleton_x)])
    assert same["psnr_of_copying_x_db"] == near(torch.tensor(100.0))  # infinite would be no JSON


class Shade(nn.Module):
    """Takes every image for one of the domain whose number it shows."""

    def forward(self, image: Tensor) -> Tensor:
        shades = 10 * image.mean((1, 2, 3))
        return -(shades[:, None] - torch.arange(3)).abs()


class Painter(DualGenerator):
    """Gives images the shade of their new domain, but for one domain that it cannot do, and for those that have it."""

    def translate(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        target = torch.as_tensor(condition)
        wrong = (target == 2) | ((10 * image.mean((1, 2, 3))).round() == target)
        return (torch.where(wrong, target + 1, target) % 3 / 10)[:, None, None, None].expand_as(image)


def test_accuracy_is_the_share_of_each_domain_that_is_taken_for_it() -> None:
    shown = [torch.full((4, 3, 8, 8), domain / 10) for domain in range(3)]
    shown[1][0] = 0.2  # one that looks like another domain
    model = unsupervised.Translators(Painter(nn.Identity(), nn.Identity()))
    assert domain_accuracy(Shade(), model, shown) == {"real": [1.0, 0.75, 1.0], "translated": [1.0, 1.0, 0.0]}
