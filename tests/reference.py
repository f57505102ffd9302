"""The equations once more, as plain loops over Python floats: slow, and with nothing in common with the library."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Image = list[list[list[float]]]
"""[channel][row][column]."""


def lists(batch: Tensor) -> list[Image]:
    images: list[Image] = batch.detach().double().tolist()
    return images


def color_l1(x: Tensor, y: Tensor, weights: list[float] | None = None) -> Tensor:
    """Sum over channels of the mean absolute difference [AsymmetricGAN Eq. 2]."""
    values = []
    for a, b in zip(lists(x), lists(y), strict=True):
        total = 0.0
        for c in range(len(a)):
            height, width = len(a[c]), len(a[c][0])
            mean = sum(abs(a[c][i][j] - b[c][i][j]) for i in range(height) for j in range(width)) / (height * width)
            total += mean * (1.0 if weights is None else weights[c])
        values.append(total)
    return torch.tensor(values, dtype=torch.float64)


def total_variation(x: Tensor, power: int = 2, reduction: str = "mean") -> Tensor:
    """Differences to the pixel below and to the right, to a power, added [AsymGAN Eq. 18 with a plus]."""
    values = []
    for image in lists(x):
        down, right = [], []
        for channel in image:
            height, width = len(channel), len(channel[0])
            for i in range(height):
                for j in range(width):
                    if i + 1 < height:
                        down.append(abs(channel[i + 1][j] - channel[i][j]) ** power)
                    if j + 1 < width:
                        right.append(abs(channel[i][j + 1] - channel[i][j]) ** power)
        sums = math.fsum(down), math.fsum(right)
        values.append(sum(sums) if reduction == "sum" else sums[0] / len(down) + sums[1] / len(right))
    return torch.tensor(values, dtype=torch.float64)


def gaussian(size: int = 11, sigma: float = 1.5) -> list[list[float]]:
    heights = [
        [math.exp(-((i - size // 2) ** 2 + (j - size // 2) ** 2) / (2 * sigma**2)) for j in range(size)]
        for i in range(size)
    ]
    total = sum(map(sum, heights))
    return [[height / total for height in row] for row in heights]


def ssim_parts(
    a: list[list[float]], b: list[list[float]], low: float, span: float, window: list[list[float]]
) -> tuple[float, float]:
    """Mean contrast-structure and mean SSIM of one channel, in the usual form of Wang et al. (2004)."""
    size = len(window)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    contrasts, products = [], []
    for top in range(len(a) - size + 1):
        for left in range(len(a[0]) - size + 1):
            taps = [
                (window[i][j], a[top + i][left + j] - low, b[top + i][left + j] - low)
                for i in range(size)
                for j in range(size)
            ]
            mean_a, mean_b = sum(w * p for w, p, _ in taps), sum(w * q for w, _, q in taps)
            var_a = sum(w * (p - mean_a) ** 2 for w, p, _ in taps)
            var_b = sum(w * (q - mean_b) ** 2 for w, _, q in taps)
            cov = sum(w * (p - mean_a) * (q - mean_b) for w, p, q in taps)
            contrast = (2 * cov + c2) / (var_a + var_b + c2)
            contrasts.append(contrast)
            products.append(contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1))
    return math.fsum(contrasts) / len(contrasts), math.fsum(products) / len(products)


def ssim(
    x: Tensor, y: Tensor, value_range: tuple[float, float] = (-1, 1), size: int = 11, sigma: float = 1.5
) -> Tensor:
    """[AsymmetricGAN Eq. 5]."""
    low, span = value_range[0], value_range[1] - value_range[0]
    window = gaussian(size, sigma)
    values = []
    for a, b in zip(lists(x), lists(y), strict=True):
        channels = [ssim_parts(p, q, low, span, window)[1] for p, q in zip(a, b, strict=True)]
        values.append(sum(channels) / len(channels))
    return torch.tensor(values, dtype=torch.float64)


def halve(channel: list[list[float]]) -> list[list[float]]:
    """Means of 2×2 pixels; at an odd end, of those there are."""
    height, width = len(channel), len(channel[0])
    out = []
    for i in range(0, height, 2):
        row = []
        for j in range(0, width, 2):
            pixels = [channel[k][m] for k in range(i, min(i + 2, height)) for m in range(j, min(j + 2, width))]
            row.append(sum(pixels) / len(pixels))
        out.append(row)
    return out


def power(similarity: float, weight: float, floor: float = 1e-3) -> float:
    """s^w; below the floor the hyperbola h / (1 + (s₀ − s)·w/s₀) through the same point with the same slope."""
    if similarity >= floor:
        return float(similarity**weight)
    return float(floor**weight / (1 + (floor - similarity) * weight / floor))


def ms_ssim(x: Tensor, y: Tensor, scales: int, value_range: tuple[float, float] = (-1, 1)) -> Tensor:
    """[AsymmetricGAN Eq. 6]."""
    exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales]
    if scales < 5:
        exponents = [exponent / sum(exponents) for exponent in exponents]
    low, span = value_range[0], value_range[1] - value_range[0]
    window = gaussian()
    values = []
    for a, b in zip(lists(x), lists(y), strict=True):
        channels = []
        for first, second in zip(a, b, strict=True):
            p, q, product = first, second, 1.0
            for scale, exponent in enumerate(exponents):
                contrast, both = ssim_parts(p, q, low, span, window)
                product *= power(both if scale == scales - 1 else contrast, exponent)
                p, q = halve(p), halve(q)
            channels.append(product)
        values.append(sum(channels) / len(channels))
    return torch.tensor(values, dtype=torch.float64)


def gram_matrix(features: Tensor) -> Tensor:
    """[AsymGAN Eq. 17]."""
    out = []
    for maps in lists(features):
        channels, pixels = len(maps), len(maps[0]) * len(maps[0][0])
        flat = [[value for row in channel for value in row] for channel in maps]
        out.append(
            [
                [
                    math.fsum(p * q for p, q in zip(flat[c], flat[d], strict=True)) / (channels * pixels)
                    for d in range(channels)
                ]
                for c in range(channels)
            ]
        )
    return torch.tensor(out, dtype=torch.float64)


def content(prediction: Tensor, target: Tensor) -> float:
    """Squared distance over C·H·W, batch mean [AsymGAN Eq. 15]; features in."""
    a, b = prediction.detach().double().flatten(1).tolist(), target.detach().double().flatten(1).tolist()
    distances = [math.fsum((p - q) ** 2 for p, q in zip(m, n, strict=True)) / len(m) for m, n in zip(a, b, strict=True)]
    return sum(distances) / len(distances)


def style(prediction: Tensor, target: Tensor) -> float:
    """Squared Frobenius distance of Gram matrices, batch mean [AsymGAN Eq. 16]; features in."""
    difference = (gram_matrix(prediction) - gram_matrix(target)).flatten(1).tolist()
    return sum(math.fsum(value**2 for value in row) for row in difference) / len(difference)


def mean_l1(x: Tensor, y: Tensor) -> float:
    """[AsymGAN Eq. 3, 4, 8, 10, 11], divided by the number of values."""
    a, b = x.detach().double().flatten().tolist(), y.detach().double().flatten().tolist()
    return math.fsum(abs(p - q) for p, q in zip(a, b, strict=True)) / len(a)


def least_squares(scores: Tensor, real: bool) -> float:
    """Mean squared distance to 1 or 0 [AsymGAN §IV-A]."""
    values = scores.detach().double().flatten().tolist()
    return math.fsum((value - (1.0 if real else 0.0)) ** 2 for value in values) / len(values)


def logistic(scores: Tensor, real: bool) -> float:
    """−log σ for real, −log(1 − σ) for fake [AsymGAN Eq. 1, 2]."""
    sigmoid = [1 / (1 + math.exp(-value)) for value in scores.detach().double().flatten().tolist()]
    return -math.fsum(math.log(s if real else 1 - s) for s in sigmoid) / len(sigmoid)


def wasserstein(scores: Tensor, real: bool) -> float:
    """−D for real, D for fake (Arjovsky et al. 2017)."""
    values = scores.detach().double().flatten().tolist()
    return (-1.0 if real else 1.0) * math.fsum(values) / len(values)


def conditional_instance_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float = 1e-5) -> Tensor:
    """(x − mean) / √(var + eps) · scale + shift, one map at a time [AsymGAN Fig. 12]."""
    out = []
    for image, scales, shifts in zip(lists(x), scale.double().tolist(), shift.double().tolist(), strict=True):
        maps = []
        for channel, s, b in zip(image, scales, shifts, strict=True):
            values = [value for row in channel for value in row]
            mean = math.fsum(values) / len(values)
            var = math.fsum((value - mean) ** 2 for value in values) / len(values)
            maps.append([[(value - mean) / math.sqrt(var + eps) * s + b for value in row] for row in channel])
        out.append(maps)
    return torch.tensor(out, dtype=torch.float64)


def shannon_entropy(images: Tensor, value_range: tuple[float, float] = (-1, 1)) -> Tensor:
    """−Σ p log₂ p over 256 levels, channels pooled [Async-GAN Fig. 1]."""
    low, high = value_range
    bits = []
    for image in images.detach().double().flatten(1).tolist():
        counts: dict[int, int] = {}
        for value in image:
            level = min(255, max(0, round((value - low) / (high - low) * 255)))
            counts[level] = counts.get(level, 0) + 1
        bits.append(-math.fsum(n / len(image) * math.log2(n / len(image)) for n in counts.values()))
    return torch.tensor(bits, dtype=torch.float64)
