"""A small classifier of real images, which then scores translated ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit import AnySize
from asymkit.evaluation import classification_accuracy
from asymkit.objectives.asymmetricgan.unsupervised import Translators
from support.data.domains import Images
from support.data.held_out import in_batches
from support.run.rng import seeded, seeded_inference


def train_classifier(
    batches: Iterable[tuple[Tensor, Tensor]], channels: int, classes: int, device: torch.device, seed: int = 0
) -> nn.Module:
    """Train on batches of images and labels; takes nothing from the random state of the training.

    Args:
        batches: images (N, channels, H, W), H and W at least 8, and labels (N,); random ones may draw from PyTorch.
        channels: of the images.
        classes: of the labels.
        device: where to train.
        seed: of weights, dropout and random batches.

    Returns:
        Images to logits (N, classes), in eval mode.
    """
    with seeded(seed):
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise([channels, 32, 64, 128]):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * 128, classes)]
        classifier = nn.Sequential(*layers, *head).to(device)
        optimizer = torch.optim.Adam(classifier.parameters(), 2e-3)
        for images, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(classifier(images.to(device)), labels.to(device)).backward()
            optimizer.step()
    return classifier.eval()


def accuracy(classifier: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of images, on the classifier's device, that it takes for what their labels say."""
    return classification_accuracy(classifier, images, labels, ks=(1,), batch=256)[1]


def each_image(network: nn.Module, images: Sequence[Tensor], labels: Sequence[int]) -> list[Tensor]:
    """What a generator makes of images (C, H, W) of any sizes, each with its label."""
    made: list[Tensor] = []
    padded = AnySize(network, getattr(network, "multiple", 1))
    for batch in in_batches(images):
        made += padded(batch, torch.tensor(labels[len(made) :][: len(batch)], device=batch.device))
    return made


@seeded_inference()
def domain_accuracy(classifier: nn.Module, model: Translators, images: Images) -> dict[str, list[float]]:
    """Share of images that the classifier takes for one of the domain they should be of, by domain.

    Args:
        classifier: of :func:`train_classifier`.
        model: trained, on the images' device.
        images: held-out images of every domain.

    Returns:
        ``real``: of the images themselves; ``translated``: of all other domains' images translated to this one.
    """

    def share(found: Sequence[Tensor], domain: int) -> float:
        return torch.cat([classifier(batch).argmax(1) == domain for batch in in_batches(found)]).float().mean().item()

    translated = []
    for target in range(len(images)):
        others = [image for domain, batch in enumerate(images) if domain != target for image in batch]
        translated.append(share(each_image(model.dual, others, [target] * len(others)), target))
    return {"real": [share(list(batch), domain) for domain, batch in enumerate(images)], "translated": translated}
