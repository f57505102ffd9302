from __future__ import annotations

import pytest
import reference
import torch
from torch import Tensor

from asymkit import ops
from conftest import images_like


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (2, 4, 5, 6), (3, 2, 1, 7)])
def test_gram_is_the_equation(shape: tuple[int, int, int, int]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    gram = ops.gram_matrix(x)
    torch.testing.assert_close(gram, reference.gram_matrix(x))
    torch.testing.assert_close(gram, gram.mT)


def test_gram_gradient() -> None:
    assert torch.autograd.gradcheck(ops.gram_matrix, torch.randn(2, 3, 4, 4).double().requires_grad_())


def test_gram_does_not_overflow_in_half_precision() -> None:
    x = (200 * torch.rand(1, 4, 64, 64)).half()
    gram = ops.gram_matrix(x)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram.double(), ops.gram_matrix(x.double()), rtol=1e-5, atol=1e-3)


def test_gram_is_float32_under_autocast() -> None:
    x = torch.randn(1, 8, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = ops.gram_matrix(x)
    torch.testing.assert_close(gram, ops.gram_matrix(x), rtol=0, atol=0)


@pytest.mark.parametrize("value_range", [(-1, 1), (0, 1), (0, 255)])
def test_entropy_is_the_equation(images: Tensor, value_range: tuple[float, float]) -> None:
    low, high = value_range
    x = (images + 1) / 2 * (high - low) + low
    torch.testing.assert_close(ops.shannon_entropy(x, value_range), reference.shannon_entropy(x, value_range))


def test_entropy_of_known_histograms() -> None:
    levels = torch.arange(256).float().view(1, 1, 16, 16)
    assert ops.shannon_entropy(levels, (0, 255)).tolist() == [8.0]
    assert ops.shannon_entropy(torch.full((2, 3, 9, 9), 0.3)).tolist() == [0.0, 0.0]
    assert ops.shannon_entropy(torch.full((1, 1, 4, 4), torch.nan)).isnan().all()


def test_grey_photos_are_poorer_than_coloured_ones() -> None:
    x = images_like(4, 3, 64, 64)
    flat = (x * 2).round() / 2
    assert bool((ops.shannon_entropy(flat) < ops.shannon_entropy(x)).all())


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="features must be a batch of images"):
        ops.gram_matrix(torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"images must be floating point, got torch\.uint8"):
        ops.shannon_entropy(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="value_range must be"):
        ops.shannon_entropy(torch.zeros(1, 3, 4, 4), (1, 0))


def test_entropy_counts_beyond_what_float32_can() -> None:
    assert ops.shannon_entropy(torch.zeros(1, 1, 4200, 4200)).item() == 0
