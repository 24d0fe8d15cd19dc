"""Backtests: forecasts from origins that roll forward, measured beside simple ones."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from longspan.errors import DataError
from longspan.estimators._forecasting.fan_chart import fan_chart, new_axes
from longspan.estimators._forecasting.metrics import covered, mase_scale, mean_known, pinball
from longspan.estimators._forecasting.parameters import check_count
from longspan.estimators._forecasting.series import SeriesSet

Floats = NDArray[np.float64]

_MEASURES = ("MASE", "pinball loss", "coverage")


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """How forecasts did, from one origin after the other.

    Attributes
    ----------
    methods : tuple of str
        The M methods: the model, seasonal-naive, and the last value, which is a constant.
    levels : tuple of float
        Levels of the quantiles.
    horizon, season_length : int
        Steps forecast from each origin; steps of the season that seasonal-naive repeats and MASE is scaled by.
    mase, pinball, coverage : ndarray, shape (M, folds)
        Mean absolute scaled error of the median; mean pinball loss over the quantiles, scaled alike (twice that is
        about the continuous ranked probability score); share of the truth within the outermost quantiles. Means over
        all series, channels and steps that were measured. A series that has not changed before an origin has no scale
        and counts for coverage alone; where there is no other, the scaled measures are NaN.
    seconds : ndarray, shape (folds,)
        Time to fit and forecast.
    quantiles : ndarray, shape (folds, N, horizon, K, Q)
        Forecasts of the model.
    truth : ndarray, shape (folds, N, horizon, K)
        What came; NaN where nothing was measured.
    times : ndarray, shape (folds, N, horizon)
        When.
    series : SeriesSet
        What was forecast.
    """

    methods: tuple[str, ...]
    levels: tuple[float, ...]
    horizon: int
    season_length: int
    mase: Floats
    pinball: Floats
    coverage: Floats
    seconds: Floats
    quantiles: Floats
    truth: Floats
    times: NDArray[Any]
    series: SeriesSet

    @property
    def pooled(self) -> dict[str, dict[str, float]]:
        """Each measure, averaged over the folds, for each method."""
        tables = (self.mase, self.pinball, self.coverage)
        return {
            method: {name: float(mean_known(table[row])) for name, table in zip(_MEASURES, tables, strict=True)}
            for row, method in enumerate(self.methods)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the measures as plain values, for JSON or a table."""
        return {
            "methods": list(self.methods),
            "levels": list(self.levels),
            "horizon": self.horizon,
            "season_length": self.season_length,
            "mase": self.mase.tolist(),
            "pinball": self.pinball.tolist(),
            "coverage": self.coverage.tolist(),
            "seconds": self.seconds.tolist(),
            "pooled": self.pooled,
        }

    def __str__(self) -> str:
        """Return a table: a row for each method, the measures over all folds, and MASE fold by fold."""
        folds = self.mase.shape[1]
        share = f"in {100 * (self.levels[-1] - self.levels[0]):.0f}%"
        lines = [
            f"{folds} folds of {self.horizon} steps, season {self.season_length}; {self.seconds.sum():.1f} s",
            "",
            f"{'':16}{'MASE':>8}{'pinball':>9}{share:>9}   MASE by fold",
        ]
        for row, method in enumerate(self.methods):
            mase, loss, coverage = self.pooled[method].values()
            each = " ".join(f"{value:6.2f}" for value in self.mase[row])
            lines.append(f"{method:16}{mase:8.3f}{loss:9.3f}{100 * coverage:8.1f}%   {each}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, series: int = 0, channel: int = 0, axes: Any = None) -> Any:
        """Draw the forecasts of one series over what came.

        Parameters
        ----------
        series, channel : int
            Which one to draw.
        axes : matplotlib axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        The axes.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        axes = new_axes() if axes is None else axes
        block = self.series.block
        begin, end = block.offsets[series], block.ends[series]
        at = np.arange(end - begin) if self.series.times is None else self.series.times[begin:end]
        shown = 3 * len(self.times) * self.horizon  # the folds, and twice as much before them
        past = block.values[begin:end, channel]
        for fold in range(len(self.times)):
            stop = (end - begin) - (len(self.times) - fold) * self.horizon
            start = max(0, len(at) - shown) if fold == 0 else stop - 1
            fan_chart(
                at[start:stop],
                past[start:stop],
                self.times[fold, series],
                self.quantiles[fold, series, :, channel],
                self.levels,
                truth=self.truth[fold, series, :, channel],
                axes=axes,
                label=fold == 0,
            )
        return axes


def backtest(forecaster: Any, series: SeriesSet, *, folds: int, horizon: int | None, refit: bool) -> Backtest:
    """Measure fresh copies of `forecaster` from origins that roll; see `LSTMForecaster.backtest`."""
    check_count("folds", folds)
    if horizon is None:
        horizon = _own_horizon(forecaster, series)
    forecaster = clone(forecaster).set_params(horizon=horizon)
    cuts = [(folds - fold) * horizon for fold in range(folds)]
    _check_room(series, cuts[0] + horizon)
    fitted: Any = None
    methods = (type(forecaster).__name__, "seasonal naive", "last value")
    rows = []
    for cut in cuts:
        began = time.perf_counter()
        past, known = _before(series, cut, horizon)
        if fitted is None or refit:
            fitted = clone(forecaster)
            fitted.fit(past["X"], times=past["times"], known=past["known"], static=past["static"])
            quantiles = fitted.predict_quantiles(None, horizon, known=known and [part[-horizon:] for part in known])
        else:
            quantiles = fitted.predict_quantiles(**(past | {"known": known}), horizon=horizon)
        quantiles = quantiles[:, :, None] if series.block.n_channels == 1 else quantiles
        rows.append((past["X"], quantiles, time.perf_counter() - began))
    season, levels = fitted.season_length_, fitted._fitted_levels
    measured = [_measure(series, cut, *row[:2], season, levels) for cut, row in zip(cuts, rows, strict=True)]
    mase, loss, coverage = (np.stack(part, axis=1) for part in zip(*(each[:3] for each in measured), strict=True))
    return Backtest(
        methods=methods,
        levels=levels,
        horizon=horizon,
        season_length=season,
        mase=mase,
        pinball=loss,
        coverage=coverage,
        seconds=np.array([row[2] for row in rows]),
        quantiles=np.stack([row[1] for row in rows]),
        truth=np.stack([each[3] for each in measured]),
        times=np.stack([_times_of(series, cut, horizon) for cut in cuts]),
        series=series,
    )


def _own_horizon(forecaster: Any, series: SeriesSet) -> int:
    if not isinstance(forecaster.horizon, str):
        return int(forecaster.horizon)
    return int(forecaster._choose_horizon(series))


def _check_room(series: SeriesSet, least: int) -> None:
    lengths = series.block.lengths
    if lengths.min() <= least:
        raise DataError(
            f"series {lengths.argmin()} has {lengths.min()} steps, too few for a backtest that takes the last {least} "
            f"and has to learn from what is before.\n  Use fewer folds or a shorter horizon."
        )


def _before(series: SeriesSet, cut: int, horizon: int) -> tuple[dict[str, Any], list[Floats] | None]:
    """Return what may be known at an origin so many steps before the end, and the covariates of the horizon too."""
    block = series.block
    spans = [slice(start, end - cut) for start, end in zip(block.offsets[:-1], block.ends, strict=True)]
    has_known, has_static = block.covariates.shape[1] > 0, block.static.shape[1] > 0
    past = {
        "X": [block.values[span] for span in spans],
        "times": None if series.times is None else [series.times[span] for span in spans],
        "known": [block.covariates[span] for span in spans] if has_known else None,
        "static": block.static if has_static else None,
    }
    known = [block.covariates[span.start : span.stop + horizon] for span in spans] if has_known else None
    return past, known


def _rows_of(series: SeriesSet, cut: int, horizon: int) -> NDArray[np.int64]:
    return series.block.ends[:, None] - cut + np.arange(horizon)


def _times_of(series: SeriesSet, cut: int, horizon: int) -> NDArray[Any]:
    rows = _rows_of(series, cut, horizon)
    return rows - series.block.offsets[:-1, None] if series.times is None else series.times[rows]


def _measure(
    series: SeriesSet, cut: int, past: list[Floats], quantiles: Floats, season: int, levels: tuple[float, ...]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return MASE, pinball loss and coverage of each method, and the truth."""
    horizon = quantiles.shape[1]
    truth = series.block.values[_rows_of(series, cut, horizon)]
    scale = np.stack([mase_scale(part, season) for part in past])
    found = [(median_of(quantiles, levels), quantiles)]
    for lag in (season, 0):
        simple = [simple_forecast(part, horizon, lag, levels) for part in past]
        found.append((np.stack([each[0] for each in simple]), np.stack([each[1] for each in simple])))
    mase, loss, inside = [], [], []
    for median, spread in found:
        mase.append(mean_known(np.abs(truth - median) / scale[:, None]))
        loss.append(mean_known(pinball(truth, spread, levels) / scale[:, None, :, None]))
        inside.append(mean_known(covered(truth, spread[..., 0], spread[..., -1])))
    return np.array(mase), np.array(loss), np.array(inside), truth


def median_of(quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Return the median, or the quantile next to it."""
    return np.asarray(quantiles[..., int(np.argmin(np.abs(np.array(levels) - 0.5)))])


def simple_forecast(past: Floats, horizon: int, season: int, levels: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Forecast by the last season again (the last value again for 0), with the quantiles of its errors in the past.

    Parameters
    ----------
    past : ndarray, shape (T, K)
        NaN where nothing was measured.

    Returns
    -------
    point : ndarray, shape (horizon, K)
    quantiles : ndarray, shape (horizon, K, Q)
        The point, and as far on each side as the absolute errors at that step of every origin in the past say.

    Examples
    --------
    >>> past = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])[:, None]
    >>> simple_forecast(past, 3, 2, (0.1, 0.9))[0].ravel().tolist()
    [1.0, 2.0, 1.0]
    """
    season = season if 0 < season < len(past) else 1
    carried = _carried(past)
    steps = np.arange(horizon)
    point = carried[len(past) - season + steps % season]
    quantiles = np.empty((*point.shape, len(levels)))
    for step in steps:
        lag = season * (1 + step // season) if season > 1 else 1 + step
        errors = past[lag:] - carried[:-lag] if lag < len(past) else np.zeros((1, past.shape[1]))
        quantiles[step] = point[step, :, None] + _distances(errors, levels)
    return point, quantiles


def _distances(errors: Floats, levels: tuple[float, ...]) -> Floats:
    """Return how far from the point forecast the quantiles lie, shape (K, Q); 0 where no error is known.

    On both sides alike, so that the point forecast is the median: as far as the share of absolute errors that the
    interval between a level and its opposite should hold.
    """
    sizes = np.abs(np.where(np.isnan(errors).all(axis=0), 0.0, errors))
    sides = 2.0 * np.array(levels) - 1.0
    return np.asarray((np.sign(sides)[:, None] * np.nanquantile(sizes, np.abs(sides), axis=0)).T)


def _carried(past: Floats) -> Floats:
    """Return the values with the last one seen carried over gaps."""
    rows = np.arange(len(past))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(past), -1, rows), axis=0)
    first = np.take_along_axis(past, np.argmax(~np.isnan(past), axis=0)[None], axis=0)
    return np.where(last >= 0, np.take_along_axis(past, np.maximum(last, 0), axis=0), first)


def with_last(series: SeriesSet, horizon: int) -> SeriesSet:
    """Return the set with its last rows as those to come, and nothing in them."""
    block = replace(series.block, ahead=horizon, values=series.block.values.copy())
    block.values[block.ends[:, None] + np.arange(horizon)] = np.nan
    return replace(series, block=block)
