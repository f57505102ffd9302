"""The built site, in a real browser: nothing hangs out at the side, no host is asked, names link, equations are typeset."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import browser
from PIL import Image

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT / "docs").with_suffix("").as_posix()
    for path in (ROOT / "docs").rglob("*.md")
    if not {"_build", "generated"} & set(path.parts)
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make docs` builds it: a warning is an error."""
    target = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        str(ROOT / "docs"),
        str(target),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert result.returncode == 0, result.stderr[-4000:]
    return target


def test_no_page_scrolls_sideways_or_asks_another_host(site: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        for width in (400, 1300):
            for name in PAGES:
                page.screen(width, 900)
                page.visit((site / f"{name}.html").as_uri())
                wide = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{name} at {width} pixels: {wide} too wide"
        assert [url for url in page.requests() if not url.startswith("file:")] == []
        assert page.problems() == []


def test_diagrams_follow_the_theme(site: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        for scheme in ("light", "dark"):
            page.screen(1300, 900, scheme)
            page.visit((site / "index.html").as_uri())
            shown = page.value(
                "[...document.querySelectorAll('article img')].filter(i => i.offsetWidth > 0).map(i => i.getAttribute('src'))"
            )
            files = [re.sub(r".*/", "", source) for source in shown]
            assert files == [f"rich-and-poor-{scheme}.svg", "small-model-encoded.jpg"]


def test_plots_on_white_are_inverted_in_the_dark(site: Path, tmp_path: Path) -> None:
    """Every one that the pages show, whose corner is white; in the light theme they are as they were drawn."""
    white = set()
    for path in (ROOT / "docs" / "images").glob("*.png"):
        with Image.open(path) as image:
            white |= {path.name} if image.convert("RGB").getpixel((2, 2)) == (255, 255, 255) else set()
    assert white
    filters = (
        "[...document.querySelectorAll('article img')].map(i => [i.getAttribute('src'), getComputedStyle(i).filter])"
    )
    seen: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    with browser(tmp_path) as page:
        for scheme, found in seen.items():
            page.screen(1300, 900, scheme)
            for name in PAGES:
                if any(file in (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for file in white):
                    page.visit((site / f"{name}.html").as_uri())
                    found |= {source.rpartition("/")[2]: drawn for source, drawn in page.value(filters)}
    assert seen["light"].keys() >= white
    assert set(seen["light"].values()) == {"none"}
    assert {name for name, drawn in seen["dark"].items() if "invert" in drawn} == white


def test_rows_of_wide_tables_are_lines(site: Path, tmp_path: Path) -> None:
    """As figures broken into towers cannot be compared."""
    tall = (
        "[...document.querySelectorAll('article tr')].filter(row => row.cells.length >= 9).map(row => "
        "row.getBoundingClientRect().height / parseFloat(getComputedStyle(row).lineHeight))"
    )
    with browser(tmp_path) as page:
        page.screen(1300, 900)
        page.visit((site / "results.html").as_uri())
        heights = page.value(tall)
    assert len(heights) > 50
    assert max(heights) < 2.5


@pytest.mark.parametrize("paper", ["asymgan", "asymmetricgan", "asyncgan"])
def test_equations_are_typeset_and_names_beside_them_link(site: Path, paper: str) -> None:
    html = (site / f"{paper}.html").read_text(encoding="utf-8")
    text = (ROOT / "docs" / f"{paper}.md").read_text(encoding="utf-8")
    assert html.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"') == text.count("\n$$\n") // 2
    assert "\\mathcal" not in html
    for line in re.findall(r"^\*\*(?:Eq\. |Algorithm ).*$", text, re.MULTILINE):
        for name in re.findall(r"`([\w.]+)`", line):
            assert re.search(
                rf'<a class="reference internal" href="api/generated/[^"]+"[^>]*><code[^>]*>(<span[^>]*>)?{name}<', html
            ), name


def test_objects_have_the_names_that_users_import(site: Path) -> None:
    page = (site / "api" / "generated" / "asymkit.ResnetGenerator.html").read_text(encoding="utf-8")
    assert 'id="asymkit.ResnetGenerator"' in page
    assert "asymkit.networks.generators.ResnetGenerator" not in re.sub(r'href="[^"]*"', "", page)
