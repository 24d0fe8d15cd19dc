"""Copy memory and variable copy, against what is written in the papers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.problems import Copy, VariableCopy

seeds = st.integers(0, 10_000)


def check(symbols, targets, judged, wait):
    assert len(symbols) == wait + 20
    copied = symbols[:10]
    assert all(0 <= symbol < 8 for symbol in copied)
    assert symbols[10:] == [8] * (wait - 1) + [9] + [8] * 10
    assert targets == [8] * (wait + 10) + copied
    assert judged == [False] * (wait + 10) + [True] * 10


@given(seed=seeds, wait=st.integers(1, 40))
def test_copy_is_ten_symbols_a_wait_a_delimiter_and_ten_blanks(seed, wait):
    sample = Copy(wait).generate(5, np.random.default_rng(seed))
    for number in range(5):
        rows = slice(*sample.offsets[number : number + 2])
        check(sample.symbols[rows].tolist(), sample.targets[rows].tolist(), sample.judged[rows].tolist(), wait)


@given(seed=seeds, longest=st.integers(1, 40))
def test_variable_copy_waits_for_any_time(seed, longest):
    sample = VariableCopy(longest).generate(5, np.random.default_rng(seed))
    for number in range(5):
        rows = slice(*sample.offsets[number : number + 2])
        wait = int(sample.lengths[number]) - 20
        assert 1 <= wait <= longest
        check(sample.symbols[rows].tolist(), sample.targets[rows].tolist(), sample.judged[rows].tolist(), wait)


def test_every_wait_and_every_symbol_is_as_likely():
    sample = VariableCopy(5).generate(50_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(sample.lengths)[21:] / 50_000, 1 / 5, atol=0.01)
    copied = sample.symbols[sample.symbols < 8]
    np.testing.assert_allclose(np.bincount(copied) / 500_000, 1 / 8, atol=0.005)


@pytest.mark.parametrize(("wait", "loss"), [(100, 0.1733), (200, 0.0945), (500, 0.0400), (1000, 0.0204)])
def test_memoryless_loss_is_the_published_one(wait, loss):
    assert Copy(wait).memoryless_loss == pytest.approx(loss, abs=5e-5)


@pytest.mark.parametrize("problem", [Copy(12), VariableCopy(12)])
def test_memoryless_loss_is_that_of_blanks_and_then_any_symbol(problem):
    sample = problem.generate(20_000, np.random.default_rng(0))
    total = sum(math.log(8) for judged in sample.judged if judged)
    assert problem.memoryless_loss == pytest.approx(total / len(sample.targets), rel=0.01)


def test_lag_is_that_between_a_symbol_and_its_copy():
    assert Copy(200).lag == 210
    assert VariableCopy(200).lag == 210


def test_only_the_copies_are_judged():
    problem = Copy(3)
    sample = problem.generate(4, np.random.default_rng(0))
    outputs = np.eye(9)[sample.targets]
    outputs[~sample.judged] = 0.0
    assert problem.scores(sample, outputs).correct.all()
    outputs[np.flatnonzero(sample.judged)[5]] = 0.0
    assert problem.scores(sample, outputs).correct.tolist() == [sample.targets[18] == 0, True, True, True]
