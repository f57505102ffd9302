"""One page that shows images, what was made of them, and all of it along a path in z: no server, no other files."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from PIL import Image

from asymkit.checkpoints.durable import write_whole

PAGE = Path(__file__).with_name("translations.html")

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
    figures: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether no further image has room."""
        return len(self.figures) >= MOST

    def add(self, name: str, image: Image.Image, results: Sequence[Image.Image]) -> None:
        """Show an image beside its results, one for every label."""
        shown = "".join(
            _img(f"{name}, {label}", result, "frame", hidden=place > 0)
            for place, (label, result) in enumerate(zip(self.labels, results, strict=True))
        )
        figure = f"<figcaption>{html.escape(name)}</figcaption><div>{_img(name, image)}<span>{shown}</span></div>"
        self.figures.append(f"<figure>{figure}</figure>")

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all.

        Raises:
            OSError: no room, no permission.
        """
        slider, last = "", len(self.labels) - 1
        notes = [*self.notes, *([f"Shown are the first {MOST} images."] if self.full else [])]
        if last:
            slider = f'<label class="slider">{self.slides} <input type="range" min="0" max="{last}" value="0">'
            slider += f"<output>{html.escape(self.labels[0])}</output></label>"
        text = Template(PAGE.read_text(encoding="utf-8")).substitute(
            title=html.escape(self.title),
            notes="".join(f"<p>{html.escape(note)}</p>" for note in notes),
            slider=slider,
            figures="".join(self.figures),
            labels=json.dumps(list(self.labels)).replace("<", "\\u003c"),  # no tag may end the script
        )
        write_whole(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def _img(alt: str, image: Image.Image, kind: str = "input", hidden: bool = False) -> str:
    small, buffer = image.convert("RGB"), io.BytesIO()
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(buffer, "WEBP", quality=85)
    source = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f'<img class="{kind}" alt="{html.escape(alt)}"{" hidden" if hidden else ""} src="{source}">'
