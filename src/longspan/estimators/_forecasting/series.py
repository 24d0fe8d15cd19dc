"""Reading what people pass to a forecaster: series, their times, covariates; put on regular grids."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.data.calendar import Step, calendar_features, grid_places, grid_times, infer_step, read_times
from longspan.data.windows import SeriesBlock
from longspan.errors import DataError, EmptyDataError, NonFiniteError, ShapeError
from longspan.sequences._reading import as_step_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesSet:
    """Series on their regular grids, with what is known of them.

    Attributes
    ----------
    block : SeriesBlock
        Values, covariates (without the calendar) and static numbers.
    times : ndarray of datetime64[us] or float64, shape (R,), or None
        Of every row of the block, also of those ahead.
    step : Step or None
        Between two rows.
    """

    block: SeriesBlock
    times: NDArray[Any] | None
    step: Step | None

    def with_calendar(self, cycles: tuple[str, ...]) -> SeriesBlock:
        """Return the block with what the calendar says beside the covariates."""
        if not cycles or self.times is None:
            return self.block
        both = np.concatenate([self.block.covariates, calendar_features(self.times, cycles)], axis=1)
        return replace(self.block, covariates=both)

    def last_times(self) -> NDArray[Any] | None:
        """Return the time of the last value of each series, shape (N,)."""
        return None if self.times is None else self.times[self.block.ends - 1]


def unwrap_frame(X: Any, times: Any) -> tuple[Any, Any]:
    """Turn what pandas holds into a list of series and their times; give back anything else.

    A `Series` is one series; a `DataFrame` with dates for an index holds one in each column; a list of either, each
    with dates of its own, is a list of series, of which a `DataFrame` holds the channels of one.
    """
    if isinstance(X, list | tuple) and X and times is None and all(_is_dated(part) for part in X):
        return [part.to_numpy() for part in X], [_dates(part.index) for part in X]
    index = getattr(X, "index", None)
    if index is None or callable(index) or not hasattr(X, "iloc"):
        return X, times
    dated = _is_dated(X)
    single = getattr(X, "ndim", 0) == 1
    if not dated and not single:
        _refuse_columns_of_dates(X)
    if not dated and not (single and X.dtype.kind in "fiub"):
        return X, times
    columns = [X.to_numpy()] if single else [X[name].to_numpy() for name in X.columns]
    if dated and times is None:
        times = [_dates(index)] * len(columns)
    return columns, times


def _is_dated(X: Any) -> bool:
    index = getattr(X, "index", None)
    return hasattr(X, "iloc") and type(index).__name__ in ("DatetimeIndex", "PeriodIndex")


def _refuse_columns_of_dates(X: Any) -> None:
    for name, kind in getattr(X, "dtypes", {}).items():
        if getattr(kind, "kind", "") == "M":
            raise DataError(
                f"column {name!r} of the frame holds dates: they belong into the index.\n"
                f"  Pass X.set_index({name!r}), in which each column that is left is a series."
            )


def _dates(times: Any) -> Any:
    """Return the dates of pandas as datetime64 without a zone; give back anything else.

    Dates with a zone are read as clocks show them if they all show the same time of day (days, weeks and months begin
    at midnight, also when summer time begins), and as UTC else (hours follow each other without a gap).
    """
    times = getattr(times, "array", times)
    if hasattr(times, "to_timestamp"):
        times = times.to_timestamp()
    if getattr(times, "tz", None) is not None:
        local = times.tz_localize(None)
        same = len({*(local - local.normalize())}) == 1
        times = local if same else times.tz_convert("UTC").tz_localize(None)
    return times.to_numpy() if hasattr(times, "to_numpy") else times


def value_rows(X: Any) -> list[Floats]:
    """Return the values of each series, float64 of shape (T_i, K); X has passed `as_sequences`."""
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    return [as_step_rows(part, f"series {number}").astype(np.float64) for number, part in enumerate(X)]


def read_series(
    values: list[Floats],
    *,
    times: Any = None,
    known: Any = None,
    static: Any = None,
    ahead: int = 0,
    step: Step | None = None,
) -> SeriesSet:
    """Put series on their regular grids, with `ahead` rows for what is to come.

    Parameters
    ----------
    values : list of ndarray, each of shape (T_i, K)
    times : one array (T_i,) a series, or one array for all
    known : one array (T_i + ahead, F) a series
    static : array (N, S)
    ahead : int
        Steps to come.
    step : Step, optional
        Between two times; by default it is inferred.

    Raises
    ------
    DataError, ShapeError, NonFiniteError
        What was passed does not go together; the message names the series.
    """
    covariates = read_known(known, values, ahead)
    numbers = _read_static(static, len(values))
    if times is None:
        block = series_block([padded(part, ahead) for part in values], covariates, numbers, ahead)
        return SeriesSet(block, None, None)
    read = _read_all_times(times, values)
    step = infer_step(read) if step is None else step
    places = [grid_places(part, step, f"series {number}") for number, part in enumerate(read)]
    on_grid = [padded(_spread(part, place), ahead) for part, place in zip(values, places, strict=True)]
    told = [_known_on_grid(part, place, ahead) for part, place in zip(covariates, places, strict=True)]
    grids = [grid_times(part[0], np.arange(len(rows)), step) for part, rows in zip(read, on_grid, strict=True)]
    return SeriesSet(series_block(on_grid, told, numbers, ahead), np.concatenate(grids), step)


def series_block(values: list[Floats], covariates: list[Floats], static: Floats, ahead: int) -> SeriesBlock:
    """Put series under each other; the rows ahead are among them."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in values])]).astype(np.int64)
    return SeriesBlock(np.concatenate(values), offsets, np.concatenate(covariates), static, ahead)


