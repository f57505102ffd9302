"""The page to play with a trained generator: what is behind it, and the page itself in a real browser that asks no other host."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import playground
import pytest
import torch
import tyro
from chromium import Page, browser
from launch import launched
from PIL import Image
from published import lively
from support.data.images import bundled_photos
from support.data.tree import as_image
from support.playground import Playground, dialled, dials
from test_translate import Runs, levels, noise, run

from asymkit import AnySize, AuxEncoder, AuxGenerator, ResnetGenerator, load_network, save_weights, to_published


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def photo(tmp_path: Path) -> str:
    return str(noise(tmp_path / "photo.png", 40, 52))


def pixels(image: Image.Image | None) -> Any:
    assert image is not None
    return np.asarray(image.convert("RGB")).astype(int)


def far(one: Image.Image | None, other: Image.Image | None) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


def of_z(folder: Path, **options: Any) -> Playground:
    """A generator in which z changes much, and the direction back, as a file of several networks."""
    torch.manual_seed(3)
    networks = {
        "poor_to_rich": lively(AuxGenerator(aux_channels=3, width=4, blocks=1)),
        "rich_to_poor": lively(ResnetGenerator(width=4, blocks=1)),
        "encoder": lively(AuxEncoder(aux_channels=3, width=4)),
    }
    save_weights(torch.nn.ModuleDict(networks), folder / "model.safetensors")
    (folder / "run.json").write_text('{"settings": {"size": 16}, "meaning": {}}', encoding="utf-8")
    return Playground(folder, **({"device": "cpu"} | options))


def test_each_z_has_its_picture_and_the_same_z_the_same(tmp_path: Path, photo: str) -> None:
    shown = of_z(tmp_path)
    z, other = shown.z(0), shown.z(1)
    first, again, changed = (shown.shown(photo, "poor_to_rich", each) for each in (z, z.clone(), other))
    assert far(first.translated, again.translated) == 0
    assert far(first.rebuilt, again.rebuilt) == 0
    assert far(first.translated, changed.translated) > 1
    assert far(first.given, changed.given) == 0
    assert {each.size for each in first if each is not None} == {
        (21, 16)
    }  # the shorter side is that of the run's crops
    larger = shown.shown(photo, "poor_to_rich", z, size=32)
    assert {each.size for each in larger if each is not None} == {(42, 32)}


def test_every_slider_matters_and_the_others_stay(tmp_path: Path, photo: str) -> None:
    shown = of_z(tmp_path)
    z = shown.z(0)
    assert dials(z) == [round(value, 2) for value in z[0].tolist()]
    pictures = [shown.shown(photo, "poor_to_rich", z).translated]
    for place in range(3):
        values = z[0].tolist()
        values[place] = 2.5
        assert dialled(z, values).tolist()[0] == pytest.approx(values)
        pictures.append(shown.shown(photo, "poor_to_rich", dialled(z, values)).translated)
    assert all(far(a, b) > 0 for i, a in enumerate(pictures) for b in pictures[:i])


def test_the_way_back_of_a_photo_is_with_its_own_z(tmp_path: Path, photo: str) -> None:
    shown = of_z(tmp_path)
    there, with_other_z = (shown.shown(photo, "rich_to_poor", shown.z(seed)) for seed in (0, 1))
    assert far(there.rebuilt, with_other_z.rebuilt) == 0
    image = torch.from_numpy(pixels(there.given)).permute(2, 0, 1)[None].float()
    own = load_network(tmp_path, "encoder")(image / 127.5 - 1)
    torch.testing.assert_close(shown.z(like=photo), own)
    poor, rich = (
        AnySize(load_network(tmp_path, name), value_range=(0, 255)) for name in ("rich_to_poor", "poor_to_rich")
    )
    with torch.inference_mode():
        wanted = rich(poor(image), own)
    assert np.abs(pixels(there.rebuilt) - pixels(as_image(wanted))).max() <= 1
    assert far(there.rebuilt, shown.shown(photo, "poor_to_rich", shown.z(0)).translated) > 1


def test_of_a_spatial_z_the_sliders_are_the_means_of_its_channels(tmp_path: Path, photo: str) -> None:
    torch.manual_seed(3)
    generator = lively(AuxGenerator(aux_channels=12, width=4, blocks=1, injection="concat", spatial=True))
    save_weights(generator, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"spatial": true}', encoding="utf-8")
    shown = Playground(tmp_path, size=32, device="cpu")
    z = shown.z(0)
    assert z.shape == (1, 12, 4, 4)
    assert len(dials(z)) == 8  # at most
    moved = dialled(z, [1.0, -1.0])
    assert moved.mean((2, 3))[0, :2].tolist() == pytest.approx([1.0, -1.0])
    torch.testing.assert_close(moved[:, 0] - moved[:, 0].mean(), z[:, 0] - z[:, 0].mean())
    assert torch.equal(moved[:, 2:], z[:, 2:])
    assert not shown.encodes
    assert far(shown.shown(photo, "generator", z).translated, shown.shown(photo, "generator", moved).translated) > 0


@pytest.mark.parametrize("name", ["photos", "extended", "cyclegan", "average"])
def test_a_run_gives_what_translate_gives(runs: Runs, tmp_path: Path, photo: str, name: str) -> None:
    """In both directions, its photos made grey first where the run did so."""
    shown = Playground(runs(name), size=24, device="cpu")
    assert list(shown.directions) == ["poor_to_rich", "rich_to_poor"]
    for direction in shown.directions:
        run(runs(name), Path(photo), tmp_path / direction, direction=direction, size=24)
        z = shown.z(0) if shown.first.aux_channels else None
        found = shown.shown(photo, direction, z)
        wanted = levels(tmp_path / direction / "photo.png")[0].permute(1, 2, 0).numpy()
        assert np.abs(pixels(found.translated) - wanted).max() <= 1
        assert found.rebuilt is not None
    grey = pixels(shown.shown(photo, "poor_to_rich", z).given)
    assert (np.ptp(grey, axis=2).max() == 0) == (name == "photos")


def test_published_files_and_domains_have_no_z(runs: Runs, tmp_path: Path, photo: str) -> None:
    torch.save(to_published(lively(ResnetGenerator(width=4, blocks=6))), tmp_path / "latest_net_G_A.pth")
    shown = Playground(tmp_path / "latest_net_G_A.pth", device="cpu")
    assert (shown.first.aux_channels, shown.encodes, shown.size) == (0, False, 256)
    found = shown.shown(photo, "generator", size=24)
    assert found.rebuilt is None
    assert far(found.given, found.translated) > 1
    domains = Playground(runs("domains"), device="cpu")
    assert domains.label("trainB").tolist() == [[0.0, 1.0]]
    assert domains.shown(photo, "translator", domains.label("trainB")).translated.size == (21, 16)


CONTROLS = """
import sys
from pathlib import Path
import playground
from support.data.tree import as_image
from support.playground import Playground

