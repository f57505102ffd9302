"""What the values of grey and deep images mean: found, stated or refused, but never a training on black."""

from __future__ import annotations

import struct
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.data.domains import domain_sets
from support.data.gestures import gesture_pairs
from support.data.unpaired import Unpaired, unpaired
from support.trained import Trained

from asymkit.evaluation.images import BrokenImageError, read_image


def ramp(highest: float, dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    return np.linspace(0, highest, 32 * 32).round().reshape(32, 32).astype(dtype)


def folders(folder: Path, *poor: Any, ending: str = ".png") -> Path:
    """Photos in trainA, the given pixels in trainB."""
    for side in ("trainA", "trainB"):
        (folder / side).mkdir(parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
        folder / "trainA" / "0.png"
    )
    for i, pixels in enumerate(poor):
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(folder / "trainB" / f"{i}{ending}")
    return folder


def levels(data: Unpaired) -> tuple[float, float]:
    """The lowest and highest level of 255 among some poor images."""
    images = torch.stack([data[i][1] for i in range(8)])
    return ((images.min() + 1) * 127.5).item(), ((images.max() + 1) * 127.5).item()


@pytest.mark.parametrize(("highest", "top"), [(255, 255), (900, 1023), (4095, 4095), (12000, 16383), (65535, 65535)])
def test_the_range_of_deep_images_is_found_and_said(tmp_path: Path, highest: int, top: int) -> None:
    data, source = unpaired(folders(tmp_path, ramp(highest), ramp(highest // 2)), "grey", "A", 16, 0)
    said = f"trainB: 16-bit images with values 0 to {highest}, of which 0 becomes black and {top} white"
    assert said in source
    assert levels(data)[1] == pytest.approx(highest / top * 255, rel=0.06)  # a crop may leave out the brightest row


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_label_ids_in_sixteen_bits_need_a_range(tmp_path: Path, ending: str) -> None:
    pixels = ramp(33, np.uint16 if ending != ".pgm" else np.int32)
    folder = folders(tmp_path, pixels, ending=ending) if ending != ".pgm" else folders(tmp_path)
    if ending == ".pgm":  # Pillow brings PGM to the range of its header itself, so this one is of all 16 bits
        (folder / "trainB" / "0.pgm").write_bytes(b"P5 32 32 65535\n" + pixels.astype(">u2").tobytes())
    with pytest.raises(ValueError, match=r"trainB has grey images .* with values 0 to 33; .* --value-range 0 33"):
        unpaired(folder, "grey", "A", 16, 0)
    data, source = unpaired(folder, "grey", "A", 16, 0, value_range=(0, 33))
    assert "trainB: value 0 becomes black and 33 white, as stated" in source
    assert levels(data)[1] > 240


def test_label_ids_in_eight_bits_are_warned_of(tmp_path: Path) -> None:
    folder = folders(tmp_path, ramp(33, np.uint8))
    with pytest.warns(
        UserWarning, match=r"trainB: the images are nearly black, none .* above 33 of 255; .*value-range"
    ):
        unpaired(folder, "grey", "A", 16, 0)
    data, _ = unpaired(folder, "grey", "A", 16, 0, value_range=(0, 33))
    assert levels(data)[1] > 240
    Image.fromarray(ramp(40, np.uint8)).save(folder / "trainB" / "1.png")
    with pytest.raises(ValueError, match=r"1.png: its values go from 0 to 40, outside of the value range 0 to 33"):
        unpaired(folder, "grey", "A", 16, 0, value_range=(0, 33))


def test_a_range_of_sixteen_bits_is_not_for_images_of_eight(tmp_path: Path) -> None:
    data, _ = unpaired(folders(tmp_path, ramp(255, np.uint8), ramp(4095)), "grey", "A", 16, 0, value_range=(0, 4095))
    assert all((y.max() + 1) * 127.5 > 200 for _, y in (data[i] for i in range(2)))


def with_alpha(pixels: np.ndarray[Any, Any], hidden: int = 0) -> Image.Image:
    """A grey image of 8 bits whose first rows are fully transparent."""
    alpha = np.full_like(pixels, 255)
    alpha[:hidden] = 0
    return Image.merge("LA", (Image.fromarray(pixels), Image.fromarray(alpha)))


def test_a_stated_range_is_for_grey_images_with_transparency_too(tmp_path: Path) -> None:
    pixels = ramp(33, np.uint8)
    path = folders(tmp_path / "opaque", with_alpha(pixels)) / "trainB" / "0.png"
    data, source = unpaired(tmp_path / "opaque", "grey", "A", 16, 0, value_range=(0, 33))
    assert "trainB: value 0 becomes black and 33 white, as stated" in source
    assert levels(data)[1] > 240
    with pytest.warns(UserWarning, match="trainB: the images are nearly black, none .* above 33 of 255"):
        unpaired(tmp_path / "opaque", "grey", "A", 16, 0)
    pixels[:4] = 255  # hidden, so that it need not fit
    with_alpha(pixels, hidden=4).save(path)
    read = np.asarray(read_image(path, value_range=(0, 33)))
    assert (read[:4] == 255).all()
    np.testing.assert_array_equal(read[4:, :, 0], (pixels[4:] * (255 / 33)).round())
    with pytest.raises(BrokenImageError, match="its values go from 4 to 33, outside of the value range 0 to 20"):
        read_image(path, value_range=(0, 20))
    unpaired(tmp_path / "opaque", "grey", "A", 16, 0)  # black on transparent ground is not dark


def test_a_range_that_is_for_none_of_the_images_or_does_not_fit_them_is_refused_as_such(tmp_path: Path) -> None:
    colours = np.repeat(ramp(33, np.uint8)[..., None], 3, 2)
    folder = folders(tmp_path, colours)
    with pytest.raises(
        ValueError, match=r"^value_range: none of the 2 images .* is grey .* --value-range 0 33 .* leave it out"
    ):
        unpaired(folder, "grey", "A", 16, 0, value_range=(0, 33))
    with pytest.warns(UserWarning, match="nearly black"):  # that of 16 bits of colour, which are read
        unpaired(folder, "grey", "A", 16, 0, value_range=(0, 65535))
    Image.fromarray(ramp(4095)).save(folder / "trainB" / "0.png")
    with pytest.raises(
        ValueError, match=r"^value_range: --value-range 0 255 does not fit 1 of 2 images; .* leave it out"
    ) as error:
        unpaired(folder, "grey", "A", 16, 0, value_range=(0, 255))
    assert "mend" not in str(error.value)


def test_palette_indices_are_their_colours(tmp_path: Path) -> None:
    ids = Image.fromarray(ramp(33, np.uint8)).convert("P")
    ids.putpalette([value for i in range(256) for value in (7 * i % 256, 255 - i, 128)])
    data, source = unpaired(folders(tmp_path, ids), "grey", "A", 16, 0)
    low, high = levels(data)
    assert high > 222
    assert low < 128
    assert "value" not in source


def deep_png(pixels: np.ndarray[Any, Any]) -> bytes:
    """A PNG with 16 bits of colour, grey or not, with alpha or without, which Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["png", "tif", "planar"])
def test_sixteen_bits_of_colour_with_small_values_are_refused(tmp_path: Path, kind: str) -> None:
    folder = folders(tmp_path)

    def write(factor: int) -> None:
        pixels = (np.repeat(ramp(4095)[..., None], 3, 2) * factor).astype(np.uint16)
        if kind == "png":
            (folder / "trainB" / "0.png").write_bytes(deep_png(pixels))
            return
        tifffile = pytest.importorskip("tifffile")
        planar = kind == "planar"
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)) if planar else pixels
        options = {"planarconfig": "separate"} if planar else {}
        tifffile.imwrite(folder / "trainB" / "0.tif", pixels, photometric="rgb", **options)

    write(1)
    with pytest.raises(ValueError, match=r"16-bit colour images with values below 4096 of 65536|0.tif: .* planes"):
        unpaired(folder, "grey", "A", 16, 0)
    if kind != "planar":
        write(16)
        assert levels(unpaired(folder, "grey", "A", 16, 0)[0])[1] > 230


@pytest.mark.parametrize(
    ("channels", "alpha"),
    [(3, "none"), *product((1, 3), ("opaque", "half of it transparent", "as small as the colours"))],
)
def test_eight_bits_stored_in_sixteen_of_colour_are_refused(tmp_path: Path, channels: int, alpha: str) -> None:
    """Pillow makes 0 of every value below 256."""
    folder = folders(tmp_path)
    path = folder / "trainB" / "0.png"

    def write(factor: int) -> None:
        layers = [ramp(255) * factor] * channels
        if alpha != "none":
            layers.append(np.full((32, 32), 255 if "small" in alpha else 65535, np.uint16))
            if "half" in alpha:
                layers[-1][:16] = 0
        path.write_bytes(deep_png(np.stack(layers, 2)))

    write(1)
    with pytest.raises(ValueError, match=r"trainB has 16-bit colour images with values below 256 of 65536.* black"):
        unpaired(folder, "grey", "A", 16, 0)
    with pytest.raises(
        BrokenImageError, match=r"colours of 16 bits are all below 256, .*also where it is meant to be bl"
    ):
        read_image(path)
    if "small" not in alpha:
        write(257)
        assert np.asarray(read_image(path)).max() == 255
        unpaired(folder, "grey", "A", 16, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_black_images_are_warned_of(tmp_path: Path, dtype: Any) -> None:
    folder = folders(tmp_path, np.zeros((32, 32), dtype))
    with pytest.warns(UserWarning, match=r"trainB: the images are nearly black, none .* above 0 of 255"):
        unpaired(folder, "grey", "A", 16, 0)


def test_floats_and_negative_values_are_read_with_a_range(tmp_path: Path) -> None:
    folder = folders(tmp_path / "float", (ramp(1000) / 1000).astype(np.float32), ending=".tif")
    with pytest.raises(ValueError, match=r"0.tif: its pixels are floating point numbers; state a value range"):
        unpaired(folder, "grey", "A", 16, 0)
    assert levels(unpaired(folder, "grey", "A", 16, 0, value_range=(0, 1))[0])[1] > 240
    folder = folders(tmp_path / "negative", ramp(1000, np.int32) - 500, ending=".tif")
    with pytest.raises(ValueError, match=r"with values -500 to 500; .* --value-range -500 500"):
        unpaired(folder, "grey", "A", 16, 0)
    assert levels(unpaired(folder, "grey", "A", 16, 0, value_range=(-500, 500))[0])[1] > 240


def test_a_range_that_is_said_holds_the_images_it_was_stated_for(tmp_path: Path) -> None:
    low, high = np.float32(-0.12345678), np.float32(1234567.9)  # neither has six digits
    pixels = np.linspace(low, high, 32 * 32, dtype=np.float32).reshape(32, 32)
    pixels.flat[[0, -1]] = low, high
    folder = folders(tmp_path / "float", pixels, ending=".tif")
    data, _ = unpaired(folder, "grey", "A", 16, 0, value_range=(float(low), float(high)))
    trained = Trained(Path("run"), {}, None, "poor_to_rich", {}, data.meaning)
    stated = trained.value_range(rich=False)
    assert stated == (float(low), float(high))
    assert np.asarray(read_image(folder / "trainB" / "0.tif", value_range=stated)).max() == 255
    folder = folders(tmp_path / "deep", ramp(12_345_678, np.int32), ending=".tif")
    with pytest.raises(ValueError, match=r"with values 0 to 12345678; .* --value-range 0 12345678$"):
        unpaired(folder, "grey", "A", 16, 0)


def test_a_deep_image_among_others_is_never_black(tmp_path: Path) -> None:
    folder = folders(tmp_path, *[ramp(255, np.uint8)] * 3)
    data, _ = unpaired(folder, "grey", "A", 16, 0)
    Image.fromarray(ramp(4095)).save(folder / "trainB" / "1.png")  # written after the folder was looked at
    assert all((data[i][1].max() + 1) * 127.5 > 200 for i in range(6))
    (problem,) = data.broken.found.values()
    assert problem == "its values go up to 4095 of 65535, which would be nearly black; state a value range"


@pytest.mark.parametrize("wrong", [(5, 5), (9, 1), (0, float("nan")), (0, float("inf"))])
def test_ranges_that_are_none_are_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"value_range must be"):
        unpaired(folders(tmp_path, ramp(255, np.uint8)), "grey", "A", 16, 0, value_range=wrong)
    for call in (
        lambda: unpaired(None, "grey", "A", 16, 0, value_range=(0, 1)),
        lambda: domain_sets(None, 16, 3, 0, (0, 1)),
        lambda: gesture_pairs(None, None, None, 16, 0, (0, 1)),
    ):
        with pytest.raises(ValueError, match="value_range: needs images of your own"):
            call()


def test_every_layout_reads_values_alike(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(ramp(4095)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "pairs.csv").write_text("source,target\n0,1\n1,1\n", encoding="utf-8")
    train, held_out, said = domain_sets(tmp_path, 16, 3, 0)
    both, side_by_side = unpaired(_wide(tmp_path / "wide"), "grey", "A", 16, 0, side_by_side=True)
    photos, derived = unpaired(tmp_path / "a", "grey", "A", 16, 0)
    pairs, _, gestures = gesture_pairs(tmp_path / "a", tmp_path / "b", tmp_path / "pairs.csv", 16, 0)
    for source in (said, side_by_side, derived, gestures):
        assert "16-bit images with values 0 to 4095, of which 0 becomes black and 4095 white" in source
    images = [train[0][0], held_out[0][0], both[0][0], photos[0][0], pairs[0][0], pairs[0][1]]
    assert all(image.max() > -0.3 for image in images)  # 4095 of 65535 is -0.88


def _wide(folder: Path) -> Path:
    folder.mkdir()
    Image.fromarray(np.concatenate([ramp(4095)] * 2, 1)).save(folder / "0.png")
    return folder
