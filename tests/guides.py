"""A guide of docs/ followed line by line: its changes made to code as people have it, for tests to run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from conftest import images_like

ROOT = Path(__file__).parent.parent
PEOPLE = ROOT / "tests" / "code_people_have"


class Section(NamedTuple):
    imports: str
    hunks: list[str]


def sections(guide: str) -> dict[str, Section]:
    """The parts of a guide that hold changes, by heading."""
    found: dict[str, Section] = {}
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    for part in re.split(r"^##+ ", text, flags=re.MULTILINE)[1:]:
        hunks = re.findall(r"```diff\n(.*?)```", part, flags=re.DOTALL)
        imports = "\n".join(re.findall(r"```python\n((?:from|import) .*?)```", part, flags=re.DOTALL))
        if hunks:
            found[part.splitlines()[0]] = Section(imports, hunks)
    return found


def matches(statement: ast.stmt, line: str) -> bool:
    """Whether a line of a guide is this statement; ``...`` stands for the rest of it, ``(...)`` for any parameters."""
    line = line.removeprefix("el") if line.startswith("elif ") else line
    if line.endswith("(...): ..."):
        return ast.unparse(statement).startswith(line.removesuffix("...): ..."))
    if line.endswith(": ..."):
        return ast.unparse(statement).splitlines()[0] == ast.unparse(ast.parse(line)).splitlines()[0]
    if line.endswith("..."):
        return ast.unparse(statement).startswith(line.removesuffix("...").rstrip())
    return ast.dump(statement) == ast.dump(ast.parse(line).body[0])


def changed(source: str, hunk: str) -> str:
    """The source after a change of a guide; what is added is indented as the line before it is in the source."""
    lines, tree = source.splitlines(), ast.parse(source)
    statements = sorted((node for node in ast.walk(tree) if isinstance(node, ast.stmt)), key=lambda node: node.lineno)
    cursor, indent, removed = 0, 0, set[int]()
    added: dict[int, list[str]] = {}
    waiting: list[str] = []  # added before the first line that the source has
    for entry in hunk.splitlines():
        sign, text = entry[:1], entry[1:]
        if sign == "+":
            if cursor:
                added.setdefault(cursor, []).append(" " * indent + text if text else "")
            else:
                waiting.append(text)
            continue
        statement = next((s for s in statements if s.lineno > cursor and matches(s, text.strip())), None)
        assert statement is not None, f"not in the code: {text}"
        indent = statement.col_offset - (len(text) - len(text.lstrip()))
        if not cursor:
            before = [" " * indent + line if line else "" for line in waiting]
            added.setdefault(statement.lineno - 1, []).extend(before)
        body = getattr(statement, "body", None)
        cursor = body[0].lineno - 1 if body else int(statement.end_lineno or 0)
        if sign == "-":
            removed |= set(range(statement.lineno, cursor + 1))
    result: list[str] = []
    for number, line in enumerate(["", *lines]):
        if number and number not in removed:
            result.append(line)
        result += added.get(number, [])
    return "\n".join(result)


class PlainPool:
    """As util/image_pool.py has it, in small."""

    def __init__(self, pool_size: int) -> None:
        self.pool_size, self.images = pool_size, list[Tensor]()

    def query(self, images: Tensor) -> Tensor:
        if self.pool_size == 0:
            return images
        self.images = (self.images + [image[None] for image in images.detach()])[-self.pool_size :]
        return torch.cat(self.images[: len(images)])


def followed(guide: str, *headings: str, source: str | None = None, form: str = "2025") -> dict[str, Any]:
    """The names of a module of ``code_people_have`` after the changes under these headings."""
    found = sections(guide)
    source = source or (PEOPLE / f"{guide.removeprefix('from-')}.py").read_text(encoding="utf-8")
    for heading in headings:
        for hunk in found[heading].hunks:
            # what from-cyclegan.md says of the code before 2025
            old = hunk if form == "2025" else hunk.replace("opt.init_gain)", "opt.init_gain, self.gpu_ids)")
            source = changed(source, old)
        source = f"{found[heading].imports}\n{source}"
    names: dict[str, Any] = {"__name__": "followed"}
    pool: Any = ModuleType("util.image_pool")
    pool.ImagePool = PlainPool
    sys.modules |= {"util": ModuleType("util"), "util.image_pool": pool}
    exec(compile(source, f"{guide} with {', '.join(headings)}", "exec"), names)
    return names


def images(batch: int = 2, size: int = 32) -> Tensor:
    return images_like(batch, 3, size, size).float()


def moved(before: dict[str, Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


NAN_STEPS = {0, 2}  # the very first, and one between good ones


class Stills:
    """Sees that a step on an image with a NaN moves no weight, and that every other step moves all networks."""

    def __init__(self, nets: Mapping[str, nn.Module], spoilt: set[int]) -> None:
        self.nets, self.spoilt, self.steps = nets, spoilt, 0
        self.before = self.weights()

    def weights(self) -> dict[str, Tensor]:
        flat = torch.nn.utils.parameters_to_vector
        return {name: flat(net.parameters()).detach() for name, net in self.nets.items()}

    def __call__(self, *_: Any) -> None:
        now = self.weights()
        for name, weights in now.items():
            assert weights.isfinite().all(), f"{name} after step {self.steps}"
            assert torch.equal(weights, self.before[name]) == (self.steps in self.spoilt), f"{name} {self.steps}"
        self.before, self.steps = now, self.steps + 1


def spoilt(batch: Any) -> Any:
    """A batch with a NaN in one pixel of each of its data sets."""
    if isinstance(batch, dict):
        return {name: spoilt(part) for name, part in batch.items()}
    if isinstance(batch, tuple):
        return spoilt(batch[0]), *batch[1:]
    image = batch.clone()
    image[0, 0, 5, 5] = float("nan")
    return image
