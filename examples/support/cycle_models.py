"""The cycle models that examples/asyncgan.py trains asynchronously, in the sizes of their papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asyncgan
from support.run.plan import PlanSettings

PAPER_SIZES = {"cyclegan": (9, 3, 0), "highres": (8, 4, 0), "asymgan": (6, 3, 8)}
"""Residual blocks of a generator, stride-2 layers of a discriminator, length of z."""


@dataclass(frozen=True)
class CycleSettings(PlanSettings):
    """Which cycle model is trained asynchronously, and how large it is."""

    base: Literal["cyclegan", "highres", "asymgan"] = "highres"
    """The networks: CycleGAN's, Async-GAN's for 512² and more, or AsymGAN's with z."""
    aux_channels: int | None = None
    """Length of z. None: 8 for asymgan, and no z for highres, for which the paper takes 128."""
    blocks: int | None = None
    """Residual blocks of a generator. None: 9 for cyclegan, 8 for highres, 6 for asymgan."""
    discriminator_layers: int | None = None
    """Layers of stride 2 in the discriminators. None: 3, and 4 for highres."""
    detach_fake_poor: bool = False
    """The cycle of rich images does not train rich_to_poor, which then hides nothing for it; not in the papers."""
    upsampling: Upsampling = "transposed"
    """As in the papers, or resize, which leaves no checkerboard."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("blocks", "discriminator_layers", "aux_channels")
        if self.aux_channels is not None and self.base == "cyclegan":
            raise ValueError("aux_channels: cyclegan has no z; take --base highres or --base asymgan")
        _, layers, _ = self.sizes
        # the discriminators of highres see the image at half its size as well, its generators halve it three times
        self.check_sides(*((layers + 1, 8) if self.base == "highres" else (layers, 4)))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Blocks, layers and length of z, those of the base's paper where none are given; a z of 0: there is none."""
        given = self.blocks, self.discriminator_layers, self.aux_channels
        return tuple(p if g is None else g for g, p in zip(given, PAPER_SIZES[self.base], strict=True))


def networks(settings: CycleSettings) -> tuple[asyncgan.Translators, asyncgan.Discriminators]:
    """Both generators, with z its encoder, and all discriminators."""
    (blocks, layers, aux), width = settings.sizes, settings.width
    options: dict[str, Any] = {"width": width, "blocks": blocks, "upsampling": settings.upsampling}
    highres = settings.base == "highres"
    plain: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.ResnetGenerator
    with_z: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.AuxGenerator
    discriminator: type[nn.Module] = asymkit.MultiscaleDiscriminator if highres else asymkit.PatchDiscriminator
    rich_to_poor = plain(**options)
    poor_to_rich = with_z(**options, aux_channels=aux) if aux else plain(**options)
    rich, poor = (discriminator(layers=layers, width=width) for _ in range(2))
    encoder = asymkit.AuxEncoder(aux_channels=aux, width=width) if aux else None
    aux_d = asymkit.AuxDiscriminator(aux) if aux else None
    model = asyncgan.Translators(rich_to_poor, poor_to_rich, encoder, detach_fake_poor=settings.detach_fake_poor)
    return model, asyncgan.Discriminators(rich, poor, aux_d)
