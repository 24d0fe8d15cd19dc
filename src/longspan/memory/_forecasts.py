"""A forecaster as it is looked at: each window of a series is a sequence, and its output is the forecast after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.data.windows import Origins, Window
from longspan.errors import DataError, TargetError
from longspan.estimators.inspection import read_windows
from longspan.memory._subject import Ints, Subject, Targets
from longspan.sequences import Sequences
from longspan.tasks.forecast import ForecastNetwork, window_scale

_MOST_WINDOWS = 2000
"""Windows that are looked at, at equal distances: neighbours have nearly everything in common."""

_FEWEST_SERIES = 5
"""Of fewer series, stretches of time are what small models are fitted on and judged on."""

_STRETCHES = 6


@dataclass
class ForecastSubject(Subject):
    """The network of a forecaster.

    A step of a sequence is a step of the context: the channels relative to the last value, in units of their own
    changes, then for each whether it was measured, then what the calendar says. An output is the forecast of all steps
    of the horizon, with the linear one that the network adds to, and a target is what came, in the same units.
    """

    network: Any
    _windows: Window = field(init=False)
    _truth: NDArray[np.float64] = field(init=False)
    _owners: Ints = field(init=False)

    @property
    def place(self) -> tuple[Any, str]:
        return self.network, "cell"

    @property
    def ends_anywhere(self) -> bool:
        return False

    def read(self, X: Any) -> Sequences:
        """Cut the series into windows after which everything was measured."""
        cut = read_windows(self.estimator, X)
        count = len(cut.origins.rows)
        batch = cut.batch(np.arange(0, count, -(-count // _MOST_WINDOWS)))
        targets: Any = batch.targets
        whole = ~targets.isnan().any(dim=1)
        if not whole.any():
            raise DataError("there is no window after which every step of the horizon was measured.")
        window = Window(*(part[whole] for part in batch.inputs))
        self._owners = _stretches(cut.origins.take(batch.index[whole.cpu().numpy()]))
        unit = window_scale(window.values, window.floor, self.network.config.season_length)
        self._truth = (targets[whole] / unit[:, :, 0]).double().cpu().numpy()
        self._windows = window._replace(values=window.values / unit, floor=window.floor / unit[:, 0])
        steps = torch.cat([self._windows.values, window.seen, window.past], dim=-1)
        return Sequences.from_array(steps.cpu().numpy())

    def read_targets(self, y: Any, sequences: Sequences) -> Targets:
        if y is not None:
            raise TargetError("the targets of a forecaster are the steps after each context: leave y out.")
        return Targets(self._truth, labels=False, per_step=False)

    def groups(self, sequences: Sequences) -> Ints:
        return self._owners

    def run(self, inputs: PackedSequence, at: Ints, sequence: Ints) -> Tensor:
        channels, own = self.network.config.n_channels, torch.from_numpy(sequence).to(self.device)
        steps = inputs.data.view(len(inputs.batch_sizes), len(sequence), -1).transpose(0, 1)
        values, seen, past = steps.tensor_split([channels, 2 * channels], dim=-1)
        kept = self._windows
        window = Window(values, seen, past, kept.future[own], kept.static[own], kept.floor[own])
        location: Tensor = self.network(window)[..., 0] * self.network.scale(window)
        return location

    def channel_names(self, X: Any, sequences: Sequences) -> list[str] | None:
        return None

    def _drawn_anew(self) -> torch.nn.Module:
        fresh = ForecastNetwork(self.network.config)
        fresh.load_state_dict(dict(self.network.named_buffers()), strict=False)
        fresh.head.reset_parameters()  # an output of zeros has no gradient
        return fresh


def _stretches(origins: Origins) -> Ints:
    """Return which windows belong together: those of a series, or of a stretch of time where there are few series."""
    count = int(origins.series.max()) + 1
    if count >= _FEWEST_SERIES:
        return origins.series
    place = np.argsort(np.argsort(origins.rows, kind="stable"), kind="stable")
    stretches: Ints = place * _STRETCHES // len(place)
    return stretches
