"""Segmentation scores of generated photos, by a network that was trained on real ones: a small U-Net, or any other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import MOST_SEED, at_least, described, modules, number, sizes
from asymkit.checks import check_array, check_images, have_values, usable_device
from asymkit.evaluation.palette import MOST_CLASSES
from asymkit.evaluation.segmentation import SegmentationMeter, SegmentationScores
from asymkit.training import frozen


class SmallUNet(nn.Module):
    """A U-Net with four resolutions that learns to segment small photos in minutes on a CPU.

    It stands in for the papers' FCN-8s, FCN-32s-256 and DeepLab-v3 where their weights cannot be had; figures of it are
    comparable with one another, not with published ones.

    Args:
        classes: how many there are.
        in_channels: of the photos.
        width: channels at the finest resolution, doubled at each coarser one.

    Raises:
        ValueError: sizes that are none.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import SmallUNet
        >>> SmallUNet(classes=5, width=4)(torch.zeros(1, 3, 30, 41)).shape
        torch.Size([1, 5, 30, 41])
    """

    def __init__(self, classes: int, in_channels: int = 3, width: int = 32) -> None:
        super().__init__()
        self.in_channels, width = sizes(in_channels=in_channels, width=width)
        self.classes = at_least("classes", classes, 2, MOST_CLASSES)
        widths = [width * 2**level for level in range(4)]
        self.down = nn.ModuleList(
            _convolutions(before, after) for before, after in zip([self.in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(_convolutions(coarse + fine, fine) for fine, coarse in itertools.pairwise(widths))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, photos: Tensor) -> Tensor:
        """Scores of classes.

        Args:
            photos: (N, in_channels, H, W), in [-1, 1], any H and W of at least 8.

        Returns:
            Logits (N, classes, H, W).

        Raises:
            ValueError: no batch of images, too small.
        """
        check_images(photos, "photos", channels=self.in_channels, least_side=8, like=self.head.weight)
        maps: list[Tensor] = []
        for level, block in enumerate(self.down):
            maps.append(block(F.max_pool2d(maps[-1], 2) if level else photos))
        hidden = maps.pop()
        for block in reversed(self.up):
            fine = maps.pop()
            hidden = block(torch.cat([F.interpolate(hidden, fine.shape[2:], mode="nearest"), fine], 1))
        logits: Tensor = self.head(hidden)
        return logits


def _convolutions(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers += [nn.Conv2d(inputs, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers)


def train_segmentation(
    photos: Tensor,
    labels: Tensor,
    classes: int,
    steps: int = 2000,
    batch: int = 8,
    learning_rate: float = 1e-3,
    width: int = 32,
    ignored: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> SmallUNet:
    """Train a :class:`SmallUNet` on real photos and their labels: cross-entropy, Adam, random mirroring.

    The random numbers of the caller are left alone, and the same seed gives the same network on the same machine.

    Args:
        photos: real ones, (N, C, H, W), in [-1, 1].
        labels: ids of classes, (N, H, W), integers.
        classes: how many there are.
        steps: of the optimizer.
        batch: photos in a step.
        learning_rate: at the first step; it falls to zero along a cosine.
        width: of the network.
        ignored: an id whose pixels do not count, or None.
        seed: of weights and batches.
        device: where to train.

    Returns:
        The network, in eval mode.

    Raises:
        ValueError: photos and labels that do not belong together, sizes that are none.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import train_segmentation
        >>> photos = torch.rand(4, 3, 16, 16) * 2 - 1
        >>> network = train_segmentation(photos, (photos[:, 0] > 0).long(), classes=2, steps=2, batch=2, width=4)
        >>> network(photos).shape
        torch.Size([4, 2, 16, 16])
    """
    steps, batch, seed = at_least("steps", steps), at_least("batch", batch), at_least("seed", seed, 0, MOST_SEED)
    learning_rate = number("learning_rate", learning_rate, 1e-9, 1)
    classes = at_least("classes", classes, 2, MOST_CLASSES)
    check_images(photos, "photos", least_side=8)
    shape = (len(photos), *photos.shape[2:])
    have_values(photos=photos)
    check_array("labels", labels, what := f"ids of classes {shape}, integers", (3,), integers=True)
    if tuple(labels.shape) != shape:
        raise ValueError(f"labels must be {what}, got {described(labels)}")
    skipped = -100 if ignored is None else at_least("ignored", ignored, 0, classes - 1)
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise ValueError(
            f"labels: classes are numbered 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
    device = usable_device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = SmallUNet(classes, photos.shape[1], width).to(device)
        optimizer = torch.optim.Adam(network.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            chosen = torch.randint(len(photos), (batch,), device="cpu")
            x, y = photos[chosen].to(device).float(), labels[chosen].to(device).long()
            if torch.rand(()) < 0.5:
                x, y = x.flip(3), y.flip(2)
            optimizer.zero_grad()
            F.cross_entropy(network(x), y, ignore_index=skipped).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.inference_mode()
def segment(network: nn.Module, photos: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Classes of the pixels of photos, which are first brought to the size of the labels, bilinearly.

    Args:
        network: photos (N, 3, H, W) in [-1, 1] to logits (N, classes, h, w), or to a dict with them as "out", as
            torchvision's are; smaller logits are brought to the size of the labels, bilinearly. Give one that wants
            another range of values a first layer that makes it so.
        photos: (N, 3, H, W), in [-1, 1].
        size: height and width of the labels; None for the photos'.

    Returns:
        Ids, (N, H, W) of that size, integers.

    Raises:
        ValueError: no network, no photos, no size, or what the network gives are no logits.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import SmallUNet, segment
        >>> segment(SmallUNet(5, width=4).eval(), torch.zeros(1, 3, 16, 16), size=(32, 64)).shape
        torch.Size([1, 32, 64])
    """
    modules(network=network)
    check_images(photos, "photos")
    have_values(photos=photos)
    if size is not None:
        if not isinstance(size, list | tuple | torch.Size) or len(size) != 2:
            raise ValueError(f"size must be the height and width of the labels, got {described(size)}")
        size = (at_least("size", size[0], most=65_536), at_least("size", size[1], most=65_536))
        if size != tuple(photos.shape[2:]):
            photos = F.interpolate(photos, size, mode="bilinear")
    found: Any = network(photos)
    logits = found["out"] if isinstance(found, Mapping) and "out" in found else found
    if not isinstance(logits, Tensor) or logits.ndim != 4 or len(logits) != len(photos) or logits.shape[1] < 2:
        raise ValueError(
            f"network must turn photos into logits ({len(photos)}, classes, h, w), got {described(logits)}"
        )
    if logits.shape[2:] != photos.shape[2:]:
        logits = F.interpolate(logits, photos.shape[2:], mode="bilinear")
    return logits.argmax(1)


