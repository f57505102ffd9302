"""Discriminators of images and of latent codes z, which return scores without a sigmoid."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import at_least, described, flags, sizes
from asymkit.checks import check_images, check_vector, weight_of
from asymkit.initialisation import HeDense, HeKernel2d, init_normal
from asymkit.layers import InstanceNorm2d

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """PatchGAN: one score for each patch of the receptive field, 70×70 pixels with three layers [AsymGAN §IV-A].

    4×4 convolutions, ``layers`` of stride 2 and two of stride 1, instance norm on all but the first and the last,
    LeakyReLU 0.2. Weights are initialised from N(0, 0.02).

    Args:
        in_channels: of the images, at most 4,096.
        width: output channels of the first layer, at most 1,024; doubled by every layer, up to eight times.
        layers: number of stride-2 layers, at most 8; the receptive field is 16, 34, 70 or 142 pixels with 1, 2, 3 or 4.

    Raises:
        ValueError: a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import PatchDiscriminator
        >>> PatchDiscriminator(width=8)(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1, 6, 6])
    """

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        in_channels, width, layers = sizes(in_channels=in_channels, width=width, layers=layers)
        self.in_channels = in_channels
        # the last norm gets a map of side / 2^layers − 1 pixels, and needs more than one
        self.least_side = 3 * 2**layers
        widths = [in_channels, *(width * min(2**i, 8) for i in range(layers + 1))]
        self.convs = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], kernel_size=4, stride=2 if i < layers else 1, padding=1)
            for i in range(layers + 1)
        )
        self.norms = nn.ModuleList(InstanceNorm2d(channels) for channels in widths[2:])
        self.to_score = nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1)
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Score a batch.

        Args:
            image: (N, in_channels, H, W), in [-1, 1], sides at least 3·2^layers.

        Returns:
            One score per patch, (N, 1, h, w), before any sigmoid.

        Raises:
            ValueError: the image has other channels or is too small.
        """
        check_images(
            image, "image", channels=self.in_channels, least_side=self.least_side, like=weight_of(self.to_score)
        )
        hidden = F.leaky_relu(self.convs[0](image), SLOPE)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            hidden = norm(conv(hidden), activation="leaky_relu", negative_slope=SLOPE)
        return self.to_score(hidden)


class MultiscaleDiscriminator(nn.Module):
    """Several :class:`PatchDiscriminator`, each on images of half the size of the one before [Async-GAN §IV-B].

    Args:
        in_channels: of the images, at most 4,096.
        width: output channels of the first layer, at most 1,024.
        layers: number of stride-2 layers in each, one more than CycleGAN's, at most 8.
        scales: number of discriminators, two in the paper, at most 8.

    Raises:
        ValueError: a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import MultiscaleDiscriminator
        >>> scores = MultiscaleDiscriminator(width=4)(torch.zeros(1, 3, 128, 128))
        >>> [score.shape for score in scores]
        [torch.Size([1, 1, 6, 6]), torch.Size([1, 1, 2, 2])]
    """

    def __init__(self, in_channels: int = 3, width: int = 64, layers: int = 4, scales: int = 2) -> None:
        super().__init__()
        in_channels, scales, layers = sizes(in_channels=in_channels, scales=scales, layers=layers)
        self.discriminators = nn.ModuleList(PatchDiscriminator(in_channels, width, layers) for _ in range(scales))
        self.in_channels, self.least_side = in_channels, 3 * 2 ** (layers + scales - 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Score a batch at every scale.

        Args:
            image: (N, in_channels, H, W), in [-1, 1], sides at least 3·2^(layers + scales − 1).

        Returns:
            A list of the scores of each discriminator, largest image first, which the adversarial losses take.

        Raises:
            ValueError: the image has other channels or is too small.
        """
        check_images(image, "image", channels=self.in_channels, least_side=self.least_side)
        scores = []
        for discriminator in self.discriminators:
            scores.append(discriminator(image))
            image = F.avg_pool2d(image, kernel_size=3, stride=2, padding=1, count_include_pad=False)
        return scores


class DomainDiscriminator(nn.Module):
    """StarGAN's discriminator: patch scores D_s, and logits D_c of the domain of the whole image [AsymmetricGAN §3.1].

    4×4 convolutions of stride 2 without norms, LeakyReLU 0.01, then two heads: a 3×3 convolution for the scores, and for
    the domains one as large as the last feature map.

    Args:
        domains: number of domains, at most 10,000.
        in_channels: of the images, at most 4,096.
        width: output channels of the first layer, at most 1,024; doubled by every layer.
        layers: number of stride-2 layers, six in StarGAN, at most 8; images below 64 pixels need fewer.
        image_size: side of square images, or (H, W); each divisible by 2^layers, at most 8,192.

    Raises:
        ValueError: a size is out of bounds, or a side is not divisible by 2^layers.

    Example:
        >>> import torch
        >>> from asymkit import DomainDiscriminator
        >>> scores, logits = DomainDiscriminator(domains=5, image_size=64, width=4)(torch.zeros(2, 3, 64, 64))
        >>> scores.shape, logits.shape
        (torch.Size([2, 1, 1, 1]), torch.Size([2, 5]))
        >>> scores, logits = DomainDiscriminator(domains=5, image_size=(64, 128), width=4)(torch.zeros(2, 3, 64, 128))
        >>> scores.shape, logits.shape
        (torch.Size([2, 1, 1, 2]), torch.Size([2, 5]))
    """

    SLOPE = 0.01

    def __init__(
        self,
        domains: int,
        in_channels: int = 3,
        width: int = 64,
        layers: int = 6,
        image_size: int | tuple[int, int] = 128,
    ) -> None:
        super().__init__()
        domains, width = sizes(domains=domains, width=width)
        in_channels, layers = sizes(in_channels=in_channels, layers=layers)
        pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        if len(pair) != 2:
            raise ValueError(f"image_size must be an integer, or the height and width, got {described(image_size)}")
        high, wide = (at_least("image_size", side, least=2**layers, most=8192) for side in pair)
        for side in (high, wide):
            if side % 2**layers:
                below = side - side % 2**layers
                raise ValueError(
                    f"image_size must be divisible by {2**layers}, which is 2^layers, got {side}; "
                    f"resize the images to {below} or {below + 2**layers}, or take fewer layers"
                )
        self.domains, self.in_channels = domains, in_channels
        self.image_size: int | tuple[int, int] = high if high == wide else (high, wide)
        widths = [in_channels, *(width * 2**i for i in range(layers))]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, kernel_size=4, stride=2, padding=1) for i, o in itertools.pairwise(widths)
        )
        self.to_score = nn.Conv2d(widths[-1], 1, kernel_size=3, padding=1, bias=False)
        self.to_domain = nn.Conv2d(widths[-1], domains, kernel_size=(high // 2**layers, wide // 2**layers), bias=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Score and classify a batch.

        Args:
            image: (N, in_channels, H, W) of the size it was built for, in [-1, 1].

        Returns:
            Scores, one per patch, (N, 1, h, w), before any sigmoid, and domain logits, (N, domains).

        Raises:
            ValueError: the image has other channels or another size.
        """
        check_images(image, "image", channels=self.in_channels, like=weight_of(self.to_score))
        high, wide = self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)
        if tuple(image.shape[2:]) != (high, wide):
            raise ValueError(
                f"image must be {high}×{wide}, got {image.shape[2]}×{image.shape[3]}; "
                "resize it, or build DomainDiscriminator(..., image_size=...) for this size"
            )
        hidden = image
        for conv in self.convs:
            hidden = F.leaky_relu(conv(hidden), self.SLOPE)
        return self.to_score(hidden), self.to_domain(hidden).flatten(1)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"domains={self.domains}, image_size={self.image_size}"


