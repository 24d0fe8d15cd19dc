"""LSTMForecaster: shapes, units, gaps, times, covariates, files, and what it refuses."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from longspan import LSTMForecaster, Sequences, load
from longspan.errors import DataError, EmptyDataError, ModelFileError, NonFiniteError, ParameterError, ShapeError
from longspan.estimators._forecasting.conformal import conformal_widths
from longspan.estimators._forecasting.rollout import between_quantiles
from longspan.io import read_model, write_model
from tests.estimators.small import assert_same_bits

TINY: dict[str, Any] = {"horizon": 3, "hidden_size": 3, "max_epochs": 2, "random_state": 0, "season_length": 4}


def forecaster(**parameters: Any) -> LSTMForecaster:
    return LSTMForecaster(**TINY | parameters)


def waves(count: int = 3, steps: int = 40, *, channels: int = 1, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    at = np.arange(steps)[:, None]
    return [
        10 + level + np.sin(2 * np.pi * at / 4 + np.arange(channels)) + rng.normal(0, 0.1, (steps, channels))
        for level in range(count)
    ]


X = waves()
MONTHS = np.arange("2000-01", "2003-05", dtype="datetime64[M]")


# Shapes and forms -------------------------------------------------------------------------------------------------


def test_shapes_are_those_documented() -> None:
    fitted = forecaster().fit(X)
    assert fitted.predict().shape == fitted.predict(X).shape == (3, 3)
    assert fitted.predict(X[:1], 2).shape == (1, 2)
    assert fitted.predict_quantiles().shape == (3, 3, 3)
    assert fitted.predict().dtype == np.float64
    two = forecaster(quantiles=(0.2, 0.8)).fit(waves(2, channels=2))
    assert two.predict(horizon=5).shape == (2, 5, 2)
    assert two.predict_quantiles(horizon=5).shape == (2, 5, 2, 2)


@pytest.mark.parametrize("form", ["array", "block", "Sequences", "flat", "frame of rows"])
def test_every_form_of_the_same_series_gives_the_same_forecast(form: str) -> None:
    block = np.stack(X).astype(np.float32).astype(np.float64)
    forms = {
        "array": block[:, :, 0],
        "block": block,
        "Sequences": Sequences.from_array(block),
        "flat": [x[:, 0] for x in block],
        "frame of rows": pd.DataFrame(block[:, :, 0]),
    }
    expected = forecaster().fit(list(block))
    fitted = forecaster().fit(forms[form])
    assert_same_bits(fitted, expected)
    np.testing.assert_array_equal(fitted.predict(forms[form]), expected.predict(list(block)))


def test_without_x_forecasts_go_on_from_the_training_series() -> None:
    fitted = forecaster().fit(X)
    np.testing.assert_array_equal(fitted.predict(), fitted.predict(X))
    np.testing.assert_array_equal(fitted.predict_quantiles(horizon=7), fitted.predict_quantiles(X, 7))


def test_a_table_may_grow_but_not_shrink() -> None:
    table = np.stack(X)[:, :, 0]
    fitted = forecaster().fit(table[:, :36])
    np.testing.assert_array_equal(fitted.predict(table), fitted.predict(list(table)))
    with pytest.raises(ShapeError, match="X has 35 features, but LSTMForecaster is expecting 36"):
        fitted.predict(table[:, :35])


def test_frames_with_dates_hold_a_series_in_each_column() -> None:
    frame = pd.DataFrame({str(n): x[:, 0] for n, x in enumerate(X)}, index=pd.DatetimeIndex(MONTHS))
    fitted = forecaster(season_length="auto").fit(frame)
    assert fitted.season_length_ == 12
    expected = forecaster(season_length="auto").fit([x[:, 0] for x in X], times=MONTHS)
    np.testing.assert_array_equal(fitted.predict(frame), expected.predict([x[:, 0] for x in X], times=MONTHS))
    one = forecaster(season_length=12).fit(frame["0"])
    assert one.predict().shape == (1, 3)
    periods = frame.set_axis(pd.PeriodIndex(frame.index, freq="M"))
    np.testing.assert_array_equal(forecaster(season_length="auto").fit(periods).predict(), fitted.predict())
    zoned = frame.tz_localize("UTC")
    np.testing.assert_array_equal(forecaster(season_length="auto").fit(zoned).predict(), fitted.predict())


def test_lists_of_series_have_dates_of_their_own() -> None:
    parts = [pd.Series(X[0][:, 0], pd.DatetimeIndex(MONTHS)), pd.Series(X[1][5:, 0], pd.DatetimeIndex(MONTHS[5:] - 4))]
    fitted = forecaster(season_length="auto").fit(parts)
    assert fitted.season_length_ == 12
    expected = forecaster(season_length="auto").fit([X[0], X[1][5:]], times=[MONTHS, MONTHS[5:] - 4])
    assert_same_bits(fitted, expected)
    np.testing.assert_array_equal(fitted.predict(parts), expected.predict())
    channels = [pd.DataFrame(x, pd.DatetimeIndex(MONTHS)) for x in waves(2, channels=2)]
    assert forecaster().fit(channels).predict().shape == (2, 3, 2)


@pytest.mark.parametrize(("freq", "season"), [("D", 7), ("B", 5), ("h", 24)])
def test_days_begin_at_midnight_also_when_the_clocks_change(freq: str, season: int) -> None:
    index = pd.date_range("2024-03-11", periods=500 if freq == "h" else 40, freq=freq, tz="Europe/Berlin")
    series = pd.Series(np.random.default_rng(0).normal(size=len(index)), index)
    fitted = forecaster(season_length="auto", context_length=4).fit(series)
    assert fitted.season_length_ == season
    later = pd.date_range(index[-1], periods=4, freq=freq)[1:]
    wanted = later.tz_convert("UTC") if freq == "h" else later
    np.testing.assert_array_equal(fitted.predict_times()[0], wanted.tz_localize(None).to_numpy())
    by_hand = forecaster(season_length="auto", context_length=4).fit([series.to_numpy()], times=index)
    np.testing.assert_array_equal(by_hand.predict(), fitted.predict())


def test_a_column_of_dates_belongs_into_the_index() -> None:
    frame = pd.DataFrame({"month": pd.DatetimeIndex(MONTHS), "sales": X[0][:, 0]})
    with pytest.raises(DataError, match=r"column 'month' .*\n  Pass X.set_index\('month'\)"):
        forecaster().fit(frame)


# What holds of every forecast -------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"output": "normal"}, {"output": "student_t"}, {"strategy": "recursive"}])
def test_quantiles_rise_and_the_median_is_the_prediction(parameters: dict[str, Any]) -> None:
    fitted = forecaster(quantiles=(0.05, 0.25, 0.5, 0.9), **parameters).fit(X)
    quantiles = fitted.predict_quantiles(horizon=7)
    assert bool((np.diff(quantiles, axis=-1) >= 0).all())
    assert bool((quantiles[..., -1] > quantiles[..., 0]).all())
    np.testing.assert_array_equal(quantiles[..., 2], fitted.predict(horizon=7))


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru", "feedforward"])
@pytest.mark.parametrize("parameters", [{}, {"strategy": "recursive"}])
def test_a_forecast_does_not_depend_on_its_neighbours(cell: str, parameters: dict[str, Any]) -> None:
    fitted = forecaster(cell=cell, **parameters).fit(X)
    together = fitted.predict_quantiles(X)
    for place, x in enumerate(X):
        np.testing.assert_allclose(fitted.predict_quantiles([x])[0], together[place], rtol=1e-5)


@pytest.mark.parametrize("parameters", [{}, {"log": True}, {"strategy": "recursive"}])
def test_nothing_that_comes_later_is_known(parameters: dict[str, Any]) -> None:
    later = [np.concatenate([x[:30], np.full((10, 1), 99.0)]) for x in X]
    fitted = forecaster(**parameters).fit(X)
    np.testing.assert_array_equal(
        fitted.predict_quantiles([x[:30] for x in later]), fitted.predict_quantiles([x[:30] for x in X])
    )
    ours, theirs = (forecaster(**parameters).fit([x[:30] for x in each]) for each in (X, later))
    assert_same_bits(ours, theirs)


def test_units_do_not_matter() -> None:
    near, far = forecaster(log=False).fit(X), forecaster(log=False).fit([1e6 + 1024 * x for x in X])
    np.testing.assert_allclose((far.predict_quantiles() - 1e6) / 1024, near.predict_quantiles(), rtol=1e-4)


def test_a_shorter_horizon_is_the_beginning_of_the_longer_one() -> None:
    fitted = forecaster().fit(X)
    np.testing.assert_allclose(fitted.predict_quantiles(horizon=2), fitted.predict_quantiles(horizon=3)[:, :2])
    longer = fitted.predict_quantiles(horizon=8)
    np.testing.assert_allclose(longer[:, :3], fitted.predict_quantiles(horizon=3))
    width = longer[..., -1] - longer[..., 0]
    assert bool((width[:, 3:6] >= width[:, [2]]).all())


def test_a_longer_horizon_goes_on_from_the_median() -> None:
    fitted = forecaster(log=False).fit(X)
    first = fitted.predict(X)
    second = fitted.predict([np.concatenate([x, more[:, None]]) for x, more in zip(X, first, strict=True)])
    np.testing.assert_allclose(fitted.predict(X, 6)[:, 3:], second, rtol=1e-6)


def test_training_begins_with_the_linear_forecast_and_may_stay_there() -> None:
    fitted = forecaster(max_epochs=1, lr=1e-12).fit(X)
    network = fitted.network_
    context = np.stack(X)[:, -fitted.context_length_ :, 0]
    if fitted.log_:
        context = np.log(context)
    relative = context - context[:, -1:]
    scale = np.maximum(*(np.abs(relative[:, lag:] - relative[:, :-lag]).mean(axis=1) for lag in (1, 4)))[:, None]
    expected = (relative / scale) @ network.base_weight.double().numpy() + network.base_bias.double().numpy()
    expected = expected * scale + context[:, -1:]
    np.testing.assert_allclose(fitted.predict(), np.exp(expected) if fitted.log_ else expected, rtol=1e-5)


def test_a_season_is_learned() -> None:
    clean = [5.0 + np.tile([0.0, 3.0, 1.0, -2.0], 12) for _ in range(2)]
    fitted = forecaster().fit(clean)
    np.testing.assert_allclose(fitted.predict(), [[5, 8, 6]] * 2, atol=0.3)
    assert fitted.score(clean) > -0.2


def test_series_that_never_change_are_forecast_as_they_are() -> None:
    fitted = forecaster().fit([np.full(30, 7.0), np.full(30, -3.0)])
    np.testing.assert_allclose(
        fitted.predict_quantiles(), np.array([7.0, -3.0])[:, None, None] * np.ones((2, 3, 3)), atol=1e-3
    )
    mixed = forecaster().fit([np.full(40, 7.0), X[0][:, 0]])
    np.testing.assert_allclose(mixed.predict()[0], 7.0, atol=1e-3)


# Gaps, times, covariates -------------------------------------------------------------------------------------------


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


# Intervals ---------------------------------------------------------------------------------------------------------


def test_conformal_widths_by_hand() -> None:
    levels = (0.1, 0.5, 0.9)
    quantiles = np.tile([-1.0, 0.0, 2.0], (9, 1, 1))
    truth = np.array([-0.5, -1.0, -1.5, -2.0, 1.0, 2.0, 3.0, 5.0, 0.0])[:, None]
    scores = [0.5, 1.0, 1.5, 2.0, 0.5, 1.0, 1.5, 2.5, 0.0]
    expected = np.quantile(scores, 0.8 * (1 + 1 / 9))
    np.testing.assert_allclose(conformal_widths(truth, quantiles, levels), [[expected, 1.0, expected]])
    lone = conformal_widths(truth, quantiles[..., 1:], (0.5, 0.9))
    above = np.array([-0.5, -1.0, -1.5, -2.0, 1.0, 2.0, 3.0, 5.0, 0.0]) / 2
    np.testing.assert_allclose(lone, [[1.0, np.quantile(above, 0.9 * (1 + 1 / 9))]])


def test_calibrated_intervals_hold_their_share() -> None:
    rng = np.random.default_rng(0)
    series = [np.cumsum(rng.standard_t(4, 400)) for _ in range(4)]
    fitted = forecaster(season_length=1).fit([x[:300] for x in series])
    inside = []
    for start in range(300, 395, 3):
        low, _, high = np.moveaxis(fitted.predict_quantiles([x[:start] for x in series]), -1, 0)
        truth = np.stack([x[start : start + 3] for x in series])
        inside.append((low <= truth) & (truth <= high))
    assert 0.72 < np.mean(inside) < 0.88


def test_draws_between_quantiles_are_those_of_the_normal_distribution_through_them() -> None:
    from scipy.stats import norm

    levels = (0.1, 0.5, 0.9)
    draws = np.array([0.001, 0.1, 0.3, 0.5, 0.6, 0.99])
    quantiles = np.tile(norm.ppf(levels, 3, 2), (6, 1))
    np.testing.assert_allclose(between_quantiles(quantiles, levels, draws), norm.ppf(draws, 3, 2))


# Life of an estimator ----------------------------------------------------------------------------------------------

FITS: dict[str, Any] = {
    "direct": lambda: forecaster().fit(X),
    "recursive": lambda: forecaster(strategy="recursive", cell="gru").fit(X),
    "channels": lambda: forecaster(quantiles=[0.2, 0.8]).fit(waves(2, channels=2)),
    "times": lambda: forecaster(season_length="auto", output="student_t").fit([x[:, 0] for x in X], times=MONTHS),
    "numbers for times": lambda: forecaster().fit(X, times=np.arange(40.0)),
    "static": lambda: forecaster(cell="feedforward", window=3).fit(X, static=np.eye(3)),
    "gaps": lambda: forecaster().fit([np.where(np.arange(40) % 9 == 3, np.nan, x[:, 0]) for x in X]),
    "variants": lambda: forecaster(init="chrono", cell_options={"peephole": True}, horizon="auto").fit(X),
    "matched": lambda: forecaster(cell="rnn", match_parameters=True).fit(X),
    "table": lambda: forecaster(conformal=False, validation_fraction=0).fit(np.stack(X)[:, :, 0]),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())
def test_what_is_loaded_is_what_was_saved(fit: Any, tmp_path: Path) -> None:
    fitted = fit()
    fitted.save(tmp_path / "model.longspan")
    loaded = load(tmp_path / "model.longspan")
    assert_same_bits(loaded, fitted)
    np.testing.assert_array_equal(loaded.predict_quantiles(horizon=5), fitted.predict_quantiles(horizon=5))
    np.testing.assert_array_equal(loaded.predict_times(), fitted.predict_times())
    assert loaded.recipe_ == fitted.recipe_
    assert loaded.get_params()["horizon"] == fitted.horizon
    kept = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("__")}
    assert kept <= set(vars(loaded))


LIES: dict[str, Any] = {
    "widths": lambda config: config["fitted"]["arrays"]["widths_"].update(values=[[1.0, 1.0, -1.0]] * 3),
    "tail": lambda config: config["fitted"]["arrays"]["_tail_values"].update(values=[[[1.0]]]),
    "season": lambda config: config["fitted"]["values"].update(season_length_=0),
    "endless tail": lambda config: config["fitted"]["arrays"]["_tail_values"]["values"][0][0].__setitem__(0, 1e300),
    "no changes": lambda config: config["fitted"]["arrays"]["_tail_changes"].update(values=[[None]] * 3),
    "no lengths": lambda config: config["fitted"]["arrays"].update(_tail_lengths=None),
    "lone time": lambda config: (
        config["fitted"]["values"].update(_step=["number", 1.0, False]),
        config["fitted"]["arrays"].update(_tail_times={"dtype": "<f8", "values": [1.0]}),
    ),
    "horizon": lambda config: config["fitted"]["values"].update(horizon_=10**9),
    "cycles": lambda config: config["fitted"]["values"].update(cycles_=["day of week"]),
    "levels": lambda config: config["recipe"]["network"].update(levels=[0.9, 0.5, 0.1]),
    "output": lambda config: config["recipe"]["network"].update(output="poem"),
    "context": lambda config: config["recipe"]["network"].update(context_length=10**9),
    "quantiles": lambda config: config["parameters"].update(quantiles=["a"]),
    "step": lambda config: config["fitted"]["values"].update(_step=["years", "x"]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_files_that_lie_are_refused(lie: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.longspan"
    forecaster().fit(X).save(path)
    config, tensors = read_model(path)
    lie(config)
    write_model(path, config, tensors)
    with pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize("name", ["base_spread", "covariate_scale"])
def test_files_with_scales_of_zero_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.longspan"
    forecaster().fit(X, known=[np.arange(40.0)] * 3).save(path)
    config, tensors = read_model(path)
    write_model(path, config, tensors | {f"network.{name}": 0 * tensors[f"network.{name}"]})
    with pytest.raises(ModelFileError, match="not above 0"):
        load(path)


def test_a_random_state_gives_the_same_bits() -> None:
    assert_same_bits(forecaster().fit(X), forecaster().fit(X))


def test_warm_start_goes_on() -> None:
    fitted = forecaster(warm_start=True).fit(X)
    before = fitted.network_.base_weight.clone()
    fitted.fit(X)
    assert torch.equal(fitted.network_.base_weight, before)
    with pytest.raises(ParameterError, match="warm_start"):
        fitted.set_params(hidden_size=5).fit(X)


def test_a_fit_that_fails_loses_nothing() -> None:
    fitted = forecaster().fit(X)
    expected = fitted.predict()
    with pytest.raises(DataError):
        fitted.fit([np.ones(2)])
    np.testing.assert_array_equal(fitted.predict(), expected)


def test_ctrl_c_keeps_the_best_network_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    from longspan.errors import TrainingWarning
    from longspan.training import Trainer

    epoch, calls = Trainer.epoch, []

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return epoch(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted in epoch 3"):
        fitted = forecaster(max_epochs=5).fit(X)
    assert fitted.stop_reason_ == "interrupted"
    assert np.isfinite(fitted.predict_quantiles()).all()


def test_ctrl_c_before_the_last_training_keeps_the_network_that_was_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    from longspan.errors import TrainingWarning

    train = LSTMForecaster._train

    def interrupted(self: Any, *args: Any, title: str = "", **kwargs: Any) -> Any:
        if "everything" in title:
            raise KeyboardInterrupt
        return train(self, *args, title=title, **kwargs)

    monkeypatch.setattr(LSTMForecaster, "_train", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted"):
        fitted = forecaster().fit(X)
    assert fitted.stop_reason_ == "interrupted"
    assert np.isfinite(fitted.predict_quantiles()).all()


def test_a_network_that_finds_nothing_leaves_the_linear_forecast() -> None:
    noise = [np.random.default_rng(0).normal(size=60)]
    fitted = forecaster(season_length=1, max_epochs=3).fit(noise)
    assert fitted.best_epoch_ == 0
    assert fitted.n_iter_ == len(fitted.history_) == 3
    assert all("validation_loss" in record for record in fitted.history_)
    assert bool((fitted.network_.head.weight == 0).all())


def test_nothing_is_said_unasked() -> None:
    heard = io.StringIO()
    with redirect_stdout(heard), redirect_stderr(heard):
        forecaster().fit(X).predict(X)
    assert heard.getvalue() == ""


# What is refused ---------------------------------------------------------------------------------------------------

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


def test_a_score_needs_something_measured() -> None:
    fitted = forecaster().fit(X)
    gappy = [x.copy() for x in X]
    gappy[0][-3:] = np.nan
    assert np.isfinite(fitted.score(gappy))
    with pytest.raises(DataError, match="nothing was measured in the last 3 steps"):
        fitted.score(gappy[:1])


def test_the_fan_chart_shows_the_past_and_the_quantiles() -> None:
    import matplotlib.pyplot as plt

    fitted = forecaster(quantiles=(0.1, 0.25, 0.5, 0.75, 0.9)).fit([x[:, 0] for x in X], times=MONTHS)
    axes = fitted.plot_forecast(series=1)
    past, median = axes.lines
    np.testing.assert_array_equal(past.get_ydata(), X[1][-fitted.context_length_ :, 0])
    np.testing.assert_array_equal(median.get_ydata(), [X[1][-1, 0], *fitted.predict()[1]])
    np.testing.assert_array_equal(median.get_xdata()[1:], fitted.predict_times()[1])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "80% interval",
        "50% interval",
        "median forecast",
    ]
    plt.close(axes.figure)
