"""Cost of one training step of AsymmetricGAN's presets, as ratios to the same step with one shared generator.

    python benchmarks/presets.py --size 128 --batch 1 --repeats 10

All variants run in one process, one step of each in turn, so that a noisy machine disturbs them alike; a ratio is the
median of the ratios of neighbouring steps. The paper measured 2m29s against 2m26s for an epoch of S2 and StarGAN++.
"""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
import tyro

from asymkit import DomainDiscriminator, DualGenerator, MSSSIMLoss, frozen
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.ops.ssim import scales_that_fit

VARIANTS = {"shared": ("S3", "full"), "S1": ("S1", "none"), "S2": ("S2", "none"), "S3": ("S3", "none")}


@dataclass
class Options:
    """Time AsymmetricGAN's training step."""

    size: int = 128
    batch: int = 1
    width: int = 64
    domains: int = 7
    repeats: int = 10
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    out: Path | None = None
    """Write the figures here, as JSON."""


def step_of(variant: str, options: Options) -> Callable[[], None]:
    """One whole training step, both optimizers included."""
    name, sharing = VARIANTS[variant]
    device, size = torch.device(options.device), options.size
    dual = DualGenerator.preset(name, options.domains, sharing, options.width)  # type: ignore[arg-type]
    model = unsupervised.Translators(dual).to(device)
    critic = DomainDiscriminator(options.domains, size, options.width).to(device)
    structure, weights = MSSSIMLoss(scales=scales_that_fit(size, size)), unsupervised.Weights()
    optimizer_g = torch.optim.Adam(model.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critic.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
    x, y = (torch.rand(options.batch, 3, size, size, device=device) * 2 - 1 for _ in range(2))
    source, target = (torch.randint(options.domains, (options.batch,), device=device) for _ in range(2))

    def step() -> None:
        cycle = model(x, source, y, target)
        with frozen(critic):
            loss = weights.total(unsupervised.generator_terms(cycle, critic, structure=structure))
            optimizer_g.zero_grad()
            loss.backward()
            optimizer_g.step()
        loss = weights.total(unsupervised.discriminator_terms(cycle.detach(), critic))
        optimizer_d.zero_grad()
        loss.backward()
        optimizer_d.step()

    return step


def main(options: Options) -> None:
    """Time every variant in turn, print and write the ratios."""
    torch.manual_seed(0)
    steps = {variant: step_of(variant, options) for variant in VARIANTS}
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for repeat in range(options.repeats + 2):
        for variant, step in steps.items():
            begin = perf_counter()
            step()
            if options.device.startswith("cuda"):
                torch.cuda.synchronize()
            if repeat >= 2:  # the first two warm up
                times[variant].append(perf_counter() - begin)
    ratios = {
        variant: statistics.median(t / s for t, s in zip(values, times["shared"], strict=True))
        for variant, values in times.items()
    }
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else platform.processor() or "CPU"
    print(
        f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {options.size}², batch {options.batch}"
    )
    for variant, ratio in ratios.items():
        print(f"{variant:<8} {statistics.median(times[variant]):8.3f} s   {ratio:.3f} × shared")
    if options.out is not None:
        found = {
            "options": asdict(options),
            "device": device,
            "torch": torch.__version__,
            "ratios": ratios,
            "seconds": times,
        }
        options.out.write_text(json.dumps(found, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
