"""A trained generator, wherever it was left, and what the run that trained it says about its images."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import asymkit
from asymkit.evaluation.images import ValueRange
from asymkit.state_dicts import flat_of, tree_of
from asymkit.weight_files import file_of, read_file
from support.data.images import DERIVE, PoorKind
from support.run.atomic_write import previous_of
from support.run.settings import Size, sides

PUBLISHED = {
    re.compile(r"(^|\.)model\.1\.weight$"): asymkit.load_cyclegan_generator,
    re.compile(r"(^|\.)main\.0\.weight$"): asymkit.load_stargan_generator,
}
"""How to load files of published code, by the name of their first layer."""

RUN = "run.json"
"""What share.py writes beside the weights: the settings of the run, and what its images were."""

CHOICE = re.compile(
    r"(?:give|choose one by part, as in) (?:load_network\(source|read_state_dict\(path), (?:part=)?('[^']*')\)"
)
"""What loaders say to choose one of several networks by, in Python."""

SEVERAL = re.compile(r"there are several, (.*); choose one by part")
"""What they say of several networks, with the names."""


@dataclass(frozen=True)
class Trained:
    """A generator in eval mode, and what is known of its training; nothing is, where it comes from a weights file."""

    source: Path
    held: Mapping[Any, Any]
    """What the file holds: the encoder may be in it too."""
    generator: Any
    direction: str | None
    """Name of the network in a run, such as "poor_to_rich"."""
    settings: Mapping[str, Any]
    """Of the run."""
    meaning: Mapping[str, str]
    """What the images of the run were, and how their values were read."""

    @property
    def to_rich(self) -> bool:
        """Whether it translates the poor domain of a run to the rich one."""
        return self.direction is not None and self.direction.split(".")[-1] == "poor_to_rich"

    @property
    def crops(self) -> Size | None:
        """Size of the crops in training, in pixels; None where nothing tells."""
        size: Any = self.settings.get("size")
        return (size[0], size[1]) if isinstance(size, list) else size

    @property
    def aux_channels(self) -> int:
        """Length of z; 0 for a generator without one."""
        return getattr(self.generator, "aux_channels", None) or 0

    def aux_size(self, size: int | None) -> tuple[int, ...]:
        """Height and width of a spatial z for the crops of training, which the generator resizes; () for a vector.

        Args:
            size: shorter side that images are resized to, for a file that does not tell the size of the crops.

        Raises:
            ValueError: z is spatial, and nothing tells its size.
        """
        if not getattr(self.generator, "spatial", False):
            return ()
        crops = self.crops or size
        if crops is None:
            raise ValueError(
                f"size: the generator takes a spatial z, an eighth of the crops it was trained on, whose size "
                f"{str(self.source)!r} does not tell; give that size by --size, or take z from a photo by --like"
            )
        height, width = sides(crops)
        return -(-height // 8), -(-width // 8)

    @property
    def derive(self) -> PoorKind | None:
        """What the run made its poor images of photos by, if it did."""
        kind, _, rest = self.meaning.get("poor domain", "").partition(",")
        return next((name for name in DERIVE if name == kind and self.to_rich and "derived" in rest), None)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains of a label generator, which are their numbers where nothing tells; () for others."""
        count = getattr(self.generator, "domains", 0)
        names = self.meaning.get("domains by number", "").split(", ")
        return tuple(names if len(names) == count else map(str, range(count)))

    def value_range(self, rich: bool) -> ValueRange | None:
        """Values that were black and white in images of the run's rich or poor domain; None: those of 8 bits, or unknown.

        Raises:
            ValueError: the run had more than two domains, and several ranges.
        """
        side = self.meaning.get("rich domain" if rich else "poor domain")
        named = {name: said for name, said in self.meaning.items() if name.startswith("value range of ")}
        own = [said for name, said in named.items() if name.startswith(f"value range of {side} ")]
        ends = {found.groups() for said in own or named.values() if (found := re.fullmatch(r"(\S+) to (\S+)", said))}
        if len(ends) > 1:
            listed = ", ".join(" to ".join(each) for each in sorted(ends))
            raise ValueError(f"value_range: the domains of the run have several, {listed}; give --value-range with one")
        return next(((float(low), float(high)) for low, high in ends), None)

    def encoder(self, path: Path | None = None) -> Any:
        """The encoder that was trained with the generator.

        Args:
            path: of its weights file, where it is not in the generator's.

        Raises:
            ValueError: there is none, or it is for a z of another length.
        """
        try:
            encoder = asymkit.load_network(self.held, "encoder") if path is None else asymkit.load_network(path)
        except ValueError as error:
            file = str(path or self.source)
            if several := SEVERAL.search(str(error)):
                raise ValueError(
                    f"like: {file!r} holds several networks, {several[1]}; save the encoder that was trained with the generator "
                    f"in a file of its own, in Python by asymkit.save_weights(asymkit.load_network({file!r}, NAME), "
                    "'encoder.pt') with one of these names, and give --encoder encoder.pt"
                ) from error
            said = CHOICE.sub("", str(error)).replace(": leave part out", "").rstrip("; ")
            raise ValueError(
                f"like: needs the encoder that was trained with the generator, and {file!r} has none that can be loaded; "
                f"give its weights file by --encoder ({said})"
            ) from error
        if not isinstance(encoder, asymkit.AuxEncoder) or encoder.aux_channels != self.generator.aux_channels:
            raise ValueError(
                f"like: expected an AuxEncoder with a z of {self.generator.aux_channels} values, as the generator takes, "
                f"got {type(encoder).__name__}({encoder.extra_repr()}); give the one that was trained with it by --encoder"
            )
        return encoder


