"""Scaling each channel to zero mean and unit variance, measured on training data only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.sequences import Sequences

_CHUNK = 1 << 20
"""Numbers read at a time, so that data mapped from disk are never all in memory."""

Chunk: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating] | None]


@dataclass(frozen=True)
class ChannelScaler:
    """Mean and standard deviation of every channel.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (I,)
        `(x - mean) / scale` has zero mean and unit variance on the data that were measured.
        A channel that never changes, or was never seen, has scale 1.

    Examples
    --------
    >>> scaler = ChannelScaler.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler.mean.tolist(), scaler.scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    >>> scaler.transform([[5.0, 5.0]]).tolist()
    [[3.0, 0.0]]
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, values: ArrayLike, weights: NDArray[np.float64] | None = None) -> Self:
        """Measure rows of shape (R, I), each with a weight; NaN counts as not seen."""
        rows = np.asarray(values)
        step = _rows_at_once(rows.shape[1])
        parts = [slice(start, start + step) for start in range(0, len(rows), step)]
        return cls.fit_chunks((rows[part], None if weights is None else weights[part]) for part in parts)

    @classmethod
    def fit_sequences(
        cls, sequences: Sequences, index: NDArray[np.int64], weights: NDArray[np.float64] | None = None
    ) -> Self:
        """Measure the sequences `index`, each with a weight; every step of a sequence counts alike."""
        return cls.fit_chunks(
            (sequences.values[rows], row_weights) for rows, row_weights in _row_chunks(sequences, index, weights)
        )

    @classmethod
    def fit_chunks(cls, chunks: Iterable[Chunk]) -> Self:
        """Measure rows that come some at a time, each chunk with the weights of its rows or None."""
        moments = _Moments()
        for rows, weights in chunks:
            moments.add(rows.astype(np.float64), weights)
        return cls(*moments.result())

    def transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return scaled values, shape (R, I)."""
        return (np.asarray(values, dtype=np.float64) - self.mean) / self.scale

    def inverse_transform(self, values: ArrayLike) -> NDArray[np.float64]:
        """Undo `transform`."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.mean


class _Moments:
    """Running mean and variance, merged chunk by chunk (Chan, Golub & LeVeque 1983, equation 2.1)."""

    def __init__(self) -> None:
        self.count: NDArray[np.float64] = np.zeros(1)
        self.mean: NDArray[np.float64] = np.zeros(1)
        self.squares: NDArray[np.float64] = np.zeros(1)

    def add(self, rows: NDArray[np.float64], weights: NDArray[np.floating] | None) -> None:
        seen = np.isfinite(rows)
        mass = seen if weights is None else seen * weights[:, None]
        count = mass.sum(axis=0, dtype=np.float64)
        safe = np.maximum(count, np.finfo(float).tiny)
        filled = np.where(seen, rows, 0.0)
        mean = (filled * mass).sum(axis=0) / safe
        squares = (np.where(seen, rows - mean, 0.0) ** 2 * mass).sum(axis=0)
        total = np.maximum(self.count + count, np.finfo(float).tiny)
        shift = mean - self.mean
        self.squares = self.squares + squares + shift**2 * self.count * count / total
        self.mean = self.mean + shift * count / total
        self.count = self.count + count

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        variance = self.squares / np.maximum(self.count, np.finfo(float).tiny)
        # Rounding leaves a constant channel a variance of about (eps * mean)^2: that is noise, not signal.
        noise = (np.finfo(np.float32).eps * np.abs(self.mean)) ** 2
        scale = np.sqrt(np.where(variance > noise, variance, 1.0))
        return self.mean, scale


def _rows_at_once(n_features: int) -> int:
    return max(1, _CHUNK // n_features)


def _row_chunks(
    sequences: Sequences, index: NDArray[np.int64], weights: NDArray[np.floating] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64] | None]]:
    """Yield (row numbers, row weights) of the sequences `index`; a long one comes in pieces."""
    ends = np.cumsum(sequences.lengths[index])
    shifts = sequences.offsets[index + 1] - ends
    step = _rows_at_once(sequences.n_features)
    for start in range(0, int(ends[-1]), step):
        places = np.arange(start, min(start + step, int(ends[-1])))
        owners = np.searchsorted(ends, places, side="right")
        yield places + shifts[owners], None if weights is None else weights[owners].astype(np.float64)
