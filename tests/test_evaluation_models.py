"""Diversity, classification, sensitivity and the leak: of models that are built to have, or not to have, what is measured."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asymkit import AnySize, AuxEncoder, AuxGenerator, ResnetGenerator
from asymkit.evaluation import (
    augmentation_scores,
    classification_accuracy,
    diversity_over_z,
    entropy_over_z,
    mean_hue,
    model_sensitivity,
    pairwise_distance,
    probe,
    rebuild_curve,
    rebuild_leak,
    same_z_difference,
    top_k_accuracy,
)


def l1(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().mean((1, 2, 3))


# diversity


def test_the_pairwise_distance_is_the_mean_of_a_loop() -> None:
    images = torch.rand(6, 3, 8, 8)
    wanted = [float((images[i] - images[j]).abs().mean()) for i, j in combinations(range(6), 2)]
    for batch in (1, 4, 100):
        assert pairwise_distance(images, l1, batch) == pytest.approx(sum(wanted) / 15, rel=1e-5)
    assert pairwise_distance(images[torch.randperm(6)], l1) == pytest.approx(sum(wanted) / 15, rel=1e-5)
    with pytest.raises(ValueError, match="at least two translations"):
        pairwise_distance(images[:1], l1)
    with pytest.raises(ValueError, match="one number for each of 15 pairs"):
        pairwise_distance(images, lambda x, y: l1(x, y).mean())


def test_diversity_is_taken_over_z_of_each_input() -> None:
    inputs, z = torch.rand(3, 3, 8, 8), torch.randn(4, 2)

    def generator(image: Tensor, code: Tensor) -> Tensor:
        return image * code[:, :1, None, None]

    found = diversity_over_z(generator, inputs, z, l1)
    wanted = [pairwise_distance(torch.cat([generator(x[None], c[None]) for c in z]), l1) for x in inputs]
    assert found.tolist() == pytest.approx(wanted)
    assert diversity_over_z(lambda image, code: image, inputs, z, l1).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="z must be at least two latent codes"):
        diversity_over_z(generator, inputs, z[:1], l1)


def test_entropy_over_z_counts_the_values_that_are_reached() -> None:
    assert entropy_over_z(torch.zeros(50)).item() == 0
    two = torch.tensor([0.1, 0.9] * 25)
    assert entropy_over_z(two, bins=4).item() == pytest.approx(1)
    assert entropy_over_z(two[torch.randperm(50)] * 6 - 3, bins=4, value_range=(-3, 3)).item() == pytest.approx(1)
    many = entropy_over_z(torch.stack([two, torch.arange(50) / 50]).T, bins=5)
    assert many[0].item() == pytest.approx(1)
    assert many[1].item() == pytest.approx(torch.tensor(5.0).log2().item())
    assert entropy_over_z(torch.tensor([-9.0, 0.0, 1.0, 9.0]), bins=2).item() == pytest.approx(1)  # the ends
    with pytest.raises(ValueError, match="low < high"):
        entropy_over_z(two, value_range=(1, 0))


def test_the_mean_hue_is_that_of_colorsys() -> None:
    import colorsys

    for hue in (0.0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6):  # where both kinds of hue agree
        color = torch.tensor(colorsys.hsv_to_rgb(hue, 0.8, 0.7)).view(1, 3, 1, 1).expand(1, 3, 4, 4) * 2 - 1
        found = mean_hue(color).item()
        assert min(abs(found - hue), 1 - abs(found - hue)) < 1e-6
    left = torch.zeros(1, 4, 4, dtype=torch.bool)
    left[..., :2] = True
    image = torch.full((1, 3, 4, 4), -1.0)
    image[:, 0, :, :2] = image[:, 2, :, 2:] = 1.0  # red and blue
    assert mean_hue(image, left).item() == 0.0
    assert mean_hue(image, ~left).item() == pytest.approx(2 / 3)


# classification


def test_top_k_is_that_of_a_loop() -> None:
    logits, classes = torch.randn(40, 7), torch.randint(7, (40,))
    for k in (1, 3, 5):
        right = [int(classes[n]) in logits[n].argsort(descending=True)[:k].tolist() for n in range(40)]
        assert top_k_accuracy(logits, classes, k) == pytest.approx(sum(right) / 40)
    with pytest.raises(ValueError, match="k must be below the 7 classes"):
        top_k_accuracy(logits, classes, 7)
    with pytest.raises(ValueError, match="numbered 0 to 6"):
        top_k_accuracy(logits, classes + 5)
    with pytest.raises(ValueError, match=r"classes must be integers \(40,\)"):
        top_k_accuracy(logits, classes.float())


class MeanColor(nn.Module):
    """Logits of a nearest mean; remembers what it was trained on."""

    def __init__(self, images: Tensor, classes: Tensor) -> None:
        super().__init__()
        self.trained_on = images
        self.means = torch.stack([images[classes == c].mean((0, 2, 3)) for c in range(int(classes.max()) + 1)])

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return -(images.mean((2, 3))[:, None] - self.means).square().sum(2)


def test_classifiers_are_scored_in_eval_mode_and_put_back() -> None:
    images, classes = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8), torch.arange(3)
    classifier = MeanColor(images, classes).train()
    assert classification_accuracy(classifier, images, classes, (1, 2), batch=2) == {1: 1.0, 2: 1.0}
    assert classifier.training


def test_scoring_a_classifier_leaves_a_layer_that_was_in_eval_mode_in_it() -> None:
    images, classes = torch.rand(4, 3, 8, 8), torch.arange(4)
    norm = nn.BatchNorm2d(3)
    classifier = nn.Sequential(norm, nn.Flatten(), nn.Linear(3 * 64, 4)).train()
    norm.eval()
    classification_accuracy(classifier, images, classes, (1,))
    assert (classifier.training, norm.training, norm.weight.requires_grad) == (True, False, True)


def test_augmentation_never_trains_on_test_images_and_keeps_classes_in_both_parts() -> None:
    classes = torch.tensor([0] * 10 + [1] * 20 + [2] * 3)
    images = torch.arange(33.0)[:, None, None, None].expand(33, 3, 8, 8)
    given: list[tuple[Tensor, Tensor]] = []

    def train(x: Tensor, y: Tensor) -> nn.Module:
        given.append((x[:, 0, 0, 0], y))
        return MeanColor(x, y)

    def generate(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x[:5] + 1000, y[:5]

    state = torch.get_rng_state()
    found = augmentation_scores(train, images, classes, generate, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    (real, real_classes), (both, both_classes) = given
    assert (found.train, found.generated, found.test) == (23, 5, 10)
    assert torch.bincount(real_classes).tolist() == [7, 14, 2]
    assert torch.equal(both[:23], real)
    assert torch.equal(both[23:], real[:5] + 1000)
    assert torch.equal(both_classes[23:], real_classes[:5])
    assert found == augmentation_scores(train, images, classes, generate, seed=3)
    augmentation_scores(train, images, classes, generate, seed=4)
    assert not torch.equal(given[-2][0], real)
    with pytest.raises(ValueError, match="class 2 has one image"):
        augmentation_scores(train, images[:31], classes[:31], generate)


def test_generated_images_that_help_are_seen_to_help() -> None:
    torch.manual_seed(1)
    classes = torch.arange(2).repeat(100)
    images = (classes * 0.6)[:, None, None, None] + 0.3 * torch.randn(200, 1, 1, 1).expand(200, 3, 8, 8)

    def train(x: Tensor, y: Tensor) -> nn.Module:  # of real images alone, it learns from the first of each class only
        few = torch.tensor([int((y == 0).nonzero()[0]), int((y == 1).nonzero()[0])])
        chosen = few if len(x) < 200 else torch.arange(len(x))
        return MeanColor(x[chosen], y[chosen])

    def generate(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x.repeat(2, 1, 1, 1), y.repeat(2)

    found = augmentation_scores(train, images, classes, generate)
    assert found.augmented > found.real
    assert [row.value for row in found.rows()] == [found.real, found.augmented]


# sensitivity


def identity(image: Tensor, z: Tensor | None = None) -> Tensor:
    return image


def test_a_model_without_secrets_is_not_sensitive_to_crops_and_resizes() -> None:
    x, y = torch.rand(3, 3, 16, 12), torch.rand(2, 3, 20, 16)
    found = model_sensitivity(identity, identity, x, y, epsilon=0.1)
    for loop, count in ((found.forward, 3), (found.backward, 2)):
        assert [each.shape for each in loop.values()] == [(count,)] * 4
        for kind in ("none", "crop", "resize"):
            assert not loop[kind].any(), kind
        assert loop["disturbance"].mean().item() == pytest.approx(0.1 * (2 / torch.pi) ** 0.5, rel=0.2)
    assert found.rows()[0].by == "mean absolute error, crop by 3, enlarged by 2 pixels, ε = 0.1"
    squared = model_sensitivity(identity, identity, x, y, error=lambda a, b: (a - b).square().mean((1, 2, 3)))
    assert squared.rows()[0].by.startswith("error as given, ")


def test_the_sizes_are_the_papers_and_z_is_the_same() -> None:
    x, y, seen = torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128), list[Any]()

    def f(image: Tensor, z: Tensor) -> Tensor:
        seen.append((*image.shape[2:], z))
        return image

    z_x, z_y = torch.randn(2, 8), torch.randn(2, 8)
    model_sensitivity(identity, f, x, y, z_x, z_y)
    assert [each[:2] for each in seen] == [(128, 128), (125, 125), (130, 130), (128, 128), (128, 128)]
    assert [each[2] is z_x for each in seen] == [True] * 4 + [False]
    assert seen[-1][2] is z_y


def test_a_secret_in_small_values_and_positions_is_found() -> None:
    """G writes x in the last bits of a grey image, F reads it there."""

    def g(x: Tensor) -> Tensor:
        return (x * 100).round().clamp(-100, 100) / 10_000

    def f(y: Tensor) -> Tensor:
        return (y * 100).clamp(-1, 1)

    x = torch.rand(4, 3, 16, 16) * 2 - 1
    found = model_sensitivity(g, f, x, x, epsilon=0.02)
    assert found.forward["none"].max() < 0.01
    assert found.forward["disturbance"].min() > 0.5

    def checkered(y: Tensor) -> Tensor:  # counts positions from the corner
        return y * ((torch.arange(y.shape[2])[:, None] + torch.arange(y.shape[3])) % 2 * 2.0 - 1)

    found = model_sensitivity(checkered, checkered, x, x, seed=1)
    assert found.forward["none"].max() == 0
    assert found.forward["resize"].min() > 0.1


def test_crops_differ_by_image_and_come_from_the_seed() -> None:
    x = torch.rand(8, 3, 16, 16)
    inputs = list[Tensor]()

    def f(y: Tensor) -> Tensor:
        inputs.append(y)
        return y

    for seed in (0, 0, 1):
        model_sensitivity(identity, f, x, x, seed=seed)
    crops = [each for each in inputs if each.shape[2] == 13]
    assert torch.equal(crops[0], crops[1])
    assert not torch.equal(crops[0], crops[2])
    corners = {
        next((i, j) for i in range(4) for j in range(4) if torch.equal(c, x[n, :, i : i + 13, j : j + 13]))
        for n, c in enumerate(crops[0])
    }
    assert len(corners) > 1


def test_generators_of_the_library_take_part_through_any_size() -> None:
    g, f, e = ResnetGenerator(width=4, blocks=1), AuxGenerator(width=4, blocks=1), AuxEncoder(width=4)
    x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    found = model_sensitivity(AnySize(g), AnySize(f), x, y, e(x), f.sample_aux(2))
    assert all(each.isfinite().all() for each in (*found.forward.values(), *found.backward.values()))
    with pytest.raises(ValueError, match="x is too small"):
        model_sensitivity(g, f, x, y, crop=32)


def test_f_on_real_and_generated_labels_with_the_same_z() -> None:
    y, z, codes = torch.rand(2, 3, 8, 8), torch.randn(2, 4), list[Tensor]()

    def f(labels: Tensor, code: Tensor) -> Tensor:
        codes.append(code)
        return 3 * labels

    torch.testing.assert_close(same_z_difference(f, y, y + 0.1, z), torch.full((2,), 0.3))
    assert codes[0] is codes[1] is z
    with pytest.raises(ValueError, match="real and generated must agree"):
        same_z_difference(f, y, y[:1], z)


# the leak: x is a hue of the background that labels do not show


def photos_and_labels(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Photos of a label (half of the image) before a background in a random grey, the labels, and the greys."""
    greys = torch.rand(n) * 2 - 1
    labels = torch.full((n, 3, 16, 16), -1.0)
    for each in labels:
        each[:, :, int(torch.randint(4, 12, ())) :] = 1.0
    photos = torch.where(labels > 0, 1.0, greys[:, None, None, None].expand_as(labels))
    return photos, labels, greys


