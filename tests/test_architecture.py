"""The house rules of DESIGN: imports run one way, files stay small, equations are listed, importing is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asymkit

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "asymkit"
FILES = sorted(PACKAGE.rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").rglob("*.py"))

ORDER = [
    "arguments",
    "precision",
    "checks",
    "optional",
    "weight_files",
    "state_dicts",
    "console",
    "ops",
    "labels",
    "initialisation",
    "layers",
    "blocks",
    "networks",
    "inference",
    "checkpoints",
    "losses",
    "training",
    "objectives",
    "evaluation",
    "hub",
]
"""Each may import what stands before it, and itself."""


def imported(path: Path) -> set[str]:
    """Parts of asymkit that a file imports, at any depth of the code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == "asymkit" else {module}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    names = imported(path)
    assert not {name for name in names if name.split(".")[0] in {"examples", "tests", "benchmarks", "support"}}
    if part in {"__init__", "hub"}:  # they stand over all others
        return
    for name in names:
        if name.startswith("asymkit."):
            target = name.split(".")[1]
            assert ORDER.index(target) <= ORDER.index(part), f"{path.name} imports {name} against the arrow"


@pytest.mark.parametrize("path", [*FILES, *EXAMPLES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_holds_two_ideas(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


OURS = {path.stem if path.is_file() else path.name for path in [PACKAGE, *(ROOT / "examples").iterdir(), *BENCHMARKS]}
"""What absolute imports of this repository's code begin with; examples and benchmarks are run from their own folders."""


def private_imports(source: str) -> list[str]:
    """Names with a leading underscore that code takes from another file of this repository, dunders aside."""
    modules: dict[str, str] = {}  # of this repository, by the names that they are imported under
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {a.asname or a.name: a.name for a in node.names if a.name.split(".")[0] in OURS}
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in OURS):
            modules |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            found += [f"{node.module}.{a.name}" for a in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (holder := ast.unparse(node.value)) in modules:
            found.append(f"{modules[holder]}.{node.attr}")
    return [name for name in found if re.search(r"(^|\.)_(?!_)", name)]


@pytest.mark.parametrize("path", FILES + EXAMPLES + BENCHMARKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_is_imported(path: Path) -> None:
    assert not private_imports(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "from asymkit.ops.ssim import _formula",
        "from asymkit.ops.ssim import _formula as formula",
        "from asymkit.ops import ssim\nssim._formula(x, y)",
        "import asymkit.ops.ssim as similarity\nsimilarity._formula(x, y)",
        "def late():\n    from support.run import _private",
    ],
)
def test_a_private_import_is_noticed(source: str) -> None:
    assert private_imports(source)
    assert not private_imports(source.replace("_formula", "formula").replace("_private", "public"))


def test_every_file_of_the_package_has_a_place_in_the_order() -> None:
    parts = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES}
    assert parts - {"__init__"} == set(ORDER)


def test_importing_is_light() -> None:
    heavy = ["torchvision", "lpips", "triton", "torch._dynamo", "pytorch_msssim", "matplotlib", "accelerate"]
    heavy += ["huggingface_hub", "safetensors"]
    code = f"import torch, sys; before = set(sys.modules); import asymkit; print([m for m in {heavy} if m in set(sys.modules) - before])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_all_lists_every_public_name() -> None:
    assert sorted(asymkit.__all__) == sorted(set(asymkit.__all__))
    for name in asymkit.__all__:
        assert getattr(asymkit, name).__doc__ or name == "__version__"
    defined = {name for name, found in vars(asymkit).items() if getattr(found, "__module__", "").startswith("asymkit.")}
    public = {name for name in defined if not name.startswith("_")}
    assert public <= set(asymkit.__all__)


TAG = re.compile(r"\[(AsymmetricGAN|AsymGAN|Async-GAN) ([^\]]+)\]")


def tags_in_code() -> set[tuple[str, str]]:
    """(paper, equation) of every tag in a docstring, ranges and lists taken apart."""
    found: set[tuple[str, str]] = set()
    for path in FILES:
        for paper, text in TAG.findall(path.read_text(encoding="utf-8")):
            for part in re.split(r", ", re.sub(r"^Eq\. ", "", text)):
                bounds = re.fullmatch(r"(\d+)–(\d+)", part)
                numbers = range(int(bounds[1]), int(bounds[2]) + 1) if bounds else [part]
                found |= {(paper, str(number)) for number in numbers}
    return found


def listed_equations() -> dict[tuple[str, str], str]:
    """(paper, equation) to the cell that names its object, from docs/equations.md."""
    page, paper, found = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8"), "", {}
    for line in page.splitlines():
        if line.startswith("## "):
            paper = line[3:].strip()
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 3 and not set(cells[0]) <= {"-", " "} and cells[0] != "Eq.":
            for part in cells[0].split(", "):
                found[paper, part] = cells[2]
    return found


def test_the_equations_page_is_complete() -> None:
    listed = listed_equations()
    missing = {tag for tag in tags_in_code() if tag not in listed}
    assert not missing, f"docs/equations.md lacks {sorted(missing)}"
    assert {("AsymGAN", str(n)) for n in range(1, 20)} <= listed.keys()


def test_every_object_on_the_equations_page_exists() -> None:
    import importlib

    objects = {name for cell in listed_equations().values() for name in re.findall(r"`([\w.]+)`", cell)}
    assert len(objects) > 15
    for name in objects:
        holder, *path = name.split(".")
        target = (
            importlib.import_module(f"asymkit.{holder}")
            if holder in {"ops", "objectives", "layers", "blocks"}
            else asymkit
        )
        for step in path if target is not asymkit else name.split("."):
            target = getattr(target, step, None) or importlib.import_module(f"{target.__name__}.{step}")


def typeset_equations(paper: str) -> dict[str, tuple[str, int]]:
    """By number, the line above an equation on the page of its paper, and how many formulas stand below it."""
    found: dict[str, tuple[str, int]] = {}
    text = (ROOT / "docs" / f"{paper.lower().replace('-', '')}.md").read_text(encoding="utf-8")
    for part in re.split(r"^\*\*(?=Eq\. |Algorithm )", text, flags=re.MULTILINE)[1:]:
        numbers, _, rest = part.partition("**")
        for number in numbers.removeprefix("Eq. ").split(", "):
            found[number] = (rest.partition("\n")[0], len(re.findall(r"^\$\$\n.+\n\$\$$", rest, re.MULTILINE)))
    return found


@pytest.mark.parametrize("paper", ["AsymGAN", "AsymmetricGAN", "Async-GAN"])
def test_every_equation_is_typeset_beside_its_objects(paper: str) -> None:
    typeset = typeset_equations(paper)
    numbered = {
        part: cell for (of, part), cell in listed_equations().items() if of == paper and re.match(r"\d|Alg", part)
    }
    assert typeset.keys() == numbered.keys()
    for number, cell in numbered.items():
        line, formulas = typeset[number]
        assert formulas >= 1, number
        for name in re.findall(r"`([\w.]+)`", cell):
            assert f"`{name}`" in line, f"{paper} {number}: {name} is not beside the equation"


def test_every_public_name_is_in_the_reference() -> None:
    """Under the name that users import; the same object under another module's name counts."""
    import importlib

    from test_public_api import MODULES

    documented = []
    for page in (ROOT / "docs" / "api").glob("*.md"):
        for module, names in re.findall(
            r"currentmodule:: (\S+)\n.*?nosignatures:\n\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            documented += [getattr(importlib.import_module(module), name) for name in names.split()]
    assert len(documented) > 100
    for place in MODULES:
        module = importlib.import_module(place)
        listed = getattr(module, "__all__", None) or [
            name
            for name, found in vars(module).items()
            if not name.startswith("_") and getattr(found, "__module__", "") == place
        ]
        missing = [name for name in listed if not any(getattr(module, name) is each for each in documented)]
        assert set(missing) <= {"__version__"}, f"{place}: docs/api lacks {missing}"


def test_the_version_is_in_the_changelog_and_the_citation() -> None:
    assert f"## {asymkit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {asymkit.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


OTHER_WORDS = re.compile(
    r"\b(whole numbers?|critics?|judges?|by_x|bricks|hand(ed)? in|squashed|tiled onto)\b", re.IGNORECASE
)
"""Words for which the field has another, see DESIGN."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_words_are_the_fields(path: Path) -> None:
    assert not OTHER_WORDS.findall(path.read_text(encoding="utf-8"))
