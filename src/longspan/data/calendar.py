"""Time columns: the step between times, the regular grid they lie on, and what the calendar says about each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.errors import DataError

_MICROSECONDS = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}

_MOSTLY_GAPS = 50
"""A grid with so many times as many places as there are times was surely not meant."""


@dataclass(frozen=True)
class Step:
    """The time from one value of a series to the next.

    Attributes
    ----------
    kind : {"months", "microseconds", "number"}
        Calendar months, which differ in length; time of a fixed length; or the unit of plain numbers.
    count : int or float
        How many of them.
    at_month_end : bool
        Whether each time is the last day of its month.

    Examples
    --------
    >>> Step("months", 3).season_length, Step("microseconds", 3_600_000_000).season_length
    (4, 24)
    """

    kind: str
    count: int | float
    at_month_end: bool = False

    @property
    def season_length(self) -> int | None:
        """Steps of the season that the calendar suggests: a year, a week of days, a day of hours; None for none.

        A year of months (12), quarters (4) or weeks (52), a week of days (7), a day of hours or minutes, a minute of
        seconds. Years and plain numbers have none.
        """
        if self.kind == "months":
            return 12 // int(self.count) if self.count < 12 and 12 % self.count == 0 else None
        if self.kind == "number":
            return None
        day = _MICROSECONDS["day"]
        for period, finest in ((364 * day, 7 * day), (7 * day, day), (day, 60_000_000), (60_000_000, 1)):
            if finest <= self.count < period:
                return int(period // self.count) if period % self.count == 0 else None
        return None

    @property
    def days(self) -> float:
        """Length in days, about; 0 for plain numbers."""
        if self.kind == "number":
            return 0.0
        return self.count * 30.4375 if self.kind == "months" else self.count / _MICROSECONDS["day"]

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{self.count:g}"
        if self.kind == "months":
            return _counted(self.count // 12, "year") if self.count % 12 == 0 else _counted(self.count, "month")
        for name, size in _MICROSECONDS.items():
            if self.count % size == 0:
                return _counted(self.count // size, name)
        return _counted(self.count, "microsecond")


def _counted(count: float, name: str) -> str:
    return f"1 {name}" if count == 1 else f"{count:g} {name}s"


def read_times(times: Any, n_steps: int, name: str) -> NDArray[Any]:
    """Read the times of one series as datetime64[us] or float64, shape (T,).

    Parameters
    ----------
    times : array of shape (T,)
        Dates as datetime64 or ISO text (as UTC, if they have an offset), or numbers; strictly rising.
    n_steps : int
        Values of the series.
    name : str
        The series, for messages.

    Raises
    ------
    DataError
        A time is missing, occurs twice, or comes before the one above it; there are more or fewer times than values; or
        they are neither dates nor numbers.

    Examples
    --------
    >>> read_times(["1949-01", "1949-02"], 2, "series 0")
    array(['1949-01-01T00:00:00.000000', '1949-02-01T00:00:00.000000'],
          dtype='datetime64[us]')
    """
    array = np.asarray(times)
    try:
        if array.dtype.kind in "OUS":
            array = array.astype("datetime64[us]")
        array = array.astype("datetime64[us]" if array.dtype.kind == "M" else np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the times of {name} are neither dates nor numbers: {error}.") from error
    if array.shape != (n_steps,):
        raise DataError(f"{name} has {n_steps} values, but its times have shape {array.shape}: one time a value.")
    _check_order(array, name)
    return array


def _check_order(times: NDArray[Any], name: str) -> None:
    missing = np.flatnonzero(np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times))
    if len(missing):
        raise DataError(
            f"the times of {name} are missing at place {missing[0]}.\n"
            f"  Drop such rows: a value may be missing (NaN, or the whole row left out), but not its time alone."
        )
    wrong = np.flatnonzero(np.diff(times) <= np.zeros(1, np.diff(times[:1]).dtype))
    if len(wrong):
        place = int(wrong[0]) + 1
        if times[place] == times[place - 1]:
            raise DataError(
                f"the times of {name} hold {times[place]} twice, at places {place - 1} and {place}: duplicate times.\n"
                f"  Keep one row for each time, or average them."
            )
        raise DataError(
            f"the times of {name} are unsorted: {times[place]} at place {place} comes after {times[place - 1]}.\n"
            f"  Sort the rows by time."
        )


def infer_step(times: Sequence[NDArray[Any]]) -> Step:
    """Return the most common difference between neighbouring times of some series, as the calendar counts it.

    Parameters
    ----------
    times : sequence of ndarray, each of shape (T_i,)
        As `read_times` returns them; all dates or all numbers.

    Raises
    ------
    DataError
        Some are dates and some numbers, or no series has two times.

    Examples
    --------
    >>> month_ends = np.array(["2024-01-31", "2024-02-29", "2024-04-30", "2024-05-31"], "datetime64[us]")
    >>> str(infer_step([month_ends]))
    '1 month'
    """
    if len({part.dtype.kind for part in times}) > 1:
        raise DataError("the times of some series are dates, and of others numbers: they must all be of one kind.")
    if all(len(part) < 2 for part in times):
        raise DataError("the step cannot be told from one time a series.\n  Pass more values, or no times.")
    if times[0].dtype.kind == "f":
        return Step("number", _most_common_number(np.concatenate([np.diff(part) for part in times])))
    for at_month_end in (False, True):
        if all(_same_place_in_month(part, at_month_end) for part in times):
            months = np.concatenate([np.diff(_months(part)) for part in times])
            return Step("months", _most_common(months), at_month_end)
    return Step("microseconds", _most_common(np.concatenate([np.diff(part).astype(np.int64) for part in times])))


def _most_common(differences: NDArray[np.int64]) -> int:
    values, counts = np.unique(differences, return_counts=True)
    return int(values[counts.argmax()])


def _most_common_number(differences: NDArray[np.float64]) -> float:
    """Return the most common difference; those that differ by rounding alone are one."""
    grain = differences.min() * 1e-3
    _, index, counts = np.unique(np.rint(differences / grain), return_inverse=True, return_counts=True)
    return float(np.median(differences[index == counts.argmax()]))


def _months(times: NDArray[Any]) -> NDArray[np.int64]:
    return times.astype("datetime64[M]").astype(np.int64)


def _same_place_in_month(times: NDArray[Any], at_month_end: bool) -> bool:
    within = _within_month(times, at_month_end)
    return bool((within == within[0]).all()) and (not at_month_end or bool(-within[0] <= np.timedelta64(1, "D")))


def _within_month(times: NDArray[Any], at_month_end: bool) -> NDArray[Any]:
    """Return the time since a month began, or, below 0, until it ends."""
    months = times.astype("datetime64[M]") + int(at_month_end)
    return np.asarray(times - months.astype("datetime64[us]"))


def grid_places(times: NDArray[Any], step: Step, name: str) -> NDArray[np.int64]:
    """Return the place of each time on the regular grid from the first one on, int64 of shape (T,).

    Raises
    ------
    DataError
        A time lies between two places, or the grid would be nearly empty.

    Examples
    --------
    >>> days = np.array(["2024-01-01", "2024-01-02", "2024-01-05"], "datetime64[us]")
    >>> grid_places(days, Step("microseconds", 86_400_000_000), "series 0")
    array([0, 1, 4])
    """
    exact: NDArray[np.float64]
    if step.kind == "months":
        months = _months(times)
        exact = (months - months[0]) / step.count
        within = _within_month(times, step.at_month_end)
        exact = exact + 0.5 * (within != within[0])  # between two places
    else:
        exact = (times - times[0]).astype(np.float64) / step.count
    places: NDArray[np.float64] = np.rint(exact)
    off = np.flatnonzero(np.abs(exact - places) > (1e-3 if step.kind == "number" else 1e-9))
    if len(off):
        raise DataError(
            f"{times[off[0]]}, the time at place {off[0]} of {name}, is not a whole number of steps after {times[0]}; "
            f"a step is {step}, the most common difference.\n"
            f"  Irregular times have to be brought to a regular grid first: aggregate or interpolate (in pandas, "
            f"resample), or pass no times to take the values as equally spaced."
        )
    if places[-1] > _MOSTLY_GAPS * len(places) + 1000:
        raise DataError(
            f"{name} has {len(places)} values, but {places[-1]:.0f} steps of {step} lie between the first and the last."
            f"\n  Look for a wrong time, or bring the series to a longer step."
        )
    return places.astype(np.int64)


def grid_times(first: Any, places: NDArray[np.int64], step: Step) -> NDArray[Any]:
    """Return the times at `places` of the grid that begins at `first`, the inverse of `grid_places`.

    Examples
    --------
    >>> grid_times(np.datetime64("2024-01-31", "us"), np.array([1, 2]), Step("months", 1, at_month_end=True))
    array(['2024-02-29T00:00:00.000000', '2024-03-31T00:00:00.000000'],
          dtype='datetime64[us]')
    """
    if step.kind != "months":
        unit: Any = 1.0 if step.kind == "number" else np.timedelta64(1, "us")
        return np.asarray(first + places * step.count * unit)
    month = first.astype("datetime64[M]")
    begins = month + int(step.at_month_end)
    within = first - begins.astype("datetime64[us]")
    return np.asarray((begins + places * int(step.count)).astype("datetime64[us]") + within)


CYCLES = {"time of day": 1.0, "day of week": 7.0, "day of month": 30.4375, "day of year": 365.25}
"""Days that each cycle of the calendar takes."""


def calendar_cycles(step: Step, span: float) -> tuple[str, ...]:
    """Return the cycles of the calendar that times `step` apart can show, over a `span` of so many steps.

    A cycle must be longer than two steps, or nothing of it is seen, and the span must hold it once, or where in the
    cycle a value lies would say no more than how late it is.

    Examples
    --------
    >>> calendar_cycles(Step("months", 1), 144), calendar_cycles(Step("microseconds", 86_400_000_000), 100)
    (('day of year',), ('day of week', 'day of month'))
    """
    if step.kind == "number":
        return ()
    days = step.days
    return tuple(name for name, period in CYCLES.items() if 2.0 * days < period <= span * days)


def calendar_features(times: NDArray[Any], cycles: Sequence[str]) -> NDArray[np.float64]:
    """Return sine and cosine of where in each cycle the times lie, shape (T, 2 * cycles).

    Parameters
    ----------
    times : ndarray of datetime64, shape (T,)
    cycles : sequence of {"time of day", "day of week", "day of month", "day of year"}

    Examples
    --------
    >>> noon = np.array(["2024-01-01T12:00"], "datetime64[us]")
    >>> calendar_features(noon, ["time of day"]).round(3).tolist()
    [[0.0, -1.0]]
    """
    if not cycles:
        return np.zeros((len(times), 0))
    angle = 2 * np.pi * np.stack([_phase(times, name) for name in cycles], axis=1)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(times), -1)


def _phase(times: NDArray[Any], cycle: str) -> NDArray[np.float64]:
    """Return the share of a cycle that is over, from 0 to 1."""
    if cycle in ("time of day", "day of week"):
        days = times.astype("datetime64[us]").astype(np.int64) / _MICROSECONDS["day"]
        # The epoch began on a Thursday; weeks begin on Mondays.
        return np.asarray(days % 1.0 if cycle == "time of day" else ((days + 3) % 7.0) / 7.0)
    unit = "M" if cycle == "day of month" else "Y"
    begins = times.astype(f"datetime64[{unit}]")
    ends = (begins + 1).astype("datetime64[us]")
    start = begins.astype("datetime64[us]")
    return np.asarray((times - start) / (ends - start))
