"""Sphinx configuration."""

import re
import sys
from pathlib import Path

import sphinx.ext.autosummary

import asymkit

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "asymkit"
author = "asymkit developers"
project_copyright = f"2026, {author}"
release = asymkit.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "code_links",
    "mathml",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autosummary_generate = True
sphinx.ext.autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Fig.")  # no sentence of a summary ends there
html_math_renderer = "mathml"  # equations are in the page itself: no script, no request to another host
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"asymkit {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "images/mark-light.svg"
html_theme_options = {"light_logo": "mark-light.svg", "dark_logo": "mark-dark.svg"}

# the repository link, of the one address in pyproject.toml once there is one
_pyproject = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
_address = re.search(r"replacement = '\\1(https?://[^']+)/'", _pyproject)
if _address is not None:
    html_theme_options["footer_icons"] = [{"name": "Repository", "url": _address[1], "html": "Repository", "class": ""}]  # type: ignore[assignment]
