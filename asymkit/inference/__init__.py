"""Around any trained generator: images of any size, and images larger than the memory."""

from asymkit.inference.any_size import AnySize
from asymkit.inference.tiled import Tiled

__all__ = ["AnySize", "Tiled"]
