"""The benchmarks measure what they say; each runs, small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conv_paths
import data_loading
import measure
import model_size
import ops as bench_ops
import pages
import presets
import pytest
import report
import scaling
import torch
import train_step
from rivals import RIVALS, rivals_of
from support.cyclegan import define_D, define_G
from torch import Tensor
from waits import graphs_rerun

from asymkit import PatchDiscriminator, ResnetGenerator, ops

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


def test_times_are_taken_in_turn() -> None:
    order: list[str] = []
    functions = {name: lambda name=name: order.append(name) for name in "ab"}
    found = measure.times(functions, CPU, seconds=0.0, rounds=3)
    assert order == ["a", "a", "b", "b", *["a", "b"] * 3]
    assert [len(times) for times in found.values()] == [3, 3]
    assert measure.ratio([2, 4, 9], [1, 1, 3]) == 3


@pytest.mark.parametrize(
    ("takes", "rounds"),
    [((0.001,), 2000), ((0.001, 0.1), 2000), ((0.3,), 20), ((1.0, 40.0), 15), ((700.0,), 1)],
)
def test_compilation_decides_nothing(takes: tuple[float, ...], rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 rounds or two seconds, whichever is more, in ten minutes; the first call takes eight seconds and counts for none."""
    now = 0.0

    def function(seconds: float) -> Callable[[], None]:
        calls = 0

        def call() -> None:
            nonlocal now, calls
            calls += 1
            now += 8.0 if calls == 1 else seconds

        return call

    monkeypatch.setattr(measure, "perf_counter", lambda: now)
    found = measure.Options(device="cpu").times({str(i): function(seconds) for i, seconds in enumerate(takes)})
    for seconds, times in zip(takes, found.values(), strict=True):
        assert len(times) == pytest.approx(rounds, abs=1)
        assert times == pytest.approx([seconds] * len(times))


def test_one_loop_times_everything() -> None:
    assert {path.name for path in BENCHMARKS.glob("*.py") if "perf_counter" in path.read_text(encoding="utf-8")} == {
        "measure.py"
    }


@pytest.mark.parametrize("path", sorted((BENCHMARKS / "results").glob("*.json")), ids=lambda path: str(path.name))
def test_results_say_what_they_were_measured_with(path: Path) -> None:
    entries = json.loads(path.read_text(encoding="utf-8"))
    assert entries
    for entry in entries.values():
        about = entry["machine"]
        assert entry["rows"]
        assert all(set(row) <= set(entry["columns"]) for row in entry["rows"])
        assert about["instructions"]
        assert all(re.fullmatch("[a-z0-9_]+", name) for name in about["instructions"])
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", about["torch"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", about["date"])
        assert re.fullmatch(r"[0-9a-f]{7,40}", about["commit"]), "measure a commit, without changes since"
        assert about["threads"] >= 1
        assert report.file_name(about) == path.name


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: str(path.name))
def test_pages_show_what_is_in_the_results(path: Path) -> None:
    """`make bench-docs` writes them."""
    page = path.read_text(encoding="utf-8")
    assert pages.written(page, report.newest()) == page
    assert len(pages.BLOCK.findall(page)) == page.count("<!-- benchmark:")


def test_no_table_of_the_benchmarks_page_is_written_by_hand() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    by_hand = [line for line in pages.BLOCK.sub("", page).splitlines() if line.startswith("|")]
    assert not [line for line in by_hand if re.search(r"\d\s*(×|ms|s|MiB)\b|\d+\.\d", line)]
    names = {name for _, name, _ in pages.BLOCK.findall(page)}
    assert names >= set(report.newest()) | {"goals"}


def test_a_page_takes_the_latest_results_of_each_kind_of_device(tmp_path: Path) -> None:
    for day, device, widest, ms in (
        ("01", "cpu: A", "avx2", 1.0),
        ("03", "cpu: A", "avx2", 3.0),
        ("02", "cpu: B", "avx2", 2.0),
        ("01", "cpu: A", "avx512_f", 0.9),
        ("02", "cpu: A", "avx512", 0.7),  # as before torch 2.12
        ("01", "cuda: H100", "avx512_f", 0.5),
    ):
        about = report.machine(CPU) | {"date": f"2026-01-{day}", "device": device, "instructions": [widest]}
        bench = report.Report("ops", measure.Options("cpu", out=tmp_path), ("op", "ms"), [{"op": "a", "ms": ms}], about)
        bench.write()
    found = report.newest(tmp_path)["ops"]
    assert {kind: entry["rows"][0]["ms"] for kind, entry in found.items()} == {
        "cpu": 3.0,
        "cpu-avx512": 0.7,
        "cuda": 0.5,
    }
    page = "a\n<!-- benchmark: ops -->\nold\n<!-- end -->\nb\n<!-- benchmark: scaling -->\n<!-- end -->\n"
    new = pages.written(page, {"ops": found})
    assert new.startswith("a\n<!-- benchmark: ops -->\nCPU: A, CPU with ")
    assert "| a | 3 |\n\nCPU: A, CPU with AVX512, " in new
    assert "| a | 0.7 |\n\nCUDA: H100, " in new
    assert new.endswith("| a | 0.5 |\n<!-- end -->\nb\n<!-- benchmark: scaling -->\nNot measured.\n<!-- end -->\n")
    assert pages.written(new, {"ops": found}) == new


