"""A plain CycleGAN's networks, GAN loss and image pool, as ``models/networks.py`` and ``util/image_pool.py`` have them."""

# ruff: noqa: N802
from __future__ import annotations

import torch
from torch import Tensor, nn


def init_net(net: nn.Module) -> nn.Module:
    """N(0, 0.02) for whatever calls itself a convolution or a linear layer, in place of any weights it came with."""
    for module in net.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and ("Conv" in type(module).__name__ or "Linear" in type(module).__name__):
            nn.init.normal_(weight, 0.0, 0.02)
            if isinstance(bias := getattr(module, "bias", None), Tensor):
                nn.init.zeros_(bias)
    return net


class Block(nn.Module):
    """Two convolutions, and what came in added to what comes out."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3), nn.InstanceNorm2d(dim), nn.ReLU(True)]
        self.conv_block = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Images to images."""
        out: Tensor = x + self.conv_block(x)
        return out


def define_G(ngf: int, n_blocks: int) -> nn.Module:
    """A ResNet."""
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU(True)]
    for wide in (2 * ngf, 4 * ngf):
        layers += [nn.Conv2d(wide // 2, wide, 3, 2, 1), nn.InstanceNorm2d(wide), nn.ReLU(True)]
    layers += [Block(4 * ngf) for _ in range(n_blocks)]
    for wide in (2 * ngf, ngf):
        layers += [nn.ConvTranspose2d(2 * wide, wide, 3, 2, 1, 1), nn.InstanceNorm2d(wide), nn.ReLU(True)]
    return init_net(nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()))


def define_D(ndf: int, n_layers: int) -> nn.Module:
    """A PatchGAN."""
    layers: list[nn.Module] = [nn.Conv2d(3, ndf, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    wide = ndf
    for i in range(1, n_layers + 1):
        narrow, wide = wide, ndf * min(2**i, 8)
        layers += [
            nn.Conv2d(narrow, wide, 4, 2 if i < n_layers else 1, 1),
            nn.InstanceNorm2d(wide),
            nn.LeakyReLU(0.2, True),
        ]
    return init_net(nn.Sequential(*layers, nn.Conv2d(wide, 1, 4, 1, 1)))


class GANLoss(nn.Module):
    """Least squares."""

    def forward(self, prediction: Tensor, target_is_real: bool) -> Tensor:
        """A scalar."""
        return nn.functional.mse_loss(prediction, torch.full_like(prediction, float(target_is_real)))


class ImagePool:
    """Earlier fakes, handed out in place of new ones with even chances."""

    def __init__(self, pool_size: int) -> None:
        self.pool_size, self.images = pool_size, list[Tensor]()

    def query(self, images: Tensor) -> Tensor:
        """A batch of the same size."""
        chosen = []
        for image in images.detach():
            if len(self.images) < self.pool_size:
                self.images.append(image)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.pool_size, ()))
                image, self.images[place] = self.images[place], image  # noqa: PLW2901
            chosen.append(image)
        return torch.stack(chosen)
