"""What every benchmark shares: paired timing, memory, and ceilings of the machine."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

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


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Raise a RuntimeError where something waits for the GPU, which no CUDA graph can hold; nothing on the CPU."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def captured(function: Callable[[], object], pool: Any = None) -> Callable[[], None]:
    """The function as one CUDA graph, replayed: no launches from Python, but tensors that stay where they are.

    Args:
        function: what is recorded after three warm-up calls on a stream of their own; what it returns is kept.
        pool: of ``torch.cuda.graph_pool_handle()``, for graphs that may write over each other's temporary tensors.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        kept = function()

    def replay(_kept: object = kept) -> None:
        graph.replay()

    return replay


def input_sets(inputs: Sequence[Tensor], device: torch.device) -> list[tuple[Tensor, ...]]:
    """Copies of the inputs, at least four and more than twice as large as the L2 cache: none is found in it again."""
    size = sum(x.untyped_storage().nbytes() for x in inputs)
    cache = torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else 0
    count = max(4, 2 * cache // size + 1)
    return [tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs) for _ in range(count)]


def kernels_of(function: Callable[[], object], device: torch.device) -> tuple[Counter[str], float]:
    """How often each kernel ran, copies and fills of memory among them, and microseconds of all; on the CPU, each operation."""
    function()
    function()
    wait(device)
    activity = torch.profiler.ProfilerActivity.CUDA if device.type == "cuda" else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profile:
        function()
        wait(device)
    kind = "CUDA" if device.type == "cuda" else "CPU"
    # the events as they were recorded: profile.events() takes seconds to make a tree of them
    results = profile.profiler.kineto_results if profile.profiler else None
    events = [event for event in results.events() if event.device_type().name == kind] if results else []
    events = [event for event in events if not event.is_user_annotation()]
    assert events, f"the profiler saw nothing that ran on {device}"
    return Counter(event.name() for event in events), sum(event.duration_ns() for event in events) / 1e3


def gpu_seconds(calls: Sequence[Callable[[], object]], device: torch.device, seconds: float = 0.2) -> tuple[float, str]:
    """Seconds of one call on the GPU alone: all calls in one CUDA graph, timed by events over ten replays.

    Without a GPU, the calls as they are, so that a rehearsal takes the same path.

    Returns:
        The median, divided by the number of calls, and "graph"; where a call waits for the GPU, which no graph can hold,
        the sum of the times of its kernels, by the profiler, and "kernels".
    """

    def all_calls() -> object:
        return [call() for call in calls]

    if device.type != "cuda":
        return min(times({"": all_calls}, device, 0.0, 2)[""]) / len(calls), "calls"
    calls[0]()  # what is built once may wait
    try:  # a capture that fails would leave the process unfit for more
        with no_waiting(device):
            calls[0]()
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        synchronizes = True
    else:
        synchronizes = False
    if synchronizes:
        return kernels_of(all_calls, device)[1] / 1e6 / len(calls), "kernels"
    replay = captured(all_calls)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    replay()
    found: list[float] = []
    while len(found) < 5 or sum(found) < seconds:
        begin.record()
        for _ in range(10):
            replay()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(found) / 10 / len(calls), "graph"


def host_seconds(function: Callable[[], object], device: torch.device, calls: int = 20) -> float:
    """Seconds until a call has given all its work to the GPU, without the time that this takes there."""
    function()
    wait(device)
    begin = perf_counter()
    for _ in range(calls):
        function()
    taken = perf_counter() - begin
    wait(device)
    return taken / calls


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
    return 2 * source.untyped_storage().nbytes() / _fastest(lambda: target.copy_(source), device)


def product_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating point operations per second of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1536
    a = torch.rand(side, side, device=device, dtype=dtype)
    return float(2 * side**3 / _fastest(lambda: a @ a, device))


def _fastest(function: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call: on a GPU of its own work alone."""
    return gpu_seconds([function], device)[0] if device.type == "cuda" else min(times({"": function}, device, 0.5)[""])


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
