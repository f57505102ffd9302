"""AsymmetricGAN's examples, run as a person would, but small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from launch import launched
from PIL import Image

ROOT = Path(__file__).parent.parent
TINY = ["--size", "32", "--width", "4", "--discriminator-width", "4", "--minutes", "0.05", "--workers", "0"]


def run(example: str, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / f"{example}.py"), "demo", "--out", str(out), *TINY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=out.parent)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        [],
        [
            "--preset",
            "S3",
            "--sharing",
            "partial",
            "--discriminators",
            "2",
            "--label-embedding",
            "8",
            "--channels",
            "1",
        ],
    ],
)
def test_domains_leave_a_folder_that_shows_them(tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "run"
    small = ["--discriminator-layers", "3", "--classifier-steps", "2", "--picture-size", "32", *options]
    result = run("asymmetricgan_domains", out, *small)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert {"accuracy_real", "accuracy_translated", "accuracy_translated_night", "cycle", "structure"} <= metrics.keys()
    assert "derived from random crops" in (out / "report.html").read_text(encoding="utf-8")
    with Image.open(out / "pictures-1.png") as grid:
        assert grid.size == (6 * 34 + 2, 10 * 34 + 2)  # two inputs of five domains, each to all five
    if options:
        return
    again = run("asymmetricgan_domains", out, *small, "--resume", "--minutes", str(metrics["seconds"] / 60 + 0.05))
    assert again.returncode == 0, again.stderr
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["steps"] > metrics["steps"]


@pytest.mark.slow
def test_gestures_leave_a_folder_that_shows_them(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("asymmetricgan_gesture", out, "--features", "random", "--double-discriminators")
    assert result.returncode == 0, result.stderr
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert {"psnr_translated_db", "psnr_of_copying_x_db", "perceptual", "total_variation"} <= metrics.keys()
    with Image.open(out / "pictures-1.png") as grid:
        assert grid.size == (8 * 34 + 2, 6 * 34 + 2)  # a row of skeletons, five photos
    assert "drawn hands" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_domains_of_ones_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 40), (80 * i, 0, 200)).save(tmp_path / "data" / name / f"{i}.png")
    small = ["--discriminator-layers", "3", "--classifier-steps", "2", "--data", str(tmp_path / "data")]
    result = run("asymmetricgan_domains", tmp_path / "run", *small)
    assert result.returncode == 0, result.stderr
    assert "2 domains (a 2, b 2 images" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    wrong = run("asymmetricgan_domains", tmp_path / "other", "--data", str(tmp_path / "data" / "a"))
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
    assert "0 sub-folders" in wrong.stderr


TWO_PROCESSES = """
import os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from asymkit import DomainDiscriminator, DualGenerator, MSSSIMLoss, frozen
from asymkit.objectives.asymmetricgan import unsupervised

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = unsupervised.Translators(DualGenerator.preset("S3", domains=3, sharing=sys.argv[2], width=4))
discriminator = DomainDiscriminator(3, image_size=32, width=4, layers=3)
wrapped = DistributedDataParallel(model, find_unused_parameters=True)
ddp_discriminator = DistributedDataParallel(discriminator, find_unused_parameters=True)
optimizer_g, optimizer_d = (torch.optim.Adam(m.parameters(), 1e-3) for m in (model, discriminator))
weights, structure = unsupervised.Weights(), MSSSIMLoss(scales=1)
torch.manual_seed(1 + rank)
for _ in range(3):
    x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    cycle = wrapped(x, torch.randint(3, (2,)), y, torch.randint(3, (2,)))
    with frozen(ddp_discriminator):
        terms = unsupervised.generator_terms(cycle, ddp_discriminator, structure=structure)
        optimizer_g.zero_grad(); weights.total(terms).backward(); optimizer_g.step()
    terms = unsupervised.discriminator_terms(cycle.detach(), ddp_discriminator)
    optimizer_d.zero_grad(); weights.total(terms).backward(); optimizer_d.step()
dual = model.dual
same = dual.translator.encoder[0].conv.weight is dual.reconstructor.encoder[0].conv.weight
torch.save({"model": model.state_dict(), "discriminator": discriminator.state_dict(), "shared": same}, f"{sys.argv[1]}/rank{rank}.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["partial", "full"])
def test_shared_parameters_stay_equal_on_two_processes(tmp_path: Path, sharing: str) -> None:
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES, encoding="utf-8")
    result = launched(script, 2, str(tmp_path), sharing)
    assert result.returncode == 0, result.stderr
    one, other = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    for part in ("model", "discriminator"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    assert one["shared"]
    assert other["shared"]
