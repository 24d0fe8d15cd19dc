"""What every generated problem is, and when it counts as solved."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.errors import ParameterError, ShapeError
from longspan.problems.sample import Sample
from longspan.sequences import Sequences


class Scores(NamedTuple):
    """How each of N sequences was answered.

    Attributes
    ----------
    correct : ndarray of bool, shape (N,)
        Whether every judged answer of the sequence is right.
    errors : ndarray of float64, shape (N,)
        The largest absolute error of any judged output of the sequence.
    """

    correct: NDArray[np.bool_]
    errors: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: Sequence[Scores]) -> Scores:
        """Put the scores of several samples after each other."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Criterion:
    """When a problem is solved.

    Attributes
    ----------
    over : int
        How many sequences, not learned from, are looked at.
    within : float, optional
        A sequence is right if every judged output is closer than this to its target. Without it, a class is right where
        it has the largest output, and a number is not judged one by one.
    right : str
        What a right sequence is, in words, where it is not a matter of `within`.
    wrong : int
        How many of the sequences may be wrong.
    mean_error : float
        The mean over sequences of the largest absolute error must be below this.
    mean_square : float
        The mean over sequences of its square must be below this.
    """

    over: int
    within: float | None = None
    right: str = "right"
    wrong: int = 0
    mean_error: float = math.inf
    mean_square: float = math.inf

    def __str__(self) -> str:
        """Say it in words.

        Examples
        --------
        >>> print(Criterion(over=2000, within=0.04, wrong=12))
        1,988 of 2,000 sequences within 0.04
        """
        words = []
        if self.within is not None or math.isinf(self.mean_square):
            how_many = f"{self.over - self.wrong:,} of {self.over:,}" if self.wrong else f"all of {self.over:,}"
            words.append(f"{how_many} sequences {self.right if self.within is None else f'within {self.within:g}'}")
        if math.isfinite(self.mean_error):
            words.append(f"mean error below {self.mean_error:g}")
        if math.isfinite(self.mean_square):
            words.append(f"mean squared error below {self.mean_square:.2g} over {self.over:,} sequences")
        return ", ".join(words)

    def met_by(self, scores: Scores) -> bool:
        """Whether scores, of any number of sequences, meet it; of fewer than `over` the same share may be wrong."""
        wrong = np.count_nonzero(~scores.correct)
        return bool(
            wrong * self.over <= self.wrong * len(scores.correct)
            and scores.errors.mean() < self.mean_error
            and np.square(scores.errors).mean() < self.mean_square
        )


