"""Every public entry, called with nonsense: it says which argument is wrong and why, or the value is legitimate.

A call is made of valid arguments, one of which is replaced. It raises ValueError with the argument's name, before any
layer or op has run, unless bad_calls.py says that the value is legitimate. An entry or argument missing there fails.
"""

from __future__ import annotations

import importlib
import inspect
import random
import re
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bad_calls import Case, table
from test_public_api import MODULES
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

CHECKED_ELSEWHERE = re.compile(
    r"asymkit\.(load_\w+|read_state_dict|save_weights|to_published)$"  # test_checkpoints.py, test_checkpoint_files.py
    r"|asymkit\.CapturedStep$"  # test_capture.py; it needs a CUDA device
    r"|.*\.train$"  # PyTorch's own method, which here ignores its argument
    r"|.*\.(Cycles?|PseudoPairs|DomainEntropy|ops.Backend)$"  # containers: who takes them checks them
)
COMPUTES_FIRST = re.compile(r"asymkit\.objectives\..*")
"""Their arguments meet in the middle: z is compared with the encoder's codes."""


def entries() -> Iterator[tuple[str, list[str]]]:
    """Every public function, class and method that takes arguments, and their names."""
    for place in [*MODULES, "asymkit.evaluation.entropy"]:
        if place == "asymkit.evaluation":  # test_evaluation_bad_calls.py
            continue
        module = importlib.import_module(place)
        own = [name for name, found in vars(module).items() if getattr(found, "__module__", "") == place]
        for name in getattr(module, "__all__", own):
            found = getattr(module, name)
            if name.startswith("_") or not callable(found) or found.__module__.startswith("typing"):
                continue
            yield from with_arguments(f"{place}.{name}", found)
            for method in sorted(dir(found)) if inspect.isclass(found) else ():
                member = getattr(found, method)
                ours = inspect.isroutine(member) and str(getattr(member, "__module__", "")).startswith("asymkit")
                if ours and not method.startswith("_"):
                    yield from with_arguments(f"{place}.{name}.{method}", member)


def with_arguments(name: str, found: Any) -> Iterator[tuple[str, list[str]]]:
    if getattr(found, "__init__", None) is nn.Module.__init__:  # which says so itself
        return
    arguments = [each for each in inspect.signature(found).parameters if each != "self"]
    if arguments and not CHECKED_ELSEWHERE.match(name):
        yield name, arguments


def test_no_public_entry_or_argument_is_missing_from_the_table() -> None:
    listed = table()
    for name, arguments in entries():
        assert name in listed, f"{name} is new: add it to tests/bad_calls.py"
        assert set(arguments) <= set(listed[name].kinds), f"{name} has arguments that tests/bad_calls.py does not know"


def values(rng: random.Random) -> list[Any]:
    """Nonsense, and some sense, for an argument of any kind."""
    whole = [0, 1, -1, 3, 7, 10**5, 10**9, 2**31, 2**63, -(2**63), 10**40, rng.randint(-100, 100)]
    real = [0.5, -0.5, 1e-170, 1e308, 1.005, 2.0, float("nan"), float("inf"), -float("inf"), rng.uniform(-10, 10)]
    things = [
        None,
        True,
        False,
        "",
        "nonsense",
        "cin\n",
        b"bytes",
        1j,
        object(),
        int,
        len,
        nn.ReLU,
        Path("nowhere"),
        range(3),
    ]
    many = [
        (),
        [],
        {},
        set(),
        [None],
        ["nonsense"],
        [1.0, float("nan"), 1.0],
        [-1.0, 0.0, 1.0],
        [0.5] * 3,
        {"a": 1},
        {1: None},
    ]
    pairs = [
        (0, 1),
        (1, 0),
        (0, 0),
        (0, 1, 255),
        (0, float("nan")),
        (0, 1e-30),
        (-1e300, 1e300),
        (0, "1"),
        (2**63, 1),
        (-4, 4),
    ]
    foreign = [
        np.int64(3),
        np.int64(-3),
        np.float32(0.5),
        np.bool_(True),
        np.zeros((2, 3)),
        np.array([1, 2]),
        nn.Identity(),
    ]
    shape = [rng.randint(0, 5) for _ in range(rng.randint(0, 5))]
    dtypes = [torch.float32, torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float64]
    tensors = [torch.zeros(()), torch.ones(1), torch.zeros(0), torch.randn(3, 32, 32), torch.rand(1, 1, 1, 1)]
    return [*whole, *real, *things, *many, *pairs, *foreign, *tensors, torch.zeros(shape).to(rng.choice(dtypes))]


