"""The papers' data sets: what to put in place for each, and how its folder is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps

from asymkit.evaluation import Palette
from asymkit.evaluation.folders import ImageFiles, image_files

Kind = Literal["two", "domains", "gestures", "digits"]

LAYOUTS: dict[Kind, str] = {
    "two": "trainA (rich), trainB, testA, testB; or pix2pix's train and test, with A on the left and B on the right",
    "domains": "train and test, each with a folder for every domain; or trainA, trainB, …, testA, testB, …",
    "gestures": "photos, skeletons (a file of the same name for every photo), and pairs.csv with source, target and split (train or test)",
    "digits": "mnist and svhn, which are downloaded there if they are not",
}
"""Of the folder with a set's name in one of ``--data``, by kind."""

PAIRS = "the same names in testA and testB, and in trainA and trainB for a network that is trained to score"
COLOURS = f'{PAIRS}; palette.json with the colours of the classes, {{"road": [128, 64, 128], …}}, of which void and unlabelled do not count'
LABELS = f"{COLOURS}; label images in trainLabels, by the names of trainA, and in testLabels, by those of testB"


@dataclass(frozen=True)
class Set:
    """A data set of the papers."""

    kind: Kind
    title: str
    """And what it has in the paper."""
    also: str = ""
    """What its folder needs beside the layout of its kind."""
    where: str = ""
    """Who gives it away."""


PIX2PIX, CYCLEGAN = "pix2pix's data sets", "CycleGAN's data sets"
HERE = (
    "CamVid, Facades and other small sets of this layout serve as well: --data NAME=FOLDER; the table then names them"
)

SETS: dict[str, Set] = {
    "cityscapes": Set(
        "two", "Cityscapes, photos and label colours, 2,975 and 500 for the test", COLOURS, "cityscapes-dataset.com"
    ),
    "foggy-cityscapes": Set(
        "two", "Foggy Cityscapes, clear and foggy photos (150 m)", LABELS, "cityscapes-dataset.com"
    ),
    "bdd100k-night": Set(
        "two", "BDD100K, 36,728 day and 27,971 night photos", LABELS.replace(PAIRS + "; ", ""), "bdd-data.berkeley.edu"
    ),
    "apdrawing": Set("two", "APDrawing, photos and portrait drawings, 420 and 70", PAIRS, "APDrawingGAN's authors"),
    "helen": Set("two", "Helen, face photos and label colours, 2,000 and 100", PAIRS, "Helen's authors"),
    "facades": Set("two", "CMP Facades, photos and labels, 400 and 106", PAIRS, PIX2PIX),
    "maps": Set("two", "aerial photos and maps, 1,096 and 1,098", PAIRS, PIX2PIX),
    "edges2shoes-3k": Set("two", "3,000 of edges2shoes' shoes and edges, 200 for the test", PAIRS, PIX2PIX),
    "night2day": Set("two", "90 day and night photos, 10 for the test; day is the rich side", "", PIX2PIX),
    "photo-sketch": Set("two", "face photos and sketches, 995 and 199", "", "CUHK"),
    "hair2bald": Set("two", "3,000 men of CelebA with hair (rich) and bald, 200 for the test", "", "CelebA's authors"),
    **{
        f"{painter}2photo": Set("two", f"{title}'s paintings (rich) and photos", "", CYCLEGAN)
        for painter, title in (("monet", "Monet"), ("vangogh", "Van Gogh"), ("ukiyoe", "Ukiyo-e"))
    },
    **{
        f"photo2{painter}": Set("two", f"the same, photos being the rich side; {title}", "", CYCLEGAN)
        for painter, title in (("monet", "Monet"), ("vangogh", "Van Gogh"), ("ukiyoe", "Ukiyo-e"))
    },
    "summer2winter": Set("two", "summer (rich side) and winter photos of Yosemite", "", CYCLEGAN),
    "woman2man": Set("two", "CelebA, women (rich side) and men", "", "CelebA's authors"),
    "facades-domains": Set(
        "domains", "CMP Facades as two domains, 800 and 212 images", "A the photos, B the labels", PIX2PIX
    ),
    "ar-face": Set("domains", "AR Face, four expressions, 920 and 100", "", "its authors, for research"),
    "bu3dfe": Set("domains", "BU-3DFE, seven expressions, 2,520 and 280", "", "its authors, for research"),
    "alps": Set("domains", "Alps, four seasons, 6,053 and 400", "", "ComboGAN's authors"),
    "rafd": Set("domains", "RaFD, eight expressions, 5,360 and 2,680", "", "its authors, for research"),
    "collection-style": Set("domains", "photos and four painters' styles, 7,837 and 1,593", "", CYCLEGAN),
    "ntu-hand-digit": Set(
        "gestures", "NTU Hand Digit, ten gestures of ten persons", "gestures.csv with file and gesture", "its authors"
    ),
    "senz3d": Set(
        "gestures",
        "Creative Senz3D, eleven gestures of four persons",
        "gestures.csv with file and gesture",
        "its authors",
    ),
    "svhn-mnist": Set("digits", "SVHN and MNIST"),
}


