"""The command line of what is done with a trained run, which has options and no presets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

T = TypeVar("T")


def tool(main: Callable[[T], None], options: type[T]) -> None:
    """Call ``main`` with the options of the command line; what it refuses is said in one line."""
    try:
        main(tyro.cli(options))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