def variants(x: Tensor) -> list[Tensor]:
    """The tensor with something wrong, or merely different, about it."""
    kinds = [torch.float64, torch.float16, torch.uint8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn]
    changed = [x.to(kind) for kind in kinds] + [x.to("meta"), x.float().to_sparse(), x[None], x.flatten()]
    if x.ndim:
        changed += [x[:1], x[:0], x[0], torch.cat([x, x]), x[..., :-1], x[..., :1], x.mT if x.ndim > 1 else -x]
        changed += [torch.nested.nested_tensor(list(x.float()))] if x.ndim > 1 else []
    return changed


class Computed(TorchDispatchMode):
    """Notes the convolutions and the library's own ops that run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" in str(func) or "asymkit" in str(func):
            self.ops.append(str(func))
        return func(*args, **(kwargs or {}))


def fault(name: str, case: Case, argument: str, value: Any) -> str | None:
    """What is wrong about how an entry takes a value, or None."""
    kind = case.kinds[argument]
    given = {other: each.valid for other, each in case.kinds.items()} | {argument: value}
    try:
        with Computed() as computed:
            case.call(**given)
    except ValueError as error:
        if not any(re.search(rf"\b{word}\b", str(error)) for word in (argument, kind.alias) if word):
            return f"does not name the argument: {error}"
        return f"computed {computed.ops[0]} first" if computed.ops and not COMPUTES_FIRST.match(name) else None
    except TypeError as error:  # Python's own, of a network that takes other arguments
        return None if re.search("positional arguments? but|unexpected keyword", str(error)) else f"TypeError: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None if kind.fits(value) else "accepted"


def told(value: Any) -> str:
    """The value without a tensor's numbers, which nobody would read."""
    if not isinstance(value, Tensor):
        return f"{type(value).__name__} {value!r:.60}"
    kind = "nested" if value.is_nested else value.layout
    return f"{kind} {value.dtype} {'' if value.is_nested else tuple(value.shape)} {value.device}"


def tried(seed: int, count: int | None = None) -> list[str]:
    """The faults of all entries, arguments and values, or of ``count`` of them drawn at random."""
    rng, memory = random.Random(seed), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.manual_seed(seed)
    calls = []
    for name, case in table().items():
        for argument, kind in case.kinds.items():
            changed = variants(kind.valid) if isinstance(kind.valid, Tensor) else []
            calls += [(name, case, argument, value) for value in [*values(rng), *changed]]
    found = []
    for name, case, argument, value in calls if count is None else rng.choices(calls, k=count):
        wrong = fault(name, case, argument, value)
        if wrong is not None:
            found.append(f"{name}({argument}={told(value)}): {wrong:.200}")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 2**20
    assert grown < 2, f"memory grew by {grown:.1f} GiB"
    return found


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # a picture may go anywhere
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_valid_calls_are_valid() -> None:
    for name, case in table().items():
        given = {argument: kind.valid for argument, kind in case.kinds.items()}
        try:
            case.call(**given)
        except Exception as error:
            raise AssertionError(f"{name} refuses the valid call") from error


def test_bad_calls_are_refused_by_name() -> None:
    found = tried(seed=0, count=6000)
    assert not found, "\n".join([f"{len(found)} of them", *found[:60]])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 3))
def test_all_bad_calls_are_refused_by_name(seed: int) -> None:
    found = tried(seed)
    assert not found, "\n".join([f"{len(found)} of them", *found[:200]])
