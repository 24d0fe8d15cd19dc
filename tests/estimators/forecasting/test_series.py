"""Series as they come: gaps, times, and what is known beside them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from longspan import LSTMForecaster
from tests.estimators.forecasting.small import MONTHS, X, forecaster, waves
from tests.estimators.small import assert_same_bits


def test_rows_left_out_are_the_gaps_that_nan_is() -> None:
    values = X[0][:, 0].copy()
    lost = np.array([5, 6, 20, 33])
    values[lost] = np.nan
    kept = np.setdiff1d(np.arange(40), lost)
    full = forecaster().fit([values], times=MONTHS)
    short = forecaster().fit([values[kept]], times=[MONTHS[kept]])
    assert_same_bits(full, short)
    np.testing.assert_array_equal(full.predict(), short.predict())
    assert np.isfinite(full.predict_quantiles()).all()


def test_a_series_that_ends_in_a_gap_is_forecast() -> None:
    values = [x.copy() for x in X]
    values[0][-2:] = np.nan
    fitted = forecaster().fit(values)
    assert np.isfinite(fitted.predict()).all()


@pytest.mark.parametrize("parameters", [{"log": False}, {"log": True}, {"strategy": "recursive"}])
@pytest.mark.parametrize("channels", [1, 2])
def test_gaps_longer_than_the_context_hide_nothing_of_what_came_before(
    parameters: dict[str, Any], channels: int
) -> None:
    series = waves(2, channels=channels)
    series[0][-20:, 0] = np.nan
    series[1][-10:-3, 0] = np.nan
    fitted = forecaster(context_length=6, **parameters).fit(series)
    quantiles = fitted.predict_quantiles(series)
    np.testing.assert_array_equal(fitted.predict_quantiles(), quantiles)
    first = quantiles.reshape(2, 3, channels, 3)[0, :, 0]
    np.testing.assert_allclose(first[:, 1], series[0][-21, 0], atol=2.0)
    assert bool((first[:, 2] - first[:, 0] > 0.05).all())


def test_times_of_the_forecast_go_on() -> None:
    fitted = forecaster().fit([x[:, 0] for x in X], times=MONTHS)
    expected = np.arange("2003-05", "2003-08", dtype="datetime64[M]").astype("datetime64[us]")
    np.testing.assert_array_equal(fitted.predict_times(), np.stack([expected] * 3))
    np.testing.assert_array_equal(fitted.predict_times([X[0][:30]], 1, times=[MONTHS[:30]]), [[MONTHS[30]]])
    bare = forecaster().fit(X)
    assert bare.predict_times(X).tolist() == bare.predict_times().tolist() == [[40, 41, 42]] * 3
    assert forecaster().fit([X[0]], times=np.arange(40) * 0.5).predict_times().tolist() == [[20.0, 20.5, 21.0]]


def test_the_calendar_reaches_the_network() -> None:
    days = np.arange("2024-01-01", "2024-02-10", dtype="datetime64[D]")
    fitted = forecaster(season_length="auto").fit([x[:, 0] for x in X], times=days)
    assert fitted.season_length_ == 7
    assert fitted.cycles_ == ["day of week", "day of month"]
    assert fitted.network_.config.covariate_size == 4


def holidays(length: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((length, 1)) < 0.2).astype(float)


def test_covariates_known_in_advance_are_learned() -> None:
    known = [holidays(103, n) for n in range(4)]
    rng = np.random.default_rng(0)
    series = [5 * k[:100, 0] + rng.normal(0, 0.1, 100) for k in known]
    fitted = LSTMForecaster(
        3, season_length=1, random_state=0, max_epochs=25, hidden_size=16, lr=0.02, dropout=0.0
    ).fit(series, known=[k[:100] for k in known])
    found = fitted.predict(known=[k[100:] for k in known])
    truth = np.stack([5 * k[100:, 0] for k in known])
    assert np.abs(found - truth).mean() < 1.0
    np.testing.assert_allclose(fitted.predict(series, known=known), found)
    other = [k.copy() for k in known]
    other[0][-1] = 1 - other[0][-1]
    assert np.abs(fitted.predict(series, known=other) - found)[0, 2] > 2


def test_a_lone_covariate_needs_no_axis_of_its_own() -> None:
    prices = [np.arange(43.0) % 3 + n for n in range(3)]
    columns = [price[:, None] for price in prices]
    for alone, told in ((prices, columns), (prices[0], columns[0]), (pd.Series(prices[0]), columns[0])):
        past, same = (k[:40] if not isinstance(k, list) else [part[:40] for part in k] for k in (alone, told))
        fitted, expected = forecaster().fit(X, known=past), forecaster().fit(X, known=same)
        np.testing.assert_array_equal(fitted.predict(X, known=alone), expected.predict(X, known=told))


def test_the_network_finds_what_no_linear_map_can() -> None:
    rng = np.random.default_rng(0)
    state, tents = rng.uniform(size=16), []
    for _ in range(60):
        state = 1.0 - 1.9 * np.abs(state - 0.5)
        tents.append(state)
    series = list(np.stack(tents, axis=1) + rng.normal(0, 0.01, (16, 60)))
    later = [(x[:end], x[end]) for x in series for end in range(50, 60)]

    def error(**parameters: Any) -> float:
        fitted = LSTMForecaster(1, season_length=1, context_length=3, log=False, random_state=0, **parameters)
        fitted.fit([x[:50] for x in series])
        assert (fitted.best_epoch_ > 0) == (fitted.hidden_size == 8)
        return float(np.abs(fitted.predict([past for past, _ in later])[:, 0] - [came for _, came in later]).mean())

    learned = error(hidden_size=8, max_epochs=16, lr=0.03, dropout=0.0)
    assert learned < 0.6 * error(hidden_size=2, max_epochs=1, lr=1e-12)


def test_static_numbers_are_told() -> None:
    static = np.array([[0.0, 1.0], [1.0, 5.0], [2.0, 9.0]])
    fitted = forecaster(max_epochs=8, lr=0.05).fit(X, static=static)
    assert fitted.network_.config.static_size == 2
    assert not np.allclose(fitted.predict(X, static=static), fitted.predict(X, static=static[::-1]))
    np.testing.assert_array_equal(fitted.predict(), fitted.predict(X, static=static))
