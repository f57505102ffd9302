"""Image pools of earlier generated images, so that discriminators do not chase the generator's last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from asymkit.checks import FLOATING, at_least, check_images, described


class ImagePool:
    """Image pool of previously generated images (Shrivastava et al. 2017), with CycleGAN's interface.

    Until it is full every image is stored and returned. From then on each image is, with even chances, returned
    itself or swapped for a stored one. Images are detached. Batches of one may differ in height and width, and are
    then answered with images of other sizes, as by CycleGAN's pool.

    Args:
        size: how many images to keep; 0 returns every batch as it is.

    Raises:
        ValueError: a negative size.

    Example:
        >>> pool = ImagePool(size=50)
        >>> pool(torch.zeros(4, 3, 8, 8)).shape, len(pool)
        (torch.Size([4, 3, 8, 8]), 4)
    """

    def __init__(self, size: int = 50) -> None:
        self.size = at_least("size", size, least=0)
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Mix a batch with earlier images.

        Args:
            images: (N, C, H, W); for N > 1 of the height and width of all images kept, for N = 1 of any.

        Returns:
            (N, C, H, W), or (1, C, h, w) with the height and width of an image kept; on the device and in the type of ``images``.

        Raises:
            ValueError: no batch of images, other channels than the images kept, a batch of several of another size.
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
    """CycleGAN's name for it."""

    def __len__(self) -> int:
        return len(self.images)

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if torch.rand(()) < 0.5:
            return image
        place = int(torch.randint(self.size, ()))
        kept, self.images[place] = self.images[place], image.clone()
        return kept.to(image)  # those of a training state come back on the CPU; autocast gives more than one type

    def forget_nonfinite(self) -> None:
        """Drop images that hold NaN or infinity, after a step that went wrong: critics would meet them for long."""
        self.images = [image for image in self.images if bool(image.isfinite().all())]

    def state_dict(self) -> dict[str, list[Tensor]]:
        """What a checkpoint needs to go on with the same fakes."""
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Take over the fakes of a checkpoint.

        Raises:
            ValueError: more images than this pool holds, images of different channels, or no state of a pool.
        """
        images = state.get("images") if isinstance(state, Mapping) else None
        if not isinstance(images, list | tuple) or not all(map(_is_image, images)):
            raise ValueError(f"state must be an ImagePool's state_dict(), {{'images': [...]}}, got {described(state)}")
        if len(images) > self.size:
            raise ValueError(f"the checkpoint's pool holds {len(images)} images, this one has size={self.size}")
        channels = sorted({image.shape[0] for image in images})
        if len(channels) > 1:
            raise ValueError(f"state: the images of a pool have one number of channels, got {channels}")
        self.images = list(images)


def _is_image(image: object) -> bool:
    return isinstance(image, Tensor) and image.ndim == 3 and image.dtype in FLOATING


Cycles = TypeVar("Cycles", bound=Any)


class ImagePools:
    """One :class:`ImagePool` for each kind of generated image that AsymGAN's and Async-GAN's discriminators see.

    Args:
        size: images in each pool; 0 only detaches.

    Example:
        >>> import torch
        >>> from asymkit import ImagePools
        >>> from asymkit.objectives.asymgan import Cycles
        >>> pools, cycles = ImagePools(size=50), Cycles(*torch.rand(6, 2, 3, 8, 8))
        >>> pools(cycles).fake_rich.shape, len(pools.pools["fake_rich"])
        (torch.Size([2, 3, 8, 8]), 2)
    """

    KINDS = ("fake_poor", "fake_rich", "resampled", "encoded")

    def __init__(self, size: int = 50) -> None:
        self.pools = {kind: ImagePool(size) for kind in self.KINDS}

    def __call__(self, cycles: Cycles) -> Cycles:
        """Detached cycles whose generated images are mixed with earlier ones, for the discriminators' step only.

        Args:
            cycles: of :class:`asymkit.objectives.asymgan.Translators`.

        Raises:
            ValueError: anything else, images that :class:`ImagePool` refuses.
        """
        if not all(hasattr(cycles, kind) for kind in self.KINDS):
            raise ValueError(f"cycles must be a named tuple with {', '.join(self.KINDS)}, got {described(cycles)}")
        fakes = {kind: getattr(cycles, kind) for kind in self.KINDS}
        mixed = {kind: self.pools[kind](fake) for kind, fake in fakes.items() if fake is not None}
        return cycles.detach()._replace(**mixed)

    def forget_nonfinite(self) -> None:
        """Drop images that hold NaN or infinity from all pools."""
        for pool in self.pools.values():
            pool.forget_nonfinite()

    def state_dict(self) -> dict[str, dict[str, list[Tensor]]]:
        """All pools, for a checkpoint."""
        return {kind: pool.state_dict() for kind, pool in self.pools.items()}

    def load_state_dict(self, state: Mapping[str, dict[str, list[Tensor]]]) -> None:
        """Take over the pools of a checkpoint.

        Raises:
            ValueError: pools of other kinds, or larger ones.
        """
        if not isinstance(state, Mapping) or state.keys() != self.pools.keys():
            found = list(state) if isinstance(state, Mapping) else described(state)
            raise ValueError(f"state: the checkpoint's pools are {found}, these are {sorted(self.pools)}")
        for kind, pool in self.pools.items():
            pool.load_state_dict(state[kind])
