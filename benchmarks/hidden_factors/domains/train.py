"""The training of all arms between several domains."""

from __future__ import annotations

from itertools import count

import torch

from asymkit import ColorCycleLoss, MSSSIMLoss, frozen
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.objectives.asymmetricgan.unsupervised import Cycle, Translators
from asymkit.ops.ssim import scales_that_fit
from hidden_factors.domains.arms import DomainArm
from hidden_factors.domains.data import Domains, batch
from hidden_factors.domains.scores import errors
from hidden_factors.train import Optimizers, Trained, Training, trained


def train(arm: DomainArm, data: Domains, options: Training, seed: int) -> Trained[Translators]:
    """Train one arm with one seed; which images it sees depends on the seed alone.

    Raises:
        ValueError: a supervised arm where the true translations are not known.
    """
    torch.manual_seed(seed)
    model, discriminators = arm.networks(options.width, data)
    if arm.schedule == "none":
        return Trained(model, model, 0, 0.0, [])
    optimizers = Optimizers(model, discriminators, options)
    generator, numbers = torch.Generator().manual_seed(1000 + seed), count(1)
    msssim = MSSSIMLoss(scales=scales_that_fit(data.size, data.size))

    def step(_progress: float) -> None:
        x, y = batch(data, options.batch, generator)
        if next(numbers) % arm.every:
            with torch.no_grad():
                fake = model.dual.translate(x.images, y.domains)
            cycle = Cycle(x.images, x.domains, y.images, y.domains, fake)
        else:
            cycle = model(x.images, x.domains, y.images, y.domains)
            with frozen(discriminators):
                terms = unsupervised.generator_terms(cycle, discriminators, None, msssim, arm.adversarial, arm.weights)
                if arm.schedule == "supervised":
                    truth = data.truth(x, y.domains)
                    if truth is None:
                        raise ValueError(
                            "arms: the true translations of these domains are not known; leave out supervised"
                        )
                    terms["cycle"] = ColorCycleLoss()(cycle.fake, truth)
                optimizers.update_generators(arm.weights.total(terms))
        terms = unsupervised.discriminator_terms(cycle.detach(), discriminators, None, arm.adversarial, arm.weights)
        optimizers.update_discriminators(arm.weights.total(terms))

    return trained(model, optimizers, step, lambda average: errors(average, data), options)
