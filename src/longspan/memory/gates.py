"""Gate time constants and gate saturation: what the units of a network keep, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.errors import ParameterError
from longspan.memory._adjoint import Slot, Stepper, Tap, Trace, state_of
from longspan.memory._anchors import Anchors, Replace, as_seed, draw_anchors
from longspan.memory._subject import Subject
from longspan.memory.curves import GateSaturation, TimeConstants
from longspan.memory.gradients import tapped
from longspan.nn import LSTM, RNN
from longspan.nn._recurrent import Recurrent
from longspan.ops import LSTMTrace
from longspan.ops.packing import reverser

Array = NDArray[np.float64]

QUANTILES = (10, 25, 50, 75, 90)

_SHUT, _OPEN = 0.1, 0.9

_SMALLEST = 1e-30
"""A gate below this forgets everything at once; its logarithm need not be known better."""


def time_constants(
    model: Any, X: Any, y: Any = None, *, n_sequences: int = 64, random_state: Any = None
) -> TimeConstants:
    """Return after how many steps each unit has forgotten all but 1/e, as its forget gate has it.

    ``tau = -1 / mean_t log f_t`` of the forget gate of an LSTM, or of the update gate of a GRU, which is what it keeps.
    Zoneout, which keeps a share d of the cell state, counts: the gate is then ``d + (1 - d) f``.

    Parameters
    ----------
    model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        An LSTM or a GRU.
    X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
        Sequences.
    y : targets, optional
        Of a decoder, which reads them as it generates them.
    n_sequences : int
        How many of them are looked at.
    random_state : int, Generator, RandomState or None
        Seed of which.

    Returns
    -------
    TimeConstants
        Of the units of all layers and directions, in steps of the data.

    Raises
    ------
    ParameterError
        The network has no such gate.
    DataError
        X cannot be read.

    Examples
    --------
    >>> lstm = LSTM(1, 4)
    >>> for weight in lstm.parameters():
    ...     _ = torch.nn.init.zeros_(weight)
    >>> time_constants(lstm, np.ones((2, 5, 1))).tau.round(3)  # f = 1/2: -1 / log(1/2)
    array([1.443, 1.443, 1.443, 1.443])
    """
    subject, anchors = _looked_at(model, X, y, "time_constants", n_sequences, random_state)
    return measure_gates(subject, anchors)[0]


def gate_saturation(
    model: Any, X: Any, y: Any = None, *, n_sequences: int = 64, random_state: Any = None
) -> GateSaturation:
    """Return how often each gate of each unit is nearly shut (below 0.1), and nearly open (above 0.9).

    Parameters
    ----------
    model, X, y, n_sequences, random_state
        As in `time_constants`.

    Returns
    -------
    GateSaturation

    Raises
    ------
    ParameterError, DataError
        As in `time_constants`.

    References
    ----------
    Karpathy, Johnson & Li 2016, "Visualizing and understanding recurrent networks".

    Examples
    --------
    >>> found = gate_saturation(LSTM(1, 4), np.ones((2, 5, 1)))
    >>> found.gates, found.shut.shape
    (('i', 'f', 'o'), (3, 4))
    """
    subject, anchors = _looked_at(model, X, y, "gate_saturation", n_sequences, random_state)
    return measure_gates(subject, anchors)[1]


def _looked_at(
    model: Any, X: Any, y: Any, purpose: str, n_sequences: int, random_state: Any
) -> tuple[Subject, Anchors]:
    subject = Subject.of(model)
    if isinstance(subject.recurrent(purpose), RNN):
        raise ParameterError(
            f"{purpose} is a measure of gates, and a simple recurrent network has none.\n"
            f"  Use forgetting_curve or gradient_by_lag, which look at its state."
        )
    sequences, _ = subject.read_both(X, y)
    rng = as_seed(random_state)
    return subject, draw_anchors(subject, sequences, None, at_most=n_sequences, rng=rng)


def measure_gates(subject: Subject, anchors: Anchors) -> tuple[TimeConstants, GateSaturation]:
    """Measure time constants and saturation in one pass."""
    cell = subject.recurrent("time_constants")
    is_lstm = isinstance(cell, LSTM)
    names = ("i", "f", "o") if is_lstm else ("r", "z")
    slots = [(layer, suffix) for layer, suffix in cell._slots]
    keep = cell.zoneout[1] if isinstance(cell, LSTM) else 0.0
    logs = np.zeros((len(slots), cell.hidden_size))
    shut, opened = np.zeros((2, len(names), len(slots), cell.hidden_size))
    steps = 0
    for _, traces in slot_traces(subject, anchors):
        steps += len(traces[0][1].h)
        for place, (_, trace) in enumerate(traces):
            forget = getattr(trace, "f" if is_lstm else "z").double()
            logs[place] += _sum((keep + (1 - keep) * forget).clamp(min=_SMALLEST).log())
            for number, name in enumerate(names):
                gate = getattr(trace, name)
                shut[number, place] += _sum((gate < _SHUT).double())
                opened[number, place] += _sum((gate > _OPEN).double())
    layer = np.repeat([layer for layer, _ in slots], cell.hidden_size)
    backward = np.repeat(["_reverse" in suffix for _, suffix in slots], cell.hidden_size)
    with np.errstate(divide="ignore"):
        tau = subject.stride / -(logs / steps).ravel()
    quantiles = {f"{share}%": float(np.quantile(tau, share / 100, method="nearest")) for share in QUANTILES}
    constants = TimeConstants(tau, _from_bias(cell) * subject.stride, layer, backward, quantiles, names[1])
    flat = (len(names), -1)
    return constants, GateSaturation(
        names, (shut / steps).reshape(flat), (opened / steps).reshape(flat), layer, backward
    )


def _sum(values: Tensor) -> Array:
    total: Array = values.sum(dim=0).cpu().numpy()
    return total


def _from_bias(cell: Recurrent) -> Array:
    """Return the time constants that the biases alone would give; without biases those of a gate of one half."""
    block = cell.gates.index("f" if isinstance(cell, LSTM) else "z")
    found = []
    for _, suffix in cell._slots:
        weights = cell._fields_of(suffix)
        bias = torch.zeros(cell.hidden_size, dtype=torch.float64)
        for name in ("b_ih", "b_hh"):
            if name in weights:
                bias = bias + weights[name].chunk(len(cell.gates))[block].double().cpu()
        found.append(1.0 / torch.nn.functional.softplus(-bias))
    return torch.cat(found).numpy()


def slot_traces(
    subject: Subject, anchors: Anchors, replace: Replace | None = None, *, forward_only: bool = False
) -> Iterator[tuple[Tensor, list[tuple[Slot, Trace]]]]:
    """Yield, for some anchors at a time, the batch sizes, and gates and states of each layer and direction, packed."""
    for part in anchors.chunks():
        with torch.no_grad(), tapped(subject) as tap:
            subject.answers(anchors.inputs(subject, part, replace), anchors.at[part], anchors.sequence[part])
        if tap is not None:
            slots = [slot for slot in tap.slots if not (forward_only and slot.backward)]
            yield tap.batch_sizes, [(slot, trace_slot(tap, slot)) for slot in slots]


@torch.no_grad()
def trace_slot(tap: Tap, slot: Slot) -> Trace:
    """Return gates and states of every step of one layer and direction."""
    turn = reverser(tap.batch_sizes, slot.rows.device) if slot.backward else (lambda rows: rows)
    stepper = Stepper.of(tap.cell, slot.suffix)
    state = slot.start
    records = []
    for projected in torch.split(stepper.project(turn(slot.rows)), tap.batch_sizes.tolist()):
        records.append(stepper.step(projected, tuple(field[: len(projected)] for field in state)))
        state = state_of(records[-1])
    joined = [turn(torch.cat(fields)) for fields in zip(*records, strict=True)]
    return type(records[0])(*joined)


def states_of(trace: Trace) -> Tensor:
    """Return all that is carried from step to step, side by side, (R, features)."""
    return torch.cat([trace.h, trace.c], dim=-1) if isinstance(trace, LSTMTrace) else trace.h
