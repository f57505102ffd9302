"""A CycleGAN step of this library beside the same step as one writes it: images per second, ratio, peak memory.

    PYTHONPATH=examples python benchmarks/train_step.py --size 256 --batch 1 --out benchmarks/results

Both generators (nine blocks), both discriminators, image pools, identity losses, both optimizers. "plain" is eager PyTorch
with ``nn.InstanceNorm2d`` in float32 and NCHW. This library's variants compute each identity image in the batch of the
translation by the same generator, real and generated images in one discriminator call, and guard both optimizers against
steps that are not finite. Every other variant changes one option, which are few lines each: see ``build``. All variants run
in turn in one process; a ratio is the median of the ratios of neighbouring steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Literal
from unittest import mock

import measure
import torch
import torch.nn.functional as F
import tyro
from report import Report
from support.cyclegan import define_D, define_G
from torch import Tensor, nn

from asymkit import (
    CapturableImagePool,
    CapturedStep,
    ImagePool,
    LeastSquaresLoss,
    PatchDiscriminator,
    ResnetGenerator,
    StepGuard,
    checkpoint_blocks,
    frozen,
)
from asymkit.console import print_in_any_encoding
from asymkit.objectives.terms import in_one_batch
from asymkit.ops import convolution
from asymkit.training.capture import WARM_UP

WITHOUT, WITH = "asymkit, without Winograd's algorithm", "asymkit, with Winograd's algorithm"
OBSTACLE = convolution.MACHINE_OBSTACLE
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
    compile: Literal["no", "default", "reduce-overhead"] = "no"
    """Time torch.compile of the networks in this mode, beside the plain step and the fastest of this library alone."""


@dataclass(frozen=True)
class Variant:
    """One way to run the step."""

    ours: bool = True
    bfloat16: bool = False
    channels_last: bool = False
    compiled: str | None = None
    """The mode of torch.compile."""
    graphed: bool = False
    checkpointed: bool = False
    other_convolution: bool = False
    """3×3 convolutions without Winograd's algorithm on a CPU where the library takes it, and with it on others."""
    in_one_batch: bool = True
    """Identity images in the batches of the translations, real and generated images in one discriminator call."""


def variants(options: Options) -> dict[str, Variant]:
    """By the name that the table shows, the plain step first."""
    device = torch.device(options.device)
    half = measure.fast_bfloat16(device) if options.bfloat16 is None else options.bfloat16
    found = {
        "plain": Variant(ours=False, in_one_batch=False),
        "asymkit": Variant(),
        **({(WITH if OBSTACLE else WITHOUT): Variant(other_convolution=True)} if device.type == "cpu" else {}),
        "asymkit, channels-last": Variant(channels_last=True),
        "asymkit, checkpointed blocks": Variant(checkpointed=True),
    }
    if half:
        found |= {
            "plain, bfloat16": Variant(ours=False, bfloat16=True, in_one_batch=False),
            "asymkit, bfloat16": Variant(bfloat16=True),
            "asymkit, bfloat16, channels-last": Variant(bfloat16=True, channels_last=True),
        }
    cuda = device.type == "cuda"
    for name in [name for name in found if name.startswith("asymkit, bfloat16")] if cuda else []:
        found[f"{name}, CUDA graph"] = replace(found[name], graphed=True)
    if options.compile != "no":
        kept = [name for name in found if name.startswith("plain") or (not cuda and name == "asymkit")]
        found = {name: found[name] for name in [*kept, *(name for name in found if "CUDA graph" in name)]}
        fastest_plain = found.get("plain, bfloat16", found["plain"])
        found["plain, compiled"] = replace(fastest_plain, compiled=options.compile)
    return found


