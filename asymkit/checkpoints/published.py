"""Published checkpoints in, asymkit modules out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn

from asymkit.checkpoints.loading import found_instead, load, tree_with_networks
from asymkit.checkpoints.own import held_by, recognised
from asymkit.networks import (
    AuxGenerator,
    DomainDiscriminator,
    DualGenerator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)
from asymkit.state_dicts import Tree, check_weights, find, fitting, flat_of, short_of

Source = Mapping[str, Any] | str | Path


def load_cyclegan_generator(state_dict: Source) -> ResnetGenerator:
    """CycleGAN's ``netG``, of any number of blocks, with the weights of a checkpoint of its published code.

    Width, blocks and channels are read off the checkpoint. Dropout has no weights and does nothing when translating; it
    is left out. So are running statistics, which files from the time of PyTorch 0.3 carry.

    Args:
        state_dict: keys ``model.1.weight``, ``model.4.weight``, …, or those of :class:`asymkit.ResnetGenerator`, which
            that code saves where asymkit's network is in it; with or without the prefixes of wrappers, or as the only
            such generator among other networks; or the path of a file that :func:`asymkit.read_state_dict` reads.

    Returns:
        The generator.

    Raises:
        ValueError: another architecture, with what it is or the nearest known one and the first key that differs;
            several that fit; anything but tensors by name; weights that are not finite floating point numbers.

    Example:
        >>> import torch
        >>> from asymkit import ResnetGenerator, load_cyclegan_generator, to_published
        >>> published = to_published(ResnetGenerator(width=8, blocks=6))
        >>> list(published)[:3], len(load_cyclegan_generator(published).blocks)
        (['model.1.weight', 'model.1.bias', 'model.4.weight'], 6)
        >>> load_cyclegan_generator({"model.1.weight": torch.zeros(64, 3, 7, 7), "model.2.weight": torch.zeros(64)})
        Traceback (most recent call last):
        ValueError: state_dict is no CycleGAN generator; of the known layouts CycleGAN's PatchGAN with ... comes nearest, ...
    """
    return cast(ResnetGenerator, load(held_by(state_dict), "CycleGAN generator", [ResnetGenerator]))


def load_cyclegan_discriminator(state_dict: Source) -> PatchDiscriminator:
    """CycleGAN's ``netD``, the PatchGAN, with the weights of a checkpoint of its published code.

    Code with ``use_sigmoid`` squashed the scores afterwards; here they stay as they are, for the losses to do it.

    Args:
        state_dict: keys ``model.0.weight``, ``model.2.weight``, …, or the path of a file.

    Returns:
        The discriminator.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> import torch
        >>> from asymkit import PatchDiscriminator, load_cyclegan_discriminator, to_published
        >>> discriminator = load_cyclegan_discriminator(to_published(PatchDiscriminator(width=8)))
        >>> discriminator(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1, 6, 6])
    """
    return cast(PatchDiscriminator, load(held_by(state_dict), "CycleGAN discriminator", [PatchDiscriminator]))


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
        >>> from asymkit import StarGenerator, load_stargan_generator, to_published
        >>> load_stargan_generator(to_published(StarGenerator(domains=5, width=8))).domains
        5
    """
    return cast(StarGenerator, load(held_by(state_dict), "StarGAN generator", [StarGenerator]))


def load_stargan_discriminator(state_dict: Source) -> DomainDiscriminator:
    """StarGAN's ``D`` with the weights of a checkpoint of its published code; the image size is read off its last layer.

    Args:
        state_dict: keys ``main.0.weight``, …, ``conv1.weight``, ``conv2.weight``, or the path of a file.

    Returns:
        The discriminator.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> from asymkit import DomainDiscriminator, load_stargan_discriminator, to_published
        >>> load_stargan_discriminator(to_published(DomainDiscriminator(domains=5, width=4))).image_size
        128
    """
    return cast(DomainDiscriminator, load(held_by(state_dict), "StarGAN discriminator", [DomainDiscriminator]))


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
        >>> from asymkit import DualGenerator, load_asymmetricgan_generators, to_published
        >>> dual = DualGenerator.preset("S1", domains=5, width=8)
        >>> files = to_published(dual.translator), to_published(dual.reconstructor)
        >>> type(load_asymmetricgan_generators(*files).reconstructor).__name__
        'PlainGenerator'
    """
    kinds = [ResnetGenerator, PlainGenerator, StarGenerator]
    return DualGenerator(
        *(load(held_by(source), "AsymmetricGAN generator", kinds) for source in (translator, reconstructor))
    )


def load_network(source: Source, part: str | None = None, *, spatial: bool = False) -> nn.Module:
    """A generator, encoder or discriminator of asymkit, built and filled from its weights, in eval mode.

    Class and arguments are read off names and shapes, so it takes files of :func:`asymkit.save_weights`, what CycleGAN
    code saved of asymkit's networks (``latest_net_G_A.pth``), Lightning checkpoints, and the training state of an
    example: ``load_network("runs/demo", "poor_to_rich")``. Where there are a network and its moving average, the
    average is taken.

    Args:
        source: tensors by name, the path of a file, or the folder of an example's run, whose newest training state
            ``checkpoint.pt`` is read.
        part: which of several networks: the end of its name, such as "poor_to_rich", "encoder" or "translator"; a part
            that two networks have is told by more of it, "discriminators.rich". A name that only the trained network
            has gives that one, also where its average is beside it: "G_A" is not "G_A_ema", which names the average.
        spatial: what weights do not tell of an :class:`asymkit.AuxGenerator` with ``injection="concat"``: z is a map.

    Returns:
        The network.

    Raises:
        ValueError: no network of asymkit, or several, which are named; weights that are not finite floating point
            numbers; a file that is damaged.

    Example:
        >>> import os, tempfile
        >>> from asymkit import AuxGenerator, load_network, save_weights
        >>> file = os.path.join(tempfile.mkdtemp(), "latest_net_G_B.pth")
        >>> save_weights(AuxGenerator(aux_channels=4, width=8, blocks=3), file)
        >>> load_network(file).aux_channels
        4
    """
    tree = tree_with_networks(held_by(source), "network of asymkit")

    def fits(node: Tree) -> bool:
        return recognised(flat_of(node)) is not None

    state = find(tree, fits, part, "state_dict: which network", "load_network(source, {!r})")
    if state is None:
        named = "" if part is None else f" of the name {part!r}"
        instead = _names(list(fitting(tree, fits)), part) if part is not None else ""
        raise ValueError(f"state_dict is no network of asymkit{named}{instead or found_instead(tree)}")
    guess = recognised(state)
    assert guess is not None
    if spatial:
        if guess.kind is not AuxGenerator or guess.arguments["injection"] != "concat":
            raise ValueError(
                "spatial=True is for an AuxGenerator with injection='concat', which these weights are not of"
            )
        guess.arguments["spatial"] = True
    check_weights(state)
    return guess.filled(state).eval()


def _names(found: list[str], part: str) -> str:
    """What to give as part instead of a name that no network has, as the rest of a sentence; "" if there is none."""
    if found == [""]:
        return "; it holds one network only, without a name: leave part out"
    names = [short_of(path) or path for path in found]
    near = [*difflib.get_close_matches(part, names, n=1), *names]
    return (
        f", but holds other networks: {', '.join(map(repr, names))}; give load_network(source, {near[0]!r})"
        if near
        else ""
    )
