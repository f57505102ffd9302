"""CycleGAN's networks as one writes them from PyTorch's own layers, to compare with."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps in, maps of the same shape out."""
        result: Tensor = x + self.layers(x)
        return result


def generator(width: int = 64, blocks: int = 9) -> nn.Module:
    """Johnson et al.'s, as CycleGAN uses it."""

    def normed(conv: nn.Module, channels: int) -> list[nn.Module]:
        return [conv, nn.InstanceNorm2d(channels), nn.ReLU(True)]

    w = width
    return nn.Sequential(
        *(nn.ReflectionPad2d(3), *normed(nn.Conv2d(3, w, 7), w)),
        *normed(nn.Conv2d(w, 2 * w, 3, stride=2, padding=1), 2 * w),
        *normed(nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1), 4 * w),
        *(Block(4 * w) for _ in range(blocks)),
        *normed(nn.ConvTranspose2d(4 * w, 2 * w, 3, stride=2, padding=1, output_padding=1), 2 * w),
        *normed(nn.ConvTranspose2d(2 * w, w, 3, stride=2, padding=1, output_padding=1), w),
        *(nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()),
    )


def critic(width: int = 64) -> nn.Module:
    """The PatchGAN of 70 × 70 pixels."""
    w = width
    layers: list[nn.Module] = [nn.Conv2d(3, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2, True)]
    for inputs, outputs, stride in ((w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 1)):
        layers += [nn.Conv2d(inputs, outputs, 4, stride, 1), nn.InstanceNorm2d(outputs), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * w, 1, 4, padding=1))
