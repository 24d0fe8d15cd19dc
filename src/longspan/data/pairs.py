"""Batches of pairs: a source, and the target sequence that is its answer."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from longspan.data.batches import Batch, Batches, PackedRows, pack_rows
from longspan.sequences import Sequences

Sources = Sequences | NDArray[np.float32] | None
"""Sequences, or one vector each of shape (N, I), or nothing."""


class Start(NamedTuple):
    """What the target sequences of a batch begin with.

    Attributes
    ----------
    source : PackedSequence, Tensor or None
        Rows (sum S_b, I) with the indices that sort them, vectors (B, I), or nothing; in the order of the targets.
    before : Tensor or None
        The row before the first one of each target, shape (B, K), NaN where it is the very first; None where all are.
    carried : Tensor or None
        Which target of the batch before each one continues, shape (B,), -1 for none; None where none does.
    """

    source: PackedSequence | Tensor | None
    before: Tensor | None = None
    carried: Tensor | None = None


def take_sources(
    sources: Sources, index: NDArray[np.int64], device: torch.device | str = "cpu"
) -> PackedSequence | Tensor | None:
    """Return the sources `index` as a network takes them, in this order whatever their lengths.

    Examples
    --------
    >>> both = Sequences.from_list([[1.0], [2.0, 3.0]])
    >>> packed = take_sources(both, np.array([0, 1]))
    >>> packed.data.ravel().tolist(), packed.batch_sizes.tolist(), packed.unsorted_indices.tolist()
    ([2.0, 1.0, 3.0], [2, 1], [1, 0])
    """
    if sources is None:
        return None
    if not isinstance(sources, Sequences):
        return torch.from_numpy(sources[index]).to(device)
    lengths = sources.offsets[index + 1] - sources.offsets[index]
    falling = np.argsort(-lengths, kind="stable")
    packed = pack_rows(sources.offsets[index[falling]], lengths[falling])
    values = torch.from_numpy(np.take(sources.values, packed.rows, axis=0)).to(device)
    order = torch.from_numpy(falling).to(device)
    return PackedSequence(values, torch.from_numpy(packed.batch_sizes), order, order.argsort())


class PairBatches:
    """Cut pairs into batches of targets of like length; the sources may have any lengths.

    Parameters
    ----------
    sources : Sequences, ndarray (N, I) or None
        What the targets answer.
    targets : Sequences
        N target sequences.
    weights, index, batch_size, max_rows, device
        As `Batches` takes them; `max_rows` counts rows of targets.
    """

    def __init__(
        self,
        sources: Sources,
        targets: Sequences,
        weights: NDArray[np.float32] | None = None,
        *,
        index: NDArray[np.int64] | None = None,
        batch_size: int,
        max_rows: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sources = sources
        self._batches = Batches(
            targets, _Spread(), weights, index=index, batch_size=batch_size, max_rows=max_rows, device=device
        )

    def __len__(self) -> int:
        """Return how many batches a shuffled pass has, or a few less where lengths differ very much."""
        return len(self._batches)

    def shuffled(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield every pair once, in batches of targets of like length, in a random order."""
        return map(self._with_sources, self._batches.shuffled(rng))

    def longest_first(self, *, tile: int = 1) -> Iterator[Batch]:
        """Yield every pair, longest target first, always in the same batches; see `Batches.longest_first`."""
        return map(self._with_sources, self._batches.longest_first(tile=tile))

    def _with_sources(self, batch: Batch) -> Batch:
        start = Start(take_sources(self.sources, batch.index, self._batches.device))
        return batch._replace(inputs=start, targets=batch.inputs)


class _Spread:
    """Targets are the sequences themselves: nothing to take, but a weight for each of their rows."""

    def take(self, index: NDArray[np.int64], packed: PackedRows) -> Tensor:
        return torch.empty(0)

    def spread(self, weights: NDArray[np.float32], index: NDArray[np.int64], packed: PackedRows) -> NDArray[np.float32]:
        return weights[packed.columns]
