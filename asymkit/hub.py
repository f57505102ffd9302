"""The generators and the encoder with Hugging Face's ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

Subclasses of asymkit's networks with ``huggingface_hub``'s mixin. Constructor arguments are saved in a ``config.json``
beside the weights. Of a :class:`asymkit.DualGenerator`, share the translator; the reconstructor is for training only.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import asymkit
from asymkit.checkpoints.durable import write_whole
from asymkit.optional import needed_for
from asymkit.state_dicts import check_weights

with needed_for("asymkit.hub", '"asymkit[hub]"'):
    from huggingface_hub import PyTorchModelHubMixin

__all__ = [
    "HubAuxEncoder",
    "HubAuxGenerator",
    "HubHighResGenerator",
    "HubPlainGenerator",
    "HubResnetGenerator",
    "HubStarGenerator",
]

CARD: dict[str, Any] = {
    "library_name": "asymkit",
    "pipeline_tag": "image-to-image",
    "tags": ["asymkit", "image-to-image", "gan", "unpaired"],
}


class _HubMixin(PyTorchModelHubMixin):
    """``PyTorchModelHubMixin`` with atomic writing of files, and an error for weights that are damaged or do not fit.

    The original returns a network with random weights then, and loses the ``config.json`` if the disk is full.
    """

    def save_pretrained(
        self, save_directory: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False, **options: Any
    ) -> str | None:
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        card = {name: value for name, value in options.items() if name in {"config", "model_card_kwargs"}}
        with TemporaryDirectory(dir=folder, prefix=".new-") as new:
            super().save_pretrained(new, **card)
            for file in sorted(Path(new).iterdir(), key=lambda file: file.suffix == ".json"):  # the configuration last
                if file.name != "README.md" or not (folder / file.name).exists():  # users edit it
                    write_whole(folder / file.name, lambda out, file=file: out.write(file.read_bytes()))  # type: ignore[misc]
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id=repo_id or folder.name, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        asymkit.save_weights(cast(Any, self), save_directory / "model.safetensors")

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **options: Any) -> Any:
        return super()._from_pretrained(strict=strict, **options)

    @classmethod
    def _load_as_safetensor(cls, model: Any, model_file: str, map_location: str, strict: bool) -> Any:
        state = asymkit.read_state_dict(model_file)
        check_weights(state, repr(model_file))
        model.load_state_dict(state, strict=strict)
        return model.to(map_location).eval()

    _load_as_pickle = _load_as_safetensor


class HubResnetGenerator(asymkit.ResnetGenerator, _HubMixin, **CARD):
    """:class:`asymkit.ResnetGenerator` for the hub.

    Example:
        >>> import tempfile
        >>> from asymkit.hub import HubResnetGenerator
        >>> folder = tempfile.mkdtemp()
        >>> HubResnetGenerator(width=8, blocks=2).save_pretrained(folder)
        >>> len(HubResnetGenerator.from_pretrained(folder).blocks)
        Loading weights from local directory
        2
    """


class HubAuxGenerator(asymkit.AuxGenerator, _HubMixin, **CARD):
    """:class:`asymkit.AuxGenerator` for the hub."""


class HubAuxEncoder(asymkit.AuxEncoder, _HubMixin, **CARD):
    """:class:`asymkit.AuxEncoder` for the hub, to go with an :class:`HubAuxGenerator`."""


class HubHighResGenerator(asymkit.HighResGenerator, _HubMixin, **CARD):
    """:class:`asymkit.HighResGenerator` for the hub."""


class HubStarGenerator(asymkit.StarGenerator, _HubMixin, **CARD):
    """:class:`asymkit.StarGenerator` for the hub."""


class HubPlainGenerator(asymkit.PlainGenerator, _HubMixin, **CARD):
    """:class:`asymkit.PlainGenerator` for the hub."""
