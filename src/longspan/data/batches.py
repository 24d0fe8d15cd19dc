"""Batches of sequences, packed with one gather and without padding.

Sequences of like length go into one batch, sorted by falling length, and their rows are laid out time-major, as
`torch.nn.utils.rnn.PackedSequence` has them, so that no padding is ever stored and recurrent layers compute on none.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.sequences import Sequences

_LENGTH_JITTER = 0.5
"""Share by which a length is blurred before sequences are grouped by it: batches stay mixed from epoch to epoch."""

_MAX_FILLING = 3.0
"""A batch is cut in two when as a padded array it would have so many times as many steps as it really has."""


class PackedRows(NamedTuple):
    """Where the rows of a batch lie in the block of all sequences.

    Attributes
    ----------
    rows : ndarray of int64, shape (sum T_b,)
        Row numbers, time-major.
    batch_sizes : ndarray of int64, shape (T,)
        How many sequences are still running at each step.
    """

    rows: NDArray[np.int64]
    batch_sizes: NDArray[np.int64]

    @property
    def columns(self) -> NDArray[np.int64]:
        """Which sequence of the batch each row belongs to, shape (sum T_b,)."""
        return _columns(self.batch_sizes)


def pack_rows(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> PackedRows:
    """Lay out sequences, given in order of falling length, as one time-major run of rows.

    Parameters
    ----------
    starts, lengths : ndarray of int64, shape (B,)
        First row and number of steps of each sequence; `lengths` must not rise.

    Examples
    --------
    >>> packed = pack_rows(np.array([0, 3]), np.array([3, 1]))
    >>> packed.rows.tolist(), packed.batch_sizes.tolist()
    ([0, 3, 1, 2], [2, 1, 1])
    """
    steps = np.arange(lengths[0])
    if lengths[-1] == lengths[0]:
        return PackedRows((steps[:, None] + starts).ravel(), np.full(len(steps), len(starts)))
    batch_sizes = len(lengths) - np.searchsorted(lengths[::-1], steps, side="right")
    rows = starts[_columns(batch_sizes)] + np.repeat(steps, batch_sizes)
    return PackedRows(rows, batch_sizes)


def _columns(batch_sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    firsts = np.cumsum(batch_sizes) - batch_sizes
    columns: NDArray[np.int64] = np.arange(batch_sizes.sum()) - np.repeat(firsts, batch_sizes)
    return columns


class Targets(Protocol):
    """What a batch should be answered with; how to take the part that belongs to a batch."""

    def take(self, index: NDArray[np.int64], packed: PackedRows) -> Tensor | PackedSequence:
        """Return the targets of the sequences `index`, whose rows are `packed`."""

    def spread(self, weights: NDArray[np.float32], index: NDArray[np.int64], packed: PackedRows) -> NDArray[np.float32]:
        """Return one weight a target, from one weight for each of the sequences `index`."""


class PerSequence:
    """One target a sequence: `values` has shape (N,) or (N, K)."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.values = values

    def take(self, index: NDArray[np.int64], packed: PackedRows) -> Tensor:
        """Return targets of shape (B,) or (B, K)."""
        return torch.from_numpy(self.values[index])

    def spread(self, weights: NDArray[np.float32], index: NDArray[np.int64], packed: PackedRows) -> NDArray[np.float32]:
        """Return the weights as they are, shape (B,)."""
        return weights


class PerStep:
    """One target a step: `values` has shape (sum T_i,) or (sum T_i, K), rows as in the sequences."""

    def __init__(self, values: NDArray[np.generic]) -> None:
        self.values = values

    def take(self, index: NDArray[np.int64], packed: PackedRows) -> Tensor:
        """Return targets in the order of the packed rows, shape (sum T_b,) or (sum T_b, K)."""
        return torch.from_numpy(self.values[packed.rows])

    def spread(self, weights: NDArray[np.float32], index: NDArray[np.int64], packed: PackedRows) -> NDArray[np.float32]:
        """Return each sequence's weight at each of its steps, shape (sum T_b,)."""
        return weights[packed.columns]


class Batch(NamedTuple):
    """Some sequences, ready for a network.

    Attributes
    ----------
    inputs : PackedSequence
        Rows of shape (sum T_b, I), longest sequence first. A source of batches for another kind of network may put
        something else here that its task knows.
    targets : Tensor, PackedSequence or None
        In the order of the batch; None where the sequences themselves are what is learned.
    weights : Tensor or None
        One weight a target, or one a sequence where there are no targets.
    index : ndarray of int64, shape (B,)
        Which sequences these are.
    rows : ndarray of int64, shape (sum T_b,)
        Which rows of all sequences these are.
    """

    inputs: Any
    targets: Tensor | PackedSequence | None
    weights: Tensor | None
    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index, which nobody asks a batch for
    rows: NDArray[np.int64]

    @property
    def n_targets(self) -> int:
        """How many targets there are, or sequences where there are none."""
        if self.targets is None:
            return len(self.index)
        return len(self.targets.data if isinstance(self.targets, PackedSequence) else self.targets)


