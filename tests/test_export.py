"""Out to production: torch.export and ONNX, with batch, height and width left open, give what the module gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from asymkit import AuxEncoder, AuxGenerator, HighResGenerator, PlainGenerator, ResnetGenerator, StarGenerator, ops
from asymkit.layers import InstanceNorm2d

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
    "resnet, resized, skip": Case(lambda: ResnetGenerator(**SMALL, upsampling="resize", skip=True)),
    "resnet, skeleton": Case(
        lambda: ResnetGenerator(5, 3, **SMALL), skeletons, {0: BATCH, 2: 4 * HEIGHT, 3: 4 * WIDTH}
    ),
    "star, numbers": Case(lambda: StarGenerator(5, **SMALL), spots, EACH),
    "star, vectors": Case(lambda: StarGenerator(5, **SMALL), vectors, EACH),
    "plain": Case(lambda: PlainGenerator(5), vectors, EACH, multiple=1),
    "aux, cin": Case(lambda: AuxGenerator(aux_channels=5, **SMALL), vectors, EACH),
    "aux, cin_all": Case(lambda: AuxGenerator(aux_channels=5, injection="cin_all", **SMALL), vectors, EACH),
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


def is_recorded_in_pytorchs_operations(graph: str) -> bool:
    return "asymkit::" not in graph and "PythonOp" not in graph and "^_" not in graph


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["resnet", "plain", "aux, cin", "encoder"])
def test_traced_networks_are_saved_and_agree_at_other_sizes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    network = case.network().eval()
    traced = torch.jit.trace(network, inputs(case, 2, 32, 48))
    assert is_recorded_in_pytorchs_operations(str(traced.inlined_graph))
    traced.save(str(tmp_path / "network.pt"))
    loaded = torch.jit.load(str(tmp_path / "network.pt"))
    for n, height, width in ((2, 32, 48), (1, 40, 32)):
        given = inputs(case, n, height, width)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(*given), network(*given), rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["resnet", "plain", "aux, cin", "encoder"])
def test_the_legacy_exporter_of_onnx_agrees(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "network.onnx"
    network, given = case.network().eval(), inputs(CASES[name], 2, 32, 48)
    torch.onnx.export(network, given, str(path), dynamo=False, opset_version=17)
    operators = {node.op_type for node in onnx.load(path).graph.node}
    if name != "encoder":  # pooled, it has no norm
        assert "InstanceNormalization" in operators
    session = onnxruntime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]
    got = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})[0]
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(got), network(*given), rtol=0, atol=1e-4)


class Normed(nn.Module):
    """A norm behind a convolution, whose weights are learned: what is recorded must keep the bounded gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 1), InstanceNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


RECORDERS: dict[str, Callable[[nn.Module, Tensor], Callable[[Tensor], Tensor]]] = {
    "torch.jit.trace": lambda module, x: torch.jit.trace(module, x),
    "torch.export": lambda module, x: torch.export.export(module, (x,), strict=False).module(),
    "torch.compile": lambda module, x: torch.compile(module, fullgraph=True),
}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("recorder", RECORDERS)
def test_what_is_recorded_has_the_bounded_gradient(recorder: str) -> None:
    torch._dynamo.reset()
    module = Normed()
    nn.init.ones_(module.conv.weight)
    flat = 0.3 + 1e-4 * torch.randn(1, 1, 8, 8)
    weight = torch.randn(1, 1, 8, 8)

    def gradient(function: Callable[[Tensor], Tensor]) -> Tensor:
        x = flat.clone().requires_grad_()
        return torch.autograd.grad((function(x) * weight).sum(), x)[0]

    expected = gradient(module)
    assert gradient(lambda x: F.instance_norm(module.conv(x))).norm() > 10 * expected.norm()
    torch.testing.assert_close(gradient(RECORDERS[recorder](module, flat)), expected, rtol=1e-2, atol=1e-2)


def test_compilers_see_the_operations_of_every_op() -> None:
    seen: list[str] = []

    def look(graph: torch.fx.GraphModule, example: object) -> Callable[..., Any]:
        seen.append(str(graph.graph))
        return graph.forward

    def everything(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        normed = ops.conditional_instance_norm(x, scale, scale, "relu", y) + ops.instance_norm(x)
        losses = ops.ms_ssim(x, y, scales=1), ops.ssim(x, y), ops.color_l1(x, y), ops.total_variation(x)
        return torch.stack(losses).sum() + normed.mean() + ops.gram_matrix(x).mean()

    torch._dynamo.reset()
    x, y = torch.rand(2, 2, 3, 16, 16)
    found = torch.compile(everything, fullgraph=True, backend=look)(x, y, y[..., 0, 0])
    torch.testing.assert_close(found, everything(x, y, y[..., 0, 0]))
    assert len(seen) == 1
    assert "asymkit" not in seen[0]


def test_a_network_compiles_into_one_graph_with_the_same_gradients() -> None:
    torch._dynamo.reset()
    network, x = ResnetGenerator(width=4, blocks=1), torch.randn(1, 3, 16, 16)
    parameters = list(network.parameters())
    expected = network(x)
    found = torch.compile(network, fullgraph=True, backend="aot_eager")(x)
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(out.square().sum(), parameters) for out in (found, expected))
    # a bias before a norm has no gradient but rounding
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("how", ["trained", "without gradients", "frozen", "decomposed"])
def test_which_exports_keep_the_bound_of_the_gradient(how: str) -> None:
    """As docs/deploy.md says: only those of weights that are trained, as they were exported."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1), InstanceNorm2d(3)).requires_grad_(how != "frozen")
    flat, weight = 0.3 + 1e-4 * torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    with torch.set_grad_enabled(how != "without gradients"):
        program = torch.export.export(network, (flat,), strict=False)
    program = program.run_decompositions() if how == "decomposed" else program
    sizes = []
    for each in (network, program.module()):
        x = flat.clone().requires_grad_()
        sizes.append(torch.autograd.grad((each(x) * weight).sum(), x)[0].norm())
    assert (sizes[1] < 1.1 * sizes[0]) == (how == "trained")
