"""Colours of classes: label images to ids of classes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from asymkit.arguments import described
from asymkit.checks import check_images, have_values

MOST_CLASSES = 4096


class Palette(NamedTuple):
    """Names and colours of classes; a class's id is its position."""

    names: tuple[str, ...]
    """Of the classes."""

    colors: tuple[tuple[int, int, int], ...]
    """Red, green and blue from 0 to 255, of each class."""

    @classmethod
    def of(cls, given: Mapping[str, Sequence[int]]) -> Palette:
        """From a mapping of names to colours.

        Args:
            given: such as ``{"road": [128, 64, 128], "car": [0, 0, 142]}``, at least two, no colour twice.

        Raises:
            ValueError: no such mapping.

        Example:
            >>> from asymkit.evaluation import Palette
            >>> Palette.of({"wall": [0, 0, 255], "door": [255, 0, 0]}).names
            ('wall', 'door')
        """
        what = 'names and colours of at least two classes, such as {"road": [128, 64, 128], "car": [0, 0, 142]}'
        if not isinstance(given, Mapping) or len(given) < 2 or len(given) > MOST_CLASSES:
            raise ValueError(f"palette must hold {what}, got {described(given)}")
        for name, color in given.items():
            fine = isinstance(color, list | tuple) and len(color) == 3
            if not isinstance(name, str) or not fine or not all(type(v) is int and 0 <= v <= 255 for v in color):
                raise ValueError(
                    f"palette must hold {what}, three integers from 0 to 255 each, got {name!r}: {color!r}"
                )
        colors = tuple((red, green, blue) for red, green, blue in given.values())
        if len(set(colors)) < len(colors):
            twice = next(name for name, color in zip(given, colors, strict=True) if colors.count(color) > 1)
            raise ValueError(f"palette must give each class a colour of its own, that of {twice!r} stands there twice")
        return cls(tuple(given), colors)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Palette:
        """From a JSON file of such a mapping.

        Raises:
            ValueError: no file, no JSON, or no such mapping; names the file.
        """
        try:
            return cls.of(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"cannot read a palette from {str(path)!r}: {error}") from error

    def id_of(self, name: str) -> int:
        """The id of a class.

        Raises:
            ValueError: no such class.
        """
        if not isinstance(name, str) or name not in self.names:
            raise ValueError(f"palette has no class {described(name)}; it has {', '.join(map(repr, self.names))}")
        return self.names.index(name)


def nearest_class(images: Tensor, palette: Palette) -> Tensor:
    """The class of every pixel: that of the nearest colour, so that JPEG's and a generator's small errors do not matter.

    Args:
        images: label images (N, 3, H, W), in [-1, 1].
        palette: the colours of the classes; of two that are as near, the first counts.

    Returns:
        Ids, (N, H, W), integers.

    Raises:
        ValueError: no batch of colour images, no palette.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import Palette, nearest_class
        >>> palette = Palette.of({"wall": [0, 0, 255], "door": [255, 0, 0]})
        >>> nearest_class(torch.tensor([0.8, -0.9, -0.7]).view(1, 3, 1, 1), palette)
        tensor([[[1]]])
    """
    check_palette(palette)
    check_images(images, "images", channels=3)
    have_values(images=images)
    levels = (images.float() + 1) * 127.5
    nearest = levels.new_full((len(images), *images.shape[2:]), torch.inf)
    found = torch.zeros_like(nearest, dtype=torch.long)
    for number, color in enumerate(palette.colors):  # one class at a time: all of them at once take K times the memory
        distance = (levels - levels.new_tensor(color).view(3, 1, 1)).square().sum(1)
        found = torch.where(distance < nearest, number, found)
        nearest = torch.minimum(distance, nearest)
    return found


def check_palette(palette: object) -> None:
    """Refuse anything but a palette."""
    if not isinstance(palette, Palette):
        raise ValueError(f"palette must be a Palette, of Palette.of or Palette.read, got {described(palette)}")
