"""Generators told by a label where to go, and the discriminator that tells domains apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asymkit import DomainClassificationLoss, DomainDiscriminator, PlainGenerator, StarGenerator
from asymkit.labels import label_vectors

GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "I": PlainGenerator,
    "II": lambda domains, **options: StarGenerator(domains, blocks=0, width=16, **options),
    "III": lambda domains, **options: StarGenerator(domains, blocks=3, width=16, **options),
    "II resize": lambda domains, **options: StarGenerator(domains, 0, 16, upsampling="resize", **options),
    "I embedded": lambda domains, **options: PlainGenerator(domains, label_embedding=64, **options),
    "II embedded": lambda domains, **options: StarGenerator(domains, 0, 16, label_embedding=64, **options),
    "III embedded": lambda domains, **options: StarGenerator(domains, 3, 16, label_embedding=64, **options),
}


@pytest.fixture(params=GENERATORS)
def make(request: pytest.FixtureRequest) -> Callable[..., nn.Module]:
    return GENERATORS[request.param]


def weights_of(module: nn.Module) -> int:
    """The paper counts convolutions; norm parameters stand aside."""
    return sum(p.numel() for p in module.parameters() if p.ndim > 1)


def test_counts_of_the_paper() -> None:
    """Table 8 prints 2.9K, 1.3M and 8.4M, truncated, for seven domains."""
    assert weights_of(PlainGenerator(7)) == 2_898
    assert weights_of(StarGenerator(7, blocks=0)) == 1_351_488
    assert weights_of(StarGenerator(7)) == 8_429_376
    assert sum(p.numel() for p in DomainDiscriminator(7).parameters()) == 44_778_432


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_convolutions_have_no_biases(upsampling: Any) -> None:
    generators = StarGenerator(3, blocks=1, width=4, upsampling=upsampling), PlainGenerator(3)
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    biases = [[layer.bias for layer in each.modules() if isinstance(layer, kinds)] for each in generators]
    assert biases == [[None] * 8, [None] * 7]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", ["numbers", "vectors"])
@pytest.mark.parametrize("flat", [True, False])
def test_labels_change_the_output_at_initialisation(
    make: Callable[..., nn.Module], training: bool, form: str, flat: bool
) -> None:
    generator = make(domains=5).train(training)
    image = torch.full((2, 3, 64, 64), 0.3) if flat else torch.rand(2, 3, 64, 64) * 2 - 1

    def out(label: int) -> Tensor:
        labels = torch.full((2,), label)
        result: Tensor = generator(image, labels if form == "numbers" else nn.functional.one_hot(labels, 5).float())
        return result

    one, other = out(0), out(4)
    assert (one - other).abs().mean() > 0.02
    assert (one - other)[..., 24:40, 24:40].abs().mean() > 0.005  # not only at the edges, where the padding is
    assert torch.equal(one, generator.train(not training)(image, torch.zeros(2).long()))


def test_both_label_forms_are_the_same(make: Callable[..., nn.Module]) -> None:
    generator, image = make(domains=3), torch.rand(3, 3, 16, 16)
    vectors = torch.eye(3)[[2, 0, 1]]
    assert torch.equal(generator(image, torch.tensor([2, 0, 1])), generator(image, vectors))
    assert torch.equal(generator(image, torch.tensor([2, 0, 1], dtype=torch.int32)), generator(image, vectors))


def test_any_number_of_channels_and_two_domains(make: Callable[..., nn.Module]) -> None:
    for channels in (1, 4):
        image = torch.rand(1, channels, 16, 20)
        assert make(domains=2, in_channels=channels, out_channels=2)(image, torch.tensor([1])).shape == (1, 2, 16, 20)


def test_every_parameter_is_used(make: Callable[..., nn.Module]) -> None:
    generator = make(domains=3)
    generator(torch.rand(2, 3, 16, 16), torch.tensor([0, 2])).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_labels_follow_the_images_type(dtype: torch.dtype) -> None:
    generator = StarGenerator(3, blocks=1, width=4, label_embedding=6).to(dtype)
    assert generator(torch.rand(1, 3, 16, 16, dtype=dtype), torch.tensor([1])).dtype == dtype


@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_the_class_head_sees_the_whole_image(size: tuple[int, int]) -> None:
    discriminator = DomainDiscriminator(domains=3, image_size=size, width=8, layers=3)
    image = torch.rand(1, 3, *size, requires_grad=True)
    scores, logits = discriminator(image)
    assert scores.shape == (1, 1, size[0] // 8, size[1] // 8)
    assert logits.shape == (1, 3)
    (gradient,) = torch.autograd.grad(logits[0, 1], image, retain_graph=True)
    assert (gradient.abs().sum(1) > 0).all()
    (gradient,) = torch.autograd.grad(scores[0, 0, 0, 0], image)
    assert not gradient[..., -4:].any()


@pytest.mark.parametrize("multi_label", [True, False])
def test_classification_is_the_equation(multi_label: bool) -> None:
    logits = torch.randn(4, 3, dtype=torch.float64)
    targets = torch.rand(4, 3, dtype=torch.float64)
    if not multi_label:
        targets = targets / targets.sum(1, keepdim=True)
    total = 0.0
    for row, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        for c in range(3):
            if multi_label:
                p = 1 / (1 + torch.tensor(-row[c]).exp().item())
                total -= wanted[c] * torch.tensor(p).log().item() + (1 - wanted[c]) * torch.tensor(1 - p).log().item()
            else:
                p = torch.tensor(row[c]).exp().item() / sum(torch.tensor(v).exp().item() for v in row)
                total -= wanted[c] * torch.tensor(p).log().item()
    loss = DomainClassificationLoss(multi_label)(logits, targets)
    assert loss.item() == pytest.approx(total / 4, rel=1e-5)
    if not multi_label:
        one_hot = DomainClassificationLoss()(logits, torch.tensor([2, 0, 1, 1]))
        assert one_hot == DomainClassificationLoss()(logits, torch.eye(3).double()[[2, 0, 1, 1]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("multi_label", [True, False])
def test_classification_of_half_precision_is_float32(multi_label: bool, dtype: torch.dtype) -> None:
    logits, targets = 8 * torch.randn(64, 5).to(dtype), torch.eye(5)[torch.arange(64) % 5]
    loss = DomainClassificationLoss(multi_label)
    found = loss(logits, targets.to(dtype))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(logits.double(), targets.double()).item(), rel=1e-5)


def test_labels_compile_into_the_graph() -> None:
    compiled = torch.compile(lambda labels: label_vectors(labels, 4, 2), fullgraph=True, backend="eager")
    assert torch.equal(compiled(torch.tensor([3, 1])), torch.eye(4)[[3, 1]])


IMAGE = torch.rand(2, 3, 32, 32)
STAR: Any = StarGenerator(4, blocks=1, width=4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: STAR(IMAGE), r"condition must be domain labels: \(2,\) integers below 4.*got NoneType"),
        (lambda: STAR(IMAGE, torch.tensor([0, 4])), "domains are numbered 0 to 3, got 4"),
        (lambda: STAR(IMAGE, torch.tensor([-1, 3])), "domains are numbered 0 to 3, got -1"),
        (lambda: STAR(IMAGE, torch.tensor([1])), r"got torch.int64 of shape \(1,\)"),
        (lambda: STAR(IMAGE, torch.rand(2, 3)), r"\(2, 4\) floats, got torch.float32 of shape \(2, 3\)"),
        (lambda: STAR(IMAGE, torch.ones(2, 4).long()), r"got torch.int64 of shape \(2, 4\)"),
        (lambda: STAR(IMAGE, torch.ones(2).bool()), "got torch.bool"),
        (lambda: PlainGenerator(4)(IMAGE, torch.tensor([0, 4])), "domains are numbered 0 to 3, got 4"),
        (lambda: STAR(IMAGE[..., :30], torch.tensor([0, 1])), "image must have sides divisible by 4, got 32×30"),
        (lambda: STAR(IMAGE[:, :1], torch.tensor([0, 1])), "image must have 3 channels, got 1"),
        (lambda: StarGenerator(0), "domains must be an integer of at least 1"),
        (lambda: StarGenerator(3, blocks=-1), "blocks must be an integer of at least 0"),
        (lambda: StarGenerator(3, label_embedding=0), "label_embedding must be"),
        (lambda: StarGenerator(3, upsampling="nearest"), "upsampling: unknown 'nearest'"),  # type: ignore[arg-type]
        (lambda: DomainDiscriminator(3, image_size=48), "image_size must be an integer of at least 64, got 48"),
        (lambda: DomainDiscriminator(3, image_size=100), "divisible by 64.*got 100; resize the images to 64 or 128"),
        (lambda: DomainDiscriminator(3, image_size=(64, 100)), "divisible by 64.*got 100; resize the images to 64 or"),
        (
            lambda: DomainDiscriminator(3, image_size=(64, 64, 3)),  # type: ignore[arg-type]
            r"image_size must be an integer, or the height and width, got tuple \(64, 64, 3\)",
        ),
        (
            lambda: DomainDiscriminator(3, image_size=(64, 128), width=4)(torch.rand(1, 3, 128, 64)),
            "image must be 64×128, got 128×64",
        ),
        (
            lambda: DomainDiscriminator(3, image_size=64, width=4)(torch.rand(1, 3, 128, 128)),
            "image must be 64×64, got 128×128",
        ),
        (lambda: DomainClassificationLoss()(torch.rand(2, 3), torch.rand(2, 4)), r"\(2, 3\) floats.*\(2, 4\)"),
        (lambda: DomainClassificationLoss()(torch.rand(2, 3), torch.tensor([0, 3])), "domains are numbered 0 to 2"),
        (lambda: DomainClassificationLoss()(torch.rand(2, 3, 1, 1), torch.tensor([0, 1])), "logits must be"),
        (lambda: DomainClassificationLoss(True)(torch.rand(2, 3), torch.tensor([0, 1])), "an image may have several"),
        (lambda: DomainClassificationLoss()(torch.rand(2, 3), torch.ones(2, 3)), r"add up to 1.*multi_label=True"),
        (lambda: DomainClassificationLoss(True)(torch.rand(2, 3), 5 * torch.ones(2, 3)), "from 0 to 1, got 5 to 5"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
