"""The Triton kernels against the reference path, on a GPU where there is one and in Triton's interpreter elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asymkit import ops
from asymkit.ops import backend
from asymkit.ops.backend import Backend
from asymkit.ops.eager import norm as eager_norm
from asymkit.ops.eager import ssim as eager_ssim
from asymkit.ops.padding import reflect_pad
from asymkit.ops.ssim import LARGEST_KERNEL_WINDOW, gaussian_window, scale_weights

pytest.importorskip("triton", reason="Triton is not installed")

import triton

from asymkit.ops.kernels import norm, padding
from asymkit.ops.kernels import ssim as ssim_kernels
from asymkit.ops.kernels.integers import cdiv, next_power_of_2

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYOUTS = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}


@pytest.fixture
def unwritten_is_nan() -> Iterator[None]:
    """Memory that no kernel writes holds NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    yield
    torch.use_deterministic_algorithms(False)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm().clamp_min(1e-12))


def similarity_and_gradients(
    x: Tensor, y: Tensor, window: Sequence[float], exponents: Sequence[float], wanted: Sequence[bool]
) -> tuple[Tensor, list[Tensor | None]]:
    """By the kernels, of images in [-1, 1], with gradients in float32."""
    values, saved = ssim_kernels.similarity_and_gradients(x, y, -1.0, 2.0, window, exponents, wanted)
    if not any(wanted):
        assert not saved
        return values, [None, None]
    return values, ssim_kernels.backward(saved, torch.ones_like(values), (x.float(), y.float()), window, wanted)


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True), (False, False)])
@pytest.mark.parametrize(
    ("shape", "size", "exponents"),
    [
        pytest.param((1, 2, 27, 38), 11, scale_weights(2), marks=pytest.mark.slow),
        ((2, 1, 21, 23), 11, []),
        ((1, 1, 25, 24), 7, scale_weights(2)),
        # all scales, odd at nearly every one of them, and several strips in both directions
        pytest.param((1, 1, 35, 67), 3, scale_weights(5), marks=pytest.mark.slow),
        ((1, 1, 15, 18), 15, []),
        ((1, 1, 6, 5), 1, scale_weights(2)),
    ],
)
def test_similarity(
    unwritten_is_nan: None, shape: tuple[int, ...], size: int, exponents: list[float], wanted: Sequence[bool]
) -> None:
    x = torch.rand(shape, device=DEVICE) * 2 - 1
    y = (x + 0.5 * torch.randn_like(x)).clamp(-1, 1)
    options = (gaussian_window(size, 1.5), exponents, wanted)
    found, gradients = similarity_and_gradients(x, y, *options)
    expected, exact = eager_ssim.similarity_and_gradients(x.double(), y.double(), -1.0, 2.0, *options)
    assert relative(found, expected) < 3e-6
    for gradient, truth, wants in zip(gradients, exact, wanted, strict=True):
        assert (gradient is not None) == wants == (truth is not None)
        if gradient is not None and truth is not None:
            # of one pixel's variance, which is zero, nothing is left but what was rounded
            assert relative(gradient, truth) < (1e-5 if size > 1 else 1e-4)


