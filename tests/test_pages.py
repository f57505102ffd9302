"""Every block of code in the README and on the site: Python is run, commands are parsed by the programs they call."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
import tyro
from guides import PEOPLE, changed, followed, images
from PIL import Image

from asymkit import AuxEncoder, AuxGenerator, PatchDiscriminator, ResnetGenerator

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if not {"_build", "generated"} & set(path.parts)
)
TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))


class Block(NamedTuple):
    page: str
    language: str
    code: str
    number: int

    def __str__(self) -> str:
        return f"{self.page}:{self.number}:{self.language}"


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a page, without directives of Sphinx, which its build runs."""
    text, page = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    found = re.findall(r"^```([^\n`]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    kept = [(language, code) for language, code in found if not language.startswith("{")]
    return [Block(page, language, code, number) for number, (language, code) in enumerate(kept)]


BLOCKS = [block for path in PAGES for block in blocks_of(path)]


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


RUN_BY = {
    "docs/from-cyclegan.md": "test_an_old_run_goes_on_from_the_files_that_the_guide_writes",
    "docs/from-stargan.md": "test_an_old_stargan_run_goes_on_from_the_files_that_the_guide_writes",
    "docs/from-munit.md": "test_each_change_to_munit_code_trains",
    "docs/from-asymmetricgan.md": "test_an_old_run_of_the_solver_goes_on",
    "docs/from-cut-and-pix2pix.md": "test_each_change_to_cut_and_pix2pix_code_trains",
    "docs/deploy.md": "test_the_lines_of_the_page_on_deployment_work",
    "docs/evaluation.md": "test_the_example_of_the_page_runs",
    "docs/benchmarks.md": "test_the_page_on_speed_shows_a_step_that_trains",
}
"""Pages whose Python is run by a test that stands elsewhere, with what it checks besides."""

SMALLER = (
    ("ResnetGenerator(blocks=6)", "ResnetGenerator(width=4, blocks=1)"),
    ("AuxGenerator()", "AuxGenerator(width=4, blocks=1)"),
    ("AuxEncoder()", "AuxEncoder(width=4)"),
    ("PatchDiscriminator()", "PatchDiscriminator(width=4, layers=2)"),
    ('DualGenerator.preset("S2", domains=4)', 'DualGenerator.preset("S2", domains=4, width=4)'),
    ("image_size=128)", "image_size=64, width=4)"),
    ('["relu2_2"]', '["relu1_1"], weights=None'),
    ('["relu1_2", "relu2_2", "relu3_3", "relu4_3"]', '["relu1_1"], weights=None'),
)
"""Written on the pages, and what takes its place here: narrow networks and random features do the same, sooner."""


def prepared(page: str, folder: Path) -> dict[str, Any]:
    """What the prose of a page says that there is: the names and files that its Python uses."""
    translators = {
        "rich_to_poor": ResnetGenerator(width=4, blocks=1),
        "poor_to_rich": ResnetGenerator(width=4, blocks=1),
    }
    discriminators = {f"{side}_discriminator": PatchDiscriminator(width=4, layers=2) for side in ("rich", "poor")}
    steps: list[str] = []
    names: dict[str, Any] = {
        "steps": steps,
        "joint": lambda x, y: steps.append("joint"),
        "partial": lambda x, y: steps.append("partial"),
        "loader": [(images(), images())],
        "photo": images(size=50)[:1],
        **translators,
        **discriminators,
    }
    if page == "docs/asymmetricgan.md":
        names["loader"] = [(images(size=64), torch.tensor([0, 1]), images(size=64), torch.tensor([2, 3]))]
    model = torch.nn.ModuleDict({"poor_to_rich": AuxGenerator(width=4, blocks=1), "encoder": AuxEncoder(width=4)})
    Image.new("RGB", (50, 50), "orange").save(folder / "photo.jpg")
    (folder / "runs" / "demo").mkdir(parents=True)
    torch.save(
        {"step": 1, "parts": {"model": model.state_dict(), "average": {}}}, folder / "runs" / "demo" / "checkpoint.pt"
    )
    return names


HERE = sorted({block.page for block in of("python")} - set(RUN_BY))


@pytest.mark.filterwarnings("ignore:.*scales:UserWarning")
@pytest.mark.parametrize("page", HERE)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = prepared(page, tmp_path)
    for block in of("python"):
        if block.page == page and not in_an_example(block):
            code = functools.reduce(lambda code, pair: code.replace(*pair), SMALLER, block.code)
            exec(compile(code, str(block), "exec"), names)
    if page == "README.md":
        assert names["steps"] == ["joint"] * 50 + (["joint"] * 5 + ["partial"] * 5) * 5
        assert all(torch.isfinite(term) for term in names["terms"].values())
    if page == "docs/start.md":
        assert names["rich"].shape == (1, 3, 50, 50)
        assert (tmp_path / "photo-rich.png").exists()
    if page == "docs/asymmetricgan.md":
        assert names["snowy"].shape == (2, 3, 64, 64)


def in_an_example(block: Block) -> bool:
    """Whether a block shows a function that stands in an example, statement by statement."""
    (function, *rest) = ast.parse(block.code).body
    if rest or not isinstance(function, ast.FunctionDef):
        return False
    for path in (ROOT / "examples").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and ast.dump(node) == ast.dump(function):
                return True
    return False


def test_what_the_page_on_reliability_shows_is_the_examples_own() -> None:
    (shown,) = (block for block in of("python") if block.page == "docs/reliability.md")
    assert in_an_example(shown)


def test_tests_that_run_other_pages_exist() -> None:
    for page, test in RUN_BY.items():
        assert f"def {test}(" in TESTS, page


@pytest.mark.filterwarnings("ignore:.*scales:UserWarning")
def test_the_change_in_the_readme_trains(tmp_path: Path) -> None:
    (change,) = (block for block in of("diff") if block.page == "README.md")
    source = (PEOPLE / "cyclegan_2025.py").read_text(encoding="utf-8") + (PEOPLE / "cyclegan.py").read_text(
        encoding="utf-8"
    )
    source = "from asymkit import MSSSIMLoss\n" + changed(source, change.code)
    names = followed("from-cyclegan", source=source)
    plain = (PEOPLE / "cyclegan_2025.py").read_text(encoding="utf-8") + (PEOPLE / "cyclegan.py").read_text(
        encoding="utf-8"
    )
    from test_guide_cyclegan import options

    losses = []
    for code in (names, followed("from-cyclegan", source=plain)):
        torch.manual_seed(0)
        seen: list[float] = []
        data = {"A": images(), "B": images()}
        code["train"](
            options(tmp_path, epoch_count=20),
            [data],
            lambda model, _, seen=seen: seen.append(float(model.loss_G.detach())),
        )
        losses.append(seen[0])
    assert losses[0] > losses[1]  # the two terms are above 0 where images differ


def test_diffs_are_in_guides_alone() -> None:
    """The guides' are followed by their tests, each under its own heading."""
    assert {block.page for block in of("diff")} <= {"README.md", *(page for page in RUN_BY if "from-" in page)}


# Commands


def commands() -> list[Any]:
    found = []
    for block in of("bash"):
        for line in block.code.splitlines():
            words = shlex.split(line, comments=True)
            found += [pytest.param(words, id=f"{block.page}: {' '.join(words)}")] if words else []
    return found


def parse_example(script: str, words: list[str]) -> object:
    """The settings of an example, as its command line makes them."""
    module = importlib.import_module(Path(script).stem)
    if Path(script).stem in {"translate", "playground", "share"}:  # of a trained run
        return tyro.cli(module.Options, args=words)
    presets = module_presets(module)
    if words[0] in presets:
        return tyro.extras.overridable_config_cli(presets, args=words)
    _, default = next(iter(presets.values()))  # the folder of a run
    return tyro.cli(type(default), default=default, args=words[1:])


def module_presets(module: ModuleType) -> dict[str, tuple[str, Any]]:
    """What the last lines of an example give to ``command``."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "command"]
    found: dict[str, tuple[str, Any]] = eval(ast.unparse(calls[-1].args[1]), vars(module))
    return dict(found)


def parse_module(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """The arguments of a command of the package, without its work."""
    given: list[object] = []

    def stub(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def recorded(*args: object, **kwargs: object) -> str:
            given.append((args, kwargs))
            return ""

        return recorded

    module = importlib.import_module(
        f"{name}.__main__" if name in {"asymkit.evaluation", "asymkit.evaluation.study"} else name
    )
    places = {
        "asymkit.evaluation": [(importlib.import_module("asymkit.evaluation.command"), "evaluate")],
        "asymkit.evaluation.entropy": [(module, "compare")],
        "asymkit.evaluation.study": [(module, "write"), (module, "score_files")],
    }
    for place, function in places[name]:
        monkeypatch.setattr(place, function, stub(getattr(place, function)))
    monkeypatch.setattr(sys, "argv", [name, *words])
    module.main()
    assert len(given) == 1
    return given[0]


def check(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether what a command calls exists and takes these options."""
    program, *rest = words
    if program in {"torchrun", "accelerate"}:
        place = next(i for i, word in enumerate(rest) if word.endswith(".py"))
        program, rest = "python", rest[place:]
    if program.endswith("python") and rest[0] == "-m":
        if rest[1] != "venv":
            parse_module(rest[1], rest[2:], monkeypatch)
    elif program.endswith("python") and rest[0].startswith("examples/"):
        parse_example(rest[0], rest[1:])
    elif program.endswith("python") or program.startswith("benchmarks/"):
        script = ROOT / (rest.pop(0) if program.endswith("python") else program)
        assert script.exists(), script
        sources = script.rglob("*.py") if script.is_dir() else [script]
        source = "".join(path.read_text(encoding="utf-8") for path in sources)
        for option in (word for word in rest if word.startswith("--")):
            assert re.search(rf"\b{option[2:].replace('-', '_')}\b", source), option
    elif program == "make":
        targets = [word for word in rest if "=" not in word]
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) for target in targets), targets
    elif program == "pip":
        extras = re.findall(r"\[(.+)\]$", rest[1]) if rest[0] == "install" else []
        declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]")[2]
        for extra in ",".join(extras).split(",") if extras else []:
            assert re.search(rf"^{extra} = \[", declared, re.MULTILINE), extra
        assert re.match(r"\.(\[|$)", rest[1]), f"{rest[1]} is on no package index yet"
    else:
        assert program in {".", "cp"}, program


