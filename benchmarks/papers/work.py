"""What measures work on: the trained translators of a run, the test images, and what they are translated to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import asyncgan_munit
import torch
import torch.nn.functional as F
from support.trained import load_trained
from torch import Tensor, nn

import asymkit
from asymkit.evaluation import FolderImages
from asymkit.weight_files import read_file
from papers.registry import Arm, Exhibit
from papers.sets import Opened
from papers.tools import Tools, save
from papers.train import Training

Direction = Literal["poor_to_rich", "rich_to_poor"]
Translate = Callable[..., Tensor]
"""An image (1, 3, H, W) in [-1, 1], and z where there is one, to an image."""


@dataclass
class Work:
    """One arm of an exhibit on one data set with one seed."""

    exhibit: Exhibit
    arm: Arm
    data: Opened
    seed: int
    training: Training | None
    """None for real images."""
    out: Path
    """The folder of the images that are made."""
    tools: Tools
    like: Work | None = None
    """Of real images: whose size they are brought to."""
    made: dict[str, Path] = field(default_factory=dict)
    """Folders of translated images by what they are."""

    @cached_property
    def state(self) -> dict[str, Any]:
        """The training state of the run."""
        assert self.training is not None
        found: dict[str, Any] = read_file(self.training.folder / "checkpoint.pt")
        return found

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in training."""
        if self.like is not None:
            return self.like.size
        size: Any = self.state["settings"]["size"]
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    @property
    def at(self) -> tuple[int, int]:
        """Height and width in which images are compared."""
        return self.size if self.exhibit.at is None or self.tools.toy else self.exhibit.at

    @cached_property
    def device(self) -> torch.device:
        """Where it is translated."""
        return self.tools.device

    @cached_property
    def munit(self) -> asyncgan_munit.Munit:
        """Our compact MUNIT, of such a run."""
        settings = self.state["settings"]
        network = asyncgan_munit.Munit(settings["width"], settings["blocks"], settings["style"])
        network.load_state_dict(self.state["parts"]["model"])
        return network.eval().to(self.device)

    def network(self, name: str, file: Path | None = None) -> Any:
        """A network of the run, or of a file of weights.

        Dropout stays on where there is any, as in the papers' baseline, whose noise it is.
        """
        assert self.training is not None
        if file is not None:
            network: nn.Module = asymkit.load_network(file)
        else:
            network = load_trained(self.training.folder, name).generator
        for part in network.modules():
            if isinstance(part, nn.Dropout):
                part.train()
        return network.to(self.device)

    @cached_property
    def encoder(self) -> nn.Module:
        """E of a run with z."""
        assert self.training is not None
        return load_trained(self.training.folder, "poor_to_rich").encoder().to(self.device)

    def translator(self, direction: Direction, file: Path | None = None) -> tuple[Translate, tuple[int, ...]]:
        """A direction of a run between two domains, for images of any size, and the shape of z, () without one."""
        if self.arm.example == "asyncgan_munit":
            munit = self.munit
            if direction == "rich_to_poor":
                return munit.to_poor, ()
            return munit.to_rich, (munit.style_length,)
        network = self.network(direction, file)
        padded = asymkit.AnySize(network)
        channels = getattr(network, "aux_channels", None) or 0
        if not channels:
            return padded, ()
        if not getattr(network, "spatial", False):
            return padded, (channels,)
        return padded, (channels, *(-(-side // 8) for side in self.size))

    def draws(self, shape: tuple[int, ...], count: int) -> list[tuple[Tensor, ...]]:
        """So many z from N(0, I), each as the rest of a translator's arguments; empty ones without z."""
        chance = torch.Generator().manual_seed(self.seed)
        return [(torch.randn(1, *shape, generator=chance).to(self.device),) if shape else () for _ in range(count)]

    def test(self, side: Literal["A", "B"], size: tuple[int, int] | None = None) -> Path:
        """Test images of a side in one size; None: that of training."""
        return self.data.resized(self.data.side(f"test{side}"), size or self.size)

    def batch(self, side: Literal["A", "B"], count: int) -> Tensor:
        """The first test images of a side, (N, 3, H, W)."""
        images = FolderImages(self.test(side))
        return torch.cat([images[place] for place in range(min(count, len(images)))]).to(self.device)

    def translated(self, direction: Direction, file: Path | None = None) -> Path:
        """The folder of a side's test images translated, in the size they are compared in, by the names of the inputs."""
        if self.training is None:
            return self.test("A" if direction == "poor_to_rich" else "B", self.at)
        name = direction if file is None else f"{direction}-{file.stem}"
        if name not in self.made:
            self.made[name] = self._translate(direction, file, self.out / name)
        return self.made[name]

    @torch.inference_mode()
    def _translate(self, direction: Direction, file: Path | None, target: Path) -> Path:
        images = FolderImages(self.test("B" if direction == "poor_to_rich" else "A"))
        if target.is_dir() and len(list(target.glob("*.png"))) == len(images) and not self.tools.again:
            return target
        translate, shape = self.translator(direction, file)
        for place, (key, z) in enumerate(zip(images.keys, self.draws(shape, len(images)), strict=True)):
            made = translate(images[place].to(self.device), *z)
            if tuple(made.shape[2:]) != self.at:
                made = F.interpolate(made, self.at, mode="bilinear")
            save(made, target / f"{key}.png")
        return target
