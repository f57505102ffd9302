"""AsymGAN (Li et al., TIP 2019): rich images to poor ones and back, one-to-many, by an auxiliary variable z.

    python examples/asymgan.py demo                          # four minutes on two CPU cores, photographs included
    python examples/asymgan.py paper --data datasets/facades  # the paper's settings; trainA rich, trainB poor
    accelerate launch examples/asymgan.py paper --data ...    # several GPUs

Where it differs from the paper: the learning rate decays with every step instead of every epoch, and GPUs that have
bfloat16 compute in it (--precision no turns that off). The demo is smaller, trains faster than it should, and up-samples
without transposed convolutions.
"""

import torch
from support.checkpoint import Stateful
from support.data import unpaired
from support.loop import Training
from support.pictures import asymgan_figures, asymgan_pictures, z_slides
from support.record import Page
from support.report import Look
from support.run import command, open_run
from support.settings import ASYMGAN_PRESETS, AsymGANSettings
from support.start import start, vgg_features

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    ContentLoss,
    GramStyleLoss,
    ImagePools,
    PatchDiscriminator,
    ResnetGenerator,
    frozen,
)
from asymkit.objectives import asymgan


def main(settings: AsymGANSettings) -> None:
    accelerator = start(settings)
    data, source = unpaired(
        settings.data,
        settings.poor,
        settings.rich,
        settings.size,
        settings.seed,
        settings.side_by_side,
        settings.value_range,
    )
    open_run(settings)
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
    pools = ImagePools(settings.pool)
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics, "pools": pools}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = asymgan.Critics(*(accelerator.prepare(critic) for critic in critics.children()))

    def look(model: asymgan.Translators) -> Look:
        figures = asymgan_figures(model, fresh_x, fresh_y)
        return Look(asymgan_pictures(model, shown_x, shown_y), figures, z_slides(model, shown_y))

    losses = ("cycle_rich", "cycle_poor", "cycle_aux", "adversarial_rich")
    page = Page("AsymGAN", [source, *notes], look, losses)
    training = Training(accelerator, settings, data, parts, (translators, judges), (optimizer_g, optimizer_d), page)
    for x, y in training:
        cycles = translators(x, y)
        with frozen(judges):
            training.step_generators(asymgan.generator_terms(cycles, judges, content, style))
        training.step_critics(asymgan.discriminator_terms(pools(cycles), judges))


if __name__ == "__main__":
    command(main, ASYMGAN_PRESETS)
