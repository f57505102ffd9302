"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from torch import Tensor

from asymkit import AuxGenerator

collect_ignore = ["code_people_have", "mutations"]
"""Code that the guides are applied to, and faults that are put into a copy by hand."""

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before the first kernel is decorated: they then run on the CPU

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as of a job in the background, which tests of Ctrl-C would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


# a busy machine makes no test wrong
hypothesis.settings.register_profile(
    "any speed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any speed")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> Tensor:
    """Smooth and noisy at once, odd and rectangular, in [-1, 1]."""
    return images_like(2, 3, 19, 24)


def images_like(n: int, c: int, h: int, w: int) -> Tensor:
    coarse = torch.randn(n, c, 4, 4, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic", align_corners=False)
    return (smooth + 0.3 * torch.randn(n, c, h, w, dtype=torch.float64)).tanh()


SMALL: dict[str, Any] = {"width": 8, "blocks": 4}
INJECTIONS = ("concat", "concat_all", "cin", "cin_all")


def build(injection: Any = "cin", **options: Any) -> AuxGenerator:
    return AuxGenerator(injection=injection, **(SMALL | options))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses of every step are logged; no pages, which take longer than tests' trainings; no earlier precision."""
    from accelerate.state import AcceleratorState
    from support.report import logger
    from support.run import run

    AcceleratorState._reset_state(reset_partial_state=True)
    monkeypatch.setattr(run, "LOG_EVERY", 1)
    monkeypatch.setattr(logger, "write_report", lambda *_: None)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the reports of a test's runs show; nothing of it is drawn."""
    from accelerate.state import AcceleratorState
    from support.report import logger

    AcceleratorState._reset_state(reset_partial_state=True)
    found: list[Any] = []
    monkeypatch.setattr(logger, "write_report", lambda _folder, _title, snapshot, *_: found.append(snapshot))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CycleGAN folder of tiny images."""
    from tiny import cyclegan_folder

    return cyclegan_folder(tmp_path_factory.mktemp("data"))
