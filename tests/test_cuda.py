"""The Triton kernels on a card, against float64: shapes, types, layouts, streams, graphs, sizes beyond 32 bits.

Without a GPU the small cases run in Triton's interpreter, so that what is tested on the day there is one is known to
work; the rest says that it needs a CUDA device.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from measure import captured
from torch import Tensor

from asymkit import (
    AuxDiscriminator,
    AuxEncoder,
    AuxGenerator,
    CapturableImagePool,
    CapturedStep,
    ImagePools,
    MSSSIMLoss,
    PatchDiscriminator,
    ResnetGenerator,
    StepGuard,
    frozen,
    linear_decay,
    ops,
)
from asymkit.objectives import asymgan
from asymkit.ops import backend
from asymkit.ops.backend import Backend
from asymkit.ops.eager.norm import layout_of
from asymkit.ops.padding import reflect_pad, replicate_pad

pytest.importorskip("triton", reason="Triton is not installed")
# deterministic mode is turned on to fill memory with NaN, and warns of other operations
CUDA = torch.cuda.is_available()
pytestmark = [pytest.mark.filterwarnings("ignore:.*deterministic")]
if not CUDA:  # the small cases run in Triton's interpreter, which takes minutes; test_kernels.py has more of them
    pytestmark.append(pytest.mark.slow)
DEVICE = "cuda" if CUDA else "cpu"
needs_gpu = pytest.mark.skipif(not CUDA, reason="needs a CUDA device: PyTorch finds none")
large = partial(pytest.param, marks=needs_gpu)

Op = Callable[..., Tensor]
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def _kernels_that_must_write_everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the kernels do not write is NaN; without a GPU they are taken all the same."""
    if not CUDA:
        eager, triton = Backend("eager", "float64"), Backend("triton", "for a test")
        monkeypatch.setattr(
            backend, "triton_or_eager", lambda device, dtype: eager if dtype == torch.float64 else triton
        )
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def norm(x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor) -> Tensor:
    return ops.conditional_instance_norm(x, scale, shift, "relu", residual)


def plain_norm(x: Tensor) -> Tensor:
    return ops.instance_norm(x, activation="leaky_relu")


def similarity(scales: int) -> Op:
    return partial(ops.ms_ssim, scales=scales)


def reflected(x: Tensor) -> Tensor:
    return reflect_pad(x, 3)


def maps(*shape: int, dtype: torch.dtype = torch.float32, layout: str = "NCHW") -> Tensor:
    """Noise in [-1, 1], the same on every device."""
    return (torch.rand(shape) * 2 - 1).to(DEVICE, dtype).contiguous(memory_format=LAYOUTS[layout])


def norm_inputs(*shape: int, dtype: torch.dtype = torch.float32, layout: str = "NCHW") -> list[Tensor]:
    x, residual = (maps(*shape, dtype=dtype, layout=layout) for _ in range(2))
    return [2 * x + 1, 1 + maps(*shape[:2]), maps(*shape[:2]), residual]


def image_inputs(*shape: int, dtype: torch.dtype = torch.float32, layout: str = "NCHW") -> list[Tensor]:
    x, noise = (maps(*shape, dtype=dtype, layout=layout) for _ in range(2))
    return [x, (x + 0.5 * noise).clamp(-1, 1)]


