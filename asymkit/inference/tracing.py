"""Torch-function modes around a forward pass: one replaces the statistics of instance norms, one measures the receptive field.

They work on any network, with asymkit's or PyTorch's instance norms, and leave the network unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asymkit.ops.norm import normalized
from asymkit.precision import widen

NORM_ARGUMENTS = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
CONV_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation")
TRANSPOSED_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")

ACTIVATIONS = "relu leaky_relu tanh sigmoid gelu silu elu selu mish softplus prelu hardtanh hardswish dropout dropout2d"
ARITHMETIC = (
    "add sub mul div true_divide pow abs neg exp log sqrt rsqrt square clamp clip addcmul where lerp maximum minimum"
)
OPERATORS = "add radd iadd sub rsub isub mul rmul imul truediv itruediv neg pow"
COPIES = "cat concat chunk split to float half bfloat16 double type_as contiguous clone detach requires_grad_ pad"
NEW = "zeros_like ones_like empty_like new_ones new_zeros new_empty new_full"
POINTWISE = frozenset(
    f"{ACTIVATIONS} {ARITHMETIC} {COPIES} {NEW}".split()
    + [f"{name}_" for name in f"{ACTIVATIONS} {ARITHMETIC}".split()]
    + [f"__{name}__" for name in OPERATORS.split()]
)
"""Functions whose value at a pixel depends on that pixel alone, or, for ``pad``, on its neighbours."""
LAYOUT = frozenset({"view", "reshape", "__getitem__", "expand", "unsqueeze", "squeeze", "permute", "flatten", "repeat"})
"""Functions that rearrange values, which are accepted where height and width stay the same."""


class Moments(NamedTuple):
    """Mean and variance of every feature map over its pixels, and the number of pixels."""

    pixels: int
    mean: Tensor
    """(N, C)."""
    variance: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """The moments of feature maps x, (N, C, H, W)."""
        variance, mean = torch.var_mean(widen(x), (2, 3), correction=0)
        return cls(x.shape[2] * x.shape[3], mean.cpu().double(), variance.cpu().double())

    def merged(self, other: Moments) -> Moments:
        """The moments of the union of both sets of pixels, by the stable update of Chan et al. (1979)."""
        pixels = self.pixels + other.pixels
        share, delta = other.pixels / pixels, other.mean - self.mean
        variance = self.variance + (other.variance - self.variance) * share + delta.square() * share * (1 - share)
        return Moments(pixels, self.mean + delta * share, variance)


class GivenStatistics(TorchFunctionMode):
    """Makes instance norms use given moments instead of those of their input.

    Args:
        known: the moments for each instance norm, in the order of their calls.
        compute: called with the input of each further norm; the moments that it returns are appended to ``known``.
    """

    def __init__(self, known: list[Moments], compute: Callable[[Tensor], Moments] | None = None) -> None:
        super().__init__()
        self.known, self.compute, self.index = known, compute, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is normalized:
            x, scale, shift, residual, slope, eps = args
            out = self._normalize(x, eps)
            out = out if scale is None else out * scale[..., None, None]
            out = out if shift is None else out + shift[..., None, None]
            out = F.leaky_relu(out, slope) if slope != 1 else out
            return (out if residual is None else out + residual).to(x.dtype)
        if func is F.instance_norm:
            given = dict(zip(NORM_ARGUMENTS, args, strict=False)) | (kwargs or {})
            if given.get("use_input_stats", True):
                out = self._normalize(given["input"], given.get("eps", 1e-5))
                if given.get("weight") is not None:
                    out = out * given["weight"][:, None, None] + given["bias"][:, None, None]
                return out.to(given["input"].dtype)
        return func(*args, **(kwargs or {}))

    def _normalize(self, x: Tensor, eps: float) -> Tensor:
        if self.index == len(self.known):
            assert self.compute is not None
            self.known.append(self.compute(x))
        moments = self.known[self.index]
        self.index += 1
        wide = widen(x)
        mean, variance = (values.to(wide)[..., None, None] for values in (moments.mean, moments.variance))
        return (wide - mean) * (variance + eps).rsqrt()


class ReceptiveField(TorchFunctionMode):
    """Counts the instance norms of a forward pass and measures the radius of its receptive field, in pixels.

    Args:
        side: height of the image that is given to the network.

    Attributes:
        norms: how many instance norms were called.
        radius: an upper bound of how far an output pixel's receptive field extends, in pixels of the image.

    Raises:
        ValueError: the network calls a function whose result on a tile may differ from that on the whole image.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.norms, self.radius, self._side, self._step = 0, 0, side, 1.0
        self._weights: list[Tensor] = []  # and tensors computed from weights alone, which are not feature maps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result, name = func(*args, **kwargs), getattr(func, "__name__", "")
        if func is normalized or func is F.instance_norm:
            self.norms += func is normalized or kwargs.get("use_input_stats", True)
        elif str(func) == "asymkit.conv3x3.default":
            self._grow(args[0], 1)
        elif name == "conv2d":
            given = dict(zip(CONV_ARGUMENTS, args, strict=False)) | kwargs
            self._grow(given["input"], max(given["weight"].shape[2:]) // 2 * _largest(given.get("dilation", 1)))
            self._step *= _largest(given.get("stride", 1))
        elif name == "conv_transpose2d":
            given = dict(zip(TRANSPOSED_ARGUMENTS, args, strict=False)) | kwargs
            stride = _largest(given.get("stride", 1))
            self._grow(
                given["input"], -(-max(given["weight"].shape[2:]) * _largest(given.get("dilation", 1)) // stride)
            )
            self._step /= stride
        elif name == "interpolate" and not kwargs.get("align_corners"):
            if args[0].shape != result.shape:
                self._grow(args[0], 2)
                self._step *= args[0].shape[2] / result.shape[2]
        elif all(map(self._is_weight, tensors := [x for x in args if isinstance(x, Tensor)])):
            self._weights += [result] if tensors and isinstance(result, Tensor) else []
        else:
            self._refuse_unknown(name, args, kwargs, result)
        return result

    def _is_weight(self, x: Tensor) -> bool:
        return isinstance(x, nn.Parameter) or any(x is weight for weight in self._weights)

    def _grow(self, x: Tensor, taps: int) -> None:
        """Add a layer that reads ``taps`` pixels of its input x to each side."""
        # each of several parallel branches changes the step; the size of the map gives it as well, except for padding
        by_size = 2.0 ** math.ceil(math.log2(self._side / x.shape[2]) - 1e-6)
        self.radius += math.ceil(taps * max(self._step, by_size))

    @staticmethod
    def _refuse_unknown(name: str, args: Any, kwargs: Any, result: Any) -> None:
        maps = next((x for x in args if _is_map(x)), None)
        if maps is None or not isinstance(result, Tensor | tuple | list) or name in POINTWISE:
            return
        if name == "batch_norm" and not kwargs.get("training"):
            return
        if name in LAYOUT and isinstance(result, Tensor) and result.shape[-2:] == maps.shape[-2:]:
            return
        if isinstance(result, Tensor) and not result.is_floating_point():
            return
        if not isinstance(result, Tensor) and not any(isinstance(each, Tensor) for each in result):
            return
        raise ValueError(
            f"this network calls {name} on a feature map of shape {tuple(maps.shape)}, whose result on a tile may differ "
            "from that on the whole image; Tiled takes networks of convolutions, instance norms and pointwise functions"
        )


def _is_map(x: Any) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and x.shape[2] > 1 and x.shape[3] > 1


def _largest(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else max(value)
