"""The two-sequence problem (experiment 3), against what is written in the paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.problems import TwoNoisySequences, TwoSequence, TwoSequenceNoisyTargets


@given(seed=st.integers(0, 10_000), length=st.integers(4, 60), informative=st.integers(1, 3))
def test_first_values_tell_the_class(seed, length, informative):
    sample = TwoSequence(length, informative).generate(10, np.random.default_rng(seed))
    for steps, target in zip(sample.inputs, sample.targets, strict=True):
        assert length <= len(steps) <= length + length // 10
        assert steps[:informative, 0].tolist() == [2 * target - 1] * informative
        assert target in (0.0, 1.0)


@pytest.mark.parametrize(("kind", "spread"), [(TwoSequence, 0.0), (TwoNoisySequences, 0.2)])
def test_variances_are_those_of_the_paper(kind, spread):
    sample = kind(10).generate(30_000, np.random.default_rng(0))
    steps = np.arange(len(sample.values)) - np.repeat(sample.offsets[:-1], sample.lengths)
    values = sample.values[:, 0].astype(np.float64)
    later = values[steps >= 3]
    assert later.mean() == pytest.approx(0, abs=0.01)
    assert later.var() == pytest.approx(0.2, rel=0.02)
    first = values[steps < 3] - np.repeat(2 * sample.targets - 1, 3)
    assert first.mean() == pytest.approx(0, abs=0.01)
    assert first.var() == pytest.approx(spread, rel=0.02)
    assert sample.targets.mean() == pytest.approx(0.5, abs=0.015)


def test_noisy_targets_lie_around_two_values():
    sample = TwoSequenceNoisyTargets(10).generate(50_000, np.random.default_rng(0))
    first_class = sample.values[sample.offsets[:-1], 0] == 1.0
    np.testing.assert_array_equal(sample.true_targets, np.where(first_class, np.float32(0.2), np.float32(0.8)))
    noise = (sample.targets - sample.true_targets).astype(np.float64)
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(0.1, rel=0.02)


def test_noisy_targets_are_judged_without_their_noise():
    problem = TwoSequenceNoisyTargets(10)
    sample = problem.generate(256, np.random.default_rng(0))
    assert problem.solved(sample, sample.true_targets + 0.01)
    assert not problem.solved(sample, sample.true_targets + 0.02)
    assert not problem.solved(sample, sample.targets)


def test_both_stopping_rules_of_the_paper():
    sample = TwoSequence(10).generate(256, np.random.default_rng(0))
    assert TwoSequence(10).solved(sample, sample.targets + 0.19)
    assert not TwoSequence(10).solved(sample, sample.targets + 0.21)
    assert not TwoSequence(10, precise=True).solved(sample, sample.targets + 0.011)
    assert TwoSequence(10, precise=True).solved(sample, sample.targets + 0.009)


def test_guessing_weights_is_said_to_solve_it():
    assert TwoSequence.guessable
    assert TwoSequence(1000).lag == 1099


def test_noise_may_turn_a_few_sequences_into_the_other_class():
    problem = TwoNoisySequences(10, 1)
    sample = problem.generate(256, np.random.default_rng(0))
    answers = sample.targets.copy()
    answers[:5] = 1 - answers[:5]
    assert problem.solved(sample, answers)
    assert TwoNoisySequences(10, 1, precise=True).solved(sample, answers)
    answers[5] = 1 - answers[5]
    assert not problem.solved(sample, answers)
    assert not TwoNoisySequences(10, 1, precise=True).solved(sample, np.abs(sample.targets - 0.05))


@pytest.mark.parametrize("informative", [1, 2])
def test_best_loss_is_that_of_the_chance_of_each_class(informative):
    problem = TwoNoisySequences(10, informative)
    sample = problem.generate(200_000, np.random.default_rng(0))
    seen = sample.values[sample.offsets[:-1, None] + np.arange(informative), 0].astype(np.float64)
    likelihoods = [np.exp(-((seen - sign) ** 2).sum(axis=1) / 0.4) for sign in (1, -1)]
    chance = likelihoods[0] / (likelihoods[0] + likelihoods[1])
    assert np.square(chance - sample.targets).mean() == pytest.approx(problem.best_loss, rel=0.05)
