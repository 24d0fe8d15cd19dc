"""Context ablation and lag occlusion, which say whether an output depends on old inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression
from torch import Tensor

from longspan.errors import DataError, ParameterError
from longspan.memory._anchors import Anchors, Ints, Replace, Steps, as_seed, draw_anchors
from longspan.memory._subject import Subject, Targets
from longspan.memory.curves import ContextCurve, OcclusionCurve
from longspan.nn._recurrent import check_choice, check_positive

Array = NDArray[np.float64]

TOLERANCE = 0.01
"""Share of the loss that counts as nothing lost; without targets, share of the variance of the outputs."""

_ROUNDING = 1e-6
"""A loss, in nats or in squared standard deviations, that is nothing even beside one of zero."""

_GRID = 14
"""Contexts, evenly apart on a logarithmic scale, that are looked at before the end of the loss is closed in."""

_NEAREST = 1.03
"""The place is known when the contexts around it are apart by no more than this factor, or by one step."""

_RESAMPLES = 500

_MOST_PEAKS = 5

_STANDS_OUT = 3.0
"""Standard errors above zero at which a window is a peak."""


@dataclass
class Losses:
    """What outputs lose where inputs are replaced.

    Parameters
    ----------
    subject : Subject
        The network.
    anchors : Anchors
        Where it is looked at.
    targets : Targets or None
        With targets, a loss is one of predictions; without, the squared change of the outputs, each in units of its
        variance over the anchors.
    """

    subject: Subject
    anchors: Anchors
    targets: Targets | None

    def __post_init__(self) -> None:
        self._outputs = self.anchors.outputs(self.subject).double().cpu()
        self.full = self._of(self._outputs)

    @property
    def unit(self) -> str:
        """What the loss is counted in."""
        return "squared change of the output" if self.targets is None else self.targets.unit

    @property
    def full_loss(self) -> float:
        """Mean loss where nothing is replaced; 0 without targets."""
        return float(self.full.mean())

    @property
    def tolerance(self) -> float:
        """What counts as nothing lost."""
        return max(TOLERANCE * (1.0 if self.targets is None else self.full_loss), _ROUNDING)

    def with_other(self, replace: Replace) -> Array:
        """Return for each anchor the loss with inputs replaced, less the full loss."""
        return self._of(self.anchors.outputs(self.subject, replace).double().cpu()) - self.full

    def _of(self, outputs: Tensor) -> Array:
        if self.targets is not None:
            return self.targets.losses(outputs, self.anchors.target_rows(self.targets))
        variance = self._outputs.var(dim=0, correction=0).clamp(min=torch.finfo(torch.float32).tiny)
        change: Array = ((outputs - self._outputs).square() / variance).mean(dim=-1).numpy()
        return change

    @property
    def score(self) -> tuple[str, float] | None:
        """Name and value of what a person would look at: accuracy, or R2."""
        if self.targets is None:
            return None
        truth = self.targets.values[self.anchors.target_rows(self.targets)]
        if self.targets.labels:
            return "accuracy", float((self._outputs.argmax(dim=-1).numpy() == truth).mean())
        spread = float(truth.var(axis=0).mean())
        return "R2", 1.0 - self.full_loss / spread if spread else float("nan")


# Public measures ------------------------------------------------------------------------------------------------------


def context_ablation(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    how: str = "replace",
    context: Any = None,
    n_anchors: int = 512,
    random_state: Any = None,
) -> ContextCurve:
    """Return D(K): what is lost where the inputs older than the last K steps are another sequence's.

    Parameters
    ----------
    model : fitted estimator, SequenceNetwork, or recurrent module of longspan.nn or torch.nn
        Recurrent or feed-forward; left as it is.
    X : Sequences, array (N, T, I) or (N, T), or list of arrays (T_i, I)
        Two sequences or more; of decoders and forecasters as in `memory_report`.
    y : targets, optional
        With them D(K) is a loss; without, the mean squared change of the outputs, in units of their variance.
    how : {"replace", "shuffle"}
        "replace" puts the steps of another sequence in the place of the older ones, of the same times since the
        beginning. "shuffle" puts the sequence's own older steps in another order: it asks whether order matters.
    context : array of int, optional
        Values of K, from 0; by default some that are evenly apart on a logarithmic scale, and more of them where the
        loss ends.
    n_anchors : int
        Outputs that are looked at.
    random_state : int, Generator, RandomState or None
        Seed of what is drawn.

    Returns
    -------
    ContextCurve

    Raises
    ------
    ParameterError
        An argument is outside what it may be, or the model is none that can be measured.
    DataError
        X or y cannot be read, or there is one sequence only.

    Examples
    --------
    >>> from longspan.nn import FeedForward
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 1))
    >>> lost = context_ablation(FeedForward(1, 8, window=3), X, context=[0, 1, 2, 3, 9], random_state=0)
    >>> (lost.loss > 0).tolist()
    [True, True, True, False, False]
    """
    losses, rng = _losses(model, X, y, n_anchors, random_state)
    return ablate(losses, rng, how=how, context=context)[0]


def lag_occlusion(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    width: int | None = None,
    n_anchors: int = 512,
    random_state: Any = None,
) -> OcclusionCurve:
    """Return O(k): what is lost where the inputs of one window, [T-k-w, T-k), are another sequence's.

    Parameters
    ----------
    model, X, y, n_anchors, random_state
        As in `context_ablation`.
    width : int, optional
        Steps of a window, w; by default so many that there are at most 32 windows.

    Returns
    -------
    OcclusionCurve
        Windows lie side by side and cover the longest sequence.

    Raises
    ------
    ParameterError, DataError
        As in `context_ablation`.

    Examples
    --------
    >>> from longspan.nn import FeedForward
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 1))
    >>> lost = lag_occlusion(FeedForward(1, 8, window=3), X, width=3, random_state=0)
    >>> lost.lags.tolist(), (lost.loss > 0).tolist()
    ([0, 3, 6], [True, False, False])
    """
    losses, _ = _losses(model, X, y, n_anchors, random_state)
    return occlude(losses, width=width)


def _losses(model: Any, X: Any, y: Any, n_anchors: int, random_state: Any) -> tuple[Losses, np.random.Generator]:
    subject = Subject.of(model)
    rng = as_seed(random_state)
    sequences, targets = subject.read_both(X, y)
    anchors = draw_anchors(subject, sequences, targets, at_most=n_anchors, rng=rng)
    check_can_replace(anchors)
    return Losses(subject, anchors, targets), rng


def check_can_replace(anchors: Anchors) -> None:
    """Raise where there is no other sequence to take inputs from."""
    if len(anchors.sequences) < 2:
        raise DataError(
            "there is one sequence, so that no other one's inputs can be put in the place of its own.\n"
            "  Pass two sequences or more; a long recording can be cut into windows."
        )


# Context ablation -----------------------------------------------------------------------------------------------------


def ablate(
    losses: Losses,
    rng: np.random.Generator,
    *,
    how: str = "replace",
    context: Any = None,
    tick: Callable[[], None] = lambda: None,
) -> tuple[ContextCurve, Array]:
    """Measure D(K); return the curve, and the loss of each anchor at each K, shape (A, K)."""
    check_choice("how", how, ("replace", "shuffle"))
    keys = rng.random(losses.anchors.sequences.n_steps)
    measured: dict[int, Array] = {}

    def measure(kept: int) -> None:
        if kept not in measured:
            measured[kept] = losses.with_other(lambda steps: older_replaced(steps, kept, how, keys))
            tick()

    if context is not None:
        for kept in _checked_context(context):
            measure(kept)
    else:
        for kept in _grid(losses.anchors.longest):
            measure(kept)
        _close_in(measured, measure, losses.tolerance)
    kept_all = np.array(sorted(measured), dtype=np.int64)
    each = np.stack([measured[int(kept)] for kept in kept_all], axis=1)
    curve = ContextCurve(
        kept_all, each.mean(axis=0), _error(each), losses.full_loss, losses.tolerance, how, losses.unit
    )
    return curve, each


def older_replaced(steps: Steps, kept: int, how: str, keys: Array) -> Ints:
    """Return the rows with which those older than the last `kept` are replaced."""
    old = steps.lag >= kept
    if how == "replace":
        return np.where(old, steps.other, steps.own)
    rows = steps.own.copy()
    places = np.flatnonzero(old)
    kind = 2 * steps.anchor[places] + steps.early[places]
    # Both list the old steps of one anchor and kind after another: in their order, and in a random one.
    in_order = places[np.lexsort((steps.step[places], kind))]
    mixed = places[np.lexsort((keys[steps.own[places]], kind))]
    rows[in_order] = steps.own[mixed]
    return rows


def _grid(longest: int) -> list[int]:
    spread = np.unique(np.round(np.geomspace(1, longest, _GRID)).astype(int))
    return [0, *spread.tolist()]


def _close_in(measured: dict[int, Array], measure: Callable[[int], None], tolerance: float) -> None:
    """Measure between the last context with which something is lost and the next one, until they are near."""
    while True:
        kept = sorted(measured)
        each = np.stack([measured[k] for k in kept], axis=1)
        place = _first_enough(each, tolerance)
        if place in (0, len(kept)):
            return
        low, high = kept[place - 1], kept[place]
        middle = round((low * high) ** 0.5) if low else high // 2
        middle = min(max(middle, low + 1), high - 1)
        if high - low <= 1 or high <= _NEAREST * low:
            return
        measure(middle)


def _error(each: Array) -> Array:
    error: Array = each.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.zeros(each.shape[1])
    return error


def _first_enough(each: Array, tolerance: float, weights: Array | None = None) -> int:
    """Return the place of the first context with which nothing is lost, or how many there are.

    A longer context loses no more, but for chance: means are first made to fall (isotonic regression).
    """
    mean = each.mean(axis=0) if weights is None else weights @ each
    falling = isotonic_regression(mean, increasing=False)
    enough = falling <= np.maximum(tolerance, _error(each))
    return int(enough.argmax()) if enough.any() else len(enough)


def used_span(curve: ContextCurve, each: Array, rng: np.random.Generator) -> tuple[float, tuple[float, float]]:
    """Return the shortest context with which nothing is lost, with a bootstrap interval of 95% over anchors.

    Infinite where even the longest context loses something.
    """
    contexts = np.append(curve.context.astype(float), np.inf)
    found = contexts[_first_enough(each, curve.tolerance)]
    counts = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=_RESAMPLES) / len(each)
    spans = [contexts[_first_enough(each, curve.tolerance, weights)] for weights in counts]
    low, high = np.quantile(spans, [0.025, 0.975], method="nearest")
    return float(found), (float(low), float(high))


def _checked_context(context: Any) -> list[int]:
    values = np.asarray(context)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or values.min() < 0:
        raise ParameterError(f"context is {context!r}, but it must be a list of whole numbers from 0.")
    return [int(kept) for kept in np.unique(values)]


# Lag occlusion --------------------------------------------------------------------------------------------------------

_WINDOWS = 32


def occlude(losses: Losses, *, width: int | None = None, tick: Callable[[], None] = lambda: None) -> OcclusionCurve:
    """Measure O(k) for windows side by side."""
    longest = losses.anchors.longest
    if width is None:
        width = -(-longest // _WINDOWS)
    check_positive("width", width)
    lags = np.arange(0, longest, width)
    columns = []
    for lag in lags.tolist():
        columns.append(losses.with_other(partial(_window_replaced, lag=lag, width=width)))
        tick()
    each = np.stack(columns, axis=1)
    mean, error = each.mean(axis=0), _error(each)
    return OcclusionCurve(lags, int(width), mean, error, _peaks(lags, mean, error, losses.tolerance), losses.unit)


def _peaks(lags: Ints, mean: Array, error: Array, tolerance: float) -> tuple[int, ...]:
    """Return the lags of windows that lose more than those beside them, and more than by chance, the largest first."""
    beside = np.pad(mean, 1, constant_values=-np.inf)
    top = (mean > beside[:-2]) & (mean >= beside[2:]) & (mean > np.maximum(tolerance, _STANDS_OUT * error))
    places = np.flatnonzero(top)
    return tuple(int(lags[place]) for place in places[np.argsort(-mean[places], kind="stable")][:_MOST_PEAKS])


def n_windows(longest: int) -> int:
    """Return how many windows `occlude` looks at by default."""
    return -(-longest // -(-longest // _WINDOWS))


def _window_replaced(steps: Steps, lag: int, width: int) -> Ints:
    inside = (steps.lag >= lag) & (steps.lag < lag + width)
    return np.where(inside, steps.other, steps.own)
