"""Adversarial losses of discriminators and generators, as functions of the discriminator's scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import described, flags
from asymkit.checks import FLOATING, check_dense, check_image_pair
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


class WassersteinLoss(AdversarialLoss):
    """−D for real, D for fake: the distance of WGAN (Arjovsky et al. 2017), to be used with :func:`gradient_penalty`.

    What StarGAN's code trains with, and the published code of AsymmetricGAN; the papers' own losses are the other two.

    Example:
        >>> import torch
        >>> from asymkit import WassersteinLoss
        >>> WassersteinLoss().discriminator_loss(real=torch.full((1, 1), 2.0), fake=torch.full((1, 1), 0.5))
        tensor(-1.5000)
    """

    def _distance(self, scores: Tensor, real: bool) -> Tensor:
        return -scores.mean() if real else scores.mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP (Gulrajani et al. 2017): (‖∇D‖ − 1)² at a random point between each real and generated image.

    Args:
        discriminator: images to scores, such as ``lambda image: domain_discriminator(image)[0]``. A norm over the batch
            in it would mix the images' gradients.
        real: images, (N, C, H, W).
        fake: generated images of that shape, whose graph is left out.

    Returns:
        The mean over the batch, a scalar that backward can be called on.

    Raises:
        ValueError: images of different shapes, types or devices, or a discriminator that gives no tensor of scores.

    Example:
        >>> import torch
        >>> from asymkit import PatchDiscriminator
        >>> from asymkit.losses import gradient_penalty
        >>> real, fake = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> gradient_penalty(PatchDiscriminator(width=4, layers=2), real, fake).shape
        torch.Size([])
    """
    check_image_pair(real, fake, ("real", "fake"))
    if not callable(discriminator) or isinstance(discriminator, type):
        raise ValueError(f"discriminator must take images and give scores, got {described(discriminator)}")
    real, fake = real.detach(), fake.detach().to(real.dtype)  # which autocast may have made in half precision
    share = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
    between = torch.lerp(fake, real, share).requires_grad_()
    scores = discriminator(between)
    if not isinstance(scores, Tensor):
        raise ValueError(f"discriminator must give a tensor of scores, got {described(scores)}; take its scores alone")
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return (widen(gradient).flatten(1).norm(dim=1) - 1).square().mean()
