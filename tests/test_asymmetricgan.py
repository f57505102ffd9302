"""Both frameworks of AsymmetricGAN against their equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import reference
import torch
from torch import Tensor, nn

from asymkit import (
    DomainDiscriminator,
    DualGenerator,
    LeastSquaresLoss,
    LogisticLoss,
    MSSSIMLoss,
    PatchDiscriminator,
    PerceptualLoss,
    VGGFeatures,
    WassersteinLoss,
    frozen,
)
from asymkit.objectives.asymmetricgan import supervised, unsupervised
from conftest import images_like


@pytest.fixture
def cycle() -> unsupervised.Cycle:
    model = unsupervised.Translators(DualGenerator.preset("S2", domains=3, width=4)).double()
    x, y = images_like(2, 3, 32, 32), images_like(2, 3, 32, 32)
    made: unsupervised.Cycle = model(x, torch.tensor([0, 2]), y, torch.tensor([1, 1]))
    return made


@pytest.fixture
def cycles() -> supervised.Cycles:
    model = supervised.Translators(DualGenerator.supervised(width=4, reconstructor_width=2, blocks=1)).double()
    made: supervised.Cycles = model(*(images_like(2, 3, 32, 32) for _ in range(4)))
    return made


def build_discriminator() -> nn.Module:
    return DomainDiscriminator(domains=3, image_size=32, width=4, layers=3).double()


def build_discriminators(pair: bool = False) -> supervised.Discriminators:
    second = PatchDiscriminator(6, width=4, layers=2) if pair else None
    return supervised.Discriminators(PatchDiscriminator(9, width=4, layers=2), second).double()


def test_the_unsupervised_cycle_is_that_of_the_figure() -> None:
    dual = DualGenerator.preset("S2", domains=3, width=4).double()
    x, y = images_like(2, 3, 32, 32), images_like(2, 3, 32, 32)
    source, target = torch.tensor([0, 2]), torch.tensor([1, 1])
    cycle = unsupervised.Translators(dual)(x, source, y, target)
    torch.testing.assert_close(cycle.fake, dual.translator(x, target))
    torch.testing.assert_close(cycle.rebuilt, dual.reconstructor(dual.translator(x, target), source))
    torch.testing.assert_close(cycle.same_x, dual.translator(x, source))
    torch.testing.assert_close(cycle.same_y, dual.translator(y, target))
    soft = unsupervised.Translators(dual)(x, torch.eye(3)[[0, 2]], y, torch.eye(3)[[1, 1]])
    torch.testing.assert_close(soft.fake, cycle.fake)


def test_the_supervised_cycles_are_those_of_the_figure(cycles: supervised.Cycles) -> None:
    dual = DualGenerator.supervised(width=4, reconstructor_width=2, blocks=1).double()
    c = supervised.Translators(dual)(cycles.x, cycles.skeleton_x, cycles.y, cycles.skeleton_y)
    translate, reconstruct = dual.translator, dual.reconstructor
    torch.testing.assert_close(c.fake_y, translate(c.x, c.skeleton_y))
    torch.testing.assert_close(c.rebuilt_x, reconstruct(translate(c.x, c.skeleton_y), c.skeleton_x))
    torch.testing.assert_close(c.fake_x, translate(c.y, c.skeleton_x))
    torch.testing.assert_close(c.rebuilt_y, reconstruct(translate(c.y, c.skeleton_x), c.skeleton_y))
    torch.testing.assert_close(c.same_x, translate(c.x, c.skeleton_x))
    torch.testing.assert_close(c.same_y, translate(c.y, c.skeleton_y))


def mean_l1(a: Tensor, b: Tensor) -> Tensor:
    return reference.color_l1(a, b).mean() / a.shape[1]


def test_unsupervised_terms_are_the_equations(cycle: unsupervised.Cycle) -> None:
    discriminators = build_discriminator()
    terms = unsupervised.generator_terms(cycle, discriminators, structure=MSSSIMLoss(scales=1))
    scores, logits = discriminators(cycle.fake)
    likelihoods = torch.softmax(logits, 1).log()
    torch.testing.assert_close(terms["adversarial"], (scores - 1).square().mean())
    torch.testing.assert_close(terms["classification"], -(likelihoods[0, 1] + likelihoods[1, 1]) / 2)
    assert cycle.rebuilt is not None
    torch.testing.assert_close(terms["cycle"], reference.color_l1(cycle.rebuilt, cycle.x).mean())
    torch.testing.assert_close(terms["structure"], MSSSIMLoss(scales=1)(cycle.rebuilt, cycle.x))
    assert cycle.same_x is not None
    assert cycle.same_y is not None
    torch.testing.assert_close(terms["identity"], mean_l1(cycle.same_x, cycle.x) + mean_l1(cycle.same_y, cycle.y))
    assert terms.keys() | {"penalty", "way_back"} == vars(unsupervised.Weights()).keys()
    found = unsupervised.discriminator_terms(cycle.detach(), discriminators)
    real, fake = discriminators(cycle.y)[0], discriminators(cycle.fake)[0]
    known = torch.softmax(discriminators(cycle.x)[1], 1).log()
    torch.testing.assert_close(found["adversarial"], (real - 1).square().mean() + fake.square().mean())
    torch.testing.assert_close(found["classification"], -(known[0, 0] + known[1, 2]) / 2)


def test_supervised_terms_are_the_equations(cycles: supervised.Cycles) -> None:
    discriminators, c = build_discriminators(), cycles
    perceptual = PerceptualLoss(VGGFeatures(["relu1_1"], None, net="vgg19"), [1.0]).double()
    terms = supervised.generator_terms(c, discriminators, perceptual)

    def score(image: Tensor, skeleton: Tensor, result: Tensor) -> Tensor:
        out: Tensor = torch.sigmoid(discriminators.triplet(torch.cat([image, skeleton, result], 1)))
        return out

    adversarial = -score(c.x, c.skeleton_y, c.fake_y).log().mean() - score(c.y, c.skeleton_x, c.fake_x).log().mean()
    torch.testing.assert_close(terms["adversarial"], adversarial)
    color = reference.color_l1(c.fake_y, c.y) + reference.color_l1(c.fake_x, c.x)
    torch.testing.assert_close(terms["color"], color.mean())
    assert c.rebuilt_x is not None
    assert c.rebuilt_y is not None
    back = reference.color_l1(c.rebuilt_x, c.x) + reference.color_l1(c.rebuilt_y, c.y)
    torch.testing.assert_close(terms["cycle"], back.mean())
    assert c.same_x is not None
    assert c.same_y is not None
    torch.testing.assert_close(terms["identity"], mean_l1(c.same_x, c.x) + mean_l1(c.same_y, c.y))
    torch.testing.assert_close(terms["perceptual"], perceptual(c.fake_y, c.y) + perceptual(c.fake_x, c.x))
    rough = reference.total_variation(c.fake_y, 1, "sum") + reference.total_variation(c.fake_x, 1, "sum")
    torch.testing.assert_close(terms["total_variation"], rough.mean())
    assert terms.keys() == vars(supervised.Weights()).keys()
    found = supervised.discriminator_terms(c.detach(), discriminators)["adversarial"]
    expected = sum(
        -score(image, skeleton, real).log().mean() - (1 - score(image, skeleton, fake)).log().mean()
        for image, skeleton, real, fake in [(c.x, c.skeleton_y, c.y, c.fake_y), (c.y, c.skeleton_x, c.x, c.fake_x)]
    )
    torch.testing.assert_close(found, expected)


def test_terms_of_weight_zero_are_not_computed(cycle: unsupervised.Cycle, cycles: supervised.Cycles) -> None:
    """Neither the images of the identity terms, nor MS-SSIM."""
    calls: list[int] = []
    dual = DualGenerator.preset("S2", domains=3, width=4).double()
    dual.translator.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    bare = unsupervised.Translators(dual, identity=False)(cycle.x, cycle.source, cycle.y, cycle.target)
    assert calls == [2]
    assert (bare.same_x, bare.same_y) == (None, None)
    structure = nn.Module()  # which cannot be called
    weights = unsupervised.Weights(structure=0.0, identity=0.0)
    terms = unsupervised.generator_terms(bare, build_discriminator(), structure=structure, weights=weights)
    assert sorted(terms) == ["adversarial", "classification", "cycle"]
    assert bare.detach().same_x is None
    unsupervised.discriminator_terms(bare.detach(), build_discriminator())
    dual = DualGenerator.supervised(width=4, blocks=1).double()
    dual.translator.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    pair = supervised.Translators(dual, identity=False)(cycles.x, cycles.skeleton_x, cycles.y, cycles.skeleton_y)
    assert calls == [2, 4]
    terms = supervised.generator_terms(pair, build_discriminators())
    assert sorted(terms) == ["adversarial", "color", "cycle", "total_variation"]
    supervised.discriminator_terms(pair.detach(), build_discriminators())


def test_every_term_can_be_left_out_by_its_weight(cycle: unsupervised.Cycle, cycles: supervised.Cycles) -> None:
    """And the discriminators are not called where neither of their terms is asked for."""
    structure, never = MSSSIMLoss(scales=1), nn.Module()  # which cannot be called
    for name in unsupervised.Weights().__dataclass_fields__:
        weights = unsupervised.Weights(**{name: 0.0})
        terms = unsupervised.generator_terms(cycle, build_discriminator(), structure=structure, weights=weights)
        assert terms.keys() == {"adversarial", "classification", "cycle", "structure", "identity"} - {name}
        terms = unsupervised.discriminator_terms(cycle.detach(), build_discriminator(), weights=weights)
        assert terms.keys() == {"adversarial", "classification"} - {name}
    bare = unsupervised.Weights(adversarial=0.0, classification=0.0)
    assert unsupervised.generator_terms(cycle, never, structure=structure, weights=bare).keys() == {
        "cycle",
        "structure",
        "identity",
    }
    assert unsupervised.discriminator_terms(cycle.detach(), never, weights=bare) == {}
    perceptual = PerceptualLoss(VGGFeatures(["relu1_1"], None, net="vgg19"), [1.0]).double()
    every = supervised.Weights().__dataclass_fields__.keys()
    for name in every:
        weighted = supervised.Weights(**{name: 0.0})
        found = supervised.generator_terms(cycles, build_discriminators(), perceptual, weights=weighted)
        assert found.keys() == every - {name}


def test_the_way_back_of_the_translator_is_a_pair_of_a_translation_that_stands_still(cycle: unsupervised.Cycle) -> None:
    dual = DualGenerator.preset("S2", domains=3, width=4).double()
    weights = unsupervised.Weights(way_back=1.0)
    found = unsupervised.Translators(dual, way_back=True)(*cycle[:4])
    terms = unsupervised.generator_terms(found, build_discriminator(), structure=MSSSIMLoss(scales=1), weights=weights)
    still = dual.translate(cycle.x, cycle.target).detach()
    expected = (dual.translate(still, cycle.source) - cycle.x).abs().mean((0, 2, 3)).sum()
    torch.testing.assert_close(terms["way_back"], expected)
    of_both = (torch.autograd.grad(loss, list(dual.translator.parameters())) for loss in (terms["way_back"], expected))
    for ours, theirs in zip(*of_both, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert found.detach().returned is not None
    bare = unsupervised.Weights(structure=0.0)  # in which it weighs nothing, as in the paper
    assert "way_back" not in unsupervised.generator_terms(found, build_discriminator(), weights=bare)
    alone = unsupervised.Translators(dual, reconstruction=False, way_back=True)(*cycle[:4])
    assert alone.rebuilt is None
    assert "way_back" in unsupervised.generator_terms(alone, build_discriminator(), weights=weights)
    without = unsupervised.Translators(dual)(*cycle[:4])
    assert without.returned is None
    bare = unsupervised.Weights(structure=0.0, way_back=1.0)
    assert "way_back" not in unsupervised.generator_terms(without, build_discriminator(), weights=bare)


def test_a_cycle_without_reconstruction_has_no_terms_of_it(
    cycle: unsupervised.Cycle, cycles: supervised.Cycles
) -> None:
    calls: list[int] = []
    dual = DualGenerator.preset("S3", domains=3, width=4).double()
    dual.reconstructor.register_forward_pre_hook(lambda *_: calls.append(1))
    bare = unsupervised.Translators(dual, reconstruction=False)(*cycle[:4])
    terms = unsupervised.generator_terms(bare, build_discriminator())
    assert terms.keys() == {"adversarial", "classification", "identity"}
    assert bare.detach().rebuilt is None
    unsupervised.discriminator_terms(bare.detach(), build_discriminator())
    pair = DualGenerator.supervised(width=4, blocks=1).double()
    pair.reconstructor.register_forward_pre_hook(lambda *_: calls.append(1))
    both = supervised.Translators(pair, reconstruction=False)(*cycles[:4])
    assert (both.rebuilt_x, both.rebuilt_y) == (None, None)
    found = supervised.generator_terms(both, build_discriminators())
    assert found.keys() == {"adversarial", "color", "identity", "total_variation"}
    supervised.discriminator_terms(both.detach(), build_discriminators())
    assert calls == []


def test_stargans_objective_is_wgan_gp(cycle: unsupervised.Cycle) -> None:
    weights = unsupervised.Weights(structure=0.0, identity=0.0, penalty=10.0)
    one, other = build_discriminator(), build_discriminator()
    discriminators, gan = nn.ModuleList([one, other]), WassersteinLoss()
    torch.manual_seed(3)
    terms = unsupervised.discriminator_terms(cycle.detach(), discriminators, adversarial=gan, weights=weights)
    torch.manual_seed(3)
    expected = []
    for discriminator in (one, other):
        share = torch.rand(2, 1, 1, 1, dtype=torch.float64)
        between = (share * cycle.y + (1 - share) * cycle.fake).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(between)[0].sum(), between)
        expected.append(sum((g.square().sum().sqrt() - 1) ** 2 for g in gradient) / 2)
    torch.testing.assert_close(terms["penalty"], (expected[0] + expected[1]) / 2)
    real, fake = one(cycle.y)[0].mean(), one(cycle.fake)[0].mean()
    alone = unsupervised.discriminator_terms(cycle.detach(), one, adversarial=gan)
    assert "penalty" not in alone
    torch.testing.assert_close(alone["adversarial"], fake - real)
    weights.total(terms).backward()
    assert all(p.grad is not None for name, p in one.named_parameters() if "to_domain" not in name)


def test_the_papers_weights() -> None:
    one = {name: torch.tensor(1.0) for name in vars(unsupervised.Weights())}
    assert unsupervised.Weights().total(one) == 1 + 1 + 10 + 1 + 0.5
    assert vars(supervised.Weights()) == {
        "adversarial": 1, "color": 800, "cycle": 0.1, "identity": 0.01, "perceptual": 1000, "total_variation": 1e-6,
    }  # fmt: skip


def test_double_discriminators_are_averaged(cycle: unsupervised.Cycle, cycles: supervised.Cycles) -> None:
    one, other = build_discriminator(), build_discriminator()
    structure = MSSSIMLoss(scales=1)

    def generators_terms(discriminators: nn.Module) -> dict[str, Tensor]:
        return unsupervised.generator_terms(cycle, discriminators, structure=structure)

    def discriminators_terms(discriminators: nn.Module) -> dict[str, Tensor]:
        return unsupervised.discriminator_terms(cycle.detach(), discriminators)

    for terms_of in (generators_terms, discriminators_terms):
        both, first, second = terms_of(nn.ModuleList([one, other])), terms_of(one), terms_of(other)
        for name in ("adversarial", "classification"):
            torch.testing.assert_close(both[name], (first[name] + second[name]) / 2)
    discriminators, gan = build_discriminators(pair=True), LeastSquaresLoss()
    assert discriminators.pair is not None
    triplet, pair = discriminators.triplet, discriminators.pair
    expected = [
        (gan.generator_loss(triplet(torch.cat([a, s, b], 1))) + gan.generator_loss(pair(torch.cat([a, b], 1)))) / 2
        for a, s, b in [
            (cycles.x, cycles.skeleton_y, cycles.fake_y), (cycles.y, cycles.skeleton_x, cycles.fake_x),
        ]
    ]  # fmt: skip
    terms = supervised.generator_terms(cycles, discriminators, adversarial=gan)
    torch.testing.assert_close(terms["adversarial"], expected[0] + expected[1])


def test_the_triplet_sees_the_skeleton(cycles: supervised.Cycles) -> None:
    skeleton = cycles.skeleton_y.clone().requires_grad_()
    seen = cycles.detach()._replace(skeleton_y=skeleton)
    supervised.generator_terms(seen, build_discriminators())["adversarial"].backward()
    assert skeleton.grad is not None
    assert skeleton.grad.abs().sum() > 0


def test_unsupervised_gradients_go_where_they_should(cycle: unsupervised.Cycle) -> None:
    model, discriminators = (
        unsupervised.Translators(DualGenerator.preset("S2", domains=3, width=4)).double(),
        build_discriminator(),
    )
    with frozen(discriminators):
        terms = unsupervised.generator_terms(model(*cycle[:4]), discriminators, structure=MSSSIMLoss(scales=1))
        unsupervised.Weights().total(terms).backward()
    assert_gradients(model, discriminators)
    unsupervised.Weights().total(unsupervised.discriminator_terms(cycle.detach(), discriminators)).backward()
    assert all(p.grad is not None for p in discriminators.parameters())


def test_supervised_gradients_go_where_they_should(cycles: supervised.Cycles) -> None:
    dual = DualGenerator.supervised(width=4, reconstructor_width=2, blocks=1)
    model, discriminators = supervised.Translators(dual).double(), build_discriminators()
    with frozen(discriminators):
        supervised.Weights().total(supervised.generator_terms(model(*cycles[:4]), discriminators)).backward()
    assert_gradients(model, discriminators)
    supervised.Weights().total(supervised.discriminator_terms(cycles.detach(), discriminators)).backward()
    assert all(p.grad is not None for p in discriminators.parameters())


def assert_gradients(model: nn.Module, discriminators: nn.Module) -> None:
    assert all(p.grad is None for p in discriminators.parameters())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


X = torch.rand(2, 3, 32, 32)
LABELS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u, s: u(X, LABELS, X[:1], LABELS), "x and y must agree in batch, size"),
        (
            lambda u, s: u(X, LABELS, X, LABELS[:1]),
            r"labels of one form.* got torch.int64 of shape \(2,\) and torch.int64 of shape \(1,\)",
        ),
        (lambda u, s: u(X, LABELS, X, None), "labels of one form.* got .* and None"),
        (lambda u, s: u(X, LABELS, X, LABELS.float()), "labels of one form"),
        (
            lambda u, s: u(X, LABELS[:1], X, LABELS[:1]),
            r"one label for each of the 2 images.*got torch.int64 of shape \(1,\)",
        ),
        (lambda u, s: s(X, None, X, X), "skeleton_x must be a tensor of images"),
        (
            lambda u, s: unsupervised.generator_terms(u(X, LABELS, X, LABELS), cast(Any, [build_discriminator()])),
            "discriminators must be a module, or nn.Mod",
        ),
        (lambda u, s: u(X, LABELS + 5, X, LABELS), "domains are numbered 0 to 2"),
        (lambda u, s: u(X, X, X, X), "one label for each of the 2 images"),
        (lambda u, s: s(X, X, X[:1], X), "x and y must agree in batch, size"),
        (lambda u, s: s(X, X, X, X[:, :1]), "skeleton_y must have 3 channels, got 1"),
        (lambda u, s: s(X, X[:1], X, X[:1]), "x and skeleton_x must agree in batch, size"),
        (lambda u, s: s(X, X[..., :16], X, X), "x and skeleton_x must agree in batch, size"),
    ],
)
def test_bad_input_is_refused(call: Callable[[Any, Any], object], message: str) -> None:
    u = unsupervised.Translators(DualGenerator.preset("S2", domains=3, width=4))
    s = supervised.Translators(DualGenerator.supervised(width=4, blocks=1))
    with pytest.raises(ValueError, match=message):
        call(u, s)


def test_discriminators_refuse_a_graph(cycle: unsupervised.Cycle, cycles: supervised.Cycles) -> None:
    with pytest.raises(ValueError, match="still carry the generators' graph"):
        unsupervised.discriminator_terms(cycle, build_discriminator())
    with pytest.raises(ValueError, match="still carry the generators' graph"):
        supervised.discriminator_terms(cycles, build_discriminators(), LogisticLoss())
