"""Grids of pictures: of one run as its report has them, and of all arms of a figure side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from support.data.held_out import HeldOut
from support.report.unpaired import asymgan_pictures, asyncgan_pictures, munit_pictures
from support.run.plan import IntermediateImages
from torch import Tensor

from asymkit.evaluation import FolderImages, nearest_class, segment
from asymkit.objectives import asymgan
from papers import domains, gestures
from papers.tools import save_grid, save_grids
from papers.work import Direction, Translate, Work

ROWS, COLUMNS = 6, 7

OF_Z = ("Sampled z", "Encoded z", "Interpolation")
"""How captions of a run's grids begin that show what z does."""

Files = dict[str, str]
"""Paths of pictures by what their columns show."""


def _first(folder: FolderImages, count: int = ROWS) -> list[Tensor]:
    return [folder[place][0] for place in range(min(count, len(folder)))]


def _across(works: Sequence[Work], direction: Direction) -> Files:
    """The inputs, the truth where there is one of the same names, and what every arm makes of them."""
    trained = [work for work in works if work.training]
    largest = max(trained, key=lambda work: work.at)
    sides = ("B", "A") if direction == "poor_to_rich" else ("A", "B")
    inputs, truth = (FolderImages(largest.test(side, largest.at)) for side in sides)  # type: ignore[arg-type]
    columns = {"input": _first(inputs)}
    if inputs.keys[:ROWS] == truth.keys[:ROWS]:
        columns["truth"] = _first(truth)
    columns |= {work.arm.name: _first(FolderImages(work.translated(direction))) for work in trained}
    path = works[0].out.parent / f"{direction}-{works[0].seed}.png"
    return {f"columns: {', '.join(columns)}": str(save_grid(list(columns.values()), path))}


def rich_grid(works: Sequence[Work]) -> Files:
    """Poor images and what all arms make of them."""
    return _across(works, "poor_to_rich")


def poor_grid(works: Sequence[Work]) -> Files:
    """Rich images and what all arms make of them."""
    return _across(works, "rich_to_poor")


def run_pictures(works: Sequence[Work]) -> Files:
    """Of each arm: both loops, z sampled, encoded and between two, on real and on generated labels; intermediate domains."""
    found: Files = {}
    for work in works:
        path = work.out / "pictures"
        grids = save_grids(_grids(work), path)
        found |= {f"{work.arm.name}: {caption}": str(file) for caption, file in grids.items()}
    return found


def _grids(work: Work) -> dict[str, Tensor]:
    shown = HeldOut([work.batch("A", COLUMNS)], [work.batch("B", COLUMNS)])
    intermediate = IntermediateImages()
    if "intermediate" in work.state["parts"]:
        intermediate.load_state_dict(work.state["parts"]["intermediate"])
    if work.arm.example == "asyncgan_munit":
        return munit_pictures(work.munit, shown, intermediate)
    g, f = (work.network(name) for name in ("rich_to_poor", "poor_to_rich"))
    encoder = work.encoder if getattr(f, "aux_channels", None) else None
    model = asymgan.Translators(g, f, encoder)
    if work.arm.example == "asyncgan":
        return asyncgan_pictures(model, shown, intermediate)
    grids = asymgan_pictures(model, shown)
    if encoder is not None:
        with torch.inference_mode():
            generated = HeldOut(shown.rich, [g(x) for x in shown.rich])
        more = asymgan_pictures(model, generated)
        grids |= {f"for y = G(x), {name}": grid for name, grid in more.items() if name.split(":")[0] in OF_Z}
    return grids


@torch.inference_mode()
def changed_pictures(works: Sequence[Work]) -> Files:
    """x, G(x), F(G(x)), then F of G(x) cropped, resized and disturbed; and the same the other way round [AsymGAN Fig. 8, 9]."""
    found: Files = {}
    for work in works:
        (g, _), (f, shape) = work.translator("rich_to_poor"), work.translator("poor_to_rich")
        x, y = work.batch("A", ROWS), work.batch("B", ROWS)
        encoded = _with(f, (work.encoder(x),) if shape else ())
        sampled = _with(f, (torch.cat([z for (z,) in work.draws(shape, len(y))]),) if shape else ())
        loops = {"x, G(x), F(G(x))": _loop(g, encoded, x), "y, F(y), G(F(y))": _loop(sampled, g, y)}
        for names, columns in loops.items():
            path = work.out / f"changed-{names[0]}.png"
            caption = f"{work.arm.name}: {names}, and so after a crop by 3, a resize by 2 and noise of 0.02"
            found[caption] = str(save_grid(columns, path))
    return found


