"""Differentiable augmentation of a discriminator's inputs, for small data sets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from asymkit.arguments import modules, number
from asymkit.checks import check_images


class DiscriminatorAugmentation(nn.Module):
    """DiffAugment (Zhao et al. 2020): random colour, translation and cutout of all images that a discriminator gets.

    With few images a discriminator overfits. Augmenting real and generated images alike, differentiably, prevents that
    without the generator learning the augmentation. Random numbers are drawn for each image.

        DiscriminatorAugmentation().attach(self.netD_A)  # returns a handle whose remove() undoes it

    Args:
        brightness: maximal value that is added or subtracted.
        saturation: the differences of channels to their mean are scaled by 1 ± this at most.
        contrast: the differences of values to the image's mean are scaled by 1 ± this at most.
        translation: maximal shift as a fraction of height and width; zeros are shifted in.
        cutout: sides of a rectangle of zeros, as a fraction of height and width.

    Raises:
        ValueError: brightness, saturation or contrast is not from 0 to 100, or translation or cutout not from 0 to 1.

    Example:
        >>> import torch
        >>> from asymkit import DiscriminatorAugmentation, PatchDiscriminator
        >>> discriminator, image = PatchDiscriminator(width=4), torch.randn(2, 3, 64, 64)
        >>> handle = DiscriminatorAugmentation().attach(discriminator)
        >>> bool((discriminator(image) == discriminator(image)).all())
        False
        >>> handle.remove()
        >>> bool((discriminator(image) == discriminator(image)).all())
        True
    """

    def __init__(
        self,
        brightness: float = 0.5,
        saturation: float = 1.0,
        contrast: float = 0.5,
        translation: float = 0.125,
        cutout: float = 0.5,
    ) -> None:
        super().__init__()
        self.brightness = number("brightness", brightness, 0, 100)
        self.saturation = number("saturation", saturation, 0, 100)
        self.contrast = number("contrast", contrast, 0, 100)
        self.translation, self.cutout = number("translation", translation, 0, 1), number("cutout", cutout, 0, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Augmented images, (N, C, H, W), not clamped, as in the paper."""
        check_images(image, "image")
        if self.brightness:
            image = image + self._jitter(image, self.brightness)
        for strength, dims in ((self.saturation, (1,)), (self.contrast, (1, 2, 3))):
            if strength:
                mean = image.mean(dims, keepdim=True)
                image = mean + (image - mean) * (1 + self._jitter(image, strength))
        if self.translation:
            image = self._translate(self._translate(image, 2), 3)
        return self._cutout(image) if self.cutout else image

    def attach(self, discriminator: nn.Module) -> RemovableHandle:
        """Augment the first argument of every call of a discriminator, by a forward pre-hook, in train and eval mode.

        In the generator's step, in which the discriminator is often in eval mode, its inputs must be augmented as well. The
        state dict does not change. Attach before wrapping in DistributedDataParallel.

        Returns:
            A handle, whose ``remove()`` removes the hook.

        Raises:
            ValueError: discriminator is not a module.
        """
        modules(discriminator=discriminator)
        return discriminator.register_forward_pre_hook(self._augment_first, with_kwargs=True)

    def _augment_first(
        self, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if inputs:
            return (self(inputs[0]), *inputs[1:]), named
        first = next(iter(named))
        return inputs, named | {first: self(named[first])}

    @staticmethod
    def _jitter(image: Tensor, strength: float) -> Tensor:
        """A random number from −strength to strength for each image, (N, 1, 1, 1)."""
        return (2 * torch.rand(image.shape[0], 1, 1, 1, device=image.device, dtype=image.dtype) - 1) * strength

    def _translate(self, image: Tensor, dim: int) -> Tensor:
        side = image.shape[dim]
        most = int(side * self.translation + 0.5)
        shift = torch.randint(-most, most + 1, (image.shape[0], 1), device=image.device)
        index = torch.arange(side, device=image.device) + shift
        shape = [image.shape[0], 1, 1, 1]
        shape[dim] = side
        mask = ((index >= 0) & (index < side)).view(shape)
        return image.gather(dim, index.clamp(0, side - 1).view(shape).expand_as(image)) * mask

    def _cutout(self, image: Tensor) -> Tensor:
        masks: list[Tensor] = []
        for dim in (2, 3):
            side = image.shape[dim]
            hole = int(side * self.cutout + 0.5)
            start = torch.randint(-(hole // 2), side - hole // 2 + 1, (image.shape[0], 1), device=image.device)
            index = torch.arange(side, device=image.device)
            masks.append((index >= start) & (index < start + hole))
        hole_mask = masks[0][:, None, :, None] & masks[1][:, None, None, :]
        return image * ~hole_mask

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        names = ("brightness", "saturation", "contrast", "translation", "cutout")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
