"""The command ``python -m asymkit.evaluation REAL FAKE``: figures of two folders as one table, and as JSON."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

import asymkit
from asymkit.arguments import one_of
from asymkit.checks import usable_device
from asymkit.evaluation.features import FeatureNetwork, inception_features, torchvision_features
from asymkit.evaluation.paired import frd as frechet_resnet_distance
from asymkit.evaluation.paired import paired_scores
from asymkit.evaluation.palette import Palette
from asymkit.evaluation.quality import image_quality
from asymkit.evaluation.segmentation import label_scores
from asymkit.evaluation.sources import FolderImages
from asymkit.evaluation.table import Row, json_rows, text_table
from asymkit.losses import LPIPSLoss
from asymkit.networks.features import state_dict_of
from asymkit.weight_files import digest

Network = Literal["inception", "squeezenet1_0", "squeezenet1_1", "resnet18", "resnet50", "random", "none"]
LPIPSNetwork = Literal["alex", "vgg", "squeeze", "none"]

Distances = dict[str, Callable[[Tensor, Tensor], Tensor]]


def evaluate(
    real: Path,
    fake: Path,
    paired: bool = False,
    labels: Path | None = None,
    features: Network | None = None,
    weights: Path | None = None,
    lpips: LPIPSNetwork = "alex",
    lpips_weights: Path | None = None,
    frd: str | None = None,
    ignore: tuple[str, ...] = (),
    enlarge: bool = False,
    endings: tuple[str, str] = ("", ""),
    device: str | None = None,
    json: Path | None = None,
    seed: int = 0,
) -> str:
    """Compare a folder of generated images with one of real ones.

    Args:
        real: folder of real images, or of true label images.
        fake: folder of generated ones.
        paired: also PSNR, SSIM, MS-SSIM and LPIPS of the pairs, found by the names of files.
        labels: segmentation scores: both folders hold label images, paired by name, whose colours are in this JSON file:
            {"road": [128, 64, 128], "car": [0, 0, 142], ...}.
        features: network whose features FID and KID compare, only named so where it is inception; random for a smoke test;
            none to leave them out. Default: inception, none with --labels.
        weights: file of that network's weights, where they cannot be downloaded.
        lpips: network of LPIPS, none to leave it out.
        lpips_weights: file of that network's weights.
        frd: Fréchet ResNet distance of the pairs: imagenet, or the file of a ResNet-50's weights.
        ignore: names of classes of --labels that do not count, such as unlabelled.
        enlarge: bring generated label images to the size of the true ones first, bilinearly.
        endings: only files whose names end so, and which pairs are found without: _real_B _fake_B for the results of
            CycleGAN's test.py, with its folder of images as both folders.
        device: where to compute, such as cuda; default: cuda where there is one.
        json: file to write the table to.
        seed: of random subsets.

    Returns:
        The table, as text.

    Raises:
        ValueError: a folder, file or option that does not fit; says which and what to do.
        ImportError: a package is missing; says which extra has it.
    """
    features = ("inception" if labels is None else "none") if features is None else features
    one_of("features", features, get_args(Network))
    one_of("lpips", lpips, get_args(LPIPSNetwork))
    where = usable_device(("cuda" if torch.cuda.is_available() else "cpu") if device is None else device)
    if json is not None and not Path(json).absolute().parent.is_dir():
        raise ValueError(f"json: no folder {str(Path(json).parent)!r} to write {Path(json).name!r} to; make it first")
    if features == "none" and not paired and labels is None:
        raise ValueError("nothing to compute: give --paired, --labels or a network as --features")
    palette = None if labels is None else Palette.read(labels)
    ignored = () if palette is None else tuple(map(palette.id_of, ignore))
    # networks first: weights that are missing are noticed before the images are read
    network = None if features == "none" else _network(features, weights, where)
    distances = distances_by_name(lpips, lpips_weights, frd, features == "random", where) if paired else {}
    folders = FolderImages(real, "real", endings[0]), FolderImages(fake, "fake", endings[1])
    rows: list[Row] = []
    if paired:
        rows += paired_scores(*folders, distances, device=where).rows()
    if palette is not None:
        rows += label_scores(*folders, palette, ignored, enlarge).rows(palette.names)
    if network is not None:
        rows += image_quality(*folders, network, seed=seed).rows()
    notes = list(dict.fromkeys(each.note for each in folders if each.note))
    if features == "random":
        notes.append("the networks have random weights: a test of the command, no figures to report")
    names = [f"{len(each):,} images of {each.files.folder}" for each in folders]
    text = "\n".join([f"real: {names[0]}", f"fake: {names[1]}", "", text_table(rows), *(["", *notes] if notes else [])])
    if json is not None:
        _write(Path(json), folders, rows, notes)
    return text


def _network(name: Network, weights: Path | None, device: torch.device) -> FeatureNetwork:
    try:
        if name == "inception":
            found = inception_features("download" if weights is None else weights)
        elif name == "random":
            found = torchvision_features(weights=None)
        else:
            found = torchvision_features(name, "imagenet" if weights is None else weights)  # type: ignore[arg-type]
    except RuntimeError as error:  # a download; its message is for Python
        said = str(error).split(", or pass its path")[0]
        raise ValueError(
            f"--features {name}: {said}, or give its path as --weights; --features random tries the command out"
        ) from error
    return found.to(device)


def distances_by_name(
    lpips: LPIPSNetwork, weights: Path | None, frd: str | None, random: bool, device: torch.device
) -> Distances:
    """LPIPS and FRD as functions of two batches, by the names they have in tables.

    Args:
        lpips: network of LPIPS, none to leave it out.
        weights: file of that network's weights; None to download them.
        frd: weights of the Fréchet ResNet distance: imagenet, or a file; None to leave it out.
        random: give LPIPS's network random weights, and another name.
        device: of the networks.

    Raises:
        ValueError: weights that cannot be had; says which option takes their file.
    """
    found: Distances = {}
    try:
        if lpips != "none" and random:
            loss = LPIPSLoss(lpips, None)
            found[f"distance of {lpips}, random weights (no LPIPS)"] = loss.to(device).distances
        elif lpips != "none":
            loss = LPIPSLoss(lpips, "imagenet" if weights is None else weights)
            version = ""
            if weights is not None:
                version = f", weights {digest(state_dict_of(weights, LPIPSLoss.TORCHVISION_NAMES[lpips]))[:8]}"
            found[f"LPIPS ({lpips}{version})"] = loss.to(device).distances
        if frd is not None:
            network = torchvision_features("resnet50", frd).to(device)
            found[f"FRD ({network.name})"] = lambda x, y: frechet_resnet_distance(x, y, network)
    except RuntimeError as error:
        said = str(error).split(", or pass its path")[0]
        option = "--frd FILE" if "resnet50" in said else "--lpips-weights FILE"
        raise ValueError(f"{said}, or give its path as {option}; --lpips none leaves LPIPS out") from error
    return found


def _write(path: Path, folders: tuple[FolderImages, FolderImages], rows: list[Row], notes: list[str]) -> None:
    sides = {
        side: {"folder": str(each.files.folder), "images": len(each)}
        for side, each in zip(("real", "fake"), folders, strict=True)
    }
    content = {"asymkit": asymkit.__version__, **sides, "rows": json_rows(rows), "notes": notes}
    try:
        path.write_text(json_format.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"json: cannot write {str(path)!r}: {error}") from error
