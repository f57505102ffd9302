from __future__ import annotations

from typing import Any

import pytest
import reference
import torch
from torch import Tensor

from asymkit import LeastSquaresLoss, LogisticLoss

LOSSES = [(LeastSquaresLoss(), reference.least_squares), (LogisticLoss(), reference.logistic)]


@pytest.mark.parametrize(("loss", "equation"), LOSSES, ids=["least squares", "logistic"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 1, 6, 5)])
def test_is_the_equation(loss: Any, equation: Any, shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    assert loss(real, True).item() == pytest.approx(equation(real, True))
    assert loss(fake, False).item() == pytest.approx(equation(fake, False))
    assert loss.generator_loss(fake).item() == pytest.approx(equation(fake, True))
    assert loss.discriminator_loss(real, fake).item() == pytest.approx(equation(real, True) + equation(fake, False))
    assert torch.autograd.gradcheck(loss.generator_loss, fake.requires_grad_())
    assert torch.autograd.gradcheck(loss.discriminator_loss, (real.requires_grad_(), fake))


@pytest.mark.parametrize("loss", [LeastSquaresLoss(), LogisticLoss()])
def test_scales_are_averaged_however_deep(loss: Any) -> None:
    scores = [torch.randn(1, 1, 4, 4), torch.randn(1, 1, 2, 2), torch.randn(1, 1, 1, 1)]
    values = [loss(s, True) for s in scores]
    torch.testing.assert_close(loss(scores, True), torch.stack(values).mean())
    nested: Any = [[scores[0]], [scores[1], scores[2]]]
    torch.testing.assert_close(loss(nested, True), (values[0] + (values[1] + values[2]) / 2) / 2)


def test_halves_in_float32_out_and_extreme_logits_stay_finite() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        scores: Tensor = torch.tensor([[300.0], [-300.0]], dtype=dtype, requires_grad=True)
        for loss in (LeastSquaresLoss(), LogisticLoss()):
            value = loss.discriminator_loss(scores, scores)
            value.backward()
            assert value.dtype == torch.float32
            assert torch.isfinite(value)
            assert scores.grad is not None
            assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("bad", [[], torch.zeros(2, 1).long(), torch.zeros(0, 1), 0.5, None])
def test_bad_scores_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="prediction must be"):
        LeastSquaresLoss()(bad, True)


@pytest.mark.parametrize("loss", [LeastSquaresLoss(), LogisticLoss()])
@pytest.mark.parametrize("target", [0.9, 1, "real", torch.ones(1)])
def test_a_target_is_real_or_it_is_not(loss: Any, target: Any) -> None:
    with pytest.raises(ValueError, match="target_is_real must be True or False"):
        loss(torch.zeros(2, 1), target)
