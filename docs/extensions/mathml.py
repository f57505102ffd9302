"""Equations as MathML, which browsers draw themselves: pages hold no script for them and ask no other host for one."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def mathml(latex: str, display: str = "inline") -> str:
    """One equation; what latex2mathml does not know stays in it as LaTeX, which is an error here."""
    found = convert(latex, display=display)
    if "\\" in found:
        raise ValueError(f"latex2mathml does not know all of {latex!r}: {found}")
    return found.replace("<mi>log</mi>", '<mi>log</mi><mspace width="0.17em" />')


def _inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
