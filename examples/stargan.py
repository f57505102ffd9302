"""StarGAN (Choi et al., CVPR 2018), AsymmetricGAN's rival: one generator translates between all domains and brings back.

    python examples/stargan.py demo                         # minutes on two CPU cores, images included
    python examples/stargan.py paper --data datasets/rafd   # train/<domain> and test/<domain>, or a sub-folder per domain

With AsymmetricGAN's losses, StarGAN++ of its Table 8, it is asymmetricgan_domains.py with --preset S3 --sharing full.

Where it differs from the paper: images are never translated to their own domain, the gradients of a step are taken before
either network moves, instance norms keep no running statistics, epochs are those the paper gives for RaFD, and GPUs that
have bfloat16 compute in it (--precision no turns that off).
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from support.data.domains import DomainSettings
from support.report.domains import domain_report
from support.report.page import Page
from support.run.command import command
from support.run.run import Run
from torch import Tensor

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives.asymmetricgan.unsupervised import Translators
from asymkit.objectives.terms import TermWeights, l1


@dataclass(frozen=True)
class Weights(TermWeights):
    """Weights of the loss terms, the paper's λ."""

    adversarial: float = 1.0  # the generator's: scores of translated images
    wasserstein: float = 1.0  # the discriminator's: scores of translated images minus those of real ones
    classification: float = 1.0  # the domain of real images (discriminator) and of translated ones (λ_cls)
    reconstruction: float = 10.0  # an image comes back from its translation: the mean of L1 (λ_rec)
    penalty: float = 10.0  # gradient penalty of the discriminator (λ_gp)


@dataclass(frozen=True)
class Settings(DomainSettings):
    """Train StarGAN between the domains of a folder."""

    out: Path = Path("runs/stargan")  # folder of the run
    batch: int = 16  # batch size of each process
    n_critic: int = 5  # updates of the discriminator for each of the generator
    upsampling: Upsampling = "transposed"  # transposed convolutions as in the paper; resize leaves no checkerboard
    lr_g: float = 1e-4  # learning rate of the generator, for the first half of the run; then it falls to zero
    lr_d: float = 1e-4  # learning rate of the discriminator, likewise
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("n_critic")


SMALL: dict[str, Any] = {"size": 48, "batch": 4, "width": 16, "discriminator_width": 16, "discriminator_layers": 4}
DEMO = Settings(minutes=4, n_critic=2, upsampling="resize", lr_g=1e-3, lr_d=1e-3, workers=0, report_every=2000, **SMALL)
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def main(settings: Settings) -> None:
    data, held_out, about = settings.images(pairs=False)  # no images of the domains that are translated to
    run = Run(settings, data)  # device, seed, batches, checkpoints, logs: nothing of the method
    domains, channels, weights = len(data.names), settings.channels, settings.weights
    options: dict[str, Any] = {"in_channels": channels, "out_channels": channels, "upsampling": settings.upsampling}
    generator = asymkit.DualGenerator.preset(
        "S3", domains, sharing="full", width=settings.width, **options
    )  # one, for both tasks
    discriminator = asymkit.DomainDiscriminator(
        domains, channels, settings.discriminator_width, settings.discriminator_layers, image_size=settings.size
    )
    classify, wasserstein = asymkit.DomainClassificationLoss(), asymkit.WassersteinLoss()
    ddp_generator = run.prepare(generator)  # on the device, under autocast; on several GPUs in DistributedDataParallel
    ddp_discriminator = run.prepare(discriminator)
    optimizer_g = torch.optim.Adam(generator.parameters(), settings.lr_g, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), settings.lr_d, betas=(0.5, 0.999), fused=True)
    # for report and translate.py
    model = Translators(generator, identity=False, reconstruction=weights.reconstruction > 0)
    guard_g, guard_d, ema = run.guard(), run.guard(), run.ema(model)
    page = Page("StarGAN", [about], domain_report(settings, data, held_out, run.device, run.is_main))
    run.register_states(model=model, discriminator=discriminator, optimizer_g=optimizer_g, optimizer_d=optimizer_d)

    def generator_terms(x: Tensor, source: Tensor, target: Tensor, fake: Tensor) -> dict[str, Tensor]:
        scores, logits = ddp_discriminator(fake)
        terms = {"adversarial": wasserstein.generator_loss(scores), "classification": classify(logits, target)}
        if weights.reconstruction > 0:
            terms["reconstruction"] = l1(ddp_generator(fake, source), x)
        return terms

    def discriminator_terms(x: Tensor, source: Tensor, fake: Tensor) -> dict[str, Tensor]:
        scores, logits = ddp_discriminator(torch.cat([x, fake]))
        distance = wasserstein.discriminator_loss(scores[: len(x)], scores[len(x) :])
        terms = {"wasserstein": distance, "classification": classify(logits[: len(x)], source)}
        if weights.penalty > 0:
            terms["penalty"] = asymkit.gradient_penalty(lambda between: ddp_discriminator(between)[0], x, fake)
        return terms

    def train_step(
        x: Tensor, source: Tensor, target: Tensor, moves_generator: bool
    ) -> None:  # images, their domains and new ones
        with torch.set_grad_enabled(moves_generator):
            fake = ddp_generator(x, target)
        of_generator: dict[str, Tensor] = {}
        if moves_generator:
            with asymkit.frozen(ddp_discriminator):
                of_generator = generator_terms(x, source, target, fake)
                run.backward(weights.total(of_generator))
        of_discriminator = discriminator_terms(x, source, fake.detach())
        run.backward(weights.total(of_discriminator))
        run.log(of_generator, of_discriminator)
        if run.ends_step:  # after the last of --accumulate batches
            if moves_generator:
                guard_g.step(optimizer_g, of_generator)  # optimizer_g.step(), unless a term or gradient is not finite
                optimizer_g.zero_grad()
            guard_d.step(optimizer_d, of_discriminator)
            optimizer_d.zero_grad()

    def kind(step: int) -> str:
        return "generator" if step % settings.n_critic == 0 else "discriminator"

    # with --graph one CUDA graph each
    step_d, step_both = (
        run.captured(functools.partial(train_step, moves_generator=moves), optimizer_g, optimizer_d)
        for moves in (False, True)
    )
    for x, source, target in run.batches(page, kind=kind):  # images, their domains and those to translate them to
        decay = asymkit.linear_decay(run.progress)  # 1 for half of the run, then to 0
        optimizer_g.param_groups[0]["lr"] = decay * settings.lr_g
        optimizer_d.param_groups[0]["lr"] = decay * settings.lr_d
        moves_generator = kind(run.step) == "generator"
        (step_both if moves_generator else step_d)(x, source, target)
        if run.ends_step and moves_generator:
            ema.update()


if __name__ == "__main__":
    command(main, PRESETS)
