"""Parameter names of published code, and the corresponding names of asymkit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Layout(NamedTuple):
    """The parameter names in one kind of published weights file."""

    name: str
    loader: str
    """The function that loads it."""
    keys: dict[str, str]
    """From published to asymkit parameter names, in the published order."""
    norms: dict[str, str]
    """From published to asymkit names of instance norms, which may have running statistics."""


def cyclegan_generator(blocks: int, dropout: bool) -> Layout:
    """Zhu et al. 2017 and the supervised AsymmetricGAN, whose indices count padding, convolution, norm and ReLU layers."""
    second = 6 if dropout else 5
    after = 10 + blocks
    names = {f"model.{3 * i + 1}": f"encoder.{i}.conv" for i in range(3)}
    norms = {f"model.{3 * i + 2}": f"encoder.{i}.norm" for i in range(3)}
    for i in range(blocks):
        block = f"model.{10 + i}.conv_block"
        names |= {f"{block}.1": f"blocks.{i}.conv1", f"{block}.{second}": f"blocks.{i}.conv2"}
        norms |= {f"{block}.2": f"blocks.{i}.norm1", f"{block}.{second + 1}": f"blocks.{i}.norm2"}
    for i in range(2):
        names[f"model.{after + 3 * i}"] = f"decoder.{i}.conv"
        norms[f"model.{after + 3 * i + 1}"] = f"decoder.{i}.norm"
    names[f"model.{after + 7}"] = "to_image"
    with_dropout = ", with dropout" if dropout else ""
    name = f"CycleGAN's ResNet generator with {blocks} blocks{with_dropout}"
    return Layout(name, "load_cyclegan_generator", _with(names, "weight bias"), norms)


def cyclegan_discriminator(layers: int) -> Layout:
    """CycleGAN's PatchGAN, which pix2pix and the supervised AsymmetricGAN also have."""
    names = {"model.0": "convs.0"} | {f"model.{3 * i - 1}": f"convs.{i}" for i in range(1, layers + 1)}
    norms = {f"model.{3 * i}": f"norms.{i - 1}" for i in range(1, layers + 1)}
    names[f"model.{3 * layers + 2}"] = "to_score"
    name = f"CycleGAN's PatchGAN with {layers} stride-2 layers"
    return Layout(name, "load_cyclegan_discriminator", _with(names, "weight bias"), norms)


def stargan_generator(blocks: int) -> Layout:
    """Choi et al. 2018, and AsymmetricGAN's architectures II (no blocks) and III."""
    convs, norms = {}, {}
    for i in range(3):
        convs[f"main.{3 * i}"], norms[f"main.{3 * i + 1}"] = f"encoder.{i}.conv", f"encoder.{i}.norm"
    for i in range(blocks):
        for n, (conv, norm) in enumerate(((0, 1), (3, 4)), start=1):
            convs[f"main.{9 + i}.main.{conv}"] = f"blocks.{i}.conv{n}"
            norms[f"main.{9 + i}.main.{norm}"] = f"blocks.{i}.norm{n}"
    for i in range(2):
        place = 9 + blocks + 3 * i
        convs[f"main.{place}"], norms[f"main.{place + 1}"] = f"decoder.{i}.conv", f"decoder.{i}.norm"
    convs[f"main.{15 + blocks}"] = "to_image"
    keys = _with(convs, "weight") | _with(norms, "weight bias")
    return Layout(f"StarGAN's generator with {blocks} blocks", "load_stargan_generator", keys, norms)


def stargan_discriminator(layers: int) -> Layout:
    """StarGAN's discriminator, which AsymmetricGAN took over."""
    keys = _with({f"main.{2 * i}": f"convs.{i}" for i in range(layers)}, "weight bias")
    keys |= {"conv1.weight": "to_score.weight", "conv2.weight": "to_domain.weight"}
    return Layout(f"StarGAN's discriminator with {layers} layers", "load_stargan_discriminator", keys, {})


def plain_generator() -> Layout:
    """AsymmetricGAN's architecture I: seven convolutions."""
    convs = {f"main.{3 * i}": f"encoder.{i}.conv" for i in range(6)} | {"main.18": "to_image"}
    norms = {f"main.{3 * i + 1}": f"encoder.{i}.norm" for i in range(6)}
    keys = _with(convs, "weight") | _with(norms, "weight bias")
    return Layout("AsymmetricGAN's architecture I", "load_asymmetricgan_generators", keys, norms)


def _with(names: Mapping[str, str], parts: str) -> dict[str, str]:
    return {f"{theirs}.{part}": f"{ours}.{part}" for theirs, ours in names.items() for part in parts.split()}


STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})
"""Buffers of instance norms up to PyTorch 0.3, which asymkit's do not have."""


def numbers(state: Mapping[str, object], pattern: str) -> set[int]:
    """The integers that the group of a pattern matches in the keys."""
    return {int(match[1]) for key in state if (match := re.match(pattern, key))}


def nearest(state: Mapping[str, object], layouts: list[Layout]) -> Layout | None:
    """The layout with the smallest difference to the keys, or None if no key is in any layout."""
    near = [layout for layout in layouts if layout.keys.keys() & state.keys()]
    return min(near, key=lambda layout: len(layout.keys.keys() ^ state.keys()), default=None)
