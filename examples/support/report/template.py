"""The templates beside this file, filled in, and the pictures in the pages that they give."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)


def filled_in(template: str, **values: object) -> bytes:
    """The page of a template, with values by the names it has for them; text in them is escaped."""
    return TEMPLATES.get_template(template).render(values).encode(errors="backslashreplace")


def encoded(image: Image.Image, form: str) -> bytes:
    """The content of an image's file."""
    buffer = io.BytesIO()
    image.save(buffer, form, quality=85)
    return buffer.getvalue()


def source(data: bytes, form: str) -> str:
    """What an <img> shows a file by that the page itself holds."""
    return f"data:image/{form.lower()};base64,{base64.b64encode(data).decode()}"
