"""Context ablation and lag occlusion, on networks that provably use the last steps and no others."""

from typing import Any

import numpy as np
import pytest
import torch

from longspan import LSTMClassifier, LSTMEncoder, LSTMRegressor
from longspan.errors import DataError, ParameterError, ShapeError, TargetError
from longspan.memory import context_ablation, lag_occlusion
from longspan.memory._anchors import draw_anchors
from longspan.memory._subject import Subject
from longspan.memory.context import Losses, ablate, older_replaced, used_span
from longspan.nn import LSTM, FeedForward
from longspan.sequences import Sequences
from tests.memory.small import positive, sums_the_last


@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("with_targets", [False, True])
def test_a_network_that_sums_the_last_steps_uses_those(steps: int, with_targets: bool) -> None:
    X = positive()
    y = X[:, -steps:, 0].sum(axis=1) if with_targets else None
    curve = context_ablation(sums_the_last(steps), X, y, context=range(12), random_state=0)
    assert (curve.loss[:steps] > 0.01).all()
    np.testing.assert_allclose(curve.loss[steps:], 0.0, atol=1e-9)


def test_the_loss_is_what_replacing_by_hand_costs() -> None:
    X = positive(20)
    y = X[:, -3:, 0].sum(axis=1)
    network = sums_the_last(3)
    subject, sequences = Subject.of(network), Sequences.from_array(X)
    targets = subject.read_targets(y, sequences)
    anchors = draw_anchors(subject, sequences, targets, at_most=50, rng=np.random.default_rng(0))
    curve, _ = ablate(Losses(subject, anchors, targets), np.random.default_rng(0), context=[1, 2])
    for kept, loss in zip((1, 2), curve.loss, strict=True):
        errors = []
        for own, donor in zip(anchors.sequence, anchors.donor, strict=True):
            mixed = np.concatenate([X[donor, : 30 - kept, 0], X[own, 30 - kept :, 0]])
            errors.append((mixed[-3:].sum() - y[own]) ** 2)
        np.testing.assert_allclose(loss, np.mean(errors), rtol=1e-4)
    assert (anchors.sequence != anchors.donor).all()


def test_shuffling_asks_for_order_and_not_for_values() -> None:
    X = positive(steps=8)
    network = sums_the_last(8)  # sums everything there is: in any order the same
    shuffled = context_ablation(network, X, how="shuffle", context=[0, 3], random_state=0)
    replaced = context_ablation(network, X, how="replace", context=[0, 3], random_state=0)
    np.testing.assert_allclose(shuffled.loss, 0.0, atol=1e-9)
    assert (replaced.loss > 0.1).all()


@pytest.mark.parametrize("how", ["replace", "shuffle"])
def test_newer_steps_stay_and_older_ones_are_replaced(how: str) -> None:
    sequences = Sequences.from_list([np.ones((5, 1)), np.ones((3, 1)), np.ones((2, 1))])
    subject = Subject.of(LSTM(1, 2))
    anchors = draw_anchors(subject, sequences, None, at_most=9, rng=np.random.default_rng(0))
    _, steps = anchors.packed(slice(0, 3))
    keys = np.random.default_rng(1).random(10)
    rows = older_replaced(steps, 2, how, keys)
    np.testing.assert_array_equal(rows[steps.lag < 2], steps.own[steps.lag < 2])
    old = steps.lag >= 2
    if how == "replace":
        np.testing.assert_array_equal(rows[old], steps.other[old])
    for anchor in range(3):
        mine = old & (steps.anchor == anchor)
        owner = np.searchsorted(sequences.offsets, rows[mine], side="right") - 1
        wanted = anchors.donor[anchor] if how == "replace" else anchors.sequence[anchor]
        assert set(owner) <= {wanted}
        if how == "shuffle":
            assert sorted(rows[mine]) == sorted(steps.own[mine])


def test_contexts_close_in_on_where_the_loss_ends() -> None:
    curve = context_ablation(sums_the_last(17), positive(60, steps=200), random_state=0)
    assert {16, 17} <= set(curve.context.tolist())
    assert 0 in curve.context
    assert 200 in curve.context


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_the_used_span_is_found_with_an_interval_around_it(steps: int) -> None:
    X = positive(80, steps=100)
    y = X[:, -steps:, 0].sum(axis=1) + np.random.default_rng(1).normal(size=80, scale=0.01)
    subject, sequences = Subject.of(sums_the_last(steps)), Sequences.from_array(X)
    targets = subject.read_targets(y, sequences)
    rng = np.random.default_rng(0)
    anchors = draw_anchors(subject, sequences, targets, at_most=80, rng=rng)
    span, (low, high) = used_span(*ablate(Losses(subject, anchors, targets), rng), rng)
    assert span == steps
    assert low <= steps <= high


def test_a_network_that_ignores_its_input_uses_nothing() -> None:
    network = sums_the_last(3)
    torch.nn.init.zeros_(network.head.weight)
    subject, sequences = Subject.of(network), Sequences.from_array(positive())
    targets = subject.read_targets(np.arange(40.0), sequences)
    rng = np.random.default_rng(0)
    anchors = draw_anchors(subject, sequences, targets, at_most=40, rng=rng)
    assert used_span(*ablate(Losses(subject, anchors, targets), rng), rng) == (0.0, (0.0, 0.0))