class Problem(ABC):
    """A problem that a network of enough memory can solve, drawn anew as often as wanted.

    Attributes
    ----------
    name : str
        As it is typed.
    title, source : str
        What it is, in a line; where it was published.
    classes : bool
        Whether the targets are classes and not numbers.
    per_step : bool
        Whether there is a target at every step, and not one at the end.
    guessable : bool
        Whether networks with random weights solve it about as quickly as learning ones do, so that solving it says
        little (Hochreiter & Schmidhuber 1997 themselves say so of the two-sequence problem).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    classes: ClassVar[bool]
    per_step: ClassVar[bool] = False
    guessable: ClassVar[bool] = False

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features of a step, I."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Numbers that a network gives for each target: classes C, or 1."""

    @property
    @abstractmethod
    def lag(self) -> int:
        """How many steps before an output the oldest input that it needs may lie.

        The largest there is; where there is no largest, one that 99 sequences of 100 do not exceed.
        """

    @property
    @abstractmethod
    def criterion(self) -> Criterion:
        """When it is solved."""

    @property
    @abstractmethod
    def constant_loss(self) -> float:
        """Loss of the best answer that is always the same: mean squared error, or cross-entropy in nats."""

    @property
    def memoryless_loss(self) -> float:
        """Loss of the best answer that knows the rules and the present step, but nothing that must be remembered."""
        return self.constant_loss

    @property
    def best_loss(self) -> float:
        """Loss of the best answer there is, what is left being chance."""
        return 0.0

    def generate(self, n: int, rng: np.random.Generator) -> Sample:
        """Draw `n` sequences.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Where chance comes from; the same state gives the same sequences.

        Raises
        ------
        ParameterError
            If `n` is not a positive whole number, or `rng` no generator.
        """
        return self._draw(_checked_count(n), _checked_generator(rng))

    def held_out(self, n: int, rng: np.random.Generator) -> Sample:
        """Draw `n` sequences to judge a network by; they are not among those that `generate` gives, or are fresh."""
        return self.generate(n, rng)

    def dataset(self, n: int, random_state: int | np.random.Generator | None = None) -> tuple[Sequences, Any]:
        """Draw `n` sequences as estimators take them.

        Parameters
        ----------
        n : int
            How many.
        random_state : int, Generator or None
            Seed; None draws others each time.

        Returns
        -------
        X : Sequences
        y : ndarray of shape (N,), or list of N arrays of shape (T_i,) where each step has a target
        """
        sample = self.generate(n, np.random.default_rng(random_state))
        if self.per_step:
            return sample.inputs, np.split(sample.targets, sample.offsets[1:-1])
        return sample.inputs, sample.targets

    def scores(self, sample: Sample, outputs: ArrayLike) -> Scores:
        """Judge the answers to a sample.

        Parameters
        ----------
        sample : Sample
            Sequences of this problem.
        outputs : array of shape (N,) or (N, C), or for each step (R, C)
            Numbers in the units of the targets; for classes, outputs that are 1 where the network is sure, such as
            probabilities.

        Raises
        ------
        ShapeError
            If the outputs do not fit the targets.
        """
        answers = self._checked_outputs(sample, outputs)
        errors = np.abs(answers - self._wanted(sample)).max(axis=1)
        right = self._right(sample, answers, errors)
        if not self.per_step:
            return Scores(right, errors)
        if sample.judged is not None:
            right = right | ~sample.judged
            errors = np.where(sample.judged, errors, 0.0)
        starts = sample.offsets[:-1]
        return Scores(np.logical_and.reduceat(right, starts), np.maximum.reduceat(errors, starts))

    def solved(self, sample: Sample, outputs: ArrayLike) -> bool:
        """Whether these answers to a sample meet the criterion.

        Examples
        --------
        >>> from longspan.problems import Adding
        >>> problem = Adding(length=20)
        >>> sample = problem.generate(100, np.random.default_rng(0))
        >>> problem.solved(sample, sample.targets), problem.solved(sample, np.ones(100))
        (True, False)
        """
        return self.criterion.met_by(self.scores(sample, outputs))

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        """Draw `n` sequences."""

    def _wanted(self, sample: Sample) -> NDArray[np.float64]:
        """Return what the outputs should be, shape (N or R, C)."""
        if self.classes:
            wanted: NDArray[np.float64] = np.eye(self.output_size)[sample.targets]
        else:
            true = sample.targets if sample.true_targets is None else sample.true_targets
            wanted = true[:, None].astype(np.float64)
        return wanted

    def _right(self, sample: Sample, answers: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each answer is right, shape (N or R,)."""
        if self.criterion.within is not None:
            return errors < self.criterion.within
        if sample.legal is not None:
            lowest = np.where(sample.legal, answers, np.inf).min(axis=1)
            right: NDArray[np.bool_] = lowest > np.where(sample.legal, -np.inf, answers).max(axis=1)
        elif self.classes:
            right = answers.argmax(axis=1) == sample.targets
        else:
            right = np.isfinite(errors)
        return right

    def _checked_outputs(self, sample: Sample, outputs: ArrayLike) -> NDArray[np.float64]:
        answers = np.asarray(outputs, np.float64)
        expected = (len(sample.targets), self.output_size)
        if self.output_size == 1 and answers.shape == expected[:1]:
            answers = answers[:, None]
        if answers.shape != expected:
            raise ShapeError(
                f"the outputs have shape {answers.shape}, but the problem {self.name!r} has "
                f"{'one target a step' if self.per_step else 'one target a sequence'}: "
                f"{expected[0]} targets of {expected[1]} numbers."
            )
        return answers


def check_at_least(name: str, value: Any, lowest: int) -> None:
    """Raise `ParameterError` unless `value` is a whole number of at least `lowest`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise ParameterError(f"{name} is {value!r}, but it must be a whole number of at least {lowest}.")


def _checked_count(n: Any) -> int:
    check_at_least("the number of sequences", n, 1)
    return int(n)


def _checked_generator(rng: Any) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise ParameterError(
            f"rng is a {type(rng).__name__}, but it must be a numpy.random.Generator.\n"
            "  Make one with numpy.random.default_rng(seed)."
        )
    return rng


def entropy(probabilities: ArrayLike) -> float:
    """Return the entropy of a distribution in nats.

    Examples
    --------
    >>> round(entropy([0.5, 0.5]), 4)
    0.6931
    """
    shares = np.asarray(probabilities, np.float64)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
