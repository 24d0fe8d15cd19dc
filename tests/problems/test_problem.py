"""What all problems have in common."""

import math
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan import LSTMClassifier, LSTMRegressor
from longspan.errors import ParameterError, ShapeError
from longspan.problems import PROBLEMS, Adding, Copy, Criterion, EmbeddedReber, Noisy, Problem, Scores, make_problem

SHORT = {"adding-1997": 22, "multiplication-1997": 22, "temporal-order": 20, "temporal-order-3": 20}


def small(name: str) -> Problem:
    has_length = "length" in {field.name for field in fields(PROBLEMS[name])}
    return make_problem(name, length=SHORT.get(name, 12) if has_length else None)


@pytest.fixture(params=PROBLEMS)
def problem(request: pytest.FixtureRequest) -> Problem:
    return small(request.param)


def draw(problem: Problem, n: int = 50, seed: int = 0):
    return problem.generate(n, np.random.default_rng(seed))


def perfect(problem: Problem, sample):
    if sample.legal is not None:
        return sample.legal.astype(float)
    if problem.classes:
        return np.eye(problem.output_size)[sample.targets]
    return sample.targets if sample.true_targets is None else sample.true_targets


def test_equal_seeds_give_equal_sequences_and_others_others(problem):
    one, same, other = draw(problem), draw(problem), draw(problem, seed=1)
    assert one.inputs == same.inputs
    np.testing.assert_array_equal(one.targets, same.targets)
    assert one.inputs != other.inputs


def test_shapes_and_types_are_as_the_problem_says(problem):
    sample = draw(problem)
    rows = sample.offsets[-1]
    assert len(sample) == len(sample.inputs) == 50
    assert sample.inputs.values.shape == (rows, problem.input_size)
    assert sample.targets.shape == (rows if problem.per_step else 50,)
    assert sample.targets.dtype == (np.int64 if problem.classes else np.float32)
    assert sample.per_step is problem.per_step
    assert np.isfinite(sample.inputs.values).all()
    if problem.classes:
        assert sample.targets.min() >= 0
        assert sample.targets.max() < problem.output_size


def test_symbols_are_seen_as_one_unit_each(problem):
    sample = draw(problem)
    if sample.symbols is not None:
        assert (sample.inputs.values.sum(axis=1) == 1).all()
        np.testing.assert_array_equal(sample.inputs.values.argmax(axis=1), sample.symbols)


def test_slices_of_a_sample_are_its_sequences(problem):
    sample = draw(problem)
    chosen = [7, 3, 3, 49]
    part = sample[chosen]
    assert len(part) == 4
    for number, source in enumerate(chosen):
        np.testing.assert_array_equal(part.inputs[number], sample.inputs[source])
        rows = slice(*sample.offsets[source : source + 2])
        own = slice(*part.offsets[number : number + 2])
        expected = sample.targets[rows] if problem.per_step else sample.targets[source]
        np.testing.assert_array_equal(part.targets[own] if problem.per_step else part.targets[number], expected)
        for name in ("judged", "legal"):
            if getattr(sample, name) is not None:
                np.testing.assert_array_equal(getattr(part, name)[own], getattr(sample, name)[rows])
        if sample.true_targets is not None:
            assert part.true_targets[number] == sample.true_targets[source]
    assert sample[10:20].inputs == sample.inputs[10:20]


def test_constant_loss_is_that_of_the_best_constant(problem):
    sample = draw(problem, 40_000 if problem.lag < 40 else 4_000)
    if problem.classes:
        shares = np.bincount(sample.targets) / len(sample.targets)
        simulated = -(shares[shares > 0] * np.log(shares[shares > 0])).sum()
    else:
        simulated = np.var(sample.targets, dtype=np.float64)
    assert simulated == pytest.approx(problem.constant_loss, rel=0.03)


def test_losses_are_in_order(problem):
    assert 0 <= problem.best_loss < problem.memoryless_loss <= problem.constant_loss


def test_right_answers_solve_it_and_constant_answers_do_not(problem):
    sample = draw(problem)
    assert problem.solved(sample, perfect(problem, sample))
    constant = np.full((len(sample.targets), problem.output_size), sample.targets.mean())
    if problem.classes:
        constant[:] = np.bincount(sample.targets, minlength=problem.output_size) / len(sample.targets)
    assert not problem.solved(sample, constant)


def test_outputs_that_are_not_finite_do_not_solve_it(problem):
    sample = draw(problem)
    assert not problem.solved(sample, np.full((len(sample.targets), problem.output_size), np.nan))


def test_sequences_to_judge_by_are_not_those_to_learn_from(problem):
    learned, judged = draw(problem), problem.held_out(50, np.random.default_rng(1))
    assert len(judged) == 50
    assert learned.inputs != judged.inputs


def test_a_dataset_is_what_estimators_take(problem):
    X, y = problem.dataset(30, random_state=3)
    sample = draw(problem, 30, seed=3)
    assert sample.inputs == X
    joined = np.concatenate(y) if problem.per_step else y
    np.testing.assert_array_equal(joined, sample.targets)
    kind = LSTMClassifier if problem.classes else LSTMRegressor
    estimator = kind(hidden_size=2, max_epochs=1, per_step=problem.per_step, bidirectional=False, random_state=0)
    assert len(estimator.fit(X, y).predict(X)) == 30


def test_a_problem_is_a_value(problem):
    assert problem == small(problem.name)
    assert hash(problem) == hash(small(problem.name))
    with pytest.raises(FrozenInstanceError):
        problem.length = 3