def test_occlusion_finds_the_window_that_matters() -> None:
    network = sums_the_last(10)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, 7] = 1.0  # the step of 7 steps ago, and no other
    X = positive(60)
    curve = lag_occlusion(network, X, X[:, -8, 0], width=2, random_state=0)
    assert curve.lags.tolist() == list(range(0, 30, 2))
    assert curve.peaks == (6,)
    np.testing.assert_allclose(np.delete(curve.loss, 3), 0.0, atol=1e-9)


def test_peaks_are_windows_above_their_neighbours() -> None:
    network = sums_the_last(10)
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[0, 0, 1, 2, 1, 0, 0, 4, 4.1, 0]]))
    curve = lag_occlusion(network, positive(200), width=1, random_state=0)
    assert curve.peaks == (8, 3)


def test_windows_are_at_most_32_by_default() -> None:
    assert len(lag_occlusion(FeedForward(1, 2, window=2), positive(steps=100), random_state=0).lags) == 25
    assert lag_occlusion(FeedForward(1, 2, window=2), positive(steps=20), random_state=0).width == 1


def last_decides(count: int = 30) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) for length in rng.integers(4, 12, size=count)]
    return X, np.array([x[-1, 0] > 0 for x in X])


SMALL: dict[str, Any] = {"hidden_size": 4, "max_epochs": 2, "random_state": 0, "validation_folds": 0}


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru", "feedforward"])
@pytest.mark.parametrize("measure", [context_ablation, lag_occlusion])
def test_every_estimator_can_be_looked_at(cell: str, measure: Any) -> None:
    X, y = last_decides()
    classifier = LSTMClassifier(cell=cell, **SMALL).fit(X, y)
    assert measure(classifier, X, y, random_state=0).unit == "nats"
    assert measure(classifier, X, random_state=0).unit == "squared change of the output"
    regressor = LSTMRegressor(cell=cell, per_step=True, **SMALL).fit(X, [x[:, 0] for x in X])
    assert measure(regressor, X, [x[:, 0] for x in X], random_state=0).unit == "squared error"
    encoder = LSTMEncoder(2, cell=cell, **SMALL).fit(X)
    assert np.isfinite(measure(encoder, X, random_state=0).loss).all()


def test_the_full_loss_is_that_of_the_estimator() -> None:
    X, y = last_decides()
    classifier = LSTMClassifier(**SMALL).fit(X, y)
    curve = context_ablation(classifier, X, y, context=[0, 20], random_state=0)
    given = classifier.predict_proba(X)[np.arange(len(y)), y.astype(int)]
    np.testing.assert_allclose(curve.full_loss, -np.log(given).mean(), rtol=1e-5)
    np.testing.assert_allclose(curve.loss[1], 0.0, atol=1e-6)
    assert curve.tolerance == pytest.approx(0.01 * curve.full_loss)


def test_missing_values_stay_missing() -> None:
    X, y = last_decides()
    X[0][0, 0] = np.nan
    classifier = LSTMClassifier(missing="indicator", **SMALL).fit(X, y)
    assert np.isfinite(context_ablation(classifier, X, y, random_state=0).loss).all()


def test_steps_are_drawn_evenly_over_rare_classes() -> None:
    X = [np.zeros((100, 1), np.float32) for _ in range(10)]
    y = [np.where(np.arange(100) >= 98, 1, 0) for _ in X]
    network = LSTMClassifier(per_step=True, **SMALL).fit(X, y)
    subject, sequences = Subject.of(network), network._read_X(X)
    targets = subject.read_targets(y, sequences)
    anchors = draw_anchors(subject, sequences, targets, at_most=40, rng=np.random.default_rng(0))
    assert (targets.values[anchors.target_rows(targets)] == 1).sum() == 20
    assert (anchors.at >= 98).sum() == 20


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"how": "blur"}, ParameterError, "'replace', 'shuffle'"),
        ({"context": [-1]}, ParameterError, "whole numbers from 0"),
        ({"context": []}, ParameterError, "whole numbers from 0"),
        ({"context": [0.5]}, ParameterError, "whole numbers from 0"),
        ({"X": np.ones((1, 5, 1))}, DataError, "one sequence"),
        ({"n_anchors": 0}, ParameterError, "1 or more"),
        ({"y": np.ones(3)}, ShapeError, "4 sequences but 3 targets"),
        ({"y": "abcd"}, ShapeError, "4 sequences"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"X": np.ones((4, 5, 1)), **arguments}
    with pytest.raises(error, match=words):
        context_ablation(sums_the_last(2), given.pop("X"), given.pop("y", None), **given)


def test_a_width_must_be_one() -> None:
    with pytest.raises(ParameterError, match="width is 0"):
        lag_occlusion(sums_the_last(2), positive(), width=0)


def test_an_encoder_has_no_targets() -> None:
    X, y = last_decides()
    with pytest.raises(TargetError, match="leave y out"):
        context_ablation(LSTMEncoder(2, **SMALL).fit(X), X, y)
