"""scikit-learn's own checks, and its tools around the estimators."""

from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor, VotingClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from longspan import LSTMClassifier, LSTMDecoder, LSTMEncoder, LSTMForecaster, LSTMRegressor, Sequences
from tests.estimators.small import TINY, classifier, ends, ragged, regressor, signs

CHECKED = {"hidden_size": 8, "stem": None, "validation_folds": 0, "validation_fraction": 0, "random_state": 0}
QUICK = {"max_epochs": 25, "lr": 0.03, "batch_size": 32, "dropout": 0.0, "input_noise": 0.0, "amplitude_noise": 0.0}


@parametrize_with_checks(
    [
        LSTMClassifier(**CHECKED, **QUICK),
        LSTMRegressor(**CHECKED, **QUICK),
        LSTMEncoder(4, **CHECKED, **QUICK | {"max_epochs": 3}),
        LSTMDecoder(hidden_size=8, validation_fraction=0, max_epochs=8, lr=0.03, batch_size=32, random_state=0),
        LSTMForecaster(hidden_size=4, max_epochs=2, random_state=0),
    ]
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


X = ragged(30)
LABELS = np.where(signs(X), "up", "down")
TABLE = np.random.default_rng(0).normal(size=(30, 5))


@pytest.mark.parametrize("form", [list, Sequences.from_list], ids=["list", "Sequences"])
def test_cross_validation_of_ragged_sequences(form: Any) -> None:
    scores = cross_val_score(classifier(), form(X), LABELS, cv=StratifiedKFold(3))
    by_hand = [
        classifier().fit([X[i] for i in kept], LABELS[kept]).score([X[i] for i in held], LABELS[held])
        for kept, held in StratifiedKFold(3).split(X, LABELS)
    ]
    assert scores.tolist() == by_hand
    predicted = cross_val_predict(regressor(), form(X), ends(X), cv=KFold(3))
    assert predicted.shape == (30,)


def test_other_processes_come_to_the_same_scores() -> None:
    alone, together = (cross_val_score(classifier(), X, LABELS, cv=2, n_jobs=jobs) for jobs in (None, 2))
    assert alone.tolist() == together.tolist()


def test_a_grid_is_searched() -> None:
    search = GridSearchCV(classifier(), {"hidden_size": [2, 3], "cell": ["lstm", "gru"]}, cv=2).fit(X, LABELS)
    assert search.best_params_["hidden_size"] in (2, 3)
    assert search.predict(X).shape == (30,)
    assert search.best_estimator_.recipe_.network.cell == search.best_params_["cell"]


def test_groups_reach_the_estimator_through_a_search() -> None:
    groups = np.arange(30) % 5
    scores = cross_val_score(regressor(), X, ends(X), cv=GroupKFold(5), groups=groups)
    assert scores.shape == (5,)


class Listener(LSTMRegressor):
    """Remembers the groups that each `fit` was handed."""

    heard: ClassVar[list[list[int] | None]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        self.heard.append(None if groups is None else np.asarray(groups).tolist())
        return super().fit(X, y, sample_weight, groups)


def test_groups_reach_the_hold_out_inside_fit_where_they_are_routed() -> None:
    groups = np.arange(30) % 5
    by_fold = [groups[kept].tolist() for kept, _ in GroupKFold(5).split(X, groups=groups)]
    listener = Listener(**TINY | {"validation_fraction": 0.3})

    def heard_in(**how: Any) -> list[list[int] | None]:
        Listener.heard.clear()
        cross_val_score(listener, X, ends(X), cv=GroupKFold(5), **how)
        return list(Listener.heard)

    assert heard_in(groups=groups) == [None] * 5  # the splitter alone
    assert heard_in(groups=groups, params={"groups": groups}) == by_fold
    with config_context(enable_metadata_routing=True):
        listener.set_fit_request(groups=True)
        assert heard_in(params={"groups": groups}) == by_fold
        Listener.heard.clear()
        GridSearchCV(listener, {"hidden_size": [2]}, cv=GroupKFold(5)).fit(X, ends(X), groups=groups)
        assert Listener.heard == [*by_fold, groups.tolist()]


def test_pipelines_of_tables_and_of_blocks() -> None:
    table = make_pipeline(StandardScaler(), PCA(3), classifier()).fit(TABLE, LABELS)
    assert table.predict(TABLE).shape == (30,)
    block = make_pipeline(FunctionTransformer(lambda block: block[:, ::2]), regressor())
    block.fit(TABLE[:, :, None], ends(X), lstmregressor__sample_weight=np.arange(30))
    assert block.predict(TABLE[:, :, None]).shape == (30,)


def test_calibration_of_a_block() -> None:
    block = np.random.default_rng(0).normal(size=(30, 5, 2))
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(block, LABELS)
    np.testing.assert_allclose(calibrated.predict_proba(block).sum(axis=1), 1)


def test_ensembles() -> None:
    voting = VotingClassifier([("one", classifier()), ("two", classifier(cell="rnn"))], voting="soft")
    assert voting.fit(X, LABELS).predict(X).shape == (30,)
    bagging = BaggingRegressor(regressor(), n_estimators=2, random_state=0).fit(TABLE, ends(X))
    assert bagging.predict(TABLE).shape == (30,)
    several = MultiOutputRegressor(regressor()).fit(X, np.stack([ends(X), -ends(X)], axis=1))
    assert several.predict(X).shape == (30, 2)


def test_learning_curves() -> None:
    sizes, train, test = learning_curve(classifier(), X, LABELS, train_sizes=[0.5, 1.0], cv=2)
    assert sizes.tolist() == [7, 15]
    assert train.shape == test.shape == (2, 2)
