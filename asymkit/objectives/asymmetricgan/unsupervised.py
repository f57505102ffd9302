"""AsymmetricGAN, unsupervised: unpaired translation between many domains, conditioned on labels [AsymmetricGAN §3.1].

Tang and Sebe, Asymmetric GANs for Image-to-Image Translation. The paper's letters and the names here:

    x, source    images and their domains z_x        Gᵗ   dual.translate
    y, target    others and theirs, z_y              Gʳ   dual.reconstruct
    D_s, D_c     scores and domain logits of the discriminators
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asymkit.arguments import described, flags, instance_of
from asymkit.checks import check_together
from asymkit.losses import ColorCycleLoss, DomainClassificationLoss, LeastSquaresLoss, MSSSIMLoss, gradient_penalty
from asymkit.losses.adversarial import AdversarialLoss
from asymkit.networks import DualGenerator
from asymkit.objectives.terms import TermWeights, check_losses, in_one_batch, l1, refuse_graph


class Cycle(NamedTuple):
    """All images of the cycle x → y' → x̂ between two domains [AsymmetricGAN Fig. 1]."""

    x: Tensor  # images
    source: Tensor  # z_x, their domains
    y: Tensor  # other images
    target: Tensor  # z_y, their domains
    fake: Tensor  # y' = Gᵗ(x, z_y)
    rebuilt: Tensor | None = None  # x̂ = Gʳ(y', z_x)
    same_x: Tensor | None = None  # Gᵗ(x, z_x)
    same_y: Tensor | None = None  # Gᵗ(y, z_y)
    returned: Tensor | None = None  # Gᵗ(y', z_x) of a detached y'; not in the paper

    def detach(self) -> Cycle:
        """The same tensors detached, for the discriminators' step."""
        return Cycle(**{name: tensor.detach() for name, tensor in self._asdict().items() if tensor is not None})


class Translators(nn.Module):
    """Both generators of the unsupervised framework; one ``forward`` computes the cycle, as DDP requires [AsymmetricGAN Fig. 1].

    Args:
        dual: Gᵗ and Gʳ, conditioned on domain labels.
        identity: also compute the two images of the identity term; without it the step runs Gᵗ on a third of the images.
        reconstruction: also compute x̂; False, without its cycle and structure terms, leaves Gʳ out of the training.
        way_back: also translate y' back by Gᵗ, for the term of this name. One generator for both tasks learns from the way back,
            whose true answer is x; of two, only Gʳ does. Not in the paper.

    Example:
        >>> import torch
        >>> from asymkit import DualGenerator
        >>> from asymkit.objectives.asymmetricgan.unsupervised import Translators
        >>> model = Translators(DualGenerator.preset("S2", domains=4, width=4))
        >>> x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> cycle = model(x, torch.tensor([0, 3]), y, torch.tensor([1, 2]))
        >>> cycle.fake.shape, cycle.rebuilt.shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 3, 32, 32]))
    """

    def __init__(
        self, dual: DualGenerator, identity: bool = True, reconstruction: bool = True, way_back: bool = False
    ) -> None:
        super().__init__()
        instance_of("dual", dual, DualGenerator, "e.g. DualGenerator.preset('S2', domains)")
        self.dual = dual
        self.identity, self.reconstruction, self.way_back = flags(
            identity=identity, reconstruction=reconstruction, way_back=way_back
        )

    def forward(self, x: Tensor, source: Tensor, y: Tensor, target: Tensor) -> Cycle:
        """Translate x to the domains of y and back.

        Args:
            x: images, (N, C, H, W), in [-1, 1].
            source: their domains, (N,) integers or (N, domains) floats.
            y: other images, of x's shape, unpaired.
            target: their domains, in the same form.

        Returns:
            All images.

        Raises:
            ValueError: shapes differ, or labels have another form.
        """
        check_together(x=x, y=y)
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"x and y must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}")
        forms = [(t.shape, t.dtype, t.device) if isinstance(t, Tensor) else None for t in (source, target)]
        if None in forms or forms[0] != forms[1]:
            raise ValueError(
                f"source and target must be labels of one form, type and device, got {described(source)} and {described(target)}"
            )
        if source.ndim not in (1, 2) or len(source) != len(x):
            raise ValueError(
                f"source and target must hold one label for each of the {len(x)} images, ({len(x)},) integers or "
                f"({len(x)}, domains) floats, got {described(source)}"
            )
        calls = {"fake": (x, target)}
        calls |= {"same_x": (x, source), "same_y": (y, target)} if self.identity else {}
        made = in_one_batch(self.dual.translate, calls)
        rebuilt = self.dual.reconstruct(made["fake"], source) if self.reconstruction else None
        returned = self.dual.translate(made["fake"].detach(), source) if self.way_back else None
        return Cycle(x, source, y, target, rebuilt=rebuilt, returned=returned, **made)


@dataclass(frozen=True)
class Weights(TermWeights):
    """Weights of the loss terms, the paper's λ [AsymmetricGAN Eq. 8]."""

    adversarial: float = 1.0  # translated images look real to the discriminator
    classification: float = 1.0  # the discriminator classifies them as their target domain (λ_c)
    cycle: float = 10.0  # L1 of the reconstruction, summed over channels; 30 for code that uses the mean (λ_cyc)
    structure: float = 1.0  # MS-SSIM of reconstruction and image (λ_m)
    identity: float = 0.5  # translated to its own domain an image is unchanged (λ_id)
    penalty: float = 0.0  # gradient penalty of the discriminators, with WassersteinLoss; 10 in StarGAN's code
    way_back: float = 0.0  # L1 of y' translated back, summed over channels; not in the paper, 10 was measured


