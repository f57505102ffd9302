"""What discriminators are shown."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from asymkit import DiscriminatorAugmentation, DomainDiscriminator, PatchDiscriminator, frozen
from conftest import images_like

OFF: dict[str, Any] = {"brightness": 0, "saturation": 0, "contrast": 0, "translation": 0, "cutout": 0}


def only(**strengths: float) -> DiscriminatorAugmentation:
    return DiscriminatorAugmentation(**(OFF | strengths))


def test_colours_change_within_their_bounds() -> None:
    image = images_like(500, 3, 4, 4)
    shift = (only(brightness=0.5)(image) - image).flatten(1)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift))
    assert -0.5 < shift.min() < -0.45
    assert 0.45 < shift.max() < 0.5
    for strength, mean in (("saturation", image.mean(1, True)), ("contrast", image.mean((1, 2, 3), True))):
        factor = (only(**{strength: 0.7})(image) - mean) / (image - mean)
        torch.testing.assert_close(factor, factor[:, :1, :1, :1].expand_as(factor), rtol=1e-6, atol=1e-6)
        assert 0.3 < factor.min() < 0.35
        assert 1.65 < factor.max() < 1.7


def test_shifts_move_whole_images_and_zeros_come_in() -> None:
    image = images_like(200, 2, 16, 24)
    shifts: list[tuple[int, int]] = []
    for before, after in zip(image, only(translation=0.125)(image), strict=True):
        rows, columns = after.abs().sum((0, 2)).nonzero().flatten(), after.abs().sum((0, 1)).nonzero().flatten()
        for down in range(-2, 3):
            for right in range(-3, 4):
                there = torch.zeros_like(before)
                source = before[:, max(0, -down) : 16 - max(0, down), max(0, -right) : 24 - max(0, right)]
                there[:, max(0, down) : 16 + min(0, down), max(0, right) : 24 + min(0, right)] = source
                if torch.equal(there, after):
                    shifts.append((down, right))
        assert len(rows) >= 14
        assert len(columns) >= 21
    assert len(shifts) == len(image)  # each is one of them
    assert len(set(shifts)) == 5 * 7


def test_holes_are_squares_of_the_side() -> None:
    image = 1 + torch.rand(300, 1, 16, 16)
    holes = only(cutout=0.5)(image) == 0
    sizes = {(int(hole.any(1).sum()), int(hole.any(0).sum())) for hole in holes[:, 0]}
    assert max(sizes) == (8, 8)
    assert all(int(hole.sum()) == int(hole.any(1).sum()) * int(hole.any(0).sum()) for hole in holes[:, 0])
    assert holes.any(0).all()  # it comes everywhere
    rows = [hole.any(1).nonzero().flatten().tolist() for hole in holes[:, 0]]
    begins = {seen[0] if seen[0] > 0 else seen[-1] - 7 for seen in rows}
    assert begins == set(range(-4, 13))  # with its middle anywhere from edge to edge


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_are_right(channels: int) -> None:
    image = images_like(2, channels, 6, 7).requires_grad_()
    augmentation = DiscriminatorAugmentation()

    def seeded(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        changed: torch.Tensor = augmentation(x)
        return changed

    assert torch.autograd.gradcheck(seeded, (image,))


def test_a_discriminator_sees_changed_images_in_both_steps_and_keeps_its_names() -> None:
    discriminator, image = PatchDiscriminator(width=4), torch.randn(2, 3, 32, 32, requires_grad=True)
    names, plain = list(discriminator.state_dict()), discriminator(image)
    handle = DiscriminatorAugmentation().attach(discriminator)
    with frozen(discriminator):
        score = discriminator(image)
        assert not torch.equal(score, plain)
        score.sum().backward()
    assert image.grad is not None
    assert list(discriminator.state_dict()) == names
    assert not torch.equal(discriminator(image=image), plain)
    pickle.loads(pickle.dumps(discriminator))
    handle.remove()
    assert torch.equal(discriminator(image), plain)
    domains = DomainDiscriminator(3, image_size=64, width=4)
    DiscriminatorAugmentation().attach(domains)
    assert domains(torch.randn(2, 3, 64, 64))[1].shape == (2, 3)


def test_off_is_off_and_mistakes_are_named() -> None:
    image = torch.randn(2, 3, 8, 8)
    assert torch.equal(only()(image), image)
    with pytest.raises(ValueError, match="cutout must be a number from 0 to 1, got 2"):
        DiscriminatorAugmentation(cutout=2)
    with pytest.raises(ValueError, match=r"brightness must be a number from 0 to 100, got -1"):
        DiscriminatorAugmentation(brightness=-1)
