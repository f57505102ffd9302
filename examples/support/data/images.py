"""The photographs that ship with scikit-image and scikit-learn, crops, and poor domains derived from photos.

Crops are by hand: torchvision's draw from the global generator, these from the number of the sample, the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.uint8]
"""(H, W, 3), 0 to 255."""

PoorKind = Literal["grey", "edges", "flat"]

BUNDLED = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "china", "flower")
"""Of scikit-image and scikit-learn; docs/images/README.md names their authors and licences."""


def bundled_photos() -> list[Image.Image]:
    """The seven photographs of :data:`BUNDLED`, RGB, a quarter to a third of a megapixel each."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    motorcycle, _, _ = data.stereo_motorcycle()
    photos = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), motorcycle]
    photos += [load_sample_image("china.jpg"), load_sample_image("flower.jpg")]
    return [Image.fromarray(np.asarray(photo)[..., :3]) for photo in photos]


def random_crop(image: Image.Image, size: int, zoom: float, rng: np.random.Generator) -> Pixels:
    """A square of the image, at a random place and magnification, flipped or not, brought to one size.

    Args:
        image: RGB.
        size: side of the result in pixels.
        zoom: the square's side is between the image's shorter side and a ``zoom``-th of that.
        rng: the random numbers.
    """
    side = min(image.size) / rng.uniform(1, zoom)
    left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    crop = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)))
    return np.ascontiguousarray(crop[:, ::-1] if rng.uniform() < 0.5 else crop)


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
