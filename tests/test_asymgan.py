from __future__ import annotations

import copy
from typing import Any

import pytest
import reference
import torch
from torch import Tensor, nn

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    ContentLoss,
    GramStyleLoss,
    LogisticLoss,
    PatchDiscriminator,
    ResnetGenerator,
    VGGFeatures,
    frozen,
)
from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.terms import aux_l1, l1
from conftest import images_like

SMALL: dict[str, Any] = {"width": 4, "blocks": 3}
BASELINE = ["adversarial_poor", "adversarial_rich", "cycle_rich", "cycle_poor"]
BASE = ["adversarial_poor", "adversarial_rich", "adversarial_aux", "cycle_rich", "cycle_poor", "cycle_aux"]
EXTENDED = [*BASE, "adversarial_resampled", "adversarial_encoded", "content", "style", "total_variation"]


def translators(extended: bool = True, spatial: bool = False) -> asymgan.Translators:
    return asymgan.Translators(
        ResnetGenerator(**SMALL),
        AuxGenerator(**SMALL, injection="concat" if spatial else "cin", spatial=spatial),
        AuxEncoder(width=4, pooled=not spatial),
        extended=extended,
    ).double()


def build_discriminators(spatial: bool = False) -> asymgan.Discriminators:
    rich, poor = (PatchDiscriminator(width=4, layers=2) for _ in range(2))
    return asymgan.Discriminators(rich, poor, AuxDiscriminator(8, spatial=spatial, width=8)).double()


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    return images_like(2, 3, 32, 36), images_like(2, 3, 32, 36)


def perceptual() -> tuple[nn.Module, nn.Module]:
    return ContentLoss(VGGFeatures(["relu1_1"], None)).double(), GramStyleLoss(VGGFeatures(["relu1_1"], None)).double()


def test_the_cycles_are_those_of_the_figure(pair: tuple[Tensor, Tensor]) -> None:
    model, (x, y) = translators(), pair
    z = torch.randn(2, 8).double()
    g, f, e = model.rich_to_poor, model.poor_to_rich, model.encoder
    assert e is not None
    cycles = model(x, y, z)
    expected = {
        "fake_poor": g(x),
        "rebuilt_rich": f(g(x), e(x)),
        "fake_rich": f(y, z),
        "rebuilt_poor": g(f(y, z)),
        "encoded_z": e(x),
        "rebuilt_z": e(f(y, z)),
        "rebuilt_resampled": f(g(x), z),
        "fake_encoded": f(y, e(x)),
    }
    for name, tensor in expected.items():
        torch.testing.assert_close(getattr(cycles, name), tensor)
    assert cycles.x is x
    assert cycles.y is y
    assert cycles.z is z
    base = asymgan.Translators(g, f, e)(x, y, z)
    assert base.rebuilt_resampled is None
    assert base.fake_encoded is None
    torch.testing.assert_close(base.fake_rich, cycles.fake_rich)


@pytest.mark.parametrize("version", ["baseline", "base", "extended"])
def test_a_detached_rich_cycle_trains_no_g(pair: tuple[Tensor, Tensor], version: str) -> None:
    model, z = translators(), torch.randn(2, 8, dtype=torch.float64)
    g, f, e = model.rich_to_poor, model.poor_to_rich, model.encoder
    if version == "baseline":
        f, e = ResnetGenerator(**SMALL).double(), None
    given = None if e is None else z
    cycles, detached = (
        asymgan.Translators(g, f, e, extended=version == "extended", detach_fake_poor=flag)(*pair, given)
        for flag in (False, True)
    )
    for name, image in cycles._asdict().items():
        assert (getattr(detached, name) is None) == (image is None)
        if image is not None:
            torch.testing.assert_close(getattr(detached, name), image)
    ways = {"rebuilt_rich", "rebuilt_resampled"} & {
        name for name, image in cycles._asdict().items() if image is not None
    }
    for name in ways:
        for made, trains_g in ((cycles, True), (detached, False)):
            gradients = torch.autograd.grad(
                getattr(made, name).square().sum(),
                [*g.parameters(), *f.parameters()],
                retain_graph=True,
                allow_unused=True,
            )
            of_g, of_f = gradients[: len(list(g.parameters()))], gradients[len(list(g.parameters())) :]
            assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in of_f)
            assert any(gradient is not None for gradient in of_g) == trains_g
    for term in (detached.fake_poor, detached.rebuilt_poor):  # D_Y and the poor cycle train G as before
        assert torch.autograd.grad(term.square().sum(), next(g.parameters()), retain_graph=True)[0].abs().sum() > 0


