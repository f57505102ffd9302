"""What a pair of translators does to strokes with hidden factors, against the truth.

Errors of images are mean absolute differences in parts of the value range, 0 to 1. Errors of factors are in parts of
what two independent values differ by: 0 is exact, 1 is chance.

**The leak.** A cycle can be closed by hiding x in G(x), and then F decodes what no real poor image holds. The control is
the true y: what F rebuilds from G(x) better than from y was hidden in G(x). The code E(x) is given in both cases.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asymkit.evaluation.leak import quantised
from asymkit.objectives import asymgan
from hidden_factors.data import BINS, Data, Pairs, Part

Scores = dict[str, float]
NOISE, LEVELS = 0.1, 16
"""Standard deviation and number of grey levels with which G(x) is disturbed before x is rebuilt."""
STROKES, SAMPLES = 16, 96
"""How many poor images, and how many z for each, the entropy is counted over."""


@torch.no_grad()
def score(model: asymgan.Translators, data: Data, part: Part = "test", count: int = 300, seed: int = 7) -> Scores:
    """All scores of translators on images that are held out, the same ones for every model."""
    generator = torch.Generator().manual_seed(seed)
    truth = data.draw(count, generator, part)
    fake_poor, code = model.to_poor(truth.rich), None if model.encoder is None else model.encoder(truth.rich)
    rebuilt, control = model.to_rich(fake_poor, code), model.to_rich(truth.poor, code)
    fake_rich = model.to_rich(truth.poor, sampled(model, count, generator))
    scores = directions(data, fake_poor, fake_rich, truth) | data.recognised(fake_poor, fake_rich, truth)
    scores |= {
        "rebuild": apart(rebuilt, truth.rich),
        "rebuild from y": apart(control, truth.rich),
    }
    scores["leak"] = scores["rebuild from y"] - scores["rebuild"]
    disturbed = {
        "noise": fake_poor + NOISE * torch.randn(fake_poor.shape, generator=generator),
        "quantised": quantised(fake_poor, LEVELS),
    }
    for name, image in disturbed.items():
        scores[name] = apart(model.to_rich(image, code), truth.rich) - scores["rebuild"]
    if data.factors:
        found = {"factors": rebuilt, "factors from y": control}
        for name, image in found.items():
            scores[name] = data.distance(data.read(image, truth.layout), truth.factors).mean().item()
        scores["factor leak"] = scores["factors from y"] - scores["factors"]
        scores |= (
            _determined(data, truth, found) if data.determined else _diversity(model, data, truth, code, generator)
        )
    return scores


def directions(data: Data, fake_poor: Tensor, fake_rich: Tensor, truth: Pairs) -> Scores:
    """The errors of both directions, by whose sum the best epoch is chosen."""
    nearest = data.render(truth.layout, data.read(fake_rich, truth.layout))
    return {"x→y error": apart(fake_poor, truth.poor), "y→x error": apart(fake_rich, nearest)}


def sampled(model: asymgan.Translators, count: int, generator: torch.Generator) -> Tensor | None:
    """Draw z from N(0, I); None for a model without."""
    length: Any = getattr(model.encoder, "aux_channels", None)
    return None if length is None else torch.randn(count, length, generator=generator)


def entropy(values: Tensor) -> Tensor:
    """Bits of values in [0, 1], (samples, ...), over the first dimension, in :data:`BINS` bins."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    shares = nn.functional.one_hot(bins, BINS).float().mean(0)
    return -(shares * shares.clamp(min=1e-12).log2()).sum(-1)


def _diversity(
    model: asymgan.Translators, data: Data, truth: Pairs, code: Tensor | None, generator: torch.Generator
) -> Scores:
    """What z does: entropy over sampled ones, and the factors that an encoded one brings along."""
    poor, layout = (images[:STROKES].repeat(SAMPLES, 1, 1, 1) for images in (truth.poor, truth.layout))
    z = sampled(model, len(poor), generator)
    parts = torch.arange(len(poor)).split(256)
    made = torch.cat([model.to_rich(poor[part], None if z is None else z[part]) for part in parts])
    found = data.read(made, layout).view(SAMPLES, -1, data.factors)
    true = torch.rand(found.shape, generator=generator)  # by the same estimator, whose bias then cancels
    bits, true_bits = entropy(found).mean(0), entropy(true).mean(0)
    scores = {f"bits, {name}": (bits[i] / true_bits[i]).item() for i, name in enumerate(data.names)}
    scores["bits"] = (bits.sum() / true_bits.sum()).item()
    if code is not None:
        others = torch.arange(len(code)).roll(1)
        styled = data.read(model.to_rich(truth.poor, code[others]), truth.layout)
        scores["style"] = data.distance(styled, truth.factors[others]).mean().item()
    return scores


def _determined(data: Data, truth: Pairs, found: dict[str, Tensor]) -> Scores:
    """Of factors that follow from the digit: how often F finds the right one, without a code that tells it."""
    right = {}
    for name, image in found.items():
        apart = (data.read(image, truth.layout) - truth.factors).abs()
        near = (torch.minimum(apart, 1 - apart) < 0.05).all(1)
        right["right" if name.endswith("y") else "right from G(x)"] = near.float().mean().item()
    return right


def apart(images: Tensor, truth: Tensor) -> float:
    """Mean absolute difference in parts of the value range."""
    return (images - truth).abs().mean().item() / 2
