"""Layers of the networks: instance norms, convolutions, up-sampling, and the injection of the latent code z."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit import ops
from asymkit.arguments import one_of
from asymkit.checks import check_device, check_images, check_vector
from asymkit.initialisation import HeDense, HeInitialised, HeKernel2d
from asymkit.labels import concat_planes
from asymkit.ops.norm import NEGATIVE_SLOPE, Activation, norm_of_images
from asymkit.ops.padding import reflect_pad, replicate_pad
from asymkit.precision import widen

Upsampling = Literal["transposed", "resize"]


class InstanceNorm2d(nn.Module):
    """Instance norm as ``nn.InstanceNorm2d``, with a bounded gradient on flat images: :func:`asymkit.ops.instance_norm`.

    Keeps no running statistics, so train and eval mode give the same output.

    Args:
        num_features: channels of the input.
        eps: added to the variance.
        affine: learn one scale and one shift per channel.

    Example:
        >>> import torch
        >>> from asymkit.layers import InstanceNorm2d
        >>> InstanceNorm2d(3)(torch.randn(2, 3, 8, 8), activation="relu").shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, num_features: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        self.num_features, self.eps = num_features, eps
        self.weight = nn.Parameter(torch.empty(num_features)) if affine else None
        self.bias = nn.Parameter(torch.empty(num_features)) if affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scales of 1 and shifts of 0, e.g. after ``to_empty`` of a layer that was built on the meta device."""
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(
        self,
        x: Tensor,
        activation: Activation | None = None,
        residual: Tensor | None = None,
        negative_slope: float = NEGATIVE_SLOPE,
    ) -> Tensor:
        """Maps (N, C, H, W) in, the same shape out."""
        check_images(x, "x", channels=self.num_features)
        scale = shift = None
        if self.weight is not None and self.bias is not None:
            check_device("x", x, self.weight)
            scale, shift = self.weight.expand(x.shape[:2]), self.bias.expand(x.shape[:2])
        return norm_of_images(x, scale, shift, activation, residual, self.eps, negative_slope)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


class ConditionalInstanceNorm2d(nn.Module):
    """Conditional instance norm: scale 1 + γ(z) and shift β(z) are linear in the latent code z [AsymGAN Fig. 12].

    γ(z) and β(z) are initialised to unit variance over z from N(0, I), so that z changes the image from the first step,
    see :class:`asymkit.initialisation.HeInitialised`. Without the 1, activations would shrink in every block.

    Args:
        num_features: channels of the input.
        aux_channels: length of the latent code z.
        eps: added to the variance.

    Example:
        >>> import torch
        >>> from asymkit.layers import ConditionalInstanceNorm2d
        >>> norm = ConditionalInstanceNorm2d(16, aux_channels=8)
        >>> norm(torch.randn(2, 16, 8, 8), torch.randn(2, 8)).shape
        torch.Size([2, 16, 8, 8])
    """

    def __init__(self, num_features: int, aux_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features, self.aux_channels, self.eps = num_features, aux_channels, eps
        self.gamma = HeDense(aux_channels, num_features, nonlinearity="linear")
        self.beta = HeDense(aux_channels, num_features, nonlinearity="linear")

    def forward(
        self,
        x: Tensor,
        z: Tensor,
        activation: Activation | None = None,
        residual: Tensor | None = None,
        negative_slope: float = NEGATIVE_SLOPE,
    ) -> Tensor:
        """Maps (N, C, H, W) and z (N, aux_channels) in, maps of the same shape out."""
        check_images(x, "x", channels=self.num_features)
        check_device("x", x, self.gamma.weight)
        check_vector(z, "z", self.aux_channels, x.shape[0], like=self.gamma.weight)
        scale = 1 + widen(self.gamma(z))  # under autocast bfloat16 would round it to steps of 1/128
        return norm_of_images(x, scale, self.beta(z), activation, residual, self.eps, negative_slope)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"{self.num_features}, aux_channels={self.aux_channels}, eps={self.eps}"


class ConvNormReLU(nn.Module):
    """Convolution, instance norm and ReLU, as in CycleGAN's generators.

    Args:
        conv: any module (N, C, H, W) -> (N, channels, H', W').
        channels: output channels of ``conv``.
        affine: learn a scale and a shift in the norm, as StarGAN does.
        aux_channels: length of z for a conditional norm; None for a norm without z.
    """

    def __init__(self, conv: nn.Module, channels: int, affine: bool = False, aux_channels: int | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.norm: nn.Module = (
            InstanceNorm2d(channels, affine=affine)
            if aux_channels is None
            else ConditionalInstanceNorm2d(channels, aux_channels)
        )

    def forward(self, x: Tensor, *z: Tensor) -> Tensor:
        """Images or feature maps, and z (N, aux_channels) for a conditional norm, in; non-negative feature maps out."""
        return self.norm(self.conv(x), *z, activation="relu")


class Conv3x3(nn.Conv2d):
    """``nn.Conv2d`` with ``kernel_size=3, stride=1, padding=1``, computed by :func:`asymkit.ops.conv3x3`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: learn a bias.
        padding_mode: "zeros" or "reflect".

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.layers import Conv3x3
        >>> conv, x = Conv3x3(4, 2, padding_mode="reflect"), torch.randn(1, 4, 8, 8)
        >>> torch.equal(conv(x), nn.Conv2d.forward(conv, x))
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect"] = "zeros",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias, padding_mode=padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) in, (N, out_channels, H, W) out."""
        return ops.conv3x3(x, self.weight, self.bias, self.padding_mode)  # type: ignore[arg-type]  # one of two


