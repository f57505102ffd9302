"""What the page of playground.py shows, without the page: pictures by their files, z as a tensor (1, …)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from asymkit.evaluation.images import read_image
from support.conditions import ConditionOptions, conditions
from support.data.tree import as_image, as_input
from support.run.settings import sides
from support.trained import Trained, load_trained, translator

DIALS = 8
"""Numbers of z that can be dialled, at most."""


class Shown(NamedTuple):
    """A picture as the generator is given it, its translation, and what the other direction, if any, makes of that again."""

    given: Image.Image
    translated: Image.Image
    rebuilt: Image.Image | None


class Playground:
    """A trained generator, and the one of the other direction where the run has it.

    Args:
        run: see :func:`support.trained.load_trained`.
        direction: name of the only network to show; None: both directions of a run, else the only one.
        encoder: weights file of the encoder, where it is not in the run.
        size: shorter side that pictures are resized to; None: that of the pictures in the run's report, or 256.
        device: such as "cpu".

    Raises:
        ValueError: no such run, no generator in it, or no encoder in the file that is given for it.
    """

    def __init__(
        self,
        run: Path,
        direction: str | None = None,
        encoder: Path | None = None,
        size: int | None = None,
        device: str | None = None,
    ) -> None:
        self.first = load_trained(run, direction)
        self.directions: dict[str, Trained] = {self.first.direction or "generator": self.first}
        if self.first.to_rich and direction is None:
            self.directions["rich_to_poor"] = load_trained(run, "rich_to_poor")
        self._translators = {name: translator(each.generator, device) for name, each in self.directions.items()}
        self.size = size or min(sides(self.first.settings.get("picture_size") or self.first.crops or 256))
        self._encoder = encoder
        try:
            self.encodes = self.first.aux_channels > 0 and self.first.encoder(encoder) is not None
        except ValueError:
            if encoder is not None:
                raise
            self.encodes = False

    def z(self, seed: int = 0, like: str | None = None, size: int | None = None) -> Tensor:
        """The z of a seed, or of a photo at a size; of a generator that takes one."""
        photo: dict[str, Any] = {} if like is None else {"like": (Path(like),), "encoder": self._encoder}
        return self._condition(ConditionOptions(seed=seed, size=size or self.size, **photo))

    def label(self, domain: str) -> Tensor:
        """The label of a domain, for a generator that takes labels."""
        return self._condition(ConditionOptions(domain=(domain,)))

    def _condition(self, options: ConditionOptions) -> Tensor:
        with torch.inference_mode():
            (found,) = conditions(options, self.first).values()
        assert found is not None
        return found

    def shown(self, file: str, direction: str, condition: Tensor | None = None, size: int | None = None) -> Shown:
        """Translate a picture, and translate the result back.

        Args:
            file: of the picture.
            direction: one of ``directions``.
            condition: z or a label for the first of them; to the other direction it does not matter.
            size: shorter side that the picture is resized to.

        Raises:
            ValueError: the file cannot be read.
        """
        trained, side = self.directions[direction], size or self.size
        picture = read_image(Path(file), side, value_range=trained.value_range(rich=not trained.to_rich))
        image = as_input(picture, trained.generator.in_channels, side, trained.derive)
        result = self._translators[direction](image, condition if trained is self.first else None)
        rebuilt = None
        for back in self.directions.keys() - {direction}:
            own = self.z(like=file, size=side) if self.directions[back].to_rich and self.encodes else None
            rebuilt = as_image(self._translators[back](result, own))
        return Shown(as_image(image), as_image(result), rebuilt)


def dialled(z: Tensor, values: Sequence[float]) -> Tensor:
    """The z whose first numbers, or means of its first channels where it is spatial, are these values."""
    z = z.clone()
    for channel, value in enumerate(values):
        z[:, channel] += value - z[:, channel].mean()
    return z


def dials(z: Tensor) -> list[float]:
    """The first numbers of z, or the means of its first channels, to two decimals."""
    return [round(channel.mean().item(), 2) for channel in z[0, :DIALS]]
