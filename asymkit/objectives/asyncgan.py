"""Async-GAN: cycle training, with phases in which the easy direction is frozen and makes pairs for the hard one.

Zheng et al., Asynchronous Generative Adversarial Network for Asymmetric Unpaired Image-to-Image Translation, TMM 2022.
The paper's letters and the names here:

    X, Y   rich and poor images              F    rich_to_poor: X → Y, the easy direction
    ȳ_t    F(x) with F frozen                G    poor_to_rich: Y → X, the hard one
    z      latent code of §IV-E, N(0, I)     D    discriminators: rich, poor, aux

Joint steps are those of any cycle model, here :func:`joint_generator_terms` and :func:`joint_discriminator_terms`;
partial steps use :func:`partial_generator_terms` and :func:`partial_discriminator_terms`.
:class:`asymkit.AsyncScheduler` selects between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asymkit.arguments import instance_of, modules, one_of
from asymkit.checks import check_images
from asymkit.losses import LeastSquaresLoss
from asymkit.losses.adversarial import AdversarialLoss
from asymkit.objectives import asymgan
from asymkit.objectives.asymgan import Cycles, Discriminators
from asymkit.objectives.terms import aux_l1, check_step, checked_aux, in_one_batch, l1, refuse_graph
from asymkit.training.schedule import Phase

__all__ = [
    "Cycles",
    "Discriminators",
    "PseudoPairs",
    "Translators",
    "Weights",
    "joint_discriminator_terms",
    "joint_generator_terms",
    "partial_discriminator_terms",
    "partial_generator_terms",
    "pseudo_pair",
]

joint_generator_terms = asymgan.generator_terms  # Eq. 1-3: CycleGAN's without z, AsymGAN's with it (§IV-E)
joint_discriminator_terms = asymgan.discriminator_terms  # Eq. 1


class PseudoPairs(NamedTuple):
    """All images and latent codes of a partial step [Async-GAN Fig. 2]; without z, those that need it are None."""

    x: Tensor  # rich images
    poor: Tensor  # ȳ_t = F(x), detached
    rebuilt: Tensor  # x_t = G(ȳ_t), or G(ȳ_t, E(x))
    z: Tensor | None = None  # a sample of N(0, I)
    encoded_z: Tensor | None = None  # E(x)
    rebuilt_resampled: Tensor | None = None  # G(ȳ_t, z)
    rebuilt_z: Tensor | None = None  # ẑ = E(G(ȳ_t, z))

    def detach(self) -> PseudoPairs:
        """The same tensors detached, for the discriminators' step."""
        return PseudoPairs(**{name: tensor.detach() for name, tensor in self._asdict().items() if tensor is not None})


