"""Experiment 2b with an error at the end alone.

The paper says that its network had an error at every step, and so has `longspan.problems.Noisy`. Then, to say x or y at
the end and at no step before, a network must count to p: with one linear cell, whose outputs rise or fall with it, that
cannot be done for both symbols (the one that begins lower passes the values of the other on its way). What the paper
reports can only have been reached with an error at the end, or one that the symbols between did not spoil.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from longspan.problems import Noisy, Sample


@dataclass(frozen=True)
class NoisyToTheEnd(Noisy):
    """`Noisy`, with no other target than the last symbol."""

    name: ClassVar[str] = "noisy-to-the-end"
    per_step: ClassVar[bool] = False

    @property
    def constant_loss(self) -> float:
        """One bit."""
        return math.log(2)

    @property
    def memoryless_loss(self) -> float:
        """One bit."""
        return math.log(2)

    @property
    def best_loss(self) -> float:
        """0."""
        return 0.0

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        sample = super()._draw(n, rng)
        return replace(sample, targets=sample.targets[sample.offsets[1:] - 1], per_step=False, judged=None)
