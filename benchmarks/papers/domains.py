"""Figures of runs between many domains: every test image of a domain in all others."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from support.data.domains import domain_batches, domain_sets
from support.report.classifier import train_classifier
from support.trained import load_trained
from torch import Tensor, nn

from asymkit.evaluation import FolderImages, Row, classification_accuracy
from papers import two
from papers.tools import save
from papers.work import Work

SEPARATOR = " in "


def real(work: Work) -> dict[str, Path]:
    """The test images of every domain in one size."""
    return {name: work.data.resized(path, work.at, fit=True) for name, path in work.data.domains("test").items()}


def pooled(work: Work, kind: str, folders: Mapping[str, Path]) -> Path:
    """The images of several folders in one, each named after the folder it is from."""
    target = work.out.parent / kind if kind == "real" else work.out / kind
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name, folder in folders.items():
        for path in folder.glob("*.png"):
            shutil.copyfile(path, target / f"{name}-{path.name}")
    return target


def translator(work: Work) -> Any:
    """The generator of images and labels."""
    assert work.training is not None
    return load_trained(work.training.folder).generator.to(work.device)


@torch.inference_mode()
def translated(work: Work) -> dict[str, Path]:
    """A folder for each target domain, with the test images of all others; of real images those of the domain itself."""
    if work.training is None:
        return real(work)
    inputs, found = real(work), {}
    network: Any = None
    for number, target in enumerate(inputs):
        folder = work.out / f"to-{target}"
        found[target] = folder
        others = {name: FolderImages(path) for name, path in inputs.items() if name != target}
        if not work.tools.again and len(list(folder.glob("*.png"))) == sum(map(len, others.values())):
            continue
        network = translator(work) if network is None else network
        label = torch.tensor([number], device=work.device)
        for name, images in others.items():
            for place, key in enumerate(images.keys):
                save(network(images[place].to(work.device), label), folder / f"{name}-{key}.png")
    return found


def quality(work: Work) -> list[Row]:
    """FID, KID and Inception Score of all translations together against all test images."""
    return two.compared_as_sets(work, pooled(work, "real", real(work)), pooled(work, "all", translated(work)))


def accuracy(work: Work) -> list[Row]:
    """Translations that a classifier of real training images takes for their domain [AsymmetricGAN Table 8]."""
    count, steps = len(work.data.domains("test")), work.tools.networks.steps
    classifier = work.tools.once(f"classifier {work.data.name} {work.at}", lambda: _classifier(work, count))
    right: dict[int, float] = {}
    total = 0
    ks = (1, 5) if count > 5 else (1,)
    for number, folder in enumerate(translated(work).values()):
        images = FolderImages(folder)
        batch = torch.cat([images[place] for place in range(len(images))]).to(work.device)
        shares = classification_accuracy(classifier, batch, torch.full((len(batch),), number), ks)
        right = {k: right.get(k, 0.0) + share * len(batch) for k, share in shares.items()}
        total += len(batch)
    said = f"small network, {steps:,} steps on real training images; {total:,} images"
    return [Row(f"top-{k} accuracy", shares / total, said) for k, shares in right.items()]


def _classifier(work: Work, count: int) -> nn.Module:
    images, _, _ = domain_sets(work.data.folder, work.at, 3, 0)
    return train_classifier(domain_batches(images, work.tools.networks.steps), 3, count, work.device)


def parameters(work: Work) -> list[Row]:
    """Weights of both generators as the paper counts them: shared ones once, those of norms aside [AsymmetricGAN Table 8]."""
    return counted(work, least_dimensions=2)


def counted(work: Work, least_dimensions: int) -> list[Row]:
    """Weights of the translator, and of the reconstructor where it has any of its own."""
    state: dict[str, Tensor] = work.state["parts"]["model"]
    seen: set[int] = set()
    rows = []
    for what, part in (("Gᵗ", "translator"), ("Gʳ", "reconstructor")):
        own = [value for name, value in state.items() if part in name.split(".") and value.ndim >= least_dimensions]
        new = {value.data_ptr(): value.numel() for value in own if value.data_ptr() not in seen}
        seen |= set(new)
        rows.append(Row(f"parameters of {what}", sum(new.values())))
    if not rows[0].value:  # a model of one generator has no such parts
        return [
            Row("parameters of Gᵗ", sum(value.numel() for value in state.values() if value.ndim >= least_dimensions))
        ]
    return [row for row in rows if row.value]


def epoch_time(work: Work) -> list[Row]:
    """Seconds that an epoch of the run took, on this machine [AsymmetricGAN Table 8]."""
    each = sum(len(FolderImages(path)) for path in work.data.domains("train").values())
    settings = work.state["settings"]
    steps = max(1, each // (settings["batch"] * settings["accumulate"]))
    seconds = work.state["seconds"] / work.state["step"] * steps
    return [Row("time of an epoch (s)", seconds, f"{work.state['step']:,} steps, {work.device.type}")]
