"""What is aimed at on a GPU, and what was reached."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from report import Results, table, unmeasured, value

COLUMNS = ("path", "goal", "measured", "reached")


class Figure(NamedTuple):
    """One number of a goal."""

    number: float | None
    text: str
    """With the place of the number."""
    reached: bool = True


def _row(path: str, goal: str, why_not: str, *figures: Figure) -> dict[str, str]:
    """All figures of a goal; reached where every one is, "–" where one is missing."""
    cells = [figure.text.format(figure.number) for figure in figures if figure.number is not None]
    missing = [] if len(cells) == len(figures) else [why_not]
    reached = "yes" if all(figure.reached for figure in figures) else "no"
    return dict(zip(COLUMNS, (path, goal, ", ".join(cells + missing), "–" if missing else reached), strict=True))


def _least(number: float | None, least: float, text: str) -> Figure:
    return Figure(number, text, number is not None and number >= least)


def _most(number: float | None, most: float, text: str) -> Figure:
    return Figure(number, text, number is not None and number <= most)


def _times(number: float | None, other: float | None) -> float | None:
    return None if number is None or other is None else number / other


def gpu_goals(results: Results, kind: str = "cuda") -> str:
    """A table of the goals of a GPU; on the CPU with the figures of a rehearsal."""
    size, presets = ("256", "presets-128-16") if kind == "cuda" else ("32", "presets-64-1")
    figure, why_not = partial(value, results, kind), partial(unmeasured, results, kind)

    def fastest(name: str) -> float | None:
        """Of this library's variants, against the plain step."""
        rows = results.get(name, {}).get(kind, {}).get("rows", [])
        return max(
            (row["× faster"] for row in rows if row["variant"].startswith("asymkit") and "× faster" in row),
            default=None,
        )

    def table_of(batch: int) -> str:
        """That of the step, or where it was not measured the one beside ``torch.compile``, which has the same variants."""
        name, beside = f"{step}-{batch}", f"{step}-{batch}-default"
        return beside if fastest(name) is None and fastest(beside) is not None else name

    step, ops = f"train_step-{size}", partial(figure, "ops", method="asymkit")
    microseconds = _times(ops("GPU ms", op="MS-SSIM"), 1e-3)
    launches = figure("launches", "launches", what="MS-SSIM", method="asymkit")
    rows = [
        _row(
            "MS-SSIM, forward and backward",
            "≤ 60 µs on the GPU, ≥ 15× pytorch-msssim, eager, ≤ 8 launches",
            why_not("ops"),
            _most(microseconds, 60, "{:.0f} µs"),
            _least(ops("× faster", op="MS-SSIM"), 15, "{:.3g}×"),
            _most(launches, 8, "{} launches"),
        )
    ]
    for layout, least in (("NCHW", 80), ("channels-last", 75)):
        share = _times(100, ops("× lower bound forward", op=f"CIN* {layout}"))
        path, goal = f"CIN+ReLU+residual, forward, {layout}", f"≥ {least} % of the bandwidth measured"
        rows.append(_row(path, goal, why_not("ops"), _least(share, least, "{:.0f} %")))
    for batch, gain in ((1, 3.0), (8, 2.3)):
        name = table_of(batch)
        path, goal = f"CycleGAN step, batch {batch}, fastest variant", f"≥ {gain:g}× plain, eager"
        rows.append(_row(path, goal, why_not(name), _least(fastest(name), gain, "{:.3g}×")))
    for mode in ("default", "reduce-overhead"):
        name = f"{step}-1-{mode}"
        ratio = _times(fastest(name), figure(name, "× faster", variant="plain, compiled"))
        path, goal = f"CycleGAN step, batch 1, against torch.compile of the plain one, {mode}", "≥ 1×"
        rows.append(_row(path, goal, why_not(name), _least(ratio, 1, "{:.3g}×")))
    of_step = partial(figure, "launches", what="step")
    half = "asymkit, bfloat16" if of_step("GPU µs", method="asymkit, bfloat16") else "asymkit"
    last = f"{half}, channels-last"
    ratio = _times(of_step("GPU µs", method=last), of_step("GPU µs", method=half))
    copies = of_step("layout copies", method=last)
    rows.append(
        _row(
            f"GPU time of the step in channels-last, against NCHW ({half})",
            "< 1, no layout copies",
            why_not("launches"),
            Figure(ratio, "{:.3g}", ratio is not None and ratio < 1),
            _most(copies, 0, "{} layout copies"),
        )
    )
    name = presets
    rows.append(
        _row(
            "S2, against one generator",
            "≤ 0.95",
            why_not(name),
            _most(figure(name, "× shared", variant="S2"), 0.95, "{:.3g}"),
        )
    )
    for batch in (1, 8, 16):
        name = table_of(batch)
        found = results.get(name, {}).get(kind, {}).get("rows", [])
        rates = [row["images/s"] for row in found if row["variant"].startswith("asymkit") and "images/s" in row]
        path, rate = f"images/s of the step, batch {batch}, fastest variant", max(rates, default=None)
        rows.append(_row(path, "published", why_not(name), Figure(rate, "{:.3g}")))
    return table(COLUMNS, rows)
