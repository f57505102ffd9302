"""What figures are computed with: networks by name, and pictures as files."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from support.data.tree import write_image
from support.report.grids import grid
from torch import Tensor, nn

from asymkit.evaluation import FolderImages, Row, nearest_class, train_segmentation
from asymkit.evaluation.command import LPIPSNetwork, Network, distances_by_name, evaluate
from asymkit.networks.features import IMAGENET_MEAN, IMAGENET_STD
from asymkit.weight_files import digest, read_file
from papers.sets import Opened

Segmentation = Literal["unet", "fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"]

LARGEST = 256
"""Height that photos are brought to, at most, for the small U-Net."""


@dataclass(frozen=True)
class Networks:
    """Networks that figures are defined by, and their weights."""

    features: Network = "inception"
    """Whose features FID and KID compare, only named so where it is inception; random for a smoke test."""
    features_weights: Path | None = None
    """File of its weights, where they cannot be downloaded."""
    lpips: LPIPSNetwork = "alex"
    """Network of LPIPS; none to leave it out."""
    lpips_weights: Path | None = None
    frd: str = "imagenet"
    """Weights of FRD's ResNet-50: imagenet, the file of them, or none to leave it out."""
    segmentation: Segmentation = "unet"
    """Which segments generated photos: a small U-Net, trained on the real training photos, or a network of torchvision."""
    segmentation_weights: Path | None = None
    """State dict of torchvision's network, with as many classes as palette.json has, in its order."""
    steps: int = 2000
    """Steps that the U-Net, or the classifier of domains and gestures, is trained for."""


@dataclass
class Tools:
    """What all measures share."""

    networks: Networks
    device: torch.device
    toy: bool = False
    again: bool = False
    held: dict[str, Any] = field(default_factory=dict)
    """What was trained or loaded before, by what it is."""

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What a function gives, made once."""
        if name not in self.held:
            self.held[name] = make()
        return self.held[name]

    def compared(self, real: Path, fake: Path, **options: Any) -> list[Row]:
        """The rows of ``python -m asymkit.evaluation``, with these networks."""
        chosen: dict[str, Any] = {"weights": self.networks.features_weights, "lpips": self.networks.lpips}
        chosen |= {"lpips_weights": self.networks.lpips_weights, "device": str(self.device)}
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "rows.json"
            evaluate(real, fake, **{**chosen, **options, "json": written})
            rows = json.loads(written.read_text(encoding="utf-8"))["rows"]
        random = (
            {"features)": "features, random)", "classes)": "classes, random)"}
            if options["features"] == "random"
            else {}
        )
        found = []
        for row in rows:
            name = row["figure"]
            for plain, said in random.items():
                name = name.replace(plain, said)
            found.append(Row(name, math.nan if row["value"] is None else row["value"], row["by"], row["spread"]))
        return found

    def lpips(self) -> tuple[str, Callable[[Tensor, Tensor], Tensor]]:
        """The distance of pairs, and its name."""
        networks = self.networks
        found = self.once(
            "lpips",
            lambda: distances_by_name(
                networks.lpips, networks.lpips_weights, None, networks.features == "random", self.device
            ),
        )
        if not found:
            raise ValueError("lpips: diversity is a distance of pairs; give a network other than none")
        [(name, distance)] = found.items()
        return name, distance

    def scorer(self, data: Opened) -> tuple[str, nn.Module]:
        """The network that segments photos of a data set, and its name."""
        return self.once(f"scorer {data.name}", lambda: self._scorer(data))

    def _scorer(self, data: Opened) -> tuple[str, nn.Module]:
        networks, classes = self.networks, len(data.palette.names)
        if networks.segmentation != "unet":
            if networks.segmentation_weights is None:
                raise ValueError(
                    "segmentation_weights: torchvision's networks need weights of these classes; give their file"
                )
            from torchvision.models import segmentation

            state = read_file(networks.segmentation_weights)
            auxiliary = any(name.startswith("aux_classifier") for name in state)
            network: nn.Module = getattr(segmentation, networks.segmentation)(
                weights=None, weights_backbone=None, num_classes=classes, aux_loss=auxiliary
            )
            network.load_state_dict(state)
            return f"{networks.segmentation}, weights {digest(state)[:8]}", Normalised(network).eval().to(self.device)
        photos, labels = data.side("trainA"), data.labels("train")
        first = FolderImages(photos)[0]
        side = 32 if self.toy else LARGEST
        scale = min(1.0, side / min(first.shape[2:]))
        size = (round(first.shape[2] * scale), round(first.shape[3] * scale))
        small = {
            name: FolderImages(data.resized(f, size, exact=name == "y")) for name, f in (("x", photos), ("y", labels))
        }
        keys = sorted(set(small["x"].keys) & set(small["y"].keys))
        if not keys:
            raise ValueError(
                f"{data.name}: no image of {photos} has labels of its name in {labels}; expected the same names"
            )
        x, y = (torch.cat([each[each.keys.index(key)] for key in keys]) for each in small.values())
        network = train_segmentation(x, nearest_class(y, data.palette), classes, networks.steps, device=self.device)
        return f"small U-Net, {networks.steps:,} steps on {len(keys):,} real photos", network


class Normalised(nn.Module):
    """A network of torchvision's for images in [-1, 1]."""

    scale: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        self.register_buffer("scale", 0.5 / std)
        self.register_buffer("offset", (0.5 - mean) / std)

    def forward(self, images: Tensor) -> Any:
        """What the network makes of them."""
        return self.network(images * self.scale + self.offset)


def save(image: Tensor, path: Path) -> None:
    """Write an image (1, 3, H, W) in [-1, 1] as PNG."""
    write_image(path, (image.float() + 1) * 127.5)


def save_grid(columns: Sequence[Sequence[Tensor] | Tensor], path: Path) -> Path:
    """Write images (3, H, W) in [-1, 1] as the columns of a grid of pictures, as many rows as the shortest has."""
    write_image(path, 255 * grid(zip(*columns, strict=False))[None])
    return path


def save_grids(grids: Mapping[str, Tensor], path: Path) -> dict[str, Path]:
    """Write grids (3, H, W) in [0, 1] of a report, by caption, as files that are numbered."""
    found = {}
    for number, (caption, picture) in enumerate(grids.items(), 1):
        found[caption] = path.with_name(f"{path.name}-{number}.png")
        write_image(found[caption], 255 * picture[None])
    return found
