"""AsymmetricGAN, supervised: translation between paired images, conditioned on skeletons [AsymmetricGAN §3.2].

Tang and Sebe, Asymmetric GANs for Image-to-Image Translation. The paper's letters and the names here:

    x, skeleton_x   an image and its skeleton l_x         Gᵗ   dual.translate
    y, skeleton_y   the same person's other one, and l_y  Gʳ   dual.reconstruct
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asymkit.arguments import flags, instance_of, modules, optional_modules
from asymkit.checks import check_together
from asymkit.losses import ColorCycleLoss, LogisticLoss, TotalVariationLoss
from asymkit.losses.adversarial import AdversarialLoss
from asymkit.networks import DualGenerator
from asymkit.objectives.terms import TermWeights, check_step, in_one_batch, l1, refuse_graph


class Cycles(NamedTuple):
    """All images of the cycles x → y' → x̂ and y → x' → ŷ between two skeletons [AsymmetricGAN Fig. 2]."""

    x: Tensor  # an image
    skeleton_x: Tensor  # l_x
    y: Tensor  # another image of the same person, the target
    skeleton_y: Tensor  # l_y
    fake_y: Tensor  # y' = Gᵗ(x, l_y)
    fake_x: Tensor  # x' = Gᵗ(y, l_x)
    rebuilt_x: Tensor | None = None  # x̂ = Gʳ(y', l_x)
    rebuilt_y: Tensor | None = None  # ŷ = Gʳ(x', l_y)
    same_x: Tensor | None = None  # Gᵗ(x, l_x)
    same_y: Tensor | None = None  # Gᵗ(y, l_y)

    def detach(self) -> Cycles:
        """The same tensors detached, for the discriminators' step."""
        return Cycles(**{name: tensor.detach() for name, tensor in self._asdict().items() if tensor is not None})


