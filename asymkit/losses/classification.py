"""Domain classification loss of StarGAN-like discriminators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymkit.arguments import described, flags
from asymkit.checks import FLOATING, check_dense
from asymkit.labels import label_vectors
from asymkit.precision import widen


class DomainClassificationLoss(nn.Module):
    """−log D_c(z | x) of a discriminator's domain logits [AsymmetricGAN Eq. 7].

    Args:
        multi_label: False if each image belongs to one domain: cross-entropy. True if domains are attributes of which an
            image has any number (CelebA): binary cross-entropy, summed over the domains as in StarGAN.

    Example:
        >>> import torch
        >>> from asymkit import DomainClassificationLoss
        >>> logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]])
        >>> loss = DomainClassificationLoss()
        >>> loss(logits, torch.tensor([0, 2])) < 0.001 < loss(logits, torch.tensor([1, 1]))
        tensor(True)
    """

    def __init__(self, multi_label: bool = False) -> None:
        super().__init__()
        (multi_label,) = flags(multi_label=multi_label)
        self.multi_label = multi_label

    def forward(self, logits: Tensor, domains: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (N, domains), before softmax or sigmoid.
            domains: target domains, (N,) integers, or (N, domains) floats: probabilities that sum to 1, or, with
                ``multi_label``, attributes from 0 to 1.

        Returns:
            The batch mean, a float32 scalar.

        Raises:
            ValueError: the shapes do not match, labels are out of range, or are integers with ``multi_label``.
        """
        check_dense("logits", logits, "floating point, (N, domains), not empty")
        if logits.ndim != 2 or logits.dtype not in FLOATING or 0 in logits.shape:
            raise ValueError(f"logits must be floating point, (N, domains), not empty, got {described(logits)}")
        batch, count = logits.shape
        if self.multi_label and isinstance(domains, Tensor) and not domains.is_floating_point():
            raise ValueError(
                f"domains must be (N, domains) floats with multi_label=True, got {domains.dtype} of shape "
                f"{tuple(domains.shape)}; an image may have several attributes"
            )
        wanted = label_vectors(domains, count, batch, name="domains", like=logits).to(logits.device)
        if domains.is_floating_point() and wanted.device.type == "cpu" and not torch.compiler.is_compiling():
            self._check_values(wanted)
        if self.multi_label:
            return F.binary_cross_entropy_with_logits(widen(logits), widen(wanted), reduction="sum") / batch
        return F.cross_entropy(widen(logits), widen(wanted))

    def _check_values(self, wanted: Tensor) -> None:
        """Refuse values out of range, on the CPU only, since reading them would stall a GPU."""
        if not ((wanted >= 0) & (wanted <= 1)).all():
            low, high = wanted.min().item(), wanted.max().item()
            raise ValueError(f"domains must be from 0 to 1, got {low:.3g} to {high:.3g}")
        if not self.multi_label and not torch.allclose(wanted.sum(1), wanted.new_ones(()), atol=1e-2):
            raise ValueError(
                f"domains must add up to 1 for each image, got {wanted.sum(1).min():.3g} to {wanted.sum(1).max():.3g}; for "
                "attributes of which an image has several use DomainClassificationLoss(multi_label=True)"
            )

    def extra_repr(self) -> str:
        """The arguments it was built with, for ``print``."""
        return f"multi_label={self.multi_label}"
