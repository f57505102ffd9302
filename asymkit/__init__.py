"""Asymmetric image-to-image translation in PyTorch: parts to import into the CycleGAN, StarGAN or MUNIT code you have.

Networks, losses and the schedule are here; objectives in :mod:`asymkit.objectives`, functions on tensors in
:mod:`asymkit.ops`.
"""

from asymkit.blocks import checkpoint_blocks
from asymkit.checkpoints import (
    load_asymmetricgan_generators,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_network,
    load_stargan_discriminator,
    load_stargan_generator,
    load_weights,
    read_state_dict,
    save_weights,
    to_published,
)
from asymkit.inference import AnySize, Tiled
from asymkit.losses import (
    ColorCycleLoss,
    ContentLoss,
    DomainClassificationLoss,
    GramStyleLoss,
    LeastSquaresLoss,
    LogisticLoss,
    LPIPSLoss,
    MSSSIMLoss,
    PerceptualLoss,
    SSIMLoss,
    TotalVariationLoss,
)
from asymkit.networks import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    DomainDiscriminator,
    DualGenerator,
    HighResGenerator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    VGGFeatures,
)
from asymkit.training import (
    AsyncScheduler,
    CapturableImagePool,
    CapturedStep,
    DiscriminatorAugmentation,
    ImagePool,
    ImagePools,
    StepGuard,
    frozen,
    linear_decay,
)

__version__ = "0.1.0"

__all__ = [
    "AnySize",
    "AsyncScheduler",
    "AuxDiscriminator",
    "AuxEncoder",
    "AuxGenerator",
    "CapturableImagePool",
    "CapturedStep",
    "ColorCycleLoss",
    "ContentLoss",
    "DiscriminatorAugmentation",
    "DomainClassificationLoss",
    "DomainDiscriminator",
    "DualGenerator",
    "GramStyleLoss",
    "HighResGenerator",
    "ImagePool",
    "ImagePools",
    "LPIPSLoss",
    "LeastSquaresLoss",
    "LogisticLoss",
    "MSSSIMLoss",
    "MultiscaleDiscriminator",
    "PatchDiscriminator",
    "PerceptualLoss",
    "PlainGenerator",
    "ResnetGenerator",
    "SSIMLoss",
    "StarGenerator",
    "StepGuard",
    "Tiled",
    "TotalVariationLoss",
    "VGGFeatures",
    "__version__",
    "checkpoint_blocks",
    "frozen",
    "linear_decay",
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
