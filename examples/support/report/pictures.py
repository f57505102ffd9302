"""Grids that show what a pair of translators does, and the figures beside them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.utils import make_grid

from asymkit import ops
from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.asymgan import Translators
from asymkit.objectives.asymmetricgan import supervised, unsupervised
from support.run.chance import seeded_inference
from support.run.plan import Intermediate

Pairs = tuple[Tensor, Tensor, Tensor, Tensor]


@seeded_inference()
def asymgan_pictures(model: Translators, x: Tensor, y: Tensor, rows: int = 6, columns: int = 7) -> dict[str, Tensor]:
    """Grids (3, H, W) in [0, 1] by caption: both cycles and all three ways to choose z.

    Args:
        model: trained, on x's device.
        x: rich images, at least ``rows`` and ``columns``.
        y: poor images, as many.
        rows: pictures below each other.
        columns: values of z side by side.
    """
    assert model.encoder is not None
    references, x, y = x[:columns], x[:rows], y[:rows]
    cycles = model(x, y)
    samples = torch.randn(columns, *cycles.z.shape[1:]).to(x)

    def each(z: Tensor) -> Tensor:
        return torch.stack([model.to_rich(y, row.expand(rows, *row.shape)) for row in z], dim=1)

    corner = torch.ones_like(x[:1])
    encoded = torch.cat([y[:, None], each(model.encoder(references))], dim=1).flatten(0, 1)
    line = model.interpolate(y, *_far_apart(model, y), steps=columns)
    return {
        "Rich → poor → rich: x, G(x), F(G(x), E(x))": _grid(_rows(x, cycles.fake_poor, cycles.rebuilt_rich)),
        "Poor → rich → poor: y, F(y, z), G(F(y, z))": _grid(_rows(y, cycles.fake_rich, cycles.rebuilt_poor)),
        "Sampled z: y, then F(y, z), one z to a column": _grid(_rows(y, *each(samples).unbind(1))),
        "Encoded z: y, then F(y, E(x)) in the manner of the photo x above": _grid(
            torch.cat([corner, references, encoded]).unflatten(0, (rows + 1, columns + 1))
        ),
        "Interpolation: y, then F(y, z) for z going from one sample to the one farthest from it": _grid(
            _rows(y, *line.unbind(1))
        ),
    }


@seeded_inference()
def z_slides(model: Translators, y: Tensor, rows: int = 4, steps: int = 13) -> dict[str, list[Tensor]]:
    """Grids (3, H, W) in [0, 1] to slide through, by caption: z goes from one sample to the one farthest from it.

    Args:
        model: trained, with a z, on y's device.
        y: poor images.
        rows: pictures side by side.
        steps: values of z.
    """
    y = y[:rows]
    line = model.interpolate(y, *_far_apart(model, y), steps=steps)
    grids = [_grid(torch.stack([y, images])) for images in line.unbind(1)]
    return {"Slide z: y above F(y, z), from one sample of z to the one farthest from it": grids}


def _far_apart(model: Translators, y: Tensor, samples: int = 7) -> tuple[Tensor, Tensor]:
    """Of some samples of z the two that differ most, each for all of y."""
    assert model.encoder is not None
    z = torch.randn(samples, *model.encoder(y[:1]).shape[1:]).to(y)
    first, last = divmod(int(torch.cdist(z, z).argmax()), samples)
    return z[first].expand(len(y), -1), z[last].expand(len(y), -1)


@seeded_inference()
def asymgan_figures(model: Translators, x: Tensor, y: Tensor, batch: int = 16) -> dict[str, float]:
    """What the pictures show, in numbers: means over the images given.

    Args:
        model: trained, on x's device.
        x: rich images.
        y: poor images, as many.
        batch: images at a time.
    """
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
    """How well both cycles close, and how much z changes where there is one: means over the images given.

    Args:
        model: trained, on x's device.
        x: rich images.
        y: poor images, as many.
    """
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
def asyncgan_pictures(model: asyncgan.Translators, x: Tensor, y: Tensor, moments: Intermediate) -> dict[str, Tensor]:
    """Grids (3, H, W) in [0, 1] by caption: both cycles, the intermediate domains, and sampled z where there is one.

    Args:
        model: trained, on x's device.
        x: rich images.
        y: poor images, as many.
        moments: what the model made of x and y before.
    """
    cycles = model(x, y)
    assert isinstance(cycles, asymgan.Cycles)
    grids = {
        "Rich → poor → rich: x, F(x), G(F(x))": _grid(_rows(x, cycles.fake_poor, cycles.rebuilt_rich)),
        "Poor → rich → poor: y, G(y), F(G(y))": _grid(_rows(y, cycles.fake_rich, cycles.rebuilt_poor)),
    } | _intermediate(x, y, moments)
    if cycles.z is not None:
        samples = [model.to_rich(y, z.expand_as(cycles.z)) for z in torch.randn(6, *cycles.z.shape[1:]).to(x)]
        grids["Sampled z: y, then G(y, z), one z to a column"] = _grid(_rows(y, *samples))
    return grids


@seeded_inference()
def munit_pictures(model: Any, x: Tensor, y: Tensor, moments: Intermediate) -> dict[str, Tensor]:
    """Grids (3, H, W) in [0, 1] by caption: sampled styles, styles of photos, and the intermediate domains.

    Args:
        model: trained, on x's device.
        x: rich images.
        y: poor images, as many.
        moments: what the model made of x and y before.
    """
    made = model(x, y)
    content, styles = model.poor.content(y), torch.randn(6, model.length).to(x)
    sampled = [model.rich.decoder(content, style.expand(len(y), -1)) for style in styles]
    return {
        "Rich: x, decoded again, translated to poor": _grid(_rows(x, made.same[0], made.fake_poor)),
        "Sampled styles: y, then its content in one style to a column": _grid(_rows(y, *sampled)),
    } | _intermediate(x, y, moments)


@seeded_inference()
def munit_figures(model: Any, x: Tensor, y: Tensor) -> dict[str, float]:
    """How well images are decoded again, and how much the style changes: means over the images given.

    Args:
        model: trained, on x's device.
        x: rich images.
        y: poor images, as many.
    """
    made, other = model(x, y), model(x, y)
    return {
        "rich_decoded_l1": (made.same[0] - x).abs().mean().item(),
        "poor_decoded_l1": (made.same[1] - y).abs().mean().item(),
        "z_diversity": _difference(made.fake_rich, other.fake_rich).item(),
    }


def _intermediate(x: Tensor, y: Tensor, moments: Intermediate) -> dict[str, Tensor]:
    if not moments.made:
        return {}
    names = ", ".join(moments.made)
    poor, rich = ([part.to(x) for part in moments.rows(direction)] for direction in (0, 1))
    return {
        f"Intermediate domains, rich → poor: x, then its translation at the end of {names}": _grid(_rows(x, *poor)),
        f"Intermediate domains, poor → rich: y, then its translation at the end of {names}": _grid(_rows(y, *rich)),
    }


@seeded_inference()
def domain_pictures(model: unsupervised.Translators, images: list[Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Grids (3, H, W) in [0, 1] by caption: every input to every domain, and the way back.

    Args:
        model: trained, on the images' device.
        images: held-out images of every domain, as many rows of each as there are.
        names: of the domains.
    """
    grids: dict[str, Tensor] = {}
    inputs = torch.cat([batch[:2] for batch in images])
    sources = torch.arange(len(images), device=inputs.device).repeat_interleave(2)[: len(inputs)]
    targets = [torch.full_like(sources, d) for d in range(len(images))]
    fakes = [model.dual.translate(inputs, target) for target in targets]
    grids[f"Every input to every domain: x, then {', '.join(names)}"] = _grid(_rows(inputs, *fakes))
    other = (sources + 1) % len(images)
    fake = model.dual.translate(inputs, other)
    rebuilt = model.dual.reconstruct(fake, sources)
    grids["There and back: x, its translation to the next domain, its reconstruction"] = _grid(
        _rows(inputs, fake, rebuilt)
    )
    return grids


