"""``python -m asymkit.evaluation``: the table, the JSON, and errors of one line that say what to do."""

from __future__ import annotations

import builtins
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from asymkit.evaluation import Row, json_rows, text_table
from asymkit.evaluation.__main__ import main
from asymkit.evaluation.command import evaluate


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three images each, PNG and JPEG, of several sizes."""
    chance = np.random.default_rng(0)
    for side in ("real", "fake"):
        (tmp_path / side).mkdir()
    for number, size in enumerate([(40, 36), (40, 36), (33, 50)]):
        coarse = Image.fromarray(chance.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(size[::-1])
        coarse.save(tmp_path / "real" / f"{number}.png")
        coarse.save(tmp_path / "fake" / f"{number}.jpg")
    return tmp_path / "real", tmp_path / "fake"


def test_the_table_of_a_smoke_test_says_that_it_is_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    text = evaluate(*folders, paired=True, features="random", lpips="squeeze", json=tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    figures = [row["figure"] for row in written["rows"]]
    assert figures == [
        "PSNR (dB)",
        "SSIM",
        "MS-SSIM",
        "distance of squeeze, random weights (no LPIPS)",
        "kernel distance (squeezenet1_1 features)",
        "Fréchet distance (squeezenet1_1 features)",
        "inception score (squeezenet1_1 classes)",
    ]
    assert "no figures to report" in text
    assert not {"FID", "KID", "Inception Score"} & set(figures)
    assert (written["real"]["images"], written["fake"]["folder"]) == (3, str(folders[1]))
    for row in written["rows"]:
        assert any(line.startswith(row["figure"]) and row["shown"] in line for line in text.splitlines())
    assert text == evaluate(*folders, paired=True, features="random", lpips="squeeze")


def test_label_images_need_no_network(folders: tuple[Path, Path], tmp_path: Path) -> None:
    palette = tmp_path / "palette.json"
    palette.write_text(json.dumps({"dark": [0, 0, 0], "light": [255, 255, 255], "red": [255, 0, 0]}), encoding="utf-8")
    text = evaluate(*folders, labels=palette)
    assert "per-pixel accuracy" in text
    assert "IoU of red" in text
    assert "red" not in evaluate(*folders, labels=palette, ignore=("red",)).split("per-pixel")[1]
    with pytest.raises(ValueError, match="palette has no class 'blue'; it has 'dark', 'light', 'red'"):
        evaluate(*folders, labels=palette, ignore=("blue",))
    pairs = evaluate(*folders, labels=palette, paired=True, lpips="none")
    assert "PSNR" in pairs
    assert "LPIPS" not in pairs


def test_weights_of_files_are_used_and_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    from torchvision.models import resnet50, squeezenet1_0, squeezenet1_1

    for network in (squeezenet1_0, squeezenet1_1, resnet50):
        torch.save(network(weights=None).state_dict(), tmp_path / f"{network.__name__}.pth")
    text = evaluate(
        *folders,
        paired=True,
        features="squeezenet1_0",
        weights=tmp_path / "squeezenet1_0.pth",
        lpips="squeeze",
        lpips_weights=tmp_path / "squeezenet1_1.pth",
        frd=str(tmp_path / "resnet50.pth"),
    )
    for said in ("LPIPS (squeeze, weights ", "FRD (resnet50 (weights ", "squeezenet1_0 (weights "):
        assert said in text
    with pytest.raises(ValueError, match="not those of torchvision's squeezenet1_0"):
        evaluate(*folders, features="squeezenet1_0", weights=tmp_path / "squeezenet1_1.pth")


def offline(*_: Any, **__: Any) -> None:
    raise URLError("no network")


@pytest.mark.parametrize(
    ("options", "file", "advice"),
    [
        ({}, "weights-inception-2015-12-05-6726825d.pth", "--weights; --features random tries"),
        ({"features": "squeezenet1_1"}, "squeezenet1_1-b8a52dc0.pth", "--weights; --features random tries"),
        ({"features": "none", "paired": True}, "alexnet-owt-7be5be79.pth", "--lpips-weights FILE; --lpips none"),
        (
            {"features": "none", "paired": True, "lpips": "none", "frd": "imagenet"},
            "resnet50-0676ba61.pth",
            "--frd FILE",
        ),
    ],
)
def test_missing_weights_are_one_line_before_any_image_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: dict[str, Any], file: str, advice: str
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ValueError, match=rf"place it at {tmp_path}/checkpoints/{file}, .*{advice}") as found:
        evaluate(tmp_path / "nowhere", tmp_path / "nowhere", **options)
    assert "\n" not in str(found.value)
    assert "weights=..." not in str(found.value)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluation", *map(str, arguments)])
    main()


def test_errors_are_one_line_that_names_the_file(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = folders
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.png").write_bytes(b"no image")
    smoke = ["--features", "random"]
    for arguments, said in (
        ([real, tmp_path / "empty", *smoke], "fake: no images in .*empty"),
        ([tmp_path / "gone", fake, *smoke], "real: .*gone' is missing"),
        ([real, tmp_path / "bad", *smoke], r"cannot read '.*0.png' as an image"),
        ([real, fake, "--features", "none"], "nothing to compute: give --paired"),
        ([real, fake, "--labels", tmp_path / "none.json"], r"cannot read a palette from '.*none.json'"),
        ([real, fake, *smoke, "--json", tmp_path / "gone" / "out.json"], r"json: no folder '.*gone'"),
        ([real, fake, *smoke, "--device", "tpu9"], "device: 'tpu9' cannot be used"),
        ([real, fake, "--features", "none", "--paired", "--lpips", "none", "--endings", "_a", "_b"], "ends in '_a'"),
    ):
        with pytest.raises(SystemExit, match=rf"^error: .*{said}") as found:
            run(monkeypatch, *arguments)
        assert "\n" not in str(found.value)


def test_what_was_left_out_of_a_folder_is_said(folders: tuple[Path, Path], capsys: Any, monkeypatch: Any) -> None:
    (folders[0] / "notes.txt").write_text("", encoding="utf-8")
    run(monkeypatch, *folders, "--features", "none", "--paired", "--lpips", "none")
    assert "left out of real: 1 .txt" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["torchmetrics", "tyro"])
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ImportError(f"No module named {name!r}", name=missing)
        return whole(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit, match=rf'^error: {missing} is missing; pip install "asymkit\[evaluation\]"$'):
        run(monkeypatch)


def test_functions_without_torchmetrics_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from asymkit.evaluation import SegmentationMeter, frechet_distance, top_k_accuracy

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchmetrics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    x = torch.randn(4, 3)
    for call in (
        lambda: frechet_distance(x, x),
        lambda: SegmentationMeter(3),
        lambda: top_k_accuracy(x, torch.zeros(4).long()),
    ):
        with pytest.raises(ImportError, match=r'torchmetrics: pip install "asymkit\[evaluation\]"'):
            call()


def test_importing_the_package_needs_none_of_the_extra() -> None:
    heavy = ["torchmetrics", "torchvision", "PIL", "tyro", "matplotlib", "lpips", "torch_fidelity"]
    code = f"import sys; import asymkit.evaluation; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_tables_and_json_show_what_has_no_value() -> None:
    rows = [Row("a", float("nan"), "of none"), Row("long name", float("inf")), Row("b", 0.123456, "x", 0.01)]
    assert text_table(rows).splitlines() == [
        "a          –              of none",
        "long name  inf",
        "b          0.1235 ± 0.01  x",
    ]
    assert [row["value"] for row in json.loads(json.dumps(json_rows(rows), allow_nan=False))] == [None, None, 0.123456]
    with pytest.raises(ValueError, match="at least one row"):
        text_table([])


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "evaluation.md", "exec"), {})


@pytest.mark.slow
def test_the_command(folders: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asymkit.evaluation"]
    options = ["--features", "random", "--paired", "--lpips", "none", "--json", "out.json"]
    result = subprocess.run(
        [*command, *folders, *options], capture_output=True, text=True, check=False, cwd=tmp_path, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    assert "PSNR (dB)" in result.stdout
    assert len(json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]) == 6
    wrong = subprocess.run(
        [*command, "nowhere", folders[1], *options], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: real: 'nowhere' is missing")
    assert "Traceback" not in wrong.stderr
