"""The networks of a trained run as a small folder to pass on, without what only training needs.

python examples/share.py runs/demo -o models/mine     # model.safetensors, and run.json: what the images of the run were
python examples/translate.py models/mine photos -o out
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from support.run.atomic_write import write_json
from support.run.command import MAY_MOVE
from support.run.tool import tool
from support.trained import RUN, Trained, load_trained
from torch import nn

import asymkit
from asymkit.console import print_in_any_encoding

PRIVATE = MAY_MOVE | {"out", "resume", "dry_run"}
"""Settings that say where things were on one computer, or how a run was started."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write the generators and the encoder of a run, and what translate.py needs to know of it."""

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """The folder of a run, or a training state in it, such as best.pt. Of a network and its moving average, the average is taken."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write to: model.safetensors and run.json."""
    overwrite: bool = False
    """Replace those that are there."""


def networks(trained: Trained) -> dict[str, nn.Module]:
    """What is of use after training, by name: both generators and the encoder, or the one generator of many domains."""
    found: dict[str, nn.Module] = {str(trained.direction): trained.generator}
    if trained.to_rich:
        found["rich_to_poor"] = load_trained(trained.source, "rich_to_poor").generator
    if trained.aux_channels:
        found["encoder"] = trained.encoder()
    return found


def main(options: Options) -> None:
    trained = load_trained(options.run)
    if not trained.settings:
        raise ValueError(
            f"run: {str(options.run)!r} is no run of the examples; weights files can be passed on as they are"
        )
    weights, said = options.out / "model.safetensors", options.out / RUN
    if (there := [path for path in (weights, said) if path.exists()]) and not options.overwrite:
        raise ValueError(f"out: {str(there[0])!r} exists already; give another folder by -o, or --overwrite")
    options.out.mkdir(parents=True, exist_ok=True)
    found = networks(trained)
    asymkit.save_weights(nn.ModuleDict(found), weights)
    settings = {name: value for name, value in trained.settings.items() if name not in PRIVATE}
    write_json(said, {"settings": settings, "meaning": dict(trained.meaning)})
    print(
        f"{weights}: {', '.join(found)}; {weights.stat().st_size:,} bytes\n{said}: settings, and what the images were"
    )


if __name__ == "__main__":
    print_in_any_encoding()
    tool(main, Options)
