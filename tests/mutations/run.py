"""Puts known faults into a copy of the repository, one at a time, and says which of them the tests let through.

    python tests/mutations/run.py                     # all of catalogue.py, an hour on one core
    python tests/mutations/run.py --only asyncgan     # those whose file, old or new text matches a regular expression

For every mutation the tests that should notice it run with ``pytest -x -q``: "killed" means that one of them failed.
Before that, all tests in question have to pass without any mutation. The exit status is 1 if a mutation survived or if
the text that it replaces is no longer there exactly once; a test of the suite, tests/test_mutations.py, watches that too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutations.catalogue import MUTATIONS, Mutation  # noqa: E402

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "runs", "shared", "build", "dist", "_build", "__pycache__", ".*_cache"
)


def outcome(folder: Path, tests: Iterable[str], seconds: float) -> str:
    """What becomes of tests in a copy: "passed", "failed", "timed out", or the end of what pytest says."""
    # a file that is changed twice in a second would be taken from the cache of bytecode
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return "timed out"
    known = {0: "passed", 1: "failed", 2: "failed"}  # 2: a module could not even be imported
    return known.get(ended.returncode, ended.stdout[-500:] + ended.stderr[-500:])


def verdict(folder: Path, mutation: Mutation, seconds: float) -> str:
    """Whether the tests notice a mutation: "killed", "survived", "not found", or why that could not be seen."""
    path = folder / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return "not found"
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        found = outcome(folder, mutation.tests.split(), seconds)
    finally:
        path.write_text(text, encoding="utf-8")
    return {"passed": "survived", "failed": "killed", "timed out": "killed"}.get(found, found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="a regular expression")
    parser.add_argument("--seconds", type=float, default=600, help="after which a mutation counts as killed")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if re.search(options.only, "\n".join(mutation[:3]))]
    if not chosen:
        sys.exit(f"no mutation matches {options.only!r}")
    counts: dict[str, int] = {}
    with TemporaryDirectory() as place:
        folder = Path(place) / "copy"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        tests = dict.fromkeys(test for mutation in chosen for test in mutation.tests.split())
        before = outcome(folder, tests, options.seconds * len(tests))
        if before != "passed":
            sys.exit(f"without any mutation the tests do not pass: {before}")
        for mutation in chosen:
            begun = time.monotonic()
            found = verdict(folder, mutation, options.seconds)
            counts[found] = counts.get(found, 0) + 1
            took = f"{time.monotonic() - begun:3.0f} s"
            print(f"{found:9}  {took}  {mutation.file}: {mutation.old!r} → {mutation.new!r}", flush=True)
    print(", ".join(f"{count} {found}" for found, count in counts.items()))
    sys.exit(counts.keys() != {"killed"})


if __name__ == "__main__":
    main()
