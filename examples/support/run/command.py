"""A run from the command line: its settings, its folder, and errors in one line."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import tyro
from accelerate import PartialState
from tqdm import tqdm

from support.run.atomic_write import previous_of, write_json
from support.run.checkpoint import saved_entry
from support.run.folder_lock import LOCK, lock_folder
from support.run.settings import RunSettings, to_add
from support.run.settings_file import as_plain, options, read_settings
from support.run.stdio import ignore_output_errors

Settings = TypeVar("Settings")

MAY_CHANGE = frozenset(
    {"out", "resume", "epochs", "minutes", "report_every", "workers", "threads", "precision", "picture_size", "seeds"}
    | {"best", "best_is", "max_skipped", "tracker", "dry_run", "graph"}
    | {"batch", "accumulate"}  # a checkpoint knows how many samples a step takes in all
    | {"value_range"}  # and how values are read
)
"""Settings that a resumed run may have otherwise than before."""

MAY_MOVE = frozenset({"data", "skeletons", "pairs", "test_pairs", "mnist", "other"})
"""Files and folders, which may be elsewhere than before; other ones are noticed by their names."""

EXAMPLES = Path(__file__).parents[2]
DESCRIPTION = "Or, instead of a preset's name: the folder of a run, for its settings."


def command(main: Callable[[Settings], None], presets: Mapping[str, tuple[str, Settings]]) -> None:
    """Run ``main`` with the settings of the command line; what a person can mend is said in one line.

    The first word is the name of a preset or the folder of a run, whose settings.json is meant; options after it change
    single settings.

    Args:
        main: the training.
        presets: by name, what they are and their settings.
    """
    ignore_output_errors()
    with warnings.catch_warnings():
        warnings.showwarning = _plain(warnings.showwarning)
        settings = None
        try:
            settings = _settings(presets, sys.argv[1:])
            _need_data(presets, sys.argv[1:], settings)
            main(settings)
        except (ValueError, FloatingPointError, OSError) as error:
            if "TRACEBACK" in os.environ:
                raise
            sys.exit(f"error: {error}{_moved(settings)}\n(TRACEBACK=1 in the environment shows where)")


def _need_data(presets: Mapping[str, object], words: list[str], settings: object) -> None:
    """Refuse a preset of a paper's settings without images, of which only the demo has its own, and places that are not there.

    One error names all of them, for whoever would else mend one after the other.
    """
    needs = settings.NEEDS if isinstance(settings, RunSettings) else {}
    places = {name: getattr(settings, name) for name in needs if hasattr(settings, name)}
    preset = words[0] if words and words[0] in presets else "demo"
    missing = {name: needs[name] for name, place in places.items() if place is None}
    if "demo" in presets and preset != "demo" and missing:
        raise ValueError(
            f"{', '.join(missing)}: {preset!r} trains on your own images; add {to_add(missing)}, or take demo, which has "
            "images of its own"
        )
    gone = {name: str(place) for name, place in places.items() if place is not None and not place.exists()}
    if len(gone) > 1:  # of a single one the data set says more
        raise ValueError(
            f"{', '.join(gone)}: there are no such files or folders: {', '.join(map(repr, gone.values()))}"
        )


def _moved(settings: object) -> str:
    """What to add where files that a resumed run needs are not where they were, as the rest of a sentence."""
    places = {name: getattr(settings, name, None) for name in sorted(MAY_MOVE)}
    gone = [name for name, place in places.items() if isinstance(place, Path) and not place.exists()]
    if not (isinstance(settings, RunSettings) and settings.resume and gone):
        return ""
    return "; if it was moved, add " + " ".join(f"--{name} with its new place" for name in gone)


def _plain(shown: Callable[..., None]) -> Callable[..., None]:
    """Warnings of the examples as a line above the progress bar, all others as ever."""

    def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any) -> None:
        if category is UserWarning and Path(filename).is_relative_to(EXAMPLES):
            tqdm.write(f"warning: {message}", file=sys.stderr)
        else:
            shown(message, category, filename, *rest)

    return show


def _settings(presets: Mapping[str, tuple[str, Settings]], words: list[str]) -> Settings:
    if words and words[0] not in presets and (words[0].endswith(".json") or Path(words[0]).exists()):
        given = Path(words[0])
        folder = given if given.is_dir() else given.parent
        _, example = next(iter(presets.values()))
        file = given if given.suffix == ".json" else folder / "settings.json"
        settings = read_settings(file, type(example))
        if file != given and isinstance(settings, RunSettings):  # the run itself, which may have been moved or copied
            settings = replace(settings, out=folder)
        return tyro.cli(type(settings), default=settings, args=words[1:])
    if words and words[0] in {"-h", "--help"}:
        _print_help(presets)
    return tyro.extras.overridable_config_cli(dict(presets), description=DESCRIPTION, args=words)


def _print_help(presets: Mapping[str, tuple[str, Any]]) -> None:
    """The presets and all options, and what the presets set otherwise than the first one."""
    (first, (_, default)), *others = presets.items()
    with suppress(SystemExit):
        tyro.extras.overridable_config_cli(dict(presets), description=DESCRIPTION, args=["--help"])
    with suppress(SystemExit):
        tyro.extras.overridable_config_cli(dict(presets), args=[first, "--help"])
    for name, (_, settings) in others:
        print(f"{name} is {first} with {' '.join(options(as_plain(settings), as_plain(default)))}\n")
    sys.exit()


def open_run(settings: RunSettings) -> None:
    """Take a run's folder, if it is free or the run in it was of these settings.

    Args:
        settings: of this start; no other run can take its folder until this one ends.

    Raises:
        ValueError: the folder holds a run and this is not to resume it, it holds none and this is, its run is of other
            settings, or one is running there.
    """
    folder, plain = settings.folder, as_plain(settings)
    checkpoint = folder / "checkpoint.pt"
    held = _holds_a_run(settings)
    if settings.resume:
        if not held and PartialState().is_main_process and folder.is_dir():
            lock_folder(folder)  # a run that has no checkpoint yet may be in it
        if not held:
            raise ValueError(f"resume: no checkpoint {str(checkpoint)!r}; start without --resume first")
        if before := saved_entry(checkpoint, "settings"):
            # what an earlier version did not have was as it is now where nothing is said
            _compare(as_plain(type(settings)()) | before, plain, settings.FIXED, folder)
    if PartialState().is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        lock_folder(folder)
        _holds_a_run(settings)  # another one may have begun and ended meanwhile
        if settings.dry_run:  # nothing but earlier dry runs writes here
            _empty(folder)


def _holds_a_run(settings: RunSettings) -> bool:
    checkpoint = settings.folder / "checkpoint.pt"
    held = checkpoint.exists() or previous_of(checkpoint).exists()
    if held and not settings.resume and not settings.dry_run:
        raise ValueError(
            f"out: {str(settings.folder)!r} holds a run already; add --resume to go on with it, or give another --out"
        )
    return held


def write_settings(settings: RunSettings) -> None:
    """Leave the settings in the folder of the run, for another start."""
    write_json(settings.folder / "settings.json", as_plain(settings) | {"resume": False, "dry_run": False})


def _compare(before: dict[str, Any], now: dict[str, Any], fixed: frozenset[str], folder: Path) -> None:
    """Refuse to go on with other settings than before, and say which of those that may change have changed."""
    moved = {name for name in MAY_MOVE if None not in (before.get(name), now.get(name))}
    if different := options(before, now, (MAY_CHANGE | moved) - fixed):
        raise ValueError(
            f"resume: the run in {str(folder)!r} had other settings; add {' '.join(different)}; or take all of them: "
            f"python {sys.argv[0]} {folder} --resume; or leave out --resume and give another --out"
        )
    silent = {"out", "resume", "dry_run"}
    if changed := [
        f"{name} {value} → {now[name]}"
        for name, value in before.items()
        if now.get(name, value) != value and name not in silent
    ]:
        PartialState().print(f"resume: other than before, {', '.join(changed)}")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith(LOCK):
            path.unlink()
