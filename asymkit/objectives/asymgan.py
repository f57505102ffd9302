"""AsymGAN: translation between an information-rich and a poor domain; a latent code z carries the difference.

Li et al., Asymmetric GAN for Unpaired Image-to-image Translation, TIP 2019. The paper's letters and the names here:

    X, Y   rich and poor images            G    rich_to_poor: X → Y
    z      latent code, from N(0, I)       F    poor_to_rich: (Y, z) → X
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
    """All images and latent codes of both cycles [AsymGAN Fig. 2]; those that an objective does not use are None."""

    x: Tensor  # rich images
    y: Tensor  # poor images
    fake_poor: Tensor  # ŷ = G(x)
    rebuilt_rich: Tensor  # x* = F(G(x), E(x)), or F(G(x)) without an encoder
    fake_rich: Tensor  # x̂ = F(y, z), or F(y) without an encoder
    rebuilt_poor: Tensor  # y* = G(F(y, z))
    z: Tensor | None = None  # a sample of N(0, I)
    encoded_z: Tensor | None = None  # ẑ = E(x)
    rebuilt_z: Tensor | None = None  # z* = E(F(y, z))
    rebuilt_resampled: Tensor | None = None  # x̂₁ = F(G(x), z), extended objective
    fake_encoded: Tensor | None = None  # x̂₂ = F(y, E(x)), extended objective

    def detach(self) -> Cycles:
        """The same tensors detached, for the discriminators' step."""
        return Cycles(**{name: tensor.detach() for name, tensor in self._asdict().items() if tensor is not None})


