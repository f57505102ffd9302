"""Classification: accuracies of a classifier trained on real images, and what generated images add to its training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asymkit.arguments import MOST_SEED, at_least, callables, described, modules, number
from asymkit.checks import check_array, check_images, have_values
from asymkit.evaluation.table import Row
from asymkit.optional import needed_for
from asymkit.training import frozen

Train = Callable[[Tensor, Tensor], nn.Module]
"""Images (N, C, H, W) and classes (N,) to a classifier, images to logits."""


def top_k_accuracy(logits: Tensor, classes: Tensor, k: int = 1) -> float:
    """Share of images whose class is among the k that score highest [AsymmetricGAN Table 8].

    Args:
        logits: (N, K).
        classes: the right ones, (N,), integers from 0 to K − 1.
        k: from 1 to K − 1: all K classes always hold the right one.

    Raises:
        ValueError: logits and classes that do not belong together, such a k.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import top_k_accuracy
        >>> logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
        >>> top_k_accuracy(logits, torch.tensor([0, 1])), top_k_accuracy(logits, torch.tensor([0, 1]), k=2)
        (0.5, 1.0)
    """
    check_array("logits", logits, "floating point, (N, K)", (2,))
    _check_classes("classes", classes, len(logits))
    count = logits.shape[1]
    if at_least("k", k) >= count:
        raise ValueError(f"k must be below the {count} classes, or every image is right, got {k}")
    if int(classes.min()) < 0 or int(classes.max()) >= count:
        raise ValueError(f"classes are numbered 0 to {count - 1}, got {int(classes.min())} to {int(classes.max())}")
    with needed_for("an accuracy"):
        from torchmetrics.functional.classification import multiclass_accuracy
    classes = classes.to(logits.device).long()
    found = multiclass_accuracy(logits, classes, num_classes=count, top_k=k, average="micro", validate_args=False)
    return float(found)


@torch.inference_mode()
def classification_accuracy(
    classifier: nn.Module, images: Tensor, classes: Tensor, ks: Sequence[int] = (1, 5), batch: int = 64
) -> dict[int, float]:
    """Top-k accuracies of a classifier that was trained on real images, of generated or of real ones.

    Args:
        classifier: images to logits (N, K); it is put in eval mode meanwhile.
        images: (N, C, H, W), in the range that it was trained with, on its device.
        classes: that the images are to show, (N,), integers.
        ks: each below the number of classes.
        batch: images at once.

    Returns:
        Share of right images for each k.

    Raises:
        ValueError: images and classes that do not belong together, a k that is none.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.evaluation import classification_accuracy
        >>> classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> red = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8)
        >>> classification_accuracy(classifier, red, torch.tensor([0, 1]), ks=(1, 2))
        {1: 0.5, 2: 1.0}
    """
    modules(classifier=classifier)
    check_images(images, "images")
    have_values(images=images)
    _check_classes("classes", classes, len(images))
    if not isinstance(ks, list | tuple) or not ks:
        raise ValueError(f"ks must be a list of integers such as (1, 5), got {described(ks)}")
    ks = [at_least("ks", each) for each in ks]
    with frozen(classifier):
        found = [classifier(part) for part in images.split(at_least("batch", batch))]
    if not all(isinstance(each, Tensor) and each.ndim == 2 for each in found):
        raise ValueError(f"classifier must turn images into logits (N, K), got {described(found[0])}")
    logits = torch.cat(found)
    return {k: top_k_accuracy(logits, classes, k) for k in ks}


@dataclass(frozen=True)
class AugmentationScores:
    """Accuracies on real test images of classifiers trained on real, and on real and generated images.

    Attributes:
        real: trained on real images alone, the table's "real/real".
        augmented: trained on these and the generated ones.
        train: how many real images were trained on.
        generated: how many generated ones.
        test: how many real images were tested with.
    """

    real: float
    augmented: float
    train: int
    generated: int
    test: int

    def rows(self) -> list[Row]:
        """The rows of a table."""
        tested = f"{self.test:,} real test images"
        return [
            Row("top-1, trained on real", self.real, f"{self.train:,} real images; {tested}"),
            Row(
                "top-1, trained on real + generated",
                self.augmented,
                f"{self.train:,} real and {self.generated:,} generated images; {tested}",
            ),
        ]


def augmentation_scores(
    train: Train,
    images: Tensor,
    classes: Tensor,
    generate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    share: float = 0.7,
    seed: int = 0,
) -> AugmentationScores:
    """What generated images add to the training of a classifier [AsymmetricGAN Table 13].

    Real images are divided 70/30 at random, class by class. One classifier is trained on the 70, another one on these and
    on what is generated from them; both are tested with the 30. Generated images come from a function of the training part,
    so that no test image has a part in them; the translator must not have been trained on test images either.

    Args:
        train: images and classes to a classifier; called twice, from the same random state.
        images: real ones, (N, C, H, W).
        classes: of them, (N,), integers from 0; each at least twice.
        generate: images and classes of the training part to generated images (M, C, H, W) and their classes (M,).
        share: of the training part.
        seed: of the division and of the training.

    Raises:
        ValueError: images and classes that do not belong together, a class with one image.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from asymkit.evaluation import augmentation_scores
        >>> def train(images, classes):
        ...     return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> images = torch.eye(3)[:, :, None, None].repeat(10, 1, 8, 8)
        >>> scores = augmentation_scores(train, images, torch.arange(3).repeat(10), lambda x, c: (x, c))
        >>> scores.real, scores.augmented, scores.train, scores.test
        (1.0, 1.0, 21, 9)
    """
    callables(train=train, generate=generate)
    check_images(images, "images")
    have_values(images=images)
    _check_classes("classes", classes, len(images))
    kept, held = split_by_class(classes, number("share", share, 0.01, 0.99), at_least("seed", seed, 0, MOST_SEED))
    real = images[kept], classes[kept]
    made = generate(*real)
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise ValueError(f"generate must give images and their classes, got {described(made)}")
    check_images(made[0], "generated images", channels=images.shape[1])
    _check_classes("generated classes", made[1], len(made[0]))
    both = torch.cat([real[0], made[0].to(images)]), torch.cat([real[1], made[1].to(classes)])
    found = []
    for given in (real, both):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            classifier = train(*given)
        modules(**{"what train gives": classifier})
        found.append(classification_accuracy(classifier, images[held], classes[held], (1,))[1])
    return AugmentationScores(found[0], found[1], len(kept), len(made[0]), len(held))


def split_by_class(classes: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions of a share of each class, drawn at random, and of the rest; both parts have every class.

    Raises:
        ValueError: a class with one image.
    """
    generator = torch.Generator().manual_seed(seed)
    kept, held = list[Tensor](), list[Tensor]()
    for each in classes.unique().tolist():
        places = (classes == each).nonzero().flatten().cpu()
        if len(places) < 2:
            raise ValueError(f"classes: class {each} has one image, which cannot be trained on and tested with")
        places = places[torch.randperm(len(places), generator=generator)]
        count = min(max(round(share * len(places)), 1), len(places) - 1)
        kept.append(places[:count])
        held.append(places[count:])
    return torch.cat(kept).sort().values, torch.cat(held).sort().values


def _check_classes(name: str, classes: object, count: int) -> None:
    check_array(name, classes, f"integers ({count},), one for each image", (1,), integers=True, length=count)
