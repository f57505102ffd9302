"""Loading and saving of weights: PyTorch and safetensors files, and the state dicts of published code."""

from asymkit.checkpoints.files import load_weights, read_state_dict, save_weights
from asymkit.checkpoints.outward import to_published
from asymkit.checkpoints.published import (
    load_asymmetricgan_generators,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_network,
    load_stargan_discriminator,
    load_stargan_generator,
)

__all__ = [
    "load_asymmetricgan_generators",
    "load_cyclegan_discriminator",
    "load_cyclegan_generator",
    "load_network",
    "load_stargan_discriminator",
    "load_stargan_generator",
    "load_weights",
    "read_state_dict",
    "save_weights",
    "to_published",
]
