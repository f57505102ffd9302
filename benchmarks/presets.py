"""Cost of one training step of AsymmetricGAN's presets, as ratios to the same step with one shared generator.

    python benchmarks/presets.py --size 128 --batch 1 --out benchmarks/results

All variants run in one process, one step of each in turn, so that a noisy machine disturbs them alike; a ratio is the
median of the ratios of neighbouring steps. The paper measured 2m29s against 2m26s for an epoch of S2 and StarGAN++.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import measure
import torch
import tyro
from report import Report

from asymkit import DomainDiscriminator, DualGenerator, MSSSIMLoss, frozen
from asymkit.console import print_in_any_encoding
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.ops.ssim import scales_that_fit

COLUMNS = ("variant", "ms", "× shared", "rounds")
VARIANTS = {"shared": ("S3", "full"), "S1": ("S1", "none"), "S2": ("S2", "none"), "S3": ("S3", "none")}


@dataclass
class Options(measure.Options):
    """Time AsymmetricGAN's training step."""

    size: int = 128
    batch: int = 1
    width: int = 64
    domains: int = 7


def step_of(variant: str, options: Options) -> Callable[[], None]:
    """One whole training step, both optimizers included."""
    name, sharing = VARIANTS[variant]
    device, size = torch.device(options.device), options.size
    dual = DualGenerator.preset(name, options.domains, sharing, options.width)  # type: ignore[arg-type]
    model = unsupervised.Translators(dual).to(device)
    discriminator = DomainDiscriminator(options.domains, image_size=size, width=options.width).to(device)
    structure, weights = MSSSIMLoss(scales=scales_that_fit(size, size)), unsupervised.Weights()
    optimizer_g = torch.optim.Adam(model.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), 2e-4, betas=(0.5, 0.999), fused=True)
    x, y = (torch.rand(options.batch, 3, size, size, device=device) * 2 - 1 for _ in range(2))
    source, target = (torch.randint(options.domains, (options.batch,), device=device) for _ in range(2))

    def step() -> None:
        cycle = model(x, source, y, target)
        with frozen(discriminator):
            loss = weights.total(unsupervised.generator_terms(cycle, discriminator, structure=structure))
            optimizer_g.zero_grad()
            loss.backward()
            optimizer_g.step()
        loss = weights.total(unsupervised.discriminator_terms(cycle.detach(), discriminator))
        optimizer_d.zero_grad()
        loss.backward()
        optimizer_d.step()

    return step


def main(options: Options) -> None:
    """Time every variant in turn, print and write the ratios."""
    torch.manual_seed(0)
    found = options.times({variant: step_of(variant, options) for variant in VARIANTS})
    report = Report(f"presets-{options.size}-{options.batch}", options, COLUMNS)
    for variant, seconds in found.items():
        ratio = measure.ratio(seconds, found["shared"])
        row = {"variant": variant, "ms": measure.milliseconds(seconds), "× shared": ratio, "rounds": len(seconds)}
        report.rows.append(row)
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(Options))
