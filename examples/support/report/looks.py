"""What the report of each example shows of its model: pictures, figures and slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.asymmetricgan import supervised, unsupervised
from support.report.classifier import domain_accuracy
from support.report.page import Look
from support.report.pictures import (
    Pairs,
    asymgan_figures,
    asymgan_pictures,
    asyncgan_pictures,
    cycle_figures,
    domain_pictures,
    gesture_figures,
    gesture_pictures,
    munit_figures,
    munit_pictures,
    z_slides,
)
from support.run.plan import Intermediate

Both = tuple[Tensor, Tensor]
"""Rich and poor images, on the model's device."""


def look_at_asymgan(model: asymgan.Translators, measured: Both, shown: Both) -> Look:
    """Both cycles and all ways to choose z, in figures over some images and in pictures of others."""
    return Look(asymgan_pictures(model, *shown), asymgan_figures(model, *measured), z_slides(model, shown[1]))


def look_at_asyncgan(model: asyncgan.Translators, shown: Both, moments: Intermediate) -> Look:
    """Both cycles, and what they made at the end of every phase."""
    slides = {} if model.encoder is None else z_slides(model, shown[1])
    return Look(asyncgan_pictures(model, *shown, moments), cycle_figures(model, *shown), slides)


def look_at_munit(model: Any, shown: Both, moments: Intermediate) -> Look:
    """Images decoded again and in other styles, and what both directions made at the end of every phase."""
    return Look(munit_pictures(model, *shown, moments), munit_figures(model, *shown))


def look_at_gestures(model: supervised.Translators, pairs: Pairs) -> Look:
    """Hands in other poses and back, with signal-to-noise ratios."""
    return Look(gesture_pictures(model, pairs), gesture_figures(model, pairs))


def look_at_domains(
    model: unsupervised.Translators,
    classifier: nn.Module,
    names: Sequence[str],
    measured: list[Tensor],
    shown: list[Tensor],
) -> Look:
    """Images of every domain in all others, and the share that a classifier takes for them."""
    figures: dict[str, float] = {}
    for kind, shares in domain_accuracy(classifier, model, measured).items():
        figures |= {f"accuracy_{kind}_{name}": share for name, share in zip(names, shares, strict=True)}
        figures[f"accuracy_{kind}"] = sum(shares) / len(shares)
    return Look(domain_pictures(model, shown, tuple(names)), figures)
