"""When a claim holds: fixed before anything was measured.

A claim says that one arm's score is better than another's. It *holds* where every seed is ordered that way and the
paired 95 % interval of the difference excludes zero, it *fails* where both are so the other way round, and else it is
*undecided*; so it is with fewer than three seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LOWER_IS_BETTER = {
    "x→y error": "G(x) against the true y",
    "y→x error": "F(y, z) against the nearest rich image of what y shows",
    "rebuild": "F(G(x), E(x)) against x",
    "rebuild from y": "F(y, E(x)) of the true y against x",
    "leak": "error of the rebuild from the true y − error of the rebuild from G(x)",
    "factors": "hidden factors of F(G(x), E(x)) against those of x",
    "factors from y": "hidden factors of F(y, E(x)) of the true y against those of x",
    "factor leak": "factors from y − factors",
    "noise": "how much worse the rebuild is with noise of 0.1 on G(x)",
    "quantised": "how much worse it is with G(x) in 16 levels",
    "style": "hidden factors of F(y, E(x')) against those of another x'",
}
HIGHER_IS_BETTER = {
    "x→y accuracy": "share of G(x) that a classifier of real poor images reads right",
    "bits": "entropy of the hidden factors of F(y, z) over z for one y, in parts of the true entropy",
    "right": "share of F(y) of the true y whose determined factors are right",
    "right from G(x)": "share of F(G(x)) whose determined factors are right",
}


@dataclass(frozen=True)
class Claim:
    """An arm is better than another by a score."""

    arm: str
    rival: str
    score: str
    about: str

    def difference(self, own: float, other: float) -> float:
        """Positive where the arm is better."""
        return other - own if self.score in LOWER_IS_BETTER else own - other


RIVALS = ("cyclegan", "cyclegan-noise", "cyclegan-low")
OF_Z = {
    "factors from y": "z carries what the poor image lacks",
    "leak": "AsymGAN leaks less",
    "noise": "AsymGAN is less sensitive to noise on G(x)",
    "x→y error": "AsymGAN is nearer to the true y",
    "y→x error": "AsymGAN's rich images are nearer to real ones",
    "bits": "z makes many images of one",
}
"""By the score that decides."""
CLAIMS = (
    *(
        Claim(arm, rival, score, about)
        for score, about in OF_Z.items()
        for arm in ("asymgan", "asymgan-zcycle1")
        for rival in RIVALS
    ),
    *(
        Claim("asymgan-zcycle1", "asymgan", score, "z's cycle weighs less than images' cycles")
        for score in ("x→y error", "y→x error", "rebuild", "style")
    ),
    *(
        Claim(arm, rival, "right", "the asynchronous schedule helps the hard direction")
        for arm in ("async", "async-quantised", "async-noise", "async-blur", "async-y", "async-oracle")
        for rival in ("cyclegan", "cyclegan-y", "more")
    ),
    Claim("async-stop", "cyclegan-stop", "right", "the asynchronous schedule helps the hard direction"),
    *(
        Claim(arm, rival, score, "G hides less where the cycle of x trains F alone")
        for arm, rival in (("cyclegan-stop", "cyclegan"), ("async-stop", "async"))
        for score in ("right", "factor leak", "x→y error", "y→x error")
    ),
)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean of independent values, and half the width of Student's interval around it; NaN for one value."""
    from scipy.stats import t

    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return mean, float("nan")
    quantile = float(t.ppf((1 + level) / 2, count - 1))
    return mean, quantile * statistics.stdev(values) / count**0.5


def verdict(differences: Sequence[float]) -> str:
    """Of differences by seed, positive where the claim is right: "holds", "fails" or "undecided"."""
    if len(differences) < 3:
        return "undecided"
    mean, half = interval(differences)
    if min(differences) > 0 and mean - half > 0:
        return "holds"
    return "fails" if max(differences) < 0 and mean + half < 0 else "undecided"
