"""LSTMForecaster: shapes, units, intervals, files, and the life of an estimator."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from longspan import LSTMForecaster, Sequences, load
from longspan.errors import DataError, ModelFileError, ParameterError, ShapeError
from longspan.estimators._forecasting.conformal import conformal_widths
from longspan.estimators._forecasting.rollout import between_quantiles
from longspan.io import read_model, write_model
from tests.estimators.forecasting.small import MONTHS, X, forecaster, waves
from tests.estimators.small import assert_same_bits

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
