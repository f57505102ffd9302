"""docs/from-asymmetricgan.md, followed in code of the structure of AsymmetricGAN's own."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import published
import pytest
import torch
from guides import NAN_STEPS, ROOT, Stills, followed, images, moved, sections, spoilt

import asymkit
from asymkit import VGGFeatures, ops

GUIDE = "from-asymmetricgan"
SOLVER = ["Generators", "Discriminator", "Colour cycle", "SSIM", "Survive a NaN"]
MODEL = ["Pixel loss", "Total variation", "GAN loss", "Perceptual loss"]
CONFIG: dict[str, Any] = {
    **{
        "g_conv_dim": 4,
        "d_conv_dim": 4,
        "c_dim": 3,
        "g_repeat_num": 1,
        "d_repeat_num": 3,
        "image_size": 32,
        "dataset": "RaFD",
    },
    **{"g_lr": 1e-4, "d_lr": 1e-4, "beta1": 0.5, "beta2": 0.999, "n_critic": 1},
    **{"lambda_cls": 1, "lambda_rec": 10, "lambda_gp": 10},
}
OPTIONS = SimpleNamespace(
    **{"which_model_netG": "resnet_1blocks", "which_model_netD": "basic", "n_layers_D": 2, "norm": "instance"},
    **{
        "no_dropout": True,
        "init_type": "normal",
        "init_gain": 0.02,
        "ngf_t": 8,
        "ngf_r": 4,
        "ndf": 4,
        "no_lsgan": True,
    },
    **{"pool_size": 0, "lr": 2e-4, "beta1": 0.5, "lambda_L1": 100.0, "cyc_L1": 100.0, "lambda_feat": 10.0},
    **{"lambda_identity": 5.0, "REGULARIZATION": 1e-6},
)


def test_the_guide_has_no_other_changes() -> None:
    assert [*sections(GUIDE)] == [*SOLVER, *MODEL]


@pytest.mark.slow
@pytest.mark.parametrize("headings", [[], *([heading] for heading in SOLVER), SOLVER], ids=str)
def test_each_change_to_the_solver_trains(headings: list[str]) -> None:
    solver = followed(GUIDE, *headings)["Solver"](SimpleNamespace(**CONFIG))
    nets = {"G_xy": solver.G_xy, "G_yx": solver.G_yx, "D": solver.D}
    before = {name: copy.deepcopy(net.state_dict()) for name, net in nets.items()}
    losses: list[dict[str, float]] = []

    def watch(_: Any, loss: dict[str, float]) -> None:
        losses.append(loss)
        assert all(torch.tensor(list(loss.values())).isfinite())
        for name, net in nets.items():
            assert moved(before[name], net), name
            before[name] = copy.deepcopy(net.state_dict())

    solver.train([(images(3), torch.tensor([0, 1, 2]))] * 4, watch)
    assert len(losses) == 4
    assert (losses[0]["G/loss_ssim"] >= 0) == ("SSIM" in headings)


@pytest.mark.filterwarnings("ignore:step . was not taken:UserWarning")
@pytest.mark.parametrize("headings", [["Survive a NaN"], SOLVER], ids=str)
def test_the_solver_survives_an_image_with_a_nan(headings: list[str]) -> None:
    solver = followed(GUIDE, *headings)["Solver"](SimpleNamespace(**CONFIG))
    nets = {"G_xy": solver.G_xy, "G_yx": solver.G_yx, "D": solver.D}
    watch = Stills(nets, NAN_STEPS)
    batches = [(images(3), torch.tensor([0, 1, 2])) for _ in range(4)]
    solver.train([spoilt(batch) if i in NAN_STEPS else batch for i, batch in enumerate(batches)], watch)
    assert watch.steps == 4
    assert solver.guard.skipped == solver.d_guard.skipped == 2


def test_what_the_guide_says_of_ssim() -> None:
    plain = followed(GUIDE)["SSIM"]()
    x, y = images(), images()
    theirs = plain.map(x, y)[..., 5:-5, 5:-5].mean()  # where no zeros come in
    torch.testing.assert_close(ops.ssim(x, y, value_range=(0, 1)).mean(), theirs, rtol=1e-4, atol=1e-5)
    assert abs(ops.ssim(x, y).mean() - theirs) > 0.01
    textured = 0.5 + 0.3 * x
    assert plain.map(textured, -textured)[..., 5:-5, 5:-5].mean() > 0.8
    assert ops.ssim(textured, -textured).mean() < 0


def first_losses(headings: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, float], Any]:
    """Losses of a first step, from one start, and the model after two more."""
    monkeypatch.setattr(asymkit, "VGGFeatures", lambda layers, net: VGGFeatures(layers, None, net))
    torch.manual_seed(0)
    model = followed(GUIDE, *headings)["AsymmetricGANModel"]()
    model.initialize(OPTIONS)
    nets = {name: net for name, net in vars(model).items() if name.startswith("net")}
    losses: dict[str, float] = {}
    torch.manual_seed(1)
    for step in range(3):
        before = {name: copy.deepcopy(net.state_dict()) for name, net in nets.items()}
        model.set_input({name: images() for name in "ABCD"})
        model.optimize_parameters()
        assert all(moved(before[name], net) for name, net in nets.items())
        found = {name: float(getattr(model, f"loss_{name}").detach()) for name in model.loss_names}
        assert all(torch.tensor(list(found.values())).isfinite())
        losses = losses if step else found
    return losses, model


@pytest.mark.slow
@pytest.mark.parametrize("headings", [*([heading] for heading in MODEL), MODEL], ids=str)
def test_each_change_to_the_model_for_skeletons_keeps_its_scale(
    headings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = first_losses([], monkeypatch)
    changed, model = first_losses(headings, monkeypatch)
    for name in plain.keys() - ({"G_VGG", "G"} if "Perceptual loss" in headings else set()):  # of another network
        assert changed[name] == pytest.approx(plain[name], rel=1e-4), name
    wanted = dict(zip(MODEL, ["ColorCycleLoss", "TotalVariationLoss", "LogisticLoss", "PerceptualLoss"], strict=True))
    assert {wanted[heading] for heading in headings} <= {type(module).__name__ for module in vars(model).values()}


def test_an_old_run_of_the_solver_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    old = {
        "G_xy": published.StarGANGenerator(domains=3, width=4, blocks=6),
        "G_yx": published.StarGANGenerator(domains=3, width=4, blocks=6),
        "D": published.StarGANDiscriminator(size=64, width=4, domains=3),
    }
    for name, network in old.items():
        torch.save(network.state_dict(), f"models/200000-{name}.ckpt")
    names: dict[str, Any] = {}
    part = (ROOT / "docs" / f"{GUIDE}.md").read_text(encoding="utf-8").split("## Checkpoints")[1]
    for block in re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL):
        exec(block, names)
    config = CONFIG | {"g_repeat_num": 6, "d_repeat_num": 6, "image_size": 64, "model_save_dir": "models_asymkit"}
    changed = followed(GUIDE, "Generators", "Discriminator")
    solver = changed["Solver"](SimpleNamespace(**config))
    solver.G_yx = changed["StarGenerator"](3, 6, 4)  # as deep as the old one
    solver.restore_model(200000)
    image, label = images(size=64), torch.eye(3)[:2]
    for name in ("G_xy", "G_yx"):
        torch.testing.assert_close(getattr(solver, name)(image, label), old[name](image, label), rtol=0, atol=1e-5)
