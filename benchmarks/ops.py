"""Every hot op beside the libraries that offer it: time, memory, and the distance to what the machine could do.

    python benchmarks/ops.py --out benchmarks/results

All rivals of one op run in turn in one process; a ratio is the median of the ratios of neighbouring calls. The lower
bound counts the bytes of inputs and gradients once (for the Gram matrix, the operations), at the bandwidth (the rate)
measured in the same run.

On a GPU "ms" is the time of an eager call and of waiting for its result; "GPU ms" is the GPU's own, by replay of a CUDA
graph over input sets that the L2 cache cannot hold (or, where a method waits for the GPU within, which no graph can hold, the
sum of the times of its kernels), and the lower bounds are compared with it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import measure
import torch
import tyro
from report import Report
from rivals import Method, eager_norm, eager_tv, rivals_of
from torch import Tensor

from asymkit import ops
from asymkit.console import print_in_any_encoding
from asymkit.losses.perceptual import LPIPSLoss

COLUMNS = (
    "op",
    "method",
    "forward ms",
    "forward+backward ms",
    "× faster",
    "saved MiB",
    "peak MiB",
    "× lower bound",
    "rounds",
)
GPU_COLUMNS = ("GPU ms forward", "GPU ms", "by", "× lower bound forward")


@dataclass
class Options(measure.Options):
    """Time the hot ops."""

    methods: Literal["all", "not compiled", "compiled"] = "all"
    """Of the eager formulas, torch.compile too, or it alone beside the first method and asymkit's."""
    only: str | None = None
    """Time this op alone, such as "MS-SSIM"."""
    graphs: bool = torch.cuda.is_available()
    """Time the GPU alone too, and and bfloat16."""
    batch: int = 4
    """Of images."""
    maps: int = 8
    """Batch of feature maps."""
    size: int = 256
    """Side of images; feature maps have a quarter."""
    width: int = 256
    """Channels of feature maps."""


class Case(NamedTuple):
    """One op on one shape, and all ways to compute it."""

    name: str
    inputs: tuple[Tensor, ...]
    """Those that require a gradient get one."""
    methods: dict[str, Method]
    """The first is the one that the ratios compare with."""
    floor: float
    """Bytes, or operations, that forward and backward cannot do without."""
    ahead: float = 0.0
    """The same of forward alone."""
    unit: str = "bytes"

    def forward(self, method: Method, inputs: Sequence[Tensor] | None = None) -> Tensor:
        """The result alone."""
        with torch.no_grad():
            return method(*inputs or self.inputs)

    def both(self, method: Method, inputs: Sequence[Tensor] | None = None) -> object:
        """The gradients of all inputs that want one."""
        out = method(*inputs or self.inputs)
        wanted = [x for x in inputs or self.inputs if x.requires_grad]
        return torch.autograd.grad(out, wanted, _ones(out.shape, out.stride(), out.dtype, out.device))

    def working(self, methods: Mapping[str, Method]) -> tuple[dict[str, Method], dict[str, str]]:
        """Those that run, and why the others do not: a rival that lacks a type or a package ends nothing."""
        found, failed = dict[str, Method](), dict[str, str]()
        for name, method in methods.items():
            try:
                self.both(method)
            except Exception as error:
                if name == "asymkit":
                    raise
                failed[name] = f"failed: {type(error).__name__}"
            else:
                found[name] = method
        return found, failed


