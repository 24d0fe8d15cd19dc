"""Forgetting curve and memory capacity: what the state keeps of the past."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.errors import ParameterError
from longspan.memory._anchors import Anchors, Ints, Steps, as_seed, draw_anchors
from longspan.memory._subject import Subject
from longspan.memory.context import check_can_replace
from longspan.memory.curves import ForgettingCurve, MemoryCapacity
from longspan.memory.gates import slot_traces, states_of, trace_slot
from longspan.memory.gradients import _curve, tapped
from longspan.nn._recurrent import check_positive
from longspan.ops import row_index
from longspan.tasks import SequenceNetwork

Array = NDArray[np.float64]


def forgetting_curve(model: Any, X: Any, *, n_pairs: int = 64, random_state: Any = None) -> ForgettingCurve:
    """Return R(n): how far two states still lie apart n steps after different pasts.

    Each sequence runs twice: as it is, and with its first half replaced by another sequence's. From then on both see
    the same inputs. ``R(n) = |S_n - S*_n| / |S_0 - S*_0|``, with S all that the forward direction carries, in all
    layers. A network that forgets brings both to the same state; one that latches does not.

    Parameters
    ----------
    model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        A recurrent one.
    X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
        Two sequences or more.
    n_pairs : int
        Sequences that are looked at.
    random_state : int, Generator, RandomState or None
        Seed of which.

    Returns
    -------
    ForgettingCurve

    Raises
    ------
    ParameterError
        A feed-forward network carries no state, and a decoder reads more than one sequence.
    DataError
        X cannot be read, or there is one sequence only.

    Examples
    --------
    >>> from longspan.nn import LSTM
    >>> X = np.random.default_rng(0).normal(size=(8, 40, 1))
    >>> curve = forgetting_curve(LSTM(1, 8), X, random_state=0)
    >>> float(curve.median[0]), bool(curve.median[15] < 0.1)
    (1.0, True)
    """
    subject = Subject.of(model)
    subject.recurrent("forgetting_curve")
    if not subject.is_one_stream:
        raise ParameterError(
            "forgetting_curve gives a network two pasts, but a decoder has its past from a source, too.\n"
            "  Use context_ablation or lag_occlusion, which look at what it generates."
        )
    sequences = subject.read(X)
    rng = as_seed(random_state)
    anchors = draw_anchors(subject.changed(per_step=False), sequences, None, at_most=n_pairs, rng=rng)
    return measure_forgetting(subject, anchors)


def measure_forgetting(subject: Subject, anchors: Anchors) -> ForgettingCurve:
    """Measure R(n) after the middle of each sequence; anchors are at the ends."""
    check_can_replace(anchors)
    stride = subject.stride
    # The prefix ends at a whole step of the cell, and leaves one at least.
    split = (anchors.length // stride) // 2 * stride
    pieces = []
    own = slot_traces(subject, anchors, forward_only=True)
    other = slot_traces(subject, anchors, partial(_other_before, split=split), forward_only=True)
    for part, (batch_sizes, traces), (_, others) in zip(anchors.chunks(), own, other, strict=True):
        apart = torch.cat([states_of(a) - states_of(b) for (_, a), (_, b) in zip(traces, others, strict=True)], dim=-1)
        step, column, _ = row_index(batch_sizes)
        since = step - torch.from_numpy(split[part] // stride)[column] + 1
        distance = apart.norm(dim=-1).double().cpu()
        table = np.full((part.stop - part.start, int(since.max()) + 1), np.nan)
        after = (since >= 0).numpy()
        table[column.numpy()[after], since.numpy()[after]] = distance.numpy()[after]
        pieces.append(table)
    width = max(table.shape[1] for table in pieces)
    table = np.concatenate([np.pad(t, ((0, 0), (0, width - t.shape[1])), constant_values=np.nan) for t in pieces])
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(table[:, :1] > 0, table / table[:, :1], np.nan)
    relative = relative[~np.isnan(relative[:, 0])]
    if not len(relative):
        return ForgettingCurve(np.arange(0), *np.zeros((3, 0)))
    curve = _curve(relative, stride)
    return ForgettingCurve(curve.lags, curve.median, curve.lower, curve.upper)


def _other_before(steps: Steps, split: Ints) -> Ints:
    """Return the rows with another sequence's in the place of those before the split."""
    return np.where(steps.step < split[steps.anchor], steps.other, steps.own)


