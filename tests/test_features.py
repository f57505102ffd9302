from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn

from asymkit import VGGFeatures

LAYERS = ["relu1_2", "relu2_2", "relu3_3"]


def torchvisions(name: str) -> nn.Module:
    import torchvision

    net: nn.Module = getattr(torchvision.models, name)(weights=None)
    return net.eval()


@pytest.fixture(scope="module")
def vgg16() -> nn.Module:
    return torchvisions("vgg16")


def test_features_are_torchvisions(vgg16: nn.Module) -> None:
    """Layers relu1_2, 2_2 and 3_3 are features 3, 8 and 15 of torchvision's VGG16."""
    image = torch.rand(2, 3, 40, 33) * 2 - 1
    ours = VGGFeatures(LAYERS, vgg16.state_dict())(image)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    hidden = ((image + 1) / 2 - mean) / std
    for index, layer in enumerate(vgg16.get_submodule("features").children()):
        hidden = layer(hidden)
        if index in (3, 8, 15):
            torch.testing.assert_close(ours[LAYERS[(3, 8, 15).index(index)]], hidden, rtol=1e-4, atol=1e-5)
            hidden = hidden.clone()  # torchvision's ReLUs work in place
        if index == 15:
            return


def test_vgg19_and_the_deepest_layers() -> None:
    net = torchvisions("vgg19")
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    features = VGGFeatures(["relu5_1", "relu1_1"], net.get_submodule("features").state_dict(), net="vgg19")
    ours = features(image)
    assert list(ours) == ["relu5_1", "relu1_1"]
    hidden = image * features.scale + features.offset
    for layer in list(net.get_submodule("features").children())[:30]:
        hidden = layer(hidden)
    torch.testing.assert_close(ours["relu5_1"], hidden, rtol=1e-4, atol=1e-5)


def test_weights_are_nobodys_parameters_and_in_no_checkpoint() -> None:
    parent = nn.Sequential(VGGFeatures(["relu2_2"], None))
    assert list(parent.parameters()) == []
    assert parent.state_dict() == {}
    assert not parent.train()[0].training
    moved = copy.deepcopy(parent).double()
    assert moved(torch.rand(1, 3, 16, 16).double())["relu2_2"].dtype == torch.float64


def test_random_weights_are_the_same_every_time_and_leave_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    one, other = VGGFeatures(["relu3_3"], None), VGGFeatures(["relu1_2", "relu3_3"], None)
    assert torch.equal(state, torch.get_rng_state())
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(one(image)["relu3_3"], other(image)["relu3_3"])
    assert torch.equal(pickle.loads(pickle.dumps(one))(image)["relu3_3"], one(image)["relu3_3"])
    spread = one(image)["relu3_3"].std()
    assert 0.1 < spread < 10


def test_gradients_reach_the_image() -> None:
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    VGGFeatures(["relu2_2"], None)(image)["relu2_2"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_weights_from_a_file(tmp_path: Path, vgg16: nn.Module) -> None:
    path = tmp_path / "vgg16.pth"
    torch.save(vgg16.state_dict(), path)
    image = torch.rand(1, 3, 16, 16)
    for source in (path, str(path)):
        ours = VGGFeatures(["relu2_2"], source)(image)["relu2_2"]
        assert torch.equal(ours, VGGFeatures(["relu2_2"], vgg16.state_dict())(image)["relu2_2"])


def test_imagenet_weights_come_from_torchvisions_cache(
    tmp_path: Path, vgg16: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(vgg16.state_dict(), tmp_path / "checkpoints" / "vgg16-397923af.pth")
    ours = VGGFeatures(["relu1_1"])
    torch.testing.assert_close(ours.get_buffer("relu1_1_weight"), vgg16.state_dict()["features.0.weight"])


def test_a_failed_download_says_which_file_to_place_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(
        RuntimeError, match=rf"vgg16-397923af.pth .*place it at {tmp_path}/checkpoints/vgg16-397923af.pth"
    ):
        VGGFeatures(["relu1_1"])


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "other"])
def test_bad_weight_files_are_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "weights.pth"
    expected = "weights.pth"
    if damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("<html>404</html>", encoding="utf-8")
    elif damage == "other":
        torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, path)
        expected = r"not those of torchvision's vgg16: features.0.weight .* \(64, 3, 3, 3\)"
    with pytest.raises(ValueError, match=expected):
        VGGFeatures(["relu1_1"], path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VGGFeatures(["relu1_3"], None), "layers: unknown 'relu1_3', did you mean 'relu"),
        (lambda: VGGFeatures(["relu3_4"], None), "unknown 'relu3_4'"),
        (lambda: VGGFeatures("relu1_1", None), "layers must be a list of names"),
        (lambda: VGGFeatures([], None), "layers must be a list of names"),
        (lambda: VGGFeatures(["relu1_1"], None, net="vgg13"), "net: unknown 'vgg13', did you mean 'vgg1"),  # type: ignore[arg-type]
        (lambda: VGGFeatures(["relu1_1"], None)(torch.rand(1, 1, 8, 8)), "image must have 3 channels, got 1"),
        (lambda: VGGFeatures(["relu5_1"], None)(torch.rand(1, 3, 15, 16)), "image is too small: got 15×16, .* 16"),
    ],
)
def test_bad_input_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_images_are_normalised_once() -> None:
    features = VGGFeatures(["relu1_1"], None)
    white: Tensor = torch.ones(1, 3, 8, 8) * features.scale + features.offset
    torch.testing.assert_close(
        white[0, :, 0, 0], (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    )
