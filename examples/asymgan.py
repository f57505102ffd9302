"""AsymGAN (Li et al., TIP 2019): rich images to poor ones and back, one-to-many, by an auxiliary variable z.

    python examples/asymgan.py demo                          # four minutes on two CPU cores, photographs included
    python examples/asymgan.py paper --data datasets/facades  # the paper's settings; trainA rich, trainB poor
    accelerate launch examples/asymgan.py paper --data ...    # several GPUs

Where it differs from the paper: the learning rate decays with every step instead of every
epoch. The demo is smaller, trains faster than it should, and up-samples without transposed convolutions.
"""

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

import torch
import tyro
from support.checkpoint import load_checkpoint, save_checkpoint
from support.data import unpaired
from support.images import PoorKind
from support.pictures import asymgan_figures, asymgan_pictures
from support.report import LossLog, write_report
from support.start import Progress, new_folder, numbers, set_learning_rate, start, vgg_features
from torch.utils.data import DataLoader

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    ContentLoss,
    GramStyleLoss,
    PatchDiscriminator,
    ResnetGenerator,
    frozen,
    linear_decay,
)
from asymkit.objectives import asymgan


@dataclass(frozen=True)
class Settings:
    """Train AsymGAN."""

    data: Path | None = None
    """A folder of photos, or a CycleGAN folder with trainA and trainB; without it, photographs that ship with scikit-image."""
    rich: Literal["A", "B"] = "A"
    """Which side of a CycleGAN folder is the rich one."""
    poor: PoorKind = "grey"
    """What the poor domain is made of where there is no second folder."""
    out: Path = Path("runs/asymgan")
    """Folder of the run."""
    resume: bool = False
    """Go on from the checkpoint in that folder."""
    seed: int = 0
    epochs: int = 200
    """Half at the full learning rate, half decaying to zero."""
    minutes: float | None = None
    """Stop after this much training; the learning rate then follows the clock."""
    size: int = 128
    batch: int = 1
    width: int = 64
    blocks: int = 6
    aux_channels: int = 8
    critic_layers: int = 3
    upsampling: Literal["transposed", "resize"] = "transposed"
    lr_generators: float = 2e-4
    lr_critics: float = 1e-4
    pool: int = 50
    """Earlier fakes that the critics are shown again."""
    features: str = "imagenet"
    """Weights of the VGG16 behind content and style: imagenet, random, a file, or auto: imagenet, random where offline."""
    content_layer: str = "relu2_2"
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    precision: Literal["auto", "no", "bf16"] = "auto"
    """auto: bfloat16 on a GPU that has it."""
    workers: int = 2
    report_every: int = 1000
    """Steps between checkpoints and reports."""
    weights: asymgan.Weights = asymgan.Weights()


DEMO = Settings(
    out=Path("runs/demo"), minutes=3.7, size=64, batch=4, width=16, blocks=4, critic_layers=2, upsampling="resize",
    lr_generators=1e-3, lr_critics=5e-4, features="auto", style_layers=("relu1_2", "relu2_2"), workers=0, report_every=500,
)  # fmt: skip
PRESETS = {"paper": ("The paper's settings.", Settings()), "demo": ("Minutes on a CPU.", DEMO)}


def main(settings: Settings) -> None:
    accelerator = start(settings.precision, settings.seed, settings.minutes)
    shown = new_folder(settings.out, settings, settings.resume)
    data, source = unpaired(settings.data, settings.poor, settings.rich, settings.size, settings.seed)
    fresh = [images.to(accelerator.device) for images in data.fresh(64)]
    (content_features, style_features), notes = vgg_features(
        settings.features, [settings.content_layer], list(settings.style_layers)
    )
    content = ContentLoss(content_features).to(accelerator.device)
    style = GramStyleLoss(style_features).to(accelerator.device)

    width, blocks, aux, up = settings.width, settings.blocks, settings.aux_channels, settings.upsampling
    model = asymgan.Translators(
        rich_to_poor=ResnetGenerator(width=width, blocks=blocks, upsampling=up),
        poor_to_rich=AuxGenerator(aux_channels=aux, width=width, blocks=blocks, upsampling=up),
        encoder=AuxEncoder(aux_channels=aux, width=width),
        extended=True,
    )
    patches = {"width": width, "layers": settings.critic_layers}
    critics = asymgan.Critics(PatchDiscriminator(**patches), PatchDiscriminator(**patches), AuxDiscriminator(aux))
    history = asymgan.FakeHistory(settings.pool)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999))
    run = {"model": model, "critics": critics, "optimizer_g": optimizer_g, "optimizer_d": optimizer_d, "history": history}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = asymgan.Critics(*(accelerator.prepare(critic) for critic in critics.children()))
    step, seconds = load_checkpoint(settings.out / "checkpoint.pt", run) if settings.resume else (0, 0.0)
    pairs = settings.batch * accelerator.num_processes
    steps = settings.epochs * max(1, data.epoch // pairs)
    batches = DataLoader(data, settings.batch, sampler=range(step * pairs, steps * pairs), num_workers=settings.workers)
    log = LossLog(settings.out / "losses.csv", resume_at=step)
    bar = Progress(accelerator.is_main_process)

    def save() -> None:
        if accelerator.is_main_process:
            save_checkpoint(settings.out / "checkpoint.pt", step, seconds, run)
            metrics = asymgan_figures(model, *fresh) | {"steps": step, "seconds": seconds} | losses
            write_report(settings.out, "AsymGAN", asymgan_pictures(model, *fresh), metrics, shown, [source, *notes])

    before = monotonic()
    for x, y in accelerator.prepare(batches):
        done = seconds / (60 * settings.minutes) if settings.minutes else step / steps
        if done >= 1:
            break
        set_learning_rate(optimizer_g, settings.lr_generators * linear_decay(done))
        set_learning_rate(optimizer_d, settings.lr_critics * linear_decay(done))

        cycles = translators(x, y)
        with frozen(judges):
            terms = asymgan.generator_terms(cycles, judges, content, style)
            optimizer_g.zero_grad()
            accelerator.backward(settings.weights.total(terms))
            optimizer_g.step()

        judged = asymgan.discriminator_terms(history(cycles), judges)
        optimizer_d.zero_grad()
        accelerator.backward(settings.weights.total(judged))
        optimizer_d.step()

        step, seconds, before = step + 1, seconds + monotonic() - before, monotonic()
        if step % 10 == 1:
            losses = numbers(terms) | numbers(judged, prefix="critic_")
            log.write(step, losses)
            bar.show(done, losses, ("cycle_rich", "cycle_poor", "cycle_aux", "adversarial_rich", "critic_adversarial_rich"))
        if step % settings.report_every == 0:
            save()
            before = monotonic()
    bar.close()
    save()
    accelerator.print(f"{step} steps in {seconds:.0f} s: open {settings.out / 'report.html'}")


if __name__ == "__main__":
    main(tyro.extras.overridable_config_cli(PRESETS))
