"""CycleGAN and Async-CycleGAN between two sets of digits, side by side, scored as Async-GAN §IV-F does.

    python examples/asyncgan_digits.py demo                    # a quarter of an hour on two CPU cores, no files needed
    python examples/asyncgan_digits.py demo --digits usps --mnist datasets/mnist --other datasets/usps.npz --seeds 3
    python examples/asyncgan_digits.py demo --digits svhn                          # downloads MNIST and SVHN

Digits of the rich set are translated to the poor one, and a classifier trained on real poor digits reads them; then the
other way round. Neither model ever sees a label: nothing tells a 3 from an 8 but their shapes. Both variants take the same
number of steps on the same images; partial steps are the cheaper ones.
"""

from dataclasses import replace
from statistics import mean, stdev
from typing import Any

import torch
from accelerate.utils import set_seed
from asyncgan import train
from support.digits import DigitSet, Split, UnpairedDigits, digit_sets, train_classifier
from support.durable import write_json
from support.pictures import looking
from support.run import command, write_settings
from support.settings_async import DIGITS_PRESETS, DigitSettings
from support.start import start
from torch import Tensor, nn

from asymkit import PatchDiscriminator, ResnetGenerator
from asymkit.objectives import asyncgan

VARIANTS = {"cyclegan": "CycleGAN", "async": "Async-CycleGAN"}


def trained(settings: DigitSettings, rich: DigitSet, poor: DigitSet, variant: str) -> asyncgan.Translators | None:
    set_seed(settings.seed)
    size: dict[str, Any] = {"width": settings.width, "blocks": settings.blocks, "upsampling": settings.upsampling}
    model = asyncgan.Translators(ResnetGenerator(**size), ResnetGenerator(**size))
    critics = asyncgan.Critics(*(PatchDiscriminator(width=2 * settings.width, layers=2) for _ in range(2)))
    data = UnpairedDigits(rich, poor, settings.samples, settings.seed)
    shown = rich.test.images[:8], poor.test.images[:8]
    source = f"rich: {rich.name}, {rich.bits:.2f} bits; poor: {poor.name}, {poor.bits:.2f} bits"
    whole = train(settings, data, model, critics, shown, VARIANTS[variant], source, asynchronous=variant == "async")
    return model.cpu() if whole else None


def main(settings: DigitSettings) -> None:
    if (settings.out / "checkpoint.pt").exists():
        raise ValueError(
            f"out: {str(settings.out)!r} holds one of the trainings of a comparison; give {str(settings.out.parent)!r}"
        )
    accelerator = start(settings)
    say = accelerator.print
    rich, poor = digit_sets(settings)
    if accelerator.is_main_process and not settings.dry_run and not any(settings.out.glob("*/checkpoint.pt")):
        settings.out.mkdir(parents=True, exist_ok=True)
        write_settings(settings)
    say(f"rich: {rich.name}, {rich.bits:.2f} bits; poor: {poor.name}, {poor.bits:.2f} bits")
    read_rich, read_poor = (train_classifier(domain, settings.seed) for domain in (rich, poor))
    real = {rich.name: read_rich(rich.test), poor.name: read_poor(poor.test)}
    say(", ".join(f"real {name}: {share:.3f}" for name, share in real.items()))
    directions = (f"{rich.name} to {poor.name}", f"{poor.name} to {rich.name}")
    # what the other set's classifier makes of images nobody translated: a translation that helps must beat it
    untranslated = dict(zip(directions, (read_poor(rich.test), read_rich(poor.test)), strict=True))
    for direction, share in untranslated.items():
        say(f"{'not translated':<15} {direction:<18} {share:.3f}")
    scores: dict[str, dict[str, list[float]]] = {}
    for variant in VARIANTS:
        found = scores.setdefault(variant, {direction: [] for direction in directions})
        for seed in range(settings.seed, settings.seed + settings.seeds):
            out = settings.out / f"{variant}-{seed}"
            begun = settings.resume and (out / "checkpoint.pt").exists()
            model = trained(replace(settings, seed=seed, out=out, resume=begun), rich, poor, variant)
            if settings.dry_run:
                continue
            if model is None:
                return  # by Ctrl-C: nothing is scored half-trained
            to_poor, to_rich = (
                reader(Split(_translated(network, test.images), test.digits))
                for reader, network, test in (
                    (read_poor, model.rich_to_poor, rich.test),
                    (read_rich, model.poor_to_rich, poor.test),
                )
            )
            for shares, share in zip(found.values(), (to_poor, to_rich), strict=True):
                shares.append(share)
    if settings.dry_run:
        return
    for variant, found in scores.items():
        for direction, shares in found.items():
            spread = f" ± {stdev(shares):.3f}" if len(shares) > 1 else ""
            each = ", ".join(f"{share:.3f}" for share in shares)
            say(f"{VARIANTS[variant]:<15} {direction:<18} {mean(shares):.3f}{spread}   ({each})")
    results = {"real": real, "untranslated": untranslated, "translated": scores}
    results["entropy_bits"] = {domain.name: domain.bits for domain in (rich, poor)}
    if accelerator.is_main_process:
        write_json(settings.out / "results.json", results)


@looking()
def _translated(generator: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([generator(part) for part in images.split(128)])


if __name__ == "__main__":
    command(main, DIGITS_PRESETS)