@pytest.mark.slow
def test_similarity_of_anticorrelated_images_in_any_layout() -> None:
    """The hyperbola below the floor, and images read where they lie."""
    x = (torch.rand(1, 3, 22, 22, device=DEVICE) * 2 - 1).contiguous(memory_format=torch.channels_last)
    options = (gaussian_window(11, 1.5), scale_weights(2), (False, True))
    found, gradients = similarity_and_gradients(x, -x, *options)
    expected, exact = eager_ssim.similarity_and_gradients(x.double(), -x.double(), -1.0, 2.0, *options)
    assert exact[1] is not None
    assert gradients[1] is not None
    assert gradients[1].stride() == x.stride()
    assert relative(found, expected) < 3e-5
    assert relative(gradients[1], exact[1]) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "slope", "residual", "whole"),
    [
        ((2, 3, 5, 7), 1.0, False, True),
        ((1, 40, 9, 11), 0.0, True, True),
        pytest.param((1, 2, 30, 21), 0.2, True, False, marks=pytest.mark.slow),
        ((1, 5, 1, 3), 0.0, False, True),
    ],
)
def test_instance_norm(
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    slope: float,
    residual: bool,
    whole: bool,
    layout: str,
    dtype: torch.dtype,
) -> None:
    if not whole:  # as for maps too large for one program, in four parts
        monkeypatch.setattr(norm, "WHOLE", 0)
        monkeypatch.setattr(norm, "LEAST_PART", 160)
    x, added, grad = (torch.randn(shape, device=DEVICE) for _ in range(3))
    x, added, grad = (t.to(dtype).contiguous(memory_format=LAYOUTS[layout]) for t in (2 * x + 5, added, grad))
    scale, shift = torch.randn(2, *shape[:2], device=DEVICE)
    found = norm.normalize(x, scale, shift, added if residual else None, slope, 1e-5)
    x64, scale64, shift64, added64, grad64 = (t.double() for t in (x, scale, shift, added, grad))
    expected = eager_norm.normalize(x64, scale64, shift64, added64 if residual else None, slope, 1e-5)
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
    assert found[0].dtype == dtype
    assert found[0].stride() == x.stride()
    assert relative(found[0], expected[0]) < tolerance
    assert relative(found[1], expected[1]) < 1e-5
    assert relative(found[2], expected[2]) < 1e-5
    _, mean, rstd = found
    gradients = norm.normalize_backward(grad, x, scale, shift, mean, rstd, None, slope, 1e-5)
    _, mean, rstd = expected
    exact = eager_norm.normalize_backward(grad64, x64, scale64, shift64, mean, rstd, None, slope, 1e-5)
    assert gradients[0].dtype == dtype
    assert relative(gradients[0], exact[0]) < max(tolerance, 1e-4)
    assert relative(gradients[1], exact[1]) < 1e-4
    assert relative(gradients[2], exact[2]) < 1e-4


def test_flat_maps_pass_no_gradient_on() -> None:
    x = torch.full((1, 2, 8, 8), 0.3, device=DEVICE)
    scale, shift = torch.ones(2, 1, 2, device=DEVICE)
    _, mean, rstd = norm.normalize(x, scale, shift, None, 1.0, 1e-5)
    by_x, _, _ = norm.normalize_backward(torch.randn_like(x), x, scale, shift, mean, rstd, None, 1.0, 1e-5)
    assert by_x.abs().max() < 1e-3


@pytest.fixture
def _kernels_everywhere() -> Iterator[None]:
    """The public ops take the kernels on this device."""
    original = backend.triton_or_eager
    backend.triton_or_eager = lambda device, dtype: Backend("triton", "for a test")  # type: ignore[assignment]
    yield
    backend.triton_or_eager = original


@pytest.mark.slow
@pytest.mark.usefixtures("_kernels_everywhere")
def test_public_ops_run_through_the_kernels() -> None:
    x, y = (torch.rand(1, 2, 24, 24, device=DEVICE) * 2 - 1 for _ in range(2))
    scale, shift = torch.rand(2, 1, 2, device=DEVICE)

    def total(x: Tensor, scale: Tensor) -> Tensor:
        normed = ops.conditional_instance_norm(x, scale, shift, activation="relu", residual=y)
        losses = ops.ms_ssim(x, y, scales=1), ops.ssim(y, x), ops.color_l1(x, y), ops.total_variation(x)
        return torch.stack([loss.sum() for loss in losses]).sum() + normed.square().sum()

    a, b = x.clone().requires_grad_(), scale.clone().requires_grad_()
    value = total(a, b)
    found = torch.autograd.grad(value, (a, b))
    backend.triton_or_eager = lambda device, dtype: Backend("eager", "for a test")  # type: ignore[assignment]
    expected = total(a, b)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, (a, b)), rtol=1e-4, atol=1e-5)


