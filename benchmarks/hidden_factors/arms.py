"""The methods that are compared, over asymkit's own networks and objectives.

All arms have the same networks, apart from where z enters, the same discriminators, optimizers and images. z is a
vector in all of them: a spatial one, AsymGAN's base version, needs images of 64² or more for its discriminator.
"Base" and "extended" mean the objectives of Eq. 12 and 19. The extended one is without its perceptual terms, whose
network knows photographs, and, but for one arm, without total variation, which strokes are full of. Compact MUNIT is that of
``examples/asyncgan_munit.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import asyncgan_munit as munit
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit import AuxDiscriminator, AuxEncoder, AuxGenerator, PatchDiscriminator, ResnetGenerator
from asymkit.evaluation.leak import quantised
from asymkit.networks.generators import Injection
from asymkit.objectives import asyncgan
from asymkit.objectives.asyncgan import Cycles, Discriminators, PseudoPairs, Translators
from asymkit.objectives.terms import TermWeights, in_one_batch

Schedule = Literal["joint", "async", "more", "supervised", "none"]
"""Joint steps only; asynchronous; partial steps without pairs; true pairs in place of the cycles; no training."""

PLAIN = asyncgan.Weights(total_variation=0.0)
Z1 = replace(PLAIN, cycle_aux=1.0)
"""λ of z's cycle 1, what most arms with z have since it was found to be better than the paper's 10."""


@dataclass(frozen=True)
class Arm:
    """One method."""

    about: str
    injection: Injection | None = None  # how z enters F; None for no z and no encoder
    aux: int | None = None  # length of z, if not that of the other arms
    extended: bool = False
    noise: float = 0.0  # standard deviation of what is added to G(x) in the rich cycle
    detach: bool = False  # the rich cycle does not train G, which then gains nothing by hiding x in G(x)
    light: bool = False  # G has a quarter of F's width, and so a sixteenth of its weights
    skip: bool = False  # generators add the image to what they make of it
    munit: bool = False  # MUNIT's auto-encoders and objective, in joint steps; z is its style of rich images
    weights: TermWeights = PLAIN
    schedule: Schedule = "joint"
    transform: Callable[[Tensor], Tensor] = field(default=lambda images: images)  # of the poor half of a pseudo pair
    oracle: bool = False  # the poor half of a pseudo pair is the true one

    def networks(self, width: int, blocks: int, aux: int) -> tuple[Translators, Discriminators]:
        """Fresh ones; drawn from PyTorch's random state."""
        if self.schedule == "none":
            return Translators(nn.Identity(), nn.Identity()), Discriminators(nn.Identity(), nn.Identity())
        size: dict[str, Any] = {"width": width, "blocks": blocks, "upsampling": "resize", "skip": self.skip}
        rich, poor = (PatchDiscriminator(width=2 * width, layers=2) for _ in range(2))
        if self.munit:
            return MunitTranslators(munit.Munit(width, -(-blocks // 2), aux)), Discriminators(rich, poor)
        easy = size | {"width": max(1, width // 4)} if self.light else size
        if self.injection is None:
            cycle = NoisyCycle(ResnetGenerator(**easy), ResnetGenerator(**size), detach_fake_poor=self.detach)
            cycle.noise = self.noise
            return cycle, Discriminators(rich, poor)
        aux = self.aux or aux
        to_rich = AuxGenerator(aux_channels=aux, injection=self.injection, **size)
        encoder = AuxEncoder(aux_channels=aux, width=width)
        model = Translators(ResnetGenerator(**easy), to_rich, encoder, self.extended, self.detach)
        return model, Discriminators(rich, poor, AuxDiscriminator(aux))


class NoisyCycle(Translators):
    """CycleGAN in which F sees G(x) with noise in the rich cycle [Bashkirova et al. 2019]."""

    noise = 0.0

    def forward(  # type: ignore[override]  # what it gives depends on the phase
        self, x: Tensor, y: Tensor | None = None, *others: Any, **options: Any
    ) -> Cycles | PseudoPairs:
        """As CycleGAN's, where there is no noise."""
        if y is None or not self.noise:
            return super().forward(x, y, *others, **options)
        fake_poor, fake_rich = self.rich_to_poor(x), self.poor_to_rich(y)
        rebuilt_rich = self.poor_to_rich(fake_poor + self.noise * torch.randn_like(fake_poor))
        return Cycles(x, y, fake_poor, rebuilt_rich, fake_rich, self.rich_to_poor(fake_rich))


class MunitTranslators(Translators):
    """Compact MUNIT as translators: z is its style of rich images, and poor images are made in the mean of styles."""

    def __init__(self, net: munit.Munit) -> None:
        rich, poor, length = net.rich, net.poor, net.style_length
        super().__init__(MunitDirection(rich, poor, length), MunitDirection(poor, rich, length), rich.style)
        self.net = net


class MunitDirection(nn.Module):
    """The content of one domain decoded as an image of the other, without a style in the mean of N(0, I)."""

    def __init__(self, source: munit.AutoEncoder, target: munit.AutoEncoder, style: int) -> None:
        super().__init__()
        self.content, self.decoder, self.style = source.content, target.decoder, style

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate."""
        style = image.new_zeros(len(image), self.style) if style is None else style
        return self.decoder(self.content(image), style)


def pseudo_pairs(model: Translators, x: Tensor, poor: Tensor) -> PseudoPairs:
    """Rich images with a poor half that is given, as ``Translators`` makes them with its own."""
    if model.encoder is None:
        return PseudoPairs(x, poor, model.poor_to_rich(poor))
    code = model.encoder(x)
    z = torch.randn_like(code)
    rich = in_one_batch(model.poor_to_rich, {"rebuilt": (poor, code), "rebuilt_resampled": (poor, z)})
    return PseudoPairs(x, poor, z=z, encoded_z=code, rebuilt_z=model.encoder(rich["rebuilt_resampled"]), **rich)


def paired_cycles(model: Translators, x: Tensor, y: Tensor) -> Cycles:
    """Of AsymGAN, y being the true poor images of x: in place of the cycles stand G(x) against y and F(y, E(x)) against x."""
    assert model.encoder is not None
    fake_poor, code = model.rich_to_poor(x), model.encoder(x)
    z = torch.randn_like(code)
    rich = in_one_batch(model.poor_to_rich, {"rebuilt_rich": (y, code), "fake_rich": (y, z)})
    rebuilt_z = model.encoder(rich["fake_rich"])
    return Cycles(x, y, fake_poor, rebuilt_poor=fake_poor, z=z, encoded_z=code, rebuilt_z=rebuilt_z, **rich)


def coarse(images: Tensor, levels: int = 4) -> Tensor:
    """One grey channel in a few levels, repeated."""
    return quantised(images.mean(1, keepdim=True), levels).expand_as(images)


def noisy(images: Tensor, strength: float = 0.3) -> Tensor:
    """With normal noise."""
    return images + strength * torch.randn_like(images)


def blurred(images: Tensor) -> Tensor:
    """Mean of 3×3 pixels."""
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


CYCLE = partial(Arm, injection=None)
INJECTIONS: tuple[tuple[str, str, Injection], ...] = (
    ("concat", "concat", "concat"),
    ("concat-all", "concat_all", "concat_all"),
    ("cin-all", "CIN in every norm", "cin_all"),
)
"""Ways for z to enter F other than CIN in the middle blocks, with the beginning of an arm's name and what it is called."""
ARMS = {
    "nothing": Arm("Do nothing: both translators are the identity", schedule="none"),
    "supervised": Arm("Supervised: AsymGAN with true pairs in place of the cycles", "cin", schedule="supervised"),
    "cyclegan": CYCLE("CycleGAN"),
    "cyclegan-noise": CYCLE("CycleGAN, noise of 0.1 on G(x) in the rich cycle", noise=0.1),
    "cyclegan-low": CYCLE("CycleGAN, λ of the rich cycle 1", weights=replace(PLAIN, cycle_rich=1.0)),
    "asymgan": Arm("AsymGAN, base objective, CIN", "cin"),
    **{f"asymgan-z{n}": Arm(f"AsymGAN, base objective, CIN, z of {n}", "cin", aux=n) for n in (1, 2, 8)},
    **{
        f"asymgan-zcycle{value}": Arm(
            f"AsymGAN, base objective, CIN, λ of z's cycle {value}", "cin", weights=replace(PLAIN, cycle_aux=value)
        )
        for value in (0, 0.1, 1)
    },
    **{
        f"{name}-zcycle1": Arm(f"AsymGAN, base objective, {about}, λ of z's cycle 1", injection, weights=Z1)
        for name, about, injection in INJECTIONS
    },
    "extended-zcycle1": Arm("AsymGAN, extended objective, CIN, λ of z's cycle 1", "cin", extended=True, weights=Z1),
    "skip-zcycle1": Arm("AsymGAN, base objective, CIN, λ of z's cycle 1, skips", "cin", skip=True, weights=Z1),
    "skip-stop-zcycle1": Arm(
        "AsymGAN, base objective, CIN, λ of z's cycle 1, skips, the cycle of x trains F and E alone",
        "cin",
        skip=True,
        detach=True,
        weights=Z1,
    ),
    "cyclegan-skip": CYCLE("CycleGAN, skips", skip=True),
    "cyclegan-skip-stop": CYCLE("CycleGAN, skips, the cycle of x trains F alone", skip=True, detach=True),
    "munit": Arm("Compact MUNIT", "cin", munit=True, weights=munit.Weights()),
    "cyclegan-light": CYCLE("CycleGAN, light G", light=True),
    "asymgan-light": Arm("AsymGAN, λ of z's cycle 1, light G", "cin", light=True, weights=Z1),
    "async-asymgan-zcycle1": Arm("AsymGAN, asynchronous, λ of z's cycle 1", "cin", schedule="async", weights=Z1),
    "all-three": Arm(
        "AsymGAN, asynchronous, λ of z's cycle 1, light G", "cin", light=True, schedule="async", weights=Z1
    ),
    "asymgan-concat": Arm("AsymGAN, base objective, concat", "concat"),
    "asymgan-concat-all": Arm("AsymGAN, base objective, concat_all", "concat_all"),
    "asymgan-extended": Arm("AsymGAN, extended objective, CIN", "cin", extended=True),
    "asymgan-extended-tv": Arm(
        "AsymGAN, extended objective with total variation, CIN", "cin", extended=True, weights=asyncgan.Weights()
    ),
    "cyclegan-y": CYCLE("CycleGAN without the cycle of x", weights=replace(PLAIN, cycle_rich=0.0)),
    "async-y": CYCLE("Async-CycleGAN without the cycle of x", schedule="async", weights=replace(PLAIN, cycle_rich=0.0)),
    "cyclegan-stop": CYCLE("CycleGAN, the cycle of x trains F alone", detach=True),
    "async-stop": CYCLE("Async-CycleGAN, the cycle of x trains F alone", schedule="async", detach=True),
    "async": CYCLE("Async-CycleGAN", schedule="async"),
    "async-quantised": CYCLE("Async-CycleGAN, ȳ in one channel and 4 levels", schedule="async", transform=coarse),
    "async-noise": CYCLE("Async-CycleGAN, noise of 0.3 on ȳ", schedule="async", transform=noisy),
    "async-blur": CYCLE("Async-CycleGAN, ȳ blurred", schedule="async", transform=blurred),
    "async-oracle": CYCLE("Async-CycleGAN, pairs with the true y", schedule="async", oracle=True),
    "more": CYCLE("CycleGAN, the hard direction updated alone instead of partial steps", schedule="more"),
    "async-asymgan": Arm("AsymGAN, asynchronous", "cin", schedule="async"),
}
"""By the name on the command line."""