class Translators(nn.Module):
    """The generators and the encoder; one ``forward`` computes both cycles, as DDP requires [AsymGAN Fig. 2].

    Args:
        rich_to_poor: G, images to images.
        poor_to_rich: F, ``(images, z)`` to images; without an encoder, images to images.
        encoder: E, images to z; None for the CycleGAN baseline.
        extended: also compute the two images of the extended objective.
        detach_fake_poor: the rich cycle trains F and E alone, so that G gains nothing by hiding x in G(x); not in the paper.

    Raises:
        ValueError: an argument is not a module, extended without an encoder, or different aux_channels.

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
        self,
        rich_to_poor: nn.Module,
        poor_to_rich: nn.Module,
        encoder: nn.Module | None = None,
        extended: bool = False,
        detach_fake_poor: bool = False,
    ) -> None:
        super().__init__()
        modules(rich_to_poor=rich_to_poor, poor_to_rich=poor_to_rich)
        optional_modules(encoder=encoder)
        extended, detach_fake_poor = flags(extended=extended, detach_fake_poor=detach_fake_poor)
        if extended and encoder is None:
            raise ValueError("extended=True needs an encoder: its terms compare images made with E(x)")
        lengths = [getattr(network, "aux_channels", None) for network in (poor_to_rich, encoder)]
        if None not in lengths and lengths[0] != lengths[1]:
            raise ValueError(f"poor_to_rich and encoder must agree in aux_channels, got {lengths[0]} and {lengths[1]}")
        self.rich_to_poor, self.poor_to_rich = rich_to_poor, poor_to_rich
        self.encoder, self.extended, self.detach_fake_poor = encoder, extended, detach_fake_poor

    def forward(self, x: Tensor, y: Tensor, z: Tensor | None = None) -> Cycles:
        """Both cycles, x → G(x) → x* and y → F(y, z) → y*.

        Args:
            x: rich images, (N, C, H, W), in [-1, 1].
            y: poor images, (N, C', H, W), unpaired.
            z: latent codes of the shape of the encoder's output; None samples them from N(0, I).

        Returns:
            All images and latent codes.

        Raises:
            ValueError: batch sizes or image sizes differ, or z has another shape than the encoder's output.
        """
        check_together(x=x, y=y)
        fake_poor = self.rich_to_poor(x)
        seen_poor = fake_poor.detach() if self.detach_fake_poor else fake_poor
        if self.encoder is None:
            if z is not None:
                raise ValueError("z given, but this model has no encoder: it is the CycleGAN baseline")
            rebuilt_rich = self.poor_to_rich(seen_poor)
            fake_rich = self.poor_to_rich(y)
            return Cycles(x, y, fake_poor, rebuilt_rich, fake_rich, rebuilt_poor=self.rich_to_poor(fake_rich))
        encoded_z = self.encoder(x)
        z = torch.randn_like(encoded_z) if z is None else checked_aux(z, encoded_z)
        calls = {"rebuilt_rich": (seen_poor, encoded_z), "fake_rich": (y, z)}
        more = {"rebuilt_resampled": (seen_poor, z), "fake_encoded": (y, encoded_z)} if self.extended else {}
        rich = in_one_batch(self.poor_to_rich, calls | more)  # as four calls of F
        rebuilt_poor = self.rich_to_poor(rich["fake_rich"])
        codes = {"z": z, "encoded_z": encoded_z, "rebuilt_z": self.encoder(rich["fake_rich"])}
        return Cycles(x, y, fake_poor=fake_poor, rebuilt_poor=rebuilt_poor, **codes, **rich)

    def to_poor(self, x: Tensor) -> Tensor:
        """Rich to poor, G(x) [AsymGAN Fig. 2 (3)]."""
        return self.rich_to_poor(x)

    def to_rich(self, y: Tensor, z: Tensor | None = None) -> Tensor:
        """Poor to rich with a sampled z, F(y, z) [AsymGAN Fig. 2 (4)]."""
        return self.poor_to_rich(y) if z is None else self.poor_to_rich(y, z)

    def to_rich_like(self, y: Tensor, reference: Tensor) -> Tensor:
        """Poor to rich with the latent code of a rich image, F(y, E(reference)) [AsymGAN Fig. 2 (5)]."""
        if self.encoder is None:
            raise ValueError("to_rich_like needs an encoder; this model is the CycleGAN baseline")
        return self.poor_to_rich(y, self.encoder(reference))

    def interpolate(self, y: Tensor, start: Tensor, end: Tensor, steps: int = 8) -> Tensor:
        """Poor to rich with linear interpolation between two latent codes [AsymGAN §IV-C].

        Args:
            y: poor images, (N, C, H, W).
            start: first z, sampled or encoded, one for each image.
            end: last z.
            steps: number of images for each, both ends included, 2 to 1,000.

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
        rich, poor: score images of these domains.
        aux: scores z; None for the CycleGAN baseline.
    """

    def __init__(self, rich: nn.Module, poor: nn.Module, aux: nn.Module | None = None) -> None:
        super().__init__()
        modules(rich=rich, poor=poor)
        optional_modules(aux=aux)
        self.rich, self.poor, self.aux = rich, poor, aux

    def score_aux(self, z: Tensor) -> Tensor:
        """D_Z(z); a ValueError where there is none."""
        if self.aux is None:
            raise ValueError("aux is missing: z needs Discriminators(..., aux=AuxDiscriminator(aux_channels))")
        return self.aux(z)


@dataclass(frozen=True)
class Weights(TermWeights):
    """Weights of the loss terms, the paper's λ, which for the baseline are CycleGAN's [AsymGAN Eq. 5, 12, 19].

    Example:
        >>> import torch
        >>> from asymkit.objectives.asymgan import Weights
        >>> Weights(cycle_rich=5.0).total({"cycle_rich": torch.tensor(2.0), "content": torch.tensor(1.0)})
        tensor(10.2000)
    """

    adversarial_poor: float = 1.0  # translations to the poor domain look real: G(x) against D_Y
    adversarial_rich: float = 1.0  # translations to the rich domain look real: F(y, z) against D_X
    adversarial_aux: float = 1.0  # encoded z are distributed as random ones: E(x) against D_Z (λ₁)
    cycle_rich: float = 10.0  # a rich image comes back from its translation and its z: F(G(x), E(x)) is x (λ₂)
    cycle_poor: float = 10.0  # a poor image comes back from its translation: G(F(y, z)) is y (λ₃)
    cycle_aux: float = 10.0  # the encoder finds the z of a translation, so that z is used: E(F(y, z)) is z (λ₄)
    adversarial_resampled: float = 1.0  # a rich image rebuilt with a random z looks real: F(G(x), z) against D_X (λ₅)
    adversarial_encoded: float = 1.0  # a translation with the z of a photo looks real: F(y, E(x)) against D_X (λ₆)
    content: float = 0.2  # a translation with the z of a photo keeps the content of y: VGG features (λ₇)
    style: float = 0.1  # a translation with the z of a photo has the style of that photo: Gram matrices (λ₈)
    total_variation: float = 10.0  # generated images are smooth: total variation (λ₉)


def generator_terms(
    cycles: Cycles,
    discriminators: Discriminators,
    content: nn.Module | None = None,
    style: nn.Module | None = None,
    adversarial: AdversarialLoss | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of both generators and the encoder [AsymGAN Eq. 5, 6, 12, 19].

    Four terms for the baseline, six for the base objective, and eleven, without content and style nine, for the extended.

    Args:
        cycles: output of :class:`Translators`.
        discriminators: D; freeze them with :func:`asymkit.frozen`.
        content: a loss of (images, target), e.g. :class:`asymkit.ContentLoss`; extended objective only.
        style: a loss of (images, target), e.g. :class:`asymkit.GramStyleLoss`; extended objective only.
        adversarial: None for least squares, or :class:`asymkit.LogisticLoss`.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: cycles have z but discriminators have no ``aux``; content or style without extended cycles.
    """
    check_step(
        "cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial, content=content, style=style
    )
    gan = adversarial or LeastSquaresLoss()
    terms = {
        "adversarial_poor": gan.generator_loss(discriminators.poor(cycles.fake_poor)),  # Eq. 1
        "adversarial_rich": gan.generator_loss(discriminators.rich(cycles.fake_rich)),  # Eq. 2, 9
    }
    if cycles.encoded_z is not None:
        terms["adversarial_aux"] = gan.generator_loss(discriminators.score_aux(cycles.encoded_z))  # Eq. 7
    terms["cycle_rich"] = l1(cycles.rebuilt_rich, cycles.x)  # Eq. 3, 8
    terms["cycle_poor"] = l1(cycles.rebuilt_poor, cycles.y)  # Eq. 4, 10
    if cycles.z is not None and cycles.rebuilt_z is not None:
        terms["cycle_aux"] = aux_l1(cycles.rebuilt_z, cycles.z)  # Eq. 11
    if cycles.rebuilt_resampled is None or cycles.fake_encoded is None:
        if content is not None or style is not None:
            raise ValueError("content and style compare F(y, E(x)): build Translators(..., extended=True) to have it")
        return terms
    terms["adversarial_resampled"] = gan.generator_loss(discriminators.rich(cycles.rebuilt_resampled))  # Eq. 13
    terms["adversarial_encoded"] = gan.generator_loss(discriminators.rich(cycles.fake_encoded))  # Eq. 14
    if content is not None:
        terms["content"] = content(cycles.fake_encoded, cycles.y)  # Eq. 15
    if style is not None:
        terms["style"] = style(cycles.fake_encoded, cycles.x)  # Eq. 16
    c, variation = cycles, TotalVariationLoss()  # Eq. 18
    synthesised = c.fake_poor, c.rebuilt_rich, c.rebuilt_resampled, c.fake_rich, c.rebuilt_poor, c.fake_encoded
    terms["total_variation"] = torch.stack([variation(image) for image in synthesised]).sum()
    return terms


def discriminator_terms(
    cycles: Cycles, discriminators: Discriminators, adversarial: AdversarialLoss | None = None
) -> dict[str, Tensor]:
    """The unweighted loss terms of the discriminators [AsymGAN Eq. 1, 2, 7, 9, 13, 14].

    Equations 9, 13 and 14 each contain D_X(x), which is computed once and used in all three terms, so that its weight in
    the sum is 1 + λ₅ + λ₆. No term has CycleGAN's factor of a half.

    Args:
        cycles: detached, by ``cycles.detach()`` or :class:`asymkit.ImagePools`.
        discriminators: D.
        adversarial: None for least squares, or :class:`asymkit.LogisticLoss`.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: cycles are not detached, or have z but discriminators have no ``aux``.
    """
    check_step("cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial)
    gan = adversarial or LeastSquaresLoss()
    refuse_graph(cycles[2:])  # real images may require a gradient, for a gradient penalty
    rich, poor, aux = discriminators.rich, discriminators.poor, discriminators.score_aux
    real_rich = gan(rich(cycles.x), True)
    terms = {
        "adversarial_poor": gan.discriminator_loss(poor(cycles.y), poor(cycles.fake_poor)),  # Eq. 1
        "adversarial_rich": real_rich + gan(rich(cycles.fake_rich), False),  # Eq. 2, 9
    }
    if cycles.encoded_z is not None and cycles.z is not None:
        terms["adversarial_aux"] = gan.discriminator_loss(aux(cycles.z), aux(cycles.encoded_z))  # Eq. 7
    if cycles.rebuilt_resampled is not None:
        terms["adversarial_resampled"] = real_rich + gan(rich(cycles.rebuilt_resampled), False)  # Eq. 13
    if cycles.fake_encoded is not None:
        terms["adversarial_encoded"] = real_rich + gan(rich(cycles.fake_encoded), False)  # Eq. 14
    return terms
