"""What the protocols of user studies ask."""

from __future__ import annotations

from typing import Literal

Protocol = Literal["pair", "single", "mos"]
"""Which of two images is real, whether one image is, or grades from 1 to 5."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "pair": ("real or fake",),
    "single": ("real or fake",),
    "mos": ("correctness", "realness", "richness"),
}
"""What is asked in each trial of a protocol."""

REAL = "real"
"""The name of the real images among those of the methods."""
