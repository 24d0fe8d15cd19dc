"""Adding and multiplying two marked numbers of a long sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from longspan.problems.problem import Criterion, Problem, check_at_least
from longspan.problems.sample import Sample, equal_offsets, offsets_of

_SHORTEST_1997 = 22  # so that the first ten pairs are among the first half


@dataclass(frozen=True)
class MarkedPairs(Problem):
    """Steps of two features, a number and a marker; two numbers are marked, and answered with at the end."""

    classes: ClassVar[bool] = False

    @property
    def input_size(self) -> int:
        """The number and its marker."""
        return 2

    @property
    def output_size(self) -> int:
        """One number."""
        return 1


@dataclass(frozen=True)
class _OneOfEachHalf(MarkedPairs):
    """`length` pairs; one number in the first half and one in the second half are marked.

    Parameters
    ----------
    length : int
        Steps of a sequence, T.
    """

    source: ClassVar[str] = "Le, Jaitly & Hinton 2015; Arjovsky, Shah & Bengio 2016"
    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 2)

    @property
    def lag(self) -> int:
        """All steps but one, as the first may be marked and the answer is due at the last."""
        return self.length - 1

    @property
    def criterion(self) -> Criterion:
        """A mean squared error of a hundredth of the constant's."""
        return Criterion(over=2000, mean_square=self.constant_loss / 100)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        length, half = self.length, self.length // 2
        values = np.zeros((n, length, 2), np.float32)
        rng.random(dtype=np.float32, out=(numbers := np.empty((n, length), np.float32)))
        values[..., 0] = numbers
        each = np.arange(n)
        first, second = rng.integers(0, half, n), rng.integers(half, length, n)
        values[each, first, 1] = values[each, second, 1] = 1.0
        targets = self._answer(numbers[each, first], numbers[each, second])
        return Sample(equal_offsets(n, length), targets, values.reshape(-1, 2))

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        raise NotImplementedError


@dataclass(frozen=True)
class Adding(_OneOfEachHalf):
    """Add two marked numbers, in the form that is usual since 2015.

    Each of T steps has a number from U[0, 1] and a marker, which is 1 at one step of the first half and at one of the
    second half, and 0 elsewhere. The target at the end is the sum of the two marked numbers.

    Parameters
    ----------
    length : int
        Steps of a sequence, T.

    References
    ----------
    Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units", section 4.1;
    Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural networks", section 5.2.

    Examples
    --------
    >>> problem = Adding(length=200)
    >>> sample = problem.generate(5, np.random.default_rng(0))
    >>> sample.inputs, problem.lag, round(problem.constant_loss, 4)
    (Sequences(5 sequences, 200 steps, 2 features, 0.0 MB), 199, 0.1667)
    """

    name: ClassVar[str] = "adding"
    title: ClassVar[str] = "add two marked numbers"

    @property
    def constant_loss(self) -> float:
        """Variance of the sum, 2/12."""
        return 2 / 12

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        return first + second


@dataclass(frozen=True)
class Multiplication(_OneOfEachHalf):
    """Multiply two marked numbers; otherwise as `Adding`.

    Parameters
    ----------
    length : int
        Steps of a sequence, T.

    Examples
    --------
    >>> round(Multiplication().constant_loss, 4)
    0.0486
    """

    name: ClassVar[str] = "multiplication"
    title: ClassVar[str] = "multiply two marked numbers"

    @property
    def constant_loss(self) -> float:
        """Variance of the product, 1/9 - 1/16."""
        return 1 / 9 - 1 / 16

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        return first * second


