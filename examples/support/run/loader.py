"""The batches of a run: loaded ahead by workers, their broken files counted, and a worker's death said.

Around torch's DataLoader, which neither begins at a sample, nor gathers what workers found, nor ends while one hangs.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.nn.functional import adaptive_avg_pool2d
from torch.utils.data import DataLoader, default_collate

from support.data.files import BrokenFiles, listed
from support.run.atomic_write import write_atomic
from support.run.signals import SIGNALS, LoadingInterrupted

COMPARED, SAME = 4, 4
"""Samples that a resumed run compares with those of before, and by how many levels of 255 their parts may differ."""


class EndlessData(Protocol):
    """A data set without an end: sample number ``index`` is the same in every run."""

    epoch: int
    """Samples to an epoch."""
    broken: BrokenFiles
    """Files that could not be read."""
    meaning: dict[str, str]
    """What its samples are, by name: what makes trained networks useless if it changes. Files that come or go do not."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""


class BatchLoader:
    """Batches from a data set, in its order, and what is known of its broken files; part of a checkpoint.

    Args:
        accelerator: gives every process its part, on its device.
        data: the set.
        batch: samples of one process in a batch.
        workers: processes that load.
        record: file that lists the broken files, written as they are found.
    """

    def __init__(self, accelerator: Accelerator, data: EndlessData, batch: int, workers: int, record: Path) -> None:
        self.accelerator, self.data, self.batch, self.workers = accelerator, data, batch, workers
        self.record, self._reported = record, set[str]()
        self._shown = _thumbnails(data[index] for index in range(COMPARED))

    @property
    def found_broken(self) -> bool:
        """Whether this process has found broken files that were not reported yet."""
        return not self.data.broken.found.keys() <= self._reported

    def batches(self, first: int, after: int) -> Iterator[Any]:
        """The samples from ``first`` to before ``after``.

        Raises:
            ValueError: a worker died.
        """
        loader: DataLoader[Any] = DataLoader(
            _WithBroken(self.data),  # type: ignore[arg-type]  # a map without a length, which a sampler makes unnecessary
            self.batch,
            sampler=range(first, after),
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=begin_worker,
            generator=torch.Generator(),  # its own, so that loading disturbs nothing
        )
        others = set(active_children())
        try:
            # a name, so that it is not closed before its workers are ended below
            loaded = iter(self.accelerator.prepare(loader))
            while True:
                with _sigchld_kept():
                    batch, found = next(loaded)
                self.data.broken.found |= found
                yield batch
        except StopIteration:
            return
        except (GeneratorExit, LoadingInterrupted):
            for worker in set(active_children()) - others:
                worker.kill()  # it may hang, each would be waited for, and a disk that hangs lets nothing else through
            raise
        # what it has loaded is fetched from the one that loaded it, which then may not be there either
        except (RuntimeError, ConnectionError, EOFError) as error:
            if isinstance(error, RuntimeError) and "DataLoader worker (pid" not in str(error):
                raise
            raise ValueError(
                f"data: a process that loads images died ({error or type(error).__name__}); often memory ran out: take "
                "fewer --workers"
            ) from error

    def report_broken(self) -> None:
        """Put together what all processes have found, list it and warn of it; all of them have to call this.

        Raises:
            ValueError: more than one file in a hundred is broken.
        """
        broken = self.data.broken
        for found in gather_object([broken.found]):
            broken.found |= found
        fresh = {name: problem for name, problem in broken.found.items() if name not in self._reported}
        self._reported |= fresh.keys()
        if self.accelerator.is_main_process:
            text = listed(broken.found, len(broken.found)) + "\n"
            try:
                write_atomic(self.record, text.encode(errors="backslashreplace"))  # names need not be Unicode
            except OSError as error:
                warnings.warn(f"{self.record.name} could not be written: {error}; training goes on", stacklevel=2)
        broken.check()
        if fresh and self.accelerator.is_main_process:
            warnings.warn(
                f"data: {len(broken.found)} of {broken.total} files cannot be read and are skipped, these are new:\n{listed(fresh)}",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        broken = self.data.broken
        state = {"count": broken.total, "names": broken.names, "broken": dict(broken.found)}
        return state | {"meaning": dict(self.data.meaning), "shown": self._shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of a checkpoint; other files are said, but not refused: broken ones may have been removed.

        Raises:
            ValueError: the samples would mean something else than before.
        """
        broken = self.data.broken
        before, now = state.get("meaning", self.data.meaning), self.data.meaning
        if changed := [
            f"{name}: {before.get(name, 'none')} before, {now.get(name, 'none')} now"
            for name in before | dict(now)
            if before.get(name) != now.get(name)
        ]:
            raise ValueError(
                f"the data mean something else; {'; '.join(changed)}; put back what was, or begin a run of its own"
            )
        problem = None
        if (state["count"], state["names"]) != (broken.total, broken.names):
            problem = f"the files are not those of before, {state['count']} then and {broken.total} now"
        else:
            broken.recall(state["broken"])
            self._reported |= broken.found.keys() & state["broken"].keys()
            if not _alike(state.get("shown", self._shown), self._shown):
                problem = "files of the same names look otherwise than before; they were replaced or mended, or "
                problem += "another version of a library reads them differently"
        if problem is not None:
            warnings.warn(f"resume: {problem}; the run goes on with these", stacklevel=4)


def begin_worker(_: int) -> None:
    """In a process that loads images: leave it to the run what signals do."""
    for number in set(SIGNALS) - {signal.SIGTERM}:  # which has to end it: that is how the run itself does it
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _sigchld_kept() -> Iterator[None]:
    """Not let torch install what raises in the middle of a step when a worker dies: the next batch tells, between steps."""
    number = getattr(signal, "SIGCHLD", None)  # Windows has none
    if number is None or current_thread() is not main_thread():
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before)


def _thumbnails(samples: Iterable[Any]) -> list[list[int]]:
    """Thumbnails of every part of some samples: images as 4 × 4 mean levels of each channel, numbers as they are."""
    parts = [torch.as_tensor(part).float() for sample in samples for part in default_collate([sample])]
    return [
        (adaptive_avg_pool2d(part, 4) * 127.5 if part.ndim == 4 else part).round().int().flatten().tolist()
        for part in parts
    ]


def _alike(before: list[list[int]], now: list[list[int]]) -> bool:
    """Whether thumbnails show the same, whatever version of a decoder has read the files."""
    return len(before) == len(now) and all(
        len(one) == len(other) and all(abs(a - b) <= SAME for a, b in zip(one, other, strict=True))
        for one, other in zip(before, now, strict=True)
    )


@dataclass
class _WithBroken:
    """Samples, each with the files that it found broken; the process that loads them may be another one."""

    data: EndlessData

    def __getitem__(self, index: int) -> tuple[Any, dict[str, str]]:
        found = self.data.broken.found
        before = len(found)
        sample = self.data[index]
        return sample, dict(list(found.items())[before:])


def _collate(samples: list[tuple[Any, dict[str, str]]]) -> tuple[Any, dict[str, str]]:
    found = {name: problem for _, more in samples for name, problem in more.items()}
    return default_collate([sample for sample, _ in samples]), found
