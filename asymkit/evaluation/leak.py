"""The leak: how much of a photo x is hidden in its translation G(x), where a cycle loss is satisfied by a secret.

Three measurements. :func:`rebuild_leak` needs the true y of each x and is the one to trust. Without it,
:func:`asymkit.evaluation.probe` says what can be read from G(x), whatever the amplitude. :func:`rebuild_curve` shows
whether rebuilding hangs on values that noise, quantisation or blur destroy; alone it misses a leak of large amplitude,
which survives all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.arguments import MOST_SEED, at_least, callables, described, number, one_of
from asymkit.checks import check_together, have_values
from asymkit.evaluation.sensitivity import Error, Translate, check_codes, errors_of, mean_absolute_error, translated
from asymkit.evaluation.table import Row
from asymkit.ops.ssim import gaussian_window


@dataclass(frozen=True)
class RebuildLeak:
    """Errors of rebuilding x, one value per image.

    Attributes:
        from_true: from the true y: what F knows of x by right.
        from_generated: from G(x).
    """

    from_true: Tensor = field(repr=False)
    from_generated: Tensor = field(repr=False)

    @property
    def leak(self) -> Tensor:
        """The error of F(true y) less that of F(G(x)), (N,), about 0 without a leak and positive with one."""
        return self.from_true - self.from_generated

    def rows(self) -> list[Row]:
        """The rows of a table, the leak with its standard error."""
        count = len(self.leak)
        spread = self.leak.std().item() / count**0.5 if count > 1 else None
        return [
            Row("leak", self.leak.mean().item(), f"{count:,} images; ± standard error", spread),
            Row("error of F(true y)", self.from_true.mean().item(), f"{count:,} images"),
            Row("error of F(G(x))", self.from_generated.mean().item(), f"{count:,} images"),
        ]


@torch.inference_mode()
def rebuild_leak(
    poor_to_rich: Translate,
    x: Tensor,
    true_y: Tensor,
    generated_y: Tensor,
    z: Tensor | None = None,
    error: Error | None = None,
) -> RebuildLeak:
    """How much better x is rebuilt from G(x) than from the true y: leak = error(F(true y)) − error(F(G(x))).

    Args:
        poor_to_rich: F, called as ``F(y)``, or as ``F(y, z)`` where z is given, the same for both.
        x: photos, (N, C, H, W), in [-1, 1].
        true_y: their true labels, (N, C', H, W).
        generated_y: G(x), of the same shape.
        z: E(x) or sampled, one for each photo, (N, ...).
        error: of two batches of photos, (N,); None for the mean absolute difference. One that looks at what y does not
            say, such as the hue of the background, is the most sensitive.

    Raises:
        ValueError: images that do not belong together.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import rebuild_leak
        >>> x = torch.rand(4, 3, 8, 8)
        >>> found = rebuild_leak(lambda y: y, x, true_y=torch.zeros_like(x), generated_y=x)
        >>> bool((found.leak > 0).all()), found.from_generated
        (True, tensor([0., 0., 0., 0.]))
    """
    error = mean_absolute_error if error is None else error
    callables(poor_to_rich=poor_to_rich, error=error)
    check_together(x=x, true_y=true_y, generated_y=generated_y)
    if true_y.shape != generated_y.shape:
        raise ValueError(
            f"true_y and generated_y must have one shape, got {described(true_y)} and {described(generated_y)}"
        )
    have_values(x=x)
    check_codes("z", z, len(x))
    return RebuildLeak(*(errors_of(error, translated(poor_to_rich, y, z), x) for y in (true_y, generated_y)))


@dataclass(frozen=True)
class RebuildCurve:
    """Errors of rebuilding x from a changed G(x), over the strength of the change.

    Attributes:
        change: "noise", "quantisation" or "blur".
        strengths: of the change: standard deviation, levels, pixels.
        errors: mean over images, one for each strength.
        plain: without a change.
    """

    change: str
    strengths: tuple[float, ...]
    errors: tuple[float, ...]
    plain: float

    def rows(self) -> list[Row]:
        """The rows of a table."""
        unit = {
            "noise": "standard deviation {:g}",
            "quantisation": "{:g} levels",
            "blur": "standard deviation {:g} pixels",
        }
        rows = [Row("error of F(G(x))", self.plain, "without a change")]
        pairs = zip(self.strengths, self.errors, strict=True)
        return rows + [Row(f"error after {self.change}", each, unit[self.change].format(how)) for how, each in pairs]


STRENGTHS = {
    "noise": (2 / 255, 4 / 255, 8 / 255, 16 / 255, 32 / 255, 64 / 255),
    "quantisation": (128.0, 64.0, 32.0, 16.0, 8.0, 4.0, 2.0),
    "blur": (0.5, 1.0, 2.0, 4.0),
}


@torch.inference_mode()
def rebuild_curve(
    poor_to_rich: Translate,
    x: Tensor,
    generated_y: Tensor,
    change: Literal["noise", "quantisation", "blur"],
    strengths: Sequence[float] | None = None,
    z: Tensor | None = None,
    seed: int = 0,
    error: Error | None = None,
) -> RebuildCurve:
    """The error of rebuilding x from a noisy, coarse or blurred G(x).

    A curve that rises at once shows a secret in small values. A flat curve shows nothing: large values survive.

    Args:
        poor_to_rich: F, see :func:`rebuild_leak`.
        x: photos, (N, C, H, W), in [-1, 1].
        generated_y: G(x), (N, C', H, W), in [-1, 1].
        change: "noise": Gaussian; "quantisation": rounding to so many levels; "blur": by a Gaussian.
        strengths: standard deviations of the noise, in a range of 2; levels, integers of at least 2; standard
            deviations of the blur in pixels. None for a series.
        z: see :func:`rebuild_leak`.
        seed: of the noise.
        error: of two batches of photos, (N,); None for the mean absolute difference.

    Raises:
        ValueError: images that do not belong together, an unknown change, strengths that are none.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import rebuild_curve
        >>> x = torch.rand(4, 3, 16, 16)
        >>> curve = rebuild_curve(lambda y: y, x, x, "blur", [0.5, 2.0])
        >>> curve.plain, curve.errors[0] < curve.errors[1]
        (0.0, True)
    """
    error = mean_absolute_error if error is None else error
    callables(poor_to_rich=poor_to_rich, error=error)
    check_together(x=x, generated_y=generated_y)
    one_of("change", change, tuple(STRENGTHS))
    have_values(x=x)
    check_codes("z", z, len(x))
    low, high = {"noise": (0, 2), "quantisation": (2, 65_536), "blur": (0, min(x.shape[2:]) / 8)}[change]
    given = [each for each in STRENGTHS[change] if each <= high] if strengths is None else strengths
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"strengths must be a list of numbers, got {described(strengths)}")
    hows = tuple(number("strengths", each, low, high) for each in given)
    if change == "quantisation" and any(how % 1 for how in hows):
        raise ValueError(f"strengths must be numbers of levels, integers, got {given}")
    generator = torch.Generator().manual_seed(at_least("seed", seed, 0, MOST_SEED))
    noise = torch.randn(generated_y.shape, generator=generator).to(generated_y)

    def error_of(y: Tensor) -> float:
        return errors_of(error, translated(poor_to_rich, y, z), x).mean().item()

    found = tuple(error_of(_changed(generated_y, change, how, noise)) for how in hows)
    return RebuildCurve(change, hows, found, error_of(generated_y))


def quantised(images: Tensor, levels: float) -> Tensor:
    """Images in [-1, 1] rounded to so many levels in each channel."""
    steps = (levels - 1) / 2
    return ((images + 1) * steps).round() / steps - 1


def _changed(y: Tensor, change: str, how: float, noise: Tensor) -> Tensor:
    if change == "noise":
        return y + how * noise
    if change == "quantisation":
        return quantised(y, how)
    if how == 0:
        return y
    radius = max(1, round(3 * how))
    weights = y.new_tensor(gaussian_window(2 * radius + 1, how)).view(1, 1, -1, 1).expand(y.shape[1], 1, -1, 1)
    padded = F.pad(y, (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights, groups=y.shape[1]), weights.mT, groups=y.shape[1])
