"""Segmentation scores: of label images by their colours, of photos by a network trained on real ones.

Accuracy per pixel and per class and intersection over union, from one confusion matrix over a whole set, as in the FCN
scores of pix2pix and CycleGAN [AsymGAN Table I, Table II].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.arguments import at_least, described, flags
from asymkit.checks import check_array
from asymkit.evaluation.palette import MOST_CLASSES, Palette, check_palette, nearest_class
from asymkit.evaluation.sources import Images, image_pairs
from asymkit.evaluation.table import Row
from asymkit.optional import needed_for


@dataclass(frozen=True)
class SegmentationScores:
    """Accuracies and intersections over union, of a whole set of images.

    A class that the truth does not have has no accuracy (NaN), and no IoU if it is not predicted either; its IoU is 0
    where it is predicted. Means are over the classes that have a figure (pix2pix's script counts the others as 0).

    Attributes:
        confusion: pixels by true class (rows) and predicted class, (K, K), integers.
        ignored: classes that do not count, and of whose pixels none does.
    """

    confusion: Tensor = field(repr=False)
    ignored: tuple[int, ...] = ()

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels whose class is right."""
        return (self.confusion.diagonal().sum() / self.confusion.sum()).item()

    @property
    def class_accuracies(self) -> Tensor:
        """Share of each class's pixels that are right, (K,), float64."""
        return self.confusion.diagonal().double() / self.confusion.sum(1)

    @property
    def class_ious(self) -> Tensor:
        """Intersection over union of each class, (K,), float64."""
        right = self.confusion.diagonal().double()
        ious = right / (self.confusion.sum(0) + self.confusion.sum(1) - right)
        ious[list(self.ignored)] = torch.nan
        return ious

    @property
    def class_accuracy(self) -> float:
        """Mean of :attr:`class_accuracies`, over the classes of the truth."""
        return self.class_accuracies.nanmean().item()

    @property
    def class_iou(self) -> float:
        """Mean of :attr:`class_ious`, over the classes of the truth or the prediction."""
        return self.class_ious.nanmean().item()

    def rows(self, names: Sequence[str] | None = None, by: str = "") -> list[Row]:
        """The rows of a table.

        Args:
            names: of the classes, for a row of each; None for the three means alone.
            by: what was compared.
        """
        pixels = int(self.confusion.sum())
        absent = int((self.confusion.sum(1) == 0).sum()) - len(self.ignored)
        said = f"{by}{'; ' if by else ''}{pixels:,} pixels, {len(self.confusion) - len(self.ignored)} classes"
        said += f", {absent} of them not in the truth" if absent else ""
        rows = [
            Row("per-pixel accuracy", self.pixel_accuracy, said),
            Row("per-class accuracy", self.class_accuracy, said),
            Row("class IoU", self.class_iou, said),
        ]
        for number, name in enumerate(names or ()):
            if number not in self.ignored:
                share = f"{self.confusion[number].sum().item() / pixels:.1%} of the true pixels"
                rows.append(Row(f"accuracy of {name}", self.class_accuracies[number].item(), share))
                rows.append(Row(f"IoU of {name}", self.class_ious[number].item(), share))
        return rows


class SegmentationMeter:
    """Counts pixels by true and predicted class, image after image; torchmetrics counts.

    Args:
        classes: how many there are.
        ignored: ids of classes that do not count, such as "unlabelled": pixels that have one in truth are left out.

    Raises:
        ValueError: fewer than two classes, ids that are none.
        ImportError: torchmetrics is missing.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import SegmentationMeter
        >>> meter = SegmentationMeter(classes=3)
        >>> meter.update(torch.tensor([[[0, 1, 1, 1]]]), truth=torch.tensor([[[0, 0, 1, 1]]]))
        >>> scores = meter.compute()
        >>> scores.pixel_accuracy, scores.class_accuracy, round(scores.class_iou, 4)
        (0.75, 0.75, 0.5833)
    """

    def __init__(self, classes: int, ignored: Sequence[int] = ()) -> None:
        with needed_for("a segmentation score"):
            from torchmetrics.functional.classification import multiclass_confusion_matrix
        self.count: Any = multiclass_confusion_matrix
        self.classes = at_least("classes", classes, 2, MOST_CLASSES)
        if not isinstance(ignored, list | tuple):
            raise ValueError(f"ignored must be a list of ids of classes, got {described(ignored)}")
        self.ignored = tuple(at_least("ignored", each, 0, self.classes - 1) for each in ignored)
        self.confusion = torch.zeros(self.classes, self.classes, dtype=torch.long)

    def update(self, prediction: Tensor, truth: Tensor) -> None:
        """Count the pixels of a batch.

        Args:
            prediction: ids, (N, H, W), integers.
            truth: of the same shape.

        Raises:
            ValueError: other shapes, no integers, ids that are no class.
        """
        for name, each in (("prediction", prediction), ("truth", truth)):
            check_array(name, each, "ids of classes (N, H, W), integers", (3,), integers=True)
        if prediction.shape != truth.shape:
            raise ValueError(
                f"prediction and truth must have one shape, got {tuple(prediction.shape)} and {tuple(truth.shape)}"
            )
        prediction, truth = prediction.cpu().long(), truth.cpu().long()
        for name, each in (("prediction", prediction), ("truth", truth)):
            low, high = int(each.min()), int(each.max())
            if low < 0 or high >= self.classes:
                wrong = low if low < 0 else high
                raise ValueError(f"{name}: classes are numbered 0 to {self.classes - 1}, got {wrong}")
        counts = torch.ones_like(truth, dtype=torch.bool)
        for ignored in self.ignored:
            counts &= truth != ignored
        if counts.any():
            self.confusion += self.count(prediction[counts], truth[counts], self.classes, validate_args=False)

    def compute(self) -> SegmentationScores:
        """The scores of all that was counted.

        Raises:
            ValueError: nothing was.
        """
        if not self.confusion.any():
            raise ValueError("truth: no pixel has a class that counts")
        return SegmentationScores(self.confusion.clone(), self.ignored)


def label_scores(
    real: Images,
    fake: Images,
    palette: Palette,
    ignored: Sequence[int] = (),
    enlarge: bool = False,
    endings: tuple[str, str] = ("", ""),
) -> SegmentationScores:
    """Scores of generated label images: photo → label.

    Args:
        real: the true label images: (N, 3, H, W) in [-1, 1], a folder, or batches.
        fake: generated, of the same kind.
        palette: the colours of the classes.
        ignored: ids of classes that do not count.
        enlarge: bring generated images to the size of the true ones first, bilinearly.
        endings: of the names of files in the two folders, see :func:`asymkit.evaluation.image_pairs`.

    Raises:
        ValueError: a file without a partner, a pair of two sizes without ``enlarge``.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import Palette, label_scores
        >>> palette = Palette.of({"black": [0, 0, 0], "white": [255, 255, 255]})
        >>> label_scores(torch.ones(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.7), palette).pixel_accuracy
        1.0
    """
    check_palette(palette)
    (enlarge,) = flags(enlarge=enlarge)
    meter = SegmentationMeter(len(palette.names), ignored)
    for name, true, made in image_pairs(real, fake, endings):
        if made.shape != true.shape:
            if not enlarge:
                sizes = " and ".join(f"{each.shape[3]}×{each.shape[2]}" for each in (true, made))
                raise ValueError(
                    f"{name}: the true and the generated label image have different sizes, {sizes}; set enlarge to bring "
                    "the generated one to the size of the other"
                )
            made = F.interpolate(made, true.shape[2:], mode="bilinear")  # noqa: PLW2901
        meter.update(nearest_class(made, palette), nearest_class(true, palette))
    return meter.compute()
