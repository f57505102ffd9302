"""Segmentation scores against loops over pixels, torchmetrics, and what has to hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from asymkit.evaluation import (
    Palette,
    SegmentationMeter,
    SegmentationScores,
    SmallUNet,
    label_scores,
    nearest_class,
    photo_scores,
    segment,
    train_segmentation,
)

PALETTE = Palette.of({"wall": (0, 0, 255), "door": (255, 0, 0), "sky": (0, 200, 200), "void": (0, 0, 0)})


def ids(*shape: int, classes: int = 4) -> Tensor:
    return torch.randint(classes, shape)


def coloured(classes: Tensor) -> Tensor:
    """Label images (N, 3, H, W) in [-1, 1]."""
    return torch.tensor(PALETTE.colors)[classes].permute(0, 3, 1, 2) / 127.5 - 1


def scores_of(prediction: Tensor, truth: Tensor, classes: int, ignored: tuple[int, ...] = ()) -> SegmentationScores:
    meter = SegmentationMeter(classes, ignored)
    meter.update(prediction, truth)
    return meter.compute()


def looped(
    prediction: Tensor, truth: Tensor, classes: int, ignored: tuple[int, ...] = ()
) -> tuple[float, float, float]:
    """The three means by counting pixels one after another."""
    pairs = [(p, t) for p, t in zip(prediction.flatten().tolist(), truth.flatten().tolist(), strict=True)]
    pairs = [(p, t) for p, t in pairs if t not in ignored]
    accuracies, ious = [], []
    for k in range(classes):
        right = sum(p == k == t for p, t in pairs)
        there, said = sum(t == k for _, t in pairs), sum(p == k for p, _ in pairs)
        if there:
            accuracies.append(right / there)
        if there + said and k not in ignored:
            ious.append(right / (there + said - right))
    return sum(p == t for p, t in pairs) / len(pairs), sum(accuracies) / len(accuracies), sum(ious) / len(ious)


def test_the_nearest_colour_is_that_of_a_loop() -> None:
    images = torch.rand(2, 3, 5, 7) * 2 - 1
    found = nearest_class(images, PALETTE)
    levels = (images.double() + 1) * 127.5
    for n, i, j in np.ndindex(2, 5, 7):
        distances = [sum((levels[n, c, i, j].item() - color[c]) ** 2 for c in range(3)) for color in PALETTE.colors]
        assert found[n, i, j] == distances.index(min(distances))


def test_another_order_of_the_palette_gives_the_same_names() -> None:
    images, order = torch.rand(2, 3, 5, 7) * 2 - 1, [2, 0, 3, 1]
    other = Palette.of({PALETTE.names[k]: PALETTE.colors[k] for k in order})
    assert torch.equal(torch.tensor(order)[nearest_class(images, other)], nearest_class(images, PALETTE))


@pytest.mark.parametrize("ignored", [(), (3,), (0, 3)])
def test_the_scores_are_those_of_a_loop(ignored: tuple[int, ...]) -> None:
    prediction, truth = ids(2, 9, 11), ids(2, 9, 11)
    found = scores_of(prediction, truth, 4, ignored)
    means = found.pixel_accuracy, found.class_accuracy, found.class_iou
    assert means == pytest.approx(looped(prediction, truth, 4, ignored), rel=1e-6)


def test_the_scores_are_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

    prediction, truth = ids(2, 9, 11), ids(2, 9, 11)
    found = scores_of(prediction, truth, 4)
    options: dict[str, Any] = {"num_classes": 4, "average": "none"}
    torch.testing.assert_close(
        found.class_ious.float(), multiclass_jaccard_index(prediction, truth, **options), check_dtype=False
    )
    torch.testing.assert_close(
        found.class_accuracies.float(), multiclass_accuracy(prediction, truth, **options), check_dtype=False
    )


def test_one_confusion_matrix_counts_all_images_by_pixels_not_by_images() -> None:
    meter, parts = SegmentationMeter(4), [(ids(1, 4, 4), ids(1, 4, 4)), (ids(2, 30, 7), ids(2, 30, 7))]
    for prediction, truth in parts:
        meter.update(prediction, truth)
    flat = [torch.cat([part[side].flatten() for part in parts]).view(1, 1, -1) for side in (0, 1)]
    assert torch.equal(meter.compute().confusion, scores_of(flat[0], flat[1], 4).confusion)


def test_renaming_classes_changes_no_mean() -> None:
    prediction, truth, order = ids(1, 20, 20), ids(1, 20, 20), torch.randperm(4)
    first, second = scores_of(prediction, truth, 4), scores_of(order[prediction], order[truth], 4)
    assert first.class_iou == pytest.approx(second.class_iou)
    assert first.class_accuracy == pytest.approx(second.class_accuracy)


def test_a_class_that_the_truth_does_not_have() -> None:
    truth = torch.tensor([[[0, 0, 1, 1]]])
    absent = scores_of(truth, truth, 3)
    assert absent.class_accuracies.isnan().tolist() == absent.class_ious.isnan().tolist() == [False, False, True]
    assert absent.class_accuracy == absent.class_iou == 1.0
    assert "1 of them not in the truth" in absent.rows()[0].by
    predicted = scores_of(torch.tensor([[[0, 0, 1, 2]]]), truth, 3)
    assert predicted.class_accuracies[2].isnan()
    assert predicted.class_ious.tolist() == [1.0, 0.5, 0.0]
    assert [row.shown for row in predicted.rows("abc") if row.figure == "accuracy of c"] == ["–"]


def test_pixels_of_ignored_classes_do_not_count_but_predicting_one_is_wrong() -> None:
    found = scores_of(torch.tensor([[[0, 1, 2, 2]]]), torch.tensor([[[0, 1, 1, 2]]]), 3, ignored=(2,))
    assert found.pixel_accuracy == pytest.approx(2 / 3)
    assert found.class_ious.tolist()[:2] == [1.0, 0.5]
    assert found.class_iou == 0.75
    assert not [row for row in found.rows("abc") if row.figure.endswith(" c")]


def test_what_is_no_segmentation_is_refused() -> None:
    meter = SegmentationMeter(3)
    with pytest.raises(ValueError, match="no pixel has a class that counts"):
        meter.compute()
    with pytest.raises(ValueError, match="truth: classes are numbered 0 to 2, got 3"):
        meter.update(ids(1, 2, 2, classes=1), torch.full((1, 2, 2), 3))
    with pytest.raises(ValueError, match="prediction: classes are numbered 0 to 2, got -1"):
        meter.update(torch.full((1, 2, 2), -1), ids(1, 2, 2, classes=1))
    with pytest.raises(ValueError, match=r"one shape, got \(1, 2, 2\) and \(1, 2, 3\)"):
        meter.update(ids(1, 2, 2, classes=3), ids(1, 2, 3, classes=3))
    with pytest.raises(ValueError, match="prediction must be ids of classes"):
        meter.update(torch.rand(1, 2, 2), ids(1, 2, 2, classes=3))
    with pytest.raises(ValueError, match="ignored must be an integer"):
        SegmentationMeter(3, ignored=(-1,))


def test_palettes_are_read_and_what_is_wrong_with_one_is_said(tmp_path: Path) -> None:
    path = tmp_path / "palette.json"
    path.write_text(json.dumps({"wall": [0, 0, 255], "door": [255, 0, 0]}), encoding="utf-8")
    assert Palette.read(path).id_of("door") == 1
    with pytest.raises(ValueError, match="no class 'sky'; it has 'wall', 'door'"):
        Palette.read(path).id_of("sky")
    for content, said in (
        ("{", "Expecting property name"),
        ('{"wall": [0, 0, 255]}', "at least two classes"),
        ('{"wall": [0, 0, 256], "door": [0, 0, 0]}', "from 0 to 255 each, got 'wall'"),
        ('{"wall": [0, 0, 0], "door": [0, 0, 0]}', "a colour of its own"),
        ("[1, 2]", "names and colours"),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=rf"palette.json'.*{said}"):
            Palette.read(path)
    with pytest.raises(ValueError, match=r"nowhere.json"):
        Palette.read(tmp_path / "nowhere.json")


def saved(folder: Path, images: Tensor, ending: str = ".png") -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        levels = ((image.permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()
        Image.fromarray(levels).save(folder / f"{number}{ending}")
    return folder


def test_folders_of_label_images_with_jpegs_errors_and_palettes(tmp_path: Path) -> None:
    truth = ids(3, 4, 4).repeat_interleave(8, 1).repeat_interleave(8, 2)
    true, made = saved(tmp_path / "true", coloured(truth)), saved(tmp_path / "made", coloured(truth), ".jpg")
    assert label_scores(true, made, PALETTE).pixel_accuracy > 0.9  # chroma is halved: only edges differ
    with Image.open(true / "0.png") as image:  # as indices into a palette
        image.convert("P", palette=Image.Palette.ADAPTIVE).save(true / "0.png")
    assert label_scores(true, coloured_folder(tmp_path, truth), PALETTE).pixel_accuracy == 1.0
    assert label_scores(coloured(truth), coloured(truth), PALETTE).pixel_accuracy == 1.0


def coloured_folder(tmp_path: Path, truth: Tensor) -> Path:
    return saved(tmp_path / "again", coloured(truth))


def test_sizes_names_and_folders_that_do_not_fit_are_named(tmp_path: Path) -> None:
    true = saved(tmp_path / "true", coloured(ids(2, 32, 24)))
    small = saved(tmp_path / "small", coloured(ids(2, 16, 12)))
    with pytest.raises(ValueError, match=r"0.png: .* different sizes, 24×32 and 12×16; set enlarge"):
        label_scores(true, small, PALETTE)
    assert label_scores(true, small, PALETTE, enlarge=True).confusion.sum() == 2 * 32 * 24
    (small / "1.png").rename(small / "one.png")
    with pytest.raises(ValueError, match=r"1 of .*true without a partner: 1; 1 of .*small without a partner: one"):
        label_scores(true, small, PALETTE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"fake: no images in .*empty"):
        label_scores(true, tmp_path / "empty", PALETTE)
    (small / "one.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read .*one.png"):
        label_scores(true, small, PALETTE)
    with pytest.raises(ValueError, match="both be folders"):
        label_scores(true, coloured(ids(2, 16, 12)), PALETTE)


class Thresholds(nn.Module):
    """Two classes by the red channel, at a quarter of the size; remembers the sizes it saw."""

    def __init__(self, wrapped: bool = False) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []
        self.wrapped = wrapped

    def forward(self, photos: Tensor) -> Any:
        self.sizes.append(tuple(photos.shape[2:]))
        red = nn.functional.avg_pool2d(photos[:, :1], 4)
        logits = torch.cat([-red, red], 1)
        return {"out": logits, "aux": -logits} if self.wrapped else logits


@pytest.mark.parametrize("wrapped", [False, True])
def test_photos_are_enlarged_before_the_network_sees_them(wrapped: bool) -> None:
    network = Thresholds(wrapped).train()
    photos = torch.ones(3, 3, 8, 12)
    photos[..., :6] = -1
    truth = (torch.arange(24) >= 12).long().expand(3, 16, 24)
    assert photo_scores(network, photos, truth, classes=2, batch=2).pixel_accuracy == 1.0
    assert network.sizes == [(16, 24), (16, 24)]
    assert network.training


def test_what_is_no_segmentation_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"network must turn photos into logits \(1, classes, h, w\)"):
        segment(nn.Flatten(), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="truth must be ids of classes"):
        photo_scores(Thresholds(), torch.zeros(1, 3, 8, 8), ids(2, 8, 8), 2)
    with pytest.raises(ValueError, match="size must be the height and width"):
        segment(Thresholds(), torch.zeros(1, 3, 8, 8), size=(8, 8, 8))  # type: ignore[arg-type]


def test_a_small_unet_learns_colours_and_takes_no_random_numbers() -> None:
    truth = ids(6, 4, 4, classes=3).repeat_interleave(4, 1).repeat_interleave(4, 2)
    photos = (coloured(truth) * 0.5 + 0.2 * torch.randn(6, 3, 16, 16)).clamp(-1, 1)
    options: dict[str, Any] = {"classes": 3, "steps": 60, "batch": 4, "width": 8, "learning_rate": 1e-2}
    state = torch.get_rng_state()
    network = train_segmentation(photos, truth, **options)
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    assert photo_scores(network, photos, truth, 3).pixel_accuracy > 0.9
    again = train_segmentation(photos, truth, **options)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_training_is_refused_what_does_not_belong_together() -> None:
    photos = torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"labels must be ids of classes \(2, 16, 16\)"):
        train_segmentation(photos, ids(2, 8, 8), 4)
    with pytest.raises(ValueError, match="numbered 0 to 1"):
        train_segmentation(photos, torch.full((2, 16, 16), 3), 2)
    with pytest.raises(ValueError, match="at least 8"):
        SmallUNet(3, width=4)(torch.zeros(1, 3, 4, 4))


def test_means_ignore_what_has_no_figure() -> None:
    one = scores_of(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2).long(), 2)
    assert (one.pixel_accuracy, one.class_accuracy, one.class_iou) == (1.0, 1.0, 1.0)
    assert not math.isnan(one.class_iou)