@pytest.mark.parametrize("words", commands())
def test_a_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    check(words, monkeypatch)


@pytest.mark.parametrize(
    "line",
    [
        "python examples/asymgan.py demo --widht 8",
        "python examples/translate.py runs/demo photos",
        "python -m asymkit.evaluation.entropy a",
        "python benchmarks/ops.py --nonsense 3",
        "make everything",
        'pip install ".[everything]"',
        "pip install asymkit",
        "git clone somewhere",
    ],
)
def test_a_command_that_fails_is_noticed(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        check(shlex.split(line), monkeypatch)


def test_make_knows_its_targets() -> None:
    for target in ("demo", "test", "docs", "release-check"):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


# Other languages


def test_every_block_is_of_a_language_that_is_checked() -> None:
    known = {"python", "bash", "diff", "json", "bibtex", "text"}
    assert not [str(block) for block in BLOCKS if block.language not in known]


def test_text_is_no_command_in_disguise() -> None:
    for block in of("text"):
        assert not re.search(r"^(\$|python|pip|make) ", block.code, re.MULTILINE), str(block)


def test_json_is_valid() -> None:
    for block in of("json"):
        json.loads(block.code)


def test_references_are_those_of_the_citation_file() -> None:
    """By their DOI or number, and with balanced braces."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    (bibtex,) = of("bibtex")
    assert bibtex.code.count("{") == bibtex.code.count("}")
    numbers = re.findall(r"doi\s+= \{(.+)\}|arXiv:(\d{4}\.\d+)", bibtex.code)
    assert len(numbers) == bibtex.code.count("@article")
    for doi, arxiv in numbers:
        assert (doi or arxiv) in citation


# Links


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_pictures_of_a_page_exist(path: Path) -> None:
    prose = re.sub(r"```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", prose):
        place, _, heading = (target[0] or target[1]).partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        file = path.parent / place if place else path
        assert file.exists(), place
        if heading and file.suffix == ".md":
            assert heading in {
                slug(each) for each in re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            }


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
