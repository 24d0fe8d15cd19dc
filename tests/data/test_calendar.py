"""Time columns: steps, grids and cycles, checked against Python's own calendar."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.data.calendar import (
    Step,
    calendar_cycles,
    calendar_features,
    grid_places,
    grid_times,
    infer_step,
    read_times,
)
from longspan.errors import DataError

DAY = 86_400_000_000


def times(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


STEPS = {
    "1 hour": (times("2024-01-01T00", "2024-01-01T01", "2024-01-01T02"), 24),
    "30 minutes": (times("2024-01-01T00:00", "2024-01-01T00:30", "2024-01-01T01:00"), 48),
    "10 seconds": (times("2024-01-01T00:00:00", "2024-01-01T00:00:10", "2024-01-01T00:00:20"), 6),
    "1 day": (times("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-04"), 7),
    "7 days": (times("1958-03-29", "1958-04-05", "1958-04-12"), 52),
    "1 month": (times("1949-01", "1949-02", "1949-03"), 12),
    "3 months": (times("1949-01-15", "1949-04-15", "1949-07-15"), 4),
    "1 year": (times("1700", "1701", "1702"), None),
    "14 days": (times("2024-01-01", "2024-01-15", "2024-01-29"), 26),
    "5 months": (times("2024-01", "2024-06", "2024-11"), None),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_told_by_their_most_common_difference(name: str) -> None:
    column, season = STEPS[name]
    step = infer_step([column])
    assert str(step) == name
    assert step.season_length == season


def test_month_ends_are_months() -> None:
    column = times("2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31", "2024-05-31")
    step = infer_step([column])
    assert step == Step("months", 1, at_month_end=True)
    assert grid_places(column, step, "x").tolist() == [0, 1, 2, 3, 5]
    back = grid_times(column[0], np.arange(6), step)
    assert back[4] == np.datetime64("2024-04-30")
    np.testing.assert_array_equal(back[[0, 1, 2, 3, 5]], column)


def test_months_keep_their_day_and_hour() -> None:
    column = times("2024-01-15T06:30", "2024-02-15T06:30", "2024-04-15T06:30", "2024-05-15T06:30")
    step = infer_step([column])
    assert grid_places(column, step, "x").tolist() == [0, 1, 3, 4]
    np.testing.assert_array_equal(grid_times(column[0], np.array([0, 1, 3, 4]), step), column)


def test_numbers_have_steps_too() -> None:
    column = np.array([0.1, 0.2, 0.3, 0.5, 0.6])
    step = infer_step([column, column + 7])
    assert step.kind == "number"
    np.testing.assert_allclose(step.count, 0.1)
    assert step.season_length is None
    assert grid_places(column, step, "x").tolist() == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(grid_times(0.1, np.array([0, 4]), step), [0.1, 0.5])


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.sets(st.integers(0, 40), min_size=3).filter(lambda places: 0 in places and 1 in places and 2 in places),
    st.sampled_from([1, 60, 3600, 86400, 7 * 86400]),
)
def test_a_grid_and_its_times_are_inverse(first: datetime, places: set[int], seconds: int) -> None:
    kept = np.array(sorted(places))
    column = np.array([first + timedelta(seconds=seconds * int(k)) for k in kept], "datetime64[us]")
    step = Step("microseconds", seconds * 1_000_000)
    assert grid_places(column, step, "x").tolist() == kept.tolist()
    np.testing.assert_array_equal(grid_times(column[0], kept, step), column)


BAD_TIMES: dict[str, tuple[Any, str]] = {
    "twice": (["2024-01-01", "2024-01-02", "2024-01-02"], "twice, at places 1 and 2: duplicate"),
    "unsorted": (["2024-01-01", "2024-01-03", "2024-01-02"], "unsorted: 2024-01-02.* at place 2"),
    "missing": (["2024-01-01", "NaT", "2024-01-03"], "missing at place 1"),
    "NaN": ([0.0, np.nan, 2.0], "missing at place 1"),
    "too few": (["2024-01-01", "2024-01-02"], "has 3 values, but its times have shape"),
    "words": (["monday", "tuesday", "friday"], "neither dates nor numbers"),
}


@pytest.mark.parametrize("name", BAD_TIMES)
def test_bad_times_are_named(name: str) -> None:
    column, message = BAD_TIMES[name]
    with pytest.raises(DataError, match=message):
        read_times(column, 3, "series 4")


def test_times_that_fit_no_grid_are_refused() -> None:
    column = times("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03T05:00")
    with pytest.raises(DataError, match=r"place 3 of series 0, is not a whole number of steps .* 1 day[\s\S]*resample"):
        grid_places(column, infer_step([column]), "series 0")
    month = times("2024-01-01", "2024-02-01", "2024-03-01", "2024-03-15")
    with pytest.raises(DataError, match="place 3"):
        grid_places(month, Step("months", 1), "series 0")


def test_a_grid_that_is_nearly_empty_is_refused() -> None:
    column = times("1900-01-01T00:00:00", "1900-01-01T00:00:01", "2024-01-01")
    with pytest.raises(DataError, match=r"3 values, but .* steps of 1 second"):
        grid_places(column, infer_step([column]), "series 0")


def test_kinds_of_times_are_not_mixed() -> None:
    with pytest.raises(DataError, match="dates, and of others numbers"):
        infer_step([times("2024-01-01", "2024-01-02"), np.arange(2.0)])
    with pytest.raises(DataError, match="one time a series"):
        infer_step([times("2024-01-01")])


def test_features_are_where_the_clock_and_the_calendar_stand() -> None:
    column = times("2024-07-01T18:00", "2023-12-31T00:00")
    names = ("time of day", "day of week", "day of month", "day of year")
    found = calendar_features(column, names)
    expected = []
    for moment in column.tolist():
        start_of_day = moment.replace(hour=0)
        day_share = (moment - start_of_day) / timedelta(days=1)
        week = (moment.weekday() + day_share) / 7
        first = moment.replace(day=1, hour=0)
        month = (moment - first) / (timedelta(days=31))
        january = moment.replace(month=1, day=1, hour=0)
        year = (moment - january) / timedelta(days=366 if moment.year == 2024 else 365)
        expected.append([f(2 * np.pi * share) for share in (day_share, week, month, year) for f in (np.sin, np.cos)])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert calendar_features(column, ()).shape == (2, 0)


def test_cycles_must_be_seen_and_must_come_round() -> None:
    hourly = Step("microseconds", DAY // 24)
    assert calendar_cycles(hourly, 24 * 10) == ("time of day", "day of week")
    assert calendar_cycles(hourly, 24 * 400) == ("time of day", "day of week", "day of month", "day of year")
    assert calendar_cycles(Step("microseconds", 7 * DAY), 104) == ("day of month", "day of year")
    assert calendar_cycles(Step("months", 12), 300) == ()
    assert calendar_cycles(Step("number", 1.0), 300) == ()
