"""A compact MUNIT: what an image shows as a map of content, how it looks as a vector of style, and a decoder of both.

After the idea of Huang et al., Multimodal Unsupervised Image-to-Image Translation, ECCV 2018; the code is our own, and
smaller: style enters by conditional instance norms whose scales and shifts one linear layer gives, and the images'
critics see one scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asymkit import AuxEncoder, LeastSquaresLoss
from asymkit.blocks import ConditionalResidualBlock, ResidualBlock
from asymkit.layers import ConvNormReLU, conv3x3, conv7x7, init_normal, upsample2x
from asymkit.objectives.terms import TermWeights, aux_l1, l1


class ContentEncoder(nn.Module):
    """Images (N, 3, H, W) to content (N, 4·width, H/4, W/4)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvNormReLU(conv7x7(3, width), width),
            ConvNormReLU(conv3x3(width, 2 * width, stride=2), 2 * width),
            ConvNormReLU(conv3x3(2 * width, 4 * width, stride=2), 4 * width),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
        )
        init_normal(self)

    def forward(self, image: Tensor) -> Tensor:
        """Encode."""
        content: Tensor = self.layers(image)
        return content


class StyledDecoder(nn.Module):
    """Content and style (N, style) to images in [-1, 1]."""

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ConditionalResidualBlock(4 * width, style) for _ in range(blocks))
        # no norms from here on: they would take away the colours that the style asked for
        self.up = nn.Sequential(
            upsample2x(4 * width, 2 * width, "resize"), nn.ReLU(), upsample2x(2 * width, width, "resize"), nn.ReLU()
        )
        self.to_image = conv7x7(width, 3)
        for layer in self.up:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Decode."""
        for block in self.blocks:
            content = block(content, style)
        return torch.tanh(self.to_image(self.up(content)))


class AutoEncoder(nn.Module):
    """One domain's content encoder, style encoder and decoder."""

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        self.content = ContentEncoder(width, blocks)
        self.style = AuxEncoder(aux_channels=style, width=width)
        self.decoder = StyledDecoder(width, blocks, style)


class Swapped(NamedTuple):
    """All that a joint step looks at."""

    x: Tensor
    y: Tensor
    same_x: Tensor  # decoded from x's own content and style
    same_y: Tensor
    fake_rich: Tensor  # y's content in a sampled style
    fake_poor: Tensor
    content_x: Tensor
    content_y: Tensor
    rebuilt_content_x: Tensor  # of fake_poor
    rebuilt_content_y: Tensor
    style_rich: Tensor  # sampled
    style_poor: Tensor
    rebuilt_style_rich: Tensor  # of fake_rich
    rebuilt_style_poor: Tensor


class Paired(NamedTuple):
    """All that a partial step looks at."""

    x: Tensor
    poor: Tensor  # what the frozen direction made of x, without a graph
    rebuilt: Tensor  # poor's content in x's style
    fake_rich: Tensor  # poor's content in a sampled style
    style_rich: Tensor  # sampled
    rebuilt_style_rich: Tensor  # of fake_rich


class Munit(nn.Module):
    """Two auto-encoders; both phases through one ``forward``.

    Args:
        width: feature maps after the first layer.
        blocks: residual blocks of each encoder and decoder.
        style: length of a style.
    """

    def __init__(self, width: int, blocks: int, style: int) -> None:
        super().__init__()
        self.style = style
        self.rich, self.poor = AutoEncoder(width, blocks, style), AutoEncoder(width, blocks, style)

    def rich_to_poor_parts(self) -> list[nn.Module]:
        """What makes a poor image of a rich one, and is frozen in partial steps: parts of both auto-encoders."""
        return [self.rich.content, self.poor.decoder]

    def forward(self, x: Tensor, y: Tensor | None = None) -> Swapped | Paired:
        """A joint step's images of x and y, or without y a partial step's."""
        style_rich, style_poor = (torch.randn(len(x), self.style, device=x.device) for _ in range(2))
        if y is None:
            with torch.no_grad():
                poor = self.poor.decoder(self.rich.content(x), style_poor)
            content = self.poor.content(poor)
            rebuilt, fake = self.rich.decoder(content, self.rich.style(x)), self.rich.decoder(content, style_rich)
            return Paired(x, poor, rebuilt, fake, style_rich, self.rich.style(fake))
        content_x, content_y = self.rich.content(x), self.poor.content(y)
        fake_rich, fake_poor = self.rich.decoder(content_y, style_rich), self.poor.decoder(content_x, style_poor)
        return Swapped(
            x,
            y,
            self.rich.decoder(content_x, self.rich.style(x)),
            self.poor.decoder(content_y, self.poor.style(y)),
            fake_rich,
            fake_poor,
            content_x,
            content_y,
            self.poor.content(fake_poor),
            self.rich.content(fake_rich),
            style_rich,
            style_poor,
            self.rich.style(fake_rich),
            self.poor.style(fake_poor),
        )


@dataclass(frozen=True)
class Weights(TermWeights):
    """MUNIT's weights, and Async-GAN's γ for the pseudo pairs."""

    adversarial_rich: float = 1.0
    adversarial_poor: float = 1.0
    image: float = 10.0
    content: float = 1.0
    style: float = 1.0
    pseudo: float = 10.0
    """γ."""


def generator_terms(made: Swapped | Paired, rich_critic: nn.Module, poor_critic: nn.Module) -> dict[str, Tensor]:
    """What the auto-encoders minimise in either phase, unweighted."""
    gan = LeastSquaresLoss()
    if isinstance(made, Paired):
        return {
            "adversarial_rich": gan.generator_loss([rich_critic(made.rebuilt), rich_critic(made.fake_rich)]),
            "pseudo": l1(made.rebuilt, made.x),
            "style": aux_l1(made.rebuilt_style_rich, made.style_rich),
        }
    contents = aux_l1(made.rebuilt_content_x, made.content_x) + aux_l1(made.rebuilt_content_y, made.content_y)
    styles = aux_l1(made.rebuilt_style_rich, made.style_rich) + aux_l1(made.rebuilt_style_poor, made.style_poor)
    return {
        "adversarial_rich": gan.generator_loss(rich_critic(made.fake_rich)),
        "adversarial_poor": gan.generator_loss(poor_critic(made.fake_poor)),
        "image": l1(made.same_x, made.x) + l1(made.same_y, made.y),
        "content": contents,
        "style": styles,
    }


def discriminator_terms(made: Swapped | Paired, rich_critic: nn.Module, poor_critic: nn.Module) -> dict[str, Tensor]:
    """What the critics minimise in either phase; a partial one leaves the poor domain's alone."""
    gan = LeastSquaresLoss()
    if isinstance(made, Paired):
        fakes = [rich_critic(made.rebuilt.detach()), rich_critic(made.fake_rich.detach())]
        return {"adversarial_rich": gan.discriminator_loss(rich_critic(made.x), fakes)}
    return {
        "adversarial_rich": gan.discriminator_loss(rich_critic(made.x), rich_critic(made.fake_rich.detach())),
        "adversarial_poor": gan.discriminator_loss(poor_critic(made.y), poor_critic(made.fake_poor.detach())),
    }
