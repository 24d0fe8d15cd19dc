"""Long target sequences, cut into pieces that follow each other from batch to batch.

Each lane of a batch walks along one sequence, some steps a batch. A network that carries its state from batch to batch
sees the whole past, and learns from as many steps as fit: truncated backpropagation through time.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import PackedSequence

from longspan.data.batches import Batch, pack_rows
from longspan.data.pairs import Sources, Start, take_sources
from longspan.sequences import Sequences


@dataclass(frozen=True)
class _Stretch:
    """Rows of one sequence that one lane walks along; `place` is its piece in the batch before, -1 at the start."""

    sequence: int
    row: int
    stop: int
    place: int = -1


class StreamBatches:
    """Cut long targets into pieces of `steps`, which follow each other in the lanes of successive batches.

    Parameters
    ----------
    sources : Sequences, ndarray (N, I) or None
        What the targets answer; comes along with each piece.
    targets : Sequences
        N target sequences.
    weights : ndarray of float32, shape (N,), optional
        One weight a sequence.
    index : ndarray of int64, optional
        The sequences to use; all of them by default.
    batch_size : int
        Lanes: pieces in a batch, at most.
    steps : int
        Steps of a piece, at most.
    cut : bool
        Without sources, let several lanes walk along one long sequence. A lane that begins in the middle is told the
        row before, but has no state to go on from.
    device : torch.device or str
        Where the tensors are wanted.

    References
    ----------
    Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories".

    Examples
    --------
    >>> batches = StreamBatches(None, Sequences.from_list([[0.0, 1.0, 2.0, 3.0, 4.0]]), batch_size=2, steps=2)
    >>> first, second = batches.longest_first()
    >>> first.targets.data.ravel().tolist(), second.targets.data.ravel().tolist()
    ([0.0, 3.0, 1.0, 4.0], [2.0])
    >>> second.inputs.before.tolist(), second.inputs.carried.tolist()
    ([[1.0]], [0])
    """

    def __init__(
        self,
        sources: Sources,
        targets: Sequences,
        weights: NDArray[np.float32] | None = None,
        *,
        index: NDArray[np.int64] | None = None,
        batch_size: int,
        steps: int,
        cut: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sources = sources
        self.targets = targets
        self.weights = weights
        self.index = np.arange(len(targets)) if index is None else index
        self.batch_size = batch_size
        self.steps = steps
        self.cut = cut and sources is None
        self.device = torch.device(device)

    def __len__(self) -> int:
        """Return how many batches a shuffled pass has, or a few less or more."""
        lanes = [0] * self.batch_size
        for stretch in self._stretches(self.index, 0.0):
            heapq.heapreplace(lanes, lanes[0] - (stretch.row - stretch.stop) // self.steps)
        return max(lanes)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield everything once; cuts and the order in which lanes take sequences are drawn anew."""
        stretches = self._stretches(rng.permutation(self.index), rng.random())
        return self._walk([stretches[place] for place in rng.permutation(len(stretches))])

    def longest_first(self) -> Iterator[Batch]:
        """Yield everything once, longest sequence first, always in the same batches."""
        order = self.index[np.argsort(-self.targets.lengths[self.index], kind="stable")]
        return self._walk(self._stretches(order, 0.0))

    def _stretches(self, order: NDArray[np.int64], phase: float) -> list[_Stretch]:
        """Return what the lanes walk along; `phase`, from 0 to 1, moves the cuts."""
        offsets = self.targets.offsets
        total = int(self.targets.lengths[order].sum())
        longest = max(self.steps, -(-total // self.batch_size)) if self.cut else total
        found = []
        for sequence in order.tolist():
            first, last = int(offsets[sequence]), int(offsets[sequence + 1])
            shift = int(phase * longest) or longest
            cuts = [*range(first + shift, last, longest)] if last - first > longest else []
            found += [_Stretch(sequence, *ends) for ends in zip([first, *cuts], [*cuts, last], strict=True)]
        return found

    def _walk(self, waiting: list[_Stretch]) -> Iterator[Batch]:
        waiting = waiting[::-1]
        lanes: list[_Stretch] = []
        while lanes or waiting:
            while waiting and len(lanes) < self.batch_size:
                lanes.append(waiting.pop())
            lanes.sort(key=lambda lane: -min(self.steps, lane.stop - lane.row))
            yield self._batch(lanes)
            moved = (replace(lane, row=lane.row + self.steps, place=place) for place, lane in enumerate(lanes))
            lanes = [lane for lane in moved if lane.row < lane.stop]

    def _batch(self, lanes: list[_Stretch]) -> Batch:
        index = np.array([lane.sequence for lane in lanes])
        starts = np.array([lane.row for lane in lanes])
        packed = pack_rows(starts, np.minimum(self.steps, np.array([lane.stop for lane in lanes]) - starts))
        values = torch.from_numpy(np.take(self.targets.values, packed.rows, axis=0)).to(self.device)
        weights = None
        if self.weights is not None:
            weights = torch.from_numpy(self.weights[index][packed.columns]).to(self.device)
        start = Start(
            take_sources(self.sources, index, self.device),
            before=self._before(index, starts),
            carried=torch.tensor([lane.place for lane in lanes], device=self.device),
        )
        targets = PackedSequence(values, torch.from_numpy(packed.batch_sizes))
        return Batch(start, targets, weights, index, packed.rows)

    def _before(self, index: NDArray[np.int64], starts: NDArray[np.int64]) -> torch.Tensor:
        rows = np.take(self.targets.values, np.maximum(starts - 1, 0), axis=0).astype(np.float32)
        rows[starts == self.targets.offsets[index]] = np.nan
        return torch.from_numpy(rows).to(self.device)
