"""Probes of the leak: what a small model can read from G(x) of factors of x that a translation should not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import MOST_SEED, at_least, described, one_of
from asymkit.checks import FLOATING, check_array, check_images, have_values
from asymkit.evaluation.table import Row

Kind = Literal["linear", "convolutional"]

RIDGES = [10.0**power for power in range(-8, 5)]
"""Of which the probe takes the one with the least leave-one-out error; shares of the mean square of the inputs."""


@dataclass(frozen=True)
class ProbeScore:
    """How well a probe predicts factors of images that it was not trained on.

    Attributes:
        score: accuracy, or for numbers the explained share of variance R², mean of both halves.
        chance: what is reached without looking at the images: the share of the most frequent class, or 0.
        halves: of each half, predicted by the probe that was trained on the other one.
        images: how many there were.
        kind: of the probe.
        measure: "accuracy" or "R²".
    """

    score: float
    chance: float
    halves: tuple[float, float]
    images: int
    kind: str
    measure: str

    def rows(self) -> list[Row]:
        """The row of a table."""
        halves = " and ".join(f"{each:.3g}" for each in self.halves)
        said = f"{self.kind} probe, chance {self.chance:.3g}; {self.images:,} images, halves {halves}"
        return [Row(f"{self.measure} of a probe on G(x)", self.score, said)]


def probe(images: Tensor, factors: Tensor, kind: Kind = "linear", steps: int = 500, seed: int = 0) -> ProbeScore:
    """Predict hidden factors from G(x): above chance, G(x) holds what it should not.

    The images are divided into halves at random. A probe is trained on each half and tested with the other one. Take
    factors that a right translation does not show, such as the hue of a photo whose labels are classes; a probe of the
    true y of the same photos says what they show by right.

    Args:
        images: G(x), (N, C, H, W), in [-1, 1], at least 8.
        factors: of x: classes (N,), integers from 0; or numbers (N,) or (N, K), floating point.
        kind: "linear": ridge regression on all pixels, closed form, finds what stands at fixed places, at any
            amplitude; "convolutional": three layers and a mean over positions, finds what moves.
        steps: of the convolutional probe's training.
        seed: of the halves and of the training.

    Raises:
        ValueError: images and factors that do not belong together, fewer than 8 images, one class only, an unknown kind.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import probe
        >>> hue = torch.rand(200)
        >>> images = torch.rand(200, 3, 4, 4)
        >>> images[:, 0, 0, 0] = 0.01 * hue
        >>> probe(images, hue).score > 0.9, probe(torch.rand(200, 3, 4, 4), hue).score < 0.5
        (True, True)
    """
    check_images(images, "images")
    have_values(images=images)
    one_of("kind", kind, ("linear", "convolutional"))
    targets, classes = _targets(factors, len(images))
    steps = at_least("steps", steps)
    generator = torch.Generator().manual_seed(at_least("seed", seed, 0, MOST_SEED))
    order = torch.randperm(len(images), generator=generator)
    parts = order[: len(order) // 2], order[len(order) // 2 :]
    images, targets = images.detach().cpu().float(), targets.cpu()
    scores, chances = [], []
    for train, test in (parts, parts[::-1]):
        fit = images[train], targets[train], images[test]
        guesses = _linear(*fit) if kind == "linear" else _convolutional(*fit, bool(classes), steps, seed)
        right = targets[test]
        if classes:
            usual = targets[train].sum(0).argmax()
            scores.append((guesses.argmax(1) == right.argmax(1)).double().mean().item())
            chances.append((right.argmax(1) == usual).double().mean().item())
        else:
            left = (guesses - right).square().mean(0) / (right - right.mean(0)).square().mean(0).clamp_min(1e-12)
            scores.append(1 - left.mean().item())
            chances.append(0.0)
    score, chance = (sum(each) / 2 for each in (scores, chances))
    return ProbeScore(score, chance, (scores[1], scores[0]), len(images), kind, "accuracy" if classes else "R²")


def _targets(factors: Tensor, count: int) -> tuple[Tensor, int]:
    """Columns to predict, in float64, and how many classes they stand for, 0 for numbers."""
    if count < 8:
        raise ValueError(f"images must be at least 8, to be divided into halves, got {count}")
    what = f"({count},) or ({count}, K), one row for each image"
    floating = getattr(factors, "dtype", None) in FLOATING
    check_array("factors", factors, what, (1, 2), integers=not floating, length=count)
    if floating:
        numbers = factors.detach().double().reshape(count, -1)
        if not numbers.isfinite().all():
            raise ValueError("factors must be finite")
        return numbers, 0
    if factors.ndim == 2 or int(factors.min()) < 0:
        raise ValueError(
            f"factors must be classes ({count},), integers from 0, or floating point, got {described(factors)}"
        )
    classes = int(factors.max()) + 1
    if len(factors.unique()) < 2 or classes > 10_000:
        raise ValueError(
            f"factors must be of at least two classes, numbered from 0, got {len(factors.unique())} up to {classes - 1}"
        )
    return F.one_hot(factors.long(), classes).double(), classes


def _linear(x: Tensor, y: Tensor, tested: Tensor) -> Tensor:
    """Ridge regression in its dual form, its strength by leave-one-out error."""
    mean, std = x.mean(0), x.std(0)
    x, tested = (((each - mean) / std.clamp_min(1e-6)).flatten(1) for each in (x, tested))
    gram, cross = y.new_zeros(len(x), len(x)), y.new_zeros(len(tested), len(x))
    for left, right in zip(x.split(65_536, 1), tested.split(65_536, 1), strict=True):  # float64 of parts only
        gram += left.double() @ left.double().T
        cross += right.double() @ left.double().T
    scale = (gram.trace() / len(x)).clamp_min(1e-12)
    values, vectors = torch.linalg.eigh(gram / scale)
    values, centre = values.clamp_min(0), y.mean(0)
    turned = vectors.T @ (y - centre)

    def left_out(ridge: float) -> float:
        shrink = (values / (values + ridge))[:, None]
        own = 1 - vectors.square() @ shrink - 1 / len(x)
        return ((y - centre - vectors @ (shrink * turned)) / own.clamp_min(1e-9)).square().mean().item()

    ridge = min(RIDGES, key=left_out)
    return centre + cross / scale @ (vectors @ (turned / (values + ridge)[:, None]))


def _convolutional(x: Tensor, y: Tensor, tested: Tensor, classes: bool, steps: int, seed: int) -> Tensor:
    mean, std = (y.mean(0), y.std(0).clamp_min(1e-6)) if not classes else (y.new_zeros(()), y.new_ones(()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, outputs in ((x.shape[1], 32), (32, 64), (64, 64)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, 2, 1, padding_mode="replicate"),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, y.shape[1]))
        optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
        wanted = ((y - mean) / std).float()
        for _ in range(steps):
            chosen = torch.randint(len(x), (min(32, len(x)),))
            guesses = network(x[chosen])
            loss = F.cross_entropy(guesses, wanted[chosen]) if classes else F.mse_loss(guesses, wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        guesses = torch.cat([network(part) for part in tested.split(64)])
    return guesses.double() * std + mean
