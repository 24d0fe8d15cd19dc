"""Random weight guessing, the control of the two-sequence problem."""

import numpy as np
import pytest

from longspan.errors import ParameterError
from longspan.problems import PROBLEMS, Scores, TwoSequence, make_problem
from longspan.trials import guess_weights
from longspan.trials.guessing import _Networks, _until_wrong


def test_guessing_solves_the_two_sequence_problem_in_fewer_sequences_than_the_paper_needs():
    found = [guess_weights(TwoSequence(100), seed=seed) for seed in range(3)]
    assert all(guess.solved for guess in found)
    assert all(guess.sequences < 27_380 for guess in found)
    assert all(guess.networks <= guess.sequences for guess in found)


def test_guessing_gives_up():
    guess = guess_weights(TwoSequence(50, precise=True), limit=3, hidden_size=1)
    assert (guess.solved, guess.networks) == (False, 3)
    assert guess.sequences >= 3


def test_equal_seeds_guess_equally():
    one, same = (guess_weights(TwoSequence(20), seed=4) for _ in range(2))
    assert (one.networks, one.sequences) == (same.networks, same.sequences)


def test_networks_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    networks = _Networks(1, 2, 3, rng)
    networks.weights = tuple(weight / 50 for weight in networks.weights)  # so that little saturates
    problem = TwoSequence(12)
    found = networks.scores(problem, 7, np.random.default_rng(1))
    sample = problem.held_out(7, np.random.default_rng(1))
    w_ih, w_hh, bias, w_out, b_out = networks.weights
    for k in range(3):
        for number, steps in enumerate(sample.inputs):
            h = np.zeros(2)
            for x in steps:
                h = np.tanh(x @ w_ih[k] + h @ w_hh[k] + bias[k, 0])
            answer = 1 / (1 + np.exp(-(h @ w_out[k] + b_out[k, 0])[0]))
            assert found[k].errors[number] == pytest.approx(abs(answer - sample.targets[number]), abs=1e-6)
    (alone,) = networks.only(1).scores(problem, 7, np.random.default_rng(1))
    np.testing.assert_array_equal(alone.errors, found[1].errors)


@pytest.mark.parametrize(("correct", "shown"), [([1, 1, 0, 1, 0], 3), ([0], 1), ([1, 1], 2)])
def test_sequences_are_shown_until_the_first_mistake(correct, shown):
    assert _until_wrong(Scores(np.array(correct, bool), np.zeros(len(correct)))) == shown


@pytest.mark.parametrize("wrong", [{"hidden_size": 0}, {"limit": 0}])
def test_refusals(wrong):
    with pytest.raises(ParameterError):
        guess_weights(TwoSequence(10), **wrong)


def test_what_is_called_guessable_can_be_guessed():
    names = [name for name in PROBLEMS if make_problem(name).guessable]
    assert names == ["two-sequence", "two-sequence-noisy"]
