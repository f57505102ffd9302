"""The plain CycleGAN with parts of asymkit: every part trains, alone and with others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cyclegan_dropin
import pytest
import torch
from cyclegan_dropin import PARTS, Options, Part, train
from support.data.unpaired import unpaired

from conftest import images_like

ROOT = Path(__file__).parent.parent
SMALL = Options(steps=20, crop_size=32, ngf=4, ndf=4, n_blocks=1, batch_size=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*scales:UserWarning")
@pytest.mark.parametrize(
    "use", [(), *((part,) for part in PARTS), ("aux", "async", "colour", "ms_ssim", "guard", "discriminator")]
)
def test_every_part_trains(use: tuple[Part, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = unpaired(None, "grey", "A", SMALL.crop_size, 0)
    begun: dict[str, torch.Tensor] = {}
    steps: list[str] = []

    def weights(model: Any) -> dict[str, torch.Tensor]:
        nets = {name: net for name, net in vars(model).items() if name.startswith("net") and net is not None}
        return {name: torch.nn.utils.parameters_to_vector(net.parameters()).detach() for name, net in nets.items()}

    def watched(name: str) -> None:
        step = getattr(cyclegan_dropin.CycleGANModel, name)

        def stepped(model: Any) -> None:
            begun.update(weights(model))
            step(model)
            assert torch.stack([loss.detach() for loss in model.losses.values()]).isfinite().all()
            still = {net for net, value in weights(model).items() if torch.equal(begun[net], value)}
            idle = {"netR_A", "netR_B"} if "light" in use else set()
            partial = {"netG_A", "netD_A", "netR_A"} | idle
            assert still <= (partial if name == "optimize_partial" else set()), still
            assert name != "optimize_partial" or {"netG_A", "netD_A"} <= still
            steps.append(name)

        monkeypatch.setattr(cyclegan_dropin.CycleGANModel, name, stepped)

    watched("optimize_parameters")
    watched("optimize_partial")
    model = train(replace(SMALL, use=use), data)
    assert len(steps) == 20
    assert (steps.count("optimize_partial") > 0) == ("async" in use)
    figures = cyclegan_dropin.measure(model, data)
    assert all(torch.tensor(list(figures.values())).isfinite())
    assert ("spread over z" in figures) == ("aux" in use)


@pytest.mark.parametrize("step", ["optimize_parameters", "optimize_partial"])
def test_z_has_its_discriminator_and_its_cycle_and_is_never_to_be_ignored(step: str) -> None:
    model: Any = cyclegan_dropin.CycleGANModel(replace(SMALL, use=("aux", "guard")))
    given: list[int] = []
    model.netG_B.register_forward_pre_hook(lambda _, inputs: given.append(len(inputs)))
    model.set_input({"A": images_like(2, 3, 32, 32).float(), "B": images_like(2, 3, 32, 32).float()})
    before = {
        name: torch.nn.utils.parameters_to_vector(getattr(model, name).parameters()) for name in ("netE", "netDZ")
    }
    getattr(model, step)()
    assert set(given) == {2}  # always with a z
    assert {"z", "E"} <= model.losses.keys()
    assert not {"idt_A", "idt_B"} & model.losses.keys()
    for name, was in before.items():
        assert not torch.equal(was, torch.nn.utils.parameters_to_vector(getattr(model, name).parameters())), name
    if step == "optimize_partial":  # the pair: the photo of this code
        torch.testing.assert_close(model.losses["pair"], (model.rec_A - model.real_A).abs().mean() * 10)
        assert not torch.equal(model.rec_A, model.fake_A)


@pytest.mark.parametrize("step", ["optimize_parameters", "optimize_partial"])
def test_the_guard_watches_both_steps(step: str) -> None:
    model: Any = cyclegan_dropin.CycleGANModel(replace(SMALL, use=("guard",)))
    model.set_input({"A": torch.full((1, 3, 32, 32), float("nan")), "B": torch.zeros(1, 3, 32, 32)})
    with pytest.warns(UserWarning, match="was not taken"):
        getattr(model, step)()
    assert model.guard.skipped == 1
    assert all(parameter.isfinite().all() for net in (model.netG_B, model.netD_B) for parameter in net.parameters())


@pytest.mark.parametrize("use", [("colour",), ("identity",), ("gan_loss",), ("colour", "identity", "gan_loss")])
def test_parts_that_stand_in_for_a_loss_have_its_size(use: tuple[Part, ...]) -> None:
    """What CycleGAN's weights were chosen for stays as it was."""
    batch = {"A": torch.rand(2, 3, 32, 32) * 2 - 1, "B": torch.rand(2, 3, 32, 32) * 2 - 1}
    losses = []
    for parts in ((), use):
        torch.manual_seed(0)
        model = cyclegan_dropin.CycleGANModel(replace(SMALL, use=parts))
        model.set_input(batch)
        model.forward()
        model.backward_G()
        losses.append({name: loss.detach() for name, loss in model.losses.items()})
    assert losses[0].keys() == {"idt_A", "idt_B", "G_A", "G_B", "cycle_A", "cycle_B"}
    torch.testing.assert_close(losses[1], losses[0])


@pytest.mark.slow
def test_the_table_has_a_row_for_each_part(tmp_path: Path) -> None:
    small = ["--steps", "2", "--crop-size", "32", "--ngf", "4", "--ndf", "4", "--n-blocks", "1", "--seeds", "2"]
    command = [
        sys.executable,
        str(ROOT / "examples" / "cyclegan_dropin.py"),
        "compare",
        "--use",
        "colour",
        "aux",
        *small,
    ]
    result = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([\w ]+) \|", table, flags=re.MULTILINE) == ["plain CycleGAN", "colour", "aux"]
    figures = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["figures"]
    assert len(figures["colour"]["B→A, dB"]) == 2
