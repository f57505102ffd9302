"""What happens before the first step: the accelerator, the run's folder, the feature network; and small helpers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import set_seed
from torch import Tensor, nn
from tqdm import tqdm

from asymkit import VGGFeatures
from asymkit.layers import ConditionalInstanceNorm2d, init_normal
from asymkit.objectives.asymgan import Critics, Translators

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Precision = Literal["auto", "no", "bf16"]


def start(precision: Precision, seed: int, minutes: float | None) -> Accelerator:
    """Choose device, precision and processes, and seed everything.

    Args:
        precision: "auto" takes bfloat16 on a GPU that has it.
        seed: different on every process, or all would sample the same z.
        minutes: a time limit, if there is one.

    Raises:
        ValueError: a time limit for several processes, whose clocks would disagree.
    """
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    ddp = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(mixed_precision=precision, kwargs_handlers=[ddp])
    if minutes is not None and accelerator.num_processes > 1:
        raise ValueError("minutes: a time limit works with one process; give epochs instead")
    set_seed(seed, device_specific=True)
    return accelerator


def new_folder(folder: Path, settings: DataclassInstance, resume: bool, writing: bool) -> dict[str, Any]:
    """Make the run's folder and write settings.json; the settings as plain values.

    Args:
        folder: of the run.
        settings: everything the run was started with.
        resume: whether the folder is to hold a run already.
        writing: False on all processes but the main one.

    Raises:
        ValueError: the folder holds a run already and this is not to resume it.
    """
    if not resume and (folder / "checkpoint.pt").exists():
        raise ValueError(
            f"out: {str(folder)!r} holds a run already; add --resume to go on with it, or give another --out"
        )
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    if writing:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(plain, indent=2) + "\n")
    return plain


def vgg_features(weights: str, *layers: list[str]) -> tuple[list[VGGFeatures], list[str]]:
    """A frozen VGG16 for each list of layers, and what a reader of the results must know about them.

    Args:
        weights: "imagenet", "random", the path of a file, or "auto": imagenet, and random where they cannot be had.
        *layers: names such as "relu2_2".
    """
    chosen = None if weights == "random" else "imagenet" if weights == "auto" else weights
    notes: list[str] = []
    try:
        networks = [VGGFeatures(names, chosen) for names in layers]
    except RuntimeError as error:
        if weights != "auto":
            raise
        notes.append(str(error))
        networks = [VGGFeatures(names, None) for names in layers]
    if not networks[0].pretrained:
        notes.insert(0, "Content and style are compared by a VGG16 with random weights: edges and colours, no objects.")
    return networks, notes


def start_strong(model: Translators, critics: Critics) -> None:
    """First weights with which z matters at once: N(0, 0.02) needs a thousand steps to get there in narrow networks.

    Encoder and critic of z, which have no norms, get weights that keep the size of activations (He et al. 2015), and
    the scales and shifts that z controls N(0, 0.3).
    """
    for network in filter(None, (model.encoder, critics.aux)):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    for layer in model.poor_to_rich.modules():
        if isinstance(layer, ConditionalInstanceNorm2d):
            init_normal(layer, std=0.3)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The same rate for all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def numbers(terms: Mapping[str, Tensor], prefix: str = "") -> dict[str, float]:
    """Losses as floats.

    Raises:
        RuntimeError: one is not finite; the message names it.
    """
    values = {f"{prefix}{name}": term.item() for name, term in terms.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise RuntimeError(
                f"{name} is {value}: the training has diverged; lower the learning rates or resume earlier"
            )
    return values


class Progress:
    """A bar with losses and time to go, fed with the part of the training that is done."""

    def __init__(self, visible: bool) -> None:
        style = "{percentage:3.0f}%|{bar:12}| {elapsed}<{remaining} {postfix}"
        self._bar = tqdm(total=1.0, bar_format=style, disable=not visible, dynamic_ncols=True)

    def show(self, done: float, losses: Mapping[str, float], names: tuple[str, ...]) -> None:
        """Update the bar; ``names`` are the losses worth the room."""
        self._bar.set_postfix({name: f"{losses[name]:.2f}" for name in names}, refresh=False)
        self._bar.update(min(done, 1.0) - self._bar.n)

    def close(self) -> None:
        """Leave the finished bar on the screen."""
        self._bar.close()
