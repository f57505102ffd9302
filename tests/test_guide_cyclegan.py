"""docs/from-cyclegan.md, followed in CycleGAN code of both forms: training, stopping, going on, testing."""

from __future__ import annotations

import copy
import re
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import published
import pytest
import torch
from guides import PEOPLE, ROOT, followed, images, moved, sections
from torch import Tensor
from torch.distributed import HashStore  # type: ignore[attr-defined]

GUIDE = "from-cyclegan"
FORMS = ("2025", "2020")
PARTIAL, PARTIAL_Z = "Train the harder direction more", "Train the harder direction more, with a latent code"
LATENT, LIGHT, GUARD = "A latent code for the rich domain", "Light reconstructors", "Survive a NaN"
NETWORKS = ("Generators", "Discriminators")
HIDE = "Hide nothing in the translation"
ALL = [name for name in sections(GUIDE) if name not in {LIGHT, HIDE}]
NEEDS = {PARTIAL_Z: [LATENT, PARTIAL]}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*scales:UserWarning"),
    pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning"),
]


def page() -> str:
    return (ROOT / "docs" / f"{GUIDE}.md").read_text(encoding="utf-8")


def code(form: str, *headings: str) -> dict[str, Any]:
    """CycleGAN code of a form after the changes under these headings."""
    model = (PEOPLE / "cyclegan.py").read_text(encoding="utf-8")
    if form == "2020":
        assert "write `opt.init_gain, self.gpu_ids` wherever a line below ends in `opt.init_gain)`" in page()
        model = re.sub(r"opt\.init_gain(?=,?\s*\))", "opt.init_gain, self.gpu_ids", model)
        model = re.sub(r"(def define_\w\([^)]*init_gain=0\.02)", r"\1, gpu_ids=()", model)
        model = model.replace(
            "return init_net(net, init_type, init_gain)", "return init_net(net, init_type, init_gain, gpu_ids)"
        )
    source = (PEOPLE / f"cyclegan_{form}.py").read_text(encoding="utf-8") + model
    return followed(GUIDE, *headings, source=source, form=form)


def options(folder: Path, **changes: Any) -> SimpleNamespace:
    """As train.py and test.py parse them, small; the last 7 of 20 epochs, of which 16 to 20 are partial."""
    (folder / "horses").mkdir(exist_ok=True)
    opt: dict[str, Any] = {
        "isTrain": True,
        "model": "cycle_gan",
        "model_suffix": "",
        "device": torch.device("cpu"),
        "gpu_ids": [0],
    }
    opt |= {
        "checkpoints_dir": str(folder),
        "name": "horses",
        "continue_train": False,
        "epoch": "latest",
        "direction": "AtoB",
    }
    opt |= {
        "input_nc": 3,
        "output_nc": 3,
        "ngf": 4,
        "ndf": 4,
        "netG": "resnet_6blocks",
        "netD": "n_layers",
        "n_layers_D": 2,
    }
    opt |= {"norm": "instance", "no_dropout": True, "init_type": "normal", "init_gain": 0.02, "gan_mode": "lsgan"}
    opt |= {"lr": 2e-4, "beta1": 0.5, "lr_policy": "linear", "pool_size": 4}
    opt |= {
        "lambda_A": 10.0,
        "lambda_B": 10.0,
        "lambda_identity": 0.5,
        "epoch_count": 14,
        "n_epochs": 10,
        "n_epochs_decay": 10,
    }
    return SimpleNamespace(**opt | changes)


