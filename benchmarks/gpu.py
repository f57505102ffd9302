"""The steps of gpu.sh: each a process with a budget of time; results.json after each; goals last.

The exit status is the number of steps that failed. A step may use its budget and what earlier ones left of theirs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import measure
import torch
from gpu_goals import gpu_goals
from report import Report, package

from asymkit.console import print_in_any_encoding

ROOT = Path(__file__).parent.parent
LIMITS = {"whole": 540.0, "quick": 145.0}
"""Seconds for all steps, the installation of wheels included."""
COLUMNS = ("step", "outcome", "seconds", "budget", "writes")
LEAST = 15.0
"""Seconds without which a step that has no budget is not begun."""
LAST_WORDS = 5.0
"""Seconds of a step that has used its time to say where it was."""


@dataclass(frozen=True)
class Step:
    """One process."""

    name: str
    command: Sequence[str]
    budget: float = 0.0
    """Seconds; 0: if time is left."""
    writes: tuple[str, ...] = ()
    """Entries of results.json."""
    quick: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it needs."""


def steps(cpu: bool, results: Path) -> list[Step]:
    """All of them in order; on the CPU with tiny sizes."""
    common = ["--out", str(results), "--device", "cpu" if cpu else "cuda"]

    def script(
        name: str, *options: str, rehearsed: Sequence[str] = (), seconds: str = "0.2", limit: str = "20"
    ) -> list[str]:
        rounds = (
            ["--seconds", "0", "--rounds", "2"] if cpu else ["--seconds", seconds, "--rounds", "10", "--limit", limit]
        )
        return [f"benchmarks/{name}.py", *common, *rounds, *(rehearsed if cpu else options)]

    # five scales need sides above 160
    tiny = ["--graphs", "--batch", "1", "--maps", "1", "--size", "164", "--width", "8"]
    tiny_step = ["--size", "32", "--width", "4", "--blocks", "1"]
    ops = ("--batch", "8")
    # kernels are compiled in every process, which takes most of the time
    spread = ["-n", "logical", "--dist", "worksteal"] if importlib.util.find_spec("xdist") and not cpu else []
    threads = {"OMP_NUM_THREADS": "1"} if spread else {}
    # PyTorch's cache of memory would hide what lies beyond a tensor
    uncached = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=default", *spread]
    found = [
        Step("0 card", script("card"), 10, ("card",), quick=True),
        Step("1 tests on the card", [*pytest, "tests/test_cuda.py"], 62, quick=True, environment=threads),
        Step(
            "2 launches",
            script(
                "launches",
                *("--no-graphs", *ops),
                rehearsed=[*tiny, "--no-graphs", "--step-size", "32", "--step-width", "4", "--step-blocks", "1"],
            ),
            42,
            ("launches", "kernels"),
            quick=True,
        ),
        Step(
            "3 ops",
            script(
                "ops", "--methods", "not compiled", *ops, rehearsed=[*tiny, "--methods", "not compiled"], seconds="0.05"
            ),
            88,
            ("ops",),
        ),
    ]
    for batch, budget in (("1", 40), ("8", 40), ("16", 40)):
        size = "32" if cpu else "256"
        found.append(
            Step(
                f"4 training step, batch {batch}",
                script("train_step", "--batch", batch, rehearsed=[*tiny_step, "--batch", batch], limit="30"),
                budget,
                (f"train_step-{size}-{batch}",),
            )
        )
    for mode, budget in (("default", 65), ("reduce-overhead", 50)):
        found.append(
            Step(
                f"5 torch.compile of the plain step, {mode}",
                script("train_step", "--compile", mode, rehearsed=[*tiny_step, "--compile", mode]),
                budget,
                (f"train_step-{size}-1-{mode}",),
            )
        )
    compiled = ["tests/compile_kernels.py", "90", str(results)]
    registers = Step("registers", compiled, writes=("registers",), environment={"TRITON_INTERPRET": "0"})
    smoke = script("launches", *tiny, "--smoke", rehearsed=[*tiny, "--smoke"])
    checker = ["compute-sanitizer", "--error-exitcode", "9", sys.executable] if not cpu else []
    return [
        *found,
        Step(
            "6 S2 against one generator",
            script("presets", "--batch", "16", rehearsed=["--size", "64", "--width", "4"]),
            18,
            ("presets-64-1" if cpu else "presets-128-16",),
        ),
        Step(
            "7 AsymGAN demo",
            script(
                "demo",
                "--minutes",
                "0.8",
                rehearsed=["--size", "16", "--width", "4", "--batch", "2", "--minutes", "None"],
            ),
            85,
            ("demo",),
        ),
        Step("8 compute-sanitizer", [*checker, *smoke], environment=uncached),
        Step(
            "torch.compile of the ops",
            script("ops", "--methods", "compiled", *ops, rehearsed=[*tiny, "--methods", "compiled", "--only", "TV"]),
            writes=("ops-compiled",),
        ),
        # the same on every machine, and a test of its own where there is no GPU
        *([] if cpu else [registers]),
    ]


