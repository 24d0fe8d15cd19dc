"""What the measures give back: small frozen records of NumPy arrays, each of which becomes plain JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Record:
    """A measure that can be written as plain JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return dicts, lists, numbers, text and None; what is NaN or infinite becomes None."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """Return a value as JSON has it.

    Examples
    --------
    >>> plain({"a": np.float64("nan"), "b": (1, np.int64(2))})
    {'a': None, 'b': [1, 2]}
    """
    if isinstance(value, Record):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(part) for part in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class LagCurve(Record):
    """How a quantity falls with the lag: gradient by lag G(k), or input influence I(k).

    Attributes
    ----------
    lags : ndarray of int64, shape (K,)
        Lags in steps of the data, rising from 0; apart by the stride of a stem.
    median, lower, upper : ndarray, shape (K,)
        Median and quartiles over the anchors that reach the lag. G(k) is relative to each anchor's G(0); I(k) is in
        outputs per standard deviation of the inputs.
    mean : ndarray, shape (K,)
        Mean over anchors; of G(k), the mean norm at lag k over the mean norm at lag 0.
    count : ndarray of int64, shape (K,)
        Anchors that reach the lag.
    measured : str
        Of which states, in words.
    """

    lags: NDArray[np.int64]
    median: Array
    lower: Array
    upper: Array
    mean: Array
    count: NDArray[np.int64]
    measured: str = ""


@dataclass(frozen=True)
class ContextCurve(Record):
    """D(K), context ablation: what is lost where inputs older than the last K steps are another sequence's.

    Attributes
    ----------
    context : ndarray of int64, shape (K,)
        Steps that are left as they were, rising.
    loss : ndarray, shape (K,)
        D(K), the loss with them less the full loss.
    error : ndarray, shape (K,)
        Standard error of the mean of D(K) over the sequences.
    full_loss : float
        Loss with everything as it was.
    tolerance : float
        D(K) below this counts as nothing lost.
    how : {"replace", "shuffle"}
        Whether the older inputs are another sequence's, or their own in another order.
    unit : str
        What the loss is, in words: "nats", "squared error", "squared change of the output".
    """

    context: NDArray[np.int64]
    loss: Array
    error: Array
    full_loss: float
    tolerance: float
    how: str
    unit: str


@dataclass(frozen=True)
class OcclusionCurve(Record):
    """O(k), lag occlusion: what is lost where only the window [T-k-w, T-k) is another sequence's.

    Attributes
    ----------
    lags : ndarray of int64, shape (K,)
        Lag k of the newest step of each window, rising.
    width : int
        Steps of a window, w.
    loss, error : ndarray, shape (K,)
        Change of the loss, and its standard error over the sequences.
    peaks : tuple of int
        Lags of at most five windows that lose more than their neighbours, the largest loss first.
    unit : str
        As in `ContextCurve`.
    """

    lags: NDArray[np.int64]
    width: int
    loss: Array
    error: Array
    peaks: tuple[int, ...]
    unit: str


@dataclass(frozen=True)
class TimeConstants(Record):
    """Gate time constants: after how many steps a unit has forgotten all but 1/e.

    Attributes
    ----------
    tau : ndarray, shape (units,)
        ``-1 / mean_t log f``, in steps of the data, of each unit of the layers in turn (forward before backward).
    from_bias : ndarray, shape (units,)
        The same from the bias alone, ``1 / log(1 + exp(-b))``.
    layer : ndarray of int64, shape (units,)
        Layer of each unit.
    backward : ndarray of bool, shape (units,)
        Whether it reads the sequences backwards.
    quantiles : dict of str to float
        "10%", "25%", "50%", "75%", "90%" of `tau`.
    gate : str
        The gate that forgets: "f" of an LSTM, "z" of a GRU.
    """

    tau: Array
    from_bias: Array
    layer: NDArray[np.int64]
    backward: NDArray[np.bool_]
    quantiles: dict[str, float]
    gate: str

    def share_at_least(self, steps: float) -> float:
        """Return the share of units whose time constant is at least so many steps."""
        return float((self.tau >= steps).mean())


@dataclass(frozen=True)
class ForgettingCurve(Record):
    """R(n): how far two states still lie apart n steps after different pasts, with the same inputs since then.

    Attributes
    ----------
    steps : ndarray of int64, shape (K,)
        n, in steps of the data, rising from 0.
    median, lower, upper : ndarray, shape (K,)
        Median and quartiles over pairs, relative to the distance at n = 0.
    """

    steps: NDArray[np.int64]
    median: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class GateSaturation(Record):
    """How often the gates of each unit are nearly shut, and nearly open.

    Attributes
    ----------
    gates : tuple of str
        Names of the gates.
    shut, opened : ndarray, shape (gates, units)
        Share of the steps at which a gate is below 0.1, and above 0.9.
    layer, backward
        As in `TimeConstants`.
    """

    gates: tuple[str, ...]
    shut: Array
    opened: Array
    layer: NDArray[np.int64]
    backward: NDArray[np.bool_]


@dataclass(frozen=True)
class MemoryCapacity(Record):
    """How much of a random input can be read off the state again, lag by lag.

    Attributes
    ----------
    lags : ndarray of int64, shape (K,)
        From 0, the input that the state has just seen.
    r2 : ndarray, shape (K,)
        Squared correlation of the input k steps back with what a ridge regression makes of the state, on steps that
        it was not fitted on.
    total : float
        Their sum: Jaeger's memory capacity. It is at most the number of states.
    """

    lags: NDArray[np.int64]
    r2: Array
    total: float


@dataclass(frozen=True)
class WindowCurve(Record):
    """How well a small model does that sees the last W steps and nothing else.

    Attributes
    ----------
    windows : ndarray of int64, shape (K,)
        W, rising.
    loss, error : ndarray, shape (K,)
        Cross-validated loss, and the standard error of its distance from the best one.
    score : ndarray, shape (K,)
        Cross-validated accuracy, or R2.
    constant_loss : float
        Loss of the best constant.
    tolerance : float
        A loss so near to the best one is as good.
    score_name : {"accuracy", "R2"}
        What `score` is.
    """

    windows: NDArray[np.int64]
    loss: Array
    error: Array
    score: Array
    constant_loss: float
    tolerance: float
    score_name: str


@dataclass(frozen=True)
class Curves(Record):
    """All that was measured; what makes no sense for the network, or was not asked for, is None."""

    gradient: LagCurve | None = None
    gradient_at_init: LagCurve | None = None
    influence: LagCurve | None = None
    influence_at_init: LagCurve | None = None
    ablation: ContextCurve | None = None
    shuffling: ContextCurve | None = None
    occlusion: OcclusionCurve | None = None
    time_constants: TimeConstants | None = None
    forgetting: ForgettingCurve | None = None
    saturation: GateSaturation | None = None
    window_models: WindowCurve | None = None
