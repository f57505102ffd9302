"""What the report of a run between domains shows: images of every domain in all others, and what a classifier takes them for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from asymkit.objectives.asymmetricgan.unsupervised import Translators
from support.data.domains import MEASURED, SHOWN, Domains, DomainSettings, Images, domain_batches
from support.report.classifier import domain_accuracy, each_image, train_classifier
from support.report.grids import grid
from support.report.page import Snapshot
from support.report.progress import with_bar
from support.run.rng import seeded_inference


def domain_report(
    settings: DomainSettings, data: Domains, held_out: Domains, device: torch.device, main: bool
) -> Callable[[Translators], Snapshot]:
    """Shows a model by pictures of held-out images, and by the share that a classifier takes for their domain.

    The classifier is trained on crops of the training images when a report first needs it.

    Args:
        settings: of the run.
        data: images of training.
        held_out: others.
        device: of the model.
        main: whether this process shows progress.
    """

    @functools.cache
    def classifier() -> nn.Module:
        images = with_bar(domain_batches(data, settings.classifier_steps), "classifier for the report", main)
        return train_classifier(images, settings.channels, len(data.names), device)

    measured = held_out.shown_of_each(MEASURED, None, device)
    shown = held_out.shown_of_each(SHOWN, settings.picture_size, device)

    def snapshot(trained: Translators) -> Snapshot:
        figures: dict[str, float] = {}
        for kind, shares in domain_accuracy(classifier(), trained, measured).items():
            figures |= {f"accuracy_{kind}_{name}": share for name, share in zip(data.names, shares, strict=True)}
            figures[f"accuracy_{kind}"] = sum(shares) / len(shares)
        return Snapshot(domain_pictures(trained, shown, data.names), figures)

    return snapshot


@seeded_inference()
def domain_pictures(model: Translators, images: Images, names: Sequence[str]) -> dict[str, Tensor]:
    """Grids: images of every domain to every domain, and the way back where there is one."""
    inputs = [image for batch in images for image in batch]
    sources = [domain for domain, batch in enumerate(images) for _ in batch]
    fakes = [each_image(model.dual, inputs, [domain] * len(inputs)) for domain in range(len(images))]
    grids = {f"Every input to every domain: x, then {', '.join(names)}": grid(zip(inputs, *fakes, strict=True))}
    if model.reconstruction:
        fake = each_image(model.dual, inputs, [(source + 1) % len(images) for source in sources])
        there = "There and back: x, its translation to the next domain, its reconstruction"
        back = each_image(model.dual.reconstructor, fake, sources)
        grids[there] = grid(zip(inputs, fake, back, strict=True))
    return grids
