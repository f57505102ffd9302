"""`--help` of the examples: quick, the same as without its trick, and with a sentence for every option."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.run.command import command
from test_pages import module_presets

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


LOADED = """
import runpy, sys
sys.modules["support.quick_help"] = sys  # there is nothing to import, so that nothing is stood in for
sys.path.insert(0, "examples")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@functools.cache
def help_of(name: str, *words: str, loaded: bool = False) -> subprocess.CompletedProcess[str]:
    """What an example prints; with everything loaded, or as it is."""
    script = f"examples/{name}.py"
    code = LOADED.replace("import runpy, sys", f"import runpy, sys; sys.argv = {[script, *words, '--help']}")
    result = subprocess.run(
        [sys.executable, "-c", code] if loaded else [sys.executable, "-X", "importtime", script, *words, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return result


def presets_of(name: str) -> dict[str, tuple[str, Any]]:
    module = importlib.import_module(name)
    return {} if hasattr(module, "Options") else module_presets(module)


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_loads_no_large_package(name: str) -> None:
    for words in ([], *([preset] for preset in presets_of(name))):
        loaded = {line.rpartition("|")[2].strip() for line in help_of(name, *words).stderr.splitlines()}
        assert "tyro" in loaded
        assert not loaded & {"torch._C", "torchvision.ops", "accelerate.state", "matplotlib.rcsetup", "numpy.linalg"}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_help_says_the_same_as_with_everything_loaded(name: str) -> None:
    assert help_of(name).stdout == help_of(name, loaded=True).stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_stand_ins_are_imported_first(name: str) -> None:
    tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    first = next(node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    assert ast.unparse(first) == "import support.quick_help"


def test_the_first_help_has_the_options_and_what_presets_change() -> None:
    text = help_of("asymgan").stdout
    assert "usage: examples/asymgan.py [-h] {paper,demo" in text
    assert "--aux-channels INT" in text
    assert re.search(r"^demo is paper with .*--minutes 3\.5 .*--weights\.content 10\.0", text, re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_option_says_what_it_is(name: str) -> None:
    plain = re.sub(r"[│╭╮╰╯─]", " ", help_of(name).stdout)
    options = re.split(r"\n\s+(?=-)", plain)[1:]
    assert len(options) > (2 if name == "share" else 5)
    for option in options:
        words = re.sub(r"\(default:.*|\(required\)", "", " ".join(option.split()))
        said = re.sub(r"^(?:-[\w.-]+(?:, )?|\{[^ ]*\}|\[[^\]]*\]+|\||[A-Z|]+\b|\{[A-Z ]+\}| )+", "", words)
        assert re.search(r"[a-z]{3}", said), option


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "data, skeletons, pairs: 'paper' .*; add --data FOLDER and --skeletons FOLDER and --pairs FILE.csv, or take demo",
        ),
        (["--data", "here"], "skeletons, pairs: 'paper' .*; add --skeletons FOLDER and --pairs FILE.csv, or take demo"),
        (
            ["--data", "here", "--skeletons", "there", "--pairs", "p.csv"],
            "data, skeletons, pairs: there are no such files or folders: 'here', 'there', 'p.csv'",
        ),
    ],
)
def test_one_error_names_all_that_is_missing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["asymmetricgan_gesture", "paper", *words])
    with pytest.raises(SystemExit, match=message):
        command(lambda settings: pytest.fail("it began"), presets_of("asymmetricgan_gesture"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_papers_settings_ask_for_images_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is built or downloaded; only the demo has images of its own."""
    presets = presets_of(name)
    for preset, (_, settings) in presets.items():
        if "demo" not in presets or preset == "demo" or not hasattr(settings, "data"):
            continue
        monkeypatch.setattr(sys, "argv", [name, preset])
        missing = ", ".join(settings.NEEDS)
        with pytest.raises(SystemExit, match=f"{missing}: '{preset}' trains on your own images; add --data FOLDER"):
            command(lambda settings: pytest.fail("it began"), presets)
