"""Window models: how far back inputs matter, told by small models that see the last W steps and nothing else.

What is found is a lower bound: a model of another kind might make use of steps that are older still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GroupKFold

from longspan.memory._anchors import Anchors
from longspan.memory._subject import Targets
from longspan.memory.curves import WindowCurve

Array = NDArray[np.float64]
Values = NDArray[np.float32]
Wanted = NDArray[np.generic]

TOLERANCE = 0.03
"""Share of what the best window model gains over a constant that may be missing: less is lost and won by chance."""

_FOLDS = 3

_SCREENED = 48
"""Single steps of the window that a model is given, those that go best with the targets."""

_LATEST = 6
"""Latest steps that it is given in any case, and oldest ones of the window."""

_PARTS = (1, 2, 4, 8)
"""Into so many parts of equal length the window is cut; what is averaged over each is given too."""

_SHORTEST_PART = 4
"""Steps of a part: averages over fewer of them say the same as the steps do."""

_MOST_NUMBERS = 40_000_000
"""Numbers that the sums over steps may take."""

_BEYOND_CHANCE = 4.0
"""Added to what n R2 of the best of many features comes to by chance."""

_TREES = 20

_MOST_PRODUCTS = 32
"""Values and products of a step that are averaged: of more channels there are no products of three, or of two."""

_GRID = 9

_NEAREST = 1.04

_SURE = 2.0
"""Standard errors by which one model must be better than another to count as better."""

_RIDGE = tuple(np.geomspace(1e-3, 1e3, 7))

_LEAST = 1e-6


@dataclass(frozen=True)
class Need:
    """How far back inputs matter.

    Attributes
    ----------
    span : float or None
        The smallest window that does as well as the best; None where no window model beats a constant.
    interval : (float, float)
        The largest window that is known to do worse, and the span.
    curve : WindowCurve
        What was measured.
    losses : ndarray, shape (A,)
        Loss of the best window model at each anchor.
    """

    span: float | None
    interval: tuple[float, float]
    curve: WindowCurve
    losses: Array


def needed_span(
    anchors: Anchors,
    targets: Targets,
    rng: np.random.Generator,
    tick: Callable[[], None] = lambda: None,
    *,
    groups: NDArray[np.int64] | None = None,
    as_features: Callable[[Values], Values] = lambda values: values,
) -> Need:
    """Find the smallest window with which a small model does as well as with any.

    The model of a window is a linear one, of few features or of all, or a forest of random trees, whichever does best.
    It sees single steps, of which those are chosen that go best with the targets, and averages over parts of the
    window, of the values of a step and of their products. All is fitted on some of the sequences and judged on others,
    of other `groups` (N,) where there are such.
    """
    belongs = np.arange(len(anchors.sequences)) if groups is None else groups
    models = _Models.of(anchors, targets, rng, belongs[anchors.sequence], as_features)
    found: dict[int, Array] = {0: models.constant()}

    def measure(window: int) -> None:
        if window not in found:
            found[window] = models.losses(window)
            tick()

    longest = anchors.longest
    for window in np.unique(np.round(np.geomspace(1, longest, _GRID)).astype(int)).tolist():
        measure(window)
    while (gap := _gap(found)) is not None:
        measure(gap)
    return _need(models, found)


def _need(models: _Models, found: dict[int, Array]) -> Need:
    windows, losses, best, tolerance, enough = _judged(found)
    from_constant = losses[:, 0] - losses[:, best]
    learned = from_constant.mean() > _SURE * _error(from_constant)
    place = int(enough.argmax())
    away = losses - losses[:, [best]]
    scores = np.array([models.score(losses[:, n], int(window)) for n, window in enumerate(windows)])
    curve = WindowCurve(
        windows[1:],
        losses.mean(axis=0)[1:],
        _error(away)[1:],
        scores[1:],
        float(losses[:, 0].mean()),
        tolerance,
        "accuracy" if models.targets.labels else "R2",
    )
    interval = (float(windows[max(place - 1, 0)]), float(windows[place]))
    return Need(float(windows[place]) if learned else None, interval, curve, losses[:, best])


def _judged(found: dict[int, Array]) -> tuple[NDArray[np.int64], Array, int, float, NDArray[np.bool_]]:
    """Return windows, losses (A, W), the place of the best, what may be missing, and which windows do as well."""
    windows = np.array(sorted(found), dtype=np.int64)
    losses = np.stack([found[int(window)] for window in windows], axis=1)
    mean = losses.mean(axis=0)
    best = int(mean.argmin())
    tolerance = TOLERANCE * float(mean[0] - mean[best])
    away = losses[:, : best + 1] - losses[:, [best]]
    falling = isotonic_regression(away.mean(axis=0), increasing=False)
    return windows, losses, best, tolerance, falling <= np.maximum(tolerance, _SURE * _error(away))


def _gap(found: dict[int, Array]) -> int | None:
    """Return a window between the last that does worse and the first that does as well, until they are near."""
    windows, _, _, _, enough = _judged(found)
    place = int(enough.argmax())
    if place == 0:
        return None
    low, high = int(windows[place - 1]), int(windows[place])
    if high - low <= 1 or high <= _NEAREST * low:
        return None
    middle = round((low * high) ** 0.5) if low else high // 2
    return min(max(middle, low + 1), high - 1)


def _error(values: Array) -> Array:
    error: Array = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0 * values.mean(axis=0)
    return error


# The models -----------------------------------------------------------------------------------------------------------


@dataclass
class _Models:
    """Window models of some anchors.

    Attributes
    ----------
    past : ndarray of float32, shape (A, T, I)
        Standardised steps before each anchor by their lag, zero before the beginning.
    sums : ndarray of float32, shape (A, T + 1, F)
        Sums over the last steps, 0 to T, of values and products of a step.
    length : ndarray of int64, shape (A,)
        Steps that there are.
    targets : Targets
        What kind of targets there are.
    wanted : ndarray
        The target of each anchor.
    folds : list of (ndarray, ndarray)
        Anchors to fit on, and to judge on.
    seed : int
        Of the trees.
    """

    past: Values
    sums: Values
    length: NDArray[np.int64]
    targets: Targets
    wanted: Wanted
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    seed: int

    @classmethod
    def of(
        cls,
        anchors: Anchors,
        targets: Targets,
        rng: np.random.Generator,
        group: NDArray[np.int64],
        as_features: Callable[[Values], Values],
    ) -> _Models:
        """Gather what windows are cut from; no `group` of anchors, shape (A,), is on both sides of a fold."""
        past = _past(anchors, as_features)
        folds = min(_FOLDS, len(np.unique(group)))
        wanted = targets.values[anchors.target_rows(targets)]
        split = list(GroupKFold(folds).split(past, groups=rng.permutation(int(group.max()) + 1)[group]))
        return cls(past, _sums(past), anchors.at + 1, targets, wanted, split, int(rng.integers(1 << 31)))

    def constant(self) -> Array:
        """Return the loss of each anchor for the best constant, fitted on other folds."""
        losses = np.empty(len(self.past))
        for known, asked in self.folds:
            if self.targets.labels:
                codes, counts = np.unique(self.wanted[known], return_counts=True)
                shares = np.zeros(int(self.targets.values.max()) + 1)
                shares[codes] = counts / counts.sum()
                losses[asked] = -np.log(shares[self.wanted[asked]].clip(min=_LEAST))
            else:
                losses[asked] = ((self.wanted[asked] - self.wanted[known].mean(axis=0)) ** 2).mean(axis=1)
        return losses

    def losses(self, window: int) -> Array:
        """Return the loss of each anchor for the best kind of model, fitted on other folds."""
        pooled = self._pooled(window)
        kinds = (self._sparse, self._linear, self._trees)
        tried = np.empty((len(kinds), len(self.past)))
        for known, asked in self.folds:
            features = np.concatenate([self._single(window, known), pooled], axis=1)
            mean, spread = features[known].mean(axis=0), features[known].std(axis=0)
            features = ((features - mean) / np.where(spread > _LEAST, spread, 1.0)).clip(-8, 8)
            fitted = (features[known], self.wanted[known], features[asked], self.wanted[asked])
            strength = self._strength(features[known], known)
            # On some processors BLAS raises a floating-point flag for lanes of a vector that hold nothing.
            with np.errstate(invalid="ignore"):
                for losses, fit in zip(tried, kinds, strict=True):
                    losses[asked] = fit(*fitted, strength)
        best: Array = tried[tried.mean(axis=1).argmin()]
        return best

    def score(self, losses: Array, window: int) -> float:
        """Return R2, or the accuracy that was seen with this window."""
        if not self.targets.labels:
            spread = float(self.wanted.astype(float).var(axis=0).mean())
            return 1.0 - float(losses.mean()) / spread if spread else float("nan")
        return float((losses < np.log(2)).mean())

    def _single(self, window: int, known: NDArray[np.int64]) -> Values:
        """Return the single steps that go best with the targets, and the latest ones."""
        size = self.past.shape[2]
        reach = min(window, self.past.shape[1])
        inside = self.past[:, :reach].reshape(len(self.past), -1)
        strength = self._strength(inside[known], known)
        strength[: _LATEST * size] = np.inf
        return inside[:, np.argsort(-strength, kind="stable")[: _SCREENED + _LATEST * size]]

    def _strength(self, features: Values, known: NDArray[np.int64]) -> Array:
        """Return how much of each feature's variance goes with the targets."""
        wanted = self.wanted[known]
        if self.targets.labels:
            wanted = np.eye(int(self.targets.values.max()) + 1)[wanted.astype(np.int64)]
            wanted = wanted[:, wanted.any(axis=0)]
            wanted = wanted / np.sqrt(wanted.mean(axis=0))
        centred = (wanted - wanted.mean(axis=0)).astype(np.float32)
        spread = features.std(axis=0)
        shared = (centred.T @ (features - features.mean(axis=0))) / len(features)
        strength: Array = (shared**2).sum(axis=0) / np.where(spread > _LEAST, spread, np.inf) ** 2
        return strength

    def _pooled(self, window: int) -> Values:
        """Return averages over parts of the window, and its oldest steps."""
        reach = np.minimum(window, self.length)
        everyone = np.arange(len(self.past))
        found = []
        for parts in [parts for parts in _PARTS if window >= _SHORTEST_PART * parts]:
            edges = reach[:, None] * np.arange(parts + 1) // parts
            sums = self.sums[everyone[:, None], edges]
            counts = np.maximum(np.diff(edges, axis=1), 1)[:, :, None]
            found.append((np.diff(sums, axis=1) / counts).reshape(len(self.past), -1))
        oldest = (reach[:, None] - 1 - np.arange(_LATEST)).clip(min=0)
        found.append(self.past[everyone[:, None], oldest].reshape(len(self.past), -1))
        return np.concatenate(found, axis=1).astype(np.float32)

    def _sparse(self, features: Values, wanted: Wanted, asked: Values, truth: Wanted, strength: Array) -> Array:
        """Fit a linear model of the features that go with the targets beyond chance, with next to no penalty."""
        # Of p features that are noise, the largest n R2 is about 2 log p.
        there = strength * len(features) > 2.0 * np.log(len(strength)) + _BEYOND_CHANCE
        there[np.argsort(-strength, kind="stable")[_SCREENED:]] = False
        there[strength.argmax()] = True
        if self.targets.labels:
            return _logistic(features[:, there], wanted, asked[:, there], truth, penalty=0.1)
        return _squared(Ridge(0.1).fit(features[:, there], wanted).predict(asked[:, there]), truth)

    def _linear(self, features: Values, wanted: Wanted, asked: Values, truth: Wanted, strength: Array) -> Array:
        """Fit a linear model of all features."""
        if self.targets.labels:
            return _logistic(features, wanted, asked, truth, penalty=10.0)
        return _squared(RidgeCV(_RIDGE).fit(features, wanted).predict(asked), truth)

    def _trees(self, features: Values, wanted: Wanted, asked: Values, truth: Wanted, strength: Array) -> Array:
        """Fit a forest."""
        options = {"min_samples_leaf": 3, "max_features": 0.3, "random_state": self.seed}
        if self.targets.labels:
            forest = ExtraTreesClassifier(_TREES, **options).fit(features, wanted)
            return _cross_entropy(forest.predict_proba(asked), forest.classes_, truth)
        forest = ExtraTreesRegressor(_TREES, **options)
        return _squared(forest.fit(features, wanted if wanted.shape[1] > 1 else wanted[:, 0]).predict(asked), truth)


