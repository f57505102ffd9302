"""Standard output and standard error of the package's commands."""

from __future__ import annotations

import io
import sys


def print_in_any_encoding() -> None:
    r"""Write characters that are not in a stream's encoding as escapes, e.g. λ as ``\u03bb`` in code page 1252.

    Commands call it first, because printing such text raises UnicodeEncodeError otherwise. Streams that are not
    ``io.TextIOWrapper``, e.g. those of notebooks, are not changed.

    Example:
        >>> from asymkit.console import print_in_any_encoding
        >>> print_in_any_encoding()
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
