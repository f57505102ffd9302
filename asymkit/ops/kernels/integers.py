"""Integer functions for launch grids; Triton's own take the host ten times as long, at every launch."""

from __future__ import annotations


def cdiv(x: int, y: int) -> int:
    """Ceiling of x / y."""
    return -(-x // y)


def next_power_of_2(x: int) -> int:
    """The least power of two that is not less than x, for x of at least 1."""
    return 1 << (x - 1).bit_length()
