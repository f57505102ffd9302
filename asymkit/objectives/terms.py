"""What objectives are made of: the weighted sum of named terms, and the distance and the check inside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from asymkit.checks import as_image_pair, check_images, one_of, widen


@dataclass(frozen=True)
class TermWeights:
    """Base of the papers' weights: one field per term, and the sum that uses them."""

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms given; a term of weight zero is left out altogether.

        Args:
            terms: scalars by name, each name a field of this class.

        Returns:
            A scalar.

        Raises:
            ValueError: an unknown name (the message has the nearest valid one), a term that is no scalar, or no terms.
        """
        weights = asdict(self)
        for name, term in terms.items():
            one_of("terms", name, tuple(weights))
            if term.ndim:
                raise ValueError(
                    f"terms[{name!r}] must be a scalar, got shape {tuple(term.shape)}; take its mean first"
                )
        if not terms:
            raise ValueError("terms is empty: nothing to sum")
        weighted = [weights[name] * term for name, term in terms.items() if weights[name] != 0]
        return torch.stack(weighted).sum() if weighted else torch.zeros_like(next(iter(terms.values())))


def l1(made: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of two batches of images, a scalar in float32 or wider."""
    made, original = as_image_pair(made, original, ("the image made", "the original"))
    return (made - original).abs().mean()


def aux_l1(made: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of two batches of codes, a scalar in float32 or wider."""
    return (widen(made) - widen(original)).abs().mean()


def check_pair(x: Tensor, y: Tensor) -> None:
    """Refuse two batches of images that are not of one shape."""
    check_images(x, "x")
    check_images(y, "y")
    if x.shape != y.shape:
        raise ValueError(
            f"x and y must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}; "
            "drop the longer loader's last batch, crop to one size"
        )


def checked_aux(z: Tensor, code: Tensor) -> Tensor:
    """The latent code on the device and in the type of the encoder's codes.

    Raises:
        ValueError: z is no tensor of their shape.
    """
    if not isinstance(z, Tensor) or z.shape != code.shape:
        given = str(tuple(z.shape)) if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"z must have the shape of the encoder's codes, {tuple(code.shape)}, got {given}")
    return z.to(code)


def refuse_graph(cycles: Iterable[Tensor | None]) -> None:
    """Refuse cycles from which a critic's loss would reach the generators."""
    if any(tensor is not None and tensor.requires_grad for tensor in cycles):
        raise ValueError("cycles still carry the generators' graph; give discriminator_terms(cycles.detach(), critics)")
