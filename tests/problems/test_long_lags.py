"""Noise-free and noisy long time lags (experiment 2), against what is written in the paper."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.problems import Distractors, NoiseFree, Noisy

seeds = st.integers(0, 10_000)


@given(seed=seeds, p=st.integers(2, 30))
def test_noise_free_sequences_are_the_two_of_the_paper(seed, p):
    sample = NoiseFree(p).generate(8, np.random.default_rng(seed))
    x, y = p - 1, p
    for number in range(8):
        rows = slice(number * p, (number + 1) * p)
        first = sample.symbols[rows][0]
        assert first in (x, y)
        assert sample.symbols[rows].tolist() == [first, *range(p - 1)]
        assert sample.targets[rows].tolist() == [*range(p - 1), first]
    assert sample.judged is None


@given(seed=seeds, p=st.integers(2, 30))
def test_noisy_sequences_are_random_between_and_judged_at_the_end(seed, p):
    sample = Noisy(p).generate(8, np.random.default_rng(seed))
    for number in range(8):
        rows = slice(number * p, (number + 1) * p)
        symbols, targets = sample.symbols[rows].tolist(), sample.targets[rows].tolist()
        assert symbols[1:] == targets[:-1]
        assert symbols[0] == targets[-1]
        assert symbols[0] in (p - 1, p)
        assert all(symbol < p - 1 for symbol in symbols[1:])
        assert sample.judged[rows].tolist() == [False] * (p - 1) + [True]


def test_both_symbols_and_all_distractors_are_as_likely():
    sample = Noisy(5).generate(40_000, np.random.default_rng(0))
    assert np.bincount(sample.symbols[::5])[4:] / 40_000 == pytest.approx([0.5, 0.5], abs=0.015)
    assert np.bincount(np.delete(sample.symbols, np.s_[::5])) / 160_000 == pytest.approx([0.25] * 4, abs=0.01)


def test_losses():
    p = 100
    assert NoiseFree(p).memoryless_loss == pytest.approx(math.log(2) / p)
    assert Noisy(p).best_loss == pytest.approx(0.99 * math.log(99))
    assert Noisy(p).memoryless_loss - Noisy(p).best_loss == pytest.approx(math.log(2) / p)


@given(seed=seeds, q=st.integers(1, 20), p=st.integers(1, 9))
def test_distractors_are_followed_by_a_trigger_that_asks_for_the_second_symbol(seed, q, p):
    sample = Distractors(q, p).generate(8, np.random.default_rng(seed))
    e, b, x, y = range(p, p + 4)
    for number in range(8):
        symbols = sample.symbols[slice(*sample.offsets[number : number + 2])].tolist()
        assert symbols[0] == b
        assert symbols[1] == (x, y)[sample.targets[number]]
        assert symbols[-1] == e
        assert len(symbols[2:-1]) >= q
        assert all(symbol < p for symbol in symbols[2:-1])


def test_the_trigger_comes_with_a_chance_of_one_in_ten():
    sample = Distractors(5, 3).generate(100_000, np.random.default_rng(0))
    more = sample.lengths - 5 - 3
    assert more.min() == 0
    for k in range(5):
        assert np.mean(more == k) == pytest.approx(0.9**k * 0.1, abs=0.005)
    assert more.mean() == pytest.approx(9, rel=0.02)


def test_lag_of_the_trigger_is_exceeded_by_one_sequence_in_a_hundred():
    problem = Distractors(5, 3)
    lags = problem.generate(200_000, np.random.default_rng(0)).lengths - 2
    assert np.mean(lags <= problem.lag) >= 0.99
    assert np.mean(lags <= problem.lag - 1) < 0.99


def test_lags_and_criteria():
    assert (NoiseFree(100).lag, Noisy(100).lag) == (99, 99)
    assert (NoiseFree().criterion.within, Noisy().criterion.within, Distractors().criterion.within) == (0.25, 0.25, 0.2)
    assert NoiseFree().criterion.over == Noisy().criterion.over == Distractors().criterion.over == 10_000
