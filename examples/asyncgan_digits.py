"""CycleGAN and Async-CycleGAN between two sets of digits, side by side, scored as Async-GAN §IV-F does.

    python examples/asyncgan_digits.py demo                                        # minutes on two CPU cores, no files needed
    python examples/asyncgan_digits.py demo --digits usps --mnist datasets/mnist --other datasets/usps.npz --seeds 3
    python examples/asyncgan_digits.py demo --digits svhn                          # downloads MNIST and SVHN

Digits of the rich set are translated to the poor one, and a classifier trained on real poor digits reads them; then the
other way round. Neither model ever sees a label: nothing tells a 3 from an 8 but their shapes. Both variants take the same
number of steps on the same images; partial steps are the cheaper ones.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean, stdev

import torch
from support.checkpoint import Stateful
from support.digits import DigitSet, Split, UnpairedDigits, digit_sets, train_classifier
from support.loop import Training
from support.phases import Intermediate, Plan
from support.pictures import asyncgan_pictures, looking
from support.report import write_report
from support.run import command, open_run
from support.settings_async import DIGITS_PRESETS, DigitSettings
from support.start import start
from torch import Tensor, nn

from asymkit import AsyncScheduler, PatchDiscriminator, ResnetGenerator, frozen
from asymkit.objectives import asyncgan

Losses = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]
VARIANTS = {"cyclegan": "CycleGAN", "async": "Async-CycleGAN"}


def train(settings: DigitSettings, rich: DigitSet, poor: DigitSet, variant: str) -> asyncgan.Translators:
    accelerator = start(settings.precision, settings.seed, settings.minutes)
    plain = open_run(settings.out, settings, settings.resume, keep=frozenset({"epochs"}))
    data = UnpairedDigits(rich, poor, settings.samples, settings.seed)
    shown_x, shown_y = (images.test.images[:8].to(accelerator.device) for images in (rich, poor))

    size = {"width": settings.width, "blocks": settings.blocks}
    rich_to_poor, poor_to_rich = (ResnetGenerator(**size, upsampling=settings.upsampling) for _ in range(2))
    model = asyncgan.Translators(rich_to_poor, poor_to_rich)
    critics = asyncgan.Critics(*(PatchDiscriminator(width=2 * settings.width, layers=2) for _ in range(2)))
    history, moments = asyncgan.FakeHistory(settings.pool), Intermediate()
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics, "history": history, "intermediate": moments}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = asyncgan.Critics(*(accelerator.prepare(critic) for critic in critics.children()))

    def descend(optimizer: torch.optim.Optimizer, terms: Mapping[str, Tensor]) -> None:
        optimizer.zero_grad()
        accelerator.backward(settings.weights.total(terms))
        optimizer.step()

    def joint(x: Tensor, y: Tensor) -> Losses:
        cycles = translators(x, y)
        with frozen(judges):
            terms = asyncgan.joint_generator_terms(cycles, judges)
            descend(optimizer_g, terms)
        judged = asyncgan.joint_discriminator_terms(history(cycles), judges)
        descend(optimizer_d, judged)
        return terms, judged

    def partial(x: Tensor, _y: Tensor) -> Losses:
        pairs = translators(x, phase="partial")
        with frozen(judges):
            terms = asyncgan.partial_generator_terms(pairs, judges)
            descend(optimizer_g, terms)
        judged = asyncgan.partial_discriminator_terms(pairs.detach(), judges)
        descend(optimizer_d, judged)
        return terms, judged

    easy = [model.rich_to_poor, critics.poor]
    asynchronous = AsyncScheduler(joint, partial, easy, settings.epochs, settings.period, settings.rule)
    steps = max(1, settings.samples // (settings.batch * accelerator.num_processes))
    plan = Plan(asynchronous, joint=steps, partial=steps)

    def report(figures: dict[str, float]) -> None:
        pictures = asyncgan_pictures(model, shown_x, shown_y, moments)
        notes = [f"rich: {rich.name}, {rich.bits:.2f} bits; poor: {poor.name}, {poor.bits:.2f} bits"]
        spans = plan.partial_spans(int(figures["steps"])) if variant == "async" else []
        write_report(settings.out, VARIANTS[variant], pictures, figures, plain, notes, spans)

    rates = {optimizer_g: settings.lr_generators, optimizer_d: settings.lr_critics}
    losses = ("cycle_rich", "cycle_poor", "pseudo", "adversarial_rich")
    training = Training(accelerator, settings, data, parts, rates, report, losses, plan.steps)
    for x, y in training:
        epoch = plan.epoch(training.step)
        asynchronous.set_epoch(epoch)
        training.losses(*(asynchronous(x, y) if variant == "async" else joint(x, y)))
        if plan.ends_phase(training.step):
            with looking():
                cycles = model(shown_x, shown_y)
            moments.add(f"epoch {epoch}", cycles.fake_poor, cycles.fake_rich)
    return model


def main(settings: DigitSettings) -> None:
    rich, poor = digit_sets(settings)
    print(f"rich: {rich.name}, {rich.bits:.2f} bits; poor: {poor.name}, {poor.bits:.2f} bits")
    read_rich, read_poor = (train_classifier(domain, settings.seed) for domain in (rich, poor))
    real = {rich.name: read_rich(rich.test), poor.name: read_poor(poor.test)}
    print(", ".join(f"real {name}: {share:.3f}" for name, share in real.items()))
    scores: dict[str, dict[str, list[float]]] = {}
    for variant in VARIANTS:
        found = scores.setdefault(variant, {f"{rich.name} to {poor.name}": [], f"{poor.name} to {rich.name}": []})
        for seed in range(settings.seed, settings.seed + settings.seeds):
            of_seed = replace(settings, seed=seed, out=settings.out / f"{variant}-{seed}")
            model = train(of_seed, rich, poor, variant).cpu()
            to_poor, to_rich = (
                reader(Split(_translated(network, test.images), test.digits))
                for reader, network, test in (
                    (read_poor, model.rich_to_poor, rich.test),
                    (read_rich, model.poor_to_rich, poor.test),
                )
            )
            for shares, share in zip(found.values(), (to_poor, to_rich), strict=True):
                shares.append(share)
    for variant, directions in scores.items():
        for direction, shares in directions.items():
            spread = f" ± {stdev(shares):.3f}" if len(shares) > 1 else ""
            each = ", ".join(f"{share:.3f}" for share in shares)
            print(f"{VARIANTS[variant]:<15} {direction:<18} {mean(shares):.3f}{spread}   ({each})")
    results = {"real": real, "translated": scores, "entropy_bits": {d.name: d.bits for d in (rich, poor)}}
    (settings.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")


@looking()
def _translated(generator: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([generator(part) for part in images.split(128)])


if __name__ == "__main__":
    command(main, DIGITS_PRESETS)
