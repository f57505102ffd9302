"""The commands ``python -m asymkit.evaluation.study`` and ``python -m asymkit.evaluation.study score``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from asymkit.console import print_in_any_encoding

try:
    import tyro

    from asymkit.evaluation.study.page import write_page
    from asymkit.evaluation.study.settings import Settings
except ImportError as missing:
    sys.exit(f'error: {missing.name} is missing; pip install "asymkit[evaluation]"')

from asymkit.evaluation.study.answers import read_answers
from asymkit.evaluation.study.scores import score, table, write_scores

PROGRAM = "python -m asymkit.evaluation.study"


def write(
    real: tyro.conf.Positional[Path],
    fake: tyro.conf.Positional[tuple[str, ...]],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    settings: tyro.conf.OmitArgPrefixes[Settings] = Settings(),  # noqa: B008  it is frozen
) -> str:
    """Write one self-contained page for a user study. `... study score answers*.csv` then scores what people answered.

    Args:
        real: a folder of real images.
        fake: folders of generated images, each as NAME=FOLDER or as a folder, whose name it takes.
        out: the page to write, such as page.html.
        settings: of the study.

    Returns:
        What a person wants to read.
    """
    fakes: dict[str, Path] = {}
    for given in fake:
        name, equals, folder = given.partition("=")
        if not equals or Path(given).is_dir():  # a folder's name may have an equals sign
            name, folder = Path(given).resolve().name if given else "", given
        if not name or not folder:
            raise ValueError(f"fake: {given!r} has an empty name or folder; expected NAME=FOLDER, or a folder")
        if name in fakes:
            raise ValueError(f"fake: two folders have the name {name!r}; give them names, such as a={folder}")
        fakes[name] = Path(folder)
    return write_page(real, fakes, out, settings)


def score_files(
    answers: tyro.conf.Positional[tuple[Path, ...]],
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("study-scores.json"),
    confidence: float = 0.95,
) -> str:
    """Score the answers of a study that people saved from its page, for each method with confidence intervals.

    Args:
        answers: the CSV files that people saved, all of one study.
        out: the JSON file to write the scores to.
        confidence: of the intervals.

    Returns:
        What a person wants to read.
    """
    scores = score(read_answers(answers), confidence)
    write_scores(scores, out)
    return f"{table(scores)}\nscores: {out}"


def main() -> None:
    """The command line."""
    print_in_any_encoding()
    scoring = sys.argv[1:2] == ["score"]
    command, words = (score_files, sys.argv[2:]) if scoring else (write, sys.argv[1:])
    program = f"{PROGRAM} score" if scoring else PROGRAM
    try:
        print(tyro.cli(command, args=words, prog=program))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
