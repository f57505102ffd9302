"""What was found, in one table: the claims of the papers, each in the place where its own argument says that it must hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import NamedTuple

from report import MISSING, table

from hidden_factors.claims import CLAIMS, LOWER_IS_BETTER, verdict
from hidden_factors.entries import BITS, Entry, Grouped, grouped, of_equal_steps, paired, pairs_of

COLUMNS = ("claim", "where", "compared", "score", "figures", "verdict")
NAMES = {
    "asymgan-zcycle1": "AsymGAN",
    "asymgan-light": "AsymGAN, light G",
    "concat-zcycle1": "AsymGAN, concatenated z",
    "all-three": "all three",
    "skip-zcycle1": "AsymGAN, skips",
    "cyclegan-skip": "CycleGAN, skips",
    "munit": "compact MUNIT",
    "cyclegan": "CycleGAN",
    "cyclegan-light": "CycleGAN, light G",
    "cyclegan-stop": "CycleGAN, cycle of x detached",
    "async": "Async-CycleGAN",
    "async-oracle": "Async-CycleGAN, pairs of the true y",
    "stargan": "StarGAN",
    "shared": "one generator",
    "S2-way-back": "S2, way back",
    "nothing": "doing nothing",
}
"""Short ones of arms that are called otherwise on the command line."""
PLACES = {
    "strokes": "strokes in random looks",
    "determined": "strokes, hue by digit",
    "digits": "MNIST and USPS",
    "scenes": "drawn scenes",
    "streets": "photographs of streets",
    "domains": "four looks of strokes",
    "folder": "faces (CK+)",
}
"""What the sets show; the folder is the one that was measured."""


class Headline(NamedTuple):
    """A claim, and the place in which its figures are shown."""

    claim: str
    set: str
    factors: int
    arm: str
    rival: str
    scores: tuple[str, ...]


DETACHED = "a rich cycle that trains F alone does"
WAY_BACK = "they do better where the translator learns the way back too"
SCHEDULE, UNEQUAL = "the asynchronous schedule helps the hard direction", "two generators beat one for several domains"
HEADLINES = (
    Headline(
        "z carries what the poor domain lacks, and G leaks less",
        *("strokes", 2, "asymgan-zcycle1", "cyclegan"),
        ("factors from y", "leak", "x→y error", "y→x error"),
    ),
    Headline(
        "z carries what the poor domain lacks, and G leaks less",
        *("streets", 0, "asymgan-zcycle1", "cyclegan"),
        ("leak", "x→y IoU", "y→x IoU"),
    ),
    Headline("z makes many images of one", "strokes", 2, "asymgan-zcycle1", "cyclegan", ("bits",)),
    Headline(
        "z is better than MUNIT's style", "strokes", 2, "asymgan-zcycle1", "munit", ("x→y error", "factors from y")
    ),
    Headline(
        "CIN is better than concatenation", "strokes", 2, "asymgan-zcycle1", "concat-zcycle1", ("x→y error", "style")
    ),
    Headline(
        "generators that keep details (skips) are better",
        *("strokes", 2, "skip-zcycle1", "asymgan-zcycle1"),
        ("x→y error", "y→x error", "style"),
    ),
    Headline(
        "with skips, z ends the leak",
        *("strokes", 2, "skip-zcycle1", "cyclegan-skip"),
        ("factors from y", "leak", "x→y error", "y→x error"),
    ),
    Headline(SCHEDULE, "determined", 1, "async", "cyclegan", ("right",)),
    Headline(SCHEDULE, "streets", 0, "async", "cyclegan", ("y→x IoU", "x→y IoU")),
    Headline(SCHEDULE, "scenes", 1, "async", "cyclegan", ("y→x IoU", "x→y IoU")),
    Headline("it does where the pairs hide nothing", "determined", 1, "async-oracle", "cyclegan", ("right",)),
    Headline(DETACHED, "determined", 1, "cyclegan-stop", "cyclegan", ("right",)),
    Headline(DETACHED, "streets", 0, "cyclegan-stop", "cyclegan", ("y→x IoU", "x→y IoU", "leak")),
    Headline(
        "a light G is as good", "strokes", 2, "asymgan-light", "asymgan-zcycle1", ("x→y error", "y→x error", "bits")
    ),
    Headline("two generators beat StarGAN", "domains", 0, "S2", "stargan", ("translation error",)),
    Headline("two generators beat StarGAN", "folder", 0, "S2", "stargan", ("domain accuracy",)),
    Headline(UNEQUAL, "domains", 0, "S2", "shared", ("translation error",)),
    Headline(UNEQUAL, "folder", 0, "S2", "shared", ("domain accuracy",)),
    Headline(WAY_BACK, "domains", 0, "S2-way-back", "S2", ("translation error",)),
    Headline(WAY_BACK, "folder", 0, "S2-way-back", "S2", ("domain accuracy",)),
    Headline("a light reconstructor costs less", "domains", 0, "S2", "S3", ("CPU ms a step", "translation error")),
    Headline(
        "all three together beat z alone", "strokes", 2, "all-three", "asymgan-zcycle1", ("x→y error", "y→x error")
    ),
    Headline(
        "all three together beat a light G alone",
        "strokes",
        2,
        "all-three",
        "cyclegan-light",
        ("x→y error", "y→x error"),
    ),
    Headline("training beats doing nothing", "digits", 0, "async", "nothing", ("x→y accuracy", "y→x accuracy")),
)


def headlines_table(entries: Iterable[Entry]) -> str:
    """One row for each score of each headline, after the last epoch, of the settings with most seeds, then most steps."""
    found, rows = grouped(of_equal_steps(entries)), []
    for headline in HEADLINES:
        of_one = list(rows_of(headline, found))
        rows += of_one or [{"claim": headline.claim, "where": PLACES[headline.set], "verdict": MISSING}]
    return table(COLUMNS, rows)


def rows_of(headline: Headline, by_arm: Grouped) -> Iterator[dict[str, str]]:
    """One for each of its scores that was measured."""
    places = [
        pair
        for pair in pairs_of(by_arm, headline.arm, headline.rival)
        if (pair[0][0]["set"], pair[0][0]["factors"]) == (headline.set, headline.factors)
    ]
    if not places:
        return
    own, other = max(places, key=lambda pair: (min(map(len, pair)), pair[0][0]["steps"]))
    hidden = f", {headline.factors * BITS:.3g} bits hidden" if headline.factors else ""
    shown = {
        "claim": headline.claim,
        "where": f"{PLACES[headline.set]} {own[0]['size']}²{hidden}",
        "compared": " / ".join(NAMES.get(arm, arm) for arm in (headline.arm, headline.rival)),
    }
    for score in headline.scores:
        if both := paired(score, own, other, "last"):
            claim = next(c for c in CLAIMS if (c.arm, c.rival, c.score) == (headline.arm, headline.rival, score))
            yield shown | {
                "score": f"{score}, {'lower' if score in LOWER_IS_BETTER else 'higher'} is better",
                "figures": " / ".join(_digits(fmean(values)) for values in zip(*both, strict=True)),
                "verdict": verdict([claim.difference(*pair) for pair in both]),
            }
            shown |= {"where": "", "compared": ""}  # as in the row before


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 3) + 0:.3f}"
