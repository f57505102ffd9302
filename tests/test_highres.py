from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from asymkit import HighResGenerator, MultiscaleDiscriminator, PatchDiscriminator


def conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def test_the_paper_layers_are_there() -> None:
    blocks = 8 * 2 * conv(256, 256, 3)
    down = conv(3, 64, 7) + conv(64, 128, 4) + conv(128, 256, 4) + conv(256, 256, 4)
    up = conv(256, 256, 4) + conv(256, 128, 4) + conv(128, 64, 4) + conv(64, 3, 7)
    assert sum(p.numel() for p in HighResGenerator().parameters()) == down + blocks + up
    scales = 16 * 2 * (2 * 256 + 2)  # z of 16 to scale and shift of 2 norms: one linear layer each
    with_z = HighResGenerator(width=64, aux_channels=16)
    per_block = sum(p.numel() for p in with_z.blocks[0].parameters()) - 2 * conv(256, 256, 3)
    assert per_block >= scales // 2


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_size_stays_and_z_matters(upsampling: Any) -> None:
    generator = HighResGenerator(width=4, blocks=2, aux_channels=6, upsampling=upsampling)
    image = torch.randn(2, 3, 24, 40).tanh()
    a, b = (generator(image, generator.sample_aux(2)) for _ in range(2))
    assert a.shape == image.shape
    assert (a - b).abs().mean() > 1e-3
    assert not torch.equal(generator(image), generator(image))  # z is sampled where none is given


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


def test_each_scale_is_a_critic_of_half_the_size() -> None:
    critic = MultiscaleDiscriminator(scales=3, layers=1, width=4)
    image = torch.randn(2, 3, 32, 32)
    scores = critic(image)
    assert all(isinstance(part, PatchDiscriminator) for part in critic.critics)
    half = F.avg_pool2d(F.pad(image, (1, 1, 1, 1)), 3, 2) / F.avg_pool2d(
        F.pad(torch.ones_like(image), (1, 1, 1, 1)), 3, 2
    )
    torch.testing.assert_close(scores[1], critic.critics[1](half))
    assert len(scores) == 3


def test_too_small_for_the_smallest_scale_is_refused() -> None:
    critic = MultiscaleDiscriminator(width=4)
    assert [tuple(score.shape) for score in critic(torch.zeros(1, 3, 96, 96))]
    with pytest.raises(ValueError, match="96"):
        critic(torch.zeros(1, 3, 95, 96))
    with pytest.raises(ValueError, match="scales"):
        MultiscaleDiscriminator(scales=0)
