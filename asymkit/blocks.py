"""Residual blocks of the generators, with optional gradient checkpointing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from asymkit.arguments import flags, modules
from asymkit.layers import ConditionalInstanceNorm2d, HeKernel3x3, InstanceNorm2d, reflect_padded_conv, zero_padded_conv
from asymkit.ops.padding import reflect_pad


class _Block(nn.Module):
    """Base of the residual blocks, with gradient checkpointing, see :func:`checkpoint_blocks`."""

    checkpointed = False

    def forward(self, *inputs: Tensor) -> Tensor:
        """Maps (N, C, H, W), and z (N, aux_channels) for a conditional block, in, maps of the same shape out."""
        if self.checkpointed and torch.is_grad_enabled():
            return checkpoint(self.residual, *inputs, use_reentrant=False)
        return self.residual(*inputs)

    def residual(self, *inputs: Tensor) -> Tensor:
        """The forward pass of the block, which gradient checkpointing runs again in backward."""
        raise NotImplementedError


def checkpoint_blocks(network: nn.Module, on: bool = True) -> int:
    """Gradient checkpointing for the residual blocks of a network: activations are computed again in backward.

    At least half of a CycleGAN generator's activations are inside its residual blocks. Results are bit-identical, and
    state dicts do not change.

    Args:
        network: any module that contains asymkit's residual blocks.
        on: False switches gradient checkpointing off again.

    Returns:
        The number of blocks that were set.

    Raises:
        ValueError: network contains no such block, or is not a module.

    Example:
        >>> from asymkit import ResnetGenerator, checkpoint_blocks
        >>> checkpoint_blocks(ResnetGenerator(width=8, blocks=6))
        6
    """
    modules(network=network)
    (on,) = flags(on=on)
    blocks = [module for module in network.modules() if isinstance(module, _Block)]
    if not blocks:
        raise ValueError(f"network must hold residual blocks of asymkit, {type(network).__name__} has none")
    for block in blocks:
        block.checkpointed = on
    return len(blocks)


class ResidualBlock(_Block):
    """x + norm(conv(relu(norm(conv(x))))), reflect-padded, the block of Johnson et al. and CycleGAN.

    Args:
        channels: channels of the input and of the output.
        affine: StarGAN's form, with scale and shift in the norms, no biases in the convolutions, and zero padding.
        dropout: probability of dropout after the first ReLU in training.

    Example:
        >>> import torch
        >>> from asymkit.blocks import ResidualBlock
        >>> ResidualBlock(16)(torch.randn(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(self, channels: int, affine: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        conv = zero_padded_conv if affine else reflect_padded_conv
        self.conv1, self.conv2 = conv(channels, channels), conv(channels, channels)
        self.norm1, self.norm2 = (InstanceNorm2d(channels, affine=affine) for _ in range(2))

    def residual(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Maps (N, C, H, W) in, the same shape out."""
        hidden = self.norm1(self.conv1(x), activation="relu")
        if self.dropout:
            hidden = F.dropout(hidden, self.dropout, self.training)
        return self.norm2(self.conv2(hidden), residual=x)


class ConditionalResidualBlock(_Block):
    """A residual block with two conditional instance norms, which z scales and shifts [AsymGAN Fig. 12].

    Args:
        channels: channels of the input and of the output.
        aux_channels: length of the latent code z.
    """

    def __init__(self, channels: int, aux_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = reflect_padded_conv(channels, channels), reflect_padded_conv(channels, channels)
        self.norm1 = ConditionalInstanceNorm2d(channels, aux_channels)
        self.norm2 = ConditionalInstanceNorm2d(channels, aux_channels)

    def residual(self, x: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        """Maps (N, C, H, W) and z (N, aux_channels) in, maps of the same shape out."""
        hidden = self.norm1(self.conv1(x), z, activation="relu")
        return self.norm2(self.conv2(hidden), z, residual=x)


class PlainResidualBlock(_Block):
    """A residual block without norms, for networks that need colour and contrast, initialised as in He et al. 2015.

    Args:
        channels: channels of the input and of the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (HeKernel3x3(channels, channels, padding_mode="reflect") for _ in range(2))

    def residual(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Maps (N, C, H, W) in, the same shape out."""
        return x + self.conv2(F.relu(self.conv1(x)))


class ImageSkip(nn.Module):
    """An input-to-output skip connection: a 7×7 convolution from the image to the values before a generator's tanh.

    The generators of the papers pass the image through a bottleneck at a quarter of the resolution, and take long to learn
    details that were in their input. With this connection, which begins near the identity, they have them from the first
    step, and learn what to change. The kernel is as large as that of the last convolution: Adam moves each weight as fast,
    so that a 1×1 kernel would mix the channels of the image 49 times more slowly. CycleGAN's ``init_net`` leaves it
    unchanged, as :class:`asymkit.initialisation.HeInitialised`.

    Args:
        in_channels: of the image, or of image and condition together, the image first.
        out_channels: of the result. Each begins as the channel of its number; one channel of several, and more channels than
            the image has, as the mean of the image's channels.

    Example:
        >>> import torch
        >>> from asymkit.blocks import ImageSkip
        >>> image = torch.linspace(-0.8, 0.8, 48).view(1, 3, 4, 4)
        >>> (ImageSkip(3, 3)(image).tanh() - image).abs().max().item() < 0.1
        True
    """

    GAIN = 1.3
    """tanh(1.3 v) is off by at most 0.14 for v in [-1, 1], at the ends, and by less than 0.1 up to 0.8."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 7, 7))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Near the identity, e.g. after ``to_empty`` of a network that was built on the meta device."""
        outputs, inputs = self.weight.shape[:2]
        with torch.no_grad():
            self.weight.zero_()
            if inputs >= outputs > 1:
                self.weight[:, :, 3, 3].fill_diagonal_(self.GAIN)
            else:
                self.weight[:, :, 3, 3] = self.GAIN / inputs

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) in, (N, out_channels, H, W) out."""
        return F.conv2d(reflect_pad(image, 3), self.weight)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        outputs, inputs = self.weight.shape[:2]
        return f"in_channels={inputs}, out_channels={outputs}"


def image_of(values: Tensor, image: Tensor, skip: nn.Module | None) -> Tensor:
    """What a generator gives: the tanh of its last convolution's values, with the image itself where there is a skip."""
    return torch.tanh(values if skip is None else values + skip(image))


def middle_blocks(blocks: int) -> range:
    """Indices of the middle three of ``blocks`` blocks, or of all if there are fewer.

    Example:
        >>> from asymkit.blocks import middle_blocks
        >>> list(middle_blocks(6)), list(middle_blocks(9)), list(middle_blocks(2))
        ([1, 2, 3], [3, 4, 5], [0, 1])
    """
    start = max(blocks - 3, 0) // 2
    return range(start, min(start + 3, blocks))