def test_z_is_sampled_where_it_is_not_given(pair: tuple[Tensor, Tensor]) -> None:
    model = translators()
    one, other = model(*pair), model(*pair)
    assert one.z.shape == (2, 8)
    assert not torch.equal(one.fake_rich, other.fake_rich)
    torch.testing.assert_close(one.fake_poor, other.fake_poor)


class LongCodes(nn.Module):
    """An encoder with as many values as a distribution needs to be seen."""

    def forward(self, image: Tensor) -> Tensor:
        return image.new_zeros(len(image), 10_000)


class FirstOf(nn.Module):
    """A generator that ignores its z."""

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        return image


@pytest.mark.parametrize("phase", ["joint", "partial"])
def test_sampled_z_is_normally_distributed(pair: tuple[Tensor, Tensor], phase: Any) -> None:
    """[AsymGAN Eq. 7]: what D_Z takes for real."""
    model = asyncgan.Translators(nn.Identity(), FirstOf(), LongCodes())
    made = model(*pair) if phase == "joint" else model(pair[0], phase=phase)
    assert made.z is not None
    assert abs(made.z.mean()) < 0.03
    assert abs(made.z.std() - 1) < 0.03
    assert (made.z.abs() < 1).double().mean().item() == pytest.approx(0.683, abs=0.02)


def test_differences_of_codes_and_images_are_float32_or_wider() -> None:
    codes, images = torch.randn(2, 4, 1000).bfloat16(), torch.randn(2, 1, 3, 32, 32).bfloat16()
    for term, (made, original) in ((aux_l1, codes), (l1, images)):
        found = term(made, original)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(reference.mean_l1(made, original), rel=1e-5)


def test_a_z_of_another_type_is_brought_to_that_of_the_codes(pair: tuple[Tensor, Tensor]) -> None:
    model, z = translators(), torch.randn(2, 8)
    found, expected = model(*pair, z), model(*pair, z.double())
    assert found.z.dtype == torch.float64
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_generator_terms_are_the_equations(pair: tuple[Tensor, Tensor]) -> None:
    model, discriminators = translators(), build_discriminators()
    content, style = perceptual()
    cycles = model(*pair)
    terms = asymgan.generator_terms(cycles, discriminators, content, style)
    assert list(terms) == [n for n in EXTENDED if n in terms] + [n for n in terms if n not in EXTENDED]
    assert sorted(terms) == sorted(EXTENDED)

    def phi(image: Tensor) -> Tensor:
        maps: Tensor = content.get_submodule("features")(image)["relu1_1"]
        return maps

    assert discriminators.aux is not None
    made = ("fake_poor", "rebuilt_rich", "rebuilt_resampled", "fake_rich", "rebuilt_poor", "fake_encoded")
    images = [getattr(cycles, name) for name in made]
    expected = {
        "adversarial_poor": reference.least_squares(discriminators.poor(cycles.fake_poor), True),
        "adversarial_rich": reference.least_squares(discriminators.rich(cycles.fake_rich), True),
        "adversarial_aux": reference.least_squares(discriminators.aux(cycles.encoded_z), True),
        "cycle_rich": reference.mean_l1(cycles.rebuilt_rich, cycles.x),
        "cycle_poor": reference.mean_l1(cycles.rebuilt_poor, cycles.y),
        "cycle_aux": reference.mean_l1(cycles.rebuilt_z, cycles.z),
        "adversarial_resampled": reference.least_squares(discriminators.rich(cycles.rebuilt_resampled), True),
        "adversarial_encoded": reference.least_squares(discriminators.rich(cycles.fake_encoded), True),
        "content": reference.content(phi(cycles.fake_encoded), phi(cycles.y)),
        "style": reference.style(phi(cycles.fake_encoded), phi(cycles.x)),
        "total_variation": sum(reference.total_variation(image).mean().item() for image in images),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-6), name
    lambdas = [1, 1, 1, 10, 10, 10, 1, 1, 0.2, 0.1, 10]
    total = sum(weight * expected[name] for name, weight in zip(EXTENDED, lambdas, strict=True))
    assert asymgan.Weights().total(terms).item() == pytest.approx(total, rel=1e-6)


