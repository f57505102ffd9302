"""The published architectures, written anew from their key lists and shapes, with PyTorch's own layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def instance_norm(statistics: bool, affine: bool = False) -> partial[nn.InstanceNorm2d]:
    return partial(nn.InstanceNorm2d, affine=affine, track_running_stats=statistics)


class CycleGANBlock(nn.Module):
    """Keys conv_block.{1,5}, with dropout {1,6}."""

    def __init__(self, width: int, dropout: bool, norm: partial[nn.InstanceNorm2d]) -> None:
        super().__init__()
        first: list[nn.Module] = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width), nn.ReLU()]
        drop: list[nn.Module] = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(*first, *drop, nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out


class CycleGANGenerator(nn.Module):
    """Keys model.{1,4,7}, model.{10..}.conv_block, then two up-samplings and the last convolution."""

    def __init__(
        self,
        inputs: int = 3,
        outputs: int = 3,
        width: int = 64,
        blocks: int = 9,
        dropout: bool = False,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        norm, wide = instance_norm(statistics), 4 * width
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), norm(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1), norm(2 * width), nn.ReLU()),
            *(nn.Conv2d(2 * width, wide, 3, 2, 1), norm(wide), nn.ReLU()),
            *(CycleGANBlock(wide, dropout, norm) for _ in range(blocks)),
            *(nn.ConvTranspose2d(wide, 2 * width, 3, 2, 1, output_padding=1), norm(2 * width), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, output_padding=1), norm(width), nn.ReLU()),
            *(nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class PatchGAN(nn.Module):
    """Keys model.{0,2,5,8,11}."""

    def __init__(self, inputs: int = 3, width: int = 64, layers: int = 3, statistics: bool = False) -> None:
        super().__init__()
        norm = instance_norm(statistics)
        wide = width
        parts: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, layers + 1):
            narrow, wide = wide, width * min(2**i, 8)
            parts += [nn.Conv2d(narrow, wide, 4, 2 if i < layers else 1, 1), norm(wide), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*parts, nn.Conv2d(wide, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


def labelled(image: Tensor, label: Tensor) -> Tensor:
    planes = label.view(*label.shape, 1, 1).repeat(1, 1, image.size(2), image.size(3))
    return torch.cat([image, planes], dim=1)


class StarGANBlock(nn.Module):
    def __init__(self, width: int, norm: partial[nn.InstanceNorm2d]) -> None:
        super().__init__()
        convs = [nn.Conv2d(width, width, 3, 1, 1, bias=False) for _ in range(2)]
        self.main = nn.Sequential(convs[0], norm(width), nn.ReLU(), convs[1], norm(width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.main(x)
        return out


class StarGANGenerator(nn.Module):
    """Keys main.{0,3,6}, main.{9..}.main, then two up-samplings and the last convolution; AsymmetricGAN's II and III."""

    def __init__(self, domains: int = 5, width: int = 64, blocks: int = 6, statistics: bool = True) -> None:
        super().__init__()
        norm = instance_norm(statistics, affine=True)
        layers: list[nn.Module] = [nn.Conv2d(3 + domains, width, 7, 1, 3, bias=False), norm(width), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), norm(2 * width), nn.ReLU()]
            width *= 2
        layers += [StarGANBlock(width, norm) for _ in range(blocks)]
        for _ in range(2):
            layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False), norm(width // 2), nn.ReLU()]
            width //= 2
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 3, 7, 1, 3, bias=False), nn.Tanh())

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        out: Tensor = self.main(labelled(image, label))
        return out


class PlainGAN(nn.Module):
    """AsymmetricGAN's architecture I: keys main.{0,3,6,9,12,15,18}."""

    def __init__(self, domains: int = 5, statistics: bool = False) -> None:
        super().__init__()
        norm, layers, before = instance_norm(statistics, affine=True), [], 3 + domains
        for width in (9, 8, 7, 6, 5, 4):
            layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), norm(width), nn.ReLU()]
            before = width
        self.main = nn.Sequential(*layers, nn.Conv2d(before, 3, 3, 1, 1, bias=False), nn.Tanh())

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        out: Tensor = self.main(labelled(image, label))
        return out


class StarGANDiscriminator(nn.Module):
    """Keys main.{0,2,..}, conv1, conv2."""

    def __init__(self, size: int = 128, width: int = 64, domains: int = 5, layers: int = 6) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.01)]
        for _ in range(1, layers):
            parts += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.01)]
            width *= 2
        self.main = nn.Sequential(*parts)
        self.conv1 = nn.Conv2d(width, 1, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(width, domains, size // 2**layers, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.main(x)
        return self.conv1(hidden), self.conv2(hidden).flatten(1)


def lively(network: nn.Module) -> nn.Module:
    """Weights large enough for every layer to show in the output, norms without their neutral values."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.normal_(parameter, 0.5, 0.5)
    return network


def init_weights(net: nn.Module, init_type: str = "normal", init_gain: float = 0.02) -> None:
    """CycleGAN's, for each of its --init_type."""

    def init_func(m: Any) -> None:
        classname = m.__class__.__name__
        if hasattr(m, "weight") and (classname.find("Conv") != -1 or classname.find("Linear") != -1):
            if init_type == "normal":
                nn.init.normal_(m.weight.data, 0.0, init_gain)
            elif init_type == "xavier":
                nn.init.xavier_normal_(m.weight.data, gain=init_gain)
            elif init_type == "kaiming":
                nn.init.kaiming_normal_(m.weight.data, a=0, mode="fan_in")
            elif init_type == "orthogonal":
                nn.init.orthogonal_(m.weight.data, gain=init_gain)
            else:
                raise NotImplementedError(f"initialization method [{init_type}] is not implemented")
            if hasattr(m, "bias") and m.bias is not None:
                nn.init.constant_(m.bias.data, 0.0)
        elif classname.find("BatchNorm2d") != -1:
            nn.init.normal_(m.weight.data, 1.0, init_gain)
            nn.init.constant_(m.bias.data, 0.0)

    net.apply(init_func)
