"""The class `Sequences`."""

import operator
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longspan.errors import DataError, EmptyDataError, FormatError, ShapeError, TableError
from longspan.sequences._checks import (
    FloatArray,
    IntArray,
    as_codes,
    as_indices,
    checked_names,
    checked_offsets,
    chunks,
    count,
    refuse_non_finite,
)
from longspan.sequences._files import file_header, read_file_header, replacing
from longspan.sequences._reading import (
    as_float32,
    as_numeric,
    as_step_rows,
    check_array_shape,
    check_equal_features,
    is_list_like,
    to_float32,
)


class Sequences:
    """N sequences of any lengths, each with I features at every step.

    The constructor takes the block itself; `from_array`, `from_list`, `from_channels_first`,
    `from_long_table` and `load` build it from what people have. Nothing is copied where the
    data are float32 and contiguous already. Treat the arrays as read-only: views share them.

    Parameters
    ----------
    values : array of shape (R, I)
        The steps of all sequences under each other; kept as C-contiguous float32. NaN is a
        missing value.
    offsets : array of shape (N + 1,)
        Where each sequence starts in `values`; starts at 0, rises strictly, ends at R.
    feature_names : sequence of str, optional
        One name per feature.

    Raises
    ------
    ShapeError
        The arrays do not fit each other.
    EmptyDataError
        A sequence has no steps. (A `Sequences` of no sequences may exist, as an empty slice.)

    Examples
    --------
    >>> import numpy as np
    >>> seqs = Sequences(np.arange(10.0).reshape(5, 2), offsets=[0, 2, 5])
    >>> seqs
    Sequences(2 sequences, 2 to 3 steps, 2 features, 0.0 MB)
    >>> seqs[0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """

    __slots__ = ("_feature_names", "_offsets", "_values")

    def __init__(self, values: ArrayLike, offsets: ArrayLike, feature_names: Sequence[str] | None = None) -> None:
        block = as_float32(values, "values")
        if block.ndim != 2 or block.shape[1] == 0:
            raise ShapeError(f"values must have shape (rows, features), but have shape {block.shape}.")
        self._values = block
        self._offsets = checked_offsets(offsets, rows=len(block))
        self._feature_names = checked_names(feature_names, n_features=block.shape[1])

    # -- building --------------------------------------------------------------------------------

    @classmethod
    def from_array(cls, X: Any) -> "Sequences":
        """Read an array of N sequences of equal length.

        Parameters
        ----------
        X : array of shape (N, T, I), or (N, T) for N univariate sequences

        Raises
        ------
        ShapeError
            X has another number of axes, or no features.
        EmptyDataError
            There are no sequences or no steps.
        NonFiniteError
            A value is infinite, or too large for float32. NaN is kept, as missing.

        Examples
        --------
        >>> Sequences.from_array([[1, 2, 3], [4, 5, 6]])
        Sequences(2 sequences, 3 steps, 1 feature, 0.0 MB)
        """
        raw = as_numeric(X, "X")
        check_array_shape(raw.shape)
        array = to_float32(raw.reshape(*raw.shape, 1) if raw.ndim == 2 else raw)
        n, t, i = array.shape
        return cls(array.reshape(n * t, i), np.arange(n + 1) * t)._without_infinity()

    @classmethod
    def from_list(cls, arrays: Any) -> "Sequences":
        """Read a list of sequences of any lengths.

        Parameters
        ----------
        arrays : list of arrays of shape (T_i, I), or (T_i,) for univariate sequences

        Raises
        ------
        ShapeError
            An array has another number of axes, or another number of features than the first.
        EmptyDataError
            The list is empty, or a sequence has no steps.
        NonFiniteError
            A value is infinite, or too large for float32. NaN is kept, as missing.

        Examples
        --------
        >>> Sequences.from_list([[1.0, 2.0], [3.0, 4.0, 5.0]])
        Sequences(2 sequences, 2 to 3 steps, 1 feature, 0.0 MB)
        """
        raw = [as_step_rows(a, f"sequence {n}") for n, a in enumerate(arrays)]
        if not raw:
            raise EmptyDataError("there are no sequences: the list is empty.")
        check_equal_features(raw)
        offsets = np.concatenate(([0], np.cumsum([len(a) for a in raw])))
        values = np.empty((int(offsets[-1]), raw[0].shape[1]), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            np.concatenate(raw, out=values, casting="unsafe")
        return cls(values, offsets)._without_infinity()

    @classmethod
    def from_channels_first(cls, X: Any) -> "Sequences":
        """Read data whose features come before the steps, as aeon, sktime and MNE keep them.

        Parameters
        ----------
        X : array of shape (N, I, T), or list of arrays of shape (I, T_i)

        Examples
        --------
        >>> import numpy as np
        >>> Sequences.from_channels_first(np.zeros((5, 6, 100)))
        Sequences(5 sequences, 100 steps, 6 features, 0.0 MB)
        """
        if not is_list_like(X):
            raw = as_numeric(X, "X")
            if raw.ndim != 3:
                raise ShapeError(f"X must have shape (N, features, steps), but has shape {raw.shape}.")
            return cls.from_array(raw.transpose(0, 2, 1))
        return cls.from_list([as_step_rows(a, f"sequence {n}", channels_first=True) for n, a in enumerate(X)])

    @classmethod
    def from_long_table(
        cls,
        series: ArrayLike,
        time: ArrayLike | None,
        values: ArrayLike,
        feature_names: Sequence[str] | None = None,
    ) -> tuple["Sequences", NDArray[Any]]:
        """Read a long table, one row per step, by its columns.

        Parameters
        ----------
        series : array of shape (R,)
            Which sequence each row belongs to: numbers or text.
        time : array of shape (R,), or None
            What orders the rows of a sequence: numbers, text or datetimes. None keeps their order.
        values : array of shape (R, I) or (R,)
        feature_names : sequence of str, optional

        Returns
        -------
        sequences : Sequences
            The sequences, by rising key.
        keys : array of shape (N,)
            The value of `series` of each sequence.

        Raises
        ------
        TableError
            A time occurs twice in one series, or a series or time is missing.

        Examples
        --------
        >>> seqs, keys = Sequences.from_long_table(["b", "a", "a"], [0, 1, 0], [3.0, 2.0, 1.0])
        >>> keys.tolist(), seqs[0].ravel().tolist()
        (['a', 'b'], [1.0, 2.0])
        """
        rows = as_step_rows(values, "values")
        keys, codes = as_codes(series, "series", len(rows))
        order = np.argsort(codes, kind="stable")
        if time is not None:
            times, ticks = as_codes(time, "time", len(rows))
            order = np.lexsort((ticks, codes))
            twice = np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(ticks[order]) == 0))
            if len(twice):
                row = order[twice[0]]
                raise TableError(
                    f"series {keys[codes[row]]!s} has more than one row for time {times[ticks[row]]!s}.\n"
                    "  Every time may occur once in a series: remove, average or renumber the repeats."
                )
        offsets = np.searchsorted(codes[order], np.arange(len(keys) + 1))
        return cls(to_float32(rows[order]), offsets, feature_names)._without_infinity(), keys

    @classmethod
    def concatenate(cls, parts: "Sequence[Sequences]") -> "Sequences":
        """Put the sequences of several `Sequences` after each other.

        The feature names are those of the first part.

        Examples
        --------
        >>> seqs = Sequences.from_list([[1.0], [2.0, 3.0]])
        >>> len(Sequences.concatenate([seqs, seqs]))
        4
        """
        if not parts:
            raise EmptyDataError("there is nothing to concatenate: the list is empty.")
        expected = parts[0].n_features
        for n, part in enumerate(parts):
            if part.n_features != expected:
                raise ShapeError(f"part {n} has {part.n_features} features, but part 0 has {expected}.")
        lengths = np.concatenate([part.lengths for part in parts])
        values = np.concatenate([part.values for part in parts])
        return cls(values, np.concatenate(([0], np.cumsum(lengths))), parts[0].feature_names)

    def with_values(self, values: ArrayLike) -> "Sequences":
        """Return the same sequences with new `values`, of shape (R, any number of features).

        Examples
        --------
        >>> seqs = Sequences.from_list([[1.0], [2.0, 3.0]])
        >>> seqs.with_values(seqs.values * 10)[1].ravel().tolist()
        [20.0, 30.0]
        """
        block = as_float32(values, "values")
        names = self._feature_names if block.shape[1:] == self._values.shape[1:] else None
        return Sequences(block, self._offsets, names)

    # -- looking ---------------------------------------------------------------------------------

    @property
    def values(self) -> FloatArray:
        """The steps of all sequences under each other, shape (R, I)."""
        return self._values

    @property
    def offsets(self) -> IntArray:
        """Where each sequence starts in `values`, shape (N + 1,)."""
        return self._offsets

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """One name per feature, or None."""
        return self._feature_names

    @property
    def lengths(self) -> IntArray:
        """The number of steps of each sequence, shape (N,)."""
        return np.diff(self._offsets)

    @property
    def n_features(self) -> int:
        """The number of features I."""
        return int(self._values.shape[1])

    @property
    def n_steps(self) -> int:
        """The number of steps R of all sequences together."""
        return int(self._values.shape[0])

    @property
    def is_dense(self) -> bool:
        """Whether all sequences are equally long."""
        lengths = self.lengths
        return bool((lengths == lengths[:1]).all())

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each sequence has a missing value (NaN), shape (N,).

        Examples
        --------
        >>> Sequences.from_list([[1.0], [2.0, float("nan")]]).missing
        array([False,  True])
        """
        found = np.zeros(len(self), np.bool_)
        for start, chunk in chunks(self._values):
            rows = start + np.flatnonzero(np.isnan(chunk).any(axis=1))
            found[np.searchsorted(self._offsets, rows, side="right") - 1] = True
        return found

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __repr__(self) -> str:
        n, i, lengths = len(self), self.n_features, self.lengths
        shortest, longest = (int(lengths.min()), int(lengths.max())) if n else (0, 0)
        steps = count(longest, "step") if shortest == longest else f"{shortest} to {longest} steps"
        size = self._values.nbytes / 1e6
        return f"Sequences({count(n, 'sequence')}, {steps}, {count(i, 'feature')}, {size:.1f} MB)"

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same numbers in the same sequences; NaN equals NaN, names do not matter."""
        if not isinstance(other, Sequences):
            return NotImplemented
        return np.array_equal(self._offsets, other._offsets) and np.array_equal(
            self._values, other._values, equal_nan=True
        )

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[FloatArray]:
        bounds = self._offsets.tolist()
        return (self._values[start:stop] for start, stop in pairwise(bounds))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> FloatArray: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> "Sequences": ...

    def __getitem__(self, index: Any) -> "FloatArray | Sequences":
        """Return one sequence as a (T_i, I) view, or several as `Sequences`; a plain slice is a view too."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return self._span(start, max(start, stop))
            return self._take(np.arange(start, stop, step))
        if np.ndim(index) == 0:
            n = operator.index(index)
            if not -len(self) <= n < len(self):
                raise IndexError(f"there is no sequence {n}: there are {count(len(self), 'sequence')}.")
            n %= len(self)
            return self._values[self._offsets[n] : self._offsets[n + 1]]
        return self._take(as_indices(index, len(self)))

    def _span(self, start: int, stop: int) -> "Sequences":
        offsets = self._offsets[start : stop + 1]
        return Sequences(self._values[offsets[0] : offsets[-1]], offsets - offsets[0], self._feature_names)

    def _take(self, indices: IntArray) -> "Sequences":
        lengths = self.lengths[indices]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        rows = np.repeat(self._offsets[indices] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Sequences(self._values.take(rows, axis=0), offsets, self._feature_names)

    # -- converting ------------------------------------------------------------------------------

    def to_list(self) -> list[FloatArray]:
        """Return one (T_i, I) view per sequence."""
        return list(self)

    def to_padded(self, fill: float = 0.0) -> tuple[FloatArray, IntArray]:
        """Return a new (N, longest T, I) array filled up with `fill`, and the lengths, shape (N,).

        Examples
        --------
        >>> padded, lengths = Sequences.from_list([[1.0], [2.0, 3.0]]).to_padded()
        >>> padded[..., 0].tolist(), lengths.tolist()
        ([[1.0, 0.0], [2.0, 3.0]], [1, 2])
        """
        lengths = self.lengths
        longest = int(lengths.max(initial=0))
        padded = np.full((len(self), longest, self.n_features), fill, np.float32)
        padded[np.arange(longest) < lengths[:, None]] = self._values
        return padded, lengths

    def to_array(self) -> FloatArray:
        """Return an (N, T, I) view; raises `ShapeError` if the sequences differ in length."""
        if not self.is_dense:
            lengths = self.lengths
            raise ShapeError(
                f"the sequences have {lengths.min()} to {lengths.max()} steps: they do not fit one array.\n"
                "  Use to_padded() for an array filled up at the end, or to_list()."
            )
        return self._values.reshape(len(self), self.n_steps // max(len(self), 1), self.n_features)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file, a safetensors file with the tensors `offsets` and `values`.

        The file appears whole or not at all; an older one at `path` stays until then.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "vowels.sequences"
        >>> seqs = Sequences.from_list([[1.0], [2.0, 3.0]])
        >>> seqs.save(path)
        >>> Sequences.load(path) == seqs
        True
        """
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(file_header(self._offsets, self._values, self._feature_names))
            for array in (self._offsets, self._values):
                file.write(array.reshape(-1).view(np.uint8).data)

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: bool = True) -> "Sequences":
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : str or path
        mmap : bool
            Leave `values` on disk and let the system read what is used, so that the data may be
            larger than memory. The arrays are then read-only; `seqs[a:b]` and `seqs[n]` stay on
            disk, `seqs[[...]]` copies what it picks.

        Raises
        ------
        DataFileNotFoundError
            There is no such file.
        FormatError
            It is another kind of file, or part of it is gone.
        """
        names, n, shape, start = read_file_header(Path(path))
        offsets = np.fromfile(path, "<i8", n + 1, offset=start)
        start += offsets.nbytes
        if mmap and shape[0]:
            values: NDArray[Any] = np.memmap(path, "<f4", "r", start, shape)
        else:
            values = np.fromfile(path, "<f4", shape[0] * shape[1], offset=start).reshape(shape)
        try:
            return cls(values, offsets, names)
        except DataError as error:
            raise FormatError(f"{path} is damaged: {error}") from error

    def _without_infinity(self) -> "Sequences":
        refuse_non_finite(self._values, self._offsets, self._feature_names, allow_missing=True)
        return self
