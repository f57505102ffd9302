"""What can be set from the command line: one typed dataclass per example, and its presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asymkit.checks import at_least
from asymkit.objectives import asymgan
from asymkit.objectives.terms import TermWeights
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
    """Of first weights, the order of the data, crops and z."""
    epochs: int = 200
    """How often training goes through the data, or through 400 crops where there are fewer photos than that."""
    minutes: float | None = None
    """Stop after this much training, if that is before the last epoch; the learning rate then follows the clock. None:
    train by epochs."""
    size: int = 128
    """Side of the crops in training, in pixels."""
    batch: int = 1
    """Samples that a process takes at once."""
    width: int = 64
    """Channels of the generators' first layer."""
    lr_generators: float = 2e-4
    """Learning rate of the generators, for the first half of the run; then it falls to zero."""
    lr_critics: float = 2e-4
    """The same of the critics."""
    upsampling: Literal["transposed", "resize"] = "transposed"
    """How generators enlarge: transposed convolutions as in the papers, or resizing, which leaves no checkerboard."""
    precision: Precision = "auto"
    """auto: bfloat16 on a GPU that has it."""
    accumulate: int = 1
    """Batches whose gradients are averaged before a step is taken: a larger batch in the memory of a small one."""
    ema: float = 0.0
    """Decay of an exponential moving average of the generators, e.g. 0.999, which the report then shows; 0: none."""
    workers: int = 2
    """Processes that load images, for each process that trains."""
    threads: int | None = None
    """Threads of a process that trains on the CPU. None: those the run had before, if it is resumed; one where steps are
    small, which gain little from a second one and lose most of their speed on a busy machine; else PyTorch's number."""
    report_every: int = 1000
    """Steps between checkpoints and reports."""
    best: str | None = None
    """A figure of the report; the checkpoint in which it is best is kept as best.pt."""
    best_is: Literal["lowest", "highest"] = "lowest"
    """Which value of that figure is the best."""
    skips: int = 20
    """Steps in a row that may be skipped because a loss or a gradient is not finite, before the run stops."""
    tensorboard: bool = True
    """Write losses, figures and pictures for TensorBoard too, into the folder tensorboard of the run."""
    dry_run: bool = False
    """Take a few steps of everything, with a checkpoint and a report in the folder dry-run of the run, and say what
    memory and time the whole run needs."""
    weights: TermWeights = field(default_factory=TermWeights)

    @property
    def folder(self) -> Path:
        """Where this run writes."""
        return self.out / "dry-run" if self.dry_run else self.out

    @property
    def work(self) -> int:
        """Values in the generators' first layer for a batch: how much there is to share between threads."""
        return self.batch * self.width * self.size**2

    def samples_to_a_step(self, processes: int) -> int:
        """How many samples all processes together take for a step."""
        return self.batch * self.accumulate * processes

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "width", "report_every", "accumulate", "skips"):
            at_least(name, getattr(self, name))
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be a decay of at least 0 and below 1, e.g. 0.999, got {self.ema}")
        if self.dry_run and self.resume:
            raise ValueError("dry_run: takes its steps from the beginning; leave out --resume")
        if self.threads is not None:
            at_least("threads", self.threads)
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
class UnpairedSettings(RunSettings):
    """What the examples between a rich and a poor domain can be told."""

    data: Path | None = None
    """A folder of photos, or a CycleGAN folder with trainA and trainB; without it, photographs that ship with
    scikit-image and scikit-learn."""
    rich: Literal["A", "B"] = "A"
    """Which side of a CycleGAN folder is the rich one; python -m asymkit.evaluation.entropy says it."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images whose pixels can be as large as the second one, such as 0 4095
    for 12 bits, or 0 33 for label ids. None: for grey images of more than 8 bits it is found and said."""
    side_by_side: bool = False
    """The images of the folder, or of its sub-folder train, show A on the left and B on the right, as pix2pix's do."""
    poor: PoorKind = "grey"
    """What the poor domain is made of where there is no second folder."""
    picture_size: int | None = None
    """Side of the crops in the report's pictures, which the networks take in any size; None: that of training."""

    def _check_sides(self, halvings: int, multiple_of: int = 4) -> None:
        """Refuse sizes that critics which halve an image so often cannot take, or generators."""
        for name, side in (("size", self.size), ("picture_size", self.picture_size)):
            if side is not None:
                self._check_side(name, side, max(16, 3 * 2**halvings), multiple_of)


@dataclass(frozen=True)
class AsymGANSettings(UnpairedSettings):
    """Train AsymGAN."""

    out: Path = Path("runs/asymgan")
    """Folder of the run."""
    blocks: int = 6
    """Residual blocks of a generator."""
    aux_channels: int = 8
    """Length of z."""
    critic_layers: int = 3
    """How often a critic halves its image."""
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
        self._check_sides(self.critic_layers)


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
