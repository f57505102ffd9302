"""What the report of each example shows of its model: grids of pictures, and figures beside them.

Everywhere the model is a trained one, images are on its device in [-1, 1], x rich and y poor, as many of each, and grids are
(3, H, W) in [0, 1] by caption.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from asymkit import ops
from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.asymgan import Translators
from asymkit.objectives.asymmetricgan import supervised
from support.report.page import Snapshot
from support.run.plan import IntermediateImages
from support.run.rng import seeded_inference

Both = tuple[Tensor, Tensor]
"""Rich and poor images."""

Pairs = tuple[Tensor, Tensor, Tensor, Tensor]
"""x, its skeleton, y, its skeleton, held out."""


def asymgan_snapshot(model: asymgan.Translators, measured: Both, shown: Both) -> Snapshot:
    """Both cycles and all ways to choose z, in figures over some images and in pictures of others."""
    return Snapshot(asymgan_pictures(model, *shown), asymgan_figures(model, *measured), z_slides(model, shown[1]))


def asyncgan_snapshot(model: asyncgan.Translators, shown: Both, intermediate: IntermediateImages) -> Snapshot:
    """Both cycles, and what they made at the end of every phase."""
    slides = {} if model.encoder is None else z_slides(model, shown[1])
    return Snapshot(asyncgan_pictures(model, *shown, intermediate), cycle_figures(model, *shown), slides)


def munit_snapshot(model: Any, shown: Both, intermediate: IntermediateImages) -> Snapshot:
    """Images decoded again and in other styles, and what both directions made at the end of every phase."""
    return Snapshot(munit_pictures(model, *shown, intermediate), munit_figures(model, *shown))


def gesture_snapshot(model: supervised.Translators, pairs: Pairs) -> Snapshot:
    """Hands in other poses and back, with signal-to-noise ratios."""
    return Snapshot(gesture_pictures(model, pairs), gesture_figures(model, pairs))


@seeded_inference()
def asymgan_pictures(model: Translators, x: Tensor, y: Tensor, rows: int = 6, columns: int = 7) -> dict[str, Tensor]:
    """Grids: both cycles and all three ways to choose z."""
    assert model.encoder is not None
    references, x, y = x[:columns], x[:rows], y[:rows]
    cycles = model(x, y)
    samples = torch.randn(columns, *cycles.z.shape[1:]).to(x)

    def each(z: Tensor) -> list[Tensor]:
        return [model.to_rich(y, row.expand(rows, *row.shape)) for row in z]

    corner = torch.ones_like(x[:1])
    encoded = torch.stack([y, *each(model.encoder(references))], dim=1)
    line = model.interpolate(y, *_far_apart(model, y), steps=columns)
    return {
        "Rich → poor → rich: x, G(x), F(G(x), E(x))": _grid(x, cycles.fake_poor, cycles.rebuilt_rich),
        "Poor → rich → poor: y, F(y, z), G(F(y, z))": _grid(y, cycles.fake_rich, cycles.rebuilt_poor),
        "Sampled z: y, then F(y, z), one z to a column": _grid(y, *each(samples)),
        "Encoded z: y, then F(y, E(x)) in the manner of the photo x above": _table(
            torch.cat([torch.cat([corner, references])[None], encoded])
        ),
        "Interpolation: y, then F(y, z) for z going from one sample to the one farthest from it": _grid(
            y, *line.unbind(1)
        ),
    }


@seeded_inference()
def z_slides(model: Translators, y: Tensor, rows: int = 4, steps: int = 13) -> dict[str, list[Tensor]]:
    """Grids to slide through: z goes from one sample to the one farthest from it."""
    y = y[:rows]
    line = model.interpolate(y, *_far_apart(model, y), steps=steps)
    grids = [_table(torch.stack([y, images])) for images in line.unbind(1)]
    return {"Slide z: y above F(y, z), from one sample of z to the one farthest from it": grids}


def _far_apart(model: Translators, y: Tensor, samples: int = 7) -> tuple[Tensor, Tensor]:
    """Of some samples of z the two that differ most, each for all of y."""
    assert model.encoder is not None
    z = torch.randn(samples, *model.encoder(y[:1]).shape[1:]).to(y)
    first, last = divmod(int(torch.cdist(z, z).argmax()), samples)
    return z[first].expand(len(y), -1), z[last].expand(len(y), -1)


@seeded_inference()
def asymgan_figures(model: Translators, x: Tensor, y: Tensor, batch: int = 16) -> dict[str, float]:
    """What the pictures show, in numbers: means over the images given."""
    sums: dict[str, float] = {}
    for rich, poor in zip(x.split(batch), y.split(batch), strict=True):
        cycles = model(rich, poor)
        values = _cycle_values(model, cycles) | {
            "checkerboard_fake_rich": checkerboard(cycles.fake_rich),
            "checkerboard_real_rich": checkerboard(rich),
            "entropy_rich_bits": ops.shannon_entropy(rich).mean(),
            "entropy_poor_bits": ops.shannon_entropy(poor).mean(),
            "entropy_fake_rich_bits": ops.shannon_entropy(cycles.fake_rich).mean(),
            "entropy_fake_poor_bits": ops.shannon_entropy(cycles.fake_poor).mean(),
        }
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(rich) / len(x)
    return sums


@seeded_inference()
def cycle_figures(model: asyncgan.Translators, x: Tensor, y: Tensor) -> dict[str, float]:
    """How well both cycles close, and how much z changes where there is one: means over the images given."""
    cycles = model(x, y)
    assert isinstance(cycles, asymgan.Cycles)
    return {name: value.item() for name, value in _cycle_values(model, cycles).items()}


def _cycle_values(model: Translators, cycles: asymgan.Cycles) -> dict[str, Tensor]:
    values = {
        "rich_cycle_l1": (cycles.rebuilt_rich - cycles.x).abs().mean(),
        "poor_cycle_l1": (cycles.rebuilt_poor - cycles.y).abs().mean(),
    }
    if cycles.z is not None and cycles.rebuilt_z is not None:
        other = model.to_rich(cycles.y, torch.randn_like(cycles.z))
        values["z_cycle_l1"] = (cycles.rebuilt_z - cycles.z).abs().mean()
        values["z_diversity"] = _difference(cycles.fake_rich, other)
    return values


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Mean difference of images, as a part of their range [-1, 1]."""
    return (one - other).abs().mean() / 2