def padded(values: Floats, ahead: int) -> Floats:
    """Return the values with rows of NaN for what is to come."""
    return np.concatenate([values, np.full((ahead, values.shape[1]), np.nan)])


def _spread(values: Floats, places: NDArray[np.int64]) -> Floats:
    """Put rows where they belong on the grid; what lies between is missing."""
    rows = np.full((places[-1] + 1, values.shape[1]), np.nan)
    rows[places] = values
    return rows


def _known_on_grid(known: Floats, places: NDArray[np.int64], ahead: int) -> Floats:
    """Carry covariates forward over rows that are missing; those of the steps ahead come last."""
    given = len(places)
    latest = np.searchsorted(places, np.arange(places[-1] + 1), side="right") - 1
    return np.concatenate([known[:given][latest], known[given:]])


def _read_all_times(times: Any, values: list[Floats]) -> list[NDArray[Any]]:
    if isinstance(times, list | tuple):
        times = [_dates(part) if hasattr(part, "array") else part for part in times]
    times = _dates(times)
    parts = _one_each(times, len(values), "times", lone_ndim=1)
    return [
        read_times(part, len(rows), f"series {n}") for n, (part, rows) in enumerate(zip(parts, values, strict=True))
    ]


def _one_each(given: Any, count: int, name: str, *, lone_ndim: int) -> list[Any]:
    """Return one entry for each series; a lone array of `lone_ndim` axes is that of all."""
    if not isinstance(given, list | tuple) or (given and np.ndim(given[0]) == lone_ndim - 1):
        if hasattr(given, "to_numpy"):
            given = given.to_numpy()
        array = np.asarray(given)
        if array.ndim == lone_ndim:
            return [array] * count
    if not hasattr(given, "__len__") or len(given) != count:
        found = f"{len(given)} entries" if hasattr(given, "__len__") else repr(given)
        raise ShapeError(f"{name} must hold one array for each of the {count} series, but there are {found}.")
    return list(given)


def read_known(known: Any, values: list[Floats], ahead: int) -> list[Floats]:
    """Read covariates known in advance, float64 of shape (T_i + ahead, F) for each series."""
    if known is None:
        return [np.zeros((len(part) + ahead, 0)) for part in values]
    parts = _one_each(_columns(known, [len(part) + ahead for part in values]), len(values), "known", lone_ndim=2)
    read = [as_step_rows(part, f"known, series {n}").astype(np.float64) for n, part in enumerate(parts)]
    for number, (part, rows) in enumerate(zip(read, values, strict=True)):
        _check_known(part, len(rows), ahead, read[0].shape[1], number)
    return read


