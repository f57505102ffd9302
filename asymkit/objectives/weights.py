"""Summing named terms with the weights of a paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from asymkit.checks import one_of


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
