"""The needed span, on data whose lag is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from longspan.memory._anchors import Anchors
from longspan.memory._subject import Targets
from longspan.memory.windows import Need, needed_span
from longspan.problems import Copy
from longspan.sequences import Sequences


def need(X: Any, y: np.ndarray, *, labels: bool, at: np.ndarray | None = None, seed: int = 0) -> Need:
    """The needed span of targets at the ends of sequences, or at some steps of them."""
    sequences = Sequences.from_list(list(X))
    order = np.argsort(-sequences.lengths, kind="stable")
    ends = (sequences.lengths - 1 if at is None else at)[order]
    anchors = Anchors(sequences, order, ends + 1, ends, order, np.zeros(len(sequences), np.int64))
    values = y if labels else ((y - y.mean()) / y.std())[:, None]
    return needed_span(anchors, Targets(values, labels, per_step=False), np.random.default_rng(seed))


def the_last_three(X: np.ndarray) -> np.ndarray:
    return (X[:, -3:, 0].sum(axis=1) > 0).astype(np.int64)


def exclusive_or(X: np.ndarray) -> np.ndarray:
    return (X[:, -3, 0] * X[:, -1, 1] > 0).astype(np.int64)


def one_step(lag: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda X: (X[:, -1 - lag, 1] > 0).astype(np.int64)


@pytest.mark.parametrize(
    ("labels_of", "span"),
    [(the_last_three, 3), (exclusive_or, 3), (one_step(0), 1), (one_step(25), 26), (one_step(119), 120)],
    ids=["last three", "exclusive or", "the last", "25 back", "119 back"],
)
def test_the_window_that_decides_is_found(labels_of: Callable[[np.ndarray], np.ndarray], span: int) -> None:
    X = np.random.default_rng(0).normal(size=(400, 120, 2)).astype(np.float32)
    found = need(X, labels_of(X), labels=True)
    assert found.span == pytest.approx(span, rel=0.05, abs=0.5)
    low, high = found.interval
    assert low < found.span == high


def adding(count: int, length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two of the values are marked, one in each half; their sum is wanted."""
    rng = np.random.default_rng(seed)
    X = np.zeros((count, length, 2), np.float32)
    X[:, :, 0] = rng.uniform(size=(count, length))
    first, second = rng.integers(0, length // 10, count), rng.integers(length // 2, length, count)
    everyone = np.arange(count)
    X[everyone, first, 1] = X[everyone, second, 1] = 1
    return X, X[everyone, first, 0] + X[everyone, second, 0]


@pytest.mark.parametrize("length", [50, 200])
def test_products_of_channels_far_back_are_seen(length: int) -> None:
    found = need(*adding(300, length), labels=False)
    assert found.span == pytest.approx(length, rel=0.1)
    assert found.curve.score[-1] > 0.95
    assert found.curve.score_name == "R2"
    assert found.curve.constant_loss == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("length", [40, 200])
def test_copied_symbols_need_the_lag_of_the_problem(length: int) -> None:
    problem = Copy(length)
    X, y = problem.dataset(300, random_state=0)
    at = np.random.default_rng(0).integers(len(X[0]) - 10, len(X[0]), 300)
    labels = np.array([targets[step] for targets, step in zip(y, at, strict=True)])
    # With the window of the last L steps the oldest has lag L - 1.
    assert need(X, labels, labels=True, at=at).span == pytest.approx(problem.lag + 1, rel=0.05)


def test_ragged_sequences_whose_beginning_decides_need_their_whole_length() -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 1)).astype(np.float32) for length in rng.integers(60, 67, 300)]
    assert need(X, np.array([int(x[0, 0] > 0) for x in X]), labels=True).span == pytest.approx(66, rel=0.1)


def test_where_there_is_nothing_to_learn_no_span_is_needed() -> None:
    rng = np.random.default_rng(0)
    found = need(rng.normal(size=(200, 40, 2)), rng.integers(0, 2, 200), labels=True)
    assert found.span is None
    assert found.losses.mean() == pytest.approx(np.log(2), abs=0.02)


def test_missing_values_count_as_the_mean() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 30, 1)).astype(np.float32)
    y = (X[:, -4, 0] > 0).astype(np.int64)
    X[rng.random(X.shape) < 0.05] = np.nan
    assert need(X, y, labels=True).span == 4


def test_the_same_seed_gives_the_same_losses() -> None:
    X, y = adding(60, 30)
    one, same = need(X, y, labels=False, seed=3), need(X, y, labels=False, seed=3)
    np.testing.assert_array_equal(one.curve.loss, same.curve.loss)


def test_a_class_that_a_fold_lacks_does_no_harm() -> None:
    X = np.random.default_rng(0).normal(size=(30, 10, 1))
    y = np.zeros(30, np.int64)
    y[0], y[1:12] = 2, 1
    assert np.isfinite(need(X, y, labels=True).curve.loss).all()
