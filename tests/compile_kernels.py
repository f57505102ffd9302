"""Compile every kernel for GPUs that are not here: run the ops' Triton paths and turn each launch into a compilation.

python tests/compile_kernels.py 90 compiles for compute capability 9.0 and prints a line for each kernel.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from asymkit.ops.kernels import norm, ssim

TYPES = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16"}
LAUNCH_OPTIONS = ("num_warps", "num_stages", "grid", "warmup")

compiled: set[tuple[str, ...]] = set()


def compile_instead(kernel: Any, *args: Any, **kwargs: Any) -> None:
    """In place of a launch."""
    options = {name: kwargs.pop(name) for name in LAUNCH_OPTIONS if name in kwargs}
    bound = kernel.signature.bind(*args, **kwargs).arguments
    signature, constants = {}, {}
    for parameter in kernel.params:
        value = bound[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.num,] = "constexpr", value
        elif isinstance(value, Tensor):
            signature[parameter.name] = TYPES[value.dtype]
        else:
            signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
    assert len(options["grid"]) == 1, "only the first dimension of a grid may exceed 65,535"
    chosen = {"num_warps": options["num_warps"]} if "num_warps" in options else {}
    variant = (kernel.fn.__name__, f"{signature} {constants} {chosen}")
    if variant not in compiled:
        source = ASTSource(kernel, signature, constants)
        result = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options=chosen)
        assert result.asm["cubin"], variant
        for line in result.asm["ttir"].splitlines():
            assert "tt.addptr" not in line or "i64" in line, f"an offset of 32 bits, which wraps at 2^31: {line}"
        compiled.add(variant)


def main() -> None:
    """Every kernel, in every variant that its op asks for."""
    triton.JITFunction.run = compile_instead
    window = [1 / 11] * 11
    x, scale = torch.zeros(2, 3, 64, 48), torch.ones(2, 3)
    for wanted in ((True, False), (True, True)):
        ssim.similarity_and_gradients(x, x, -1, 2, window, [0.4, 0.6], wanted)
    for layout in (torch.contiguous_format, torch.channels_last):
        for dtype in TYPES:
            for side in (16, 160):  # one tile for a whole map, and several
                maps = torch.zeros(2, 3, side, side, dtype=dtype).contiguous(memory_format=layout)
                _, mean, rstd = norm.normalize(maps, scale, scale, maps, 0.0, 1e-5)
                norm.normalize_backward(maps, maps, scale, scale, mean, rstd, None, 0.0, 1e-5)
                _, mean, rstd = norm.normalize(maps, None, None, None, 0.0, 1e-5)
                norm.normalize_backward(maps, maps, None, None, mean, rstd, None, 0.0, 1e-5)
    for name, count in sorted(Counter(name for name, _ in compiled).items()):
        sys.stdout.write(f"{name}: {count} variants\n")


if __name__ == "__main__":
    main()
