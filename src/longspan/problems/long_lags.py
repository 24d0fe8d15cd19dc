"""Long time lags between a symbol at the beginning and its echo at the end, without noise and with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longspan.problems.problem import Criterion, Problem, check_at_least, entropy
from longspan.problems.sample import Sample, equal_offsets, offsets_of

_TRIGGER_CHANCE = 0.1


@dataclass(frozen=True)
class _Echo(Problem):
    """x or y, p - 1 other symbols, and x or y again; every next symbol is to be predicted."""

    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    classes: ClassVar[bool] = True
    per_step: ClassVar[bool] = True
    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 2)

    @property
    def input_size(self) -> int:
        """The p + 1 symbols, a_1 to a_{p-1}, x and y."""
        return self.length + 1

    @property
    def output_size(self) -> int:
        """The p + 1 symbols, one of which comes next."""
        return self.length + 1

    @property
    def lag(self) -> int:
        """The symbol of the first of p steps has to be given at the last."""
        return self.length - 1

    @property
    def constant_loss(self) -> float:
        """Entropy of the targets, a_1 to a_{p-1} each one time in p, x and y together as often."""
        p = self.length
        return entropy([*[1 / p] * (p - 1), 0.5 / p, 0.5 / p])

    def _sample(self, middle: np.ndarray, rng: np.random.Generator) -> Sample:
        n, p = len(middle), self.length
        symbols = np.empty((n, p + 1), np.int64)
        symbols[:, 0] = symbols[:, p] = rng.integers(p - 1, p + 1, n)
        symbols[:, 1:p] = middle
        return Sample(
            equal_offsets(n, p),
            targets=symbols[:, 1:].ravel(),
            symbols=symbols[:, :-1].ravel(),
            n_symbols=p + 1,
            per_step=True,
        )


@dataclass(frozen=True)
class NoiseFree(_Echo):
    """Predict each next symbol of one of two long sequences (experiment 2a of 1997).

    The sequences are ``y, a_1, ..., a_{p-1}, y`` and ``x, a_1, ..., a_{p-1}, x``, each half of the time. All but the
    last symbol can be told from the one before, and the last one only from the first. Symbols are numbered a_1 to
    a_{p-1}, x, y.

    Parameters
    ----------
    length : int
        Steps of a sequence, p; the alphabet has p + 1 symbols.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.2, task 2a.
    """

    name: ClassVar[str] = "noise-free"
    title: ClassVar[str] = "echo the first symbol after a fixed sequence"

    @property
    def memoryless_loss(self) -> float:
        """One bit a sequence, as x or y may end it."""
        return math.log(2) / self.length

    @property
    def criterion(self) -> Criterion:
        """10,000 sequences with no error of .25 or more, at any step."""
        return Criterion(over=10_000, within=0.25)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        return self._sample(np.broadcast_to(np.arange(self.length - 1), (n, self.length - 1)), rng)


@dataclass(frozen=True)
class Noisy(_Echo):
    """As `NoiseFree`, but the symbols between are drawn anew each time (experiment 2b of 1997).

    Nothing but the last symbol can be predicted, and only there answers are judged; the loss is that of all steps, as
    nobody tells the network which of them can be predicted.

    Parameters
    ----------
    length : int
        Steps of a sequence, p; the alphabet has p + 1 symbols.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.2, task 2b.
    """

    name: ClassVar[str] = "noisy"
    title: ClassVar[str] = "echo the first symbol after random ones"

    @property
    def memoryless_loss(self) -> float:
        """The best loss, and one bit a sequence."""
        return self.best_loss + math.log(2) / self.length

    @property
    def best_loss(self) -> float:
        """Entropy of the p - 1 random symbols."""
        p = self.length
        return (p - 1) * math.log(p - 1) / p

    @property
    def criterion(self) -> Criterion:
        """10,000 sequences with no error of .25 or more at the end."""
        return Criterion(over=10_000, within=0.25)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        p = self.length
        sample = self._sample(rng.integers(0, p - 1, (n, p - 1)), rng)
        judged = np.zeros((n, p), np.bool_)
        judged[:, -1] = True
        return sample.judging(judged.ravel())


@dataclass(frozen=True)
class Distractors(Problem):
    """Tell which of two symbols came second, when a trigger asks for it (experiment 2c of 1997).

    A sequence is ``b``, then ``x`` or ``y``, then q symbols drawn from p distractors, and then at every step another
    distractor with a chance of 9/10, or the trigger ``e``, at which x or y is to be given. Symbols are numbered a_1 to
    a_p, e, b, x, y; class 0 is x, class 1 is y.

    Parameters
    ----------
    length : int
        Distractors that come at least, q.
    symbols : int
        Different distractors, p.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.2, task 2c.
    """

    name: ClassVar[str] = "distractors"
    title: ClassVar[str] = "recall the second symbol at a trigger"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    classes: ClassVar[bool] = True
    length: int = 100
    symbols: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 1)
        check_at_least("symbols", self.symbols, 1)

    @property
    def input_size(self) -> int:
        """The p + 4 symbols."""
        return self.symbols + 4

    @property
    def output_size(self) -> int:
        """Two classes, x and y."""
        return 2

    @property
    def lag(self) -> int:
        """From x or y to the earliest trigger q + 1 steps, and what 99 sequences of 100 do not exceed beyond."""
        return self.length + 1 + math.ceil(math.log(0.01) / math.log(1 - _TRIGGER_CHANCE)) - 1

    @property
    def constant_loss(self) -> float:
        """One bit."""
        return math.log(2)

    @property
    def criterion(self) -> Criterion:
        """10,000 sequences with both errors below .2."""
        return Criterion(over=10_000, within=0.2)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        p = self.symbols
        more = rng.geometric(_TRIGGER_CHANCE, n) - 1
        offsets = offsets_of(3 + self.length + more)
        starts = offsets[:-1]
        targets = rng.integers(0, 2, n)
        symbols = rng.integers(0, p, offsets[-1])
        symbols[offsets[1:] - 1] = p
        symbols[starts] = p + 1
        symbols[starts + 1] = p + 2 + targets
        return Sample(offsets, targets, symbols=symbols, n_symbols=p + 4)
