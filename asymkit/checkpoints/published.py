"""Published checkpoints in, asymkit modules out, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from asymkit.checkpoints.files import StateDict, first_difference, read_state_dict
from asymkit.checkpoints.layouts import (
    Layout,
    all_layouts,
    cyclegan_discriminator,
    cyclegan_generator,
    nearest,
    numbered,
    plain_generator,
    stargan_discriminator,
    stargan_generator,
    tidied,
)
from asymkit.networks import (
    DomainDiscriminator,
    DualGenerator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)

Source = Mapping[str, Tensor] | str | Path
Module = TypeVar("Module", bound=nn.Module)


def load_cyclegan_generator(state_dict: Source) -> ResnetGenerator:
    """CycleGAN's ``netG``, of any number of blocks, with the weights of a checkpoint of its published code.

    Width, blocks and channels are read off the checkpoint. Dropout has no weights and does nothing when translating; it
    is left out. So are running statistics, which files from the time of PyTorch 0.3 carry.

    Args:
        state_dict: keys ``model.1.weight``, ``model.4.weight``, …, with or without ``module.`` in front, or the path of
            a file that :func:`asymkit.read_state_dict` reads.

    Returns:
        The generator.

    Raises:
        ValueError: another architecture, with the nearest known one and the first key that differs.

    Example:
        >>> published = to_published(ResnetGenerator(width=8, blocks=6))
        >>> list(published)[:3], len(load_cyclegan_generator(published).blocks)
        (['model.1.weight', 'model.1.bias', 'model.4.weight'], 6)
        >>> load_cyclegan_generator({"model.1.weight": torch.zeros(64, 3, 7, 7), "model.2.weight": torch.zeros(64)})
        Traceback (most recent call last):
        ValueError: state_dict is no CycleGAN generator; of the known layouts CycleGAN's PatchGAN with ... comes nearest, ...
    """
    state = _read(state_dict)
    blocks, dropout = numbered(state, r"model\.(\d+)\.conv_block\."), any(".conv_block.6." in key for key in state)
    layout = _fitting(state, "CycleGAN generator", cyclegan_generator(max(blocks, 1), dropout))

    def build() -> ResnetGenerator:
        width, inputs = state["model.1.weight"].shape[:2]
        return ResnetGenerator(inputs, state[f"model.{17 + blocks}.weight"].shape[0], width, blocks)

    return _filled(build, state, layout, "CycleGAN generator")


def load_cyclegan_discriminator(state_dict: Source) -> PatchDiscriminator:
    """CycleGAN's ``netD``, the PatchGAN, with the weights of a checkpoint of its published code.

    Code with ``use_sigmoid`` squashed the scores afterwards; here they stay as they are, for the losses to do it.

    Args:
        state_dict: keys ``model.0.weight``, ``model.2.weight``, …, or the path of a file.

    Returns:
        The critic.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> critic = load_cyclegan_discriminator(to_published(PatchDiscriminator(width=8)))
        >>> critic(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1, 6, 6])
    """
    state = _read(state_dict)
    layers = max((len(state) - 4) // 2, 1)
    layout = _fitting(state, "CycleGAN discriminator", cyclegan_discriminator(layers))

    def build() -> PatchDiscriminator:
        width, inputs = state["model.0.weight"].shape[:2]
        return PatchDiscriminator(inputs, width, layers)

    return _filled(build, state, layout, "CycleGAN discriminator")


def load_stargan_generator(state_dict: Source) -> StarGenerator:
    """StarGAN's ``G`` with the weights of a checkpoint of its published code (Choi et al. 2018).

    Width, blocks and number of domains are read off the shapes. Running statistics are left out: instance norms here
    normalise each image by itself, as that code does in train mode, in which it also translates.

    Args:
        state_dict: keys ``main.0.weight``, ``main.1.weight``, …, or the path of a file.

    Returns:
        The generator, its images and labels those of the checkpoint.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> load_stargan_generator(to_published(StarGenerator(domains=5, width=8))).domains
        5
    """
    state = _read(state_dict)
    blocks = numbered(state, r"main\.(\d+)\.main\.")
    layout = _fitting(state, "StarGAN generator", stargan_generator(blocks))

    def build() -> StarGenerator:
        width, inputs = state["main.0.weight"].shape[:2]
        outputs = state[f"main.{15 + blocks}.weight"].shape[0]
        return StarGenerator(inputs - outputs, blocks, width, in_channels=outputs, out_channels=outputs)

    return _filled(build, state, layout, "StarGAN generator")


def load_stargan_discriminator(state_dict: Source) -> DomainDiscriminator:
    """StarGAN's ``D`` with the weights of a checkpoint of its published code; the image size is read off its last layer.

    Args:
        state_dict: keys ``main.0.weight``, …, ``conv1.weight``, ``conv2.weight``, or the path of a file.

    Returns:
        The critic.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> load_stargan_discriminator(to_published(DomainDiscriminator(domains=5, width=4))).image_size
        128
    """
    state = _read(state_dict)
    layers = max(numbered(state, r"main\.(\d+)\.weight"), 1)
    layout = _fitting(state, "StarGAN discriminator", stargan_discriminator(layers))

    def build() -> DomainDiscriminator:
        (width, inputs), to_domain = state["main.0.weight"].shape[:2], state["conv2.weight"].shape
        return DomainDiscriminator(to_domain[0], to_domain[2] * 2**layers, width, inputs, layers)

    return _filled(build, state, layout, "StarGAN discriminator")


def load_asymmetricgan_generators(translator: Source, reconstructor: Source) -> DualGenerator:
    """Both generators of a checkpoint of AsymmetricGAN's published code, multi-domain or supervised.

    Its multi-domain form saves two StarGAN generators of unequal depth, or architecture I for the second; its
    supervised one two CycleGAN generators of unequal width that take image and skeleton, six channels.

    Args:
        translator: state dict or file of Gᵗ.
        reconstructor: of Gʳ.

    Returns:
        The pair.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> dual = DualGenerator.preset("S1", domains=5, width=8)
        >>> files = to_published(dual.translator), to_published(dual.reconstructor)
        >>> type(load_asymmetricgan_generators(*files).reconstructor).__name__
        'PlainGenerator'
    """
    return DualGenerator(_generator(_read(translator)), _generator(_read(reconstructor)))


def to_published(module: nn.Module, dropout: bool = False, running_statistics: bool | None = None) -> StateDict:
    """The state dict of a module as the published code names it, for that code to load.

    Args:
        module: :class:`asymkit.ResnetGenerator`, :class:`asymkit.PatchDiscriminator`, :class:`asymkit.StarGenerator`,
            :class:`asymkit.DomainDiscriminator` or :class:`asymkit.PlainGenerator`.
        dropout: name a ResnetGenerator's layers as a CycleGAN generator with dropout has them.
        running_statistics: add those of a new network, mean 0 and variance 1. None for what the published code expects:
            StarGAN's generator has them (and does not use them as long as it stays in train mode), no other.

    Returns:
        Tensors by name, in their order.

    Raises:
        ValueError: a module that no published code has.

    Example:
        >>> list(to_published(PatchDiscriminator(width=4, layers=1)))
        ['model.0.weight', 'model.0.bias', 'model.2.weight', 'model.2.bias', 'model.5.weight', 'model.5.bias']
    """
    layout = _layout_of(module, dropout)
    own = module.state_dict()
    published = {theirs: own[ours] for theirs, ours in layout.keys.items()}
    if running_statistics is None:
        running_statistics = isinstance(module, StarGenerator)
    if running_statistics:
        for theirs, ours in layout.norms.items():
            channels = int(module.get_submodule(ours).channels)  # type: ignore[arg-type]
            published |= {
                f"{theirs}.running_mean": torch.zeros(channels),
                f"{theirs}.running_var": torch.ones(channels),
            }
            published[f"{theirs}.num_batches_tracked"] = torch.tensor(0)
    return published


def _layout_of(module: nn.Module, dropout: bool) -> Layout:
    transposed = all(
        isinstance(layer, nn.ConvTranspose2d)
        for name, layer in module.named_modules()
        if re.fullmatch(r"decoder\.\d\.conv", name)
    )
    layout: Layout | None = None
    if isinstance(module, ResnetGenerator):
        layout = cyclegan_generator(len(module.blocks), dropout)
    elif isinstance(module, StarGenerator):
        layout = stargan_generator(len(module.blocks))
    elif isinstance(module, PatchDiscriminator):
        layout = cyclegan_discriminator(len(module.norms))
    elif isinstance(module, DomainDiscriminator):
        layout = stargan_discriminator(len(module.convs))
    elif isinstance(module, PlainGenerator):
        layout = plain_generator()
    if layout is None or not transposed or set(layout.keys.values()) != module.state_dict().keys():
        raise ValueError(
            f"no published code has this {type(module).__name__}: there are layouts of ResnetGenerator, StarGenerator without "
            "label_embedding, both with upsampling='transposed', PatchDiscriminator, DomainDiscriminator and PlainGenerator"
        )
    return layout


def _generator(state: StateDict) -> nn.Module:
    if any(".conv_block." in key for key in state):
        return load_cyclegan_generator(state)
    layout = plain_generator()
    if layout.keys.keys() != state.keys():
        return load_stargan_generator(state)

    def build() -> PlainGenerator:
        outputs = state["main.18.weight"].shape[0]
        return PlainGenerator(state["main.0.weight"].shape[1] - outputs, outputs, outputs)

    return _filled(build, state, layout, "AsymmetricGAN generator")


def _read(source: Source) -> StateDict:
    return tidied(read_state_dict(source) if isinstance(source, str | Path) else source)


def _fitting(state: StateDict, wanted: str, layout: Layout) -> Layout:
    """The layout itself, where the keys are its own."""
    if layout.keys.keys() == state.keys():
        return layout
    near = nearest(state, all_layouts(state))
    if near.keys.keys() == state.keys():
        raise ValueError(f"state_dict is no {wanted}, it is {near.name}; use asymkit.{near.loader}")
    # shapes are of no interest yet: every key that is there counts as fitting
    difference = first_difference({key: state[key].shape if key in state else torch.Size() for key in near.keys}, state)
    other_norm = any(key.rpartition(".")[0] in near.norms for key in state.keys() - near.keys.keys())
    raise ValueError(
        f"state_dict is no {wanted}; of the known layouts {near.name} comes nearest, with "
        f"{len(near.keys.keys() & state.keys())} of its {len(near.keys)} keys; {difference}"
        + ("; it may have been trained with batch norm, which the networks here do not have" if other_norm else "")
    )


def _filled(build: Callable[[], Module], state: StateDict, layout: Layout, wanted: str) -> Module:
    module = build()
    own = module.state_dict()
    shapes = {theirs: own[ours].shape for theirs, ours in layout.keys.items()}
    if difference := first_difference(shapes, state):
        raise ValueError(f"state_dict is no {wanted}: keys are those of {layout.name}, but {difference}")
    module.load_state_dict({ours: state[theirs] for theirs, ours in layout.keys.items()})
    return module
