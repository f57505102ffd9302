"""A CycleGAN step of this library beside the same step as one writes it: images per second, ratio, peak memory.

    python benchmarks/train_step.py --size 256 --batch 1 --out benchmarks/results

Both generators (nine blocks), both critics, image pools, identity losses, both optimizers. "plain" is eager PyTorch
with ``nn.InstanceNorm2d`` in float32 and NCHW. Every other variant adds one option, which are few lines each: see
``build``. All variants run in turn in one process; a ratio is the median of the ratios of neighbouring steps.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import measure
import plain
import torch
import torch.nn.functional as F
import tyro
from report import Report
from torch import Tensor, nn

from asymkit import ImagePool, LeastSquaresLoss, PatchDiscriminator, ResnetGenerator, checkpoint_blocks, frozen
from asymkit.console import print_in_any_encoding

COLUMNS = ("variant", "ms", "images/s", "× faster", "peak MiB", "rounds")


@dataclass
class Options(measure.Options):
    """Time CycleGAN steps."""

    size: int = 256
    batch: int = 1
    width: int = 64
    blocks: int = 9
    bfloat16: bool | None = None
    """Time bfloat16 too; None for where the device has instructions for it."""
    compile: bool = False
    """Time torch.compile too, of the plain step and of this library's."""


@dataclass(frozen=True)
class Variant:
    """One way to run the step."""

    ours: bool = True
    bfloat16: bool = False
    channels_last: bool = False
    compiled: bool = False
    graphed: bool = False
    checkpointed: bool = False
    batched_critics: bool = True


def variants(options: Options) -> dict[str, Variant]:
    """By the name that the table shows, the plain step first."""
    device = torch.device(options.device)
    half = measure.fast_bfloat16(device) if options.bfloat16 is None else options.bfloat16
    found = {
        "plain": Variant(ours=False, batched_critics=False),
        "asymkit": Variant(),
        "asymkit, channels-last": Variant(channels_last=True),
        "asymkit, checkpointed blocks": Variant(checkpointed=True),
    }
    if half:
        found |= {
            "plain, bfloat16": Variant(ours=False, bfloat16=True, batched_critics=False),
            "asymkit, bfloat16": Variant(bfloat16=True),
            "asymkit, bfloat16, channels-last": Variant(bfloat16=True, channels_last=True),
        }
    if options.compile:
        found["plain, compiled"] = Variant(ours=False, compiled=True, bfloat16=half, batched_critics=False)
        found["asymkit, compiled"] = Variant(compiled=True, bfloat16=half, channels_last=half)
    if device.type == "cuda":
        found["asymkit, CUDA graph"] = Variant(bfloat16=half, channels_last=half, graphed=True)
    return found


def build(variant: Variant, options: Options) -> Callable[[], None]:
    """One whole training step as a function without arguments."""
    device = torch.device(options.device)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format

    def to_device(network: nn.Module) -> nn.Module:
        return network.to(device).to(memory_format=layout)

    if variant.ours:
        generators = [to_device(ResnetGenerator(width=options.width, blocks=options.blocks)) for _ in range(2)]
        critics = [to_device(PatchDiscriminator(width=options.width)) for _ in range(2)]
    else:
        generators = [to_device(plain.generator(options.width, options.blocks)) for _ in range(2)]
        critics = [to_device(plain.critic(options.width)) for _ in range(2)]
    if variant.checkpointed:
        for network in generators:
            checkpoint_blocks(network)
    both = nn.ModuleList(generators), nn.ModuleList(critics)
    fused = {"fused": True} if variant.ours else {}
    optimizer_g, optimizer_d = (
        torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999), capturable=variant.graphed, **fused) for m in both
    )
    to_y, to_x = (torch.compile(g) if variant.compiled else g for g in generators)
    judge_y, judge_x = (torch.compile(d) if variant.compiled else d for d in critics)
    # a pool chooses by Python's random numbers, which a CUDA graph would freeze; its size is that of one batch here
    pools = [ImagePool(0 if variant.graphed else 50) for _ in range(2)]
    loss = LeastSquaresLoss()
    x, y = (
        (torch.rand(options.batch, 3, options.size, options.size, device=device) * 2 - 1).to(memory_format=layout)
        for _ in range(2)
    )

    def precision() -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16) if variant.bfloat16 else nullcontext()

    def judged(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        if not variant.batched_critics:
            return loss.discriminator_loss(critic(real), critic(fake)) / 2
        return loss.discriminator_loss(*critic(torch.cat([real, fake])).chunk(2)) / 2

    def step() -> None:
        with precision():
            fake_y, fake_x = to_y(x), to_x(y)
            cycles = 10 * (F.l1_loss(to_x(fake_y), x) + F.l1_loss(to_y(fake_x), y))
            identities = 5 * (F.l1_loss(to_x(x), x) + F.l1_loss(to_y(y), y))
            with frozen(critics[0], critics[1]):
                adversarial = loss.generator_loss(judge_y(fake_y)) + loss.generator_loss(judge_x(fake_x))
                total = adversarial + cycles + identities
                optimizer_g.zero_grad()
                total.backward()
        optimizer_g.step()
        with precision():
            real_and_fake = (judge_y, y, pools[0](fake_y.detach())), (judge_x, x, pools[1](fake_x.detach()))
            optimizer_d.zero_grad()
            torch.stack([judged(*each) for each in real_and_fake]).sum().backward()
        optimizer_d.step()

    return captured(step) if variant.graphed else step


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as one CUDA graph, replayed: no overhead of launches, but tensors that stay where they are."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def main(options: Options) -> None:
    """Time every variant, print and write the table."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    steps = {name: build(variant, options) for name, variant in variants(options).items()}
    found = options.times(steps)
    first = next(iter(found))
    report = Report(f"train_step-{options.size}-{options.batch}", options, COLUMNS)
    for name, seconds in found.items():
        median = measure.milliseconds(seconds)
        report.rows.append(
            {
                "variant": name,
                "ms": median,
                "images/s": 1e3 * options.batch / median,
                "× faster": measure.ratio(found[first], seconds),
                "peak MiB": measure.peak_bytes(steps[name], device) / measure.MIB,
                "rounds": len(seconds),
            }
        )
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
