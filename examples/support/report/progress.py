"""Progress bars: losses, speed and time to go."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def seconds_between_states() -> float:
    """Of a progress bar: more where it goes to a file, in which every state stays as a line."""
    return 0.1 if sys.stderr.isatty() else 30.0


def with_bar(steps: Iterable[Item], name: str, visible: bool) -> Iterable[Item]:
    """The same, with a bar that goes away at the end."""
    return tqdm(steps, desc=name, disable=not visible, leave=False, mininterval=seconds_between_states())


class Progress:
    """A bar with losses, images per second and time to go, fed with the part of the training that is done.

    Args:
        visible: False on all processes but the main one.
        done: the part that was done before.
    """

    def __init__(self, visible: bool, done: float = 0.0) -> None:
        style = "{percentage:3.0f}%|{bar:12}| {elapsed}<{remaining}{postfix}"
        often = seconds_between_states()
        self._bar = tqdm(
            total=1.0, initial=done, bar_format=style, disable=not visible, dynamic_ncols=True, mininterval=often
        )
        self._images, self._since = 0, monotonic()

    def count(self, images: int) -> None:
        """So many more images have been trained on."""
        self._images += images

    def show(self, done: float, losses: Mapping[str, float], names: Sequence[str]) -> float:
        """Update the bar; ``names`` are the losses worth the room. Gives images per second since it was shown last."""
        now = monotonic()
        speed = self._images / max(now - self._since, 1e-9)
        self._images, self._since = 0, now
        shown = [f"{name}={losses[name]:.2f}" for name in names]
        self._bar.set_postfix_str(", ".join([f"{speed:.3g} images/s", *shown]), refresh=False)
        self.reach(done)
        return speed

    def pause(self) -> None:
        """Time until the next step is not counted against the speed."""
        self._images, self._since = 0, monotonic()

    def reach(self, done: float) -> None:
        """Move the bar alone."""
        self._bar.update(max(0.0, min(done, 1.0) - self._bar.n))

    def close(self) -> None:
        """Leave the bar on the screen."""
        self._bar.close()
