"""Copy symbols after a long wait."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from longspan.problems.problem import Criterion, Problem, check_at_least, entropy
from longspan.problems.sample import Sample, offsets_of

_KINDS, _COUNT = 8, 10
_BLANK, _DELIMITER = 8, 9


@dataclass(frozen=True)
class Copy(Problem):
    """Copy ten symbols after T blanks (the copy memory problem).

    Ten symbols drawn from eight, T - 1 blanks, a delimiter, and ten more blanks, at which the ten symbols are to be
    given in order; at all other steps a blank is to be given.

    Parameters
    ----------
    length : int
        Steps to wait, T; a sequence has T + 20.

    References
    ----------
    Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural networks", section 5.1; Tallec & Ollivier 2018,
    "Can recurrent neural networks warp time?", section 3.

    Examples
    --------
    >>> problem = Copy(length=500)
    >>> problem.lag, round(problem.memoryless_loss, 4)
    (510, 0.04)
    """

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "copy ten symbols after a long wait"
    source: ClassVar[str] = "Arjovsky, Shah & Bengio 2016"
    classes: ClassVar[bool] = True
    per_step: ClassVar[bool] = True
    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 1)

    @property
    def input_size(self) -> int:
        """Eight symbols, the blank and the delimiter."""
        return _DELIMITER + 1

    @property
    def output_size(self) -> int:
        """Eight symbols and the blank."""
        return _BLANK + 1

    @property
    def lag(self) -> int:
        """T + 10 steps, between every symbol and its copy."""
        return self.length + _COUNT

    @property
    def mean_length(self) -> float:
        """Steps of a sequence on average."""
        return self.length + 2.0 * _COUNT

    @property
    def constant_loss(self) -> float:
        """Entropy of the targets of all steps."""
        symbols = _COUNT / self.mean_length
        return entropy([1 - symbols, *[symbols / _KINDS] * _KINDS])

    @property
    def memoryless_loss(self) -> float:
        """Loss of giving a blank until the delimiter, and any of the eight symbols after it."""
        return _COUNT * math.log(_KINDS) / self.mean_length

    @property
    def criterion(self) -> Criterion:
        """99 of 100 sequences copied without a mistake."""
        return Criterion(over=1000, right="copied without a mistake", wrong=10)

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        offsets = offsets_of(self._waits(n, rng) + 2 * _COUNT)
        copied = rng.integers(0, _KINDS, (n, _COUNT))
        symbols = np.full(offsets[-1], _BLANK)
        targets = np.full(offsets[-1], _BLANK)
        judged = np.zeros(offsets[-1], np.bool_)
        places = np.arange(_COUNT)
        symbols[offsets[:-1, None] + places] = copied
        symbols[offsets[1:] - _COUNT - 1] = _DELIMITER
        copies = offsets[1:, None] - _COUNT + places
        targets[copies], judged[copies] = copied, True
        return Sample(offsets, targets, symbols=symbols, n_symbols=self.input_size, per_step=True, judged=judged)

    def _waits(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return np.full(n, self.length)


@dataclass(frozen=True)
class VariableCopy(Copy):
    """Copy ten symbols after a wait of 1 to T steps, drawn anew for each sequence; otherwise as `Copy`.

    Parameters
    ----------
    length : int
        Steps of the longest wait, T.

    References
    ----------
    Tallec & Ollivier 2018, "Can recurrent neural networks warp time?", section 3.
    """

    name: ClassVar[str] = "variable-copy"
    title: ClassVar[str] = "copy ten symbols after a wait of any length"
    source: ClassVar[str] = "Tallec & Ollivier 2018"

    @property
    def mean_length(self) -> float:
        """Steps of a sequence on average."""
        return (self.length + 1) / 2 + 2.0 * _COUNT

    def _waits(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.integers(1, self.length + 1, n)
