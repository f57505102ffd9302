"""Every network and its parts, forward and backward, by precision and memory layout, as shares of the convolution peak.

    PYTHONPATH=examples python benchmarks/conv_paths.py --size 128 --out benchmarks/results

A share is the operations of the convolutions and products, counted by PyTorch's flop counter, over the time and over
the rate of the best direct convolution measured in the same run and precision; Winograd's algorithm does a quarter of
the operations it is counted with, and can exceed 1. All layouts and precisions of one network run
in turn in one process; ratios are medians over neighbouring runs, against float32 in NCHW.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import measure
import torch
import tyro
from report import Report
from support.cyclegan import Block, define_G
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

from asymkit import (
    AuxGenerator,
    DomainDiscriminator,
    HighResGenerator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)
from asymkit.blocks import ConditionalResidualBlock, PlainResidualBlock, ResidualBlock
from asymkit.console import print_in_any_encoding
from asymkit.layers import reflect_padded_conv, upsample2x

COLUMNS = (
    "network",
    "variant",
    "forward ms",
    "forward+backward ms",
    "× NCHW float32",
    "share of peak",
    "GFLOP",
    "rounds",
)


@dataclass
class Options(measure.Options):
    """Time every convolution path."""

    size: int = 128
    """Side of the images; features have a quarter of it."""
    batch: int = 1
    compile: bool = False
    """Time torch.compile too."""
    only: str | None = None
    """Networks whose name holds this."""


@dataclass(frozen=True)
class Variant:
    """Precision, layout, and whether compiled."""

    name: str
    dtype: torch.dtype = torch.float32
    tf32: bool = False
    channels_last: bool = False
    compiled: bool = False


def variants(options: Options) -> list[Variant]:
    """What this device can run."""
    device = torch.device(options.device)
    precisions = [("float32", torch.float32, False)]
    if device.type == "cuda":
        precisions.append(("TF32", torch.float32, True))
    if measure.fast_bfloat16(device):
        precisions.append(("bfloat16", torch.bfloat16, False))
    return [
        Variant(f"{name} {layout}{', compiled' if compiled else ''}", dtype, tf32, layout == "channels-last", compiled)
        for compiled in ((False, True) if options.compile else (False,))
        for name, dtype, tf32 in precisions
        for layout in ("NCHW", "channels-last")
    ]


class WithZ(nn.Module):
    """A conditional block or generator with a z of its own."""

    def __init__(self, network: nn.Module, condition: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("condition", condition)

    def forward(self, x: Tensor) -> Tensor:
        """Maps or images in, and out."""
        result: Tensor = self.network(x, self.condition)
        return result


def networks(options: Options) -> Iterator[tuple[str, Callable[[], nn.Module], tuple[int, int, int]]]:
    """Name, what builds it, and channels, height, width of its input."""
    image = (3, options.size, options.size)
    features = (256, options.size // 4, options.size // 4)
    z, label = torch.randn(options.batch, 8), torch.zeros(options.batch, dtype=torch.long)
    yield "generator I", lambda: WithZ(PlainGenerator(7), label), image
    yield "generator II", lambda: WithZ(StarGenerator(7, blocks=0), label), image
    yield "generator III", lambda: WithZ(StarGenerator(7), label), image
    yield "generator III, width 4", lambda: WithZ(StarGenerator(7, width=4), label), image
    yield "ResNet generator, 6 blocks", lambda: ResnetGenerator(blocks=6), image
    yield "ResNet generator, 9 blocks", lambda: ResnetGenerator(blocks=9), image
    yield "plain ResNet generator, 9 blocks", lambda: define_G(64, 9), image
    yield "ResNet generator, 9 blocks, width 4", lambda: ResnetGenerator(blocks=9, width=4), image
    yield "aux generator, 6 blocks", lambda: WithZ(AuxGenerator(), z), image
    yield "high-resolution generator", HighResGenerator, image
    yield "PatchGAN discriminator", PatchDiscriminator, image
    yield "multiscale discriminator", lambda: MultiscaleDiscriminator(layers=3), image
    yield "domain discriminator", lambda: DomainDiscriminator(7, image_size=options.size), image
    yield "residual block, no norm", lambda: PlainResidualBlock(256), features
    yield "residual block, nn.InstanceNorm2d", lambda: Block(256), features
    yield "residual block, instance norm", lambda: ResidualBlock(256), features
    yield "residual block, conditional norm", lambda: WithZ(ConditionalResidualBlock(256, 8), z), features
    yield "down-sampling, 3×3", lambda: reflect_padded_conv(256, 256, stride=2), features
    yield "up-sampling, transposed 3×3", lambda: upsample2x(256, 128, "transposed"), features
    yield "up-sampling, transposed 4×4", lambda: upsample2x(256, 128, "transposed", 4), features
    yield "up-sampling, resize", lambda: upsample2x(256, 128, "resize"), features


def runs(network: nn.Module, variant: Variant, x: Tensor) -> tuple[Callable[[], Tensor], Callable[[], object]]:
    """Forward alone, and forward and backward to input and weights."""
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = network.to(x.device).to(memory_format=layout)
    called = torch.compile(network) if variant.compiled else network
    own = x.detach().clone(memory_format=layout).requires_grad_()

    def precision() -> AbstractContextManager[object]:
        if x.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = variant.tf32
        half = variant.dtype != torch.float32
        return torch.autocast(x.device.type, variant.dtype) if half else nullcontext()

    def forward() -> Tensor:
        with torch.no_grad(), precision():
            return first(called(own))

    def both() -> None:
        own.grad = None
        network.zero_grad()
        with precision():
            total = first(called(own)).float().square().mean()
        total.backward()

    return forward, both


def first(out: Tensor | list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """The scores of a discriminator that gives more, of all its scales."""
    return out if isinstance(out, Tensor) else torch.cat([each.flatten() for each in out])


def _conv3x3_operations(x: Sequence[int], weight: Sequence[int], *unused: Any, **shapes: Any) -> int:
    """Those of the direct sum: Winograd's algorithm does fewer, so that its share can exceed 1."""
    return 2 * x[0] * (x[2] - 2) * (x[3] - 2) * math.prod(weight)