def small_secret(photos: Tensor, labels: Tensor) -> Tensor:
    """G(x) that hides the grey in values of a hundredth."""
    return labels + 0.01 * photos[:, :, :1, :1]


def large_secret(photos: Tensor, labels: Tensor) -> Tensor:
    """G(x) that hides the grey in how wide a white bar along the lower edge is, in blocks of four."""
    hidden = labels.clone()
    for each, photo in zip(hidden, photos, strict=True):
        blocks = int((photo[0, 0, 0] + 1) / 2 * 3.999)
        each[:, 12:, :] = -1.0
        each[:, 12:, : 4 * blocks] = 1.0
    return hidden


def reads_small(y: Tensor) -> Tensor:
    grey = (y[:, :, :1, :1] + 1) * 100
    return torch.where(y > 0, 1.0, grey.clamp(-1, 1).expand_as(y))


def reads_large(y: Tensor) -> Tensor:
    blocks = (y[:, 0, 12:].reshape(len(y), 4, 4, 4).mean((1, 3)) > 0).sum(1)
    rebuilt = y.clone()
    rebuilt[:, :, 12:] = y[:, :, 11:12]
    grey = (blocks + 0.5) / 2 - 1
    return torch.where(rebuilt > 0, 1.0, grey[:, None, None, None].expand_as(y))