MOST = {
    "norm._apply": (128, 1000),
    "norm._gradient": (144, 1100),
    "norm._moments": (80, 700),
    "norm._sums": (128, 900),
    "padding._pad": (96, 1700),
    "padding._pad_backward": (192, 2000),
    "pyramid.pyramid": (120, 1900),
    "pyramid.gather": (120, 1320),
    "ssim._statistics": (144, 1000),
    "ssim._product": (96, 1450),
    "ssim._gradient": (144, 750),
}
"""Registers and instructions at most, a tenth or so above what compute capability 9.0 needs; none may spill.

Of MS-SSIM: with 144 registers 14 warps fit a multiprocessor, seven is what eight colour images of 256² give it.
"""


@pytest.mark.usefixtures("_kernels_everywhere")
@pytest.mark.parametrize("window_size", [3, 17])
def test_images_are_read_as_they_lie_in_memory(monkeypatch: pytest.MonkeyPatch, window_size: int) -> None:
    """By the kernels, which larger windows do not reach: no copy in another type or layout before or after them."""
    given: list[Tensor] = []
    original = ssim_kernels.similarity_and_gradients

    def spy(x: Tensor, y: Tensor, *options: object) -> object:
        given.extend((x, y))
        return original(x, y, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(ssim_kernels, "similarity_and_gradients", spy)
    x, y = (torch.rand(1, 2, 18, 19, device=DEVICE).contiguous(memory_format=torch.channels_last) for _ in range(2))
    x, y = x.half().requires_grad_(), y.bfloat16().requires_grad_()
    value = ops.ssim(x, y, (0, 1), window_size)
    taken = window_size <= LARGEST_KERNEL_WINDOW
    assert [image.data_ptr() for image in given] == [image.data_ptr() for image in (x, y) if taken]
    assert value.dtype == torch.float32
    gradients = torch.autograd.grad(value.sum(), (x, y))
    assert [(g.dtype, g.stride()) for g in gradients if taken] == [(i.dtype, i.stride()) for i in (x, y) if taken]
    monkeypatch.setattr(backend, "triton_or_eager", lambda device, dtype: Backend("eager", "for a test"))
    expected = ops.ssim(x.double(), y.double(), (0, 1), window_size)
    assert relative(value.detach(), expected.detach()) < 1e-5
    for found, exact in zip(gradients, torch.autograd.grad(expected.sum(), (x, y)), strict=True):
        assert relative(found, exact.double()) < 1e-2


@pytest.mark.slow
def test_every_kernel_compiles_for_gpus_of_two_generations(tmp_path: Path) -> None:
    script = Path(__file__).with_name("compile_kernels.py")
    path = os.pathsep.join([str(script.parents[1]), str(script.parents[1] / "benchmarks")])
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), capability],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "TRITON_INTERPRET": "0",
                "TRITON_CACHE_DIR": str(tmp_path / capability),
            },
        )
        for capability in ("80", "90")
    ]
    for capability, process in zip(("80", "90"), processes, strict=True):
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        found = re.findall(r"^(\S+): \d+ variants, (\d+) registers, (\d+) bytes of stack, (\d+) instr", printed, re.M)
        assert {name for name, *_ in found} == MOST.keys()
        for name, registers, stack, instructions in found:
            if capability == "90" or not name.startswith(("norm", "padding")):
                assert int(registers) <= MOST[name][0], name
                assert int(stack) == 0, name
                assert int(instructions) <= MOST[name][1], name


def test_the_backend_is_said_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(1, 3, 16, 16)
    assert ops.backend_of("ms_ssim", image) == ("eager", "the tensor is on cpu, the kernels are for CUDA")
    assert "batched matrix product" in ops.backend_of("gram_matrix", image).reason
    with pytest.raises(ValueError, match="did you mean 'ms_ssim'"):
        ops.backend_of("msssim", image)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.version, "hip", None)
    backend.triton_or_eager.cache_clear()
    gpu = torch.device("cuda:0")
    assert backend.triton_or_eager(gpu, torch.float32) == ("triton", "Triton kernels for torch.float32")
    assert "lose digits of torch.float64" in backend.triton_or_eager(gpu, torch.float64).reason
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "compute capability 7.5, the kernels need 8.0" in backend.triton_or_eager(gpu, torch.bfloat16).reason
    backend.triton_or_eager.cache_clear()
    monkeypatch.setenv("ASYMKIT_KERNELS", "off")
    assert backend.triton_or_eager(gpu, torch.float32) == ("eager", "ASYMKIT_KERNELS=off turns the kernels off")
    backend.triton_or_eager.cache_clear()


