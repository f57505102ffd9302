"""What a table or figure of a paper is here: the runs behind it, what is measured of them, and the figures as printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Paper = Literal["asymmetricgan", "asymgan", "asyncgan"]
Kind = Literal["table", "figure"]

Figures = Mapping[str, Mapping[str, str]]
"""As printed in the paper: by row, then by column."""


NEEDS: Mapping[str, str] = {
    "people": "the command writes the page that asks them (python -m asymkit.evaluation.study), and scores the CSV files that are put "
    "beside it; the paper's AMT figures are of Amazon's workers",
    "Inception": "the weights that FID, KID and the Inception Score are defined with, downloaded on first use, or their file as "
    "--features-weights; another network, --features, gives other figures, which have other names",
    "LPIPS": "AlexNet's weights, downloaded on first use, or their file as --lpips-weights; --lpips none leaves it out",
    "VGG": "the ImageNet weights of the perceptual terms in training, downloaded on first use; --change asymgan:features=FILE takes a file",
    "ResNet-50": "the ImageNet weights of FRD, downloaded on first use, or their file as --frd; --frd none leaves it out",
    "scorer": "the network of the paper that segments photos (FCN-8s, FCN-32s-256, DeepLab-v3), as --segmentation with "
    "--segmentation-weights; else a small U-Net is trained on the real training photos, whose figures compare with one another only",
    "skeletons": "of OpenPose, as JSON or drawn; masks in their place",
}
"""What cannot be had everywhere, beside data sets, and what to do about it."""


@dataclass(frozen=True)
class Arm:
    """One method of a table: a run of an example, or nothing, for the real images themselves."""

    name: str
    """As the paper's row, where it has this one."""
    example: str = ""
    """Script of examples/ without .py; "" for real images, which are measured like generated ones."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of its command line, without the leading hyphens."""
    preset: str = "paper"
    keeps_phases: bool = False
    """Also keep the weights at the end of every phase of an asynchronous run."""

    def named(self, name: str, **options: Any) -> Arm:
        """The same with another name and further options; _ in their names stands for -."""
        given = {key.replace("__", ".").replace("_", "-"): value for key, value in options.items()}
        return replace(self, name=name, options={**self.options, **given})


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of a paper.

    One without arms and measures is a diagram of a method, for which nothing can be run.
    """

    paper: Paper
    kind: Kind
    number: int | str
    title: str
    sets: Sequence[str] = ()
    """Names of :data:`papers.sets.SETS` that the paper has it for."""
    arms: Sequence[Arm] = ()
    measures: Sequence[str] = ()
    """Names of :data:`papers.measures.MEASURES`, in the order of the columns."""
    reported: Mapping[str, Figures] = field(default_factory=dict)
    """The paper's figures, by data set ("" where there is none)."""
    at: tuple[int, int] | None = None
    """Height and width that images are brought to before they are compared; None: that of training."""
    needs: Sequence[str] = ()
    """What cannot be had everywhere, beside the data sets; :data:`NEEDS` says what to put in its place."""
    note: str = ""
    """How ours differs from the paper, or where the rest is."""

    @property
    def id(self) -> str:
        """Such as asymgan-1, which together with the kind names it."""
        return f"{self.paper}-{self.number}"

    @property
    def key(self) -> str:
        """Such as asymgan-table-1."""
        return f"{self.paper}-{self.kind}-{self.number}"

    @property
    def command(self) -> str:
        """What runs it."""
        return f"python benchmarks/papers --{self.kind} {self.id}" if self.measures else "–"


def figures(columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Figures:
    """Rows of figures as printed, cell by cell; "" where the paper has none."""
    return {
        name: {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
        for name, cells in rows.items()
    }


def printed(name: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> dict[str, Figures]:
    """Rows of figures of one data set, see :func:`figures`."""
    return {name: figures(columns, rows)}


def exhibits() -> list[Exhibit]:
    """All of the three papers, tables before figures."""
    from papers import asymgan, asymmetricgan, asyncgan, gesture_tables

    papers = (*asymmetricgan.EXHIBITS, *gesture_tables.EXHIBITS), asymgan.EXHIBITS, asyncgan.EXHIBITS

    def place(each: Exhibit) -> tuple[bool, bool, int]:
        return each.kind == "figure", isinstance(each.number, str), 0 if isinstance(each.number, str) else each.number

    return [each for paper in papers for each in sorted(paper, key=place)]


def chosen(tables: Sequence[str], figures_of: Sequence[str]) -> list[Exhibit]:
    """Those with such names.

    Raises:
        ValueError: there is none of that name, or nothing can be run for it.
    """
    by_name = {(each.kind, each.id): each for each in exhibits()}
    wanted: list[tuple[Kind, str]] = [*(("table", name) for name in tables), *(("figure", name) for name in figures_of)]
    for kind, name in wanted:
        if (kind, name) not in by_name:
            there = ", ".join(each for of, each in by_name if of == kind)
            raise ValueError(f"{kind}: there is no {name!r}; there are {there}")
        if not by_name[kind, name].measures:
            raise ValueError(f"{kind}: {name} is not run: {by_name[kind, name].note}")
    return [by_name[each] for each in wanted]
