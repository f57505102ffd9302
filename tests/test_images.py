"""The one reader of image files: formats, metadata, what is left out, and the entropy command that uses it too."""

from __future__ import annotations

import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from support.data.domains import domain_sets
from support.data.gestures import gesture_pairs
from support.data.hands import hand_points, read_keypoints
from support.data.pairs import read_pairs
from support.data.unpaired import unpaired

from asymkit.evaluation.entropy import compare, domain_entropy
from asymkit.evaluation.images import ENDINGS, FORMATS, BrokenImageError, read_image
from asymkit.ops import shannon_entropy


def photo(seed: int = 0, size: tuple[int, int] = (24, 20)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def save(path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    photo().save(path, **options)
    return path


def text(size: int, compressed: bool) -> PngImagePlugin.PngInfo:
    noise = random.Random(0).randbytes(size // 2).hex()
    metadata = PngImagePlugin.PngInfo()
    metadata.add_itxt("XML:com.adobe.xmp", noise, zip=compressed)
    return metadata


@pytest.mark.parametrize("compressed", [False, True])
def test_large_metadata_do_not_matter(tmp_path: Path, compressed: bool) -> None:
    before = save(tmp_path / "before.png", pnginfo=text(2**21, compressed))
    data = before.read_bytes()
    beginning, end = data.index(b"iTXt") - 4, data.index(b"IDAT") - 4
    after = tmp_path / "after.png"  # the same behind the pixels
    after.write_bytes(data[:beginning] + data[end:-12] + data[beginning:end] + data[-12:])
    for path in (before, after):
        assert (np.asarray(read_image(path)) == np.asarray(photo())).all()
    assert domain_entropy(tmp_path).bits.shape == (2,)


def test_a_lot_of_metadata_in_small_pieces_and_a_large_profile(tmp_path: Path) -> None:
    metadata = PngImagePlugin.PngInfo()
    for i in range(70):
        metadata.add_text(f"note {i}", "x" * 10**6, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "notes.png", pnginfo=metadata, exif=exif)
    assert read_image(path).size == (24, 20)  # turned: its EXIF data are kept
    profile = random.Random(0).randbytes(2**21)
    assert read_image(save(tmp_path / "profile.png", icc_profile=profile)).size == (20, 24)


@pytest.mark.parametrize("kind", ["GIF", "TGA", "EPS", "PCX", "ICO", "SGI"])
def test_content_of_other_formats_is_refused_whatever_the_ending(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "odd.png").open("wb") as file:
        photo().save(file, format=kind)
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: sys.exit("Ghostscript was started"))
    with pytest.raises(BrokenImageError, match=r"odd.png' as an image: no image, .* BMP, JPEG, PNG, PPM, TIFF, WEBP"):
        read_image(tmp_path / "odd.png")
    with pytest.raises(ValueError, match=r"odd.png"):
        domain_entropy(tmp_path)


def test_formats_are_known_by_their_content_and_all_their_endings(tmp_path: Path) -> None:
    for ending in ENDINGS:
        kind = next(kind for kind, endings in FORMATS.items() if ending in endings)
        image = photo().convert("1" if ending == ".pbm" else "L" if ending == ".pgm" else "RGB")
        with (tmp_path / f"a{ending.upper()}").open("wb") as file:
            image.save(file, format=kind)
    _, source = unpaired(tmp_path, "grey", "A", 16, 0)
    assert f"the {len(ENDINGS)} photos" in source
    assert len(domain_entropy(tmp_path).bits) == len(ENDINGS)
    (tmp_path / "train").mkdir()
    unpaired(tmp_path, "grey", "A", 16, 0)  # photos of any ending beside a folder train
    phone = save(tmp_path / "phone" / "two.jpg", format="MPO", save_all=True, append_images=[photo(1)])
    assert read_image(phone).size == (20, 24)  # a preview behind the image, as telephones add it


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / "a" / f"{i}.jpg")
        save(tmp_path / "b" / f"{i}.jpg")
    for i in range(40):
        (tmp_path / "a" / f"{i}.HEIC").write_bytes(b"")
    for name in ("notes.txt", "README", "._0.jpg", ".DS_Store"):
        (tmp_path / "a" / name).write_bytes(b"")
    save(tmp_path / "a" / "more.jpg" / "0.jpg")
    (tmp_path / "pairs.csv").write_text("source,target\n0,1\n1,1\n", encoding="utf-8")
    sources = [unpaired(tmp_path / "a", "grey", "A", 16, 0)[1], domain_sets(tmp_path, 16, 3, 0)[2]]
    sources.append(gesture_pairs(tmp_path / "a", tmp_path / "b", tmp_path / "pairs.csv", 16, 0)[2])
    sources.append(compare(tmp_path / "a", tmp_path / "b", tmp_path / "picture.png"))
    for source in sources:
        _, _, found = source.partition("; left out of a: ")
        counts, _, why = found.partition(" (")
        assert counts.split(", ")[0] == "40 .heic"
        assert sorted(counts.split(", ")[1:]) == ["1 .txt", "1 folders", "1 without an ending"]
        assert why.startswith("images end in .bmp, .jfif, ")
        assert "left out of b" not in source
    save(tmp_path / "loose.webp")
    assert "that are in none of its sub-folders are left out" in domain_sets(tmp_path, 16, 3, 0)[2]


def test_links_in_a_circle_are_broken_images(tmp_path: Path) -> None:
    for domain in ("a", "b"):
        for i in range(100):
            save(tmp_path / domain / f"{i}.png") if i == 0 else (tmp_path / domain / f"{i}.png").hardlink_to(
                tmp_path / domain / "0.png"
            )
    (tmp_path / "a" / "loop.png").symlink_to(tmp_path / "a" / "loop.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a" / "loop")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "a" / "0.png")  # to an image: an image
    for data in (unpaired(tmp_path / "a", "grey", "A", 16, 0)[0], domain_sets(tmp_path, 16, 3, 0)[0]):
        ((path, problem),) = data.broken.found.items()
        assert path.endswith("loop.png")
        assert "Too many levels of symbolic links" in problem
        found = dict(data.broken.found)
        data.broken.found.clear()
        data.broken.recall(found)  # neither removed nor mended
        assert data.broken.found == found


