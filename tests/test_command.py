"""Settings as files and as words of a command line, and what a person is told."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asymgan import DEMO as ASYMGAN_DEMO
from asymgan import PRESETS as ASYMGAN_PRESETS
from asymgan import Settings as AsymGANSettings
from asymmetricgan_domains import Settings as DomainSettings
from asyncgan import DEMO as ASYNCGAN_DEMO
from asyncgan import PRESETS as ASYNCGAN_PRESETS
from asyncgan import Settings as AsyncSettings
from support.data.unpaired import unpaired
from support.run import stdio
from support.run.command import EXAMPLES, command, write_settings
from support.run.settings_file import as_plain, read_settings

SETTINGS = [
    ASYMGAN_DEMO,
    ASYNCGAN_DEMO,
    DomainSettings(label_embedding=8, data=Path("ü")),
    AsymGANSettings(minutes=2.5),
    AsyncSettings(size=(512, 1024), picture_size=(256, 512)),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_come_back_from_their_file(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(as_plain(settings)), encoding="utf-8")
    assert read_settings(tmp_path / "settings.json", type(settings)) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot read .*settings.json"),
        ("[]", r"settings.json' holds \[\]; expected settings by name"),
        ('{"widht": 3}', r"settings.json' is damaged or of another example: extra fields found \(widht\)"),
        ('{"width": "wide"}', "width: expected int, got 'wide'"),
        ('{"width": 4.9}', "width: expected int, got 4.9"),
        ('{"size": "large"}', "size: expected an integer, or height and width, got 'large'"),
        ('{"size": [64]}', r"size: expected an integer, or height and width, got \[64\]"),
        ('{"size": null}', "size: expected an integer, or height and width, got None"),
        ('{"picture_size": [64, true]}', r"picture_size: expected an integer, or height and width, got \[64, True\]"),
        ('{"graph": "no"}', "graph: expected bool, got 'no'"),
        ('{"lr_d": true}', "lr_d: expected float, got True"),
        ('{"weights": {"style": "much"}}', "weights.style: expected float, got 'much'"),
        ('{"width": 0}', "width must be an integer of at least 1"),
    ],
)
def test_settings_files_that_do_not_fit_are_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "settings.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_settings(tmp_path / "settings.json", AsymGANSettings)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AsyncSettings]]:
    """What a command line makes of presets."""

    def parse(*given: str) -> AsyncSettings:
        found: list[AsyncSettings] = []
        monkeypatch.setattr(sys, "argv", ["asyncgan.py", *given])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            command(found.append, ASYNCGAN_PRESETS)
        return found[0]

    return parse  # type: ignore[return-value]


def test_a_settings_file_stands_where_a_preset_stands(tmp_path: Path, words: Callable[..., AsyncSettings]) -> None:
    before = words("demo", "--width", "24", "--weights.pseudo", "3")
    (tmp_path / "settings.json").write_text(json.dumps(as_plain(before)), encoding="utf-8")
    assert words(str(tmp_path / "settings.json")) == before
    again = words(str(tmp_path / "settings.json"), "--epochs", "3", "--resume")
    assert again == replace(before, epochs=3, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    for run in (tmp_path, tmp_path / "checkpoint.pt"):  # itself, wherever it was moved or copied
        assert words(str(run)) == replace(before, out=tmp_path)
    assert words(str(tmp_path), "--out", "other") == replace(before, out=Path("other"))
    for start in ({"resume": True}, {"dry_run": True}):  # what a start was is not what another one is
        (tmp_path / "dry-run").mkdir(exist_ok=True)
        write_settings(replace(before, out=tmp_path, **start))  # type: ignore[arg-type]
        path = tmp_path / ("dry-run" if "dry_run" in start else "") / "settings.json"
        assert words(str(path)) == replace(before, out=tmp_path)
    with pytest.raises(SystemExit, match=r"settings: cannot read .nowhere\.json"):
        words("nowhere.json")


def test_what_a_person_can_mend_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(settings: AsyncSettings) -> None:
        warnings.warn("one file is broken", stacklevel=1)
        warnings.warn_explicit("another", UserWarning, str(EXAMPLES / "asyncgan.py"), 1)
        Path("/nowhere/at/all").mkdir()

    monkeypatch.setattr(sys, "argv", ["asyncgan.py", "demo"])
    with pytest.warns(UserWarning, match="one file"), pytest.raises(SystemExit, match=r"error: .*/nowhere/at/all"):
        command(main, ASYNCGAN_PRESETS)
    assert capsys.readouterr().err == "warning: another\n"


def test_moved_data_of_a_resumed_run_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main(settings: AsymGANSettings) -> None:
        unpaired(settings.data, settings.poor, settings.rich, 16, 0)

    monkeypatch.setattr(stdio, "_problems", [])
    gone = ["asymgan.py", "demo", "--data", str(tmp_path / "moved")]
    for words, hint in ((gone, "[^;]*"), ([*gone, "--resume"], "; if it was moved, add --data with its new place")):
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit, match=rf"error: data: '.*moved' is missing; expected [^;]*{hint}\n\(TRACEBACK"):
            command(main, ASYMGAN_PRESETS)
