"""What objectives are made of: the weighted sum of named terms, and the distance and the check inside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from asymkit.arguments import described, instance_of, number, one_of, optional_modules
from asymkit.checks import FLOATING, as_image_pair, check_dense, check_tensor, check_together
from asymkit.precision import widen


@dataclass(frozen=True)
class TermWeights:
    """Base of the papers' weights: one field per term, and the sum that uses them."""

    def __post_init__(self) -> None:
        """Refuse weights that are no numbers from 0 to 1e9."""
        for name, weight in asdict(self).items():
            number(name, weight, 0, 1e9)

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms given; a term of weight zero is left out altogether.

        Args:
            terms: scalars by name, each name a field of this class.

        Returns:
            A scalar.

        Raises:
            ValueError: an unknown name (the message has the nearest valid one), a term that is no scalar, or no terms.
        """
        weights = asdict(self)
        if not isinstance(terms, Mapping):
            raise ValueError(f"terms must be a dict of scalars by name, got {described(terms)}")
        for name, term in terms.items():
            one_of("terms", name, tuple(weights))
            check_dense(f"terms[{name!r}]", term, "a floating point scalar", like=next(iter(terms.values())))
            if term.ndim or term.dtype not in FLOATING:
                raise ValueError(f"terms[{name!r}] must be a scalar, got {described(term)}; take its mean first")
        if not terms:
            raise ValueError("terms is empty: nothing to sum")
        weighted = [weights[name] * term for name, term in terms.items() if weights[name] != 0]
        return torch.stack(weighted).sum() if weighted else torch.zeros_like(next(iter(terms.values())))


def l1(made: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of two batches of images, a scalar in float32 or wider."""
    made, original = as_image_pair(made, original, ("the image made", "the original"))
    return (made - original).abs().mean()


def aux_l1(made: Tensor, original: Tensor) -> Tensor:
    """Mean absolute difference of two batches of codes of one shape, a scalar in float32 or wider."""
    check_dense("the original", original, "a tensor of codes")
    check_tensor("the code made", made, original.shape, original.device, "have the original's shape")
    return (widen(made) - widen(original)).abs().mean()


def in_one_batch(network: Callable[..., Any], calls: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Any]:
    """Several calls of one network, by name, computed in one call on all of their inputs concatenated.

    Equal to one call each only for networks that treat every image of a batch by itself, as instance norms do; a batch
    norm would take its statistics over all. One call takes 0.8 to 0.9 of the time of three or four on a CPU, and a
    fraction of the launches on a GPU. Two uses in a CycleGAN step are an image and its identity image, which makes four
    calls of six, and a discriminator's real and generated images.

    Args:
        network: a generator, an encoder or a discriminator; it gives a tensor, or tuples and lists of them.
        calls: the arguments of each call, a tuple of batches of one size that differ from the others' in that only.
            Floating-point types may differ, as autocast makes them; the widest is taken.

    Returns:
        What each call gives, by its name.

    Raises:
        ValueError: no calls, calls with other numbers of arguments, batches of several sizes in one call, or of other shapes
            and types than in the others; a network that gives something else than tensors.

    Example:
        >>> import torch
        >>> from asymkit import ResnetGenerator
        >>> from asymkit.objectives.terms import in_one_batch
        >>> to_y, x, y = ResnetGenerator(width=4, blocks=1), torch.rand(1, 3, 16, 16), torch.rand(2, 3, 16, 16)
        >>> made = in_one_batch(to_y, {"fake_y": (x,), "identity_y": (y,)})
        >>> made["fake_y"].shape, made["identity_y"].shape
        (torch.Size([1, 3, 16, 16]), torch.Size([2, 3, 16, 16]))
    """
    for name, arguments in calls.items():
        tensors = arguments if isinstance(arguments, (tuple, list)) else ()
        if not tensors or not all(isinstance(tensor, Tensor) and tensor.ndim for tensor in tensors):
            raise ValueError(
                f"calls[{name!r}] must be a tuple of batches, such as (images, z), got {described(arguments)}"
            )
    if len({len(arguments) for arguments in calls.values()}) != 1:
        raise ValueError(
            f"calls must hold the same number of arguments for each call, got { {n: len(a) for n, a in calls.items()} }"
        )
    first = next(iter(calls.values()))
    for name, arguments in calls.items():
        if len({len(tensor) for tensor in arguments}) > 1:
            raise ValueError(f"calls[{name!r}] must have one batch size, got {[len(tensor) for tensor in arguments]}")
        for tensor, like in zip(arguments, first, strict=True):
            # autocast makes half-precision images beside float32 ones: cat takes the wider type, which loses nothing
            alike = tensor.dtype == like.dtype or (tensor.is_floating_point() and like.is_floating_point())
            if tensor.shape[1:] != like.shape[1:] or not alike:
                raise ValueError(
                    f"calls[{name!r}] must differ from the others in the batch size and the floating-point type only, got "
                    f"{described(tensor)} beside {described(like)}"
                )
    sizes = [len(arguments[0]) for arguments in calls.values()]
    made = network(*(torch.cat(tensors) for tensors in zip(*calls.values(), strict=True)))
    return dict(zip(calls, _split(made, sizes), strict=True))