def _conv3x3_backward_operations(
    grad: Sequence[int], x: Sequence[int], weight: Sequence[int], want_x: bool, want_weight: bool, **shapes: Any
) -> int:
    return (want_x + want_weight) * _conv3x3_operations(x, weight)


for _name, _formula in (("conv3x3", _conv3x3_operations), ("conv3x3_backward", _conv3x3_backward_operations)):
    if hasattr(torch.ops.asymkit, _name):  # only while the library has an op of its own, PyTorch's counts itself
        register_flop_formula([getattr(torch.ops.asymkit, _name)])(_formula)


def operations(function: Callable[[], object]) -> int:
    """Of all convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        function()
    return int(counter.get_total_flops())


def main(options: Options) -> None:
    """Time every network, print and write the table."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    chosen = variants(options)
    peaks: dict[tuple[torch.dtype, bool], float] = {}
    for variant in chosen:
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = variant.tf32
        if (variant.dtype, variant.tf32) not in peaks:
            peaks[variant.dtype, variant.tf32] = measure.convolution_peak(device, variant.dtype)
    for (dtype, tf32), peak in peaks.items():
        print(f"convolution peak, {'TF32' if tf32 else dtype}: {peak / 1e9:.0f} GFLOP/s")
    report = Report("conv_paths", options, COLUMNS)
    for name, build, (channels, height, width) in networks(options):
        if options.only is not None and options.only not in name:
            continue
        x = torch.rand(options.batch, channels, height, width, device=device) * 2 - 1
        pairs = {variant: runs(build(), variant, x) for variant in chosen}
        both = {variant.name: pair[1] for variant, pair in pairs.items()}
        found = options.times(both)
        ahead = options.times({v.name: pair[0] for v, pair in pairs.items()})
        count = operations(both[chosen[0].name])
        for variant in chosen:
            median = measure.milliseconds(found[variant.name])
            report.rows.append(
                {
                    "network": name,
                    "variant": variant.name,
                    "forward ms": measure.milliseconds(ahead[variant.name]),
                    "forward+backward ms": median,
                    "× NCHW float32": measure.ratio(found[chosen[0].name], found[variant.name]),
                    "share of peak": 1e3 * count / median / peaks[variant.dtype, variant.tf32],
                    "GFLOP": count / 1e9,
                    "rounds": len(found[variant.name]),
                }
            )
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
