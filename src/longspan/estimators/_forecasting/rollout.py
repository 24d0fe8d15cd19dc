"""From a trained network to quantiles of the steps to come: in one piece, in blocks, or step by step along paths."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from longspan.data.windows import Origins, SeriesBlock, Windows, last_origins
from longspan.tasks.forecast import ForecasterConfig, Forecasting

Floats = NDArray[np.float64]

_AT_ONCE = 512
"""Windows that go through the network together."""

_PATHS = 100
"""Paths that are drawn for each series where steps are fed back one by one."""

_SERIES_AT_ONCE = 16
"""Series whose paths are drawn together."""

_FINE = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Levels by which a distribution is drawn from."""


@dataclass(frozen=True)
class Rollout:
    """A trained network, and how to ask it.

    Attributes
    ----------
    task : Forecasting
        The network, and how to read it.
    step_by_step : bool
        Whether the network says one step, which is fed back.
    widths : ndarray, shape (horizon of the network, Q), or None
        What the distances of the quantiles from the median are multiplied by.
    """

    task: Forecasting
    step_by_step: bool
    widths: Floats | None = None

    @property
    def config(self) -> ForecasterConfig:
        """What the network is made of."""
        return self.task.network.config

    def quantiles(self, block: SeriesBlock, levels: tuple[float, ...]) -> Floats:
        """Return quantiles of the rows ahead of each series, shape (N, ahead, K, Q), at levels with 0.5 among them."""
        if self.step_by_step:
            raw = self._along_paths(block, levels)
            return self._widened(raw, levels)
        return self._in_blocks(block, levels)

    def _in_blocks(self, block: SeriesBlock, levels: tuple[float, ...]) -> Floats:
        """Forecast H steps at once; go on from the median, with the widths of what came before added in quadrature."""
        size, wanted = self.config.horizon, block.ahead
        middle = levels.index(0.5)
        block = with_more_ahead(block, -(-wanted // size) * size)
        origins = last_origins(block)
        before = np.zeros((1, 1, len(levels)))
        parts = []
        for done in range(0, block.ahead, size):
            at = Origins(origins.rows + done, origins.series, origins.channels)
            found = self._widened_windows(self._windows(block, at), levels)
            distance = found - found[:, :, middle, None]
            distance = np.sign(distance) * np.sqrt(distance**2 + before**2)
            found = found[:, :, middle, None] + distance
            before = distance[:, -1:]
            rows = at.rows[:, None] + np.arange(size)
            block.values[rows, at.channels[:, None]] = found[:, :, middle]
            parts.append(found)
        whole = np.concatenate(parts, axis=1)[:, :wanted]
        return np.moveaxis(whole.reshape(-1, block.n_channels, wanted, len(levels)), 1, 2)

    def _widened_windows(self, windows: Windows, levels: tuple[float, ...]) -> Floats:
        relative = self.run(windows, levels)[:, :, None]
        widened = self._widened(relative, levels)[:, :, 0]
        return widened + windows.anchors(np.arange(len(widened)))[:, None, None]

    def run(self, windows: Windows, levels: tuple[float, ...]) -> Floats:
        """Return quantiles as the network gives them, relative to the anchors, shape (M, H, Q)."""
        network = self.task.network.eval()
        parts = []
        with torch.inference_mode():
            for batch in windows.longest_first():
                unit = network.scale(batch.inputs).cpu().double().unsqueeze(-1)
                parts.append((self.task.quantiles(network(batch.inputs), levels) * unit).numpy())
        return np.concatenate(parts)

    def _windows(self, block: SeriesBlock, origins: Origins) -> Windows:
        config = self.config
        device = next(self.task.network.parameters()).device
        return Windows(
            block,
            origins,
            context=config.context_length,
            horizon=config.horizon,
            batch_size=_AT_ONCE,
            device=device,
        )

    def _widened(self, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
        """Multiply the distances from the median, shape (N, H, K, Q); the order of the quantiles stays."""
        if self.widths is None:
            return quantiles
        middle = levels.index(0.5)
        factors = np.stack([np.interp(levels, self.config.levels, row) for row in self.widths])
        steps = np.minimum(np.arange(quantiles.shape[1]), len(factors) - 1)
        centre = quantiles[..., middle, None]
        distance = np.abs(quantiles - centre) * factors[steps][:, None]
        below = np.maximum.accumulate(distance[..., :middle][..., ::-1], axis=-1)[..., ::-1]
        above = np.maximum.accumulate(distance[..., middle + 1 :], axis=-1)
        return np.concatenate([centre - below, centre, centre + above], axis=-1)

    def _along_paths(self, block: SeriesBlock, levels: tuple[float, ...]) -> Floats:
        """Draw paths step by step, and return their quantiles; each series has the same draws."""
        count = len(block.lengths)
        ends = tails(block, block.ends, np.arange(count), self.config.context_length)
        some = [np.arange(first, min(first + _SERIES_AT_ONCE, count)) for first in range(0, count, _SERIES_AT_ONCE)]
        paths = np.concatenate([self._paths_of(repeated(ends, index, _PATHS)) for index in some])
        return np.moveaxis(np.quantile(paths, levels, axis=1), 0, -1)

    def _paths_of(self, many: SeriesBlock) -> Floats:
        """Return paths of shape (N, paths, ahead, K), for a block with a copy of a series for each of its paths."""
        count, ahead, channels = len(many.lengths) // _PATHS, many.ahead, many.n_channels
        origins = last_origins(many)
        rng = np.random.default_rng(0)
        fine = self.config.levels if self.config.output == "quantiles" else _FINE
        for step in range(ahead):
            draws = np.stack([(rng.permutation(_PATHS) + 0.5) / _PATHS for _ in range(channels)], axis=1)
            at = Origins(origins.rows + step, origins.series, origins.channels)
            windows = self._windows(many, at)
            found = self.run(windows, fine) + windows.anchors(np.arange(len(at.rows)))[:, None, None]
            values = between_quantiles(found[:, 0], fine, np.tile(draws.ravel(), count))
            many.values[at.rows, at.channels] = values
        rows = many.ends[:, None] + np.arange(ahead)
        return np.asarray(many.values[rows].reshape(count, _PATHS, ahead, channels))


def between_quantiles(quantiles: Floats, levels: tuple[float, ...], draws: Floats) -> Floats:
    """Return, for each row of quantiles (M, Q), the quantile at a level drawn for it (M,).

    Between two levels, and beyond the outermost, the distribution is that part of a normal one which goes through both.

    Examples
    --------
    >>> between_quantiles(np.array([[-1.2816, 0.0, 1.2816]]), (0.1, 0.5, 0.9), np.array([0.975])).round(2)
    array([1.96])
    """
    if len(levels) == 1:
        return quantiles[:, 0]
    normal, place = ndtri(np.array(levels)), ndtri(draws)
    left = np.clip(np.searchsorted(normal, place) - 1, 0, len(levels) - 2)
    rows = np.arange(len(quantiles))
    slope = (quantiles[rows, left + 1] - quantiles[rows, left]) / (normal[left + 1] - normal[left])
    return np.asarray(quantiles[rows, left] + slope * (place - normal[left]))


def with_more_ahead(block: SeriesBlock, ahead: int) -> SeriesBlock:
    """Return a copy of the block with so many rows ahead; what is known last goes on."""
    lengths = block.lengths
    starts = np.repeat(block.offsets[:-1], lengths + ahead)
    offsets = np.concatenate([[0], np.cumsum(lengths + ahead)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths + ahead)
    there = within < np.repeat(lengths + block.ahead, lengths + ahead)
    rows = starts + np.minimum(within, np.repeat(lengths + block.ahead - 1, lengths + ahead))
    values = np.where(there[:, None], block.values[rows], np.nan)
    return SeriesBlock(values, offsets, block.covariates[rows], block.static, ahead, block.mean_changes())


def tails(block: SeriesBlock, rows: NDArray[np.int64], series: NDArray[np.int64], context: int) -> SeriesBlock:
    """Return the last steps before some rows as series of their own, with as many rows ahead as the block has.

    One row more comes first, with its gap filled: from there a gap at the start of the context is bridged as it is in
    the whole series.
    """
    span = np.maximum(rows[:, None] + np.arange(-context - 1, block.ahead), block.offsets[series, None])
    values = block.values[span]
    values[:, 0] = block.filled()[span[:, 0]]
    values[:, context + 1 :] = np.nan
    offsets = np.arange(len(rows) + 1) * span.shape[1]
    return SeriesBlock(
        values.reshape(-1, block.n_channels),
        offsets,
        block.covariates[span].reshape(offsets[-1], -1),
        block.static[series],
        block.ahead,
        block.mean_changes()[series],
    )


def repeated(block: SeriesBlock, series: NDArray[np.int64], times: int) -> SeriesBlock:
    """Return some series of a block of equally long ones, each so many times."""
    series, length = np.repeat(series, times), int(block.offsets[1])
    rows = (series[:, None] * length + np.arange(length)).ravel()
    offsets = np.arange(len(series) + 1) * length
    return SeriesBlock(
        block.values[rows],
        offsets,
        block.covariates[rows],
        block.static[series],
        block.ahead,
        block.mean_changes()[series],
    )
