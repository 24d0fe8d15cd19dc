"""Gradient by lag and input influence, which say whether a network can learn over a lag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.errors import ParameterError
from longspan.memory._adjoint import Slot, Tap, walk_back
from longspan.memory._anchors import Anchors, as_seed, draw_anchors
from longspan.memory._subject import Subject
from longspan.memory.curves import LagCurve
from longspan.nn._recurrent import Recurrent
from longspan.ops import row_index

VANISHED = 0.01
"""A gradient of less than this share of that at lag 0 has vanished."""

EXPLODED = 10.0
"""A gradient of more than so many times that at lag 0 has exploded."""

_ROWS_AT_ONCE = 1 << 19

_FEWEST = 0.25
"""Lags are shown as far as this share of the anchors reaches."""

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class LagNorms(NamedTuple):
    """Norms of gradients for each anchor and lag, NaN where the sequence does not go back so far.

    Attributes
    ----------
    state : ndarray, shape (A, K), or None
        Of the gradient of the output by the state; lags in steps of the cell.
    input : ndarray, shape (A, T), or None
        Of the gradient of the output by the input, in standard deviations of the input.
    """

    state: Array | None
    input: Array | None

    @property
    def silent(self) -> bool:
        """Whether no output depends on what was carried, or without states on any input: there is nothing to follow."""
        found = self.input if self.state is None else self.state[:, :1]
        return found is not None and not np.nan_to_num(found, posinf=1.0).any()


def gradient_by_lag(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    layer: int | None = None,
    direction: str | None = None,
    n_anchors: int = 256,
    random_state: Any = None,
) -> LagCurve:
    """Return G(k): how much of the gradient reaches the state k steps before an output.

    ``G(k) = |dy_T/dS_{T-k}| / |dy_T/dS_T|``, with S all that is carried from step to step (h and c of an LSTM, h of the
    others) and y a random projection of the outputs at T, not a loss: what is asked is how far a gradient gets, not how
    large the error is. All lags of all outputs cost one pass forward and one back.

    Parameters
    ----------
    model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        Is left as it is. Outputs are read where it reads them: what a network pools over steps is part of y.
    X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
        Sequences.
    y : targets, optional
        Of a network with one class a step: steps are then drawn evenly over the classes.
    layer : int, optional
        The layer whose states are measured, from 0; those of all layers together by default.
    direction : {"forward", "backward"}, optional
        The direction whose states are measured; both together by default.
    n_anchors : int
        Outputs that are looked at, A: the ends of sequences, and then earlier steps in their second halves.
    random_state : int, Generator, RandomState or None
        Seed of what is drawn.

    Returns
    -------
    LagCurve
        Each anchor's G(k) relative to its own G(0): median and quartiles over the anchors that go back so far.

    Raises
    ------
    ParameterError
        A feed-forward network carries no state; the layer or the direction is not there.
    DataError
        X cannot be read, or the network makes NaN of it.

    References
    ----------
    Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks".

    Examples
    --------
    >>> from longspan.nn import LSTM
    >>> curve = gradient_by_lag(LSTM(1, 8), np.random.default_rng(0).normal(size=(4, 30, 1)), random_state=0)
    >>> curve.lags[:3], bool(curve.median[20] < curve.median[0])
    (array([0, 1, 2]), True)
    """
    subject = Subject.of(model)
    watched = watched_slots(subject.recurrent("gradient_by_lag"), layer, direction)
    anchors, rng = _anchors(subject, X, y, n_anchors, random_state)
    norms = lag_norms(subject, anchors, rng, watched=watched)
    return state_curve(norms, subject, measured=in_words(subject, layer, direction))


def input_influence(model: Any, X: Any, y: Any = None, *, n_anchors: int = 256, random_state: Any = None) -> LagCurve:
    """Return I(k), the norm of the gradient of an output by the input k steps before it.

    Inputs are counted in standard deviations of their channels, where the network knows them. Feed-forward networks
    have an influence too: it ends at their window.

    Parameters
    ----------
    model, X, y, n_anchors, random_state
        As in `gradient_by_lag`.

    Returns
    -------
    LagCurve
        Not relative to anything.

    Examples
    --------
    >>> from longspan.nn import FeedForward
    >>> influence = input_influence(FeedForward(1, 8, window=3), np.ones((2, 6, 1)), random_state=0)
    >>> (influence.median > 0).tolist()
    [True, True, True, False, False, False]
    """
    subject = Subject.of(model)
    if not subject.has_input_gradient:
        raise ParameterError(
            "input_influence is a gradient by the numbers that a network reads, but a decoder reads symbols, or what\n"
            "  it generated itself. Use context_ablation or lag_occlusion, which replace them."
        )
    anchors, rng = _anchors(subject, X, y, n_anchors, random_state)
    return influence_curve(lag_norms(subject, anchors, rng))


def _anchors(
    subject: Subject, X: Any, y: Any, n_anchors: int, random_state: Any
) -> tuple[Anchors, np.random.Generator]:
    rng = as_seed(random_state)
    sequences, targets = subject.read_both(X, y)
    return draw_anchors(subject, sequences, targets, at_most=n_anchors, rng=rng, spread=True), rng


def watched_slots(cell: Recurrent, layer: int | None, direction: str | None) -> Callable[[Slot], bool]:
    """Return what says of a layer and direction whether it is measured."""
    if layer is not None and layer not in range(cell.num_layers):
        raise ParameterError(f"layer is {layer!r}, but the network has layers 0 to {cell.num_layers - 1}.")
    there = ("forward", "backward")[: cell.num_directions]
    if direction is not None and direction not in there:
        raise ParameterError(f"direction is {direction!r}, but the network has {' and '.join(map(repr, there))}.")

    def watched(slot: Slot) -> bool:
        at_layer = layer is None or slot.layer == layer
        return at_layer and (direction is None or slot.backward == (direction == "backward"))

    return watched


def in_words(subject: Subject, layer: int | None = None, direction: str | None = None) -> str:
    """Say which states are measured."""
    cell = subject.cell
    if not isinstance(cell, Recurrent):
        return "the inputs of a feed-forward network"
    parts = "h and c" if subject.kind == "lstm" else "h"
    layers = f"layer {layer}" if layer is not None else f"all {cell.num_layers} layers"
    if cell.num_layers == 1:
        layers = "the layer"
    if not cell.bidirectional:
        return f"{parts} of {layers}"
    return f"{parts} of {layers}, {'both directions' if direction is None else direction}"


def lag_norms(
    subject: Subject,
    anchors: Anchors,
    rng: np.random.Generator,
    *,
    watched: Callable[[Slot], bool] = lambda slot: True,
) -> LagNorms:
    """Return the norms of the gradients of the outputs at some anchors, by states and by inputs."""
    steps_back = anchors.longest
    state = None
    if isinstance(subject.cell, Recurrent):
        state = np.full((len(anchors), -(-steps_back // subject.stride)), np.nan)
    inputs = np.full((len(anchors), steps_back), np.nan) if subject.has_input_gradient else None
    for part in anchors.chunks(_ROWS_AT_ONCE):
        rows, at, sequence = anchors.inputs(subject, part), anchors.at[part], anchors.sequence[part]
        data = rows.data.requires_grad_()
        with tapped(subject) as tap:
            summed = _projected(subject.answers(rows, at, sequence), rng).sum()
            by_input = None
            if tap is None and inputs is not None:
                by_input = _by_input(summed, data)
            elif tap is not None and state is not None:
                norms, by_input = _through(tap, summed, data, watched, to_input=inputs is not None)
                which, ends = subject.at_cell(at, sequence)
                _place(state[part], norms, tap.batch_sizes, ends, which)
        if inputs is not None and by_input is not None:
            norms = (by_input * subject.scale).norm(dim=-1)
            _place(inputs[part], norms, rows.batch_sizes, at, np.arange(len(at)))
    return LagNorms(state, inputs)


def _by_input(summed: Tensor, data: Tensor) -> Tensor:
    """Return the gradient by the input; zero where the outputs do not depend on it at all."""
    return torch.autograd.grad(summed, data, allow_unused=True, materialize_grads=True)[0]


def _through(
    tap: Tap, summed: Tensor, data: Tensor, watched: Callable[[Slot], bool], *, to_input: bool
) -> tuple[Tensor, Tensor | None]:
    """Return the norms at the states, and the gradient by the input."""
    # What is pooled of the stem goes past the recurrent layers.
    made, past = torch.autograd.grad(
        summed, [tap.made, data], allow_unused=True, materialize_grads=True, retain_graph=True
    )
    norms, below = walk_back(tap, made.reshape(-1, made.shape[-1]), watched=watched)
    return norms, torch.autograd.grad(tap.given, data, below)[0] + past if to_input else None


@contextmanager
def tapped(subject: Subject) -> Iterator[Tap | None]:
    """Put a tap in the place of the recurrent layers, of which there may be none."""
    cell, (owner, name) = subject.cell, subject.place
    if not isinstance(cell, Recurrent):
        yield None
        return
    tap = Tap(cell)
    try:
        setattr(owner, name, tap)
        yield tap
    finally:
        setattr(owner, name, cell)


def _projected(outputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a random projection of each output, on a unit vector."""
    directions = rng.standard_normal(outputs.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return (outputs * torch.from_numpy(directions).to(outputs)).sum(dim=-1)


def _place(matrix: Array, norms: Tensor, batch_sizes: Tensor, at: Ints, which: Ints) -> None:
    """Write the norm of each packed row at its anchor and lag; `at` and `which` are those of the packed sequences."""
    step, column, _ = row_index(batch_sizes)
    lag = torch.from_numpy(at)[column] - step
    past = (lag >= 0).numpy()
    found = norms.detach().cpu().double().numpy()[past]
    # What overflowed on its way has exploded: infinite times nothing is no number, and no small one.
    matrix[which[column.numpy()[past]], lag.numpy()[past]] = np.where(np.isnan(found), np.inf, found)


# Curves ---------------------------------------------------------------------------------------------------------------


def state_curve(norms: LagNorms, subject: Subject, measured: str = "") -> LagCurve:
    """Return G(k) over the lags that enough anchors reach."""
    state = np.zeros((0, 0)) if norms.state is None else norms.state
    first = state[:, :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(first > 0, state / first, np.where(np.isnan(state), np.nan, 0.0))
    relative = np.where(np.isnan(relative) & ~np.isnan(state), np.inf, relative)  # both too large for a number
    return _curve(relative, subject.stride, mean_of=state, measured=measured)


def influence_curve(norms: LagNorms) -> LagCurve:
    """Return I(k) over the lags that enough anchors reach."""
    return _curve(np.zeros((0, 0)) if norms.input is None else norms.input, 1, measured="the inputs")


def _curve(values: Array, stride: int, *, mean_of: Array | None = None, measured: str = "") -> LagCurve:
    count = (~np.isnan(values)).sum(axis=0)
    reached = int((count >= max(1, _FEWEST * len(values))).sum())
    values, count = values[:, :reached], count[:reached]
    with np.errstate(invalid="ignore"):  # between two that are infinite
        lower, median, upper = np.nanquantile(values, [0.25, 0.5, 0.75], axis=0)
        mean = np.nanmean(values if mean_of is None else mean_of[:, :reached], axis=0)
        if mean_of is not None:
            mean = mean / mean[0] if mean[0] > 0 else mean
    lags = np.arange(reached) * stride
    return LagCurve(lags, median, lower, upper, mean, count, measured)


def first_below(curve: LagCurve, values: Array, share: float = VANISHED) -> float:
    """Return the first lag at which values are below a share, or infinity."""
    below = np.flatnonzero(values < share)
    return float(curve.lags[below[0]]) if len(below) else np.inf


def first_above(curve: LagCurve, limit: NDArray[np.floating[Any]] | float = EXPLODED) -> float | None:
    """Return the first lag at which the median is above a limit."""
    above = np.flatnonzero(curve.median > limit)
    return float(curve.lags[above[0]]) if len(above) else None