@seeded_inference()
def asyncgan_pictures(
    model: asyncgan.Translators, x: Tensor, y: Tensor, intermediate: IntermediateImages
) -> dict[str, Tensor]:
    """Grids: both cycles, the intermediate domains, and sampled z where there is one."""
    cycles = model(x, y)
    assert isinstance(cycles, asymgan.Cycles)
    grids = {
        "Rich → poor → rich: x, F(x), G(F(x))": _grid(x, cycles.fake_poor, cycles.rebuilt_rich),
        "Poor → rich → poor: y, G(y), F(G(y))": _grid(y, cycles.fake_rich, cycles.rebuilt_poor),
    } | _intermediate(x, y, intermediate)
    if cycles.z is not None:
        samples = [model.to_rich(y, z.expand_as(cycles.z)) for z in torch.randn(6, *cycles.z.shape[1:]).to(x)]
        grids["Sampled z: y, then G(y, z), one z to a column"] = _grid(y, *samples)
    return grids


@seeded_inference()
def munit_pictures(model: Any, x: Tensor, y: Tensor, intermediate: IntermediateImages) -> dict[str, Tensor]:
    """Grids: sampled styles, styles of photos, and the intermediate domains."""
    made = model(x, y)
    content, styles = model.poor.content(y), torch.randn(6, model.style_length).to(x)
    sampled = [model.rich.decoder(content, style.expand(len(y), -1)) for style in styles]
    return {
        "Rich: x, decoded again, translated to poor": _grid(x, made.reconstructed[0], made.fake_poor),
        "Sampled styles: y, then its content in one style to a column": _grid(y, *sampled),
    } | _intermediate(x, y, intermediate)


