"""The methods that are compared between several domains, over asymkit's own networks and objective.

All arms have the same discriminator, unless they have two, the same optimizers, and see the same images. StarGAN is
AsymmetricGAN's code with its own terms: one generator, WGAN-GP, no identity, no structure, and L1 as a mean over channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from asymkit import DomainDiscriminator, DualGenerator, LeastSquaresLoss, WassersteinLoss
from asymkit.losses.adversarial import AdversarialLoss
from asymkit.networks.dual import Preset, Sharing
from asymkit.objectives.asymmetricgan.unsupervised import Translators, Weights
from hidden_factors.domains.data import Domains

Schedule = Literal["joint", "supervised", "none"]
"""Unpaired; with the true translation in place of the cycle; no training."""


@dataclass(frozen=True)
class DomainArm:
    """One method."""

    about: str
    preset: Preset = "S2"
    sharing: Sharing = "none"
    narrow: bool = False  # as wide as brings its weights nearest to those of one generator for both tasks
    discriminators: Literal[1, 2] = 1  # the second has a layer less
    weights: Weights = field(default_factory=Weights)
    adversarial: AdversarialLoss = field(default_factory=LeastSquaresLoss)
    every: int = 1  # the generators move in one step of so many, the discriminators in all
    schedule: Schedule = "joint"

    def networks(self, width: int, data: Domains) -> tuple[Translators, nn.ModuleList]:
        """Fresh ones; drawn from PyTorch's random state."""
        if self.schedule == "none":
            return Translators(DualGenerator(Same(), Same())), nn.ModuleList()
        domains, layers = len(data.names), int(math.log2(data.size)) - 1
        discriminators = nn.ModuleList(
            DomainDiscriminator(domains, width=2 * width, layers=layers - i, image_size=data.size)
            for i in range(self.discriminators)
        )
        dual = self._dual(domains, self._narrowed(domains, width) if self.narrow else width)
        reconstruction = self.weights.cycle > 0 or self.weights.structure > 0
        identity, way_back = self.weights.identity > 0, self.weights.way_back > 0
        return Translators(dual, identity, reconstruction, way_back), discriminators

    def _dual(self, domains: int, width: int) -> DualGenerator:
        return DualGenerator.preset(self.preset, domains, self.sharing, width, upsampling="resize")

    def _narrowed(self, domains: int, width: int) -> int:
        with torch.device("meta"):
            one = weights_of(replace(self, preset="S3", sharing="full")._dual(domains, width))
            return min(range(1, width + 1), key=lambda n: abs(weights_of(self._dual(domains, n)) - one))


class Same(nn.Module):
    """The image that it is given, whatever the domain."""

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Do nothing."""
        return image


def weights_of(network: nn.Module) -> int:
    """How many there are to train."""
    return sum(weight.numel() for weight in network.parameters())


STARGAN = Weights(structure=0.0, identity=0.0, cycle=10 / 3, penalty=10.0)
"""λ_rec 10 of a mean over three channels, whose sum the term is."""
WAY_BACK = Weights(way_back=10.0)
"""The weight of the cycle, as one generator for both tasks has it."""
ARMS = {
    "nothing": DomainArm("Do nothing: images are their own translations", schedule="none"),
    "supervised": DomainArm(
        "Supervised: the true translation in place of the cycle", "S3", "full", schedule="supervised"
    ),
    "stargan": DomainArm(
        "StarGAN: one generator, WGAN-GP", "S3", "full", weights=STARGAN, adversarial=WassersteinLoss(), every=2
    ),
    "shared": DomainArm("One generator for both tasks", "S3", "full"),
    "partly-shared": DomainArm("S3, shared up to the up-sampling", "S3", "partial"),
    "S1": DomainArm("S1", "S1"),
    "S2": DomainArm("S2", "S2"),
    "S3": DomainArm("S3", "S3"),
    "S2-way-back": DomainArm("S2, the translator learns the way back too", "S2", weights=WAY_BACK),
    "S3-way-back": DomainArm("S3, the translator learns the way back too", "S3", weights=WAY_BACK),
    "S2-narrow": DomainArm("S2 with the weights of one generator", "S2", narrow=True),
    "S3-narrow": DomainArm("S3 with the weights of one generator", "S3", narrow=True),
    "S2-double": DomainArm("S2, two discriminators", discriminators=2),
    "S2-no-identity": DomainArm(
        "S2, two discriminators, without identity", discriminators=2, weights=Weights(identity=0.0)
    ),
    "S2-no-structure": DomainArm(
        "S2, two discriminators, without MS-SSIM", discriminators=2, weights=Weights(structure=0.0)
    ),
    "S2-no-cycle": DomainArm(
        "S2, two discriminators, without the colour cycle", discriminators=2, weights=Weights(cycle=0.0)
    ),
}
"""By the name on the command line. S2 is without the second discriminator that the last three have."""