def test_the_leak_of_both_kinds_is_found_from_the_truth_and_none_where_there_is_none() -> None:
    photos, labels, _ = photos_and_labels(200)
    for secret, reads in ((small_secret, reads_small), (large_secret, reads_large)):
        found = rebuild_leak(reads, photos, labels, secret(photos, labels))
        assert found.leak.mean() > 0.1
        assert found.rows()[0].value == pytest.approx(found.leak.mean().item())
        honest = rebuild_leak(reads, photos, labels, labels)
        assert not honest.leak.any()
    with pytest.raises(ValueError, match="true_y"):
        rebuild_leak(reads_small, photos, labels[:5], labels)


def test_curves_find_the_small_secret_and_miss_the_large_one() -> None:
    photos, labels, _ = photos_and_labels(100)
    small, large = small_secret(photos, labels), large_secret(photos, labels)
    noise = [2 / 255, 8 / 255, 16 / 255]
    fragile = rebuild_curve(reads_small, photos, small, "noise", noise)
    assert fragile.errors[0] > 3 * fragile.plain + 0.05
    assert rebuild_curve(reads_small, photos, small, "quantisation", [64]).errors[0] > fragile.plain + 0.05
    for change, strengths in (("noise", noise), ("quantisation", [64, 8, 4]), ("blur", [0.5])):
        curve = rebuild_curve(reads_large, photos, large, change, strengths)  # type: ignore[arg-type]
        assert max(curve.errors) < curve.plain + 0.06, change
    assert rebuild_leak(reads_large, photos, labels, large).leak.mean() > 0.1  # which is there all the same


