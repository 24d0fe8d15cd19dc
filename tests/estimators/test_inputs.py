"""Bad input: each kind has its named error, which says what was wrong and where."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from longspan import Sequences
from longspan.errors import DataError, EmptyDataError, NonFiniteError, ParameterError, ShapeError, TargetError
from tests.estimators.small import classifier, ends, ragged, regressor, signs

X = ragged()
LABELS = np.where(signs(X), "up", "down")
NUMBERS = ends(X)
both = pytest.mark.parametrize(("make", "y"), [(classifier, LABELS), (regressor, NUMBERS)], ids=["classes", "numbers"])


def with_value(value: float) -> list[np.ndarray]:
    parts = [x.copy() for x in X]
    parts[5][2, 1] = value
    return parts


BAD_X = {
    "NaN": (lambda: with_value(np.nan), NonFiniteError, "sequence 5 has NaN at step 2, feature 1"),
    "infinity": (lambda: with_value(-np.inf), NonFiniteError, "sequence 5 has inf at step 2, feature 1"),
    "too large": (lambda: with_value(1e39), NonFiniteError, "sequence 5 has inf at step 2, feature 1"),
    "no steps": (lambda: [*X[:3], np.zeros((0, 2)), *X[4:]], EmptyDataError, "sequence 3 has no steps"),
    "no sequences": (list, EmptyDataError, "no sequences"),
    "no rows": (lambda: np.zeros((0, 3, 1)), EmptyDataError, "no sequences"),
    "no Sequences": (lambda: Sequences.from_list(X)[:0], EmptyDataError, "no sequences"),
    "no features": (lambda: np.zeros((24, 3, 0)), DataError, "0 feature"),
    "4-D": (lambda: np.zeros((24, 2, 3, 1)), ShapeError, r"\(24, 2, 3, 1\)"),
    "1-D": (lambda: np.zeros(24), ShapeError, "Reshape your data"),
    "0-D": (lambda: np.float64(3), ShapeError, "Reshape your data"),
    "a list of numbers": (lambda: [1.0, 2.0], ShapeError, "Reshape your data"),
    "a number among lists": (lambda: [[1.0, 2.0], 3.0], ShapeError, "sequence 1"),
    "unequal features": (lambda: [*X[:7], X[7][:, :1], *X[8:]], ShapeError, "sequence 7 has 1 features"),
    "text": (lambda: np.full((24, 3), "x"), DataError, "text|dtype|numbers"),
    "text in a list": (lambda: [["a", "b"]] * 24, DataError, "sequence 0"),
    "text in an object array": (lambda: np.full((24, 3), "x", object), DataError, "numbers"),
    "complex": (lambda: np.full((24, 3), 1j), DataError, "Complex data not supported"),
    "sparse": (lambda: sparse.csr_array(np.eye(24)), TypeError, "toarray"),
    "None": (lambda: None, DataError, "X"),
    "a string": (lambda: "words", DataError, "X"),
}


@both
@pytest.mark.parametrize(("bad", "error", "says"), BAD_X.values(), ids=BAD_X.keys())
def test_bad_sequences_are_refused_when_fitting_and_when_predicting(
    make: Callable[..., Any], y: Any, bad: Callable[[], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make().fit(bad(), y)
    with pytest.raises(error, match=says):
        make().partial_fit(bad(), y)
    fitted = make(max_epochs=1).fit(X, y)
    with pytest.raises(error, match=says):
        fitted.predict(bad())


@both
def test_other_features_than_at_the_fit_are_refused(make: Callable[..., Any], y: Any) -> None:
    fitted = make(max_epochs=1).fit(X, y)
    with pytest.raises(ShapeError, match=r"have 3 features, but LSTM\w+ was fitted on 2"):
        fitted.predict(ragged(features=3))
    with pytest.raises(ShapeError, match="have 1 features"):
        fitted.predict(np.zeros((4, 5)))
    table = make(max_epochs=1).fit(np.random.default_rng(0).normal(size=(24, 5)), y)
    with pytest.raises(ShapeError, match=r"X has 4 features, but LSTM\w+ is expecting 5"):
        table.predict(np.zeros((3, 4)))
    assert table.predict(np.zeros((3, 4, 1))).shape == (3,)


@both
def test_columns_of_other_names_are_refused(make: Callable[..., Any], y: Any) -> None:
    pandas = pytest.importorskip("pandas")
    values = np.random.default_rng(0).normal(size=(24, 2))
    fitted = make(max_epochs=1).fit(pandas.DataFrame(values, columns=["a", "b"]), y)
    with pytest.raises(ShapeError, match="feature names should match"):
        fitted.predict(pandas.DataFrame(values, columns=["b", "a"]))


@both
def test_an_estimator_that_was_not_fitted_says_so(make: Callable[..., Any], y: Any, tmp_path: Any) -> None:
    for call in (
        lambda: make().predict(X),
        lambda: make().score(X, y),
        lambda: make().save(tmp_path / "none"),
    ):
        with pytest.raises(NotFittedError):
            call()


# Targets ----------------------------------------------------------------------------------------------------------

STEPS = [x[:, 0] for x in X]
BAD_LABELS = {
    "none": (None, TargetError, "requires y to be passed"),
    "too few": (LABELS[:-1], ShapeError, "24 sequences but 23 targets"),
    "one": ("up", ShapeError, "24 sequences but one number"),
    "one class": (["up"] * 24, TargetError, "only one class, 'up'"),
    "NaN": ([np.nan, *np.arange(23.0)], NonFiniteError, "NaN"),
    "None in objects": (np.array([None, *LABELS[1:]], object), NonFiniteError, "None in row 0"),
    "NaN in objects": (np.array([*LABELS[1:], np.nan], object), NonFiniteError, "row 23"),
    "mixed list": ([1, *LABELS[1:]], TargetError, "mixes text"),
    "mixed objects": (np.array([1, *LABELS[1:]], object), TargetError, "cannot be read as class labels"),
    "mixed objects, text first": (np.array([*LABELS[1:], 1], object), TargetError, "cannot be read as class labels"),
    "bytes": (np.array([b"a", b"b"] * 12), TargetError, "cannot be read as class labels"),
    "continuous": (NUMBERS, TargetError, "Unknown label type: continuous"),
    "one-hot": (np.eye(2)[np.arange(24) % 2], TargetError, "1d array"),
    "labels a step": ([np.arange(len(x)) % 2 for x in X], TargetError, "per_step=True"),
}
BAD_NUMBERS = {
    "none": (None, TargetError, "requires y to be passed"),
    "too few": (NUMBERS[:-1], ShapeError, "24 sequences but 23 targets"),
    "one": (1.5, ShapeError, "24 sequences but one number"),
    "NaN": ([*NUMBERS[:-1], np.nan], NonFiniteError, "first in row 23"),
    "infinity": ([np.inf, *NUMBERS[1:]], NonFiniteError, "first in row 0"),
    "text": (LABELS, TargetError, "y must hold numbers"),
    "complex": (NUMBERS * 1j, TargetError, "Complex data not supported"),
    "3-D": (np.zeros((24, 2, 2)), ShapeError, r"\(24, 2, 2\)"),
    "no columns": (np.zeros((24, 0)), ShapeError, r"\(24, 0\)"),
    "numbers a step": (STEPS, TargetError, "per_step=True"),
}
BAD_STEPS = {
    "none": (None, TargetError, "requires y to be passed"),
    "too few": (STEPS[:-1], ShapeError, "24 sequences but 23 arrays"),
    "a number": (3, ShapeError, "one array of targets a sequence"),
    "one a sequence": (NUMBERS, ShapeError, "sequence 0 has"),
    "too short": ([*STEPS[:9], STEPS[9][1:], *STEPS[10:]], ShapeError, "sequence 9 has"),
    "unequal columns": ([*STEPS[:9], STEPS[9][:, None], *STEPS[10:]], TargetError, "sequence 9"),
    "mixed": ([*STEPS[:9], np.full(len(X[9]), "x"), *STEPS[10:]], TargetError, "sequence 9"),
}


def refuses(estimator: Any, y: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        estimator.fit(X, y)
    with pytest.raises(error, match=says):
        estimator.partial_fit(X, y)


@pytest.mark.parametrize(("bad", "error", "says"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_bad_labels_are_refused(bad: Any, error: type[Exception], says: str) -> None:
    refuses(classifier(), bad, error, says)


@pytest.mark.parametrize(("bad", "error", "says"), BAD_NUMBERS.values(), ids=BAD_NUMBERS.keys())
def test_bad_numbers_are_refused(bad: Any, error: type[Exception], says: str) -> None:
    refuses(regressor(), bad, error, says)


@pytest.mark.parametrize(("bad", "error", "says"), BAD_STEPS.values(), ids=BAD_STEPS.keys())
@pytest.mark.parametrize("make", [classifier, regressor])
def test_bad_targets_a_step_are_refused(make: Callable[..., Any], bad: Any, error: type[Exception], says: str) -> None:
    refuses(make(per_step=True), bad, error, says)


# Weights and groups -----------------------------------------------------------------------------------------------

ONES = np.ones(24)
BAD_WEIGHTS = {
    "negative": (np.where(np.arange(24) == 3, -1, ONES), TargetError, "not negative"),
    "NaN": (np.where(np.arange(24) == 3, np.nan, ONES), TargetError, "finite"),
    "infinite": (np.where(np.arange(24) == 3, np.inf, ONES), TargetError, "finite"),
    "sum too large": (ONES * 1e308, TargetError, "finite"),
    "all zero": (0 * ONES, TargetError, "zero everywhere"),
    "too few": (ONES[1:], ShapeError, "24 sequences"),
    "2-D": (ONES[:, None], ShapeError, "24 sequences"),
    "one number": (2.0, ShapeError, "24 sequences"),
    "text": (LABELS, TargetError, "must hold numbers"),
}


@both
@pytest.mark.parametrize(("bad", "error", "says"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS.keys())
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_bad_weights_are_refused(make: Callable[..., Any], y: Any, bad: Any, error: type[Exception], says: str) -> None:
    for fit in (make().fit, make().partial_fit):
        with pytest.raises(error, match=says):
            fit(X, y, sample_weight=bad)


@both
def test_bad_groups_are_refused(make: Callable[..., Any], y: Any) -> None:
    for groups in (["a"] * 23, [["a"]] * 24, "a"):
        with pytest.raises(ShapeError, match="groups must name one group for each of the 24 sequences"):
            make(validation_fraction=0.3).fit(X, y, groups=groups)
    with pytest.raises(DataError, match="one kind"):
        make(validation_fraction=0.3).fit(X, y, groups=np.array(["a", 1] * 12, object))
    with pytest.raises(DataError, match="NaN or None"):
        make(validation_fraction=0.3).fit(X, y, groups=np.array(["a", None] * 12, object))


def test_a_lone_sequence_is_told_how_to_come_in() -> None:
    fitted = classifier().fit(X, signs(X))
    with pytest.raises(ShapeError, match=r"pass \[X\], a list of one"):
        fitted.predict(X[0])
    assert len(fitted.predict([X[0]])) == 1


def test_a_class_weight_for_a_class_that_is_not_there_names_it() -> None:
    with pytest.raises(ParameterError, match=r"class_weight names \['nobody'\]"):
        classifier(class_weight={"nobody": 2.0}).fit(X, signs(X))
