"""Signs that a training leads nowhere, said while it can still be helped."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import mean

WATCHED = 100
"""Logged losses over which a discriminator is watched, a thousand steps."""

WINS = 0.02
"""A discriminator's loss below which it wins: undecided, least squares give 0.5 and the logistic loss 1.39."""

SAME = 0.005
"""Mean difference of images for two z, of their range, below which z does not matter."""

WAITS = 0.2
"""Part of the time spent waiting for images, above which loading holds the training up."""


class Health:
    """Watches losses and figures; what it warns of, it warns of once.

    Args:
        discriminators: a prefix of the names of discriminators' losses.
    """

    def __init__(self, discriminators: str) -> None:
        self.discriminators = discriminators
        self.warnings: dict[str, str] = {}
        self._losses: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WATCHED))
        self._alike = 0

    def losses(self, step: int, losses: Mapping[str, float]) -> list[str]:
        """New warnings from the losses of a step."""
        found = []
        for name, value in losses.items():
            if name.startswith(f"{self.discriminators}adversarial"):
                latest = self._losses[name]
                latest.append(value)
                level = mean(latest)
                message = f"{name} has long been near zero, {level:.2g} at step {step}: the discriminator wins and has little "
                message += "left to teach; lower --lr-d, raise --lr-g, or raise the weights of adversarial terms"
                found += self._once(name, message, len(latest) == WATCHED and level < WINS)
        return found

    def figures(self, step: int, figures: Mapping[str, float]) -> list[str]:
        """New warnings from the figures of a report."""
        diversity = figures.get("z_diversity", math.inf)
        self._alike = self._alike + 1 if diversity < SAME else 0
        message = f"z_diversity is {diversity:.2g} at step {step}: images for different z are nearly the same; z has "
        message += "been forgotten, or not been learned yet; raise the weight of its reconstruction"
        return self._once("z_diversity", message, self._alike >= 2)  # first weights hardly let z through

    def waiting(self, share: float) -> list[str]:
        """A new warning if so large a part of the time was spent waiting for images."""
        message = f"{share:.0%} of the time is spent waiting for images: take more --workers, or store smaller images"
        return self._once("waiting_for_data", message, share >= WAITS)

    def output(self, problem: str | None) -> list[str]:
        """A new warning if messages could not be written."""
        message = f"some messages of the run could not be written and are lost: {problem}"
        return self._once("output", message, problem is not None)

    def _once(self, name: str, message: str, found: bool) -> list[str]:
        if name in self.warnings or not found:
            return []
        self.warnings[name] = message
        return [message]