@dataclass(frozen=True)
class _Marked1997(MarkedPairs):
    """The marked pairs of 1997: ragged, both marks in the first half, markers of -1 at both ends.

    The length is drawn from T to T + T/10. One of the first ten pairs is marked, then one of the first T/2 - 1 others.
    The marker is 1 there, -1 at the first and the last step, and 0 elsewhere. If the first pair of all is marked, its
    number is the neutral element, so that what is marked with 1 is always what is to be computed with.
    """

    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    neutral: ClassVar[float]
    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, _SHORTEST_1997)

    @property
    def lag(self) -> int:
        """Steps of the longest sequence, less one."""
        return self.length + self.length // 10 - 1

    @property
    def first_is_marked(self) -> float:
        """The probability that the first pair of all is marked."""
        return 0.1 + 0.9 / (self.length // 2 - 1)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        lengths = rng.integers(self.length, self.length + self.length // 10 + 1, n)
        offsets = offsets_of(lengths)
        starts, ends = offsets[:-1], offsets[1:] - 1
        values = np.zeros((offsets[-1], 2), np.float32)
        values[:, 0] = self._numbers(int(offsets[-1]), rng)
        first = rng.integers(0, 10, n)
        second = rng.integers(0, self.length // 2 - 1, n)
        second += second >= first  # of the others
        values[starts, 1] = values[ends, 1] = -1.0
        values[starts + first, 1] = values[starts + second, 1] = 1.0
        values[starts[(first == 0) | (second == 0)], 0] = self.neutral
        targets = self._answer(values[starts + first, 0], values[starts + second, 0])
        return Sample(offsets, targets, values)

    @staticmethod
    def _numbers(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        raise NotImplementedError

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        raise NotImplementedError


@dataclass(frozen=True)
class Adding1997(_Marked1997):
    """Add two marked numbers, as in 1997 (experiment 4).

    Numbers are from U[-1, 1]; the target at the end is ``0.5 + (X1 + X2) / 4``. If the first pair of all is marked, its
    number is 0. See `Adding` for the form that is usual today.

    Parameters
    ----------
    length : int
        Steps of the shortest sequence, T; the longest has T/10 more.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.4.

    Examples
    --------
    >>> problem = Adding1997(length=100)
    >>> sample = problem.generate(1000, np.random.default_rng(0))
    >>> int(sample.lengths.min()), int(sample.lengths.max()), bool((np.abs(sample.targets - 0.5) <= 0.5).all())
    (100, 110, True)
    """

    name: ClassVar[str] = "adding-1997"
    title: ClassVar[str] = "add two marked numbers, as in 1997"
    neutral: ClassVar[float] = 0.0

    @property
    def constant_loss(self) -> float:
        """Variance of the target, 2/3/16 less what the neutral first number takes away."""
        return (2 - self.first_is_marked) / 3 / 16

    @property
    def criterion(self) -> Criterion:
        """2,000 sequences right within .04, with a mean error below .01."""
        return Criterion(over=2000, within=0.04, mean_error=0.01)

    @staticmethod
    def _numbers(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return rng.random(count, dtype=np.float32) * np.float32(2.0) - np.float32(1.0)

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.float32(0.5) + (first + second) / np.float32(4.0)


@dataclass(frozen=True)
class Multiplication1997(_Marked1997):
    """Multiply two marked numbers, as in 1997 (experiment 5).

    Numbers are from U[0, 1]; the target at the end is ``X1 * X2``. If the first pair of all is marked, its number is 1.

    Parameters
    ----------
    length : int
        Steps of the shortest sequence, T; the longest has T/10 more.
    most_wrong : int
        How many of 2,000 sequences may be off by .04 or more; the paper stops at fewer than 140, or fewer than 13.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.5.
    """

    name: ClassVar[str] = "multiplication-1997"
    title: ClassVar[str] = "multiply two marked numbers, as in 1997"
    neutral: ClassVar[float] = 1.0
    most_wrong: int = 139

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("most_wrong", self.most_wrong, 0)

    @property
    def constant_loss(self) -> float:
        """Variance of the target, a mixture of a product of two numbers and of one number."""
        alone = self.first_is_marked
        return (1 - alone) / 9 + alone / 3 - ((1 - alone) / 4 + alone / 2) ** 2

    @property
    def criterion(self) -> Criterion:
        """At most `most_wrong` of 2,000 sequences off by .04 or more."""
        return Criterion(over=2000, within=0.04, wrong=self.most_wrong)

    @staticmethod
    def _numbers(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        return rng.random(count, dtype=np.float32)

    @staticmethod
    def _answer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
        return first * second