@functools.lru_cache(maxsize=4)
def _ones(shape: torch.Size, stride: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The gradient of the result, made once, so that making it is not measured."""
    return torch.empty_strided(shape, stride, dtype=dtype, device=device).fill_(1)


def cases(options: Options) -> Iterator[Case]:
    """Every op, built only when its turn comes."""
    usual, transposed = (torch.float32, torch.contiguous_format), (torch.float32, torch.channels_last)
    for chosen in (usual, transposed):
        yield from image_cases(options, *chosen)
        yield norm_case(options, *chosen)
        yield gram_case(options, chosen[1])
    yield lpips_case(options)
    if options.graphs:
        halves = [(torch.bfloat16, layout) for _, layout in (usual, transposed)]
        for chosen in halves:
            yield norm_case(options, *chosen)
        for chosen in (
            halves if measure.fast_bfloat16(torch.device(options.device)) else []
        ):  # emulated, it takes minutes
            yield from image_cases(options, *chosen)


def image_cases(options: Options, dtype: torch.dtype, layout: torch.memory_format) -> Iterator[Case]:
    """What compares two images, and total variation."""
    x, y = (_maps(options, (options.batch, 3, options.size, options.size), dtype, layout) for _ in range(2))
    y = (x + 0.3 * y).clamp(-1, 1)
    x = x.clone().requires_grad_()
    size, suffix = x.untyped_storage().nbytes(), f"({options.batch},3,{options.size}²){_suffix(dtype, layout)}"
    # forward reads both images; backward reads both and writes the gradient
    yield Case(f"MS-SSIM {suffix}", (x, y), rivals_of("ms_ssim") | {"asymkit": ops.ms_ssim}, 3 * size, 2 * size)
    yield Case(f"SSIM {suffix}", (x, y), rivals_of("ssim") | {"asymkit": ops.ssim}, 3 * size, 2 * size)
    yield Case(f"colour L1 {suffix}", (x, y), rivals_of("color_l1") | {"asymkit": ops.color_l1}, 3 * size, 2 * size)
    variation = rivals_of("tv") | {"eager torch": eager_tv, "asymkit": ops.total_variation}
    yield Case(f"TV {suffix}", (x,), variation, 2 * size, size)


def norm_case(options: Options, dtype: torch.dtype, layout: torch.memory_format) -> Case:
    """Conditional instance norm with activation and residual."""
    n, channels, side = options.maps, options.width, options.size // 4
    x, residual = (_maps(options, (n, channels, side, side), dtype, layout).requires_grad_() for _ in range(2))
    scale, shift = 0.1 * torch.randn(2, n, channels, device=options.device)
    learned = (1 + scale).requires_grad_(), shift.requires_grad_()

    def ours(x: Tensor, residual: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return ops.conditional_instance_norm(x, scale, shift, "relu", residual)

    # forward: x, residual, result; backward: x, gradient in, gradient out
    size, order = x.untyped_storage().nbytes(), "NCHW" if layout == torch.contiguous_format else "channels-last"
    name = f"CIN+ReLU+residual ({n},{channels},{side}²) {order}{_suffix(dtype)}"
    return Case(name, (x, residual, *learned), {"eager torch": eager_norm, "asymkit": ours}, 6 * size, 3 * size)


def gram_case(options: Options, layout: torch.memory_format) -> Case:
    """Gram matrices of VGG features."""
    n, c, side = options.batch, options.width // 2, options.size // 2
    maps = _maps(options, (n, c, side, side), layout=layout).requires_grad_()

    def eager_gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return torch.bmm(flat, flat.mT) / (flat.shape[1] * flat.shape[2])

    operations = 2 * n * c * c * side**2
    methods: dict[str, Method] = {"eager torch": eager_gram, "asymkit": ops.gram_matrix}
    return Case(
        f"Gram ({n},{c},{side}²){_suffix(maps.dtype, layout)}",
        (maps,),
        methods,
        2 * operations,
        operations,
        "operations",
    )


def lpips_case(options: Options) -> Case:
    """The perceptual distance."""
    import lpips

    with warnings.catch_warnings():  # it calls torchvision the old way
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).to(options.device)
    mine = LPIPSLoss("alex", None).to(options.device)
    theirs.requires_grad_(False)
    n, side = options.batch, options.size // 2
    x, y = (_maps(options, (n, 3, side, side)) for _ in range(2))
    name = f"LPIPS ({n},3,{side}²), random weights"
    return Case(name, (x.requires_grad_(), y), {"lpips": theirs, "asymkit": mine}, 0)


def _maps(
    options: Options,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Noise in [-1, 1]."""
    return (torch.rand(shape, device=options.device) * 2 - 1).to(dtype).contiguous(memory_format=layout)


def _suffix(dtype: torch.dtype, layout: torch.memory_format = torch.contiguous_format) -> str:
    order = " channels-last" if layout == torch.channels_last else ""
    return f"{order} bfloat16" if dtype == torch.bfloat16 else order


def methods_of(case: Case, options: Options) -> dict[str, Method]:
    """By the name that the table shows."""
    ours_and_plain = [name for name in ("pytorch-msssim", "eager torch", "asymkit") if name in case.methods]
    compiled: dict[str, Method] = {f"torch.compile of {n}": torch.compile(case.methods[n]) for n in ours_and_plain}
    first = next(iter(case.methods))
    return {
        "all": case.methods | compiled,
        "not compiled": case.methods,
        "compiled": {name: case.methods[name] for name in (first, "asymkit")} | compiled,
    }[options.methods]


def rows_of(case: Case, options: Options, ceilings: dict[str, float]) -> list[dict[str, object]]:
    """Time and memory of every method of a case."""
    device = torch.device(options.device)
    methods, failed = case.working(methods_of(case, options))
    ahead = options.times({name: partial(case.forward, method) for name, method in methods.items()})
    total = options.times({name: partial(case.both, method) for name, method in methods.items()})
    sets = measure.input_sets(case.inputs, device) if options.graphs else []
    first, ceiling = next(iter(methods)), ceilings[case.unit]
    rows: list[dict[str, object]] = []
    for name, method in methods.items():
        median = measure.milliseconds(total[name]) / 1e3
        row: dict[str, object] = {
            "op": case.name,
            "method": name,
            "forward ms": measure.milliseconds(ahead[name]),
            "forward+backward ms": 1e3 * median,
            "× faster": measure.ratio(total[first], total[name]),
            "saved MiB": measure.saved_bytes(partial(method, *case.inputs)) / measure.MIB,
            "peak MiB": measure.peak_bytes(partial(case.both, method), device) / measure.MIB,
            "rounds": len(total[name]),
        }
        if options.graphs:
            (ahead_alone, _), (median, how) = (
                measure.gpu_seconds([partial(run, method, each) for each in sets], device, options.seconds)
                for run in (case.forward, case.both)
            )
            row |= {"GPU ms forward": 1e3 * ahead_alone, "GPU ms": 1e3 * median, "by": how}
            row["× lower bound forward"] = ahead_alone * ceiling / case.ahead if case.ahead else None
        row["× lower bound"] = median * ceiling / case.floor if case.floor else None
        rows.append(row)
    return rows + [{"op": case.name, "method": name, "forward ms": reason} for name, reason in failed.items()]


def main(options: Options) -> None:
    """Time every op, print and write the table, which is written anew after each, in case the last ones take too long."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    ceilings = {"bytes": measure.bandwidth(device), "operations": measure.product_peak(device)}
    print(f"measured: {ceilings['bytes'] / 1e9:.0f} GB/s, {ceilings['operations'] / 1e9:.0f} GFLOP/s in float32\n")
    columns = (*COLUMNS[:-1], *(GPU_COLUMNS if options.graphs else ()), COLUMNS[-1])
    report = Report("ops-compiled" if options.methods == "compiled" else "ops", options, columns)
    for case in cases(options):
        if options.only is None or case.name.startswith(options.only):
            report.rows += rows_of(case, options, ceilings)
            report.keep()
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
