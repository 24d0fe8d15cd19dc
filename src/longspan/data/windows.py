"""Windows of series: a context up to an origin, and the horizon after it; gathered without a loop over the batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longspan.data.batches import Batch

_NO_ROWS: NDArray[np.int64] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class SeriesBlock:
    """Series on their regular grids, under each other.

    Attributes
    ----------
    values : ndarray of float64, shape (R, K)
        K channels; NaN where nothing was measured, and in the `ahead` rows after each series.
    offsets : ndarray of int64, shape (N + 1,)
        Where each series starts, those rows included.
    covariates : ndarray of float64, shape (R, F)
        What is known of every row in advance, also of those ahead.
    static : ndarray of float64, shape (N, S)
        What is known of each series.
    ahead : int
        Rows at the end of each series that are still to come.
    changes : ndarray of float64, shape (N, K), or None
        The mean change from one step to the next, where the series were longer than the rows that are here.
    """

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    covariates: NDArray[np.float64]
    static: NDArray[np.float64]
    ahead: int = 0
    changes: NDArray[np.float64] | None = None

    @property
    def ends(self) -> NDArray[np.int64]:
        """The row after the last one of each series that is past, shape (N,)."""
        return self.offsets[1:] - self.ahead

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Rows of each series that are past, shape (N,)."""
        return self.ends - self.offsets[:-1]

    @property
    def n_channels(self) -> int:
        """Channels K."""
        return int(self.values.shape[1])

    def mean_changes(self) -> NDArray[np.float64]:
        """Return the mean change from one step to the next, shape (N, K); 0 where none was measured."""
        if self.changes is not None:
            return self.changes
        owners = np.repeat(np.arange(len(self.lengths)), np.diff(self.offsets))
        changes = np.abs(np.diff(self.values, axis=0))
        known = ~np.isnan(changes) & (owners[1:] == owners[:-1])[:, None]
        total, count = np.zeros((2, len(self.lengths), self.n_channels))
        np.add.at(total, owners[1:], np.where(known, changes, 0.0))
        np.add.at(count, owners[1:], known)
        return np.asarray(total / np.maximum(count, 1))

    def filled(self) -> NDArray[np.float64]:
        """Return the values with gaps filled, and the first value carried back to the start.

        A gap of a lone channel is bridged by a straight line, which looks ahead of the gap: a context must not end
        inside one (see `origins_of`). Where there are several channels the last value is carried forward, since each
        may have its gap elsewhere.
        """
        rows, missing = np.arange(len(self.values))[:, None], np.isnan(self.values)
        starts = np.repeat(self.offsets[:-1], np.diff(self.offsets))[:, None]
        stops = np.repeat(self.offsets[1:], np.diff(self.offsets))[:, None]
        last = np.maximum.accumulate(np.where(missing, -1, rows), axis=0)
        after = np.minimum.accumulate(np.where(missing, len(rows), rows)[::-1], axis=0)[::-1]
        has_last, has_after = last >= starts, after < stops
        last, after = np.where(has_last, last, after), np.where(has_after, after, last)
        last, after = (np.where(has_last | has_after, found, rows) for found in (last, after))
        low, high = (np.nan_to_num(np.take_along_axis(self.values, found, axis=0)) for found in (last, after))
        if self.n_channels > 1:
            return low
        share = (rows - last) / np.maximum(after - last, 1)
        return np.asarray(low + share * (high - low))


class Origins(NamedTuple):
    """Where windows are cut: one entry a window.

    Attributes
    ----------
    rows : ndarray of int64, shape (M,)
        The first row after the context, in the block.
    series, channels : ndarray of int64, shape (M,)
        Of which series, and which of its channels is forecast.
    """

    rows: NDArray[np.int64]
    series: NDArray[np.int64]
    channels: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> "Origins":
        """Return some of them."""
        return Origins(*(part[index] for part in self))


def last_origins(block: SeriesBlock) -> Origins:
    """Return the origin at the end of each series, for each of its channels, series by series."""
    series = np.repeat(np.arange(len(block.lengths)), block.n_channels)
    channels = np.tile(np.arange(block.n_channels), len(block.lengths))
    return Origins(block.ends[series], series, channels)