def test_goals_are_read_off_the_results() -> None:
    rows = [
        {"op": "MS-SSIM (4,3,256²)", "method": "pytorch-msssim", "× faster": 1.0, "saved MiB": 60.0},
        {"op": "MS-SSIM (4,3,256²)", "method": "asymkit", "× faster": 4.567, "saved MiB": 3.0},
    ]
    table = pages.goals({"ops": {"cpu": {"rows": rows}}}).splitlines()
    assert table[2].endswith("| 4.57×, 1/20 of the memory saved for backward | not measured | not measured |")
    assert all(line.endswith("| not measured | not measured | not measured |") for line in table[3:-1])


def test_memory_is_counted() -> None:
    x = torch.ones(2**18, requires_grad=True)
    assert measure.saved_bytes(lambda: (x * x).exp()) == 2 * 2**20  # x once, the result of exp
    assert measure.peak_bytes(lambda: torch.ones(2**18) + torch.ones(2**18), CPU) == 3 * 2**20
    assert measure.peak_bytes(lambda: [torch.ones(2**18).sum() for _ in range(3)], CPU) < 1.1 * 2**20


def test_a_table_says_what_was_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"op": "a", "ms": 1.2345}, {"op": "b", "ms": None}]
    assert report.table(("op", "ms"), rows).splitlines()[2:] == ["| a | 1.23 |", "| b | – |"]
    bench = report.Report("name", bench_ops.Options(device="cpu", out=tmp_path), ("op", "ms"), rows)
    bench.write()
    bench.name = "other"
    bench.write()
    (path,) = tmp_path.glob("*.json")
    assert path.name.startswith("cpu-")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written.keys() == {"name", "other"}
    assert written["name"]["rows"][0]["ms"] == 1.2345
    assert {"date", "commit", "torch", "device", "instructions", "threads", "malloc"} <= written["name"][
        "machine"
    ].keys()
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
        (define_G(8, 2), ResnetGenerator(width=8, blocks=2)),
        (define_D(8, 3), PatchDiscriminator(width=8)),
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


def test_a_rival_that_fails_ends_nothing() -> None:
    def fails(x: Tensor) -> Tensor:
        raise ModuleNotFoundError("kornia_rs")

    def runs(x: Tensor) -> Tensor:
        return 2 * x

    case = bench_ops.Case("TV", (torch.ones(3, requires_grad=True),), {"kornia": fails, "asymkit": runs}, 1.0)
    options = bench_ops.Options(device="cpu", seconds=0.0, rounds=2, methods="not compiled", graphs=True)
    good, bad = bench_ops.rows_of(case, options, {"bytes": 1.0})
    assert (good["method"], good["× faster"], good["by"]) == ("asymkit", 1.0, "calls")
    assert bad == {"op": "TV", "method": "kornia", "forward ms": "failed: ModuleNotFoundError"}
    with pytest.raises(ModuleNotFoundError):
        case.working({"asymkit": fails})


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    few: dict[str, Any] = {"device": "cpu", "seconds": 0.0, "rounds": 2, "out": tmp_path}
    bench_ops.main(bench_ops.Options(**few, methods="not compiled", only="colour L1"))
    scaling.main(scaling.Options(**few, sides=(176,), batches=(1,)))
    conv_paths.main(conv_paths.Options(**few, size=32, only="residual block"))
    train_step.main(train_step.Options(**few, size=32, width=8, blocks=1))
    data_loading.main(data_loading.Options(**few, size=32, only="256 × 256"))
    presets.main(presets.Options(**few, size=64, width=4))
    model_size.main(measure.Options(**few))
    found = report.newest(tmp_path)
    timed = {"ops", "scaling", "conv_paths", "train_step-32-1", "data_loading-32", "presets-64-1"}
    assert found.keys() == timed | {"model_size"}
    kind = report.kind_of(report.machine(CPU))
    for name in timed:
        assert {row["rounds"] for row in found[name][kind]["rows"]} == {2}
    steps = {row["variant"]: row for row in found["train_step-32-1"][kind]["rows"]}
    assert all(row["peak MiB"] > 0 for row in steps.values())
    assert len(steps.keys() & {train_step.WITH, train_step.WITHOUT}) == 1
    pages.draw(found, tmp_path)
    for name in ("bench-ops", "bench-scaling"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize(("ours", "generators", "discriminators"), [(True, 4, 4), (False, 6, 6)])
def test_a_step_in_one_batch_makes_fewer_calls(
    ours: bool, generators: int, discriminators: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identity images with the translations, real images with generated ones; the plain step calls one by one."""
    calls: list[str] = []

    def counted(name: str, kind: str) -> None:
        make = getattr(train_step, name)

        def made(*args: Any, **options: Any) -> torch.nn.Module:
            network: torch.nn.Module = make(*args, **options)
            network.register_forward_hook(lambda *_: calls.append(kind))
            return network

        monkeypatch.setattr(train_step, name, made)

    for names in (("ResnetGenerator", "PatchDiscriminator"), ("define_G", "define_D")):
        for name, kind in zip(names, ("generator", "discriminator"), strict=True):
            counted(name, kind)
    few: dict[str, Any] = {"device": "cpu", "size": 32, "width": 8, "blocks": 1}
    train_step.build(
        train_step.variants(options := train_step.Options(**few))["asymkit" if ours else "plain"], options
    )()
    assert (calls.count("generator"), calls.count("discriminator")) == (generators, discriminators)


def test_the_step_in_a_graph_is_a_step_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """With calls in place of replays: three to warm up, one to capture, and those that are timed."""
    done = graphs_rerun(monkeypatch)
    monkeypatch.setattr(train_step, "graph_pool", lambda: None)
    few: dict[str, Any] = {"device": "cpu", "size": 32, "width": 8, "blocks": 1}
    step = train_step.build(train_step.Variant(graphed=True), train_step.Options(**few))
    step()
    assert done == ["warm-up"] * 3 + ["capture"] + ["replay"] * 2
