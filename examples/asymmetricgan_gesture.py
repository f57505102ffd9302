"""AsymmetricGAN (Tang and Sebe), supervised: a photo of a hand and a skeleton to a photo of that hand in that pose.

    python examples/asymmetricgan_gesture.py demo                # minutes on two CPU cores, drawn hands included
    python examples/asymmetricgan_gesture.py paper --data photos --skeletons keypoints --pairs pairs.csv
    accelerate launch examples/asymmetricgan_gesture.py paper --data ...   # several GPUs

Where it differs from the paper: the learning rate, of whose course it says nothing, is constant for half of the training
and then falls to zero with every step, and GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

from time import monotonic

import torch
from support.checkpoint import Stateful, load_checkpoint, save_checkpoint
from support.gestures import gesture_pairs
from support.pictures import gesture_figures, gesture_pictures
from support.report import LossLog, write_report
from support.run import Progress, command, open_run, stop_at_ctrl_c
from support.settings import GESTURE_PRESETS, GestureSettings
from support.start import numbers, set_learning_rate, start, vgg_features
from torch.utils.data import DataLoader, default_collate

from asymkit import DualGenerator, PatchDiscriminator, PerceptualLoss, frozen, linear_decay
from asymkit.objectives.asymmetricgan import supervised


def main(settings: GestureSettings) -> None:
    accelerator = start(settings.precision, settings.seed, settings.minutes)
    plain = open_run(settings.out, settings, settings.resume)
    data, held_out, source = gesture_pairs(
        settings.data, settings.skeletons, settings.pairs, settings.size, settings.seed
    )
    fresh = default_collate([held_out[i] for i in range(min(32, held_out.epoch))])
    shown = tuple(images.to(accelerator.device) for images in fresh)
    (features,), notes = vgg_features(settings.features, list(settings.feature_layers), net="vgg19")
    depths = [int(layer[4]) for layer in settings.feature_layers]  # the paper's 1/32, 1/16, 1/8, 1/4, 1 by block
    perceptual = PerceptualLoss(features, [(1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)[depth - 1] for depth in depths])
    perceptual.to(accelerator.device)

    model = supervised.Translators(
        DualGenerator.supervised(
            settings.width, settings.reconstructor_width, settings.blocks, upsampling=settings.upsampling
        )
    )
    critic = {"width": settings.critic_width, "layers": settings.critic_layers}
    critics = supervised.Critics(
        triplet=PatchDiscriminator(in_channels=9, **critic),
        pair=PatchDiscriminator(in_channels=6, **critic) if settings.double_critics else None,
    )
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = supervised.Critics(*(accelerator.prepare(critic) for critic in critics.children()))
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
            pictures, figures = gesture_pictures(model, shown), gesture_figures(model, shown)
            figures |= {"steps": step, "seconds": seconds} | losses
            write_report(settings.out, "AsymmetricGAN, gestures", pictures, figures, plain, [source, *notes])

    stop, before = stop_at_ctrl_c(accelerator.num_processes), monotonic()
    for x, skeleton_x, y, skeleton_y in accelerator.prepare(batches):
        done = seconds / (60 * settings.minutes) if settings.minutes else step / steps
        if done >= 1 or stop.is_set():
            break
        set_learning_rate(optimizer_g, settings.lr_generators * linear_decay(done))
        set_learning_rate(optimizer_d, settings.lr_critics * linear_decay(done))

        cycles = translators(x, skeleton_x, y, skeleton_y)
        with frozen(judges):
            terms = supervised.generator_terms(cycles, judges, perceptual)
            optimizer_g.zero_grad()
            accelerator.backward(settings.weights.total(terms))
            optimizer_g.step()

        judged = supervised.discriminator_terms(cycles.detach(), judges)
        optimizer_d.zero_grad()
        accelerator.backward(settings.weights.total(judged))
        optimizer_d.step()

        step, seconds, before = step + 1, seconds + monotonic() - before, monotonic()
        if step % 10 == 1:
            losses = numbers(terms) | numbers(judged, prefix="critic_")
            log.write(step, losses)
            bar.show(done, losses, ("color", "cycle", "perceptual", "adversarial"))
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
    command(main, GESTURE_PRESETS)