def origins_of(block: SeriesBlock, context: int, horizon: int) -> Origins:
    """Return every origin with a whole context before it and something to compare a forecast with after it.

    The last value of the context must have been measured, so that no gap is bridged from beyond the origin, and so must
    half of the context.

    Examples
    --------
    >>> block = SeriesBlock(
    ...     np.array([[1.0], [np.nan], [3.0], [4.0]]), np.array([0, 4]), np.zeros((4, 0)), np.zeros((1, 0))
    ... )
    >>> origins_of(block, context=1, horizon=1).rows.tolist()
    [3]
    """
    seen = ~np.isnan(block.values)
    before = np.concatenate([np.zeros((1, block.n_channels), np.int64), np.cumsum(seen, axis=0)])
    parts = []
    for number, (start, end) in enumerate(zip(block.offsets[:-1], block.ends, strict=True)):
        rows = np.arange(start + context, end - horizon + 1)
        told = before[rows] - before[rows - context]
        wanted = before[rows + horizon] - before[rows]
        usable = seen[rows - 1] & (2 * told >= context) & (wanted > 0)
        places, channels = np.nonzero(usable)
        parts.append(Origins(rows[places], np.full(len(places), number), channels))
    return Origins(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Window(NamedTuple):
    """Some windows, ready for a network; B windows of L steps of context and H of horizon.

    Attributes
    ----------
    values : Tensor, shape (B, L, K)
        Relative to the last value of the context; channel 0 is the one to forecast, the others follow in turn.
    seen : Tensor, shape (B, L, K)
        1 where a value was measured, 0 where a gap was bridged.
    past, future : Tensor, shapes (B, L, F) and (B, H, F)
        Covariates known in advance.
    static : Tensor, shape (B, S + K)
        What is known of the series, and which channel it is (nothing if there is one alone).
    floor : Tensor, shape (B, K)
        The smallest scale that a context may be said to have, in the units of the values.
    """

    values: Tensor
    seen: Tensor
    past: Tensor
    future: Tensor
    static: Tensor
    floor: Tensor


class Windows:
    """Cut windows into batches: a source of batches for `longspan.training.Trainer`.

    Parameters
    ----------
    block : SeriesBlock
        The series.
    origins : Origins
        Where to cut.
    context, horizon : int
        Steps before and after an origin.
    batch_size : int
        Windows in a batch, at most.
    per_epoch : int, optional
        Windows drawn for a shuffled pass, at most: neighbouring windows have nearly everything in common.
    device : torch.device or str
        Where the tensors are wanted.
    """

    def __init__(
        self,
        block: SeriesBlock,
        origins: Origins,
        *,
        context: int,
        horizon: int,
        batch_size: int,
        per_epoch: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.block = block
        self.origins = origins
        self.context = context
        self.horizon = horizon
        self.batch_size = batch_size
        self.per_epoch = len(origins.rows) if per_epoch is None else min(per_epoch, len(origins.rows))
        self.device = torch.device(device)
        self.filled = block.filled()
        self._seen = ~np.isnan(block.values)
        self._covariates = block.covariates.astype(np.float32)
        self._static = _static(block)
        self._trifle = _trifles(block)
        self._changes = np.maximum(block.mean_changes(), self._trifle)
        self._seen_before = np.concatenate([np.zeros((1, block.n_channels), np.int64), self._seen.cumsum(axis=0)])

    def __len__(self) -> int:
        """Return how many batches a pass has."""
        return -(-self.per_epoch // self.batch_size)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield windows drawn by chance, each once at most."""
        chosen = rng.permutation(len(self.origins.rows))[: self.per_epoch]
        for part in np.array_split(chosen, len(self)):
            yield self.batch(part)

    def longest_first(self) -> Iterator[Batch]:
        """Yield all windows, always in the same batches."""
        everything = np.arange(len(self.origins.rows))
        for start in range(0, len(everything), self.batch_size):
            yield self.batch(everything[start : start + self.batch_size])

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Return the windows `index`, with targets of shape (B, H), NaN where nothing was measured."""
        values, targets = self.gather(index)
        chosen = self.origins.take(index)
        past, future = self._rows(chosen.rows)
        own = chosen.series * self.block.n_channels + chosen.channels
        window = Window(
            values=self._tensor(values),
            seen=self._tensor(_own_first(self._seen[past], chosen.channels)),
            past=self._tensor(self._covariates[past]),
            future=self._tensor(self._covariates[future]),
            static=self._tensor(self._static[own]),
            floor=self._tensor(self.floor(index)),
        )
        return Batch(window, self._tensor(targets), None, index, _NO_ROWS)

    def gather(self, index: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return contexts (B, L, K), the channel to forecast first, and targets (B, H), relative to the anchors."""
        chosen = self.origins.take(index)
        past, future = self._rows(chosen.rows)
        values = _own_first(self.filled[past], chosen.channels)
        anchors = values[:, -1:]
        return values - anchors, self.block.values[future, chosen.channels[:, None]] - anchors[:, :, 0]

    def floor(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the smallest scale that each context may be said to have, shape (B, K).

        A hundredth of the mean change of the series; all of that where half of the context or more is a gap, since what
        is bridged hardly changes.
        """
        chosen = self.origins.take(index)
        changes = self._changes[chosen.series]
        seen = self._seen_before[chosen.rows] - self._seen_before[chosen.rows - self.context]
        thin = 2 * seen < self.context
        floor = np.where(thin, changes, np.maximum(0.01 * changes, self._trifle[chosen.series]))
        return _own_first(floor, chosen.channels)

    def anchors(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the last value of each context, shape (B,): what the values of a window are relative to."""
        chosen = self.origins.take(index)
        return np.asarray(self.filled[chosen.rows - 1, chosen.channels])

    def _rows(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return rows[:, None] + np.arange(-self.context, 0), rows[:, None] + np.arange(self.horizon)

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self.device)


def _own_first(values: NDArray[Any], channels: NDArray[np.int64]) -> NDArray[Any]:
    """Turn the channels, the last axis, until that of each window comes first."""
    count = values.shape[-1]
    if count == 1:
        return values
    turns = (channels[:, None] + np.arange(count)) % count
    return np.take_along_axis(values, turns.reshape(len(values), *[1] * (values.ndim - 2), count), axis=-1)


def _static(block: SeriesBlock) -> NDArray[np.float32]:
    """Return one row for each channel of each series: what is known of the series, and which channel it is."""
    channels = block.n_channels
    static = np.repeat(block.static, channels, axis=0)
    if channels > 1:
        static = np.concatenate([static, np.tile(np.eye(channels), (len(block.lengths), 1))], axis=1)
    return static.astype(np.float32)


def _trifles(block: SeriesBlock) -> NDArray[np.float64]:
    """Return what is next to nothing beside the values of each series and channel, shape (N, K)."""
    owners = np.repeat(np.arange(len(block.lengths)), np.diff(block.offsets))
    size = np.zeros((len(block.lengths), block.n_channels))
    np.maximum.at(size, owners, np.nan_to_num(np.abs(block.values)))
    return 1e-6 * size + 1e-12
