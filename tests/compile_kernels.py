"""Compile every kernel for GPUs that are not here: run the ops' Triton paths and turn each launch into a compilation.

python tests/compile_kernels.py 90 compiles for compute capability 9.0 and prints a line for each kernel: the most registers,
bytes of a thread's stack (spilled registers) and instructions of its variants. A second argument is a file of results, which gets
them as the entry "registers".
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import triton
from measure import Options
from report import Report
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from asymkit.ops.kernels import norm, padding, ssim
from asymkit.ops.ssim import SCALE_WEIGHTS, gaussian_window

TYPES = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16"}
LAUNCH_OPTIONS = ("num_warps", "num_stages", "grid", "warmup")

COLUMNS = ("kernel", "variants", "registers", "bytes of stack", "instructions")

compiled: set[tuple[str, ...]] = set()
found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
"""Registers, bytes of stack and instructions of every variant, by the name of its kernel."""


def resources(cubin: bytes) -> tuple[int, int, int]:
    """Registers and bytes of stack of a thread, and the number of instructions."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", "--dump-sass", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    usage = re.search(r"REG:(\d+) STACK:(\d+)", text)
    assert usage is not None, text[:2000]
    return int(usage[1]), int(usage[2]), len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s", text, re.MULTILINE))


def compile_instead(kernel: Any, *args: Any, **kwargs: Any) -> None:
    """In place of a launch."""
    options = {name: kwargs.pop(name) for name in LAUNCH_OPTIONS if name in kwargs}
    bound = kernel.signature.bind(*args, **kwargs).arguments
    signature, constants, attributes = {}, {}, {}
    for parameter in kernel.params:
        value = bound[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name], constants[parameter.num,] = "constexpr", value
        elif isinstance(value, Tensor):
            signature[parameter.name] = TYPES[value.dtype]
            if not parameter.do_not_specialize:  # memory of PyTorch's is aligned
                attributes[parameter.num,] = [["tt.divisibility", 16]]
        else:
            signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
    assert len(options["grid"]) == 1, "only the first dimension of a grid may exceed 65,535"
    chosen = {"num_warps": options["num_warps"]} if "num_warps" in options else {}
    name = f"{kernel.fn.__module__.rsplit('.', 1)[-1]}.{kernel.fn.__name__}"
    variant = (name, f"{signature} {constants} {chosen}")
    if variant not in compiled:
        source = ASTSource(kernel, signature, constants, attributes)
        result = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options=chosen)
        assert result.asm["cubin"], variant
        for line in result.asm["ttir"].splitlines():
            assert "tt.addptr" not in line or "i64" in line, f"an offset of 32 bits, which wraps at 2^31: {line}"
        found[name].append(resources(result.asm["cubin"]))
        compiled.add(variant)


def main() -> None:
    """Every kernel, in every variant that its op asks for."""
    triton.JITFunction.run = compile_instead
    scale, window = torch.ones(2, 3), gaussian_window(11, 1.5)
    for wanted in ((True, False), (True, True)):
        for dtype in TYPES:
            x = torch.zeros(2, 3, 200, 240, dtype=dtype)
            values, saved = ssim.similarity_and_gradients(x, x, -1, 2, window, SCALE_WEIGHTS, wanted)
            ssim.backward(saved, values, (x, x), window, wanted)
    for layout in (torch.contiguous_format, torch.channels_last):
        for dtype in TYPES:
            for side in (16, 160):  # one tile for a whole map, and several
                maps = torch.zeros(2, 3, side, side, dtype=dtype).contiguous(memory_format=layout)
                _, mean, rstd = norm.normalize(maps, scale, scale, maps, 0.0, 1e-5)
                norm.normalize_backward(maps, maps, scale, scale, mean, rstd, None, 0.0, 1e-5)
                _, mean, rstd = norm.normalize(maps, None, None, None, 0.0, 1e-5)
                norm.normalize_backward(maps, maps, None, None, mean, rstd, None, 0.0, 1e-5)
                for margin, edge in ((1, 0), (3, 0), (1, 1)):
                    padding.pad_backward(padding.pad(maps, margin, edge), layout, margin, edge)
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    report = Report("registers", Options(out=out), COLUMNS)
    for name, each in sorted(found.items()):
        cells = (name, len(each), *(max(numbers) for numbers in zip(*each, strict=True)))
        report.rows.append(dict(zip(COLUMNS, cells, strict=True)))
        sys.stdout.write("{}: {} variants, {} registers, {} bytes of stack, {} instructions\n".format(*cells))
    report.keep()


if __name__ == "__main__":
    main()
