from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import reference
import torch
from torch import Tensor, nn

from asymkit import ContentLoss, GramStyleLoss, LPIPSLoss, PerceptualLoss, VGGFeatures
from conftest import images_like


class TwoLayers(nn.Module):
    """Smooth features for gradcheck, small enough for loops."""

    weight: ClassVar[Tensor] = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        first = torch.tanh(torch.nn.functional.conv2d(image, self.weight.to(image.dtype)))
        return {"first": first, "second": first[..., ::2, ::2] ** 2}


def features(x: Tensor) -> dict[str, Tensor]:
    return {name: maps.double() for name, maps in TwoLayers()(x).items()}


@pytest.mark.parametrize("shape", [(1, 3, 6, 7), (2, 3, 9, 8)])
def test_content_and_style_are_the_equations(shape: tuple[int, int, int, int]) -> None:
    x, y = images_like(*shape), images_like(*shape)
    p, t = features(x), features(y)
    content = sum(reference.content(p[name], t[name]) for name in p)
    style = sum(reference.style(p[name], t[name]) for name in p)
    assert ContentLoss(TwoLayers())(x, y).item() == pytest.approx(content)
    assert GramStyleLoss(TwoLayers())(x, y).item() == pytest.approx(style)


def test_perceptual_is_a_weighted_mean_difference(images: Tensor) -> None:
    p, t = features(images), features(images.flip(3))
    expected = 0.25 * reference.mean_l1(p["first"], t["first"]) + 2 * reference.mean_l1(p["second"], t["second"])
    by_order = PerceptualLoss(TwoLayers(), [0.25, 2])
    by_name = PerceptualLoss(TwoLayers(), {"second": 2, "first": 0.25})
    assert by_order(images, images.flip(3)).item() == pytest.approx(expected)
    assert by_name(images, images.flip(3)).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"one weight for each of the layers \['first', 'second'\]"):
        PerceptualLoss(TwoLayers(), [1])(images, images)


def test_gradients_reach_the_prediction_only(images: Tensor) -> None:
    for loss in (ContentLoss(TwoLayers()), GramStyleLoss(TwoLayers()), PerceptualLoss(TwoLayers(), [1, 1])):
        x, y = images[..., :5, :6].requires_grad_(), images[..., 6:11, 6:12].requires_grad_()
        assert torch.autograd.gradcheck(lambda a, loss=loss, y=y: loss(a, y.detach()), x)
        assert torch.autograd.grad(loss(x, y), [x, y], allow_unused=True)[1] is None


def test_style_ignores_where_things_are_and_content_does_not(images: Tensor) -> None:
    features_ = VGGFeatures(["relu1_2"], None)
    image = images.float()
    mirrored = image.flip(2, 3)
    bright = (image + 0.5).clamp(-1, 1)
    assert GramStyleLoss(features_)(mirrored, image) < 0.1 * GramStyleLoss(features_)(bright, image)
    assert ContentLoss(features_)(mirrored, image) > ContentLoss(features_)(bright, image)


def test_style_compares_images_of_different_sizes() -> None:
    x, y = images_like(2, 3, 20, 24).float(), images_like(2, 3, 32, 18).float()
    assert GramStyleLoss(VGGFeatures(["relu1_2"], None))(x, y) > 0


def test_half_precision_in_float32_out(images: Tensor) -> None:
    x = images.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for loss in (ContentLoss(VGGFeatures(["relu2_2"], None)), GramStyleLoss(VGGFeatures(["relu2_2"], None))):
            value = loss(x, x.flip(3))
            assert value.dtype == torch.float32
            assert torch.isfinite(value)


@pytest.mark.parametrize(
    "loss", [ContentLoss(TwoLayers()), GramStyleLoss(TwoLayers()), PerceptualLoss(TwoLayers(), [1, 1])]
)
def test_bad_input_is_refused(images: Tensor, loss: nn.Module) -> None:
    with pytest.raises(ValueError, match="prediction"):
        loss(images, images[:1])
    with pytest.raises(ValueError, match="prediction must be floating point"):
        loss(images.int(), images)
    with pytest.raises(ValueError, match="prediction must be a batch"):
        loss(images[0], images[0])


@pytest.fixture(scope="module")
def backbone() -> nn.Module:
    import torchvision

    torch.manual_seed(0)
    net: nn.Module = torchvision.models.alexnet(weights=None)
    return net


@pytest.mark.filterwarnings("ignore")
def test_lpips_is_the_packages_distance(backbone: nn.Module, tmp_path: Path) -> None:
    import lpips

    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    ours = LPIPSLoss("alex", backbone.state_dict())
    theirs.net.load_state_dict(
        {k: backbone.state_dict()["features." + k.split(".", 1)[1]] for k in theirs.net.state_dict()}
    )
    x, y = images_like(3, 3, 64, 72).float(), images_like(3, 3, 64, 72).float()
    torch.testing.assert_close(ours(x, y), theirs(x, y).mean(), rtol=1e-4, atol=1e-6)
    path = tmp_path / "alexnet.pth"
    torch.save(backbone.state_dict(), path)
    assert torch.equal(LPIPSLoss("alex", path)(x, y), ours(x, y))


