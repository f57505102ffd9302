"""Image files as people have them: any format, broken ones among them, millions."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support.data.domains import domain_sets
from support.data.files import PHOTOS, BrokenFiles
from support.data.gestures import gesture_pairs
from support.data.images import bundled_photos
from support.data.unpaired import unpaired

from asymkit.evaluation.folders import ImageFiles
from asymkit.evaluation.folders import image_files as listed_files
from asymkit.evaluation.images import FULL_RANGE, BrokenImageError, read_image


def image_files(folder: Path) -> ImageFiles:
    return listed_files(folder, "data", PHOTOS)


def photo(width: int = 48, height: int = 40) -> Image.Image:
    """Soft colours: what survives a JPEG, and tells left from right and top from bottom."""
    red, green = np.meshgrid(np.linspace(20, 230, width), np.linspace(230, 20, height))
    return Image.fromarray(np.stack([red, green, 0.5 * red + 0.4 * green], axis=2).round().astype(np.uint8))


def folder_of(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        photo().save(folder / f"{i:04d}.png")
    return folder


def pixels_of(path: Path) -> np.ndarray[Any, Any]:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp", "a.tif", "a.TIFF", "a.bmp", "фото 写真.png"])
def test_formats_are_read_alike(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {"quality": 95} if name[2] in "jJw" else {}
    photo().save(tmp_path / name, **options)
    assert [path.name for path in image_files(tmp_path)] == [name]
    assert np.abs(pixels_of(tmp_path / name) - np.asarray(photo())).mean() < 2.5


def test_grey_palette_cmyk_and_sixteen_bits(tmp_path: Path) -> None:
    wanted = np.asarray(photo()).astype(int)
    photo().convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    assert np.abs(pixels_of(tmp_path / "palette.png") - wanted).mean() < 8
    photo().convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(pixels_of(tmp_path / "cmyk.jpg") - wanted).mean() < 8
    grey = np.asarray(photo().convert("L")).astype(int)
    photo().convert("L").save(tmp_path / "grey.jpg", quality=95)
    assert np.abs(pixels_of(tmp_path / "grey.jpg") - grey[..., None]).mean() < 2
    for name in ("deep.png", "deep.tif"):
        Image.fromarray((grey * 257).astype(np.uint16)).save(tmp_path / name)
        assert (pixels_of(tmp_path / name) == grey[..., None]).all()


def test_sixteen_bits_of_colour(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")  # comes with scikit-image
    wanted = np.asarray(photo())
    tifffile.imwrite(tmp_path / "deep.tif", wanted.astype(np.uint16) * 257, photometric="rgb")
    assert np.abs(pixels_of(tmp_path / "deep.tif") - wanted.astype(int)).max() <= 1


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = photo().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste((10, 20, 30, 255), (0, 0, 20, 20))
    image.save(tmp_path / "logo.png")
    image.save(tmp_path / "logo.webp", lossless=True)
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([90, 90, 90, 1, 2, 3])
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("logo.png", "logo.webp"):
        pixels = pixels_of(tmp_path / name)
        assert (pixels[5, 5] == (10, 20, 30)).all()
        assert (pixels[30, 40] == 255).all()
    assert (pixels_of(tmp_path / "palette.png") == 255).all()


def test_a_transparent_grey_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    values = np.full((16, 16), 12000, np.uint16)
    values[:8] = 12345
    Image.fromarray(values).save(tmp_path / "deep.png", transparency=12345)
    pixels = np.asarray(read_image(tmp_path / "deep.png", value_range=FULL_RANGE)).astype(int)
    assert (pixels[:8] == 255).all()
    assert (pixels[8:] == round(12000 / 257)).all()


def test_phones_turn_their_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().rotate(90, expand=True).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    assert np.abs(pixels_of(tmp_path / "phone.jpg") - np.asarray(photo())).mean() < 3


def test_large_jpegs_are_decoded_no_larger_than_needed(tmp_path: Path) -> None:
    large = bundled_photos()[0].resize((1024, 2048))
    large.save(tmp_path / "large.jpg", quality=95)
    sides = {side: read_image(tmp_path / "large.jpg", side).size for side in (100, 128, 129, 500, 600, 4000)}
    assert sides == {
        100: (128, 256),
        128: (128, 256),
        129: (256, 512),
        500: (512, 1024),
        600: (1024, 2048),
        4000: (1024, 2048),
    }
    whole = np.asarray(read_image(tmp_path / "large.jpg").resize((96, 192), Image.Resampling.BICUBIC)).astype(int)
    small = np.asarray(read_image(tmp_path / "large.jpg", 100).resize((96, 192), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(whole - small).mean() < 1.5
    large.save(tmp_path / "large.png")
    assert read_image(tmp_path / "large.png", 100).size == (1024, 2048)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("cut.jpg", "cut", "truncated"),
        ("text.png", b"hello", "no image, or damaged at its beginning"),
        ("empty.webp", b"", "the file is empty"),
        ("dot.png", Image.new("RGB", (1, 1)), "1 × 1 pixels are too few"),
        ("float.tif", Image.new("F", (20, 20)), "floating point"),
        ("missing.jpg", None, "No such file"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, name: str, content: Any, problem: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        photo(200, 200).save(path)
        path.write_bytes(path.read_bytes()[:-400])
    elif content is not None:
        content.save(path)
    with pytest.raises(BrokenImageError, match=f"cannot read '.*{name}' as an image: .*{problem}"):
        read_image(path)


def test_decoders_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo().save(tmp_path / "odd.jpg")

    def odd(_: object) -> None:
        raise struct.error("required argument is not an integer")  # what Pillow makes of some damaged EXIF data

    monkeypatch.setattr(ImageOps, "exif_transpose", odd)
    with pytest.raises(BrokenImageError, match=r"odd.jpg' as an image: required argument is not an integer"):
        read_image(tmp_path / "odd.jpg")


def spoil(folder: Path, *names: str) -> None:
    """What people's folders hold."""
    contents = [b"\xff\xd8\xff no jpeg", b"", None]
    for name, content in zip(names, contents, strict=False):
        if content is None:
            Image.new("RGB", (1, 1)).save(folder / name)
        else:
            (folder / name).write_bytes(content)
    (folder / "a folder.jpg").mkdir()


