"""Generators conditioned on a domain label: AsymmetricGAN's three architectures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asymkit.arguments import MOST_BLOCKS, MOST_CHANNELS, at_least, sizes
from asymkit.blocks import ResidualBlock
from asymkit.checks import check_input
from asymkit.labels import concat_planes, label_vectors
from asymkit.layers import AuxConcat, ConvNormReLU, Upsampling, upsample2x, zero_padded_conv


class PlainGenerator(nn.Module):
    """Architecture I: seven convolutions at full size, 2.9K weights with seven domains [AsymmetricGAN Table 1].

    3×3 convolutions with 9, 8, 7, 6, 5 and 4 channels and those of the image, zero-padded and without biases, and affine
    instance norms. The label is concatenated to the image as one-hot label planes.

    Args:
        domains: number of domains, at most 10,000.
        in_channels: of the images, at most 4,096.
        out_channels: of the result, at most 4,096.
        label_embedding: None for one-hot label planes (the paper's parameter counts). An integer, 64 in the paper's text and
            at most 4,096, passes the one-hot label through a linear layer of that size first.

    Raises:
        ValueError: a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import PlainGenerator
        >>> PlainGenerator(domains=7)(torch.zeros(2, 3, 32, 32), torch.tensor([0, 6])).shape
        torch.Size([2, 3, 32, 32])
    """

    WIDTHS = (9, 8, 7, 6, 5, 4)
    multiple, least_side = 1, 2
    """Height and width must be divisible by multiple, and at least least_side."""

    def __init__(
        self, domains: int, in_channels: int = 3, out_channels: int = 3, label_embedding: int | None = None
    ) -> None:
        super().__init__()
        domains, in_channels, out_channels = sizes(domains=domains, in_channels=in_channels, out_channels=out_channels)
        self.domains, self.in_channels, self.label_embedding = domains, in_channels, label_embedding
        self.embed, length = _embedding(domains, label_embedding)
        self.register_buffer("image_channels", _image_channels(in_channels, out_channels, label_embedding))
        inputs = (in_channels + length, *self.WIDTHS)
        self.encoder = nn.Sequential(
            *(ConvNormReLU(zero_padded_conv(i, o), o, affine=True) for i, o in zip(inputs, self.WIDTHS, strict=False))
        )
        self.to_image = zero_padded_conv(self.WIDTHS[-1], out_channels)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, in_channels, H, W), in [-1, 1].
            condition: target domains, (N,) integers or (N, domains) floats; required.

        Returns:
            Images, (N, out_channels, H, W), in [-1, 1].

        Raises:
            ValueError: the image has other channels, or labels are missing, of another form or out of range.
        """
        check_input(self, image)
        label = label_vectors(condition, self.domains, image.shape[0], like=image).to(image)
        return torch.tanh(self.to_image(self.encoder(concat_planes(image, self.embed(label)))))

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"domains={self.domains}, label_embedding={self.label_embedding}"


class StarGenerator(nn.Module):
    """Architecture III, StarGAN's generator; without residual blocks architecture II [AsymmetricGAN Table 2, Table 3].

    A 7×7 convolution, two stride-2 convolutions, residual blocks, two transposed convolutions and a 7×7 convolution. All
    are zero-padded and without biases. Instance norms are affine and keep no running statistics, so that train and eval
    mode give the same output.

    Args:
        domains: number of domains, at most 10,000.
        blocks: number of residual blocks, 6 for architecture III, 0 for II, at most 256.
        width: output channels of the first layer, at most 1,024; the blocks have four times as many.
        label_embedding: None concatenates one-hot label planes to the image (StarGAN; the paper's parameter counts). An
            integer, 64 in the paper's text and at most 4,096, passes the one-hot label through a linear layer of that size
            and concatenates the result to the features before the residual blocks, or to the image if there are no blocks
            [AsymmetricGAN §3.1].
        in_channels: of the images, at most 4,096.
        out_channels: of the result, at most 4,096.
        upsampling: "transposed" (StarGAN's) or "resize" (avoids checkerboard artefacts).

    Raises:
        ValueError: a size is out of bounds, or upsampling is unknown.

    Example:
        >>> import torch
        >>> from asymkit import StarGenerator
        >>> generator = StarGenerator(domains=5, blocks=2, width=8)
        >>> image = torch.zeros(2, 3, 32, 32)
        >>> generator(image, torch.tensor([0, 4])).shape
        torch.Size([2, 3, 32, 32])
        >>> generator(image, torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1]])).shape
        torch.Size([2, 3, 32, 32])
    """

    multiple, least_side = 4, 8
    """Height and width must be divisible by multiple, and at least least_side."""

    def __init__(
        self,
        domains: int,
        blocks: int = 6,
        width: int = 64,
        label_embedding: int | None = None,
        in_channels: int = 3,
        out_channels: int = 3,
        *,
        upsampling: Upsampling = "transposed",
    ) -> None:
        super().__init__()
        domains, in_channels, out_channels = sizes(domains=domains, in_channels=in_channels, out_channels=out_channels)
        (width,), blocks = sizes(width=width), at_least("blocks", blocks, least=0, most=MOST_BLOCKS)
        self.domains, self.in_channels, self.label_embedding = domains, in_channels, label_embedding
        self.embed, length = _embedding(domains, label_embedding)
        self.register_buffer("image_channels", _image_channels(in_channels, out_channels, label_embedding))
        at_blocks = label_embedding is not None and blocks > 0
        self.label_at_blocks = AuxConcat(4 * width, length) if at_blocks else None
        self.encoder = nn.Sequential(
            ConvNormReLU(
                zero_padded_conv(in_channels + (0 if at_blocks else length), width, kernel_size=7), width, affine=True
            ),
            ConvNormReLU(zero_padded_conv(width, 2 * width, kernel_size=4, stride=2), 2 * width, affine=True),
            ConvNormReLU(zero_padded_conv(2 * width, 4 * width, kernel_size=4, stride=2), 4 * width, affine=True),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * width, affine=True) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            ConvNormReLU(upsample2x(4 * width, 2 * width, upsampling, 4, bias=False), 2 * width, affine=True),
            ConvNormReLU(upsample2x(2 * width, width, upsampling, 4, bias=False), width, affine=True),
        )
        self.to_image = zero_padded_conv(width, out_channels, kernel_size=7)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, in_channels, H, W), in [-1, 1], sides divisible by 4 and at least 8.
            condition: target domains, (N,) integers or (N, domains) floats; required.

        Returns:
            Images, (N, out_channels, H, W), in [-1, 1].

        Raises:
            ValueError: the image has other channels, sides are not divisible by 4, or labels are missing, of another form or
                out of range.
        """
        check_input(self, image)
        label = self.embed(label_vectors(condition, self.domains, image.shape[0], like=image).to(image))
        hidden = (
            self.encoder(concat_planes(image, label))
            if self.label_at_blocks is None
            else self.label_at_blocks(self.encoder(image), label)
        )
        return torch.tanh(self.to_image(self.decoder(self.blocks(hidden))))

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"domains={self.domains}, label_embedding={self.label_embedding}"


def _embedding(domains: int, length: int | None) -> tuple[nn.Module, int]:
    """The layer that one-hot labels pass through, and the length of its output."""
    if length is None:
        return nn.Identity(), domains
    length = at_least("label_embedding", length, most=MOST_CHANNELS)
    return nn.Linear(domains, length), length


def _image_channels(in_channels: int, out_channels: int, label_embedding: int | None) -> Tensor | None:
    """A buffer of length ``in_channels``, by which loaders can read that number off a state dict, or None.

    Without embedding the first convolution has in_channels + domains inputs, which loaders otherwise split by assuming that
    in_channels equals out_channels.
    """
    return torch.ones(in_channels) if label_embedding is None and in_channels != out_channels else None