class BatchSource(Protocol):
    """What the training loop asks for: a pass over the data in a random order, and one always in the same order."""

    def __len__(self) -> int:
        """Return about how many batches a shuffled pass has."""

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield everything once, in a random order."""

    def longest_first(self) -> Iterator[Batch]:
        """Yield everything once, always in the same batches."""


class Batches:
    """Cut some of the sequences into batches, in a random order or longest first.

    Parameters
    ----------
    sequences : Sequences
        All sequences; may be mapped from disk, since only the rows of one batch are read at a time.
    targets : Targets, optional
        What each sequence should be answered with.
    weights : ndarray of float32, shape (N,), optional
        One weight a sequence.
    index : ndarray of int64, optional
        The sequences to use; all of them by default.
    batch_size : int
        Sequences in a batch, at most.
    max_rows : int, optional
        Steps in a batch, at most (one sequence may be longer); keeps memory bounded where nothing is learned.
    device : torch.device or str
        Where the tensors are wanted.
    """

    def __init__(
        self,
        sequences: Sequences,
        targets: Targets | None = None,
        weights: NDArray[np.float32] | None = None,
        *,
        index: NDArray[np.int64] | None = None,
        batch_size: int,
        max_rows: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sequences = sequences
        self.targets = targets
        self.weights = weights
        self.index = np.arange(len(sequences)) if index is None else index
        self.batch_size = batch_size
        self.max_rows = max_rows
        self.device = torch.device(device)
        self._lengths = sequences.lengths
        self._dense = sequences.is_dense

    def __len__(self) -> int:
        """Return how many batches a shuffled pass has, or a few less where lengths differ very much."""
        return -(-len(self.index) // self.batch_size)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield every sequence once, in batches of like length, in a random order."""
        order = rng.permutation(self.index)
        if not self._dense:
            blurred = self._lengths[order] * rng.uniform(1 - _LENGTH_JITTER, 1 + _LENGTH_JITTER, len(order))
            order = order[np.argsort(blurred, kind="stable")]
        parts = np.array_split(order, len(self))
        for number in rng.permutation(len(parts)):
            for part in self._of_like_length(parts[number]):
                yield self._batch(part)

    def longest_first(self, *, tile: int = 1) -> Iterator[Batch]:
        """Yield every sequence, longest first, always in the same batches.

        Batches hold a multiple of `tile` sequences, as far as `max_rows` allows; the last sequence is repeated where
        there are too few. Matrix kernels add up the rows that are left over in another order, and the last bits of a
        result would depend on how many neighbours a sequence has.
        """
        order = self.index[np.argsort(-self._lengths[self.index], kind="stable")]
        while len(order):
            size = self.batch_size
            if self.max_rows is not None:
                size = min(size, max(1, self.max_rows // int(self._lengths[order[0]])))
            if size >= tile:
                size -= size % tile
            part, order = order[:size], order[size:]
            missing = -len(part) % tile if size >= tile else 0
            yield self._batch(np.concatenate([part, np.repeat(part[-1:], missing)]))

    def _of_like_length(self, part: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut a batch where one long sequence would have many short ones filled up to its length in a stem."""
        lengths = self._lengths[part]
        if self._dense or lengths.max() * len(part) <= _MAX_FILLING * lengths.sum():
            return [part]
        part = part[np.argsort(lengths, kind="stable")]
        place = int(np.diff(np.log(np.sort(lengths))).argmax()) + 1
        return self._of_like_length(part[:place]) + self._of_like_length(part[place:])

    def _batch(self, index: NDArray[np.int64]) -> Batch:
        lengths = self._lengths[index]
        if not self._dense:
            falling = np.argsort(-lengths, kind="stable")
            index, lengths = index[falling], lengths[falling]
        packed = pack_rows(self.sequences.offsets[index], lengths)
        values = torch.from_numpy(np.take(self.sequences.values, packed.rows, axis=0))
        inputs = PackedSequence(values.to(self.device), torch.from_numpy(packed.batch_sizes))
        targets = None if self.targets is None else self.targets.take(index, packed)
        if targets is not None:
            targets = targets.to(self.device)  # type: ignore[arg-type]  # torch has no annotation for packed ones
        weights = None
        if self.weights is not None:
            own = self.weights[index]
            own = own if self.targets is None else self.targets.spread(own, index, packed)
            weights = torch.from_numpy(own).to(self.device)
        return Batch(inputs, targets, weights, index, packed.rows)
