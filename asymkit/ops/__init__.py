"""Pure functions on batches of images and feature maps, on which the losses and layers are built."""

from asymkit.ops.backend import backend_of
from asymkit.ops.convolution import conv3x3, conv3x3_backend
from asymkit.ops.entropy import shannon_entropy
from asymkit.ops.gram import gram_matrix
from asymkit.ops.norm import conditional_instance_norm, instance_norm
from asymkit.ops.pixel import color_l1, total_variation
from asymkit.ops.ssim import ms_ssim, scales_that_fit, ssim

__all__ = [
    "backend_of",
    "color_l1",
    "conditional_instance_norm",
    "conv3x3",
    "conv3x3_backend",
    "gram_matrix",
    "instance_norm",
    "ms_ssim",
    "scales_that_fit",
    "shannon_entropy",
    "ssim",
    "total_variation",
]
