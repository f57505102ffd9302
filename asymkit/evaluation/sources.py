"""Images to be measured, as tensors, as a folder or one batch after another, and pairs of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from asymkit.arguments import at_least, described
from asymkit.checks import check_images, have_values

Images: TypeAlias = Tensor | str | os.PathLike[str] | Iterable[Tensor]
"""(N, 3, H, W) in [-1, 1]; a folder of image files; or batches of such tensors, whose sizes may differ."""


class FolderImages(Sequence[Tensor]):
    """The images directly in a folder as tensors, read when they are asked for, by the reader of the examples.

    Args:
        folder: with images; sub-folders aside.
        option: how the folder is called in messages.
        ending: only files whose name, without .png and the like, ends in it, such as "_fake_B" of CycleGAN's results.

    Attributes:
        names: of the files, sorted.
        keys: the names without the ending and .png and the like; unique.
        note: what was left out and how values of more than 8 bits are mapped, "" if there is nothing to say.

    Raises:
        ValueError: no folder, no images in it, one that cannot be read, two with one key.
        ImportError: Pillow is missing.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from asymkit.evaluation import FolderImages
        >>> folder = tempfile.mkdtemp()
        >>> Image.new("RGB", (20, 12), "white").save(f"{folder}/a_fake_B.png")
        >>> images = FolderImages(folder, ending="_fake_B")
        >>> images.keys, images[0].shape, images[0].max()
        (['a'], torch.Size([1, 3, 12, 20]), tensor(1.))
    """

    def __init__(self, folder: str | os.PathLike[str], option: str = "folder", ending: str = "") -> None:
        from asymkit.evaluation.folders import ImageFiles, image_files
        from asymkit.evaluation.images import BrokenImageError

        if not isinstance(folder, str | os.PathLike) or not str(folder):
            raise ValueError(f"{option} must be a folder of images, got {described(folder)}")
        if not isinstance(ending, str):
            raise ValueError(f"ending must be text such as '_fake_B', got {described(ending)}")
        files = image_files(Path(folder), option, "a folder with images")
        stems = {name: os.path.splitext(name)[0] for name in files.names}
        names = [name for name in files.names if stems[name].endswith(ending)]
        if not names:
            raise ValueError(f"{option}: no image in {str(folder)!r} has a name that ends in {ending!r}")
        self.files = ImageFiles(Path(folder), names, files.left_out)
        self.names, self.keys = names, [stems[name].removesuffix(ending) for name in names]
        for path, problem in self.files.inspect(least_side=1).items():
            raise BrokenImageError(path, problem)
        self.note = self.files.said().removeprefix("; ")
        seen: dict[str, str] = {}
        for name, key in zip(names, self.keys, strict=True):
            if key in seen:
                raise ValueError(
                    f"{option}: {seen[key]!r} and {name!r} in {str(folder)!r} have one name but for their endings; keep one"
                )
            seen[key] = name

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: int) -> Tensor:  # type: ignore[override]  # slices are not needed
        import numpy as np

        pixels = np.array(self.files.read(place, least_side=1))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def image_batches(images: Images, name: str = "images", batch: int = 32) -> Iterator[Tensor]:
    """Go through images in batches of one size each.

    Args:
        images: see :data:`Images`.
        name: of the argument, for messages.
        batch: images at most in a batch, where they come from a tensor or a folder.

    Returns:
        An iterator of tensors (n, 3, H, W), in [-1, 1].

    Raises:
        ValueError: no images, a folder without any, a tensor of another form.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import image_batches
        >>> [len(each) for each in image_batches(torch.zeros(5, 3, 8, 8), batch=2)]
        [2, 2, 1]
    """
    batch = at_least("batch", batch, most=65_536)
    if isinstance(images, Tensor):
        check_images(images, name, channels=3)
        have_values(**{name: images})
        yield from images.split(batch)
        return
    if isinstance(images, str | os.PathLike):
        images = FolderImages(images, name)
    if not isinstance(images, Iterable):
        raise ValueError(
            f"{name} must be images (N, 3, H, W) in [-1, 1], the folder they are in, or batches of them, got "
            f"{described(images)}"
        )
    if isinstance(images, FolderImages):
        yield from _grouped(images, batch)
        return
    empty = True
    for each in images:
        check_images(each, f"a batch of {name}", channels=3)
        empty = False
        yield each
    if empty:
        raise ValueError(f"{name} is empty: expected at least one batch of images")


def _grouped(images: Iterable[Tensor], batch: int) -> Iterator[Tensor]:
    """Neighbours of one size together."""
    held: list[Tensor] = []
    for each in images:
        if held and (len(held) == batch or held[0].shape != each.shape):
            yield torch.cat(held)
            held = []
        held.append(each)
    yield torch.cat(held)


def image_pairs(
    real: Images, fake: Images, endings: tuple[str, str] = ("", "")
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Go through pairs: of folders by the names of their files, of everything else by their order.

    Args:
        real: the truth, see :data:`Images`.
        fake: what was generated, of the same kind as ``real``.
        endings: of the names of files in the two folders, see :class:`FolderImages`.

    Returns:
        An iterator of a name, the real image or batch and the generated one, whose sizes may differ.

    Raises:
        ValueError: a file without a partner, different numbers of images, a folder on one side only.

    Example:
        >>> import torch
        >>> from asymkit.evaluation import image_pairs
        >>> x = torch.zeros(2, 3, 8, 8)
        >>> [name for name, _, _ in image_pairs(x, x)]
        ['images 1 to 2']
    """
    if not isinstance(endings, list | tuple) or [type(each) for each in endings] != [str, str]:
        raise ValueError(f"endings must be those of the real and of the generated files, got {described(endings)}")
    folders = [isinstance(each, str | os.PathLike | FolderImages) for each in (real, fake)]
    if all(folders):
        yield from _by_name(_opened(real, "real", endings[0]), _opened(fake, "fake", endings[1]))
        return
    if any(folders):
        raise ValueError(
            f"real and fake must both be folders, or neither of them, got {described(real)} and {described(fake)}"
        )
    first = 1
    for x, y in zip_longest(image_batches(real, "real"), image_batches(fake, "fake")):
        if x is None or y is None or len(x) != len(y):
            counts = " and ".join(str(0 if each is None else len(each)) for each in (x, y))
            raise ValueError(
                f"real and fake must hold the same number of images, got batches of {counts} from image {first} on"
            )
        yield f"images {first} to {first + len(x) - 1}", x, y
        first += len(x)


def _opened(images: Images, option: str, ending: str) -> FolderImages:
    return images if isinstance(images, FolderImages) else FolderImages(images, option, ending)  # type: ignore[arg-type]


def _by_name(real: FolderImages, fake: FolderImages) -> Iterator[tuple[str, Tensor, Tensor]]:
    places = {key: place for place, key in enumerate(fake.keys)}
    lost = sorted(set(real.keys) - set(places)), sorted(set(places) - set(real.keys))
    if any(lost):
        sides = [
            f"{len(keys)} of {where.files.folder} without a partner: {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"
            for keys, where in zip(lost, (real, fake), strict=True)
            if keys
        ]
        raise ValueError(
            f"pairs are found by the names of files, their endings aside; {'; '.join(sides)}. Rename or remove them, or "
            "give the endings by which names differ, such as _real_B and _fake_B"
        )
    for place, key in enumerate(real.keys):
        yield real.names[place], real[place], fake[places[key]]
