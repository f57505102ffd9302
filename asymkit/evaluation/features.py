"""Feature networks by which sets of images are compared, each with the name that stands in every table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import at_least, described, flags, modules, numbers, one_of
from asymkit.checks import FLOATING, check_device, check_images
from asymkit.evaluation.sources import Images, image_batches
from asymkit.networks.features import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    WeightSource,
    freeze_into_buffers,
    load_torchvision,
    state_dict_of,
)
from asymkit.optional import needed_for
from asymkit.weight_files import digest, read_file

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_HASH = "6726825d"
"""How the SHA-256 of the weights begins that FID, KID and Inception Score are defined with."""

NODES = {
    "squeezenet1_0": {"features": "values", "flatten": "logits"},
    "squeezenet1_1": {"features": "values", "flatten": "logits"},
    "resnet18": {"flatten": "values", "fc": "logits"},
    "resnet50": {"flatten": "values", "fc": "logits"},
}
"""Where torchvision's networks have the features and the logits."""


class Features(NamedTuple):
    """What a network makes of images."""

    values: Tensor
    """Features, (N, F)."""

    logits: Tensor | None
    """Scores of classes, (N, classes), or None where the network has none."""


class FeatureNetwork(nn.Module):
    """Any network that turns images into features, with the name under which its figures are given.

    Args:
        network: images (N, 3, H, W) in [-1, 1] to features: (N, F), or maps (N, F, h, w), of which the mean over
            positions is taken; or to a pair of them and logits (N, classes), which an inception score needs.
        name: of the network and its weights, with their version, such as "dinov2_vits14 (2023-04)".
        is_inception: the network and the weights that FID, KID and Inception Score are defined with; no figures of
            any other are called so.

    Raises:
        ValueError: no network, no name.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.evaluation import FeatureNetwork
        >>> network = FeatureNetwork(nn.Conv2d(3, 5, 3), "one random convolution")
        >>> network(torch.zeros(2, 3, 8, 8)).values.shape
        torch.Size([2, 5])
    """

    def __init__(self, network: nn.Module, name: str, is_inception: bool = False) -> None:
        super().__init__()
        modules(network=network)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"name must say which network and weights these are, got {described(name)}")
        self.network, self.name, (self.is_inception,) = network, name, flags(is_inception=is_inception)
        self.eval()

    def forward(self, images: Tensor) -> Features:
        """Features of a batch.

        Args:
            images: (N, 3, H, W), in [-1, 1].

        Returns:
            Features (N, F), and logits if the network has them.

        Raises:
            ValueError: no batch of colour images, or what the network gives are no features.
        """
        check_images(images, "images", channels=3)
        found = self.network(images)
        values, logits = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        for what, each in (("features", values), ("logits", logits)):
            good = isinstance(each, Tensor) and each.dtype in FLOATING and len(each) == len(images)
            if each is not None and not (good and each.ndim in (2, 4)):
                raise ValueError(
                    f"network must turn images into {what} ({len(images)}, F), one row for each image, or maps "
                    f"({len(images)}, F, h, w), got {described(each)} from {self.name}"
                )
        return Features(_flat(values), None if logits is None else _flat(logits))

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stay in eval mode, whatever a parent module is set to."""
        return super().train(False)


def _flat(values: Tensor) -> Tensor:
    return values.mean((2, 3)) if values.ndim == 4 else values


class _Classifier(nn.Module):
    """A torchvision classifier that takes images in [-1, 1] of any size."""

    scale: Tensor
    offset: Tensor

    def __init__(self, net: str, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        with needed_for("a network of torchvision", "torchvision"):
            from torchvision.models import feature_extraction, get_model
        # random weights are the same in every object and every run, and leave the caller's random numbers alone
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.whole = get_model(net, weights=None).eval()
        self.traced, self.side = feature_extraction.create_feature_extractor(self.whole, NODES[net]), side
        mean_, std_ = (torch.tensor(each).view(3, 1, 1) for each in (mean, std))
        self.register_buffer("scale", 0.5 / std_, persistent=False)
        self.register_buffer("offset", (0.5 - mean_) / std_, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_device("images", images, self.scale)
        images = F.interpolate(images.to(self.scale.dtype), (self.side, self.side), mode="bilinear", antialias=True)
        found = self.traced(images * self.scale + self.offset)
        return found["values"], found["logits"]


def torchvision_features(
    net: Literal["squeezenet1_0", "squeezenet1_1", "resnet18", "resnet50"] = "squeezenet1_1",
    weights: WeightSource = "imagenet",
    side: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> FeatureNetwork:
    """A classifier of torchvision as a feature network: its features before the classifier, averaged over positions.

    Args:
        net: as torchvision names it.
        weights: "imagenet" (torchvision's IMAGENET1K_V1, downloaded on first use); a path to, or a state dict of, such a
            network; None for random weights, drawn from a fixed seed, for a smoke test.
        side: to which images are brought, both sides, bilinear with antialiasing, in pixels.
        mean: of the three channels of images in [0, 1], subtracted.
        std: of the same, divided by.

    Raises:
        ValueError: an unknown net, a weights file that is missing, unreadable or of another network.
        RuntimeError: the download failed; the message says which file to place where.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import torchvision_features
        >>> network = torchvision_features(weights=None, side=64)
        >>> network.name
        'squeezenet1_1, random weights'
        >>> network(torch.zeros(2, 3, 40, 30)).values.shape
        torch.Size([2, 512])
    """
    one_of("net", net, tuple(NODES))
    side = at_least("side", side, 32, 4096)
    channels = [numbers(name, each, "one number for each channel") for name, each in (("mean", mean), ("std", std))]
    if [len(each) for each in channels] != [3, 3] or 0 in channels[1]:
        raise ValueError(f"mean and std must hold three numbers each, of std above 0, got {mean!r} and {std!r}")
    state = None if weights is None else state_dict_of(weights, net)
    classifier = _Classifier(net, side, *channels)
    if state is None:
        name = f"{net}, random weights"
    else:
        names = {key: key for key in classifier.whole.state_dict() if not key.endswith("num_batches_tracked")}
        load_torchvision(classifier.whole, state, net, names)
        published = isinstance(weights, str) and weights == "imagenet"
        name = f"{net} ({'IMAGENET1K_V1' if published else f'weights {digest(state)[:8]}'})"
        name += "" if side == 224 else f", at {side}²"
        name += "" if channels == [IMAGENET_MEAN, IMAGENET_STD] else ", own normalisation"
    freeze_into_buffers(classifier)
    return FeatureNetwork(classifier, name)


class _Inception(nn.Module):
    """The network of FID as torch-fidelity has it, which takes 8 bits and resizes as TensorFlow 1 did."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.whole = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(path))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        found: tuple[Tensor, ...] = self.whole(levels)
        return found


def inception_features(weights: str | os.PathLike[str] = "download") -> FeatureNetwork:
    """The Inception network of 2015-12-05 that FID, KID and Inception Score are defined with, by torch-fidelity.

    Images are rounded to 8 bits and brought to 299×299 as TensorFlow 1 did, as the published figures were.

    Args:
        weights: "download" (91 MB, on first use, kept in PyTorch's cache), or the path of the file. Weights whose
            SHA-256 is another one are taken too, but figures of theirs are not called FID, KID or Inception Score.

    Raises:
        ValueError: a weights file that is missing, unreadable or of another network.
        RuntimeError: the download failed; the message says which file to place where.
        ImportError: torch-fidelity is missing.
    """
    if not isinstance(weights, str | os.PathLike) or not str(weights):
        raise ValueError(f"weights must be 'download' or the path of a file, got {described(weights)}")
    with needed_for("Inception"):
        import torch_fidelity  # noqa: F401
    path = _downloaded() if str(weights) == "download" else Path(weights)
    try:  # a pickle that runs code is refused before torch-fidelity, which would run it, opens the file
        read_file(path)
    except ValueError as error:
        raise ValueError(f"weights: {error}") from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    try:
        network = _Inception(path)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"weights: {str(path)!r} does not hold the Inception network that FID is defined with, as {INCEPTION_URL} does"
        ) from error
    original = found == INCEPTION_HASH
    name = f"inception-v3 2015-12-05 ({INCEPTION_HASH})" if original else f"inception-v3, other weights ({found})"
    return FeatureNetwork(network, name, is_inception=original)