def generator_terms(
    cycle: Cycle,
    discriminators: nn.Module,
    classification: nn.Module | None = None,
    structure: nn.Module | None = None,
    adversarial: AdversarialLoss | None = None,
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of both generators [AsymmetricGAN Eq. 8].

    Args:
        cycle: output of :class:`Translators`.
        discriminators: D, images to (scores, domain logits), or an ``nn.ModuleList`` of several whose losses are averaged
            (the double discriminators of Table 9); freeze them with :func:`asymkit.frozen`.
        classification: None for :class:`asymkit.DomainClassificationLoss`.
        structure: None for :class:`asymkit.MSSSIMLoss`, which warns if images are too small for five scales.
        adversarial: None for least squares, :class:`asymkit.LogisticLoss` or :class:`asymkit.WassersteinLoss`.
        weights: terms of weight 0 are not computed; None for the paper's.

    Returns:
        Scalars by the names of :class:`Weights`; no terms for which the cycle has no images.
    """
    _check(cycle, discriminators, weights, classification=classification, structure=structure, adversarial=adversarial)
    gan, classify = adversarial or LeastSquaresLoss(), classification or DomainClassificationLoss()
    weights, terms = weights or Weights(), dict[str, Tensor]()
    if weights.adversarial or weights.classification:
        results = [_scores_in_one_batch(discriminator, cycle.fake)[0] for discriminator in _as_list(discriminators)]
        if weights.adversarial:
            terms["adversarial"] = _mean([gan.generator_loss(scores) for scores, _ in results])  # Eq. 4
        if weights.classification:
            terms["classification"] = _mean([classify(logits, cycle.target) for _, logits in results])  # Eq. 7
    if weights.cycle and cycle.rebuilt is not None:
        terms["cycle"] = ColorCycleLoss()(cycle.rebuilt, cycle.x)  # Eq. 1, 2
    if weights.structure and cycle.rebuilt is not None:
        terms["structure"] = (structure or MSSSIMLoss())(cycle.rebuilt, cycle.x)  # Eq. 5, 6
    if weights.identity and cycle.same_x is not None and cycle.same_y is not None:
        terms["identity"] = l1(cycle.same_x, cycle.x) + l1(cycle.same_y, cycle.y)  # Eq. 3
    if weights.way_back and cycle.returned is not None:
        terms["way_back"] = ColorCycleLoss()(cycle.returned, cycle.x)
    return terms


def discriminator_terms(
    cycle: Cycle,
    discriminators: nn.Module,
    classification: nn.Module | None = None,
    adversarial: AdversarialLoss | None = None,
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of the discriminators [AsymmetricGAN Eq. 4, 7].

    Args:
        cycle: detached.
        discriminators: D, one or an ``nn.ModuleList``.
        classification: as for the generators.
        adversarial: as for the generators.
        weights: terms of weight 0 are not computed; with a penalty above 0, also :func:`asymkit.gradient_penalty` between
            y and the translated images; None for the paper's.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: cycle is not detached.
    """
    _check(cycle, discriminators, weights, classification=classification, adversarial=adversarial)
    refuse_graph(cycle)
    gan, classify = adversarial or LeastSquaresLoss(), classification or DomainClassificationLoss()
    weights, terms = weights or Weights(), dict[str, Tensor]()
    of_each = _as_list(discriminators)
    if weights.adversarial or weights.classification:
        results = [_scores_in_one_batch(discriminator, cycle.x, cycle.y, cycle.fake) for discriminator in of_each]
        if weights.adversarial:
            real = [gan.discriminator_loss(of_y.scores, of_fake.scores) for _, of_y, of_fake in results]
            terms["adversarial"] = _mean(real)  # Eq. 4
        if weights.classification:
            right = [classify(of_x.logits, cycle.source) for of_x, of_y, of_fake in results]
            terms["classification"] = _mean(right)  # Eq. 7
    if weights.penalty:
        between = [gradient_penalty(partial(_scores, discriminator), cycle.y, cycle.fake) for discriminator in of_each]
        terms["penalty"] = _mean(between)
    return terms


def _as_list(discriminators: nn.Module) -> Sequence[nn.Module]:
    return list(discriminators) if isinstance(discriminators, nn.ModuleList) else [discriminators]


class _Result(NamedTuple):
    scores: Tensor  # D_s, per patch
    logits: Tensor  # D_c, of the domains


def _scores_in_one_batch(discriminator: nn.Module, *images: Tensor) -> list[_Result]:
    """Scores and logits of several batches, in one call as by :func:`in_one_batch`, with the same conditions."""
    result = discriminator(torch.cat(images))
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ValueError(
            f"discriminators must give (scores, domain logits), as DomainDiscriminator does, got {described(result)}"
        )
    return [_Result(*parts) for parts in zip(*(output.chunk(len(images)) for output in result), strict=True)]


def _scores(discriminator: nn.Module, images: Tensor) -> Tensor:
    return _scores_in_one_batch(discriminator, images)[0].scores


def _mean(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).mean()


def _check(cycle: Cycle, discriminators: nn.Module, weights: Weights | None, **losses: nn.Module | None) -> None:
    instance_of("cycle", cycle, Cycle, "what Translators give")
    if weights is not None:
        instance_of("weights", weights, Weights, "such as Weights(structure=0.0)")
    if not isinstance(discriminators, nn.Module):
        raise ValueError(
            f"discriminators must be a module, or nn.ModuleList([...]) for several, got {described(discriminators)}"
        )
    check_losses(**losses)