def run(step: Step, seconds: float, log: Path) -> str:
    """Take a step in a process group of its own, and say how it went."""
    command = list(step.command)
    if command[0] == "compute-sanitizer" and shutil.which(command[0]) is None:
        return "not run: compute-sanitizer is not installed"
    command = command if command[0] == "compute-sanitizer" else [sys.executable, *command]
    environment = {**os.environ, **step.environment}
    with log.open("a", encoding="utf-8", errors="replace") as file:
        file.write(f"\n===== {step.name}: {' '.join(command)}\n")
        file.flush()
        begin = file.tell()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            process.send_signal(signal.SIGINT)  # pytest shows the failures so far, Python where it was
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LAST_WORDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(begin)
        said = [line.strip() for line in file.read().splitlines() if line.strip()]
    if status is None:
        print("\n".join(f"    {line}" for line in said[-12:]))
        return f"{'failed' if step.budget else 'not finished'}: stopped after {seconds:.0f} s"
    last = said[-1][:200].replace("|", "¦") if said else "said nothing"
    if status == 0:
        return "done" if step.writes else f"done: {last}"
    print("\n".join(f"    {line}" for line in said[-12:]))
    return f"failed: exit status {status}: {last}"


def take(chosen: Sequence[Step], options: measure.Options, limit: float, spent: float = 0.0, anew: bool = True) -> int:
    """Take the steps in ``limit`` seconds, of which some are spent; how many failed.

    Args:
        chosen: in order.
        options: with the device and results.json, beside which log.txt is written.
        limit: seconds for all.
        spent: seconds before the first step.
        anew: whether results.json begins empty; False adds to it.
    """
    results, begin = options.out, monotonic() - spent
    assert results is not None
    results.parent.mkdir(parents=True, exist_ok=True)
    report = Report("steps", options, COLUMNS)
    if anew:
        for path in (results, results.with_name("log.txt")):
            path.unlink(missing_ok=True)
    elif results.exists():
        earlier = json.loads(results.read_text(encoding="utf-8")).get("steps")
        if earlier is not None and (code := earlier["machine"]["package"]) != package():
            raise SystemExit(f"{results} is of another state of asymkit/, {code}; this one is {package()}")
        again = {step.name for step in chosen}
        report.rows += [row for row in (earlier or {"rows": []})["rows"] if row["step"] not in again]
    for i, step in enumerate(chosen):
        left = limit - (monotonic() - begin) - sum(later.budget for later in chosen[i + 1 :])
        started = monotonic()
        if left < (LEAST if step.budget == 0 else 1.0):
            outcome = "not run: no time was left" if step.budget == 0 else "failed: no time was left"
        else:
            outcome = run(step, left, results.with_name("log.txt"))
        row = (step.name, outcome, monotonic() - started, step.budget, " ".join(step.writes))
        report.rows.append(dict(zip(COLUMNS, row, strict=True)))
        report.keep()
        print(f"{row[2]:6.1f} s  {step.name}: {outcome}", flush=True)
    return sum(row["outcome"].startswith("failed") for row in report.rows[-len(chosen) :])


def main(arguments: Sequence[str] | None = None) -> int:
    """All steps, the quick or the chosen ones, then the goals."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=("quick", "whole"), default="whole")
    parser.add_argument("--cpu", action="store_true", help="rehearse with tiny sizes, without a GPU")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu", help="folder of results.json and log.txt")
    parser.add_argument(
        "--steps", nargs="+", help="names of steps, or their numbers: these, added to what lies in --out"
    )
    parser.add_argument("--limit", type=float, help="seconds for all of it")
    parser.add_argument("--spent", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not given.cpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no CUDA device; --cpu rehearses without one")
    results = (given.out / "results.json").resolve()
    options = measure.Options("cpu" if given.cpu else "cuda", out=results)
    every = steps(given.cpu, results)
    chosen = [step for step in every if given.mode == "whole" or step.quick]
    if given.steps:
        chosen = [step for step in every if step.name in given.steps or step.name.split()[0] in given.steps]
        if not chosen:
            parser.error(f"--steps must be among {', '.join(step.name for step in every)}, got {' '.join(given.steps)}")
    limit = given.limit or (3600.0 if given.cpu else LIMITS[given.mode])
    failed = take(chosen, options, limit, given.spent, anew=not given.steps)
    entries: Mapping[str, Mapping[str, object]] = json.loads(results.read_text(encoding="utf-8"))
    kind = "rehearsal" if given.cpu else "cuda"
    found = {name: {kind: entry} for name, entry in entries.items()}
    print(f"\n{gpu_goals(found, kind)}\n\n{failed} of {len(chosen)} steps failed; {results}")
    if not given.cpu:
        print(f"to keep them: python benchmarks/pages.py {results}")
    return failed


if __name__ == "__main__":
    print_in_any_encoding()
    sys.exit(main())
