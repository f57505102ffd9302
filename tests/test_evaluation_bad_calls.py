"""The entries of asymkit.evaluation, called with nonsense as in test_bad_calls.py: a ValueError that names the argument.

What is accepted is not judged here but for objects that no argument can be: the functions' own tests say what they compute.
"""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_calls import Case, Kind
from PIL import Image
from test_bad_calls import fault, told, values, variants
from torch import Tensor, nn

from asymkit import evaluation as e

CONTAINERS = {"AugmentationScores", "Features", "ImageQuality", "PairedScores", "ProbeScore", "RebuildCurve"}
CONTAINERS |= {"RebuildLeak", "Row", "SegmentationScores", "Sensitivity", "Palette"}
"""What functions return; nobody else makes them, but for a Palette, whose ways in are below."""

SLOW = {"steps", "subsets", "splits", "batch"}
"""Any integer is legitimate, and large ones take hours."""


def sane(v: Any) -> bool:
    return type(v) is not object and not isinstance(v, bytes | complex)


def kind(valid: Any, alias: str = "") -> Kind:
    return Kind(valid, sane, alias)


class Moments(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((2, 3)), images.mean((2, 3))


def thresholds(photos: Tensor) -> Tensor:
    return torch.cat([photos[:, :1], -photos[:, :1]], 1)


class Thresholds(nn.Module):
    def forward(self, photos: Tensor) -> Tensor:
        return thresholds(photos)


def cases(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    x, y = torch.rand(8, 3, 12, 12), torch.rand(8, 3, 12, 12)
    ids, rows, classes = torch.randint(2, (8, 12, 12)), torch.randn(8, 4), torch.arange(8) % 2
    network = e.FeatureNetwork(Moments(), "moments")
    palette = e.Palette.of({"dark": [0, 0, 0], "light": [255, 255, 255]})
    meter, unet = e.SegmentationMeter(2), e.SmallUNet(2, width=2).eval()
    meter.update(ids, ids)
    scores, codes = meter.compute(), torch.randn(8, 2)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))

    def translate(image: Tensor, z: Tensor | None = None) -> Tensor:
        return image

    def gone(call: Callable[..., Any]) -> Callable[..., Any]:  # a generator does nothing until it is asked
        return lambda *args, **options: list(call(*args, **options))

    def train(images: Tensor, of: Tensor) -> nn.Module:
        return Moments2()

    def generate(images: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        return images, of

    (folder / "palette.json").write_text('{"a": [0, 0, 0], "b": [1, 1, 1]}', encoding="utf-8")
    images = folder / "images"
    images.mkdir()
    Image.new("RGB", (12, 12)).save(images / "a.png")
    pair = {"real": x, "fake": y}
    loops = {"x": x, "y": y, "z_x": codes, "z_y": codes, "crop": 3, "enlarge": 2, "epsilon": 0.1, "seed": 0}
    return {
        "FeatureNetwork": (e.FeatureNetwork, {"network": Moments(), "name": "moments", "is_inception": False}),
        "FeatureNetwork.forward": (network, {"images": x}),
        "FolderImages": (e.FolderImages, {"folder": images, "option": "folder", "ending": ""}),
        "Palette.id_of": (palette.id_of, {"name": "dark"}),
        "Palette.of": (e.Palette.of, {"given": {"a": [0, 0, 0], "b": [1, 1, 1]}}),
        "Palette.read": (e.Palette.read, {"path": folder / "palette.json"}),
        "SegmentationMeter": (e.SegmentationMeter, {"classes": 2, "ignored": (0,)}),
        "SegmentationMeter.update": (meter.update, {"prediction": ids, "truth": ids}),
        "SegmentationScores.rows": (scores.rows, {"names": ("a", "b"), "by": "x"}),
        "SmallUNet": (e.SmallUNet, {"classes": 2, "in_channels": 3, "width": 2}),
        "SmallUNet.forward": (unet, {"photos": x}),
        "augmentation_scores": (
            e.augmentation_scores,
            {"train": train, "images": x, "classes": classes, "generate": generate, "share": 0.5, "seed": 0},
        ),
        "classification_accuracy": (
            e.classification_accuracy,
            {"classifier": Moments2(), "images": x, "classes": classes, "ks": (1, 2), "batch": 4},
        ),
        "discrete_frechet": (e.discrete_frechet, {"p": rows, "q": rows}),
        "diversity_over_z": (
            e.diversity_over_z,
            {"generator": translate, "inputs": x, "z": codes, "distance": distance},
        ),
        "entropy_over_z": (e.entropy_over_z, {"values": rows, "bins": 3, "value_range": (0, 1)}),
        "extract_features": (e.extract_features, {"network": network, "images": x, "name": "images"}),
        "frd": (e.frd, {**pair, "network": network}),
        "frechet_distance": (e.frechet_distance, {"real": rows, "fake": rows}),
        "image_batches": (gone(e.image_batches), {"images": x, "name": "images", "batch": 4}),
        "image_pairs": (gone(e.image_pairs), {**pair, "endings": ("", "")}),
        "image_quality": (
            e.image_quality,
            {**pair, "network": network, "subset_size": 4, "subsets": 2, "splits": 2, "seed": 0},
        ),
        "inception_features": (e.inception_features, {"weights": "nowhere.pth"}),
        "inception_score": (e.inception_score, {"logits": rows, "splits": 2, "seed": 0}),
        "json_rows": (e.json_rows, {"rows": scores.rows()}),
        "kernel_distance": (
            e.kernel_distance,
            {"real": rows, "fake": rows, "subset_size": 4, "subsets": 2, "seed": 0},
        ),
        "label_scores": (
            e.label_scores,
            {**pair, "palette": palette, "ignored": (), "enlarge": False, "endings": ("", "")},
        ),
        "mean_hue": (e.mean_hue, {"images": x, "mask": ids > 0}),
        "model_sensitivity": (
            e.model_sensitivity,
            {"rich_to_poor": translate, "poor_to_rich": translate, **loops, "error": distance},
        ),
        "nearest_class": (e.nearest_class, {"images": x, "palette": palette}),
        "paired_scores": (
            e.paired_scores,
            {**pair, "distances": {"L1": distance}, "endings": ("", ""), "device": "cpu"},
        ),
        "pairwise_distance": (e.pairwise_distance, {"images": x, "distance": distance, "batch": 4}),
        "photo_scores": (
            e.photo_scores,
            {"network": Thresholds(), "photos": x, "truth": ids, "classes": 2, "ignored": (), "batch": 4},
        ),
        "probe": (e.probe, {"images": x, "factors": classes, "kind": "linear", "steps": 1, "seed": 0}),
        "psnr": (e.psnr, pair),
        "rebuild_curve": (
            e.rebuild_curve,
            {
                "poor_to_rich": translate,
                "x": x,
                "generated_y": y,
                "change": "noise",
                "strengths": [0.1],
                "z": codes,
                "seed": 0,
                "error": distance,
            },
        ),
        "rebuild_leak": (
            e.rebuild_leak,
            {"poor_to_rich": translate, "x": x, "true_y": x, "generated_y": y, "z": codes, "error": distance},
        ),
        "same_z_difference": (
            e.same_z_difference,
            {"poor_to_rich": translate, "real": x, "generated": y, "z": codes, "error": distance},
        ),
        "segment": (e.segment, {"network": Thresholds(), "photos": x, "size": (12, 12)}),
        "text_table": (e.text_table, {"rows": scores.rows()}),
        "top_k_accuracy": (e.top_k_accuracy, {"logits": rows, "classes": classes, "k": 1}),
        "torchvision_features": (
            e.torchvision_features,
            {"net": "squeezenet1_1", "weights": None, "side": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3},
        ),
        "train_segmentation": (
            e.train_segmentation,
            {
                "photos": x,
                "labels": ids,
                "classes": 2,
                "steps": 1,
                "batch": 2,
                "learning_rate": 0.1,
                "width": 2,
                "ignored": 0,
                "seed": 0,
                "device": "cpu",
            },
        ),
    }


class Moments2(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


AGREE = "(images?|photos|labels|truth|classes|factors|mask|logits|splits|k|z_x|z_y)"
"""Of tensors that have to agree, a message may name any."""

ALIASES = {
    "given": "palette",
    "path": "palette",
    "name": "palette",
    "ending": "ends",
    "ks": "k",
    "crop": "x",
    "ignored": "truth",
}


def test_every_entry_and_argument_is_tried(tmp_path: Path) -> None:
    listed = cases(tmp_path)
    for name in e.__all__:
        found = getattr(e, name)
        if name in CONTAINERS:
            continue
        arguments = set(inspect.signature(found).parameters) - {"self"}
        assert name in listed, f"{name} is new: add it"
        assert arguments == set(listed[name][1]), name


def test_bad_calls_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong, rng = [], random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (call, given) in cases(tmp_path).items():
            together = {each: AGREE for each, valid in given.items() if isinstance(valid, Tensor)}
            case = Case(call, {each: kind(v, (together | ALIASES).get(each, "")) for each, v in given.items()})
            if name != "inception_features":
                call(**given)
            for argument, valid in given.items():
                if argument in SLOW or (name, argument) in FREE:
                    continue
                changed = variants(valid) if isinstance(valid, Tensor) else []
                for value in [*values(rng), *changed]:
                    if callable(valid) and callable(value):  # its own errors are what people want to see
                        continue
                    # some translate before they compare
                    said = fault(f"asymkit.objectives.{name}", case, argument, value)
                    if said is not None:
                        wrong.append(f"{name}({argument}={told(value)}): {said:.150}")
    assert not wrong, "\n".join([f"{len(wrong)} of them", *wrong[:80]])


FREE = {
    ("FolderImages", "option"),  # text for messages, as are these
    ("extract_features", "name"),
    ("image_batches", "name"),
    ("SegmentationScores.rows", "by"),
    ("SegmentationScores.rows", "names"),
    ("json_rows", "rows"),  # of what .rows() gave, as is this
    ("text_table", "rows"),
}
