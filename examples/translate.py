"""A trained generator over your own images: of a run's folder, a weights file, or a published CycleGAN or StarGAN file.

python examples/translate.py runs/demo photos -o out --size 96             # one z, drawn from N(0, I), for all images
python examples/translate.py runs/demo photos -o out --samples 4 --page    # four z, and a page with a slider over z
python examples/translate.py runs/demo photos -o out --like sunset.jpg     # the z of a photo
python examples/translate.py runs/demo photos -o out --interpolate 7       # a strip from one z to another
python examples/translate.py runs/demo photos -o out --direction rich_to_poor
python examples/translate.py runs/domains photos -o out --domain night     # a generator that takes labels
python examples/translate.py latest_net_G_A.pth photos -o out --tile 512   # images larger than memory
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from support.conditions import ConditionOptions, conditions, path_through
from support.data.tree import as_image, as_input, images_below, planned, readable, write_image
from support.report.translations import Gallery
from support.run.settings import size_text
from support.run.tool import tool
from support.trained import load_trained, translator
from tqdm import tqdm

from asymkit.arguments import at_least
from asymkit.console import print_in_any_encoding


@dataclass(frozen=True, kw_only=True)
class Options(ConditionOptions):
    """Translate images with a trained generator, to PNG files of the same names in the same sub-folders."""

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """The folder of a run, a weights file (.pt, .pth, .safetensors), or a folder for the hub."""
    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
    """A folder of images, searched with all folders below it, or one image."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the results."""
    overwrite: bool = False
    """Replace results that are there."""
    direction: str | None = None
    """Name of the network in the run. None: poor_to_rich, of a run with labels the translator, else the only one."""
    interpolate: int | None = None
    """Write a strip of so many results for each image, from one z (photo, domain) to the next in a straight line."""
    page: bool = False
    """Write page.html too: the first images and their results, with a slider over z or over the domains."""
    tile: int | None = None
    """Translate in tiles of so many pixels, with the same result: for images larger than memory."""
    derive: Literal["run", "no", "grey", "edges", "flat"] = "run"
    """What to make of the images first. run: for poor_to_rich what the run made its poor domain by, if it made it of photos."""
    value_range: tuple[float, float] | None = None
    """Values that become black and white in grey images of more than 8 bits. None: as in the run, or else found."""
    device: str | None = None
    """Such as cpu or cuda:1. None: the accelerator, if there is one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interpolate is not None:
            at_least("interpolate", self.interpolate, least=2, most=1000)


def main(options: Options) -> None:
    trained = load_trained(options.run, options.direction)
    files = images_below(options.folder, options.out)
    broken = files.inspect(options.value_range or trained.value_range(rich=not trained.to_rich))
    with torch.inference_mode():
        given = conditions(options, trained)  # z or labels by name; None for a generator that takes the image alone
        path = path_through(options, trained, given, options.interpolate) if options.interpolate or options.page else []
    if options.interpolate and len(path) == 1:
        raise ValueError("interpolate: needs a generator with z, or two domains")
    endings = [f"-{name}" if len(given) > 1 else "" for name in given]
    page = options.out / "page.html"
    pages = [page] if options.page else []
    plan = planned(files, options.out, ["-strip"] if options.interpolate else endings, options.overwrite, *pages)

    kind = f"{trained.direction or 'generator'} ({type(trained.generator).__name__})"
    notes = [f"{options.run}: {kind}; images: {len(files)}{files.said()}.", *filter(None, [files.warning])]
    derive = trained.derive if options.derive == "run" else None if options.derive == "no" else options.derive
    if derive is not None:
        notes.append(f"Images are made {derive} first (--derive no, if they are poor already).")
    if trained.crops and not options.size:
        crops = size_text(trained.crops)
        notes.append(
            f"The generator was trained on crops of {crops} pixels; much larger images look better with --size."
        )
    print("\n".join(notes))
    gallery = Gallery(
        f"{options.folder.name}: {kind}", notes, [label for label, _ in path], "domain" if trained.domains else "z"
    )
    translate = translator(trained.generator, options.device, options.tile)
    for place, picture in tqdm(readable(files, options.size, broken), total=len(files), disable=None):
        image = as_input(picture, trained.generator.in_channels, options.size, derive)
        if options.interpolate:
            translated = [torch.cat([translate(image, condition) for _, condition in path], dim=3)]
        else:
            translated = [translate(image, condition) for condition in given.values()]
        if options.page and not gallery.full:
            gallery.add(files.names[place], as_image(image), [as_image(translate(image, c)) for _, c in path])
        for file, levels in zip(plan[place], translated, strict=True):
            write_image(file, levels)
    done = len(files) - len(broken)
    if not done:
        raise ValueError(f"folder: none of the {len(files)} images in {str(options.folder)!r} can be read")
    if options.page:
        gallery.write(page)
    print(
        f"translated {done} of {len(files)} images into {options.out}{f'; {len(broken)} could not be read' if broken else ''}"
    )
    if options.page:
        print(f"page: {page}")


if __name__ == "__main__":
    print_in_any_encoding()
    try:
        tool(main, Options)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        sys.exit(f"error: an image needs more memory than there is; add --tile 512, or a smaller --size ({error})")
