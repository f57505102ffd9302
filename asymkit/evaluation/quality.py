"""Image quality of a set of generated images against a set of real ones: FID, KID and Inception Score, by torchmetrics.

Figures are named for the network: those of another network than Inception are never called FID.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from asymkit.arguments import MOST_SEED, at_least
from asymkit.checks import check_array
from asymkit.evaluation.features import FeatureNetwork, extract_features
from asymkit.evaluation.sources import Images
from asymkit.evaluation.table import Row
from asymkit.optional import needed_for

FEW = 2000
"""Images below which the Fréchet distance is dominated by its bias, and the kernel distance is given first."""

SUBSET, SUBSETS = 1000, 100
"""Images in a subset and subsets of the kernel distance, as its authors have them."""


class _Features(nn.Identity):
    """Tells torchmetrics that it is given features, and how many."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


@contextmanager
def torchmetrics_image(seed: int = 0) -> Iterator[Any]:
    """``torchmetrics.image`` without its warnings, random draws of which come from a seed.

    Raises:
        ImportError: torchmetrics is missing.
    """
    with needed_for("this figure"):
        from torchmetrics import image
        from torchmetrics.image import fid, inception, kid  # noqa: F401
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # that features are kept in memory
        torch.default_generator.manual_seed(seed)
        yield image


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two Gaussians fitted to features; FID where they are Inception's (Heusel et al. 2017).

    ‖μ − ν‖² + tr(Σ + Γ − 2 (ΣΓ)^½), in float64. Its bias falls with the number of images and is large below 2,000.

    Args:
        real: features (N, F), N at least 2.
        fake: features (M, F), M at least 2.

    Raises:
        ValueError: no features, another number of them, fewer than two rows.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import frechet_distance
        >>> x = torch.randn(50, 4, dtype=torch.float64)
        >>> round(frechet_distance(x, x + 3), 4)
        36.0
    """
    real, fake = _both(real, fake)
    with torchmetrics_image() as image:
        metric = image.fid.FrechetInceptionDistance(_Features(real.shape[1]))
        metric.update(real, real=True)
        metric.update(fake, real=False)
        return float(metric.compute())


def kernel_distance(
    real: Tensor, fake: Tensor, subset_size: int | None = None, subsets: int | None = None, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of features, unbiased; KID where they are Inception's (Bińkowski et al. 2018).

    The kernel is (x·y / F + 1)³, the figure the mean over random subsets, in float64. It has no bias, so that small sets
    can be compared, and can be a little below 0.

    Args:
        real: features (N, F), N at least 2.
        fake: features (M, F), M at least 2.
        subset_size: images in a subset; None for 1,000, or as many as the smaller set has.
        subsets: how many; None for 100, or 1 where a subset is all of both sets.
        seed: of the subsets.

    Returns:
        Mean and standard deviation over the subsets.

    Raises:
        ValueError: no features, another number of them, fewer rows than a subset has.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import kernel_distance
        >>> x = torch.randn(50, 4, dtype=torch.float64)
        >>> kernel_distance(x[:25], x[25:] + 1)[0] > kernel_distance(x[:25], x[25:])[0]
        True
    """
    real, fake = _both(real, fake)
    size, number_of = subsets_of(len(real), len(fake), subset_size, subsets)
    with torchmetrics_image(at_least("seed", seed, 0, MOST_SEED)) as image:
        metric = image.kid.KernelInceptionDistance(_Features(real.shape[1]), subsets=number_of, subset_size=size)
        metric.update(real, real=True)
        metric.update(fake, real=False)
        mean, std = metric.compute()
    return float(mean), float(std)


def subsets_of(real: int, fake: int, subset_size: int | None, subsets: int | None) -> tuple[int, int]:
    """Images in a subset and subsets of :func:`kernel_distance`, chosen where they are None."""
    fewest = min(real, fake)
    size = min(SUBSET, fewest) if subset_size is None else at_least("subset_size", subset_size, 2)
    if size > fewest:
        raise ValueError(f"subset_size must be at most the {fewest} images of the smaller set, got {size}")
    if subsets is not None:
        return size, at_least("subsets", subsets, most=100_000)
    return size, 1 if real == fake == size else SUBSETS


