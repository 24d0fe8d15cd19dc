"""What a forecaster refuses, and in which words."""

from typing import Any

import numpy as np
import pytest

from longspan.errors import DataError, EmptyDataError, NonFiniteError, ParameterError, ShapeError
from tests.estimators.forecasting.small import MONTHS, X, forecaster, waves

PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "horizon of zero": ({"horizon": 0}, "horizon must be a whole number from 1"),
    "quantile of one": ({"quantiles": (0.5, 1.0)}, "quantiles are levels between 0 and 1"),
    "unsorted": ({"quantiles": (0.9, 0.1)}, "quantiles must rise"),
    "twice": ({"quantiles": (0.1, 0.1)}, "quantiles must rise"),
    "none": ({"quantiles": ()}, "quantiles are levels"),
    "text": ({"quantiles": "0.5"}, "quantiles are levels"),
    "output": ({"output": "gamma"}, "output is one of"),
    "strategy": ({"strategy": "seq2seq"}, "strategy is one of"),
    "log": ({"log": "yes"}, "log is True, False or 'auto'"),
    "conformal": ({"conformal": 1}, "conformal is True or False"),
    "season": ({"season_length": 0}, "season_length must be"),
    "context": ({"context_length": 1.5}, "context_length must be"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_out_of_range_are_named(name: str) -> None:
    parameters, message = PARAMETERS[name]
    with pytest.raises(ParameterError, match=message):
        forecaster(**parameters).fit(X)


def with_entry(value: float) -> list[np.ndarray]:
    return [X[0], np.where(np.arange(40)[:, None] == 7, value, X[1])]


DATA: dict[str, tuple[Any, dict[str, Any], type, str]] = {
    "infinite": (with_entry(np.inf), {}, NonFiniteError, "sequence 1 has .*inf.* at step 7"),
    "all NaN": ([X[0], np.full((40, 1), np.nan)], {}, EmptyDataError, "series 1 holds nothing but NaN"),
    "short": ([X[0], X[1][:4]], {"context_length": 8}, DataError, "series 1 has 4 steps, but a window takes 11"),
    "one-dimensional": (X[0][:, 0], {}, ShapeError, "X must have shape"),
    "negative logarithm": ([-x for x in X], {"log": True}, ParameterError, "log is True"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_cannot_be_learned_from_are_named(name: str) -> None:
    data, parameters, kind, message = DATA[name]
    with pytest.raises(kind, match=message):
        forecaster(**parameters).fit(data)


BESIDE: dict[str, tuple[dict[str, Any], str]] = {
    "times twice": ({"times": np.r_[MONTHS[:2], MONTHS[1], MONTHS[3:]]}, "duplicate times"),
    "times unsorted": ({"times": MONTHS[::-1]}, "unsorted"),
    "times missing": ({"times": np.r_[MONTHS[:5], np.datetime64("NaT"), MONTHS[6:]]}, "missing at place 5"),
    "times too few": ({"times": [MONTHS[:39]] * 3}, "has 40 values, but its times have shape"),
    "times for two": ({"times": [MONTHS] * 2}, "times must hold one array for each of the 3 series"),
    "known too short": ({"known": [np.ones((39, 1))] * 3}, "known must have one row for each of the 40 values"),
    "known with NaN": ({"known": [np.full((40, 1), np.nan)] * 3}, "known holds NaN"),
    "known uneven": ({"known": [np.ones((40, 1)), np.ones((40, 2)), np.ones((40, 1))]}, "2 columns for series 1"),
    "static too short": ({"static": np.ones((2, 1))}, r"static must have shape \(3, S\)"),
    "static flat": ({"static": np.ones(3)}, r"static must have shape \(3, S\)"),
    "static with NaN": ({"static": np.full((3, 1), np.nan)}, "static holds NaN or infinity for series 0"),
    "static words": ({"static": [["a"], ["b"], ["c"]]}, "static must hold numbers"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_goes_beside_the_series_is_checked(name: str) -> None:
    beside, message = BESIDE[name]
    with pytest.raises(DataError, match=message):
        forecaster().fit(X, **beside)


def test_predictions_are_asked_for_rightly() -> None:
    known = [np.ones((40, 2))] * 3
    fitted = forecaster().fit(X, known=known, static=np.ones((3, 2)))
    ahead = [np.ones((43, 2))] * 3
    with pytest.raises(ShapeError, match=r"43 in all, but has 40\.\n  The 3 future rows"):
        fitted.predict(X, known=known, static=np.ones((3, 2)))
    with pytest.raises(ShapeError, match="static has 1 columns, but the forecaster was fitted on 2"):
        fitted.predict(X, known=ahead, static=np.ones((3, 1)))
    with pytest.raises(ShapeError, match="known has 0 columns, but the forecaster was fitted on 2"):
        fitted.predict()
    with pytest.raises(ParameterError, match="go with X"):
        fitted.predict(static=np.ones((3, 2)))
    plain = forecaster().fit(X)
    for horizon in (0, -1, 2.5, True):
        with pytest.raises(ParameterError, match="horizon is a whole number"):
            plain.predict(X, horizon)
    with pytest.raises(DataError, match=f"series 1 has 5 steps, but at least {plain.context_length_}"):
        plain.predict([X[0], X[1][:5]])
    with pytest.raises(ShapeError, match="2 features"):
        plain.predict(waves(1, channels=2))
    with pytest.raises(ParameterError, match="were learned"):
        plain.predict_quantiles(quantiles=(0.3,))
    with pytest.raises(DataError, match="fitted without times"):
        plain.predict(X, times=[MONTHS] * 3)
    with pytest.raises(DataError, match="fitted with times"):
        forecaster().fit([x[:, 0] for x in X], times=MONTHS).predict([x[:, 0] for x in X])
    with pytest.raises(NonFiniteError, match="log=False"):
        forecaster(log=True).fit(X).predict([-x for x in X])
