"""z matters from the first step, before and after CycleGAN's code has started every network anew."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from published import init_weights
from support.data.images import bundled_photos
from torch import Tensor, nn

from asymkit import AuxDiscriminator, AuxEncoder, AuxGenerator, HighResGenerator, load_weights, save_weights
from asymkit.initialisation import HeDense, HeInitialised, HeKernel2d, init_normal
from asymkit.layers import HeKernel3x3

STARTS = [
    (16, None),
    (64, None),
    (16, "normal"),
    (64, "normal"),
    (16, "xavier"),
    (16, "kaiming"),
    (16, "orthogonal"),
]
"""Width, and CycleGAN's --init_type; None for the library's own start."""

GENERATORS: dict[str, Callable[[int], AuxGenerator | HighResGenerator]] = {
    "cin": lambda width: AuxGenerator(width=width),
    "cin, long z": lambda width: AuxGenerator(width=width, aux_channels=64),
    "concat": lambda width: AuxGenerator(width=width, injection="concat"),
    "concat, spatial": lambda width: AuxGenerator(width=width, injection="concat", spatial=True),
    "concat_all": lambda width: AuxGenerator(width=width, injection="concat_all"),
    "cin_all": lambda width: AuxGenerator(width=width, injection="cin_all"),
    "high resolution": lambda width: HighResGenerator(width=width, aux_channels=8, blocks=3),
}


def photographs(side: int) -> Tensor:
    """Two crops of each of the bundled photographs."""
    crops = []
    for photo in bundled_photos():
        for corner in (0, min(photo.size) // 3):
            box = (corner, corner, corner + min(photo.size) * 2 // 3, corner + min(photo.size) * 2 // 3)
            crops.append(np.array(photo.convert("RGB").crop(box).resize((side, side))))
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) / 127.5 - 1


def started(network: nn.Module, init_type: str | None) -> nn.Module:
    if init_type is not None:
        init_weights(network, init_type)
    return network.eval()


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize(("width", "init_type"), STARTS)
def test_codes_of_photographs_are_of_the_size_of_z(width: int, init_type: str | None, pooled: bool) -> None:
    """N(0, 0.02) everywhere gave 1e-4 at width 16 and 4e-3 at width 64, and 0.2 to 0.5 for the map of codes."""
    encoder = started(AuxEncoder(width=width, pooled=pooled), init_type)
    with torch.no_grad():
        codes = encoder(photographs(48))
    assert 0.2 < codes.std() < 5
    assert 0.2 < codes.std(0).mean() < 5


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize(("width", "init_type"), STARTS)
def test_two_z_give_two_pictures(width: int, init_type: str | None, kind: str) -> None:
    """N(0, 0.02) everywhere gave 0.14 to 0.19 of a picture's standard deviation by conditional norms, 0.16 to 0.33 by concat."""
    generator = GENERATORS[kind](width)
    started(generator, init_type)
    grey = photographs(32)[::4].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    size = ((4, 4),) if kind == "concat, spatial" else ()
    with torch.no_grad():
        one, other = (generator(grey, generator.sample_aux(len(grey), *size)) for _ in range(2))
    assert (one - other).abs().mean() > 0.2 * one.std()


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize(("width", "init_type"), STARTS)
def test_the_discriminator_of_z_tells_codes_apart(width: int, init_type: str | None, spatial: bool) -> None:
    discriminator = started(AuxDiscriminator(8, spatial=spatial, width=width), init_type)
    with torch.no_grad():
        assert 0.2 < discriminator(torch.randn(64, 8, *((8, 8) if spatial else ()))).std() < 5


def test_gamma_and_beta_have_unit_variance_over_z() -> None:
    for length in (4, 128):
        generator = AuxGenerator(width=16, aux_channels=length)
        affine = [m for name, m in generator.named_modules() if name.endswith(("gamma", "beta"))]
        assert len(affine) == 12
        values = torch.stack([m(torch.randn(200, length)) for m in affine])
        assert values.std().item() == pytest.approx(1, rel=0.1)
        assert not any(p.any() for m in affine for name, p in m.named_parameters() if name == "bias")


def test_concatenated_inputs_count_alike() -> None:
    """However many channels each has."""
    kernel = HeKernel2d(256 + 4, 64, kernel_size=1, joined=(256, 4))
    image, z = torch.randn(4, 256, 8, 8), torch.randn(4, 4, 8, 8)
    parts = [kernel(torch.cat(pair, dim=1)).std() for pair in ((image, 0 * z), (0 * image, z))]
    assert parts[0].item() == pytest.approx(parts[1].item(), rel=0.5)
    assert parts[0].item() == pytest.approx(2**0.5, rel=0.1)


def test_such_layers_are_pytorchs_in_all_but_name_and_start() -> None:
    layers = (HeKernel2d(4, 4, 3, padding=1), HeKernel3x3(4, 4, padding_mode="reflect"), HeDense(4, 4))
    for layer in layers:
        plain = nn.Linear(4, 4) if isinstance(layer, nn.Linear) else nn.Conv2d(4, 4, 3, padding=1)
        if isinstance(layer, HeKernel3x3):
            plain = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        plain.load_state_dict(layer.state_dict())
        x = torch.randn(2, 4) if isinstance(layer, nn.Linear) else torch.randn(2, 4, 6, 6)
        torch.testing.assert_close(layer(x), plain(x))
        for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(copied(x), layer(x))
        assert not any(word in type(layer).__name__ for word in ("Conv", "Linear", "BatchNorm2d"))


def test_cyclegans_initialisation_of_our_own_keeps_them_too() -> None:
    encoder = AuxEncoder(width=8)
    before = copy.deepcopy(encoder.state_dict())
    init_normal(encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    layers = [m for m in encoder.modules() if isinstance(m, HeInitialised)]
    layers[0].reset_parameters()
    assert not torch.equal(layers[0].weight, before["down.0.0.weight"])


def test_weights_mean_what_they_do_in_pytorchs_layers(tmp_path: Path) -> None:
    """There is no gain in forward: files of versions whose layers started otherwise give the codes that they gave."""
    encoder, x = AuxEncoder(width=4), torch.rand(2, 3, 32, 32)
    save_weights(encoder, tmp_path / "encoder.pth")
    other = AuxEncoder(width=4)
    load_weights(other, tmp_path / "encoder.pth")
    assert torch.equal(encoder(x), other(x))
    state = encoder.state_dict()
    assert {"down.3.0.weight", "blocks.2.conv2.bias", "to_aux.weight"} <= state.keys()
    padded = nn.functional.pad(x, (3, 3, 3, 3), mode="reflect")
    expected = nn.functional.conv2d(padded, state["down.0.0.weight"], state["down.0.0.bias"]).relu()
    torch.testing.assert_close(encoder.down[:1](x), expected)