def load_trained(source: Path, direction: str | None = None) -> Trained:
    """The generator of a run's folder or training state, of a weights file, a folder to share or a published checkpoint.

    Args:
        source: the folder or file.
        direction: name of the network; None: "poor_to_rich" of a run between two domains, "translator" of one between
            many, and in other files the only network.

    Raises:
        ValueError: no such file, no generator in it, several and no direction, or one that does not translate pictures.
    """
    try:
        file = file_of(source)
        held = read_file(file)
        if not isinstance(held, Mapping):
            raise ValueError(f"{str(file)!r} holds a {type(held).__name__}; expected weights by name")
        said = _said(file, held)
    except ValueError as error:
        before = previous_of(source / "checkpoint.pt" if source.is_dir() else source)
        hint = f"; the training state before it is {str(before)!r}" if before.exists() else ""
        raise ValueError(f"run: {error}{hint}") from error
    settings, meaning = said or ({}, {})
    _check_method(source, settings, meaning)
    if direction is None and said is not None:
        direction = "translator" if "domains by number" in meaning else "poor_to_rich"
    # weights do not show that z is spatial, settings of a run do
    spatial = settings.get("spatial") is True and str(direction).endswith("poor_to_rich")
    generator = _network(held, file, direction, spatial)
    if not hasattr(generator, "to_image"):
        raise ValueError(
            f"direction: the network {direction or 'in ' + str(file)!r} is a {type(generator).__name__}, which does not "
            "translate images; give the name of a generator"
        )
    channels = generator.in_channels, generator.to_image.weight.shape[0]
    if not set(channels) <= {1, 3}:
        raise ValueError(
            f"run: the generator takes images of {channels[0]} channels and gives {channels[1]}; pictures are read and "
            "written with 1 (grey) or 3 (RGB); call it from Python, asymkit.AnySize(asymkit.load_network(…))"
        )
    return Trained(source, held, generator, direction, settings, meaning)


def translator(generator: nn.Module, device: str | None, tile: int | None = None) -> Callable[..., Tensor]:
    """Translates an image of any size with values of 0 to 255, given a condition or None; image and result are on the CPU.

    Args:
        generator: takes the image and the condition.
        device: where it computes. None: on the accelerator, if there is one.
        tile: side of the tiles that the image is cut into, or None.

    Raises:
        ValueError: PyTorch does not know the device.
    """
    if tile is not None:
        generator = asymkit.Tiled(generator, tile=tile)
    chosen = device or torch.accelerator.current_accelerator(check_available=True) or "cpu"
    try:
        network = asymkit.AnySize(generator, value_range=(0, 255)).to(chosen)
    except (RuntimeError, AssertionError) as error:  # PyTorch's for names it does not know, or was built without
        raise ValueError(f"device: {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    place = torch.device("cpu") if tile else next(network.parameters()).device  # tiles are sent one by one

    @torch.inference_mode()
    def translate(image: Tensor, condition: Tensor | None) -> Tensor:
        return network(image.to(place), None if condition is None else condition.to(place)).cpu()

    return translate


def _said(file: Path, held: Mapping[Any, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]] | None:
    """Settings of a run and what its images were, of its training state or of what share.py wrote; else None."""
    if isinstance(held.get("parts"), Mapping) and isinstance(held.get("settings"), Mapping):
        return held["settings"], held["parts"].get("data", {}).get("meaning", {})
    shared = _beside(file, RUN)
    if shared is None:
        return None
    settings, meaning = (shared.get(name) for name in ("settings", "meaning"))
    if not isinstance(settings, dict) or not isinstance(meaning, dict):
        raise ValueError(
            f"{RUN} beside {str(file)!r} is damaged: it has no settings and meaning; copy the folder again"
        )
    return settings, meaning


def _check_method(source: Path, settings: Mapping[str, Any], meaning: Mapping[str, str]) -> None:
    """Refuse runs whose translator is not one network that takes an image alone."""
    if "style" in settings and "rich domain" in meaning:
        raise ValueError(
            f"run: {str(source)!r} is a run of asyncgan_munit.py, which translates by the content encoder of one domain "
            "and the decoder of the other; translate.py takes single networks. Build its Munit in Python"
        )
    if "pairs" in meaning:
        raise ValueError(
            f"run: {str(source)!r} is a run of asymmetricgan_gesture.py, whose generator needs a skeleton beside each "
            "photo; translate.py takes photos alone. Call asymkit.load_network(run, 'translator')(photo, skeleton) in Python"
        )


def _network(held: Mapping[Any, Any], file: Path, direction: str | None, spatial: bool) -> Any:
    try:
        names = list(flat_of(tree_of(held)))
        for pattern, load in PUBLISHED.items():
            if any(map(pattern.search, names)):
                return load(held if direction is None else asymkit.read_state_dict(file, direction)).eval()
        if config := _beside(file, "config.json"):  # of a folder for the hub, which says it too
            spatial = spatial or config.get("spatial") is True
        return asymkit.load_network(held, direction, spatial=spatial)
    except ValueError as error:
        said = CHOICE.sub(r"give --direction \1", str(error)).replace("leave part out", "leave --direction out")
        raise ValueError(f"run: {str(file)!r}: {said}") from error


def _beside(file: Path, name: str) -> dict[str, Any] | None:
    """What a JSON file beside safetensors holds; None where there is none."""
    path = file.with_name(name)
    if file.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{name} beside it is damaged: {error}") from error
    return found if isinstance(found, dict) else {}
