from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    HighResGenerator,
    LogisticLoss,
    MultiscaleDiscriminator,
    PatchDiscriminator,
    ResnetGenerator,
    frozen,
)
from asymkit.objectives import asyncgan

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}


def parts(aux: int | None = None) -> tuple[asyncgan.Translators, asyncgan.Discriminators]:
    poor_to_rich: nn.Module = ResnetGenerator(**SMALL) if aux is None else AuxGenerator(**SMALL, aux_channels=aux)
    encoder = None if aux is None else AuxEncoder(aux_channels=aux, width=4)
    of_z = None if aux is None else AuxDiscriminator(aux)
    discriminators = asyncgan.Discriminators(
        PatchDiscriminator(width=4, layers=1), PatchDiscriminator(width=4, layers=1), of_z
    )
    return asyncgan.Translators(ResnetGenerator(**SMALL), poor_to_rich, encoder), discriminators


def photos(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 16, 16).tanh()


def pairs_of(model: asyncgan.Translators, x: Tensor) -> asyncgan.PseudoPairs:
    return cast(asyncgan.PseudoPairs, model(x, phase="partial"))


def test_a_joint_step_is_cyclegans() -> None:
    model, discriminators = parts()
    x, y = photos(), photos()
    terms = asyncgan.joint_generator_terms(model(x, y), discriminators)
    to_poor, to_rich = model.rich_to_poor, model.poor_to_rich
    poor, rich = to_poor(x), to_rich(y)
    expected = {
        "adversarial_poor": (discriminators.poor(poor) - 1).square().mean(),
        "adversarial_rich": (discriminators.rich(rich) - 1).square().mean(),
        "cycle_rich": (to_rich(poor) - x).abs().mean(),
        "cycle_poor": (to_poor(rich) - y).abs().mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    total = sum(value * (10 if "cycle" in name else 1) for name, value in expected.items())
    torch.testing.assert_close(asyncgan.Weights().total(terms), total)  # Eq. 3, λ = 10


def test_a_partial_step_is_equation_4() -> None:
    model, discriminators = parts()
    x = photos()
    pairs = pairs_of(model, x)
    with torch.no_grad():
        poor = model.rich_to_poor(x)
    rich = model.poor_to_rich(poor)
    torch.testing.assert_close(pairs.poor, poor)
    terms = asyncgan.partial_generator_terms(pairs, discriminators)
    adversarial, pixels = (discriminators.rich(rich) - 1).square().mean(), (rich - x).abs().mean()
    torch.testing.assert_close(terms, {"adversarial_rich": adversarial, "pseudo": pixels})
    torch.testing.assert_close(asyncgan.Weights().total(terms), adversarial + 10 * pixels)  # γ = 10
    found = asyncgan.partial_discriminator_terms(pairs.detach(), discriminators)
    expected = (discriminators.rich(x) - 1).square().mean() + discriminators.rich(rich).square().mean()
    torch.testing.assert_close(found, {"adversarial_rich": expected})


def test_a_term_of_weight_zero_is_not_computed() -> None:
    model, discriminators = parts(aux=5)
    pairs = pairs_of(model, photos())
    terms = asyncgan.partial_generator_terms(pairs, discriminators)
    for name in terms:
        weights = asyncgan.Weights(**{name: 0.0})
        assert asyncgan.partial_generator_terms(pairs, discriminators, weights=weights).keys() == terms.keys() - {name}
    with pytest.raises(ValueError, match="weights must be Weights"):
        asyncgan.partial_generator_terms(pairs, discriminators, weights={"pseudo": 0.0})  # type: ignore[arg-type]


def test_only_the_hard_direction_and_its_discriminator_get_gradients() -> None:
    model, discriminators = parts()
    pairs = pairs_of(model, photos())
    with frozen(discriminators):
        asyncgan.Weights().total(asyncgan.partial_generator_terms(pairs, discriminators)).backward()
    asyncgan.Weights().total(asyncgan.partial_discriminator_terms(pairs.detach(), discriminators)).backward()
    for module, trains in (
        (model.rich_to_poor, False),
        (discriminators.poor, False),
        (model.poor_to_rich, True),
        (discriminators.rich, True),
    ):
        assert all((p.grad is not None) == trains for p in module.parameters())
        assert not trains or any(p.grad.abs().sum() > 0 for p in module.parameters() if p.grad is not None)


def test_the_pseudo_pair_carries_no_graph() -> None:
    model, _ = parts()
    x = photos().requires_grad_()
    poor, same = asyncgan.pseudo_pair(model.rich_to_poor, x)
    assert same is x
    assert not poor.requires_grad
    assert not pairs_of(model, x).poor.requires_grad


def test_with_z_the_pair_uses_the_encoded_one_and_sampled_ones_only_fool_the_discriminator() -> None:
    model, discriminators = parts(aux=5)
    x, z = photos(), torch.randn(2, 5)
    pairs = cast(asyncgan.PseudoPairs, model(x, z=z, phase="partial"))
    assert model.encoder is not None
    assert discriminators.aux is not None
    code = model.encoder(x)
    rebuilt, sampled = model.poor_to_rich(pairs.poor, code), model.poor_to_rich(pairs.poor, z)
    torch.testing.assert_close((pairs.rebuilt, pairs.rebuilt_resampled), (rebuilt, sampled))
    terms = asyncgan.partial_generator_terms(pairs, discriminators)
    expected = {
        "adversarial_rich": (
            (discriminators.rich(rebuilt) - 1).square().mean() + (discriminators.rich(sampled) - 1).square().mean()
        )
        / 2,
        "pseudo": (rebuilt - x).abs().mean(),
        "adversarial_aux": (discriminators.aux(code) - 1).square().mean(),
        "cycle_aux": (model.encoder(sampled) - z).abs().mean(),
    }
    torch.testing.assert_close(terms, expected)
    found = asyncgan.partial_discriminator_terms(pairs.detach(), discriminators)
    aux = (discriminators.aux(z) - 1).square().mean() + discriminators.aux(code).square().mean()
    torch.testing.assert_close(found["adversarial_aux"], aux)
    (gradient,) = torch.autograd.grad(terms["pseudo"], [next(model.encoder.parameters())])
    assert gradient.abs().sum() > 0  # E trains with the hard direction


def test_the_papers_networks_with_and_without_z() -> None:
    rich, poor = (MultiscaleDiscriminator(width=4, layers=1) for _ in range(2))
    discriminators = asyncgan.Discriminators(rich, poor, AuxDiscriminator(6))
    for aux in (None, 6):
        model = asyncgan.Translators(
            HighResGenerator(**SMALL),
            HighResGenerator(**SMALL, aux_channels=aux),
            None if aux is None else AuxEncoder(aux_channels=aux, width=4),
        )
        x, y = photos(), photos()
        for terms in (
            asyncgan.joint_generator_terms(model(x, y), discriminators),
            asyncgan.joint_discriminator_terms(model(x, y).detach(), discriminators),
            asyncgan.partial_generator_terms(pairs_of(model, x), discriminators, LogisticLoss()),
            asyncgan.partial_discriminator_terms(pairs_of(model, x).detach(), discriminators, LogisticLoss()),
        ):
            asyncgan.Weights().total(terms).backward()
            assert all(torch.isfinite(value) for value in terms.values())


def test_what_a_phase_cannot_use_is_refused() -> None:
    model, discriminators = parts()
    x = photos()
    with pytest.raises(ValueError, match=r"y is missing: a joint step needs poor images"):
        model(x)
    with pytest.raises(ValueError, match=r"y given, but a partial step makes its poor images itself"):
        model(x, x, phase="partial")
    with pytest.raises(ValueError, match="phase"):
        model(x, x, phase="half")
    with pytest.raises(ValueError, match="z given, but this model has no encoder"):
        model(x, z=torch.zeros(2, 5), phase="partial")
    with pytest.raises(ValueError, match="still carry the generators' graph"):
        asyncgan.partial_discriminator_terms(pairs_of(model, x), discriminators)
    with_z, _ = parts(aux=5)
    with pytest.raises(ValueError, match=r"shape of the encoder's codes, \(2, 5\), got \(2, 4\)"):
        with_z(x, z=torch.zeros(2, 4), phase="partial")
    with pytest.raises(ValueError, match="aux is missing"):
        asyncgan.partial_generator_terms(pairs_of(with_z, x), discriminators)
    with pytest.raises(ValueError, match="x must be"):
        asyncgan.pseudo_pair(model.rich_to_poor, torch.zeros(3, 16, 16))
