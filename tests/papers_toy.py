"""Runs of the papers' tables in the process of the test, whose imports are done."""

from __future__ import annotations

import io
import runpy
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path


def start(script: Path, words: Sequence[str]) -> str:
    """What a script prints, as :func:`papers.train.start` has it."""
    out, before = io.StringIO(), sys.argv
    sys.argv = [str(script), *words]
    try:
        with redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of a plan without partial epochs
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as error:
        raise ValueError(f"{script.name} {' '.join(words)}: {error}") from error
    finally:
        sys.argv = before
    return out.getvalue()