def photo_scores(
    network: nn.Module, photos: Tensor, truth: Tensor, classes: int, ignored: Sequence[int] = (), batch: int = 8
) -> SegmentationScores:
    """Scores of generated photos: label → photo, segmented by a network that was trained on real ones.

    Score the real photos too: that is the most that generated ones can reach.

    Args:
        network: see :func:`segment`; it is put in eval mode.
        photos: generated from the labels, (N, 3, H, W), in [-1, 1], on the network's device.
        truth: the labels, ids of classes (N, H', W'), integers; photos are enlarged to H'×W' first.
        classes: how many there are.
        ignored: ids of classes that do not count.
        batch: photos that are segmented at once.

    Raises:
        ValueError: photos and labels that do not belong together, and what :func:`segment` refuses.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import SmallUNet, photo_scores
        >>> truth = torch.zeros(1, 32, 32, dtype=torch.long)
        >>> 0 <= photo_scores(SmallUNet(5, width=4), torch.zeros(1, 3, 16, 16), truth, classes=5).pixel_accuracy <= 1
        True
    """
    modules(network=network)
    check_images(photos, "photos")
    count = len(photos)
    check_array("truth", truth, f"ids of classes ({count}, H, W), integers", (3,), integers=True, length=count)
    meter, batch = SegmentationMeter(classes, ignored), at_least("batch", batch)
    height, width = truth.shape[1:]
    with frozen(network):
        for x, y in zip(photos.split(batch), truth.split(batch), strict=True):
            meter.update(segment(network, x, (height, width)), y)
    return meter.compute()
