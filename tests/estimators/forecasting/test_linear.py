"""The linear forecast that training begins with: classical forecasts as maps, ridge, how errors grow."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from longspan.data.windows import SeriesBlock
from longspan.estimators._forecasting.linear import (
    Examples,
    LinearChoice,
    choose_linear,
    classical_forecasts,
    fit_linear,
    growth_of_errors,
    spread_of_errors,
)
from longspan.estimators._forecasting.series import season_from_autocorrelation

L, H, SEASON = 12, 6, 4
RNG = np.random.default_rng(0)


def test_classical_forecasts_are_what_their_names_say() -> None:
    context = RNG.normal(size=L)
    context -= context[-1]
    maps = [context @ each for each in classical_forecasts(L, H, SEASON)]
    steps = np.arange(H)
    seasons = context.reshape(3, SEASON)
    growth = seasons[2].mean() - seasons[1].mean()
    again = seasons[2][steps % SEASON]
    pattern = (seasons - seasons.mean(axis=1, keepdims=True)).mean(axis=0)
    expected = [
        np.zeros(H),
        np.full(H, context.mean()),
        np.full(H, context.mean() / 2),
        (1 + steps) * (context[-1] - context[0]) / (L - 1),
        again,
        again + 0.5 * growth * (1 + steps // SEASON),
        again + growth * (1 + steps // SEASON),
    ]
    for span in (SEASON, 3):
        level = (context[-span:] - pattern[-span:]).mean()
        ahead = (steps + 1 + (span - 1) / 2) / SEASON
        expected += [level + pattern[steps % SEASON] + share * growth * ahead for share in (0, 0.5, 1)]
    np.testing.assert_allclose(maps, expected, atol=1e-12)


@pytest.mark.parametrize("context", [1, 3, 5])
def test_short_contexts_have_fewer_of_them(context: int) -> None:
    maps = classical_forecasts(context, 2, 4)
    assert len(maps) == (4 if context < 4 else 5)
    assert all(each.shape == (context, 2) and np.isfinite(each).all() for each in maps)


def test_a_season_that_grows_is_forecast_without_error() -> None:
    steps = np.arange(L + H)
    series = np.tile([0.0, 5.0, 1.0, -3.0], 5)[: L + H] + 2.0 * (steps // SEASON)
    relative = series - series[L - 1]
    found = relative[:L] @ classical_forecasts(L, H, SEASON)[6]
    np.testing.assert_allclose(found, relative[L:])


def examples(count: int = 30) -> Examples:
    contexts = RNG.normal(size=(count, L))
    return Examples(contexts, contexts[:, :H] * 0.7 + RNG.normal(0, 0.1, (count, H)))


def test_the_refinement_is_the_ridge_regression_of_what_is_left() -> None:
    data = examples()
    weights = np.zeros((13, 4))
    weights[4, 1] = 1.0  # the last season, with a penalty of 1 for each window
    choice = LinearChoice(weights, np.zeros((0, H)), np.empty(0, dtype=np.int64), SEASON)
    weight, bias = fit_linear(data, choice)
    classical = classical_forecasts(L, H, SEASON)[4]
    inputs = np.concatenate([data.contexts, np.ones((30, 1))], axis=1)
    ridge = Ridge(alpha=30.0, fit_intercept=False).fit(inputs, data.targets - data.contexts @ classical)
    np.testing.assert_allclose(weight, classical + ridge.coef_[:, :L].T, atol=1e-9)
    np.testing.assert_allclose(bias, ridge.coef_[:, L], atol=1e-9)


def test_what_did_best_on_later_windows_is_chosen() -> None:
    data = examples(60)
    choice = choose_linear(data, [(np.arange(30), np.arange(30, 60))], SEASON)
    assert choice.weights.sum() == pytest.approx(1.0)
    assert choice.weights[:, 0].sum() > 0.99  # the smallest penalty: the past says nearly all
    weight, bias = fit_linear(data.take(np.arange(30)), choice)
    np.testing.assert_allclose(choice.errors, data.targets[30:] - data.contexts[30:] @ weight - bias, atol=1e-9)


def test_steps_that_were_not_measured_ask_for_nothing() -> None:
    data = examples(60)
    split = [(np.arange(30), np.arange(30, 60))]
    targets = data.targets.copy()
    targets[::3, 2] = np.nan
    choice = choose_linear(Examples(data.contexts, targets), split, SEASON)
    assert np.isfinite(choice.weights).all()
    assert np.isnan(choice.errors).sum() == np.isnan(targets[30:]).sum()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_errors_grow_by_a_power_of_the_step(power: float) -> None:
    steps = np.arange(1, 9)
    errors = np.array([1.0, -1.0])[:, None] * 3 * steps**power
    np.testing.assert_allclose(growth_of_errors(errors), 3 * steps**power)


def test_the_gaps_are_those_of_the_errors() -> None:
    errors = RNG.normal(size=(4000, 1)) * 2
    gaps = spread_of_errors(errors, (0.05, 0.25, 0.5, 0.9), "quantiles")[0]
    normal = 2 * np.array([0.6745, 1.6449 - 0.6745, 1.2816])
    np.testing.assert_allclose(gaps, normal, rtol=0.1)
    np.testing.assert_allclose(spread_of_errors(errors, (0.5,), "normal")[0], 2.0, rtol=0.1)
    assert spread_of_errors(errors, (0.5,), "quantiles").shape == (1, 0)


@pytest.mark.parametrize(("season", "found"), [(7, 7), (12, 12), (None, 1)])
def test_a_season_is_found_in_the_autocorrelation(season: int | None, found: int) -> None:
    steps = np.arange(240)
    wave = 0.05 * steps + (RNG.normal(size=240) if season is None else 3 * np.sin(2 * np.pi * steps / season))
    values = (wave + RNG.normal(0, 0.5, 240))[:, None]
    block = SeriesBlock(values, np.array([0, 240]), np.zeros((240, 0)), np.zeros((1, 0)))
    assert season_from_autocorrelation(block, 60) == found
