"""The built site, in a real browser: nothing hangs out at the side, no host is asked, names link, equations are typeset."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import browser

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
            assert [re.sub(r".*/", "", source) for source in shown] == [f"rich-and-poor-{scheme}.svg"]


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