class HeKernel3x3(HeInitialised, Conv3x3):
    """:class:`Conv3x3`, initialised as :class:`asymkit.initialisation.HeInitialised` says."""


class Conv7x7(nn.Conv2d):
    """The reflect-padded 7×7 convolution of CycleGAN's first and last layer; it keeps the memory layout of its input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.

    Example:
        >>> import torch
        >>> from asymkit.layers import Conv7x7
        >>> conv, x = Conv7x7(3, 2), torch.randn(1, 3, 8, 8)
        >>> torch.equal(conv(x), torch.nn.Conv2d.forward(conv, x))
        True
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=7, padding=3, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Images or maps (N, in_channels, H, W) in, (N, out_channels, H, W) out."""
        return F.conv2d(reflect_pad(x, 3), self.weight, self.bias)


class HeKernel7x7(HeInitialised, Conv7x7):
    """:class:`Conv7x7`, initialised as :class:`asymkit.initialisation.HeInitialised` says."""


class ResizeConv2d(nn.Conv2d):
    """Nearest-neighbour up-sampling by 2, then a reflect-padded 3×3 convolution, computed as one transposed convolution.

    After up-sampling, neighbouring weights of the kernel mostly multiply the same pixel. Summing them first gives a 4×4
    transposed convolution on the small image: the same values, with 4 products instead of 9 for each output pixel and
    input channel. Reflection padding of the large image equals replication padding of the small one.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: learn a bias.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.layers import ResizeConv2d
        >>> conv, x = ResizeConv2d(4, 2), torch.randn(1, 4, 8, 8)
        >>> plain = nn.functional.pad(nn.functional.interpolate(x, scale_factor=2), (1, 1, 1, 1), mode="reflect")
        >>> torch.allclose(conv(x), nn.functional.conv2d(plain, conv.weight, conv.bias), atol=1e-6)
        True
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) in, (N, out_channels, 2·H, 2·W) out."""
        kernel = 4 * F.avg_pool2d(self.weight, 2, stride=1, padding=1)  # (O, C, 4, 4): sums of 2×2 weights
        kernel = kernel.transpose(0, 1).flip(2, 3)  # conv_transpose2d correlates with the flipped kernel
        return F.conv_transpose2d(replicate_pad(x), kernel, self.bias, stride=2, padding=3)


class AuxConcat(nn.Module):
    """Concatenates the latent code z to a feature map and mixes it in by a 1×1 convolution and a ReLU [AsymGAN Fig. 12].

    The ReLU must come before the next instance norm: a vector z becomes constant planes, a linear layer turns them into
    one constant per channel, and the norm would subtract that constant, so that z had no effect. At initialisation the
    features and z contribute equal variance, see :class:`asymkit.initialisation.HeInitialised`.

    Args:
        channels: channels of the input and of the output.
        aux_channels: length of z.
        norm: normalise the result to mean 0 and variance 1, for places that no norm follows.
    """

    def __init__(self, channels: int, aux_channels: int, norm: bool = False) -> None:
        super().__init__()
        self.mix = HeKernel2d(channels + aux_channels, channels, kernel_size=1, joined=(channels, aux_channels))
        self.norm = InstanceNorm2d(channels) if norm else None

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Maps (N, C, H, W) and z, (N, aux_channels) or (N, aux_channels, h, w), in, maps of x's shape out."""
        planes = z if z.ndim == 2 else F.interpolate(z, x.shape[2:], mode="bilinear")
        mixed = F.relu(self.mix(concat_planes(x, planes)))
        return mixed if self.norm is None else self.norm(mixed)


def reflect_padded_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3×3 convolution as in CycleGAN: reflect-padded with stride 1, zero-padded with stride 2."""
    if stride > 1:
        return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
    return Conv3x3(in_channels, out_channels, padding_mode="reflect")


def zero_padded_conv(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A zero-padded convolution without bias, as in StarGAN.

    With zero padding a constant plane, such as a domain label, is not constant after the convolution, and so is not
    removed by the instance norm that follows.
    """
    if (kernel_size, stride) == (3, 1):
        return Conv3x3(in_channels, out_channels, bias=False)
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)


def upsample2x(
    in_channels: int, out_channels: int, upsampling: Upsampling, kernel_size: Literal[3, 4] = 3, bias: bool = True
) -> nn.Module:
    """Up-sampling by 2: a transposed convolution, or nearest-neighbour resizing and a 3×3 convolution.

    Resizing avoids checkerboard artefacts in short trainings. ``kernel_size`` is that of the transposed convolution: 3 in
    CycleGAN, 4 in StarGAN and Async-GAN.
    """
    one_of("upsampling", upsampling, ("transposed", "resize"))
    if upsampling == "resize":
        return ResizeConv2d(in_channels, out_channels, bias)
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel_size, stride=2, padding=1, output_padding=4 - kernel_size, bias=bias
    )
