"""Published layouts in and out, and what is said where they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import published
import pytest
import torch
from published import lively
from torch import Tensor, nn

import asymkit
from asymkit import (
    AuxGenerator,
    DualGenerator,
    HighResGenerator,
    ResnetGenerator,
    StarGenerator,
    load_asymmetricgan_generators,
    load_cyclegan_discriminator,
    load_cyclegan_generator,
    load_stargan_discriminator,
    load_stargan_generator,
    to_published,
)

Case = tuple[Callable[[bool], nn.Module], Callable[[Any], nn.Module], dict[str, Any]]


def second(network: nn.Module) -> DualGenerator:
    """As Gʳ beside some Gᵗ."""
    return load_asymmetricgan_generators(published.StarGANGenerator(width=4).state_dict(), network.state_dict())


CASES: dict[str, Case] = {
    f"CycleGAN, {blocks} blocks{', dropout' if dropout else ''}": (
        lambda statistics, blocks=blocks, dropout=dropout: published.CycleGANGenerator(  # type: ignore[misc]
            width=16, blocks=blocks, dropout=dropout, statistics=statistics
        ),
        load_cyclegan_generator,
        {"dropout": dropout},
    )
    for blocks in (6, 9)
    for dropout in (False, True)
}
CASES |= {
    "CycleGAN, grey to colour": (
        lambda statistics: published.CycleGANGenerator(1, 3, 8, 2, statistics=statistics),
        load_cyclegan_generator,
        {},
    ),
    "PatchGAN, 3 layers": (
        lambda statistics: published.PatchGAN(width=16, statistics=statistics),
        load_cyclegan_discriminator,
        {},
    ),
    "PatchGAN, 5 layers, 9 channels": (
        lambda statistics: published.PatchGAN(9, 8, 5, statistics),
        load_cyclegan_discriminator,
        {},
    ),
    "StarGAN, 6 blocks": (
        lambda statistics: published.StarGANGenerator(width=16, statistics=statistics),
        load_stargan_generator,
        {},
    ),
    "StarGAN discriminator": (lambda _: published.StarGANDiscriminator(64, 8), load_stargan_discriminator, {}),
    "AsymmetricGAN I": (
        lambda statistics: published.PlainGAN(statistics=statistics),
        lambda state: (
            load_asymmetricgan_generators(published.StarGANGenerator(width=4).state_dict(), state).reconstructor
        ),
        {},
    ),
    "AsymmetricGAN II": (
        lambda statistics: published.StarGANGenerator(width=16, blocks=0, statistics=statistics),
        lambda state: (
            load_asymmetricgan_generators(published.StarGANGenerator(width=4).state_dict(), state).reconstructor
        ),
        {},
    ),
    "AsymmetricGAN II as released, 2 blocks": (
        lambda statistics: published.StarGANGenerator(width=16, blocks=2, statistics=statistics),
        lambda state: (
            load_asymmetricgan_generators(published.StarGANGenerator(width=4).state_dict(), state).reconstructor
        ),
        {},
    ),
    "AsymmetricGAN III": (
        lambda statistics: published.StarGANGenerator(width=16, statistics=statistics),
        lambda state: load_asymmetricgan_generators(state, published.PlainGAN().state_dict()).translator,
        {},
    ),
    "AsymmetricGAN supervised": (
        lambda statistics: published.CycleGANGenerator(6, 3, 16, 9, dropout=True, statistics=statistics),
        lambda state: (
            load_asymmetricgan_generators(
                state, published.CycleGANGenerator(6, 3, 4, 9, dropout=True).state_dict()
            ).translator
        ),
        {"dropout": True},
    ),
}


def inputs_of(network: nn.Module) -> tuple[Tensor, ...]:
    channels = next(network.parameters()).shape[1]
    if isinstance(network, published.StarGANGenerator | published.PlainGAN):
        return torch.rand(2, 3, 64, 64) * 2 - 1, torch.eye(5)[:2]
    size = 192 if isinstance(network, published.PatchGAN) else 64
    return (torch.rand(2, channels, size, size) * 2 - 1,)


def without_dropout(network: nn.Module) -> nn.Module:
    """As it translates: norms by the image's own statistics, dropout off."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return network


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_checkpoints_translate_alike_and_go_back(name: str, statistics: bool, prefix: str) -> None:
    build, load, options = CASES[name]
    network = without_dropout(lively(build(statistics)))
    ours = load({prefix + key: value for key, value in network.state_dict().items()})
    inputs = [x.double() for x in inputs_of(network)]  # float32 would add its own noise
    ours, network = ours.double(), network.double()
    with torch.no_grad():
        found, wanted = ours(*inputs), network(*inputs)
    for mine, theirs in zip(*((x,) if isinstance(x, Tensor) else x for x in (found, wanted)), strict=True):
        assert theirs.std() > 0.02
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)

    back = to_published(ours, running_statistics=statistics, **options)
    other = build(statistics).double()
    other.load_state_dict(back)
    for key, value in network.named_parameters():
        assert torch.equal(back[key], value), key
    with torch.no_grad():
        torch.testing.assert_close(without_dropout(other)(*inputs), wanted, rtol=0, atol=0)


