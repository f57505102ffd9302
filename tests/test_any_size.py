"""Any height, width, number of channels and range of values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim

from asymkit import (
    AnySize,
    AuxGenerator,
    DualGenerator,
    HighResGenerator,
    PlainGenerator,
    ResnetGenerator,
    StarGenerator,
)

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}


@given(h=st.integers(1, 41), w=st.integers(1, 41), c=st.sampled_from([1, 2, 4, 13]), which=st.integers(0, 4))
@settings(deadline=None, max_examples=40)
def test_every_generator_takes_every_size_and_number_of_channels(h: int, w: int, c: int, which: int) -> None:
    builders: list[Callable[[], nn.Module]] = [
        lambda: ResnetGenerator(c, 2, **SMALL),
        lambda: AuxGenerator(c, 2, **SMALL),
        lambda: HighResGenerator(c, 2, **SMALL),
        lambda: StarGenerator(3, in_channels=c, out_channels=2, **SMALL),
        lambda: PlainGenerator(3, in_channels=c, out_channels=2),
    ]
    generator = builders[which]()
    label = (torch.tensor([0, 2]),) if which > 2 else ()
    out = AnySize(generator)(torch.randn(2, c, h, w), *label)
    assert out.shape == (2, 2, h, w)
    assert out.isfinite().all()


def test_images_that_fit_are_left_alone() -> None:
    generator, image = ResnetGenerator(**SMALL), torch.randn(2, 3, 32, 24)
    assert torch.equal(AnySize(generator)(image), generator(image))


@pytest.mark.parametrize(("h", "w"), [(30, 45), (9, 31), (5, 3), (1, 1)])
def test_the_padding_is_that_of_torch(h: int, w: int) -> None:
    generator, image = ResnetGenerator(**SMALL), torch.randn(1, 3, h, w)
    down, right = max(-h % 4, 8 - h), max(-w % 4, 8 - w)
    padded = nn.functional.pad(image, (0, right, 0, 0), mode="reflect" if right < w else "replicate")
    padded = nn.functional.pad(padded, (0, 0, 0, down), mode="reflect" if down < h else "replicate")
    expected = generator(padded)[..., :h, :w]
    torch.testing.assert_close(AnySize(generator)(image), expected)
    torch._dynamo.reset()
    compiled = torch.compile(AnySize(generator), fullgraph=True, backend="eager")  # not in the form for torch.export
    torch.testing.assert_close(compiled(image), expected)


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (0.0, 255.0), (0.0, 65535.0), (-1000.0, 3000.0)])
def test_other_ranges_come_back_as_they_went_in(value_range: tuple[float, float]) -> None:
    generator, image = ResnetGenerator(**SMALL), torch.rand(1, 3, 16, 16) * 2 - 1
    low, high = value_range
    there = (image + 1) / 2 * (high - low) + low
    out = AnySize(generator, value_range=value_range)(there)
    torch.testing.assert_close((out - low) / (high - low) * 2 - 1, generator(image), rtol=0, atol=1e-4)
    assert low <= out.min()
    assert out.max() <= high


def test_a_condition_image_is_padded_alike_and_other_conditions_pass() -> None:
    generator = ResnetGenerator(5, 3, **SMALL)
    image, skeleton = torch.randn(1, 3, 30, 32), torch.randn(1, 2, 30, 32)
    padded = [nn.functional.pad(x, (0, 0, 0, 2), mode="reflect") for x in (image, skeleton)]
    torch.testing.assert_close(AnySize(generator)(image, skeleton), generator(*padded)[..., :30, :])
    aux, z = AuxGenerator(**SMALL), torch.randn(1, 8)
    torch.testing.assert_close(AnySize(aux)(image, z), aux(padded[0], z)[..., :30, :])


def test_foreign_generators_and_pairs() -> None:
    class NetG(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[2] % 16 == 0
            return x

    image = torch.rand(1, 3, 37, 50)
    torch.testing.assert_close(AnySize(NetG(), multiple=16)(image), image)
    with pytest.raises(ValueError, match=r"NetG has no attribute multiple: .* multiple=4"):
        AnySize(NetG())
    dual = DualGenerator.preset("S2", domains=3, width=4)
    assert AnySize(dual)(image, torch.tensor([1])).shape == image.shape
    assert AnySize(DualGenerator(HighResGenerator(**SMALL), HighResGenerator(**SMALL))).multiple == 8


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"low < high"):
        AnySize(ResnetGenerator(**SMALL), value_range=(1, 0))
    with pytest.raises(ValueError, match="multiple must be an integer"):
        AnySize(ResnetGenerator(**SMALL), multiple=0)
    with pytest.raises(ValueError, match=r"unsqueeze"):
        AnySize(ResnetGenerator(**SMALL))(torch.zeros(3, 32, 32))


def test_whole_numbers_are_refused_in_terms_of_the_range() -> None:
    with pytest.raises(
        ValueError, match=r"image must be floating point, of value_range \(0, 255\), .* use \.float\(\)"
    ):
        AnySize(ResnetGenerator(**SMALL), value_range=(0, 255))(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_gradients_flow() -> None:
    image = torch.randn(1, 3, 13, 18, requires_grad=True)
    AnySize(ResnetGenerator(**SMALL))(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().amin() > 0


@pytest.mark.slow
def test_an_exported_one_takes_sizes_that_nothing_divides(tmp_path: Path) -> None:
    network = AnySize(ResnetGenerator(**SMALL), value_range=(0, 255)).eval()
    open_sizes = {0: Dim("batch"), 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    program = torch.export.export(network, (torch.rand(2, 3, 61, 45),), dynamic_shapes=(open_sizes,), strict=False)
    torch.onnx.export(program, f=tmp_path / "network.onnx", dynamo=True, opset_version=18, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    for size in ((61, 45), (32, 40), (33, 71)):
        image = 255 * torch.rand(1, 3, *size)
        got = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(got), network(image), rtol=0, atol=255e-4)
