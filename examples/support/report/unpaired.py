"""What the reports of the examples between two domains show of their models: grids of pictures, and figures beside them.

Everywhere the model is a trained one, x are rich and y poor images of :class:`support.data.held_out.HeldOut`, and grids are
(3, H, W) in [0, 1] by caption. Images are translated in batches of one size, each moved to the model's device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asymkit import ops
from asymkit.objectives.asymgan import Translators
from support.data.held_out import HeldOut, first
from support.report.grids import grid
from support.report.page import Snapshot
from support.run.plan import IntermediateImages
from support.run.rng import seeded_inference


def asymgan_snapshot(model: Translators, measured: HeldOut, shown: HeldOut) -> Snapshot:
    """Both cycles and all ways to choose z, if there is one: figures over some images, pictures of others."""
    return Snapshot(asymgan_pictures(model, shown), asymgan_figures(model, measured), z_slides(model, shown.poor))


def asyncgan_snapshot(
    model: Translators, measured: HeldOut, shown: HeldOut, intermediate: IntermediateImages
) -> Snapshot:
    """Both cycles, and what they made at the end of every phase."""
    pictures = asyncgan_pictures(model, shown, intermediate)
    return Snapshot(pictures, cycle_figures(model, measured), z_slides(model, shown.poor))


def munit_snapshot(model: Any, measured: HeldOut, shown: HeldOut, intermediate: IntermediateImages) -> Snapshot:
    """Images decoded again and in other styles, and what both directions made at the end of every phase."""
    return Snapshot(munit_pictures(model, shown, intermediate), munit_figures(model, measured))


@seeded_inference()
def asymgan_pictures(model: Translators, shown: HeldOut, rows: int = 6, columns: int = 7) -> dict[str, Tensor]:
    """Grids: both cycles, and with an encoder all three ways to choose z."""
    x, y = first(shown.rich, rows), first(shown.poor, rows)
    if model.encoder is None:
        return {
            "Rich → poor → rich: x, G(x), F(G(x))": grid(_rows(model, x, lambda x: _rich_cycle(model, x))),
            "Poor → rich → poor: y, F(y), G(F(y))": grid(_rows(model, y, lambda y: _poor_cycle(model, y)[:3])),
        }
    references = [image for batch in first(shown.rich, columns) for image in batch]
    codes = [model.encoder(image[None].to(_device(model))) for image in references]
    samples = torch.randn(columns, *codes[0].shape).to(codes[0])
    start, end = _far_apart(codes[0])
    corner = torch.ones(3, 1, 1)
    sampled = _rows(model, y, lambda y: [y, *_each(model, y, samples)])
    encoded = _rows(model, y, lambda y: [y, *_each(model, y, codes)])
    line = _rows(model, y, lambda y: [y, *_line(model, y, start, end, columns)])
    return {
        "Rich → poor → rich: x, G(x), F(G(x), E(x))": grid(_rows(model, x, lambda x: _rich_cycle(model, x))),
        "Poor → rich → poor: y, F(y, z), G(F(y, z))": grid(_rows(model, y, lambda y: _poor_cycle(model, y)[:3])),
        "Sampled z: y, then F(y, z), one z to a column": grid(sampled),
        "Encoded z: y, then F(y, E(x)) in the manner of the photo x above": grid([[corner, *references], *encoded]),
        "Interpolation: y, then F(y, z) for z going from one sample to the one farthest from it": grid(line),
    }


@seeded_inference()
def z_slides(model: Translators, poor: list[Tensor], rows: int = 4, steps: int = 13) -> dict[str, list[Tensor]]:
    """Grids to slide through: z goes from one sample to the one farthest from it; none for a model without z."""
    if model.encoder is None:
        return {}
    poor = first(poor, rows)
    start, end = _far_apart(model.encoder(poor[0][:1].to(_device(model))))
    above, *made = zip(*_rows(model, poor, lambda y: [y, *_line(model, y, start, end, steps)]), strict=True)
    caption = "Slide z: y above F(y, z), from one sample of z to the one farthest from it"
    return {caption: [grid([above, images]) for images in made]}


@seeded_inference()
def asyncgan_pictures(model: Translators, shown: HeldOut, intermediate: IntermediateImages) -> dict[str, Tensor]:
    """Grids: both cycles, the intermediate domains, and sampled z where there is one."""
    rich, poor = shown
    grids = {
        "Rich → poor → rich: x, F(x), G(F(x))": grid(_rows(model, rich, lambda x: _rich_cycle(model, x))),
        "Poor → rich → poor: y, G(y), F(G(y))": grid(_rows(model, poor, lambda y: _poor_cycle(model, y)[:3])),
    } | _intermediate(intermediate)
    if model.encoder is not None:
        code = model.encoder(poor[0][:1].to(_device(model)))
        samples = torch.randn(6, *code.shape).to(code)
        caption = "Sampled z: y, then G(y, z), one z to a column"
        grids[caption] = grid(_rows(model, poor, lambda y: [y, *_each(model, y, samples)]))
    return grids


@seeded_inference()
def munit_pictures(model: Any, shown: HeldOut, intermediate: IntermediateImages) -> dict[str, Tensor]:
    """Grids: sampled styles, images decoded again, and the intermediate domains."""
    styles = torch.randn(6, model.style_length).to(_device(model))
    rich = _rows(model, shown.rich, lambda x: [x, _decoded(model.rich, x), model.to_poor(x)])
    poor = _rows(model, shown.poor, lambda y: [y, *(model.to_rich(y, style.expand(len(y), -1)) for style in styles)])
    return {
        "Rich: x, decoded again, translated to poor": grid(rich),
        "Sampled styles: y, then its content in one style to a column": grid(poor),
    } | _intermediate(intermediate)


@seeded_inference()
def asymgan_figures(model: Translators, images: HeldOut) -> dict[str, float]:
    """What the pictures show, in numbers: means over the images given."""

    def of_rich(x: Tensor) -> dict[str, Tensor]:
        _, fake_poor, rebuilt = _rich_cycle(model, x)
        return {
            "rich_cycle_l1": (rebuilt - x).abs().mean(),
            "checkerboard_real_rich": checkerboard(x),
            "entropy_rich_bits": ops.shannon_entropy(x).mean(),
            "entropy_fake_poor_bits": ops.shannon_entropy(fake_poor).mean(),
        }

    def of_poor(y: Tensor) -> dict[str, Tensor]:
        _, fake_rich, *_ = cycle = _poor_cycle(model, y)
        return _poor_values(model, cycle) | {
            "checkerboard_fake_rich": checkerboard(fake_rich),
            "entropy_poor_bits": ops.shannon_entropy(y).mean(),
            "entropy_fake_rich_bits": ops.shannon_entropy(fake_rich).mean(),
        }

    return _means(model, images.rich, of_rich) | _means(model, images.poor, of_poor)


@seeded_inference()
def cycle_figures(model: Translators, images: HeldOut) -> dict[str, float]:
    """How well both cycles close, and how much z changes where there is one: means over the images given."""
    rich = _means(model, images.rich, lambda x: {"rich_cycle_l1": (_rich_cycle(model, x)[2] - x).abs().mean()})
    return rich | _means(model, images.poor, lambda y: _poor_values(model, _poor_cycle(model, y)))


@seeded_inference()
def munit_figures(model: Any, images: HeldOut) -> dict[str, float]:
    """How well images are decoded again, and how much the style changes: means over the images given."""

    def of_poor(y: Tensor) -> dict[str, Tensor]:
        return {
            "poor_decoded_l1": (_decoded(model.poor, y) - y).abs().mean(),
            "z_diversity": _difference(model.to_rich(y), model.to_rich(y)),
        }

    rich = _means(model, images.rich, lambda x: {"rich_decoded_l1": (_decoded(model.rich, x) - x).abs().mean()})
    return rich | _means(model, images.poor, of_poor)


def checkerboard(images: Tensor) -> Tensor:
    """How strongly neighbouring pixels alternate: mean |a − b − c + d| over 2×2 squares, per unit of contrast."""
    return images.diff(dim=2).diff(dim=3).abs().mean() / images.std((2, 3)).mean()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _rows(
    model: nn.Module, batches: Sequence[Tensor], columns: Callable[[Tensor], Sequence[Tensor]]
) -> list[tuple[Tensor, ...]]:
    """A row for every image, from the columns of its batch."""
    rows: list[tuple[Tensor, ...]] = []
    for batch in batches:
        rows += zip(*(column.cpu() for column in columns(batch.to(_device(model)))), strict=True)
    return rows


def _means(
    model: nn.Module, batches: Sequence[Tensor], values: Callable[[Tensor], dict[str, Tensor]]
) -> dict[str, float]:
    """Means over all images of what is computed of each batch."""
    sums: dict[str, float] = {}
    for batch in batches:
        for name, value in values(batch.to(_device(model))).items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(batch)
    return {name: total / sum(map(len, batches)) for name, total in sums.items()}


def _rich_cycle(model: Translators, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x, its translation and its reconstruction, with its own z where there is one."""
    fake_poor = model.to_poor(x)
    return x, fake_poor, model.to_rich(fake_poor) if model.encoder is None else model.to_rich_like(fake_poor, x)


