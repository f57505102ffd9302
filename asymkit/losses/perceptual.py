"""Perceptual losses, which compare features of a frozen network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn

from asymkit.arguments import described, modules, number, numbers, one_of
from asymkit.checks import as_image_pair, check_device, check_image_pair, check_images, check_tensor
from asymkit.networks.features import WeightSource, freeze_into_buffers, load_torchvision, state_dict_of
from asymkit.ops import gram_matrix
from asymkit.optional import needed_for
from asymkit.precision import widen

Target: TypeAlias = Tensor | Mapping[str, Tensor]
"""Images, or their features as computed by ``loss.features(images)``."""


class ContentLoss(nn.Module):
    """Mean squared difference of features, summed over layers, target detached [AsymGAN Eq. 15].

    If several predictions are compared with one target, compute ``loss.features(target)`` once and pass that instead of
    the images.

    Args:
        features: a module from images to a dict of feature maps, e.g. ``VGGFeatures(["relu2_2"])``, AsymGAN's choice.

    Example:
        >>> import torch
        >>> from asymkit import ContentLoss, VGGFeatures
        >>> content = ContentLoss(VGGFeatures(["relu2_2"], weights=None))
        >>> image = torch.rand(1, 3, 32, 32)
        >>> content(image, image)
        tensor(0.)
        >>> target = content.features(image)
        >>> content(image, target), content(-image, target) > 0
        (tensor(0.), tensor(True))
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        modules(features=features)
        self.features = features

    def forward(self, prediction: Tensor, target: Target) -> Tensor:
        """The scalar loss of two batches (N, 3, H, W) of one shape; target may be given as features."""
        pairs = _features_of_both(self.features, prediction, target)
        return torch.stack([(p - t).square().mean() for p, t in pairs.values()]).sum()


