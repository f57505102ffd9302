"""The same quantities by other libraries, brought to one value per image where they offer that."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Method = Callable[..., Tensor]


def eager_norm(x: Tensor, residual: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Conditional instance norm, ReLU and residual as one writes them."""
    return F.relu(F.instance_norm(x) * scale[..., None, None] + shift[..., None, None]) + residual


def eager_tv(x: Tensor) -> Tensor:
    """Total variation as one writes it."""
    down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
    return down.square().mean((1, 2, 3)) + right.square().mean((1, 2, 3))


def eager_color_l1(x: Tensor, y: Tensor) -> Tensor:
    """Colour L1 channel by channel, as AsymmetricGAN prints it."""
    return torch.stack([(x[:, c] - y[:, c]).abs().mean((1, 2)) for c in range(x.shape[1])]).sum(0)


def rivals_of(op: str) -> dict[str, Method]:
    """Methods by the name of their package; packages that are not installed are left out, the first row never is."""
    found: dict[str, Method] = {}
    for package, method in RIVALS[op].items():
        module = package.replace("-", "_").split(" ")[0]
        if module in {"eager", "F.l1_loss"} or importlib.util.find_spec(module) is not None:
            found[package] = method
    return found


def _pytorch_msssim(function: str) -> Method:
    def call(x: Tensor, y: Tensor) -> Tensor:
        import pytorch_msssim

        values: Tensor = getattr(pytorch_msssim, function)(x + 1, y + 1, data_range=2, size_average=False)
        return values

    return call


def _piq(function: str) -> Method:
    def call(x: Tensor, y: Tensor) -> Tensor:
        import piq

        values: Tensor = getattr(piq, function)((x + 1) / 2, (y + 1) / 2, data_range=1.0, reduction="none")
        return values

    return call


def _torchmetrics(function: str) -> Method:
    def call(x: Tensor, y: Tensor) -> Tensor:
        from torchmetrics.functional import image

        values: Tensor = getattr(image, function)(x + 1, y + 1, data_range=2.0, reduction="none")
        return values

    return call


def _kornia_ssim(x: Tensor, y: Tensor) -> Tensor:
    import kornia

    values: Tensor = kornia.metrics.ssim(x + 1, y + 1, 11, max_val=2.0).mean((1, 2, 3))
    return values


def _kornia_tv(x: Tensor) -> Tensor:
    import kornia

    values: Tensor = kornia.losses.total_variation(x, reduction="mean")
    return values


def _piq_tv(x: Tensor) -> Tensor:
    import piq

    values: Tensor = piq.total_variation((x + 1) / 2, reduction="none", norm_type="l2_squared")
    return values


RIVALS: dict[str, dict[str, Method]] = {
    "ms_ssim": {
        "pytorch-msssim": _pytorch_msssim("ms_ssim"),
        "piq": _piq("multi_scale_ssim"),
        "torchmetrics": _torchmetrics("multiscale_structural_similarity_index_measure"),
    },
    "ssim": {
        "pytorch-msssim": _pytorch_msssim("ssim"),
        "piq": _piq("ssim"),
        "torchmetrics": _torchmetrics("structural_similarity_index_measure"),
        "kornia": _kornia_ssim,
    },
    "color_l1": {
        "eager torch": eager_color_l1,
        "F.l1_loss × 3": lambda x, y: 3 * F.l1_loss(x, y),
    },
    "tv": {"kornia (absolute)": _kornia_tv, "piq": _piq_tv},
}
"""kornia's MS_SSIMLoss is another loss (mixed with L1, times 200) and is left out."""
