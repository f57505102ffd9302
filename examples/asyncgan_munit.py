"""Async-GAN around another model: a compact MUNIT of our own, whose easy direction is parts of two networks.

    python examples/asyncgan_munit.py demo                            # minutes on two CPU cores, photographs included
    python examples/asyncgan_munit.py paper --data datasets/facades   # Table VII's 256², trainA rich; --schedule sync: MUNIT

After the idea of Huang et al., ECCV 2018: content, a map of what an image shows, and style, a vector of how it looks, here scales
and shifts of instance norms. Rich to poor is the rich domain's content encoder and the poor domain's decoder; partial steps
freeze these two and the poor domain's discriminator. Networks, Adam, its rate and batch 1 are ours: Async-GAN gives none.
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from support.report.page import Page
from support.report.unpaired import munit_snapshot
from support.run.command import command
from support.run.plan import Plan, PlanSettings
from support.run.run import Run
from torch import Tensor, nn

import asymkit
from asymkit.blocks import ConditionalResidualBlock, ResidualBlock
from asymkit.initialisation import init_normal
from asymkit.layers import Conv7x7, ConvNormReLU, reflect_padded_conv, upsample2x
from asymkit.objectives.terms import TermWeights, aux_l1, l1


@dataclass(frozen=True)
class Weights(TermWeights):
    """Weights of the loss terms: MUNIT's, and Async-GAN's γ for the pseudo pairs."""

    adversarial_rich: float = 1.0  # of generated rich images against their discriminator
    adversarial_poor: float = 1.0  # of generated poor images against theirs
    image: float = 10.0  # an image that is encoded and decoded is itself
    content: float = 1.0  # the content of a translation is that of its source
    style: float = 1.0  # the style of a translation is the one that was drawn
    pseudo: float = 10.0  # in partial steps, a rich image is rebuilt from its translation (γ)


@dataclass(frozen=True)
class Settings(PlanSettings):
    """Train a compact MUNIT asynchronously."""

    out: Path = Path("runs/munit")  # folder of the run
    blocks: int = 4  # residual blocks of each encoder and decoder
    style: int = 8  # length of a style
    discriminator_layers: int = 3  # how often a discriminator halves its image
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("blocks", "style", "discriminator_layers")
        self.check_sides(self.discriminator_layers)


SMALL: dict[str, Any] = {"size": 48, "picture_size": 96, "width": 16, "blocks": 2, "discriminator_layers": 2}
DEMO = Settings(epochs=12, period=2, lr_g=5e-4, lr_d=1e-4, batch=2, workers=0, **SMALL)
PRESETS = {"paper": ("Table VII's 256²; networks of our own.", Settings(size=256)), "demo": ("Minutes on a CPU.", DEMO)}


class Decoder(nn.Module):
    """Content (N, 4·width, H/4, W/4) and style (N, style) to images in [-1, 1]."""

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConditionalResidualBlock(4 * width, style) for _ in range(blocks))
        # no norms from here on: they would take away the colours that the style asked for
        up = upsample2x(4 * width, 2 * width, "resize"), nn.ReLU(), upsample2x(2 * width, width, "resize"), nn.ReLU()
        self.to_image = nn.Sequential(*up, Conv7x7(width, 3), nn.Tanh())
        for layer in (up[0], up[2]):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Decode."""
        for block in self.blocks:
            content = block(content, style)
        return self.to_image(content)


class AutoEncoder(nn.Module):
    """One domain's content encoder, style encoder and decoder."""

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        down = [ConvNormReLU(reflect_padded_conv(n * width, 2 * n * width, stride=2), 2 * n * width) for n in (1, 2)]
        same = [ResidualBlock(4 * width) for _ in range(blocks)]
        self.content = nn.Sequential(ConvNormReLU(Conv7x7(3, width), width), *down, *same)
        init_normal(self.content)
        self.style, self.decoder = asymkit.AuxEncoder(aux_channels=style, width=width), Decoder(width, blocks, style)


class Joint(NamedTuple):
    """A joint step: images reconstructed and translated, their contents and styles, and those of the translations."""

    reconstructed: tuple[Tensor, Tensor]
    fake_rich: Tensor
    fake_poor: Tensor
    contents: tuple[Tensor, Tensor]
    rebuilt_contents: tuple[Tensor, Tensor]
    styles: tuple[Tensor, Tensor]
    rebuilt_styles: tuple[Tensor, Tensor]


class Partial(NamedTuple):
    """A partial step: x rebuilt from its translation, which takes no gradient, in its own style and in a sampled one."""

    poor: Tensor
    rebuilt: Tensor
    fake_rich: Tensor
    style: Tensor
    rebuilt_style: Tensor


