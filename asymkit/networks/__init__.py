"""Generators, critics, encoders and frozen feature networks."""

from asymkit.networks.discriminators import AuxDiscriminator, PatchDiscriminator
from asymkit.networks.encoders import AuxEncoder
from asymkit.networks.features import VGGFeatures
from asymkit.networks.generators import AuxGenerator, ResnetGenerator

__all__ = ["AuxDiscriminator", "AuxEncoder", "AuxGenerator", "PatchDiscriminator", "ResnetGenerator", "VGGFeatures"]