def inception_score(logits: Tensor, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """Exponential of the mean KL divergence of p(class | image) from p(class) (Salimans et al. 2016).

    Args:
        logits: of generated images (N, classes); Inception's, or the figure is another one.
        splits: parts that the images are divided into at random, at most N.
        seed: of the division.

    Returns:
        Mean and standard deviation over the parts; the latter NaN for one part.

    Raises:
        ValueError: no logits, more parts than images.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import inception_score
        >>> round(inception_score(100 * torch.eye(4, dtype=torch.float64), splits=1)[0], 4)
        4.0
    """
    _check_rows("logits", logits)
    if at_least("splits", splits) > len(logits):
        raise ValueError(f"splits must be at most the {len(logits)} images, got {splits}")
    with torchmetrics_image(at_least("seed", seed, 0, MOST_SEED)) as image:
        metric = image.inception.InceptionScore(nn.Identity(), splits=splits)
        metric.update(logits.detach().double().cpu())
        mean, std = metric.compute()
    return float(mean), float(std) if splits > 1 else float("nan")


@dataclass(frozen=True)
class ImageQuality:
    """How far generated images are from real ones as sets.

    Attributes:
        network: name of the feature network and its weights.
        is_inception: whether it is the one that FID is defined with.
        images: of the real and of the generated set.
        frechet: distance of Fréchet.
        kernel: mean and standard deviation over subsets of the kernel distance.
        subsets: images in a subset, and how many subsets.
        score: mean and standard deviation of the inception score, None where the network has no logits.
        splits: parts of the inception score.
    """

    network: str
    is_inception: bool
    images: tuple[int, int]
    frechet: float
    kernel: tuple[float, float]
    subsets: tuple[int, int]
    score: tuple[float, float] | None
    splits: int

    def rows(self) -> list[Row]:
        """The rows of a table, the kernel distance first where there are fewer than 2,000 images."""
        names = ("KID", "FID", "Inception Score")
        if not self.is_inception:
            net = self.network.split(" ")[0].rstrip(",")
            names = (
                f"kernel distance ({net} features)",
                f"Fréchet distance ({net} features)",
                f"inception score ({net} classes)",
            )
        real, fake = self.images
        counts = f"{self.network}; {real:,} real, {fake:,} generated images"
        size, number_of = self.subsets
        few = min(self.images) < FEW
        kernel = Row(names[0], self.kernel[0], f"{counts}; {number_of} subsets of {size:,}", self.kernel[1])
        if number_of == 1:
            kernel = Row(names[0], self.kernel[0], f"{counts}; all of them at once")
        frechet = Row(names[1], self.frechet, counts + (f"; biased below {FEW:,} images" if few else ""))
        rows = [kernel, frechet] if few else [frechet, kernel]
        if self.score is not None:
            spread = self.score[1] if self.splits > 1 else None
            rows.append(Row(names[2], self.score[0], f"{self.network}; {fake:,} images in {self.splits} parts", spread))
        return rows


def image_quality(
    real: Images,
    fake: Images,
    network: FeatureNetwork,
    subset_size: int | None = None,
    subsets: int | None = None,
    splits: int = 10,
    seed: int = 0,
) -> ImageQuality:
    """FID, KID and Inception Score, or what they are called of another network.

    Args:
        real: (N, 3, H, W) in [-1, 1], a folder, or batches; at least two images, of any sizes.
        fake: of the same kinds, any number and sizes.
        network: :func:`asymkit.evaluation.inception_features` for FID, or any other one.
        subset_size: see :func:`kernel_distance`.
        subsets: see :func:`kernel_distance`.
        splits: of the inception score; fewer where there are fewer images.
        seed: of subsets and parts.

    Raises:
        ValueError: fewer than two images, or what the network refuses.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import image_quality, torchvision_features
        >>> x = torch.rand(8, 3, 16, 16) * 2 - 1
        >>> found = image_quality(x, -x, torchvision_features(weights=None, side=32))
        >>> [row.figure for row in found.rows()][:2]
        ['kernel distance (squeezenet1_1 features)', 'Fréchet distance (squeezenet1_1 features)']
    """
    splits = at_least("splits", splits)
    real_values, _ = extract_features(network, real, "real")
    fake_values, logits = extract_features(network, fake, "fake")
    sizes = len(real_values), len(fake_values)
    if min(sizes) < 2:
        raise ValueError(
            f"real and fake must hold at least two images each to be compared as sets, got {sizes[0]} and {sizes[1]}"
        )
    splits = 1 if logits is None else len(logits.chunk(min(splits, len(logits))))
    return ImageQuality(
        network.name,
        network.is_inception,
        sizes,
        frechet_distance(real_values, fake_values),
        kernel_distance(real_values, fake_values, subset_size, subsets, seed),
        subsets_of(*sizes, subset_size, subsets),
        None if logits is None else inception_score(logits, splits, seed),
        splits,
    )


def _check_rows(name: str, values: object, least: int = 1) -> None:
    check_array(name, values, f"floating point, (N, F) with N at least {least}", (2,), least=least)


def _both(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    _check_rows("real", real, least=2)
    _check_rows("fake", fake, least=2)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real and fake must have as many features, got {real.shape[1]} and {fake.shape[1]}")
    return real.detach().double().cpu(), fake.detach().double().cpu()