class Munit(nn.Module):
    """Two auto-encoders, styles of a length; both phases through one ``forward``, as DistributedDataParallel needs it."""

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        self.style_length = style
        self.rich, self.poor = (AutoEncoder(width, blocks, style) for _ in range(2))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Joint | Partial:
        """A joint step's images of x and y, or without y a partial step's."""
        rich, poor = self.rich, self.poor
        style_rich, style_poor = self._sampled(x), self._sampled(x)
        if y is None:
            with torch.no_grad():
                fake_poor = poor.decoder(rich.content(x), style_poor)
            content = poor.content(fake_poor)
            fake_rich, rebuilt = rich.decoder(content, style_rich), rich.decoder(content, rich.style(x))
            return Partial(fake_poor, rebuilt, fake_rich, style_rich, rich.style(fake_rich))
        content_x, content_y = rich.content(x), poor.content(y)
        fake_rich, fake_poor = rich.decoder(content_y, style_rich), poor.decoder(content_x, style_poor)
        return Joint(
            reconstructed=(rich.decoder(content_x, rich.style(x)), poor.decoder(content_y, poor.style(y))),
            fake_rich=fake_rich,
            fake_poor=fake_poor,
            contents=(content_x, content_y),
            rebuilt_contents=(poor.content(fake_poor), rich.content(fake_rich)),
            styles=(style_rich, style_poor),
            rebuilt_styles=(rich.style(fake_rich), poor.style(fake_poor)),
        )

    def to_poor(self, x: Tensor) -> Tensor:
        """Rich to poor in a sampled style."""
        return self.poor.decoder(self.rich.content(x), self._sampled(x))

    def to_rich(self, y: Tensor, style: Tensor | None = None) -> Tensor:
        """Poor to rich in a style; None: a sampled one."""
        return self.rich.decoder(self.poor.content(y), self._sampled(y) if style is None else style)

    def _sampled(self, images: Tensor) -> Tensor:
        return torch.randn(len(images), self.style_length, device=images.device)


def generator_terms(made: Joint | Partial, x: Tensor, y: Tensor, rich: nn.Module, poor: nn.Module) -> dict[str, Tensor]:
    """What the auto-encoders minimise in either phase, unweighted; ``rich`` and ``poor`` are the discriminators."""
    gan = asymkit.LeastSquaresLoss()
    if isinstance(made, Partial):
        return {
            "adversarial_rich": gan.generator_loss([rich(made.rebuilt), rich(made.fake_rich)]),
            "pseudo": l1(made.rebuilt, x),
            "style": aux_l1(made.rebuilt_style, made.style),
        }
    (content_x, content_y), (style_rich, style_poor) = made.contents, made.styles
    return {
        "adversarial_rich": gan.generator_loss(rich(made.fake_rich)),
        "adversarial_poor": gan.generator_loss(poor(made.fake_poor)),
        "image": l1(made.reconstructed[0], x) + l1(made.reconstructed[1], y),
        "content": aux_l1(made.rebuilt_contents[0], content_x) + aux_l1(made.rebuilt_contents[1], content_y),
        "style": aux_l1(made.rebuilt_styles[0], style_rich) + aux_l1(made.rebuilt_styles[1], style_poor),
    }


def discriminator_terms(
    made: Joint | Partial, x: Tensor, y: Tensor, rich: nn.Module, poor: nn.Module
) -> dict[str, Tensor]:
    """What the discriminators minimise in either phase; a partial one leaves the poor domain's alone."""
    gan = asymkit.LeastSquaresLoss()
    if isinstance(made, Partial):
        fakes = [rich(made.rebuilt.detach()), rich(made.fake_rich.detach())]
        return {"adversarial_rich": gan.discriminator_loss(rich(x), fakes)}
    return {
        "adversarial_rich": gan.discriminator_loss(rich(x), rich(made.fake_rich.detach())),
        "adversarial_poor": gan.discriminator_loss(poor(y), poor(made.fake_poor.detach())),
    }


def main(settings: Settings) -> None:
    data, about = settings.images()
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    model = Munit(settings.width, settings.blocks, settings.style)
    options: dict[str, Any] = {"width": settings.width, "layers": settings.discriminator_layers}
    discriminators = nn.ModuleList(asymkit.PatchDiscriminator(**options) for _ in range(2))  # of rich, of poor images
    ddp_model = run.prepare(model)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminators = run.prepare_each(discriminators)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminators.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)

    def train_step(made: Joint | Partial, x: Tensor, y: Tensor) -> None:
        with asymkit.frozen(*ddp_discriminators):
            losses_g = generator_terms(made, x, y, *ddp_discriminators)
            run.backward(settings.weights.total(losses_g))
        losses_d = discriminator_terms(made, x, y, *ddp_discriminators)
        run.backward(settings.weights.total(losses_d))
        run.log(losses_g, losses_d)
        if run.ends_step:  # after the last of --accumulate batches
            guard_g.step(optimizer_g, losses_g)  # optimizer_g.step(), unless a term or gradient is not finite
            guard_d.step(optimizer_d, losses_d)
            optimizer_g.zero_grad()
            optimizer_d.zero_grad()

    joint = run.captured(lambda x, y: train_step(ddp_model(x, y), x, y), optimizer_g, optimizer_d)  # with --graph
    partial = run.captured(lambda x, y: train_step(ddp_model(x), x, y), optimizer_g, optimizer_d)
    easy = [model.rich.content, model.poor.decoder, discriminators[1]]  # frozen in partial steps
    with settings.unwarned():
        scheduler = asymkit.AsyncScheduler(joint, partial, easy, settings.epochs, settings.period, settings.rule)
    measured, shown = data.held_out(64), data.held_out(6, settings.picture_size)  # for the report
    plan = Plan(scheduler, data.lengths, run.samples_per_step, settings.asynchronous, shown)  # steps of either kind
    page = Page("Async-MUNIT", [about, plan.note()], lambda of: munit_snapshot(of, measured, shown, plan.intermediate))
    run.register_states(model=model, discriminators=discriminators, optimizer_g=optimizer_g, optimizer_d=optimizer_d)
    for x, y in run.batches(page, plan):  # x rich, y poor, unpaired
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        scheduler.set_epoch(plan.epoch(run.step))
        (scheduler if settings.asynchronous else joint)(x, y)  # joint or partial
        if run.ends_step:
            ema.update()
            plan.keep_intermediate(run.step, ema.model)  # for the report, at the end of a phase


if __name__ == "__main__":
    command(main, PRESETS)
