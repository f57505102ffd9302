"""FID, KID and Inception Score against formulas written again, and what their figures are called."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor, nn

from asymkit.evaluation import (
    FeatureNetwork,
    ImageQuality,
    extract_features,
    features,
    frechet_distance,
    image_quality,
    inception_features,
    inception_score,
    kernel_distance,
    quality,
    torchvision_features,
)
from asymkit.networks.features import IMAGENET_MEAN, IMAGENET_STD


class Moments(nn.Module):
    """Six features of an image: mean and square of each channel; they are the logits too."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.cat([images.mean((2, 3)), images.square().mean((2, 3))], 1)
        return found, 10 * found


MOMENTS = FeatureNetwork(Moments(), "moments 1.0")


def sample(n: int, f: int = 5) -> Tensor:
    return torch.randn(n, f, dtype=torch.float64) @ torch.randn(f, f, dtype=torch.float64)


def test_the_frechet_distance_is_the_formula() -> None:
    x, y = sample(40), sample(30) + 1
    means = x.mean(0) - y.mean(0)
    a, b = (np.cov(each.numpy(), rowvar=False) for each in (x, y))
    wanted = float(means @ means) + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(x, y) == pytest.approx(wanted, rel=1e-8)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))
    assert frechet_distance(x, x[torch.randperm(40)]) == pytest.approx(0, abs=1e-6)


def test_the_kernel_distance_is_the_formula() -> None:
    x, y = sample(7), sample(7) + 0.5

    def k(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 5 + 1) ** 3

    n = len(x)
    own = sum(k(each[i], each[j]) for each in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    cross = sum(k(a, b) for a in x for b in y) / n**2
    mean, std = kernel_distance(x, y)
    assert mean == pytest.approx(own - 2 * cross)
    assert std == 0.0


def test_subsets_of_the_kernel_distance_come_from_their_seed() -> None:
    x, y, state = sample(30), sample(20), torch.get_rng_state()
    first = kernel_distance(x, y, subset_size=10, subsets=5, seed=1)
    assert first == kernel_distance(x, y, subset_size=10, subsets=5, seed=1)
    assert first != kernel_distance(x, y, subset_size=10, subsets=5, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="subset_size must be at most the 20 images"):
        kernel_distance(x, y, subset_size=21)


@pytest.mark.parametrize(
    ("real", "fake", "wanted"), [(5000, 3000, (1000, 100)), (300, 300, (300, 1)), (300, 200, (200, 100))]
)
def test_subsets_that_are_chosen(real: int, fake: int, wanted: tuple[int, int]) -> None:
    assert quality.subsets_of(real, fake, None, None) == wanted


def test_the_kernel_distance_has_no_bias_where_the_frechet_distance_has() -> None:
    pairs = [torch.randn(2, 12, 20, dtype=torch.float64) for _ in range(20)]
    kernels = torch.tensor([kernel_distance(x, y)[0] for x, y in pairs])
    assert abs(kernels.mean()) < 3 * kernels.std() / len(pairs) ** 0.5
    assert kernels.min() < 0
    assert min(frechet_distance(x, y) for x, y in pairs) > 10  # of one distribution


def test_the_inception_score_is_the_formula() -> None:
    logits = 3 * torch.randn(12, 4, dtype=torch.float64)
    p = logits.softmax(1)
    q = p.mean(0)
    wanted = sum(float(p[i, c] * (p[i, c] / q[c]).log()) for i in range(12) for c in range(4)) / 12
    mean, std = inception_score(logits, splits=1)
    assert mean == pytest.approx(np.exp(wanted))
    assert np.isnan(std)
    many, spread = inception_score(logits, splits=3)
    assert 1 <= many <= 4
    assert spread > 0
    assert inception_score(torch.zeros(8, 4), splits=2)[0] == pytest.approx(1)


@pytest.mark.parametrize("call", [frechet_distance, kernel_distance])
def test_sets_that_cannot_be_compared_are_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"real must be floating point, \(N, F\) with N at least 2"):
        call(sample(1), sample(5))
    with pytest.raises(ValueError, match="fake must be"):
        call(sample(5), torch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="as many features, got 5 and 4"):
        call(sample(5), sample(5, 4))


