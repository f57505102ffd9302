"""How time and memory of the hottest ops grow with the side of the image and with the batch.

python benchmarks/scaling.py --out benchmarks/results
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import measure
import torch
import tyro
from report import Report
from rivals import eager_norm, rivals_of
from torch import Tensor

from asymkit import ops
from asymkit.console import print_in_any_encoding

COLUMNS = ("op", "method", "side", "batch", "ms", "saved MiB", "peak MiB", "rounds")
Method = Callable[..., Tensor]


@dataclass
class Options(measure.Options):
    """Time MS-SSIM and conditional instance norm, forward and backward, at growing sizes."""

    sides: tuple[int, ...] = (192, 256, 384, 512, 768)
    """Of images, at batch 1; features have a quarter."""
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Of images of 256², or features of 64²."""


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

    found = options.times({name: partial(both, method) for name, method in methods.items()})
    return [
        {
            "op": op,
            "method": name,
            "side": side,
            "batch": batch,
            "ms": measure.milliseconds(found[name]),
            "saved MiB": measure.saved_bytes(partial(method, *inputs)) / measure.MIB,
            "peak MiB": measure.peak_bytes(partial(both, method), device) / measure.MIB,
            "rounds": len(found[name]),
        }
        for name, method in methods.items()
    ]


def main(options: Options) -> None:
    """Time every size, print and write the table."""
    torch.manual_seed(0)
    report = Report("scaling", options, COLUMNS)
    sizes = dict.fromkeys([(1, side) for side in options.sides] + [(batch, 256) for batch in options.batches])
    for op in OPS:
        for batch, side in sizes:
            report.rows += rows_of(op, batch, side, options)
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
