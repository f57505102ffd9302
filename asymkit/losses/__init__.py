"""Losses as modules, which return scalars in float32 or wider, averaged over the batch."""

from asymkit.losses.adversarial import LeastSquaresLoss, LogisticLoss, WassersteinLoss, gradient_penalty
from asymkit.losses.classification import DomainClassificationLoss
from asymkit.losses.perceptual import ContentLoss, GramStyleLoss, LPIPSLoss, PerceptualLoss
from asymkit.losses.reconstruction import ColorCycleLoss, MSSSIMLoss, SSIMLoss, TotalVariationLoss

__all__ = [
    "ColorCycleLoss",
    "ContentLoss",
    "DomainClassificationLoss",
    "GramStyleLoss",
    "LPIPSLoss",
    "LeastSquaresLoss",
    "LogisticLoss",
    "MSSSIMLoss",
    "PerceptualLoss",
    "SSIMLoss",
    "TotalVariationLoss",
    "WassersteinLoss",
    "gradient_penalty",
]
