"""Text: files are UTF-8 wherever one is, and what is printed survives any encoding."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asymgan import PRESETS as ASYMGAN_PRESETS
from asymgan import Settings as AsymGANSettings
from support.run.command import command

from asymkit.console import print_in_any_encoding

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("asymkit", "examples", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "code_people_have" not in path.parts
)
BINARY = {"Image", "archive", "os", "gzip", "tarfile", "zipfile"}
"""Modules whose open() gives no text file, or whose text is not meant here."""


def _texts(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that read or write a file as text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "open":
            modes = node.args[1:2]
        elif isinstance(node.func, ast.Attribute) and node.func.attr in {"read_text", "write_text"}:
            modes = []
        elif isinstance(node.func, ast.Attribute) and node.func.attr in {"open", "fdopen"}:
            if isinstance(node.func.value, ast.Name) and node.func.value.id in BINARY and node.func.attr == "open":
                continue
            modes = node.args[:1] if node.func.attr == "open" else node.args[1:2]
        else:
            continue
        modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
        if not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes):
            yield node


def test_text_files_are_utf_8_on_every_system() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in FILES
        for call in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if not any(
            keyword.arg is None or (keyword.arg == "encoding" and "utf-8" in ast.unparse(keyword.value))
            for keyword in call.keywords
        )
    ]
    assert not found, f'{found}: without encoding="utf-8" a file has the code page of the system'


def test_what_reads_and_writes_text_is_recognised() -> None:
    code = (
        "open(p); open(p, 'rb'); p.open(); p.open('wb'); p.open(mode='a'); p.read_text(); os.fdopen(3); Image.open(p)"
    )
    assert [ast.unparse(call) for call in _texts(ast.parse(code))] == [
        "open(p)", "p.open()", "p.open(mode='a')", "p.read_text()", "os.fdopen(3)",
    ]  # fmt: skip


def code_page(monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    """Standard output as Windows redirects it to a file."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_text_that_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = code_page(monkeypatch)
    print_in_any_encoding()
    print("λ → 1 × 2, \udcff.jpg")
    assert stream.buffer.getvalue() == b"\\u03bb \\u2192 1 \xd7 2, \\udcff.jpg\n"  # type: ignore[attr-defined]


def test_an_example_prints_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = code_page(monkeypatch)

    def main(_: AsymGANSettings) -> None:
        print("3 samples → λ")

    monkeypatch.setattr(sys, "argv", ["asymgan.py", "demo"])
    command(main, ASYMGAN_PRESETS)
    assert stream.buffer.getvalue() == b"3 samples \\u2192 \\u03bb\n"  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["examples/asymgan.py", "demo", "--help"], ["-m", "asymkit.evaluation.entropy", "фото", "метки"]],
    ids=lambda words: words[1],
)
def test_commands_end_well_in_a_code_page(words: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
    )
    said = result.stdout + result.stderr
    assert b"can't encode" not in said
    assert b"Traceback" not in said
    if "--help" in words:
        assert result.returncode == 0
        assert b"\\u03bb" in said  # a weight
    else:
        assert b"\\u0444\\u043e\\u0442\\u043e" in said


SCRIPTS = [
    path for path in FILES if '__name__ == "__main__"' in path.read_text(encoding="utf-8") and "tests" not in path.parts
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_command_is_prepared_for_any_encoding(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "print_in_any_encoding()" in text or "    command(" in text
