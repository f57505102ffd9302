"""Doctests run as in a fresh Python session: an example imports what it uses, so that it can be pasted into one."""

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the names of its module from every example."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.dtest.globs = {"__name__": "__main__"}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
