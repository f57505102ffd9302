"""Label maps as images, and scores of segmentation: read off G(x) by its colours, and off F(y) by a network."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PALETTE = torch.tensor([[-0.6, 0.2, 1.0], [-0.4, 0.4, -0.6], [0.9, -0.5, -0.5], [-0.9, -0.2, -0.9], [1.0, 0.9, 0.0]])
"""Colours of the classes in label maps, in [-1, 1]."""
VOID = len(PALETTE)
"""The class of pixels that no score counts; grey in label maps."""


def label_map(classes: Tensor) -> Tensor:
    """Classes (N, H, W) as images, (N, 3, H, W)."""
    return torch.cat([PALETTE, torch.zeros(1, 3)])[classes].permute(0, 3, 1, 2).contiguous()


def nearest_class(images: Tensor) -> Tensor:
    """Classes (N, H, W) of label maps in colours, by the nearest colour of the palette."""
    return torch.cdist(images.permute(0, 2, 3, 1).flatten(0, 2), PALETTE).argmin(1).view(len(images), *images.shape[2:])


def segmentation(found: Tensor, true: Tensor) -> dict[str, float]:
    """Accuracy of pixels, mean accuracy of the classes, and mean intersection over union, over classes that occur."""
    counted, count = true != VOID, len(PALETTE)
    pairs = true[counted] * count + found[counted]
    confusion = torch.bincount(pairs, minlength=count**2).view(count, count).double()
    right, real, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    occurs = real > 0
    return {
        "pixels": (right.sum() / confusion.sum()).item(),
        "classes": (right / real)[occurs].mean().item(),
        "IoU": (right / (real + guessed - right))[occurs].mean().item(),
    }


def both_ways(fake_poor: Tensor, fake_rich: Tensor, classes: Tensor, segmenter: nn.Module) -> dict[str, float]:
    """Scores of G(x) by the palette, and of F(y) by a segmenter of real rich images."""
    ways = {
        "x→y": nearest_class(fake_poor),
        "y→x": torch.cat([segmenter(part).argmax(1) for part in fake_rich.split(64)]),
    }
    return {
        f"{way} {name}": value for way, found in ways.items() for name, value in segmentation(found, classes).items()
    }


@torch.enable_grad()
def train_segmenter(batches: Iterable[tuple[Tensor, Tensor]]) -> nn.Module:
    """Images to logits of the classes, (N, classes, H, W), trained on images and classes; takes nothing from the random state."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.Conv2d(32, 32, 5, padding=4, dilation=2), nn.ReLU()]
        net = nn.Sequential(
            *layers, nn.Conv2d(32, 32, 5, padding=8, dilation=4), nn.ReLU(), nn.Conv2d(32, len(PALETTE), 1)
        )
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for images, classes in batches:
        optimizer.zero_grad()
        F.cross_entropy(net(images), classes, ignore_index=VOID).backward()
        optimizer.step()
    return net.eval()