def test_discriminator_terms_are_the_equations(pair: tuple[Tensor, Tensor]) -> None:
    cycles, discriminators = translators()(*pair).detach(), build_discriminators()
    terms = asymgan.discriminator_terms(cycles, discriminators)
    assert discriminators.aux is not None
    real = reference.least_squares(discriminators.rich(cycles.x), True)
    expected = {
        "adversarial_poor": reference.least_squares(discriminators.poor(cycles.y), True)
        + reference.least_squares(discriminators.poor(cycles.fake_poor), False),
        "adversarial_rich": real + reference.least_squares(discriminators.rich(cycles.fake_rich), False),
        "adversarial_aux": reference.least_squares(discriminators.aux(cycles.z), True)
        + reference.least_squares(discriminators.aux(cycles.encoded_z), False),
        "adversarial_resampled": real + reference.least_squares(discriminators.rich(cycles.rebuilt_resampled), False),
        "adversarial_encoded": real + reference.least_squares(discriminators.rich(cycles.fake_encoded), False),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected)


def test_the_real_score_is_computed_once_and_weighted_one_plus_both_lambdas(pair: tuple[Tensor, Tensor]) -> None:
    cycles, discriminators = translators()(*pair).detach(), build_discriminators()
    calls: list[Tensor] = []
    discriminators.rich.register_forward_pre_hook(lambda _, args: calls.append(args[0]))
    weights = asymgan.Weights(adversarial_resampled=2.0, adversarial_encoded=3.0)
    total = weights.total(asymgan.discriminator_terms(cycles, discriminators))
    assert sum(image is cycles.x for image in calls) == 1
    assert len(calls) == 4
    aux_and_poor = asymgan.discriminator_terms(
        cycles._replace(rebuilt_resampled=None, fake_encoded=None), discriminators
    )
    real = reference.least_squares(discriminators.rich(cycles.x), True)
    fakes = 2 * reference.least_squares(discriminators.rich(cycles.rebuilt_resampled), False)
    fakes += 3 * reference.least_squares(discriminators.rich(cycles.fake_encoded), False)
    assert total.item() == pytest.approx(sum(t.item() for t in aux_and_poor.values()) + 5 * real + fakes)


def test_logistic_adversarial_terms(pair: tuple[Tensor, Tensor]) -> None:
    cycles, discriminators = translators()(*pair), build_discriminators()
    terms = asymgan.generator_terms(cycles, discriminators, adversarial=LogisticLoss())
    assert terms["adversarial_rich"].item() == pytest.approx(
        reference.logistic(discriminators.rich(cycles.fake_rich), True)
    )
    terms = asymgan.discriminator_terms(cycles.detach(), discriminators, LogisticLoss())
    expected = reference.logistic(discriminators.poor(cycles.y), True) + reference.logistic(
        discriminators.poor(cycles.fake_poor), False
    )
    assert terms["adversarial_poor"].item() == pytest.approx(expected)