def named(count: int, is_inception: bool) -> list[str]:
    network = "inception-v3 2015-12-05 (6726825d)" if is_inception else "squeezenet1_1 (IMAGENET1K_V1)"
    found = ImageQuality(network, is_inception, (count, count), 1.0, (1.0, 0.1), (1000, 100), (2.0, 0.1), 10)
    assert all(row.by.startswith(network) for row in found.rows())
    return [row.figure for row in found.rows()]


def test_only_inceptions_figures_are_called_fid_and_kid_comes_first_below_2000_images() -> None:
    assert named(2000, True) == ["FID", "KID", "Inception Score"]
    assert named(1999, True) == ["KID", "FID", "Inception Score"]
    for count in (1999, 2000):
        assert not [name for name in named(count, False) if "FID" in name or "KID" in name or "Inception" in name]


def test_rows_say_subsets_images_and_bias() -> None:
    found = image_quality(torch.rand(6, 3, 8, 8), torch.rand(4, 3, 8, 8), MOMENTS, subset_size=3, subsets=7)
    kernel, frechet, score = found.rows()
    assert kernel.by == "moments 1.0; 6 real, 4 generated images; 7 subsets of 3"
    assert frechet.by == "moments 1.0; 6 real, 4 generated images; biased below 2,000 images"
    assert score.by == "moments 1.0; 4 images in 4 parts"


