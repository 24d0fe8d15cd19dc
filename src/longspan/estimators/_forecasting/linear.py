"""What a forecaster begins with: classical linear forecasts of the context, chosen and refined by ridge."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PENALTIES = (0.1, 1.0, 10.0, np.inf)
"""Ridge penalties, each in units of the number of windows; infinity is the classical forecast itself."""

_SHARPNESS = 100.0
"""How fast the weight of a candidate falls with its error: one that is 1% worse than the best has 1/e of its weight."""

_MOST_WINDOWS = 5000
"""Windows that a linear map is learned from, at most."""


@cache
def classical_forecasts(context: int, horizon: int, season: int) -> tuple[Floats, ...]:
    """Return classical forecasts as linear maps (L, H) of a context, which is relative to its last value.

    The last value; the mean, and half-way to it; the drift from end to end. With a season, and a context that holds two
    of it or more: the last season again, with and without its growth over the one before; the mean season around the
    level of the last season, or of the last three steps, with and without growth.
    """
    steps = np.arange(horizon)
    mean = np.full((context, horizon), 1.0 / context)
    drift = np.zeros((context, horizon))
    drift[0] = -(1.0 + steps) / max(1, context - 1)
    maps = [np.zeros((context, horizon)), mean, 0.5 * mean, drift]
    if season > 1 and context >= season:
        last = np.zeros((context, horizon))
        last[context - season + steps % season, steps] = 1.0
        maps.append(last)
        if context >= 2 * season:
            maps += _seasonal(context, horizon, season, last)
    return tuple(maps)


def _seasonal(context: int, horizon: int, season: int, last: Floats) -> list[Floats]:
    steps = np.arange(horizon)
    growth = np.zeros((context, 1))
    growth[-season:], growth[-2 * season : -season] = 1.0 / season, -1.0 / season
    maps = [last + share * growth * (1 + steps // season) for share in (0.5, 1.0)]
    count = context // season
    pattern = np.tile((np.eye(season) - 1.0 / season) / count, (count, 1))  # of the mean season, around its own mean
    pattern = np.concatenate([np.zeros((context - count * season, season)), pattern])
    for span in (season, min(3, season)):
        level = np.zeros((context, 1))
        level[-span:] = 1.0 / span
        around = level - pattern[:, season - span :].mean(axis=1, keepdims=True)
        lead = (steps + 0.5 * (span + 1)) / season
        maps += [around + pattern[:, steps % season] + share * growth * lead for share in (0.0, 0.5, 1.0)]
    return maps


@dataclass(frozen=True)
class Examples:
    """Windows as the linear forecast sees them: in units of their scale, relative to the last value of the context.

    Attributes
    ----------
    contexts : ndarray, shape (M, L)
    targets : ndarray, shape (M, H)
        NaN where nothing was measured.
    """

    contexts: Floats
    targets: Floats

    def take(self, index: NDArray[Any]) -> "Examples":
        """Return some of them, not too many."""
        index = np.flatnonzero(index) if index.dtype == bool else index
        index = index[:: max(1, -(-len(index) // _MOST_WINDOWS))]
        return Examples(self.contexts[index], self.targets[index])

    @property
    def maps(self) -> int:
        """How many there are."""
        return len(self.contexts)


@dataclass(frozen=True)
class LinearChoice:
    """Which mixture of classical forecasts and ridge penalties did best on windows that were held out in turn.

    Attributes
    ----------
    weights : ndarray, shape (classical forecasts, penalties)
        Sums to 1.
    errors : ndarray, shape (M', H)
        Errors of the mixture on those windows: truth minus forecast.
    index : ndarray of int64, shape (M',)
        Which windows these are.
    season : int
        Steps of a season.
    """

    weights: Floats
    errors: Floats
    index: NDArray[np.int64]
    season: int


Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def choose_linear(examples: Examples, splits: list[Split], season: int) -> LinearChoice:
    """Weigh the candidates by their mean absolute error over `splits`, each (learned from, held out)."""
    size, horizon = examples.contexts.shape[1], examples.targets.shape[1]
    shape = (len(classical_forecasts(size, horizon, season)), len(_PENALTIES))
    found: list[Floats] = []
    for kept, held in splits:
        weight, bias = _candidates(examples.take(kept), season)
        found.append(np.einsum("ml,pqlh->pqmh", examples.contexts[held], weight) + bias[:, :, None])
    index = np.concatenate([held for _, held in splits]) if splits else np.empty(0, dtype=np.int64)
    if not len(index):
        weights = np.zeros(shape)
        weights[-1, -1] = 1.0
        return LinearChoice(weights, np.zeros((0, horizon)), index, season)
    forecasts = np.concatenate(found, axis=2)
    mistakes = np.nanmean(np.abs(examples.targets[index] - forecasts), axis=(2, 3))
    weights = np.exp(-_SHARPNESS * (mistakes / max(mistakes.min(), 1e-12) - 1.0))
    weights[weights < 1e-3] = 0.0
    weights /= weights.sum()
    errors = examples.targets[index] - np.einsum("pq,pqmh->mh", weights, forecasts)
    return LinearChoice(weights, errors, index, season)


def fit_linear(examples: Examples, choice: LinearChoice) -> tuple[Floats, Floats]:
    """Return the chosen mixture, learned from `examples`: weights (L, H) and what is added (H,)."""
    weight, bias = _candidates(examples.take(np.arange(examples.maps)), choice.season)
    return np.einsum("pq,pqlh->lh", choice.weights, weight), np.einsum("pq,pqh->h", choice.weights, bias)


def _candidates(examples: Examples, season: int) -> tuple[Floats, Floats]:
    """Return every classical forecast refined with every penalty: weights (P, Q, L, H) and biases (P, Q, H).

    The refinement is the ridge regression, on the context, of what the classical forecast leaves.
    """
    contexts, targets = examples.contexts, examples.targets
    maps = np.stack(classical_forecasts(contexts.shape[1], targets.shape[1], season))
    inputs = np.concatenate([contexts, np.ones((len(contexts), 1))], axis=1)
    powers, axes = np.linalg.eigh(inputs.T @ inputs)
    left = np.nan_to_num(targets - contexts @ maps)  # a step that was not measured asks for nothing
    along = axes.T @ (inputs.T @ left)
    shrinkage = np.array([1.0 / (np.maximum(powers, 0.0) + penalty * len(inputs)) for penalty in _PENALTIES])
    refined = axes @ (shrinkage[None, :, :, None] * along[:, None])
    return maps[:, None] + refined[:, :, :-1], refined[:, :, -1]


def growth_of_errors(errors: Floats) -> Floats:
    """Return the mean absolute error at each step of the horizon, smoothed as ``a * step ** p`` with p from 0 to 1.

    Errors of a random walk grow with p = 1/2, those of a trend with p = 1, and around a mean they do not grow.
    """
    steps = np.arange(1, errors.shape[1] + 1)
    known = ~np.isnan(errors)
    if not known.any():
        return np.ones(len(steps))
    sizes = np.where(known, np.abs(errors), 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    usable = (known.sum(axis=0) > 0) & (sizes > 0)
    if not usable.any():
        return np.full(len(steps), 1e-6)
    power = 0.0
    if usable.sum() > 1:
        power = float(np.clip(np.polyfit(np.log(steps[usable]), np.log(sizes[usable]), 1)[0], 0.0, 1.0))
    shape = steps**power
    return np.asarray(shape * (sizes[usable].sum() / shape[usable].sum()))


def spread_of_errors(errors: Floats, levels: tuple[float, ...], output: str) -> Floats:
    """Return how far the outputs lie from the location, at each step: gaps between quantiles, or one scale.

    Shape (H, number of gaps), the gaps below the median from the middle outwards, then those above.
    """
    growth = growth_of_errors(errors)
    relative = (errors / growth)[~np.isnan(errors)]
    if output != "quantiles":
        scale = float(np.sqrt(np.mean(relative**2))) if len(relative) else 1.0
        return growth[:, None] * max(scale, 1e-3)
    if not len(relative):
        relative = np.array([-1.0, 1.0])
    middle = levels.index(0.5)
    outer = [*levels[:middle][::-1], *levels[middle + 1 :]]
    distances = np.abs(np.quantile(relative, outer) - np.median(relative))
    gaps = np.concatenate([np.diff(distances[:middle], prepend=0.0), np.diff(distances[middle:], prepend=0.0)])
    return np.asarray(growth[:, None] * np.maximum(gaps, 0.02))
