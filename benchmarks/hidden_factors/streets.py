"""Photographs of streets and their label maps in five classes, in CamVid's format: unpaired in training, paired in tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torchvision.transforms.functional import pil_to_tensor

from asymkit.evaluation.folders import image_files
from asymkit.evaluation.images import read_image
from asymkit.objectives.asymgan import Translators
from hidden_factors.data import Pairs, Part
from hidden_factors.scores import Scores, apart, sampled
from hidden_factors.segmentation import VOID, both_ways, label_map, train_segmenter

CLASSES = torch.tensor([0, 2, 2, 1, 1, 3, 2, 2, 4, 4, 4, VOID])
"""Of CamVid's twelve: sky; building, pole, sign and fence; road and pavement; tree; car, pedestrian and cyclist; void."""
PARTS = {"rich": "train", "poor": "train", "validation": "val", "test": "test"}
"""Sub-folders of photographs; label maps of the same names are in ``train_label`` and so on."""
SCENE = 20
"""Neighbours among the sorted names show the same street: so many of them in turn are in one domain or in the other, and
only those on either side of a border are in both."""
LAYOUT = 4
"""Side in pixels of the squares whose means say which colours an image has where."""


@dataclass(frozen=True)
class Streets:
    """Photographs x and label maps y.

    Args:
        folder: with the sub-folders of :data:`PARTS`; label maps have values from 0 to 11, the last one for void.
        size: side of the images in pixels, a square from the photographs at a height of so many.
    """

    folder: Path
    size: int = 32

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Pairs:
        """Photographs with their label maps, each square at random; the two domains of training have different ones."""
        photos, classes = _part(self.folder, self.size, part)
        places = torch.randint(len(photos), (count,), generator=generator)
        left = torch.randint(photos.shape[3] - self.size + 1, (count,), generator=generator)
        columns = left[:, None] + torch.arange(self.size)
        mirrored = torch.rand(count, 1, generator=generator) < (0.5 if PARTS[part] == "train" else 0.0)
        columns = torch.where(mirrored, columns.flip(1), columns)[:, None].expand(-1, self.size, -1)
        layout = classes[places].gather(2, columns)
        rich = photos[places].gather(3, columns[:, None].expand(-1, 3, -1, -1))
        return Pairs(rich, label_map(layout), layout[:, None], torch.empty(count, 0))

    def recognised(self, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> Scores:
        """Segmentation of G(x) by its colours, and of F(y) by a network that was trained on real photographs."""
        return both_ways(fake_poor, fake_rich, truth.layout[:, 0], segmenter(self))


def errors(data: Streets, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> Scores:
    """Shares of wrong pixels, by whose sum the best epoch is chosen."""
    found = data.recognised(fake_poor, fake_rich, truth)
    return {f"{way} wrong": 1 - found[f"{way} pixels"] for way in ("x→y", "y→x")}


@torch.no_grad()
def score(model: Translators, data: Streets, part: Part = "test", count: int = 300, seed: int = 7) -> Scores:
    """All scores of translators on images that are held out, the same ones for every model."""
    generator = torch.Generator().manual_seed(seed)
    truth = data.draw(count, generator, part)
    fake_rich, other = (model.to_rich(truth.poor, sampled(model, count, generator)) for _ in range(2))
    code = None if model.encoder is None else model.encoder(truth.rich)
    fake_poor = model.to_poor(truth.rich)
    found = {
        "x→y error": apart(fake_poor, truth.poor),
        "rebuild": apart(model.to_rich(fake_poor, code), truth.rich),
        "rebuild from y": apart(model.to_rich(truth.poor, code), truth.rich),
        "diversity": apart(*(avg_pool2d(images, LAYOUT) for images in (fake_rich, other))),
    }
    found["leak"] = found["rebuild from y"] - found["rebuild"]
    return found | data.recognised(fake_poor, fake_rich, truth)


@cache
def segmenter(data: Streets, steps: int = 250) -> nn.Module:
    """Of photographs, trained on those of both domains."""
    generator = torch.Generator().manual_seed(0)
    parts: tuple[Part, Part] = ("rich", "poor")
    drawn = (data.draw(8, generator, parts[step % 2]) for step in range(steps))
    return train_segmenter((pairs.rich, pairs.layout[:, 0]) for pairs in drawn)


@cache
def _part(folder: Path, size: int, part: Part) -> tuple[Tensor, Tensor]:
    """Photographs (N, 3, size, W) in [-1, 1] and their classes, (N, size, W)."""
    name = PARTS[part]
    expected = "CamVid's folders train, train_label, val, val_label, test and test_label"
    files = list(image_files(folder / name, "folder", expected))
    if name == "train":
        files = [path for i, path in enumerate(files) if i // SCENE % 2 == (part == "poor")]
    pairs = [(read_image(path), Image.open(folder / f"{name}_label" / f"{path.stem}.png")) for path in files]
    width = round(size * pairs[0][0].width / pairs[0][0].height)
    photos = [pil_to_tensor(photo.resize((width, size), Image.Resampling.BICUBIC)) for photo, _ in pairs]
    classes = [np.asarray(labels.resize((width, size), Image.Resampling.NEAREST)) for _, labels in pairs]
    return torch.stack(photos) / 127.5 - 1, CLASSES[torch.from_numpy(np.stack(classes)).long()]
