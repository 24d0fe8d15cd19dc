"""Try a network on sequences that it has not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.problems import Problem, Sample, Scores
from longspan.tasks import Task
from longspan.trials.batches import Scaling, batch_of

_FIRST_LOOK = 64
"""Sequences of the first look: most networks that have not solved a problem fail here."""

_ROWS_AT_ONCE, _NUMBERS_AT_ONCE = 1 << 16, 1 << 23
"""Steps, and numbers in them, that go through the network together, so that memory stays bounded."""

_SMALLEST = 1e-300
"""A probability so small that it is rounded to 0 counts as this."""


class Examination(NamedTuple):
    """How a network does on sequences that it has not learned from.

    Attributes
    ----------
    loss : float
        Mean squared error, or cross-entropy in nats.
    right : float
        Share of sequences answered right.
    error : float
        Mean over sequences of the largest absolute error.
    """

    loss: float
    right: float
    error: float


class Examiner:
    """Tries a network on sequences that it has not learned from.

    Parameters
    ----------
    problem : Problem
        What it has learned.
    task : Task
        What it is.
    scaling : Scaling
        Of the targets.
    rng : numpy.random.Generator
        Draws the sequences.
    """

    def __init__(self, problem: Problem, task: Task, scaling: Scaling, rng: np.random.Generator) -> None:
        self.problem = problem
        self.task = task
        self.scaling = scaling
        self.rng = rng

    def has_solved(self) -> bool:
        """Whether the network meets the criterion of the problem.

        It is tried on few sequences first, and then on as many as the criterion asks for, until too many are wrong.
        """
        criterion = self.problem.criterion
        first = self.problem.held_out(min(_FIRST_LOOK, criterion.over), self.rng)
        if not criterion.met_by(Scores.concatenate([self._try(part)[0] for part in _chunks(first)])):
            return False
        parts, wrong = [], 0
        for part in _chunks(self.problem.held_out(criterion.over, self.rng)):
            parts.append(self._try(part)[0])
            wrong += int(np.count_nonzero(~parts[-1].correct))
            if wrong > criterion.wrong:
                return False
        return criterion.met_by(Scores.concatenate(parts))

    def examine(self, n: int) -> Examination:
        """Try the network on `n` sequences."""
        tried = [self._try(part) for part in _chunks(self.problem.held_out(n, self.rng))]
        scores = Scores.concatenate([each for each, _, _ in tried])
        loss = sum(loss for _, loss, _ in tried) / sum(count for _, _, count in tried)
        return Examination(loss, float(scores.correct.mean()), float(scores.errors.mean()))

    def _try(self, sample: Sample) -> tuple[Scores, float, int]:
        """Return scores, the sum of the losses of all targets, and how many targets there are."""
        batch = batch_of(sample, self.scaling)
        self.task.network.eval()
        with torch.inference_mode():
            outputs = self.task.network(batch.inputs)
        answers = np.empty(outputs.shape)
        answers[batch.rows if sample.per_step else batch.index] = self.task.read(outputs).numpy()
        return self.problem.scores(sample, answers), self._loss(sample, answers), len(answers)

    def _loss(self, sample: Sample, answers: NDArray[np.float64]) -> float:
        if self.problem.classes:
            own = answers[np.arange(len(answers)), sample.targets]
            return float(-np.log(np.maximum(own, _SMALLEST)).sum())
        return float(np.square(answers[:, 0] - sample.targets).sum())


def _chunks(sample: Sample) -> Iterator[Sample]:
    features = max(1, sample.n_symbols)
    size = max(1, min(_ROWS_AT_ONCE, _NUMBERS_AT_ONCE // features) // int(sample.lengths.max()))
    for start in range(0, len(sample), size):
        yield sample[start : start + size]
