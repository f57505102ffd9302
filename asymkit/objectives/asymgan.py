"""AsymGAN: translation between a rich and a poor domain, the difference carried by an auxiliary variable z.

Li et al., Asymmetric GAN for Unpaired Image-to-image Translation, TIP 2019. The paper's letters and the names here:

    X, Y   rich and poor images            G    rich_to_poor: X → Y
    z      auxiliary variable, N(0, I)     F    poor_to_rich: (Y, z) → X
    E      encoder: X → z                  D    discriminators: rich, poor, aux

A forward pass of :class:`Translators` gives every image of both loops of Fig. 2, :func:`generator_terms` and
:func:`discriminator_terms` the unweighted terms of the objective, :class:`Weights` the paper's λ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asymkit.arguments import at_least, flags, modules, optional_modules
from asymkit.checks import check_together
from asymkit.losses import LeastSquaresLoss, TotalVariationLoss
from asymkit.losses.adversarial import AdversarialLoss
from asymkit.objectives.terms import (
    TermWeights,
    aux_l1,
    check_codes,
    check_step,
    checked_aux,
    in_one_batch,
    l1,
    refuse_graph,
)


class Cycles(NamedTuple):
    """Every image and code of both loops [AsymGAN Fig. 2]; what an objective has no use for is None."""

    x: Tensor  # rich images
    y: Tensor  # poor images
    fake_poor: Tensor  # G(x)
    rebuilt_rich: Tensor  # x* = F(G(x), E(x)), or F(G(x)) without an encoder
    fake_rich: Tensor  # F(y, z), or F(y) without an encoder
    rebuilt_poor: Tensor  # y* = G(F(y, z))
    z: Tensor | None = None  # a sample of N(0, I)
    code: Tensor | None = None  # E(x)
    rebuilt_z: Tensor | None = None  # z* = E(F(y, z))
    resampled: Tensor | None = None  # F(G(x), z), extended objective
    encoded: Tensor | None = None  # F(y, E(x)), extended objective

    def detach(self) -> Cycles:
        """The same without a graph, for the discriminators' step."""
        return Cycles(**{name: tensor.detach() for name, tensor in self._asdict().items() if tensor is not None})


