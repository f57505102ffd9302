"""AsymGAN (Li et al., TIP 2019): rich images to poor ones and back, one-to-many, by a latent code z.

    python examples/asymgan.py demo                          # 3.5 minutes on two CPU cores, photographs included
    python examples/asymgan.py paper --data datasets/facades  # the paper's settings; trainA rich, trainB poor
    python examples/asymgan.py paper --method cyclegan --dropout 0.5 ...  # the paper's baselines
    python examples/asymgan.py paper --method base --spatial ...          # "w/o extension", z a map; or --injection concat

Where it differs from the paper: total variation is a mean, with a plus between the directions; the learning rate falls in
every step; GPUs that have bfloat16 compute in it (--precision no turns that off). Adam, its betas, batch 1 and the image pool
are CycleGAN's. Our demo is smaller, has five times the generators' rate, resize convolutions, skips and the base objective.
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.unpaired import UnpairedSettings
from support.report.page import Page
from support.report.unpaired import asymgan_snapshot
from support.run.command import command
from support.run.features import load_vgg
from support.run.run import Run
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.networks.generators import Injection
from asymkit.objectives import asymgan


@dataclass(frozen=True)
class Settings(UnpairedSettings):
    """Train AsymGAN."""

    out: Path = Path("runs/asymgan")  # folder of the run
    method: Literal["cyclegan", "base", "extended"] = "extended"
    """cyclegan: no z, Eq. 5 and 6; base: with z, Eq. 12; extended: base, and losses of what the z of a photo makes, Eq. 19."""
    injection: Injection | None = None  # how z enters poor_to_rich; None: by conditional norms, or concat if spatial
    spatial: bool = False  # z is a map of an eighth of the image's size, as in the paper's base version, not a vector
    detach_fake_poor: bool = False  # the cycle of x does not train rich_to_poor, which then hides nothing for it; ours
    dropout: float = 0.0  # probability in the blocks of cyclegan's generators; 0.5 in the paper's baseline with dropout
    blocks: int = 6  # residual blocks of a generator
    aux_channels: int = 8  # length of z
    discriminator_layers: int = 3  # how often a discriminator halves its image
    upsampling: Upsampling = "transposed"  # transposed convolutions as in the paper; resize leaves no checkerboard
    skip: bool = False  # generators add their image to what they make, for domains that are aligned; not in the paper
    lr_g: float = 2e-4  # learning rate of generators and encoder, for the first half of the run; then it falls to zero
    lr_d: float = 1e-4  # learning rate of the discriminators, likewise
    pool: int = 50  # size of the image pools: earlier fakes that the discriminators are shown again
    features: str = "imagenet"  # weights of VGG16: imagenet, random, a file, or auto: imagenet if it can be downloaded
    content_layer: str = "relu2_2"  # layer of that VGG16 whose activations the content loss compares
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")  # layers of the style loss
    weights: asymgan.Weights = field(default_factory=asymgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("blocks", "aux_channels", "discriminator_layers")
        self.check_sides(halvings=self.discriminator_layers)
        if self.method == "cyclegan" and (self.injection or self.spatial):
            raise ValueError("method: cyclegan has no z; leave out --injection and --spatial, or take --method base")
        if self.dropout and self.method != "cyclegan":
            raise ValueError("dropout: stands for z in the baseline; leave it out, or take --method cyclegan")
        if self.spatial and self.injection not in (None, "concat"):
            raise ValueError(f"spatial: {self.injection} takes no map; leave out --spatial, or take --injection concat")
        self.check_side("size", least=64 if self.spatial else 1)  # z is an eighth of it, and its discriminator needs 8


SMALL: dict[str, Any] = {"size": 48, "picture_size": 128, "width": 16, "blocks": 3, "discriminator_layers": 2}
QUICK: dict[str, Any] = {"minutes": 3.5, "batch": 2, "lr_g": 1e-3, "report_every": 2000, "workers": 0}
BEST: dict[str, Any] = {"method": "base", "detach_fake_poor": True, "upsampling": "resize", "skip": True}
FEATURES: dict[str, Any] = {"features": "random", "content_layer": "relu1_1", "style_layers": ("relu1_1",)}
DEMO = Settings(
    out=Path("runs/demo"),
    aux_channels=3,
    weights=asymgan.Weights(cycle_aux=1.0, content=10.0, style=10.0, total_variation=1.0),  # last three: for extended
    **(SMALL | QUICK | BEST | FEATURES),
)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def networks(settings: Settings) -> tuple[asymgan.Translators, asymgan.Discriminators]:
    options: dict[str, Any] = {name: getattr(settings, name) for name in ("width", "blocks", "upsampling", "skip")}
    size: dict[str, Any] = {"width": settings.width, "layers": settings.discriminator_layers}
    d_rich, d_poor = asymkit.PatchDiscriminator(**size), asymkit.PatchDiscriminator(**size)
    aux, spatial, detach = settings.aux_channels, settings.spatial, settings.detach_fake_poor
    if settings.method == "cyclegan":
        g, f = (asymkit.ResnetGenerator(dropout=settings.dropout, **options) for _ in range(2))
        return asymgan.Translators(g, f, detach_fake_poor=detach), asymgan.Discriminators(d_rich, d_poor)
    injection: Injection = settings.injection or ("concat" if spatial else "cin")
    model = asymgan.Translators(
        rich_to_poor=asymkit.ResnetGenerator(**options),
        poor_to_rich=asymkit.AuxGenerator(aux_channels=aux, injection=injection, spatial=spatial, **options),
        encoder=asymkit.AuxEncoder(aux_channels=aux, pooled=not spatial, width=settings.width),
        extended=settings.method == "extended",
        detach_fake_poor=detach,
    )
    return model, asymgan.Discriminators(d_rich, d_poor, aux=asymkit.AuxDiscriminator(aux, spatial=spatial))


def main(settings: Settings) -> None:
    data, about = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    model, discriminators = networks(settings)
    layers = {"content": [settings.content_layer], "style": list(settings.style_layers)} if model.extended else {}
    layers = {loss: names for loss, names in layers.items() if getattr(settings.weights, loss) > 0}
    vgg, notes = load_vgg(settings.features, layers)  # a frozen one for each loss that is used
    content = asymkit.ContentLoss(vgg["content"]).to(run.device) if "content" in vgg else None
    style = asymkit.GramStyleLoss(vgg["style"]).to(run.device) if "style" in vgg else None
    pools = asymkit.ImagePools(settings.pool, capturable=settings.graph)
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)  # alone each, since the loss terms call them one by one
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    measured, shown = data.held_out(64), data.held_out(8, settings.picture_size)  # for the report
    page = Page("AsymGAN", [about, *notes], lambda trained: asymgan_snapshot(trained, measured, shown))
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)  # whose states the run keeps by itself
    run.register_states(
        model=model, discriminators=discriminators, pools=pools, optimizer_g=optimizer_g, optimizer_d=optimizer_d
    )

    def train_step(x: Tensor, y: Tensor) -> None:  # x rich, y poor, unpaired
        cycles = ddp_model(x, y)
        with asymkit.frozen(ddp_discriminators):  # without gradients, in evaluation mode
            generator_terms = asymgan.generator_terms(cycles, ddp_discriminators, content, style)
            run.backward(settings.weights.total(generator_terms))
        pooled = pools(cycles)  # detached; some of its generated images are earlier ones
        discriminator_terms = asymgan.discriminator_terms(pooled, ddp_discriminators)
        run.backward(settings.weights.total(discriminator_terms))  # without CycleGAN's factor of a half, as Eq. 19
        run.log(generator_terms, discriminator_terms)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, generator_terms)  # optimizer_g.step(), unless a term or gradient is not finite
            guard_d.step(optimizer_d, discriminator_terms)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    step = run.captured(train_step, optimizer_g, optimizer_d)  # with --graph one CUDA graph, else the function itself
    for x, y in run.batches(page):
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        step(x, y)
        if run.ends_step:
            ema.update()


if __name__ == "__main__":
    command(main, PRESETS)
