"""What can be set for AsymmetricGAN's examples, and their presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asymkit.checks import at_least
from asymkit.networks.dual import Preset, Sharing
from asymkit.objectives.asymmetricgan import supervised, unsupervised
from support.settings import RunSettings


@dataclass(frozen=True)
class DomainSettings(RunSettings):
    """Train AsymmetricGAN between the domains of a folder."""

    data: Path | None = None
    """A folder with one sub-folder of images for each domain; without it, domains derived from photographs that ship
    with scikit-image and scikit-learn."""
    out: Path = Path("runs/domains")
    """Folder of the run."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""
    channels: Literal[1, 3] = 3
    """Of the images: 3, or 1 for grey ones."""
    preset: Preset = "S2"
    """The reconstruction generator: S1, S2 or S3, as large as the translator."""
    sharing: Sharing = "none"
    """What the generators share; S3 with full is StarGAN with this paper's losses."""
    picture_size: int | None = None
    """Side of the crops in the report's pictures; None: that of training. A one-hot label reaches the picture from its
    borders, so other sizes look right with a label embedding only."""
    label_embedding: int | None = None
    """Length of the label's linear embedding; None tiles it one-hot."""
    critics: int = 1
    """2 for the paper's double discriminators, the second with a layer less."""
    critic_width: int = 64
    """Channels of a critic's first layer."""
    critic_layers: int = 6
    """How often a critic halves its image."""
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
        if self.picture_size is not None:
            self._check_side("picture_size", self.picture_size, least=8)


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
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""
    out: Path = Path("runs/gesture")
    """Folder of the run."""
    size: int = 256
    """Side of the images in training, in pixels."""
    batch: int = 4
    epochs: int = 20
    blocks: int = 9
    """Residual blocks of a generator."""
    reconstructor_width: int = 4
    """Channels of the reconstruction generator's first layer."""
    double_critics: bool = False
    """Add a second critic that does not see the skeleton, Eq. 9."""
    critic_width: int = 64
    """Channels of a critic's first layer."""
    critic_layers: int = 3
    """How often a critic halves its image."""
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


DOMAINS_DEMO = DomainSettings(
    minutes=4,
    size=48,
    picture_size=96,
    batch=2,
    width=16,
    label_embedding=64,
    critic_width=16,
    critic_layers=4,
    upsampling="resize",
    lr_generators=1e-3,
    lr_critics=2e-4,
    workers=0,
    report_every=2000,
    # so short a training learns detail from the identity loss first
    weights=unsupervised.Weights(identity=10.0),
)

DOMAINS_PRESETS = {"paper": ("The paper's settings.", DomainSettings()), "demo": ("Minutes on a CPU.", DOMAINS_DEMO)}

GESTURE_DEMO = GestureSettings(
    minutes=5,
    size=64,
    batch=2,
    width=16,
    blocks=3,
    critic_width=16,
    critic_layers=2,
    upsampling="resize",
    lr_generators=2e-3,
    lr_critics=2e-4,
    features="auto",
    feature_layers=("relu1_1",),
    workers=0,
    report_every=2000,
    # with the paper's 1, fitting pixels outweighs the critic a hundredfold, and so short a training ends in a blur
    weights=supervised.Weights(adversarial=30.0),
)

GESTURE_PRESETS = {"paper": ("The paper's settings.", GestureSettings()), "demo": ("Minutes on a CPU.", GESTURE_DEMO)}
