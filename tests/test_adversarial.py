from __future__ import annotations

from typing import Any

import pytest
import reference
import torch
from torch import Tensor

from asymkit import LeastSquaresLoss, LogisticLoss, PatchDiscriminator, WassersteinLoss, gradient_penalty

LOSSES = [
    (LeastSquaresLoss(), reference.least_squares),
    (LogisticLoss(), reference.logistic),
    (WassersteinLoss(), reference.wasserstein),
]


@pytest.mark.parametrize(("loss", "equation"), LOSSES, ids=["least squares", "logistic", "Wasserstein"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 1, 6, 5)])
def test_is_the_equation(loss: Any, equation: Any, shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    assert loss(real, True).item() == pytest.approx(equation(real, True))
    assert loss(fake, False).item() == pytest.approx(equation(fake, False))
    assert loss.generator_loss(fake).item() == pytest.approx(equation(fake, True))
    assert loss.discriminator_loss(real, fake).item() == pytest.approx(equation(real, True) + equation(fake, False))
    assert torch.autograd.gradcheck(loss.generator_loss, fake.requires_grad_())
    assert torch.autograd.gradcheck(loss.discriminator_loss, (real.requires_grad_(), fake))


@pytest.mark.parametrize("loss", [LeastSquaresLoss(), LogisticLoss(), WassersteinLoss()])
def test_scales_are_averaged_however_deep(loss: Any) -> None:
    scores = [torch.randn(1, 1, 4, 4), torch.randn(1, 1, 2, 2), torch.randn(1, 1, 1, 1)]
    values = [loss(s, True) for s in scores]
    torch.testing.assert_close(loss(scores, True), torch.stack(values).mean())
    nested: Any = [[scores[0]], [scores[1], scores[2]]]
    torch.testing.assert_close(loss(nested, True), (values[0] + (values[1] + values[2]) / 2) / 2)


def test_halves_in_float32_out_and_extreme_logits_stay_finite() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        scores: Tensor = torch.tensor([[300.0], [-300.0]], dtype=dtype, requires_grad=True)
        for loss in (LeastSquaresLoss(), LogisticLoss(), WassersteinLoss()):
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


@pytest.mark.parametrize("loss", [LeastSquaresLoss(), LogisticLoss(), WassersteinLoss()])
@pytest.mark.parametrize("target", [0.9, 1, "real", torch.ones(1)])
def test_a_target_is_real_or_it_is_not(loss: Any, target: Any) -> None:
    with pytest.raises(ValueError, match="target_is_real must be True or False"):
        loss(torch.zeros(2, 1), target)


def test_the_gradient_penalty_is_its_formula() -> None:
    """Of D(x) = w · x the gradient is w everywhere; a second derivative by the weights is taken through it."""
    w = torch.randn(3, 8, 8, dtype=torch.float64, requires_grad=True)
    real, fake = torch.rand(2, 4, 3, 8, 8, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (w * x).sum((1, 2, 3)), real, fake)
    torch.testing.assert_close(penalty, (w.norm() - 1).square())
    penalty.backward()
    torch.testing.assert_close(w.grad, (2 * (w.norm() - 1) * w / w.norm()).detach())
    # between the images, and nowhere else: one share for each image
    seen: list[Tensor] = []
    gradient_penalty(lambda x: (seen.append(x), x.sum((1, 2, 3)))[1], real, fake.requires_grad_())  # type: ignore[func-returns-value]
    share = (seen[0] - fake) / (real - fake)
    torch.testing.assert_close(share, share[:, :1, :1, :1].expand_as(share), atol=1e-8, rtol=0)
    assert len(share[:, 0, 0, 0].unique()) == 4
    assert share[:, 0, 0, 0].std() > 1e-3  # not one share for all, which rounding would make look like four
    assert ((share >= 0) & (share <= 1)).all()
    assert fake.grad is None


def test_a_penalty_needs_scores_and_two_batches_of_one_shape() -> None:
    image = torch.rand(2, 3, 32, 32)
    with pytest.raises(ValueError, match="real and fake must have the same shape"):
        gradient_penalty(PatchDiscriminator(width=4, layers=1), image, image[:1])
    with pytest.raises(ValueError, match="must give a tensor of scores, got tuple"):
        gradient_penalty(lambda x: (x, x), image, image)  # type: ignore[arg-type, return-value]