def memory_capacity(
    model: Any,
    *,
    max_lag: int | None = None,
    n_steps: int = 6000,
    low: float = -1.0,
    high: float = 1.0,
    ridge: float = 1e-6,
    random_state: Any = None,
) -> MemoryCapacity:
    """Return how well a random input can be read off the state again, lag by lag, and the sum.

    One long sequence of independent numbers runs through the network, the same number into each channel, and the number
    of k steps ago is told from the state by ridge regression. Half of the steps are learned from; r2 is that of the
    others.

    Parameters
    ----------
    model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        A recurrent one without a stem that leaves out steps; of several layers the state is that of all, forward.
    max_lag : int, optional
        Longest lag; by default twice the number of states, at most 1,000.
    n_steps : int
        Steps of the sequence.
    low, high : float
        The numbers are uniform between these; standard deviations above the mean of each channel, where the network
        knows them.
    ridge : float
        Penalty, relative to the variance of the states.
    random_state : int, Generator, RandomState or None
        Seed of the numbers.

    Returns
    -------
    MemoryCapacity

    Raises
    ------
    ParameterError
        The network carries no state or leaves out steps, or there are too few steps for the lags.

    References
    ----------
    Jaeger 2002, "Short term memory in echo state networks", GMD report 152.

    Examples
    --------
    >>> from longspan.nn import LSTM
    >>> capacity = memory_capacity(LSTM(1, 8), n_steps=2000, random_state=0)
    >>> bool(0 < capacity.total <= 16), bool(capacity.r2[0] > capacity.r2[-1])
    (True, True)
    """
    subject = Subject.of(model)
    subject.recurrent("memory_capacity")
    if subject.task in ("decode", "forecast"):
        raise ParameterError(
            f"memory_capacity gives a network one long sequence of random numbers, which is no input of a "
            f"{type(model).__name__}.\n  Use context_ablation or lag_occlusion, or pass its recurrent layers alone."
        )
    if subject.stride > 1:
        raise ParameterError(f"the stem leaves {subject.stride} steps as one, so that no single one can be read back.")
    check_positive("n_steps", n_steps)
    rng = as_seed(random_state)
    probe = rng.uniform(low, high, size=int(n_steps))
    states = _driven(subject, probe)
    if max_lag is None:
        max_lag = min(2 * states.shape[1], 1000)
    check_positive("max_lag", max_lag)
    if n_steps < 4 * max_lag:
        raise ParameterError(
            f"n_steps is {n_steps}, too few for lags up to {max_lag}: it must be {4 * max_lag} or more."
        )
    r2 = _recalled(states, probe, int(max_lag), ridge)
    return MemoryCapacity(np.arange(int(max_lag) + 1), r2, float(r2.sum()))


def _driven(subject: Subject, probe: Array) -> Array:
    """Return the states that a sequence of numbers drives the network through, shape (T, states)."""
    network = subject.network
    if isinstance(network, SequenceNetwork):
        size = network.config.input_size
        mean, scale = network.views.mean.cpu().double().numpy(), network.views.scale.cpu().double().numpy()
        values = mean + scale * probe[:, None]
    else:
        size = subject.cell.input_size
        values = np.repeat(probe[:, None], size, axis=1)
    rows = torch.from_numpy(values).to(subject.device, subject.dtype)
    inputs = PackedSequence(rows, torch.ones(len(probe), dtype=torch.int64))
    with torch.no_grad(), tapped(subject) as tap:
        subject.answers(inputs, np.array([len(probe) - 1]), np.zeros(1, np.int64))
    found: list[Tensor] = [] if tap is None else [states_of(trace_slot(tap, s)) for s in tap.slots if not s.backward]
    return torch.cat(found, dim=-1).double().cpu().numpy()


def _recalled(states: Array, probe: Array, max_lag: int, ridge: float) -> Array:
    """Return r2 of each lag, on steps that the regression was not fitted on."""
    states, wanted = states[max_lag:], np.stack([probe[max_lag - k : len(probe) - k] for k in range(max_lag + 1)], 1)
    half = len(states) // 2
    mean, target_mean = states[:half].mean(axis=0), wanted[:half].mean(axis=0)
    known, asked = states[:half] - mean, states[half:] - mean
    gram = known.T @ known
    penalty = ridge * np.trace(gram) / len(gram)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), known.T @ (wanted[:half] - target_mean))
    given, truth = asked @ weights, wanted[half:] - wanted[half:].mean(axis=0)
    given = given - given.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = (given * truth).sum(axis=0) ** 2 / ((given**2).sum(axis=0) * (truth**2).sum(axis=0))
    # The squared correlation of two unrelated runs of n numbers is 1/n on average, and is no memory.
    return np.where(np.nan_to_num(r2) > 10 / len(truth), np.nan_to_num(r2), 0.0)
