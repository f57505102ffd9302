"""The photographs that ship with scikit-image and scikit-learn, crops, and poor domains derived from photos.

Crops are by hand: torchvision's draw from the global generator, these from the number of the sample, the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from support.run.settings import Size, sides

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0 to 255."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, each from 0 to 1."""

PoorKind = Literal["grey", "edges", "flat"]

BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "china", "flower")
"""Of scikit-image and scikit-learn, all freely licensed; docs/images/README.md names their authors and licences."""


def bundled_photos() -> list[Image.Image]:
    """The six photographs of :data:`BUNDLED`, RGB, a quarter to a third of a megapixel each."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    photos = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    photos += [load_sample_image("china.jpg"), load_sample_image("flower.jpg")]
    return [Image.fromarray(np.asarray(photo)[..., :3]) for photo in photos]


def random_crop(image: Image.Image, size: Size, zoom: float, rng: np.random.Generator) -> Pixels:
    """A part of the image, at a random place and magnification, flipped or not, brought to one size.

    Args:
        image: RGB.
        size: of the result in pixels, in whose aspect ratio the part is.
        zoom: the part is between the largest one that fits into the image and a ``zoom``-th of it.
        rng: the random numbers.
    """
    high, wide = sides(size)
    height = min(image.height, image.width * (high / wide)) / rng.uniform(1, zoom)
    width = min(height * (wide / high), image.width)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = left, top, left + width, top + height
    crop = np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC, box=box))
    return np.ascontiguousarray(crop[:, ::-1] if rng.uniform() < 0.5 else crop)


def resized(image: Image.Image, side: int) -> Pixels:
    """The whole image in its own aspect ratio, see :func:`own_size`."""
    height, width = own_size(image, side)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def own_size(image: Image.Image, side: int) -> tuple[int, int]:
    """Height and width in an image's own aspect ratio, the shorter one so many pixels.

    The longer side is rounded to a multiple of 8, or of 4 if the shorter one is none of 8: generators take both then.
    """
    multiple, shorter = math.gcd(side, 8), min(image.size)
    longer = max(side, multiple * round(max(image.size) * side / (shorter * multiple)))
    width, height = (side if length == shorter else longer for length in image.size)
    return height, width


def largest_part(image: Image.Image, size: Size, place: tuple[float, float]) -> Box:
    """The largest part of an image in the aspect ratio of a size.

    Args:
        image: the image.
        size: whose aspect ratio is meant.
        place: how far down and to the right the part is, each from 0 to 1; (0.5, 0.5) is the middle.
    """
    high, wide = sides(size)
    height = min(1.0, image.width * high / (image.height * wide))
    width = min(1.0, image.height * wide / (image.width * high))
    top, left = place[0] * (1 - height), place[1] * (1 - width)
    return left, top, left + width, top + height


def cut_out(image: Image.Image, part: Box, size: Size) -> Pixels:
    """A part of an image, brought to one size."""
    high, wide = sides(size)
    left, top, right, bottom = part
    box = left * image.width, top * image.height, right * image.width, bottom * image.height
    return np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC, box=box))


def as_tensor(pixels: Pixels) -> Tensor:
    """(H, W, C) of 0 to 255 as (C, H, W) in [-1, 1]."""
    planes = torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))
    return planes.to(torch.get_default_dtype()).div_(127.5).sub_(1)


def grey(photo: Pixels) -> Pixels:
    """Luminance, in all three channels."""
    return np.asarray(Image.fromarray(photo).convert("L").convert("RGB"))


def edges(photo: Pixels) -> Pixels:
    """White Canny edges on black, in all three channels."""
    from skimage.feature import canny

    lines = canny(grey(photo)[..., 0] / 255, sigma=1.0)
    return np.repeat(lines[..., None], 3, axis=2).astype(np.uint8) * 255


def flat(photo: Pixels) -> Pixels:
    """Regions of one colour each: the mean colours of a graph-based segmentation into about ten to thirty."""
    from skimage.color import label2rgb
    from skimage.segmentation import felzenszwalb

    area = photo.shape[0] * photo.shape[1]
    regions = felzenszwalb(photo, scale=area / 80, sigma=0.8, min_size=area // 110)
    return np.asarray(label2rgb(regions, photo, kind="avg", bg_label=-1), dtype=np.uint8)


DERIVE: dict[PoorKind, Callable[[Pixels], Pixels]] = {"grey": grey, "edges": edges, "flat": flat}
