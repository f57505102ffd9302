"""A forward pass watched from outside: its instance norms given other statistics, its reach measured.

Works on any network, whether its norms are asymkit's or PyTorch's, and leaves the network as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asymkit.checks import widen

OWN_NORM, OWN_CONV = "asymkit.instance_norm.default", "asymkit.conv3x3.default"
NORM_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
CONV_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation")
TRANSPOSED_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")

POOLING = {"adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d", "flatten", "mean", "std", "var"}
OTHER_NORMS = {"batch_norm", "group_norm", "layer_norm"}
PLACES = {"grid_sample", "pixel_shuffle", "pixel_unshuffle", "scaled_dot_product_attention"}
WHOLE = POOLING | OTHER_NORMS | PLACES
"""Functions of maps whose result for a tile is another than for the image, or whose reach is not followed."""


class Moments(NamedTuple):
    """Mean and variance of the maps of every image, over so many pixels each."""

    pixels: int
    mean: Tensor
    """(N, C)."""
    variance: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Those of the maps x, (N, C, H, W)."""
        variance, mean = torch.var_mean(widen(x), (2, 3), correction=0)
        return cls(x.shape[2] * x.shape[3], mean.cpu().double(), variance.cpu().double())

    def joined(self, other: Moments) -> Moments:
        """Those of both sets of pixels together, without squares of large numbers (Chan et al. 1979)."""
        pixels = self.pixels + other.pixels
        share, apart = other.pixels / pixels, other.mean - self.mean
        variance = self.variance + (other.variance - self.variance) * share + apart.square() * share * (1 - share)
        return Moments(pixels, self.mean + apart * share, variance)


class GivenNorms(TorchFunctionMode):
    """Gives instance norms, in the order they come, known moments; what comes after those is asked of ``meet``."""

    def __init__(self, known: list[Moments], meet: Callable[[Tensor], Moments] | None = None) -> None:
        super().__init__()
        self.known, self.meet, self.place = known, meet, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(func) == OWN_NORM:
            x, scale, shift, residual, slope, eps = args
            out = self._normed(x, eps) * scale[..., None, None] + shift[..., None, None]
            out = F.leaky_relu(out, slope) if slope != 1 else out
            return (out if residual is None else out + residual).to(x.dtype), None, None
        if func is F.instance_norm:
            given = dict(zip(NORM_ARGUMENTS, args, strict=False)) | (kwargs or {})
            if given.get("use_input_stats", True):
                out = self._normed(given["input"], given.get("eps", 1e-5))
                if given.get("weight") is not None:
                    out = out * given["weight"][:, None, None] + given["bias"][:, None, None]
                return out.to(given["input"].dtype)
        return func(*args, **(kwargs or {}))

    def _normed(self, x: Tensor, eps: float) -> Tensor:
        if self.place == len(self.known):
            assert self.meet is not None
            self.known.append(self.meet(x))
        found = self.known[self.place]
        self.place += 1
        wide = widen(x)
        mean, variance = (each.to(wide)[..., None, None] for each in (found.mean, found.variance))
        return (wide - mean) * (variance + eps).rsqrt()


class Reach(TorchFunctionMode):
    """Counts the instance norms of a forward pass, and how far from a pixel the network looks, in pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norms, self.pixels, self._step = 0, 0, 1.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result, name = func(*args, **kwargs), getattr(func, "__name__", "")
        if str(func) == OWN_NORM or (func is F.instance_norm and kwargs.get("use_input_stats", True)):
            self.norms += 1
        elif str(func) == OWN_CONV:
            self._look(1)
        elif name == "conv2d":
            given = dict(zip(CONV_ARGUMENTS, args, strict=False)) | kwargs
            self._look(max(given["weight"].shape[2:]) // 2 * _largest(given.get("dilation", 1)))
            self._step *= _largest(given.get("stride", 1))
        elif name == "conv_transpose2d":
            given = dict(zip(TRANSPOSED_ARGUMENTS, args, strict=False)) | kwargs
            stride = _largest(given.get("stride", 1))
            self._look(-(-max(given["weight"].shape[2:]) * _largest(given.get("dilation", 1)) // stride))
            self._step /= stride
        elif name == "interpolate" and args[0].shape != result.shape:
            self._look(2)
            self._step *= args[0].shape[2] / result.shape[2]
        elif name in WHOLE and _is_map(args[0]) and not (name == "batch_norm" and not kwargs.get("training")):
            raise ValueError(
                f"this network calls {name} on a map of shape {tuple(args[0].shape)}, which tiles would see otherwise than the "
                "whole image; Tiled takes networks of convolutions and instance norms"
            )
        return result

    def _look(self, taps: int) -> None:
        self.pixels += math.ceil(taps * self._step)


def _is_map(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and not isinstance(x, nn.Parameter)


def _largest(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else max(value)
