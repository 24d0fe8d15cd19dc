"""Guess weights at random: a control for problems that look hard and are not."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longspan.problems import Problem, Scores
from longspan.problems.problem import check_at_least

_RANGE = 100.0
_TOGETHER = 200
"""Networks that are tried side by side."""

_FIRST_LOOK = 8
"""Sequences on which a network is tried first: nearly all of them fail here."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Guess:
    """What came of guessing.

    Attributes
    ----------
    solved : bool
        Whether a network was found.
    networks : int
        Networks tried, that one included.
    sequences : int
        Sequences that were shown to all of them, until the last was found.
    seconds : float
        How long it took.
    """

    solved: bool
    networks: int
    sequences: int
    seconds: float


def guess_weights(problem: Problem, *, hidden_size: int = 2, limit: int = 100_000, seed: int = 0) -> Guess:
    """Draw the weights of small plain recurrent networks at random until one solves a problem.

    All weights, of ``h = tanh(W x + U h' + b)`` and of a logistic output, are drawn from U[-100, 100]; nothing is
    learned.

    Parameters
    ----------
    problem : Problem
        With one target from 0 to 1 a sequence.
    hidden_size : int
        Hidden units.
    limit : int
        Networks to try at most.
    seed : int
        Of what is drawn.

    References
    ----------
    Hochreiter & Schmidhuber 1996, "Bridging long time lags by weight guessing and 'long short-term memory'".

    Examples
    --------
    >>> from longspan.problems import TwoSequence
    >>> guess_weights(TwoSequence(length=100), seed=0).solved
    True
    """
    check_at_least("hidden_size", hidden_size, 1)
    check_at_least("limit", limit, 1)
    began, rng = time.perf_counter(), np.random.default_rng(seed)
    sequences = 0
    for tried in range(0, limit, _TOGETHER):
        networks = _Networks(problem.input_size, hidden_size, min(_TOGETHER, limit - tried), rng)
        first = networks.scores(problem, _FIRST_LOOK, rng)
        for number, scores in enumerate(first):
            sequences += _until_wrong(scores)
            if not problem.criterion.met_by(scores):
                continue
            (whole,) = networks.only(number).scores(problem, problem.criterion.over, rng)
            sequences += len(whole.correct)
            if problem.criterion.met_by(whole):
                return Guess(True, tried + number + 1, sequences, time.perf_counter() - began)
    return Guess(False, limit, sequences, time.perf_counter() - began)


def _until_wrong(scores: Scores) -> int:
    """Return how many sequences are shown until the first mistake."""
    wrong = np.flatnonzero(~scores.correct)
    return int(wrong[0]) + 1 if len(wrong) else len(scores.correct)


class _Networks:
    """K networks with random weights."""

    def __init__(self, input_size: int, hidden_size: int, count: int, rng: np.random.Generator) -> None:
        def drawn(*shape: int) -> Array:
            return rng.uniform(-_RANGE, _RANGE, (count, *shape))

        self.weights = (
            drawn(input_size, hidden_size),
            drawn(hidden_size, hidden_size),
            drawn(1, hidden_size),
            drawn(hidden_size, 1),
            drawn(1, 1),
        )

    def only(self, number: int) -> _Networks:
        """Return one of the networks."""
        one = _Networks.__new__(_Networks)
        one.weights = tuple(weight[number : number + 1] for weight in self.weights)  # type: ignore[assignment]
        return one

    def scores(self, problem: Problem, n: int, rng: np.random.Generator) -> list[Scores]:
        """Try every network on the same `n` sequences."""
        w_ih, w_hh, bias, w_out, b_out = self.weights
        sample = problem.held_out(n, rng)
        padded, lengths = sample.inputs.to_padded()
        state = np.zeros((len(w_ih), n, w_hh.shape[-1]))
        for step in range(padded.shape[1]):
            moved = np.tanh(padded[:, step].astype(np.float64) @ w_ih + state @ w_hh + bias)
            state = np.where((step < lengths)[:, None], moved, state)
        answers = 0.5 * (1 + np.tanh(0.5 * (state @ w_out + b_out)))
        return [problem.scores(sample, each) for each in answers]
