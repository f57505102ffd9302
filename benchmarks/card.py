"""What a GPU machine is and can do: versions, flags, and the measured ceilings that the other figures are compared with."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import measure
import torch
import tyro
from report import Report

from asymkit.console import print_in_any_encoding

PACKAGES = ("triton", "torchvision", "torchmetrics", "timm", "pytorch-msssim", "lpips", "piq", "kornia")


def versions() -> dict[str, str]:
    """Of everything that is measured, by the name of its package."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def main(options: measure.Options) -> None:
    """Measure, print and write the table."""
    device = torch.device(options.device)
    about: dict[str, Any] = {}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        about = {
            "compute capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "memory, MiB": card.total_memory // measure.MIB,
            "L2 cache, MiB": card.L2_cache_size // measure.MIB,
            "CUDA of PyTorch": torch.version.cuda,
            "cuDNN": torch.backends.cudnn.version(),
        }
    report = Report("card", options, ("quantity", "value"))
    about |= report.about | versions()
    about["GB/s of a copy, read and written"] = measure.bandwidth(device) / 1e9
    tf32 = torch.backends.cuda.matmul.allow_tf32
    for name, dtype, allowed in (
        ("float32", torch.float32, False),
        ("TF32", torch.float32, True),
        ("bfloat16", torch.bfloat16, tf32),
    ):
        if device.type == "cuda" or name == "float32":
            torch.backends.cuda.matmul.allow_tf32 = allowed
            about[f"TFLOP/s of matrix products, {name}"] = measure.product_peak(device, dtype) / 1e12
    torch.backends.cuda.matmul.allow_tf32 = tf32
    report.rows = [{"quantity": name, "value": value} for name, value in about.items() if not isinstance(value, list)]
    report.write()


if __name__ == "__main__":
    print_in_any_encoding()
    main(tyro.cli(measure.Options))
