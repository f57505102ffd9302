"""Figures of several runs as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev


def as_markdown(table: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Rows by name, each with the figures that its runs gave, as mean ± deviation over runs."""
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for part, row in table.items():
        cells = [spread(row[name]) if name in row else "" for name in columns]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(figures: Sequence[float]) -> str:
    """Their mean, and deviation where there are several."""
    return f"{mean(figures):.3g}" + (f" ± {stdev(figures):.2g}" if len(figures) > 1 else "")
