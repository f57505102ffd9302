"""What a generator is given beside an image: a z, drawn, encoded or on a path from one to another, or a domain label."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from asymkit.arguments import MOST_SEED, at_least
from asymkit.evaluation.images import read_image
from support.data.tree import as_input
from support.trained import Trained

PLACES = 24
"""On a path, about."""

Conditions = dict[str, Tensor | None]
"""Each (1, …), by what it is; None where a generator takes nothing."""

Places = list[tuple[str, Tensor | None]]
"""Conditions on a path, each with what it is: a list, since many places on a path are described alike."""


@dataclass(frozen=True, kw_only=True)
class ConditionOptions:
    """What the command line can say of z and labels."""

    z: Literal["sampled", "zero"] = "sampled"
    """Of generators with a z: drawn from N(0, I), or 0, its mean."""
    samples: int = 1
    """Values of z, each of them the same for all images."""
    seed: int = 0
    """Of the z that are drawn."""
    like: tuple[Path, ...] = ()
    """Photos of which z is encoded, instead of drawing it."""
    encoder: Path | None = None
    """Weights file of the encoder for --like, where it is not in the run."""
    domain: tuple[str, ...] = ()
    """Of generators with labels: domains to translate to, by name or number; none given: all."""
    size: int | None = None
    """Resize images first, to so many pixels of their shorter side. None: their own size. A generator knows the scale of its
    training: where photos were shown at the run's --size, larger ones look strange to it."""

    def __post_init__(self) -> None:
        at_least("samples", self.samples, most=1000)
        at_least("seed", self.seed, least=0, most=MOST_SEED)
        if self.size is not None:
            at_least("size", self.size, least=16)
        if self.samples > 1 and (self.like or self.z == "zero"):
            instead = "--like encodes z of photos" if self.like else "--z zero is a single z"
            raise ValueError(f"samples: nothing is sampled, as {instead}; leave --samples out")
        if self.like and self.z == "zero":
            raise ValueError("z: --like encodes z of photos; leave out either --z zero or --like")
        if self.encoder is not None and not self.like:
            raise ValueError(
                "encoder: encodes z of the photos of --like, and none are given; add --like, or leave it out"
            )


def conditions(options: ConditionOptions, trained: Trained) -> Conditions:
    """What the options ask for, on the CPU.

    Raises:
        ValueError: options that are not for this generator, a domain that there is not, photos or encoder that cannot be
            read.
    """
    kind, of_z = type(trained.generator).__name__, trained.aux_channels > 0
    for name, given in (("samples", options.samples > 1), ("like", options.like), ("z", options.z == "zero")):
        if given and not of_z:
            raise ValueError(f"{name}: the generator is a {kind} without z; leave it out")
    if options.domain and not trained.domains:
        raise ValueError(f"domain: the generator is a {kind}, which takes no labels; leave it out")
    if trained.domains:
        numbers = [_number(name, trained.domains) for name in options.domain or trained.domains]
        if twice := [number for place, number in enumerate(numbers) if number in numbers[:place]]:
            raise ValueError(f"domain: {trained.domains[twice[0]]!r} is given twice; give each domain once")
        return {trained.domains[number]: torch.eye(len(trained.domains))[number, None] for number in numbers}
    if not of_z:
        return {"": None}
    if options.like:
        encoder, values = trained.encoder(options.encoder), trained.value_range(rich=True)
        photos = [read_image(path, options.size, value_range=values) for path in options.like]
        inputs = [as_input(photo, encoder.in_channels, options.size) / 127.5 - 1 for photo in photos]
        return {str(number): encoder(photo) for number, photo in enumerate(inputs, 1)}
    if options.z == "zero":
        return {"0": torch.zeros(1, trained.aux_channels, *trained.aux_size(options.size))}
    drawn = itertools.islice(_sampled(options, trained, trained.aux_size(options.size)), options.samples)
    return {str(number): z for number, z in enumerate(drawn, 1)}


def path_through(options: ConditionOptions, trained: Trained, given: Conditions, places: int | None = None) -> Places:
    """Conditions on a path: in straight lines through those given, or in a circle through two that are sampled.

    A circle of z = a cos t + b sin t stays as likely under N(0, I) as its ends are; a line comes nearer to 0 in between.

    Args:
        options: of which the seed is taken, where a second z has to be drawn.
        trained: the generator.
        given: of :func:`conditions`.
        places: on the path, for a straight one; None: about :data:`PLACES`, a circle where z is sampled.

    Returns:
        The conditions with where they are, ``places`` of them; those given where they are but one label or nothing.

    Raises:
        ValueError: z that are maps of several sizes.
    """
    called = "" if trained.domains else "photo " if options.like else "z "
    ends: list[tuple[str, Any]] = [(f"{called}{name}", condition) for name, condition in given.items()]
    if len(ends) == 1 and trained.aux_channels:
        size = tuple(ends[0][1].shape[2:])  # a spatial z of a photo has the photo's size
        drawn = list(itertools.islice(_sampled(options, trained, size), 2))
        ends.append(("a sampled z", drawn[0] if options.like or options.z == "zero" else drawn[1]))
    if len(ends) == 1:
        return list(given.items())
    if len({z.shape for _, z in ends}) > 1:
        raise ValueError("like: this encoder gives z as a map; to go from one to another, give two photos of one size")
    if places is None and not (options.like or trained.domains or options.z == "zero"):
        angles = [(f"{360 * i // PLACES}° on a circle in z", math.tau * i / PLACES) for i in range(PLACES)]
        return [(label, math.cos(a) * ends[0][1] + math.sin(a) * ends[1][1]) for label, a in angles]
    legs, found = len(ends) - 1, Places()
    for place in torch.linspace(0, legs, places or legs * max(1, PLACES // legs) + 1, dtype=torch.float64).tolist():
        leg = min(int(place), legs - 1)
        (name, start), (after, end) = ends[leg], ends[leg + 1]
        found.append((f"{place - leg:.0%} from {name} to {after}", torch.lerp(start, end, place - leg)))
    return found


def _number(name: str, names: tuple[str, ...]) -> int:
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(names):
        return int(name)
    raise ValueError(
        f"domain: {name!r} is none; give one of {', '.join(names)}, or a number from 0 to {len(names) - 1}"
    )


def _sampled(options: ConditionOptions, trained: Trained, size: tuple[int, ...]) -> Iterator[Tensor]:
    """Draws of z, of such a height and width, from N(0, I), one after the other; the same for a seed, however many are taken."""
    chance = torch.Generator().manual_seed(options.seed)
    while True:
        yield torch.randn(1, trained.aux_channels, *size, generator=chance)
