"""Image pools: discriminators are trained on generated images of earlier steps too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from asymkit.arguments import at_least, described, flags
from asymkit.checks import FLOATING, check_images
from asymkit.ops.eager.norm import layout_of


class ImagePool:
    """Image pool of previously generated images (Shrivastava et al. 2017), with CycleGAN's interface.

    Until the pool is full, every image is stored and returned. After that, each image is returned with probability 1/2, or
    swapped for a stored one. Images are detached. Batches of one may differ in height and width; the image returned may
    then have another size than the one given, as with CycleGAN's pool.

    Args:
        size: number of images to store; 0 returns every batch unchanged.

    Raises:
        ValueError: size is negative.

    Example:
        >>> import torch
        >>> from asymkit import ImagePool
        >>> pool = ImagePool(size=50)
        >>> pool(torch.zeros(4, 3, 8, 8)).shape, len(pool)
        (torch.Size([4, 3, 8, 8]), 4)
    """

    images: list[Tensor]

    def __init__(self, size: int = 50) -> None:
        self.size = at_least("size", size, least=0)
        self.images = []

    def __call__(self, images: Tensor) -> Tensor:
        """Store a batch and return a mixture of it with stored images.

        Args:
            images: (N, C, H, W); for N > 1 of the height and width of all stored images, for N = 1 of any.

        Returns:
            (N, C, H, W), or (1, C, h, w) with the size of a stored image; on the device and in the dtype of ``images``.

        Raises:
            ValueError: images is not a batch of images, has other channels than the stored ones, or N > 1 and another size.
        """
        check_images(images, "images", channels=self.images[0].shape[0] if self.images else None)
        other = next((kept for kept in self.images if kept.shape != images.shape[1:]), None)
        if other is not None and len(images) > 1:
            raise ValueError(
                f"images must have the height and width of those in the pool, {tuple(other.shape[1:])}, to be mixed in a batch "
                f"of {len(images)}, got {tuple(images.shape[2:])}; use batches of one, one size, or a pool for each"
            )
        images = images.detach()
        return images if self.size == 0 else torch.stack([self._exchange(image) for image in images])

    query = __call__
    """CycleGAN's name of this method."""

    def __len__(self) -> int:
        return len(self.images)

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if torch.rand(()) < 0.5:
            return image
        index = int(torch.randint(self.size, ()))
        stored, self.images[index] = self.images[index], image.clone()
        return stored.to(image)  # those of a training state are on the CPU, and autocast gives more than one dtype

    def forget_nonfinite(self) -> None:
        """Drop stored images that contain NaN or infinity, after a step that was not finite."""
        self.images = [image for image in self.images if bool(image.isfinite().all())]

    def state_dict(self) -> dict[str, list[Tensor]]:
        """The stored images, for a training state."""
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Load the images of a training state.

        Raises:
            ValueError: state has more images than ``size``, images of different channels, or is not of an image pool.
        """
        images = state.get("images") if isinstance(state, Mapping) else None
        if not isinstance(images, list | tuple) or not all(map(_is_image, images)):
            raise ValueError(f"state must be an ImagePool's state_dict(), {{'images': [...]}}, got {described(state)}")
        if len(images) > self.size:
            raise ValueError(f"state: the image pool in it holds {len(images)} images, this one has size={self.size}")
        channels = sorted({image.shape[0] for image in images})
        if len(channels) > 1:
            raise ValueError(f"state: the images of a pool have one number of channels, got {channels}")
        self.images = list(images)


def _is_image(image: object) -> bool:
    return isinstance(image, Tensor) and image.ndim == 3 and image.dtype in FLOATING


class CapturableImagePool(ImagePool):
    """:class:`ImagePool` in one tensor, with random choices on the device, so that a CUDA graph can contain it.

    Probabilities and the order of images are those of :class:`ImagePool`. All images must have one size. Images that
    contain NaN or infinity are returned but not stored. State dicts of both classes are interchangeable.

    Args:
        size: number of images to store; 0 returns every batch unchanged.

    Raises:
        ValueError: size is negative.

    Example:
        >>> import torch
        >>> from asymkit import CapturableImagePool
        >>> pool = CapturableImagePool(size=50)
        >>> pool(torch.zeros(4, 3, 8, 8)).shape, len(pool)
        (torch.Size([4, 3, 8, 8]), 4)
    """

    def __init__(self, size: int = 50) -> None:
        self._rows: Tensor | None = None  # (size + 1, C, H, W); images that are not stored are written to the last row
        self._count: Tensor | None = None  # (), number of stored images
        super().__init__(size)

    @property
    def images(self) -> list[Tensor]:
        """Copies of the stored images; reading their number synchronises."""
        if self._rows is None or self._count is None:
            return []
        return list(self._rows[: int(self._count)].clone())

    @images.setter
    def images(self, images: list[Tensor]) -> None:
        if not images:
            if self._count is not None:
                self._count.zero_()
            return
        shapes = sorted({tuple(image.shape) for image in images})
        if len(shapes) > 1:
            raise ValueError(f"images in a CapturableImagePool have one size, got {shapes}; use ImagePool")
        rows, count = self._allocated(images[0][None])
        rows[: len(images)] = torch.stack(images)
        count.fill_(len(images))

    def __call__(self, images: Tensor) -> Tensor:
        """Store a batch and return a mixture of it with stored images.

        Args:
            images: (N, C, H, W), with C, H and W of all stored images.

        Returns:
            (N, C, H, W), with device, dtype and memory layout of ``images``.

        Raises:
            ValueError: images is not a batch of images, or has another size or other channels than the stored ones.
        """
        check_images(images, "images", channels=None if self._rows is None else self._rows.shape[1])
        if self.size == 0:
            return images.detach()
        rows, count = self._allocated(images)
        if rows.device != images.device:  # images of a training state are on the CPU
            self._rows, self._count = rows, count = rows.to(images.device), count.to(images.device)
        with torch.no_grad():
            return self._exchanged(images.detach(), rows, count)

    def _allocated(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The tensors of the pool, allocated at the first call, since a CUDA graph needs fixed addresses."""
        if self._rows is None or self._count is None:
            with torch.inference_mode(False):  # inference tensors could not be written to outside inference mode
                rows = torch.zeros(self.size + 1, *like.shape[1:], dtype=like.dtype, device=like.device)
                self._rows = rows.contiguous(memory_format=layout_of(like))
                self._count = torch.zeros((), dtype=torch.int64, device=like.device)
        if self._rows.shape[1:] != like.shape[1:]:
            raise ValueError(
                f"images must be of the size of those in the pool, {tuple(self._rows.shape[1:])}, got "
                f"{tuple(like.shape[1:])}; use ImagePool for images of several sizes"
            )
        return self._rows, self._count

    def _exchanged(self, images: Tensor, rows: Tensor, count: Tensor) -> Tensor:
        n, device = len(images), images.device
        kept = images.to(rows.dtype)
        finite = kept.abs().amax((1, 2, 3)) < math.inf
        place = count + finite.cumsum(0) - 1  # the next free rows
        fills = finite & (place < self.size)
        swaps = finite & ~fills & (torch.rand(n, device=device) < 0.5)
        drawn = torch.randint(self.size, (n,), device=device)
        place = torch.where(fills, place, torch.where(swaps, drawn, self.size))
        stored = rows.index_select(0, place).to(images)
        if n > 1:  # several images of the batch may use one row: each gets the one before, the last is stored
            number, same = torch.arange(n, device=device), place[:, None] == place
            earlier = torch.where(same.tril(-1), number, -1).amax(1)
            stored = torch.where(_each(earlier >= 0), images.index_select(0, earlier.clamp_min(0)), stored)
            place = torch.where(same.triu(1).any(1), self.size, place)
        rows.index_copy_(0, place, kept)
        count.add_(fills.sum())
        return torch.where(_each(swaps), stored, images).contiguous(memory_format=layout_of(images))


