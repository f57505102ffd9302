"""A memory of earlier fakes, so that critics do not chase the generator's last step."""

from __future__ import annotations

import torch
from torch import Tensor

from asymkit.checks import at_least


class ImagePool:
    """Keeps up to ``size`` fakes and hands out mixtures of old and new ones (Shrivastava et al. 2017, CycleGAN).

    Until it is full every image is stored and returned. From then on each image is, with even chances, returned
    itself or swapped for a stored one. Images are detached.

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
        at_least("size", size, least=0)
        self.size = size
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """A batch (N, ...) in, a batch of the same shape out, some of it from earlier."""
        images = images.detach()
        return images if self.size == 0 else torch.stack([self._exchange(image) for image in images])

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
        return kept

    def state_dict(self) -> dict[str, list[Tensor]]:
        """What a checkpoint needs to go on with the same fakes."""
        return {"images": list(self.images)}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Take over the fakes of a checkpoint.

        Raises:
            ValueError: more images than this pool holds.
        """
        if len(state["images"]) > self.size:
            raise ValueError(
                f"the checkpoint's pool holds {len(state['images'])} images, this one has size={self.size}"
            )
        self.images = list(state["images"])
