"""How a user study is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from asymkit.arguments import at_least, described, flags, number, one_of, path_of
from asymkit.evaluation.study.protocols import Protocol

_MOST_SEED = 2**53 - 1
"""The largest integer that the page, whose script has floating point numbers only, tells from the next one."""


@dataclass(frozen=True)
class Settings:
    """How a study is made; what is None depends on the protocol."""

    protocol: Protocol = "pair"
    """pair: which of two images, shown for a moment, is real; single: is one image, shown for a moment, real or fake; mos: rate
    each image from 1 to 5 for correctness, realness and richness."""
    inputs: Path | None = None
    """mos: a folder of the images that the others were made from, by the same names; correctness is asked only with it."""
    paired: bool = False
    """Real and fake images of the same name (endings aside) belong together: pair shows those of one name beside each other."""
    images: int = 50
    """Images of each FAKE on the page, and of REAL as many as those of all FAKE together need; each person sees some of them."""
    trials: int | None = None
    """Trials of each FAKE for one person that count: 40 (pix2pix's and CycleGAN's studies), or 20 for mos (AsymGAN's), or as
    many as there are images for."""
    practice: int | None = None
    """Trials before them that do not count, in which pair and single tell what was right: 10, or 0 for mos."""
    seconds: float = 1.0
    """How long pair and single show images."""
    rate_real: bool = True
    """mos: the real images are rated too, as one more method; without it REAL is not read."""
    side: int = 512
    """Images whose longer side has more pixels are made smaller."""
    quality: int = 95
    """Of all images on the page, which are JPEG with full colour resolution, whatever their files are."""
    limit: float = 50.0
    """Megabytes that the page may have."""
    seed: int = 0
    """Decides which images are on the page and, with the person, their order; the page states it."""
    title: str = ""
    """Of the page."""
    about: str = ""
    """A sentence on what the images show, for the page's beginning."""
    value_range: tuple[float, float] | None = None
    """Values of grey images that become black and white, such as 0 4095 for 12 bits; None: for images of more than 8 bits it is
    found and said."""

    def __post_init__(self) -> None:
        """Refuse what makes no study."""
        one_of("protocol", self.protocol, get_args(Protocol))
        at_least("images", self.images, 1, 10_000)
        at_least("side", self.side, 16, 4096)
        at_least("quality", self.quality, 1, 100)
        at_least("seed", self.seed, 0, _MOST_SEED)
        if self.trials is not None:
            at_least("trials", self.trials, 1, 10_000)
        if self.practice is not None:
            at_least("practice", self.practice, 0, 10_000)
        number("seconds", self.seconds, 0.05, 60)
        number("limit", self.limit, 0.1, 500)
        flags(paired=self.paired, rate_real=self.rate_real)
        if self.inputs is not None:
            path_of("inputs", self.inputs)
        for name in ("title", "about"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text, got {described(getattr(self, name))}")
        if self.inputs is not None and self.protocol != "mos":
            raise ValueError(f"inputs: they are shown in protocol 'mos' only, got {self.protocol!r}; leave them out")
