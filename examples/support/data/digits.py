"""Two sets of digits, and which is the rich one."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from asymkit.arguments import at_least
from asymkit.evaluation.images import DARK, shortened
from asymkit.ops import shannon_entropy
from support.data.files import BrokenFiles, in_turn
from support.data.images import bundled_photos, random_crop
from support.run.settings import MOST_SEED, RunSettings, Size, sides

INK = -0.5
"""Pixels of MNIST and USPS that are lighter, in [-1, 1], belong to a digit."""
TEST_EVERY = 6
"""Of a set without a test half, one digit in so many is held out."""


@dataclass(frozen=True)
class DigitSettings(RunSettings):
    """Which digits are translated."""

    digits: Literal["usps", "svhn", "photos"] = "photos"
    """The set beside MNIST: usps, svhn, or photos: scikit-learn's digits, plain and over patches of photographs."""
    mnist: Path = Path("datasets/mnist")
    """Folder of MNIST, downloaded there if it is not."""
    other: Path | None = None
    """Where USPS (a folder, or an .npz of images x and labels y) or SVHN is; None: datasets/usps or datasets/svhn."""
    size: Size = 32
    """Of the images in pixels, which the digits are stretched to: one number for squares, or height and width."""
    crop: bool = False
    """Crop every digit to the box around it and stretch that to the whole image, so that MNIST and USPS have one geometry:
    a digit fills its image in USPS and about half of it in MNIST."""
    images: int | None = None
    """Of each set, at most so many for training and a sixth of that for tests; None or 0: all."""
    seeds: int = 1
    """Runs of each variant."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integers("seeds")
        at_least("images", self.images or 0, least=0)
        if self.crop and self.digits != "usps":
            raise ValueError(
                f"crop: finds digits by their dark background, which MNIST and USPS have; got --digits {self.digits}"
            )
        at_least("seed", self.seed, least=0, most=MOST_SEED - (self.seeds - 1))


class Split(NamedTuple):
    """Images (N, 3, H, W) in [-1, 1] and their digits (N,)."""

    images: Tensor
    digits: Tensor


@dataclass(frozen=True)
class DigitSet:
    """One domain."""

    name: str
    train: Split
    test: Split
    bits: float
    """Mean Shannon entropy of its training images in the size they came in: resizing adds values between others."""
    cropped: bool = False
    """To the box around each digit."""

    def __str__(self) -> str:
        return f"{self.name}{', cropped' if self.cropped else ''}, {self.bits:.2f} bits"

    @property
    def meaning(self) -> str:
        """Its name, sizes, and the order of its digits, which tell one split from another."""
        order = hashlib.sha256(b"".join(part.digits.numpy().tobytes() for part in (self.train, self.test))).hexdigest()
        name = f"{self.name}, cropped" if self.cropped else self.name
        return f"{name}, {len(self.train.digits)} digits for training and {len(self.test.digits)} others ({order[:8]})"


class UnpairedDigits:
    """Rich and poor images that have nothing to do with each other; pair ``index`` is the same in every run."""

    def __init__(self, rich: DigitSet, poor: DigitSet, samples: int | None, seed: int) -> None:
        self.domains, self.seed = (rich.train.images, poor.train.images), seed
        self.lengths = (len(self.domains[0]), len(self.domains[1])) if samples is None else (samples, samples)
        self.epoch, self.broken = max(self.lengths), BrokenFiles()
        self.meaning = {"rich domain": rich.meaning, "poor domain": poor.meaning}

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x, y = (images[in_turn(len(images), index, self.seed, side)[0]] for side, images in enumerate(self.domains))
        return x, y


def digit_sets(settings: DigitSettings) -> tuple[DigitSet, DigitSet]:
    """The rich and the poor set, by the entropy of their pixel values.

    Raises:
        ValueError: files that are missing and cannot be downloaded, or of another layout.
    """
    pair: list[DigitSet]
    if settings.digits == "photos":
        pair = [_held_out("plain", *_sklearn_digits(), settings), _photo_digits(settings)]
    else:
        other = settings.other or Path("datasets") / settings.digits
        pair = _both(partial(_mnist, settings), partial(_usps if settings.digits == "usps" else _svhn, other, settings))
    poor, rich = sorted(pair, key=lambda domain: domain.bits)
    return rich, poor


def _both(*ways: Callable[[], DigitSet]) -> list[DigitSet]:
    """Two sets, or one error with what is wrong with either."""
    sets, problems = list[DigitSet](), list[str]()
    for read in ways:
        try:
            sets.append(read())
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return sets


def digit_batches(split: Split, epochs: int = 4, batch: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and their digits in a random order, anew in every epoch."""
    for _ in range(epochs):
        for places in torch.randperm(len(split.digits)).split(batch):
            yield split.images[places], split.digits[places]


