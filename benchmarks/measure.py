"""What every benchmark shares: paired timing, memory, ceilings of the machine, and how results are written."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MIB = 2**20
OWN, OTHERS = "#2a6f97", ("#9a9a9a", "#c08a4a", "#7f9f6a")
"""Colours of this library's lines and bars, and of others'."""


def times(
    functions: Mapping[str, Callable[[], object]], seconds: float, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of every call, all functions in turn, so that a noisy machine disturbs them alike.

    Args:
        functions: what to time, by name; each is called twice to warm up.
        seconds: about how long to time each; three calls at least, two hundred at most.
        device: waited for after every call.

    Returns:
        As many times for each function, in the order they were taken: neighbours may be divided by each other.
    """

    def timed(function: Callable[[], object]) -> float:
        wait(device)
        begin = perf_counter()
        function()
        wait(device)
        return perf_counter() - begin

    slowest = max(max(timed(function) for _ in range(2)) for function in functions.values())
    rounds = min(max(round(seconds / slowest), 3), 200)
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            found[name].append(timed(function))
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
    found = times({"copy": lambda: target.copy_(source)}, 0.5, device)["copy"]
    return 2 * source.untyped_storage().nbytes() / min(found)


def product_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Floating point operations per second of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1536
    a = torch.rand(side, side, device=device, dtype=dtype)
    found = times({"product": lambda: a @ a}, 0.5, device)["product"]
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
            best = max(best, operations / min(times({"": convolve}, 0.3, device)[""]))
    return best


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; without the instructions PyTorch emulates it, hundreds of times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def machine(device: torch.device) -> dict[str, str]:
    """What a figure is worth nothing without."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    malloc = {key: value for key, value in os.environ.items() if key.startswith("MALLOC_") or key == "LD_PRELOAD"}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "torch": torch.__version__,
        "device": f"{device.type}: {name}",
        "bfloat16": "yes" if fast_bfloat16(device) else "no instructions for it",
        "malloc": "glibc's default" if not malloc else "memory kept (" + ", ".join(sorted(malloc)) + ")",
        "python": platform.python_version(),
    }


@dataclass
class Report:
    """Rows of one benchmark, written as JSON and as a Markdown table."""

    name: str
    device: torch.device
    columns: Sequence[str]
    rows: list[dict[str, Any]]

    def table(self) -> str:
        """A Markdown table of all rows, "not measured" where a row has nothing."""
        cells = [[_cell(row.get(column)) for column in self.columns] for row in self.rows]
        lines = [list(self.columns), ["---"] * len(self.columns), *cells]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def write(self, out: Path | None, options: Any) -> None:
        """Print the table; with a folder, write NAME.json and NAME.md there."""
        about = machine(self.device)
        heading = ", ".join(f"{key} {value}" for key, value in about.items())
        print(f"{heading}\n\n{self.table()}")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            found = {"machine": about, "options": asdict(options), "rows": self.rows}
            (out / f"{self.name}.json").write_text(json.dumps(found, indent=2, default=str) + "\n")
            (out / f"{self.name}.md").write_text(f"{heading}\n\n{self.table()}\n")

    def draw(self, out: Path | None, group: str, name: str, value: str, what: str) -> None:
        """A bar for the value of every row, below those of its group; nothing without a folder."""
        if out is not None:
            groups: dict[str, dict[str, float]] = {}
            for row in self.rows:
                groups.setdefault(row[group], {})[row[name]] = row[value]
            about = machine(self.device)
            title = f"forward + backward, {what} ({about['device']}, torch {about['torch']})"
            bars(out / f"{self.name}.png", title, groups, value)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def bars(path: Path, title: str, groups: Mapping[str, Mapping[str, float]], label: str) -> None:
    """A horizontal bar for every value, group by group."""
    plt = _pyplot()
    count = sum(map(len, groups.values())) + len(groups)
    figure, axes = plt.subplots(figsize=(9, 0.22 * count + 1))
    position, ticks = 0.0, []
    for group, values in groups.items():
        for name, value in values.items():
            axes.barh(position, value, color=OWN if "asymkit" in name else "#c9c9c9")
            axes.text(value, position, f" {value:.3g}", va="center", fontsize=7)
            ticks.append((position, f"{group}: {name}"))
            position -= 1
        position -= 0.6
    axes.set_yticks(*zip(*ticks, strict=True), fontsize=7)
    axes.set_ylim(position + 0.8, 0.8)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=9)
    _save(figure, path)


def lines(path: Path, title: str, x_label: str, panels: Mapping[str, Mapping[str, Mapping[float, float]]]) -> None:
    """One panel for each quantity, one line for each method, both axes logarithmic."""
    plt = _pyplot()
    rows = -(-len(panels) // 2)
    figure, all_axes = plt.subplots(rows, 2, figsize=(9, 3.4 * rows), squeeze=False)
    for axes, (quantity, methods) in zip(all_axes.flat, panels.items(), strict=False):
        for i, (name, points) in enumerate(methods.items()):
            style = {"color": OWN, "linewidth": 2} if name == "asymkit" else {"color": OTHERS[i], "linestyle": "--"}
            axes.plot(list(points), list(points.values()), "o", markersize=3, label=name, **{"linestyle": "-"} | style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        places = sorted({place for points in methods.values() for place in points})
        axes.set_xticks(places, [f"{place:g}" for place in places], fontsize=7)
        axes.tick_params(axis="y", labelsize=7, which="both")
        axes.set_xlabel(x_label, fontsize=8)
        axes.set_title(quantity, fontsize=9)
        axes.legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=9)
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
