"""Figures of runs between gestures: one photo with the skeleton of another photo."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from support.data.files import in_turn
from support.data.gestures import FilePairs, gesture_pairs
from support.data.pairs import read_pairs
from support.report.classifier import train_classifier
from torch import Tensor, nn

import asymkit
from asymkit.evaluation import FolderImages, Row, augmentation_scores, frd, torchvision_features
from asymkit.evaluation.classification import split_by_class
from papers import domains, two
from papers.sets import Opened
from papers.tools import save
from papers.work import Work

SHARE, MOST = 0.7, 5000
"""The part of the photos that a classifier is trained with, and pairs that are compared, at most."""

Generator = Callable[[Tensor, Tensor], Tensor]


def sets(work: Work, pairs: Path) -> tuple[FilePairs, FilePairs]:
    """The training and the test pairs of the run, in its size, cropped in the middle."""
    folder = work.data.folder
    train, test, _ = gesture_pairs(folder / "photos", folder / "skeletons", pairs, work.size, work.seed)
    assert isinstance(train, FilePairs)
    assert isinstance(test, FilePairs)
    return replace(train, shown="middle"), replace(test, shown="middle")


def held_out(work: Work) -> FilePairs:
    """The test pairs of the run."""
    return sets(work, work.data.folder / "pairs.csv")[1]


def translator(work: Work) -> Generator:
    """Photos and skeletons to photos."""
    assert work.training is not None
    network: Any = asymkit.load_network(work.training.folder, "translator").to(work.device)
    return network


@torch.inference_mode()
def translated(work: Work) -> tuple[Path, Path]:
    """Folders of the true and of the generated photos of the test pairs."""
    real, fake = work.out.parent / f"real-{work.size[0]}-{work.seed}", work.out / "fake"
    pairs = held_out(work)
    count = min(MOST, pairs.epoch)
    if work.tools.again or any(len(list(folder.glob("*.png"))) != count for folder in (real, fake)):
        network = translator(work)
        for number in range(count):
            x, _, y, skeleton = (part[None].to(work.device) for part in pairs[number])
            save(y, real / f"{number:05}.png")
            save(network(x, skeleton), fake / f"{number:05}.png")
    return real, fake


def scores(work: Work) -> list[Row]:
    """PSNR, FID and FRD [AsymmetricGAN Table 11, Table 12]."""
    real, fake = translated(work)
    rows = two.compared_in_pairs(work, real, fake) + two.compared_as_sets(work, real, fake)
    weights, random = work.tools.networks.frd, work.tools.networks.features == "random"
    if weights == "none":
        return rows
    network = work.tools.once(
        "frd", lambda: torchvision_features("resnet50", None if random else weights).to(work.device)
    )
    name = "Fréchet distance of logits (random resnet50, no FRD)" if random else "FRD"
    true, made = FolderImages(real), FolderImages(fake)
    each = [frd(true[n].to(work.device), made[n].to(work.device), network) for n in range(len(true))]
    return [*rows, Row(name, torch.cat(each).mean().item(), f"{network.name}; mean of {len(each):,} pairs")]


def parameters(work: Work) -> list[Row]:
    """Parameters of both generators [AsymmetricGAN Table 11]."""
    return domains.counted(work, least_dimensions=1)


def classes_of(data: Opened) -> dict[str, int]:
    """The gesture of every photo, as a number, by its name without ending.

    Raises:
        ValueError: there is no gestures.csv, or it has other columns.
    """
    path = data.folder / "gestures.csv"
    if not path.is_file():
        raise ValueError(f"{data.name}: no {str(path)!r}; expected a CSV file with the columns file and gesture")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file", "gesture"} <= rows[0].keys():
        raise ValueError(f"{data.name}: {str(path)!r} must have the columns file and gesture")
    numbers = {name: number for number, name in enumerate(sorted({row["gesture"] for row in rows}))}
    return {Path(row["file"]).stem: numbers[row["gesture"]] for row in rows}


def _parts(data: Opened) -> tuple[list[str], Tensor, set[str]]:
    """Names of photos with a gesture, the gestures, and the names of the 70 % that are trained with."""
    known = classes_of(data)
    names = [key for key in FolderImages(data.folder / "photos").keys if key in known]
    classes = torch.tensor([known[name] for name in names])
    kept, _ = split_by_class(classes, SHARE, seed=0)
    return names, classes, {names[place] for place in kept.tolist()}


def training_pairs(data: Opened) -> Path:
    """Pairs of training photos alone, so that a translator sees no photo that a classifier is tested with."""
    _, _, kept = _parts(data)
    path = data.cache / "training-pairs.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("source", "target"))
        rows.writerows(pair for pair in read_pairs(data.folder / "pairs.csv") if set(pair) <= kept)
    return path


def augmentation(work: Work) -> list[Row]:
    """What generated photos add to a classifier's training, 70/30 [AsymmetricGAN Table 13]."""
    data, size, steps = work.data, work.size, work.tools.networks.steps
    names, classes, _ = _parts(data)
    photos = FolderImages(data.resized(data.folder / "photos", size, fit=True))
    place, network = {key: number for number, key in enumerate(photos.keys)}, translator(work)
    images = torch.cat([photos[place[name]] for name in names])
    gesture = dict(zip(names, classes.tolist(), strict=True))
    pairs = sets(work, training_pairs(data))

    @torch.inference_mode()
    def generate(_images: Tensor, _classes: Tensor) -> tuple[Tensor, Tensor]:
        made, wanted = list[Tensor](), list[int]()
        for part in pairs:
            for index in range(min(MOST, part.epoch)):
                x, _, _, skeleton = (each[None].to(work.device) for each in part[index])
                made.append(network(x, skeleton).cpu())
                wanted.append(gesture[part.pairs[in_turn(part.epoch, index, part.seed)[0]][1]])
        return torch.cat(made), torch.tensor(wanted)

    def train(given: Tensor, wanted: Tensor) -> nn.Module:
        batches = (torch.randint(len(given), (32,)) for _ in range(steps))
        count = int(classes.max()) + 1
        return train_classifier(
            ((given[each], wanted[each]) for each in batches), 3, count, torch.device("cpu"), work.seed
        )

    return augmentation_scores(train, images, classes, generate, SHARE, seed=0).rows()