@pytest.mark.filterwarnings("ignore")
def test_lpips_has_no_floor_for_faint_features(backbone: nn.Module) -> None:
    """Of a norm of a thousandth they still are brought to length one."""
    import lpips

    state = dict(backbone.state_dict())
    x, y = images_like(2, 3, 64, 72).float(), images_like(2, 3, 64, 72).float()
    first = torch.nn.functional.conv2d(x, state["features.0.weight"], state["features.0.bias"], stride=4, padding=2)
    faint = 1e-3 / first.relu().square().sum(1).mean().sqrt().item()
    state |= {name: faint * state[name] for name in ("features.0.weight", "features.0.bias")}
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    theirs.net.load_state_dict({k: state["features." + k.split(".", 1)[1]] for k in theirs.net.state_dict()})
    torch.testing.assert_close(LPIPSLoss("alex", state)(x, y), theirs(x, y).mean(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_lpips_is_frozen_silent_and_finite_where_features_vanish(net: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loss = LPIPSLoss(net, weights=None)
    assert capsys.readouterr().out == ""
    assert list(loss.parameters()) == []
    assert nn.Sequential(loss).state_dict() == {}
    assert not any(module.training for module in nn.Sequential(loss).train()[0].modules())
    for buffer in loss.net.buffers():
        buffer.zero_()
    x = images_like(1, 3, 64, 64).float().requires_grad_()
    value = copy.deepcopy(loss)(x, x.detach().flip(3))
    (gradient,) = torch.autograd.grad(value, x)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("weights", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("given", [torch.float16, torch.float32, torch.float64])
def test_images_follow_the_type_of_the_weights(weights: torch.dtype, given: torch.dtype) -> None:
    prediction, target = torch.rand(1, 3, 32, 32, dtype=given), torch.rand(1, 3, 32, 32, dtype=given)
    features = VGGFeatures(["relu1_2"], None).to(weights)
    for loss in (ContentLoss(features), GramStyleLoss(features), PerceptualLoss(features, [1.0])):
        value = loss(prediction, target)
        assert value > 0
        assert value.dtype in (torch.float32, torch.float64)
    value = LPIPSLoss(weights=None).to(weights)(prediction, target)
    assert value > 0
    assert value.dtype in (torch.float32, torch.float64)


def test_a_list_of_layers_is_no_network() -> None:
    with pytest.raises(ValueError, match=r"features must be a network \(nn.Module\), got list"):
        ContentLoss(["relu2_2"])  # type: ignore[arg-type]


def test_lpips_refuses_what_lpips_broadcasts(backbone: nn.Module) -> None:
    loss = LPIPSLoss("alex", backbone.state_dict())
    x = images_like(1, 3, 64, 64).float()
    with pytest.raises(ValueError, match="prediction must have 3 channels, got 1"):
        loss(x[:, :1], x[:, :1])
    with pytest.raises(ValueError, match="nothing is broadcast"):
        loss(x, x[:, :1])
    with pytest.raises(ValueError, match="prediction is too small: got 31×31"):
        loss(x[..., :31, :31], x[..., :31, :31])
    with pytest.raises(ValueError, match="net: unknown 'alexnet', did you mean 'alex'"):
        LPIPSLoss("alexnet", None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"not those of torchvision's squeezenet1_1: features\.0\.weight"):
        LPIPSLoss("squeeze", backbone.state_dict())
    with pytest.raises(ValueError, match=r"no file .*nowhere.pth"):
        LPIPSLoss("alex", "nowhere.pth")


LOSSES = [ContentLoss, GramStyleLoss, lambda net: PerceptualLoss(net, [1, 1])]


class Noting(TwoLayers):
    """Notes of every call whether it keeps a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bool] = []

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        self.calls.append(torch.is_grad_enabled())
        return super().forward(image)


@pytest.mark.parametrize("build", LOSSES)
def test_a_buffer_that_is_filled_again_is_another_target(images: Tensor, build: Any) -> None:
    """As a data loader's pinned memory is: no count of changes in place knows of it."""
    buffer = images.flip(3).numpy().copy()
    loss, target = build(TwoLayers().eval()), torch.from_numpy(buffer)
    first = loss(images, target)
    buffer[:] = images.numpy()
    assert first > 0
    assert loss(images, target) == 0


@pytest.mark.parametrize("build", LOSSES)
def test_features_of_a_target_stand_for_it(images: Tensor, build: Any) -> None:
    net = Noting()
    loss, x, target = build(net), images.clone().requires_grad_(), images.flip(3)
    wanted = loss(x, target)
    assert sorted(net.calls) == [False, True]
    given = loss.features(target.clone().requires_grad_())  # with a graph, which ends there
    net.calls.clear()
    found = loss(x, given)
    assert net.calls == [True]
    assert torch.equal(found, wanted)
    for a, b in zip(torch.autograd.grad(found, x), torch.autograd.grad(wanted, x), strict=True):
        assert torch.equal(a, b)
    assert not any(
        grad is not None for grad in torch.autograd.grad(loss(x, given), [*given.values()], allow_unused=True)
    )


@pytest.mark.parametrize("build", LOSSES)
def test_features_of_another_target_are_refused(images: Tensor, build: Any) -> None:
    loss = build(TwoLayers())
    given = loss.features(images)
    with pytest.raises(
        ValueError, match=r"target must hold features of the layers \['first', 'second'\], got \['first'\]"
    ):
        loss(images, {"first": given["first"]})
    with pytest.raises(ValueError, match=r"target\['first'\] must have the shape of the prediction's features"):
        loss(images, {name: maps[:1] for name, maps in given.items()})
    with pytest.raises(ValueError, match=r"target must be images, or loss.features\(images\) of them, got dict {}"):
        loss(images, {})


def test_features_of_another_size_are_for_style_alone(images: Tensor) -> None:
    half = images[..., ::2]
    style = GramStyleLoss(TwoLayers())
    assert torch.equal(style(images, style.features(half)), style(images, half))
    with pytest.raises(ValueError, match=r"target\['first'\] must have the shape of the prediction's features"):
        ContentLoss(TwoLayers())(images, style.features(half))
