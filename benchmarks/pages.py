"""Write the tables and plots of the pages from benchmarks/results/, so that no figure is copied by hand.

    python benchmarks/pages.py
    python benchmarks/pages.py runs/gpu/results.json    # adds what gpu.sh has measured with this state of asymkit/

A table stands between ``<!-- benchmark: NAME -->`` and ``<!-- end -->``, where NAME is that of an entry of the JSON
files or one of ``SUMMARIES``. The latest entry of each kind of device is taken; what has none is "not measured".
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plots
from gpu_goals import gpu_goals
from hidden_factors import tables
from hidden_factors.entries import measured as measured_runs
from papers import tables as papers_tables
from report import (
    KINDS,
    MISSING,
    RESULTS,
    Results,
    commit,
    file_name,
    heading,
    newest,
    package,
    table,
    unmeasured,
    value,
    write_entries,
)

from asymkit.console import print_in_any_encoding

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"(<!-- benchmark: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _times(figure: float | None) -> str:
    return MISSING if figure is None else f"{figure:.3g}×"


def _op(results: Results, kind: str, op: str, memory_of: str | None = None) -> str:
    faster = _times(value(results, kind, "ops", "× faster", op=op, method="asymkit"))
    if memory_of is None or faster == MISSING:
        return faster
    theirs = value(results, kind, "ops", "saved MiB", op=op, method=memory_of) or 0.0
    ours = value(results, kind, "ops", "saved MiB", op=op, method="asymkit") or 0.0
    return f"{faster}, 1/{theirs / ours:.0f} of the memory saved for backward" if ours else faster


def _step(results: Results, kind: str, variant: str, column: str = "× faster", batch: int = 1) -> float | None:
    return value(results, kind, f"train_step-256-{batch}", column, variant=variant)


def _channels_last(results: Results, kind: str) -> str:
    pair = [_step(results, kind, variant) for variant in ("asymkit, channels-last", "asymkit")]
    return MISSING if None in pair else _times(pair[0] / pair[1])  # type: ignore[operator]


def _images(results: Results, kind: str) -> str:
    found = {batch: _step(results, kind, "asymkit", "images/s", batch) for batch in (1, 8, 16)}
    return ", ".join(MISSING if rate is None else f"{rate:.3g} at batch {batch}" for batch, rate in found.items())


GOALS: tuple[tuple[str, str, Callable[[Results, str], str]], ...] = (
    (
        "MS-SSIM, forward and backward, (4,3,256²)",
        "4× pytorch-msssim, 1/15 of its saved memory",
        lambda results, kind: _op(results, kind, "MS-SSIM", "pytorch-msssim"),
    ),
    (
        "conditional instance norm + ReLU + residual, (8,256,64²)",
        "1.35× eager PyTorch",
        lambda results, kind: _op(results, kind, "CIN+ReLU+residual (8,256,64²) NCHW"),
    ),
    (
        "the same in channels-last",
        "1.35× eager PyTorch",
        lambda results, kind: _op(results, kind, "CIN+ReLU+residual (8,256,64²) channels-last"),
    ),
    (
        "Gram matrix, forward and backward, (4,128,128²)",
        "1.5× autograd of `bmm`",
        lambda results, kind: _op(results, kind, "Gram"),
    ),
    (
        "a whole CycleGAN step, 256², batch 1, float32",
        "1.6× eager PyTorch, with bfloat16",
        lambda results, kind: _times(_step(results, kind, "asymkit")),
    ),
    (
        "the same in bfloat16",
        "1.6× eager PyTorch in float32",
        lambda results, kind: _times(_step(results, kind, "asymkit, bfloat16")),
    ),
    ("the same in channels-last, against NCHW", "no slower", _channels_last),
    ("images per second of that step", "published at batch 1, 8 and 16", _images),
)


def goals(results: Results) -> str:
    """What was aimed at, and what was reached on each kind of device."""
    rows = [
        {"path": path, "goal": goal} | {name: reached(results, kind) for kind, name in KINDS.items()}
        for path, goal, reached in GOALS
    ]
    return table(("path", "goal", *KINDS.values()), rows)


def summary(results: Results) -> str:
    """The short form of it."""
    cpus = {kind: name for kind, name in KINDS.items() if kind != "cuda"}
    short = [row for row in GOALS if "channels-last" not in row[0] and "images" not in row[0]]
    rows = [
        {"": path, "times faster than": re.sub(r"^[\d.]+× |,.*", "", goal)}
        | {name: reached(results, kind) for kind, name in cpus.items()}
        for path, goal, reached in short
    ]
    entries = [
        results[name][kind]["machine"]
        for kind in cpus
        for name in ("ops", "train_step-256-1")
        if kind in results.get(name, {})
    ]
    about = "".join(f"{line}\n\n" for line in dict.fromkeys(map(heading, entries)))
    return about + table(("", "times faster than", *cpus.values()), rows)


SUMMARIES: dict[str, Callable[[Results], str]] = {
    **{"goals": goals, "gpu-goals": gpu_goals, "summary": summary},
    **tables.BLOCKS,
    **papers_tables.BLOCKS,
}


def measured(results: Results, name: str) -> str:
    """Machine and table of the latest entry for each kind of device, and the step of gpu.sh that failed to write it."""
    kinds = sorted(results.get(name, {}).items())
    found = [f"{heading(entry['machine'])}\n\n{table(entry['columns'], entry['rows'])}" for _, entry in kinds]
    if "cuda" not in results.get(name, {}) and (reason := unmeasured(results, "cuda", name)) != MISSING:
        found.append(f"CUDA: {reason}")
    return "\n\n".join(found) or f"{MISSING.capitalize()}."


def written(page: str, results: Results) -> str:
    """A page with the figures of these results in all its blocks."""

    def block(match: re.Match[str]) -> str:
        name = match[2]
        text = SUMMARIES[name](results) if name in SUMMARIES else measured(results, name)
        return f"{match[1]}{text}\n{match[3]}"

    return BLOCK.sub(block, page)


def draw(results: Results, folder: Path) -> None:
    """Bars of the ops, and lines over the side of the image, on the first kind of CPU that was measured."""

    def on_cpu(name: str) -> Any:
        return next((results[name][kind] for kind in KINDS if kind != "cuda" and kind in results.get(name, {})), None)

    if entry := on_cpu("ops"):
        groups = dict[str, dict[str, float]]()
        for row in entry["rows"]:
            if "× faster" in row:  # a method that failed has no times
                groups.setdefault(row["op"], {})[row["method"]] = row["× faster"]
        title = f"forward + backward ({entry['machine']['device']}, torch {entry['machine']['torch']})"
        plots.bars(folder / "bench-ops.png", title, groups, "times faster than each first row")
    if entry := on_cpu("scaling"):
        panels = dict[str, dict[str, dict[float, float]]]()
        for row in entry["rows"]:
            for quantity in ("ms", "peak MiB") if row["batch"] == 1 else ():
                panel = panels.setdefault(f"{row['op']}, {quantity}", {})
                panel.setdefault(row["method"], {})[row["side"]] = row[quantity]
        title = f"forward + backward ({entry['machine']['device']}, torch {entry['machine']['torch']})"
        plots.lines(folder / "bench-scaling.png", title, "side of the image, batch 1", panels)
    if dial := tables.gains(measured_runs(), "asymgan-zcycle1", "cyclegan"):
        title = "AsymGAN (λ of z's cycle 1) better than CycleGAN by, each seed and the mean"
        plots.gains(folder / "hidden-factors-dial.png", title, "hidden bits", dial)


def add(path: Path, folder: Path = RESULTS) -> Path:
    """Put results.json of gpu.sh among the results, under the name of its card and day.

    Raises:
        SystemExit: it is of another state of asymkit/ than this one, or of no GPU.
    """
    entries = json.loads(path.read_text(encoding="utf-8"))
    for name, entry in entries.items():
        about = entry["machine"]
        if not about["device"].startswith("cuda"):
            raise SystemExit(f"{path}: {name} was rehearsed on {about['device']}, which is no measurement of a GPU")
        if about.get("package") != package():
            raise SystemExit(
                f"{path}: {name} was measured with another state of asymkit/, {about.get('package')}; this one is "
                f"{package()}. Check out commit {about['commit']}, or measure again"
            )
        if about["commit"] == "unknown" or about["commit"].endswith(
            "+"
        ):  # without git or in a copy, the same by its hash
            about["commit"] = commit()
    target = folder / file_name(entries["steps"]["machine"])
    write_entries(target, entries)
    return target


def main() -> None:
    """Write all pages and plots, with the results of a GPU that are given."""
    for given in sys.argv[1:]:
        print(f"{add(Path(given)).relative_to(ROOT)}: added")
    results = newest()
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        if (new := written(page, results)) != page:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: written")
    draw(results, ROOT / "docs" / "images")


if __name__ == "__main__":
    print_in_any_encoding()
    main()
