"""Two generators in one module: what they share, and StarGAN as the case in which they share everything."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from published import StarGANGenerator
from torch import Tensor, nn

from asymkit import DomainDiscriminator, DualGenerator, load_stargan_generator
from asymkit.networks.dual import Preset, Sharing

POSSIBLE: list[tuple[Preset, Sharing]] = [
    ("S1", "none"), ("S2", "none"), ("S2", "partial"), ("S3", "none"), ("S3", "partial"), ("S3", "full"),
]  # fmt: skip


def small(name: Preset, sharing: Sharing) -> DualGenerator:
    return DualGenerator.preset(name, domains=3, sharing=sharing, width=8)


def both(dual: DualGenerator) -> tuple[Tensor, Tensor]:
    image, label = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32), torch.tensor([2])
    return dual.translate(image, label), dual.reconstruct(image, label)


@pytest.mark.parametrize(
    ("name", "sharing", "generators", "with_discriminator"),
    [
        ("S1", "none", 8_429_376 + 2_898, None),  # Table 8: 8.4M + 2.9K
        ("S2", "none", 8_429_376 + 1_351_488, None),  # 8.4M + 1.3M
        ("S3", "none", 2 * 8_429_376, 61_637_184),  # 8.4M + 8.4M; Table 10: 61.6M
        ("S3", "partial", 9_094_144, 53_872_576),  # 53.8M
        ("S2", "partial", 9_094_144, 53_872_576),
        ("S3", "full", 8_429_376, 53_207_808),  # 53.2M
    ],
)
def test_counts_of_the_paper(name: Preset, sharing: Sharing, generators: int, with_discriminator: int | None) -> None:
    dual = DualGenerator.preset(name, domains=7, sharing=sharing)
    assert sum(p.numel() for p in dual.parameters() if p.ndim > 1) == generators
    if with_discriminator is not None:
        assert generators + sum(p.numel() for p in DomainDiscriminator(7).parameters()) == with_discriminator


@pytest.mark.parametrize("name", ["S1", "S2", "S3"])
def test_both_generators_embed_the_label(name: Preset) -> None:
    dual = DualGenerator.preset(name, domains=3, width=8, label_embedding=5)
    for generator in (dual.translator, dual.reconstructor):
        assert [layer.weight.shape for layer in generator.modules() if isinstance(layer, nn.Linear)] == [(5, 3)]


def test_counts_of_the_supervised_pair() -> None:
    dual = DualGenerator.supervised()
    assert sum(p.numel() for p in dual.translator.parameters()) == 11_387_587  # printed as 11.388M
    assert sum(p.numel() for p in dual.reconstructor.parameters()) == 46_447  # 0.046M


@pytest.mark.parametrize(("name", "sharing"), POSSIBLE)
def test_shared_parameters_appear_once_and_both_users_move(name: Preset, sharing: Sharing) -> None:
    dual = small(name, sharing)
    names = [n for n, _ in dual.named_parameters()]
    assert len({id(p) for p in dual.parameters()}) == len(names)
    shared = {id(p) for p in dual.translator.parameters()} & {id(p) for p in dual.reconstructor.parameters()}
    assert bool(shared) == (sharing != "none")
    before = both(dual)
    optimizer = torch.optim.Adam(dual.translator.parameters(), 0.01)
    before[0].square().mean().backward()
    optimizer.step()
    after = both(dual)
    assert not torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1]) == (sharing == "none")


@pytest.mark.parametrize(("name", "sharing"), POSSIBLE)
def test_sharing_survives_copies_and_checkpoints(name: Preset, sharing: Sharing) -> None:
    dual = small(name, sharing)
    expected, count = both(dual), sum(p.numel() for p in dual.parameters())
    file = io.BytesIO()
    torch.save(dual.state_dict(), file)
    file.seek(0)
    loaded = small(name, sharing)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (copy.deepcopy(dual), loaded):
        assert all(torch.equal(a, b) for a, b in zip(both(other), expected, strict=True))
        assert sum(p.numel() for p in other.parameters()) == count


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["partial", "full"])
def test_shared_networks_compile(sharing: Sharing) -> None:
    dual = small("S3", sharing)
    compiled: Any = torch.compile(dual, fullgraph=True)
    image, label = torch.rand(1, 3, 32, 32), torch.tensor([1])
    torch.testing.assert_close(compiled(image, label), dual(image, label), rtol=1e-3, atol=1e-4)
    torch._dynamo.reset()


def test_full_sharing_is_stargan() -> None:
    plain = StarGANGenerator(domains=3, width=8, blocks=6)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, 0.0 if parameter.ndim > 1 else 1.0, 0.2)
    dual = small("S3", "full")
    dual.translator.load_state_dict(load_stargan_generator(plain.state_dict()).state_dict())
    image, label = torch.rand(2, 3, 32, 32) * 2 - 1, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    expected = plain(image, label)
    torch.testing.assert_close(dual.translate(image, label), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dual.reconstruct(image, label), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("S1", {"sharing": "partial"}, "impossible with S1: architectures III and I have no layer of one shape"),
        ("S1", {"sharing": "full"}, "impossible with S1"),
        ("S2", {"sharing": "full"}, "impossible with S2: its two architectures differ"),
        ("S2", {"sharing": "partial", "label_embedding": 8}, "impossible with S2 and a label embedding"),
        ("S3", {"sharing": "partial", "in_channels": 1}, "as many channels in as out"),
        ("S4", {}, "name: unknown 'S4', did you mean 'S"),
        ("S3", {"sharing": "all"}, "sharing: unknown 'all'"),
        ("S3", {"domains": 0}, "domains must be"),
    ],
)
def test_what_cannot_be_is_refused(name: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DualGenerator.preset(name, **({"domains": 3} | options))
