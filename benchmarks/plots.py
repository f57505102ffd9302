"""The plots of docs/benchmarks.md, from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

OWN, OTHERS = "#2a6f97", ("#9a9a9a", "#c08a4a", "#7f9f6a")
"""Colours of this library's lines and bars, and of others'."""


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


def gains(path: Path, title: str, x_label: str, panels: Mapping[str, Mapping[float, Sequence[float]]]) -> None:
    """One panel for each score: the gain of every seed over the dial, their mean, and the line where there is none."""
    plt = _pyplot()
    rows = -(-len(panels) // 2)
    figure, all_axes = plt.subplots(rows, 2, figsize=(9, 2.8 * rows), squeeze=False)
    for axes, (score, places) in zip(all_axes.flat, panels.items(), strict=False):
        axes.axhline(0, color=OTHERS[0], linewidth=1)
        axes.plot(list(places), [sum(seeds) / len(seeds) for seeds in places.values()], "-", color=OWN, linewidth=2)
        for place, seeds in places.items():
            axes.plot([place] * len(seeds), list(seeds), "o", color=OWN, markersize=4, alpha=0.6)
        axes.set_xticks(list(places), [f"{place:.3g}" for place in places], fontsize=7)
        axes.tick_params(axis="y", labelsize=7)
        axes.set_xlabel(x_label, fontsize=8)
        axes.set_title(score, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
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