@dataclass
class Opened:
    """A data set that is in place."""

    name: str
    kind: Kind
    folder: Path
    """As the examples take it."""
    side_by_side: bool = False
    cache: Path = field(default_factory=Path)
    """A folder for copies in the sizes that are compared."""

    @property
    def title(self) -> str:
        """Its name, and that of the folder that stands in for it."""
        return self.name if self.folder.name == self.name else f"{self.folder.name} for {self.name}"

    @property
    def palette(self) -> Palette:
        """The colours of the classes.

        Raises:
            ValueError: it has none.
        """
        path = self.folder / "palette.json"
        if not path.is_file():
            raise ValueError(
                f"{self.name}: no {str(path)!r}; expected the colours of the classes, {COLOURS.split('; ')[1]}"
            )
        return Palette.read(path)

    def side(self, part: str) -> Path:
        """A folder of images such as testA, cut out of pix2pix's where both sides stand in one image."""
        if not self.side_by_side:
            return self.folder / part
        target, whole = self.cache / part, self.folder / part[:-1]
        if not target.is_dir():
            files = image_files(whole, "data", "images that show A on the left and B on the right")
            for place, name in enumerate(files.names):
                image = files.read(place)
                left = 0 if part.endswith("A") else image.width - image.width // 2
                write(image.crop((left, 0, left + image.width // 2, image.height)), target / f"{Path(name).stem}.png")
        return target

    def labels(self, part: Literal["train", "test"]) -> Path:
        """The folder of label images that belong to the rich images, which is the poor side where there is no other."""
        own = self.folder / f"{part}Labels"
        return own if own.is_dir() else self.side(f"{part}B")

    def resized(self, part: Path, size: tuple[int, int], exact: bool = False, fit: bool = False) -> Path:
        """A copy of a folder in one size, height and width, as PNG files of the same names.

        Args:
            part: the folder.
            size: of the copies.
            exact: keep the colours of labels as they are, by the nearest pixel.
            fit: cut off what is too long, rather than stretch.
        """
        files, wanted = image_files(part, "data", "images"), size[::-1]
        how = "-exact" if exact else "-fit" if fit else ""
        target = self.cache / f"{part.parent.name}-{part.name}-{len(files)}-{size[0]}x{size[1]}{how}"
        if not target.is_dir():
            by = Image.Resampling.NEAREST if exact else Image.Resampling.BICUBIC
            for place, name in enumerate(files.names):
                image = files.read(place, least_side=1)
                small = ImageOps.fit(image, wanted, by) if fit else image.resize(wanted, by)
                write(small, target.with_suffix(".new") / f"{Path(name).stem}.png")
            target.with_suffix(".new").rename(target)  # a copy that was stopped is begun again
        return target

    def domains(self, part: Literal["train", "test"]) -> dict[str, Path]:
        """The folders of the domains, by name and in the order of their numbers, which is that of the examples."""
        lettered = sorted(path for path in self.folder.glob(f"{part}?") if path.is_dir())
        if lettered:
            return {path.name.removeprefix(part): path for path in lettered}
        below = self.folder / part
        found = sorted(path for path in below.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
        return {path.name: path for path in found}


def write(image: Image.Image, path: Path) -> None:
    """As PNG, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG")


def opened(name: str, data: Sequence[str], cache: Path) -> Opened | None:
    """A data set, or None where it is not in place.

    Args:
        name: of :data:`SETS`.
        data: folders with a folder of that name in it, or NAME=FOLDER.
        cache: a folder for copies.

    Raises:
        ValueError: a folder that has another layout.
    """
    kind = SETS[name].kind
    stated = [given.partition("=")[2] for given in data if given.startswith(f"{name}=")]
    places = [Path(each) for each in stated] or [Path(given) / name for given in data if "=" not in given]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        return None
    whole = kind == "two" and not (folder / "trainA").is_dir() and (folder / "train").is_dir()
    needed = {
        "two": ["train", "test"] if whole else ["trainA", "trainB", "testA", "testB"],
        "domains": ["test"] if (folder / "train").is_dir() else ["trainA", "trainB", "testA", "testB"],
        "gestures": ["photos", "skeletons", "pairs.csv"],
        "digits": [],
    }[kind]
    if missing := [part for part in needed if not (folder / part).exists()]:
        raise ValueError(f"{name}: {str(folder)!r} has no {', '.join(missing)}; expected {LAYOUTS[kind]}")
    return Opened(name, kind, folder, whole, cache / f"{name}-{folder.name}")


def needed(names: Sequence[str]) -> str:
    """What to put in place for some data sets, a line each."""
    lines = []
    for name in names:
        one = SETS[name]
        about = "; ".join(part for part in (LAYOUTS[one.kind], one.also) if part)
        lines.append(
            f"  {name}: {one.title}{f', from {one.where}' if one.where else ''}\n    folder {name} with {about}"
        )
    return "\n".join(lines)


def images(folder: Path) -> ImageFiles:
    """The image files directly in a folder."""
    return image_files(folder, "data", "images")
