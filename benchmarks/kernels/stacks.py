"""Layers and directions: stacks, small batches among them, where a slice of the batch for each thread is not enough."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.kernels import peers
from benchmarks.kernels.records import Plan, Record, measured
from benchmarks.kernels.reference import WITHIN, check
from benchmarks.kernels.timing import contest
from longspan.nn import GRU, LSTM, RNN

STACKS, CELLS = "stacks and directions", "other cells"


class Stack(NamedTuple):
    """A batch and the layers that read it."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the sizes by letter."""
        sizes = zip("BTIHL", self[:5], strict=True)
        return {**dict(sizes), "directions": 2 if self.bidirectional else 1}


STACKED = [
    Stack(1, 500, 16, 64, bidirectional=True),
    Stack(1, 500, 16, 256),
    Stack(1, 500, 16, 64, layers=2),
    Stack(2, 200, 16, 64, layers=2, bidirectional=True),
    Stack(32, 100, 8, 64, layers=2, bidirectional=True),
]
OTHERS: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "gru": (GRU, nn.GRU, {}),
    "rnn, tanh": (RNN, nn.RNN, {}),
    "rnn, relu": (RNN, nn.RNN, {"nonlinearity": "relu"}),
}


def _measure(stack: Stack, plan: Plan, ours: type[Any], theirs: type[Any], options: dict[str, Any]) -> dict[str, Any]:
    torch.manual_seed(0)
    options = {"num_layers": stack.layers, "bidirectional": stack.bidirectional, **options}
    truth = theirs(stack.inputs, stack.hidden, dtype=torch.float64, **options)
    modules = {peers.LONGSPAN: ours, peers.TORCH: theirs}
    x = torch.randn(stack.steps, stack.batch, stack.inputs, dtype=torch.float64)
    grad = torch.randn(stack.steps, stack.batch, stack.hidden * (2 if stack.bidirectional else 1), dtype=torch.float64)
    expected = peers.gradients(truth, x.clone().requires_grad_(), grad)
    calls = {}
    for name, kind in modules.items():
        module = kind(stack.inputs, stack.hidden, **options)
        module.load_state_dict(truth.state_dict())
        calls[name] = partial(peers.gradients, module, x.float().requires_grad_(), grad.float())
    error = check(calls[peers.LONGSPAN](), expected, WITHIN[torch.float32])
    found = contest(calls, plan.effort)
    return {"against torch": found.speedup(peers.LONGSPAN, peers.TORCH), "error": error, **found.record()}


def _run_stacks(plan: Plan) -> Iterator[Record]:
    for stack in STACKED:
        yield measured(STACKS, stack.describe(), partial(_measure, stack, plan, LSTM, nn.LSTM, {}))


def _run_cells(plan: Plan) -> Iterator[Record]:
    for name, (ours, theirs, options) in OTHERS.items():
        for stack in (Stack(32, 100, 8, 64), Stack(32, 200, 32, 128)):
            what = {"cell": name, **stack.describe()}
            yield measured(CELLS, what, partial(_measure, stack, plan, ours, theirs, options))


def cases() -> dict[str, Callable[[Plan], Iterator[Record]]]:
    """Return the cases by name."""
    return {STACKS: _run_stacks, CELLS: _run_cells}
