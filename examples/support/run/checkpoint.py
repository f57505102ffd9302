"""One file that holds a whole run, and from which it goes on to the bit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

from support.run.atomic_write import file_and_previous, previous_of, write_with_checksum
from support.run.rng import rng_states, set_rng_states


class Stateful(Protocol):
    """Anything with a state: networks, optimizers, image pools."""

    def state_dict(self) -> Any:
        """What to save."""

    def load_state_dict(self, state: Any) -> Any:
        """Take it back."""


VERSION = 4


def save_checkpoint(
    path: Path,
    step: int,
    seconds: float,
    parts: Mapping[str, Stateful],
    samples: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write every part's state, the random states and how far the run has come, see :mod:`support.run.atomic_write`.

    Args:
        path: the file; the one that was there is kept as the previous one.
        step: training steps done.
        seconds: time they took.
        parts: by name, the same names as when loading.
        samples: that all processes together take for a step.
        settings: of the run, plain.

    Raises:
        OSError: it could not be written; the earlier ones are untouched.
    """
    states = {"version": VERSION, "step": step, "seconds": seconds, "samples": samples, "random": rng_states()}
    states |= {"settings": dict(settings or {}), "threads": torch.get_num_threads()}
    states["parts"] = {name: part.state_dict() for name, part in parts.items()}
    write_with_checksum(path, lambda file: torch.save(states, file))


def load_checkpoint(path: Path, parts: Mapping[str, Stateful], samples: int = 1, process: int = 0) -> tuple[int, float]:
    """Read what :func:`save_checkpoint` wrote into the same parts; where it is damaged, the one before it.

    Args:
        path: the file.
        parts: by name, the same names as when saving.
        samples: that all processes together take for a step, now; how many processes that are may change.
        process: number of this process. The first one goes on with the random state it saved; the others get a new
            one of their own, or all would sample the same z. All take over the first one's image pools.

    Returns:
        Steps done and the seconds they took.

    Raises:
        ValueError: no file is there or whole, it is of other parts, or of other numbers of samples to a step.
    """
    saved, used = _newest(path)
    if saved["parts"].keys() != parts.keys():
        raise ValueError(f"resume: {str(used)!r} holds {sorted(saved['parts'])}, this run has {sorted(parts)}")
    if saved.get("samples", samples) != samples:
        raise ValueError(
            f"resume: a step of the run took {saved['samples']} samples, now it would take {samples}; choose --batch, "
            f"--accumulate and the number of processes so that their product is {saved['samples']} again"
        )
    for name, part in parts.items():
        try:
            part.load_state_dict(saved["parts"][name])
        except (RuntimeError, ValueError) as error:
            first = next(filter(None, str(error).splitlines()[1:]), str(error)).strip()
            raise ValueError(f"resume: {name} in {str(used)!r} is of other settings than this run: {first}") from error
    if process > 0:
        torch.manual_seed(1000 * saved["step"] + process)
    else:
        set_rng_states(saved["random"])
    return saved["step"], saved["seconds"]


def saved_entry(path: Path, name: str) -> Any:
    """What a run's checkpoint, or else the one before it, says of "settings" or "threads"; None where neither tells."""
    for candidate in (path, previous_of(path)):
        with suppress(Exception):  # damaged files are named when they are loaded; mmap leaves tensors on the disk
            return torch.load(candidate, map_location="cpu", weights_only=True, mmap=True)[name]
    return None


def _newest(path: Path) -> tuple[dict[str, Any], Path]:
    """The newest checkpoint that is whole, and where it was; what is not is named."""
    damaged: list[str] = []
    for candidate, problem in file_and_previous(path):
        saved: Any = None
        if problem is None:
            try:
                saved = torch.load(candidate, map_location="cpu", weights_only=True)
            except Exception as error:  # torch.load raises whatever the broken byte happened to hit
                problem = str(error)  # noqa: PLW2901
        if problem is not None:
            damaged.append(f"cannot read {str(candidate)!r}: {problem}")
            continue
        if not isinstance(saved, dict) or not {"step", "seconds", "random", "parts"} <= saved.keys():
            raise ValueError(f"resume: {str(candidate)!r} is no checkpoint of a run; give the --out of one")
        if saved.get("version", 1) > VERSION:
            raise ValueError(f"resume: {str(candidate)!r} was written by a newer asymkit; upgrade to go on with it")
        if damaged:
            said = f"resume: {'; '.join(damaged)}; going on from the one before, step {saved['step']}"
            warnings.warn(said, stacklevel=3)
        return saved, candidate
    if damaged:
        raise ValueError(f"resume: {'; '.join(damaged)}")
    raise ValueError(f"resume: no checkpoint {str(path)!r}; start without --resume first")
