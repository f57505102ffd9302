"""A page to play with a trained generator: choose a picture, slide z, take z from another photo, see it rebuilt.

python examples/playground.py                  # the small model that comes along, grey to colour; then open the address it prints
python examples/playground.py runs/demo        # a run, a folder of share.py, a weights file or a published CycleGAN file
"""

import support.quick_help  # noqa: F401  # first, so that --help need not load PyTorch

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import tyro
from support.data.images import BUNDLED, bundled_photos
from support.playground import Playground, dialled, dials
from support.run.tool import tool

from asymkit.console import print_in_any_encoding

MODEL = Path(__file__).resolve().parents[1] / "models" / "grey-to-colour"
LABELS = {"poor_to_rich": "poor → rich", "rich_to_poor": "rich → poor"}
RESULTS = {"given": "What the generator is given", "translated": "Its translation", "rebuilt": "Translated back"}
ABOUT = """# asymkit playground
The **rich** image holds more information, the **poor** one less. **z** holds what the poor image does not show: each z gives
another translation of one poor image. Nothing on this page leaves your computer."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Show a trained generator on a page that only this computer can open."""

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]] = MODEL
    """The folder of a run or of a shared model, or a weights file (.pt, .pth, .safetensors)."""
    direction: str | None = None
    """Name of the network in the file. None: both directions of a run, else the only one."""
    encoder: Path | None = None
    """Weights file of the encoder that gives z of a photo, where it is not in the run."""
    size: int | None = None
    """Shorter side that pictures are resized to, in pixels. None: that of the pictures in the run's report, or 256."""
    device: str | None = None
    """Such as cpu or cuda:1. None: the accelerator, if there is one."""
    port: int | None = None
    """Port of the page. None: the first one from 7860 that is free."""


def gradio() -> Any:
    """The library, or an error that names the extra."""
    try:
        import gradio
    except ImportError as error:
        raise ValueError('the page needs gradio: pip install ".[demo]"') from error
    return gradio


def page(playground: Playground, examples: Sequence[str]) -> Any:
    """The page as Gradio's blocks, which begins with the first of some examples, files of pictures."""
    gr, first, names = gradio(), playground.first, list(playground.directions)
    start = playground.z() if first.aux_channels else None
    choose: dict[str, Any] = {"type": "filepath", "sources": ["upload", "clipboard"], "height": 240}
    quiet = {"show_progress": "hidden"}

    def show(file: str | None, direction: str, domain: str, size: float, z: Any, *values: float) -> list[Any]:
        if file is None:
            return [None for _ in RESULTS]
        try:
            label = playground.label(domain) if first.domains else None
            condition = label if z is None else dialled(torch.tensor(z), values)
            return list(playground.shown(file, direction, condition, int(size)))
        except ValueError as error:
            raise gr.Error(str(error)) from error

    def other_z(size: float, like: str | None) -> list[Any]:
        try:
            z = playground.z(int(torch.randint(2**31, ())), like, int(size))
        except ValueError as error:
            raise gr.Error(str(error)) from error
        return [z.tolist(), *(gr.update(**dial(value)) for value in dials(z))]

    def z_like(size: float, like: str | None) -> list[Any]:
        return other_z(size, like) if like else [gr.update() for _ in [z, *sliders]]  # the photo was taken away

    with gr.Blocks(title="asymkit playground", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown("\n\n".join([ABOUT, about(playground)]))
        with gr.Row():
            with gr.Column():
                picture = gr.Image(examples[0], label="Picture", **choose)
                gr.Examples(list(examples), picture, label="Examples")
                labels = [(LABELS.get(name, name), name) for name in names]
                direction = gr.Radio(labels, value=names[0], label="Direction", visible=len(names) > 1)
                domain = gr.Dropdown(first.domains, label="Domain to translate to", visible=bool(first.domains))
                size = gr.Slider(32, 1024, playground.size, step=8, label="Shorter side in pixels, best as in training")
            with gr.Column(visible=start is not None) as controls:
                z = gr.State(None if start is None else start.tolist())
                values = [] if start is None else dials(start)
                sliders = [gr.Slider(**dial(at), step=0.01, label=f"z[{i}]") for i, at in enumerate(values)]
                sample = gr.Button("Sample another z")
                with gr.Column(visible=playground.encodes):
                    like = gr.Image(label="Take z from this photo", **choose)
                    gr.Examples(list(examples), like, label="Examples")
            with gr.Column():
                shown = {"interactive": False, "format": "png", "height": 240, "buttons": ["download", "fullscreen"]}
                results = [gr.Image(label=label, elem_id=name, **shown) for name, label in RESULTS.items()]
        changes = [picture.change, direction.change, domain.change, size.release, *(each.change for each in sliders)]
        given = [picture, direction, domain, size, z, *sliders]
        gr.on([blocks.load, *changes], show, given, results, trigger_mode="always_last", **quiet)
        sample.click(lambda size: other_z(size, None), size, [z, *sliders], **quiet)
        like.change(z_like, [size, like], [z, *sliders], **quiet)
        direction.change(lambda name: gr.update(visible=start is not None and name == names[0]), direction, controls)
    return blocks


def dial(value: float) -> dict[str, float]:
    """A slider's place and ends: nearly all z drawn from N(0, I) are within ±3, that of a photo need not be."""
    return {"value": value, "minimum": min(-3, math.floor(value)), "maximum": max(3, math.ceil(value))}


def about(playground: Playground) -> str:
    """What is shown, in one line."""
    meaning = playground.first.meaning
    said = [f"{side}: {meaning[side]}" for side in ("rich domain", "poor domain") if side in meaning]
    return "; ".join([f"Shown: {playground.first.source.name}", *said])


def main(options: Options) -> None:
    playground = Playground(options.run, options.direction, options.encoder, options.size, options.device)
    with TemporaryDirectory() as folder:
        examples = [str(Path(folder) / f"{name}.png") for name in BUNDLED]
        for file, photo in zip(examples, bundled_photos(), strict=True):
            photo.save(file)
        themes = gradio().themes
        fonts = [themes.Font("system-ui"), themes.Font("sans-serif")]  # of the system: the default ones are on a server
        theme = themes.Default(font=fonts, font_mono=themes.Font("monospace"))
        larger = "".join(f"#{name} img {{ width: 100%; height: 100%; object-fit: contain; }}" for name in RESULTS)
        alone = {"server_name": "127.0.0.1", "share": False, "ssr_mode": False, "pwa": False, "footer_links": []}
        blocks = page(playground, examples)
        _, address, _ = blocks.launch(  # quiet, because it advertises a public link
            server_port=options.port, theme=theme, css=larger, quiet=True, prevent_thread_lock=True, **alone
        )
        print(f"Open {address} in a browser on this computer; Ctrl+C ends it.", flush=True)
        blocks.block_thread()


if __name__ == "__main__":
    print_in_any_encoding()
    tool(main, Options)
