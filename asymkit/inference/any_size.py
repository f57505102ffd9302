"""Padding around a generator, for images of any height and width and of any value range."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asymkit.arguments import at_least, modules, range_of
from asymkit.checks import check_dense, check_images
from asymkit.ops.backend import exporting_program


class AnySize(nn.Module):
    """Wraps a generator so that it takes images of any height and width, and optionally of another value range.

    Images are padded on the right and at the bottom to the next size that the generator takes, by reflection, or by
    replication where a side has too few pixels to reflect. Results are cropped back.

    Args:
        generator: any ``(image, condition) -> image`` that keeps the size, such as asymkit's or CycleGAN's ``netG_A``.
        multiple: height and width must be divisible by this, at most 4,096; None for ``generator.multiple``, which
            asymkit's generators have.
        value_range: (low, high) of the images given and returned, such as (0, 255) or (0, 65535); the generator itself
            is given [-1, 1].

    Raises:
        ValueError: multiple is None and the generator has none, multiple is below 1, value_range is not (low, high), or
            generator is not a module.

    Example:
        >>> import torch
        >>> from asymkit import AnySize, ResnetGenerator
        >>> AnySize(ResnetGenerator(width=4, blocks=1))(torch.zeros(1, 3, 37, 50)).shape
        torch.Size([1, 3, 37, 50])
    """

    def __init__(
        self, generator: nn.Module, multiple: int | None = None, value_range: tuple[float, float] = (-1, 1)
    ) -> None:
        super().__init__()
        modules(generator=generator)
        self.generator, self.value_range = generator, range_of(value_range)
        self.multiple, self._least_side = multiple_of(generator, multiple), int(getattr(generator, "least_side", 1))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, C, H, W), in ``value_range``, any H and W.
            condition: as the generator takes it. An image of H×W is padded alike, but its values are not scaled; a label
                or z is passed on unchanged.

        Returns:
            Images, (N, C', H, W), in ``value_range``.

        Raises:
            ValueError: image is not a batch of images, or the generator refuses it or the condition.
        """
        low, high = self.value_range
        if isinstance(image, Tensor) and not image.is_floating_point():
            raise ValueError(
                f"image must be floating point, of value_range ({low:g}, {high:g}), got {image.dtype}; use .float()"
            )
        check_images(image, "image")
        size, half = image.shape[2:], (high - low) / 2
        middle = low + half
        arguments = [self._pad((image - middle) / half)]
        if condition is not None:
            check_dense("condition", condition, "a tensor as the generator takes it, or None", like=image)
            like_image = condition.ndim == 4 and condition.shape[2:] == size
            arguments.append(self._pad(condition) if like_image else condition)
        result = self.generator(*arguments)
        for dim in (2, 3):
            if exporting_program() or result.shape[dim] != image.shape[dim]:
                result = result.index_select(dim, torch.arange(image.shape[dim], device=image.device))
        return result * half + middle

    def _pad(self, x: Tensor) -> Tensor:
        # index_select, as for the crop above: F.pad and slices would fix the sizes of an exported network
        exporting = exporting_program()
        for dim in (2, 3):
            side = x.shape[dim]
            least = side if exporting else max(side, self._least_side)
            wanted = (least + self.multiple - 1) // self.multiple * self.multiple
            if not exporting and wanted == side:
                continue
            index, last = torch.arange(wanted, device=x.device), side - 1
            reflects = exporting or wanted - side < side
            x = x.index_select(dim, last - (last - index).abs() if reflects else index.clamp_max(last))
        return x

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"multiple={self.multiple}, value_range={self.value_range}"


def multiple_of(generator: nn.Module, multiple: int | None) -> int:
    """What height and width must be divisible by: ``multiple``, or the generator's own."""
    stated: int | None = getattr(generator, "multiple", None) if multiple is None else multiple
    if stated is None:
        raise ValueError(
            f"multiple must be given, as {type(generator).__name__} has no attribute multiple: what height and width must "
            "be divisible by, e.g. multiple=4 for a network with two stride-2 layers"
        )
    return at_least("multiple", stated, most=4096)
