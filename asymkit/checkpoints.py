"""Published checkpoints in, asymkit modules out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from asymkit.networks import StarGenerator

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def load_stargan_generator(state_dict: Mapping[str, Tensor]) -> StarGenerator:
    """StarGAN's generator with the weights of a checkpoint of its published code (Choi et al. 2018).

    Width, blocks and number of domains are read off the shapes. Running statistics, which that code's older versions
    keep, are left out: instance norms here normalise each image by itself, as that code does in training.

    Args:
        state_dict: keys ``main.0.weight``, ``main.1.weight``, …, with or without a ``module.`` in front.

    Returns:
        The generator, its images and labels those of the checkpoint.

    Raises:
        ValueError: keys or shapes that are not those of a StarGAN generator.

    Example:
        >>> import torch
        >>> load_stargan_generator({"main.0.weight": torch.zeros(64, 8, 7, 7)})
        Traceback (most recent call last):
        ValueError: state_dict is no StarGAN generator: it has no residual blocks and no 'main.15.weight'
    """
    state = {key.removeprefix("module."): value for key, value in state_dict.items() if not key.endswith(STATISTICS)}
    blocks = len({match[1] for key in state if (match := re.match(r"main\.(\d+)\.main\.", key))})
    last = f"main.{15 + blocks}.weight"
    if "main.0.weight" not in state or last not in state:
        counted = f"{blocks} residual blocks" if blocks else "no residual blocks"
        raise ValueError(f"state_dict is no StarGAN generator: it has {counted} and no {last!r}")
    width, inputs = state["main.0.weight"].shape[:2]
    outputs = state[last].shape[0]
    generator = StarGenerator(inputs - outputs, blocks, width, in_channels=outputs, out_channels=outputs)
    renamed = {_stargan_name(key, blocks): value for key, value in state.items()}
    try:
        generator.load_state_dict(renamed)
    except RuntimeError as error:
        raise ValueError(f"state_dict is no StarGAN generator: {error}") from error
    return generator


def _stargan_name(key: str, blocks: int) -> str:
    """main.0 … main.21 as the layers they are: (conv, norm, ReLU) three times, blocks, (conv, norm, ReLU) twice, conv."""
    match = re.fullmatch(r"main\.(\d+)\.(?:main\.(\d)\.)?(weight|bias)", key)
    if match is None:
        return key
    place, inner, part = int(match[1]), match[2], match[3]
    kind = ("conv", "norm")
    if inner is not None:
        layer = {"0": "conv1", "1": "norm1", "3": "conv2", "4": "norm2"}.get(inner, inner)
        return f"blocks.{place - 9}.{layer}.{part}"
    if place < 9:
        return f"encoder.{place // 3}.{kind[place % 3]}.{part}" if place % 3 < 2 else key
    place -= 9 + blocks
    if place < 6:
        return f"decoder.{place // 3}.{kind[place % 3]}.{part}" if place % 3 < 2 else key
    return f"to_image.{part}"