def test_the_changes_are_what_they_are_called() -> None:
    y, inputs = torch.rand(2, 3, 32, 32) * 2 - 1, list[Tensor]()

    def f(image: Tensor) -> Tensor:
        inputs.append(image)
        return image

    assert rebuild_curve(f, y, y, "quantisation", [2, 5]).strengths == (2.0, 5.0)
    assert inputs[0].unique().tolist() == [-1, 1]
    assert inputs[1].unique().tolist() == pytest.approx([-1, -0.5, 0, 0.5, 1])
    inputs.clear()
    rebuild_curve(f, y, y, "noise", [0.25])
    assert (inputs[0] - y).std().item() == pytest.approx(0.25, rel=0.1)
    inputs.clear()
    curve = rebuild_curve(f, y, y, "blur", [0, 1.0, 3.0])
    assert torch.equal(inputs[0], y)
    from torchvision.transforms.functional import gaussian_blur

    torch.testing.assert_close(inputs[1], gaussian_blur(y, [7, 7], [1.0, 1.0]), atol=1e-5, rtol=1e-5)
    assert all(a < b for a, b in pairwise(curve.errors))
    assert rebuild_curve(f, y, y, "blur").strengths == (0.5, 1.0, 2.0, 4.0)
    for change, wrong in (
        ("quantisation", [1]),
        ("quantisation", [2.5]),
        ("noise", [-1.0]),
        ("blur", [100]),
        ("noise", []),
    ):
        with pytest.raises(ValueError, match="strengths"):
            rebuild_curve(f, y, y, change, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="change: unknown 'blurr', did you mean 'blur'"):
        rebuild_curve(f, y, y, "blurr")  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", [small_secret, large_secret])
