"""The guides in docs/, followed line by line: their changes are made to code as people have it, which then trains."""

from __future__ import annotations

import ast
import copy
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import published
import pytest
import torch
from torch import Tensor, nn

from asymkit import AuxEncoder, AuxGenerator, DualGenerator, to_published
from conftest import images_like

ROOT = Path(__file__).parent.parent
PEOPLE = ROOT / "tests" / "code_people_have"


class Section(NamedTuple):
    imports: str
    hunks: list[str]


def sections(guide: str) -> dict[str, Section]:
    """The parts of a guide that hold changes, by heading."""
    found: dict[str, Section] = {}
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    for part in re.split(r"^##+ ", text, flags=re.MULTILINE)[1:]:
        hunks = re.findall(r"```diff\n(.*?)```", part, flags=re.DOTALL)
        imports = "\n".join(re.findall(r"```python\n((?:from|import) .*?)```", part, flags=re.DOTALL))
        if hunks:
            found[part.splitlines()[0]] = Section(imports, hunks)
    return found


def matches(statement: ast.stmt, line: str) -> bool:
    """Whether a line of a guide is this statement; ``...`` stands for the rest of it."""
    if line.endswith(": ..."):
        return ast.unparse(statement).splitlines()[0] == ast.unparse(ast.parse(line)).splitlines()[0]
    if line.endswith("..."):
        return ast.unparse(statement).startswith(line.removesuffix("...").rstrip())
    return ast.dump(statement) == ast.dump(ast.parse(line).body[0])


def changed(source: str, hunk: str) -> str:
    """The source after a change of a guide."""
    lines, tree = source.splitlines(), ast.parse(source)
    statements = sorted((node for node in ast.walk(tree) if isinstance(node, ast.stmt)), key=lambda node: node.lineno)
    cursor, indent, removed = 0, "", set[int]()
    added: dict[int, list[str]] = {}
    waiting: list[str] = []  # added before the first line that the source has
    for entry in hunk.splitlines():
        sign, text = entry[:1], entry[1:]
        if sign == "+":
            (added.setdefault(cursor, []) if cursor else waiting).append(text)
            continue
        statement = next((s for s in statements if s.lineno > cursor and matches(s, text.strip())), None)
        assert statement is not None, f"not in the code: {text}"
        if not cursor:
            indent = " " * statement.col_offset
            added.setdefault(statement.lineno - 1, []).extend(waiting)
        body = getattr(statement, "body", None)
        cursor = body[0].lineno - 1 if body else int(statement.end_lineno or 0)
        if sign == "-":
            removed |= set(range(statement.lineno, cursor + 1))
    result: list[str] = []
    for number, line in enumerate(["", *lines]):
        if number and number not in removed:
            result.append(line)
        result += [indent + text if text else "" for text in added.get(number, [])]
    return "\n".join(result)


def followed(guide: str, *headings: str) -> dict[str, Any]:
    """The names of a module of ``code_people_have`` after the changes under these headings."""
    source, found = (PEOPLE / f"{guide.removeprefix('from-')}.py").read_text(encoding="utf-8"), sections(guide)
    for heading in headings:
        for hunk in found[heading].hunks:
            source = changed(source, hunk)
        source = f"{found[heading].imports}\n{source}"
    names: dict[str, Any] = {"__name__": "followed"}
    pool: Any = ModuleType("util.image_pool")
    pool.ImagePool = PlainPool
    sys.modules |= {"util": ModuleType("util"), "util.image_pool": pool}
    exec(compile(source, f"{guide} with {', '.join(headings)}", "exec"), names)
    return names


class PlainPool:
    """As util/image_pool.py has it, in small."""

    def __init__(self, pool_size: int) -> None:
        self.pool_size, self.images = pool_size, list[Tensor]()

    def query(self, images: Tensor) -> Tensor:
        self.images = (self.images + [image[None] for image in images.detach()])[-self.pool_size :]
        return torch.cat(self.images[: len(images)])


def images(batch: int = 2, size: int = 32) -> Tensor:
    return images_like(batch, 3, size, size).float()