def _logistic(features: Values, wanted: Wanted, asked: Values, truth: Wanted, *, penalty: float) -> Array:
    if len(np.unique(wanted)) < 2:
        return np.where(truth == wanted[0], 0.0, -np.log(_LEAST))
    model = LogisticRegression(C=1 / penalty, max_iter=100, tol=1e-2).fit(features, wanted)
    return _cross_entropy(model.predict_proba(asked), model.classes_, truth)


def _squared(given: Array, truth: Wanted) -> Array:
    error: Array = ((given.reshape(truth.shape) - truth.astype(float)) ** 2).mean(axis=1)
    return error


def _cross_entropy(given: Array, classes: Wanted, truth: Wanted) -> Array:
    # A forest of few trees says 0 or 1 easily: mixed with a little of everything.
    shares = 0.98 * given + 0.02 / max(len(classes), 2)
    place = np.searchsorted(classes, truth).clip(max=len(classes) - 1)
    there = classes[place] == truth
    losses: Array = np.where(there, -np.log(shares[np.arange(len(truth)), place]), -np.log(0.01))
    return losses


def _past(anchors: Anchors, as_features: Callable[[Values], Values]) -> Values:
    """Return standardised steps before each anchor by their lag, zero before the beginning; gaps are at the mean."""
    lag = np.arange(anchors.longest)
    rows = anchors.rows[:, None] - lag
    there = lag <= anchors.at[:, None]
    steps = as_features(np.take(anchors.sequences.values, np.where(there, rows, 0), axis=0))
    seen = np.ma.masked_invalid(steps[there])
    mean, spread = np.ma.getdata(seen.mean(axis=0)), np.ma.getdata(seen.std(axis=0))
    steps = np.nan_to_num((steps - mean) / np.where(spread > _LEAST, spread, 1.0))
    return np.where(there[:, :, None], steps, 0.0).astype(np.float32)


def _sums(past: Values) -> Values:
    """Return sums over the last steps of the values of a step and of their products, as many as there is room for."""
    count, steps, size = past.shape
    for degree in (3, 2, 1):
        products = [
            combination for d in range(1, degree + 1) for combination in combinations_with_replacement(range(size), d)
        ]
        if degree == 1 or (len(products) <= _MOST_PRODUCTS and count * (steps + 1) * len(products) <= _MOST_NUMBERS):
            break
    sums = np.zeros((count, steps + 1, len(products)), np.float32)
    for place, combination in enumerate(products):
        product = past[:, :, combination[0]]
        for channel in combination[1:]:
            product = product * past[:, :, channel]
        np.cumsum(product, axis=1, out=sums[:, 1:, place])
    return sums