def test_a_probe_reads_both_kinds_of_secret_and_nothing_from_honest_labels(secret: Any) -> None:
    photos, labels, greys = photos_and_labels(300)
    hidden, classes = secret(photos, labels), (greys > 0).long()
    assert probe(hidden, greys).score > 0.5
    assert probe(labels, greys).score < 0.1
    found, honest = probe(hidden, classes), probe(labels, classes)
    assert found.score > 0.85
    assert abs(honest.score - 0.5) < 0.15
    assert abs(found.chance - 0.5) < 0.15
    assert (found.measure, probe(hidden, greys).measure) == ("accuracy", "R²")


def test_the_convolutional_probe_finds_what_moves() -> None:
    n = 160
    classes = torch.arange(n) % 2
    images = torch.zeros(n, 3, 16, 16)
    for image, each in zip(images, classes.tolist(), strict=True):  # an upright or a flat bar anywhere
        i, j = torch.randint(2, 10, (2,)).tolist()
        image[:, i : i + (4 if each else 1), j : j + (1 if each else 4)] = 1.0
    state = torch.get_rng_state()
    moving = probe(images, classes, "convolutional", steps=100)
    assert torch.equal(torch.get_rng_state(), state)
    assert moving.score > 0.9
    assert moving.score > probe(images, classes).score
    assert probe(images, classes, "convolutional", steps=3) == probe(images, classes, "convolutional", steps=3)
    numbers = probe(images, classes.float(), "convolutional", steps=100)
    assert numbers.score > 0.5


def test_halves_are_never_tested_with_what_they_were_trained_on() -> None:
    images, factors = torch.rand(40, 3, 8, 8), torch.randn(40)  # 192 pixels explain any 20 numbers
    assert probe(images, factors).score < 0.2
    assert len(probe(images, factors).halves) == 2


def test_what_cannot_be_probed_is_refused() -> None:
    images = torch.rand(10, 3, 8, 8)
    for factors, said in (
        (torch.zeros(9), r"factors must be \(10,\)"),
        (torch.zeros(10).long(), "at least two classes"),
        (torch.arange(10) - 1, "integers from 0"),
        (torch.full((10,), float("nan")), "finite"),
    ):
        with pytest.raises(ValueError, match=said):
            probe(images, factors)
    with pytest.raises(ValueError, match="at least 8"):
        probe(images[:4], torch.rand(4))
    with pytest.raises(ValueError, match="kind: unknown"):
        probe(images, torch.rand(10), "quadratic")  # type: ignore[arg-type]
