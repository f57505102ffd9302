"""The guides in docs/, followed line by line: their changes are made to code as people have it, which then trains."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import published
import pytest
import torch
from guides import NAN_STEPS, PEOPLE, ROOT, Stills, changed, followed, images, moved, sections, spoilt
from PIL import Image
from torch import Tensor

from asymkit import AuxEncoder, AuxGenerator, DualGenerator, load_cyclegan_generator

skips = pytest.mark.filterwarnings("ignore:step . was not taken:UserWarning")
few_scales = pytest.mark.filterwarnings("ignore:.*scales:UserWarning")


STARGAN: dict[str, Any] = {
    **{
        "g_conv_dim": 4,
        "d_conv_dim": 4,
        "c_dim": 3,
        "c2_dim": 2,
        "g_repeat_num": 1,
        "d_repeat_num": 3,
        "image_size": 32,
    },
    **{"g_lr": 1e-4, "d_lr": 1e-4, "beta1": 0.5, "beta2": 0.999, "n_critic": 1},
    **{"lambda_cls": 1, "lambda_rec": 10, "lambda_gp": 10},
}


def stargan_batch(dataset: str) -> Any:
    classes = images(3), torch.tensor([0, 1, 1])
    attributes = images(3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    return {"RaFD": classes, "CelebA": attributes, "Both": {"CelebA": attributes, "RaFD": classes}}[dataset]


@pytest.mark.slow
@few_scales
@pytest.mark.parametrize("dataset", ["RaFD", "CelebA", "Both"])
@pytest.mark.parametrize("heading", [None, *sections("from-stargan"), "all"])
def test_each_change_to_stargan_code_trains(heading: str | None, dataset: str) -> None:
    chosen = list(sections("from-stargan")) if heading == "all" else [heading] if heading else []
    names = followed("from-stargan", *chosen)
    solver = names["Solver"](SimpleNamespace(**STARGAN, dataset=dataset))
    nets = {"G": solver.G, "D": solver.D}
    if isinstance(solver.G, DualGenerator):
        nets = {"translator": solver.G.translator, "reconstructor": solver.G.reconstructor, "D": solver.D}
    assert isinstance(solver.G, DualGenerator) == (heading in {"A generator for each task", "all"})
    called = dict.fromkeys(
        ("ColorCycleLoss", "MSSSIMLoss", "DomainClassificationLoss", "DomainDiscriminator", "StepGuard"), 0
    )
    for name in called.keys() & names.keys():
        method = "step" if name == "StepGuard" else "forward"
        kind = names[name] = type(name, (names[name],), {})
        plain = getattr(kind, method)

        def counted(self: Any, *args: Any, name: str = name, plain: Any = plain) -> Any:
            called[name] += 1
            return plain(self, *args)

        setattr(kind, method, counted)
    solver = names["Solver"](SimpleNamespace(**STARGAN, dataset=dataset))
    nets = {"D": solver.D, "G": solver.G}
    if isinstance(solver.G, DualGenerator):
        nets = {"translator": solver.G.translator, "reconstructor": solver.G.reconstructor, "D": solver.D}
        blocks: Any = solver.G.translator.blocks
        assert len(blocks) == STARGAN["g_repeat_num"]
    losses: list[dict[str, float]] = []
    before = {name: copy.deepcopy(net.state_dict()) for name, net in nets.items()}

    def watch(_: Any, loss: dict[str, float]) -> None:
        losses.append(loss)
        assert all(torch.tensor(list(loss.values())).isfinite())
        for name, net in nets.items():
            assert moved(before[name], net), name
            before[name] = copy.deepcopy(net.state_dict())

    loop = solver.train_multi if dataset == "Both" else solver.train
    loop([stargan_batch(dataset)] * 6, watch)
    assert len(losses) == (12 if dataset == "Both" else 6)
    # what a heading brings is at work with every data set
    assert all(called[name] >= len(losses) for name in called.keys() & names.keys()), called


MUNIT: dict[str, Any] = {
    **{"dim": 4, "style_dim": 4, "recon_x_w": 10.0, "gan_w": 1, "input_dim_a": 3, "input_dim_b": 3},
    **{"dis": {"dim": 4, "n_layer": 3, "num_scales": 2}},
}


@pytest.mark.parametrize(("size", "layers"), [(64, 3), (128, 4)])
def test_munits_discriminators_fit_the_sizes_that_the_guide_names(size: int, layers: int) -> None:
    dis = {"dim": 4, "n_layer": layers, "num_scales": 3}
    trainers = [
        followed("from-munit", *chosen)["MUNIT_Trainer"](MUNIT | {"dis": dis}) for chosen in ([], ["Discriminators"])
    ]
    fake, real = images(size=size), images(size=size)
    for trainer in trainers:
        assert len(trainer.dis_a(real)) == 3
    # adds scales up, as MUNIT does
    new = trainers[1].dis_a
    scores = list(zip(new(fake), new(real), strict=True))
    by_hand = sum((a**2).mean() + ((b - 1) ** 2).mean() for a, b in scores)
    torch.testing.assert_close(new.calc_dis_loss(fake, real), by_hand)
    torch.testing.assert_close(new.calc_gen_loss(fake), sum(((a - 1) ** 2).mean() for a, _ in scores))
    with pytest.raises(ValueError, match="at least"):
        new(images(size=3 * 2 ** (layers + 1) - 1))


@pytest.mark.slow
@few_scales
@pytest.mark.parametrize("heading", [None, *sections("from-munit"), "all"])
def test_each_change_to_munit_code_trains(heading: str | None) -> None:
    chosen = list(sections("from-munit")) if heading == "all" else [heading] if heading else []
    names = followed("from-munit", *chosen)
    before: dict[str, dict[str, Tensor]] = {}
    asynchronous = heading in {"Train the harder direction more", "all"}

    def watch(trainer: Any, iterations: int) -> None:
        parts = {
            "easy": [trainer.gen_a.enc_content, trainer.gen_b.dec, trainer.gen_b.mlp, trainer.dis_b],
            "hard": [trainer.gen_b.enc_content, trainer.gen_a.dec, trainer.gen_a.enc_style, trainer.dis_a],
        }
        partial = asynchronous and iterations >= 10 and (iterations - 10) % 2 == 1
        for side, modules in parts.items():
            for i, module in enumerate(modules):
                if iterations:
                    assert moved(before[f"{side}{i}"], module) != (partial and side == "easy"), (
                        f"{iterations} {side} {i}"
                    )
                before[f"{side}{i}"] = copy.deepcopy(module.state_dict())
        values = [v for k, v in vars(trainer).items() if k.startswith("loss_") and isinstance(v, Tensor)]
        assert torch.stack([v.detach() for v in values]).isfinite().all()

    names["train"](MUNIT, 20, [(images(size=48), images(size=48)) for _ in range(7)], watch)
    assert before


def test_an_old_stargan_run_goes_on_from_the_files_that_the_guide_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "stargan" / "models"
    folder.mkdir(parents=True)
    networks = {
        "200000-G.ckpt": published.StarGANGenerator(domains=5, width=4, blocks=6),
        "200000-D.ckpt": published.StarGANDiscriminator(size=64, width=4, domains=5),
    }
    for name, network in networks.items():
        torch.save(network.state_dict(), folder / name)
    names: dict[str, Any] = {}
    part = (ROOT / "docs" / "from-stargan.md").read_text(encoding="utf-8").split("## Checkpoints")[1]
    for block in re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL):
        exec(block.replace("width=64", "width=4"), names)
    networks["200000-G.ckpt"].load_state_dict(torch.load(folder / "200000-G.ckpt"))  # written back
    config = STARGAN | {"c_dim": 5, "g_repeat_num": 6, "d_repeat_num": 6, "image_size": 64, "dataset": "RaFD"}
    chosen = ("A generator for each task", "The discriminator")
    solver = followed("from-stargan", *chosen)["Solver"](
        SimpleNamespace(**config, model_save_dir="stargan_asymkit/models")
    )
    solver.restore_model(200000)
    image, label = images(size=64), torch.eye(5)[:2]
    torch.testing.assert_close(solver.G(image, label), networks["200000-G.ckpt"](image, label), rtol=0, atol=1e-5)
    torch.testing.assert_close(solver.D(image), networks["200000-D.ckpt"](image), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_lines_of_the_page_on_deployment_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    model = torch.nn.ModuleDict({"poor_to_rich": AuxGenerator(width=4, blocks=1), "encoder": AuxEncoder(width=4)})
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    for name in ("checkpoint.pt", "best.pt"):  # as an example leaves them
        torch.save(
            {"step": 1, "parts": {"model": model.state_dict(), "average": {}}}, tmp_path / "runs" / "demo" / name
        )
    Image.fromarray((images(size=64)[0, :, :50] * 127.5 + 127.5).byte().permute(1, 2, 0).numpy()).save("photo.jpg")
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert len(blocks) >= 8
    for block in blocks:  # a narrow generator does what a wide one does, sooner
        exec(block.replace("(blocks=6)", "(width=4, blocks=1)").replace("1200, 900", "600, 500"), names)
    assert names["label"].shape == (1, 3, 600, 500)
    with Image.open("photo-rich.png") as translated:
        assert translated.size == (64, 50)
        assert np.abs(np.asarray(translated).astype(float) - names["rich"][0].permute(1, 2, 0).numpy()).max() <= 0.5
    with torch.inference_mode():
        wanted = names["generator"](names["image"][:1, :, :128])
    torch.testing.assert_close(torch.from_numpy(names["result"]), wanted, rtol=0, atol=1e-4)
    assert torch.equal(names["again"](names["image"]), names["generator"](names["image"]))


def test_a_change_that_does_not_fit_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"not in the code: self\.criterionFoo"):
        changed("class A:\n    def f(self):\n        self.x = 1\n", "-self.criterionFoo = 1\n+self.y = 2\n")
    source = "class A:\n    def f(self):\n        self.x = g(\n            1,\n        )\n        h()\n"
    assert (
        changed(source, "-self.x = ...\n+self.y = 2\n h()")
        == "class A:\n    def f(self):\n        self.y = 2\n        h()"
    )
    source = "def f(a, b=1):\n    if a == 1:\n        x = 1\n    elif a == 2:\n        x = 2\n"
    hunk = " def f(...): ...\n     elif a == 2: ...\n         x = ...\n+    elif a == 3:\n+        x = 3\n"
    assert changed(source, hunk) == source + "    elif a == 3:\n        x = 3"


SMALL: dict[str, Any] = {
    **{"input_nc": 3, "output_nc": 3, "ngf": 4, "ndf": 4, "netD": "basic", "n_layers_D": 2, "gan_mode": "lsgan"},
    **{"normD": "instance", "init_type": "xavier", "init_gain": 0.02, "no_antialias": False},
    **{"netF": "mlp_sample", "lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "lambda_L1": 100.0, "lambda_GAN": 1.0},
}
ONE_WAY = sections("from-cut-and-pix2pix")


@pytest.mark.slow
@few_scales
@pytest.mark.parametrize("gan_mode", ["lsgan", "vanilla"])
@pytest.mark.parametrize("heading", [*ONE_WAY, "pix2pix", "CUT"])
def test_each_change_to_cut_and_pix2pix_code_trains(heading: str, gan_mode: str) -> None:
    kind = heading.split(":", maxsplit=1)[0]
    chosen = [name for name in ONE_WAY if name.startswith(f"{kind}:")] if heading == kind else [heading]
    source = (PEOPLE / f"{kind.lower()}.py").read_text(encoding="utf-8")
    names = followed("from-cut-and-pix2pix", *chosen, source=source)
    model = names["Pix2PixModel" if kind == "pix2pix" else "CUTModel"](
        SimpleNamespace(**SMALL | {"gan_mode": gan_mode})
    )
    for _ in range(3):
        before = {name: copy.deepcopy(getattr(model, name).state_dict()) for name in ("netG", "netD")}
        model.set_input({"A": images(size=48), "B": images(size=48)})
        model.optimize_parameters()
        assert all(moved(before[name], getattr(model, name)) for name in before)
        losses = [getattr(model, f"loss_{name}").detach() for name in model.loss_names]
        assert torch.stack(losses).isfinite().all()
    if heading == "CUT: discriminator":
        with pytest.raises(NotImplementedError, match="--netD basic"):
            names["CUTModel"](SimpleNamespace(**SMALL | {"netD": "n_layers"}))


def test_options_for_cuts_discriminator_mean_what_they_meant() -> None:
    source = (PEOPLE / "cut.py").read_text(encoding="utf-8")
    model = followed("from-cut-and-pix2pix", "CUT: discriminator", source=source)["CUTModel"]
    with pytest.raises(NotImplementedError, match="--normD instance, got batch"):
        model(SimpleNamespace(**SMALL | {"normD": "batch"}))

    def spread(init_type: str, init_gain: float) -> float:
        wide = SMALL | {"ndf": 32, "init_type": init_type, "init_gain": init_gain}
        weights = [p for p in model(SimpleNamespace(**wide)).netD.parameters() if p.ndim == 4]
        return float(weights[2].detach().std())

    assert spread("normal", 0.5) == pytest.approx(0.5, rel=0.05)
    # of 64 and 128 channels and kernels of 4 by 4
    assert spread("xavier", 3.0) == pytest.approx(3 * (2 / (16 * (64 + 128))) ** 0.5, rel=0.05)


@skips
@few_scales
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("dataset", ["RaFD", "CelebA", "Both"])
def test_stargan_code_survives_an_image_with_a_nan(dataset: str, everything: bool) -> None:
    chosen = [*sections("from-stargan")] if everything else ["Survive a NaN"]
    solver = followed("from-stargan", *chosen)["Solver"](SimpleNamespace(**STARGAN, dataset=dataset))
    each = 2 if dataset == "Both" else 1
    watch = Stills({"G": solver.G, "D": solver.D}, {each * i + j for i in NAN_STEPS for j in range(each)})
    batches = [stargan_batch(dataset) for _ in range(4)]
    loop = solver.train_multi if dataset == "Both" else solver.train
    loop([spoilt(batch) if i in NAN_STEPS else batch for i, batch in enumerate(batches)], watch)
    assert watch.steps == 4 * each
    assert solver.guard.skipped == solver.d_guard.skipped == 2 * each


@skips
@pytest.mark.parametrize("side", ["a", "b"])
def test_munit_code_survives_an_image_with_a_nan(side: str) -> None:
    names = followed("from-munit", "Survive a NaN")
    stills: list[Stills] = []
    init = names["MUNIT_Trainer"].__init__

    def built(trainer: Any, hyperparameters: Any) -> None:
        init(trainer, hyperparameters)
        stills.append(
            Stills({name: getattr(trainer, name) for name in ("gen_a", "gen_b", "dis_a", "dis_b")}, NAN_STEPS)
        )

    names["MUNIT_Trainer"].__init__ = built
    batches = [{"a": images(size=48), "b": images(size=48)} for _ in range(4)]
    for i in NAN_STEPS:
        batches[i][side] = spoilt(batches[i][side])
    trainer = names["train"](MUNIT, 4, [tuple(batch.values()) for batch in batches], lambda *_: stills[0]())
    assert stills[0].steps == 4
    assert trainer.guard.skipped == trainer.dis_guard.skipped == 2


@skips
def test_munits_partial_update_survives_an_image_with_a_nan() -> None:
    page = (ROOT / "docs" / "from-munit.md").read_text(encoding="utf-8")
    source = (PEOPLE / "munit.py").read_text(encoding="utf-8")
    for heading in ("Survive a NaN", "Train the harder direction more"):
        for hunk in sections("from-munit")[heading].hunks:
            source = changed(source, hunk)
    for optimizer in ("gen_opt", "dis_opt"):  # what the guide says to write
        (guarded,) = re.findall(rf"`(self\.\w+\.step\(self\.{optimizer}, \{{.*?pair\}}\))`", page)
        source = changed(source, f"-self.{optimizer}.step()\n+{guarded}\n")
    source = "from asymkit import AsyncScheduler, StepGuard\n" + source
    trainer = followed("from-munit", source=source)["MUNIT_Trainer"](MUNIT)
    watch = Stills({name: getattr(trainer, name) for name in ("gen_a", "gen_b", "dis_a")}, NAN_STEPS)
    for i in range(4):
        image = images(size=48)
        trainer.partial_update(spoilt(image) if i in NAN_STEPS else image, images(size=48), MUNIT)
        watch()
    assert trainer.guard.skipped == trainer.dis_guard.skipped == 2


@skips
@few_scales
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("kind", ["pix2pix", "CUT"])
def test_cut_and_pix2pix_code_survive_an_image_with_a_nan(kind: str, everything: bool) -> None:
    chosen = [name for name in ONE_WAY if name.startswith(f"{kind}:") and (everything or "NaN" in name)]
    source = (PEOPLE / f"{kind.lower()}.py").read_text(encoding="utf-8")
    names = followed("from-cut-and-pix2pix", *chosen, source=source)
    model = names["Pix2PixModel" if kind == "pix2pix" else "CUTModel"](SimpleNamespace(**SMALL))
    nets = ("netG", "netD") if kind == "pix2pix" else ("netG", "netD", "netF")
    watch = Stills({name: getattr(model, name) for name in nets}, NAN_STEPS)
    for i in range(4):
        image = images(size=48)
        model.set_input({"A": spoilt(image) if i in NAN_STEPS else image, "B": images(size=48)})
        model.optimize_parameters()
        losses = torch.tensor([float(getattr(model, f"loss_{name}").detach()) for name in model.loss_names])
        assert losses.isfinite().all() == (i not in NAN_STEPS)
        watch()
    assert model.guard.skipped == model.guard_D.skipped == 2


def test_a_generator_of_cut_with_strided_convolutions_loads(tmp_path: Path) -> None:
    source = followed("from-cut-and-pix2pix", source=(PEOPLE / "cut.py").read_text(encoding="utf-8"))[
        "ResnetGenerator"
    ](3, 3, 4, 6)
    torch.save(source.state_dict(), tmp_path / "latest_net_G.pth")
    image = images()
    torch.testing.assert_close(
        load_cyclegan_generator(tmp_path / "latest_net_G.pth")(image), source(image), rtol=0, atol=1e-5
    )


def test_every_guide_is_on_the_site_and_in_the_readme() -> None:
    index, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/index.md", "README.md"))
    for page in (ROOT / "docs").glob("from-*.md"):
        assert page.stem in index
        assert f"docs/{page.name}" in readme
