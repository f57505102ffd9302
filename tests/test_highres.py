from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from asymkit import HighResGenerator, MultiscaleDiscriminator, PatchDiscriminator


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def test_the_paper_layers_are_there() -> None:
    blocks = 8 * 2 * conv(256, 256, 3)
    down = conv(3, 64, 7) + conv(64, 128, 4) + conv(128, 256, 4) + conv(256, 256, 4)
    up = conv(256, 256, 4) + conv(256, 128, 4) + conv(128, 64, 4) + conv(64, 3, 7)
    assert sum(p.numel() for p in HighResGenerator().parameters()) == down + blocks + up
    with_z = HighResGenerator(width=64, aux_channels=16)
    linear = 16 * 256 + 256  # z of 16 to the scale or the shift of a norm
    for block in with_z.blocks:
        assert sum(p.numel() for p in block.parameters()) == 2 * conv(256, 256, 3) + 2 * 2 * linear
    assert len(with_z.blocks) == 8


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_size_stays_and_z_matters(upsampling: Any) -> None:
    generator = HighResGenerator(width=4, blocks=2, aux_channels=6, upsampling=upsampling)
    image = torch.randn(2, 3, 24, 40).tanh()
    a, b = (generator(image, generator.sample_aux(2)) for _ in range(2))
    assert a.shape == image.shape
    assert (a - b).abs().mean() > 1e-3
    assert not torch.equal(generator(image), generator(image))  # z is sampled where none is given


@pytest.mark.parametrize("aux", [None, 6])
def test_the_layers_follow_each_other(aux: int | None) -> None:
    """7×7, three of 4×4 and stride 2, blocks, three transposed ones of 4×4 and stride 2, 7×7, tanh [Async-GAN §IV-B]."""
    generator: Any = HighResGenerator(width=4, blocks=2, aux_channels=aux).double()
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=0.2)
    image, z = torch.randn(2, 3, 24, 40).double().tanh(), None if aux is None else torch.randn(2, aux).double()
    first, *down = (layer.conv for layer in generator.encoder)
    last = generator.to_image
    hidden = F.instance_norm(F.conv2d(F.pad(image, (3,) * 4, "reflect"), first.weight, first.bias)).relu()
    for conv in down:
        hidden = F.instance_norm(F.conv2d(hidden, conv.weight, conv.bias, stride=2, padding=1)).relu()
    for block in generator.blocks:
        hidden = block(hidden) if z is None else block(hidden, z)
    assert hidden.shape == (2, 16, 3, 5)
    for layer in generator.decoder:
        up = F.conv_transpose2d(hidden, layer.conv.weight, layer.conv.bias, stride=2, padding=1)
        hidden = F.instance_norm(up).relu()
    expected = F.conv2d(F.pad(hidden, (3,) * 4, "reflect"), last.weight, last.bias).tanh()
    torch.testing.assert_close(generator(image, z), expected)


def test_sampled_z_is_normally_distributed() -> None:
    z = HighResGenerator(width=4, blocks=1, aux_channels=100).sample_aux(200)
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1) < 0.03


def test_every_weight_learns() -> None:
    generator = HighResGenerator(width=4, blocks=2, aux_channels=6)
    generator(torch.randn(2, 3, 16, 16).tanh()).square().mean().backward()
    assert all(p.grad is not None for p in generator.parameters())


def test_wrong_input_is_refused() -> None:
    plain, with_z = HighResGenerator(width=4, blocks=1), HighResGenerator(width=4, blocks=1, aux_channels=6)
    with pytest.raises(ValueError, match="divisible by 8"):
        plain(torch.zeros(1, 3, 20, 24))
    with pytest.raises(ValueError, match="16"):
        plain(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="takes no z"):
        plain(torch.zeros(1, 3, 16, 16), torch.zeros(1, 6))
    with pytest.raises(ValueError, match="takes no z"):
        plain.sample_aux(1)
    with pytest.raises(ValueError, match=r"\(1, 6\)"):
        with_z(torch.zeros(1, 3, 16, 16), torch.zeros(1, 5))
    wrong: list[dict[str, Any]] = [{"blocks": 0}, {"width": 0}, {"aux_channels": 0}, {"upsampling": "bilinear"}]
    for change in wrong:
        with pytest.raises(ValueError, match=next(iter(change))):
            HighResGenerator(**{"width": 4, "blocks": 1, **change})


def test_each_scale_is_a_discriminator_of_half_the_size() -> None:
    discriminator = MultiscaleDiscriminator(scales=3, layers=1, width=4)
    image = torch.randn(2, 3, 32, 32)
    scores = discriminator(image)
    assert all(isinstance(part, PatchDiscriminator) for part in discriminator.discriminators)
    half = F.avg_pool2d(F.pad(image, (1, 1, 1, 1)), 3, 2) / F.avg_pool2d(
        F.pad(torch.ones_like(image), (1, 1, 1, 1)), 3, 2
    )
    torch.testing.assert_close(scores[1], discriminator.discriminators[1](half))
    assert len(scores) == 3


def test_too_small_for_the_smallest_scale_is_refused() -> None:
    discriminator = MultiscaleDiscriminator(width=4)
    assert [tuple(score.shape) for score in discriminator(torch.zeros(1, 3, 96, 96))] == [(1, 1, 4, 4), (1, 1, 1, 1)]
    with pytest.raises(ValueError, match="96"):
        discriminator(torch.zeros(1, 3, 95, 96))
    with pytest.raises(ValueError, match="scales"):
        MultiscaleDiscriminator(scales=0)
