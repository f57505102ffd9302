"""Figures as rows of one table, for people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure of a table."""

    figure: str
    """Its name; of features from another network than Inception never "FID", "KID" or "Inception Score"."""

    value: float
    """NaN where it has none, such as the accuracy of a class that no image shows."""

    by: str = ""
    """What it was computed with: the network and its version, the number of images, subsets, classes."""

    spread: float | None = None
    """Standard deviation, None where there is none."""

    @property
    def shown(self) -> str:
        """The value as it stands in the table."""
        value = "–" if math.isnan(self.value) else f"{self.value:.4g}"
        return value if self.spread is None else f"{value} ± {self.spread:.2g}"


def text_table(rows: Sequence[Row]) -> str:
    """The rows in three columns.

    Args:
        rows: at least one.

    Raises:
        ValueError: there are none.

    Example:
        >>> from asymkit.evaluation import Row, text_table
        >>> print(text_table([Row("PSNR", 24.123, "106 pairs"), Row("SSIM", 0.71, "106 pairs", spread=0.1)]))
        PSNR  24.12       106 pairs
        SSIM  0.71 ± 0.1  106 pairs
    """
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    return "\n".join(aligned([(row.figure, row.shown, row.by) for row in rows]))


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """The cells of each line joined by spaces, below those of the other lines."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def json_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain values for ``json.dump``; infinite values and NaN, which JSON does not have, become None.

    Args:
        rows: any number of them.

    Example:
        >>> from asymkit.evaluation import Row, json_rows
        >>> json_rows([Row("PSNR", float("inf"), "1 pair")])
        [{'figure': 'PSNR', 'value': None, 'spread': None, 'shown': 'inf', 'by': '1 pair'}]
    """
    return [
        {
            "figure": row.figure,
            "value": _plain(row.value),
            "spread": _plain(row.spread),
            "shown": row.shown,
            "by": row.by,
        }
        for row in rows
    ]


def _plain(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
