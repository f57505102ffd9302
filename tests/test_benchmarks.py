"""The benchmarks measure what they say; each runs, small."""

from __future__ import annotations

import json
from pathlib import Path

import conv_paths
import data_loading
import measure
import ops as bench_ops
import plain
import pytest
import scaling
import torch
import train_step
from rivals import RIVALS, rivals_of

from asymkit import PatchDiscriminator, ResnetGenerator, ops

CPU = torch.device("cpu")


def test_times_are_taken_in_turn() -> None:
    order: list[str] = []
    found = measure.times({name: lambda name=name: order.append(name) for name in "ab"}, 0.0, CPU)  # type: ignore[misc]
    assert order == ["a", "a", "b", "b", *["a", "b"] * 3]
    assert [len(times) for times in found.values()] == [3, 3]
    assert measure.ratio([2, 4, 9], [1, 1, 3]) == 3


def test_memory_is_counted() -> None:
    x = torch.ones(2**18, requires_grad=True)
    assert measure.saved_bytes(lambda: (x * x).exp()) == 2 * 2**20  # x once, the result of exp
    assert measure.peak_bytes(lambda: torch.ones(2**18) + torch.ones(2**18), CPU) == 3 * 2**20
    assert measure.peak_bytes(lambda: [torch.ones(2**18).sum() for _ in range(3)], CPU) < 1.1 * 2**20


def test_a_table_says_what_was_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = measure.Report("name", CPU, ("op", "ms"), [{"op": "a", "ms": 1.2345}, {"op": "b", "ms": None}])
    assert report.table().splitlines()[2:] == ["| a | 1.23 |", "| b | – |"]
    report.write(tmp_path, bench_ops.Options())
    written = json.loads((tmp_path / "name.json").read_text())
    assert written["rows"][0]["ms"] == 1.2345
    assert {"date", "torch", "device", "malloc"} <= written["machine"].keys()
    assert "torch " + torch.__version__ in capsys.readouterr().out


def test_what_is_compared_is_the_same() -> None:
    """A figure is worth nothing where two methods compute different things."""
    x = torch.rand(1, 3, 256, 256) * 2 - 1
    y = (x + 0.5 * torch.randn_like(x)).clamp(-1, 1)
    mine = {"ms_ssim": ops.ms_ssim(x, y), "ssim": ops.ssim(x, y), "color_l1": ops.color_l1(x, y)}
    for op, expected in mine.items():
        for method in rivals_of(op).values():  # torchmetrics and kornia pad, torchmetrics averages channels first
            torch.testing.assert_close(method(x, y).mean(), expected.mean(), rtol=0, atol=1e-3)
    assert set(RIVALS) == {*mine, "tv"}


def test_the_plain_networks_are_those_of_the_library() -> None:
    for theirs, ours in (
        (plain.generator(8, 2), ResnetGenerator(width=8, blocks=2)),
        (plain.critic(8), PatchDiscriminator(width=8)),
    ):
        ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
        x = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)


def test_both_ways_to_load_show_the_same_photographs(tmp_path: Path) -> None:
    images = data_loading.files(tmp_path / "photos", (300, 300), "png")
    for load in (data_loading.plain(images, 64), data_loading.ours(images, 64)):
        crop = load(3)
        assert crop.shape == (3, 64, 64)
        assert crop.dtype == torch.float32
        assert -1 <= crop.min() < -0.5 < 0.5 < crop.max() <= 1


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    bench_ops.main(bench_ops.Options(device="cpu", seconds=0.0, compile=False, only="colour L1", out=tmp_path))
    scaling.main(scaling.Options(sides=(176,), batches=(1,), seconds=0.0, device="cpu", out=tmp_path))
    only = "residual block"
    conv_paths.main(conv_paths.Options(size=32, seconds=0.0, device="cpu", only=only, out=tmp_path))
    small = train_step.Options(size=32, width=8, blocks=1, seconds=0.0, device="cpu", out=tmp_path)
    train_step.main(small)
    data_loading.main(data_loading.Options(size=32, seconds=0.0, only="256 × 256", out=tmp_path))
    for name in ("ops", "scaling", "conv_paths", "train_step-32-1", "data_loading-32"):
        assert json.loads((tmp_path / f"{name}.json").read_text())["rows"]
    for name in ("ops", "scaling-side", "scaling-batch", "conv_paths"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    checkpointed = {row["variant"]: row for row in json.loads((tmp_path / "train_step-32-1.json").read_text())["rows"]}
    assert all(row["peak MiB"] > 0 for row in checkpointed.values())
