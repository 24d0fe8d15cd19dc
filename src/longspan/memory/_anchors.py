"""Anchors: the places in the data at which outputs are looked at, and the steps that lead to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import PackedSequence

from longspan.data import PackedRows, pack_rows
from longspan.errors import EmptyDataError, ParameterError
from longspan.memory._subject import Subject, Targets
from longspan.nn._recurrent import check_positive
from longspan.sequences import Sequences

ROWS_AT_ONCE = 1 << 16
"""Steps that go through the network together."""

_MOST_STEPS = 2_000_000
"""Steps among whose targets rare classes are looked for."""

Ints = NDArray[np.int64]

Replace = Callable[["Steps"], Ints]


@dataclass(frozen=True)
class Steps:
    """The steps that lead to some anchors, packed.

    Attributes
    ----------
    anchor : ndarray of int64, shape (R,)
        Which of the anchors a step leads to.
    step, lag : ndarray of int64, shape (R,)
        Steps since the beginning, and steps until the anchor; below 0 after it.
    own, other : ndarray of int64, shape (R,)
        Row of the step among all values, and row of the same step of another sequence.
    early : ndarray of bool, shape (R,)
        Whether the step is one of those at the front.
    """

    anchor: Ints
    step: Ints
    lag: Ints
    own: Ints
    other: Ints
    early: NDArray[np.bool_]


@dataclass(frozen=True)
class Anchors:
    """Places in sequences at which outputs are looked at, the longest sequences first.

    Attributes
    ----------
    sequences : Sequences
        The data.
    sequence : ndarray of int64, shape (A,)
        Sequence of each anchor.
    length : ndarray of int64, shape (A,)
        How many of its steps the network is given: those up to the anchor, or all where it also reads backwards.
    at : ndarray of int64, shape (A,)
        Step of the anchor.
    donor : ndarray of int64, shape (A,)
        Another sequence for each.
    front : ndarray of int64, shape (N,)
        Steps at the beginning of each sequence that are of another kind than those after them, as a source before a
        target; 0 for none. A step is replaced by one of its kind.
    """

    sequences: Sequences
    sequence: Ints
    length: Ints
    at: Ints
    donor: Ints
    front: Ints

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def longest(self) -> int:
        """Steps of the longest past, the anchor's own among them."""
        return int(self.at.max()) + 1

    @property
    def rows(self) -> Ints:
        """Row of the step at each anchor among all values."""
        rows: Ints = self.sequences.offsets[self.sequence] + self.at
        return rows

    def take(self, index: Ints) -> Anchors:
        """Return some of them, in the same order."""
        index = np.sort(index)
        picked = {name: getattr(self, name)[index] for name in ("sequence", "length", "at", "donor")}
        return replace(self, **picked)

    def target_rows(self, targets: Targets) -> Ints:
        """Row of the target of each anchor."""
        return self.rows if targets.per_step else self.sequence

    def chunks(self, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[slice]:
        """Yield runs of anchors with at most so many steps together."""
        start = 0
        while start < len(self):
            size = max(1, rows_at_once // int(self.length[start]))
            yield slice(start, min(start + size, len(self)))
            start += size

    def packed(self, part: slice) -> tuple[PackedRows, Steps]:
        """Return how the steps that lead to some anchors are packed."""
        length, offsets = self.length[part], self.sequences.offsets
        packed = pack_rows(offsets[self.sequence[part]], length)
        columns = packed.columns
        step = packed.rows - offsets[self.sequence[part]][columns]
        own, donor = self.sequence[part][columns], self.donor[part][columns]
        other = offsets[donor] + _same_place(step, self.front[own], self.front[donor], self.sequences.lengths[donor])
        lag = self.at[part][columns] - step
        return packed, Steps(columns + part.start, step, lag, packed.rows, other, step < self.front[own])

    def inputs(self, subject: Subject, part: slice, replace: Replace | None = None) -> PackedSequence:
        """Return the steps that lead to some anchors, or others in their place, as the network takes them."""
        packed, steps = self.packed(part)
        rows = packed.rows if replace is None else replace(steps)
        values = torch.from_numpy(np.take(self.sequences.values, rows, axis=0))
        return PackedSequence(values.to(subject.device, subject.dtype), torch.from_numpy(packed.batch_sizes))

    def outputs(self, subject: Subject, replace: Replace | None = None) -> torch.Tensor:
        """Return the outputs at all anchors, shape (A, K)."""
        with torch.inference_mode():
            parts = [
                subject.answers(self.inputs(subject, part, replace), self.at[part], self.sequence[part])
                for part in self.chunks()
            ]
        return torch.cat(parts)


def _same_place(step: Ints, front: Ints, front_there: Ints, length_there: Ints) -> Ints:
    """Return the step of another sequence at the same place, counted from its beginning again where that one ends."""
    if not front.any() and not front_there.any():
        return step % length_there
    after = front_there + (step - front) % (length_there - front_there)
    return np.where(step < front, step % np.maximum(front_there, 1), after)


def draw_anchors(
    subject: Subject,
    sequences: Sequences,
    targets: Targets | None,
    *,
    at_most: int,
    rng: np.random.Generator,
    spread: bool = False,
) -> Anchors:
    """Choose where outputs are looked at.

    A network with one output a sequence is looked at the ends of sequences; with `spread`, where there are fewer of
    them than anchors are wanted, also at earlier steps, in the second half. With an output for each step, steps are
    drawn: as many of each class where there are classes, so that rare ones count, and anywhere else.

    Raises
    ------
    EmptyDataError
        There are no sequences.
    ParameterError
        `at_most` is no whole number, 1 or more.
    """
    check_positive("the number of outputs that are looked at", at_most)
    lengths = sequences.lengths
    if not len(lengths):
        raise EmptyDataError("there are no sequences to measure memory on.")
    if subject.per_step:
        sequence, at = _draw_steps(sequences, targets, at_most, rng, among=subject.has_output(sequences))
    else:
        sequence = rng.permutation(len(lengths))[:at_most]
        at = lengths[sequence] - 1
        if spread and subject.ends_anywhere and len(sequence) < at_most:
            more = rng.integers(len(lengths), size=at_most - len(sequence))
            sequence = np.concatenate([sequence, more])
            at = np.concatenate([at, rng.integers((lengths[more] - 1) // 2, lengths[more])])
    length = lengths[sequence] if subject.per_step and subject.reads_backwards else at + 1
    order = np.argsort(-length, kind="stable")
    sequence, length, at = sequence[order], length[order], at[order]
    return Anchors(sequences, sequence, length, at, _donors(sequence, len(lengths), rng), subject.fronts(sequences))


def _donors(sequence: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Return for each anchor another sequence than its own; its own where there is only one."""
    return (sequence + rng.integers(1, max(count, 2), size=len(sequence))) % count


def _draw_steps(
    sequences: Sequences,
    targets: Targets | None,
    at_most: int,
    rng: np.random.Generator,
    *,
    among: NDArray[np.bool_] | None,
) -> tuple[Ints, Ints]:
    places = None if among is None else np.flatnonzero(among)
    count = sequences.n_steps if places is None else len(places)
    by_class = targets is not None and targets.labels and targets.per_step
    rows = rng.choice(count, min(_MOST_STEPS if by_class else at_most, count), replace=False)
    rows = rows if places is None else places[rows]
    if targets is not None and by_class:
        rows = rows[_balanced(targets.values[rows], at_most, rng)]
    rows = np.sort(rows)
    sequence = np.searchsorted(sequences.offsets, rows, side="right") - 1
    return sequence, rows - sequences.offsets[sequence]


def _balanced(codes: NDArray[Any], at_most: int, rng: np.random.Generator) -> Ints:
    """Draw rows, as nearly as can be the same number of each class."""
    order = rng.permutation(len(codes))
    # The place of each row among the rows of its class, in a random order: those with the lowest places are taken.
    by_class = order[np.argsort(codes[order], kind="stable")]
    _, starts, counts = np.unique(codes[by_class], return_index=True, return_counts=True)
    place = np.arange(len(codes)) - np.repeat(starts, counts)
    taken: Ints = by_class[np.argsort(place, kind="stable")[:at_most]]
    return taken


def as_seed(random_state: Any) -> np.random.Generator:
    """Return a generator for what is drawn by chance."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
    if random_state is not None and (isinstance(random_state, bool) or not isinstance(random_state, int | np.integer)):
        raise ParameterError(f"random_state is {random_state!r}, but it must be a whole number from 0, or None.")
    if random_state is not None and random_state < 0:
        raise ParameterError(f"random_state is {random_state!r}, but it must be a whole number from 0, or None.")
    return np.random.default_rng(random_state)