@seeded_inference()
def munit_figures(model: Any, x: Tensor, y: Tensor) -> dict[str, float]:
    """How well images are decoded again, and how much the style changes: means over the images given."""
    made, other = model(x, y), model(x, y)
    return {
        "rich_decoded_l1": (made.reconstructed[0] - x).abs().mean().item(),
        "poor_decoded_l1": (made.reconstructed[1] - y).abs().mean().item(),
        "z_diversity": _difference(made.fake_rich, other.fake_rich).item(),
    }


def _intermediate(x: Tensor, y: Tensor, intermediate: IntermediateImages) -> dict[str, Tensor]:
    if not intermediate.made:
        return {}
    names = ", ".join(intermediate.made)
    poor, rich = ([part.to(x) for part in intermediate.rows(direction)] for direction in (0, 1))
    return {
        f"Intermediate domains, rich → poor: x, then its translation at the end of {names}": _grid(x, *poor),
        f"Intermediate domains, poor → rich: y, then its translation at the end of {names}": _grid(y, *rich),
    }


@seeded_inference()
def gesture_pictures(model: supervised.Translators, pairs: Pairs, rows: int = 5, columns: int = 7) -> dict[str, Tensor]:
    """Grids: one photo with many skeletons as in Fig. 10, and the way there and back."""
    x, _skeleton_x, _y, skeleton_y = pairs
    photos, wanted = x[:rows], skeleton_y[:columns]
    fakes = [model.dual.translate(photos, skeleton.expand(len(photos), -1, -1, -1)) for skeleton in wanted]
    corner = torch.ones_like(x[:1])
    table = torch.cat([torch.cat([corner, wanted])[None], torch.stack([photos, *fakes], dim=1)])
    cycles = model(*(part[:rows] for part in pairs))
    there, caption = [cycles.x, cycles.skeleton_y, cycles.fake_y, cycles.y], "There: x, l_y, y' = Gᵗ(x, l_y), y"
    if cycles.rebuilt_x is not None:
        there += [cycles.skeleton_x, cycles.rebuilt_x]
        caption = "There and back: x, l_y, y' = Gᵗ(x, l_y), y, l_x, x̂ = Gʳ(y', l_x)"
    return {
        "One photo, many skeletons: x, then Gᵗ(x, l) for the skeleton l above": _table(table),
        caption: _grid(*there),
    }


@seeded_inference()
def gesture_figures(model: supervised.Translators, pairs: Pairs, batch: int = 8) -> dict[str, float]:
    """Peak signal-to-noise ratios in decibels, means over held-out pairs."""
    sums: dict[str, float] = {}
    for part in zip(*(images.split(batch) for images in pairs), strict=True):
        cycles = model(*part)
        values = {
            "psnr_translated_db": psnr(cycles.fake_y, cycles.y),
            "psnr_of_copying_x_db": psnr(cycles.x, cycles.y),
        }
        if cycles.rebuilt_x is not None:
            values["psnr_rebuilt_db"] = psnr(cycles.rebuilt_x, cycles.x)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value.sum().item() / len(pairs[0])
    return sums


def psnr(made: Tensor, wanted: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of images in [-1, 1], (N,), in decibels."""
    return 10 * torch.log10(4 / (made - wanted).square().mean((1, 2, 3)).clamp_min(1e-10))


def checkerboard(images: Tensor) -> Tensor:
    """How strongly neighbouring pixels alternate: mean |a − b − c + d| over 2×2 squares, per unit of contrast."""
    a, b = images[..., :-1, :-1], images[..., :-1, 1:]
    c, d = images[..., 1:, :-1], images[..., 1:, 1:]
    return (a - b - c + d).abs().mean() / images.std((2, 3)).mean()


def _grid(*columns: Tensor) -> Tensor:
    """Batches side by side."""
    return _table(torch.stack(columns, dim=1))


def _table(pictures: Tensor) -> Tensor:
    """Of (rows, columns, channels, H, W)."""
    columns = pictures.shape[1]
    return make_grid(pictures.flatten(0, 1), nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1)
