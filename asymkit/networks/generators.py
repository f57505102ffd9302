"""ResNet generators, with and without a latent code z; images in [-1, 1] in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from asymkit.arguments import at_least, described, flags, number, one_of, sizes
from asymkit.blocks import ConditionalResidualBlock, ImageSkip, ResidualBlock, image_of, middle_blocks
from asymkit.checks import check_images, check_input, check_vector, weight_of
from asymkit.initialisation import init_normal
from asymkit.layers import AuxConcat, Conv7x7, ConvNormReLU, Upsampling, reflect_padded_conv, upsample2x

Injection = Literal["concat", "concat_all", "cin", "cin_all"]


class ResnetGenerator(nn.Module):
    """The generator of Johnson et al. and CycleGAN: two stride-2 convolutions, residual blocks, two up-sampling layers.

    With ``blocks=6``, AsymGAN's rich→poor translator [AsymGAN §IV-A]. Weights are initialised from N(0, 0.02).

    Args:
        in_channels: of the image, or of image and condition together, at most 4,096.
        out_channels: of the result, at most 4,096.
        width: output channels of the first layer, at most 1,024; the blocks have four times as many.
        blocks: number of residual blocks, 9 for 256² and 6 for 128² in CycleGAN, at most 256.
        dropout: its probability after the first ReLU of each block in training; 0.5 in CycleGAN's and pix2pix's code.
        upsampling: "transposed" (CycleGAN's) or "resize" (avoids checkerboard artefacts).
        skip: add the image itself before the tanh, see :class:`asymkit.blocks.ImageSkip`: keeps its details where the images of
            both domains are aligned, such as grey and colour, or day and night. None of the papers has it.

    Raises:
        ValueError: a size or the dropout is out of bounds, or upsampling is unknown.

    Example:
        >>> import torch
        >>> from asymkit import ResnetGenerator
        >>> generator = ResnetGenerator(width=8, blocks=2)
        >>> generator(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """

    multiple, least_side = 4, 8
    """Height and width must be divisible by multiple, and at least least_side, for reflect padding at a quarter of the size."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        *,
        dropout: float = 0.0,
        upsampling: Upsampling = "transposed",
        skip: bool = False,
    ) -> None:
        super().__init__()
        in_channels, out_channels = sizes(in_channels=in_channels, out_channels=out_channels)
        (width, blocks), dropout = sizes(width=width, blocks=blocks), number("dropout", dropout, 0, 0.99)
        (skip,) = flags(skip=skip)
        self.in_channels = in_channels
        self.encoder = _encoder(in_channels, width)
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width, dropout=dropout) for _ in range(blocks)))
        self.decoder = _decoder(width, upsampling)
        self.to_image = Conv7x7(width, out_channels)
        self.skip = ImageSkip(in_channels, out_channels) if skip else None
        init_normal(self)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, in_channels − k, H, W), in [-1, 1], sides divisible by 4 and at least 8.
            condition: an image of k channels, (N, k, H, W), concatenated to the first; None for k = 0.

        Returns:
            Images, (N, out_channels, H, W), in [-1, 1].

        Raises:
            ValueError: the channels do not add up, sides are not divisible by 4, or condition is not an image (such as z).
        """
        if condition is not None:
            image = self._concatenated(image, condition)
        check_input(self, image)
        return image_of(self.to_image(self.decoder(self.blocks(self.encoder(image)))), image, self.skip)

    def _concatenated(self, image: Tensor, condition: Tensor) -> Tensor:
        check_images(image, "image", like=weight_of(self.to_image))
        missing = self.in_channels - image.shape[1]
        if missing < 1:
            raise ValueError(
                f"condition given, but the {image.shape[1]} channels of image fill this generator's in_channels="
                f"{self.in_channels}; build ResnetGenerator(in_channels={image.shape[1]} + k) for a condition image of k "
                "channels, or use AuxGenerator for a latent code z"
            )
        check_images(condition, "condition", channels=missing, like=weight_of(self.to_image))
        if condition.shape[0] != image.shape[0] or condition.shape[2:] != image.shape[2:]:
            raise ValueError(
                f"condition must have image's batch and size {tuple(image.shape)}, got {tuple(condition.shape)}; nothing is broadcast"
            )
        return torch.cat([image, condition], dim=1)


class AuxGenerator(nn.Module):
    """Poor→rich generator with a latent code z for the information that the poor image lacks [AsymGAN Fig. 12].

    :class:`ResnetGenerator` with one of four injections of z: ``"cin"``, conditional instance norms in the middle three
    residual blocks; ``"concat"``, concatenation to the feature map after half of the blocks; ``"concat_all"``,
    concatenation to every feature map from there on; ``"cin_all"``, which is not in the paper, conditional instance norms
    everywhere, as in Augmented CycleGAN (Almahairi et al. 2018). Weights are initialised from N(0, 0.02), those that z
    enters by He initialisation, also in CycleGAN code, so that z changes the image from the first step, see
    :class:`asymkit.initialisation.HeInitialised`.

    Args:
        in_channels: of the poor image, at most 4,096.
        out_channels: of the rich image, at most 4,096.
        aux_channels: length of z, or channels of a spatial z, at most 4,096.
        injection: "cin", "concat", "concat_all" or "cin_all".
        width: output channels of the first layer, at most 1,024; the blocks have four times as many.
        blocks: number of residual blocks, at most 256.
        spatial: z is a spatial map of an eighth of the image's size instead of a vector; only with "concat".
        upsampling: "transposed" (CycleGAN's) or "resize" (avoids checkerboard artefacts).
        skip: add the image itself before the tanh, see :class:`asymkit.blocks.ImageSkip`: keeps its details where the images of
            both domains are aligned, such as grey and colour, or day and night. None of the papers has it.

    Raises:
        ValueError: injection or upsampling is unknown, spatial without "concat", or a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import AuxGenerator
        >>> generator = AuxGenerator(width=8, blocks=4)
        >>> label = torch.zeros(2, 3, 32, 32)
        >>> generator(label, generator.sample_aux(2)).shape, generator(label).shape
        (torch.Size([2, 3, 32, 32]), torch.Size([2, 3, 32, 32]))
    """

    multiple, least_side = 4, 8
    """As in :class:`ResnetGenerator`."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        aux_channels: int = 8,
        injection: Injection = "cin",
        width: int = 64,
        blocks: int = 6,
        spatial: bool = False,
        *,
        upsampling: Upsampling = "transposed",
        skip: bool = False,
    ) -> None:
        super().__init__()
        one_of("injection", injection, ("concat", "concat_all", "cin", "cin_all"))
        spatial, skip = flags(spatial=spatial, skip=skip)
        in_channels, out_channels = sizes(in_channels=in_channels, out_channels=out_channels)
        aux_channels, width, blocks = sizes(aux_channels=aux_channels, width=width, blocks=blocks)
        if spatial and injection != "concat":
            raise ValueError(f"spatial=True needs injection='concat', got {injection!r}: the others take a vector z")
        self.in_channels, self.aux_channels = in_channels, aux_channels
        self.injection, self.spatial = injection, spatial
        conditional = {"cin": middle_blocks(blocks), "cin_all": range(blocks)}.get(injection, range(0))
        in_all_norms = aux_channels if injection == "cin_all" else None
        self.encoder = _encoder(in_channels, width, in_all_norms)
        self.blocks = nn.ModuleList(
            ConditionalResidualBlock(4 * width, aux_channels) if i in conditional else ResidualBlock(4 * width)
            for i in range(blocks)
        )
        self.decoder = _decoder(width, upsampling, in_all_norms)
        self.to_image = Conv7x7(width, out_channels)
        self.skip = ImageSkip(in_channels, out_channels) if skip else None
        self.concats = self._concats(width, blocks)
        init_normal(self)

    def _concats(self, width: int, blocks: int) -> nn.ModuleDict:
        """The layers that concatenate z, each by the name of the layer that follows it."""
        middle = blocks // 2
        channels_at: dict[str, int] = {}
        if self.injection == "concat":
            channels_at = {f"block{middle}": 4 * width}
        elif self.injection == "concat_all":
            channels_at = {f"block{i}": 4 * width for i in range(middle, blocks)}
            channels_at |= {"up0": 4 * width, "up1": 2 * width, "image": width}
        return nn.ModuleDict(
            {
                name: AuxConcat(channels, self.aux_channels, norm=name == "image")
                for name, channels in channels_at.items()
            }
        )

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: poor images, (N, in_channels, H, W), in [-1, 1], sides divisible by 4 and at least 8.
            condition: latent code z, (N, aux_channels), or, with "concat", (N, aux_channels, h, w), which is resized if its
                size is not an eighth of the image's; None samples z from N(0, I).

        Returns:
            Rich images, (N, out_channels, H, W), in [-1, 1].

        Raises:
            ValueError: the image has other channels, sides are not divisible by 4, or z has another shape.
        """
        check_input(self, image)
        if condition is None:
            z = self._sampled(image.shape[0], aux_size(image) if self.spatial else ())
        else:
            z = self._checked_z(condition, image.shape[0])
        hidden, in_all_norms = image, (z,) if self.injection == "cin_all" else ()
        for layer in self.encoder:
            hidden = layer(hidden, *in_all_norms)
        for i, block in enumerate(self.blocks):
            hidden = self._concat(f"block{i}", hidden, z)
            hidden = block(hidden, z) if isinstance(block, ConditionalResidualBlock) else block(hidden)
        for i, up in enumerate(self.decoder):
            hidden = up(self._concat(f"up{i}", hidden, z), *in_all_norms)
        return image_of(self.to_image(self._concat("image", hidden, z)), image, self.skip)

    def sample_aux(self, n: int, size: tuple[int, int] | None = None) -> Tensor:
        """Sample z from N(0, I), on the device and in the dtype of the weights.

        Args:
            n: number of samples, at most 65,536.
            size: height and width of a spatial z, an eighth of the image's, see :func:`aux_size`, at most 65,536;
                None for a vector.

        Returns:
            (n, aux_channels), or (n, aux_channels, h, w) for a size (h, w).

        Raises:
            ValueError: size is given but z is a vector, or None but z is spatial; n or a side is out of bounds.

        Example:
            >>> from asymkit import AuxGenerator
            >>> AuxGenerator(width=4).sample_aux(2).shape
            torch.Size([2, 8])
        """
        if size is not None and self.injection != "concat":
            raise ValueError(f"size {described(size)}: injection={self.injection!r} takes a vector z; leave it out")
        if size is None and self.spatial:
            raise ValueError("size: this generator takes a spatial z, give (H / 8, W / 8) of the images, rounded up")
        if size is not None and (not isinstance(size, (tuple, list)) or len(size) != 2):
            raise ValueError(f"size must be (height, width) of a spatial z, got {described(size)}")
        sides = [at_least(f"size[{i}]", side, most=65_536) for i, side in enumerate(size or ())]
        return self._sampled(at_least("n", n, most=65_536), sides)

    def _sampled(self, n: int, sides: Sequence[int]) -> Tensor:
        weight = weight_of(self.to_image)
        return torch.randn(n, self.aux_channels, *sides, device=weight.device, dtype=weight.dtype)

    def _concat(self, name: str, hidden: Tensor, z: Tensor) -> Tensor:
        """The input of the layer of this name, with z if it is concatenated there."""
        return self.concats[name](hidden, z) if name in self.concats else hidden

    def _checked_z(self, z: Tensor, batch: int) -> Tensor:
        if self.injection == "concat" and isinstance(z, Tensor) and z.ndim == 4:
            check_images(z, "condition (z)", channels=self.aux_channels, like=weight_of(self.to_image))
            if z.shape[0] != batch:
                raise ValueError(f"condition (z) must hold one map for each of the {batch} images, got {z.shape[0]}")
        else:
            check_vector(z, "condition (z)", self.aux_channels, batch, like=weight_of(self.to_image))
        return z

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"aux_channels={self.aux_channels}, injection={self.injection!r}, spatial={self.spatial}"


def aux_size(images: Tensor) -> tuple[int, int]:
    """Height and width of a spatial z for these images: an eighth, rounded up.

    Example:
        >>> import torch
        >>> from asymkit.networks.generators import aux_size
        >>> aux_size(torch.zeros(1, 3, 64, 36))
        (8, 5)
    """
    return -(-images.shape[-2] // 8), -(-images.shape[-1] // 8)


def _encoder(in_channels: int, width: int, aux_channels: int | None = None) -> nn.Sequential:
    return nn.Sequential(
        ConvNormReLU(Conv7x7(in_channels, width), width, aux_channels=aux_channels),
        *(ConvNormReLU(reflect_padded_conv(i, 2 * i, 2), 2 * i, aux_channels=aux_channels) for i in (width, 2 * width)),
    )


def _decoder(width: int, upsampling: Upsampling, aux_channels: int | None = None) -> nn.Sequential:
    return nn.Sequential(
        ConvNormReLU(upsample2x(4 * width, 2 * width, upsampling), 2 * width, aux_channels=aux_channels),
        ConvNormReLU(upsample2x(2 * width, width, upsampling), width, aux_channels=aux_channels),
    )
