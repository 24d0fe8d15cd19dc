"""LSTMRegressor: one or more numbers a sequence or a step, in their own units."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from longspan.errors import ShapeError
from tests.estimators.small import assert_same_bits, ends, ragged, regressor

X = ragged()
y = ends(X)


@pytest.mark.parametrize("shape", [(24,), (24, 1), (24, 3)])
def test_predictions_have_the_shape_of_the_targets(shape: tuple[int, ...]) -> None:
    targets = np.random.default_rng(0).normal(size=shape)
    fitted = regressor().fit(X, targets)
    assert fitted.n_outputs_ == (shape[1] if len(shape) == 2 else 1)
    predicted = fitted.predict(X)
    assert predicted.shape == shape
    assert predicted.dtype == np.float64
    assert fitted.score(X, targets) == r2_score(targets, predicted)
    assert_same_bits(fitted, regressor().fit(X, targets.tolist()))


@pytest.mark.parametrize("columns", [None, 1, 2])
def test_numbers_a_step(columns: int | None) -> None:
    targets = [np.cumsum(x[:, : columns or 1], axis=0) for x in X]
    if columns is None:
        targets = [part[:, 0] for part in targets]
    fitted = regressor(per_step=True).fit(X, targets)
    predicted = fitted.predict(X)
    assert [part.shape for part in predicted] == [part.shape for part in targets]
    truth, joined = np.concatenate(targets), np.concatenate(predicted)
    np.testing.assert_allclose(fitted.score(X, targets), r2_score(truth, joined))
    weights = np.arange(len(X))
    of_steps = np.repeat(weights, [len(x) for x in X])
    np.testing.assert_allclose(
        fitted.score(X, targets, sample_weight=weights), r2_score(truth, joined, sample_weight=of_steps)
    )


@pytest.mark.parametrize("shape", [(20, 6), (20, 6, 2)])
def test_numbers_a_step_of_an_array_are_an_array(shape: tuple[int, ...]) -> None:
    block = np.random.default_rng(0).normal(size=(20, 6, 2))
    targets = np.random.default_rng(1).normal(size=shape)
    fitted = regressor(per_step=True).fit(block, targets)
    assert fitted.predict(block).shape == shape
    assert_same_bits(fitted, regressor(per_step=True).fit(list(block), list(targets)))


@pytest.mark.parametrize("per_step", [False, True])
def test_the_units_of_targets_do_not_matter(per_step: bool) -> None:
    targets = [x[:, 0] for x in X] if per_step else y
    far = [1e6 + 1024 * t for t in targets] if per_step else 1e6 + 1024 * y
    parameters = {"per_step": per_step, "validation_fraction": 0.25}
    near_fit, far_fit = regressor(**parameters).fit(X, targets), regressor(**parameters).fit(X, far)
    near, distant = (np.concatenate(f.predict(X)) if per_step else f.predict(X) for f in (near_fit, far_fit))
    np.testing.assert_allclose((distant - 1e6) / 1024, near, atol=1e-4)


def test_training_begins_with_the_mean_by_default() -> None:
    fitted = regressor(max_epochs=1, lr=1e-12, ema_decay=0.0).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), y.mean(), atol=1e-6)


def test_targets_of_one_value_are_predicted() -> None:
    fitted = regressor().fit(X, np.full(len(X), 7.5))
    np.testing.assert_allclose(fitted.predict(X), 7.5, atol=0.5)


def test_what_both_ends_decide_is_learned() -> None:
    fitted = regressor(hidden_size=8, max_epochs=150, lr=0.02, dropout=0.0, input_noise=0.0).fit(X, y)
    assert fitted.score(X, y) > 0.9


@pytest.mark.parametrize("parameters", [{}, {"validation_fraction": 0.25}])
def test_a_sequence_without_weight_is_not_there(parameters: dict) -> None:
    weights = np.concatenate([np.ones(len(X)), [0]])
    fitted = regressor(**parameters).fit([*X, X[0] * 100], [*y, 1e9], sample_weight=weights)
    assert_same_bits(fitted, regressor(**parameters).fit(X, y))


def test_the_scale_of_targets_stays_with_the_network() -> None:
    fitted = regressor().partial_fit(X, y)
    mean = fitted.target_scaler_.mean.tolist()
    assert fitted.partial_fit(X, y + 100).target_scaler_.mean.tolist() == mean
    warm = regressor(warm_start=True).fit(X, y)
    assert warm.fit(X, y + 100).target_scaler_.mean.tolist() == mean


def test_the_number_of_targets_stays_with_the_network() -> None:
    two = np.stack([y, y], axis=1)
    with pytest.raises(ShapeError, match="2 columns"):
        regressor().partial_fit(X, y).partial_fit(X, two)
    with pytest.raises(ShapeError, match="2 columns"):
        regressor(warm_start=True).fit(X, y).fit(X, two)
    fitted = regressor(per_step=True).fit(X, [x[:, 0] for x in X])
    with pytest.raises(ShapeError, match="predictions of all steps"):
        fitted.score(X, X)