def _with(translate: Translate, codes: tuple[Tensor, ...]) -> Translate:
    return lambda image: translate(image, *codes)


def _loop(there: Translate, back: Translate, image: Tensor) -> list[Tensor]:
    between = there(image)
    height, width = between.shape[2:]
    changed = (
        between[:, :, 1 : height - 2, 1 : width - 2],
        F.interpolate(between, (height + 2, width + 2), mode="bilinear"),
        between + 0.02 * torch.randn(between.shape, generator=torch.Generator().manual_seed(0)).to(between),
    )
    return [image, between, back(between), *(back(each) for each in changed)]


def segmented(works: Sequence[Work]) -> Files:
    """The labels, and what a network of real photos sees in each arm's photos."""
    first = works[0]
    palette = first.data.palette
    _, scorer = first.tools.scorer(first.data)
    colours = torch.tensor(palette.colors, dtype=torch.float32) / 127.5 - 1

    def painted(classes: Tensor) -> Tensor:
        return colours[classes[0].cpu()].permute(2, 0, 1)

    labels = FolderImages(first.data.resized(first.data.labels("test"), first.at, exact=True))
    columns = {"labels": [painted(nearest_class(label[None], palette)) for label in _first(labels)]}
    for work in works:
        photos = _first(FolderImages(work.translated("poor_to_rich")))
        columns[work.arm.name] = [painted(segment(scorer, photo[None].to(work.device), first.at)) for photo in photos]
    path = first.out.parent / f"segmented-{first.seed}.png"
    return {f"segmented, columns: {', '.join(columns)}": str(save_grid(list(columns.values()), path))}


def domain_grid(works: Sequence[Work]) -> Files:
    """For each target domain: test images of the others, and what every arm makes of them."""
    found: Files = {}
    made = {work.arm.name: domains.translated(work) for work in works}
    inputs = {name: FolderImages(folder) for name, folder in domains.real(works[0]).items()}
    for target in inputs:
        chosen = [(name, key) for name, images in inputs.items() if name != target for key in images.keys[:2]]
        columns = [[inputs[name][inputs[name].keys.index(key)][0] for name, key in chosen]]
        for folders in made.values():
            images = FolderImages(folders[target])
            columns.append([images[images.keys.index(f"{name}-{key}")][0] for name, key in chosen])
        path = works[0].out.parent / f"to-{target}-{works[0].seed}.png"
        found[f"to {target}, columns: input, {', '.join(made)}"] = str(save_grid(columns, path))
    return found


@torch.inference_mode()
def gesture_grid(works: Sequence[Work]) -> Files:
    """A photo, the skeleton wanted, the truth, and what every arm makes of them [AsymmetricGAN Fig. 9]."""
    [(x, _, y, skeleton)] = gestures.held_out(works[0]).head(ROWS, works[0].device)
    columns = [x, skeleton, y, *(gestures.translator(work)(x, skeleton) for work in works)]
    names = ["input", "skeleton", "truth", *(work.arm.name for work in works)]
    path = works[0].out.parent / f"gestures-{works[0].seed}.png"
    return {f"columns: {', '.join(names)}": str(save_grid(columns, path))}


@torch.inference_mode()
def gesture_table(works: Sequence[Work]) -> Files:
    """Photos, and each with the skeletons of others above [AsymmetricGAN Fig. 10]."""
    found: Files = {}
    for work in works:
        [(x, _, _, skeletons)] = gestures.held_out(work).head(ROWS, work.device)
        network, corner = gestures.translator(work), torch.ones_like(x[:1])
        columns = [torch.cat([corner, x])]
        columns += [torch.cat([each, network(x, each.expand_as(x))]) for each in skeletons.split(1)]
        path = work.out / "table.png"
        found[f"{work.arm.name}: x, then x with the skeleton above"] = str(save_grid(columns, path))
    return found
