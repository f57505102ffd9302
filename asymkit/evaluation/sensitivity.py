"""Model sensitivity: how much worse an image is rebuilt from a cropped, resized or disturbed translation [AsymGAN §IV-D]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from asymkit.arguments import MOST_SEED, at_least, callables, described, number
from asymkit.checks import check_array, check_images, check_together, have_values
from asymkit.evaluation.table import Row

Translate = Callable[..., Tensor]
"""``image -> image``, or ``(image, z) -> image`` where a z is given; of any size, which ``AnySize`` gives a generator."""

Error = Callable[[Tensor, Tensor], Tensor]
"""Two batches to one error for each pair, (N,)."""


def check_codes(name: str, z: Tensor | None, count: int) -> None:
    """Refuse anything but None or a latent code for each of so many images."""
    if z is not None:
        check_array(name, z, f"latent codes ({count}, ...), one for each image, or None", range(1, 6), length=count)


def translated(translate: Translate, image: Tensor, z: Tensor | None) -> Tensor:
    """The translation of images, with z where one is given."""
    return translate(image) if z is None else translate(image, z)


def errors_of(error: Error, prediction: Tensor, target: Tensor) -> Tensor:
    """One error per image, refused where the function that was given has none."""
    found = error(prediction, target)
    if not isinstance(found, Tensor) or tuple(found.shape) != (len(target),):
        raise ValueError(f"error must give one number for each of {len(target)} images, got {described(found)}")
    return found


def mean_absolute_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of each pair (N, C, H, W), (N,)."""
    return (prediction - target).abs().mean((1, 2, 3))


@dataclass(frozen=True)
class Sensitivity:
    """Errors of both loops under each change of what is between, one value per image.

    Attributes:
        forward: F(change(G(x)), z) against the same change of x, by change: "none", "crop", "resize", "disturbance";
            the disturbance is against x itself.
        backward: G(change(F(y, z))) against the same change of y, likewise.
        said: the kind of error and the sizes of the changes.
    """

    forward: dict[str, Tensor] = field(repr=False)
    backward: dict[str, Tensor] = field(repr=False)
    said: str = ""

    def rows(self) -> list[Row]:
        """The means as rows of a table, and how many times the error without a change they are."""
        rows = []
        for loop, errors in (("x → y → x", self.forward), ("y → x → y", self.backward)):
            plain = errors["none"].mean().item()
            for kind, each in errors.items():
                mean = each.mean().item()
                times = "" if kind == "none" or plain == 0 else f"{mean / plain:.2f} times the error without; "
                rows.append(Row(f"{loop}, {kind}", mean, f"{times}{self.said}"))
        return rows