def results(op: Op, inputs: Sequence[Tensor], weight: Tensor) -> list[Tensor]:
    """The value, and the gradients of all inputs, which are given as they lie in memory."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = op(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, weight)]


def weight_of(op: Op, inputs: Sequence[Tensor]) -> Tensor:
    """A gradient of the value that gives the inputs gradients near 1, which float16 can hold."""
    like = op(*inputs)
    return (torch.randn(like.shape) * (inputs[0].numel() / like.numel())).to(like)


def assert_exact(op: Op, inputs: Sequence[Tensor], reference: str = "cpu", smooth: Tensor | None = None) -> None:
    """Value and gradients are those of float64, on the CPU, or where that takes minutes on the card.

    Where ``smooth`` is given, only values that are in it get a gradient: at a kink rounding decides which one.
    """
    weight = weight_of(op, inputs)
    weight = weight if smooth is None else weight * smooth
    found = results(op, inputs, weight)
    exact = results(op, [x.to(reference, torch.float64) for x in inputs], weight.to(reference, torch.float64))
    for got, wanted in zip(found, exact, strict=True):
        assert got.shape == wanted.shape
        difference = got.to(reference, torch.float64) - wanted
        assert difference.norm() <= TOLERANCES[got.dtype] * wanted.norm()


@needs_gpu
@pytest.mark.parametrize("op", ["conditional_instance_norm", "instance_norm", "ms_ssim", "ssim"])
def test_the_kernels_are_taken(op: str) -> None:
    assert ops.backend_of(op, torch.zeros(1, 3, 16, 16, device=DEVICE)).name == "triton"


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [
        (2, 3, 5, 7),
        (1, 5, 1, 3),
        large((1, 40, 9, 11)),
        large((1, 67, 127, 131)),
        large((8, 256, 64, 64)),
        large((1, 64, 256, 256)),
        large((2, 33, 1, 40_009)),
    ],
    ids=str,
)
def test_norm(shape: tuple[int, ...], layout: str, dtype: torch.dtype) -> None:
    inputs = norm_inputs(*shape, dtype=dtype, layout=layout)
    x, scale, shift, _ = inputs
    before = (ops.conditional_instance_norm(x, scale, shift), ops.instance_norm(x))  # the activation
    away_from_zero = [value.abs() > TOLERANCES[torch.float32] for value in before]
    assert_exact(norm, inputs, smooth=away_from_zero[0])
    assert_exact(plain_norm, inputs[:1], smooth=away_from_zero[1])
    out = norm(*inputs)
    assert out.dtype == dtype
    assert out.stride() == inputs[0].stride()


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape",
    [
        (2, 3, 5, 7),
        large((1, 70, 4, 66)),
        large((1, 67, 127, 131)),
        large((8, 256, 64, 64)),
        large((1, 3, 256, 256)),
        large((2, 33, 4, 40_009)),
    ],
    ids=str,
)
def test_padding(shape: tuple[int, ...], layout: str, dtype: torch.dtype) -> None:
    x = maps(*shape, dtype=dtype, layout=layout).requires_grad_()
    for op in (reflected, partial(reflect_pad, margin=1), replicate_pad):
        assert_exact(op, [x])
        out = op(x)
        assert layout_of(out) == layout_of(x)
        assert layout_of(torch.autograd.grad(out, x, torch.ones_like(out))[0]) == layout_of(x)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "scales"),
    [
        ((1, 2, 23, 22), 2),
        large((1, 1, 11, 11), 1),
        large((2, 3, 47, 53), 3),
        large((3, 5, 161, 163), 5),
        large((1, 3, 251, 509), 5),
        large((8, 3, 256, 256), 5),
    ],
    ids=str,
)
def test_similarity(shape: tuple[int, ...], scales: int, layout: str, dtype: torch.dtype) -> None:
    x, y = image_inputs(*shape, dtype=dtype, layout=layout)
    assert_exact(similarity(scales), (x, y))
    if CUDA:  # the other variants of the kernels
        assert_exact(lambda x: ops.ms_ssim(x, y.to(x), scales=scales), (x,))
        assert_exact(lambda y: ops.ssim(x.to(y), y), (y,))


def strided(x: Tensor) -> Tensor:
    wide = x.new_zeros(*x.shape[:-1], 2 * x.shape[-1])
    wide[..., ::2] = x
    return wide[..., ::2]


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def expanded(x: Tensor) -> Tensor:
    return x[:1].expand_as(x)


def misaligned(x: Tensor) -> Tensor:
    """One value after where 16 bytes begin."""
    memory = x.new_empty(x.numel() + 1)[1:].view(x.shape)
    return memory.copy_(x)


@pytest.mark.parametrize("change", [strided, transposed, expanded, misaligned])
@pytest.mark.parametrize("dtype", [torch.float32, large(torch.bfloat16)], ids=str)
def test_inputs_as_they_lie_in_memory(change: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    side = 64 if CUDA else 12
    assert_exact(norm, [change(x) for x in norm_inputs(2, 4, side, side, dtype=dtype)])
    assert_exact(similarity(1), [change(x) for x in image_inputs(2, 1, side, side + 1, dtype=dtype)])
    assert_exact(reflected, [change(maps(2, 4, side, side, dtype=dtype))])


EVERY: dict[str, tuple[Op, Callable[[], list[Tensor]]]] = {
    "norm": (norm, partial(norm_inputs, 2, 5, *((130, 127) if CUDA else (6, 5)))),
    "norm, channels-last": (
        norm,
        partial(norm_inputs, 2, 5, *((130, 127) if CUDA else (6, 5)), layout="channels-last"),
    ),
    "padding": (reflected, lambda: [maps(2, 5, *((130, 127) if CUDA else (6, 5)))]),
    "padding, channels-last": (
        reflected,
        lambda: [maps(2, 5, *((130, 127) if CUDA else (6, 5)), layout="channels-last")],
    ),
    "MS-SSIM": (similarity(5 if CUDA else 1), partial(image_inputs, 2, 3, *((203, 190) if CUDA else (13, 12)))),
}
every = pytest.mark.parametrize(("op", "build"), EVERY.values(), ids=EVERY)


@every
def test_repeats_are_equal_bit_by_bit(op: Op, build: Callable[[], list[Tensor]]) -> None:
    inputs = build()
    weight = weight_of(op, inputs)
    first = results(op, inputs, weight)
    for _ in range(20 if CUDA else 2):
        assert all(map(torch.equal, results(op, inputs, weight), first))


@needs_gpu
@every
def test_a_side_stream(op: Op, build: Callable[[], list[Tensor]]) -> None:
    """The inputs are written there, late: kernels on any other stream would read zeros."""
    inputs = build()
    weight = weight_of(op, inputs)
    expected = results(op, inputs, weight)
    late = [torch.zeros_like(x) for x in (*inputs, weight)]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        for target, x in zip(late, (*inputs, weight), strict=True):
            target.copy_(x)
        found = results(op, late[:-1], late[-1])
    torch.cuda.synchronize()
    assert all(map(torch.equal, found, expected))


@needs_gpu
@every
def test_a_graph_replayed_equals_eager(op: Op, build: Callable[[], list[Tensor]]) -> None:
    static = build()
    weight, kept = weight_of(op, static), list[Tensor]()

    def call() -> None:
        kept[:] = results(op, static, weight)

    replay = captured(call)
    for _ in range(2):
        fresh = build()
        for target, x in zip(static, fresh, strict=True):
            target.copy_(x)
        replay()
        assert all(map(torch.equal, kept, results(op, fresh, weight)))


@needs_gpu
def test_more_maps_than_a_grid_has_rows() -> None:
    """N·C = 70,000."""
    for layout in LAYOUTS:
        assert_exact(norm, norm_inputs(70, 1000, 4, 4, layout=layout))
        assert_exact(reflected, [maps(70, 1000, 4, 4, layout=layout)])
    assert_exact(similarity(1), image_inputs(14_000, 5, 11, 12))


@needs_gpu
def test_images_of_8192() -> None:
    assert_exact(similarity(5), image_inputs(1, 1, 8192, 8192), reference=DEVICE)


@needs_gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_of_more_than_two_billion_values(layout: str) -> None:
    shape = (1, 64, 5800, 5800)
    x, weight = (
        torch.empty(shape, dtype=torch.float16, device=DEVICE, memory_format=LAYOUTS[layout]).normal_()
        for _ in range(2)
    )
    found = results(plain_norm, [x], weight)
    for channel in (0, 31, 62, 63):
        one = slice(channel, channel + 1)
        exact = results(plain_norm, [x[:, one].double()], weight[:, one].double())
        for got, wanted in zip(found, exact, strict=True):
            assert (got[:, one].double() - wanted).norm() <= TOLERANCES[torch.float16] * wanted.norm()


@needs_gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_padding_of_maps_of_more_than_two_billion_values(layout: str) -> None:
    x = torch.empty(1, 64, 5800, 5800, dtype=torch.float16, device=DEVICE, memory_format=LAYOUTS[layout]).normal_()
    found = results(
        reflected, [x], weight := torch.ones(1, 1, 1, 1, dtype=x.dtype, device=DEVICE).expand_as(reflected(x))
    )
    for channel in (0, 31, 62, 63):
        one = slice(channel, channel + 1)
        exact = results(partial(F.pad, pad=(3, 3, 3, 3), mode="reflect"), [x[:, one].float()], weight[:, one].float())
        assert torch.equal(found[0][:, one].float(), exact[0])
        assert torch.equal(found[1][:, one].float(), exact[1])


@pytest.mark.parametrize(
    ("op", "count"),
    [(ops.gram_matrix, 1), (ops.color_l1, 2), (ops.total_variation, 1)],
    ids=["Gram", "colour L1", "TV"],
)
def test_ops_without_kernels(op: Op, count: int) -> None:
    inputs = image_inputs(2, 5, 33, 31)[:count]
    assert_exact(op, inputs)


def test_entropy() -> None:
    images = image_inputs(2, 3, 64, 65)[0]
    torch.testing.assert_close(ops.shannon_entropy(images).cpu(), ops.shannon_entropy(images.cpu()))


def test_gradients_of_the_reference_path() -> None:
    def double(inputs: list[Tensor]) -> Any:
        return tuple(x.double().requires_grad_() for x in inputs)

    assert torch.autograd.gradcheck(norm, double(norm_inputs(1, 2, 4, 5)), fast_mode=True)
    assert torch.autograd.gradcheck(similarity(2), double(image_inputs(1, 1, 21, 23)), fast_mode=True)


@needs_gpu
def test_compiles_into_one_graph() -> None:
    def both(x: Tensor, scale: Tensor, shift: Tensor, residual: Tensor) -> Tensor:
        return ops.ms_ssim(norm(x, scale, shift, residual).tanh(), residual, scales=2)

    inputs = norm_inputs(2, 3, 48, 48)
    weight = weight_of(both, inputs)
    compiled = results(torch.compile(both, fullgraph=True), inputs, weight)
    for got, wanted in zip(compiled, results(both, inputs, weight), strict=True):
        assert (got - wanted).norm() <= 1e-3 * wanted.norm()


class WholeStep:
    """A step of AsymGAN as an example takes it: pools, guards and schedules included, small enough for a test."""

    def __init__(self, read_every: int = 3) -> None:
        torch.manual_seed(0)
        self.model = asymgan.Translators(
            ResnetGenerator(width=8, blocks=1), AuxGenerator(width=8, blocks=1), AuxEncoder(width=8), extended=True
        ).to(DEVICE)
        discriminators = (
            PatchDiscriminator(width=8, layers=1),
            PatchDiscriminator(width=8, layers=1),
            AuxDiscriminator(8),
        )
        self.discriminators = asymgan.Discriminators(*discriminators).to(DEVICE)
        # eps far above the noise of gradients that are zero but for rounding, which Adam would make whole steps of
        self.optimizers = [
            torch.optim.Adam(part.parameters(), 2e-4, betas=(0.5, 0.999), eps=1e-2, fused=True)
            for part in (self.model, self.discriminators)
        ]
        self.schedules = [
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: linear_decay(step / 10, 0.2))
            for optimizer in self.optimizers
        ]
        self.guards = [StepGuard(read_every=read_every) for _ in self.optimizers]
        self.pools = ImagePools(3, capturable=True)
        self.structure = MSSSIMLoss(scales=1)

    def parameters(self) -> list[Tensor]:
        return [p.detach().clone() for part in (self.model, self.discriminators) for p in part.parameters()]

    def step(self, x: Tensor, y: Tensor, z: Tensor) -> dict[str, Tensor]:
        cycles = self.model(x, y, z)
        with frozen(self.discriminators):
            terms = asymgan.generator_terms(cycles, self.discriminators)
            loss = asymgan.Weights().total(terms) + self.structure(cycles.rebuilt_rich, x)
            self.optimizers[0].zero_grad()
            loss.backward()
            self.guards[0].step(self.optimizers[0], terms)
        terms_d = asymgan.discriminator_terms(self.pools(cycles), self.discriminators)
        self.optimizers[1].zero_grad()
        asymgan.Weights().total(terms_d).backward()
        self.guards[1].step(self.optimizers[1], terms_d)
        return {name: term.detach() for name, term in terms.items()}

    def batch(self) -> list[Tensor]:
        return [maps(2, 3, 32, 32), maps(2, 3, 32, 32), maps(2, 8)]


@needs_gpu
def test_a_whole_step_neither_waits_nor_copies() -> None:
    case = WholeStep(read_every=100)
    batch = case.batch()
    for _ in range(3):  # kernels are compiled, memory for counters and pools is found
        case.step(*batch)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        case.step(*batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_a_step_captured_trains_as_the_step_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight steps, five of them replays: losses, learning rates, and how far the parameters went, but for rounding.

    On a CPU, inputs that differ by 1e-7 end 2 % apart, by 1e-5 5 %; a learning rate that stays as it was, 26 %.
    """
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    eager, other = WholeStep(), WholeStep()
    begun = torch.nn.utils.parameters_to_vector(eager.parameters())
    graph = CapturedStep(other.step, other.optimizers, other.guards)
    torch.manual_seed(1)
    batches = [eager.batch() for _ in range(8)]
    found: list[list[Tensor]] = []
    moved: list[Tensor] = []
    for step, case in ((eager.step, eager), (graph, other)):
        torch.manual_seed(2)  # the pools draw from it
        losses: list[Tensor] = []
        for batch in batches:
            losses.append(torch.stack([term.clone() for term in step(*batch).values()]))
            for schedule in case.schedules:
                schedule.step()
        found.append(losses)
        moved.append(torch.nn.utils.parameters_to_vector(case.parameters()) - begun)
    torch.testing.assert_close(found[1], found[0], rtol=5e-2, atol=1e-4)
    assert moved[0].norm() > 0.1
    assert (moved[1] - moved[0]).norm() < 0.1 * moved[0].norm()
    rates = [float(case.optimizers[0].param_groups[0]["lr"]) for case in (eager, other)]
    assert rates[0] == pytest.approx(rates[1])
    assert rates[0] < 1e-4
    assert all(len(pool) == 3 for pool in other.pools.pools.values())


