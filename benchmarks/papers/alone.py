"""Figures for which nothing is trained: sizes of networks, and what data sets hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model_size
import torch
from torch import nn

from asymkit import DualGenerator
from asymkit.evaluation import Row
from asymkit.evaluation.entropy import domain_entropy
from papers.registry import Exhibit
from papers.sets import Opened, images

ARCHITECTURES: dict[int | str, Callable[[], nn.Module]] = {
    1: lambda: DualGenerator.preset("S1", domains=7).reconstructor,
    2: lambda: DualGenerator.preset("S2", domains=7).reconstructor,
    3: lambda: DualGenerator.preset("S2", domains=7).translator,
}
"""By the table of AsymmetricGAN that lists their layers."""

SIDE = 16
"""Of the image by which the sizes of maps are found."""


def layers(exhibit: Exhibit) -> dict[str, list[Row]]:
    """The convolutions of a generator: what comes in and goes out, and their weights [AsymmetricGAN Table 1, 2, 3]."""
    network = ARCHITECTURES[exhibit.number]()
    found: dict[str, list[Row]] = {}

    def seen(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        shapes = " → ".join(_shape(image) for image in (inputs[0], output))
        found[f"layer {len(found) + 1:02}, {type(layer).__name__}"] = [
            Row("weights", model_size.weights(layer), shapes)
        ]

    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.register_forward_hook(seen)
    with torch.no_grad():
        network(torch.zeros(1, 3, SIDE, SIDE), torch.zeros(1, dtype=torch.long))
    return {**found, "all layers": [Row("weights", model_size.weights(network), f"{len(found)} convolutions")]}


def _shape(image: torch.Tensor) -> str:
    part = SIDE // image.shape[2]
    return f"(h{f'/{part}' if part > 1 else ''}, w{f'/{part}' if part > 1 else ''}, {image.shape[1]})"


def model_sizes(exhibit: Exhibit) -> dict[str, list[Row]]:
    """Generators and a discriminator together [AsymmetricGAN Table 10]; StarGAN is the one with everything shared."""
    found = {}
    for table, what, _, counted in model_size.rows():
        if table == str(exhibit.number):
            found[what.split(", ")[-1]] = [Row("parameters", counted, what)]
    return {"StarGAN": found["sharing full"], **found}


def counts(_exhibit: Exhibit, data: Opened) -> dict[str, list[Row]]:
    """Domains, mappings between them, and images [AsymmetricGAN Table 4]."""
    parts: dict[str, Any] = {part: data.domains(part) for part in ("train", "test")}
    count = len(parts["train"])
    rows = [Row("domains", count), Row("mappings", count * (count - 1))]
    for part, folders in parts.items():
        each = {name: len(images(folder)) for name, folder in folders.items()}
        rows.append(Row(part, sum(each.values()), ", ".join(f"{name} {number:,}" for name, number in each.items())))
    return {"images": rows}


def entropy(_exhibit: Exhibit, data: Opened) -> dict[str, list[Row]]:
    """Shannon entropy of the test images of both domains [Async-GAN Fig. 1]."""
    found = {}
    for what, side in (("rich", "A"), ("poor", "B")):
        each = domain_entropy(data.side(f"test{side}"))
        found[what] = [Row("bits per pixel value", each.mean, f"{len(each.bits):,} images", each.spread)]
    return found
