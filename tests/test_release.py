"""What a package index would show: the README without what leads nowhere, or with one address in front of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from launch import script

ROOT = Path(__file__).parent.parent
RELEASE_CHECK = script(ROOT / ".ci" / "release_check.py")
ADDRESS = "https://example.org/asymkit"


def description(folder: Path, address: str | None = None) -> str:
    """What hatch-fancy-pypi-readme makes of the README, with an address in pyproject.toml or without."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert pyproject.count("\\1none:/'") == 1  # one place for the address
    if address is not None:
        pyproject = pyproject.replace("none:/'", f"{address}/'")
    (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    (folder / "README.md").write_bytes((ROOT / "README.md").read_bytes())
    result = subprocess.run(
        [sys.executable, "-m", "hatch_fancy_pypi_readme"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    return result.stdout


def test_without_an_address_pictures_and_links_are_left_out(tmp_path: Path) -> None:
    text, readme = description(tmp_path), (ROOT / "README.md").read_text(encoding="utf-8")
    found = RELEASE_CHECK.targets(text)
    assert found
    assert all(target.startswith("https://") for target in found)
    assert set(found) == {target for target in RELEASE_CHECK.targets(readme) if target.startswith("https://")}
    assert "none:" not in text
    assert not re.search(r"<picture|<img|!\[", text)
    assert "What `make demo` gives" not in text  # the caption of a picture
    assert "**AsymGAN** gives the missing information a place" in text  # the text of a link stays
    assert re.findall(r"^## .*", text, re.MULTILINE) == re.findall(r"^## .*", readme, re.MULTILINE)
    assert re.findall(r"```.*?```", text, re.DOTALL) == re.findall(r"```.*?```", readme, re.DOTALL)


def test_with_an_address_it_stands_before_every_relative_target(tmp_path: Path) -> None:
    text, readme = description(tmp_path, ADDRESS), (ROOT / "README.md").read_text(encoding="utf-8")
    targets = RELEASE_CHECK.targets
    wanted = [t if re.match(r"https?:|#", t) else f"{ADDRESS}/{t}" for t in targets(readme)]
    assert targets(text) == wanted
    assert text.count("<picture>") == readme.count("<picture>") > 0
    assert text.replace(f"{ADDRESS}/", "").strip() == readme.strip()


def test_targets_of_the_readme_exist() -> None:
    assert not RELEASE_CHECK.broken_targets((ROOT / "README.md").read_text(encoding="utf-8"), ROOT)
    assert RELEASE_CHECK.broken_targets("[a](docs/none.md) ![b](README.md) <img src='x'>", ROOT) == ["docs/none.md"]


@pytest.mark.parametrize("name", [".github/workflows/ci.yml", ".pre-commit-config.yaml"])
def test_automation_calls_what_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith("ci.yml"):
        assert re.findall(r"run: (.+)", text) == [".ci/run"]
    else:
        assert set(re.findall(r"entry: \.venv/bin/(\w+)", text)) == {"ruff", "mypy"}


def test_ci_checks_the_site_and_the_release() -> None:
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {"test-all", "test-oldest", "docs", "release-check"} == set(re.findall(r"make ([\w-]+)", commands))
