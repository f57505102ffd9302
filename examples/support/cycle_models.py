"""The cycle models that examples/asyncgan.py trains asynchronously, in the sizes of their papers."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch import nn

import asymkit
from asymkit.layers import Upsampling
from asymkit.objectives import asyncgan

Base = Literal["cyclegan", "highres", "asymgan"]


class Sizes(NamedTuple):
    """Residual blocks of a generator, stride-2 layers of a discriminator, length of z, which is 0 where there is none."""

    blocks: int
    layers: int
    aux: int


PAPER_SIZES = {"cyclegan": Sizes(9, 3, 0), "highres": Sizes(8, 4, 0), "asymgan": Sizes(6, 3, 8)}


def sizes_of(base: Base, **given: int | None) -> Sizes:
    """Those of the base's paper, but for those that are given."""
    return PAPER_SIZES[base]._replace(**{name: size for name, size in given.items() if size is not None})


def cycle_model(
    base: Base, sizes: Sizes, detach_fake_poor: bool, *, width: int, upsampling: Upsampling, skip: bool
) -> tuple[asyncgan.Translators, asyncgan.Discriminators]:
    """Both generators, with z its encoder, and all discriminators.

    Args:
        base: whose networks.
        sizes: of them.
        detach_fake_poor: see :class:`asymkit.objectives.asymgan.Translators`.
        width: channels of the generators' and the discriminators' first layers.
        upsampling: of the generators.
        skip: of the generators.
    """
    blocks, layers, aux = sizes
    options: dict[str, Any] = {"width": width, "blocks": blocks, "upsampling": upsampling, "skip": skip}
    highres = base == "highres"
    plain: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.ResnetGenerator
    with_z: type[nn.Module] = asymkit.HighResGenerator if highres else asymkit.AuxGenerator
    discriminator: type[nn.Module] = asymkit.MultiscaleDiscriminator if highres else asymkit.PatchDiscriminator
    rich_to_poor = plain(**options)
    poor_to_rich = with_z(**options, aux_channels=aux) if aux else plain(**options)
    rich, poor = (discriminator(layers=layers, width=width) for _ in range(2))
    encoder = asymkit.AuxEncoder(aux_channels=aux, width=width) if aux else None
    aux_d = asymkit.AuxDiscriminator(aux) if aux else None
    model = asyncgan.Translators(rich_to_poor, poor_to_rich, encoder, detach_fake_poor=detach_fake_poor)
    return model, asyncgan.Discriminators(rich, poor, aux_d)
