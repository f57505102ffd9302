"""What the GPU is given: launches, layout copies and host time of every op and of the training step.

    python benchmarks/launches.py --out benchmarks/results

With ``--smoke`` every op that has kernels runs once, forward and backward, and nothing is measured: for ``compute-sanitizer``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import monotonic

import measure
import ops as bench_ops
import torch
import train_step
import tyro
from report import Report

from asymkit.console import print_in_any_encoding

COLUMNS = ("what", "method", "launches", "layout copies", "GPU µs", "host µs")
KERNEL_COLUMNS = ("what", "method", "kernel", "launches", "layout copy")
MOST_KERNELS = 12
WITH_KERNELS = ("MS-SSIM", "SSIM", "CIN")
NAMED_COPIES = re.compile("nchw_?to_?nhwc|nhwc_?to_?nchw|nchw2nhwc|nhwc2nchw", re.IGNORECASE)
"""Kernels of cuDNN that change the layout."""


@dataclass
class Options(bench_ops.Options):
    """Count launches."""

    step_size: int = 256
    step_width: int = 64
    step_blocks: int = 9
    smoke: bool = False
    """Run every op that has kernels once and measure nothing."""


def is_layout_copy(kernel: str) -> bool:
    """Whether a kernel copies maps into another layout.

    PyTorch's copy runs in ``elementwise_kernel`` where source and target are ordered differently; copies of one order,
    such as those to another type, run in its vectorized and unrolled forms.
    """
    strided = "native::elementwise_kernel<" in kernel and "copy_kernel" in kernel
    return strided or NAMED_COPIES.search(kernel) is not None


def subjects(options: Options) -> Iterator[tuple[str, str, Callable[[], object], int]]:
    """What is looked at, its method, how it is called, and how often for its host time."""
    for case in bench_ops.cases(options):
        methods, _ = case.working(case.methods)
        for name in dict.fromkeys((next(iter(methods)), "asymkit")):
            yield case.name, name, partial(case.both, methods[name]), 20
    step = train_step.Options(
        options.device, size=options.step_size, width=options.step_width, blocks=options.step_blocks
    )
    for name, variant in train_step.variants(step).items():
        if not variant.checkpointed:
            yield f"step {step.size}², batch 1", name, train_step.build(variant, step), 3


def main(options: Options) -> None:
    """Profile everything, print and write both tables; or run the kernels once."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    if options.smoke:
        for case in bench_ops.cases(options):
            if case.name.startswith(WITH_KERNELS):
                case.both(case.methods["asymkit"])
        measure.wait(device)
        print("every op that has kernels ran once")
        return
    begin = monotonic()
    launches, kernels = Report("launches", options, COLUMNS), Report("kernels", options, KERNEL_COLUMNS)
    for what, method, function, calls in subjects(options):
        counted, taken = measure.kernels_of(function, device)
        copies = sum(count for name, count in counted.items() if is_layout_copy(name))
        host = 1e6 * measure.host_seconds(function, device, calls)
        cells = (what, method, counted.total(), copies, taken, host)
        launches.rows.append(dict(zip(COLUMNS, cells, strict=True)))
        print(f"{monotonic() - begin:.1f} s: {what}, {method}", flush=True)
        if what.startswith("step"):
            shown = counted.most_common(MOST_KERNELS)
            shown += [item for item in counted.most_common() if is_layout_copy(item[0]) and item not in shown]
            for name, count in shown:
                row = (what, method, name[:120].replace("|", "¦"), count, "yes" if is_layout_copy(name) else "")
                kernels.rows.append(dict(zip(KERNEL_COLUMNS, row, strict=True)))
        launches.keep()
    launches.write()
    kernels.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
