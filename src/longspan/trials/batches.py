"""Fresh sequences of a problem as the training loop asks for them, and the task that learns them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from longspan.data import Batch, Batches, PerSequence, PerStep
from longspan.problems import Problem, Sample
from longspan.tasks import Classification, Regression, SequenceNetwork, Task

_SCALED_BY = 1000
"""Sequences by whose targets numbers are standardised."""


class Scaling(NamedTuple):
    """Mean and standard deviation of the targets, where they are numbers; a network gives standardised ones."""

    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, problem: Problem, rng: np.random.Generator) -> Scaling:
        """Draw sequences of a problem, and measure their targets."""
        if problem.classes:
            return cls()
        targets = problem.generate(_SCALED_BY, rng).targets
        return cls(float(targets.mean()), float(targets.std()))


def batch_of(sample: Sample, scaling: Scaling) -> Batch:
    """Return all sequences of a sample as one batch, longest first."""
    values = sample.targets
    if values.dtype.kind == "f":
        values = ((values - scaling.mean) / scaling.scale)[:, None].astype(np.float32)
    targets = PerStep(values) if sample.per_step else PerSequence(values)
    return next(Batches(sample.inputs, targets, batch_size=len(sample)).longest_first())


class FreshBatches:
    """Minibatches that are drawn anew each time, in place of passes over a data set.

    Parameters
    ----------
    problem : Problem
        What is drawn.
    scaling : Scaling
        Of its targets.
    batch_size, count : int
        Sequences in a minibatch, minibatches in a pass.
    """

    def __init__(self, problem: Problem, scaling: Scaling, *, batch_size: int, count: int) -> None:
        self.problem = problem
        self.scaling = scaling
        self.batch_size = batch_size
        self.count = count

    def __len__(self) -> int:
        return self.count

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Draw and yield the minibatches of a pass."""
        for _ in range(self.count):
            yield batch_of(self.problem.generate(self.batch_size, rng), self.scaling)

    def longest_first(self) -> Iterator[Batch]:
        """Draw the same minibatches every time."""
        return self.shuffled(np.random.default_rng(0))


def make_task(problem: Problem, network: SequenceNetwork, scaling: Scaling) -> Task:
    """Return the task of learning a problem: classes by cross-entropy, standardised numbers by least squares."""
    if problem.classes:
        return Classification(network)
    mean, scale = torch.tensor([scaling.mean]), torch.tensor([scaling.scale])
    return Regression(network, target_mean=mean, target_scale=scale)
