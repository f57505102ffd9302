"""A pair of generators of unequal size: one translates, a smaller one reconstructs."""

from __future__ import annotations

from typing import Any, Literal, cast

from torch import Tensor, nn

from asymkit.arguments import modules, one_of, sizes
from asymkit.layers import Upsampling
from asymkit.networks.generators import ResnetGenerator
from asymkit.networks.label_generators import PlainGenerator, StarGenerator

Preset = Literal["S1", "S2", "S3"]
Sharing = Literal["none", "partial", "full"]


class DualGenerator(nn.Module):
    """A translator Gᵗ and a smaller reconstructor Gʳ [AsymmetricGAN §3.1].

    The reconstructor is needed for the cycle loss, in training only. It may be much smaller than the translator and may
    share weights with it. ``forward`` is :meth:`translate`.

    Args:
        translator: Gᵗ, any ``(image, condition) -> image``.
        reconstructor: Gʳ, another generator, which may share modules with the translator, or the translator itself
            (StarGAN).

    Raises:
        ValueError: an argument is not a module.

    Example:
        >>> import torch
        >>> from asymkit import DualGenerator
        >>> dual = DualGenerator.preset("S2", domains=3, width=8)
        >>> photo, summer, winter = torch.zeros(1, 3, 32, 32), torch.tensor([0]), torch.tensor([2])
        >>> snowy = dual.translate(photo, winter)
        >>> dual.reconstruct(snowy, summer).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, translator: nn.Module, reconstructor: nn.Module) -> None:
        super().__init__()
        modules(translator=translator, reconstructor=reconstructor)
        self.translator, self.reconstructor = translator, reconstructor

    @classmethod
    def preset(
        cls,
        name: Preset,
        domains: int,
        sharing: Sharing = "none",
        width: int = 64,
        in_channels: int = 3,
        out_channels: int = 3,
        label_embedding: int | None = None,
        upsampling: Upsampling = "transposed",
    ) -> DualGenerator:
        """One of the paper's three combinations, Gᵗ always architecture III [AsymmetricGAN §3.1].

        Args:
            name: architecture of Gʳ: I for "S1", II for "S2", the paper's and the examples' choice, III for "S3".
            domains: number of domains, at most 10,000.
            sharing: "none"; "partial", all layers before the up-sampling that both have; "full", one generator for
                both tasks, which is StarGAN.
            width: output channels of the first layer of architectures II and III, at most 1,024.
            in_channels: of the images, at most 4,096.
            out_channels: of the results, at most 4,096; Gʳ has both the other way round.
            label_embedding: of both generators, as in :class:`asymkit.StarGenerator`.
            upsampling: "transposed" or "resize", of architectures II and III; I has no up-sampling.

        Returns:
            The pair.

        Raises:
            ValueError: name or sharing is unknown, these architectures cannot share, or a size is out of bounds.

        Example:
            >>> from asymkit import DualGenerator
            >>> dual = DualGenerator.preset("S3", domains=7, sharing="full")
            >>> dual.translator is dual.reconstructor, sum(p.numel() for p in dual.parameters() if p.ndim > 1)
            (True, 8429376)
        """
        one_of("name", name, ("S1", "S2", "S3"))
        one_of("sharing", sharing, ("none", "partial", "full"))
        if name == "S1" and sharing != "none":
            raise ValueError(
                f"sharing={sharing!r} is impossible with S1: architectures III and I have no layer of one shape; "
                "use sharing='none', or preset S2 or S3"
            )
        if name == "S2" and sharing == "full":
            raise ValueError(
                "sharing='full' is impossible with S2: its two architectures differ, and full sharing means one network "
                "for both tasks; use S3 for it, or sharing='partial'"
            )
        if sharing != "none" and in_channels != out_channels:
            raise ValueError(
                f"sharing={sharing!r} needs as many channels in as out, got in_channels={in_channels} and "
                f"out_channels={out_channels}; use sharing='none'"
            )
        labels: dict[str, Any] = {"domains": domains, "label_embedding": label_embedding}
        star: dict[str, Any] = {"width": width, "upsampling": upsampling, **labels}
        back: dict[str, Any] = {"in_channels": out_channels, "out_channels": in_channels}
        translator = StarGenerator(**star, in_channels=in_channels, out_channels=out_channels)
        if sharing == "full":
            return cls(translator, translator)
        if name == "S1":
            return cls(translator, PlainGenerator(**labels, **back))
        reconstructor = StarGenerator(**star, **back, blocks=0 if name == "S2" else 6)
        if sharing == "partial":
            _share_before_upsampling(translator, reconstructor)
        return cls(translator, reconstructor)

    @classmethod
    def supervised(
        cls,
        width: int = 64,
        reconstructor_width: int = 4,
        blocks: int = 9,
        in_channels: int = 3,
        skeleton_channels: int = 3,
        *,
        upsampling: Upsampling = "transposed",
    ) -> DualGenerator:
        """The pair for hand skeletons: two :class:`asymkit.ResnetGenerator` of unequal width [AsymmetricGAN §3.2].

        Args:
            width: output channels of Gᵗ's first layer, at most 1,024; 11.388M parameters with the paper's 64.
            reconstructor_width: output channels of Gʳ's first layer, at most 1,024; 0.046M parameters with the paper's 4.
            blocks: residual blocks of both, at most 256.
            in_channels: of the images.
            skeleton_channels: of the skeleton images, the condition; images and skeletons have at most 4,096 together.
            upsampling: "transposed" or "resize".

        Raises:
            ValueError: a size is out of bounds, or upsampling is unknown.

        Example:
            >>> import torch
            >>> from asymkit import DualGenerator
            >>> dual = DualGenerator.supervised(width=8, blocks=2)
            >>> photo, skeleton = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
            >>> dual.translate(photo, skeleton).shape
            torch.Size([1, 3, 32, 32])
        """
        in_channels, skeleton_channels = sizes(in_channels=in_channels, skeleton_channels=skeleton_channels)
        (reconstructor_width,) = sizes(reconstructor_width=reconstructor_width)
        channels = in_channels + skeleton_channels
        return cls(
            ResnetGenerator(channels, in_channels, width, blocks, upsampling=upsampling),
            ResnetGenerator(channels, in_channels, reconstructor_width, blocks, upsampling=upsampling),
        )

    @property
    def multiple(self) -> int:
        """Height and width must be divisible by this; the translator's ``multiple``."""
        return cast(int, self.translator.multiple)

    @property
    def least_side(self) -> int:
        """Height and width must be at least this; the translator's ``least_side``."""
        return cast(int, self.translator.least_side)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Translate: the same as :meth:`translate`."""
        return self.translate(image, condition)

    def translate(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Gᵗ(x, g_y): translate an image to the target label or skeleton."""
        return self.translator(image, condition)

    def reconstruct(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Gʳ(y', g_x): reconstruct an image from its translation and its original label or skeleton."""
        return self.reconstructor(image, condition)


def _share_before_upsampling(translator: StarGenerator, reconstructor: StarGenerator) -> None:
    if len(translator.blocks) != len(reconstructor.blocks) and translator.label_embedding is not None:
        raise ValueError(
            "sharing='partial' is impossible with S2 and a label embedding: it enters before the blocks of one generator "
            "and at the image of the other, so their first layers differ; use S3, or label_embedding=None"
        )
    reconstructor.encoder, reconstructor.embed = translator.encoder, translator.embed
    reconstructor.label_at_blocks = translator.label_at_blocks
    if len(translator.blocks) == len(reconstructor.blocks):
        reconstructor.blocks = translator.blocks
