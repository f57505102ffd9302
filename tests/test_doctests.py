"""An example of a docstring can be pasted into a fresh session: it imports what it uses. The conftest.py at the root sees to it."""

from __future__ import annotations


def names_that_an_example_finds() -> None:
    """None.

    >>> sorted(set(globals()) - {"__name__", "__builtins__", "getfixture"})
    []
    """
