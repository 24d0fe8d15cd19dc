"""LSTMClassifier: labels of every kind, a label a step, weights."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from longspan import LSTMClassifier
from longspan.errors import ParameterError, TargetError
from tests.estimators.small import assert_same_bits, classifier, ragged, signs

X = ragged()
y = signs(X)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["down", "up"]),
        np.array(["down", "up"], dtype=object),
        np.array([-5, 7]),
        np.array([3, 200], dtype=np.uint8),
        np.array([1.0, 2.0]),
        np.array([False, True]),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_labels_come_back_as_they_were_given(labels: np.ndarray) -> None:
    given = labels[y.astype(int)]
    fitted = classifier().fit(X, given)
    assert fitted.classes_.dtype == labels.dtype
    assert fitted.classes_.tolist() == labels.tolist()
    predicted = fitted.predict(X)
    assert predicted.dtype == labels.dtype
    assert fitted.score(X, given) == np.mean(predicted == given)
    assert predicted.tolist() == labels[fitted.predict_proba(X).argmax(axis=1)].tolist()
    assert_same_bits(fitted, classifier().fit(X, given.tolist()))


def test_probabilities_are_some_and_have_the_precision_of_float64() -> None:
    probabilities = classifier().fit(X, np.arange(len(X)) % 3).predict_proba(X)
    assert probabilities.shape == (len(X), 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert (probabilities > 0).all()


def test_what_the_first_step_decides_is_learned() -> None:
    fitted = classifier(hidden_size=8, max_epochs=60, lr=0.03).fit(X, y)
    assert fitted.score(X, y) == 1.0
    assert log_loss(y, fitted.predict_proba(X)) < 0.3


# A label a step ---------------------------------------------------------------------------------------------------


def step_labels(sequences: list[np.ndarray]) -> list[np.ndarray]:
    return [np.where(x[:, 0] > 0, "up", "down") for x in sequences]


def test_a_label_a_step() -> None:
    labels = step_labels(X)
    fitted = classifier(per_step=True, max_epochs=60, lr=0.05).fit(X, labels)
    predicted, probabilities = fitted.predict(X), fitted.predict_proba(X)
    assert [part.shape for part in predicted] == [(len(x),) for x in X]
    assert [part.shape for part in probabilities] == [(len(x), 2) for x in X]
    joined = np.concatenate(predicted) == np.concatenate(labels)
    assert fitted.score(X, labels) == joined.mean() > 0.95
    weights = np.arange(len(X))
    of_steps = np.repeat(weights, [len(x) for x in X])
    np.testing.assert_allclose(fitted.score(X, labels, sample_weight=weights), np.average(joined, weights=of_steps))


def test_labels_a_step_of_an_array_are_an_array() -> None:
    block = np.random.default_rng(0).normal(size=(20, 6, 2))
    labels = np.where(block[:, :, 0] > 0, "up", "down")
    fitted = classifier(per_step=True).fit(block, labels)
    assert fitted.predict(block).shape == (20, 6)
    assert fitted.predict_proba(block).shape == (20, 6, 2)
    assert_same_bits(fitted, classifier(per_step=True).fit(list(block), list(labels)))
    objects = np.empty(2, object)
    objects[:] = [block[0], block[1, :3]]
    assert [len(part) for part in fitted.predict(objects)] == [6, 3]


def test_frames_of_labels_are_read_row_by_row() -> None:
    pandas = pytest.importorskip("pandas")
    table = np.random.default_rng(0).normal(size=(20, 5))
    labels = pandas.DataFrame(np.where(table > 0, "up", "down"))
    fitted = classifier(per_step=True).fit(pandas.DataFrame(table), labels)
    assert fitted.predict(table[:, :]).shape == (20, 5)


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru", "feedforward"])
def test_one_direction_never_looks_ahead(cell: str) -> None:
    """Of the defaults too: views and stem may not undo what `bidirectional` promises."""
    parameters = {"bidirectional": False, "stem": "auto", "views": "auto", "cell": cell, "window": 3}
    fitted = classifier(per_step=True, **parameters).fit(X, step_labels(X))
    long = np.random.default_rng(0).normal(size=(12, 2))
    (whole,), (begun,) = fitted.predict_proba([long]), fitted.predict_proba([long[:7]])
    np.testing.assert_allclose(whole[:7], begun, rtol=1e-5)


# Weights ----------------------------------------------------------------------------------------------------------


def test_a_class_weight_is_a_sample_weight() -> None:
    by_class = classifier(class_weight={False: 1.0, True: 3.0}, ema_decay=0.0).fit(X, y)
    assert by_class.class_weights_.tolist() == [1.0, 3.0]
    weights = np.where(y, 3.0, 1.0)
    loss = by_class._make_task().loss
    plain = classifier(ema_decay=0.0).fit(X, y)
    batch = next(plain._training_batches(training_set_of(plain, weights))[0].longest_first())
    weighted = plain._make_task()
    weighted.network = by_class.network_
    unweighted = batch._replace(weights=None)
    by_class.network_.eval()
    expected = weighted.loss(batch.inputs, batch.targets, torch.from_numpy(weights[batch.index]).float())
    torch.testing.assert_close(loss(unweighted.inputs, unweighted.targets, None), expected)


def training_set_of(fitted: LSTMClassifier, weights: np.ndarray) -> Any:
    from longspan.estimators._training_set import TrainingSet

    sequences = fitted._read_X(X)
    return TrainingSet.merged(sequences, fitted._encode(y), sample_weight=weights, groups=None)


def test_balanced_weights_give_every_class_the_same_mass() -> None:
    labels = np.repeat([0, 1, 2], [14, 8, 2])
    fitted = classifier(class_weight="balanced").fit(X, labels)
    np.testing.assert_allclose(fitted.class_weights_, 24 / (3 * np.array([14, 8, 2])))
    weights = np.linspace(0.5, 2, len(X))
    fitted = classifier(class_weight="balanced").fit(X, labels, sample_weight=weights)
    mass = np.bincount(labels, weights) * fitted.class_weights_
    np.testing.assert_allclose(mass, mass[0])
    steps = [np.full(len(x), label) for x, label in zip(X, labels, strict=True)]
    fitted = classifier(class_weight="balanced", per_step=True).fit(X, steps)
    mass = np.bincount(np.concatenate(steps)) * fitted.class_weights_
    np.testing.assert_allclose(mass, mass[0])


@pytest.mark.parametrize("class_weight", [{0: 1.0, "no": 2.0}, {5: 1.0}])
def test_a_weight_for_a_class_that_is_not_there_is_refused(class_weight: dict) -> None:
    with pytest.raises(ParameterError, match="class_weight"):
        classifier(class_weight=class_weight).fit(X, y.astype(int) + 1)


def test_a_sequence_without_weight_is_not_there() -> None:
    labels = np.array(["a", "b"])[y.astype(int)]
    strange = np.concatenate([labels, ["c"]])
    weights = np.concatenate([np.ones(len(X)), [0]])
    fitted = classifier().fit([*X, X[0] * 100], strange, sample_weight=weights)
    assert fitted.classes_.tolist() == ["a", "b"]
    assert_same_bits(fitted, classifier().fit(X, labels))


# Classes that come later ------------------------------------------------------------------------------------------


def test_passes_need_all_classes_at_first() -> None:
    fitted = classifier().partial_fit(X[:4], ["a"] * 4, classes=["c", "a", "b"])
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    assert fitted.partial_fit(X[4:6], ["c", "b"]).predict_proba(X).shape == (len(X), 3)
    with pytest.raises(TargetError, match=r"not there at first: \['d'\]"):
        fitted.partial_fit(X[:2], ["a", "d"])
    with pytest.raises(TargetError, match="not there at first"):
        fitted.partial_fit(X[:2], [1, 2])


@pytest.mark.parametrize("classes", [[], [["a", "b"]], ["a", 1], ["a"], ["a", None]])
def test_classes_that_are_none_are_refused(classes: list) -> None:
    with pytest.raises((TargetError, ValueError)) as caught:
        classifier().partial_fit(X[:4], ["a"] * 4, classes=classes)
    assert type(caught.value).__module__ == "longspan.errors"


def test_balanced_weights_cannot_be_had_pass_by_pass() -> None:
    with pytest.raises(ParameterError, match="balanced"):
        classifier(class_weight="balanced").partial_fit(X, y)


def test_warm_start_keeps_to_its_classes() -> None:
    fitted = classifier(warm_start=True).fit(X, y)
    with pytest.raises(TargetError, match="warm_start"):
        fitted.fit(X, np.where(y, "up", "down"))
    fitted.set_params(warm_start=False).fit(X, np.where(y, "up", "down"))
    assert fitted.classes_.tolist() == ["down", "up"]


def test_a_label_never_seen_is_a_wrong_one_when_scored() -> None:
    fitted = classifier().fit(X, np.where(y, "up", "down"))
    assert fitted.score(X, ["sideways"] * len(X)) == 0.0
