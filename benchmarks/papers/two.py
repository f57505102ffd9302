"""Figures of runs between two domains, of which A is the rich one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from asymkit import AnySize
from asymkit import evaluation as asymkit_evaluation
from asymkit.evaluation import (
    FolderImages,
    Palette,
    Row,
    SegmentationMeter,
    diversity_over_z,
    model_sensitivity,
    nearest_class,
    paired_scores,
    rebuild_leak,
    same_z_difference,
    segment,
)
from papers.work import Direction, Work

UNCOUNTED = ("void", "unlabelled", "unlabeled")
"""Classes of palette.json that do not count, by name."""

SAMPLES, INPUTS, PHASES = 8, 32, ("1st", "2nd", "3rd")


def uncounted(palette: Palette) -> tuple[int, ...]:
    """Ids of the classes that do not count."""
    return tuple(number for number, name in enumerate(palette.names) if name in UNCOUNTED)


def label_scores(work: Work) -> list[Row]:
    """Photo → label: the nearest colour of each pixel against the truth, in the size of the truth [AsymGAN Table I]."""
    palette, made = work.data.palette, work.translated("rich_to_poor")
    scores = asymkit_evaluation.label_scores(
        FolderImages(work.data.labels("test")), FolderImages(made), palette, uncounted(palette), enlarge=True
    )
    both = "photo_scores" in work.exhibit.measures
    return [row._replace(figure=f"label {row.figure}" if both else row.figure) for row in scores.rows()]


def photo_scores(work: Work) -> list[Row]:
    """Label → photo: segmented in the size of the labels by a network of real photos [AsymGAN Table II]."""
    palette, truth = work.data.palette, FolderImages(work.data.labels("test"))
    name, network = work.tools.scorer(work.data)
    photos = FolderImages(work.translated("poor_to_rich"))
    meter = SegmentationMeter(len(palette.names), uncounted(palette))
    for place, key in enumerate(photos.keys):
        if key not in truth.keys:
            raise ValueError(f"{work.data.name}: no labels of {key!r} in {truth.files.folder}; expected the same names")
        classes = nearest_class(truth[truth.keys.index(key)], palette)
        height, width = classes.shape[1:]
        meter.update(segment(network, photos[place].to(work.device), (height, width)), classes)
    return meter.compute().rows(by=name)


def paired(work: Work) -> list[Row]:
    """SSIM, PSNR and LPIPS of generated photos against the true ones [Async-GAN Table I]."""
    return compared_in_pairs(work, work.test("A", work.at), work.translated("poor_to_rich"))


def compared_in_pairs(work: Work, real: Path, fake: Path) -> list[Row]:
    """PSNR, SSIM, MS-SSIM and LPIPS of two folders, by name."""
    distances = {} if work.tools.networks.lpips == "none" else dict([work.tools.lpips()])
    rows = paired_scores(real, fake, distances, device=work.device).rows()
    return [plainly_named(row, "LPIPS") for row in rows]


def plainly_named(row: Row, name: str) -> Row:
    """A figure whose name is followed by that of its network as "name (network)" with the network beside it."""
    if not row.figure.startswith(f"{name} ("):
        return row
    network = row.figure.removeprefix(f"{name} (").removesuffix(")")
    return row._replace(figure=name, by=f"{network}; {row.by}")


def quality(work: Work) -> list[Row]:
    """FID, KID and Inception Score of generated rich images, or what they are called of another network."""
    prefix = "second direction " if "poor_quality" in work.exhibit.measures else ""
    return compared_as_sets(work, work.test("A", work.at), work.translated("poor_to_rich"), prefix)


def poor_quality(work: Work) -> list[Row]:
    """The same of generated poor images [Async-GAN Table X]."""
    return compared_as_sets(work, work.test("B", work.at), work.translated("rich_to_poor"), "first direction ")


def compared_as_sets(work: Work, real: Path, fake: Path, prefix: str = "") -> list[Row]:
    """FID, KID and Inception Score of two folders."""
    features = work.tools.networks.features
    if features == "none":
        return []
    rows = work.tools.compared(real, fake, features=features, seed=work.seed)
    return [row._replace(figure=f"{prefix}{row.figure}") for row in rows]


def phases(work: Work) -> list[Row]:
    """What the hard direction made at the end of the first, the middle or the last phase [Async-GAN Table V]."""
    assert work.training is not None
    files = sorted(work.training.folder.glob("phase-*.pt"))
    file = files[round((len(files) - 1) * PHASES.index(work.arm.name) / (len(PHASES) - 1))]
    real, made = work.test("A", work.at), work.translated("poor_to_rich", file)
    rows = compared_as_sets(work, real, made) + compared_in_pairs(work, real, made)
    return [row._replace(by=f"{row.by}; after epoch {int(file.stem.removeprefix('phase-')) + 1}") for row in rows]


def _called(work: Work, direction: Direction) -> tuple[AnySize, tuple[int, ...]]:
    translate, shape = work.translator(direction)
    assert isinstance(translate, AnySize)
    return translate, shape


def _codes(work: Work, shape: Sequence[int], x: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """E(x) and as many sampled z, or nothing without z."""
    if not shape:
        return None, None
    with torch.inference_mode():
        return work.encoder(x), torch.cat([z for (z,) in work.draws(tuple(shape), len(x))])


def sensitivity(work: Work) -> list[Row]:
    """How much worse both loops close after a crop, a resize or a disturbance [AsymGAN §IV-D]."""
    g, (f, shape) = _called(work, "rich_to_poor")[0], _called(work, "poor_to_rich")
    x, y = work.batch("A", INPUTS), work.batch("B", INPUTS)
    z_x, _ = _codes(work, shape, x)
    return model_sensitivity(g, f, x, y, z_x, _codes(work, shape, y)[1], seed=work.seed).rows()


def _pairs(work: Work) -> tuple[Tensor, Tensor]:
    keys = [FolderImages(work.test(side)).keys for side in ("A", "B")]
    if keys[0] != keys[1]:
        raise ValueError(f"{work.data.name}: testA and testB must hold pairs of the same names for this figure")
    return work.batch("A", INPUTS), work.batch("B", INPUTS)


def same_z(work: Work) -> list[Row]:
    """How differently F treats real labels and those generated of the same photos, with one z [AsymGAN Fig. 5]."""
    (x, y), (f, shape) = _pairs(work), _called(work, "poor_to_rich")
    with torch.inference_mode():
        generated = _called(work, "rich_to_poor")[0](x)
    _, z = _codes(work, shape, x)
    found, said = same_z_difference(f, y, generated, z).mean().item(), f"{len(x):,} pairs"
    labels = (y - generated).abs().mean().item()
    return [Row("F(y, z) against F(G(x), z)", found, said), Row("y against G(x)", labels, said)]


def leak(work: Work) -> list[Row]:
    """How much better x is rebuilt from G(x) than from the true y."""
    (x, y), (f, shape) = _pairs(work), _called(work, "poor_to_rich")
    with torch.inference_mode():
        generated = _called(work, "rich_to_poor")[0](x)
    return rebuild_leak(f, x, y, generated, _codes(work, shape, x)[0]).rows()


def diversity(work: Work) -> list[Row]:
    """Average pairwise distance of translations of one input by several z, or by dropout [Async-GAN Table VIII]."""
    name, distance = work.tools.lpips()
    (translate, shape), y = work.translator("poor_to_rich"), work.batch("B", INPUTS)
    z = torch.randn(SAMPLES, *(shape or (1,)), generator=torch.Generator().manual_seed(work.seed)).to(work.device)

    def generator(image: Tensor, code: Tensor) -> Tensor:
        return translate(image, code) if shape else translate(image)

    found = diversity_over_z(generator, y, z, distance).mean().item()
    row = plainly_named(Row(name, found, f"{SAMPLES} z, {len(y):,} inputs"), "LPIPS")
    return [row._replace(figure=f"{row.figure} over z")]


def digits(work: Work) -> list[Row]:
    """Translated digits that a classifier of real ones reads right [Async-GAN §IV-F]."""
    assert work.training is not None
    found = json.loads((work.training.folder / "results.json").read_text(encoding="utf-8"))
    variant = {"CycleGAN": "cyclegan", "Async-GAN": "async"}[work.arm.name]
    rows = []
    for what, (direction, shares) in zip(
        ("rich to poor", "poor to rich"), found["translated"][variant].items(), strict=True
    ):
        said = f"{direction}; not translated {found['untranslated'][direction]:.1%}"
        rows.append(Row(f"accuracy, {what}", mean(shares), said, stdev(shares) if len(shares) > 1 else None))
    return rows
