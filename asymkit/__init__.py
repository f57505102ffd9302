"""Asymmetric image-to-image translation in PyTorch: parts to import into the CycleGAN, StarGAN or MUNIT code you have.

Networks, losses and the schedule are here; objectives in :mod:`asymkit.objectives`, functions on tensors in
:mod:`asymkit.ops`.
"""

from asymkit.losses import (
    ColorCycleLoss,
    ContentLoss,
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
    PatchDiscriminator,
    ResnetGenerator,
    VGGFeatures,
)
from asymkit.pool import ImagePool
from asymkit.schedule import frozen, linear_decay

__version__ = "0.1.0"

__all__ = [
    "AuxDiscriminator",
    "AuxEncoder",
    "AuxGenerator",
    "ColorCycleLoss",
    "ContentLoss",
    "GramStyleLoss",
    "ImagePool",
    "LPIPSLoss",
    "LeastSquaresLoss",
    "LogisticLoss",
    "MSSSIMLoss",
    "PatchDiscriminator",
    "PerceptualLoss",
    "ResnetGenerator",
    "SSIMLoss",
    "TotalVariationLoss",
    "VGGFeatures",
    "__version__",
    "frozen",
    "linear_decay",
]
