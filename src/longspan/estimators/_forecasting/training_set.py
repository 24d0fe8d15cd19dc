"""What a forecaster is trained on: windows of series, with the latest held out, and the linear forecast of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from longspan.data.windows import Origins, SeriesBlock, Windows, origins_of
from longspan.estimators._forecasting.linear import Examples, LinearChoice, Split, choose_linear
from longspan.estimators._forecasting.parameters import Lengths, windows_per_epoch
from longspan.tasks.forecast import window_scale

Index = NDArray[np.int64]

_BLOCKS = (0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the time between which windows are held out, one block after the other, to choose the linear forecast."""

_MOST_CHOOSING = 4000
"""Windows by which the linear forecast is chosen, at most."""

_VALIDATED = 2000
"""Windows that are enough to tell one epoch from another."""


@dataclass(frozen=True)
class ForecastSet:
    """Windows of series, dealt into a part to learn from and a part held out.

    Attributes
    ----------
    block : SeriesBlock
        The series, as the network computes with them.
    origins : Origins
        Of all windows.
    kept, held : ndarray of int64
        Which windows to learn from, and which to validate on (maybe none).
    lengths : Lengths
        Of context, horizon (of the network) and season.
    linear : LinearChoice or None
        What the network begins with.
    """

    block: SeriesBlock
    origins: Origins
    kept: Index
    held: Index
    lengths: Lengths
    linear: LinearChoice | None = None

    @classmethod
    def of(cls, block: SeriesBlock, lengths: Lengths) -> "ForecastSet":
        """Cut every window there is; nothing is held out yet."""
        origins = origins_of(block, lengths.context, lengths.horizon)
        everything = np.arange(len(origins.rows))
        return cls(block, origins, everything, everything[:0], lengths)

    def with_linear(self) -> "ForecastSet":
        """Return the same set with the linear forecast chosen: on the later windows, each from those before."""
        some = self.kept[:: max(1, -(-len(self.kept) // _MOST_CHOOSING))]
        thinned = replace(self, origins=self.origins.take(some), kept=np.arange(len(some)))
        splits = [split for low, high in pairwise(_BLOCKS) if min(map(len, split := thinned._in_time(low, high))) > 1]
        if not splits and len(self.block.lengths) >= len(_BLOCKS):
            splits = [thinned._by_series(thinned.origins.series % 4 == part) for part in range(4)]
        choice = choose_linear(thinned.examples(thinned.kept), splits, self.lengths.season)
        return replace(self, linear=replace(choice, index=some[choice.index]))

    def hold_out(self, fraction: float, *, how: str, seed: int) -> "ForecastSet":
        """Return the same set with about `fraction` held out: the latest windows, or whole series drawn by chance.

        No target of the part to learn from lies in the part held out. Where series are too short for that, whole series
        are held out, or nothing if there are few.
        """
        if fraction == 0:
            return self
        count = len(self.block.lengths)
        for share in (fraction, fraction / 2, fraction / 4) if how == "time" else ():
            kept, held = self._in_time(1.0 - share, 1.0)
            if len(kept) > 1 and len(held):
                return replace(self, kept=kept, held=held)
        if count >= 2 and (how == "random" or count >= 5):
            drawn = np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]
            kept, held = self._by_series(np.isin(self.origins.series, drawn))
            if len(kept) and len(held):
                return replace(self, kept=kept, held=held)
        return self

    def _in_time(self, low: float, high: float) -> Split:
        """Hold out the windows between two shares of the time of each series; learn from those over before."""
        rows, series = self.origins.rows, self.origins.series
        count = len(self.block.lengths)
        first = np.full(count, np.iinfo(np.int64).max)
        last = np.full(count, -1)
        np.minimum.at(first, series, rows)
        np.maximum.at(last, series, rows)
        span = last - first + 1
        cuts = [(first + np.ceil(share * span).astype(np.int64))[series] for share in (low, high)]
        return np.flatnonzero(rows + self.lengths.horizon <= cuts[0]), np.flatnonzero(
            (rows >= cuts[0]) & (rows < cuts[1])
        )

    def _by_series(self, held: NDArray[np.bool_]) -> Split:
        return np.flatnonzero(~held), np.flatnonzero(held)

    def windows(
        self, index: Index, *, batch_size: int, device: torch.device | str = "cpu", whole: bool = True
    ) -> Windows:
        """Return windows of the set as batches; a pass over them is `whole`, or as long as an epoch."""
        return Windows(
            self.block,
            self.origins.take(index),
            context=self.lengths.context,
            horizon=self.lengths.horizon,
            batch_size=batch_size,
            per_epoch=None if whole else windows_per_epoch(len(index)),
            device=device,
        )

    def validated(self) -> Index:
        """Return the windows to validate on: of very many, some at equal distances."""
        return self.held[:: max(1, -(-len(self.held) // _VALIDATED))]

    def examples(self, index: Index) -> Examples:
        """Return windows in units of their scale, for the linear forecast."""
        windows = self.windows(index, batch_size=1)
        everything = np.arange(len(index))
        contexts, targets = windows.gather(everything)
        scale = self.scales(windows, contexts)
        return Examples(contexts[:, :, 0] / scale, targets / scale)

    def scales(self, windows: Windows, contexts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scale of each context, shape (M, 1), as the network has it."""
        floor = windows.floor(np.arange(len(contexts)))
        scale = window_scale(torch.from_numpy(contexts), torch.from_numpy(floor), self.lengths.season)
        return np.asarray(scale[:, :, 0].numpy())

    def errors_in_units(self, inverse: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
        """Return the mean absolute error of the linear forecast in the units of the data, relative to their changes."""
        if self.linear is None or not len(self.linear.index):
            return float("inf")
        windows = self.windows(self.linear.index, batch_size=1)
        contexts, targets = windows.gather(np.arange(len(self.linear.index)))
        forecasts = targets - self.linear.errors * self.scales(windows, contexts)
        anchors = windows.anchors(np.arange(len(self.linear.index)))[:, None]
        with np.errstate(over="ignore"):
            truth, found = inverse(targets + anchors), inverse(forecasts + anchors)
        past = inverse(contexts[:, :, 0] + anchors)
        change = np.abs(np.diff(past, axis=1)).mean() if past.shape[1] > 1 else np.abs(past).mean()
        return float(np.nanmean(np.abs(truth - found)) / max(change, 1e-300))