def pseudo_pair(rich_to_poor: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Pseudo pairs (ȳ_t, x): rich images and their translations by the frozen easy direction [Async-GAN §III-B].

    Args:
        rich_to_poor: F, images to images.
        x: rich images, (N, C, H, W), in [-1, 1].

    Returns:
        Poor images, detached, and x.

    Raises:
        ValueError: x is not a batch of images, or rich_to_poor is not a module.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.objectives.asyncgan import pseudo_pair
        >>> poor, x = pseudo_pair(nn.Conv2d(3, 1, 1), torch.zeros(2, 3, 8, 8))
        >>> poor.shape, poor.requires_grad
        (torch.Size([2, 1, 8, 8]), False)
    """
    modules(rich_to_poor=rich_to_poor)
    check_images(x, "x")
    with torch.no_grad():
        return rich_to_poor(x), x


class Translators(asymgan.Translators):
    """AsymGAN's translators, or CycleGAN's if there is no encoder, with a forward for joint and one for partial steps.

    Both go through the same ``forward``, as DistributedDataParallel requires.

    Example:
        >>> import torch
        >>> from asymkit import ResnetGenerator
        >>> from asymkit.objectives.asyncgan import Translators
        >>> model = Translators(ResnetGenerator(width=4, blocks=1), ResnetGenerator(width=4, blocks=1))
        >>> photos, labels = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
        >>> type(model(photos, labels)).__name__, type(model(photos, phase="partial")).__name__
        ('Cycles', 'PseudoPairs')
    """

    def forward(  # type: ignore[override]  # the type of the result depends on the phase
        self, x: Tensor, y: Tensor | None = None, z: Tensor | None = None, phase: Phase = "joint"
    ) -> Cycles | PseudoPairs:
        """Both cycles, or pseudo pairs.

        Args:
            x: rich images, (N, C, H, W), in [-1, 1].
            y: poor images, joint steps only.
            z: latent codes, (N, aux_channels); None samples them.
            phase: "joint" or "partial".

        Returns:
            :class:`asymkit.objectives.asymgan.Cycles` or :class:`PseudoPairs`.

        Raises:
            ValueError: y is missing in a joint step or given in a partial one, phase is unknown, or as in
                :class:`asymkit.objectives.asymgan.Translators`.
        """
        one_of("phase", phase, ("joint", "partial"))
        if phase == "joint":
            if y is None:
                raise ValueError("y is missing: a joint step needs poor images as well, model(x, y)")
            return super().forward(x, y, z)
        if y is not None:
            raise ValueError("y given, but a partial step makes its poor images itself: model(x, phase='partial')")
        poor, x = pseudo_pair(self.rich_to_poor, x)
        if self.encoder is None:
            if z is not None:
                raise ValueError("z given, but this model has no encoder")
            return PseudoPairs(x, poor, self.poor_to_rich(poor))
        encoded_z = self.encoder(x)
        z = torch.randn_like(encoded_z) if z is None else checked_aux(z, encoded_z)
        rich = in_one_batch(self.poor_to_rich, {"rebuilt": (poor, encoded_z), "rebuilt_resampled": (poor, z)})
        rebuilt_z = self.encoder(rich["rebuilt_resampled"])
        return PseudoPairs(x, poor, z=z, encoded_z=encoded_z, rebuilt_z=rebuilt_z, **rich)


@dataclass(frozen=True)
class Weights(asymgan.Weights):
    """Weights of the loss terms: AsymGAN's, which without z are CycleGAN's λ = 10, and γ [Async-GAN Eq. 3, 4].

    x is a rich image, y a poor one, z a latent code. But for γ the notation is AsymGAN's, whose G translates x to the poor
    domain and whose F translates back, which Async-GAN calls F and G. E finds z; D_X, D_Y and D_Z are the discriminators.

    Example:
        >>> import torch
        >>> from asymkit.objectives.asyncgan import Weights
        >>> Weights().total({"adversarial_rich": torch.tensor(1.0), "pseudo": torch.tensor(0.5)})
        tensor(6.)
    """

    pseudo: float = 10.0  # in partial steps, a rich image comes back from its pseudo pair: G(ȳ_t) is x (γ)


def partial_generator_terms(
    pairs: PseudoPairs,
    discriminators: Discriminators,
    adversarial: AdversarialLoss | None = None,
    weights: Weights | None = None,
) -> dict[str, Tensor]:
    """The unweighted loss terms of the hard direction in a partial step [Async-GAN Eq. 4].

    With z, the pseudo pair is (ȳ_t, E(x)) → x, because a sampled z with the target x would teach G to ignore z. Images from
    a sampled z enter the adversarial term, averaged with the others, and the cycle loss of z; D_Z is trained as well.

    Args:
        pairs: output of :class:`Translators` with ``phase="partial"``.
        discriminators: D; freeze them with :func:`asymkit.frozen`.
        adversarial: None for least squares, or :class:`asymkit.LogisticLoss`.
        weights: terms of weight 0 are not computed, such as ``pseudo`` in the paper's ablation; None for the paper's.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: pairs have z but discriminators have no ``aux``.
    """
    check_step("pairs", pairs, PseudoPairs, discriminators, Discriminators, adversarial=adversarial)
    if weights is not None:
        instance_of("weights", weights, Weights, "such as Weights(pseudo=0.0)")
    gan, weights, terms = adversarial or LeastSquaresLoss(), weights or Weights(), dict[str, Tensor]()
    if weights.adversarial_rich:
        terms["adversarial_rich"] = gan.generator_loss([discriminators.rich(fake) for fake in _fakes(pairs)])
    if weights.pseudo:
        terms["pseudo"] = l1(pairs.rebuilt, pairs.x)
    if pairs.encoded_z is not None and weights.adversarial_aux:
        terms["adversarial_aux"] = gan.generator_loss(discriminators.score_aux(pairs.encoded_z))
    if pairs.z is not None and pairs.rebuilt_z is not None and weights.cycle_aux:
        terms["cycle_aux"] = aux_l1(pairs.rebuilt_z, pairs.z)
    return terms


def partial_discriminator_terms(
    pairs: PseudoPairs, discriminators: Discriminators, adversarial: AdversarialLoss | None = None
) -> dict[str, Tensor]:
    """The unweighted loss terms of the discriminators of rich images and of z in a partial step [Async-GAN Eq. 4].

    Args:
        pairs: detached.
        discriminators: D, of which ``poor`` is not used.
        adversarial: as for the generator.

    Returns:
        Scalars by the names of :class:`Weights`.

    Raises:
        ValueError: pairs are not detached, or have z but discriminators have no ``aux``.
    """
    check_step("pairs", pairs, PseudoPairs, discriminators, Discriminators, adversarial=adversarial)
    refuse_graph(pairs[1:])
    gan = adversarial or LeastSquaresLoss()
    rich, aux = discriminators.rich, discriminators.score_aux
    terms = {"adversarial_rich": gan.discriminator_loss(rich(pairs.x), [rich(fake) for fake in _fakes(pairs)])}
    if pairs.encoded_z is not None and pairs.z is not None:
        terms["adversarial_aux"] = gan.discriminator_loss(aux(pairs.z), aux(pairs.encoded_z))
    return terms


def _fakes(pairs: PseudoPairs) -> list[Tensor]:
    return [pairs.rebuilt] if pairs.rebuilt_resampled is None else [pairs.rebuilt, pairs.rebuilt_resampled]
