"""When a claim holds: fixed before anything was measured.

A claim says that one arm's score is better than another's. It *holds* where every seed is ordered that way and the
paired 95 % interval of the difference excludes zero, it *fails* where both are so the other way round, and else it is
*undecided*; so it is with fewer than three seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

COSTS = {
    "parameters": "weights of the generators and encoders in training",
    "CPU ms a step": "processor time of a training step",
}
"""Of a whole run, not of one of its epochs."""
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
    "translation error": "translations to each other domain against the truth",
    "reconstruction error": "the way back from a translation against the image",
    **COSTS,
}
HIGHER_IS_BETTER = {
    "x→y accuracy": "share of G(x) that a classifier of real poor images reads right",
    "y→x accuracy": "share of F(y) that a classifier of real rich images reads right",
    "bits": "entropy of the hidden factors of F(y, z) over z for one y, in parts of the true entropy",
    **{
        f"{way} {name}": f"segmentation of {what}: {score}"
        for way, what in (("x→y", "G(x) by its colours"), ("y→x", "F(y) by a network of real rich images"))
        for name, score in (
            ("pixels", "share of right pixels"),
            ("classes", "mean of it over the classes"),
            ("IoU", "mean intersection over union"),
        )
    },
    "diversity": "how much F(y, z) with one z differs from that with another one, in means of squares",
    "right": "share of F(y) of the true y whose determined factors are right",
    "right from G(x)": "share of F(G(x)) whose determined factors are right",
    "domain accuracy": "share of translations that a classifier of real images takes for one of their target domain",
    "real accuracy": "share of real images that it takes for one of their domain",
}


@dataclass(frozen=True)
class Claim:
    """An arm is better than another by a score, or as good where there is a margin."""

    arm: str
    rival: str
    score: str
    about: str
    margin: float = 0.0  # by which part of the rival's score the arm may be worse

    def difference(self, own: float, other: float) -> float:
        """Positive where the claim is right: by how much the arm is better, and the margin."""
        better = other - own if self.score in LOWER_IS_BETTER else own - other
        return better + self.margin * abs(other)


MARGIN = 0.1
"""What is worse by less than a tenth is as good."""
RIVALS = ("cyclegan", "cyclegan-noise", "cyclegan-low", "munit")
OF_Z = {
    "factors from y": "z carries what the poor image lacks",
    "leak": "AsymGAN leaks less",
    "noise": "AsymGAN is less sensitive to noise on G(x)",
    "x→y error": "AsymGAN is nearer to the true y",
    "y→x error": "AsymGAN's rich images are nearer to real ones",
    "bits": "z makes many images of one",
}
"""By the score that decides."""
ERRORS = ("x→y error", "y→x error")
WITH_Z = (*ERRORS, "factors from y", "bits", "style")
ALONE = {"asymgan-zcycle1": "z", "async": "the asynchronous schedule", "cyclegan-light": "a light G"}
"""What each of three arms has alone that the arm "all-three" has together."""
OF_DOMAINS = ("translation error", "domain accuracy")
CLAIMS = (
    *(
        Claim(arm, rival, score, about)
        for score, about in OF_Z.items()
        for arm in ("asymgan", "asymgan-zcycle1")
        for rival in RIVALS
    ),
    *(
        Claim("skip-zcycle1", "asymgan-zcycle1", score, "skips help where z carries the rest")
        for score in (*WITH_Z, "leak", "noise", "x→y IoU", "y→x IoU")
    ),
    *(
        Claim("cyclegan-skip", "cyclegan", score, "skips help without z")
        for score in (*ERRORS, "leak", "noise", "x→y IoU", "y→x IoU")
    ),
    *(Claim("skip-zcycle1", "cyclegan-skip", score, f"{about}, with skips") for score, about in OF_Z.items()),
    Claim("asymgan-zcycle1", "munit", "style", "a z that is encoded brings the factors of its image along"),
    *(
        Claim("asymgan-zcycle1", f"{way}-zcycle1", score, "z enters best by CIN in the middle blocks")
        for way in ("concat", "concat-all", "cin-all")
        for score in WITH_Z
    ),
    *(Claim("extended-zcycle1", "asymgan-zcycle1", score, "the extended objective is better") for score in WITH_Z),
    *(
        Claim("asymgan-zcycle1", "asymgan", score, "z's cycle weighs less than images' cycles")
        for score in ("x→y error", "y→x error", "rebuild", "style")
    ),
    *(
        Claim(arm, rival, "right", "the asynchronous schedule helps the hard direction")
        for arm in ("async", "async-quantised", "async-noise", "async-blur", "async-y", "async-oracle")
        for rival in ("cyclegan", "cyclegan-y", "more")
    ),
    *(
        Claim(arm, "nothing", f"{way} accuracy", "training beats doing nothing")
        for arm in ("cyclegan", "async")
        for way in ("x→y", "y→x")
    ),
    Claim("async", "cyclegan", "y→x accuracy", "the asynchronous schedule helps the hard direction"),
    *(
        Claim(f"async{stop}", f"cyclegan{stop}", f"{way} IoU", "the asynchronous schedule helps the hard direction")
        for stop in ("", "-stop")
        for way in ("y→x", "x→y")
    ),
    Claim("async-oracle", "cyclegan", "y→x IoU", "the asynchronous schedule helps the hard direction"),
    *(Claim("asymgan-zcycle1", "cyclegan", f"{way} IoU", "z keeps what the label map says") for way in ("y→x", "x→y")),
    Claim("asymgan-zcycle1", "munit", "diversity", "z makes many images of one"),
    Claim("async-stop", "cyclegan-stop", "right", "the asynchronous schedule helps the hard direction"),
    *(
        Claim("async-asymgan-zcycle1", "asymgan-zcycle1", score, "the asynchronous schedule helps the hard direction")
        for score in ("y→x error", "factors from y", "style")
    ),
    *(
        Claim(arm, rival, score, f"a light G is as good: at most {MARGIN:.0%} worse", MARGIN)
        for arm, rival, scores in (
            ("cyclegan-light", "cyclegan", ERRORS),
            ("asymgan-light", "asymgan-zcycle1", WITH_Z),
        )
        for score in scores
    ),
    *(
        Claim(arm, rival, score, "a light G is cheaper")
        for arm, rival in (("cyclegan-light", "cyclegan"), ("asymgan-light", "asymgan-zcycle1"))
        for score in COSTS
    ),
    *(
        Claim("all-three", arm, score, f"all three together beat {alone} alone")
        for arm, alone in ALONE.items()
        for score in (*ERRORS, "factors from y")
    ),
    *(
        Claim(arm, rival, score, about)
        for arm, rival, about in (
            *((pair, "stargan", "two generators beat StarGAN") for pair in ("S1", "S2", "S3")),
            ("shared", "stargan", "AsymmetricGAN's objective beats StarGAN's, with one generator"),
            *((pair, "shared", "two generators beat one, with the same objective") for pair in ("S1", "S2", "S3")),
            *((f"{pair}-narrow", "shared", "two generators beat one of as many weights") for pair in ("S2", "S3")),
            *(
                (f"{pair}-way-back", pair, "a translator that learns the way back too is better")
                for pair in ("S2", "S3")
            ),
            *(
                (f"{pair}-way-back", one, "two generators beat one, where the translator learns the way back too")
                for pair in ("S2", "S3")
                for one in ("shared", "stargan")
            ),
            ("S3", "partly-shared", "sharing nothing is better"),
            ("S2-double", "S2-no-identity", "the identity loss helps"),
            ("S2-double", "S2-no-structure", "MS-SSIM helps"),
            ("S2-double", "S2-no-cycle", "the colour cycle helps"),
            ("S2-double", "S2", "a second discriminator helps"),
        )
        for score in OF_DOMAINS
    ),
    *(
        Claim(pair, "S3", score, f"a light reconstructor is as good: at most {MARGIN:.0%} worse", MARGIN)
        for pair in ("S1", "S2")
        for score in OF_DOMAINS
    ),
    *(Claim(pair, "S3", score, "a light reconstructor is cheaper") for pair in ("S1", "S2") for score in COSTS),
    *(
        Claim(arm, rival, score, "G hides less where the cycle of x trains F alone")
        for arm, rival in (
            ("cyclegan-stop", "cyclegan"),
            ("async-stop", "async"),
            ("skip-stop-zcycle1", "skip-zcycle1"),
            ("cyclegan-skip-stop", "cyclegan-skip"),
        )
        for score in ("right", "leak", "factor leak", "factors from y", "noise", *ERRORS, "y→x IoU", "x→y IoU")
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