def trained(names: dict[str, Any], opt: SimpleNamespace, data: list[dict[str, Tensor]] | None = None) -> Any:
    """A training; ``model.still`` says which networks stood still in which epoch."""
    begun: dict[str, dict[str, Tensor]] = {}
    still: dict[int, list[str]] = {}

    def watch(model: Any, epoch: int) -> None:
        nets = {name: net for name, net in vars(model).items() if name.startswith("net")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, about numbers of tensors with a graph
            losses = model.get_current_losses()
        assert len(losses) >= 8
        assert all(torch.tensor(list(losses.values())).isfinite()), f"epoch {epoch}: {losses}"
        assert all(image.shape == (2, 3, 32, 32) for image in model.get_current_visuals().values())
        if begun:
            still[epoch] = [name for name, net in nets.items() if not moved(begun[name], net)]
        begun.update({name: copy.deepcopy(net.state_dict()) for name, net in nets.items()})

    model = names["train"](opt, data or [{"A": images(), "B": images()}], watch)
    model.still = still
    return model


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("heading", [None, *sections(GUIDE)])
def test_each_change_trains_stops_goes_on_and_tests(heading: str | None, form: str, tmp_path: Path) -> None:
    chosen = [*NEEDS.get(heading or "", []), *([heading] if heading else [])]
    names = code(form, *chosen)
    model = trained(names, options(tmp_path))
    assert set(model.still) == set(range(15, 21))
    if form == "2020" and heading != "Learning rate":
        model.still.pop(20)  # that code trains its last epoch at rate 0
    for epoch, still in model.still.items():
        assert still == (["netG_A", "netD_A"] if PARTIAL in chosen and epoch > 15 else []), f"epoch {epoch}"
    trained(names, options(tmp_path, continue_train=True, epoch_count=19))
    (shown,) = names["test"](options(tmp_path, isTrain=False), [{"A": images(), "B": images()}])
    assert all(image.isfinite().all() for image in shown.values())


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_all_changes_together_train_stop_go_on_and_test(form: str, tmp_path: Path) -> None:
    names = code(form, *ALL)
    model = trained(names, options(tmp_path))
    inner = getattr(model.netG_B, "module", model.netG_B)
    assert type(inner).__name__ == "AuxGenerator"
    assert model.guard.steps > 0
    assert {"ssim", "z", "E", "DZ"} <= set(model.loss_names)
    assert model.model_names[-2:] == ["E", "DZ"]
    assert type(model.fake_A_pool).__module__ == "asymkit.training.image_pool"
    assert set(model.still) == set(range(15, 21))
    for epoch, still in model.still.items():
        assert still == (["netG_A", "netD_A"] if epoch > 15 else []), f"epoch {epoch}"
    # into a partial epoch: nothing that a joint step sets is there yet
    resumed = trained(names, options(tmp_path, continue_train=True, epoch_count=18))
    assert resumed.still == {19: ["netG_A", "netD_A"], 20: ["netG_A", "netD_A"]}
    (shown,) = names["test"](options(tmp_path, isTrain=False), [{"A": images(), "B": images()}])
    assert shown.keys() >= {"fake_B", "fake_A", "rec_A", "rec_B"}


@pytest.mark.parametrize("form", FORMS)
def test_a_cycle_that_hides_nothing_trains_one_generator(form: str, tmp_path: Path) -> None:
    model = trained(code(form, HIDE), options(tmp_path, epoch_count=20))
    model.set_input({"A": images(), "B": images()})
    model.forward()
    of_cycle = [model.criterionCycle(model.rec_A, model.real_A), *model.netG_A.parameters()]
    assert torch.autograd.grad(of_cycle[0], of_cycle[1:], allow_unused=True) == (None,) * (len(of_cycle) - 1)
    model.criterionCycle(model.netG_B(model.fake_B.detach()), model.real_A).backward()
    assert all(weight.grad is not None for weight in model.netG_B.parameters() if weight.requires_grad)


@pytest.mark.slow
def test_all_changes_train_where_setup_wraps_every_network(tmp_path: Path) -> None:
    """With DistributedDataParallel as ``torchrun`` has it, of one process."""
    torch.distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        model = trained(code("2025", *ALL), options(tmp_path))
        assert type(model.netG_B).__name__ == "DistributedDataParallel"
        assert all(still == (["netG_A", "netD_A"] if epoch > 15 else []) for epoch, still in model.still.items())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("form", FORMS)
def test_one_side_is_translated_with_the_networks_that_were_trained(form: str, tmp_path: Path) -> None:
    """``test.py --model test --model_suffix _A``, and what fits not is refused."""
    names = code(form, *NETWORKS, LATENT)
    model = trained(names, options(tmp_path, epoch_count=20))
    one_side: dict[str, Any] = {"isTrain": False, "model": "test"}
    image = images()
    (shown,) = names["test"](options(tmp_path, **one_side, model_suffix="_A"), [{"A": image}])
    with torch.no_grad():
        torch.testing.assert_close(shown["fake"], model.netG_A(image))
    opt = options(tmp_path, **one_side, model_suffix="_B", netG="aux_6blocks")
    first, second = names["test"](opt, [{"A": image}, {"A": image}])
    assert not torch.equal(first["fake"], second["fake"])  # it draws z
    for net_g in ("resnet_9blocks", "aux_6blocks", "unet_128"):
        with pytest.raises((RuntimeError, AttributeError)):
            names["test"](options(tmp_path, **one_side, model_suffix="_A", netG=net_g), [{"A": image}])
    with pytest.raises(NotImplementedError, match=r"--norm instance$"):
        names["test"](options(tmp_path, **one_side, model_suffix="_A", norm="batch"), [{"A": image}])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lambda_identity", [0.5, 0.0])
def test_no_step_asks_for_a_photo_with_a_z_drawn_at_random(lambda_identity: float, form: str, tmp_path: Path) -> None:
    model = code(form, LATENT, PARTIAL, PARTIAL_Z)["CycleGANModel"](options(tmp_path, lambda_identity=lambda_identity))
    asked: list[tuple[Tensor, Tensor]] = []
    model.netG_B.register_forward_pre_hook(lambda _, inputs: asked.append(inputs))
    compared: list[Tensor] = []
    model.criterionCycle.register_forward_pre_hook(lambda _, pair: compared.append(pair[0]))
    model.criterionIdt.register_forward_pre_hook(lambda _, pair: compared.append(pair[0]))
    made: dict[int, Tensor] = {}
    model.netG_B.register_forward_hook(lambda _, inputs, image: made.update({id(image): inputs[1]}))
    for step in (model.optimize_parameters, model.optimize_partial):
        for seen in (asked, compared):
            seen.clear()
        model.set_input({"A": images(), "B": images()})
        step()
        assert all(len(inputs) == 2 for inputs in asked)  # none without a z
        held = [made[id(image)] for image in compared if id(image) in made]
        assert held
        assert all(z is model.code for z in held)
        # Eq. 7 and 11 of AsymGAN, in both steps
        assert all(getattr(model, f"loss_{name}").detach() > 0 for name in ("z", "E", "DZ"))


@pytest.mark.parametrize("form", FORMS)
def test_options_for_networks_mean_what_they_meant(form: str, tmp_path: Path) -> None:
    names = code(form, *NETWORKS)
    asked = {"resnet_6blocks": ("ResnetGenerator", 6), "resnet_9blocks": ("ResnetGenerator", 9)}
    for net_g, (kind, blocks) in asked.items():
        for dropout in (False, True):
            net = names["networks"].define_G(3, 3, 4, net_g, "instance", dropout)
            assert (type(net).__name__, type(net).__module__.split(".")[0], len(net.blocks)) == (
                kind,
                "asymkit",
                blocks,
            )
            assert {block.dropout for block in net.blocks} == {0.5 * dropout}
    assert type(names["networks"].define_G(3, 3, 4, "unet_128", "batch", True)).__name__ == "UnetGenerator"
    for net_d, layers in {"basic": 3, "n_layers": 5}.items():
        assert len(names["networks"].define_D(3, 4, net_d, 5, "instance").norms) == layers
    assert type(names["networks"].define_D(3, 4, "pixel", 5, "batch")).__name__ == "PixelDiscriminator"
    with pytest.raises(NotImplementedError, match=r"--norm instance$"):
        names["networks"].define_G(3, 3, 4, "resnet_9blocks", "batch", False)
    with pytest.raises(NotImplementedError, match="--norm instance"):
        names["networks"].define_D(3, 4, "basic", 3, "batch")
    with pytest.raises(KeyError, match="wgangp"):
        code(form, "GAN loss")["CycleGANModel"](options(tmp_path, gan_mode="wgangp"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("headings", [[GUARD], ALL])
def test_a_nan_in_the_very_first_step_costs_that_step(headings: list[str], form: str, tmp_path: Path) -> None:
    names = code(form, *headings)
    losses: list[dict[str, float]] = []

    def watch(model: Any, _: int) -> None:
        losses.append(model.get_current_losses())

    good = {"A": images(), "B": images()}
    data = [good | {"A": good["A"] * float("nan")}, good]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = names["train"](options(tmp_path, epoch_count=1, n_epochs=2, n_epochs_decay=1), data, watch)
    assert model.guard.skipped == 3
    assert torch.tensor(losses[0]["D_A"]).isnan()
    assert all(torch.tensor(list(losses[1].values())).isfinite())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_epochs", [10, 4])
def test_a_continued_run_has_the_rates_of_an_uninterrupted_one(n_epochs: int, form: str, tmp_path: Path) -> None:
    names = code(form, "Learning rate")
    plan: dict[str, Any] = {"n_epochs": n_epochs, "n_epochs_decay": 10}
    # nothing is trained: the rates are what the step would have used
    names["CycleGANModel"].optimize_parameters = lambda model: model.optimizer_G.step()

    def rates(**opt: Any) -> dict[int, float]:
        found: dict[int, float] = {}

        def watch(model: Any, epoch: int) -> None:
            found[epoch] = model.optimizers[1].param_groups[0]["lr"]

        names["train"](options(tmp_path, **plan, **opt), [{"A": images(1), "B": images(1)}], watch)
        return found

    whole = rates(epoch_count=1)
    assert len(whole) == n_epochs + 10
    assert min(whole.values()) > 0
    assert all(whole[epoch] == pytest.approx(2e-4) for epoch in range(1, n_epochs + 1))
    assert list(whole.values()) == sorted(whole.values(), reverse=True)
    for epoch_count in (2, n_epochs + 5, n_epochs + 10):
        again = rates(epoch_count=epoch_count, continue_train=True)
        assert again == pytest.approx({epoch: whole[epoch] for epoch in again})
        assert min(again) == epoch_count


@pytest.mark.parametrize("form", FORMS)
def test_an_old_run_goes_on_from_the_files_that_the_guide_writes(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    old = trained(code(form), options(folder, epoch_count=20))
    found: dict[str, Any] = {}
    part = page().split("## Checkpoints")[1]
    for block in re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL):
        exec(block, found)
    names = code(form, *NETWORKS)
    opt = options(folder, name="horses_asymkit", continue_train=True, epoch_count=20)
    model = names["create_model"](opt)
    model.setup(opt)
    image = images()
    with torch.no_grad():
        torch.testing.assert_close(model.netG_A(image), old.netG_A(image), rtol=0, atol=1e-5)
        torch.testing.assert_close(model.netD_B(image), old.netD_B(image), rtol=0, atol=1e-4)
    trained(names, opt)
    # what changes no network goes on from the files as they are
    as_they_are = [name for name in sections(GUIDE) if name not in {*NETWORKS, LIGHT, LATENT, PARTIAL_Z}]
    trained(code(form, *as_they_are), options(folder, continue_train=True, epoch_count=20))
    published.CycleGANGenerator(width=4, blocks=6).load_state_dict(torch.load(folder / "horses" / "latest_net_G_A.pth"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("heading", "kept", "new"),
    [(LIGHT, "G_A G_B D_A D_B", "R_A R_B"), (LATENT, "G_A D_A D_B", "G_B E DZ")],
)
def test_an_old_run_goes_on_with_initial_files_of_new_networks(
    heading: str, kept: str, new: str, form: str, tmp_path: Path
) -> None:
    old = trained(code(form), options(tmp_path, epoch_count=20))
    names = code(form, heading)
    with pytest.raises((FileNotFoundError, AttributeError)):  # no file, or a file of another network
        names["create_model"](options(tmp_path, continue_train=True)).setup(options(tmp_path, continue_train=True))
    (tmp_path / "new").mkdir()
    initial = names["create_model"](options(tmp_path, name="new"))
    initial.setup(options(tmp_path, name="new"))
    initial.save_networks("latest")
    assert {*initial.model_names} == {*kept.split(), *new.split()}
    for name in kept.split():
        shutil.copy(tmp_path / "horses" / f"latest_net_{name}.pth", tmp_path / "new")
    opt = options(tmp_path, name="new", continue_train=True, epoch_count=20)
    model = names["create_model"](opt)
    model.setup(opt)
    for model_before, some in ((old, kept), (initial, new)):
        for name in some.split():
            weights = getattr(model_before, f"net{name}").state_dict()
            assert not moved(weights, getattr(model, f"net{name}")), name
    trained(names, opt)
