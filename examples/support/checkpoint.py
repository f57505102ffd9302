"""One file that holds a whole run: written beside the old one and then renamed, so that there always is a good one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    """Anything with a state: networks, optimizers, image pools."""

    def state_dict(self) -> Any:
        """What to save."""

    def load_state_dict(self, state: Any) -> Any:
        """Take it back."""


def save_checkpoint(path: Path, step: int, seconds: float, parts: Mapping[str, Stateful]) -> None:
    """Write every part's state, the random state and how far the run has come.

    Args:
        path: the file; an older one of this name is replaced once the new one is complete.
        step: training steps done.
        seconds: time they took.
        parts: by name, the same names as when loading.
    """
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    states = {name: part.state_dict() for name, part in parts.items()}
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        torch.save({"step": step, "seconds": seconds, "random": random, "parts": states}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def load_checkpoint(path: Path, parts: Mapping[str, Stateful], process: int = 0) -> tuple[int, float]:
    """Read what :func:`save_checkpoint` wrote into the same parts.

    Args:
        path: the file.
        parts: by name, the same names as when saving.
        process: number of this process. The first one goes on with the random state it saved; the others get a new
            one of their own, or all would sample the same z. All take over the first one's image pools.

    Returns:
        Steps done and the seconds they took.

    Raises:
        ValueError: the file is missing, unreadable, or of other parts.
    """
    if not path.is_file():
        raise ValueError(f"resume: no checkpoint {str(path)!r}; start without --resume first")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the broken byte happened to hit
        raise ValueError(f"resume: cannot read {str(path)!r}: {error}") from error
    if not isinstance(saved, dict) or not {"step", "seconds", "random", "parts"} <= saved.keys():
        raise ValueError(f"resume: {str(path)!r} is no checkpoint of a run; give the --out of one")
    if saved["parts"].keys() != parts.keys():
        raise ValueError(f"resume: {str(path)!r} holds {sorted(saved['parts'])}, this run has {sorted(parts)}")
    for name, part in parts.items():
        try:
            part.load_state_dict(saved["parts"][name])
        except (RuntimeError, ValueError) as error:
            first = next(filter(None, str(error).splitlines()[1:]), str(error)).strip()
            raise ValueError(f"resume: {name} in {str(path)!r} is of other settings than this run: {first}") from error
    if process > 0:
        torch.manual_seed(1000 * saved["step"] + process)
        return saved["step"], saved["seconds"]
    torch.set_rng_state(saved["random"]["cpu"])
    if "cuda" in saved["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved["random"]["cuda"])
    return saved["step"], saved["seconds"]
