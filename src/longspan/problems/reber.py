"""Predict the next symbol of strings of the embedded Reber grammar, one by one or in an endless stream."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from longspan.problems import _grammar as grammar
from longspan.problems._grammar import Automaton
from longspan.problems.problem import Criterion, Problem, check_at_least, entropy
from longspan.problems.sample import Sample, equal_offsets, offsets_of

_LONGEST = 300
"""Steps after which no string is left to look at: fewer than one of 10^30 is longer."""


@dataclass(frozen=True)
class _NextReberSymbol(Problem):
    classes: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

    @property
    def input_size(self) -> int:
        """The symbols B, T, P, S, X, V and E."""
        return len(grammar.SYMBOLS)

    @property
    def output_size(self) -> int:
        """The same symbols, one of which comes next."""
        return len(grammar.SYMBOLS)

    @property
    def lag(self) -> int:
        """Steps from the T or P of the beginning to where it has to come back, in 99 of 100 strings not more."""
        return int(np.searchsorted(np.cumsum(_inner_lengths()), 0.99))

    @property
    def _over(self) -> int:
        raise NotImplementedError

    @property
    def criterion(self) -> Criterion:
        """At every step, the symbols that may come next have larger outputs than all others."""
        return Criterion(over=self._over, right="with every legal next symbol ahead of all others")


@dataclass(frozen=True)
class EmbeddedReber(_NextReberSymbol):
    """Predict each next symbol of an embedded Reber string (experiment 1 of 1997).

    A string is B, T or P, a string of the Reber grammar, the same T or P, and E. Nearly all of it can be predicted from
    the last symbols; only the last but one has to be remembered over the whole of the inner string. Inputs are all
    symbols but the last, targets all but the first.

    References
    ----------
    Hochreiter & Schmidhuber 1997, "Long short-term memory", section 5.1.

    Examples
    --------
    >>> sample = EmbeddedReber().generate(1, np.random.default_rng(4))
    >>> "".join("BTPSXVE"[symbol] for symbol in sample.symbols)
    'BPBPVVEP'
    """

    name: ClassVar[str] = "reber"
    title: ClassVar[str] = "predict the next symbol of an embedded Reber string"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997"

    @property
    def _over(self) -> int:
        return 256

    @property
    def constant_loss(self) -> float:
        """Entropy of the symbols of all strings but the first."""
        counts = self._visits @ self._automaton.emissions
        counts[0] -= 1  # the B of the beginning is no target
        return entropy(counts / counts.sum())

    @property
    def memoryless_loss(self) -> float:
        """Loss of knowing the grammar, but not which of T and P must come back, one bit a string more than the best."""
        return self.best_loss + math.log(2) / self._mean_targets

    @property
    def best_loss(self) -> float:
        """Loss of knowing the grammar, one bit for each choice."""
        return math.log(2) * float(self._visits @ self._automaton.branches) / self._mean_targets

    def distinct(self, n: int, rng: np.random.Generator) -> Sample:
        """Draw `n` strings of which no two are the same, so that ``[:256]`` and ``[256:]`` are disjoint.

        Parameters
        ----------
        n : int
            How many.
        rng : numpy.random.Generator
            Where chance comes from.
        """
        check_at_least("the number of sequences", n, 1)
        sample, size = self.generate(2 * n, rng), 2 * n
        while len(first := _first_of_each(sample)) < n:
            size *= 2
            sample = self.generate(size, rng)
        return sample[rng.permutation(first[:n])]  # what is likely came first

    @cached_property
    def _automaton(self) -> Automaton:
        return grammar.embedded_reber(continual=False)

    @cached_property
    def _visits(self) -> NDArray[np.float64]:
        """How often a string is in each state on average, its end left out."""
        moves = self._automaton.transitions[: grammar.END, : grammar.END]
        counts: NDArray[np.float64] = np.linalg.inv(np.eye(len(moves)) - moves)[grammar.START]
        return np.append(counts, 0.0)

    @property
    def _mean_targets(self) -> float:
        return float(self._visits.sum()) - 1

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        automaton, state = self._automaton, np.full(n, grammar.START)
        symbols, states = [], []
        while (state != grammar.END).any():
            arrow = rng.integers(0, 2, n)
            states.append(state)
            symbols.append(automaton.symbol[state, arrow])
            state = automaton.following[state, arrow]
        emitted, left = np.stack(symbols, axis=1), np.stack(states, axis=1)
        seen = left[:, 1:] != grammar.END  # whether there is a symbol after this one
        return Sample(
            offsets_of(seen.sum(axis=1)),
            targets=emitted[:, 1:][seen],
            symbols=emitted[:, :-1][seen],
            n_symbols=self.input_size,
            per_step=True,
            legal=automaton.legal[left[:, 1:][seen]],
        )


@dataclass(frozen=True)
class ContinualReber(_NextReberSymbol):
    """Predict each next symbol of an endless stream of embedded Reber strings, whose borders nobody marks.

    A cell that cannot forget fills up: the forget gate was made for this problem.

    Parameters
    ----------
    length : int
        Steps of a stream, T; it ends in the middle of a string.

    References
    ----------
    Gers, Schmidhuber & Cummins 2000, "Learning to forget: continual prediction with LSTM".
    """

    name: ClassVar[str] = "continual-reber"
    title: ClassVar[str] = "predict the next symbol of a stream of embedded Reber strings"
    source: ClassVar[str] = "Gers, Schmidhuber & Cummins 2000"
    length: int = 1000

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 10)

    @property
    def _over(self) -> int:
        return 100

    @property
    def constant_loss(self) -> float:
        """Entropy of the symbols of a stream, the first left out."""
        return entropy(self._visits @ self._automaton.emissions / self.length)

    @property
    def memoryless_loss(self) -> float:
        """Loss of knowing the grammar, but not which of T and P must come back."""
        return self.best_loss + math.log(2) * float(self._visits[list(grammar.OUTER)].sum()) / self.length

    @property
    def best_loss(self) -> float:
        """Loss of knowing the grammar, one bit for each choice."""
        return math.log(2) * float(self._visits @ self._automaton.branches) / self.length

    @cached_property
    def _automaton(self) -> Automaton:
        return grammar.embedded_reber(continual=True)

    @cached_property
    def _visits(self) -> NDArray[np.float64]:
        """How often the targets of a stream are emitted from each state on average."""
        moves = self._automaton.transitions
        here = np.eye(len(moves))[grammar.SECOND]
        visits = np.zeros(len(moves))
        for _ in range(self.length):
            visits += here
            here = here @ moves
        return visits

    def _draw(self, n: int, rng: np.random.Generator) -> Sample:
        automaton, state = self._automaton, np.full(n, grammar.START)
        symbols = np.empty((n, self.length + 1), np.int64)
        states = np.empty_like(symbols)
        arrows = rng.integers(0, 2, symbols.shape, np.int8)
        for step in range(self.length + 1):
            states[:, step] = state
            symbols[:, step] = automaton.symbol[state, arrows[:, step]]
            state = automaton.following[state, arrows[:, step]]
        return Sample(
            equal_offsets(n, self.length),
            targets=symbols[:, 1:].ravel(),
            symbols=symbols[:, :-1].ravel(),
            n_symbols=self.input_size,
            per_step=True,
            legal=automaton.legal[states[:, 1:].ravel()],
        )


def _first_of_each(sample: Sample) -> NDArray[np.int64]:
    """Return, in the order in which they came, the sequences that did not come before."""
    longest = int(sample.lengths.max())
    padded = np.full((len(sample), longest), -1, np.int64)
    padded[np.arange(longest) < sample.lengths[:, None]] = (
        sample.targets
    )  # tell a string from another as its symbols do
    first = np.unique(padded, axis=0, return_index=True)[1]
    return np.sort(first)


@cache
def _inner_lengths() -> NDArray[np.float64]:
    """Return the probability of each length of the inner string."""
    moves = grammar.embedded_reber(continual=False).transitions
    here, chances = np.eye(len(moves))[grammar.SECOND] @ moves, np.zeros(_LONGEST)
    for length in range(_LONGEST):
        chances[length] = here[list(grammar.OUTER)].sum()
        here = here @ moves
    return chances
