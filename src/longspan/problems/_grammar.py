"""The Reber grammar as an automaton: strings drawn all at once, and exact counts of what they hold.

References
----------
Reber 1967; embedded by Smith & Zipser 1989 and Fahlman 1991, as in Hochreiter & Schmidhuber 1997, section 5.1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SYMBOLS = "BTPSXVE"
_B, _T, _P, _S, _X, _V, _E = range(7)

# The inner grammar: from each node one or two arrows, (symbol, next node); node 7 is behind it.
_REBER = (
    ((_B, 1),),
    ((_T, 2), (_P, 3)),
    ((_S, 2), (_X, 4)),
    ((_T, 3), (_V, 5)),
    ((_X, 3), (_S, 6)),
    ((_P, 4), (_V, 6)),
    ((_E, 7),),
)
_INNER = len(_REBER)


class Automaton(NamedTuple):
    """A machine of M states that emits a symbol with each arrow; from a state with two arrows each has half a chance.

    Attributes
    ----------
    symbol, following : ndarray of int64, shape (M, 2)
        What each arrow emits, where it leads; where there is one arrow, it stands twice.
    """

    symbol: NDArray[np.int64]
    following: NDArray[np.int64]

    @property
    def legal(self) -> NDArray[np.bool_]:
        """Which symbols may come next in each state, shape (M, 7)."""
        allowed = np.zeros((len(self.symbol), len(SYMBOLS)), np.bool_)
        np.put_along_axis(allowed, self.symbol, True, axis=1)
        return allowed

    @property
    def transitions(self) -> NDArray[np.float64]:
        """Probability of going from each state to each, shape (M, M)."""
        matrix = np.zeros((len(self.following), len(self.following)))
        for arrow in (0, 1):
            matrix[np.arange(len(matrix)), self.following[:, arrow]] += 0.5
        return matrix

    @property
    def emissions(self) -> NDArray[np.float64]:
        """Probability of each symbol in each state, shape (M, 7)."""
        matrix = np.zeros((len(self.symbol), len(SYMBOLS)))
        for arrow in (0, 1):
            matrix[np.arange(len(matrix)), self.symbol[:, arrow]] += 0.5
        return matrix

    @property
    def branches(self) -> NDArray[np.bool_]:
        """Which states leave a choice, shape (M,)."""
        chosen: NDArray[np.bool_] = self.symbol[:, 0] != self.symbol[:, 1]
        return chosen


START, SECOND = 0, 1
"""The first two states: before B, and before the T or P that must come back."""

_FIRST_INNER = {_T: 2, _P: 2 + _INNER}
OUTER = (2 + 2 * _INNER, 3 + 2 * _INNER)
"""The states in which the T, or the P, of the beginning has to come back."""

LAST = 4 + 2 * _INNER
"""The state before the E that ends a string."""

END = 5 + 2 * _INNER


def embedded_reber(*, continual: bool) -> Automaton:
    """Return B, {T | P}, a Reber string, the same {T | P}, E; `continual` begins anew where the other stays."""
    arrows: list[tuple[tuple[int, int], ...]] = [
        ((_B, SECOND),),
        tuple(_FIRST_INNER.items()),
    ]
    for outer, first in zip(OUTER, _FIRST_INNER.values(), strict=True):
        arrows += [tuple((symbol, outer if to == _INNER else first + to) for symbol, to in node) for node in _REBER]
    arrows += [((_T, LAST),), ((_P, LAST),), ((_E, START if continual else END),)]
    if not continual:
        arrows.append(((_E, END),))
    table = np.array([[node[0], node[-1]] for node in arrows], np.int64)
    return Automaton(table[..., 0], table[..., 1])
