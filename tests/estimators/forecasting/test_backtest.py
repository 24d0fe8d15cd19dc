"""Backtests: measures worked by hand, baselines, rolling origins without a look ahead."""

import json
from typing import Any

import numpy as np
import pytest

from longspan import LSTMForecaster
from longspan.errors import DataError, MissingDependencyError, ParameterError
from longspan.estimators._forecasting.backtest import Backtest, simple_forecast
from longspan.estimators._forecasting.metrics import covered, mase_scale, pinball

TINY: dict[str, Any] = {"horizon": 3, "hidden_size": 3, "max_epochs": 1, "random_state": 0, "season_length": 4}
RNG = np.random.default_rng(0)
X = [10 + level + np.tile([0.0, 2.0, 1.0, -1.0], 12) + RNG.normal(0, 0.2, 48) for level in range(2)]


@pytest.fixture(scope="module")
def result() -> Backtest:
    return LSTMForecaster(**TINY).backtest(X, folds=2)


# Measures ----------------------------------------------------------------------------------------------------------


def test_the_scale_of_mase_by_hand() -> None:
    past = np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0], [np.nan, 5.0], [7.0, 5.0]])
    np.testing.assert_allclose(mase_scale(past, 2), [(1 + 5) / 2, np.nan])
    np.testing.assert_allclose(mase_scale(past[:3], 12), [(2 + 1) / 2, np.nan])


def test_pinball_and_coverage_by_hand() -> None:
    truth = np.array([2.0, np.nan])
    losses = pinball(truth, np.array([[1.0, 4.0], [0.0, 0.0]]), (0.2, 0.9))
    np.testing.assert_allclose(losses[0], [0.2 * 1, 0.1 * 2])
    assert np.isnan(losses[1]).all()
    np.testing.assert_array_equal(covered(truth, np.array([2.0, 0.0]), np.array([3.0, 1.0])), [1.0, np.nan])


def test_seasonal_naive_repeats_the_season_and_knows_its_errors() -> None:
    past = np.array([0.0, 10.0, -1.0, 12.0, 3.0, 13.0])[:, None]
    point, quantiles = simple_forecast(past, 3, 2, (0.1, 0.5, 0.9))
    assert point.ravel().tolist() == [3, 13, 3]
    one_season = np.quantile([1, 2, 4, 1], 0.8)
    two_seasons = np.quantile([3, 3], 0.8)
    np.testing.assert_allclose(quantiles[0, 0], [3 - one_season, 3, 3 + one_season])
    np.testing.assert_allclose(quantiles[2, 0], [3 - two_seasons, 3, 3 + two_seasons])


def test_the_last_value_is_carried_over_gaps() -> None:
    past = np.array([1.0, 4.0, np.nan, 6.0, np.nan])[:, None]
    point, quantiles = simple_forecast(past, 2, 0, (0.75,))
    assert point.ravel().tolist() == [6, 6]
    np.testing.assert_allclose(quantiles.ravel() - 6, [np.median([3, 2]), np.median([2])])


# The table ---------------------------------------------------------------------------------------------------------


def test_every_fold_is_a_fresh_fit_on_what_lies_before(result: Backtest) -> None:
    for fold, cut in enumerate((6, 3)):
        past = [x[: 48 - cut] for x in X]
        fitted = LSTMForecaster(**TINY).fit(past)
        np.testing.assert_array_equal(result.quantiles[fold, :, :, 0], fitted.predict_quantiles())
        truth = np.stack([x[48 - cut :][:3] for x in X])
        np.testing.assert_array_equal(result.truth[fold, :, :, 0], truth)
        assert result.times[fold].tolist() == [[48 - cut, 49 - cut, 50 - cut]] * 2
        scale = np.array([np.abs(p[4:] - p[:-4]).mean() for p in past])[:, None]
        naive = np.stack([p[-4:-1] for p in past])
        last = np.stack([p[-1:] for p in past])
        for row, point in enumerate((fitted.predict(), naive, last)):
            np.testing.assert_allclose(result.mase[row, fold], (np.abs(truth - point) / scale).mean())
        low, _, high = np.moveaxis(fitted.predict_quantiles(), -1, 0)
        np.testing.assert_allclose(result.coverage[0, fold], ((low <= truth) & (truth <= high)).mean())
        loss = pinball(truth, fitted.predict_quantiles(), (0.1, 0.5, 0.9)) / scale[:, :, None]
        np.testing.assert_allclose(result.pinball[0, fold], loss.mean())


def test_what_comes_later_changes_no_forecast(result: Backtest) -> None:
    later = [np.concatenate([x[:45], np.full(3, 1e3)]) for x in X]
    other = LSTMForecaster(**TINY).backtest(later, folds=2)
    np.testing.assert_array_equal(other.quantiles, np.stack([result.quantiles[0], other.quantiles[1]]))
    np.testing.assert_array_equal(other.quantiles[1], result.quantiles[1])
    assert not np.array_equal(other.mase, result.mase)