def _columns(known: Any, lengths: list[int]) -> Any:
    """Give a lone covariate, one number a step, the axis of the covariates."""
    if not isinstance(known, list | tuple):
        return np.asarray(known)[:, None] if np.ndim(known) == 1 and np.asarray(known).dtype != object else known
    flat = len(known) == len(lengths) and all(np.shape(part) == (n,) for part, n in zip(known, lengths, strict=True))
    return [np.asarray(part)[:, None] for part in known] if flat else known


def _check_known(part: Floats, past: int, ahead: int, features: int, number: int) -> None:
    if len(part) != past + ahead:
        later = f" and one for each of the {ahead} steps of the horizon" if ahead else ""
        missing = f"\n  The {ahead} future rows seem to be missing." if ahead and len(part) == past else ""
        raise ShapeError(
            f"known must have one row for each of the {past} values of series {number}{later}, {past + ahead} in all, "
            f"but has {len(part)}.{missing}"
        )
    if part.shape[1] != features:
        raise ShapeError(f"known has {part.shape[1]} columns for series {number}, but {features} for series 0.")
    bad = np.argwhere(~np.isfinite(part))
    if len(bad):
        raise NonFiniteError(
            f"known holds NaN or infinity for series {number}, in row {bad[0][0]}, column {bad[0][1]}: what is known "
            f"in advance must be known."
        )


def _read_static(static: Any, count: int) -> Floats:
    if static is None:
        return np.zeros((count, 0))
    try:
        numbers = np.asarray(static, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"static must hold numbers: {error}.\n  Encode categories, for example as one-hot.") from error
    if numbers.ndim != 2 or len(numbers) != count:
        raise ShapeError(f"static must have shape ({count}, S), one row a series, but its shape is {numbers.shape}.")
    if not np.isfinite(numbers).all():
        raise NonFiniteError(f"static holds NaN or infinity for series {np.argwhere(~np.isfinite(numbers))[0][0]}.")
    return numbers


def refuse_unseen(block: SeriesBlock) -> None:
    """Raise `EmptyDataError` for a series of which nothing was measured."""
    seen = np.add.reduceat((~np.isnan(block.values)).astype(np.int64), block.offsets[:-1], axis=0)
    empty = np.argwhere(seen == 0)
    if len(empty):
        raise EmptyDataError(f"series {empty[0][0]} holds nothing but NaN in channel {empty[0][1]}: leave it out.")


def season_from_autocorrelation(block: SeriesBlock, longest: int) -> int:
    """Return the lag at which the detrended series agree best with themselves, or 1 if they hardly do.

    The mean autocorrelation of the series, after a straight line was taken out of each; the highest peak beyond the
    first dip below 0 counts if it is above 0.25 and above what a series without memory would show by chance.

    Examples
    --------
    >>> waves = np.sin(2 * np.pi * np.arange(60) / 8)[:, None]
    >>> season_from_autocorrelation(SeriesBlock(waves, np.array([0, 60]), np.zeros((60, 0)), np.zeros((1, 0))), 20)
    8
    """
    total, count = np.zeros(longest + 2), 0
    filled = block.filled()
    for start, end in zip(block.offsets[:-1], block.ends, strict=True):
        for column in filled[start:end].T:
            if len(column) < 3 * 4:
                continue
            steps = np.arange(len(column))
            left = column - np.polyval(np.polyfit(steps, column, 1), steps)
            power = float(left @ left)
            if power <= 1e-12 * float(column @ column):
                continue
            lags = min(longest + 2, len(left) // 3 + 1)
            total[:lags] += [float(left[: len(left) - lag] @ left[lag:]) / power for lag in range(lags)]
            count += 1
    if not count:
        return 1
    mean = total / count
    below = np.flatnonzero(mean < 0)
    start = max(2, int(below[0])) if len(below) else len(mean)
    peaks = [k for k in range(start, len(mean) - 1) if mean[k] >= mean[k - 1] and mean[k] >= mean[k + 1]]
    best = max(peaks, key=lambda k: mean[k], default=1)
    chance = 2.0 / np.sqrt(np.mean(block.lengths) * count)
    return int(best) if best > 1 and mean[best] > max(0.25, chance) else 1
