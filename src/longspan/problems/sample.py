"""What a problem gives: sequences, what they should be answered with, and what of it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longspan.sequences import Sequences

Offsets = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """N sequences of a problem and their targets.

    Attributes
    ----------
    offsets : ndarray of int64, shape (N + 1,)
        Where each sequence starts among the R steps of all.
    targets : ndarray, shape (N,) or (R,)
        int64 classes or float32 numbers; one a sequence, or one a step.
    values : ndarray of float32, shape (R, I), optional
        The inputs, where they are numbers.
    symbols : ndarray of int64, shape (R,), optional
        The inputs, where they are symbols; a network sees each as one of `n_symbols` units that is 1.
    n_symbols : int
        Size of the alphabet, 0 where inputs are numbers.
    per_step : bool
        Whether there is a target at every step.
    judged : ndarray of bool, shape (R,), optional
        The steps at which the success criterion looks; all, where there is none.
    legal : ndarray of bool, shape (R, C), optional
        The classes that a grammar allows at each step.
    true_targets : ndarray of float32, shape (N,), optional
        Targets without their noise, which are what answers are judged by.
    """

    offsets: Offsets
    targets: NDArray[Any]
    values: NDArray[np.float32] | None = None
    symbols: NDArray[np.int64] | None = None
    n_symbols: int = 0
    per_step: bool = False
    judged: NDArray[np.bool_] | None = None
    legal: NDArray[np.bool_] | None = None
    true_targets: NDArray[np.float32] | None = None

    @cached_property
    def inputs(self) -> Sequences:
        """The sequences as a network sees them."""
        if self.symbols is None:
            return Sequences(self.values if self.values is not None else (), self.offsets)
        units = np.zeros((len(self.symbols), self.n_symbols), np.float32)
        units[np.arange(len(units)), self.symbols] = 1.0
        return Sequences(units, self.offsets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each sequence, shape (N,)."""
        return np.diff(self.offsets)

    def judging(self, judged: NDArray[np.bool_]) -> Sample:
        """Return the same, judged at some of its steps only."""
        return replace(self, judged=judged)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> Sample:
        """Return some of the sequences, in the order of `index`."""
        chosen = np.arange(len(self))[index]
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        by_row = {name: getattr(self, name) for name in ("values", "symbols", "judged", "legal")}
        taken: dict[str, Any] = {name: None if block is None else block[rows] for name, block in by_row.items()}
        true = None if self.true_targets is None else self.true_targets[chosen]
        targets = self.targets[rows if self.per_step else chosen]
        return replace(self, offsets=offsets, targets=targets, true_targets=true, **taken)


def offsets_of(lengths: NDArray[np.int64]) -> Offsets:
    """Return where sequences of these lengths start, and where the last one ends.

    Examples
    --------
    >>> offsets_of(np.array([3, 1, 2])).tolist()
    [0, 3, 4, 6]
    """
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)))


def equal_offsets(n: int, length: int) -> Offsets:
    """Return where `n` sequences of one length start, and where the last one ends."""
    return np.arange(n + 1, dtype=np.int64) * length
