"""Generators, discriminators, encoders and frozen feature networks."""

from asymkit.networks.discriminators import (
    AuxDiscriminator,
    DomainDiscriminator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
)
from asymkit.networks.dual import DualGenerator
from asymkit.networks.encoders import AuxEncoder
from asymkit.networks.features import VGGFeatures
from asymkit.networks.generators import AuxGenerator, ResnetGenerator
from asymkit.networks.highres import HighResGenerator
from asymkit.networks.label_generators import PlainGenerator, StarGenerator

__all__ = [
    "AuxDiscriminator",
    "AuxEncoder",
    "AuxGenerator",
    "DomainDiscriminator",
    "DualGenerator",
    "HighResGenerator",
    "MultiscaleDiscriminator",
    "PatchDiscriminator",
    "PlainGenerator",
    "ResnetGenerator",
    "StarGenerator",
    "VGGFeatures",
]
