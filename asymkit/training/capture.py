"""A whole training step as one CUDA graph: what costs the host thousands of launches costs one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

from asymkit.arguments import described, instance_of
from asymkit.training.guard import StepGuard

Kind = TypeVar("Kind")

WARM_UP = 3
"""Steps before the capture: libraries choose algorithms and optimizers make their state in the first ones."""


class CapturedStep:
    """A training step, optimizers included, that is captured in a CUDA graph and replayed from then on.

    For example::

        optimizer = torch.optim.Adam(network.parameters(), 2e-4, fused=True)
        guard = StepGuard()

        def step(x, y):
            loss = (network(x) - y).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            guard.step(optimizer, loss)
            return loss.detach()

        step = CapturedStep(step, [optimizer], [guard])
        for x, y in loader:  # DataLoader(..., drop_last=True): batches of one shape
            loss = step(x.cuda(), y.cuda())

    Every call is one training step: the first three run as they are, on a stream of their own, the fourth is captured and
    replayed, and later ones copy their inputs into those of the graph and replay it. So the step's Python code runs four
    times in all: what depends on anything but its inputs and on random numbers of the device stays as it was then. It may
    neither wait for the device (``loss.item()``, ``if loss > 0``) nor copy from the host, and takes its image pool from
    :class:`asymkit.CapturableImagePool`. Learning rates become tensors on the device: schedulers of PyTorch, and
    ``group["lr"] = 1e-4``, go on to work; other options of an optimizer stay as they were at the capture.

    Training states hold ``capturable=True`` from then on: an optimizer that is not ``fused`` refuses them on a CPU until its
    groups are told ``group["capturable"] = False``. Options that schedulers change beside the rate, such as OneCycleLR's
    momentum, stay as they were at the capture.

    Weights, optimizers and pools that are loaded from a training state have to be so before the first call. One process
    only: DistributedDataParallel needs more than this.

    Args:
        step: called with tensors. Gradients must be zeroed inside it, before ``backward()`` or after the step.
        optimizers: all that it steps, with the option ``capturable``, which is turned on: Adam and AdamW, best with
            ``fused=True``, and others of PyTorch.
        guards: all :class:`asymkit.StepGuard` that it asks.
        pool: of ``torch.cuda.graph_pool_handle()``, memory shared with other graphs; None for its own.

    Raises:
        ValueError: the step is nothing to call; something else than optimizers or guards; an optimizer that cannot be
            captured, or whose parameters are not on one CUDA device.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        optimizers: Iterable[torch.optim.Optimizer],
        guards: Iterable[StepGuard] = (),
        pool: Any = None,
    ) -> None:
        if not callable(step):
            raise ValueError(f"step must be a training step, something to call, got {described(step)}")
        self.step, self.pool = step, pool
        self.optimizers = _listed("optimizers", optimizers, torch.optim.Optimizer, "such as Adam(..., fused=True)")
        self.guards = _listed("guards", guards, StepGuard, "such as StepGuard()")
        for i, optimizer in enumerate(self.optimizers):
            if any("capturable" not in group for group in optimizer.param_groups):
                kind = type(getattr(optimizer, "optimizer", optimizer)).__name__
                raise ValueError(f"optimizers[{i}]: {kind} cannot be captured; take torch.optim.Adam(..., fused=True)")
        self.device = _device_of(self.optimizers)
        self.steps = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._rates: list[tuple[dict[str, Any], Tensor]] = []
        self._graph: Any = None
        self._result: Any = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Take one training step.

        Args:
            *inputs: tensors, each of the shape and type it had in the first call, on any device.

        Returns:
            What the step returns. Its tensors are written over by the next call, once there is a graph.

        Raises:
            ValueError: inputs of another number, shape or type than in the first call.
            RuntimeError: the step cannot be captured, an optimizer's state was loaded after the first call.
            FloatingPointError: of a guard.
        """
        self._take(inputs)
        self._follow_rates()
        if self.steps < WARM_UP:
            result = self._warm_up()
            self.steps += 1
            return result
        if self._graph is None:
            self._capture()
        self._graph.replay()
        self.steps += 1
        for guard in self.guards:
            guard.replayed()
        return self._result

    def _take(self, inputs: tuple[Tensor, ...]) -> None:
        """Copy the inputs into the memory that the graph reads."""
        if not all(isinstance(given, Tensor) for given in inputs):
            raise ValueError(f"inputs must be tensors, got {[described(given) for given in inputs]}")
        if self.steps == 0:
            self._inputs = tuple(torch.empty_like(given, device=self.device) for given in inputs)
        forms, wanted = ([(tuple(x.shape), x.dtype) for x in tensors] for tensors in (inputs, self._inputs))
        if forms != wanted:
            raise ValueError(
                f"inputs must have the shapes and types of the first call, {wanted}, got {forms}; load batches of one size "
                "(DataLoader(..., drop_last=True)) or make a CapturedStep for each"
            )
        with torch.no_grad():
            for held, given in zip(self._inputs, inputs, strict=True):
                held.copy_(given, non_blocking=True)

    def _follow_rates(self) -> None:
        """Learning rates as tensors that the graph reads; numbers set since then are written into them."""
        if self.steps == 0:
            self._rates = [pair for optimizer in self.optimizers for pair in _made_capturable(optimizer, self.device)]
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        if len(groups) != len(self._rates) or any(
            g is not kept for g, (kept, _) in zip(groups, self._rates, strict=True)
        ):
            raise RuntimeError(
                "the parameter groups of an optimizer are not those of the first call: load its state, and add groups, before it"
            )
        for group, rate in self._rates:
            if group["lr"] is not rate:
                rate.copy_(group["lr"]) if isinstance(group["lr"], Tensor) else rate.fill_(group["lr"])
                group["lr"] = rate

    def _warm_up(self) -> Any:
        """One step on the stream of the capture."""
        current, stream = torch.cuda.current_stream(self.device), _stream_of(self.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            result = self.step(*self._inputs)
        current.wait_stream(stream)
        return result

    def _capture(self) -> None:
        """Record the step, which computes nothing yet.

        Other threads, such as a data loader's that pins memory, may go on to call CUDA meanwhile.
        """
        graph = torch.cuda.CUDAGraph()
        stream = _stream_of(self.device)
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=stream, capture_error_mode="thread_local"):
                self._result = self.step(*self._inputs)
        except RuntimeError as error:
            raise RuntimeError(
                f"the step cannot be captured in a CUDA graph: {error}\nIt must not wait for the device, nor copy from the host: "
                "torch.cuda.set_sync_debug_mode('error') names the line that does. Start a new process without the graph"
            ) from error
        self._graph = graph


def _listed(name: str, given: object, kind: type[Kind], such_as: str) -> list[Kind]:
    """A list of objects of a class, refused where it holds anything else."""
    if not isinstance(given, Iterable):
        raise ValueError(f"{name} must be a list, got {described(given)}; e.g. [{name[:-1]}]")
    items = list(given)
    for i, item in enumerate(items):
        instance_of(f"{name}[{i}]", item, kind, such_as)
    return items


@functools.cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """The one of all warm-ups and captures: memory that graphs share must be of one stream."""
    return torch.cuda.Stream(device)


def _device_of(optimizers: list[torch.optim.Optimizer]) -> torch.device:
    """The CUDA device of all parameters."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    devices = {parameter.device for group in groups for parameter in group["params"]}
    device = next(iter(devices), torch.device("cpu"))
    if len(devices) != 1 or device.type != "cuda":
        found = ", ".join(sorted(map(str, devices))) or "no parameters"
        raise ValueError(
            f"optimizers must hold parameters on one CUDA device, got {found}; elsewhere call the step itself"
        )
    return device


def _made_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> list[tuple[dict[str, Any], Tensor]]:
    """Its groups with their learning rates, now tensors; what it counts is on the device."""
    given: set[int] = set()
    for group in optimizer.param_groups:
        group["capturable"] = True
        rate = group["lr"]
        rate = rate if isinstance(rate, Tensor) else torch.full((), rate)
        shared = id(rate) in given
        given.add(id(rate))
        group["lr"] = rate.to(
            device, torch.float32, copy=shared
        )  # one tensor given to all groups would follow the last
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim == 0:  # what it counts
                state[name] = value.to(parameter.device)
    return [(group, group["lr"]) for group in optimizer.param_groups]
