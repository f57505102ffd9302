"""AsymGAN (Li et al., TIP 2019): rich images to poor ones and back, one-to-many, by an auxiliary variable z.

    python examples/asymgan.py demo                          # four minutes on two CPU cores, photographs included
    python examples/asymgan.py paper --data datasets/facades  # the paper's settings; trainA rich, trainB poor
    accelerate launch examples/asymgan.py paper --data ...    # several GPUs

Where it differs from the paper: the learning rate decays with every step instead of every epoch, and GPUs that have
bfloat16 compute in it (--precision no turns that off). The demo is smaller, trains faster than it should, and up-samples
without transposed convolutions.
"""

from time import monotonic

import torch
from support.checkpoint import Stateful, load_checkpoint, save_checkpoint
from support.data import unpaired
from support.pictures import asymgan_figures, asymgan_pictures
from support.report import LossLog, write_report
from support.run import Progress, command, open_run, stop_at_ctrl_c
from support.settings import ASYMGAN_PRESETS, AsymGANSettings
from support.start import numbers, set_learning_rate, start, start_strong, vgg_features
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


def main(settings: AsymGANSettings) -> None:
    accelerator = start(settings.precision, settings.seed, settings.minutes)
    plain = open_run(settings.out, settings, settings.resume)
    data, source = unpaired(settings.data, settings.poor, settings.rich, settings.size, settings.seed)
    fresh_x, fresh_y = (images.to(accelerator.device) for images in data.fresh(64))
    shown_x, shown_y = (images.to(accelerator.device) for images in data.fresh(8, settings.picture_size))
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
    if settings.start == "strong":
        start_strong(model, critics)
    history = asymgan.FakeHistory(settings.pool)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics, "history": history}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = asymgan.Critics(*(accelerator.prepare(critic) for critic in critics.children()))
    checkpoint, step, seconds = settings.out / "checkpoint.pt", 0, 0.0
    if settings.resume:
        step, seconds = load_checkpoint(checkpoint, parts, accelerator.process_index)
    pairs = settings.batch * accelerator.num_processes
    steps = settings.epochs * max(1, data.epoch // pairs)
    order, chance = range(step * pairs, steps * pairs), torch.Generator()  # its own, so that loading disturbs nothing
    batches = DataLoader(data, settings.batch, sampler=order, num_workers=settings.workers, generator=chance)
    log = LossLog(settings.out / "losses.csv", resume_at=step, writing=accelerator.is_main_process)
    bar, losses = Progress(accelerator.is_main_process), dict[str, float]()

    def save() -> None:
        if accelerator.is_main_process:
            save_checkpoint(checkpoint, step, seconds, parts)
            pictures, figures = asymgan_pictures(model, shown_x, shown_y), asymgan_figures(model, fresh_x, fresh_y)
            figures |= {"steps": step, "seconds": seconds} | losses
            write_report(settings.out, "AsymGAN", pictures, figures, plain, [source, *notes])

    stop, before = stop_at_ctrl_c(accelerator.num_processes), monotonic()
    for x, y in accelerator.prepare(batches):
        done = seconds / (60 * settings.minutes) if settings.minutes else step / steps
        if done >= 1 or stop.is_set():
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
            bar.show(done, losses, ("cycle_rich", "cycle_poor", "cycle_aux", "adversarial_rich"))
        if step % settings.report_every == 0:
            save()
            before = monotonic()
    if not stop.is_set():
        bar.show(1.0)
    bar.close()
    save()
    ended = "stopped, --resume goes on" if stop.is_set() else "done, --resume with more --minutes or --epochs goes on"
    accelerator.print(f"{ended}: {step} steps in {seconds:.0f} s; open {settings.out / 'report.html'}")


if __name__ == "__main__":
    command(main, ASYMGAN_PRESETS)
