"""Settings as files: written with a run, read again, and compared.

By cattrs: tyro's own serialisation, YAML, is deprecated and does not check types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from support.run.settings import Size

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings")


def as_plain(settings: DataclassInstance) -> dict[str, Any]:
    """Settings in the types that JSON has."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(settings), default=str))
    return plain


def read_settings(path: Path, kind: type[Settings]) -> Settings:
    """The settings in a file that a run wrote; those it does not name have their defaults.

    Args:
        path: a settings.json.
        kind: of settings.

    Raises:
        ValueError: the file is missing or damaged, or holds settings of another example.
    """
    from cattrs import BaseValidationError, Converter, transform_error
    from cattrs.v import format_exception

    def said(error: BaseException, wanted: type | None) -> str:
        return str(error) if type(error) is ValueError else format_exception(error, wanted)

    def named(problem: str) -> str:
        what, _, name = problem.rpartition(" @ $")
        return f"{name.lstrip('.')}: {what}" if name else what

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    for plain in (bool, int, float, str):
        converter.register_structure_hook(plain, _strictly)
    for size in (Size, Size | None):
        converter.register_structure_hook(size, _size)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"settings: {str(path)!r} holds {values!r}; expected settings by name")
        return converter.structure(values, kind)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"settings: cannot read {str(path)!r}: {error}") from error
    except BaseValidationError as error:
        problems = "; ".join(map(named, transform_error(error, format_exception=said)))
        raise ValueError(f"settings: {str(path)!r} is damaged or of another example: {problems}") from error


def _strictly(value: Any, wanted: type) -> Any:
    """A value that is of the wanted kind already, so that no "no" becomes True and no 4.9 becomes 4."""
    accepted: Any = (int, float) if wanted is float else wanted
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"expected {wanted.__name__}, got {value!r}")
    return float(value) if wanted is float else value


def _size(value: Any, wanted: Any) -> Size | None:
    """A size of images, which JSON holds as an integer or a list of two, or as null where it may be None."""
    if type(value) is int or (value is None and type(None) in get_args(wanted)):
        return value
    if isinstance(value, list) and [type(side) for side in value] == [int, int]:
        return value[0], value[1]
    raise ValueError(f"expected an integer, or height and width, got {value!r}")


def options(
    before: Mapping[str, Any], now: Mapping[str, Any], may_change: frozenset[str] = frozenset(), prefix: str = ""
) -> list[str]:
    """The command line options that bring ``now`` back to what was ``before``.

    Args:
        before: plain settings.
        now: plain settings.
        may_change: names that are not compared.
        prefix: of the names.
    """
    found = []
    for name, value in before.items():
        if name in may_change or name not in now or now[name] == value:
            continue
        option = f"{prefix}{name.replace('_', '-')}"
        if isinstance(value, dict):
            found += options(value, now[name], may_change, f"{option}.")
        elif isinstance(value, bool):
            negated = f"{prefix}no-{name.replace('_', '-')}"
            found.append(f"--{option if value else negated}")
        else:
            found.append(f"--{option} {' '.join(map(str, value)) if isinstance(value, list) else value}")
    return found
