"""Finds the class and constructor arguments of an asymkit network from the names and shapes of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from asymkit.checkpoints.layouts import numbers
from asymkit.networks import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    DomainDiscriminator,
    HighResGenerator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)
from asymkit.state_dicts import StateDict, first_difference

Shapes = Mapping[str, torch.Size]


class _SkipInitialisation(TorchFunctionMode):
    """Skips weight initialisation, which is slow on the meta device and imports the compiler."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in {"kaiming_uniform_", "uniform_", "normal_", "zeros_", "zero_", "fill_"}:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


class NetworkSpec(NamedTuple):
    """Class and constructor arguments of a network."""

    kind: type[nn.Module]
    arguments: dict[str, Any]

    def shapes(self) -> dict[str, torch.Size]:
        """Shapes of its weights, by name."""
        with torch.device("meta"), _SkipInitialisation():
            network = self.kind(**self.arguments)
        return {name: value.shape for name, value in network.state_dict().items()}

    def build(self, state: StateDict) -> nn.Module:
        """Build the network and load these weights."""
        network = self.kind(**self.arguments)
        network.load_state_dict(state)
        return network


def recognise(state: Mapping[str, Tensor]) -> NetworkSpec | None:
    """The network whose state dict has exactly these names and shapes, or None."""
    return next((spec for spec, difference in candidates(state) if difference is None), None)


def candidates(state: Mapping[str, Tensor]) -> list[tuple[NetworkSpec, str | None]]:
    """All networks whose arguments can be read off the weights, each with the first key that differs, or None."""
    shapes, found = {name: value.shape for name, value in state.items()}, []
    if any(0 in shape for shape in shapes.values()):
        return []
    for kind, arguments in KINDS.items():
        try:
            spec = NetworkSpec(kind, arguments(shapes))
            found.append((spec, first_difference(spec.shapes(), state)))
        except (KeyError, IndexError, ValueError):  # the arguments cannot be read off these weights
            continue
    return found


def _resnet(shapes: Shapes) -> dict[str, Any]:
    width, inputs = shapes["encoder.0.conv.weight"][:2]
    return {
        "in_channels": inputs,
        "out_channels": shapes["to_image.weight"][0],
        "width": width,
        "blocks": len(numbers(shapes, r"blocks\.(\d+)\.")),
        "upsampling": _upsampling(shapes),
        "skip": "skip.weight" in shapes,
    }


def _aux(shapes: Shapes) -> dict[str, Any]:
    vectors = [shape for name, shape in shapes.items() if name.endswith("norm1.gamma.weight")]
    mixed = [shape for name, shape in shapes.items() if name.startswith("concats.") and name.endswith("mix.weight")]
    if vectors:
        length, injection = vectors[0][1], "cin_all" if "encoder.0.norm.gamma.weight" in shapes else "cin"
    else:
        length, injection = mixed[0][1] - mixed[0][0], "concat" if len(mixed) == 1 else "concat_all"
    return _resnet(shapes) | {"aux_channels": length, "injection": injection}


def _highres(shapes: Shapes) -> dict[str, Any]:
    norm = shapes.get("blocks.0.norm1.gamma.weight")
    return _resnet(shapes) | {"aux_channels": None if norm is None else norm[1]}


def _star(shapes: Shapes) -> dict[str, Any]:
    found = _resnet(shapes)
    del found["skip"]
    return found | _plain(shapes, found["blocks"])


def _plain(shapes: Shapes, blocks: int = 0) -> dict[str, Any]:
    """Without embedding, in_channels is read off the buffer ``image_channels``, or else equals out_channels."""
    inputs, outputs = shapes["encoder.0.conv.weight"][1], shapes["to_image.weight"][0]
    embedding = shapes.get("embed.weight")
    if embedding is None:
        (images,) = shapes.get("image_channels", (outputs,))
        return {"domains": inputs - images, "in_channels": images, "out_channels": outputs}
    channels = {"in_channels": inputs - (0 if blocks else embedding[0]), "out_channels": outputs}
    return {"domains": embedding[1], "label_embedding": embedding[0], **channels}


def _encoder(shapes: Shapes) -> dict[str, Any]:
    pooled = "down.0.0.weight" in shapes
    width, inputs = shapes["down.0.0.weight" if pooled else "down.0.conv.weight"][:2]
    return {"in_channels": inputs, "aux_channels": shapes["to_aux.weight"][0], "pooled": pooled, "width": width}


def _patch(shapes: Shapes) -> dict[str, Any]:
    width, inputs = shapes["convs.0.weight"][:2]
    return {"in_channels": inputs, "width": width, "layers": len(numbers(shapes, r"convs\.(\d+)\.")) - 1}


def _multiscale(shapes: Shapes) -> dict[str, Any]:
    begin, scales = "discriminators.0.", len(numbers(shapes, r"discriminators\.(\d+)\."))
    first = {name.removeprefix(begin): shape for name, shape in shapes.items() if name.startswith(begin)}
    return _patch(first) | {"scales": scales}


def _domain(shapes: Shapes) -> dict[str, Any]:
    width, inputs = shapes["convs.0.weight"][:2]
    layers, (domains, _, *map_size) = len(numbers(shapes, r"convs\.(\d+)\.")), shapes["to_domain.weight"]
    size = tuple(side * 2**layers for side in map_size)
    return {"domains": domains, "image_size": size, "width": width, "in_channels": inputs, "layers": layers}


def _aux_discriminator(shapes: Shapes) -> dict[str, Any]:
    first = shapes["layers.0.weight"]
    return {"aux_channels": first[1], "spatial": len(first) == 4, "width": first[0]}


def _upsampling(shapes: Shapes) -> str:
    """The weight of a transposed convolution is (in, out, ...), and the last up-sampling halves the channels."""
    last = shapes[f"decoder.{len(numbers(shapes, r'decoder[.]([0-9]+)[.]')) - 1}.conv.weight"]
    return "resize" if last[0] < last[1] else "transposed"


KINDS: dict[type[nn.Module], Callable[[Shapes], dict[str, Any]]] = {
    ResnetGenerator: _resnet,
    AuxGenerator: _aux,
    HighResGenerator: _highres,
    StarGenerator: _star,
    PlainGenerator: _plain,
    AuxEncoder: _encoder,
    PatchDiscriminator: _patch,
    MultiscaleDiscriminator: _multiscale,
    DomainDiscriminator: _domain,
    AuxDiscriminator: _aux_discriminator,
}
"""For each class the function that reads its constructor arguments off the shapes of its weights."""
