"""What can be set for the asynchronous examples, and their presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from asymkit.checks import at_least
from asymkit.objectives import asyncgan
from asymkit.schedule import Rule
from support import munit
from support.settings import RunSettings, UnpairedSettings

Digits = Literal["usps", "svhn", "photos"]


@dataclass(frozen=True)
class PlannedSettings(RunSettings):
    """What the examples with joint and partial phases can be told."""

    epochs: int = 100
    """Half of them joint, then joint and partial in turn."""
    period: int = 10
    """Epochs of a cycle, whose first half is joint; 10 or, with 120 epochs, 20 in the paper."""
    rule: Rule = "text"
    """text: what the paper says; algorithm1: what it prints, with one joint epoch more in ten."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("period", self.period)
        if self.minutes is not None:
            raise ValueError("minutes: the plan of joint and partial phases counts epochs; give --epochs instead")


@dataclass(frozen=True)
class AsyncCycleSettings(PlannedSettings):
    """What a cycle model with joint and partial phases can be told, whatever its images."""

    pool: int = 50
    """Earlier fakes that the critics are shown again in joint steps."""
    weights: asyncgan.Weights = field(default_factory=asyncgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("pool", self.pool, least=0)


@dataclass(frozen=True)
class AsyncSettings(AsyncCycleSettings, UnpairedSettings):
    """Train a cycle model asynchronously."""

    out: Path = Path("runs/asyncgan")
    """Folder of the run."""
    base: Literal["cyclegan", "highres", "asymgan"] = "cyclegan"
    """The cycle model: CycleGAN; Async-GAN's own networks for 512² and more; or AsymGAN's base objective."""
    aux_channels: int | None = None
    """Length of z: None is 8 for asymgan and no z for highres, whose paper takes 128."""
    blocks: int | None = None
    """Residual blocks; None: 9 for cyclegan, 8 for highres, 6 for asymgan."""
    critic_layers: int | None = None
    """Layers of stride 2 in the critics; None: 3, and 4 for highres."""

    def __post_init__(self) -> None:
        super().__post_init__()
        blocks, layers = self.depths
        at_least("blocks", blocks)
        at_least("critic_layers", layers)
        if self.aux_channels is not None:
            at_least("aux_channels", self.aux_channels)
            if self.base == "cyclegan":
                raise ValueError("aux_channels: cyclegan has no z; take --base highres or --base asymgan")
        # the critics of highres see the image at half its size as well, its generators halve it three times
        self._check_sides(*((layers + 1, 8) if self.base == "highres" else (layers, 4)))

    @property
    def depths(self) -> tuple[int, int]:
        """Residual blocks of the generators and layers of the critics, those of the base's paper where none are given."""
        blocks, layers = {"cyclegan": (9, 3), "highres": (8, 4), "asymgan": (6, 3)}[self.base]
        return (
            blocks if self.blocks is None else self.blocks,
            layers if self.critic_layers is None else self.critic_layers,
        )


@dataclass(frozen=True)
class MunitSettings(PlannedSettings, UnpairedSettings):
    """Train a compact MUNIT asynchronously."""

    out: Path = Path("runs/munit")
    """Folder of the run."""
    blocks: int = 4
    """Residual blocks of each encoder and decoder."""
    critic_layers: int = 3
    style: int = 8
    """Length of a style."""
    weights: munit.Weights = field(default_factory=munit.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "style", "critic_layers"):
            at_least(name, getattr(self, name))
        self._check_sides(self.critic_layers)


@dataclass(frozen=True)
class DigitSettings(AsyncCycleSettings):
    """Train CycleGAN and Async-CycleGAN between two sets of digits, and score both by a classifier of real ones."""

    digits: Digits = "photos"
    """The set beside MNIST: usps, svhn, or photos: scikit-learn's digits, plain and over patches of photographs."""
    mnist: Path = Path("datasets/mnist")
    """Folder of MNIST, downloaded there if it is not."""
    other: Path | None = None
    """Where USPS (a folder, or an .npz of images x and labels y) or SVHN is; None: datasets/usps or datasets/svhn."""
    out: Path = Path("runs/digits")
    """Folder of the runs."""
    seeds: int = 1
    """Runs of each variant."""
    size: int = 32
    """Side of the images, which the digits are resized to."""
    batch: int = 8
    width: int = 16
    blocks: int = 3
    samples: int = 1200
    """Images of each set in an epoch."""
    epochs: int = 12
    period: int = 2
    lr_generators: float = 5e-4
    lr_critics: float = 2e-4
    upsampling: Literal["transposed", "resize"] = "resize"
    workers: int = 0
    report_every: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "blocks", "samples"):
            at_least(name, getattr(self, name))


MINUTES_ON_A_CPU: dict[str, Any] = {
    "epochs": 12,
    "period": 2,
    "size": 48,
    "picture_size": 96,
    "batch": 2,
    "width": 16,
    "critic_layers": 2,
    "upsampling": "resize",
    "lr_critics": 1e-4,
    "workers": 0,
}

ASYNCGAN_DEMO = AsyncSettings(out=Path("runs/asyncgan"), blocks=3, lr_generators=1e-3, **MINUTES_ON_A_CPU)

ASYNCGAN_PRESETS = {"paper": ("The paper's settings.", AsyncSettings()), "demo": ("Minutes on a CPU.", ASYNCGAN_DEMO)}

MUNIT_DEMO = MunitSettings(out=Path("runs/munit"), blocks=2, lr_generators=5e-4, **MINUTES_ON_A_CPU)

MUNIT_PRESETS = {"paper": ("The paper's settings.", MunitSettings()), "demo": ("Minutes on a CPU.", MUNIT_DEMO)}

DIGITS_PRESETS = {"demo": ("Minutes on a CPU.", DigitSettings())}
