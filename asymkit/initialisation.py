"""Layers with He initialisation, for places where CycleGAN's N(0, 0.02) would leave the latent code z without effect."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

Nonlinearity = Literal["relu", "linear"]


class HeInitialised(nn.Module):
    """Base of layers with He initialisation (He et al. 2015) that CycleGAN's ``init_net`` and ``setup()`` do not change.

    Those re-initialise every layer with "Conv" or "Linear" in its class name, by default from N(0, 0.02). A network
    without norms then shrinks its input a thousandfold, and z has nearly no effect. Subclasses are PyTorch's layers under
    names without these words, so that every ``init_type`` leaves them unchanged. Scaling in forward instead would change
    the meaning of weights files and of Adam's step size.

    Args:
        *sizes: positional arguments of PyTorch's layer.
        nonlinearity: what follows the layer: "relu" (weights of variance 2 / fan-in) or "linear" (1 / fan-in).
        joined: channels of each of several concatenated inputs, each of which then contributes the same variance; ()
            for one input.
        **options: keyword arguments of PyTorch's layer.
    """

    weight: Tensor

    def __init__(
        self, *sizes: int, nonlinearity: Nonlinearity = "relu", joined: tuple[int, ...] = (), **options: Any
    ) -> None:
        # before PyTorch's constructor, which calls reset_parameters
        self.nonlinearity: Nonlinearity = nonlinearity
        self.joined = joined
        super().__init__(*sizes, **options)

    def reset_parameters(self) -> None:
        """Sample the weights, and set the bias to zero."""
        for part in self.weight.detach().split(self.joined or self.weight.shape[1], dim=1):
            nn.init.kaiming_normal_(part, nonlinearity=self.nonlinearity)
        if (bias := self._parameters["bias"]) is not None:
            nn.init.zeros_(bias)


class HeKernel2d(HeInitialised, nn.Conv2d):
    """``nn.Conv2d``, initialised as :class:`HeInitialised` says.

    Example:
        >>> import torch
        >>> from asymkit.initialisation import HeKernel2d
        >>> x = torch.randn(8, 64, 16, 16)
        >>> HeKernel2d(64, 64, kernel_size=3, nonlinearity="linear")(x).std().round().item()
        1.0
    """


class HeDense(HeInitialised, nn.Linear):
    """``nn.Linear``, initialised as :class:`HeInitialised` says.

    Example:
        >>> import torch
        >>> from asymkit.initialisation import HeDense
        >>> HeDense(64, 64, nonlinearity="linear")(torch.randn(100, 64)).std().round().item()
        1.0
    """


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """CycleGAN's initialisation: weights of convolutions and linear layers from N(0, std), biases zero.

    As with CycleGAN's own, layers of class :class:`HeInitialised` keep the weights that they have.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and not isinstance(layer, HeInitialised):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
