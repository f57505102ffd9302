"""Every hot op beside the libraries that offer it: time, memory, and the distance to what the machine could do.

    python benchmarks/ops.py --out benchmarks/results

All rivals of one op run in turn in one process; a ratio is the median of the ratios of neighbouring calls. The lower
bound counts the bytes of inputs and gradients once (for the Gram matrix, the operations), at the bandwidth (the rate)
measured in the same run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import measure
import torch
import tyro
from report import Report
from rivals import eager_norm, eager_tv, rivals_of
from torch import Tensor

from asymkit import ops
from asymkit.console import print_in_any_encoding
from asymkit.losses.perceptual import LPIPSLoss

Step = Callable[[], Tensor]
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

LAYOUTS = ((torch.contiguous_format, "NCHW"), (torch.channels_last, "channels-last"))


@dataclass
class Options(measure.Options):
    """Time the hot ops."""

    compile: bool = True
    """Also time torch.compile of the plain formulas and of asymkit's ops."""
    only: str | None = None
    """Time this op alone, such as "MS-SSIM"."""


class Case(NamedTuple):
    """One op on one shape, and all ways to compute it."""

    name: str
    inputs: tuple[Tensor, ...]
    """Those that require a gradient get one."""
    methods: dict[str, Callable[..., Tensor]]
    """The first is the one that the ratios compare with."""
    floor: float
    """Bytes, or operations, that forward and backward cannot do without."""
    unit: str = "bytes"


def cases(options: Options) -> Iterator[Case]:
    """Every op, built only when its turn comes."""
    device = torch.device(options.device)

    def images(*shape: int) -> Tensor:
        return torch.rand(shape, device=device) * 2 - 1

    x, y = images(4, 3, 256, 256), images(4, 3, 256, 256)
    y = (x + 0.3 * y).clamp(-1, 1)
    size = x.untyped_storage().nbytes()
    for layout, suffix in LAYOUTS:
        pair = tuple(image.contiguous(memory_format=layout) for image in (x.clone(), y))
        pair[0].requires_grad_()
        # read both images, write the gradient
        yield Case(f"MS-SSIM (4,3,256²) {suffix}", pair, rivals_of("ms_ssim") | {"asymkit": ops.ms_ssim}, 3 * size)
        yield Case(f"SSIM (4,3,256²) {suffix}", pair, rivals_of("ssim") | {"asymkit": ops.ssim}, 3 * size)
        yield Case(f"colour L1 (4,3,256²) {suffix}", pair, rivals_of("color_l1") | {"asymkit": ops.color_l1}, 3 * size)
        methods = rivals_of("tv") | {"eager torch": eager_tv, "asymkit": ops.total_variation}
        yield Case(f"TV (4,3,256²) {suffix}", pair[:1], methods, 2 * size)

    features = images(8, 256, 64, 64)
    residual = images(8, 256, 64, 64)
    scale, shift = 1 + 0.1 * images(8, 256), 0.1 * images(8, 256)
    size = features.untyped_storage().nbytes()
    for layout, suffix in LAYOUTS:
        own = [t.clone().contiguous(memory_format=layout).requires_grad_() for t in (features, residual)]
        learned = [t.clone().requires_grad_() for t in (scale, shift)]

        def ours(x: Tensor, residual: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
            return ops.conditional_instance_norm(x, scale, shift, "relu", residual)

        # forward: x, residual, result; backward: x, gradient in, gradient out
        name = f"CIN+ReLU+residual (8,256,64²) {suffix}"
        yield Case(name, (*own, *learned), {"eager torch": eager_norm, "asymkit": ours}, 6 * size)

    n, c, pixels = 4, 128, 128**2

    def eager_gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return torch.bmm(flat, flat.mT) / (flat.shape[1] * flat.shape[2])

    for layout, suffix in LAYOUTS:
        maps = images(4, 128, 128, 128).contiguous(memory_format=layout).requires_grad_()
        methods = {"eager torch": eager_gram, "asymkit": ops.gram_matrix}
        yield Case(f"Gram (4,128,128²) {suffix}", (maps,), methods, 4 * n * c * c * pixels, "operations")

    import lpips

    with warnings.catch_warnings():  # it calls torchvision the old way
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).to(device)
    mine = LPIPSLoss("alex", None).to(device)
    theirs.requires_grad_(False)
    small = images(4, 3, 128, 128).requires_grad_()
    other = images(4, 3, 128, 128)
    yield Case("LPIPS (4,3,128²), random weights", (small, other), {"lpips": theirs, "asymkit": mine}, 0)


def compiled(case: Case) -> dict[str, Callable[..., Tensor]]:
    """The plain formulas and asymkit's ops, compiled."""
    found: dict[str, Callable[..., Tensor]] = {}
    for name in ("pytorch-msssim", "eager torch", "F.l1_loss × 3", "asymkit"):
        if name in case.methods:
            found[f"torch.compile of {name}"] = torch.compile(case.methods[name])
    return found


def rows_of(case: Case, options: Options, ceilings: dict[str, float]) -> list[dict[str, object]]:
    """Time and memory of every method of a case."""
    device = torch.device(options.device)
    methods = case.methods | (compiled(case) if options.compile else {})
    wanted = [t for t in case.inputs if t.requires_grad]

    def forward(method: Callable[..., Tensor]) -> Step:
        def call() -> Tensor:
            with torch.no_grad():
                return method(*case.inputs)

        return call

    def both(method: Callable[..., Tensor]) -> Callable[[], object]:
        weight = torch.ones_like(method(*case.inputs).detach())
        return lambda: torch.autograd.grad(method(*case.inputs), wanted, weight)

    ahead = options.times({name: forward(method) for name, method in methods.items()})
    total = options.times({name: both(method) for name, method in methods.items()})
    first = next(iter(methods))
    rows = []
    for name, method in methods.items():
        median = measure.milliseconds(total[name])
        rows.append(
            {
                "op": case.name,
                "method": name,
                "forward ms": measure.milliseconds(ahead[name]),
                "forward+backward ms": median,
                "× faster": measure.ratio(total[first], total[name]),
                "saved MiB": measure.saved_bytes(partial(method, *case.inputs)) / measure.MIB,
                "peak MiB": measure.peak_bytes(both(method), device) / measure.MIB,
                "× lower bound": median / (1e3 * case.floor / ceilings[case.unit]) if case.floor else None,
                "rounds": len(total[name]),
            }
        )
    return rows


def main(options: Options) -> None:
    """Time every op, print and write the table."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    ceilings = {"bytes": measure.bandwidth(device), "operations": measure.product_peak(device)}
    print(f"measured: {ceilings['bytes'] / 1e9:.0f} GB/s, {ceilings['operations'] / 1e9:.0f} GFLOP/s in float32\n")
    report = Report("ops", options, COLUMNS)
    for case in cases(options):
        if options.only is None or case.name.startswith(options.only):
            report.rows += rows_of(case, options, ceilings)
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
