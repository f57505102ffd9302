"""Figures of pairs against torchmetrics and slow loops, on tensors and on folders."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from asymkit import LPIPSLoss
from asymkit.evaluation import (
    FeatureNetwork,
    FolderImages,
    discrete_frechet,
    frd,
    image_batches,
    image_pairs,
    paired_scores,
    psnr,
    torchvision_features,
)
from conftest import images_like


def test_psnr_is_torchmetrics_per_image() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    x, y = images_like(3, 3, 12, 17), images_like(3, 3, 12, 17)
    wanted = peak_signal_noise_ratio(x, y, data_range=2.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(x, y), wanted, check_dtype=False)
    assert psnr(x, x).isinf().all()
    with pytest.raises(ValueError, match="real and fake must have the same shape"):
        psnr(x, y[:1])


def test_ssim_is_torchmetrics_without_its_reflected_borders() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = images_like(2, 3, 48, 40), images_like(2, 3, 48, 40)
    near = 0.8 * x + 0.2 * y
    for other in (y, near):
        whole = structural_similarity_index_measure(x + 1, other + 1, data_range=2.0, return_full_image=True)[1]
        wanted = whole[..., 5:-5, 5:-5].mean((1, 2, 3))
        torch.testing.assert_close(paired_scores(x, other).ssim, wanted, atol=1e-6, rtol=1e-5)


def test_ms_ssim_is_pytorch_msssims_with_as_many_scales_as_fit() -> None:
    from pytorch_msssim import ms_ssim

    x, y = images_like(2, 3, 176, 192), images_like(2, 3, 176, 192)  # halved without a rest
    found = paired_scores(x, 0.8 * x + 0.2 * y)
    wanted = ms_ssim(x + 1, 0.8 * x + 0.2 * y + 1, data_range=2.0, size_average=False)
    torch.testing.assert_close(found.ms_ssim, wanted, atol=1e-5, rtol=1e-5)
    assert found.scales == 5
    assert paired_scores(x[..., :48, :40], y[..., :48, :40]).scales == 2


def looped(p: list[list[float]], q: list[list[float]]) -> float:
    """The recursion of Eiter and Mannila, as they write it."""

    @cache
    def coupling(i: int, j: int) -> float:
        link = math.dist(p[i], q[j])
        if i == 0 and j == 0:
            return link
        before = []
        if i:
            before.append(coupling(i - 1, j))
        if j:
            before.append(coupling(i, j - 1))
        if i and j:
            before.append(coupling(i - 1, j - 1))
        return max(link, min(before))

    return coupling(len(p) - 1, len(q) - 1)


@pytest.mark.parametrize("lengths", [(1, 1), (1, 5), (6, 1), (7, 7), (4, 9), (9, 4)])
@pytest.mark.parametrize("dimensions", [1, 3])
def test_the_discrete_frechet_distance_is_the_recursion(lengths: tuple[int, int], dimensions: int) -> None:
    p, q = (torch.randn(4, length, dimensions, dtype=torch.float64) for length in lengths)
    wanted = torch.tensor([looped(a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)], dtype=torch.float64)
    torch.testing.assert_close(discrete_frechet(p, q), wanted)
    torch.testing.assert_close(discrete_frechet(q, p), wanted)
    torch.testing.assert_close(discrete_frechet(p.flip(1), q.flip(1)), wanted)
    if dimensions == 1:
        torch.testing.assert_close(discrete_frechet(p[..., 0], q[..., 0]), wanted)


def test_the_discrete_frechet_distance_is_no_pointwise_maximum() -> None:
    p = torch.tensor([[0.0, 1.0, 0.0, 5.0]])
    q = torch.tensor([[0.0, 0.0, 1.0, 5.0]])
    assert discrete_frechet(p, q).item() == 1.0
    assert discrete_frechet(p, p.repeat_interleave(3, 1)).item() == 0.0
    with pytest.raises(ValueError, match="q must be curves"):
        discrete_frechet(p, torch.zeros(4))
    with pytest.raises(ValueError, match="as many curves of one dimension"):
        discrete_frechet(p, q[..., None].expand(1, 4, 2))


def test_frd_reads_logits_as_curves() -> None:
    network = torchvision_features("resnet18", None, side=32)
    x, y = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1
    curves = [network(each).logits.double()[..., None].tolist() for each in (x, y)]
    short = [[curve[:200] for curve in each] for each in curves]  # the loop recurses
    wanted = [looped(a, b) for a, b in zip(*short, strict=True)]
    head = FeatureNetwork(FirstLogits(network, 200), "short")
    torch.testing.assert_close(frd(x, y, head), torch.tensor(wanted), atol=1e-5, rtol=1e-5)
    assert torch.equal(frd(x, x, network), torch.zeros(2))
    with pytest.raises(ValueError, match="network must have logits"):
        frd(x, y, FeatureNetwork(nn.Identity(), "pixels"))


class FirstLogits(nn.Module):
    def __init__(self, network: FeatureNetwork, count: int) -> None:
        super().__init__()
        self.network, self.count = network, count

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        values, logits = self.network(images)
        assert logits is not None
        return values, logits[:, : self.count]


def test_lpips_gives_a_distance_for_each_pair() -> None:
    loss = LPIPSLoss("squeeze", None)
    x, y = torch.rand(3, 3, 40, 33) * 2 - 1, torch.rand(3, 3, 40, 33) * 2 - 1
    found = loss.distances(x, y)
    assert found.shape == (3,)
    torch.testing.assert_close(found.mean(), loss(x, y))
    torch.testing.assert_close(found[1:2], loss.distances(x[1:2], y[1:2]))


def saved(folder: Path, images: list[np.ndarray], name: str = "{}.png") -> Path:
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / name.format(number))
    return folder


def noise(*sizes: tuple[int, int]) -> list[np.ndarray]:
    chance = np.random.default_rng(len(sizes))
    return [chance.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_folders_of_several_sizes_are_compared_pair_by_pair(tmp_path: Path) -> None:
    sizes = [(44, 50), (11, 30), (100, 90)]
    real, fake = noise(*sizes), [image // 2 for image in noise(*sizes)]
    folders = saved(tmp_path / "real", real), saved(tmp_path / "fake", fake, "{}.bmp")
    found = paired_scores(*folders, {"L1": lambda x, y: (x - y).abs().mean((1, 2, 3))})
    reals, fakes = (
        [torch.from_numpy(each).permute(2, 0, 1)[None] / 127.5 - 1 for each in side] for side in (real, fake)
    )
    for number, (x, y) in enumerate(zip(reals, fakes, strict=True)):
        torch.testing.assert_close(found.psnr[number], psnr(x, y)[0])
        torch.testing.assert_close(found.others["L1"][number], (x - y).abs().mean())
    assert found.scales == 1  # of the smallest image
    assert [row.by for row in found.rows()] == ["mean of 3 pairs"] * 2 + [
        "mean of 3 pairs, 1 of the 5 scales",
        "mean of 3 pairs",
    ]
    torch.testing.assert_close(paired_scores(reals, fakes).ssim, found.ssim)


def test_cyclegans_folder_of_results(tmp_path: Path) -> None:
    real, fake = noise((20, 20), (20, 20)), noise((20, 20), (20, 20), (1, 1))[:2]
    for images, name in ((real, "{}_real_B.png"), (fake, "{}_fake_B.png"), (fake, "{}_rec_A.png")):
        saved(tmp_path / "images", images, name)
    (tmp_path / "images" / "note.txt").write_text("no image", encoding="utf-8")
    found = paired_scores(tmp_path / "images", tmp_path / "images", endings=("_real_B", "_fake_B"))
    apart = paired_scores(saved(tmp_path / "real", real), saved(tmp_path / "fake", fake))
    assert torch.equal(found.psnr, apart.psnr)
    assert "1 .txt" in FolderImages(tmp_path / "images", ending="_fake_B").note
    with pytest.raises(ValueError, match="ends in '_fake_C'"):
        FolderImages(tmp_path / "images", ending="_fake_C")


def test_equal_pairs_are_said() -> None:
    x = torch.rand(3, 3, 16, 16)
    y = torch.cat([x[:2], -x[2:]])
    found = paired_scores(x, y)
    assert found.rows()[0].by == "mean of 3 pairs, 2 of them equal"
    assert found.rows()[0].shown == "inf"
    assert found.ssim[0].item() == pytest.approx(1)


def test_pairs_that_do_not_fit_are_named(tmp_path: Path) -> None:
    real = saved(tmp_path / "real", noise((20, 20), (24, 30), (5, 40)))
    fake = saved(tmp_path / "fake", noise((20, 20), (24, 20), (5, 40)))
    with pytest.raises(ValueError, match=r"1.png: .* different sizes, 30×24 and 20×24; bring them to one"):
        paired_scores(real, fake)
    (fake / "1.png").unlink()
    with pytest.raises(ValueError, match=r"1 of .*real without a partner: 1\. Rename or remove"):
        paired_scores(real, fake)
    (real / "1.png").unlink()
    with pytest.raises(ValueError, match=r"2.png: 40×5 pixels are too few for SSIM"):
        paired_scores(real, fake)
    (fake / "9.png").write_bytes((fake / "0.png").read_bytes())
    with pytest.raises(
        ValueError, match=r"by the names of files, their endings aside; 1 of .*fake without a partner: 9\."
    ):
        paired_scores(real, fake)
    (real / "2.jpg").write_bytes((real / "2.png").read_bytes())
    with pytest.raises(ValueError, match=r"'2.jpg' and '2.png' in .*real' have one name but for their endings"):
        paired_scores(real, fake)
    with pytest.raises(ValueError, match=r"images 1 to 1: LPIPS: .*at least 32"):
        paired_scores(
            torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 20), {"LPIPS": LPIPSLoss("squeeze", None).distances}
        )


def test_batches_and_pairs_of_tensors() -> None:
    x = torch.rand(5, 3, 12, 12)
    assert [len(part) for part in image_batches([x[:2], x[2:]])] == [2, 3]
    assert [name for name, _, _ in image_pairs([x[:2], x[2:]], [x[:2], x[2:]])] == ["images 1 to 2", "images 3 to 5"]
    with pytest.raises(ValueError, match="same number of images, got batches of 5 and 4 from image 1 on"):
        list(image_pairs(x, x[:4]))
    with pytest.raises(ValueError, match="batches of 3 and 0 from image 3 on"):
        list(image_pairs([x[:2], x[2:]], [x[:2]]))
    with pytest.raises(ValueError, match="images must be images"):
        list(image_batches(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a batch of images must have 3 channels"):
        list(image_batches([torch.rand(1, 1, 8, 8)]))