def _downloaded() -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_URL.rsplit("/", 1)[1]
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(INCEPTION_URL, str(path), hash_prefix=INCEPTION_HASH, progress=False)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"the weights of Inception could not be downloaded ({error}). Fetch {INCEPTION_URL} on a connected machine and "
            f"place it at {path}, or pass its path as weights=...; another network, such as "
            "torchvision_features('squeezenet1_1', path), gives figures too, which are not called FID"
        ) from error
    return path


@torch.inference_mode()
def extract_features(network: FeatureNetwork, images: Images, name: str = "images") -> Features:
    """Features of all images, in float64 on the CPU, where sets are compared.

    Args:
        network: see :class:`FeatureNetwork`; images are brought to its device.
        images: (N, 3, H, W) in [-1, 1], a folder, or batches.
        name: of the images, for messages.

    Returns:
        Features (N, F), and logits (N, classes) if the network has them.

    Raises:
        ValueError: no images, or what the network refuses.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import extract_features, torchvision_features
        >>> extract_features(torchvision_features(weights=None, side=32), torch.zeros(2, 3, 8, 8)).values.dtype
        torch.float64
    """
    if not isinstance(network, FeatureNetwork):
        raise ValueError(f"network must be a FeatureNetwork, which has a name, got {described(network)}")
    weight = next(chain(network.parameters(), network.buffers()), torch.zeros(()))
    found = [network(batch.to(weight.device)) for batch in image_batches(images, name)]
    logits = [each.logits for each in found if each.logits is not None]
    if len({tuple(each.values.shape[1:]) for each in found}) > 1:
        raise ValueError(f"network must give as many features for every image, which {network.name} does not")
    values = torch.cat([each.values.double().cpu() for each in found])
    return Features(values, torch.cat([each.double().cpu() for each in logits]) if logits else None)