def test_base_and_baseline_objectives(pair: tuple[Tensor, Tensor]) -> None:
    base = asymgan.generator_terms(translators(extended=False)(*pair), build_discriminators())
    assert sorted(base) == sorted(BASE)
    cyclegan = asymgan.Translators(ResnetGenerator(**SMALL), ResnetGenerator(**SMALL)).double()
    x, y = pair
    cycles = cyclegan(x, y)
    torch.testing.assert_close(cycles.rebuilt_rich, cyclegan.poor_to_rich(cyclegan.rich_to_poor(x)))
    discriminators = asymgan.Discriminators(*(PatchDiscriminator(width=4, layers=2) for _ in range(2))).double()
    terms = asymgan.generator_terms(cycles, discriminators)
    assert sorted(terms) == sorted(BASELINE)
    assert sorted(asymgan.discriminator_terms(cycles.detach(), discriminators)) == BASELINE[:2]
    expected = sum(terms[n].item() * w for n, w in zip(BASELINE, (1, 1, 10, 10), strict=True))
    assert asymgan.Weights().total(terms).item() == pytest.approx(expected)


def test_a_spatial_z_goes_through_both_loops() -> None:
    x, y = images_like(1, 3, 64, 72), images_like(1, 3, 64, 72)
    model, discriminators = translators(spatial=True), build_discriminators(spatial=True)
    cycles = model(x, y)
    assert cycles.z.shape == cycles.rebuilt_z.shape == (1, 8, 8, 9)
    asymgan.Weights().total(asymgan.generator_terms(cycles, discriminators)).backward()


def test_who_gets_gradients_from_what(pair: tuple[Tensor, Tensor]) -> None:
    model, discriminators = translators(), build_discriminators()
    assert model.encoder is not None

    def reached(term: Tensor, module: nn.Module) -> bool:
        gradients = torch.autograd.grad(term, list(module.parameters()), retain_graph=True, allow_unused=True)
        return any(g is not None and g.abs().sum() > 0 for g in gradients)

    with frozen(discriminators):
        terms = asymgan.generator_terms(model(*pair), discriminators)
        assert reached(terms["cycle_aux"], model.encoder)  # Eq. 11 trains E and F together
        assert reached(terms["cycle_aux"], model.poor_to_rich)
        assert not reached(terms["cycle_aux"], model.rich_to_poor)
        assert reached(terms["adversarial_aux"], model.encoder)
        assert not reached(terms["adversarial_aux"], model.poor_to_rich)
        assert reached(terms["cycle_rich"], model.encoder)
        assert reached(terms["adversarial_encoded"], model.encoder)
        assert not reached(terms["adversarial_poor"], model.poor_to_rich)
        asymgan.Weights().total(terms).backward()
    assert all(p.grad is None for p in discriminators.parameters())
    assert all(p.grad is not None for p in model.parameters())
    asymgan.Weights().total(asymgan.discriminator_terms(model(*pair).detach(), discriminators)).backward()
    assert all(p.grad is not None for p in discriminators.parameters())


