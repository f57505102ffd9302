"""How results are kept: one JSON file for each machine and day, with one entry for each benchmark."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import measure
import torch

import asymkit

RESULTS = Path(__file__).parent / "results"
MISSING = "not measured"
KINDS = {"cpu": "CPU, AVX2", "cpu-avx512": "CPU, AVX-512", "cuda": "CUDA"}
"""Kinds of device, whose figures are not those of each other, and what tables call them."""
Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Entries by name and kind of device, of :func:`newest`."""
INSTRUCTIONS = (
    *("avx2", "fma3", "f16c", "avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16", "avx_vnni", "neon", "bf16", "sve", "sve2"),
)
"""Those that decide how fast a network runs on a CPU, of ``torch.cpu.get_capabilities()``."""


def instruction_sets() -> list[str]:
    """What the CPU can do, as far as it matters here."""
    if not hasattr(torch.cpu, "get_capabilities"):  # before torch 2.12
        return [torch.backends.cpu.get_cpu_capability().lower()]
    found = torch.cpu.get_capabilities()
    return [name for name in INSTRUCTIONS if found.get(name)]


def commit() -> str:
    """Of the code that is measured, with a + where it was changed since."""
    git = ["git", "-C", str(Path(__file__).parent.parent)]
    code = ["--", "asymkit", "examples", ":(glob)benchmarks/**/*.py"]
    try:
        found = subprocess.run(
            [*git, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", *code], capture_output=True, check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found + ("+" if changed else "")


def package() -> str:
    """A hash of the sources of asymkit/, by which figures are known to be of this state of it, also without git."""
    folder, found = Path(asymkit.__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def tf32() -> str:
    """Whether float32 is computed in TF32, which has three digits."""
    states = {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "matrix products": torch.backends.cuda.matmul.allow_tf32,
    }
    return ", ".join(f"{what}: {'TF32' if on else 'float32'}" for what, on in states.items())


def driver() -> str:
    """The version of NVIDIA's."""
    ask = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def machine(device: torch.device) -> dict[str, Any]:
    """What a figure is worth nothing without."""
    known: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    cpu = known.get("cpu_name", platform.processor() or platform.machine())
    malloc = {key: value for key, value in os.environ.items() if key.startswith("MALLOC_") or key == "LD_PRELOAD"}
    gpu = {"driver": driver(), "tf32": tf32()} if device.type == "cuda" else {}
    return gpu | {
        "package": package(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else f"{device.type}: {cpu}",
        "instructions": instruction_sets(),
        "threads": torch.get_num_threads(),
        "bfloat16": "yes" if measure.fast_bfloat16(device) else "no instructions for it",
        "malloc": "glibc's default" if not malloc else "memory kept (" + ", ".join(sorted(malloc)) + ")",
    }


def kind_of(about: Mapping[str, Any]) -> str:
    """The kind of device of a machine, of :data:`KINDS`."""
    kind = str(about["device"].split(": ", 1)[0])
    wide = any(name.startswith("avx512") for name in about["instructions"])  # "avx512" alone before torch 2.12
    return "cpu-avx512" if kind == "cpu" and wide else kind


def heading(about: Mapping[str, Any]) -> str:
    """The machine in one line."""
    kind, name = about["device"].split(": ", 1)
    sets = ", ".join(part.upper().replace("_", "-") for part in about["instructions"])
    threads = f"{about['threads']} thread{'s' if about['threads'] > 1 else ''}"
    state = f"{about['date']}, commit {about['commit']}"
    versions = f"torch {about['torch']}, Python {about['python']}"
    if kind == "cuda":
        driver, precision, code = (about.get(key, "unknown") for key in ("driver", "tf32", "package"))
        return f"CUDA: {name}, driver {driver}; {versions}; {precision}; {state}, asymkit/ {code}"
    return (
        f"{kind.upper()}: {name}, CPU with {sets}, bfloat16: {about['bfloat16']}; {threads}; {versions}, "
        f"malloc: {about['malloc'].split(' (')[0]}; {state}"
    )


def file_name(about: Mapping[str, Any]) -> str:
    """Such as cpu-avx2-2026-11-26.json, or cuda-nvidia-h100-80gb-hbm3-2026-11-26.json."""
    kind, name = about["device"].split(": ", 1)
    if kind == "cpu":
        widest = [
            level
            for level in ("avx512_bf16", "avx512_f", "avx512", "avx2", "sve", "neon")
            if level in about["instructions"]
        ]
        name = {"avx512_f": "avx512"}.get(widest[0], widest[0]) if widest else platform.machine()
    return "-".join([kind, re.sub("[^a-z0-9]+", "-", name.lower()).strip("-"), about["date"]]) + ".json"


@dataclass
class Report:
    """Rows of one benchmark, printed as a Markdown table and kept as an entry of a JSON file.

    Args:
        name: of the entry.
        options: of the benchmark.
        columns: keys of the rows, in the order of the table.
        rows: what was found.
        about: the machine.
    """

    name: str
    options: measure.Options
    columns: Sequence[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.about = self.about or machine(torch.device(self.options.device))

    def write(self) -> None:
        """Print the table and keep it."""
        print(f"{heading(self.about)}\n\n{table(self.columns, self.rows)}")
        self.keep()

    def keep(self) -> None:
        """Write the entry into the file of the options, or into that of this machine and day in their folder, beside others."""
        if self.options.out is None:
            return
        path = self.options.out if self.options.out.suffix == ".json" else self.options.out / file_name(self.about)
        entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        options = {key: value for key, value in asdict(self.options).items() if key != "out"}
        entries[self.name] = {
            "machine": self.about,
            "options": options,
            "columns": list(self.columns),
            "rows": self.rows,
        }
        write_entries(path, entries)


def write_entries(path: Path, entries: Mapping[str, Any]) -> None:
    """A file of results, as every one of them is written."""
    text = json.dumps(entries, indent=1, default=str, ensure_ascii=False, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(path)  # a process that is stopped leaves the file of before


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table; – where a row has nothing, and nothing where its first cell is that of the row before."""
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    firsts = [line[0] for line in cells]
    for line, before in zip(cells[1:], firsts, strict=False):
        line[0] = "" if line[0] == before else line[0]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(columns), ["---"] * len(columns), *cells])


def cell(value: Any) -> str:
    """Three digits of a number; names of kernels as code, whose <...> a page would take for links."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"`{value}`" if re.search(r"<\S", str(value)) else str(value)


def newest(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The latest entry of every benchmark, by name, and by kind of device within: ``newest()["ops"]["cpu"]``."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: (path.stem[-10:], path.stem)):
        for name, entry in json.loads(path.read_text(encoding="utf-8")).items():
            found.setdefault(name, {})[kind_of(entry["machine"])] = entry
    return found


def value(results: Results, kind: str, name: str, column: str, **row: str) -> float | None:
    """One figure of the first row with these cells; None where it was not measured.

    The cells "op" and "what" begin with what is given, in which * stands for anything.
    """
    for found in results.get(name, {}).get(kind, {}).get("rows", []):
        if all(
            fnmatchcase(found[key], f"{text}*") if key in {"op", "what"} else found[key] == text
            for key, text in row.items()
        ):
            figure = found.get(column)
            return None if isinstance(figure, str) else figure
    return None


def unmeasured(results: Results, kind: str, name: str) -> str:
    """Why there is no entry of this name: the step of gpu.sh that failed, or nobody measured."""
    for step in results.get("steps", {}).get(kind, {}).get("rows", []):
        if name in step["writes"].split() and step["outcome"].startswith("failed"):
            return str(step["outcome"])
    return MISSING
