"""Tell in which order rare symbols came, long after they did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from longspan.problems.problem import Criterion, Problem, check_at_least
from longspan.problems.sample import Sample, offsets_of

SYMBOLS = "EBabcdXY"
_START, _END, _FIRST_DISTRACTOR, _X = 0, 1, 2, 6


@dataclass(frozen=True)
class TemporalOrder(Problem):
    """Tell in which order two X or Y came (experiment 6a of 1997).

    A sequence starts with E, ends with B, and has symbols drawn from a, b, c, d between, but for an X or a Y at each of
    two steps. Its class is XX, XY, YX or YY. For T = 100 the length is drawn from 100 to 110, and the steps, the first
    of all being 0, from 10 to 20 and from 50 to 60; for another T all of these grow with it.

    Parameters
    ----------
    length : int
        Steps of the shortest sequence, T.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.6, task 6a.

    Examples
    --------
    >>> sample = TemporalOrder(length=20).generate(1, np.random.default_rng(0))
    >>> "".join("EBabcdXY"[symbol] for symbol in sample.symbols), sample.targets.tolist()
    ('EcbXaaaadcdYcdccccdbdB', [1])
    """

    name: ClassVar[str] = "temporal-order"
    title: ClassVar[str] = "tell the order of two rare symbols"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"
    classes: ClassVar[bool] = True
    marks: ClassVar[int] = 2
    length: int = 100

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 20)

    @property
    def input_size(self) -> int:
        """The symbols E, B, a, b, c, d, X and Y."""
        return len(SYMBOLS)

    @property
    def output_size(self) -> int:
        """Two classes for each X or Y."""
        return 1 << self.marks

    @property
    def lag(self) -> int:
        """Steps from the earliest X or Y to the end of the longest sequence."""
        return self.length + self.length // 10 - 1 - self._earliest[0]

    @property
    def constant_loss(self) -> float:
        """One bit for each X or Y."""
        return self.marks * math.log(2)

    @property
    def criterion(self) -> Criterion:
        """2,000 sequences with all outputs within .3, and a mean error below .1."""
        return Criterion(over=2000, within=0.3, mean_error=0.1)

    @property
    def _earliest(self) -> tuple[int, ...]:
        return self.length // 10, self.length // 2

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        spread = self.length // 10
        offsets = offsets_of(rng.integers(self.length, self.length + spread + 1, n))
        symbols = rng.integers(_FIRST_DISTRACTOR, _X, offsets[-1])
        symbols[offsets[:-1]] = _START
        symbols[offsets[1:] - 1] = _END
        targets = np.zeros(n, np.int64)
        for earliest in self._earliest:
            is_y = rng.integers(0, 2, n)
            symbols[offsets[:-1] + rng.integers(earliest, earliest + spread + 1, n)] = _X + is_y
            targets = 2 * targets + is_y
        return Sample(offsets, targets, symbols=symbols, n_symbols=len(SYMBOLS))


@dataclass(frozen=True)
class TemporalOrder3(TemporalOrder):
    """Tell in which order three X or Y came: eight classes (experiment 6b of 1997).

    As `TemporalOrder`, with an X or a Y at steps drawn from 10 to 20, 33 to 43 and 66 to 76 for T = 100.

    Parameters
    ----------
    length : int
        Steps of the shortest sequence, T.
    """

    name: ClassVar[str] = "temporal-order-3"
    title: ClassVar[str] = "tell the order of three rare symbols"
    marks: ClassVar[int] = 3

    @property
    def _earliest(self) -> tuple[int, ...]:
        return self.length // 10, self.length // 3, 2 * self.length // 3