def test_broken_files_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 500)
    spoil(folder, "0100.png", "0200.png", "0300.png")
    data, source = unpaired(folder, "grey", "A", 16, 0)
    assert "the 500 photos" in source
    again, _ = unpaired(folder, "grey", "A", 16, 0)
    samples = [data[i][0] for i in range(500)]
    assert set(data.broken.found) == {str(folder / name) for name in ("0100.png", "0200.png", "0300.png")}
    assert torch.equal(torch.stack(samples), torch.stack([again[i][0] for i in range(500)]))  # the same ones instead
    data.broken.check()  # three of five hundred may be


def test_a_folder_of_broken_files_is_refused_at_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 150)
    spoil(folder, "0000.png", "0149.png")
    with pytest.raises(
        ValueError, match=r"(?s)cannot read 2 of 150 images, .*0000.png: no image.*0149.png: the file is"
    ):
        unpaired(folder, "grey", "A", 16, 0)


def test_images_that_break_later_stop_the_run_with_the_list() -> None:
    broken = BrokenFiles(total=1000)
    broken.found = {f"{i}.jpg": "cut" for i in range(10)}
    broken.check()
    broken.found |= {f"late {i}.jpg": "cut" for i in range(20)}
    with pytest.raises(ValueError, match=r"(?s)cannot read 30 of 1000 .*  0.jpg: cut\n.*and 10 more"):
        broken.check()


def test_nothing_but_broken_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 3)
    data, _ = unpaired(folder, "grey", "A", 16, 0)
    for path in image_files(folder):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="none of 3 images in a row can be read, the last is"):
        data[0]


def test_only_image_files_are_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 2)
    (folder / "._0000.png").write_bytes(b"what macOS leaves beside images")
    (folder / "notes.txt").write_text("", encoding="utf-8")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "queue.png")  # opening it would wait for ever
    (folder / "0002.png").symlink_to(folder / "nowhere")  # an image that is missing
    assert image_files(folder).names == ["0000.png", "0001.png", "0002.png"]
    with pytest.raises(BrokenImageError, match=r"0002.png' as an image: .*No such file"):
        read_image(folder / "0002.png")


class Entry:
    def __init__(self, name: str, file: bool = True) -> None:
        self.name, self._file = name, file

    def is_file(self) -> bool:
        return self._file


def test_a_million_files_are_listed_without_being_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo().save(tmp_path / "one.png")
    opened: list[Any] = []
    real = Image.open

    @contextmanager
    def scandir(_: object) -> Iterator[Iterator[Entry]]:
        yield (Entry(f"{i:07d}.png") for i in range(10**6))

    def counted(path: Path, **options: Any) -> Image.Image:
        opened.append(path)
        return real(tmp_path / "one.png", **options)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Image, "open", counted)
    data, source = unpaired(tmp_path, "grey", "A", 16, 0)
    assert "1000000 photos" in source
    assert data.epoch == data.broken.total == 10**6
    assert len(opened) == 500
    assert data[10**6 - 1][0].shape == data[10**6][1].shape == (3, 16, 16)
    assert len(opened) == 504
    assert len({path.name for path in opened[500:]}) > 2