FAR = 2**31 + 64
"""A distance in memory, in elements, that 32 bits do not hold."""


def far_apart(path: Path, value: Tensor, strides: Sequence[int]) -> Tensor:
    """A copy whose neighbours lie as far apart as in a huge tensor, in a file that is nearly all holes.

    It begins in the middle: offsets that wrap to negative values read zeros, and not what the test does not own.
    """
    reach = sum((side - 1) * stride for side, stride in zip(value.shape, strides, strict=True))
    memory = torch.from_file(str(path), shared=True, size=2 * reach + 1, dtype=torch.float16)
    view = memory.as_strided(value.shape, strides, reach)
    view.copy_(value)
    return view


@pytest.mark.parametrize("steps", [(FAR // 2, 1), (1, FAR // 32)], ids=["NCHW", "channels-last"])
@pytest.mark.parametrize("parts", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_norm_of_maps_beyond_32_bits(tmp_path: Path, steps: tuple[int, int], parts: int) -> None:
    """Three channels of 40 pixels, with steps from channel to channel or pixel to pixel that reach beyond 2^31."""
    if DEVICE != "cpu":
        pytest.skip("a sparse file is in the CPU's memory")
    maps = [torch.randn(1, 3, 40, 1).half() for _ in range(2)]
    x, grad, out, grad_x = (
        far_apart(tmp_path / name, value, (0, *steps, 1)) for name, value in zip("xgod", [*maps, *maps], strict=True)
    )
    scale, shift = torch.rand(2, 1, 3)
    mean, rstd, grad_scale, grad_shift = torch.empty(4, 1, 3)
    partial = torch.empty(2, max(3 * parts, 1))
    sizes, constants = (3, 40, *steps, 20 if parts else 40), {"PARTS": parts, "TILE_P": 64, "TILE_C": 4}
    grid = (max(parts, 1),)
    if parts:
        norm._moments[grid](x, *partial, *sizes, **constants)
    norm._apply[grid](
        *(x, scale, shift, x, *partial, out, mean, rstd, *sizes, 0.2, 1e-5), **constants, AFFINE=True, RESIDUAL=True
    )
    expected, means, rstds = eager_norm.normalize(maps[0].double(), scale.double(), shift.double(), maps[0], 0.2, 1e-5)
    assert relative(out, expected) < 1e-3
    if parts:
        norm._sums[grid](grad, x, scale, shift, mean, rstd, *partial, *sizes, 0.2, **constants, AFFINE=True)
    norm._gradient[grid](
        *(grad, x, scale, shift, mean, rstd, *partial, grad_x, grad_scale, grad_shift, *sizes, 0.2, 1e-5, 1e-6),
        **constants,
        AFFINE=True,
    )
    exact = eager_norm.normalize_backward(
        *(maps[1].double(), maps[0].double(), scale.double(), shift.double(), means, rstds, None, 0.2, 1e-5)
    )
    for found, wanted in zip((grad_x, grad_scale, grad_shift), exact, strict=True):
        assert relative(found, wanted) < 1e-3


@pytest.mark.parametrize(
    "steps",
    [
        (0, FAR // 16, 1),
        pytest.param((FAR // 2, 24, 1), marks=pytest.mark.slow),
        pytest.param((1, FAR // 16, 3), marks=pytest.mark.slow),
    ],
    ids=["rows", "channels", "columns"],
)
def test_similarity_of_images_beyond_32_bits(tmp_path: Path, steps: tuple[int, int, int]) -> None:
    if DEVICE != "cpu":
        pytest.skip("a sparse file is in the CPU's memory")
    channels = 1 if steps[0] == 0 else 3
    images = [(torch.rand(1, channels, 19, 18) * 2 - 1).half() for _ in range(2)]
    x, y = (far_apart(tmp_path / name, image, (0, *steps)) for name, image in zip("xy", images, strict=True))
    options = (gaussian_window(5, 1.0), scale_weights(2), (True, True))
    found, gradients = similarity_and_gradients(x, y, *options)
    expected, exact = eager_ssim.similarity_and_gradients(images[0].double(), images[1].double(), -1.0, 2.0, *options)
    assert relative(found, expected) < 1e-5
    for gradient, truth in zip(gradients, exact, strict=True):
        assert gradient is not None
        assert truth is not None
        assert relative(gradient, truth) < 1e-4


@pytest.mark.parametrize(
    ("shape", "programs", "steps"),
    [((8, 256, 64, 64), 1024, 2), ((1, 64, 256, 256), 256, 4), ((1, 256, 64, 64), 128, 2)],
)
def test_channels_last_norms_give_every_multiprocessor_work(shape: tuple[int, ...], programs: int, steps: int) -> None:
    """An H100 has 132; each needs 16 KiB on the way from memory, which is one tile of float32, for its bandwidth."""
    tiling = norm._tiling(torch.empty(shape, device="meta").contiguous(memory_format=torch.channels_last))
    assert tiling.grid == (programs,)
    assert cdiv(tiling.sizes[-1], tiling.tile_p) == steps
    assert 4 * tiling.tile_p * tiling.tile_c >= 16384
    assert tiling.warps == 8


def test_integers_are_those_of_triton() -> None:
    for x in range(1, 70):
        assert next_power_of_2(x) == triton.next_power_of_2(x)
        assert [cdiv(x, y) for y in range(1, 9)] == [triton.cdiv(x, y) for y in range(1, 9)]


def test_launches_are_prepared_without_the_functions_of_triton_that_are_slow_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(triton, "cdiv")
    monkeypatch.delattr(triton, "next_power_of_2")
    for layout in LAYOUTS.values():
        x = torch.empty(1, 3, 160, 160, device=DEVICE).contiguous(memory_format=layout)
        assert norm._tiling(x).parts
        padding.pad(x[:0], 1, 0)


@pytest.mark.usefixtures("_kernels_everywhere")
def test_norms_without_scale_and_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(2, 3, 6, 7, device=DEVICE), torch.rand(3, device=DEVICE)
    for arguments in ((None, None), (weight, None), (None, weight)):
        results = []
        for name in ("triton", "eager"):
            monkeypatch.setattr(backend, "triton_or_eager", lambda device, dtype, name=name: Backend(name, ""))
            leaf = x.clone().requires_grad_()
            scale, shift = (None if t is None else t.clone().requires_grad_() for t in arguments)
            value = ops.instance_norm(leaf, scale, shift, "leaky_relu")
            leaves = [t for t in (leaf, scale, shift) if t is not None]
            results.append([value, *torch.autograd.grad(value.square().sum(), leaves)])
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_kernels_everywhere")
@pytest.mark.parametrize("name", ["norm", "similarity", "padding"])
def test_a_batch_of_gradients_is_that_of_each(name: str) -> None:
    """As torch.autograd.functional.jacobian(vectorize=True) asks for."""
    x = torch.rand(1, 2, 12, 13, device=DEVICE, requires_grad=True)
    value = {
        "norm": lambda: ops.instance_norm(x, activation="relu"),
        "similarity": lambda: ops.ssim(x, x.detach().flip(3), (0, 1)),
        "padding": lambda: reflect_pad(x, 1),
    }[name]()
    directions = torch.rand(3, *value.shape, device=DEVICE)
    (batched,) = torch.autograd.grad(value, x, directions, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(value, x, direction, retain_graph=True)[0] for direction in directions]
    torch.testing.assert_close(batched, torch.stack(each), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("planes", "side", "rows"), [(3, 256, 8), (24, 256, 16), (96, 256, 32), (3, 2048, 32)])
def test_strips_are_as_long_as_there_is_enough_work_for_a_gpu(planes: int, side: int, rows: int) -> None:
    assert ssim_kernels._strip(planes, side, side)["ROWS"] == rows
