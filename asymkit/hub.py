"""The generators and the encoder with Hugging Face's ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

The same classes as in :mod:`asymkit`, with ``huggingface_hub``'s mixin; import them from here instead. What they were
built with goes into a ``config.json`` beside the weights. Of a :class:`asymkit.DualGenerator`, share the translator: the
reconstructor is for training only.
"""

from __future__ import annotations

from typing import Any

import asymkit

try:
    from huggingface_hub import PyTorchModelHubMixin
except ImportError as error:
    raise ImportError('asymkit.hub needs: pip install "asymkit[hub]"') from error

__all__ = ["AuxEncoder", "AuxGenerator", "HighResGenerator", "PlainGenerator", "ResnetGenerator", "StarGenerator"]

CARD: dict[str, Any] = {
    "library_name": "asymkit",
    "pipeline_tag": "image-to-image",
    "tags": ["asymkit", "image-to-image", "gan", "unpaired"],
}


class _Strict(PyTorchModelHubMixin):
    """Weights that do not fit are an error, where the mixin would leave the network with random ones."""

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **options: Any) -> Any:
        return super()._from_pretrained(strict=strict, **options)


class ResnetGenerator(asymkit.ResnetGenerator, _Strict, **CARD):
    """:class:`asymkit.ResnetGenerator` for the hub.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> ResnetGenerator(width=8, blocks=2).save_pretrained(folder)
        >>> len(ResnetGenerator.from_pretrained(folder).blocks)
        Loading weights from local directory
        2
    """


class AuxGenerator(asymkit.AuxGenerator, _Strict, **CARD):
    """:class:`asymkit.AuxGenerator` for the hub."""


class AuxEncoder(asymkit.AuxEncoder, _Strict, **CARD):
    """:class:`asymkit.AuxEncoder` for the hub, to go with an :class:`AuxGenerator`."""


class HighResGenerator(asymkit.HighResGenerator, _Strict, **CARD):
    """:class:`asymkit.HighResGenerator` for the hub."""


class StarGenerator(asymkit.StarGenerator, _Strict, **CARD):
    """:class:`asymkit.StarGenerator` for the hub."""


class PlainGenerator(asymkit.PlainGenerator, _Strict, **CARD):
    """:class:`asymkit.PlainGenerator` for the hub."""
