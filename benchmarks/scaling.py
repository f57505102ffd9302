"""How time and memory of the hottest ops grow with the side of the image and with the batch.

python benchmarks/scaling.py --out runs/bench
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import measure
import torch
import tyro
from rivals import eager_norm, rivals_of
from torch import Tensor

from asymkit import ops

COLUMNS = ("op", "method", "side", "batch", "ms", "saved MiB", "peak MiB")
Method = Callable[..., Tensor]


@dataclass
class Options:
    """Time MS-SSIM and conditional instance norm, forward and backward, at growing sizes."""

    sides: tuple[int, ...] = (192, 256, 384, 512, 768)
    """Of images, at batch 1; features have a quarter."""
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Of images of 256², or features of 64²."""
    seconds: float = 0.4
    """About how long to time each method at each size."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    out: Path | None = None
    """Write scaling.json, scaling.md, scaling-side.png and scaling-batch.png into this folder."""


def similarity(batch: int, side: int, device: torch.device) -> tuple[list[Tensor], dict[str, Method]]:
    """Images of (batch, 3, side, side)."""
    x, y = (torch.rand(batch, 3, side, side, device=device) * 2 - 1 for _ in range(2))
    return [x.requires_grad_(), y], rivals_of("ms_ssim") | {"asymkit": ops.ms_ssim}


def norm(batch: int, side: int, device: torch.device) -> tuple[list[Tensor], dict[str, Method]]:
    """Features of (batch, 256, side / 4, side / 4)."""
    x, residual = (torch.randn(batch, 256, side // 4, side // 4, device=device).requires_grad_() for _ in range(2))
    scale, shift = torch.randn(2, batch, 256, device=device)

    def ours(x: Tensor, residual: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return ops.conditional_instance_norm(x, scale, shift, "relu", residual)

    return [x, residual, scale, shift], {"eager torch": eager_norm, "asymkit": ours}


OPS = {"MS-SSIM": similarity, "CIN+ReLU+residual": norm}


def rows_of(op: str, batch: int, side: int, options: Options) -> list[dict[str, object]]:
    """Every method at one size."""
    device = torch.device(options.device)
    inputs, methods = OPS[op](batch, side, device)
    wanted = [x for x in inputs if x.requires_grad]

    def both(method: Method) -> object:
        out = method(*inputs)
        return torch.autograd.grad(out, wanted, torch.ones_like(out))

    found = measure.times({name: partial(both, method) for name, method in methods.items()}, options.seconds, device)
    return [
        {
            "op": op,
            "method": name,
            "side": side,
            "batch": batch,
            "ms": measure.milliseconds(found[name]),
            "saved MiB": measure.saved_bytes(partial(method, *inputs)) / measure.MIB,
            "peak MiB": measure.peak_bytes(partial(both, method), device) / measure.MIB,
        }
        for name, method in methods.items()
    ]


def main(options: Options) -> None:
    """Time every size, print and write the table and the plots."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    report = measure.Report("scaling", device, COLUMNS, [])
    sizes = dict.fromkeys([(1, side) for side in options.sides] + [(batch, 256) for batch in options.batches])
    for op in OPS:
        for batch, side in sizes:
            report.rows += rows_of(op, batch, side, options)
    report.write(options.out, options)
    if options.out is None:
        return
    about = measure.machine(device)
    for axis, fixed, value, text in (
        ("side", "batch", 1, "side of the image, batch 1"),
        ("batch", "side", 256, "batch of 256² images"),
    ):
        panels: dict[str, dict[str, dict[float, float]]] = {}
        for row in report.rows:
            if row[fixed] == value:
                for quantity in ("ms", "peak MiB"):
                    panel = panels.setdefault(f"{row['op']}, {quantity}", {})
                    panel.setdefault(row["method"], {})[row[axis]] = row[quantity]
        title = f"forward + backward ({about['device']}, torch {about['torch']})"
        measure.lines(options.out / f"scaling-{axis}.png", title, text, panels)


if __name__ == "__main__":
    main(tyro.cli(Options))