photo, *runs = sys.argv[1:]
for run in runs:
    page = playground.page(Playground(Path(run), device="cpu"), [photo])
    shown = [block for block in page.blocks.values() if block.visible]
    print(*[block.label for block in shown if type(block).__name__ in ("Slider", "Dropdown")], page.analytics_enabled, sep="|")
"""


@pytest.mark.slow
def test_without_z_there_are_no_sliders_for_it(runs: Runs, tmp_path: Path, photo: str) -> None:
    torch.save(to_published(ResnetGenerator(width=4, blocks=6)), tmp_path / "G.pth")
    (tmp_path / "aux").mkdir()
    of_z(tmp_path / "aux")
    (tmp_path / "controls.py").write_text(CONTROLS, encoding="utf-8")
    result = launched(
        tmp_path / "controls.py", 1, photo, *map(str, (tmp_path / "G.pth", runs("domains"), tmp_path / "aux"))
    )
    assert result.returncode == 0, result.stderr
    size = "Shorter side in pixels, best as in training"
    assert result.stdout.splitlines() == [
        f"{size}|False",
        f"Domain to translate to|{size}|False",
        f"{size}|z[0]|z[1]|z[2]|False",
    ]


ERRORS: list[tuple[list[str], str]] = [
    (["nowhere"], "error: run: no file 'nowhere'"),
    (["."], "error: run: '.' has neither a checkpoint.pt, "),
    (["one.pt", "--encoder", "none.pt"], "error: like: needs the encoder that was trained with the generator"),
    (["one.pt", "--direction", "G"], "one network only, without a name: leave --direction out"),
    (["one.pt", "--device", "abacus"], "error: device: 'abacus' cannot be used"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS)
def test_errors_are_one_line(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights(AuxGenerator(width=4, blocks=1), tmp_path / "one.pt")
    options: Any = tyro.cli(playground.Options, args=words)
    with pytest.raises(ValueError, match=re.escape(message.removeprefix("error: "))) as error:
        playground.main(options)
    assert "\n" not in str(error.value)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match=re.escape('the page needs gradio: pip install ".[demo]"')):
        playground.page(of_z(tmp_path), [photo])


def test_sliders_reach_as_far_as_z_does() -> None:
    assert playground.dial(0.5) == {"value": 0.5, "minimum": -3, "maximum": 3}
    assert playground.dial(-7.2) == {"value": -7.2, "minimum": -8, "maximum": 3}


# The page itself

LISTENER = """
import os, sys