class Translators(nn.Module):
    """The generators and the encoder, all their work inside one ``forward`` [AsymGAN Fig. 2].

    Args:
        rich_to_poor: G, images to images.
        poor_to_rich: F, ``(images, z)`` to images; without an encoder, images to images.
        encoder: E, images to z; None is the CycleGAN baseline.
        extended: also compute the two images of the extended objective.

    Raises:
        ValueError: something else than networks, extended without an encoder, or an encoder whose z is not as long as the generator's.

    Example:
        >>> import torch
        >>> from asymkit import AuxEncoder, AuxGenerator, ResnetGenerator
        >>> from asymkit.objectives.asymgan import Translators
        >>> model = Translators(ResnetGenerator(width=4), AuxGenerator(width=4), AuxEncoder(width=4), extended=True)
        >>> cycles = model(x=torch.zeros(2, 3, 32, 32), y=torch.zeros(2, 3, 32, 32))
        >>> cycles.fake_rich.shape, cycles.z.shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 8]))
    """

    def __init__(
        self, rich_to_poor: nn.Module, poor_to_rich: nn.Module, encoder: nn.Module | None = None, extended: bool = False
    ) -> None:
        super().__init__()
        modules(rich_to_poor=rich_to_poor, poor_to_rich=poor_to_rich)
        optional_modules(encoder=encoder)
        (extended,) = flags(extended=extended)
        if extended and encoder is None:
            raise ValueError("extended=True needs an encoder: its terms compare images made with E(x)")
        lengths = [getattr(network, "aux_channels", None) for network in (poor_to_rich, encoder)]
        if None not in lengths and lengths[0] != lengths[1]:
            raise ValueError(f"poor_to_rich and encoder must agree in aux_channels, got {lengths[0]} and {lengths[1]}")
        self.rich_to_poor, self.poor_to_rich = rich_to_poor, poor_to_rich
        self.encoder, self.extended = encoder, extended

    def forward(self, x: Tensor, y: Tensor, z: Tensor | None = None) -> Cycles:
        """Both loops, x → G(x) → x* and y → F(y, z) → y*.

        Args:
            x: rich images, (N, C, H, W), in [-1, 1].
            y: poor images, (N, C', H, W), unpaired.
            z: auxiliary variables of the shape the encoder gives; None samples them from N(0, I).

        Returns:
            All images and codes.

        Raises:
            ValueError: batches or sizes differ, z is not of the encoder's shape.
        """
        check_together(x=x, y=y)
        fake_poor = self.rich_to_poor(x)
        if self.encoder is None:
            if z is not None:
                raise ValueError("z given, but this model has no encoder: it is the CycleGAN baseline")
            rebuilt_rich = self.poor_to_rich(fake_poor)
            fake_rich = self.poor_to_rich(y)
            rebuilt_poor = self.rich_to_poor(fake_rich)
            return Cycles(x, y, fake_poor, rebuilt_rich, fake_rich, rebuilt_poor)
        code = self.encoder(x)
        z = torch.randn_like(code) if z is None else checked_aux(z, code)
        calls = {"rebuilt_rich": (fake_poor, code), "fake_rich": (y, z)}
        more = {"resampled": (fake_poor, z), "encoded": (y, code)} if self.extended else {}
        rich = in_one_batch(self.poor_to_rich, calls | more)  # one call of F, equal to one each
        rebuilt_poor = self.rich_to_poor(rich["fake_rich"])
        rebuilt_z = self.encoder(rich["fake_rich"])
        return Cycles(x, y, fake_poor=fake_poor, rebuilt_poor=rebuilt_poor, z=z, code=code, rebuilt_z=rebuilt_z, **rich)

    def to_poor(self, x: Tensor) -> Tensor:
        """Rich to poor, G(x): the first inference configuration [AsymGAN Fig. 2 (3)]."""
        return self.rich_to_poor(x)

    def to_rich(self, y: Tensor, z: Tensor | None = None) -> Tensor:
        """Poor to rich with a sampled z, F(y, z): the second configuration [AsymGAN Fig. 2 (4)]."""
        return self.poor_to_rich(y) if z is None else self.poor_to_rich(y, z)

    def to_rich_like(self, y: Tensor, reference: Tensor) -> Tensor:
        """Poor to rich in the manner of a rich image, F(y, E(reference)): the third one [AsymGAN Fig. 2 (5)]."""
        if self.encoder is None:
            raise ValueError("to_rich_like needs an encoder; this model is the CycleGAN baseline")
        return self.poor_to_rich(y, self.encoder(reference))

    def interpolate(self, y: Tensor, start: Tensor, end: Tensor, steps: int = 8) -> Tensor:
        """Poor to rich with z going in a straight line from one value to another [AsymGAN §IV-C].

        Args:
            y: poor images, (N, C, H, W).
            start: the first z, sampled or encoded, one per image.
            end: the last z.
            steps: how many images to make of each, both ends included, 2 to 1,000.

        Returns:
            (N, steps, C', H, W).

        Raises:
            ValueError: start and end differ in shape, fewer than two steps or more than 1,000.
        """
        check_codes(start, end)
        steps = at_least("steps", steps, least=2, most=1000)
        codes = [torch.lerp(start, end.to(start.dtype), i / (steps - 1)) for i in range(steps)]
        return torch.stack([self.to_rich(y, z) for z in codes], dim=1)


class Discriminators(nn.Module):
    """D_X, D_Y and D_Z.

    Args:
        rich: scores rich images.
        poor: scores poor images.
        aux: scores z; None for the CycleGAN baseline.
    """

    def __init__(self, rich: nn.Module, poor: nn.Module, aux: nn.Module | None = None) -> None:
        super().__init__()
        modules(rich=rich, poor=poor)
        optional_modules(aux=aux)
        self.rich, self.poor, self.aux = rich, poor, aux

    def score_aux(self, z: Tensor) -> Tensor:
        """D_Z(z).

        Raises:
            ValueError: there is no D_Z.
        """
        if self.aux is None:
            raise ValueError("aux is missing: z needs Discriminators(..., aux=AuxDiscriminator(aux_channels))")
        return self.aux(z)


@dataclass(frozen=True)
class Weights(TermWeights):
    """The paper's λ, by the term they weight, CycleGAN's for the baseline's terms [AsymGAN Eq. 5, 12, 19].

    Example:
        >>> import torch
        >>> from asymkit.objectives.asymgan import Weights
        >>> Weights(cycle_rich=5.0).total({"cycle_rich": torch.tensor(2.0), "content": torch.tensor(1.0)})
        tensor(10.2000)
    """

    adversarial_poor: float = 1.0  # G(x) looks like poor images
    adversarial_rich: float = 1.0  # F(y, z) looks like rich images
    adversarial_aux: float = 1.0  # λ₁: E(x) is distributed as z is
    cycle_rich: float = 10.0  # λ₂: F(G(x), E(x)) is x
    cycle_poor: float = 10.0  # λ₃: G(F(y, z)) is y
    cycle_aux: float = 10.0  # λ₄: E(F(y, z)) is z
    adversarial_resampled: float = 1.0  # λ₅: F(G(x), z) looks like rich images
    adversarial_encoded: float = 1.0  # λ₆: F(y, E(x)) looks like rich images
    content: float = 0.2  # λ₇: F(y, E(x)) shows what y shows
    style: float = 0.1  # λ₈: colours and textures of F(y, E(x)) are those of x
    total_variation: float = 10.0  # λ₉: images that are generated are smooth


