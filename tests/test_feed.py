"""Batches: what workers find and how they fail reaches the person."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from support.data.files import BrokenFiles
from support.run.loader import BatchLoader

from asymkit.evaluation.images import BrokenImageError


class Numbers:
    """Samples that are their numbers; some of them broken, or deadly."""

    def __init__(self, total: int, broken: set[int] = frozenset(), deadly: int = -1, wrong: int = -1) -> None:  # type: ignore[assignment]
        self.epoch, self.broken, self.meaning = total, BrokenFiles(total), {"numbers": "their own"}
        self.bad, self.deadly, self.wrong, self.bug = broken, deadly, wrong, Exception()

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == self.wrong:
            raise self.bug
        return torch.tensor(self.broken.first(lambda i=i: self._read(i) for i in (index, index + 1)))  # type: ignore[misc]

    def _read(self, index: int) -> int:
        if index in self.bad:
            raise BrokenImageError(Path(f"{index}.jpg" if index != 8 else "\udcff.jpg"), "cut")
        return index


def numbers(data: Any, folder: Path, first: int, after: int, workers: int) -> list[int]:
    feed, found = BatchLoader(Accelerator(), data, 2, workers, folder / "broken-files.txt"), []
    for batch in feed.batches(first, after):
        if feed.found_broken:
            feed.report_broken()
        found += batch.tolist()
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_wherever_they_begin(tmp_path: Path, workers: int) -> None:
    before = torch.get_rng_state()
    assert numbers(Numbers(10), tmp_path, 4, 12, workers) == list(range(4, 12))
    assert torch.equal(torch.get_rng_state(), before)  # loading takes nothing from the training's chance
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_that_workers_find_are_told_once_and_listed(tmp_path: Path, workers: int) -> None:
    data = Numbers(400, {3, 9})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = numbers(data, tmp_path, 0, 20, workers)
    assert found == [0, 1, 2, 4, *range(4, 9), 10, *range(10, 20)]
    messages = [str(one.message) for one in said]
    assert [message.splitlines() for message in messages] == [
        ["data: 1 of 400 files cannot be read and are skipped, these are new:", "  3.jpg: cut"],
        ["data: 2 of 400 files cannot be read and are skipped, these are new:", "  9.jpg: cut"],
    ]
    assert (tmp_path / "broken-files.txt").read_text(encoding="utf-8") == "  3.jpg: cut\n  9.jpg: cut\n"


def test_too_many_broken_files_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)cannot read 1 of 99 images, more than one in a hundred; .*  7.jpg: cut"):
        numbers(Numbers(99, {7}), tmp_path, 0, 20, 2)
    assert (tmp_path / "broken-files.txt").read_text(encoding="utf-8") == "  7.jpg: cut\n"


def test_names_need_not_be_unicode(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read 1 of 99"):
        numbers(Numbers(99, {8}), tmp_path, 0, 20, 2)
    assert (tmp_path / "broken-files.txt").read_text(encoding="utf-8") == "  \\udcff.jpg: cut\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_is_killed_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a process that loads images died \(.*\); .* fewer --workers"):
        numbers(Numbers(20, deadly=9), tmp_path, 0, 20, 2)


@pytest.mark.parametrize("bug", [KeyError("a bug in the data set"), RuntimeError("a bug in the data set")])
def test_what_goes_wrong_in_a_worker_surfaces_as_it_is(tmp_path: Path, bug: Exception) -> None:
    data = Numbers(20, wrong=9)
    data.bug = bug
    with pytest.raises(type(bug), match="a bug in the data set"):
        numbers(data, tmp_path, 0, 20, 2)


def test_what_was_found_before_is_known_unless_it_was_mended(tmp_path: Path) -> None:
    for name in ("cut.jpg", "mended.png"):
        (tmp_path / name).write_bytes(b"")
    before, after = (BatchLoader(Accelerator(), Numbers(1000), 2, 0, tmp_path / "list.txt") for _ in range(2))
    names = [str(tmp_path / name) for name in ("cut.jpg", "mended.png", "removed.png")]
    before.data.broken.found = dict.fromkeys(names, "the file is empty")
    Image.new("RGB", (20, 20)).save(tmp_path / "mended.png")
    after.load_state_dict(before.state_dict())
    assert after.data.broken.found == {str(tmp_path / "cut.jpg"): "the file is empty"}
    assert not after.found_broken  # nor is it told again


@pytest.mark.filterwarnings("ignore:data. 1 of 400 files")
def test_a_full_disk_does_not_end_a_run_for_the_list(tmp_path: Path) -> None:
    (tmp_path / "broken-files.txt").mkdir()
    with pytest.warns(UserWarning, match=r"broken-files.txt could not be written: .* is no regular file"):
        assert len(numbers(Numbers(400, {3}), tmp_path, 0, 20, 0)) == 20
