"""What every benchmark shares: paired timing, memory, and ceilings of the machine."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

MIB = 2**20


@dataclass
class Options:
    """What the options of every benchmark have in common."""

    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    seconds: float = 2.0
    """Time each method for at least as long."""
    rounds: int = 20
    """Time each method at least as often."""
    limit: float = 600.0
    """Seconds after which the methods of one comparison are called no more, however few rounds there were."""
    out: Path | None = None
    """Write into the JSON file of this machine and day in this folder, such as benchmarks/results."""

    def times(self, functions: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
        """:func:`times` with these options."""
        return times(functions, torch.device(self.device), self.seconds, self.rounds, self.limit)


def times(
    functions: Mapping[str, Callable[[], object]],
    device: torch.device,
    seconds: float = 2.0,
    rounds: int = 20,
    limit: float = 600.0,
) -> dict[str, list[float]]:
    """Seconds of every call, all functions in turn, so that a noisy machine disturbs them alike.

    The first two calls of each, in which kernels are compiled and memory is found, are not timed and decide nothing.

    Args:
        functions: what to time, by name.
        device: waited for after every call.
        seconds: how long to time each, at least.
        rounds: how often to time each, at least: the more of the two.
        limit: seconds for all of them, after which the round that has begun is the last one.

    Returns:
        As many times for each function, in the order they were taken: neighbours may be divided by each other.
    """

    def timed(function: Callable[[], object]) -> float:
        wait(device)
        begin = perf_counter()
        function()
        wait(device)
        return perf_counter() - begin

    for function in functions.values():
        function()
        function()
    found: dict[str, list[float]] = {name: [] for name in functions}
    begin, done = perf_counter(), 0
    while done < rounds or min(map(sum, found.values())) < seconds:
        for name, function in functions.items():
            found[name].append(timed(function))
        done += 1
        if perf_counter() - begin > limit:
            break
    return found


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """The median of the ratios of neighbouring measurements."""
    return statistics.median(n / d for n, d in zip(numerator, denominator, strict=True))


def milliseconds(seconds: Sequence[float]) -> float:
    """The median; the later of the two in the middle."""
    return 1e3 * statistics.median_high(seconds)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def saved_bytes(function: Callable[[], object]) -> int:
    """Memory that autograd keeps between forward and backward, each storage counted once."""
    sizes: dict[int, int] = {}

    def pack(saved: Tensor) -> Tensor:
        sizes[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        kept = function()  # noqa: F841  keeps the graph, so that no storage is freed and counted twice
    return sum(sizes.values())


def peak_bytes(function: Callable[[], object], device: torch.device) -> int:
    """The most memory that was allocated at once while the function ran, above what was allocated before."""
    if device.type == "cuda":
        wait(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function()
        wait(device)
        return torch.cuda.max_memory_allocated(device) - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        function()
    results = profile.profiler.kineto_results if profile.profiler else None
    events = [event for event in results.events() if event.name() == "[memory]"] if results else []
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def bandwidth(device: torch.device) -> float:
    """Bytes per second of a large copy, read and write counted."""
    source = torch.rand(2**26 if device.type == "cuda" else 2**24, device=device)
    target = torch.empty_like(source)
    found = times({"copy": lambda: target.copy_(source)}, device, 0.5)["copy"]
    return 2 * source.untyped_storage().nbytes() / min(found)


def product_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating point operations per second of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1536
    a = torch.rand(side, side, device=device, dtype=dtype)
    found = times({"product": lambda: a @ a}, device, 0.5)["product"]
    return float(2 * side**3 / min(found))


def convolution_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating point operations per second of the convolution that suits the machine best."""
    shapes = [(8, 256, 64), (32, 512, 64)] if device.type == "cuda" else [(1, 256, 64), (4, 128, 64)]
    best = 0.0
    for n, channels, side in shapes:
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.rand(n, channels, side, side, device=device, dtype=dtype).contiguous(memory_format=layout)
            w = torch.rand(channels, channels, 3, 3, device=device, dtype=dtype).contiguous(memory_format=layout)

            def convolve(x: Tensor = x, w: Tensor = w) -> Tensor:
                return F.conv2d(x, w, padding=1)

            operations = 2 * n * channels * channels * 9 * side**2
            best = max(best, operations / min(times({"": convolve}, device, 0.3)[""]))
    return best


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; without the instructions PyTorch emulates it, hundreds of times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
