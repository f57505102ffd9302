"""Out to production: torch.export and ONNX, with batch, height and width left open, give what the module gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from asymkit import AuxEncoder, AuxGenerator, HighResGenerator, PlainGenerator, ResnetGenerator, StarGenerator

BATCH, HEIGHT, WIDTH = Dim("batch"), Dim("height", min=4), Dim("width", min=4)
SMALL: dict[str, Any] = {"width": 8, "blocks": 1}


class Case(NamedTuple):
    network: Callable[[], nn.Module]
    condition: Callable[[int, int, int], Tensor] | None = None
    """From batch, height and width."""
    open_sizes: dict[int, Any] | None = None
    """Of the condition."""
    multiple: int = 4


def spots(n: int, _h: int, _w: int) -> Tensor:
    return torch.randint(0, 5, (n,))


def vectors(n: int, _h: int, _w: int) -> Tensor:
    return torch.randn(n, 5)


def skeletons(n: int, h: int, w: int) -> Tensor:
    return torch.randn(n, 2, h, w)


def maps(n: int, h: int, w: int) -> Tensor:
    return torch.randn(n, 5, h // 8, w // 8)


EACH = {0: BATCH}
CASES = {
    "resnet": Case(lambda: ResnetGenerator(**SMALL)),
    "resnet, resized": Case(lambda: ResnetGenerator(**SMALL, upsampling="resize")),
    "resnet, skeleton": Case(
        lambda: ResnetGenerator(5, 3, **SMALL), skeletons, {0: BATCH, 2: 4 * HEIGHT, 3: 4 * WIDTH}
    ),
    "star, numbers": Case(lambda: StarGenerator(5, **SMALL), spots, EACH),
    "star, vectors": Case(lambda: StarGenerator(5, **SMALL), vectors, EACH),
    "plain": Case(lambda: PlainGenerator(5), vectors, EACH, multiple=1),
    "aux, cin": Case(lambda: AuxGenerator(aux_channels=5, **SMALL), vectors, EACH),
    "aux, concat": Case(lambda: AuxGenerator(aux_channels=5, injection="concat", **SMALL), vectors, EACH),
    "aux, concat_all": Case(lambda: AuxGenerator(aux_channels=5, injection="concat_all", **SMALL), vectors, EACH),
    "aux, spatial": Case(
        lambda: AuxGenerator(aux_channels=5, injection="concat", spatial=True, **SMALL),
        maps,
        {0: BATCH, 2: HEIGHT, 3: WIDTH},
        multiple=8,
    ),
    "high, z": Case(lambda: HighResGenerator(aux_channels=5, **SMALL), vectors, EACH, multiple=8),
    "encoder": Case(lambda: AuxEncoder(width=8), multiple=8),
}


def inputs(case: Case, n: int, height: int, width: int) -> tuple[Tensor, ...]:
    image = torch.randn(n, 3, height, width)
    return (image,) if case.condition is None else (image, case.condition(n, height, width))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_exported_networks_agree_at_sizes_they_were_not_traced_with(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    network = case.network().eval()
    image_sizes: dict[int, Any] = {0: BATCH, 2: case.multiple * HEIGHT, 3: case.multiple * WIDTH}
    sizes = (image_sizes,) if case.condition is None else (image_sizes, case.open_sizes)
    program = torch.export.export(network, inputs(case, 2, 64, 48), dynamic_shapes=sizes, strict=False)
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not {target for target in targets if not target.startswith(("aten.", "<built-in", "_operator", "prims."))}
    exported = program.module()
    torch.onnx.export(program, f=tmp_path / "network.onnx", dynamo=True, opset_version=18, verbose=False)
    model = onnx.load(tmp_path / "network.onnx")
    assert next(entry.version for entry in model.opset_import if not entry.domain) >= 18
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    names = [each.name for each in session.get_inputs()]

    for n, height, width in ((2, 64, 48), (1, 32, 72), (3, 48, 40)):
        given = inputs(case, n, height, width)
        with torch.inference_mode():
            wanted = network(*given)
            torch.testing.assert_close(exported(*given), wanted, rtol=0, atol=1e-5)
        got = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})[0]
        torch.testing.assert_close(torch.from_numpy(got), wanted, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_an_exported_program_survives_a_file(tmp_path: Path) -> None:
    generator, image = ResnetGenerator(**SMALL).eval(), torch.randn(1, 3, 32, 32)
    torch.export.save(torch.export.export(generator, (image,)), tmp_path / "network.pt2")
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    torch.testing.assert_close(loaded(image), generator(image), rtol=0, atol=1e-5)
