"""A small classifier of real images, which then says of what domain translated ones look."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import trange

from asymkit.objectives.asymmetricgan.unsupervised import Translators
from support.chance import seeded
from support.data import FRESH
from support.domains import Domains
from support.pictures import looking

BATCH = 32


def train_classifier(data: Domains, steps: int, device: torch.device, visible: bool = True) -> nn.Module:
    """Train on the training images of every domain alike; takes nothing from the random state of the training.

    Args:
        data: training images.
        steps: of 32 images each.
        device: where to train.
        visible: show progress.
    """
    with seeded(0):
        widths = [data.channels, 32, 64, 128]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * widths[-1], len(data.names))]
        classifier = nn.Sequential(*layers, *head).to(device)
        optimizer = torch.optim.Adam(classifier.parameters(), 2e-3)
        for step in trange(steps, desc="classifier for the report", disable=not visible, leave=False):
            labels = torch.arange(BATCH) % len(data.names)
            images = torch.stack([data.crop(int(d), FRESH + step * BATCH + i) for i, d in enumerate(labels)])
            optimizer.zero_grad()
            F.cross_entropy(classifier(images.to(device)), labels.to(device)).backward()
            optimizer.step()
    return classifier.eval()


@looking()
def domain_accuracy(classifier: nn.Module, model: Translators, images: list[Tensor]) -> dict[str, list[float]]:
    """Share of images that the classifier takes for one of the domain they should be of, by domain.

    Args:
        classifier: of :func:`train_classifier`.
        model: trained, on the images' device.
        images: a batch of held-out images of every domain.

    Returns:
        ``real``: of the images themselves; ``translated``: of all other domains' images translated to this one.
    """
    count = len(images)
    real = [(classifier(batch).argmax(1) == d).float().mean().item() for d, batch in enumerate(images)]
    translated = []
    for target in range(count):
        others = torch.cat([batch for d, batch in enumerate(images) if d != target])
        fakes = [
            model.dual.translate(part, torch.full((len(part),), target, device=part.device))
            for part in others.split(32)
        ]
        translated.append((classifier(torch.cat(fakes)).argmax(1) == target).float().mean().item())
    return {"real": real, "translated": translated}
