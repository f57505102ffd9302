"""Shannon entropy of two domains, to find the information-rich one: ``python -m asymkit.evaluation.entropy DIR_A DIR_B``."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from asymkit.arguments import described, instance_of, path_of
from asymkit.checks import check_array
from asymkit.console import print_in_any_encoding
from asymkit.ops import shannon_entropy

ALIKE, ALIKE_COLORS, FAR = 0.25, 0.5, 1.5
"""Differences in bits, of pixel values and of colours: below ALIKE neither domain is richer, above FAR one poor image corresponds to
many rich ones."""
COLOR_LEVELS = 16
"""Of each channel: 4,096 colours, few enough for the pixels of small images to estimate their frequencies."""


@dataclass(frozen=True)
class DomainEntropy:
    """Entropy and histogram of the pixel values of a folder of images.

    Attributes:
        name: of the folder.
        bits: Shannon entropy of each image, (N,), 0 to 8.
        histogram: frequency of each of the 256 levels, averaged over the images, (256,).
        note: files that were ignored and how values were mapped, as text; "" if neither applies.
        color_bits: joint entropy of the channels of each image, see :func:`color_entropy`, (N,); None if it is not known.
    """

    name: str
    bits: Tensor = field(repr=False)
    histogram: Tensor = field(repr=False)
    note: str = ""
    color_bits: Tensor | None = field(default=None, repr=False)

    @property
    def mean(self) -> float:
        """Bits per pixel value, averaged over the images."""
        return self.bits.mean().item()

    @property
    def spread(self) -> float:
        """Standard deviation over the images, 0 for a single one."""
        return _spread(self.bits)


def _spread(bits: Tensor) -> float:
    return bits.std().item() if len(bits) > 1 else 0.0


def color_entropy(pixels: Tensor) -> Tensor:
    """Joint Shannon entropy of the channels of each image, which tells colour from grey.

    The pooled entropy of :func:`asymkit.ops.shannon_entropy` is nearly the same for a photograph and its grey copy, as it
    does not see that three channels with equal values say the same three times.

    Args:
        pixels: (N, 3, H, W), of type uint8, from 0 to 255.

    Returns:
        Bits per pixel, (N,), from 0 for one colour to 12; each channel has 16 levels.

    Raises:
        ValueError: pixels have another type or shape.

    Example:
        >>> import torch
        >>> from asymkit.evaluation.entropy import color_entropy
        >>> colors = torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8)
        >>> color_entropy(colors).item() > 11.9, color_entropy(colors[:, :1].expand(-1, 3, -1, -1)).item() <= 4
        (True, True)
    """
    what = "images (N, 3, H, W) of type uint8"
    check_array("pixels", pixels, what, (4,), integers=True)
    if pixels.dtype != torch.uint8 or pixels.shape[1] != 3:
        raise ValueError(f"pixels must be {what}, got {described(pixels)}")
    red, green, blue = (pixels.long() * COLOR_LEVELS // 256).unbind(1)
    colors = ((red * COLOR_LEVELS + green) * COLOR_LEVELS + blue).flatten(1)
    counts = torch.stack([torch.bincount(each, minlength=COLOR_LEVELS**3) for each in colors])
    return torch.special.entr(counts.double() / colors.shape[1]).sum(1).float() / math.log(2)


def domain_entropy(folder: Path, value_range: tuple[float, float] | None = None) -> DomainEntropy:
    """Entropy of every image of a folder, without resizing, which would interpolate new values.

    Args:
        folder: with images; sub-folders are ignored.
        value_range: values of grey images that become black and white; None to infer them, see
            :meth:`asymkit.evaluation.folders.ImageFiles.inspect`.

    Returns:
        Entropy of every image, and their histogram.

    Raises:
        ValueError: there is no such folder, it has no images, or one cannot be read.
    """
    from asymkit.evaluation.folders import image_files
    from asymkit.evaluation.images import BrokenImageError

    folder = path_of("folder", folder)
    if not folder.is_dir():
        raise ValueError(f"no folder {str(folder)!r}; expected a folder with the images of a domain")
    files = image_files(folder, "entropy", "a folder with the images of a domain")

    import numpy as np

    for path, problem in files.inspect(value_range, least_side=1).items():
        raise BrokenImageError(path, problem)
    bits, color_bits, histogram = [], [], torch.zeros(256, dtype=torch.float64)
    for place in range(len(files)):
        image = torch.from_numpy(np.array(files.read(place, least_side=1))).permute(2, 0, 1)[None]
        bits.append(shannon_entropy(image.float(), value_range=(0, 255)))
        color_bits.append(color_entropy(image))
        histogram += torch.bincount(image.flatten().long(), minlength=256) / image.numel()
    return DomainEntropy(folder.name, torch.cat(bits), histogram / len(files), files.said(), torch.cat(color_bits))


def advice(first: DomainEntropy, second: DomainEntropy) -> str:
    """Which domain is information-rich, and which method that suggests, by a rule of thumb.

    Where the entropy of the colours of both is known, it decides; else that of the pixel values.

    Args:
        first: one domain.
        second: the other domain.

    Example:
        >>> import torch
        >>> from asymkit.evaluation.entropy import DomainEntropy, advice
        >>> flat, even = torch.eye(256)[0], torch.full((256,), 1 / 256)
        >>> photos = DomainEntropy("photos", torch.tensor([7.5]), even)
        >>> labels = DomainEntropy("labels", torch.tensor([2.5]), flat)
        >>> print(advice(photos, labels))
        'photos' is the rich domain, by 5.00 bits (7.50 against 2.50).
        One poor image stands for many rich ones: AsymGAN, whose latent code z carries the rest; AsyncScheduler can be added.
    """
    _check(first, second)
    one, other, alike, of = first.mean, second.mean, ALIKE, ""
    if first.color_bits is not None and second.color_bits is not None:
        one, other = first.color_bits.mean().item(), second.color_bits.mean().item()
        alike, of = ALIKE_COLORS, " of colour"
    rich, by = (first, one - other) if one >= other else (second, other - one)
    figures = f"({max(one, other):.2f} against {min(one, other):.2f})"
    if by < alike:
        return (
            f"Neither {first.name!r} nor {second.name!r} is clearly richer, {by:.2f} bits{of} apart {figures}.\n"
            "A symmetric cycle model fits; AsymmetricGAN does the same with a lighter reconstructor, and many domains."
        )
    found = f"{rich.name!r} is the rich domain, by {by:.2f} bits{of} {figures}.\n"
    if by < FAR:
        return f"{found}One direction is harder: Async-GAN, AsyncScheduler around the cycle model you have."
    return (
        f"{found}One poor image stands for many rich ones: AsymGAN, whose latent code z carries the rest; "
        "AsyncScheduler can be added."
    )


def _check(first: DomainEntropy, second: DomainEntropy) -> None:
    for name, domain in (("first", first), ("second", second)):
        instance_of(name, domain, DomainEntropy, "what domain_entropy gives")


def draw(first: DomainEntropy, second: DomainEntropy, path: Path) -> None:
    """Plot the histograms of pixel values and of the images' entropies of both domains.

    Args:
        first: one domain.
        second: the other domain.
        path: of the picture; its suffix selects the format.
    """
    from matplotlib.figure import Figure

    _check(first, second)
    path = path_of("path", path)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    levels, bits = figure.subplots(1, 2)
    for domain in (first, second):
        label = f"{domain.name}: {domain.mean:.2f} bits"
        levels.stairs(domain.histogram.numpy(), range(257), fill=True, alpha=0.5, label=label)
        bits.hist(domain.bits.numpy(), bins=[level / 5 for level in range(41)], alpha=0.5, label=label, density=True)
    # logarithmic, because the few levels of label maps would dwarf all others
    levels.set(xlabel="pixel value", ylabel="share, logarithmic", title="pixel values", xlim=(-4, 260), yscale="log")
    bits.set(xlabel="bits", yticks=[], title="Shannon entropy of the images", xlim=(0, 8))
    levels.legend()
    figure.savefig(path, dpi=120)


def compare(
    dir_a: Path,
    dir_b: Path,
    picture: Path | None = None,
    value_range: tuple[float, float] | None = None,
) -> str:
    """Compare the entropy of two folders of images, and say which method that suggests.

    Args:
        dir_a: a folder of images.
        dir_b: another folder of images.
        picture: where to plot the histograms of both, such as entropy.png. None: nowhere.
        value_range: values of grey images that become black and white, such as 0 4095 for 12 bits; None to infer and report
            it for images of more than 8 bits.

    Returns:
        A summary as text.

    Raises:
        ValueError: a folder has no images, or a file cannot be read.
        ImportError: matplotlib is missing for the picture; the extra ``evaluation`` has it.
    """
    if picture is not None:
        import matplotlib as mpl  # noqa: F401  # fail before reading images, not after

        picture = path_of("picture", picture)
    first, second = domain_entropy(dir_a, value_range), domain_entropy(dir_b, value_range)
    lines = [_described(first), _described(second), advice(first, second)]
    if picture is not None:
        draw(first, second, picture)
        lines.append(f"histograms: {picture}")
    return "\n".join(lines)


def _described(domain: DomainEntropy) -> str:
    about = f"{domain.name}: {domain.mean:.2f} ± {domain.spread:.2f} bits per pixel value, {len(domain.bits)} images{domain.note}"
    if domain.color_bits is None:
        return about
    return f"{about}; {domain.color_bits.mean().item():.2f} ± {_spread(domain.color_bits):.2f} bits of colour"


def main() -> None:
    """The command line."""
    print_in_any_encoding()
    try:
        import tyro

        import asymkit.evaluation.images  # noqa: F401  # Pillow

        print(
            tyro.cli(compare, config=(tyro.conf.PositionalRequiredArgs,), prog="python -m asymkit.evaluation.entropy")
        )
    except ImportError as error:
        sys.exit(f'error: {error.name} is missing; pip install "asymkit[evaluation]"')
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