def _poor_cycle(model: Translators, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """y, its translation, its reconstruction, and the z that was sampled for it, where there is one."""
    z = None if model.encoder is None else _sampled(model.encoder(y))
    fake_rich = model.to_rich(y, z)
    return y, fake_rich, model.to_poor(fake_rich), z


def _poor_values(model: Translators, cycle: tuple[Tensor, Tensor, Tensor, Tensor | None]) -> dict[str, Tensor]:
    y, fake_rich, rebuilt, z = cycle
    values = {"poor_cycle_l1": (rebuilt - y).abs().mean()}
    if model.encoder is not None and z is not None:
        values["z_cycle_l1"] = (model.encoder(fake_rich) - z).abs().mean()
        values["z_diversity"] = _difference(fake_rich, model.to_rich(y, _sampled(z)))
    return values


def _decoded(domain: Any, image: Tensor) -> Tensor:
    """Images of a MUNIT's domain, decoded from their own content and style."""
    return domain.decoder(domain.content(image), domain.style(image))


def _difference(one: Tensor, other: Tensor) -> Tensor:
    """Mean difference of images, as a part of their range [-1, 1]."""
    return (one - other).abs().mean() / 2


def _sampled(like: Tensor) -> Tensor:
    """A z from N(0, I), the same on every device."""
    return torch.randn(like.shape).to(like)


def _each(model: Translators, y: Tensor, codes: Sequence[Tensor] | Tensor) -> list[Tensor]:
    """Translations of a batch, each with one z, (1, …), for all images."""
    return [model.to_rich(y, _repeated(z, y)) for z in codes]


def _line(model: Translators, y: Tensor, start: Tensor, end: Tensor, steps: int) -> tuple[Tensor, ...]:
    """Translations of a batch for z going from one to another, each (1, …)."""
    return model.interpolate(y, _repeated(start, y), _repeated(end, y), steps).unbind(1)


def _repeated(z: Tensor, y: Tensor) -> Tensor:
    return z.expand(len(y), *z.shape[1:])


def _far_apart(like: Tensor, samples: int = 7) -> tuple[Tensor, Tensor]:
    """Of some samples of z of a shape (1, …) the two that differ most."""
    z = torch.randn(samples, *like.shape[1:]).to(like)
    first_one, last = divmod(int(torch.cdist(z.flatten(1), z.flatten(1)).argmax()), samples)
    return z[first_one : first_one + 1], z[last : last + 1]


def _intermediate(intermediate: IntermediateImages) -> dict[str, Tensor]:
    if not intermediate.made:
        return {}
    names = ", ".join(intermediate.made)
    return {
        f"Intermediate domains, {way}, then its translation at the end of {names}": grid(intermediate.rows(direction))
        for direction, way in enumerate(("rich → poor: x", "poor → rich: y"))
    }
