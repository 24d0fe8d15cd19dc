"""A decoder as it is looked at: source and target are one sequence, and what is predicted is the next target step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.data import pack_rows
from longspan.errors import TargetError
from longspan.estimators.inspection import read_pairs
from longspan.memory._subject import Ints, Subject, Targets
from longspan.ops import row_index
from longspan.sequences import Sequences
from longspan.tasks import SequenceDecoder

Flags = NDArray[np.bool_]
Values = NDArray[np.float32]


@dataclass
class PairSubject(Subject):
    """The network of a decoder.

    A sequence is a source, where that has steps, and after it what the decoder reads to generate the target: its
    beginning, and then each of its steps. The columns are those of a source step, and after them those of a target
    step; where a row has none of them, they are NaN. A source that is one vector stays with its target.
    """

    network: Any
    _fronts: Ints = field(init=False)
    _predicted: Flags = field(init=False)
    _vectors: Values | None = field(init=False, default=None)

    @property
    def place(self) -> tuple[Any, str]:
        cell = self.network.cell
        return cell, "stack" if hasattr(cell, "stack") else "network"

    @property
    def has_input_gradient(self) -> bool:
        return False

    @property
    def attends(self) -> bool:
        return bool(self.network.attends)

    @property
    def is_one_stream(self) -> bool:
        return False

    # Reading ----------------------------------------------------------------------------------------------------------

    def read_both(self, X: Any, y: Any) -> tuple[Sequences, Targets | None]:
        """Join sources and targets."""
        if y is None:
            raise TargetError("a decoder is looked at while it generates y: pass the targets, too.")
        sources, targets = read_pairs(self.estimator, X, y)
        steps = sources if isinstance(sources, Sequences) else None
        self._vectors = sources if isinstance(sources, np.ndarray) else None
        self._fronts = np.zeros(len(targets), np.int64) if steps is None else steps.lengths
        offsets = np.concatenate([[0], np.cumsum(self._fronts + targets.lengths)])
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
        generated = place >= np.repeat(self._fronts, np.diff(offsets))
        rows = np.full((offsets[-1], self._source_size + targets.n_features), np.nan, np.float32)
        if steps is not None:
            rows[~generated, : self._source_size] = steps.values
        before = np.concatenate([targets.values[:1], targets.values[:-1]])
        before[targets.offsets[:-1]] = np.nan  # the beginning
        rows[generated, self._source_size :] = before
        self._predicted = generated
        return Sequences(rows, offsets), self._targets(targets.values, generated)

    def _targets(self, values: Values, generated: Flags) -> Targets:
        if self._is_of_symbols:
            codes = np.zeros(len(generated), np.int64)
            codes[generated] = values[:, 0]
            return Targets(codes, labels=True, per_step=True)
        mean, scale = (part.double().cpu().numpy() for part in (self.network.target_mean, self.network.target_scale))
        numbers = np.zeros((len(generated), len(mean)))
        numbers[generated] = (values[:, :-1] - mean) / scale
        self._predicted = generated.copy()
        self._predicted[generated] = values[:, -1] == 0  # a stop has no numbers
        return Targets(numbers, labels=False, per_step=True)

    @property
    def _is_of_symbols(self) -> bool:
        return bool(self.network.config.target == "symbols")

    @property
    def _source_size(self) -> int:
        """Columns of a source step."""
        config = self.network.config
        return {"symbols": 1, "numbers": int(config.source_size)}.get(config.source, 0)

    def has_output(self, sequences: Sequences) -> Flags:
        return self._predicted

    def fronts(self, sequences: Sequences) -> Ints:
        return self._fronts

    def as_features(self, values: Values) -> Values:
        """Show each kind of symbol in a column of its own."""
        config = self.network.config
        source, target = np.split(values, [self._source_size], axis=-1)
        if config.source == "symbols":
            source = (source == np.arange(config.source_size)).astype(np.float32)
        if self._is_of_symbols:
            target = (target == np.arange(config.target_size)).astype(np.float32)
        return np.concatenate([source, target], axis=-1)

    # Running ----------------------------------------------------------------------------------------------------------

    def at_cell(self, at: Ints, sequence: Ints) -> tuple[Ints, Ints]:
        steps = at + 1 - self._fronts[sequence]
        order = np.argsort(-steps, kind="stable")
        return order, steps[order] - 1

    def run(self, inputs: PackedSequence, at: Ints, sequence: Ints) -> Tensor:
        order, last = self.at_cell(at, sequence)
        rows, starts = _one_after_another(inputs, at + 1)
        starts, fronts = starts[order], self._fronts[sequence][order]
        before = _packed(rows[:, self._source_size :], starts + fronts, last + 1)
        source: Any = None
        if self._source_size:
            source = _packed_in_order(rows[:, : self._source_size], starts, fronts)
        elif self._vectors is not None:
            source = torch.from_numpy(self._vectors[sequence[order]]).to(self.device, self.dtype)
        encoded = self.network.encode(source, len(at))
        outputs: Tensor = self.network.run(before, encoded.start, encoded)[0]
        sizes = before.batch_sizes
        ends = (sizes.cumsum(0) - sizes)[torch.from_numpy(last)] + torch.arange(len(at))
        found = outputs.index_select(0, ends[torch.from_numpy(order.argsort())].to(outputs.device))
        return found if self._is_of_symbols else found[:, :-1]

    def _drawn_anew(self) -> torch.nn.Module:
        fresh = SequenceDecoder(self.network.config)
        fresh.load_state_dict(dict(self.network.named_buffers()), strict=False)
        return fresh


def _one_after_another(inputs: PackedSequence, lengths: Ints) -> tuple[Tensor, Ints]:
    """Return packed rows sequence by sequence, and where each sequence starts."""
    starts = np.cumsum(lengths) - lengths
    step, column, _ = row_index(inputs.batch_sizes)
    index = (torch.from_numpy(starts)[column] + step).argsort()
    return inputs.data.index_select(0, index.to(inputs.data.device)), starts


def _packed(rows: Tensor, starts: Ints, lengths: Ints) -> PackedSequence:
    """Pack some runs of rows, the longest first."""
    packed = pack_rows(starts, lengths)
    index = torch.from_numpy(packed.rows).to(rows.device)
    return PackedSequence(rows.index_select(0, index), torch.from_numpy(packed.batch_sizes))


def _packed_in_order(rows: Tensor, starts: Ints, lengths: Ints) -> PackedSequence:
    """Pack some runs of rows of any lengths, and say in which order they were."""
    falling = np.argsort(-lengths, kind="stable")
    order = torch.from_numpy(falling).to(rows.device)
    packed = _packed(rows, starts[falling], lengths[falling])
    return packed._replace(sorted_indices=order, unsorted_indices=order.argsort())
