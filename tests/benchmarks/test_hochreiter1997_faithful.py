"""Training as in 1997: what the network is shown, when it stops, and the conditions of the paper's tables."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hochreiter1997.experiments import EXPERIMENTS
from benchmarks.hochreiter1997.faithful import Always, HeldOut, Recent, Trial, as_sequences
from benchmarks.hochreiter1997.network import Shape, number_of_weights
from longspan.problems import Adding1997, EmbeddedReber, NoiseFree, TwoSequence

PAPERS_WEIGHTS = {
    "1, 4": 264,
    "1, 3": 276,
    "2a": 10504,
    "2b": 10504,
    "2c, q=50, p=50": 364,
    "2c, q=100, p=100": 664,
    "2c, q=1000, p=1000": 6064,
    "3": 102,
    "4": 93,
    "5": 93,
    "6a": 156,
    "6b": 308,
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_have_the_papers_number_of_weights(name: str) -> None:
    (expected,) = {count for start, count in PAPERS_WEIGHTS.items() if name.startswith(start)}
    assert number_of_weights(EXPERIMENTS[name].shape) == expected


def test_numbers_have_their_target_at_the_last_step() -> None:
    problem = Adding1997(22)
    sample = problem.generate(3, np.random.default_rng(0))
    sequences = as_sequences(problem, sample)
    last = sample.offsets[1:] - 1
    assert np.flatnonzero(sequences.scored).tolist() == last.tolist()
    np.testing.assert_array_equal(sequences.targets[last, 0], sample.targets)
    np.testing.assert_array_equal(sequences.values, sample.values)


def test_symbols_have_a_target_at_every_step() -> None:
    problem = NoiseFree(4)
    sample = problem.generate(2, np.random.default_rng(0))
    sequences = as_sequences(problem, sample)
    assert sequences.scored.all()
    np.testing.assert_array_equal(sequences.values.argmax(axis=1), sample.symbols)
    np.testing.assert_array_equal(sequences.targets, np.eye(5)[sample.targets])


def small(**changes: object) -> Trial:
    experiment = replace(EXPERIMENTS["3a, T=100, N=3"], problem=TwoSequence(5, 3), every=100, tested=100, **changes)
    return Trial(experiment, seed=0)


def test_a_short_lag_is_learned_until_the_last_rule_is_met() -> None:
    trial = small(rules={"ST1": HeldOut(0.2), "ST2": HeldOut(0.2, mean_error=0.1)})
    told: list[int] = []
    result = trial.run(20_000, told.append)
    assert result["solved"]
    assert 0 < result["met"]["ST1"] <= result["met"]["ST2"] == result["sequences"] == told[-1]
    assert result["wrong"] <= 0.05
    errors = trial.errors(trial.test)
    assert errors.max() < 0.2
    assert errors.mean() < 0.1


def test_a_trial_ends_at_its_limit_and_says_that_it_failed() -> None:
    result = small().run(100)
    assert not result["solved"]
    assert (result["sequences"], result["met"]) == (100, {})


def test_equal_seeds_give_equal_trials() -> None:
    first, second = (small().run(200) for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_gradient_may_be_the_whole_one_and_settings_say_so() -> None:
    truncated, whole = small(), small(truncated=False)
    assert whole.experiment.settings() == truncated.experiment.settings() | {"truncated": False}
    np.testing.assert_array_equal(whole.weights.hidden, truncated.weights.hidden)
    for trial in (truncated, whole):
        trial._train(10)
    assert not np.array_equal(whole.weights.hidden, truncated.weights.hidden)


def test_rule_of_the_last_training_sequences() -> None:
    trial, rule = small(), Recent(within=0.04, wrong=1, mean_error=0.02)
    trial.recent = np.full((1999, 2), 0.01)
    assert not rule.met(trial)  # too few
    trial.recent = np.full((2000, 2), 0.01)
    assert rule.met(trial)
    trial.recent[7, 0] = 0.04
    assert rule.met(trial)
    trial.recent[8, 0] = 0.05
    assert not rule.met(trial)
    trial.recent[8, 0], trial.recent[:, 1] = 0.01, 0.02
    assert not rule.met(trial)


def test_rules_of_test_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = small()
    errors = np.full(256, 0.01)
    monkeypatch.setattr(trial, "errors", lambda sample: errors)
    assert HeldOut(0.2, mean_error=0.02).met(trial)
    assert Always(0.2, over=1000).met(trial)
    errors[0] = 0.2
    assert HeldOut(0.2, wrong=1, mean_error=0.02).met(trial)
    assert not HeldOut(0.2).met(trial)
    assert not HeldOut(0.2, wrong=1, mean_error=0.01).met(trial)
    assert not Always(0.2).met(trial)


def test_strings_of_the_test_are_not_those_of_the_training_and_ten_trials_share_them() -> None:
    experiment = EXPERIMENTS["1, 4 blocks of 1, rate 0.1"]
    trials = [Trial(experiment, seed) for seed in (0, 9, 10)]

    def strings(sample) -> list[tuple[int, ...]]:
        return [tuple(part) for part in np.split(sample.symbols, sample.offsets[1:-1])]

    training = [strings(trial.strings) for trial in trials]
    test = [strings(trial.test) for trial in trials]
    assert [len(part) for part in (*training, *test)] == [256] * 6
    assert not set(training[0]) & set(test[0])
    assert (training[0], test[0]) == (training[1], test[1])
    assert Counter(training[0]) != Counter(training[2])
    assert not np.array_equal(trials[0].weights.hidden, trials[1].weights.hidden)


def test_cells_join_when_the_network_without_them_stops_improving() -> None:
    experiment = replace(EXPERIMENTS["2a, p=100"], problem=NoiseFree(4), every=200, tested=100)
    shape = Shape(
        5, 5, 1, output_gates=False, recurrent=False, direct=True, plain=True,
        biased_cells=False, biased_gates=False, biased_outputs=False,
    )  # fmt: skip
    trial = Trial(replace(experiment, shape=shape), seed=0)
    before = trial.weights.hidden.copy(), trial.weights.output[:, 5:].copy(), trial.weights.output[:, :5].copy()
    trial._train_without_cells(5000)
    assert 200 <= trial.sequences < 5000
    np.testing.assert_array_equal(trial.weights.hidden, before[0])
    np.testing.assert_array_equal(trial.weights.output[:, 5:], before[1])
    assert not np.array_equal(trial.weights.output[:, :5], before[2])
    assert trial.run(20_000)["solved"]


def test_reber_is_solved_only_if_both_sets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(EXPERIMENTS["1, 3 blocks of 2, rate 0.5"], seed=0)
    (rule,) = trial.experiment.rules.values()
    assert isinstance(trial.problem, EmbeddedReber)
    monkeypatch.setattr(trial, "outputs", lambda sample: sample.legal.astype(float))
    assert rule.met(trial)
    monkeypatch.setattr(trial, "outputs", lambda sample: np.ones(sample.legal.shape) * (sample is trial.test))
    assert not rule.met(trial)
