"""The list of faults in tests/mutations does not rot; the faults themselves are tried by hand, see run.py there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutations.catalogue import MUTATIONS

ROOT = Path(__file__).parent.parent


def test_every_mutation_can_still_be_made() -> None:
    """Where the code has changed, tests/mutations/catalogue.py is to be brought up to date."""
    assert len(MUTATIONS) > 40
    stale, same = [], []
    for mutation in MUTATIONS:
        text = (ROOT / mutation.file).read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            stale.append(f"{mutation.file} has {text.count(mutation.old)} times {mutation.old!r}")
        elif ast.dump(ast.parse(text.replace(mutation.old, mutation.new))) == ast.dump(ast.parse(text)):
            same.append(mutation)
    assert not stale
    assert not same


def test_every_mutation_has_tests_that_exist() -> None:
    for test in {test for mutation in MUTATIONS for test in mutation.tests.split() or [""]}:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test
        assert (ROOT / file).suffix == ".py", test
        assert (ROOT / file).is_file(), test


def test_no_mutation_stands_twice() -> None:
    assert len({mutation[:3] for mutation in MUTATIONS}) == len(MUTATIONS)


def test_pytest_leaves_the_mutations_alone(request: pytest.FixtureRequest) -> None:
    def ignored(path: Path) -> object:
        return request.config.hook.pytest_ignore_collect(collection_path=path, config=request.config)

    assert ignored(ROOT / "tests" / "mutations")
    assert not ignored(Path(__file__))
