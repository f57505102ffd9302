"""The public names and their arguments, as a file to compare with: nobody's code breaks without somebody seeing it."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

from torch import nn

LISTED = Path(__file__).parent / "public_api.txt"
MODULES = [
    "asymkit",
    "asymkit.ops",
    "asymkit.objectives.asymgan",
    "asymkit.objectives.asymmetricgan.unsupervised",
    "asymkit.objectives.asymmetricgan.supervised",
    "asymkit.objectives.asyncgan",
    "asymkit.evaluation",
]


def signature(name: str, found: object) -> list[str]:
    """One line for a function, several for a class: how it is made, called, and its public methods."""
    if not callable(found):
        return [f"{name}: {type(found).__name__}"]
    # what nn.Module says of its own differs between versions of PyTorch
    inherited = inspect.isclass(found) and found.__init__ is nn.Module.__init__
    lines = [f"{name}()" if inherited else f"{name}{inspect.signature(found)}"]
    if inspect.isclass(found):
        for method in sorted(set(dir(found)) - {"extra_repr"}):
            member = getattr(found, method)
            ours = inspect.isroutine(member) and str(getattr(member, "__module__", "")).startswith("asymkit")
            if ours and not method.startswith("_"):
                lines.append(f"    {method}{inspect.signature(member)}")
    return lines


def surface() -> str:
    lines: list[str] = []
    for place in MODULES:
        module = importlib.import_module(place)
        names = getattr(module, "__all__", None) or [
            name
            for name, found in vars(module).items()
            if not name.startswith("_") and getattr(found, "__module__", "") == place
        ]
        lines += [
            f"# {place}",
            *(line for name in sorted(names) for line in signature(name, getattr(module, name))),
            "",
        ]
    return "\n".join(lines)


def test_the_public_surface_is_the_listed_one() -> None:
    found = surface()
    if found != LISTED.read_text(encoding="utf-8"):
        (new := LISTED.with_suffix(".new.txt")).write_text(found, encoding="utf-8")
        raise AssertionError(
            f"public names or arguments changed; see the differences to {new.name}, and put it in place if they are meant"
        )
