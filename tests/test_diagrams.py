"""The drawn diagrams: as their script draws them, well-formed, readable, and naming what exists."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from launch import script

import asymkit

ROOT = Path(__file__).parent.parent


FILES: dict[Path, str] = script(ROOT / "docs" / "diagrams.py").files()
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_what_the_script_draws(path: Path) -> None:
    """`python docs/diagrams.py` writes them."""
    assert path.read_text(encoding="utf-8") == FILES[path]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_text_is_large_enough_at_400_pixels_and_inside(path: Path) -> None:
    root = ET.fromstring(FILES[path])
    assert root.get("viewBox", "").split()[2] == root.get("width") == "400"
    assert float(root.get("font-size", "0")) >= 14
    assert not list(root.iterfind(f"{SVG}text[@font-size]"))
    for text in root.iterfind(f"{SVG}text"):
        x, width = float(text.get("x", "nan")), 7.2 * len(text.text or "")  # of Helvetica at 14, seldom more
        left = {"middle": x - width / 2, "start": x}[text.get("text-anchor", "")]
        assert left >= -2, text.text
        assert left + width <= 402, text.text
    assert root.findtext(f"{SVG}title")


def test_boxes_name_classes_that_exist() -> None:
    names = {
        name for text in FILES.values() for name in re.findall(r">(\w+(?:Generator|Discriminator|Encoder))<", text)
    }
    assert names
    assert names <= set(asymkit.__all__)


@pytest.mark.parametrize(
    "page", ["README.md", "docs/index.md", "docs/asymgan.md", "docs/asymmetricgan.md", "docs/asyncgan.md"]
)
def test_pages_show_both_themes(page: str) -> None:
    shown = set(re.findall(r"images/([\w-]+)-(light|dark)\.svg", (ROOT / page).read_text(encoding="utf-8")))
    names = {name for name, _ in shown}
    assert names
    assert shown == {(name, theme) for name in names for theme in ("light", "dark")}


def test_logos_of_the_site_are_the_drawn_ones() -> None:
    for theme in ("light", "dark"):
        logo = (ROOT / "docs" / "_static" / f"mark-{theme}.svg").read_text(encoding="utf-8")
        assert logo == FILES[ROOT / "docs" / "images" / f"mark-{theme}.svg"]
