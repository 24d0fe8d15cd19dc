"""What a decoder is trained on: sources, targets and weights, with a part held out."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.data import PairBatches, Sources, StreamBatches, merge_duplicates, split_sequences
from longspan.errors import ParameterError
from longspan.estimators._inputs import read_weights
from longspan.sequences import Sequences


@dataclass(frozen=True)
class PairSet:
    """Sources and targets, dealt into a part to learn from and a part held out.

    Attributes
    ----------
    sources : Sequences, ndarray (N, I) or None
        All of them.
    targets : Sequences
        All of them, as the network takes them, with their stops.
    weights : ndarray of float64, shape (N,)
        Averaging one over the part to learn from. A pair that occurs k times has k times the weight in one place and
        none in the others.
    units : ndarray of int64, shape (N,)
        Pairs of one number stay on one side of a split: those of a group, or without groups those of equal sources.
    kept, held : ndarray of int64
        Which pairs to learn from, and which to validate on (maybe none).
    """

    sources: Sources
    targets: Sequences
    weights: NDArray[np.float64]
    units: NDArray[np.int64]
    kept: NDArray[np.int64]
    held: NDArray[np.int64]

    @classmethod
    def merged(
        cls,
        sources: Sources,
        targets: Sequences,
        *,
        sample_weight: ArrayLike | None,
        groups: NDArray[np.int64] | None,
    ) -> Self:
        """Merge pairs that are equal; nothing is held out yet."""
        given = read_weights(sample_weight, len(targets))
        labels = [] if groups is None else [[group.tobytes() for group in groups]]
        if sources is None:
            index, merged, twins = merge_duplicates(targets, given, [b""] * len(targets), *labels)
        else:
            keys = sources if isinstance(sources, Sequences) else Sequences(sources, np.arange(len(sources) + 1))
            answers = [targets.values[a:b].tobytes() for a, b in pairwise(targets.offsets.tolist())]
            index, merged, twins = merge_duplicates(keys, given, answers, *labels)
        weights = np.zeros(len(targets))
        weights[index] = merged * (len(index) / merged.sum())
        units = np.zeros(len(targets), dtype=np.int64)
        units[index] = twins if groups is None else groups[index]
        return cls(sources, targets, weights, units, kept=index, held=index[:0])

    def hold_out(self, fraction: float, *, how: str, seed: int) -> "PairSet":
        """Return the same set with about `fraction` of the pairs held out, or the last part of a single target."""
        if fraction == 0:
            return self
        if len(self.kept) == 1 and self.sources is None:
            return self._cut_in_two(fraction)
        index = np.sort(self.kept) if how == "time" else self.kept
        units = self.units[index]
        kept, held = split_sequences(
            len(index),
            fraction,
            how=how,  # type: ignore[arg-type]
            groups=units if len(np.unique(units)) < len(units) else None,
            random_state=seed,
        )
        weights = self.weights * (len(kept) / self.weights[index[kept]].sum())
        return replace(self, weights=weights, kept=index[kept], held=index[held])

    def _cut_in_two(self, fraction: float) -> "PairSet":
        values = self.targets[int(self.kept[0])]
        place = round(len(values) * (1 - fraction))
        if not 0 < place < len(values):
            raise ParameterError(
                f"there is one target of {len(values)} steps: no part of {fraction:.3g} can be held out.\n"
                f"  Set validation_fraction=0 to train on everything."
            )
        parts = Sequences(values, np.array([0, place, len(values)]))
        both = np.arange(2)
        return replace(self, targets=parts, weights=np.ones(2), units=both, kept=both[:1], held=both[1:])

    def batches(
        self, index: NDArray[np.int64], *, batch_size: int, bptt_steps: int | None, device: object
    ) -> PairBatches | StreamBatches:
        """Return batches of the pairs `index`; targets of more than `bptt_steps` come in pieces."""
        weighted = not np.all(self.weights[index] == 1.0)
        weights = self.weights.astype(np.float32) if weighted else None
        options = {"index": index, "batch_size": batch_size, "device": device}
        if bptt_steps is None or self.targets.lengths[index].max() <= bptt_steps:
            return PairBatches(self.sources, self.targets, weights, **options)  # type: ignore[arg-type]
        return StreamBatches(self.sources, self.targets, weights, steps=bptt_steps, **options)  # type: ignore[arg-type]


def with_stops(targets: Sequences, stop: ArrayLike) -> Sequences:
    """Return the targets with one more row at the end of each.

    Examples
    --------
    >>> with_stops(Sequences.from_list([[1.0], [2.0, 3.0]]), [9.0]).values.ravel().tolist()
    [1.0, 9.0, 2.0, 3.0, 9.0]
    """
    offsets = targets.offsets + np.arange(len(targets) + 1)
    values = np.insert(targets.values, targets.offsets[1:], np.asarray(stop, np.float32), axis=0)
    return Sequences(values, offsets)
