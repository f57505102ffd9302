"""What can be set from the command line: one typed dataclass per example, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asymkit.checks import at_least
from asymkit.networks.dual import Preset, Sharing
from asymkit.objectives import asymgan
from asymkit.objectives.asymmetricgan import supervised, unsupervised
from support.images import PoorKind
from support.start import Precision


@dataclass(frozen=True)
class RunSettings:
    """What every example can be told."""

    out: Path = Path("runs/run")
    """Folder of the run."""
    resume: bool = False
    """Go on from the checkpoint in that folder."""
    seed: int = 0
    epochs: int = 200
    minutes: float | None = None
    """Stop after this much training, if that is before the last epoch; the learning rate then follows the clock. None:
    train by epochs."""
    size: int = 128
    """Side of the crops in training, in pixels."""
    batch: int = 1
    width: int = 64
    lr_generators: float = 2e-4
    lr_critics: float = 2e-4
    upsampling: Literal["transposed", "resize"] = "transposed"
    precision: Precision = "auto"
    """auto: bfloat16 on a GPU that has it."""
    workers: int = 2
    report_every: int = 1000
    """Steps between checkpoints and reports."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "width", "report_every"):
            at_least(name, getattr(self, name))
        for name in ("workers", "seed"):
            at_least(name, getattr(self, name), least=0)
        self._check_side("size", self.size, least=16)
        for name in ("minutes", "lr_generators", "lr_critics"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @staticmethod
    def _check_side(name: str, side: int, least: int, multiple_of: int = 4) -> None:
        if side < least or side % multiple_of:
            raise ValueError(f"{name} must be divisible by {multiple_of} and at least {least}, got {side}")


@dataclass(frozen=True)
class AsymGANSettings(RunSettings):
    """Train AsymGAN."""

    data: Path | None = None
    """A folder of photos, or a CycleGAN folder with trainA and trainB; without it, photographs that ship with
    scikit-image and scikit-learn."""
    rich: Literal["A", "B"] = "A"
    """Which side of a CycleGAN folder is the rich one."""
    poor: PoorKind = "grey"
    """What the poor domain is made of where there is no second folder."""
    out: Path = Path("runs/asymgan")
    """Folder of the run."""
    picture_size: int | None = None
    """Side of the crops in the report's pictures, which the networks take in any size; None: that of training."""
    blocks: int = 6
    aux_channels: int = 8
    critic_layers: int = 3
    start: Literal["normal", "strong"] = "normal"
    """First weights: N(0, 0.02) as in the paper's family, or larger ones around z, for short trainings of narrow networks."""
    lr_critics: float = 1e-4
    pool: int = 50
    """Earlier fakes that the critics are shown again."""
    features: str = "imagenet"
    """Weights of the VGG16 behind content and style: imagenet, random, a file, or auto: imagenet, and random where
    they cannot be downloaded."""
    content_layer: str = "relu2_2"
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    weights: asymgan.Weights = field(default_factory=asymgan.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "aux_channels", "critic_layers"):
            at_least(name, getattr(self, name))
        at_least("pool", self.pool, least=0)
        least = max(16, 3 * 2**self.critic_layers)
        self._check_side("size", self.size, least)
        if self.picture_size is not None:
            self._check_side("picture_size", self.picture_size, least)


@dataclass(frozen=True)
class DomainSettings(RunSettings):
    """Train AsymmetricGAN between the domains of a folder."""

    data: Path | None = None
    """A folder with one sub-folder of images for each domain; without it, domains derived from photographs that ship
    with scikit-image and scikit-learn."""
    out: Path = Path("runs/domains")
    """Folder of the run."""
    channels: Literal[1, 3] = 3
    """Of the images: 3, or 1 for grey ones."""
    preset: Preset = "S2"
    """The reconstruction generator: S1, S2 or S3, as large as the translator."""
    sharing: Sharing = "none"
    """What the generators share; S3 with full is StarGAN with this paper's losses."""
    label_embedding: int | None = None
    """Length of the label's linear embedding; None tiles it one-hot."""
    critics: int = 1
    """2 for the paper's double discriminators, the second with a layer less."""
    critic_width: int = 64
    critic_layers: int = 6
    classifier_steps: int = 400
    """Training steps of the classifier that judges translated images in the report."""
    weights: unsupervised.Weights = field(default_factory=unsupervised.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("critics", "critic_width", "critic_layers", "classifier_steps"):
            at_least(name, getattr(self, name))
        if self.critics > 2:
            raise ValueError(f"critics must be 1 or 2, got {self.critics}")
        self._check_side("size", self.size, least=2**self.critic_layers, multiple_of=max(4, 2**self.critic_layers))


@dataclass(frozen=True)
class GestureSettings(RunSettings):
    """Train AsymmetricGAN to give a hand another pose."""

    data: Path | None = None
    """A folder of photos; without it, drawn hands over patches of the photographs that ship with scikit-image."""
    skeletons: Path | None = None
    """A folder with a file for every photo, of the same name: a skeleton or mask image, or OpenPose hand keypoints as
    JSON."""
    pairs: Path | None = None
    """A CSV file with the columns source and target, or with file and person: pairs are then all of one person."""
    out: Path = Path("runs/gesture")
    """Folder of the run."""
    size: int = 256
    """Side of the images in training, in pixels."""
    batch: int = 4
    epochs: int = 20
    blocks: int = 9
    reconstructor_width: int = 4
    double_critics: bool = False
    """Add a second critic that does not see the skeleton, Eq. 9."""
    critic_width: int = 64
    critic_layers: int = 3
    features: str = "imagenet"
    """Weights of the VGG19 behind the perceptual loss: imagenet, random, a file, or auto: imagenet, and random where
    they cannot be downloaded."""
    feature_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    weights: supervised.Weights = field(default_factory=supervised.Weights)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocks", "reconstructor_width", "critic_width", "critic_layers"):
            at_least(name, getattr(self, name))
        self._check_side("size", self.size, least=max(16, 3 * 2**self.critic_layers))


ASYMGAN_DEMO = AsymGANSettings(
    out=Path("runs/demo"),
    minutes=3.5,
    size=48,
    picture_size=128,
    batch=2,
    width=16,
    blocks=3,
    aux_channels=3,
    critic_layers=2,
    upsampling="resize",
    start="strong",
    lr_generators=1e-3,
    lr_critics=1e-4,
    features="auto",
    content_layer="relu1_1",
    style_layers=("relu1_1",),
    workers=0,
    report_every=2000,
    # content and style of the paper's weights belong to ImageNet features, whose values are larger
    weights=asymgan.Weights(content=10.0, style=10.0, total_variation=1.0),
)

ASYMGAN_PRESETS = {"paper": ("The paper's settings.", AsymGANSettings()), "demo": ("Minutes on a CPU.", ASYMGAN_DEMO)}

DOMAINS_DEMO = DomainSettings(
    minutes=3.5,
    size=64,
    batch=2,
    width=16,
    critic_width=16,
    critic_layers=4,
    upsampling="resize",
    lr_generators=1e-3,
    lr_critics=2e-4,
    workers=0,
    report_every=2000,
)

DOMAINS_PRESETS = {"paper": ("The paper's settings.", DomainSettings()), "demo": ("Minutes on a CPU.", DOMAINS_DEMO)}

GESTURE_DEMO = GestureSettings(
    minutes=3.5,
    size=64,
    batch=2,
    width=16,
    blocks=3,
    critic_width=16,
    critic_layers=2,
    upsampling="resize",
    lr_generators=1e-3,
    lr_critics=2e-4,
    features="auto",
    feature_layers=("relu1_1",),
    workers=0,
    report_every=2000,
)

GESTURE_PRESETS = {"paper": ("The paper's settings.", GestureSettings()), "demo": ("Minutes on a CPU.", GESTURE_DEMO)}