def test_folders_tensors_and_batches_of_any_sizes_give_the_same(tmp_path: Path) -> None:
    levels = [torch.randint(256, (3, h, w), dtype=torch.uint8) for h, w in ((9, 9), (9, 9), (12, 7), (30, 20))]
    for number, each in enumerate(levels):
        Image.fromarray(each.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    batches = [each[None].float() / 127.5 - 1 for each in levels]
    other = torch.rand(5, 3, 8, 8) * 2 - 1
    assert image_quality(tmp_path, other, MOMENTS) == image_quality(batches, other, MOMENTS)
    whole = extract_features(MOMENTS, torch.cat([each.mean((2, 3), keepdim=True) for each in batches]))
    torch.testing.assert_close(whole.values[:, :3], extract_features(MOMENTS, tmp_path).values[:, :3])


def test_grey_and_deep_images_are_read_as_everywhere(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).reshape(8, 8)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    Image.fromarray((ramp / 257).round().astype(np.uint8)).save(tmp_path / "b.png")
    deep, grey = extract_features(MOMENTS, tmp_path).values
    torch.testing.assert_close(deep, grey, atol=0.01, rtol=0)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least two images each to be compared as sets, got 1 and 4"):
        image_quality(torch.rand(1, 3, 8, 8), torch.rand(4, 3, 8, 8), MOMENTS)
    with pytest.raises(ValueError, match="real: no images in"):
        image_quality(tmp_path, torch.rand(4, 3, 8, 8), MOMENTS)
    with pytest.raises(ValueError, match="fake is empty"):
        image_quality(torch.rand(4, 3, 8, 8), [], MOMENTS)
    with pytest.raises(ValueError, match="real must have 3 channels, got 1"):
        image_quality(torch.rand(4, 1, 8, 8), torch.rand(4, 3, 8, 8), MOMENTS)


def test_feature_networks_have_names_and_give_a_row_for_each_image() -> None:
    with pytest.raises(ValueError, match="name must say which network"):
        FeatureNetwork(Moments(), " ")
    with pytest.raises(ValueError, match="network must be a FeatureNetwork"):
        extract_features(Moments(), torch.zeros(2, 3, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"features \(2, F\), one row for each image"):
        FeatureNetwork(nn.Flatten(0), "flat")(torch.zeros(2, 3, 8, 8))
    maps = FeatureNetwork(nn.Identity(), "pixels")(torch.rand(2, 3, 8, 8))
    assert maps.values.shape == (2, 3)
    assert maps.logits is None


def test_weights_of_a_file_are_used_and_named(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    theirs = squeezenet1_1(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    state = torch.get_rng_state()
    ours = torchvision_features("squeezenet1_1", tmp_path / "weights.pth")
    assert torch.equal(torch.get_rng_state(), state)
    assert ours.name.startswith("squeezenet1_1 (weights ")
    assert ours.name == torchvision_features("squeezenet1_1", theirs.state_dict()).name
    assert ours.name != torchvision_features("squeezenet1_1", squeezenet1_1(weights=None).state_dict()).name
    assert "at 64²" in torchvision_features("squeezenet1_1", theirs.state_dict(), side=64).name
    images = torch.rand(2, 3, 224, 224) * 2 - 1
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    found, normalised = ours(images), ((images + 1) / 2 - mean) / std
    torch.testing.assert_close(found.logits, theirs(normalised), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.values, theirs.features(normalised).mean((2, 3)), atol=1e-4, rtol=1e-4)
    assert not list(ours.parameters())
    assert not ours.state_dict()
    assert not ours.train().training
    with pytest.raises(ValueError, match=r"not those of torchvision's squeezenet1_0: features.0.weight"):
        torchvision_features("squeezenet1_0", theirs.state_dict())


def test_the_features_of_a_resnet_come_before_its_classifier() -> None:
    network = torchvision_features("resnet18", None, side=32)
    found = network(torch.zeros(1, 3, 40, 40))
    assert (found.values.shape, found.logits.shape) == ((1, 512), (1, 1000))


def offline(*_: Any, **__: Any) -> None:
    raise URLError("no network")


def test_a_failed_download_says_which_file_to_place_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    place = rf"place it at {tmp_path}/checkpoints/weights-inception-2015-12-05-6726825d.pth"
    with pytest.raises(RuntimeError, match=rf"Fetch https://github.com/toshas/.* and {place}"):
        inception_features()
    with pytest.raises(RuntimeError, match=r"squeezenet1_1-b8a52dc0.pth"):
        torchvision_features("squeezenet1_1")


def test_inception_weights_that_are_none_are_refused_and_run_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(ValueError, match=r"no file .*weights.pth"):
        inception_features(path)
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match="does not hold the Inception network"):
        inception_features(path)
    path.write_bytes(pickle.dumps(Dangerous(str(tmp_path / "was run"))))
    with pytest.raises(ValueError, match="is not loaded"):
        inception_features(path)
    assert not (tmp_path / "was run").exists()


class Dangerous:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.mark),)


@pytest.mark.slow
def test_only_the_original_inception_is_called_fid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_fidelity.feature_extractor_inceptionv3 as theirs

    network = theirs.FeatureExtractorInceptionV3
    with monkeypatch.context() as patched:  # a network of its form, with random weights
        patched.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patched.setattr(network, "load_state_dict", lambda *_: None)
        torch.save(network("inception-v3-compat", ["2048"]).state_dict(), tmp_path / "weights.pth")
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    other = inception_features(tmp_path / "weights.pth")
    found = image_quality(images, images, other, splits=1)
    assert found.network.startswith("inception-v3, other weights (")
    assert found.rows()[0].figure == "kernel distance (inception-v3 features)"
    monkeypatch.setattr(features, "INCEPTION_HASH", found.network[-9:-1])
    assert inception_features(tmp_path / "weights.pth").is_inception
    # as torch-fidelity computes it of 8 bits
    whole = network("inception-v3-compat", ["2048", "logits_unbiased"], str(tmp_path / "weights.pth")).eval()
    levels = ((images + 1) * 127.5).round().to(torch.uint8)
    for a, b in zip(other(images), whole(levels), strict=True):
        torch.testing.assert_close(a, b)


def test_frechet_distance_grows_with_a_disturbance() -> None:
    x = torch.rand(20, 3, 16, 16)
    found = [image_quality(x, x + strength, MOMENTS).frechet for strength in (0.0, 0.1, 0.2, 0.4)]
    assert all(a < b for a, b in pairwise(found))
