"""Adversarial losses of discriminators and generators, as functions of the discriminator's scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import described, flags
from asymkit.checks import FLOATING, check_dense
from asymkit.precision import widen

Scores: TypeAlias = "Tensor | Sequence[Scores]"
"""A tensor of scores, or a list of them, one per scale, nested to any depth."""


class AdversarialLoss(nn.Module):
    """Base class of adversarial losses, with CycleGAN's interface ``loss(prediction, target_is_real)``."""

    def forward(self, prediction: Scores, target_is_real: bool) -> Tensor:
        """The loss of scores for a real or fake target, averaged over scales: a float32 scalar."""
        (target_is_real,) = flags(target_is_real=target_is_real)
        if isinstance(prediction, Tensor):
            check_dense("prediction", prediction, "a tensor of scores")
            if prediction.dtype not in FLOATING or prediction.numel() == 0:
                raise ValueError(
                    f"prediction must be non-empty floating point scores, got {prediction.dtype} {tuple(prediction.shape)}"
                )
            return self._distance(widen(prediction), target_is_real)
        if not isinstance(prediction, (list, tuple)) or not prediction:
            raise ValueError(
                f"prediction must be a tensor of scores or a non-empty list of them, got {described(prediction)}"
            )
        return torch.stack([self(scores, target_is_real) for scores in prediction]).mean()

    def generator_loss(self, fake: Scores) -> Tensor:
        """The generator's loss: scores of generated images against the target "real"."""
        return self(fake, True)

    def discriminator_loss(self, real: Scores, fake: Scores) -> Tensor:
        """The discriminator's loss: the sum for real and generated images, which CycleGAN's code multiplies by a half."""
        return self(real, True) + self(fake, False)

    def _distance(self, scores: Tensor, real: bool) -> Tensor:
        raise NotImplementedError


class LeastSquaresLoss(AdversarialLoss):
    """Least-squares GAN loss: (D − 1)² for real, D² for fake [AsymGAN §IV-A].

    Called as ``loss(prediction, target_is_real)`` it is CycleGAN's ``criterionGAN``.

    Example:
        >>> import torch
        >>> from asymkit import LeastSquaresLoss
        >>> loss = LeastSquaresLoss()
        >>> real, fake = torch.full((1, 1, 4, 4), 1.0), torch.full((1, 1, 4, 4), 0.5)
        >>> loss.generator_loss(fake), loss.discriminator_loss(real, fake), loss([real, fake], False)
        (tensor(0.2500), tensor(0.2500), tensor(0.6250))
    """

    def _distance(self, scores: Tensor, real: bool) -> Tensor:
        return (scores - float(real)).square().mean()


class LogisticLoss(AdversarialLoss):
    """The original GAN loss on logits: −log σ(D) for real, −log(1 − σ(D)) for fake [AsymGAN Eq. 1, 2].

    Generators minimise −log σ(D(fake)), the non-saturating form of the printed log(1 − σ(D(fake))).

    Example:
        >>> import torch
        >>> from asymkit import LogisticLoss
        >>> LogisticLoss().discriminator_loss(real=torch.zeros(1, 1), fake=torch.zeros(1, 1))
        tensor(1.3863)
    """

    def _distance(self, scores: Tensor, real: bool) -> Tensor:
        return F.softplus(-scores if real else scores).mean()
