"""Makes ``--help`` quick, imported before everything else by every example.

While help is asked for, PyTorch and other large packages are named but not loaded. The command line is made from dataclasses of plain
types, which need nothing of those packages; the modules around them get stand-ins that can be called, indexed, compared and derived from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

LARGE = {"accelerate", "cattrs", "jinja2", "matplotlib", "numpy", "PIL", "skimage", "sklearn", "torch", "torchvision"}


class _Kind(type):
    """Whatever is done with a stand-in gives a stand-in."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn

    def __call__(cls, *_: Any, **__: Any) -> Any:
        return StandIn

    def __getitem__(cls, _: Any) -> Any:
        return StandIn

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __lt__(cls, _: object) -> bool:
        return False

    __ge__ = __le__ = __gt__ = __lt__


class StandIn(metaclass=_Kind):
    """In the place of a class, function or value of a large package."""


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        return StandIn


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in LARGE else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing."""


if {"-h", "--help"} & set(sys.argv[1:]):
    sys.meta_path.insert(0, _Finder())