def heard(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        place = given[0] if event.startswith("socket.get") else given[1]
        host = place[0] if isinstance(place, tuple) else place
        if host not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None):
            with open(os.environ["HEARD"], "a") as file:
                file.write(f"{event} {host!r}\\n")

sys.addaudithook(heard)
"""
"""Says which hosts a process asks for, from its first line on."""


@contextmanager
def served(run: Path, folder: Path) -> Iterator[str]:
    """The address of the page, and afterwards a look at whether its server asked any other host."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(LISTENER, encoding="utf-8")
    heard = folder / "heard.txt"
    path = os.pathsep.join([str(folder / "hook"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "PYTHONPATH": path,
        "HEARD": str(heard),
        "PYTHONUNBUFFERED": "1",
        "GRADIO_TEMP_DIR": str(folder),
    }
    command = [sys.executable, playground.__file__, str(run), "--device", "cpu"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as child:
        try:
            said = []
            for line in child.stdout or ():
                said.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    assert said == [f"Open {found[0]}/ in a browser on this computer; Ctrl+C ends it.\n"]
                    break
            else:
                pytest.fail("".join(said))
            yield found[0]
        finally:
            child.terminate()
    assert not heard.exists(), heard.read_text(encoding="utf-8")


def picture(page: Page, name: str) -> Any:
    """The pixels of an image on the page, as its file has them."""
    encoded = page.value(
        f"fetch(document.querySelector('#{name} img').src).then(answer => answer.blob()).then(blob => new Promise(done => "
        "{ const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(blob); }))"
    )
    with Image.open(io.BytesIO(base64.b64decode(encoded.partition(",")[2]))) as image:
        return pixels(image)


def source(name: str) -> str:
    return f"(document.querySelector('#{name} img') || {{}}).src"


@pytest.mark.slow
def test_the_page_in_a_browser_changes_the_picture_and_asks_no_other_host(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    behind = of_z(tmp_path / "run", size=48)
    (tmp_path / "run" / "run.json").write_text('{"settings": {"size": 48}, "meaning": {}}', encoding="utf-8")
    first = tmp_path / "first.png"
    bundled_photos()[0].save(first)
    z = behind.z(0)
    with served(tmp_path / "run", tmp_path) as address, browser(tmp_path) as page:
        page.screen(1300, 1000)
        page.visit(address)
        page.until(source("rebuilt"))
        before = behind.shown(str(first), "poor_to_rich", dialled(z, dials(z)))
        for name, wanted in zip(("given", "translated", "rebuilt"), before, strict=True):
            assert np.abs(picture(page, name) - pixels(wanted)).max() <= 1
        page.value(f"window.earlier = {source('translated')}")
        page.value("document.querySelectorAll('input[type=range][aria-label*=\"z[0]\"]')[0].focus()")
        page.press("End")
        page.until(f"{source('translated')} !== window.earlier")
        after = behind.shown(str(first), "poor_to_rich", dialled(z, [3.0, *dials(z)[1:]]))
        assert np.abs(picture(page, "translated") - pixels(after.translated)).max() <= 1
        assert far(before.translated, after.translated) > 1
        assert {url.partition("/")[0] + "//" + url.split("/")[2] for url in page.requests()} == {address}
        wide = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        assert page.value("document.querySelector('#translated img').height") > 150  # small pictures are enlarged
