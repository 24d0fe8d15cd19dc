"""Adding and multiplication, against what is written in the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.problems import Adding, Adding1997, Multiplication, Multiplication1997

seeds = st.integers(0, 10_000)


def sequences(problem, seed, n=6):
    sample = problem.generate(n, np.random.default_rng(seed))
    return [(steps.tolist(), float(target)) for steps, target in zip(sample.inputs, sample.targets, strict=True)]


@pytest.mark.parametrize(("kind", "of"), [(Adding, lambda a, b: a + b), (Multiplication, lambda a, b: a * b)])
@given(seed=seeds, length=st.integers(2, 40))
def test_form_of_2015(kind, of, seed, length):
    for steps, target in sequences(kind(length), seed):
        assert len(steps) == length
        marked = [step for step, (_, marker) in enumerate(steps) if marker == 1.0]
        assert sorted({marker for _, marker in steps}) in ([0.0, 1.0], [1.0])
        first, second = marked
        assert first < length // 2 <= second
        assert all(0.0 <= number < 1.0 for number, _ in steps)
        assert target == pytest.approx(of(steps[first][0], steps[second][0]), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "lowest", "neutral", "of"),
    [
        (Adding1997, -1.0, 0.0, lambda a, b: 0.5 + (a + b) / 4),
        (Multiplication1997, 0.0, 1.0, lambda a, b: a * b),
    ],
)
@given(seed=seeds, length=st.integers(22, 60))
def test_form_of_1997(kind, lowest, neutral, of, seed, length):
    for steps, target in sequences(kind(length), seed):
        assert length <= len(steps) <= length + length // 10
        marked = [step for step, (_, marker) in enumerate(steps) if marker == 1.0]
        first, second = marked
        assert first < 10
        assert second < length // 2
        assert steps[-1][1] == -1.0
        assert steps[0][1] == (1.0 if first == 0 else -1.0)
        assert all(marker == 0.0 for step, (_, marker) in enumerate(steps[1:-1], 1) if step not in marked)
        assert all(lowest <= number <= 1.0 for number, _ in steps)
        if first == 0:
            assert steps[0][0] == neutral
        assert target == pytest.approx(of(steps[first][0], steps[second][0]), abs=1e-6)
        assert 0.0 <= target <= 1.0


def test_marks_of_1997_are_where_the_paper_draws_them():
    """One of the first ten pairs, and then one of the first T/2 - 1 of the others, each as likely."""
    problem, n = Adding1997(30), 200_000
    sample = problem.generate(n, np.random.default_rng(0))
    starts = np.repeat(sample.offsets[:-1], sample.lengths)
    at = (np.arange(len(starts)) - starts)[sample.values[:, 1] == 1.0]
    expected = np.zeros(15)
    for first in range(10):
        others = [step for step in range(15) if step != first][:14]
        for second in others:
            expected[[first, second]] += 0.1 / 14
    counts = np.bincount(at, minlength=15)
    assert len(counts) == 15
    np.testing.assert_allclose(counts / n, expected, atol=5 * np.sqrt(0.25 / n))
    assert problem.first_is_marked == pytest.approx(expected[0])


def test_lengths_of_1997_are_all_as_likely():
    sample = Adding1997(40).generate(100_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(sample.lengths)[40:] / 100_000, 1 / 5, atol=0.01)


@pytest.mark.parametrize(
    ("problem", "loss"),
    [(Adding(500), 1 / 6), (Multiplication(500), 7 / 144), (Adding1997(100_000), 0.0417 * 0.95)],
)
def test_constant_loss_in_closed_form(problem, loss):
    assert problem.constant_loss == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("kind", [Adding1997, Multiplication1997])
def test_constant_loss_of_1997_counts_the_neutral_first_number(kind):
    targets = kind(22).generate(1_000_000, np.random.default_rng(0)).targets.astype(np.float64)
    assert targets.var() == pytest.approx(kind(22).constant_loss, rel=0.005)


def test_lags():
    assert (Adding(200).lag, Adding1997(100).lag, Multiplication1997(1000).lag) == (199, 109, 1099)


def test_criteria():
    assert Adding(100).criterion.mean_square == pytest.approx(1 / 600)
    assert (Adding1997().criterion.within, Adding1997().criterion.mean_error) == (0.04, 0.01)
    assert (Multiplication1997().criterion.wrong, Multiplication1997(most_wrong=12).criterion.wrong) == (139, 12)
