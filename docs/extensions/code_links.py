"""Names of the API in prose link to their documentation: `ResnetGenerator`, `objectives.asymgan.Weights`, `Tiled(...)`.

The sources keep plain backticks, which are read the same on GitHub and in the README.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

PLACES = ("", "asymkit.", "asymkit.ops.", "asymkit.objectives.", "asymkit.evaluation.", "asymkit.training.")
"""What a name may be written without."""


def full_name(text: str, known: Any, docname: str) -> str | None:
    """The documented object that a piece of code names, if it is a name, perhaps called; on the page of a paper of its objective."""
    match = re.fullmatch(r"([A-Za-z_][\w.]*)(\(.*\))?", text)
    if match is None:
        return None
    places = (*PLACES, f"asymkit.objectives.{docname}.")
    return next((place + match[1] for place in places if place + match[1] in known), None)


def link(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Wrap literals in references, but for those in headings, in references, and on the object's own page."""
    known = app.env.domains["py"].data["objects"]
    for literal in list(doctree.findall(nodes.literal)):
        inside = literal.parent
        while inside is not None and not isinstance(inside, (nodes.reference, nodes.title)):
            inside = inside.parent
        name = full_name(literal.astext(), known, docname)
        if inside is None and name is not None and known[name].docname != docname:
            target = known[name]
            literal.replace_self(
                make_refnode(app.builder, docname, target.docname, target.node_id, literal.deepcopy(), name)
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