def generator_terms(
    cycles: Cycles,
    discriminators: Discriminators,
    content: nn.Module | None = None,
    style: nn.Module | None = None,
    adversarial: AdversarialLoss | None = None,
) -> dict[str, Tensor]:
    """What both generators and the encoder minimise, unweighted [AsymGAN Eq. 5, 6, 12, 19].

    Which terms there are follows from what the cycles hold: the baseline's four, the base objective's six, or the
    extended one's eleven (nine without content and style).

    Args:
        cycles: of :class:`Translators`.
        discriminators: D; hold them still with :func:`asymkit.frozen`.
        content: images, target to a scalar, e.g. :class:`asymkit.ContentLoss`; extended objective only.
        style: images, target to a scalar, e.g. :class:`asymkit.GramStyleLoss`; extended objective only.
        adversarial: None for least squares, or :class:`asymkit.LogisticLoss`.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: cycles with z but discriminators without ``aux``; content or style without extended cycles.
    """
    check_step(
        "cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial, content=content, style=style
    )
    gan = adversarial or LeastSquaresLoss()
    terms = {
        "adversarial_poor": gan.generator_loss(discriminators.poor(cycles.fake_poor)),  # Eq. 1
        "adversarial_rich": gan.generator_loss(discriminators.rich(cycles.fake_rich)),  # Eq. 2, 9
    }
    if cycles.code is not None:
        terms["adversarial_aux"] = gan.generator_loss(discriminators.score_aux(cycles.code))  # Eq. 7
    terms["cycle_rich"] = l1(cycles.rebuilt_rich, cycles.x)  # Eq. 3, 8
    terms["cycle_poor"] = l1(cycles.rebuilt_poor, cycles.y)  # Eq. 4, 10
    if cycles.z is not None and cycles.rebuilt_z is not None:
        terms["cycle_aux"] = aux_l1(cycles.rebuilt_z, cycles.z)  # Eq. 11
    if cycles.resampled is None or cycles.encoded is None:
        if content is not None or style is not None:
            raise ValueError("content and style compare F(y, E(x)): build Translators(..., extended=True) to have it")
        return terms
    terms["adversarial_resampled"] = gan.generator_loss(discriminators.rich(cycles.resampled))  # Eq. 13
    terms["adversarial_encoded"] = gan.generator_loss(discriminators.rich(cycles.encoded))  # Eq. 14
    if content is not None:
        terms["content"] = content(cycles.encoded, cycles.y)  # Eq. 15
    if style is not None:
        terms["style"] = style(cycles.encoded, cycles.x)  # Eq. 16
    roughness, c = TotalVariationLoss(), cycles
    synthesised = c.fake_poor, c.rebuilt_rich, c.resampled, c.fake_rich, c.rebuilt_poor, c.encoded
    terms["total_variation"] = torch.stack([roughness(image) for image in synthesised]).sum()  # Eq. 18
    return terms


def discriminator_terms(
    cycles: Cycles, discriminators: Discriminators, adversarial: AdversarialLoss | None = None
) -> dict[str, Tensor]:
    """What the discriminators minimise, unweighted [AsymGAN Eq. 1, 2, 7, 9, 13, 14].

    Equations 9, 13 and 14 each contain D_X(x); its score is computed once and stands in all three terms, so that the
    sum weights it 1 + λ₅ + λ₆. No term carries CycleGAN's factor of a half.

    Args:
        cycles: detached, ``cycles.detach()``, or what :class:`asymkit.ImagePools` gives.
        discriminators: D.
        adversarial: None for least squares, or :class:`asymkit.LogisticLoss`.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: cycles that still carry a graph; cycles with z but discriminators without ``aux``.
    """
    check_step("cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial)
    gan = adversarial or LeastSquaresLoss()
    refuse_graph(cycles[2:])  # a gradient penalty may need one at the real images
    rich, poor, aux = discriminators.rich, discriminators.poor, discriminators.score_aux
    real_rich = gan(rich(cycles.x), True)
    terms = {
        "adversarial_poor": gan.discriminator_loss(poor(cycles.y), poor(cycles.fake_poor)),  # Eq. 1
        "adversarial_rich": real_rich + gan(rich(cycles.fake_rich), False),  # Eq. 2, 9
    }
    if cycles.code is not None and cycles.z is not None:
        terms["adversarial_aux"] = gan.discriminator_loss(aux(cycles.z), aux(cycles.code))  # Eq. 7
    if cycles.resampled is not None:
        terms["adversarial_resampled"] = real_rich + gan(rich(cycles.resampled), False)  # Eq. 13
    if cycles.encoded is not None:
        terms["adversarial_encoded"] = real_rich + gan(rich(cycles.encoded), False)  # Eq. 14
    return terms