def _split(made: Any, sizes: list[int]) -> list[Any]:
    """The parts of a batch, also of tuples and lists of tensors, as discriminators of several scales give them."""
    if isinstance(made, Tensor):
        return list(made.split(sizes))
    if not isinstance(made, (tuple, list)) or not made:
        raise ValueError(f"network must give a tensor, or tuples and lists of them, got {described(made)}")
    build = getattr(made, "_make", type(made))  # a NamedTuple's constructor takes its fields one by one
    return [build(parts) for parts in zip(*(_split(each, sizes) for each in made), strict=True)]


def check_pair(x: Tensor, y: Tensor) -> None:
    """Refuse two batches of images that are not of one shape."""
    check_together(x=x, y=y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same shape, got {tuple(x.shape)} and {tuple(y.shape)}")


def checked_aux(z: Tensor, code: Tensor) -> Tensor:
    """The latent code on the device and in the type of the encoder's codes.

    Raises:
        ValueError: z is no floating point tensor of their shape.
    """
    check_dense("z", z, f"a floating point tensor {tuple(code.shape)}", like=code)
    check_tensor("z", z, code.shape, z.device, "have the shape of the encoder's codes")
    return z.to(code)


def check_step(
    name: str, given: object, kind: type, discriminators: object, discriminators_kind: type, **losses: nn.Module | None
) -> None:
    """Refuse what is not the images of this objective, its discriminators and losses."""
    instance_of(name, given, kind, "what Translators of the same module give")
    instance_of("discriminators", discriminators, discriminators_kind, "of the same module")
    check_losses(**losses)


def check_codes(start: Tensor, end: Tensor) -> None:
    """Refuse two latent codes that are not of one shape and device."""
    check_dense("start", start, "a latent code z")
    check_tensor("end", end, start.shape, start.device, "have the same shape as start")
    check_tensor("start", start, start.shape, start.device, "be a latent code z")


def check_losses(adversarial: nn.Module | None = None, **others: nn.Module | None) -> None:
    """Refuse losses that are no modules, and an adversarial one that does not know both roles."""
    optional_modules(adversarial=adversarial, **others)
    if adversarial is not None and not (
        hasattr(adversarial, "generator_loss") and hasattr(adversarial, "discriminator_loss")
    ):
        raise ValueError(
            f"adversarial must be an adversarial loss such as LeastSquaresLoss(), got {described(adversarial)}"
        )


def refuse_graph(cycles: Iterable[Tensor | None]) -> None:
    """Refuse cycles from which a discriminator's loss would reach the generators."""
    if any(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in cycles):
        raise ValueError(
            "cycles still carry the generators' graph; give discriminator_terms(cycles.detach(), discriminators)"
        )