def build(variant: Variant, options: Options) -> Callable[[], None]:
    """One whole training step as a function without arguments."""
    device = torch.device(options.device)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format

    def to_device(network: nn.Module) -> nn.Module:
        return network.to(device).to(memory_format=layout)

    if variant.ours:
        generators = [to_device(ResnetGenerator(width=options.width, blocks=options.blocks)) for _ in range(2)]
        discriminators = [to_device(PatchDiscriminator(width=options.width)) for _ in range(2)]
    else:
        generators = [to_device(define_G(options.width, options.blocks)) for _ in range(2)]
        discriminators = [to_device(define_D(options.width, 3)) for _ in range(2)]
    if variant.checkpointed:
        for network in generators:
            checkpoint_blocks(network)
    both = nn.ModuleList(generators), nn.ModuleList(discriminators)
    fused = {"fused": True} if variant.ours else {}
    optimizer_g, optimizer_d = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999), **fused) for m in both)
    guards = [StepGuard(), StepGuard()] if variant.ours else []
    to_y, to_x, d_y, d_x = (
        torch.compile(network, mode=variant.compiled) if variant.compiled else network
        for network in (*generators, *discriminators)
    )
    pools = [CapturableImagePool(50) if variant.graphed else ImagePool(50) for _ in range(2)]
    loss = LeastSquaresLoss()
    x, y = (
        (torch.rand(options.batch, 3, options.size, options.size, device=device) * 2 - 1).to(memory_format=layout)
        for _ in range(2)
    )

    def precision() -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16) if variant.bfloat16 else nullcontext()

    def d_loss(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        if not variant.in_one_batch:
            return loss.discriminator_loss(discriminator(real), discriminator(fake)) / 2
        scores = in_one_batch(discriminator, {"real": (real,), "fake": (fake,)})
        return loss.discriminator_loss(scores["real"], scores["fake"]) / 2

    def translated(generator: Callable[[Tensor], Tensor], image: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """The translation of an image, and what the generator makes of an image of its own target domain."""
        if not variant.in_one_batch:
            return generator(image), generator(own)
        made = in_one_batch(generator, {"fake": (image,), "identity": (own,)})
        return made["fake"], made["identity"]

    def step(x: Tensor, y: Tensor) -> None:
        if variant.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        with precision():
            (fake_y, identity_y), (fake_x, identity_x) = translated(to_y, x, y), translated(to_x, y, x)
            cycles = 10 * (F.l1_loss(to_x(fake_y), x) + F.l1_loss(to_y(fake_x), y))
            identities = 5 * (F.l1_loss(identity_x, x) + F.l1_loss(identity_y, y))
            with frozen(discriminators[0], discriminators[1]):
                adversarial = loss.generator_loss(d_y(fake_y)) + loss.generator_loss(d_x(fake_x))
                total = adversarial + cycles + identities
                optimizer_g.zero_grad()
                total.backward()
        guards[0].step(optimizer_g, total) if guards else optimizer_g.step()
        with precision():
            # copies where the next graph of "reduce-overhead" would write over them
            fakes = (f.detach().clone() if variant.compiled else f.detach() for f in (fake_y, fake_x))
            real_and_fake = zip((d_y, d_x), (y, x), (p(f) for p, f in zip(pools, fakes, strict=True)), strict=True)
            optimizer_d.zero_grad()
            total_d = torch.stack([d_loss(*each) for each in real_and_fake]).sum()
            total_d.backward()
        guards[1].step(optimizer_d, total_d) if guards else optimizer_d.step()

    if variant.other_convolution:
        obstacle = None if OBSTACLE else "switched off to measure what it gives"
        switched = mock.patch.object(convolution, "MACHINE_OBSTACLE", obstacle)
        return lambda: switched(step)(x, y)
    if not variant.graphed:
        return lambda: step(x, y)
    captured = CapturedStep(step, [optimizer_g, optimizer_d], guards, graph_pool())
    for _ in range(WARM_UP - 1):
        captured(x, y)
    with measure.no_waiting(device):  # a capture that fails would leave the process unfit for the other variants
        captured(x, y)
    captured(x, y)  # the first replay
    return lambda: captured(x, y)


@functools.cache
def graph_pool() -> Any:
    """One for all graphs, of which only one is replayed at a time: the memory of the largest, not of all."""
    return torch.cuda.graph_pool_handle()


def main(options: Options) -> None:
    """Time every variant, print and write the table; what cannot run is named in it and fails at the end."""
    torch.manual_seed(0)
    begin, device = monotonic(), torch.device(options.device)
    steps: dict[str, Callable[[], None]] = {}
    failed: dict[str, str] = {}
    chosen = variants(options)
    for name, variant in chosen.items():
        try:
            step = build(variant, options)
            step()
        except RuntimeError as error:
            failed[name] = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
        else:
            steps[name] = step
    if not steps or next(iter(steps)) != "plain":
        raise SystemExit(f"the plain step, which all others are compared with, {failed['plain']}")
    left = replace(options, limit=max(1.0, options.limit - (monotonic() - begin)))  # building took its part of it
    found = left.times(steps)
    mode = "" if options.compile == "no" else f"-{options.compile}"
    report = Report(f"train_step-{options.size}-{options.batch}{mode}", options, COLUMNS)
    for name, seconds in found.items():
        median = measure.milliseconds(seconds)
        peak = None if chosen[name].graphed else measure.peak_bytes(steps[name], device) / measure.MIB
        report.rows.append(
            {
                "variant": name,
                "ms": median,
                "images/s": 1e3 * options.batch / median,
                "× faster": measure.ratio(found["plain"], seconds),
                "peak MiB": peak,  # a graph keeps its memory
                "rounds": len(seconds),
            }
        )
    report.rows += [{"variant": name, "ms": reason} for name, reason in failed.items()]
    report.write()
    if failed:
        raise SystemExit("; ".join(f"{name} {reason}" for name, reason in failed.items()))


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
