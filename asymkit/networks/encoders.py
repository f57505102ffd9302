"""Encoder of an image of the rich domain into the latent code z."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import flags, sizes
from asymkit.blocks import PlainResidualBlock, ResidualBlock
from asymkit.checks import check_images, weight_of
from asymkit.initialisation import HeKernel2d, init_normal
from asymkit.layers import Conv7x7, ConvNormReLU, HeKernel7x7, reflect_padded_conv


class AuxEncoder(nn.Module):
    """E, the encoder of a rich image into the latent code z, the information that the poor image lacks [AsymGAN §IV-A].

    A 7×7 convolution, three stride-2 convolutions (width, 2·width, then 4·width channels), three residual blocks and a 1×1
    convolution to z. The pooled form averages over the image and has **no instance norm**: a norm would remove the colour
    and contrast that z is to carry, and training would ignore z. Layers without a norm have He initialisation, which
    CycleGAN code keeps, see :class:`asymkit.initialisation.HeInitialised`; the others are initialised from N(0, 0.02).

    Args:
        in_channels: of the rich image, at most 4,096.
        aux_channels: length of z, at most 4,096.
        pooled: True for a vector z (extended version), False for a spatial z of an eighth of the size (base version).
        width: output channels of the first layer, at most 1,024.

    Raises:
        ValueError: a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import AuxEncoder
        >>> photo = torch.zeros(2, 3, 64, 64)
        >>> AuxEncoder(width=8)(photo).shape, AuxEncoder(width=8, pooled=False)(photo).shape
        (torch.Size([2, 8]), torch.Size([2, 8, 8, 8]))
    """

    def __init__(self, in_channels: int = 3, aux_channels: int = 8, pooled: bool = True, width: int = 64) -> None:
        super().__init__()
        in_channels, aux_channels, width = sizes(in_channels=in_channels, aux_channels=aux_channels, width=width)
        (pooled,) = flags(pooled=pooled)
        self.in_channels, self.aux_channels, self.pooled = in_channels, aux_channels, pooled
        widths = [width, 2 * width, 4 * width, 4 * width]
        if pooled:
            # the layers of the other form without norms, with He initialisation instead
            convs = [
                HeKernel7x7(in_channels, width),
                *(HeKernel2d(i, o, 3, stride=2, padding=1) for i, o in itertools.pairwise(widths)),
            ]
            self.down = nn.Sequential(*(nn.Sequential(conv, nn.ReLU()) for conv in convs))
            self.blocks = nn.Sequential(*(PlainResidualBlock(4 * width) for _ in range(3)))
        else:
            self.down = nn.Sequential(
                ConvNormReLU(Conv7x7(in_channels, width), width),
                *(ConvNormReLU(reflect_padded_conv(i, o, stride=2), o) for i, o in itertools.pairwise(widths)),
            )
            self.blocks = nn.Sequential(*(ResidualBlock(4 * width) for _ in range(3)))
        self.to_aux = HeKernel2d(4 * width, aux_channels, kernel_size=1, nonlinearity="linear")
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            image: (N, in_channels, H, W), in [-1, 1], sides at least 16.

        Returns:
            z, (N, aux_channels), or (N, aux_channels, ⌈H/8⌉, ⌈W/8⌉) if it is not pooled.

        Raises:
            ValueError: the image has other channels or is too small.
        """
        check_images(image, "image", channels=self.in_channels, least_side=16, like=weight_of(self.to_aux))
        z = self.to_aux(F.relu(self.blocks(self.down(image))))
        return z.mean((2, 3)) if self.pooled else z

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"aux_channels={self.aux_channels}, pooled={self.pooled}"
