"""Splits into training and validation parts that do not leak: by chance, by group, by time."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from longspan.errors import DataError, ParameterError, ShapeError

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def split_sequences(
    n_sequences: int,
    fraction: float,
    *,
    how: Literal["random", "time"] = "random",
    groups: ArrayLike | None = None,
    stratify: ArrayLike | None = None,
    random_state: int | None = None,
) -> Split:
    """Hold out about `fraction` of the sequences.

    Parameters
    ----------
    n_sequences : int
        How many there are; at least 2.
    fraction : float
        Share to hold out, between 0 and 1; at least one sequence is held out and at least one is kept.
    how : {"random", "time"}
        Hold out sequences drawn by chance, or the last ones in the order given.
    groups : array of shape (N,), optional
        A participant, a machine, a site: no group is on both sides. With ``how="time"`` whole groups are held out,
        those that end last.
    stratify : array of shape (N,), optional
        Classes to be held out in proportion, as far as there are enough of each; not used with groups or time.
    random_state : int, optional
        Seed of the draw.

    Returns
    -------
    (kept, held_out) : tuple of ndarray of int64
        Sorted positions.

    Raises
    ------
    ParameterError
        If `fraction` is not between 0 and 1, or there is nothing to split.
    ShapeError, DataError
        If `groups` does not name one group a sequence, or mixes text with numbers.

    Examples
    --------
    >>> split_sequences(5, 0.2, how="time")
    (array([0, 1, 2, 3]), array([4]))
    """
    if not 0 < fraction < 1:
        raise ParameterError(f"the fraction to hold out must lie between 0 and 1, but it is {fraction}.")
    if how not in ("random", "time"):
        raise ParameterError(f"a split is 'random' or by 'time', but it was asked for {how!r}.")
    units, unit_of = _units(n_sequences, groups)
    if units < 2:
        what = "sequence" if groups is None else "group"
        raise ParameterError(
            f"a part cannot be held out of {units} {what}: both sides need one.\n"
            f"  Set validation_fraction=0 to train on everything."
        )
    held_count = min(max(1, round(fraction * units)), units - 1)
    if how == "time":
        chosen = _last_units(unit_of, held_count)
    elif groups is not None:
        splitter = GroupShuffleSplit(1, test_size=held_count, random_state=random_state)
        chosen = unit_of[next(splitter.split(unit_of, groups=unit_of))[1]]
    else:
        chosen = _random_units(units, held_count, stratify, random_state)
    held = np.isin(unit_of, chosen)
    return np.flatnonzero(~held), np.flatnonzero(held)


def number_groups(groups: ArrayLike, n_sequences: int) -> NDArray[np.int64]:
    """Return the groups as numbers from 0 on, shape (N,), in their sorted order.

    Raises
    ------
    ShapeError, DataError
        If `groups` does not name one group a sequence, leaves one unnamed, or mixes text with numbers.

    Examples
    --------
    >>> number_groups(["bo", "al", "bo"], 3)
    array([1, 0, 1])
    """
    names = np.asarray(groups)
    if names.shape != (n_sequences,):
        raise ShapeError(
            f"groups must name one group for each of the {n_sequences} sequences, but has shape {names.shape}."
        )
    if any(name is None or name != name for name in names.tolist()):  # NaN differs from itself
        raise DataError("groups holds NaN or None: every sequence must belong to a group that is known.")
    try:
        numbers: NDArray[np.int64] = np.unique(names, return_inverse=True)[1].astype(np.int64)
    except TypeError as error:
        raise DataError(f"groups must all be of one kind, text or numbers, to be told apart: {error}.") from error
    return numbers


def _units(n_sequences: int, groups: ArrayLike | None) -> tuple[int, NDArray[np.int64]]:
    """Return how many things are dealt out, and to which of them each sequence belongs."""
    if groups is None:
        return n_sequences, np.arange(n_sequences)
    unit_of = number_groups(groups, n_sequences)
    return int(unit_of.max()) + 1, unit_of


def _last_units(unit_of: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    ends = np.zeros(unit_of.max() + 1, dtype=np.int64)
    np.maximum.at(ends, unit_of, np.arange(len(unit_of)))
    return np.argsort(ends)[-count:]


def _random_units(units: int, count: int, stratify: ArrayLike | None, random_state: int | None) -> NDArray[np.int64]:
    splitter = ShuffleSplit(1, test_size=count, random_state=random_state)
    classes = np.zeros(units) if stratify is None else np.asarray(stratify)
    per_class = np.unique(classes, return_counts=True)[1]
    if 1 < len(per_class) <= min(count, units - count) and per_class.min() >= 2:
        splitter = StratifiedShuffleSplit(1, test_size=count, random_state=random_state)
    held: NDArray[np.int64] = next(splitter.split(classes, classes))[1]
    return held
