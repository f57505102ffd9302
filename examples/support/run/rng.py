"""The random states of a process: of PyTorch on the CPU and on the accelerator, of Python and of NumPy.

By hand: accelerate's are in files of their own, with objects of NumPy that torch.load(weights_only=True) refuses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def rng_states() -> dict[str, Any]:
    """All of them, in types that are safe to load."""
    name, keys, place, has_gauss, gauss = np.random.get_state()  # noqa: NPY002  what libraries draw from
    version, words, gauss_next = random.getstate()
    return {
        "cpu": torch.get_rng_state(),
        "numpy": [str(name), torch.from_numpy(np.asarray(keys).astype(np.int64)), place, has_gauss, gauss],
        "python": [version, list(words), gauss_next],
        **{device: module.get_rng_state() for device, module in _accelerators().items()},
    }


def set_rng_states(states: Mapping[str, Any]) -> None:
    """Take over states of :func:`rng_states`; that of an accelerator which they are not of stays as it is."""
    torch.set_rng_state(states["cpu"])
    name, keys, place, has_gauss, gauss = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), place, has_gauss, gauss))  # noqa: NPY002
    version, words, gauss_next = states["python"]
    random.setstate((version, tuple(words), gauss_next))
    for device, module in _accelerators().items():
        if device in states:
            module.set_rng_state(states[device])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch's random numbers of a seed; afterwards all random states are what they were before."""
    states = rng_states()
    try:
        torch.manual_seed(seed)
        yield
    finally:
        set_rng_states(states)


def _accelerators() -> dict[str, Any]:
    """PyTorch's module of the accelerator, whose functions mean the current device, by its type, e.g. "cuda"; or none.

    torch.random.fork_rng gives them the number of a device, which torch.mps does not take.
    """
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return {} if device is None else {device.type: torch.get_device_module(device)}


@contextmanager
def seeded_inference() -> Iterator[None]:
    """No gradients, the same random numbers every time, and none taken from the training."""
    with torch.inference_mode(), seeded(0):
        yield