class GramStyleLoss(nn.Module):
    """Squared Frobenius distance of Gram matrices, summed over layers, target detached [AsymGAN Eq. 16].

    Args:
        features: a module from images to a dict of feature maps, e.g. AsymGAN's choice,
            ``VGGFeatures(["relu1_2", "relu2_2", "relu3_3", "relu4_3"])``.

    Example:
        >>> import torch
        >>> from asymkit import GramStyleLoss, VGGFeatures
        >>> style = GramStyleLoss(VGGFeatures(["relu1_2"], weights=None))
        >>> image = torch.rand(1, 3, 32, 32)
        >>> style(image.flip(3), image) < style(1 - image, image)
        tensor(True)
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        modules(features=features)
        self.features = features

    def forward(self, prediction: Tensor, target: Target) -> Tensor:
        """The scalar loss of two batches (N, 3, H, W), whose H and W may differ; target may be given as features."""
        pairs = _features_of_both(self.features, prediction, target, one_size=False)
        grams = [(gram_matrix(p), gram_matrix(t)) for p, t in pairs.values()]
        return torch.stack([(p - t).square().sum((1, 2)).mean() for p, t in grams]).sum()


class PerceptualLoss(nn.Module):
    """Mean absolute difference of features, weighted by layer, target detached [AsymmetricGAN §3.2].

    Args:
        features: a module from images to a dict of feature maps.
        layer_weights: one weight for each layer of ``features``, by name or in their order. AsymmetricGAN uses VGG19's
            relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 with 1/32, 1/16, 1/8, 1/4 and 1.

    Raises:
        ValueError: features is not a module, a weight is not a number from 0; in ``forward``, the weights do not match
            the layers.

    Example:
        >>> import torch
        >>> from asymkit import PerceptualLoss, VGGFeatures
        >>> loss = PerceptualLoss(VGGFeatures(["relu1_1", "relu2_1"], weights=None), layer_weights=[1 / 2, 1])
        >>> image = torch.rand(1, 3, 32, 32)
        >>> loss(image, image)
        tensor(0.)
    """

    def __init__(self, features: nn.Module, layer_weights: Mapping[str, float] | Sequence[float]) -> None:
        super().__init__()
        modules(features=features)
        self.features = features
        self.layer_weights = (
            {name: number(f"layer_weights[{name!r}]", each, 0, 1e6) for name, each in layer_weights.items()}
            if isinstance(layer_weights, Mapping)
            else numbers("layer_weights", layer_weights, "one weight for each layer")
        )

    def forward(self, prediction: Tensor, target: Target) -> Tensor:
        """The scalar loss of two batches (N, 3, H, W) of one shape; target may be given as features."""
        pairs = _features_of_both(self.features, prediction, target)
        given = self.layer_weights
        weights = given if isinstance(given, dict) else dict(zip(pairs, given, strict=False))
        if weights.keys() != pairs.keys() or len(given) != len(pairs):
            raise ValueError(f"layer_weights must hold one weight for each of the layers {list(pairs)}, got {given!r}")
        return torch.stack([(p - t).abs().mean() * weights[name] for name, (p, t) in pairs.items()]).sum()


class LPIPSLoss(nn.Module):
    """LPIPS, the learned perceptual distance of Zhang et al. (2018), with the networks and weights of the lpips package.

    Unlike ``lpips.LPIPS`` it has no trainable parameters and no entries in the state dict, is always in eval mode, refuses
    one-channel images instead of broadcasting them, and has a finite gradient where features are zero.

    Args:
        net: "alex", "vgg" or "squeeze" (SqueezeNet 1.1), as lpips names them.
        weights: of the feature network: "imagenet" (torchvision's, downloaded on first use); the path of a file with, or a
            state dict of, torchvision's network; None for random weights from a fixed seed, with which the result is not
            LPIPS. The learned weights of the layers' distances are part of the lpips package.

    Raises:
        ValueError: net is unknown, or the weights file is missing, unreadable or of another architecture.
        RuntimeError: the download failed; the message names the file and where to put it.

    Example:
        >>> import torch
        >>> from asymkit import LPIPSLoss
        >>> loss = LPIPSLoss(weights=None)
        >>> image = torch.rand(1, 3, 64, 64) * 2 - 1
        >>> loss(image, image)
        tensor(0.)
    """

    TORCHVISION_NAMES: ClassVar = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}

    def __init__(self, net: Literal["alex", "vgg", "squeeze"] = "alex", weights: WeightSource = "imagenet") -> None:
        super().__init__()
        one_of("net", net, tuple(self.TORCHVISION_NAMES))
        name = self.TORCHVISION_NAMES[net]
        state = None if weights is None else state_dict_of(weights, name)

        with needed_for("LPIPSLoss", "lpips torchvision"):
            import lpips

        # random weights come from a fixed seed and do not advance the global random number generator
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            warnings.simplefilter("ignore")  # lpips uses deprecated arguments of torchvision
            model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        if state is not None:
            # lpips' slice2.3 is torchvision's features.3
            names = {key: "features." + key.split(".", 1)[1] for key in model.net.state_dict()}
            load_torchvision(model.net, state, name, names)
        self.net, self.scaling = model.net, model.scaling_layer
        self.heads = nn.ModuleList(lin.model[-1] for lin in model.lins)
        freeze_into_buffers(self)
        self.eval()

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar distance of two batches (N, 3, H, W) of one shape, in [-1, 1]."""
        return self.distances(prediction, target).mean()

    def distances(self, prediction: Tensor, target: Tensor) -> Tensor:
        """As ``forward``, but one distance per pair, (N,)."""
        prediction, target = as_image_pair(prediction, target, ("prediction", "target"), least_side=32)
        if prediction.shape[1] != 3:
            raise ValueError(f"target and prediction must have 3 channels, got {prediction.shape[1]}")
        weight = next(self.buffers())
        check_device("prediction", prediction, weight)
        prediction, target = prediction.to(weight.dtype), target.to(weight.dtype)
        distance = widen(prediction.new_zeros(len(prediction)))
        both = zip(self.net(self.scaling(prediction)), self.net(self.scaling(target)), self.heads, strict=True)
        for p, t, head in both:
            difference = (_unit_length(p) - _unit_length(t)).square()
            weighted = difference * widen(head.get_buffer("weight"))  # the head is a 1×1 convolution
            distance = distance + weighted.sum(1).mean((1, 2))
        return distance

    def train(self, mode: bool = True) -> LPIPSLoss:
        """Stay in eval mode, whatever a parent module is set to."""
        return super().train(False)


def _unit_length(features: Tensor) -> Tensor:
    wide = widen(features)
    return wide * (wide.square().sum(1, keepdim=True) + 1e-10).rsqrt()


def _features_of_both(
    network: nn.Module, prediction: Tensor, target: Target, one_size: bool = True
) -> dict[str, tuple[Tensor, Tensor]]:
    """For each layer the features of the prediction and, detached, of the target, in float32 or wider."""
    if isinstance(target, Tensor):
        _check_images(prediction, target, one_size)
        with torch.no_grad():
            wanted: Mapping[str, Tensor] = network(widen(target))
        predicted: dict[str, Tensor] = network(widen(prediction))
    else:
        check_images(prediction, "prediction")
        if not isinstance(target, Mapping) or not target or not all(isinstance(t, Tensor) for t in target.values()):
            raise ValueError(f"target must be images, or loss.features(images) of them, got {described(target)}")
        predicted, wanted = network(widen(prediction)), target
        _check_features(wanted, predicted, one_size)
    return {name: (widen(maps), widen(wanted[name].detach())) for name, maps in predicted.items()}


def _check_images(prediction: Tensor, target: Tensor, one_size: bool) -> None:
    if one_size:
        check_image_pair(prediction, target, ("prediction", "target"))
        return
    check_images(prediction, "prediction")
    check_images(target, "target")
    if len(prediction) != len(target) or prediction.device != target.device:
        raise ValueError(
            f"prediction and target must have the same batch size and device, got {len(prediction)} on "
            f"{prediction.device} and {len(target)} on {target.device}"
        )


def _check_features(target: Mapping[str, Tensor], predicted: Mapping[str, Tensor], one_size: bool) -> None:
    if target.keys() != predicted.keys():
        raise ValueError(f"target must hold features of the layers {list(predicted)}, got {list(target)}")
    for name, maps in predicted.items():
        size = maps.shape[2:] if one_size else target[name].shape[2:]
        what = "have the shape of the prediction's features"
        check_tensor(f"target[{name!r}]", target[name], (*maps.shape[:2], *size), maps.device, what)
