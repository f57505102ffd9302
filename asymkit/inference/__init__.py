"""Wrappers for inference with any trained generator: images of any size, and tile-wise inference for large ones."""

from asymkit.inference.any_size import AnySize
from asymkit.inference.tiled import Tiled

__all__ = ["AnySize", "Tiled"]