@seeded_inference()
def gesture_pictures(model: supervised.Translators, pairs: Pairs, rows: int = 5, columns: int = 7) -> dict[str, Tensor]:
    """Grids (3, H, W) in [0, 1] by caption: one photo with many skeletons as in Fig. 10, and the way there and back.

    Args:
        model: trained, on the pairs' device.
        pairs: x, its skeleton, y, its skeleton, held out.
        rows: photos below each other.
        columns: skeletons side by side.
    """
    x, _skeleton_x, _y, skeleton_y = pairs
    photos, wanted = x[:rows], skeleton_y[:columns]
    fakes = [model.dual.translate(photos, skeleton.expand(len(photos), -1, -1, -1)) for skeleton in wanted]
    corner = torch.ones_like(x[:1])
    table = torch.cat([torch.cat([corner, wanted])[None], _rows(photos, *fakes)])
    cycles = model(*(part[:rows] for part in pairs))
    there = _rows(cycles.x, cycles.skeleton_y, cycles.fake_y, cycles.y, cycles.skeleton_x, cycles.rebuilt_x)
    return {
        "One photo, many skeletons: x, then Gᵗ(x, l) for the skeleton l above": _grid(table),
        "There and back: x, l_y, y' = Gᵗ(x, l_y), y, l_x, x̂ = Gʳ(y', l_x)": _grid(there),
    }


@seeded_inference()
def gesture_figures(model: supervised.Translators, pairs: Pairs, batch: int = 8) -> dict[str, float]:
    """Peak signal-to-noise ratios in decibels, means over held-out pairs.

    Args:
        model: trained, on the pairs' device.
        pairs: x, its skeleton, y, its skeleton.
        batch: pairs at a time.
    """
    sums: dict[str, float] = {}
    for part in zip(*(images.split(batch) for images in pairs), strict=True):
        cycles = model(*part)
        values = {
            "psnr_translated_db": psnr(cycles.fake_y, cycles.y),
            "psnr_rebuilt_db": psnr(cycles.rebuilt_x, cycles.x),
            "psnr_of_copying_x_db": psnr(cycles.x, cycles.y),
        }
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


def _rows(*columns: Tensor) -> Tensor:
    """Batches side by side: (rows, columns, 3, H, W)."""
    return torch.stack(columns, dim=1)


def _grid(pictures: Tensor) -> Tensor:
    grid: Tensor = make_grid(
        pictures.flatten(0, 1), nrow=pictures.shape[1], normalize=True, value_range=(-1, 1), pad_value=1
    )
    return grid
