"""What discriminators of small data sets are shown: images changed at random, real and fake alike, gradients going through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from asymkit.arguments import modules, number
from asymkit.checks import check_images


class DiscriminatorAugmentation(nn.Module):
    """Random colours, shifts and holes for everything a discriminator sees (DiffAugment, Zhao et al. 2020).

    With few images a discriminator learns them by heart. It cannot where it never sees one twice alike, and generators learn
    nothing of the changes as their images are changed too, differentiably. Every image is changed in its own way.

        DiscriminatorAugmentation().attach(self.netD_A)  # the one line more; the handle it returns takes it off again

    Args:
        brightness: up to this is added or taken off.
        saturation: channels are moved to their mean, or away from it, by a factor of 1 ± this.
        contrast: values are moved to the image's mean, or away from it, by a factor of 1 ± this.
        translation: up to this part of height and width to any side, zeros moving in.
        cutout: side of a square of zeros, as a part of height and width.

    Raises:
        ValueError: a strength below 0 or above 100, a translation or cutout below 0 or above 1.

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
        """Images (N, C, H, W) in, the same changed out, not clamped, as in that paper."""
        check_images(image, "image")
        if self.brightness:
            image = image + self._jitter(image, self.brightness)
        for strength, dims in ((self.saturation, (1,)), (self.contrast, (1, 2, 3))):
            if strength:
                mean = image.mean(dims, keepdim=True)
                image = mean + (image - mean) * (1 + self._jitter(image, strength))
        if self.translation:
            image = self._moved(self._moved(image, 2), 3)
        return self._cutout(image) if self.cutout else image

    def attach(self, discriminator: nn.Module) -> RemovableHandle:
        """Change the first argument of every call of a discriminator from now on, in train and eval mode alike.

        A generator's step often holds the discriminator in eval mode, and must see changed images as well. The discriminator's state
        dict stays as it is. Attach before wrapping in DistributedDataParallel.

        Returns:
            A handle, whose ``remove()`` takes it off.

        Raises:
            ValueError: the discriminator is no network.
        """
        modules(discriminator=discriminator)
        return discriminator.register_forward_pre_hook(self._changed, with_kwargs=True)

    def _changed(
        self, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if inputs:
            return (self(inputs[0]), *inputs[1:]), named
        first = next(iter(named))
        return inputs, named | {first: self(named[first])}

    @staticmethod
    def _jitter(image: Tensor, strength: float) -> Tensor:
        """One number in ± strength for each image."""
        return (2 * torch.rand(image.shape[0], 1, 1, 1, device=image.device, dtype=image.dtype) - 1) * strength

    def _moved(self, image: Tensor, dim: int) -> Tensor:
        side = image.shape[dim]
        most = int(side * self.translation + 0.5)
        shift = torch.randint(-most, most + 1, (image.shape[0], 1), device=image.device)
        places = torch.arange(side, device=image.device) + shift
        along = [image.shape[0], 1, 1, 1]
        along[dim] = side
        inside = ((places >= 0) & (places < side)).view(along)
        return image.gather(dim, places.clamp(0, side - 1).view(along).expand_as(image)) * inside

    def _cutout(self, image: Tensor) -> Tensor:
        within: list[Tensor] = []
        for dim in (2, 3):
            side = image.shape[dim]
            hole = int(side * self.cutout + 0.5)
            start = torch.randint(-(hole // 2), side - hole // 2 + 1, (image.shape[0], 1), device=image.device)
            places = torch.arange(side, device=image.device)
            within.append((places >= start) & (places < start + hole))
        hole_at = within[0][:, None, :, None] & within[1][:, None, None, :]
        return image * ~hole_at

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        names = ("brightness", "saturation", "contrast", "translation", "cutout")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)
