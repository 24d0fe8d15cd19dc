"""Measures of forecasts: MASE, pinball loss, coverage."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def mase_scale(past: Floats, season: int) -> Floats:
    """Return the mean absolute change over a season within the past, shape (K,); NaN where nothing ever changes.

    What the mean absolute error is divided by to be scaled, MASE (Hyndman & Koehler 2006, "Another look at measures of
    forecast accuracy"): the error of the seasonal-naive forecast of one step within the training part.

    Parameters
    ----------
    past : ndarray, shape (T, K)
        NaN where nothing was measured.
    season : int
        Steps of a season, 1 for none; 1 is taken where the past is no longer than a season.

    Examples
    --------
    >>> mase_scale(np.array([[1.0], [2.0], [4.0], [8.0]]), 2)
    array([4.5])
    """
    lag = season if season < len(past) else 1
    changes = np.abs(past[lag:] - past[:-lag])
    known = ~np.isnan(changes)
    total, count = np.where(known, changes, 0.0).sum(axis=0), known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, total / count, np.nan))


def mean_known(values: Floats, axis: int | None = None) -> Any:
    """Return the mean of what is not NaN, NaN where nothing is.

    Examples
    --------
    >>> mean_known(np.array([[1.0, np.nan], [np.nan, np.nan]]), axis=1).tolist()
    [1.0, nan]
    """
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=axis) / np.float64(known.sum(axis=axis))


def pinball(truth: Floats, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Return the pinball loss of each quantile, shape (..., Q).

    Examples
    --------
    >>> pinball(np.array([3.0]), np.array([[1.0, 4.0]]), (0.1, 0.9)).round(3).tolist()
    [[0.2, 0.1]]
    """
    error = truth[..., None] - quantiles
    return np.asarray(np.maximum(np.array(levels) * error, (np.array(levels) - 1.0) * error))


def covered(truth: Floats, low: Floats, high: Floats) -> Floats:
    """Return 1 where the truth lies from low to high, 0 where it does not, NaN where it is not known.

    Examples
    --------
    >>> covered(np.array([1.0, 5.0, np.nan]), np.zeros(3), np.full(3, 2.0)).tolist()
    [1.0, 0.0, nan]
    """
    inside = ((truth >= low) & (truth <= high)).astype(np.float64)
    return np.where(np.isnan(truth), np.nan, inside)
