"""Confidence intervals of what people answered: Wilson's for shares, and one over people and images for means."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from statistics import NormalDist, fmean

from asymkit.arguments import at_least, number

Interval = tuple[float, float]
"""Its lower and its upper end."""


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share (Wilson 1927), which is sensible at 0, at 1 and for few trials.

    It takes the trials as independent of each other.

    Args:
        successes: how many of the trials.
        trials: how many there were, at least one.
        confidence: of the interval.

    Returns:
        Its ends, within [0, 1].

    Raises:
        ValueError: no trials, more successes than trials, or a confidence that is not between 0 and 1.

    Example:
        >>> from asymkit.evaluation.study.intervals import wilson
        >>> low, high = wilson(0, 10)
        >>> round(low, 3), round(high, 3)
        (0.0, 0.278)
    """
    trials = at_least("trials", trials)
    successes = at_least("successes", successes, 0, trials)
    z = NormalDist().inv_cdf((1 + _confidence(confidence)) / 2)
    share, by = successes / trials, z * z / trials
    center = (share + by / 2) / (1 + by)
    half = math.sqrt(by * (share * (1 - share) + by / 4)) / (1 + by)
    return (0.0 if successes == 0 else center - half), (1.0 if successes == trials else center + half)


def crossed_interval(
    values: Sequence[float],
    people: Sequence[Hashable],
    images: Sequence[Hashable],
    confidence: float = 0.95,
    bounds: Interval = (-math.inf, math.inf),
) -> Interval | None:
    r"""Interval of a mean for other people and other images: Student's t, with errors clustered by both.

    Answers of one person are alike, and so are answers about one image; an interval that takes all answers as independent is
    too narrow. With the sum E of the deviations from the mean in each cluster, the variance of the mean of n answers is
    :math:`(\sum_{people} E^2 + \sum_{images} E^2 - \sum_{both} E^2) / n^2` (Cameron, Gelbach and Miller 2011), each sum times
    G / (G - 1) for its G clusters, and at least the third one alone. Degrees of freedom are one less than the fewer of people
    and images. Where there is one person only, or one image, clusters are those of the other kind.

    Args:
        values: the answers.
        people: who gave each.
        images: what each is about.
        confidence: of the interval.
        bounds: ends of the scale, at which the interval is cut off.

    Returns:
        Its ends; None where there is nothing to tell from: one person and one image, or no spread at all.

    Raises:
        ValueError: no values, lists of different lengths, or a confidence that is not between 0 and 1.

    Example:
        >>> from asymkit.evaluation.study.intervals import crossed_interval
        >>> low, high = crossed_interval([2, 3, 4, 3, 4, 5], ["ann"] * 3 + ["bob"] * 3, [1, 2, 3] * 2, bounds=(1, 5))
        >>> low, high
        (1, 5)
    """
    confidence = _confidence(confidence)
    if not values or not len(values) == len(people) == len(images):
        raise ValueError(
            f"values, people and images must be as many, at least one, got {len(values)}, {len(people)} and {len(images)}"
        )
    mean, kinds = fmean(values), [kind for kind in (people, images) if len(set(kind)) > 1]
    if not kinds:
        return None
    deviations = [value - mean for value in values]
    total = sum(_clustered(deviations, kind) for kind in kinds)
    if len(kinds) == 2:
        both = _clustered(deviations, list(zip(people, images, strict=True)))
        total = max(total - both, both)
    freedom = min(len(set(kind)) for kind in kinds) - 1
    half = student_t(confidence, freedom) * math.sqrt(total) / len(values)
    return (max(bounds[0], mean - half), min(bounds[1], mean + half)) if half > 1e-12 else None


def _clustered(deviations: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """Sum of the squares of the clusters' sums, times G / (G - 1)."""
    sums: dict[Hashable, float] = defaultdict(float)
    for deviation, cluster in zip(deviations, clusters, strict=True):
        sums[cluster] += deviation
    return math.fsum(each * each for each in sums.values()) * len(sums) / (len(sums) - 1)


def student_t(confidence: float, freedom: int) -> float:
    """The t between whose negative and itself Student's t distribution has such a probability.

    By bisection of the distribution's closed form for integer degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).

    Args:
        confidence: the probability.
        freedom: degrees of freedom, at least 1.

    Returns:
        The quantile at (1 + confidence) / 2.

    Example:
        >>> from asymkit.evaluation.study.intervals import student_t
        >>> round(student_t(0.95, 9), 3)
        2.262
    """
    confidence, freedom = _confidence(confidence), at_least("freedom", freedom)
    low, high = 0.0, math.pi / 2  # angles whose tangent is t / sqrt(freedom)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, series = (cosine, cosine if freedom > 1 else 0.0) if odd else (1.0, 1.0)
    for upper in range(2 if odd else 1, freedom - 2, 2):
        term *= upper / (upper + 1) * cosine * cosine
        series += term
    return (angle + sine * series) * 2 / math.pi if odd else sine * series


def _confidence(confidence: float) -> float:
    return number("confidence", confidence, 0.01, 0.9999)
