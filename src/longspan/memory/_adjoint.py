"""Gradients that reach the state at every step, by one walk back through the layers.

The whole of ``dy/dS_t``, for all t and for many outputs y at once, costs one pass forward and one pass back: each
output is that of one sequence of a packed batch, and what is propagated back through a step is the gradient of the
states of all of them. The steps are those of the reference equations. They are differentiated in segments, each run
again from the state at its beginning, so that memory stays bounded however long the sequences are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from longspan import ops
from longspan.nn import GRU, LSTM
from longspan.nn._layout import read_input
from longspan.nn._recurrent import Recurrent, by_direction
from longspan.ops import GRUTrace, LSTMState, LSTMTrace, RNNTrace
from longspan.ops.lstm import _project
from longspan.ops.packing import reverser

_NUMBERS_AT_ONCE = 1 << 25
"""Numbers that the graph of a segment may hold, about."""

_NUMBERS_A_UNIT = 24
"""Numbers that a step of one unit leaves in the graph, about."""

State = tuple[Tensor, ...]
Trace = LSTMTrace | GRUTrace | RNNTrace


@dataclass(frozen=True)
class Stepper:
    """One layer in one direction, a step at a time by the reference equations.

    Attributes
    ----------
    project : callable
        Makes of rows of the input what needs no state.
    step : callable
        Takes a row of that and the state, and gives gates and states after the step.
    """

    project: Callable[[Tensor], Tensor]
    step: Callable[[Tensor, State], Trace]

    @classmethod
    def of(cls, cell: Recurrent, suffix: str) -> Stepper:
        """Return the steps of the layer whose weights have this suffix."""
        if isinstance(cell, LSTM):
            own = cell._weights(suffix)
            zoneout = None if cell.zoneout == (0.0, 0.0) else ops.Zoneout(*cell.zoneout)

            def lstm(row: Tensor, state: State) -> Trace:
                return ops.lstm_step(row, LSTMState(*state), weights=own, coupled=cell.coupled, zoneout=zoneout)

            return cls(lambda rows: _project(rows, own), lstm)
        weights: ops.RNNWeights = cell._weights(suffix)
        if isinstance(cell, GRU):
            reset = cell.reset

            def gru(row: Tensor, state: State) -> Trace:
                return ops.gru_step(row, state[0], weights=weights, reset=reset)

            return cls(lambda rows: linear(rows, weights.w_ih, weights.b_ih), gru)

        def rnn(row: Tensor, state: State) -> Trace:
            return ops.rnn_step(row, state[0], w_hh=weights.w_hh, nonlinearity=str(cell.nonlinearity))

        bias = None if weights.b_ih is None or weights.b_hh is None else weights.b_ih + weights.b_hh
        return cls(lambda rows: linear(rows, weights.w_ih, bias), rnn)


def state_of(record: Trace) -> State:
    """Return what is carried to the next step."""
    return (record.h, record.c) if isinstance(record, LSTMTrace) else (record.h,)


@dataclass(frozen=True)
class Slot:
    """A layer in one direction, with what it was given: rows, and the state before the first step."""

    layer: int
    suffix: str
    rows: Tensor
    start: State

    @property
    def backward(self) -> bool:
        """Whether it reads the sequences backwards."""
        return "_reverse" in self.suffix


def run_stack(
    cell: Recurrent, rows: Tensor, sizes: Tensor, starts: list[State]
) -> tuple[Tensor, list[State], list[Slot]]:
    """Run the layers by their kernels; return output, final states, and what each layer and direction was given."""
    slots: list[Slot] = []
    finals = []
    for layer, state in enumerate(starts):
        suffixes = [suffix for at, suffix in cell._slots if at == layer]
        each = by_direction(state) if cell.bidirectional else [state]
        slots += [Slot(layer, suffix, rows, start) for suffix, start in zip(suffixes, each, strict=True)]
        rows, final, _ = cell._run_directions(rows, sizes, state, layer, trace=False)
        finals.append(final)
    return rows, finals, slots


class Tap(nn.Module):
    """Stands in for recurrent layers, runs them, and keeps what the way back needs.

    Attributes
    ----------
    given : Tensor, shape (R, I)
        Rows that came in, with the graph that they came from.
    made : Tensor, shape (R, features)
        Rows that went out, a leaf of the graph.
    slots : list of Slot
        What each layer and direction was given.
    batch_sizes : Tensor, shape (T,)
        How the rows are packed.
    """

    def __init__(self, cell: Recurrent) -> None:
        super().__init__()
        self.cell = cell

    def __getattr__(self, name: str) -> Any:
        """Answer for the layers whoever asks for their sizes or weights."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "cell":
                raise
            return getattr(self.cell, name)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run the layers from a state, of zeros where there is none; return the output and the final state."""
        rows, layout = read_input(input, lengths=None, batch_first=self.cell.batch_first, features=self.cell.input_size)
        self.given = rows.reshape(-1, rows.shape[-1])
        self.batch_sizes = layout.batch_sizes
        before = (hx,) if isinstance(hx, Tensor) else hx
        with torch.no_grad():
            starts = self.cell._initial_states(before, layout, self.given, self.given.dtype)
            made, finals, self.slots = run_stack(self.cell, self.given.detach(), self.batch_sizes, starts)
            final = self.cell._final_states(finals, layout)
        self.made = made.requires_grad_()
        return layout.restore(self.made), final if len(final) > 1 else final[0]


def walk_back(tap: Tap, grad: Tensor, *, watched: Callable[[Slot], bool]) -> tuple[Tensor, Tensor]:
    """Propagate the gradient of the outputs back through all layers.

    Parameters
    ----------
    tap : Tap
        After its forward pass.
    grad : Tensor, shape (R, features)
        Gradient that reaches the output of each step from above.
    watched : callable
        Says of a layer and direction whether its states are measured.

    Returns
    -------
    norms : Tensor, shape (R,)
        Norm of the gradient that reaches the watched states at each step. A state enters the next step of its layer;
        that of the last layer is also the output.
    grad : Tensor, shape (R, I)
        Gradient that reaches the input.
    """
    cell = tap.cell
    squares = grad.new_zeros(len(grad))
    above = grad
    top = cell.num_layers - 1
    for layer in reversed(range(cell.num_layers)):
        slots = [slot for slot in tap.slots if slot.layer == layer]
        parts = above.chunk(len(slots), dim=-1)
        below: list[Tensor] = []
        for slot, part in zip(slots, parts, strict=True):
            turn = reverser(tap.batch_sizes, grad.device) if slot.backward else _as_it_is
            found, reached = _layer_back(cell, slot, turn(part), tap.batch_sizes, turn, direct=layer == top)
            if watched(slot):
                squares += turn(found.unsqueeze(1)).squeeze(1)
            below.append(turn(reached))
        above = torch.stack(below).sum(0)
    return squares.sqrt(), above


def _as_it_is(rows: Tensor) -> Tensor:
    return rows


def _layer_back(
    cell: Recurrent, slot: Slot, grad: Tensor, sizes: Tensor, turn: Callable[[Tensor], Tensor], *, direct: bool
) -> tuple[Tensor, Tensor]:
    """Return squared norms (R,) and gradients of the input (R, I) of one layer, in the order of its own walk."""
    rows = turn(slot.rows)
    stepper = Stepper.of(cell, slot.suffix)
    segments = list(_segments(cell, sizes))
    starts = _starts(cell, slot, rows, segments)
    norms, grads = [], []
    carried: State | None = None
    for (part, steps), start in zip(reversed(segments), reversed(starts), strict=True):
        norm, reached, carried = _segment_back(stepper, rows[part], steps, start, grad[part], carried, direct=direct)
        norms.append(norm)
        grads.append(reached)
    return torch.cat(norms[::-1]), torch.cat(grads[::-1])


def _segments(cell: Recurrent, sizes: Tensor) -> Iterable[tuple[slice, Tensor]]:
    """Yield runs of steps, as rows and as batch sizes, whose graph fits."""
    at_once = max(1, _NUMBERS_AT_ONCE // (_NUMBERS_A_UNIT * cell.hidden_size))
    row, begin = 0, 0
    total = int(sizes[0])
    for step in range(1, len(sizes) + 1):
        if step == len(sizes) or total + int(sizes[step]) > at_once:
            yield slice(row, row + total), sizes[begin:step]
            row, begin = row + total, step
            total = 0
        total += int(sizes[step]) if step < len(sizes) else 0


def _starts(cell: Recurrent, slot: Slot, rows: Tensor, segments: list[tuple[slice, Tensor]]) -> list[State]:
    """Return the state before each segment, of the sequences that reach it."""
    state = slot.start
    starts = []
    with torch.no_grad():
        for part, steps in segments:
            starts.append(tuple(field[: int(steps[0])] for field in state))
            if part.stop < len(rows):
                weights = cell._weights(slot.suffix)
                state = cell._run_layer(rows[part], steps, starts[-1], weights, reverse=False, trace=False)[1]
    return starts


def _segment_back(
    stepper: Stepper,
    rows: Tensor,
    sizes: Tensor,
    start: State,
    grad: Tensor,
    carried: State | None,
    *,
    direct: bool,
) -> tuple[Tensor, Tensor, State]:
    """Differentiate one segment: squared norms of its states, gradients of its rows and of the state before it."""
    counts = sizes.tolist()
    rows = rows.detach().requires_grad_()
    start = tuple(field.detach().requires_grad_() for field in start)
    outputs, nodes = _record(stepper, rows, counts, start)
    last = nodes[-1]
    if carried is None:
        carried = tuple(torch.zeros_like(field) for field in last)
    carried = tuple(_filled_up(field, len(node)) for field, node in zip(carried, last, strict=True))
    flat = [field for node in nodes for field in node]
    found = torch.autograd.grad(
        [*outputs, *last], [rows, *start, *flat], [*torch.split(grad, counts), *carried], allow_unused=True
    )
    of_rows, of_start, of_nodes = found[0], found[1 : 1 + len(start)], found[1 + len(start) :]
    squares = torch.zeros_like(grad[:, 0])
    for part in range(len(start)):  # h, and c where there is one
        fields, own = flat[part :: len(start)], of_nodes[part :: len(start)]
        reached = torch.cat([_or_zero(found, field) for found, field in zip(own, fields, strict=True)])
        if part == 0 and direct:
            reached = reached + grad
        squares += reached.square().sum(dim=-1)
    return squares, of_rows, tuple(_or_zero(g, field) for g, field in zip(of_start, start, strict=True))


def _record(stepper: Stepper, rows: Tensor, counts: list[int], start: State) -> tuple[list[Tensor], list[State]]:
    """Run some steps; return the output of each, and the state that it hands to the next one as a node of its own."""
    outputs, nodes = [], []
    state = start
    for projected in torch.split(stepper.project(rows), counts):
        record = stepper.step(projected, tuple(field[: len(projected)] for field in state))
        state = tuple(field.view_as(field) for field in state_of(record))
        outputs.append(record.h)
        nodes.append(state)
    return outputs, nodes


def _filled_up(grad: Tensor, count: int) -> Tensor:
    """Return a gradient of the first states as one of all, zero for those of sequences that had ended."""
    return torch.cat([grad, grad.new_zeros(count - len(grad), grad.shape[1])]) if len(grad) < count else grad


def _or_zero(grad: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if grad is None else grad
