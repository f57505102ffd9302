"""The frozen feature network of perceptual losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from asymkit import VGGFeatures

OPTIONS = "as options: weights are --features FILE, --features random, or auto; layers are --...-layer(s)"


def load_vgg(
    weights: str, layers: Mapping[str, list[str]], net: Literal["vgg16", "vgg19"] = "vgg16"
) -> tuple[dict[str, VGGFeatures], list[str]]:
    """A frozen VGG for each loss, and what a reader of the results must know about them.

    Args:
        weights: "imagenet", "random", the path of a file, or "auto": imagenet, and random where they cannot be had.
        layers: for each loss, names such as "relu2_2".
        net: vgg16 or vgg19.

    Raises:
        ValueError: a layer is unknown or the weights cannot be had; the message says which option helps.
    """
    chosen = None if weights == "random" else "imagenet" if weights == "auto" else weights
    notes: list[str] = []
    try:
        networks = {loss: VGGFeatures(names, chosen, net) for loss, names in layers.items()}
    except ValueError as error:
        raise ValueError(f"{error} ({OPTIONS})") from error
    except RuntimeError as error:
        if weights != "auto":
            raise ValueError(f"features: {error} ({OPTIONS})") from error
        notes.append(str(error))
        networks = {loss: VGGFeatures(names, None, net) for loss, names in layers.items()}
    if not all(network.pretrained for network in networks.values()):
        notes.insert(0, f"Features are those of a {net.upper()} with random weights: edges and colours, no objects.")
    return networks, notes
