"""AsymmetricGAN (Tang and Sebe), unsupervised: images of any number of domains, each to all others, by one model.

    python examples/asymmetricgan_domains.py demo                            # minutes on two CPU cores, images included
    python examples/asymmetricgan_domains.py paper --data datasets/seasons   # one sub-folder of images per domain
    accelerate launch examples/asymmetricgan_domains.py paper --data ...     # several GPUs

Where it differs from the paper: the learning rate, of which it says nothing, is StarGAN's course at CycleGAN's rate
(constant, then linear to zero, with every step), Adam has CycleGAN's betas, and GPUs that have bfloat16 compute in it
(--precision no turns that off).
"""

import torch
from support.checkpoint import Stateful
from support.classify import domain_accuracy, train_classifier
from support.domains import domain_sets
from support.loop import Training
from support.pictures import domain_pictures
from support.record import Page
from support.report import Look
from support.run import command, open_run
from support.settings_asymmetric import DOMAINS_PRESETS, DomainSettings
from support.start import start
from torch import nn

from asymkit import DomainDiscriminator, DualGenerator, MSSSIMLoss, frozen
from asymkit.objectives.asymmetricgan import unsupervised
from asymkit.ops.ssim import scales_that_fit


def main(settings: DomainSettings) -> None:
    accelerator = start(settings)
    data, held_out, source = domain_sets(
        settings.data, settings.size, settings.channels, settings.seed, settings.value_range
    )
    open_run(settings)
    judged_images, shown = (
        [held_out.batch(domain, count, size).to(accelerator.device) for domain in range(len(data.names))]
        for count, size in ((32, settings.size), (2, settings.picture_size))
    )

    dual = DualGenerator.preset(
        settings.preset,
        domains=len(data.names),
        sharing=settings.sharing,
        width=settings.width,
        in_channels=settings.channels,
        out_channels=settings.channels,
        label_embedding=settings.label_embedding,
        upsampling=settings.upsampling,
    )
    model = unsupervised.Translators(dual)
    critic = {"width": settings.critic_width, "in_channels": settings.channels}
    critics = nn.ModuleList(
        DomainDiscriminator(len(data.names), settings.size, layers=settings.critic_layers - i, **critic)
        for i in range(settings.critics)
    )
    structure = MSSSIMLoss(scales=scales_that_fit(settings.size, settings.size))
    optimizer_g = torch.optim.Adam(model.parameters(), settings.lr_generators, betas=(0.5, 0.999), fused=True)
    optimizer_d = torch.optim.Adam(critics.parameters(), settings.lr_critics, betas=(0.5, 0.999), fused=True)
    parts: dict[str, Stateful] = {"model": model, "critics": critics}
    parts |= {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}

    translators, optimizer_g, optimizer_d = accelerator.prepare(model, optimizer_g, optimizer_d)
    judges = nn.ModuleList(accelerator.prepare(critic) for critic in critics)
    classifier = train_classifier(data, settings.classifier_steps, accelerator.device, accelerator.is_main_process)

    def look(model: unsupervised.Translators) -> Look:
        figures: dict[str, float] = {}
        for kind, shares in domain_accuracy(classifier, model, judged_images).items():
            figures |= {f"accuracy_{kind}_{name}": share for name, share in zip(data.names, shares, strict=True)}
            figures[f"accuracy_{kind}"] = sum(shares) / len(shares)
        return Look(domain_pictures(model, shown, data.names), figures)

    page = Page("AsymmetricGAN, domains", [source], look, ("cycle", "identity", "classification", "adversarial"))
    training = Training(accelerator, settings, data, parts, (translators, judges), (optimizer_g, optimizer_d), page)
    for x, domain_x, y, domain_y in training:
        cycle = translators(x, domain_x, y, domain_y)
        with frozen(judges):
            training.step_generators(unsupervised.generator_terms(cycle, judges, structure=structure))
        training.step_critics(unsupervised.discriminator_terms(cycle.detach(), judges))


if __name__ == "__main__":
    command(main, DOMAINS_PRESETS)