def test_entropy_is_of_what_training_sees(tmp_path: Path) -> None:
    pixels = np.asarray(photo()).copy()
    save(tmp_path / "0.png")
    (tmp_path / "._0.jpg").write_bytes(b"what macOS leaves beside images")
    (tmp_path / "folder.png").mkdir()
    image = photo()
    image.putalpha(Image.fromarray(np.where(np.arange(20) < 10, 255, 0).astype(np.uint8)[None].repeat(24, 0)))
    image.save(tmp_path / "1.png")
    pixels[:, 10:] = 255  # what is transparent is white
    found = domain_entropy(tmp_path)
    wanted = [torch.from_numpy(array).permute(2, 0, 1)[None].float() for array in (np.array(photo()), pixels)]
    assert found.bits.tolist() == [shannon_entropy(one, value_range=(0, 255)).item() for one in wanted]


def test_entropy_of_deep_images_is_that_of_their_eight_bits(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (32, 32))
    for name, factor in (("eight", 1), ("deep", 257)):
        (tmp_path / name).mkdir()
        Image.fromarray((levels * factor).astype(np.uint8 if factor == 1 else np.uint16)).save(
            tmp_path / name / "0.png"
        )
    assert domain_entropy(tmp_path / "deep").bits.tolist() == domain_entropy(tmp_path / "eight").bits.tolist()
    text = compare(tmp_path / "eight", tmp_path / "deep", tmp_path / "picture.png")
    assert "; deep: 16-bit images with values 0 to 65535, of which 0 becomes black and 65535 white" in text
    Image.fromarray((levels % 34).astype(np.uint16)).save(tmp_path / "deep" / "0.png")
    with pytest.raises(ValueError, match=r"values 0 to 33; state which values are black and white"):
        compare(tmp_path / "eight", tmp_path / "deep", tmp_path / "picture.png")
    assert domain_entropy(tmp_path / "deep", (0, 33)).mean == pytest.approx(np.log2(34), abs=0.05)


def bomb() -> bytes:
    """A PNG of 40,000 × 40,000 pixels, by its header."""
    header = b"IHDR" + (40_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")


@pytest.mark.parametrize("content", [bomb(), b"", b"no image"], ids=["bomb", "empty", "text"])
def test_entropy_names_the_file_in_one_line(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "0.png")
    (tmp_path / "wrong.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"^cannot read '.*wrong.png' as an image: [^\n]*$"):
        domain_entropy(tmp_path)


def test_a_missing_pillow_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from asymkit.evaluation.entropy import main

    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "asymkit.evaluation.images")
    with pytest.raises(ImportError, match=r'needs Pillow: pip install "asymkit\[evaluation\]"'):
        import asymkit.evaluation.images  # noqa: F401
    monkeypatch.delitem(sys.modules, "asymkit.evaluation.images", raising=False)
    with pytest.raises(SystemExit, match=r'^error: .*pip install "asymkit\[evaluation\]"$'):
        main()


MEGABYTE = 2**20


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * MEGABYTE,
        b'{"people": [{"hand_left_keypoints_2d": ["' + b"x" * MEGABYTE + b'"]}]}',
        b"[" * MEGABYTE,
        b'{"people": [{"hand_left_keypoints_2d": [' + b"NaN," * 62 + b"1]}]}",
        b"\x00" * MEGABYTE,
        b'{"' + b"y" * MEGABYTE + b'": 1}',
    ],
    ids=["bytes", "words", "deep", "nan", "nul", "key"],
)
def test_an_undecodable_skeleton_is_one_short_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"skeletons: cannot read '.*a.json' as OpenPose JSON: ") as raised:
        read_keypoints(tmp_path / "a.json")
    assert len(str(raised.value)) < 600
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"\xff" * MEGABYTE, b"a" * MEGABYTE, b"x,y\n" + b'"' + b"z" * MEGABYTE, b"a,b\n1,2,3\n"]
)
def test_an_undecodable_list_of_pairs_is_one_short_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pairs.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"pairs: .*'.*pairs.csv'") as raised:
        read_pairs(tmp_path / "pairs.csv")
    assert len(str(raised.value)) < 600


def test_skeletons_may_begin_with_a_mark_and_have_hidden_files_beside_them(tmp_path: Path) -> None:
    hand = (hand_points(np.ones(5, dtype=bool)) * [20, 20, 1]).ravel().tolist()
    for i, ending in enumerate((".json", ".JSON", ".json")):
        save(tmp_path / "photos" / f"{i}.png")
        path = tmp_path / "hands" / f"{i}{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"people": [{"hand_left_keypoints_2d": hand}]}), encoding="utf-8-sig")
    (tmp_path / "hands" / "._0.json").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "pairs.csv").write_text("source,target\n0,1\n1,2\n", encoding="utf-8")
    pairs, _, source = gesture_pairs(tmp_path / "photos", tmp_path / "hands", tmp_path / "pairs.csv", 16, 0)
    assert "left out" not in source
    assert pairs[0][1].max() > 0
