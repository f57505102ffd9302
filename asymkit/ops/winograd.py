"""Winograd's minimal filtering F(4×4, 3×3) and its gradients: a 3×3 convolution with a quarter of the multiplications.

An output tile of 4×4 pixels depends on a patch of 6×6 input pixels. Linear transforms of patch and kernel turn the
convolution into an elementwise product (Lavin and Gray, 2016, "Fast Algorithms for Convolutional Neural Networks"), so
that a layer becomes 36 matrix products over channels, as do both gradients. The root mean square of the relative error is about
2.4e-6, that of PyTorch's convolution 0.2e-6 to 0.9e-6.

It stays because it pays: a CycleGAN step, batch 1, is 1.69 times as fast as eager PyTorch with it and 1.04 times without
it at 256², and at 128² 1.44 times as fast with it as without it, in NCHW and in channels-last (AMD EPYC with AVX2, two
threads, 2026-11-27; benchmarks/train_step.py has both), with AVX-512 1.16 to 1.18 times. Elsewhere it is not measured, and off.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.ops.eager.norm import layout_of

TILE, PATCH = 4, 6

INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
"""The transforms Bᵀ of patches, G of kernels and Aᵀ of outputs, for interpolation at 0, 1, −1, 2, −2 and infinity."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3×3 convolution of stride 1 without padding.

    Args:
        x: feature maps, (N, C, H + 2, W + 2).
        weight: (O, C, 3, 3).
        bias: (O,), or None.

    Returns:
        (N, O, H, W), in x's memory layout.
    """
    n, outputs, layout = len(x), len(weight), layout_of(x)
    height, width = x.shape[2] - 2, x.shape[3] - 2
    down, across = -(-height // TILE), -(-width // TILE)
    products = torch.bmm(_kernels(weight), _patches(x))  # (36, O, C) @ (36, C, N · tiles)
    tiles = _transform(OUTPUT, products).view(TILE, TILE, outputs, n, down, across)
    shape = (n, outputs, TILE * down, TILE * across)
    out = torch.empty(shape, dtype=x.dtype, memory_format=layout)
    out_tiles = out.unflatten(3, (across, TILE)).unflatten(2, (down, TILE)).permute(3, 5, 1, 0, 2, 4)
    _ = out_tiles.copy_(tiles) if bias is None else torch.add(tiles, bias.view(-1, 1, 1, 1), out=out_tiles)
    if out.shape[2:] == (height, width):
        return out
    # clone, because contiguous() may return a view, which a custom op must not: nn.ReLU(True) could not change it in place
    return out[..., :height, :width].clone(memory_format=layout)


def convolve_backward(
    grad: Tensor, x: Tensor, weight: Tensor, want_x: bool, want_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of x and of weight, or None where they are not needed, from that of the output, (N, O, H, W)."""
    _, outputs, height, width = grad.shape
    down, across = -(-height // TILE), -(-width // TILE)
    tiles = (
        _padded(grad, TILE * down, TILE * across)
        .unflatten(3, (across, TILE))
        .unflatten(2, (down, TILE))
        .permute(3, 5, 1, 0, 2, 4)
    )
    products = _transform(OUTPUT, tiles.reshape(TILE**2, outputs, -1), adjoint=True)
    grad_x = _patches_adjoint(torch.bmm(_kernels(weight).mT, products), x, down, across) if want_x else None
    if not want_weight:
        return grad_x, None
    grad_kernels = _transform(KERNEL, torch.bmm(products, _patches(x).mT), adjoint=True)
    return grad_x, grad_kernels.permute(1, 2, 0).reshape(weight.shape).contiguous()


def _kernels(weight: Tensor) -> Tensor:
    """Transformed kernels, (O, C, 3, 3) to (36, O, C)."""
    return _transform(KERNEL, weight.permute(2, 3, 0, 1).reshape(9, *weight.shape[:2]))


def _patches(x: Tensor) -> Tensor:
    """Transformed overlapping 6×6 patches, (N, C, H + 2, W + 2) to (36, C, N · tiles)."""
    down, across = (-(-(side - 2) // TILE) for side in x.shape[2:])
    x = _padded(x, TILE * down + 2, TILE * across + 2)
    n, c, h, w = x.stride()
    shape = (PATCH, PATCH, x.shape[1], len(x), down, across)
    patches = x.as_strided(shape, (h, w, c, n, TILE * h, TILE * w))
    return _transform(INPUT, patches.reshape(PATCH**2, x.shape[1], -1))


def _patches_adjoint(grad_patches: Tensor, x: Tensor, down: int, across: int) -> Tensor:
    """The adjoint of :func:`_patches`: gradients of patches, summed where patches overlap."""
    n, c = x.shape[:2]
    patches = _transform(INPUT, grad_patches, adjoint=True).view(PATCH, PATCH, c, n, down, across)
    total = x.new_zeros(n, c, TILE * down + 2, TILE * across + 2)
    n_stride, c_stride, h_stride, w_stride = total.stride()
    for top, bottom in ((0, TILE), (TILE, PATCH)):  # within one of these four parts, no two patches overlap
        for left, right in ((0, TILE), (TILE, PATCH)):
            part = patches[top:bottom, left:right]
            strides = (h_stride, w_stride, c_stride, n_stride, TILE * h_stride, TILE * w_stride)
            total.as_strided(part.shape, strides, top * h_stride + left * w_stride).add_(part)
    return total[..., : x.shape[2], : x.shape[3]].contiguous(memory_format=layout_of(x))


def _padded(x: Tensor, height: int, width: int) -> Tensor:
    """Zero padding at the bottom and on the right, up to a multiple of the tile."""
    missing = height - x.shape[2], width - x.shape[3]
    return F.pad(x, (0, missing[1], 0, missing[0])) if any(missing) else x


def _transform(rows: tuple[tuple[float, ...], ...], x: Tensor, adjoint: bool = False) -> Tensor:
    """A matrix times a square of values times the matrix transposed, (side², ...) to (other side², ...)."""
    matrix = _matrix(rows, x.dtype).T if adjoint else _matrix(rows, x.dtype)
    side = matrix.shape[1]
    # rows, then columns: twice as fast as one product with the Kronecker product of the matrices
    by_rows = (matrix @ x.reshape(side, -1)).view(len(matrix), side, -1)
    return torch.matmul(matrix, by_rows).view(len(matrix) ** 2, *x.shape[1:])


@functools.lru_cache(maxsize=16)
def _matrix(rows: tuple[tuple[float, ...], ...], dtype: torch.dtype) -> Tensor:
    return torch.tensor(rows, dtype=dtype)
