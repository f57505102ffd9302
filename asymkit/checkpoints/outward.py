"""State dicts of asymkit modules with the names of published code."""

from __future__ import annotations

import re

import torch
from torch import nn

from asymkit.checkpoints.layouts import (
    Layout,
    cyclegan_discriminator,
    cyclegan_generator,
    plain_generator,
    stargan_discriminator,
    stargan_generator,
)
from asymkit.layers import InstanceNorm2d
from asymkit.networks import (
    DomainDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)
from asymkit.state_dicts import WRAPPERS, StateDict, bare_state, unwrapped


def to_published(module: nn.Module, dropout: bool = False, running_statistics: bool | None = None) -> StateDict:
    """The state dict of a module with the parameter names of published code, for that code to load.

    Args:
        module: :class:`asymkit.ResnetGenerator`, :class:`asymkit.PatchDiscriminator`, :class:`asymkit.StarGenerator`,
            :class:`asymkit.DomainDiscriminator` or :class:`asymkit.PlainGenerator`; wrappers such as
            DistributedDataParallel, ``torch.compile`` and ``AveragedModel`` are removed.
        dropout: use the names of a CycleGAN generator with dropout.
        running_statistics: add running means of 0 and variances of 1. None for what the published code expects: only
            StarGAN's generator has them (and does not use them in train mode).

    Returns:
        Tensors by name, in the published order.

    Raises:
        ValueError: no published code has such a module.

    Example:
        >>> from asymkit import PatchDiscriminator, to_published
        >>> list(to_published(PatchDiscriminator(width=4, layers=1)))
        ['model.0.weight', 'model.0.bias', 'model.2.weight', 'model.2.bias', 'model.5.weight', 'model.5.bias']
    """
    module = unwrapped(module) if isinstance(module, nn.Module) else module
    layout = _layout_of(module, dropout)
    own = bare_state(module.state_dict())
    published = {theirs: own[ours] for theirs, ours in layout.keys.items()}
    if running_statistics is None:
        running_statistics = isinstance(module, StarGenerator)
    if running_statistics:
        layers = _layers(module)
        for theirs, ours in layout.norms.items():
            norm = layers[ours]
            if not isinstance(norm, InstanceNorm2d):
                raise ValueError(
                    f"module: {ours!r} was replaced by a {type(norm).__name__}, whose running statistics are not known; "
                    "expected asymkit.InstanceNorm2d, or give running_statistics=False"
                )
            published[f"{theirs}.running_mean"] = torch.zeros(norm.num_features)
            published[f"{theirs}.running_var"] = torch.ones(norm.num_features)
            published[f"{theirs}.num_batches_tracked"] = torch.tensor(0)
    return published


def _layers(module: nn.Module) -> dict[str, nn.Module]:
    """All submodules by their names without the components of wrappers."""
    named = ((name.split("."), layer) for name, layer in module.named_modules())
    return {".".join(part for part in path if part not in WRAPPERS): layer for path, layer in named}


def _parts(container: nn.Module) -> int:
    """Number of modules in a container, which may be wrapped by torch.compile, whose wrapper may have no len()."""
    return len(list(unwrapped(container).children()))


def _layout_of(module: nn.Module, dropout: bool) -> Layout:
    transposed = all(
        isinstance(layer, nn.ConvTranspose2d)
        for name, layer in _layers(module).items()
        if re.fullmatch(r"decoder\.\d\.conv", name)
    )
    layout: Layout | None = None
    if isinstance(module, ResnetGenerator):
        layout = cyclegan_generator(_parts(module.blocks), dropout)
    elif isinstance(module, StarGenerator):
        layout = stargan_generator(_parts(module.blocks))
    elif isinstance(module, PatchDiscriminator):
        layout = cyclegan_discriminator(_parts(module.norms))
    elif isinstance(module, DomainDiscriminator):
        layout = stargan_discriminator(_parts(module.convs))
    elif isinstance(module, PlainGenerator):
        layout = plain_generator()
    if layout is None or not transposed or set(layout.keys.values()) != bare_state(module.state_dict()).keys():
        raise ValueError(
            f"no published code has this {type(module).__name__}: there are layouts of ResnetGenerator and StarGenerator, both "
            "with upsampling='transposed', PlainGenerator, PatchDiscriminator and DomainDiscriminator, none with label_embedding "
            "or skip"
        )
    return layout
