"""Generated images against the truth, pair by pair: PSNR, SSIM, MS-SSIM, LPIPS and the Fréchet ResNet distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asymkit.arguments import callables, described
from asymkit.checks import as_image_pair, check_array, have_values, usable_device
from asymkit.evaluation.features import FeatureNetwork
from asymkit.evaluation.sources import Images, image_pairs
from asymkit.evaluation.table import Row
from asymkit.ops import ms_ssim, scales_that_fit, ssim
from asymkit.precision import widen_pair

WINDOW = 11
"""Side of the window of SSIM, in pixels."""


def psnr(real: Tensor, fake: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each pair, 10 log₁₀(2² / mean squared error).

    Args:
        real: (N, C, H, W), in [-1, 1].
        fake: of the same shape.

    Returns:
        Decibel, (N,); infinite for equal images.

    Raises:
        ValueError: no images, or of another shape.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import psnr
        >>> psnr(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.2))
        tensor([20.])
    """
    real, fake = as_image_pair(real, fake, ("real", "fake"))
    return 10 * (4 / (real - fake).square().mean((1, 2, 3))).log10()


def discrete_frechet(p: Tensor, q: Tensor) -> Tensor:
    """Discrete Fréchet distance of curves: the longest link that two points going forward along them need at least.

    That of Eiter and Mannila (1994): d(i, j) = max(‖pᵢ − qⱼ‖, min(d(i−1, j), d(i, j−1), d(i−1, j−1))).

    Args:
        p: points of N curves, (N, L, D), or (N, L) for numbers.
        q: points of N curves, (N, M, D), or (N, M).

    Returns:
        Distances, (N,), in float32 or wider.

    Raises:
        ValueError: no curves, other batches or dimensions.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import discrete_frechet
        >>> discrete_frechet(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[0.0, 0.0, 1.0, 2.5]]))
        tensor([0.5000])
    """
    for name, each in (("p", p), ("q", q)):
        check_array(name, each, "curves (N, L) or (N, L, D), floating point", (2, 3))
    p, q = widen_pair(*(each[..., None] if each.ndim == 2 else each for each in (p, q)))
    if len(p) != len(q) or p.shape[2] != q.shape[2] or p.device != q.device:
        raise ValueError(
            f"p and q must be as many curves of one dimension on one device, got {described(p)} and {described(q)}"
        )
    links = torch.cdist(p, q, compute_mode="donot_use_mm_for_euclid_dist")
    (n, rows, columns), inf = links.shape, torch.inf
    # one antidiagonal after another, by row: all of its entries at once; entry 0 stands before the first row
    before = last = links.new_full((n, rows + 1), inf)
    for diagonal in range(rows + columns - 1):
        row = torch.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1), device=links.device)
        reached = torch.minimum(torch.minimum(last[:, row], last[:, row + 1]), before[:, row])
        if diagonal == 0:
            reached = torch.zeros_like(reached)
        before, last = last, torch.full_like(last, inf)
        last[:, row + 1] = torch.maximum(links[:, row, diagonal - row], reached)
    return last[:, rows]


@torch.inference_mode()
def frd(real: Tensor, fake: Tensor, network: FeatureNetwork) -> Tensor:
    """Fréchet ResNet distance of each pair (GestureGAN, Tang et al. 2018) [AsymmetricGAN §4.2].

    The logits of a ResNet-50 (1,000 numbers) are read as a curve, in their order, and the curves of a real and a generated
    image compared by :func:`discrete_frechet`. Average it over the pairs; the authors' script, which numbers pairs from
    3, averages in two zeros.

    Args:
        real: (N, 3, H, W), in [-1, 1].
        fake: of the same shape.
        network: ``torchvision_features("resnet50")``; of another network it is not to be called FRD.

    Returns:
        Distances, (N,).

    Raises:
        ValueError: no images, of another shape, or a network without logits.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import frd, torchvision_features
        >>> x = torch.rand(1, 3, 32, 32)
        >>> frd(x, x, torchvision_features("resnet18", weights=None, side=32))
        tensor([0.])
    """
    real, fake = as_image_pair(real, fake, ("real", "fake"))
    have_values(real=real, fake=fake)
    if not isinstance(network, FeatureNetwork):
        raise ValueError(f"network must be a FeatureNetwork, which has a name, got {described(network)}")
    curves = [network(each).logits for each in (real, fake)]
    if curves[0] is None or curves[1] is None:
        raise ValueError(f"network must have logits, such as torchvision_features('resnet50'), {network.name} has none")
    return discrete_frechet(curves[0], curves[1])


