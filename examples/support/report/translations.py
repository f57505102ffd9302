"""One page that shows images, what was made of them, and all of it along a path in z: no server, no other files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from support.report.template import encoded, filled_in, source
from support.run.atomic_write import write_atomic

SIDE = 512
"""Longer side of an image on the page, at most, in pixels."""

MOST = 24
"""Images on a page, at most: each is there once for every place of the slider."""


@dataclass
class Gallery:
    """Images and their translations, collected one by one.

    Args:
        title: of the page.
        notes: what a reader must know.
        labels: what each place of the slider is; one where there is no slider.
        slides: what the slider moves, such as "z".
    """

    title: str
    notes: Sequence[str]
    labels: Sequence[str]
    slides: str
    figures: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)
    """Name and source of each image, labels and sources of its results."""

    @property
    def full(self) -> bool:
        """Whether no further image has room."""
        return len(self.figures) >= MOST

    def add(self, name: str, image: Image.Image, results: Sequence[Image.Image]) -> None:
        """Show an image beside its results, one for every label."""
        frames = list(zip(self.labels, map(_source, results), strict=True))
        self.figures.append((name, _source(image), frames))

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all.

        Raises:
            OSError: no room, no permission.
        """
        notes = [*self.notes, *([f"Shown are the first {MOST} images."] if self.full else [])]
        write_atomic(path, filled_in("translations.html", **vars(self) | {"notes": notes}))


def _source(image: Image.Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return source(encoded(small, "WEBP"), "WEBP")
