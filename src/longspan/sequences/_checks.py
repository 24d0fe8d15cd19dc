"""Checks of values, offsets, indices and keys; each names what is wrong and where."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.errors import EmptyDataError, NonFiniteError, ShapeError, TableError

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]

# Rows are checked this many numbers at a time, so that checking a mapped file stays small in memory.
_CHUNK = 1 << 22


def chunks(values: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first row and the rows of one piece after the other."""
    rows = max(1, _CHUNK // values.shape[1])
    return ((start, values[start : start + rows]) for start in range(0, len(values), rows))


def refuse_non_finite(
    values: FloatArray, offsets: IntArray, names: tuple[str, ...] | None, *, allow_missing: bool
) -> None:
    """Raise `NonFiniteError` for the first infinity, or NaN unless it is allowed."""
    for start, chunk in chunks(values):
        bad = np.isinf(chunk) if allow_missing else ~np.isfinite(chunk)
        if bad.any():
            row, feature = np.unravel_index(int(bad.argmax()), bad.shape)
            n = int(np.searchsorted(offsets, start + row, side="right")) - 1
            step = start + int(row) - int(offsets[n])
            raise _non_finite_error(chunk[row, feature], n, step, int(feature), names)


def _non_finite_error(
    value: np.float32, n: int, step: int, feature: int, names: tuple[str, ...] | None
) -> NonFiniteError:
    name = f" ({names[feature]})" if names else ""
    place = f"at step {step}, feature {feature}{name}."
    if np.isnan(value):
        hint = 'Fill the gap, drop the sequence, or choose missing="indicator" where it is offered.'
        return NonFiniteError(f"sequence {n} has NaN {place}\n  {hint}")
    hint = "It is infinite, or too large for float32; scale it, or make it NaN if it is missing."
    return NonFiniteError(f"sequence {n} has inf {place}\n  {hint}")


def checked_offsets(offsets: ArrayLike, *, rows: int) -> IntArray:
    """Return offsets that start at 0, rise strictly and end at `rows`."""
    array = np.ascontiguousarray(offsets)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not array.size:
        raise ShapeError(f"offsets must be N + 1 integers, but are {array.dtype} of shape {array.shape}.")
    array = array.astype(np.int64, copy=False)
    if array[0] != 0 or array[-1] != rows:
        raise ShapeError(f"offsets must run from 0 to {rows}, but run from {array[0]} to {array[-1]}.")
    short = np.flatnonzero(array[1:] <= array[:-1])
    if len(short):
        n = int(short[0])
        raise EmptyDataError(f"sequence {n} has no steps: its offsets are {array[n]} and {array[n + 1]}.")
    return array


def checked_names(names: Sequence[str] | None, *, n_features: int) -> tuple[str, ...] | None:
    """Return one name per feature, or None."""
    if names is None:
        return None
    if isinstance(names, str) or len(names) != n_features:
        raise ShapeError(f"feature_names must be {count(n_features, 'name')}, but are {names!r}.")
    return tuple(str(name) for name in names)


def as_indices(index: Any, n: int) -> IntArray:
    """Return the numbers, from 0 to n - 1, that an index array or a mask chooses."""
    array = np.asarray(index)
    if array.dtype == np.bool_:
        if array.shape != (n,):
            raise IndexError(f"a mask of {count(n, 'sequence')} must have shape ({n},), not {array.shape}.")
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise IndexError(f"sequences are chosen by integers, not by {array.dtype} of shape {array.shape}.")
    indices = array.astype(np.int64)
    outside = indices[(indices < -n) | (indices >= n)]
    if len(outside):
        raise IndexError(f"there is no sequence {outside[0]}: there are {count(n, 'sequence')}.")
    return np.where(indices < 0, indices + n, indices)


def as_codes(column: ArrayLike, name: str, rows: int) -> tuple[NDArray[Any], IntArray]:
    """Return the sorted distinct entries of a column of `rows` entries, and the place of each among them."""
    array = np.asarray(column)
    if array.shape != (rows,):
        raise TableError(f"{name} must have one entry for each of {rows} rows, but has shape {array.shape}.")
    lacking = np.flatnonzero(array != array)  # only NaN and NaT differ from themselves
    if array.dtype == object:
        lacking = np.flatnonzero([entry is None or entry != entry for entry in array])
    if len(lacking):
        raise TableError(f"{name} is missing in row {lacking[0]}.")
    keys, codes = np.unique(array, return_inverse=True)
    return keys, codes.astype(np.int64, copy=False)


def count(n: int, noun: str) -> str:
    """Return "1 step" or "5 steps"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