def test_words_are_there(problem):
    assert problem.title
    assert problem.source
    assert f"{problem.criterion.over:,}" in str(problem.criterion)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None])
def test_number_of_sequences_is_checked(n):
    with pytest.raises(ParameterError, match="the number of sequences"):
        Adding().generate(n, np.random.default_rng(0))


@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0)])
def test_generator_is_checked(rng):
    with pytest.raises(ParameterError, match="default_rng"):
        Adding().generate(1, rng)


@pytest.mark.parametrize(
    ("problem", "shape", "said"),
    [
        (Adding(10), (4,), r"\(4,\).*one target a sequence: 5 targets of 1"),
        (Adding(10), (5, 2), "5 targets of 1"),
        (Copy(3), (5, 9), "one target a step: 115 targets of 9"),
    ],
)
def test_outputs_are_checked(problem, shape, said):
    with pytest.raises(ShapeError, match=said):
        problem.scores(draw(problem, 5), np.zeros(shape))


@given(st.integers(0, 10_000))
def test_scores_of_steps_are_those_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    problem = Noisy(6)
    sample = problem.generate(9, rng)
    outputs = np.eye(7)[sample.targets] + rng.normal(0, 0.12, (54, 7))
    scores = problem.scores(sample, outputs)
    for number in range(9):
        last = 6 * number + 5
        wanted = [1.0 if symbol == sample.targets[last] else 0.0 for symbol in range(7)]
        error = max(abs(a - b) for a, b in zip(outputs[last], wanted, strict=True))
        assert scores.errors[number] == pytest.approx(error)
        assert scores.correct[number] == (error < 0.25)


@given(st.integers(0, 10_000))
def test_legal_symbols_ahead_of_others_is_what_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    problem = EmbeddedReber()
    sample = problem.generate(4, rng)
    outputs = sample.legal + rng.normal(0, 0.3, sample.legal.shape)
    scores = problem.scores(sample, outputs)
    for number in range(4):
        ahead = True
        for step in range(sample.offsets[number], sample.offsets[number + 1]):
            legal = [outputs[step][k] for k in range(7) if sample.legal[step][k]]
            others = [outputs[step][k] for k in range(7) if not sample.legal[step][k]]
            ahead = ahead and min(legal) > max(others)
        assert scores.correct[number] == ahead


@pytest.mark.parametrize(
    ("criterion", "correct", "errors", "met"),
    [
        (Criterion(over=4), [1, 1], [0.0, 0.9], True),
        (Criterion(over=4), [1, 0], [0.0, 0.0], False),
        (Criterion(over=4, wrong=2), [1, 0], [0.0, 0.0], True),
        (Criterion(over=4, wrong=1), [1, 0], [0.0, 0.0], False),
        (Criterion(over=4, mean_error=0.1), [1, 1], [0.0, 0.2], False),
        (Criterion(over=4, mean_error=0.1), [1, 1], [0.0, 0.19], True),
        (Criterion(over=4, mean_square=0.02), [1, 1], [0.0, 0.2], False),
        (Criterion(over=4, mean_square=0.021), [1, 1], [0.0, 0.2], True),
        (Criterion(over=4, mean_error=0.1), [1, 1], [0.0, math.nan], False),
    ],
)
def test_criterion(criterion, correct, errors, met):
    assert criterion.met_by(Scores(np.array(correct, bool), np.array(errors))) is met


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (Criterion(over=2000, within=0.04, wrong=13), "1,987 of 2,000 sequences within 0.04"),
        (
            Criterion(over=9, right="told right", mean_error=0.01),
            "all of 9 sequences told right, mean error below 0.01",
        ),
        (Criterion(over=2000, mean_square=0.001), "mean squared error below 0.001 over 2,000 sequences"),
    ],
)
def test_criterion_in_words(criterion, words):
    assert str(criterion) == words


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("ading", {}, "there is no problem 'ading'.\n  Did you mean 'adding'"),
        ("chess", {}, "There are: adding, multiplication"),
        ("reber", {"length": 3}, "'reber' has no parameter 'length': it has no parameters"),
        ("distractors", {"size": 3}, "no parameter 'size': its parameters are length, symbols"),
        ("adding", {"length": 1}, "length is 1, but it must be a whole number of at least 2"),
        ("adding", {"length": 9.5}, "length is 9.5"),
        ("adding", {"length": True}, "length is True"),
        ("adding-1997", {"length": 21}, "at least 22"),
        ("multiplication-1997", {"most_wrong": -1}, "most_wrong is -1"),
        ("distractors", {"symbols": 0}, "symbols is 0"),
        ("two-sequence", {"informative": 0}, "informative is 0"),
        ("two-sequence", {"length": 3}, "at least 4"),
        ("temporal-order", {"length": 10}, "at least 20"),
        ("continual-reber", {"length": 9}, "at least 10"),
        ("noise-free", {"length": 1}, "at least 2"),
        ("copy", {"length": 0}, "at least 1"),
    ],
)
def test_refusals(name, parameters, said):
    with pytest.raises(ParameterError) as caught:
        make_problem(name, **parameters)
    assert said in str(caught.value)


def test_parameters_that_are_none_have_their_defaults():
    assert make_problem("copy", length=None) == Copy()


def test_names_are_those_of_the_classes():
    assert all(problem.name == name for name, problem in PROBLEMS.items())
