"""Tell two classes of long noisy sequences apart by their first values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longspan.problems.problem import Criterion, Problem, check_at_least
from longspan.problems.sample import Sample, offsets_of

_VARIANCE = 0.2


@dataclass(frozen=True)
class TwoSequence(Problem):
    """Tell two classes of long noisy sequences apart by their first values (experiment 3a of 1997).

    The first N values are 1 in class 1 and -1 in class 2; all others are drawn from a normal distribution of mean 0 and
    variance .2. The target at the end is 1 or 0. The length is drawn from T to T + T/10.

    The paper itself shows that guessing weights at random solves this faster than learning: it says little alone.

    Parameters
    ----------
    length : int
        Steps of the shortest sequence, T; the longest has T/10 more.
    informative : int
        Values that carry the class, N.
    precise : bool
        Ask also for a mean error below .01 (the paper's second stopping rule, ST2).

    References
    ----------
    Bengio, Simard & Frasconi 1994; Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.3.
    """

    name: ClassVar[str] = "two-sequence"
    title: ClassVar[str] = "tell two noisy sequences apart by their first values"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    classes: ClassVar[bool] = False
    guessable: ClassVar[bool] = True
    noise_everywhere: ClassVar[bool] = False
    length: int = 100
    informative: int = 3
    precise: bool = False

    def __post_init__(self) -> None:
        check_at_least("informative", self.informative, 1)
        check_at_least("length", self.length, self.informative + 1)

    @property
    def input_size(self) -> int:
        """One number."""
        return 1

    @property
    def output_size(self) -> int:
        """One number."""
        return 1

    @property
    def lag(self) -> int:
        """Steps of the longest sequence, less one."""
        return self.length + self.length // 10 - 1

    @property
    def constant_loss(self) -> float:
        """Variance of a target that is 0 or 1."""
        return 0.25

    @property
    def criterion(self) -> Criterion:
        """256 sequences right within .2; where it is to be precise, with a mean error below .01."""
        return Criterion(over=256, within=0.2, mean_error=0.01 if self.precise else math.inf)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        lengths = rng.integers(self.length, self.length + self.length // 10 + 1, n)
        offsets = offsets_of(lengths)
        is_first = rng.integers(0, 2, n).astype(np.bool_)
        values = rng.standard_normal((offsets[-1], 1), np.float32) * np.float32(math.sqrt(_VARIANCE))
        informative = offsets[:-1, None] + np.arange(self.informative)
        carried = np.where(is_first, np.float32(1.0), np.float32(-1.0))[:, None]
        values[informative, 0] = carried + (values[informative, 0] if self.noise_everywhere else 0.0)
        return self._with_targets(offsets, values, is_first, rng)

    def _with_targets(
        self, offsets: np.ndarray, values: np.ndarray, is_first: np.ndarray, rng: np.random.Generator
    ) -> Sample:
        return Sample(offsets, is_first.astype(np.float32), values)


@dataclass(frozen=True)
class TwoNoisySequences(TwoSequence):
    """As `TwoSequence`, with the noise on the first values, too (experiment 3b of 1997).

    The noise may turn a sequence of one class into one of the other, so that not all can be right: fewer than 6 of 256
    may be wrong. Where it is to be precise, the mean error must be below .04.
    """

    name: ClassVar[str] = "two-sequence-noisy"
    title: ClassVar[str] = "as two-sequence, with noise on the first values, too"
    noise_everywhere: ClassVar[bool] = True

    @property
    def best_loss(self) -> float:
        """Variance that is left when the chance of each class is known from the first values."""
        deviations = np.linspace(-8.0, 8.0, 4001)
        density = np.exp(-0.5 * deviations**2)
        log_odds = 2 * (self.informative + math.sqrt(self.informative * _VARIANCE) * deviations) / _VARIANCE
        left = 0.25 / np.cosh(log_odds / 2) ** 2
        return float((density * left).sum() / density.sum())

    @property
    def criterion(self) -> Criterion:
        """At most 5 of 256 sequences off by .2 or more; where it is to be precise, with a mean error below .04."""
        return Criterion(over=256, within=0.2, wrong=5, mean_error=0.04 if self.precise else math.inf)


@dataclass(frozen=True)
class TwoSequenceNoisyTargets(TwoSequence):
    """As `TwoSequence`, with targets of .2 and .8 and noise on them (experiment 3c of 1997).

    Class 1 has the target .2, class 2 the target .8, and a normal noise of variance .1 is added; what is to be learned
    is their mean, and answers are judged by it.
    """

    name: ClassVar[str] = "two-sequence-targets"
    title: ClassVar[str] = "as two-sequence, with noise on the targets"
    guessable: ClassVar[bool] = False  # no guess is as precise as this asks for
    precise: bool = True

    @property
    def constant_loss(self) -> float:
        """Variance of a target that is .2 or .8, and of its noise."""
        return 0.09 + 0.1

    @property
    def best_loss(self) -> float:
        """Variance of the noise."""
        return 0.1

    @property
    def criterion(self) -> Criterion:
        """256 sequences right within .1; where it is to be precise, with a mean error below .015."""
        return Criterion(over=256, within=0.1, mean_error=0.015 if self.precise else math.inf)

    def _with_targets(
        self, offsets: np.ndarray, values: np.ndarray, is_first: np.ndarray, rng: np.random.Generator
    ) -> Sample:
        true = np.where(is_first, np.float32(0.2), np.float32(0.8))
        noise = rng.standard_normal(len(true), np.float32) * np.float32(math.sqrt(0.1))
        return Sample(offsets, true + noise, values, true_targets=true)
