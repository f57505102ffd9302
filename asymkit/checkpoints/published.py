"""Loaders that build asymkit modules from weights files of published code and of asymkit."""

from __future__ import annotations

import difflib

from torch import nn

from asymkit.checkpoints.loading import Source, describe_contents, load, tree_with_networks
from asymkit.checkpoints.recognition import recognise
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


def load_cyclegan_generator(state_dict: Source) -> ResnetGenerator:
    """Load CycleGAN's ``netG``, with any number of blocks, from a weights file of its published code.

    Width, blocks and channels are read off the weights. Dropout, which has no weights and no effect in inference, and
    running statistics, which files of PyTorch 0.3 have, are left out.

    Args:
        state_dict: keys ``model.1.weight``, ``model.4.weight``, …, or those of :class:`asymkit.ResnetGenerator`, if CycleGAN
            code saved one; with or without the prefixes of wrappers, alone or as the only such generator among other
            networks. Or the path of a file that :func:`asymkit.read_state_dict` reads.

    Returns:
        The generator.

    Raises:
        ValueError: the weights are of another architecture (the message has that or the nearest known one, and the first
            key that differs), several networks fit, an entry is not a tensor, or a weight is not a finite floating point
            number.

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
    return load(state_dict, "CycleGAN generator", [ResnetGenerator])


def load_cyclegan_discriminator(state_dict: Source) -> PatchDiscriminator:
    """Load CycleGAN's ``netD``, the PatchGAN, from a weights file of its published code.

    Old code with ``use_sigmoid`` applied a sigmoid to the scores; here that is part of the loss.

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
    return load(state_dict, "CycleGAN discriminator", [PatchDiscriminator])


def load_stargan_generator(state_dict: Source) -> StarGenerator:
    """Load StarGAN's ``G`` from a weights file of its published code (Choi et al. 2018).

    Width, blocks and number of domains are read off the shapes. Running statistics are left out: asymkit's instance norms
    use the statistics of each image, as that code does in train mode, which it also uses for inference.

    Args:
        state_dict: keys ``main.0.weight``, ``main.1.weight``, …, or the path of a file.

    Returns:
        The generator.

    Raises:
        ValueError: as :func:`load_cyclegan_generator`.

    Example:
        >>> from asymkit import StarGenerator, load_stargan_generator, to_published
        >>> load_stargan_generator(to_published(StarGenerator(domains=5, width=8))).domains
        5
    """
    return load(state_dict, "StarGAN generator", [StarGenerator])


def load_stargan_discriminator(state_dict: Source) -> DomainDiscriminator:
    """Load StarGAN's ``D`` from a weights file of its published code; the image size is read off its last layer.

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
    return load(state_dict, "StarGAN discriminator", [DomainDiscriminator])


def load_asymmetricgan_generators(translator: Source, reconstructor: Source) -> DualGenerator:
    """Load both generators of AsymmetricGAN's published code, multi-domain or supervised.

    The multi-domain form has two StarGAN generators of unequal depth, or architecture I as the second; the supervised form
    has two CycleGAN generators of unequal width, whose input is image and skeleton, six channels.

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
    return DualGenerator(*(load(source, "AsymmetricGAN generator", kinds) for source in (translator, reconstructor)))


def load_network(source: Source, part: str | None = None, *, spatial: bool = False) -> nn.Module:
    """Build a generator, encoder or discriminator of asymkit from its weights, in eval mode.

    Class and arguments are read off names and shapes. Files may be of :func:`asymkit.save_weights`, of CycleGAN code with
    asymkit's networks (``latest_net_G_A.pth``), of Lightning, or the training state of an example:
    ``load_network("runs/demo", "poor_to_rich")``. Of a network and its moving average, the average is loaded.

    Args:
        source: a state dict, the path of a file, or a folder: of an example's run, whose newest training state
            ``checkpoint.pt`` is read, or with a ``model.safetensors``, as ``models/grey-to-colour`` and those for the hub.
        part: which of several networks: the last components of its name, such as "poor_to_rich", "encoder" or, if that is
            ambiguous, "discriminators.rich". If network and average have different names, such as "G_A" and "G_A_ema", part
            selects between them.
        spatial: for an :class:`asymkit.AuxGenerator` with ``injection="concat"``, whose weights do not show it: z is spatial.

    Returns:
        The network.

    Raises:
        ValueError: source has no network of asymkit, or several (the message names them), a weight is not a finite floating
            point number, or the file is damaged.

    Example:
        >>> import os, tempfile
        >>> from asymkit import AuxGenerator, load_network, save_weights
        >>> file = os.path.join(tempfile.mkdtemp(), "latest_net_G_B.pth")
        >>> save_weights(AuxGenerator(aux_channels=4, width=8, blocks=3), file)
        >>> load_network(file).aux_channels
        4
    """
    tree = tree_with_networks(source, "network of asymkit")

    def fits(node: Tree) -> bool:
        return recognise(flat_of(node)) is not None

    state = find(tree, fits, part, "state_dict: which network", "load_network(source, {!r})")
    if state is None:
        named = "" if part is None else f" of the name {part!r}"
        instead = _names(list(fitting(tree, fits)), part) if part is not None else ""
        raise ValueError(f"state_dict is no network of asymkit{named}{instead or describe_contents(tree)}")
    spec = recognise(state)
    assert spec is not None
    if spatial:
        if spec.kind is not AuxGenerator or spec.arguments["injection"] != "concat":
            raise ValueError(
                "spatial=True is for an AuxGenerator with injection='concat', which these weights are not of"
            )
        spec.arguments["spatial"] = True
    check_weights(state)
    return spec.build(state).eval()


def _names(found: list[str], part: str) -> str:
    """Valid values of ``part``, as the end of an error message; "" if there are none."""
    if not found:
        return ""
    if found == [""]:
        return "; it holds one network only, without a name: leave part out"
    names = [short_of(path) or path for path in found]
    near = [*difflib.get_close_matches(part, names, n=1), *names]
    return f", but holds other networks: {', '.join(map(repr, names))}; give load_network(source, {near[0]!r})"