def test_side_by_side_pairs_are_two_domains(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for i in range(3):
        both = Image.new("RGB", (81, 40), (255, 0, 0))  # an odd width belongs to neither half
        both.paste((0, 0, 255), (40, 0, 81, 40))
        both.save(tmp_path / "train" / f"{i}.jpg", quality=95, subsampling=0)
    for side, colours in (("A", (0, 2)), ("B", (2, 0))):
        data, source = unpaired(tmp_path, "grey", side, 16, 0, side_by_side=True)  # type: ignore[arg-type]
        assert f"3 images of both domains side by side, {side} the rich one" in source
        for images, channel in zip(data[0], colours, strict=True):
            assert images[channel].mean() > 0.9
            assert images[2 - channel].mean() < -0.9
    with pytest.raises(ValueError, match="has a sub-folder train: add --side-by-side"):
        unpaired(tmp_path, "grey", "A", 16, 0)
    with pytest.raises(ValueError, match="give --data FOLDER as well"):
        unpaired(None, "grey", "A", 16, 0, side_by_side=True)
    (tmp_path / "tall").mkdir()
    photo(20, 40).save(tmp_path / "tall" / "0000.png")
    with pytest.raises(ValueError, match=r"an image is 20 × 40 pixels; expected images that show A on the left"):
        unpaired(tmp_path / "tall", "grey", "A", 16, 0, side_by_side=True)


def test_halves_are_decoded_large_enough(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "train", 101)
    spoil(folder, "0000.png")  # the first one may be the broken one
    photo(1600, 1200).save(folder / "0050.jpg")
    data, _ = unpaired(tmp_path, "grey", "A", 128, 0, side_by_side=True)
    for domain in (data.rich, data.poor):
        number = [path.name for path in image_files(folder)].index("0050.jpg")
        assert domain._image(number, 128).size == (200, 300)  # a half of a quarter: 144 are needed


def test_sides_of_any_number_and_size(tmp_path: Path) -> None:
    for side, sizes in (("trainA", [(30, 90), (64, 20), (17, 17)]), ("trainB", [(300, 200)])):
        (tmp_path / side).mkdir()
        for i, size in enumerate(sizes):
            photo(*size).save(tmp_path / side / f"{i}.png")
    data, _ = unpaired(tmp_path, "grey", "A", 32, 0)
    assert data.lengths == (3, 1)
    assert all(image.shape == (3, 32, 32) for i in range(7) for image in data[i])


def test_broken_files_of_domains_and_gestures_are_skipped(tmp_path: Path) -> None:
    for name in ("summer", "winter"):
        spoil(folder_of(tmp_path / "domains" / name, 120), "0050.png")
    train, _, _ = domain_sets(tmp_path / "domains", 16, 3, 0)
    for number in range(600):
        assert train.crop(0, number).shape == (3, 16, 16)
    assert list(train.broken.found) == [str(tmp_path / "domains" / name / "0050.png") for name in ("summer", "winter")]

    for name in ("photos", "masks"):
        folder_of(tmp_path / name, 150)
    spoil(tmp_path / "photos", "0070.png")
    rows = "".join(f"{i:04d}.png,{(i + 1) % 150:04d}.png\n" for i in range(150))
    (tmp_path / "pairs.csv").write_text("source,target\n" + rows, encoding="utf-8")
    (tmp_path / "pairs.csv").write_text(
        (tmp_path / "pairs.csv").read_text(encoding="utf-8") + "0000.png,nobody.png\n", encoding="utf-8"
    )
    pairs, _, source = gesture_pairs(tmp_path / "photos", tmp_path / "masks", tmp_path / "pairs.csv", 16, 0)
    assert all(part.shape == (3, 16, 16) for i in range(len(pairs.pairs)) for part in pairs[i])  # type: ignore[attr-defined]
    assert list(pairs.broken.found) == [str(tmp_path / "photos" / "0070.png")]
    assert "; 1 of 151 pairs left out for want of files, such as of nobody" in source


def test_a_block_of_broken_files_does_not_end_a_run(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder_of(tmp_path / name, 1)
    folder = tmp_path / "a"
    for i in range(1, 12_000):
        os.link(folder / "0000.png", folder / f"{i:04d}.png")
    for i in range(5000, 5115):  # as an interrupted download leaves them, not one in a hundred
        (folder / f"{i:04d}.png").unlink()
        (folder / f"{i:04d}.png").write_bytes(b"")
    train, _, _ = domain_sets(tmp_path, 16, 3, 0)
    names = train.domains[0].images.names  # type: ignore[union-attr]

    def first(number: int) -> str:
        return names[np.random.default_rng((0, 0, number, 1)).integers(len(names))]

    among_broken = [number for number in range(20_000) if first(number) in {"5001.png", "5002.png"}]
    assert among_broken
    for number in among_broken:
        assert train.crop(0, number).shape == (3, 16, 16)