class AuxDiscriminator(nn.Module):
    """D_Z, the discriminator between encoded latent codes z and samples of N(0, I) [AsymGAN Eq. 7].

    An MLP for a vector z, a PatchGAN with a receptive field of 20×20 for a spatial z. Neither has norms: mean and variance
    of z are what it has to tell apart, and a batch norm would make scores depend on the other images. He initialisation,
    which CycleGAN code keeps, see :class:`asymkit.initialisation.HeInitialised`.

    Args:
        aux_channels: length of z, at most 4,096.
        width: features of the hidden layers, or, for a spatial z, of the first one; at most 1,024.
        spatial: z is a spatial map instead of a vector.

    Raises:
        ValueError: a size is out of bounds.

    Example:
        >>> import torch
        >>> from asymkit import AuxDiscriminator
        >>> AuxDiscriminator(8)(torch.randn(2, 8)).shape
        torch.Size([2, 1])
        >>> AuxDiscriminator(8, spatial=True)(torch.randn(2, 8, 8, 8)).shape
        torch.Size([2, 1, 2, 2])
    """

    def __init__(self, aux_channels: int, width: int = 64, spatial: bool = False) -> None:
        super().__init__()
        aux_channels, width = sizes(aux_channels=aux_channels, width=width)
        (spatial,) = flags(spatial=spatial)
        self.aux_channels, self.spatial = aux_channels, spatial
        layers: list[nn.Module]
        if spatial:
            layers = [
                HeKernel2d(aux_channels, width, kernel_size=4, stride=2, padding=1),
                HeKernel2d(width, 2 * width, kernel_size=4, padding=1),
                HeKernel2d(2 * width, 4 * width, kernel_size=4, padding=1),
                HeKernel2d(4 * width, 1, kernel_size=3, padding=1),
            ]
        else:
            layers = [
                HeDense(aux_channels, width),
                HeDense(width, width),
                HeDense(width, width),
                HeDense(width, 1),
            ]
        self.layers = nn.ModuleList(layers)

    def forward(self, z: Tensor) -> Tensor:
        """Score a batch.

        Args:
            z: (N, aux_channels), or (N, aux_channels, h, w) with sides of at least 8, from images of 64² or more.

        Returns:
            Scores, (N, 1), or (N, 1, h', w') for a map, before any sigmoid.

        Raises:
            ValueError: z has another shape.
        """
        like = next(self.parameters())
        if self.spatial:
            check_images(z, "z", channels=self.aux_channels, least_side=8, like=like)
        else:
            check_vector(z, "z", self.aux_channels, like=like)
        for layer in self.layers[:-1]:
            z = F.leaky_relu(layer(z), SLOPE)
        return self.layers[-1](z)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"aux_channels={self.aux_channels}, spatial={self.spatial}"
