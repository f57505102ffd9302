"""A plain CycleGAN, and every part of asymkit that drops into one, each behind a switch.

    python examples/cyclegan_dropin.py train --use colour ms_ssim                # one training, with these parts
    python examples/cyclegan_dropin.py compare                                   # each part alone against none, 40 minutes: a table
    python examples/cyclegan_dropin.py train --data datasets/facades --steps 20000 --ngf 64 --crop-size 256 ...

This is what CycleGAN code usually looks like: an options object, a model with ``set_input``, ``forward``, ``backward_G``
and ``optimize_parameters``, one Adam for both generators, ``init_net`` over every network. A is the rich domain
(photographs), B the poor one (grey). Search for ``opt.use`` to see what a part replaces; docs/from-cyclegan.md has the
same as changes to existing code.
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import torch
from accelerate.utils import set_seed
from support.cyclegan import GANLoss, ImagePool, define_D, define_G, init_net
from support.data.unpaired import FRESH, Unpaired, unpaired
from support.report.table import as_markdown
from support.run.atomic_write import write_atomic, write_json
from support.run.command import command
from support.run.rng import seeded_inference
from support.run.settings import MOST_SEED, Size
from torch import Tensor, nn
from tqdm import tqdm

import asymkit
from asymkit.evaluation import psnr
from asymkit.objectives.asyncgan import pseudo_pair

Part = Literal[
    "generator", "light", "aux", "discriminator", "gan_loss", "pool", "colour", "identity", "ms_ssim", "augment", "guard", "async",
]  # fmt: skip
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Options:
    """A plain CycleGAN with parts of asymkit."""

    use: tuple[Part, ...] = ()
    """Parts of asymkit to use: generator, light (reconstructors), aux (z, its encoder and discriminator), discriminator, gan_loss, pool,
    colour (cycle loss), identity (loss), ms_ssim, augment (what discriminators see), guard, async."""
    each: bool = False  # train once without any and once with each of these alone, and write a table
    out: Path = Path("runs/dropin")  # folder of the table
    data: Path | None = None
    """A CycleGAN folder with trainA and trainB; None: the bundled photographs, and grey crops of them."""
    steps: int = 1000  # of each training
    seed: int = 0  # of the first training; the next ones have the next seeds
    seeds: int = 1  # how many trainings of each kind
    crop_size: Size = 48  # of the crops in training, in pixels: one number for squares, or height and width
    batch_size: int = 2  # crops of each domain in a step
    ngf: int = 16  # channels of the generators' first layer
    ndf: int = 16  # channels of the discriminators' first layer
    n_blocks: int = 3  # residual blocks of a generator
    n_layers_D: int = 2  # how often a discriminator halves its image
    aux_channels: int = 8  # length of z
    lr: float = 1e-3  # learning rate of the generators
    lr_d: float = 2e-4  # learning rate of the discriminators
    beta1: float = 0.5  # decay of Adam's mean of gradients
    lambda_A: float = 10.0  # weight of the cycle from A to B and back
    lambda_B: float = 10.0  # weight of the cycle from B to A and back
    lambda_identity: float = 0.5  # weight of the identity loss, in parts of the cycles'; not used with aux
    lambda_ssim: float = 1.0  # weight of MS-SSIM
    lambda_z: float = 10.0  # weight of the cycle of z
    pool_size: int = 50  # earlier fakes that the discriminators are shown again


class CycleGANModel:
    def __init__(self, opt: Options) -> None:
        self.opt = opt
        size: dict[str, Any] = {"width": opt.ngf, "blocks": opt.n_blocks}
        generator = "generator" in opt.use
        self.netG_A, self.netG_B = (
            init_net(asymkit.ResnetGenerator(**size)) if generator else define_G(opt.ngf, opt.n_blocks)
            for _ in range(2)
        )
        self.netE: nn.Module | None = None
        self.netDZ: nn.Module | None = None
        if "aux" in opt.use:  # B lacks colour: z carries it
            self.netG_B = init_net(asymkit.AuxGenerator(aux_channels=opt.aux_channels, **size))
            self.netE = init_net(asymkit.AuxEncoder(aux_channels=opt.aux_channels, width=opt.ngf))
            self.netDZ = init_net(asymkit.AuxDiscriminator(opt.aux_channels))
        self.netR_A, self.netR_B = self.netG_A, self.netG_B  # who reconstructs
        if "light" in opt.use:
            light: dict[str, Any] = {"width": opt.ngf // 4, "blocks": opt.n_blocks}
            self.netR_A, self.netR_B = (init_net(asymkit.ResnetGenerator(**light)) for _ in range(2))
        discriminator: dict[str, Any] = {"width": opt.ndf, "layers": opt.n_layers_D}
        self.netD_A, self.netD_B = (
            init_net(asymkit.PatchDiscriminator(**discriminator))
            if "discriminator" in opt.use
            else define_D(opt.ndf, opt.n_layers_D)
            for _ in range(2)
        )
        if "augment" in opt.use:
            for netD in (self.netD_A, self.netD_B):
                asymkit.DiscriminatorAugmentation(cutout=0.25).attach(netD)

        pool: type[Any] = asymkit.ImagePool if "pool" in opt.use else ImagePool
        self.fake_A_pool, self.fake_B_pool = pool(opt.pool_size), pool(opt.pool_size)
        self.criterionGAN: nn.Module = asymkit.LeastSquaresLoss() if "gan_loss" in opt.use else GANLoss()
        self.criterionCycle: nn.Module = asymkit.ColorCycleLoss() if "colour" in opt.use else nn.L1Loss()
        self.criterionIdt: nn.Module = asymkit.ColorCycleLoss() if "identity" in opt.use else nn.L1Loss()
        # sums over three channels where L1Loss averages, so the weight is a third
        self.cycle_scale = 1 / 3 if "colour" in opt.use else 1.0
        self.idt_scale = 1 / 3 if "identity" in opt.use else 1.0
        self.criterionSSIM = asymkit.MSSSIMLoss(scales=1) if "ms_ssim" in opt.use else None  # 48 pixels: one scale fits

        networks = [self.netG_A, self.netG_B, *([self.netR_A, self.netR_B] if "light" in opt.use else [])]
        generators = nn.ModuleList([*networks, *([self.netE] if self.netE is not None else [])])
        self.optimizer_G = torch.optim.Adam(generators.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
        self.discriminators = [self.netD_A, self.netD_B, *([self.netDZ] if self.netDZ is not None else [])]
        discriminators = nn.ModuleList(self.discriminators).parameters()
        self.optimizer_D = torch.optim.Adam(discriminators, lr=opt.lr_d, betas=(opt.beta1, 0.999))
        self.guard = asymkit.StepGuard() if "guard" in opt.use else None

    def set_input(self, batch: dict[str, Tensor]) -> None:
        self.real_A, self.real_B = batch["A"], batch["B"]

    def forward(self) -> None:
        self.fake_B = self.netG_A(self.real_A)
        if self.netE is None:
            self.rec_A, self.fake_A = self.netR_B(self.fake_B), self.netG_B(self.real_B)
        else:
            self.code = self.netE(self.real_A)
            self.z = torch.randn_like(self.code)
            back = (self.fake_B,) if "light" in self.opt.use else (self.fake_B, self.code)
            self.rec_A, self.fake_A = self.netR_B(*back), self.netG_B(self.real_B, self.z)
        self.rec_B = self.netR_A(self.fake_A)

    def backward_D_basic(self, netD: nn.Module, real: Tensor, fake: Tensor) -> None:
        loss = (self.criterionGAN(netD(real), True) + self.criterionGAN(netD(fake.detach()), False)) * 0.5
        loss.backward()

    def backward_G(self) -> None:
        opt, losses = self.opt, dict[str, Tensor]()
        if self.netE is None and opt.lambda_identity > 0:  # with a z drawn at random it would teach netG_B to ignore z
            idt_A, idt_B = self.netG_A(self.real_B), self.netG_B(self.real_A)
            weight = opt.lambda_identity * self.idt_scale
            losses["idt_A"] = self.criterionIdt(idt_A, self.real_B) * opt.lambda_B * weight
            losses["idt_B"] = self.criterionIdt(idt_B, self.real_A) * opt.lambda_A * weight
        losses["G_A"] = self.criterionGAN(self.netD_A(self.fake_B), True)
        losses["G_B"] = self.criterionGAN(self.netD_B(self.fake_A), True)
        losses["cycle_A"] = self.criterionCycle(self.rec_A, self.real_A) * opt.lambda_A * self.cycle_scale
        losses["cycle_B"] = self.criterionCycle(self.rec_B, self.real_B) * opt.lambda_B * self.cycle_scale
        if self.criterionSSIM is not None:
            ssim = self.criterionSSIM(self.rec_A, self.real_A) + self.criterionSSIM(self.rec_B, self.real_B)
            losses["ssim"] = ssim * opt.lambda_ssim
        self.losses = losses | self.terms_of_z()
        torch.stack(list(self.losses.values())).sum().backward()

    def terms_of_z(self) -> dict[str, Tensor]:
        """What z made must show it, Eq. 11 of AsymGAN; what E gives must look drawn, Eq. 7."""
        if self.netE is None or self.netDZ is None:
            return {}
        shown = nn.functional.l1_loss(self.netE(self.fake_A), self.z) * self.opt.lambda_z
        return {"z": shown, "E": self.criterionGAN(self.netDZ(self.code), True)}

    def step_G(self) -> bool:
        """False where the guard left the step out."""
        if self.guard is not None:
            return bool(self.guard.step(self.optimizer_G, self.losses))
        self.optimizer_G.step()
        return True

    def set_requires_grad(self, nets: Sequence[nn.Module], requires_grad: bool) -> None:
        for net in nets:
            net.requires_grad_(requires_grad)

    def optimize_parameters(self) -> None:
        self.forward()
        self.set_requires_grad(self.discriminators, False)
        self.optimizer_G.zero_grad()
        self.backward_G()
        if not self.step_G():
            return
        self.set_requires_grad(self.discriminators, True)
        self.optimizer_D.zero_grad()
        self.backward_D_basic(self.netD_A, self.real_B, self.fake_B_pool.query(self.fake_B))
        self.backward_D_basic(self.netD_B, self.real_A, self.fake_A_pool.query(self.fake_A))
        if self.netDZ is not None:
            self.backward_D_basic(self.netDZ, self.z, self.code)
        self.optimizer_D.step()

    def optimize_partial(self) -> None:
        """B → A alone, as pix2pix would train it, on pairs that the frozen A → B makes."""
        self.fake_B, self.real_A = pseudo_pair(self.netG_A, self.real_A)
        if self.netE is None:
            fakes = self.rec_A = self.fake_A = self.netG_B(self.fake_B)
        else:  # the pair has the z of this photo; one drawn at random is only to look real, and to be found again
            self.code = self.netE(self.real_A)
            self.z = torch.randn_like(self.code)
            self.rec_A, self.fake_A = self.netG_B(self.fake_B, self.code), self.netG_B(self.fake_B, self.z)
            fakes = torch.cat([self.rec_A, self.fake_A])
        trained = self.discriminators[1:]
        self.set_requires_grad(trained, False)
        self.optimizer_G.zero_grad()
        pair = self.criterionCycle(self.rec_A, self.real_A) * self.opt.lambda_A * self.cycle_scale
        self.losses = {"G_B": self.criterionGAN(self.netD_B(fakes), True), "pair": pair} | self.terms_of_z()
        torch.stack(list(self.losses.values())).sum().backward()
        if not self.step_G():
            return
        self.set_requires_grad(trained, True)
        self.optimizer_D.zero_grad()
        self.backward_D_basic(self.netD_B, self.real_A, self.fake_A_pool.query(fakes))
        if self.netDZ is not None:
            self.backward_D_basic(self.netDZ, self.z, self.code)
        self.optimizer_D.step()


def batch_of(data: Unpaired, number: int, size: int) -> dict[str, Tensor]:
    rich, poor = zip(*(data[number * size + i] for i in range(size)), strict=True)
    return {"A": torch.stack(rich), "B": torch.stack(poor)}


def train(opt: Options, data: Unpaired) -> CycleGANModel:
    set_seed(opt.seed)
    model = CycleGANModel(opt)
    step: Callable[[], None] = model.optimize_parameters
    scheduler: asymkit.AsyncScheduler | None = None
    if "async" in opt.use:  # steps are counted instead of epochs
        period = max(2, opt.steps // 10)
        easy = [model.netG_A, model.netD_A]
        step = scheduler = asymkit.AsyncScheduler(step, model.optimize_partial, easy, opt.steps, period)
    for i in tqdm(range(opt.steps), desc=" ".join(opt.use) or "plain", leave=False, disable=None):
        model.set_input(batch_of(data, i, opt.batch_size))
        if scheduler is not None:
            scheduler.set_epoch(i)
        for optimizer in (model.optimizer_G, model.optimizer_D):
            rate = opt.lr if optimizer is model.optimizer_G else opt.lr_d
            optimizer.param_groups[0]["lr"] = rate * asymkit.linear_decay(i / opt.steps)
        step()
    return model


def paces(models: Sequence[CycleGANModel], data: Unpaired, rounds: int = 15) -> list[float]:
    """Time of a joint step of each model over that of the first one, all in turns: medians."""
    times: list[list[float]] = [[] for _ in models]
    for i in range(rounds):
        batch = batch_of(data, i, models[0].opt.batch_size)
        for model, taken in zip(models, times, strict=True):
            model.set_input(batch)
            begun = time.perf_counter()
            model.optimize_parameters()
            taken.append(time.perf_counter() - begun)
    return [median(a / b for a, b in zip(taken, times[0], strict=True)) for taken in times]


def measure(model: CycleGANModel, data: Unpaired) -> dict[str, float]:
    """Both directions on crops never trained on: against the truth, which grey photographs have, and there and back."""
    real = [data.rich.crop(FRESH + i, 64, (data.seed, 0)) for i in range(24)]
    figures: dict[str, float] = {}
    with seeded_inference():
        x = torch.stack(real)
        fake_B = model.netG_A(x)
        code = () if model.netE is None else (model.netE(x),)
        figures["A→B→A, L1"] = float((model.netG_B(fake_B, *code) - x).abs().mean())
        if data.poor.derive is not None:
            y = torch.stack([data.poor.crop(FRESH + i, 64, (data.seed, 0)) for i in range(24)])
            figures["A→B, dB"] = float(psnr(fake_B, y).mean())
            figures["B→A, dB"] = float(psnr(model.netG_B(y), x).mean())
            if model.netE is not None:
                figures["B→A with E(A), dB"] = float(psnr(model.netG_B(y, *code), x).mean())
                several = torch.stack([model.netG_B(y) for _ in range(4)])
                figures["spread over z"] = float(several.std(0).mean())
    return figures


def main(opt: Options) -> None:
    asymkit.arguments.at_least("seed", opt.seed, 0, MOST_SEED - max(0, opt.seeds - 1))
    data, source = unpaired(opt.data, "grey", "A", opt.crop_size, opt.seed)
    runs = [replace(opt, use=()), *(replace(opt, use=(part,)) for part in opt.use)] if opt.each else [opt]
    table: dict[str, dict[str, list[float]]] = {", ".join(run.use) or "plain CycleGAN": {} for run in runs}
    for seed in range(opt.seed, opt.seed + opt.seeds):
        models = [train(replace(run, seed=seed), data) for run in runs]
        figures = [measure(model, data) for model in models]
        for found, pace, row in zip(figures, paces(models, data), table.values(), strict=True):
            for name, figure in (found | {"time of a step": pace}).items():
                row.setdefault(name, []).append(figure)
        print(f"seed {seed}:\n{as_markdown(table)}")
    opt.out.mkdir(parents=True, exist_ok=True)
    write_json(opt.out / "table.json", {"source": source, "steps": opt.steps, "figures": table})
    write_atomic(opt.out / "table.md", as_markdown(table).encode())


if __name__ == "__main__":
    command(
        main,
        {
            "train": ("One training with the parts you name.", Options()),
            "compare": ("Each part alone against none.", Options(use=PARTS, each=True, seeds=3, steps=600)),
        },
    )