@needs_gpu
def test_a_captured_step_that_is_not_finite_is_left_out() -> None:
    case = WholeStep(read_every=2)
    graph = CapturedStep(case.step, case.optimizers, case.guards)
    batch = case.batch()
    for _ in range(6):
        graph(*batch)
    before = case.parameters()
    assert all(parameter.isfinite().all() for parameter in before)
    bad = [torch.full_like(batch[0], torch.nan), *batch[1:]]
    graph(*bad)
    with pytest.warns(UserWarning, match="2 of steps 7 to 8 were not taken: .*adversarial_poor is nan"):
        graph(*bad)
    assert all(map(torch.equal, case.parameters(), before))
    assert all(image.isfinite().all() for pool in case.pools.pools.values() for image in pool.images)
    for _ in range(2):
        graph(*batch)
    assert not all(map(torch.equal, case.parameters(), before))
    assert [guard.steps for guard in case.guards] == [10, 10]
    assert case.guards[0].skipped == 2


@needs_gpu
def test_random_numbers_in_a_graph_are_those_of_the_step_itself() -> None:
    """Image pools and sampled z, so that a training takes the same course with a graph and without."""
    found = []
    for graphed in (False, True):
        weight, pool = torch.zeros(1, device=DEVICE, requires_grad=True), CapturableImagePool(4)
        optimizer = torch.optim.Adam([weight], fused=True)

        def step(images: Tensor, weight: Tensor = weight, pool: CapturableImagePool = pool) -> Tensor:
            return torch.cat([pool(images).flatten(), torch.randn(5, device=DEVICE)]) + weight.detach()

        take = CapturedStep(step, [optimizer]) if graphed else step
        torch.manual_seed(0)
        images = torch.arange(60.0, device=DEVICE).view(20, 3, 1, 1, 1)
        found.append(torch.stack([take(batch).clone() for batch in images]))
    assert torch.equal(*found)


@needs_gpu
def test_a_step_that_waits_cannot_be_captured() -> None:
    """In a process of its own: a capture that fails may leave CUDA unfit for more."""
    code = """
import torch
from asymkit import CapturedStep
weight = torch.ones(1, device="cuda", requires_grad=True)
optimizer = torch.optim.Adam([weight], fused=True)
step = CapturedStep(lambda x: (x * weight).sum().item(), [optimizer])
for _ in range(3):
    step(torch.ones(2))
try:
    step(torch.ones(2))
except RuntimeError as error:
    print("said:", error, flush=True)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "said: the step cannot be captured in a CUDA graph" in result.stdout, result.stderr
