"""AsymmetricGAN (Tang and Sebe), supervised: a photo of a hand and a skeleton to a photo of that hand in that pose.

    python examples/asymmetricgan_gesture.py demo                # minutes on two CPU cores, drawn hands included
    python examples/asymmetricgan_gesture.py paper --data photos --skeletons keypoints --pairs pairs.csv
    accelerate launch examples/asymmetricgan_gesture.py paper --data ...   # several GPUs

Where it differs from the paper: the learning rate, of whose course it says nothing, is constant for half of the training
and then falls to zero with every step, and GPUs that have bfloat16 compute in it (--precision no turns that off).
"""

import torch
from support.checkpoint import Stateful
from support.gestures import gesture_pairs
from support.loop import Training
from support.pictures import gesture_figures, gesture_pictures
from support.record import Page
from support.report import Look
from support.run import command, open_run
from support.settings_asymmetric import GESTURE_PRESETS, GestureSettings
from support.start import start, vgg_features
from torch.utils.data import default_collate

from asymkit import DualGenerator, PatchDiscriminator, PerceptualLoss, frozen
from asymkit.objectives.asymmetricgan import supervised


def main(settings: GestureSettings) -> None:
    accelerator = start(settings)
    data, held_out, source = gesture_pairs(
        settings.data, settings.skeletons, settings.pairs, settings.size, settings.seed, settings.value_range
    )
    open_run(settings)
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

    def look(model: supervised.Translators) -> Look:
        return Look(gesture_pictures(model, shown), gesture_figures(model, shown))

    losses = ("color", "cycle", "perceptual", "adversarial")
    page = Page("AsymmetricGAN, gestures", [source, *notes], look, losses)
    training = Training(accelerator, settings, data, parts, (translators, judges), (optimizer_g, optimizer_d), page)
    for x, skeleton_x, y, skeleton_y in training:
        cycles = translators(x, skeleton_x, y, skeleton_y)
        with frozen(judges):
            training.step_generators(supervised.generator_terms(cycles, judges, perceptual))
        training.step_critics(supervised.discriminator_terms(cycles.detach(), judges))


if __name__ == "__main__":
    command(main, GESTURE_PRESETS)
