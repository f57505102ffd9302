"""Standard output and standard error of the package's commands."""

from __future__ import annotations

import io
import sys


def print_in_any_encoding() -> None:
    r"""Let text that a stream's encoding does not have be written as escapes, e.g. λ as ``\u03bb`` in code page 1252.

    For commands to call first; without it such text raises UnicodeEncodeError, after hours of work too. Streams that are
    no text files of Python's, e.g. those of notebooks, are left as they are.

    Example:
        >>> from asymkit.console import print_in_any_encoding
        >>> print_in_any_encoding()
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
