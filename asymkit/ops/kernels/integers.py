"""Integers that launches are computed from. Triton's own functions cost the host ten times as much as these, at every launch."""

from __future__ import annotations


def cdiv(x: int, y: int) -> int:
    """X / y, rounded up."""
    return -(-x // y)


def next_power_of_2(x: int) -> int:
    """The least power of two that is not less than x, which is at least 1."""
    return 1 << (x - 1).bit_length()