def moved(before: dict[str, Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


CYCLEGAN = SimpleNamespace(
    **{"input_nc": 3, "output_nc": 3, "ngf": 4, "ndf": 4, "netG": "resnet_1blocks", "netD": "basic", "n_layers_D": 2},
    **{
        "norm": "instance",
        "no_dropout": True,
        "init_type": "normal",
        "init_gain": 0.02,
        "gan_mode": "lsgan",
        "lr": 2e-4,
    },
    **{"beta1": 0.5, "pool_size": 4, "lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5},
    **{"epoch_count": 1, "n_epochs": 10, "n_epochs_decay": 10},
)
few_scales = pytest.mark.filterwarnings("ignore:.*scales:UserWarning")


def train_cyclegan(names: dict[str, Any]) -> Any:
    """20 steps, one to an epoch; networks by the names that the code gives them."""
    begun: dict[str, dict[str, Tensor]] = {}
    still: list[tuple[int, list[str]]] = []

    def watch(model: Any, epoch: int) -> None:
        nets = {name: net for name, net in vars(model).items() if name.startswith("net")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, about numbers of tensors with a graph
            losses = list(model.get_current_losses().values())
        assert len(losses) >= 8
        assert all(torch.tensor(losses).isfinite()), f"epoch {epoch}: {losses}"
        if begun:
            still.append((epoch, [name for name, net in nets.items() if not moved(begun[name], net)]))
        begun.update({name: copy.deepcopy(net.state_dict()) for name, net in nets.items()})

    dataset = [{"A": images(), "B": images()}]
    model = names["train"](CYCLEGAN, dataset, watch)
    model.still = still
    return model


@pytest.mark.slow
@few_scales
@pytest.mark.parametrize("heading", [None, *sections("from-cyclegan")])
def test_each_change_to_cyclegan_code_trains(heading: str | None) -> None:
    model = train_cyclegan(followed("from-cyclegan", *([heading] if heading else [])))
    partial = [epoch for epoch in range(1, 21) if epoch > 15] if heading == "Train the harder direction more" else []
    for epoch, still in model.still:
        assert still == (["netG_A", "netD_A"] if epoch in partial else []), f"epoch {epoch}"
    assert len(model.still) == 19


TOGETHER = [name for name in sections("from-cyclegan") if name != "Light reconstructors"]


@pytest.mark.slow
@few_scales
def test_all_changes_to_cyclegan_code_train_together() -> None:
    names = followed("from-cyclegan", *TOGETHER)
    model = train_cyclegan(names)
    assert type(model.netG_B).__name__ == "AuxGenerator"
    assert model.guard.steps > 0
    assert {"ssim"} <= set(model.loss_names)
    assert model.model_names[-1] == "E"
    assert type(model.fake_A_pool).__module__ == "asymkit.pool"
    assert all(still == [] for epoch, still in model.still if epoch <= 15)
    with torch.no_grad():
        one, other = model.netG_B(model.real_B), model.netG_B(model.real_B)
        assert not torch.equal(one, other)  # it draws z


STARGAN = SimpleNamespace(
    **{
        "g_conv_dim": 4,
        "d_conv_dim": 4,
        "c_dim": 3,
        "dataset": "RaFD",
        "g_repeat_num": 1,
        "d_repeat_num": 3,
        "image_size": 32,
    },
    **{"g_lr": 1e-4, "d_lr": 1e-4, "beta1": 0.5, "beta2": 0.999, "n_critic": 1},
    **{"lambda_cls": 1, "lambda_rec": 10, "lambda_gp": 10},
)


@pytest.mark.slow
@few_scales
@pytest.mark.parametrize("heading", [None, *sections("from-stargan"), "all"])
def test_each_change_to_stargan_code_trains(heading: str | None) -> None:
    chosen = list(sections("from-stargan")) if heading == "all" else [heading] if heading else []
    solver = followed("from-stargan", *chosen)["Solver"](STARGAN)
    nets = {"G": solver.G, "D": solver.D}
    if isinstance(solver.G, DualGenerator):
        nets = {"translator": solver.G.translator, "reconstructor": solver.G.reconstructor, "D": solver.D}
    assert isinstance(solver.G, DualGenerator) == (heading in {"A generator for each task", "all"})
    losses: list[dict[str, float]] = []
    before = {name: copy.deepcopy(net.state_dict()) for name, net in nets.items()}

    def watch(_: Any, loss: dict[str, float]) -> None:
        losses.append(loss)
        assert all(torch.tensor(list(loss.values())).isfinite())
        for name, net in nets.items():
            assert moved(before[name], net), name
            before[name] = copy.deepcopy(net.state_dict())

    solver.train([(images(3), torch.tensor([0, 1, 2])) for _ in range(20)], watch)
    assert len(losses) == 20


MUNIT = {"dim": 4, "style_dim": 4, "recon_x_w": 10.0, "gan_w": 1}


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

    names["train"](MUNIT, 20, [(images(size=48), images(size=48)) for _ in range(20)], watch)
    assert before


@pytest.mark.parametrize("guide", ["from-cyclegan", "from-stargan"])
def test_the_checkpoint_lines_of_the_guides_work(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    networks = {
        "latest_net_G_A.pth": published.CycleGANGenerator(width=4, blocks=6),
        "latest_net_D_A.pth": published.PatchGAN(width=4),
        "200000-G.ckpt": published.StarGANGenerator(width=4),
        "200000-D.ckpt": published.StarGANDiscriminator(width=4),
    }
    for name, network in networks.items():
        torch.save(network.state_dict(), name)
    part = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8").split("## Checkpoints")[1]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", part, flags=re.DOTALL):
        exec(block, names)
    for name, network in networks.items():
        network.load_state_dict(torch.load(name, weights_only=True))
    assert (
        to_published(names["generator"]).keys()
        <= torch.load(next(iter(networks)) if "cycle" in guide else "200000-G.ckpt").keys()
    )


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
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:  # a narrow generator does what a wide one does, sooner
        exec(block.replace("(blocks=6)", "(width=4, blocks=1)").replace("1200, 900", "600, 500"), names)
    assert names["label"].shape == (1, 3, 600, 500)
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