def _split(name: str, train: tuple[Any, Any], test: tuple[Any, Any], settings: DigitSettings) -> DigitSet:
    """uint8 images (N, H, W) or (N, H, W, 3) as float ones of one size, as many as the settings ask for."""
    most = settings.images or None

    def as_batch(images: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.array(images)).float() / 127.5 - 1
        return pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels[:, None]

    size = sides(settings.size)

    def prepared(images: NDArray[np.uint8], digits: NDArray[Any], count: int | None) -> Split:
        boxes = in_boxes(as_batch(images[:count])) if settings.crop else [as_batch(images[:count])]
        resized = torch.cat([F.interpolate(box, size, mode="bilinear", antialias=True) for box in boxes])
        return Split(resized.expand(-1, 3, -1, -1).clone(), torch.from_numpy(np.array(digits[:count])).long())

    parts = as_batch(train[0][:most]).split(4096)  # entropies of all at once take many times their memory
    bits = torch.cat([shannon_entropy(part) for part in parts]).mean().item()
    halves = prepared(*train, most), prepared(*test, most and max(1, most // TEST_EVERY))
    return DigitSet(name, *halves, bits, settings.crop)


def in_boxes(images: Tensor) -> Iterator[Tensor]:
    """Each image (N, C, H, W) in [-1, 1], as (1, C, h, w): the smallest box with all pixels lighter than :data:`INK`."""
    for image, ink in zip(images.split(1), (images > INK).any(1), strict=True):
        rows, columns = (ink.any(side).nonzero()[:, 0].tolist() or [0, ink.shape[1 - side] - 1] for side in (1, 0))
        yield image[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _held_out(name: str, images: NDArray[np.uint8], digits: NDArray[Any], settings: DigitSettings) -> DigitSet:
    """A set without a test half."""
    order = np.random.default_rng(0).permutation(len(images))
    images, digits = images[order], digits[order]
    test = np.arange(len(images)) % TEST_EVERY == 0
    return _split(name, (images[~test], digits[~test]), (images[test], digits[test]), settings)


def _mnist(settings: DigitSettings) -> DigitSet:
    folder = settings.mnist
    if not any(folder.rglob("train-images-idx3-ubyte*")):
        _downloaded("MNIST", folder, "train", True)

    def read(name: str, header: int) -> NDArray[np.uint8]:
        path = min(folder.rglob(f"{name}-ubyte*"), default=None, key=lambda found: len(found.name))
        if path is None:
            raise ValueError(f"mnist: no {name}-ubyte or {name}-ubyte.gz in {str(folder)!r}")
        try:
            data = path.read_bytes()
            values = np.frombuffer(gzip.decompress(data) if path.suffix == ".gz" else data, np.uint8, offset=header)
            return values.reshape(-1, 28, 28) if header == 16 else values
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise ValueError(f"mnist: cannot read {str(path)!r}: {shortened(error)}") from error

    halves = [(read(f"{half}-images-idx3", 16), read(f"{half}-labels-idx1", 8)) for half in ("train", "t10k")]
    for images, digits in halves:
        _check("mnist", folder, images, digits)
    return _split("mnist", halves[0], halves[1], settings)


def _usps(path: Path, settings: DigitSettings) -> DigitSet:
    if path.suffix == ".npz":
        try:
            with path.open("rb") as opened, np.load(opened) as file:  # by its path it would stay open if damaged
                images, digits = file["x"], file["y"]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            problem = shortened(error)
            raise ValueError(f"other: {str(path)!r} must be an .npz of images x and labels y: {problem}") from error
        # the labels of many copies of this set run from 1, which is the digit 0, to 10
        digits = digits - 1 if digits.size and digits.max() == 10 else digits
        _check("other", path, images, digits)
        return _held_out("usps", images, digits, settings)
    train, test = ((half.data, np.array(half.targets)) for half in _downloaded("USPS", path, "train", True, False))
    return _split("usps", train, test, settings)


def _check(option: str, path: Path, images: NDArray[Any], digits: NDArray[Any]) -> None:
    """Refuse what would be trained on as something else: digits without their labels, or nearly black ones."""
    if images.ndim != 3 or digits.shape != images.shape[:1] or len(digits) < 2:
        raise ValueError(
            f"{option}: {str(path)!r} has images {images.shape} and labels {digits.shape}; expected (N, H, W) and (N,)"
        )
    low, high = images.min(), images.max()
    if not (low >= 0 and DARK < high <= 255):
        raise ValueError(f"{option}: {str(path)!r} has images with values {low:g} to {high:g}; expected 0 to 255")
    if not np.isin(digits, np.arange(10)).all():
        raise ValueError(f"{option}: {str(path)!r} has labels from {digits.min()} to {digits.max()}; expected 0 to 9")


def _svhn(folder: Path, settings: DigitSettings) -> DigitSet:
    halves = _downloaded("SVHN", folder, "split", "train", "test")
    train, test = ((half.data.transpose(0, 2, 3, 1), half.labels) for half in halves)
    return _split("svhn", train, test, settings)


def _downloaded(name: str, folder: Path, option: str, *values: object) -> list[Any]:
    """One of torchvision's data sets for each value of the option that chooses its half."""
    from torchvision import datasets

    try:
        return [getattr(datasets, name)(str(folder), **{option: value}, download=True) for value in values]
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{name} is not in {str(folder)!r} and cannot be downloaded ({error}); put its files there, "
            "or take --digits photos, which needs none"
        ) from error


def _sklearn_digits() -> tuple[NDArray[np.uint8], NDArray[Any]]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images / 16 * 255).astype(np.uint8), data.target


def _photo_digits(settings: DigitSettings) -> DigitSet:
    """scikit-learn's digits, each in a light or a dark colour over a patch of a photograph."""
    rng, photos = np.random.default_rng(1), bundled_photos()
    images, digits = _sklearn_digits()
    size = sides(settings.size)
    ink = F.interpolate(torch.from_numpy(images)[:, None].float() / 255, size, mode="bilinear", antialias=True)
    made = []
    for stroke in ink[:, 0].numpy():
        patch = random_crop(photos[int(rng.integers(len(photos)))], size, 6.0, rng).astype(np.float64)
        light = patch.mean() < 128
        colour = rng.uniform(190, 255, 3) if light else rng.uniform(0, 65, 3)
        made.append((patch + (colour - patch) * stroke[..., None]).round().astype(np.uint8))
    return _held_out("photos", np.stack(made), digits, settings)
