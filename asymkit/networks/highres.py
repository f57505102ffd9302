"""Generator for larger images: one more down- and up-sampling than CycleGAN's, with or without a latent code z."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from asymkit.arguments import at_least, flags, sizes
from asymkit.blocks import ConditionalResidualBlock, ImageSkip, ResidualBlock, image_of
from asymkit.checks import check_input, check_vector, weight_of
from asymkit.initialisation import init_normal
from asymkit.layers import Conv7x7, ConvNormReLU, Upsampling, upsample2x


class HighResGenerator(nn.Module):
    """Async-GAN's generator for images of 512² and more: CycleGAN's with a third stride-2 stage [Async-GAN §IV-B].

    A 7×7 convolution, three 4×4 convolutions of stride 2, residual blocks, three up-sampling layers and a 7×7 convolution.
    The paper lists two up-sampling layers for three down-sampling ones; here there are three, with 256, 128 and 64 channels.
    With ``aux_channels``, all residual blocks have conditional instance norms [Async-GAN §IV-E]. Weights are initialised
    from N(0, 0.02), γ(z) and β(z) with unit variance, see :class:`asymkit.layers.ConditionalInstanceNorm2d`.

    Args:
        in_channels: of the image, at most 4,096.
        out_channels: of the result, at most 4,096.
        width: output channels of the first layer, at most 1,024; the blocks have four times as many.
        blocks: number of residual blocks, at most 256.
        aux_channels: length of z, 128 in the paper, at most 4,096; None for a generator without z.
        upsampling: "transposed" (the paper's) or "resize" (avoids checkerboard artefacts).
        skip: add the image itself before the tanh, as in :class:`asymkit.ResnetGenerator`.

    Raises:
        ValueError: a size is out of bounds, or upsampling is unknown.

    Example:
        >>> import torch
        >>> from asymkit import HighResGenerator
        >>> image = torch.zeros(2, 3, 32, 32)
        >>> HighResGenerator(width=4, blocks=2)(image).shape
        torch.Size([2, 3, 32, 32])
        >>> generator = HighResGenerator(width=4, blocks=2, aux_channels=16)
        >>> generator(image, generator.sample_aux(2)).shape
        torch.Size([2, 3, 32, 32])
    """

    multiple, least_side = 8, 16
    """Height and width must be divisible by multiple, and at least least_side, for reflect padding at an eighth of the size."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        blocks: int = 8,
        aux_channels: int | None = None,
        *,
        upsampling: Upsampling = "transposed",
        skip: bool = False,
    ) -> None:
        super().__init__()
        in_channels, out_channels = sizes(in_channels=in_channels, out_channels=out_channels)
        (width, blocks), (skip,) = sizes(width=width, blocks=blocks), flags(skip=skip)
        if aux_channels is not None:
            (aux_channels,) = sizes(aux_channels=aux_channels)
        self.in_channels, self.aux_channels = in_channels, aux_channels
        down = [width, 2 * width, 4 * width, 4 * width]
        up = [4 * width, 4 * width, 2 * width, width]
        self.encoder = nn.Sequential(
            ConvNormReLU(Conv7x7(in_channels, width), width),
            *(
                ConvNormReLU(nn.Conv2d(i, o, kernel_size=4, stride=2, padding=1), o)
                for i, o in itertools.pairwise(down)
            ),
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(4 * width) if aux_channels is None else ConditionalResidualBlock(4 * width, aux_channels)
            for _ in range(blocks)
        )
        self.decoder = nn.Sequential(
            *(ConvNormReLU(upsample2x(i, o, upsampling, kernel_size=4), o) for i, o in itertools.pairwise(up))
        )
        self.to_image = Conv7x7(width, out_channels)
        self.skip = ImageSkip(in_channels, out_channels) if skip else None
        init_normal(self)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, in_channels, H, W), in [-1, 1], sides divisible by 8 and at least 16.
            condition: latent code z, (N, aux_channels); None samples z from N(0, I) if the generator takes one.

        Returns:
            Images, (N, out_channels, H, W), in [-1, 1].

        Raises:
            ValueError: the image has other channels, sides are not divisible by 8, z has another shape, or the generator
                takes no z.
        """
        check_input(self, image)
        if self.aux_channels is None:
            if condition is not None:
                raise ValueError(
                    "condition given, but this generator takes no z; build HighResGenerator(aux_channels=...)"
                )
        elif condition is None:
            condition = self._sampled(image.shape[0], self.aux_channels)
        else:
            check_vector(condition, "condition (z)", self.aux_channels, image.shape[0], like=weight_of(self.to_image))
        z = () if condition is None else (condition,)
        hidden = self.encoder(image)
        for block in self.blocks:
            hidden = block(hidden, *z)
        return image_of(self.to_image(self.decoder(hidden)), image, self.skip)

    def sample_aux(self, n: int) -> Tensor:
        """Sample z from N(0, I), (n, aux_channels), on the device and in the dtype of the weights.

        Args:
            n: number of samples, at most 65,536.

        Raises:
            ValueError: the generator takes no z, or n is out of bounds.
        """
        if self.aux_channels is None:
            raise ValueError("this generator takes no z; build HighResGenerator(aux_channels=...)")
        return self._sampled(at_least("n", n, most=65_536), self.aux_channels)

    def _sampled(self, n: int, aux_channels: int) -> Tensor:
        like = weight_of(self.to_image)
        return torch.randn(n, aux_channels, device=like.device, dtype=like.dtype)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"aux_channels={self.aux_channels}"
