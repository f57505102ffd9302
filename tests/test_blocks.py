from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from measure import saved_bytes
from torch import Tensor, nn

from asymkit import (
    AuxEncoder,
    AuxGenerator,
    DomainDiscriminator,
    HighResGenerator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
    checkpoint_blocks,
)
from asymkit.blocks import ConditionalResidualBlock, PlainResidualBlock, ResidualBlock


def conv(x: Tensor, layer: nn.Module, mode: str) -> Tensor:
    """A 3×3 convolution of PyTorch's, with a layer's weights."""
    padded = F.pad(x, (1, 1, 1, 1), mode=mode)
    bias = None if layer.bias is None else layer.get_parameter("bias")
    return F.conv2d(padded, layer.get_parameter("weight"), bias)


def lively(block: nn.Module) -> nn.Module:
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block.double()


@pytest.mark.parametrize("affine", [False, True])
def test_a_residual_block_is_the_equation(affine: bool) -> None:
    block: Any = lively(ResidualBlock(4, affine))
    x, mode = torch.randn(2, 4, 6, 7).double(), "constant" if affine else "reflect"
    hidden = F.instance_norm(conv(x, block.conv1, mode), weight=block.norm1.weight, bias=block.norm1.bias).relu()
    hidden = F.instance_norm(conv(hidden, block.conv2, mode), weight=block.norm2.weight, bias=block.norm2.bias)
    torch.testing.assert_close(block(x), x + hidden)
    assert (block.conv1.bias is None) == (block.conv2.bias is None) == affine


def test_a_conditional_block_is_the_equation() -> None:
    block: Any = lively(ConditionalResidualBlock(4, 3))
    x, z = torch.randn(2, 4, 6, 7).double(), torch.randn(2, 3).double()

    def normed(x: Tensor, norm: Any) -> Tensor:
        gamma, beta = (F.linear(z, each.weight, each.bias)[..., None, None] for each in (norm.gamma, norm.beta))
        return F.instance_norm(x) * (1 + gamma) + beta

    hidden = normed(conv(x, block.conv1, "reflect"), block.norm1).relu()
    torch.testing.assert_close(block(x, z), x + normed(conv(hidden, block.conv2, "reflect"), block.norm2))


def test_a_block_without_norms_is_the_equation() -> None:
    block: Any = lively(PlainResidualBlock(4))
    x = torch.randn(2, 4, 6, 7).double()
    hidden = conv(x, block.conv1, "reflect").relu()
    torch.testing.assert_close(block(x), x + conv(hidden, block.conv2, "reflect"))


@pytest.mark.parametrize("build", [ResidualBlock, PlainResidualBlock, lambda c: ConditionalResidualBlock(c, 4)])
def test_a_checkpointed_block_gives_the_same_bits(build: Any) -> None:
    block = build(8)
    x = torch.randn(2, 8, 8, 8, requires_grad=True)
    z = [torch.randn(2, 4)] if isinstance(block, ConditionalResidualBlock) else []
    results = []
    for on in (False, True):
        assert checkpoint_blocks(block, on) == 1
        out = block(x, *z)
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, *block.parameters()))))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    with torch.no_grad():
        assert torch.equal(block(x, *z), results[0][0])


@pytest.mark.parametrize("build", [ResnetGenerator, AuxGenerator, HighResGenerator, lambda **o: StarGenerator(3, **o)])
def test_checkpointing_saves_memory_in_every_generator(build: Any) -> None:
    generator = build(width=8, blocks=6)
    plain = copy.deepcopy(generator)
    assert checkpoint_blocks(generator) == 6
    assert generator.state_dict().keys() == plain.state_dict().keys()
    condition = {AuxGenerator: torch.randn(1, 8), StarGenerator: torch.tensor([1])}.get(type(generator))
    inputs = [torch.randn(1, 3, 64, 64), *([] if condition is None else [condition])]
    assert saved_bytes(partial(generator, *inputs)) < 0.8 * saved_bytes(partial(plain, *inputs))
    torch.testing.assert_close(generator(*inputs), plain(*inputs), rtol=0, atol=0)


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="PatchDiscriminator has none"):
        checkpoint_blocks(PatchDiscriminator(width=4))


LABEL = torch.tensor([1, 0])
NETWORKS: dict[str, tuple[nn.Module, list[Tensor]]] = {
    "ResnetGenerator": (ResnetGenerator(width=8, blocks=2), []),
    "ResnetGenerator, resize": (ResnetGenerator(width=8, blocks=2, upsampling="resize"), []),
    "AuxGenerator, cin": (AuxGenerator(width=8, blocks=3), [torch.randn(2, 8)]),
    "AuxGenerator, concat": (AuxGenerator(width=8, blocks=3, injection="concat"), [torch.randn(2, 8)]),
    "AuxGenerator, concat_all": (AuxGenerator(width=8, blocks=3, injection="concat_all"), [torch.randn(2, 8)]),
    "HighResGenerator": (HighResGenerator(width=8, blocks=2, aux_channels=8), [torch.randn(2, 8)]),
    "StarGenerator": (StarGenerator(3, blocks=2, width=8), [LABEL]),
    "StarGenerator, embedded": (StarGenerator(3, blocks=2, width=8, label_embedding=4), [LABEL]),
    "PlainGenerator": (PlainGenerator(3), [LABEL]),
    "PatchDiscriminator": (PatchDiscriminator(width=8), []),
    "MultiscaleDiscriminator": (MultiscaleDiscriminator(width=8, layers=2), []),
    "DomainDiscriminator": (DomainDiscriminator(3, image_size=64, width=8), []),
    "AuxEncoder": (AuxEncoder(width=8), []),
}


def as_list(out: Any) -> list[Tensor]:
    return [out] if isinstance(out, Tensor) else list(out)


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_goes_through_without_a_copy_of_the_layout(name: str) -> None:
    """Every map of more than one channel that a convolution or a norm is given lies in the network's layout."""
    plain, condition = NETWORKS[name]
    network = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 64, 64)
    wrong: list[str] = []

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        maps = [t for t in (*inputs, *as_list(output)) if isinstance(t, Tensor) and t.ndim == 4]
        if not all(t.is_contiguous(memory_format=torch.channels_last) for t in maps):
            wrong.append(type(module).__name__)

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(look)
    out = network(x.contiguous(memory_format=torch.channels_last), *condition)
    assert wrong == []
    for found, expected in zip(as_list(out), as_list(plain(x, *condition)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in {"AuxGenerator, cin", "StarGenerator", "MultiscaleDiscriminator"}
        else pytest.param(name, marks=pytest.mark.slow)
        for name in NETWORKS
    ],
)
@pytest.mark.slow
def test_every_network_is_one_graph_with_its_gradient(name: str) -> None:
    torch._dynamo.reset()
    network, condition = NETWORKS[name]
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 64, 64, requires_grad=True)
    gradients = []
    for call in (network, compiled):
        total = torch.stack([out.square().mean() for out in as_list(call(x, *condition))]).sum()
        gradients.append(torch.autograd.grad(total, x)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
