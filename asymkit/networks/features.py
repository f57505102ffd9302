"""Frozen feature networks for perceptual, content and style losses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import described, names_of, one_of
from asymkit.checks import check_device, check_images
from asymkit.optional import needed_for
from asymkit.state_dicts import bare_state, check_weights
from asymkit.weight_files import read_file

WeightSource: TypeAlias = str | os.PathLike[str] | Mapping[str, Tensor] | None

CONVS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS_OF_BLOCK = (64, 128, 256, 512, 512)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGGFeatures(nn.Module):
    """Activations of a frozen VGG, φ of the content and style losses [AsymGAN Eq. 15–17].

    Images in [-1, 1] are normalised by ImageNet's mean and standard deviation and converted to the dtype of the weights.
    The weights are non-persistent buffers, neither in ``parameters()`` nor in state dicts. Random ones come from a fixed
    seed, so that a resumed run has the same network. Gradients flow to the images.

    Args:
        layers: names such as "relu2_2" (block 2, second convolution), in any order.
        weights: "imagenet" (torchvision's, downloaded on first use); the path of a file with, or a state dict of, a
            torchvision VGG; None for random weights.
        net: "vgg16" (AsymGAN) or "vgg19" (AsymmetricGAN).

    Raises:
        ValueError: a layer is unknown or repeated, net is unknown, or the weights file is missing, unreadable or of another
            architecture.
        RuntimeError: the download failed; the message names the file and where to put it.

    Example:
        >>> import torch
        >>> from asymkit import VGGFeatures
        >>> features = VGGFeatures(["relu1_2", "relu2_2"], weights=None)
        >>> {name: tuple(maps.shape) for name, maps in features(torch.zeros(1, 3, 32, 32)).items()}
        {'relu1_2': (1, 64, 32, 32), 'relu2_2': (1, 128, 16, 16)}
    """

    scale: Tensor
    offset: Tensor

    def __init__(
        self, layers: Sequence[str], weights: WeightSource = "imagenet", net: Literal["vgg16", "vgg19"] = "vgg16"
    ) -> None:
        super().__init__()
        one_of("net", net, tuple(CONVS_PER_BLOCK))
        self.net, self.pretrained = net, weights is not None
        names = [f"relu{b}_{i}" for b, n in enumerate(CONVS_PER_BLOCK[net], 1) for i in range(1, n + 1)]
        self.layers = names_of("layers", layers, names)
        self.computed = names[: max(map(names.index, self.layers)) + 1]
        self.least_side = 2 ** (int(self.computed[-1][4]) - 1)
        for name, (weight, bias) in _convolutions(net, self.computed, weights).items():
            self.register_buffer(f"{name}_weight", weight, persistent=False)
            self.register_buffer(f"{name}_bias", bias, persistent=False)
        mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
        self.register_buffer("scale", 0.5 / std, persistent=False)
        self.register_buffer("offset", (0.5 - mean) / std, persistent=False)
        self.eval()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the features of a batch.

        Args:
            image: (N, 3, H, W), in [-1, 1]; a grey one as ``image.expand(-1, 3, -1, -1)``.

        Returns:
            The feature maps of each of ``layers``, by name, in their order.

        Raises:
            ValueError: the image does not have three channels, is on another device, or is too small for the last layer.
        """
        check_images(image, "image", channels=3, least_side=self.least_side)
        check_device("image", image, self.scale)
        hidden = image.to(self.scale.dtype) * self.scale + self.offset
        maps: dict[str, Tensor] = {}
        for name in self.computed:
            if name.endswith("_1") and name != "relu1_1":
                hidden = F.max_pool2d(hidden, 2)
            weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
            hidden = F.relu(F.conv2d(hidden, weight, bias, padding=1))
            maps[name] = hidden
        return {name: maps[name] for name in self.layers}

    def train(self, mode: bool = True) -> VGGFeatures:
        """Stay in eval mode, whatever a parent module is set to."""
        return super().train(False)

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"{list(self.layers)}, net={self.net!r}, weights={'pretrained' if self.pretrained else 'random'}"


def freeze_into_buffers(module: nn.Module) -> None:
    """Turn all parameters and buffers into non-persistent buffers, which are not in ``parameters()`` or state dicts."""
    for layer in module.modules():
        for name, parameter in list(layer.named_parameters(recurse=False)):
            delattr(layer, name)
            layer.register_buffer(name, parameter.detach(), persistent=False)
        for name, buffer in list(layer.named_buffers(recurse=False)):
            layer.register_buffer(name, buffer, persistent=False)


def state_dict_of(weights: str | os.PathLike[str] | Mapping[str, Tensor], net: str) -> Mapping[str, Tensor]:
    """The state dict of a torchvision network, without the prefixes of wrappers.

    Args:
        weights: "imagenet", tensors by name, or the path of a file with them.
        net: torchvision's name of the network.

    Raises:
        ValueError: the file is missing, damaged or not a state dict, or a tensor cannot be a weight.
        RuntimeError: as :func:`imagenet_state_dict`.
    """
    if isinstance(weights, str) and weights == "imagenet":
        return imagenet_state_dict(net)
    expected = f"expected a state dict of torchvision's {net}, the path of a file with one, 'imagenet', or None for random weights"
    if not isinstance(weights, (Mapping, str, os.PathLike)):
        raise ValueError(f"weights: got {described(weights)}, {expected}")
    try:
        content = weights if isinstance(weights, Mapping) else read_file(Path(weights))
    except ValueError as error:
        raise ValueError(f"weights: {error}; {expected}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"weights: {str(weights)!r} holds a {type(content).__name__}, {expected}")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(f"weights: {key!r} is a {type(value).__name__}, {expected}")
    state = bare_state(content)
    check_weights({name: value for name, value in state.items() if name.endswith((".weight", ".bias"))}, "weights")
    return state


def imagenet_state_dict(net: str) -> Mapping[str, Tensor]:
    """Torchvision's ImageNet weights, from its cache or downloaded.

    Raises:
        RuntimeError: the download failed; the message names the file and where to put it.
    """
    with needed_for("weights='imagenet'", "torchvision; or pass a file as weights=..."):
        from torchvision.models import get_model_weights

    published = get_model_weights(net)["IMAGENET1K_V1"]
    try:
        return published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        file = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rsplit("/", 1)[1]
        raise RuntimeError(
            f"weights='imagenet': {net} could not be downloaded ({error}). Fetch {published.url} on a connected machine and "
            f"place it at {file}, or pass its path as weights=..., or weights=None for random weights"
        ) from error


def load_torchvision(network: nn.Module, state: Mapping[str, Tensor], net: str, names: Mapping[str, str]) -> None:
    """Load weights of torchvision's ``net``; ``names`` has torchvision's name of each tensor of the network to load."""
    own = network.state_dict()
    for key, source in names.items():
        found = state.get(source)
        if found is None or found.shape != own[key].shape:
            raise ValueError(
                f"weights are not those of torchvision's {net}: {source} should be floating point, finite, of shape "
                f"{tuple(own[key].shape)}, got {described(found)}"
            )
    network.load_state_dict(own | {key: state[source] for key, source in names.items()})


def _convolutions(net: str, names: Sequence[str], weights: WeightSource) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution, by the name of the ReLU that follows it."""
    if weights is None:
        return _random_convolutions(names)
    state = state_dict_of(weights, net)
    prefix = "features." if any(key.startswith("features.") for key in state) else ""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    position = 0
    for name, (outputs, inputs) in _shapes(names).items():
        if name.endswith("_1") and name != "relu1_1":
            position += 1  # the pooling layer
        keys = [f"{prefix}{position}.{part}" for part in ("weight", "bias")]
        shapes = [None if part is None else tuple(part.shape) for part in map(state.get, keys)]
        if shapes != [(outputs, inputs, 3, 3), (outputs,)]:
            raise ValueError(
                f"weights are not those of torchvision's {net}: {prefix}{position}.weight and .bias should be floating point, "
                f"finite, of shapes {(outputs, inputs, 3, 3)} and {(outputs,)}, got {shapes[0]} and {shapes[1]}"
            )
        weight, bias = (state[key].detach().clone().float() for key in keys)
        found[name] = weight, bias
        position += 2  # the convolution and its ReLU
    return found


def _random_convolutions(names: Sequence[str]) -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, (outputs, inputs) in _shapes(names).items():
        std = (2 / (9 * inputs)) ** 0.5  # He initialisation: keeps the variance of activations
        found[name] = torch.randn(outputs, inputs, 3, 3, generator=generator) * std, torch.zeros(outputs)
    return found


def _shapes(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    outputs = [CHANNELS_OF_BLOCK[int(name[4]) - 1] for name in names]
    return dict(zip(names, zip(outputs, [3, *outputs[:-1]], strict=True), strict=True))
