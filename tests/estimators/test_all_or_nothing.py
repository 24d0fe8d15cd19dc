"""A fit that is refused, fails or is interrupted: nothing that was there before is lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longspan.errors import TrainingWarning
from longspan.training import Trainer
from tests.estimators.small import classifier, ends, ragged, regressor, signs

X = ragged()
Maker = Callable[..., Any]
both = pytest.mark.parametrize(
    ("make", "y"), [(classifier, signs(X)), (regressor, ends(X))], ids=["classes", "numbers"]
)


@both
@pytest.mark.parametrize(
    "refused",
    [
        {"warm_start": True, "hidden_size": 5},
        {"groups": ["one too few"] * (len(X) - 1)},
        {"sample_weight": [-1.0] * len(X)},
        {"lr": -1},
    ],
    ids=str,
)
def test_a_fit_that_is_refused_leaves_what_was_fitted(
    make: Maker, y: np.ndarray, refused: dict[str, Any], tmp_path: Path
) -> None:
    estimator = make().fit(X, y)
    before, predicted = dict(vars(estimator)), estimator.predict(X)
    arguments = {name: refused[name] for name in ("groups", "sample_weight") if name in refused}
    parameters = {name: value for name, value in refused.items() if name not in arguments}
    estimator.set_params(**parameters)
    with pytest.raises((ValueError, TypeError)):
        estimator.fit(X[::-1], np.roll(y, 1), **arguments)
    assert {name: value for name, value in vars(estimator).items() if name not in parameters} == {
        name: value for name, value in before.items() if name not in parameters
    }
    np.testing.assert_array_equal(estimator.predict(X), predicted)


@both
def test_a_warm_start_that_fails_loses_nothing(make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = make(warm_start=True).fit(X, y)
    predicted = estimator.predict(X)
    epoch = Trainer.epoch

    def broken_after_one(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        epoch(self, *args, **kwargs)
        raise MemoryError

    monkeypatch.setattr(Trainer, "epoch", broken_after_one)
    with pytest.raises(MemoryError):
        estimator.fit(X, np.roll(y, 1))
    np.testing.assert_array_equal(estimator.predict(X), predicted)


@both
@pytest.mark.parametrize("changed", [{"per_step": True}, {"missing": "indicator"}, {"hidden_size": 7}], ids=str)
def test_predictions_are_those_of_what_was_fitted_whatever_the_parameters_become(
    make: Maker, y: np.ndarray, changed: dict[str, Any]
) -> None:
    estimator = make().fit(X, y)
    expected = estimator.predict(X)
    np.testing.assert_array_equal(estimator.set_params(**changed).predict(X), expected)


@both
def test_ctrl_c_in_a_later_fold_keeps_the_network_of_the_one_before(
    make: Maker, y: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, calls = Trainer.evaluate, []

    def interrupted_at_the_start_of_fold_2(self: Trainer, batches: Any) -> dict[str, float]:
        calls.append(self)
        if len({id(trainer) for trainer in calls}) == 2:
            raise KeyboardInterrupt
        return evaluate(self, batches)

    monkeypatch.setattr(Trainer, "evaluate", interrupted_at_the_start_of_fold_2)
    with pytest.warns(TrainingWarning, match="network of fold 1 is kept"):
        estimator = make(validation_folds=3).fit(X, y)
    assert estimator.stop_reason_ == "interrupted"
    assert len(estimator.predict(X)) == len(X)
