"""What is trained on: sequences, targets and weights, with a part held out."""

import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from longspan.data import Batches, PerSequence, PerStep, Targets, merge_duplicates, split_sequences
from longspan.errors import ParameterError
from longspan.estimators._inputs import read_weights
from longspan.sequences import Sequences


@dataclass(frozen=True)
class TargetArray:
    """Targets as the task computes with them.

    Attributes
    ----------
    values : ndarray
        One row a sequence, or one a step (in the order of the sequences).
    per_step : bool
        Which of the two.
    """

    values: NDArray[Any]
    per_step: bool

    def for_batches(self) -> Targets:
        """Return them as batches take them."""
        return PerStep(self.values) if self.per_step else PerSequence(self.values)

    def as_bytes(self, sequences: Sequences) -> list[bytes]:
        """Return the targets of each sequence as bytes, to tell equal ones by."""
        if not self.per_step:
            return [row.tobytes() for row in self.values]
        return [self.values[start:stop].tobytes() for start, stop in pairwise(sequences.offsets.tolist())]


@dataclass(frozen=True)
class TrainingSet:
    """Sequences with their targets and weights, dealt into a part to learn from and a part held out.

    Attributes
    ----------
    sequences : Sequences
        All of them.
    targets : TargetArray
        All of them.
    weights : ndarray of float64, shape (N,)
        Averaging one over the part to learn from. A sequence that occurs k times has k times the weight in one place
        and none in the others.
    units : ndarray of int64, shape (N,)
        Sequences of one number stay on one side of a split: those of a group, or without groups those of equal values.
    kept, held : ndarray of int64
        Which sequences to learn from, and which to validate on (maybe none).
    """

    sequences: Sequences
    targets: TargetArray
    weights: NDArray[np.float64]
    units: NDArray[np.int64]
    kept: NDArray[np.int64]
    held: NDArray[np.int64]

    @classmethod
    def merged(
        cls,
        sequences: Sequences,
        targets: TargetArray,
        *,
        sample_weight: ArrayLike | None,
        groups: NDArray[np.int64] | None,
    ) -> Self:
        """Merge duplicates; nothing is held out yet."""
        given = read_weights(sample_weight, len(sequences))
        labels = [targets.as_bytes(sequences)]
        if groups is not None:
            labels.append([group.tobytes() for group in groups])
        index, merged, twins = merge_duplicates(sequences, given, *labels)
        weights = np.zeros(len(sequences))
        weights[index] = merged * (len(index) / merged.sum())
        units = np.zeros(len(sequences), dtype=np.int64)
        units[index] = twins if groups is None else groups[index]
        return cls(sequences, targets, weights, units, kept=index, held=index[:0])

    def hold_out(
        self,
        fraction: float,
        *,
        how: str,
        stratify: NDArray[Any] | None,
        seed: int,
    ) -> "TrainingSet":
        """Return the same set with about `fraction` of the sequences held out."""
        if fraction == 0:
            return self
        index = np.sort(self.kept) if how == "time" else self.kept
        kept, held = split_sequences(
            len(index),
            fraction,
            how=how,  # type: ignore[arg-type]
            groups=self._groups(index),
            stratify=None if stratify is None else stratify[index],
            random_state=seed,
        )
        return self._dealt(index[kept], index[held])

    def targets_of(self, index: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the targets of the sequences `index` under each other, and the weight of each."""
        if not self.targets.per_step:
            return self.targets.values[index], self.weights[index]
        lengths = self.sequences.lengths[index]
        ends = np.cumsum(lengths)
        rows = np.arange(ends[-1]) + np.repeat(self.sequences.offsets[index + 1] - ends, lengths)
        return self.targets.values[rows], np.repeat(self.weights[index], lengths)

    def folds(self, count: int, *, stratify: NDArray[Any] | None, seed: int) -> list["TrainingSet"]:
        """Return the same set `count` times, each sequence held out once; groups stay together."""
        index = self.kept
        groups = self._groups(index)
        units = len(index) if groups is None else len(np.unique(groups))
        if units < 2:
            raise ParameterError(
                f"there is only one {'sequence' if groups is None else 'group'}: nothing can be held out.\n"
                f"  Set validation_folds=0 and validation_fraction=0 to train on everything."
            )
        count = min(count, units)
        if groups is not None:
            splits = GroupKFold(count).split(index, groups=groups)
        elif stratify is not None and np.bincount(stratify[index]).max() >= count:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The least populated class")  # spread as far as it goes
                splits = list(StratifiedKFold(count, shuffle=True, random_state=seed).split(index, stratify[index]))
        else:
            splits = KFold(count, shuffle=True, random_state=seed).split(index)
        return [self._dealt(index[kept], index[held]) for kept, held in splits]

    def _groups(self, index: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return what must stay together among the sequences `index`, or None if each stands for itself."""
        units = self.units[index]
        return units if len(np.unique(units)) < len(units) else None

    def _dealt(self, kept: NDArray[np.int64], held: NDArray[np.int64]) -> "TrainingSet":
        weights = self.weights * (len(kept) / self.weights[kept].sum())
        return replace(self, weights=weights, kept=kept, held=held)

    def batches(self, index: NDArray[np.int64], *, batch_size: int, device: torch.device) -> Batches:
        """Return batches of the sequences `index`."""
        weighted = not np.all(self.weights[index] == 1.0)
        return Batches(
            self.sequences,
            self.targets.for_batches(),
            self.weights.astype(np.float32) if weighted else None,
            index=index,
            batch_size=batch_size,
            device=device,
        )
