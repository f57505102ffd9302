from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.data.images import bundled_photos

from asymkit.evaluation.entropy import DomainEntropy, advice, color_entropy, compare, domain_entropy, main


def folder(path: Path, *images: np.ndarray) -> Path:
    path.mkdir()
    for i, pixels in enumerate(images):
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"{i}.png")
    return path


def noise(levels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, levels, (64, 64, 3)) * (255 // max(1, levels - 1))


def test_entropy_of_known_images(tmp_path: Path) -> None:
    halves = np.zeros((8, 8, 3))
    halves[:4] = 255
    found = domain_entropy(folder(tmp_path / "two", halves, np.full((4, 6, 3), 7)))
    assert found.bits.tolist() == [1.0, 0.0]
    assert found.mean == 0.5
    assert found.spread == pytest.approx(2**-0.5)
    assert found.histogram.sum().item() == pytest.approx(1)
    assert found.histogram[[0, 255, 7]].tolist() == [0.25, 0.25, 0.5]


def test_images_keep_their_size(tmp_path: Path) -> None:
    steps = np.kron(np.array([[0, 255], [255, 0]]), np.ones((50, 75)))[..., None].repeat(3, 2)
    assert domain_entropy(folder(tmp_path / "a", steps)).mean == 1.0  # resizing would have made greys


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [(7.4, 7.3, "symmetric"), (7.4, 6.4, "AsyncScheduler around"), (2.0, 7.0, "AsymGAN"), (7.0, 2.0, "AsymGAN")],
)
def test_advice(first: float, second: float, says: str) -> None:
    flat = torch.full((256,), 1 / 256)
    text = advice(DomainEntropy("a", torch.tensor([first]), flat), DomainEntropy("b", torch.tensor([second]), flat))
    assert says in text
    if says == "AsymGAN":
        assert text.startswith(
            f"{'a' if first > second else 'b'!r} is the rich domain, by 5.00 bits (7.00 against 2.00)"
        )


def test_colour_entropy_is_the_sum_over_colours() -> None:
    levels = torch.tensor([[0, 0, 16, 255], [0, 15, 0, 255], [7, 0, 0, 255]], dtype=torch.uint8)
    pixels = levels.T.reshape(1, 2, 2, 3).permute(0, 3, 1, 2)
    shares = torch.tensor([0.5, 0.25, 0.25])  # of (0, 0, 0) twice, as 7 and 15 are of the first of 16 levels
    assert color_entropy(pixels).item() == pytest.approx(-(shares * shares.log2()).sum().item())


def test_a_photo_is_richer_than_its_grey_copy_as_in_the_demo(tmp_path: Path) -> None:
    """The demo trains AsymGAN from colour to grey, so the adviser must not call the two alike."""
    photos = [np.asarray(photo) for photo in bundled_photos()]
    grey = [np.asarray(Image.fromarray(photo).convert("L").convert("RGB")) for photo in photos]
    text = compare(folder(tmp_path / "photos", *photos), folder(tmp_path / "grey", *grey))
    assert "'photos' is the rich domain" in text
    assert "AsymGAN" in text
    assert abs(domain_entropy(tmp_path / "photos").mean - domain_entropy(tmp_path / "grey").mean) < 0.25
    halves = [
        compare(tmp_path / name, folder(tmp_path / f"{name}-again", *images))
        for name, images in (("photos", photos), ("grey", grey))
    ]
    assert all("is clearly richer, 0.00 bits of colour" in half for half in halves)


def test_a_picture_without_matplotlib_fails_before_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ["entropy", str(tmp_path / "a"), str(tmp_path / "b")]  # neither is there, which would be said first
    for option in (["--picture", "x.png"], ["--picture=x.png"]):
        monkeypatch.setattr(sys, "argv", [*words, *option])
        with pytest.raises(SystemExit, match=r'^error: matplotlib is missing; pip install "asymkit\[evaluation\]"$'):
            main()
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match=r"^error: no folder"):
        main()
    with pytest.raises(ImportError, match="matplotlib"):
        compare(tmp_path / "a", tmp_path / "b", tmp_path / "x.png")


def test_two_folders_and_a_picture(tmp_path: Path) -> None:
    rich, poor = folder(tmp_path / "photos", noise(256), noise(200)), folder(tmp_path / "labels", noise(3))
    text = compare(rich, poor, tmp_path / "picture.png")
    assert "'photos' is the rich domain" in text
    assert "labels: 1.58 ± 0.00 bits per pixel value, 1 images" in text
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        domain_entropy(tmp_path / "missing")
    with pytest.raises(ValueError, match="no images in"):
        domain_entropy(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read .*broken.png"):
        domain_entropy(tmp_path)


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    tmp_path.joinpath("deep").mkdir()
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(values).save(tmp_path / "deep" / "depth.png")
    shares = np.bincount((values / 257).round().astype(int).ravel()) / values.size
    found = domain_entropy(tmp_path / "deep")
    assert found.mean == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-4)
    assert "16-bit images with values 0 to 65520, of which 0 becomes black and 65535 white" in found.note


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    rich, poor = folder(tmp_path / "photos", noise(256)), folder(tmp_path / "labels", noise(3))
    command = [sys.executable, "-m", "asymkit.evaluation.entropy"]
    result = subprocess.run([*command, str(rich), str(poor)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "'photos' is the rich domain" in result.stdout
    assert not list(tmp_path.glob("*.png"))  # no picture unless it is asked for
    drawn = [*command, str(rich), str(poor), "--picture", "entropy.png"]
    result = subprocess.run(drawn, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.endswith("histograms: entropy.png\n")
    assert (tmp_path / "entropy.png").exists()
    wrong = subprocess.run([*command, str(rich), "nowhere"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "error: no folder 'nowhere'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