def test_published_code_gets_the_statistics_it_asks_for() -> None:
    published.StarGANGenerator(width=4).load_state_dict(to_published(StarGenerator(5, width=4)))
    published.CycleGANGenerator(width=4).load_state_dict(to_published(ResnetGenerator(width=4)))
    published.PlainGAN().load_state_dict(to_published(asymkit.PlainGenerator(5)))


def cyclegan() -> dict[str, Tensor]:
    return published.CycleGANGenerator(width=4, blocks=6).state_dict()


def without(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


UNET = {"model.model.0.weight": torch.zeros(64, 3, 4, 4), "model.model.1.model.1.weight": torch.zeros(128, 64, 4, 4)}


@pytest.mark.parametrize(
    ("load", "state", "message"),
    [
        (
            load_cyclegan_generator,
            lambda: published.PatchGAN(width=4).state_dict(),
            "no CycleGAN generator, it is CycleGAN's PatchGAN with 3 stride-2 layers; use asymkit.load_cyclegan_discriminator",
        ),
        (
            load_stargan_generator,
            lambda: published.PlainGAN().state_dict(),
            "it is AsymmetricGAN's architecture I; use asymkit.load_asymmetricgan_generators",
        ),
        (
            load_stargan_discriminator,
            lambda: published.StarGANGenerator(width=4).state_dict(),
            "load_stargan_generator",
        ),
        (
            load_cyclegan_generator,
            lambda: UNET,
            r"no CycleGAN generator, nor another network that is known here; its keys are 'model.model.0.weight', 'model.model.1",
        ),
        (
            load_cyclegan_generator,
            lambda: without(cyclegan(), "model.13.conv_block.5.bias"),
            "ResNet generator with 6 blocks comes nearest, with 35 of its 36 keys; "
            "the first differing key is 'model.13.conv_block.5.bias', which is missing",
        ),
        (
            load_cyclegan_generator,
            lambda: (
                published.CycleGANGenerator(width=4, blocks=6).state_dict()
                | {"model.2.weight": torch.ones(4), "model.2.running_var": torch.ones(4)}
            ),
            "key is 'model.2.weight', which does not belong there; it may have been trained with batch norm",
        ),
        (
            load_cyclegan_discriminator,
            lambda: (
                published.PatchGAN(width=4).state_dict()
                | {f"model.{norm}.{part}": torch.ones(8) for norm in (3, 6, 9) for part in ("weight", "bias")}
            ),
            "PatchGAN with 3 stride-2 layers comes nearest, with 10 of its 10 keys; .* trained with batch norm",
        ),
        (
            load_cyclegan_discriminator,
            lambda: published.PatchGAN(width=4).state_dict() | {"model.0.weight": torch.ones(4)},
            r"'model.0.weight' is of shape \(4,\), expected the four dimensions of a convolution's weight",
        ),
        (
            load_cyclegan_generator,
            lambda: (
                published.CycleGANGenerator(width=4, blocks=6).state_dict()
                | {"model.11.conv_block.1.weight": torch.ones(16, 16, 5, 5)}
            ),
            r"keys are those of .* 6 blocks, but the first differing key is 'model.11.conv_block.1.weight', "
            r"of shape \(16, 16, 5, 5\) instead of \(16, 16, 3, 3\)",
        ),
        (
            load_cyclegan_generator,
            lambda: AuxGenerator(width=4).state_dict(),
            "no CycleGAN generator, it is asymkit's AuxGenerator; use asymkit.load_network",
        ),
        (
            load_stargan_generator,
            lambda: without(ResnetGenerator(width=4).state_dict(), "to_image.bias"),
            "its names are those of asymkit's ResnetGenerator, but the first differing key is 'to_image.bias', which is missing",
        ),
        (
            load_cyclegan_generator,
            lambda: {f"netD.{key}": value for key, value in published.PatchGAN(width=4).state_dict().items()},
            "but holds other networks: 'netD' is CycleGAN's PatchGAN with 3 stride-2 layers; use asymkit.load_cyclegan_disc",
        ),
        (
            load_cyclegan_discriminator,
            lambda: {"model.0.weight": torch.ones(4, 3, 4, 4), "model.3000000.weight": torch.ones(1)},
            "PatchGAN with 0 stride-2 layers comes nearest, with 1 of its 4 keys; .*'model.3000000.weight', which does not bel",
        ),
        (load_stargan_discriminator, dict, r"no StarGAN discriminator: it has no tensors, it holds nothing"),
    ],
)
def test_other_architectures_are_named(load: Any, state: Callable[[], dict[str, Tensor]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(state())


@pytest.mark.parametrize(
    "module",
    [
        AuxGenerator(width=4),
        HighResGenerator(width=4),
        ResnetGenerator(width=4, upsampling="resize"),
        ResnetGenerator(width=4, skip=True),
        StarGenerator(3, width=4, label_embedding=8),
        asymkit.PlainGenerator(3, label_embedding=8),
        nn.Linear(1, 1),
    ],
)
def test_what_no_published_code_has_does_not_go_back(module: nn.Module) -> None:
    with pytest.raises(ValueError, match=f"no published code has this {type(module).__name__}"):
        to_published(module)
