"""Which of two domains is the rich one, and by how many bits: ``python -m asymkit.evaluation.entropy DIR_A DIR_B``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asymkit.ops import shannon_entropy

ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}

ALIKE, FAR = 0.25, 1.5
"""Bits: below the first neither domain counts as richer, above the second one poor image stands for many rich ones."""


@dataclass(frozen=True)
class DomainEntropy:
    """The pixel values of a folder of images.

    Attributes:
        name: of the folder.
        bits: Shannon entropy of each image, (N,), 0 to 8.
        histogram: share of each of the 256 levels, averaged over the images, (256,).
    """

    name: str
    bits: Tensor = field(repr=False)
    histogram: Tensor = field(repr=False)

    @property
    def mean(self) -> float:
        """Bits per pixel value, averaged over the images."""
        return self.bits.mean().item()

    @property
    def spread(self) -> float:
        """Standard deviation over the images, 0 for a single one."""
        return self.bits.std().item() if len(self.bits) > 1 else 0.0


def domain_entropy(folder: Path) -> DomainEntropy:
    """Read every image of a folder, in its own size: resizing would add values between those of a label map.

    Args:
        folder: with images, sub-folders aside.

    Returns:
        Entropy of every image, and their histogram.

    Raises:
        ValueError: no folder, no images, or one that cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    if not folder.is_dir():
        raise ValueError(f"no folder {str(folder)!r}; expected a folder with the images of a domain")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not files:
        raise ValueError(f"no images in {str(folder)!r}; expected files ending in {', '.join(sorted(ENDINGS))}")
    bits, histogram = [], torch.zeros(256, dtype=torch.float64)
    for path in files:
        try:
            with Image.open(path) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(
                        f"{str(path)!r} has {image.mode} pixels, more than 8 bits; entropy is over 256 levels: "
                        "save the images with 8 bits first"
                    )
                pixels = torch.from_numpy(np.array(image.convert("RGB")))
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(f"cannot read {str(path)!r}: {error}") from error
        bits.append(shannon_entropy(pixels.permute(2, 0, 1)[None].float(), value_range=(0, 255)))
        histogram += torch.bincount(pixels.flatten().long(), minlength=256) / pixels.numel()
    return DomainEntropy(folder.name, torch.cat(bits), histogram / len(files))


def advice(first: DomainEntropy, second: DomainEntropy) -> str:
    """Which domain is rich, and which method that suggests; a rule of thumb, as pixel values are not meaning.

    Args:
        first: a domain.
        second: the other one.

    Example:
        >>> flat, even = torch.eye(256)[0], torch.full((256,), 1 / 256)
        >>> photos = DomainEntropy("photos", torch.tensor([7.5]), even)
        >>> labels = DomainEntropy("labels", torch.tensor([2.5]), flat)
        >>> print(advice(photos, labels))
        'photos' is the rich domain, by 5.00 bits (7.50 against 2.50).
        One poor image stands for many rich ones: AsymGAN, whose auxiliary variable carries the rest; AsyncScheduler can be added.
    """
    rich, poor = (first, second) if first.mean >= second.mean else (second, first)
    by = rich.mean - poor.mean
    figures = f"({rich.mean:.2f} against {poor.mean:.2f})"
    if by < ALIKE:
        return (
            f"Neither {first.name!r} nor {second.name!r} is clearly richer, {by:.2f} bits apart {figures}.\n"
            "A symmetric cycle model fits; AsymmetricGAN does the same with a lighter reconstructor, and many domains."
        )
    found = f"{rich.name!r} is the rich domain, by {by:.2f} bits {figures}.\n"
    if by < FAR:
        return f"{found}One direction is harder: Async-GAN, AsyncScheduler around the cycle model you have."
    return (
        f"{found}One poor image stands for many rich ones: AsymGAN, whose auxiliary variable carries the rest; "
        "AsyncScheduler can be added."
    )


def draw(first: DomainEntropy, second: DomainEntropy, path: Path) -> None:
    """A picture of both histograms, of levels and of the images' entropies.

    Args:
        first: a domain.
        second: the other one.
        path: the picture to write; its ending says of what kind.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    levels, bits = figure.subplots(1, 2)
    for domain in (first, second):
        label = f"{domain.name}: {domain.mean:.2f} bits"
        levels.stairs(domain.histogram.numpy(), np.arange(257), fill=True, alpha=0.5, label=label)
        bits.hist(domain.bits.numpy(), bins=np.linspace(0, 8, 41), alpha=0.5, label=label, density=True)
    # a label map has a few levels that would hide all others
    levels.set(xlabel="pixel value", ylabel="share, logarithmic", title="pixel values", xlim=(-4, 260), yscale="log")
    bits.set(xlabel="bits", yticks=[], title="Shannon entropy of the images", xlim=(0, 8))
    levels.legend()
    figure.savefig(path, dpi=120)


def compare(dir_a: Path, dir_b: Path, picture: Path = Path("entropy.png")) -> str:
    """Say which of two folders of images is the rich domain, and draw their histograms.

    Args:
        dir_a: a folder of images.
        dir_b: another one.
        picture: where to draw.

    Returns:
        What a person wants to read.

    Raises:
        ValueError: a folder without images, or a file that cannot be read.
    """
    first, second = domain_entropy(dir_a), domain_entropy(dir_b)
    draw(first, second, picture)
    lines = [
        f"{d.name}: {d.mean:.2f} ± {d.spread:.2f} bits per pixel value, {len(d.bits)} images" for d in (first, second)
    ]
    return "\n".join([*lines, advice(first, second), f"histograms: {picture}"])


def main() -> None:
    """The command line."""
    try:
        import matplotlib as mpl  # noqa: F401  # before hours of reading images, not after
        import tyro
    except ImportError as error:
        sys.exit(f'error: {error.name} is missing; pip install "asymkit[evaluation]"')
    try:
        print(
            tyro.cli(compare, config=(tyro.conf.PositionalRequiredArgs,), prog="python -m asymkit.evaluation.entropy")
        )
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
