"""A whole training step as one CUDA graph, which the host launches at once."""

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
"""Steps before the capture, in which libraries choose algorithms and optimizers create their state."""


class CapturedStep:
    """A training step, optimizers included, that is captured in a CUDA graph and then replayed.

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

    Every call is one training step. The first three run eagerly on a side stream, the fourth is captured and replayed, and
    later ones copy their inputs into the graph's inputs and replay it. The step's Python code therefore runs four times in
    all, and everything but its inputs and the device's random numbers is fixed at the capture. The step must not synchronise
    with the device (``loss.item()``, ``if loss > 0``) or copy from the host, and its image pool must be a
    :class:`asymkit.CapturableImagePool`. Learning rates become tensors on the device, so that PyTorch's schedulers and
    ``group["lr"] = 1e-4`` have an effect. All other options of an optimizer, such as the momentum that OneCycleLR changes,
    stay as they were at the capture.

    Training states contain ``capturable=True`` from then on. To load one on a CPU into an optimizer that is not ``fused``,
    set ``group["capturable"] = False`` in its groups.

    Load weights, optimizers and pools from a training state before the first call. For a single process only;
    DistributedDataParallel is not supported.

    Args:
        step: called with tensors. It must set gradients to zero itself, before ``backward()`` or after the step.
        optimizers: all optimizers that it steps. They need the option ``capturable``, which is turned on: Adam and AdamW,
            best with ``fused=True``, and others of PyTorch.
        guards: every :class:`asymkit.StepGuard` that it uses.
        pool: a memory pool shared with other graphs, of ``torch.cuda.graph_pool_handle()``; None for its own.

    Raises:
        ValueError: step is not callable, an optimizer or guard is none, or an optimizer cannot be captured or has parameters
            that are not on one CUDA device.
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
        """Run one training step.

        Args:
            *inputs: tensors, each of the shape and type it had in the first call, on any device.

        Returns:
            The result of the step, whose tensors are overwritten by the next call after the capture.

        Raises:
            ValueError: number, shapes or dtypes of the inputs differ from the first call.
            RuntimeError: the step cannot be captured, or an optimizer's state was loaded after the first call.
            FloatingPointError: raised by a guard.
        """
        self._copy_inputs(inputs)
        self._copy_learning_rates()
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

    def _copy_inputs(self, inputs: tuple[Tensor, ...]) -> None:
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

    def _copy_learning_rates(self) -> None:
        """Write learning rates that were set since the last step into the tensors that the graph reads."""
        if self.steps == 0:
            self._rates = [pair for optimizer in self.optimizers for pair in _made_capturable(optimizer, self.device)]
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        if [id(group) for group in groups] != [id(kept) for kept, _ in self._rates]:
            raise RuntimeError(
                "the parameter groups of an optimizer are not those of the first call: load its state, and add groups, before it"
            )
        for group, rate in self._rates:
            if group["lr"] is not rate:
                rate.copy_(group["lr"]) if isinstance(group["lr"], Tensor) else rate.fill_(group["lr"])
                group["lr"] = rate

    def _warm_up(self) -> Any:
        """One eager step on the stream of the capture."""
        current, stream = torch.cuda.current_stream(self.device), _stream_of(self.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            result = self.step(*self._inputs)
        current.wait_stream(stream)
        return result

    def _capture(self) -> None:
        """Capture the step without running it.

        Other threads, such as the one of a data loader that pins memory, may call CUDA meanwhile.
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
    """A checked list of instances of one class."""
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
    """Turn on ``capturable``, with learning rates and step counters as tensors on the device; groups and their rates."""
    given: set[int] = set()
    for group in optimizer.param_groups:
        group["capturable"] = True
        rate = torch.as_tensor(group["lr"])
        # one tensor given to all groups would follow the last
        group["lr"] = rate.to(device, torch.float32, copy=id(rate) in given)
        given.add(id(rate))
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim == 0:  # the step counter
                state[name] = value.to(parameter.device)
    return [(group, group["lr"]) for group in optimizer.param_groups]