class Translators(nn.Module):
    """Both generators of the supervised framework; one ``forward`` computes both cycles, as DDP requires [AsymmetricGAN Fig. 2].

    Args:
        dual: Gᵗ and Gʳ, conditioned on skeleton images; e.g. ``DualGenerator.supervised()``, the paper's.
        identity: also compute the two images of the identity term; without it the step runs Gᵗ on half of the images.
        reconstruction: also compute x̂ and ŷ; False, without their cycle term, leaves Gʳ out of the training.

    Example:
        >>> import torch
        >>> from asymkit import DualGenerator
        >>> from asymkit.objectives.asymmetricgan.supervised import Translators
        >>> model = Translators(DualGenerator.supervised(width=8, blocks=2))
        >>> x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> skeleton_x, skeleton_y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> model(x, skeleton_x, y, skeleton_y).fake_y.shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(self, dual: DualGenerator, identity: bool = True, reconstruction: bool = True) -> None:
        super().__init__()
        instance_of("dual", dual, DualGenerator, "e.g. DualGenerator.supervised()")
        self.dual = dual
        self.identity, self.reconstruction = flags(identity=identity, reconstruction=reconstruction)

    def forward(self, x: Tensor, skeleton_x: Tensor, y: Tensor, skeleton_y: Tensor) -> Cycles:
        """Translate each image to the other's skeleton, and back.

        Args:
            x: images, (N, C, H, W), in [-1, 1].
            skeleton_x: their skeletons, (N, K, H, W).
            y: images of the same persons, of x's shape.
            skeleton_y: their skeletons, of skeleton_x's shape.

        Returns:
            All images.

        Raises:
            ValueError: shapes differ.
        """
        check_together(x=x, y=y, skeleton_x=skeleton_x, skeleton_y=skeleton_y)
        for name, given, like in (("y", y, x), ("skeleton_y", skeleton_y, skeleton_x)):
            if given.shape[1] != like.shape[1]:
                raise ValueError(f"{name} must have {like.shape[1]} channels, got {given.shape[1]}")
        calls = {"fake_y": (x, skeleton_y), "fake_x": (y, skeleton_x)}
        calls |= {"same_x": (x, skeleton_x), "same_y": (y, skeleton_y)} if self.identity else {}
        made = in_one_batch(self.dual.translate, calls)
        if self.reconstruction:
            back = {"rebuilt_x": (made["fake_y"], skeleton_x), "rebuilt_y": (made["fake_x"], skeleton_y)}
            made |= in_one_batch(self.dual.reconstruct, back)
        return Cycles(x, skeleton_x, y, skeleton_y, **made)


class Discriminators(nn.Module):
    """The discriminators of the supervised framework, whose losses are averaged if there are two [AsymmetricGAN Eq. 9, 10].

    Args:
        triplet: scores (x, l_y, y), their channels concatenated, e.g. ``PatchDiscriminator(in_channels=9)``.
        pair: scores (x, y), e.g. ``PatchDiscriminator(in_channels=6)``: the second of the double discriminators.
    """

    def __init__(self, triplet: nn.Module, pair: nn.Module | None = None) -> None:
        super().__init__()
        modules(triplet=triplet)
        optional_modules(pair=pair)
        self.triplet, self.pair = triplet, pair

    def forward(self, image: Tensor, skeleton: Tensor, result: Tensor) -> list[Tensor]:
        """Scores of every discriminator for (x, l_y, y) or (x, l_y, y').

        Raises:
            ValueError: an argument is not a batch of images, or batch sizes or image sizes differ.
        """
        check_together(image=image, skeleton=skeleton, result=result)
        scores = [self.triplet(torch.cat([image, skeleton, result], dim=1))]
        return scores if self.pair is None else [*scores, self.pair(torch.cat([image, result], dim=1))]


@dataclass(frozen=True)
class Weights(TermWeights):
    """Weights of the loss terms, the paper's λ [AsymmetricGAN Eq. 12]."""

    adversarial: float = 1.0  # translated images look real beside their source: (x, y') against D
    color: float = 800.0  # the translation equals the target, L1 in each colour channel (λ_c)
    cycle: float = 0.1  # the reconstruction equals the source image (λ_cyc)
    identity: float = 0.01  # with its own skeleton an image is unchanged (λ_id)
    perceptual: float = 1000.0  # VGG features of translation and target are equal (λ_vgg)
    total_variation: float = 1e-6  # translations are smooth: total variation, summed over pixels (λ_tv)


def generator_terms(
    cycles: Cycles,
    discriminators: Discriminators,
    perceptual: nn.Module | None = None,
    adversarial: AdversarialLoss | None = None,
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of both generators, summed over the two cycles [AsymmetricGAN Eq. 12].

    Args:
        cycles: output of :class:`Translators`.
        discriminators: D; freeze them with :func:`asymkit.frozen`.
        perceptual: a loss of (images, target), e.g. :class:`asymkit.PerceptualLoss`; None leaves the term out.
        adversarial: None for the logistic loss of Eq. 9 and 10, or :class:`asymkit.LeastSquaresLoss`.
        weights: terms of weight 0 are not computed; None for the paper's.

    Returns:
        Scalars by the names of :class:`Weights`; no terms for which the cycles have no images.
    """
    check_step("cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial, perceptual=perceptual)
    if weights is not None:
        instance_of("weights", weights, Weights, "such as Weights(cycle=0.0)")
    gan, color, c = adversarial or LogisticLoss(), ColorCycleLoss(), cycles
    weights, terms = weights or Weights(), dict[str, Tensor]()
    if weights.adversarial:
        towards_y = gan.generator_loss(discriminators(c.x, c.skeleton_y, c.fake_y))
        terms["adversarial"] = towards_y + gan.generator_loss(discriminators(c.y, c.skeleton_x, c.fake_x))  # Eq. 9, 10
    if weights.color:
        terms["color"] = color(c.fake_y, c.y) + color(c.fake_x, c.x)  # Eq. 11
    if weights.cycle and c.rebuilt_x is not None and c.rebuilt_y is not None:
        terms["cycle"] = color(c.rebuilt_x, c.x) + color(c.rebuilt_y, c.y)  # Eq. 1, 2
    if weights.identity and c.same_x is not None and c.same_y is not None:
        terms["identity"] = l1(c.same_x, c.x) + l1(c.same_y, c.y)  # Eq. 3
    if weights.perceptual and perceptual is not None:
        terms["perceptual"] = perceptual(c.fake_y, c.y) + perceptual(c.fake_x, c.x)
    if weights.total_variation:
        variation = TotalVariationLoss(power=1, reduction="sum")
        terms["total_variation"] = variation(c.fake_y) + variation(c.fake_x)
    return terms


def discriminator_terms(
    cycles: Cycles, discriminators: Discriminators, adversarial: AdversarialLoss | None = None
) -> dict[str, Tensor]:
    """The unweighted loss term of the discriminators, summed over the two cycles [AsymmetricGAN Eq. 9, 10].

    Args:
        cycles: detached.
        discriminators: D.
        adversarial: as for the generators.

    Returns:
        One scalar, ``adversarial``.

    Raises:
        ValueError: cycles are not detached.
    """
    check_step("cycles", cycles, Cycles, discriminators, Discriminators, adversarial=adversarial)
    refuse_graph(cycles)
    gan, c = adversarial or LogisticLoss(), cycles
    towards_y = gan.discriminator_loss(
        discriminators(c.x, c.skeleton_y, c.y), discriminators(c.x, c.skeleton_y, c.fake_y)
    )
    towards_x = gan.discriminator_loss(
        discriminators(c.y, c.skeleton_x, c.x), discriminators(c.y, c.skeleton_x, c.fake_x)
    )
    return {"adversarial": towards_y + towards_x}
