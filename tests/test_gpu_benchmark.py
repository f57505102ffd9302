"""The command that measures a GPU: its steps, what it leaves, and what of it the pages take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import gpu
import launches
import measure
import pages
import pytest
import report
import torch
from gpu_goals import gpu_goals

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
CARD = {"device": "cuda: H100", "commit": "0123abc", "date": "2026-01-02"}


def step(name: str, code: str, budget: float = 60.0, writes: tuple[str, ...] = ()) -> gpu.Step:
    return gpu.Step(name, ["-c", code], budget, writes)


def taken(results: Path) -> dict[str, str]:
    entries = json.loads(results.read_text(encoding="utf-8"))
    return {row["step"]: row["outcome"] for row in entries["steps"]["rows"]}


def test_a_failed_step_stops_no_other_and_results_are_written_after_each(tmp_path: Path) -> None:
    results = tmp_path / "new" / "results.json"
    options = measure.Options("cpu", out=results)
    look = f"import json; print(len(json.load(open({str(results)!r}))['steps']['rows']))"
    steps = [
        step("first", "raise SystemExit('no | such thing')"),
        step("second", look),
        step("third", "import os; os.abort()", writes=("ops",)),
        step("fourth", look, writes=("card",)),
    ]
    assert gpu.take(steps, options, limit=600.0) == 2
    assert taken(results) == {
        "first": "failed: exit status 1: no ¦ such thing",
        "second": "done: 1",
        "third": "failed: exit status -6: said nothing",
        "fourth": "done",
    }
    assert "===== second" in (results.parent / "log.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_step_that_hangs_ends_with_its_children_and_leaves_the_others_their_budgets(tmp_path: Path) -> None:
    child = "import time; time.sleep(600)"
    hanging = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); print(p.pid, flush=True); p.wait()"
    options = measure.Options("cpu", out=tmp_path / "results.json")
    steps = [step("hangs", hanging, 1.0), step("runs", "print('here')", 595.0), step("if time is left", "", 0.0)]
    assert gpu.take(steps, options, limit=606.0, spent=0.0) == 1
    found = taken(tmp_path / "results.json")
    assert found["hangs"].startswith("failed: stopped after 1")
    assert found["runs"] == "done: here"
    assert found["if time is left"].startswith("done")
    pid = int((tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()[2])
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"


def test_chosen_steps_are_added_to_those_of_the_same_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results.json"
    options = measure.Options("cpu", out=results)
    assert gpu.take([step("first", "raise SystemExit(1)")], options, limit=600.0) == 1
    assert gpu.take([step("second", "")], options, limit=600.0, anew=False) == 0
    assert list(taken(results)) == ["first", "second"]
    assert gpu.take([step("first", "")], options, limit=600.0, anew=False) == 0
    assert taken(results) == {"second": "done: said nothing", "first": "done: said nothing"}
    monkeypatch.setattr(gpu, "package", lambda: "another")
    with pytest.raises(SystemExit, match="is of another state of asymkit/"):
        gpu.take([step("third", "")], options, limit=600.0, anew=False)
    assert list(taken(results)) == ["second", "first"]


def test_chosen_steps_are_found_by_number_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str] = []

    def take(steps: list[gpu.Step], *_: object, anew: bool) -> int:
        chosen[:] = [each.name for each in steps]
        assert not anew
        raise SystemExit

    monkeypatch.setattr(gpu, "take", take)
    with pytest.raises(SystemExit):
        gpu.main(["--cpu", "--out", str(tmp_path), "--steps", "0", "4", "registers", "6 S2 against one generator"])
    batches = [f"4 training step, batch {batch}" for batch in (1, 8, 16)]
    assert chosen == ["0 card", *batches, "6 S2 against one generator"]
    with pytest.raises(SystemExit):
        gpu.main(["--cpu", "--out", str(tmp_path), "--steps", "9"])


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="started to ignore SIGINT, as its children are"
)
def test_a_step_that_is_stopped_says_where_it_was(tmp_path: Path) -> None:
    options = measure.Options("cpu", out=tmp_path / "results.json")
    gpu.take([step("sleeps", "import time; time.sleep(600)", 1.0)], options, limit=3.0)
    assert "KeyboardInterrupt" in (tmp_path / "log.txt").read_text(encoding="utf-8")


def test_what_no_time_was_left_for_is_said(tmp_path: Path) -> None:
    options = measure.Options("cpu", out=tmp_path / "results.json")
    steps = [step("has a budget", "", 5.0), step("if time is left", "", 0.0)]
    assert gpu.take(steps, options, limit=100.0, spent=100.0) == 1
    assert taken(tmp_path / "results.json") == {
        "has a budget": "failed: no time was left",
        "if time is left": "not run: no time was left",
    }


def test_the_budgets_fit(tmp_path: Path) -> None:
    steps = gpu.steps(False, tmp_path / "results.json")
    assert sum(each.budget for each in steps) <= gpu.LIMITS["whole"] <= 540
    assert sum(each.budget for each in steps if each.quick) <= gpu.LIMITS["quick"] <= 150
    assert [each.name[0] for each in steps if each.quick] == ["0", "1", "2"]
    for each in steps:
        script = next(part for part in each.command if part.endswith(".py"))
        assert (ROOT / script).is_file()


def test_the_page_has_a_place_for_every_entry(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    names = {name for _, name, _ in pages.BLOCK.findall(page)}
    assert {name for each in gpu.steps(False, tmp_path) for name in each.writes} | {"steps", "gpu-goals"} <= names


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="--cpu rehearses"):
        gpu.main(["quick"])


@pytest.mark.parametrize(
    ("kernel", "copies"),
    [
        ("void cudnn::ops::nchwToNhwcKernel<float, float, float, false, true>(...)", True),
        ("void cudnn::engines_precompiled::nhwcToNchwKernel<__half>(...)", True),
        ("void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda>>", True),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::bfloat16_copy_kernel_cuda(...)>", False),
        ("void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda>", False),
        ("void at::native::elementwise_kernel<128, 2, at::native::CUDAFunctor_add<float>>", False),
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_nhwckrsc_nhwc_tilesize128x128x64", False),
    ],
)  # fmt: skip
def test_layout_copies_are_known_by_name(kernel: str, copies: bool) -> None:
    assert launches.is_layout_copy(kernel) == copies


def test_names_of_kernels_are_code_on_a_page() -> None:
    row = {"kernel": "void add<c10::BFloat16>", "goal": "< 1, no copies"}
    assert report.table(("kernel", "goal"), [row]).splitlines()[-1] == "| `void add<c10::BFloat16>` | < 1, no copies |"


def test_input_sets_are_alike_and_apart() -> None:
    inputs = torch.rand(1, 2, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_(), torch.rand(3)
    sets = measure.input_sets(inputs, CPU)
    assert len(sets) == 4
    assert len({x.data_ptr() for each in sets for x in each}) == 8
    for x, y in sets:
        assert torch.equal(x, inputs[0])
        assert (x.stride(), x.requires_grad, y.requires_grad) == (inputs[0].stride(), True, False)


def test_every_input_set_is_used_in_turn() -> None:
    seen: Counter[int] = Counter()
    seconds, _ = measure.gpu_seconds([partial(seen.update, [i]) for i in range(4)], CPU)
    assert seconds > 0
    assert len(set(seen.values())) == 1
    assert len(seen) == 4


def measured(folder: Path, **about: str) -> Path:
    """results.json of a card on which the training steps failed."""
    machine = report.machine(CPU) | CARD | about
    path = folder / "results.json"
    options = measure.Options("cuda", out=path)
    rows: dict[str, list[dict[str, Any]]] = {
        "ops": [
            {"op": "MS-SSIM (8,3,256²)", "method": "asymkit", "GPU ms": 0.05, "× faster": 14.0},
            {"op": "CIN+ReLU+residual (8,256,64²) NCHW", "method": "asymkit", "× lower bound forward": 1.2},
        ],
        "launches": [{"what": "MS-SSIM (8,3,256²)", "method": "asymkit", "launches": 8}],
        "steps": [
            {"step": "4", "outcome": "failed: stopped after 25 s", "writes": "train_step-256-1"},
            {"step": "3", "outcome": "done", "writes": "ops"},
        ],
    }
    for name, each in rows.items():
        columns = list(dict.fromkeys(key for row in each for key in row))
        report.Report(name, options, columns, each, machine).keep()
    return path


def test_results_of_this_state_are_added_under_the_name_of_their_card(tmp_path: Path) -> None:
    given = measured(tmp_path, commit="unknown")
    target = pages.add(given, tmp_path / "results")
    assert target.name == "cuda-h100-2026-01-02.json"
    entries = json.loads(target.read_text(encoding="utf-8"))
    assert {entry["machine"]["commit"] for entry in entries.values()} == {report.commit()}
    found = report.newest(tmp_path / "results")
    page = "".join(f"<!-- benchmark: {name} -->\n<!-- end -->\n" for name in ("ops", "train_step-256-1", "demo"))
    written = pages.written(page, found)
    assert "CUDA: H100, driver unknown" in written
    assert f"asymkit/ {report.package()}" in written
    assert "<!-- benchmark: train_step-256-1 -->\nCUDA: failed: stopped after 25 s\n<!-- end -->" in written
    assert "<!-- benchmark: demo -->\nNot measured.\n<!-- end -->" in written
    goals = {line.split(" | ")[0].strip("| "): line for line in gpu_goals(found).splitlines()}
    assert goals["MS-SSIM, forward and backward"].endswith("| 50 µs, 14×, 8 launches | no |")
    assert goals["CIN+ReLU+residual, forward, NCHW"].endswith("| 83 % | yes |")
    assert goals["CIN+ReLU+residual, forward, channels-last"].endswith("| not measured | – |")
    assert goals["CycleGAN step, batch 1, fastest variant"].endswith("| failed: stopped after 25 s | – |")
    assert goals["CycleGAN step, batch 8, fastest variant"].endswith("| not measured | – |")


def test_figures_of_another_state_of_the_package_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="measured with another state of asymkit/, 000000000000; this one is"):
        pages.add(measured(tmp_path, package="000000000000"), tmp_path / "results")
    with pytest.raises(SystemExit, match="rehearsed on cpu"):
        pages.add(measured(tmp_path, device="cpu: A"), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_hash_is_of_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asymkit.__file__", str(tmp_path / "__init__.py"))
    hashes = []
    for name, text in (("__init__.py", "a"), ("b/c.py", "a"), ("b/c.py", "b"), ("b/d.py", "b")):
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        hashes.append(report.package())
    assert len(set(hashes)) == 4
    (tmp_path / "notes.txt").write_text("none of it", encoding="utf-8")
    assert report.package() == hashes[-1]


@pytest.mark.slow
def test_the_whole_command_is_rehearsed_without_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--cpu", "--out", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    log = tmp_path / "log.txt"
    assert found.returncode == 0, (
        found.stdout + found.stderr + (log.read_text(encoding="utf-8") if log.exists() else "")
    )
    entries = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    steps = gpu.steps(True, tmp_path)
    assert [row["step"] for row in entries["steps"]["rows"]] == [each.name for each in steps]
    assert entries.keys() == {"steps", *(name for each in steps for name in each.writes)}
    assert all(entry["rows"] for entry in entries.values())
    goals = found.stdout[found.stdout.index("| path | goal | measured | reached |") :]
    assert "not measured" not in goals
    assert "failed" not in goals.splitlines()[2:-1]
    assert "0 of 13 steps failed" in goals