@pytest.mark.slow
def test_training_lowers_the_cycle_losses() -> None:
    """In 150 steps: z moves every picture from the first one, so that they fall later than they would with a mute z."""
    model, discriminators = translators().float(), build_discriminators().float()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, betas=(0.5, 0.999))
    x, y = images_like(2, 3, 32, 32).float(), images_like(2, 3, 32, 32).float()
    losses = []
    for _ in range(150):
        with frozen(discriminators):
            terms = asymgan.generator_terms(model(x, y), discriminators)
            optimizer.zero_grad()
            asymgan.Weights().total(terms).backward()
            optimizer.step()
        losses.append((terms["cycle_rich"] + terms["cycle_poor"]).item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_three_inference_configurations(pair: tuple[Tensor, Tensor]) -> None:
    model, (x, y) = translators(), pair
    assert model.encoder is not None
    z, end = torch.randn(2, 8).double(), torch.randn(2, 8).double()
    torch.testing.assert_close(model.to_poor(x), model.rich_to_poor(x))
    torch.testing.assert_close(model.to_rich(y, z), model.poor_to_rich(y, z))
    assert not torch.equal(model.to_rich(y), model.to_rich(y))
    torch.testing.assert_close(model.to_rich_like(y, x), model.poor_to_rich(y, model.encoder(x)))
    line = model.interpolate(y, z, end, steps=5)
    assert line.shape == (2, 5, 3, 32, 36)
    torch.testing.assert_close(line[:, 0], model.to_rich(y, z))
    torch.testing.assert_close(line[:, 4], model.to_rich(y, end))
    torch.testing.assert_close(line[:, 1], model.to_rich(y, 0.75 * z + 0.25 * end))


def test_a_model_can_be_copied(pair: tuple[Tensor, Tensor]) -> None:
    model, z = translators(), torch.randn(2, 8).double()
    torch.testing.assert_close(copy.deepcopy(model)(*pair, z).rebuilt_rich, model(*pair, z).rebuilt_rich)


def test_bad_input_is_refused(pair: tuple[Tensor, Tensor]) -> None:
    x, y = pair
    model, discriminators = translators(), build_discriminators()
    cycles = model(x, y)
    without_aux = asymgan.Discriminators(discriminators.rich, discriminators.poor)
    calls: list[tuple[Any, str]] = [
        (lambda: model(x, y[:1]), r"x and y must agree in batch, size.*\(2, 3, 32, 36\).*\(1, 3, 32, 36\)"),
        (lambda: model(x, y[..., :32]), "x and y must agree"),
        (lambda: model(x, y, torch.randn(2, 7).double()), r"shape of the encoder's codes, \(2, 8\), got \(2, 7\)"),
        (lambda: model(x.int(), y), "x must be floating point"),
        (lambda: model(x[:0], y[:0]), "x is empty"),
        (lambda: asymgan.Translators(model.rich_to_poor, model.poor_to_rich, extended=True), "needs an encoder"),
        (lambda: asymgan.Translators(ResnetGenerator(), AuxGenerator(), AuxEncoder(3, 4)), "aux_channels, got 8 and 4"),
        (lambda: model(x.float(), y.float()), "image must be torch.float64 as the weights are, got torch.float32"),
        (lambda: asymgan.Translators(model.rich_to_poor, model.rich_to_poor)(x, y, torch.randn(2, 8)), "no encoder"),
        (lambda: asymgan.Translators(model.rich_to_poor, model.rich_to_poor).to_rich_like(y, x), "needs an encoder"),
        (lambda: model.interpolate(y, torch.zeros(2, 8), torch.zeros(1, 8)), "must have the same shape"),
        (
            lambda: model.interpolate(y, torch.zeros(2, 8), torch.zeros(2, 8), 1),
            "steps must be an integer of at least 2, got 1",
        ),
        (lambda: asymgan.generator_terms(cycles, without_aux), "aux is missing"),
        (
            lambda: asymgan.discriminator_terms(cycles, discriminators),
            r"give discriminator_terms\(cycles.detach\(\), discriminators\)",
        ),
        (
            lambda: asymgan.generator_terms(translators(extended=False)(x, y), discriminators, nn.L1Loss()),
            "extended=True",
        ),
        (
            lambda: asymgan.Weights().total({"cycle_ritch": x.mean()}),
            "unknown 'cycle_ritch', did you mean 'cycle_rich'",
        ),
        (lambda: asymgan.Weights().total({"cycle_rich": x}), "must be a scalar"),
        (lambda: asymgan.Weights().total({}), "terms is empty"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_weight_of_zero_leaves_a_term_out() -> None:
    weights = asymgan.Weights(content=0.0, cycle_rich=2.0)
    terms = {"content": torch.tensor(torch.nan), "cycle_rich": torch.tensor(3.0)}
    assert weights.total(terms).item() == 6.0
    assert weights.total({"content": torch.tensor(1.0)}).item() == 0.0