def test_pooled_numbers_are_means_over_the_folds(result: Backtest) -> None:
    assert result.methods == ("LSTMForecaster", "seasonal naive", "last value")
    np.testing.assert_allclose(result.pooled["seasonal naive"]["MASE"], result.mase[1].mean())
    np.testing.assert_allclose(result.pooled["last value"]["coverage"], result.coverage[2].mean())
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["mase"] == result.mase.tolist()
    assert plain["pooled"] == result.pooled


def test_the_table_is_written_out(result: Backtest) -> None:
    lines = str(result).splitlines()
    assert lines[0].startswith("2 folds of 3 steps, season 4;")
    assert lines[2].split()[:4] == ["MASE", "pinball", "in", "80%"]
    assert lines[3].split()[0] == "LSTMForecaster"
    assert f"{result.mase[0].mean():.3f}" in lines[3]
    assert repr(result) == str(result)


def test_one_fit_may_serve_all_folds() -> None:
    once = LSTMForecaster(**TINY).backtest(X, folds=2, refit=False)
    fitted = LSTMForecaster(**TINY).fit([x[:42] for x in X])
    np.testing.assert_array_equal(once.quantiles[1, :, :, 0], fitted.predict_quantiles([x[:45] for x in X]))


@pytest.mark.parametrize("refit", [True, False])
def test_times_covariates_and_channels_go_along(refit: bool) -> None:
    times = np.arange("2000-01", "2004-01", dtype="datetime64[M]")
    series = [np.stack([x, -x], axis=1) for x in X]
    known = [np.arange(48.0)[:, None] % 3] * 2
    kept = np.setdiff1d(np.arange(48), [20])
    tested = LSTMForecaster(**TINY).backtest(
        [x[kept] for x in series],
        2,
        2,
        times=times[kept],
        known=[k[kept] for k in known],
        static=np.eye(2),
        refit=refit,
    )
    assert tested.quantiles.shape == (2, 2, 2, 2, 3)
    np.testing.assert_array_equal(tested.truth[1, 0], series[0][46:])
    np.testing.assert_array_equal(tested.times[1, 0], times[46:].astype("datetime64[us]"))


def test_gaps_do_not_count() -> None:
    gappy = [x.copy() for x in X]
    gappy[0][-1] = np.nan
    tested = LSTMForecaster(**TINY).backtest(gappy, folds=1)
    assert np.isnan(tested.truth).sum() == 1
    assert np.isfinite(tested.mase).all()
    assert np.isfinite(tested.coverage).all()


def test_series_that_never_changed_have_no_scale() -> None:
    tested = LSTMForecaster(**TINY).backtest([np.zeros(48)], folds=1)
    assert np.isnan(tested.mase).all()
    assert np.isnan(tested.pooled["LSTMForecaster"]["pinball loss"])
    beside = LSTMForecaster(**TINY).backtest([np.zeros(48), X[0]], folds=1)
    naive = np.abs(X[0][45:] - X[0][41:44]).mean() / np.abs(X[0][4:45] - X[0][:41]).mean()
    np.testing.assert_allclose(beside.mase[1], [naive])


def test_the_estimator_stays_as_it_is() -> None:
    forecaster = LSTMForecaster(**TINY)
    forecaster.backtest(X, folds=1, horizon=2)
    assert forecaster.horizon == 3
    assert not hasattr(forecaster, "network_")


def test_what_a_backtest_refuses() -> None:
    for folds in (0, 1.5, True):
        with pytest.raises(ParameterError, match="folds is a whole number"):
            LSTMForecaster(**TINY).backtest(X, folds=folds)
    with pytest.raises(ParameterError, match="horizon"):
        LSTMForecaster(**TINY).backtest(X, horizon=0)
    with pytest.raises(DataError, match="too few for a backtest that takes the last 48"):
        LSTMForecaster(**TINY).backtest(X, folds=15)


def test_the_picture_shows_each_fold(result: Backtest) -> None:
    import matplotlib.pyplot as plt

    axes = result.plot(series=1)
    medians = [line.get_ydata() for line in axes.lines if line.get_linewidth() > 1.5]
    np.testing.assert_array_equal(np.stack(medians)[:, 1:], result.quantiles[:, 1, :, 0, 1])
    np.testing.assert_array_equal(np.stack(medians)[:, 0], X[1][[41, 44]])  # each goes on from the last value before it
    plt.close(axes.figure)


def test_without_matplotlib_the_extra_is_named(result: Backtest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r"longspan\[plots\]"):
        result.plot()
