"""Shared parts of the objectives: the weighted sum of named terms, L1 distances, batched calls and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from asymkit.arguments import described, instance_of, number, one_of, optional_modules
from asymkit.checks import FLOATING, as_image_pair, check_dense, check_tensor
from asymkit.precision import widen


@dataclass(frozen=True)
class TermWeights:
    """Base of the papers' weights: one field for each term, and the weighted sum."""

    def __post_init__(self) -> None:
        """Refuse weights that are not numbers from 0 to 1e9."""
        for name, weight in asdict(self).items():
            number(name, weight, 0, 1e9)

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the given terms; terms of weight zero are left out, and get no gradient.

        Args:
            terms: scalars by name, each name a field of this class.

        Returns:
            A scalar.

        Raises:
            ValueError: a name is unknown (the message has the nearest valid one), a term is not a scalar, or terms is empty.
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
    """Mean absolute difference of two batches of latent codes of one shape, a scalar in float32 or wider."""
    check_dense("the original", original, "a tensor of latent codes")
    check_tensor("the code made", made, original.shape, original.device, "have the original's shape")
    return (widen(made) - widen(original)).abs().mean()


def in_one_batch(network: Callable[..., Any], calls: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Any]:
    """Compute several calls of one network as a single call on their concatenated inputs.

    This equals separate calls only for networks that process each image independently, as those with instance norm do; a
    batch norm would compute its statistics over all calls. One call takes 0.8 to 0.9 of the time of three or four on a
    CPU, and a fraction of the kernel launches on a GPU. A CycleGAN step can use it for the translation and the identity
    image of a generator, and for real and generated images of a discriminator.

    Args:
        network: a generator, an encoder or a discriminator that returns a tensor, or tuples and lists of tensors.
        calls: for each call, by name, a tuple of its arguments, which have one batch size. All calls must agree in
            everything but the batch size and the floating-point dtype, of which the widest is used.

    Returns:
        The result of each call, by name.

    Raises:
        ValueError: calls is empty, calls have different numbers of arguments, one has several batch sizes, or shapes or
            dtypes differ between calls; the network returns something other than tensors.

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
            # autocast yields half precision beside float32; torch.cat converts to the wider dtype
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
    """Split a batch into parts; tuples and lists of tensors, such as multiscale scores, are split element by element."""
    if isinstance(made, Tensor):
        return list(made.split(sizes))
    if not isinstance(made, (tuple, list)) or not made:
        raise ValueError(f"network must give a tensor, or tuples and lists of them, got {described(made)}")
    build = getattr(made, "_make", type(made))  # a NamedTuple's constructor takes its fields one by one
    return [build(parts) for parts in zip(*(_split(each, sizes) for each in made), strict=True)]


def checked_aux(z: Tensor, code: Tensor) -> Tensor:
    """A given latent code, checked and converted to the device and dtype of the encoder's output ``code``.

    Raises:
        ValueError: z is not a floating point tensor of the shape of ``code``.
    """
    check_dense("z", z, f"a floating point tensor {tuple(code.shape)}", like=code)
    check_tensor("z", z, code.shape, z.device, "have the shape of the encoder's codes")
    return z.to(code)


def check_step(
    name: str, given: object, kind: type, discriminators: object, discriminators_kind: type, **losses: nn.Module | None
) -> None:
    """Refuse arguments of generator_terms and discriminator_terms that belong to another objective."""
    instance_of(name, given, kind, "what Translators of the same module give")
    instance_of("discriminators", discriminators, discriminators_kind, "of the same module")
    check_losses(**losses)


def check_codes(start: Tensor, end: Tensor) -> None:
    """Refuse two latent codes of different shapes or devices."""
    check_dense("start", start, "a latent code z")
    check_tensor("end", end, start.shape, start.device, "have the same shape as start")
    check_tensor("start", start, start.shape, start.device, "be a latent code z")


def check_losses(adversarial: nn.Module | None = None, **others: nn.Module | None) -> None:
    """Refuse losses that are not modules, and an adversarial loss without generator_loss and discriminator_loss."""
    optional_modules(adversarial=adversarial, **others)
    if adversarial is not None and not (
        hasattr(adversarial, "generator_loss") and hasattr(adversarial, "discriminator_loss")
    ):
        raise ValueError(
            f"adversarial must be an adversarial loss such as LeastSquaresLoss(), got {described(adversarial)}"
        )


def refuse_graph(cycles: Iterable[Tensor | None]) -> None:
    """Refuse cycles that are not detached, through which a discriminator's loss would reach the generators."""
    if any(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in cycles):
        raise ValueError(
            "cycles still carry the generators' graph; give discriminator_terms(cycles.detach(), discriminators)"
        )