def _each(choice: Tensor) -> Tensor:
    """A mask of images, (N,), as (N, 1, 1, 1)."""
    return choice[:, None, None, None]


Cycles = TypeVar("Cycles", bound=Any)


class ImagePools:
    """One :class:`ImagePool` for each kind of generated image of AsymGAN's and Async-GAN's discriminators.

    Args:
        size: images in each pool; 0 only detaches.
        capturable: use :class:`CapturableImagePool`, which a CUDA graph can contain.

    Example:
        >>> import torch
        >>> from asymkit import ImagePools
        >>> from asymkit.objectives.asymgan import Cycles
        >>> pools, cycles = ImagePools(size=50), Cycles(*torch.rand(6, 2, 3, 8, 8))
        >>> pools(cycles).fake_rich.shape, len(pools.pools["fake_rich"])
        (torch.Size([2, 3, 8, 8]), 2)
    """

    KINDS = ("fake_poor", "fake_rich", "rebuilt_resampled", "fake_encoded")

    def __init__(self, size: int = 50, capturable: bool = False) -> None:
        (capturable,) = flags(capturable=capturable)
        self.pools = {kind: CapturableImagePool(size) if capturable else ImagePool(size) for kind in self.KINDS}

    def __call__(self, cycles: Cycles) -> Cycles:
        """Detached cycles with generated images replaced by those of the pools, for the discriminators' step.

        Args:
            cycles: output of :class:`asymkit.objectives.asymgan.Translators`.

        Raises:
            ValueError: cycles is anything else, or :class:`ImagePool` refuses an image.
        """
        if not all(hasattr(cycles, kind) for kind in self.KINDS):
            raise ValueError(f"cycles must be a named tuple with {', '.join(self.KINDS)}, got {described(cycles)}")
        fakes = {kind: getattr(cycles, kind) for kind in self.KINDS}
        mixed = {kind: self.pools[kind](fake) for kind, fake in fakes.items() if fake is not None}
        return cycles.detach()._replace(**mixed)

    def forget_nonfinite(self) -> None:
        """Drop stored images that contain NaN or infinity from all pools."""
        for pool in self.pools.values():
            pool.forget_nonfinite()

    def state_dict(self) -> dict[str, dict[str, list[Tensor]]]:
        """The images of all pools, for a training state."""
        return {kind: pool.state_dict() for kind, pool in self.pools.items()}

    def load_state_dict(self, state: Mapping[str, dict[str, list[Tensor]]]) -> None:
        """Load the pools of a training state.

        Raises:
            ValueError: state has pools of other kinds, or larger ones.
        """
        if not isinstance(state, Mapping) or state.keys() != self.pools.keys():
            found = list(state) if isinstance(state, Mapping) else described(state)
            raise ValueError(f"state: the image pools in it are {found}, these are {sorted(self.pools)}")
        for kind, pool in self.pools.items():
            pool.load_state_dict(state[kind])