@torch.inference_mode()
def model_sensitivity(
    rich_to_poor: Translate,
    poor_to_rich: Translate,
    x: Tensor,
    y: Tensor,
    z_x: Tensor | None = None,
    z_y: Tensor | None = None,
    crop: int = 3,
    enlarge: int = 2,
    epsilon: float = 0.02,
    seed: int = 0,
    error: Error | None = None,
) -> Sensitivity:
    """Rebuild images from a random crop, a resize and a small disturbance of their translation [AsymGAN §IV-D].

    A model that hides x in G(x) in small values rebuilds it well without a change and badly with one.

    Args:
        rich_to_poor: G. Wrap a generator in ``AnySize``: crops and resizes have sides that it may not take.
        poor_to_rich: F, called as ``F(y)``, or as ``F(y, z)`` where z is given.
        x: of the rich domain, (N, C, H, W), in [-1, 1]; the paper's are 128×128.
        y: of the poor domain, (M, C', H, W), in [-1, 1].
        z_x: for rebuilding x: the encoder's E(x), (N, ...), as the paper has it.
        z_y: for translating y: sampled, (M, ...).
        crop: how many pixels fewer a side has after the crop; 3 makes 125 of 128.
        enlarge: how many pixels more after the resize, bilinear; 2 makes 130 of 128.
        epsilon: standard deviation of the disturbance, Gaussian noise; 0.02 is 2.5 of 255 levels.
        seed: of crops and noise.
        error: of two batches, (N,); None for the mean absolute difference.

    Returns:
        Errors per image in both loops.

    Raises:
        ValueError: no images, images smaller than the crop, what the translators refuse.

    Example:
        >>> import torch
        >>> from asymkit import AnySize, AuxEncoder, AuxGenerator, ResnetGenerator
        >>> from asymkit.evaluation import model_sensitivity
        >>> g, f = ResnetGenerator(width=4, blocks=1), AuxGenerator(width=4, blocks=1)
        >>> e, x, y = AuxEncoder(width=4), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> found = model_sensitivity(AnySize(g), AnySize(f), x, y, z_x=e(x), z_y=f.sample_aux(2))
        >>> list(found.forward), found.backward["crop"].shape
        (['none', 'crop', 'resize', 'disturbance'], torch.Size([2]))
    """
    measure, error = ("mean absolute error", mean_absolute_error) if error is None else ("error as given", error)
    callables(rich_to_poor=rich_to_poor, poor_to_rich=poor_to_rich, error=error)
    crop, enlarge = at_least("crop", crop, 0, 4096), at_least("enlarge", enlarge, 0, 4096)
    epsilon = number("epsilon", epsilon, 0, 2)
    generator = torch.Generator().manual_seed(at_least("seed", seed, 0, MOST_SEED))
    check_images(x, "x", least_side=crop + 1)
    check_images(y, "y", least_side=crop + 1)
    have_values(x=x, y=y)
    check_codes("z_x", z_x, len(x))
    check_codes("z_y", z_y, len(y))

    def errors(image: Tensor, between: Tensor, back: Translate, z: Tensor | None) -> dict[str, Tensor]:
        pairs = _changed(image, between, crop, enlarge, epsilon, generator)
        return {kind: errors_of(error, translated(back, made, z), target) for kind, (made, target) in pairs.items()}

    return Sensitivity(
        errors(x, rich_to_poor(x), poor_to_rich, z_x),
        errors(y, translated(poor_to_rich, y, z_y), rich_to_poor, None),
        f"{measure}, crop by {crop}, enlarged by {enlarge} pixels, ε = {epsilon:g}",
    )


def _changed(
    x: Tensor, between: Tensor, crop: int, enlarge: int, epsilon: float, generator: torch.Generator
) -> dict[str, tuple[Tensor, Tensor]]:
    """The translation of an image under each change, and what is to be rebuilt from it."""
    check_together(**{"the image": x, "its translation": between})
    height, width = x.shape[2:]
    corners = torch.randint(crop + 1, (len(x), 2), generator=generator).tolist()

    def cropped(images: Tensor) -> Tensor:
        parts = [
            each[:, i : i + height - crop, j : j + width - crop] for each, (i, j) in zip(images, corners, strict=True)
        ]
        return torch.stack(parts)

    def resized(images: Tensor) -> Tensor:
        return F.interpolate(images, (height + enlarge, width + enlarge), mode="bilinear")

    noise = torch.randn(between.shape, generator=generator).to(between) * epsilon
    return {
        "none": (between, x),
        "crop": (cropped(between), cropped(x)),
        "resize": (resized(between), resized(x)),
        "disturbance": (between + noise, x),
    }


@torch.inference_mode()
def same_z_difference(
    poor_to_rich: Translate,
    real: Tensor,
    generated: Tensor,
    z: Tensor | None = None,
    error: Error | None = None,
) -> Tensor:
    """How differently F treats real labels and the labels generated of the same photos, with the same z [AsymGAN Fig. 5].

    Args:
        poor_to_rich: F, called as ``F(y)``, or as ``F(y, z)`` where z is given.
        real: the true labels of photos, (N, C, H, W), in [-1, 1].
        generated: G of the same photos, of the same shape.
        z: one for each photo, (N, ...).
        error: of two batches, (N,); None for the mean absolute difference. An LPIPS's ``distances`` say whether people
            would see it.

    Returns:
        Differences of F(real, z) and F(generated, z), (N,). They are of use beside those of ``real`` and ``generated``
        themselves: labels that differ may be translated differently.

    Raises:
        ValueError: labels that do not belong together.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import same_z_difference
        >>> y = torch.zeros(2, 3, 8, 8)
        >>> same_z_difference(lambda labels: 2 * labels, y, y + 0.1)
        tensor([0.2000, 0.2000])
    """
    error = mean_absolute_error if error is None else error
    callables(poor_to_rich=poor_to_rich, error=error)
    check_together(real=real, generated=generated)
    have_values(real=real)
    check_codes("z", z, len(real))
    return errors_of(error, translated(poor_to_rich, real, z), translated(poor_to_rich, generated, z))
