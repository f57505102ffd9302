"""What translators between several domains do to held-out images, all of them in every other domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import torch
from support.report.classifier import accuracy, train_classifier
from support.report.grids import grid
from torch import Tensor, nn
from torchvision.utils import save_image

from asymkit.objectives.asymmetricgan.unsupervised import Translators
from hidden_factors.data import Part
from hidden_factors.domains.data import Domains, Views
from hidden_factors.pictures import ROWS, enlarged
from hidden_factors.scores import Scores, apart

CLASSIFIER_STEPS = 200


def translations(model: Translators, data: Domains, part: Part) -> Iterator[tuple[Views, Tensor, Tensor, Tensor]]:
    """Images of every domain with their targets, translations and reconstructions, for each other domain in turn."""
    views, kinds = data.held_out(part), len(data.names)
    for further in range(1, kinds):
        for places in torch.arange(len(views.domains)).split(128):
            some = views.at(places)
            target = (some.domains + further) % kinds
            fake = model.dual.translate(some.images, target)
            yield some, target, fake, model.dual.reconstruct(fake, some.domains)


@torch.no_grad()
def score(model: Translators, data: Domains, part: Part = "test") -> Scores:
    """All scores of translators, by the names of :mod:`hidden_factors.claims`; without truth no error of translations."""
    targets, fakes, translation, reconstruction = list[Tensor](), list[Tensor](), list[float](), list[float]()
    for views, target, fake, rebuilt in translations(model, data, part):
        truth = data.truth(views, target)
        translation += [] if truth is None else [apart(fake, truth)] * len(fake)
        reconstruction += [apart(rebuilt, views.images)] * len(fake)
        targets.append(target)
        fakes.append(fake)
    network, real = classifier(data), data.held_out(part)
    scores = {"translation error": sum(translation) / len(translation)} if translation else {}
    return scores | {
        "reconstruction error": sum(reconstruction) / len(reconstruction),
        "domain accuracy": accuracy(network, torch.cat(fakes), torch.cat(targets)),
        "real accuracy": accuracy(network, real.images, real.domains),
    }


def errors(model: Translators, data: Domains) -> Scores:
    """On the validation images, by which the best epoch is chosen: of translations, or without truth of their domains."""
    found = score(model, data, "validation")
    known = found.get("translation error")
    return {"wrong domain": 1 - found["domain accuracy"]} if known is None else {"translation error": known}


@cache
@torch.enable_grad()
def classifier(data: Domains) -> nn.Module:
    """Of the domains of real images, trained on those of training."""
    generator, kinds = torch.Generator().manual_seed(0), len(data.names)
    drawn = (data.draw(torch.arange(64) % kinds, generator) for _ in range(CLASSIFIER_STEPS))
    batches = ((views.images, views.domains) for views in drawn)
    return train_classifier(batches, 3, kinds, torch.device("cpu"))


@torch.no_grad()
def draw(path: Path, models: Mapping[str, Translators], data: Domains) -> None:
    """One row for each of a few test images, one block of columns for each model: the image in all domains.

    The first column is the image, and where the truth is known the first block is that.
    """
    views = data.held_out("test")
    some = views.at(torch.linspace(0, len(views.domains) - 1, ROWS).long())
    targets = [torch.full((ROWS,), domain) for domain in range(len(data.names))]
    gap = torch.ones(ROWS, 3, data.size, data.size // 4)
    truths = [image for target in targets if (image := data.truth(some, target)) is not None]
    columns = [some.images, *([gap, *truths] if truths else [])]
    for model in models.values():
        columns += [gap, *(model.dual.translate(some.images, target) for target in targets)]
    save_image(grid(zip(*map(enlarged, columns), strict=True)), path)