@dataclass(frozen=True)
class PairedScores:
    """Figures of pairs, each a value per image.

    Attributes:
        psnr: decibel, (N,).
        ssim: similarities, (N,).
        ms_ssim: similarities at several scales, (N,).
        scales: how many: as many as fit the smallest image, at most 5.
        others: distances by name, (N,) each, such as LPIPS.
    """

    psnr: Tensor = field(repr=False)
    ssim: Tensor = field(repr=False)
    ms_ssim: Tensor = field(repr=False)
    scales: int
    others: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def rows(self) -> list[Row]:
        """The means over pairs as rows of a table."""
        pairs = f"mean of {len(self.psnr):,} pairs"
        equal = int(self.psnr.isinf().sum())
        said = f"{pairs}, {equal} of them equal" if equal else pairs
        scales = f"{pairs}, {self.scales} of the 5 scales" if self.scales < 5 else pairs
        rows = [Row("PSNR (dB)", self.psnr.mean().item(), said), Row("SSIM", self.ssim.mean().item(), pairs)]
        rows.append(Row("MS-SSIM", self.ms_ssim.mean().item(), scales))
        return rows + [Row(name, each.mean().item(), pairs) for name, each in self.others.items()]


@torch.inference_mode()
def paired_scores(
    real: Images,
    fake: Images,
    distances: dict[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
    endings: tuple[str, str] = ("", ""),
    device: torch.device | str = "cpu",
) -> PairedScores:
    """PSNR, SSIM and MS-SSIM of pairs, and any other distances.

    Args:
        real: the truth: (N, 3, H, W) in [-1, 1], a folder, or batches.
        fake: generated, of the same kind and sizes; files are matched by name, see :func:`image_pairs`.
        distances: by name, functions of two batches to (N,), such as ``LPIPSLoss().distances``.
        endings: of the names of files in the two folders, such as ``("_real_B", "_fake_B")``.
        device: where to compute.

    Raises:
        ValueError: a file without a partner, a pair of two sizes, images with fewer than 11 pixels to a side.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import paired_scores
        >>> x = torch.rand(2, 3, 32, 32)
        >>> [row.figure for row in paired_scores(x, x.flip(3)).rows()]
        ['PSNR (dB)', 'SSIM', 'MS-SSIM']
    """
    device, given = usable_device(device), {} if distances is None else distances
    if not isinstance(given, dict):
        raise ValueError(f"distances must be a dict of functions by name, got {described(distances)}")
    callables(**{f"distances[{name!r}]": each for name, each in given.items()})
    scales = 5
    psnrs, ssims = list[Tensor](), list[Tensor]()
    by_scale: dict[int, list[Tensor]] = {scale: [] for scale in range(1, scales + 1)}
    others: dict[str, list[Tensor]] = {name: [] for name in given}
    for name, *pair in image_pairs(real, fake, endings):
        x, y = (each.to(device) for each in pair)
        if x.shape != y.shape:
            sizes = " and ".join(f"{each.shape[3]}×{each.shape[2]}" for each in (x, y))
            raise ValueError(
                f"{name}: the real and the generated image have different sizes, {sizes}; bring them to one"
            )
        if min(x.shape[2:]) < WINDOW:
            raise ValueError(
                f"{name}: {x.shape[3]}×{x.shape[2]} pixels are too few for SSIM, whose window has {WINDOW}"
            )
        scales = min(scales, scales_that_fit(*x.shape[2:]))
        psnrs.append(psnr(x, y))
        ssims.append(ssim(x, y))
        for scale in range(1, scales + 1):  # how many fit all images is known at the end
            by_scale[scale].append(ms_ssim(x, y, scales=scale))
        for what, distance in given.items():
            try:
                others[what].append(distance(x, y))
            except ValueError as error:
                raise ValueError(f"{name}: {what}: {error}") from error
    figures = [torch.cat(each).cpu() for each in (psnrs, ssims, by_scale[scales])]
    distances_of = {name: torch.cat(each).cpu() for name, each in others.items()}
    return PairedScores(figures[0], figures[1], figures[2], scales, distances_of)
