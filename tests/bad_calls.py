"""Every public entry with valid arguments, and which other values are legitimate; test_bad_calls.py tries nonsense."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import asymkit
from asymkit import ops
from asymkit.arguments import LIMITS
from asymkit.evaluation import entropy
from asymkit.objectives import asymgan, asyncgan
from asymkit.objectives.asymmetricgan import supervised, unsupervised

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Kind(NamedTuple):
    """An argument: a valid value, and which of the values tried are legitimate."""

    valid: Any
    fits: Callable[[Any], bool]
    alias: str = ""
    """Of what a message may speak instead: a network that is called checks its own argument."""


def integer(valid: int | None, least: int = 1, most: float = float("inf")) -> Kind:
    def fits(v: Any) -> bool:
        return isinstance(v, int | np.integer) and not isinstance(v, bool) and least <= int(v) <= most

    return Kind(valid, fits)


def size(name: str, valid: int | None = 4, least: int = 1) -> Kind:
    return integer(valid, least, LIMITS[name])


def real(valid: float, least: float, most: float) -> Kind:
    def fits(v: Any) -> bool:
        return isinstance(v, int | float | np.number) and not isinstance(v, bool) and bool(least <= v <= most)

    return Kind(valid, fits)


def numbers(valid: Any) -> Kind:
    """Factors, one for each of so many channels or layers."""

    def fits(v: Any) -> bool:
        return isinstance(v, list | tuple | range | np.ndarray) and all(real(0, 0, 1e6).fits(each) for each in v)

    return Kind(valid, fits)


def tensor(
    valid: Tensor, also: Callable[[Tensor], bool] = lambda v: False, alias: str = "", alone: bool = False
) -> Kind:
    """A tensor of exactly this shape and type, and what else is fine.

    Where it is ``alone``, so is one on the meta device: as PyTorch's, the function then tells shapes.
    """

    def fits(v: Any) -> bool:
        if not isinstance(v, Tensor) or v.layout is not torch.strided or v.is_nested:
            return False
        if v.device != valid.device and not (v.is_meta and alone):
            return False
        return (v.shape == valid.shape and v.dtype == valid.dtype) or also(v)

    return Kind(valid, fits, alias)


def optional(kind: Kind) -> Kind:
    return kind._replace(fits=lambda v: v is None or kind.fits(v))


def choice(*names: str) -> Kind:
    return Kind(names[0], lambda v: isinstance(v, str) and v in names)


def network(valid: nn.Module | None, *kinds: type) -> Kind:
    return Kind(valid, lambda v: isinstance(v, kinds or nn.Module))


def exactly(valid: Any, fits: Callable[[Any], bool] = lambda v: False) -> Kind:
    return Kind(valid, fits)


FLAG = exactly(False, lambda v: isinstance(v, bool | np.bool_))
RANGE = exactly(
    (-1, 1),
    lambda v: (
        isinstance(v, list | tuple) and len(v) == 2 and all(real(0, -1e9, 1e9).fits(x) for x in v) and v[0] < v[1]
    ),
)
UPSAMPLING = choice("transposed", "resize")
WEIGHT = real(1.0, 0, 1e9)


def any_float(like: Tensor) -> Callable[[Tensor], bool]:
    """Floating point of any width: what is compared is widened."""
    return lambda v: v.dtype in FLOATS and v.shape == like.shape


def any_images(v: Tensor, channels: int | None = None, least: int = 1) -> bool:
    fine = v.dtype in FLOATS and v.ndim == 4 and 0 not in v.shape and min(v.shape[2:]) >= least
    return fine and (channels is None or v.shape[1] == channels)


def batch(image: Tensor, multiple: int, least: int = 1) -> Kind:
    """Images for a network: any batch and any fitting size."""
    return tensor(
        image,
        lambda v: (
            v.dtype == image.dtype
            and any_images(v, image.shape[1], least)
            and not v.shape[2] % multiple
            and not v.shape[3] % multiple
        ),
    )


class Case(NamedTuple):
    """How an entry is called, and what with."""

    call: Callable[..., Any]
    kinds: dict[str, Kind]


torch.manual_seed(0)
IMAGE, OTHER, Z, MAPS = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32), torch.randn(2, 8), torch.rand(2, 4, 6, 6)
LABELS = torch.tensor([0, 1])
PAIR = {name: tensor(value, any_float(IMAGE)) for name, value in (("x", IMAGE), ("y", OTHER))}
LOSS_PAIR = {"prediction": PAIR["x"], "target": PAIR["y"]}
WINDOW = {
    "value_range": RANGE,
    "window_size": Kind(11, lambda v: integer(11, 1, 32).fits(v) and int(v) % 2 == 1, alias="x"),
    "sigma": real(1.5, 0.1, 1000),
}
# a loss is built for images of a size that it does not know yet
BUILT_WINDOW = WINDOW | {"window_size": Kind(11, lambda v: integer(11, 1, 255).fits(v) and int(v) % 2 == 1)}
BACKEND = choice("asymkit", "pytorch-msssim")
NORM = {
    "activation": optional(choice("relu", "leaky_relu")),
    "residual": optional(tensor(MAPS, any_float(MAPS))),
    "eps": real(1e-5, 1e-12, 1),
    "negative_slope": real(0.2, 0, 1),
}


def labels(domains: int) -> Kind:
    def fits(v: Tensor) -> bool:
        vectors = v.dtype in FLOATS and v.shape == (2, domains)
        whole = not v.dtype.is_floating_point and not v.dtype.is_complex and v.dtype != torch.bool and v.shape == (2,)
        return vectors or (whole and bool((v >= 0).all()) and bool((v < domains).all()))

    return tensor(LABELS, fits)


def networks() -> Iterator[tuple[str, Case]]:
    g, aux = asymkit.ResnetGenerator(width=4, blocks=1), asymkit.AuxGenerator(width=4, blocks=1)
    spatial = asymkit.AuxGenerator(width=4, blocks=1, injection="concat", spatial=True)
    high = asymkit.HighResGenerator(width=4, blocks=1, aux_channels=8)
    any_size = tensor(
        IMAGE, lambda v: v.dtype == IMAGE.dtype and any_images(v, 3, 2) and len(v) == 2, alias="condition"
    )
    shape = {
        "in_channels": size("in_channels"),
        "out_channels": size("out_channels"),
        "width": size("width"),
        "blocks": size("blocks", 1),
        "upsampling": UPSAMPLING,
        "skip": FLAG,
    }
    z = {"condition": optional(tensor(Z))}
    yield "asymkit.ResnetGenerator", Case(asymkit.ResnetGenerator, shape | {"dropout": real(0.0, 0, 0.99)})
    conditioned = asymkit.ResnetGenerator(6, width=4, blocks=1)
    yield (
        "asymkit.ResnetGenerator.forward",
        Case(conditioned, {"image": tensor(IMAGE, alias="condition"), "condition": tensor(OTHER, alias="image")}),
    )
    more = {
        "aux_channels": size("aux_channels"),
        "injection": choice("cin", "concat", "concat_all", "cin_all"),
        "spatial": FLAG,
    }
    yield "asymkit.AuxGenerator", Case(asymkit.AuxGenerator, shape | more)
    yield "asymkit.AuxGenerator.forward", Case(aux, {"image": tensor(IMAGE, alias="condition")} | z)
    sides = exactly(
        (4, 4), lambda v: isinstance(v, list | tuple) and len(v) == 2 and all(map(integer(1, 1, 64).fits, v))
    )
    yield "asymkit.AuxGenerator.sample_aux", Case(spatial.sample_aux, {"n": integer(2, 1, 65_536), "size": sides})
    yield (
        "asymkit.HighResGenerator",
        Case(asymkit.HighResGenerator, shape | {"aux_channels": optional(size("aux_channels"))}),
    )
    yield "asymkit.HighResGenerator.forward", Case(high, {"image": tensor(IMAGE, alias="condition")} | z)
    yield "asymkit.HighResGenerator.sample_aux", Case(high.sample_aux, {"n": integer(2, 1, 65_536)})
    channels = {name: shape[name] for name in ("in_channels", "out_channels")}
    domains = {"domains": size("domains", 3)}
    embedding = {"label_embedding": optional(integer(None, 1, LIMITS["in_channels"]))}
    yield "asymkit.PlainGenerator", Case(asymkit.PlainGenerator, domains | channels | embedding)
    label = {"condition": labels(3)}
    yield (
        "asymkit.PlainGenerator.forward",
        Case(asymkit.PlainGenerator(3), {"image": any_size} | label),
    )
    star = domains | {name: kind for name, kind in shape.items() if name != "skip"} | embedding
    star |= {"blocks": integer(1, 0, 256)}
    yield "asymkit.StarGenerator", Case(asymkit.StarGenerator, star)
    yield (
        "asymkit.StarGenerator.forward",
        Case(asymkit.StarGenerator(3, 1, 4), {"image": tensor(IMAGE, alias="condition")} | label),
    )
    small = {"in_channels": size("in_channels"), "width": size("width")}
    yield "asymkit.PatchDiscriminator", Case(asymkit.PatchDiscriminator, small | {"layers": size("layers", 1)})
    yield "asymkit.PatchDiscriminator.forward", Case(asymkit.PatchDiscriminator(3, 4, 1), {"image": batch(IMAGE, 1, 6)})
    scales = {"scales": size("scales", 2), "layers": size("layers", 1)}
    yield "asymkit.MultiscaleDiscriminator", Case(asymkit.MultiscaleDiscriminator, small | scales)
    many = asymkit.MultiscaleDiscriminator(scales=2, layers=1, width=4)
    yield "asymkit.MultiscaleDiscriminator.forward", Case(many, {"image": batch(IMAGE, 1, 12)})
    image_size = Kind(64, lambda v: integer(64, 4, 8192).fits(v) and int(v) % 4 == 0)
    of_domains = (
        small | domains | {"layers": Kind(2, integer(2, 1, 6).fits, alias="image_size"), "image_size": image_size}
    )
    yield "asymkit.DomainDiscriminator", Case(asymkit.DomainDiscriminator, of_domains)
    yield (
        "asymkit.DomainDiscriminator.forward",
        Case(
            asymkit.DomainDiscriminator(3, image_size=32, width=4, layers=2),
            {"image": tensor(IMAGE, lambda v: v.dtype == torch.float32 and v.shape[1:] == (3, 32, 32) and len(v) > 0)},
        ),
    )
    aux_size = {"aux_channels": size("aux_channels"), "width": size("width")}
    yield "asymkit.AuxDiscriminator", Case(asymkit.AuxDiscriminator, aux_size | {"spatial": FLAG})
    vectors = tensor(Z, lambda v: v.dtype == torch.float32 and v.ndim == 2 and v.shape[1] == 8 and len(v) > 0)
    yield "asymkit.AuxDiscriminator.forward", Case(asymkit.AuxDiscriminator(8), {"z": vectors})
    yield "asymkit.AuxEncoder", Case(asymkit.AuxEncoder, small | aux_size | {"pooled": FLAG})
    yield "asymkit.AuxEncoder.forward", Case(asymkit.AuxEncoder(width=4), {"image": batch(IMAGE, 1, 16)})
    dual = asymkit.DualGenerator(conditioned, conditioned)
    yield (
        "asymkit.DualGenerator",
        Case(asymkit.DualGenerator, dict.fromkeys(("translator", "reconstructor"), network(g))),
    )
    for name, call in (("forward", dual), ("translate", dual.translate), ("reconstruct", dual.reconstruct)):
        yield (
            f"asymkit.DualGenerator.{name}",
            Case(call, {"image": tensor(IMAGE, alias="condition"), "condition": tensor(OTHER, alias="image")}),
        )
    preset = domains | channels | {"name": choice("S2", "S1", "S3"), "sharing": choice("none", "partial", "full")}
    preset |= embedding | {"width": size("width"), "upsampling": UPSAMPLING}
    yield "asymkit.DualGenerator.preset", Case(asymkit.DualGenerator.preset, preset)
    both = {name: shape[name] for name in ("width", "blocks", "in_channels", "upsampling")}
    both |= {"in_channels": integer(3, 1, 2048), "skeleton_channels": integer(3, 1, 2048)}
    yield (
        "asymkit.DualGenerator.supervised",
        Case(asymkit.DualGenerator.supervised, both | {"reconstructor_width": size("reconstructor_width")}),
    )
    multiple = {"generator": network(g), "multiple": optional(integer(4, 1, 4096))}
    yield "asymkit.AnySize", Case(asymkit.AnySize, multiple | {"value_range": RANGE})
    # an AnySize hands a label, a z or an image of its condition on to the generator, which then checks it
    yield (
        "asymkit.AnySize.forward",
        Case(
            asymkit.AnySize(aux),
            {
                "image": tensor(
                    IMAGE, lambda v: v.dtype == IMAGE.dtype and any_images(v, 3) and len(v) == 2, alias="condition"
                )
            }
            | z,
        ),
    )
    tile = {"tile": integer(16, 16), "overlap": optional(integer(4, 0)), "statistics": choice("exact", "reduced")}
    yield (
        "asymkit.Tiled",
        Case(asymkit.Tiled, multiple | {"multiple": optional(integer(4, 1, 8))._replace(alias="tile")} | tile),
    )
    tiled = asymkit.Tiled(asymkit.AuxGenerator(width=4, blocks=1), tile=32)
    yield "asymkit.Tiled.forward", Case(tiled, {"image": tensor(IMAGE, alias="condition")} | z)
    layers = exactly(["relu1_1"], lambda v: v in (["relu1_1"], ("relu1_1",)))
    vgg = {"layers": layers, "weights": exactly(None, lambda v: v is None), "net": choice("vgg16", "vgg19")}
    yield "asymkit.VGGFeatures", Case(asymkit.VGGFeatures, vgg)
    features = asymkit.VGGFeatures(["relu1_1"], None)
    yield "asymkit.VGGFeatures.forward", Case(features, {"image": tensor(IMAGE, lambda v: any_images(v, 3))})
    yield (
        "asymkit.checkpoint_blocks",
        Case(asymkit.checkpoint_blocks, {"network": network(g, asymkit.ResnetGenerator), "on": FLAG}),
    )


def losses() -> Iterator[tuple[str, Case]]:
    features = asymkit.VGGFeatures(["relu1_1"], None)
    weights = {"channel_weights": optional(numbers([1.0, 1.0, 1.0]))}
    yield "asymkit.ColorCycleLoss", Case(asymkit.ColorCycleLoss, weights)
    yield "asymkit.ColorCycleLoss.forward", Case(asymkit.ColorCycleLoss(), LOSS_PAIR)
    variation = {"power": real(2, 1, 10), "reduction": choice("mean", "sum")}
    yield "asymkit.TotalVariationLoss", Case(asymkit.TotalVariationLoss, variation)
    smooth = tensor(IMAGE, lambda v: any_images(v, least=2), alone=True)
    yield "asymkit.TotalVariationLoss.forward", Case(asymkit.TotalVariationLoss(), {"image": smooth})
    yield "asymkit.SSIMLoss", Case(asymkit.SSIMLoss, BUILT_WINDOW | {"backend": BACKEND})
    yield "asymkit.SSIMLoss.forward", Case(asymkit.SSIMLoss(), LOSS_PAIR)
    scales = {"scales": optional(integer(2, 1, 5))}
    yield "asymkit.MSSSIMLoss", Case(asymkit.MSSSIMLoss, BUILT_WINDOW | scales | {"backend": BACKEND})
    yield "asymkit.MSSSIMLoss.forward", Case(asymkit.MSSSIMLoss(scales=2), LOSS_PAIR)
    feature = {"features": network(features)}
    yield "asymkit.ContentLoss", Case(asymkit.ContentLoss, feature)
    yield "asymkit.GramStyleLoss", Case(asymkit.GramStyleLoss, feature)
    layer_weights = numbers([1.0])
    yield (
        "asymkit.PerceptualLoss",
        Case(
            asymkit.PerceptualLoss,
            feature
            | {
                "layer_weights": layer_weights._replace(
                    fits=lambda v: v in ({}, {"a": 1}) if isinstance(v, dict) else layer_weights.fits(v)
                )
            },
        ),
    )
    yield "asymkit.ContentLoss.forward", Case(asymkit.ContentLoss(features), LOSS_PAIR)
    yield "asymkit.PerceptualLoss.forward", Case(asymkit.PerceptualLoss(features, [1.0]), LOSS_PAIR)
    free = tensor(IMAGE, lambda v: any_images(v, 3) and len(v) == 2, alias="image")
    yield "asymkit.GramStyleLoss.forward", Case(asymkit.GramStyleLoss(features), {"prediction": free, "target": free})
    lpips = {"net": choice("squeeze", "alex", "vgg"), "weights": exactly(None, lambda v: v is None)}
    yield "asymkit.LPIPSLoss", Case(asymkit.LPIPSLoss, lpips)
    yield "asymkit.LPIPSLoss.forward", Case(asymkit.LPIPSLoss("squeeze", None), LOSS_PAIR)
    yield "asymkit.LPIPSLoss.distances", Case(asymkit.LPIPSLoss("squeeze", None).distances, LOSS_PAIR)
    scores = tensor(IMAGE, lambda v: v.dtype in FLOATS and v.numel() > 0, alone=True)

    def some(v: Any) -> bool:
        return scores.fits(v) or (isinstance(v, list | tuple) and len(v) > 0 and all(map(some, v)))

    score = Kind(IMAGE, some)
    told = Kind(IMAGE, some, alias="prediction")
    for name, loss in (
        ("LeastSquaresLoss", asymkit.LeastSquaresLoss()),
        ("LogisticLoss", asymkit.LogisticLoss()),
        ("WassersteinLoss", asymkit.WassersteinLoss()),
    ):
        yield f"asymkit.{name}", Case(type(loss), {})
        yield f"asymkit.{name}.forward", Case(loss, {"prediction": score, "target_is_real": FLAG})
        yield f"asymkit.{name}.generator_loss", Case(loss.generator_loss, {"fake": told})
        yield f"asymkit.{name}.discriminator_loss", Case(loss.discriminator_loss, {"real": told, "fake": told})
    scored = Kind(asymkit.PatchDiscriminator(width=4, layers=1), lambda v: callable(v) and not isinstance(v, type))
    pair = {"real": tensor(IMAGE, alias="(fake|image)"), "fake": tensor(IMAGE, any_float(IMAGE), alias="real")}
    yield "asymkit.gradient_penalty", Case(asymkit.gradient_penalty, {"discriminator": scored} | pair)
    yield "asymkit.DomainClassificationLoss", Case(asymkit.DomainClassificationLoss, {"multi_label": FLAG})
    logits = tensor(
        torch.randn(2, 3), lambda v: v.dtype in FLOATS and v.ndim == 2 and len(v) == 2 and v.shape[1] > 1, alone=True
    )
    yield (
        "asymkit.DomainClassificationLoss.forward",
        Case(asymkit.DomainClassificationLoss(), {"logits": logits._replace(alias="domains"), "domains": labels(3)}),
    )


def training() -> Iterator[tuple[str, Case]]:
    easy = nn.Linear(1, 1)
    steps = exactly(lambda *_: None, callable)
    modules = exactly(
        [easy], lambda v: isinstance(v, list | tuple) and len(v) > 0 and all(isinstance(m, nn.Module) for m in v)
    )
    epochs = integer(8, 1, 10**8)
    yield (
        "asymkit.AsyncScheduler",
        Case(
            asymkit.AsyncScheduler,
            {
                "joint": steps,
                "partial": steps,
                "frozen": modules,
                "total_epochs": epochs,
                "period": epochs,
                "rule": choice("text", "algorithm1"),
            },
        ),
    )
    scheduler = asymkit.AsyncScheduler(print, print, [easy], 8, 4)
    for name in ("set_epoch", "phase"):
        yield f"asymkit.AsyncScheduler.{name}", Case(getattr(scheduler, name), {"epoch": integer(3, 0, 7)})

    def freeze(modules: Any) -> None:
        with asymkit.frozen(modules):
            pass

    yield "asymkit.frozen", Case(freeze, {"modules": network(easy)})
    progress = Kind(0.5, lambda v: real(0, 0, 2).fits(v) and v < 2)
    yield "asymkit.linear_decay", Case(asymkit.linear_decay, {"progress": progress, "constant": real(0.5, 0, 1)})
    yield "asymkit.StepGuard", Case(asymkit.StepGuard, {"limit": integer(20), "read_every": optional(integer(10))})
    optimizer = torch.optim.SGD(easy.parameters(), 0.1)
    term = tensor(torch.tensor(1.0), lambda v: not v.is_complex() or True)

    def terms(v: Any) -> bool:
        return term.fits(v) or (
            isinstance(v, dict) and all(real(0, -1e99, 1e99).fits(t) or term.fits(t) for t in v.values())
        )

    yield (
        "asymkit.StepGuard.step",
        Case(
            asymkit.StepGuard(10**9).step,
            {"optimizer": exactly(optimizer), "terms": Kind({"a": 1.0}, terms), "scaler": optional(exactly(None))},
        ),
    )
    strengths = {name: real(0.5, 0, 100) for name in ("brightness", "saturation", "contrast")}
    parts = {name: real(0.5, 0, 1) for name in ("translation", "cutout")}
    yield "asymkit.DiscriminatorAugmentation", Case(asymkit.DiscriminatorAugmentation, strengths | parts)
    augmentation = asymkit.DiscriminatorAugmentation()
    yield (
        "asymkit.DiscriminatorAugmentation.forward",
        Case(augmentation, {"image": tensor(IMAGE, any_images, alone=True)}),
    )
    yield "asymkit.DiscriminatorAugmentation.attach", Case(augmentation.attach, {"discriminator": network(easy)})
    for pool in (asymkit.ImagePool, asymkit.CapturableImagePool):
        name = f"asymkit.{pool.__name__}"
        yield name, Case(pool, {"size": integer(50, 0)})

        def query(images: Any, pool: type[asymkit.ImagePool] = pool) -> None:
            pool(4).query(images)

        yield f"{name}.query", Case(query, {"images": tensor(IMAGE, any_images, alone=True)})
        yield f"{name}.load_state_dict", Case(pool().load_state_dict, {"state": exactly({"images": []})})
    yield "asymkit.ImagePools", Case(asymkit.ImagePools, {"size": integer(50, 0), "capturable": FLAG})
    pools = asymkit.ImagePools()
    yield "asymkit.ImagePools.load_state_dict", Case(pools.load_state_dict, {"state": exactly(pools.state_dict())})


def functions() -> Iterator[tuple[str, Case]]:
    weights = numbers([1.0, 1.0, 1.0])
    factor = tensor(torch.ones(3), any_float(torch.ones(3)))
    channel = Kind(weights.valid, lambda v: weights.fits(v) or v is None or factor.fits(v))
    yield "asymkit.ops.color_l1", Case(ops.color_l1, PAIR | {"channel_weights": channel})
    smooth = tensor(IMAGE, lambda v: any_images(v, least=2), alone=True)
    yield (
        "asymkit.ops.total_variation",
        Case(ops.total_variation, {"x": smooth, "power": real(2, 1, 10), "reduction": choice("mean", "sum")}),
    )
    yield "asymkit.ops.ssim", Case(ops.ssim, PAIR | WINDOW)
    multi = Kind(11, lambda v: integer(11, 1, 16).fits(v) and int(v) % 2 == 1, alias="(scales|x)")
    yield (
        "asymkit.ops.ms_ssim",
        Case(ops.ms_ssim, PAIR | WINDOW | {"scales": optional(integer(2, 1, 2)), "window_size": multi}),
    )
    sides = {name: integer(64) for name in ("height", "width")}
    yield "asymkit.ops.scales_that_fit", Case(ops.scales_that_fit, sides | {"window_size": size("window_size", 11)})
    yield "asymkit.ops.gram_matrix", Case(ops.gram_matrix, {"features": tensor(MAPS, any_images, alone=True)})
    yield (
        "asymkit.ops.shannon_entropy",
        Case(ops.shannon_entropy, {"images": tensor(IMAGE, any_images, alone=True), "value_range": RANGE}),
    )
    by_image, by_channel = torch.ones(2, 4), torch.ones(4)
    one = {name: tensor(by_image, any_float(by_image)) for name in ("scale", "shift")}
    each = {name: optional(tensor(by_channel, any_float(by_channel))) for name in ("weight", "bias")}
    maps = tensor(MAPS, any_float(MAPS), alias="(scale|shift|weight|bias|residual)")
    for entry, call, given in (
        ("conditional_instance_norm", ops.conditional_instance_norm, one),
        ("instance_norm", ops.instance_norm, each),
    ):
        yield f"asymkit.ops.{entry}", Case(call, {"x": maps} | given | NORM)
    kernel, bias = torch.rand(5, 4, 3, 3), torch.rand(5)
    x = tensor(MAPS, lambda v: v.dtype == torch.float32 and any_images(v, 4, 3))
    weight = tensor(kernel, alias="(x|bias)")
    padding = {"bias": optional(tensor(bias)), "padding": choice("none", "zeros", "reflect")}
    yield "asymkit.ops.conv3x3", Case(ops.conv3x3, {"x": x, "weight": weight} | padding)
    wide = tensor(MAPS, lambda v: v.dtype == torch.float32 and any_images(v, 4))
    yield (
        "asymkit.ops.conv3x3_backend",
        Case(
            ops.conv3x3_backend,
            {
                "x": wide,
                "weight": tensor(
                    kernel,
                    lambda v: v.dtype == torch.float32 and v.ndim == 4 and v.shape[1:] == (4, 3, 3) and len(v) > 0,
                    alias="x",
                ),
            },
        ),
    )
    yield (
        "asymkit.ops.backend_of",
        Case(ops.backend_of, {"op": choice("ssim", "ms_ssim"), "x": Kind(IMAGE, lambda v: isinstance(v, Tensor))}),
    )


def measurements() -> Iterator[tuple[str, Case]]:
    folder = Path(tempfile.mkdtemp())
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    there = Kind(folder, lambda v: v in (folder, str(folder)), alias="folder")
    yield (
        "asymkit.evaluation.entropy.domain_entropy",
        Case(entropy.domain_entropy, {"folder": there, "value_range": optional(RANGE)}),
    )
    levels = tensor(
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
        lambda v: v.dtype == torch.uint8 and v.ndim == 4 and v.shape[1] == 3 and v.numel() > 0,
    )
    yield "asymkit.evaluation.entropy.color_entropy", Case(entropy.color_entropy, {"pixels": levels})
    picture = Kind(folder / "picture.png", lambda v: isinstance(v, str | Path) and bool(str(v)))
    pair = {"dir_a": there, "dir_b": there, "picture": optional(picture), "value_range": optional(RANGE)}
    yield "asymkit.evaluation.entropy.compare", Case(entropy.compare, pair)
    domain = exactly(entropy.domain_entropy(folder))
    both = {"first": domain, "second": domain}
    yield "asymkit.evaluation.entropy.advice", Case(entropy.advice, both)
    yield "asymkit.evaluation.entropy.draw", Case(entropy.draw, both | {"path": picture})


def asymgan_entries() -> Iterator[tuple[str, Case]]:
    g, f = asymkit.ResnetGenerator(width=4, blocks=1), asymkit.AuxGenerator(width=4, blocks=1)
    e, d, dz = asymkit.AuxEncoder(width=4), asymkit.PatchDiscriminator(3, 4, 1), asymkit.AuxDiscriminator(8, width=4)
    discriminators = asymgan.Discriminators(d, d, dz)
    losses = {name: optional(network(None)) for name in ("content", "style", "adversarial")}
    image, other = tensor(IMAGE, alias="image"), tensor(OTHER, alias="image")
    z = optional(tensor(Z, any_float(Z)))
    for place, module in (("asymgan", asymgan), ("asyncgan", asyncgan)):
        name = f"asymkit.objectives.{place}"
        parts = {
            "rich_to_poor": network(g),
            "poor_to_rich": network(f),
            "encoder": optional(network(e)),
            "extended": FLAG,
            "detach_fake_poor": FLAG,
        }
        yield f"{name}.Translators", Case(module.Translators, parts)
        model = module.Translators(g, f, e)
        phase = {"phase": choice("joint")} if place == "asyncgan" else {}
        yield f"{name}.Translators.forward", Case(model, {"x": image, "y": other, "z": z} | phase)
        whole = batch(IMAGE, 4, 16)._replace(alias="image")
        yield f"{name}.Translators.to_poor", Case(model.to_poor, {"x": whole})
        exact = optional(tensor(Z, alias="condition"))
        yield (
            f"{name}.Translators.to_rich",
            Case(model.to_rich, {"y": tensor(IMAGE, alias="(image|condition)"), "z": exact}),
        )
        like = {
            "y": tensor(IMAGE, alias="(image|condition)"),
            "reference": tensor(
                OTHER,
                lambda v: v.dtype == torch.float32 and any_images(v, 3, 16) and len(v) == 2,
                alias="(image|condition)",
            ),
        }
        yield f"{name}.Translators.to_rich_like", Case(model.to_rich_like, like)
        ends = {
            "start": tensor(Z, alias="(end|condition)"),
            "end": tensor(Z, any_float(Z)),
            "steps": integer(2, 2, 1000),
        }
        yield (
            f"{name}.Translators.interpolate",
            Case(model.interpolate, {"y": tensor(IMAGE, alias="(image|condition)")} | ends),
        )
        networks = {"rich": network(d), "poor": network(d), "aux": optional(network(dz))}
        yield f"{name}.Discriminators", Case(module.Discriminators, networks)
        vectors = tensor(Z, lambda v: v.dtype == torch.float32 and v.ndim == 2 and v.shape[1] == 8 and len(v) > 0)
        yield f"{name}.Discriminators.score_aux", Case(discriminators.score_aux, {"z": vectors})
    cycles = asymgan.Translators(g, f, e, extended=True)(IMAGE, OTHER)
    for prefix in ("asymgan.", "asyncgan.joint_"):
        given = {"cycles": exactly(cycles), "discriminators": exactly(discriminators)}
        yield f"asymkit.objectives.{prefix}generator_terms", Case(asymgan.generator_terms, given | losses)
        given = {
            "cycles": exactly(cycles.detach()),
            "discriminators": exactly(discriminators),
            "adversarial": losses["adversarial"],
        }
        yield f"asymkit.objectives.{prefix}discriminator_terms", Case(asymgan.discriminator_terms, given)
    pairs: Any = asyncgan.Translators(g, f, e)(IMAGE, phase="partial")
    for kind, given_pairs in (("generator", pairs), ("discriminator", pairs.detach())):
        given = {
            "pairs": exactly(given_pairs),
            "discriminators": exactly(discriminators),
            "adversarial": losses["adversarial"],
        }
        if kind == "generator":
            given["weights"] = optional(exactly(asyncgan.Weights()))
        name = f"partial_{kind}_terms"
        yield f"asymkit.objectives.asyncgan.{name}", Case(getattr(asyncgan, name), given)
    free = batch(IMAGE, 4, 8)._replace(alias="image")
    yield "asymkit.objectives.asyncgan.pseudo_pair", Case(asyncgan.pseudo_pair, {"rich_to_poor": network(g), "x": free})


def asymmetricgan_entries() -> Iterator[tuple[str, Case]]:
    adversarial = {"adversarial": optional(network(None))}
    image, other = tensor(IMAGE, alias="image"), tensor(OTHER, alias="(image|condition)")
    place = "asymkit.objectives.asymmetricgan"
    dual = asymkit.DualGenerator.supervised(4, 4, 1)
    given = {"dual": exactly(dual), "identity": FLAG, "reconstruction": FLAG}
    yield f"{place}.supervised.Translators", Case(supervised.Translators, given)
    call = supervised.Translators(dual)
    skeletons = {"skeleton_x": other, "skeleton_y": tensor(OTHER)}
    yield f"{place}.supervised.Translators.forward", Case(call, {"x": image, "y": other} | skeletons)
    discriminator, second = asymkit.PatchDiscriminator(9, 4, 1), asymkit.PatchDiscriminator(6, 4, 1)
    networks = {"triplet": network(discriminator), "pair": optional(network(second))}
    yield f"{place}.supervised.Discriminators", Case(supervised.Discriminators, networks)
    discriminators = supervised.Discriminators(discriminator, second)
    given = {"image": image, "skeleton": other, "result": tensor(IMAGE)}
    yield f"{place}.supervised.Discriminators.forward", Case(discriminators, given)
    cycles = call(IMAGE, OTHER, OTHER, IMAGE)
    terms = {"discriminators": exactly(discriminators)} | adversarial
    perceptual = {"cycles": exactly(cycles), "perceptual": optional(network(None))}
    perceptual |= {"weights": optional(exactly(supervised.Weights()))}
    yield f"{place}.supervised.generator_terms", Case(supervised.generator_terms, terms | perceptual)
    detached = {"cycles": exactly(cycles.detach())}
    yield f"{place}.supervised.discriminator_terms", Case(supervised.discriminator_terms, terms | detached)
    dual = asymkit.DualGenerator.preset("S2", domains=3, width=4)
    given = {"dual": exactly(dual), "identity": FLAG, "reconstruction": FLAG, "way_back": FLAG}
    yield f"{place}.unsupervised.Translators", Case(unsupervised.Translators, given)
    model = unsupervised.Translators(dual)
    own = {
        name: tensor(
            LABELS,
            lambda v: v.dtype == torch.int64 and v.shape == (2,) and bool(((v >= 0) & (v < 3)).all()),
            alias="condition",
        )
        for name in ("source", "target")
    }
    yield f"{place}.unsupervised.Translators.forward", Case(model, {"x": image, "y": other} | own)
    domain_discriminator = asymkit.DomainDiscriminator(3, image_size=32, width=4, layers=2)
    cycle = model(IMAGE, LABELS, OTHER, LABELS)
    options = {"discriminators": exactly(domain_discriminator), "classification": optional(network(None))} | adversarial
    options |= {"weights": optional(exactly(unsupervised.Weights()))}
    structure = {"cycle": exactly(cycle), "structure": optional(network(asymkit.SSIMLoss()))}
    yield f"{place}.unsupervised.generator_terms", Case(unsupervised.generator_terms, options | structure)
    held = {"cycle": exactly(cycle.detach())}
    yield f"{place}.unsupervised.discriminator_terms", Case(unsupervised.discriminator_terms, options | held)


def weights_entries() -> Iterator[tuple[str, Case]]:
    scalar = tensor(torch.tensor(1.0), lambda v: v.dtype in FLOATS and v.ndim == 0)

    def sums(v: Any) -> bool:
        return isinstance(v, dict) and len(v) > 0 and all(scalar.fits(each) for each in v.values())

    for name, kind in (
        ("asymgan", asymgan.Weights),
        ("asyncgan", asyncgan.Weights),
        ("asymmetricgan.supervised", supervised.Weights),
        ("asymmetricgan.unsupervised", unsupervised.Weights),
    ):
        fields = list(kind.__dataclass_fields__)
        yield f"asymkit.objectives.{name}.Weights", Case(kind, dict.fromkeys(fields, WEIGHT))
        terms = Kind({fields[0]: torch.tensor(1.0)}, sums)
        yield f"asymkit.objectives.{name}.Weights.total", Case(kind().total, {"terms": terms})


@functools.cache
def table() -> dict[str, Case]:
    """All entries by name."""
    parts = (networks, losses, training, functions, measurements)
    more = (asymgan_entries, asymmetricgan_entries, weights_entries)
    return {name: case for part in (*parts, *more) for name, case in part()}
