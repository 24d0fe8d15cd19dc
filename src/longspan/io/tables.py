"""Tables with one row per step, read into `Sequences` through DuckDB, and tables of predictions.

The rows are sorted inside DuckDB, which spills to disk when they do not fit in memory, and fetched in
pieces straight into the float32 block.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from longspan.errors import EmptyDataError, FormatError, TableError
from longspan.io._columns import Columns, choose_columns, first_row
from longspan.io._duck import (
    FORMATS,
    check_source,
    connected,
    identifier,
    is_text_file,
    literal,
    open_rows,
    said_by_duckdb,
)
from longspan.sequences import Sequences, as_sequences, replacing

__all__ = ["Table", "read_table", "write_table"]

Array: TypeAlias = NDArray[Any]

_CHUNK = 1 << 19  # rows fetched at once


@dataclass(frozen=True)
class Table:
    """What a table of series holds.

    Parameters
    ----------
    sequences : Sequences
        By rising series id; its `feature_names` are the columns. NULL is NaN.
    keys : array of shape (N,)
        The id of each series.
    times : array of shape (R,), or None
        The time of each row of ``sequences.values``.
    targets : array of shape (N,) or (N, K), or list of arrays of shape (T_i,) or (T_i, K), or None
        One per series, or with ``per_step`` one per step. K axes if a list of targets was asked for.
        Text is kept as str.
    groups : array of shape (N,), or None
        What keeps series together when they are split.
    target_names : tuple of str
    """

    sequences: Sequences
    keys: Array
    times: Array | None
    targets: Array | list[Array] | None
    groups: Array | None
    target_names: tuple[str, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that the features came from."""
        return self.sequences.feature_names or ()


def read_table(
    source: Any,
    *,
    series: str,
    time: str | None = None,
    features: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    per_step: bool = False,
    query: str | None = None,
    table: str | None = None,
) -> Table:
    """Read a table with one row per step of a series.

    Parameters
    ----------
    source : path, table, dict of arrays, or None
        A CSV, TSV, Parquet, JSON-lines or ``.duckdb`` file, a pattern as ``"trials/*.parquet"``, a
        pandas or Arrow table, or None when `query` names its files itself.
    series : str
        The column that says which series a row belongs to. Series come out in rising order of it.
    time : str, optional
        The column that orders the rows of a series; the order of the file without it. It holds numbers or
        times, or months such as 2024-05, and no other text; a time with an offset is read as the instant, in UTC.
    features : str or list of str, optional
        The columns to learn from; every other numeric column without it.
    target : str or list of str, optional
        The column, or columns, to learn.
    group : str, optional
        The column that says which series belong together.
    per_step : bool
        The target may change within a series.
    query : str, optional
        SQL that makes the rows, as ``"SELECT * FROM source WHERE block > 2"``.
    table : str, optional
        The table of a ``.duckdb`` file that has several.

    Returns
    -------
    Table

    Raises
    ------
    DataFileNotFoundError
        The file is not there; the message lists similar names.
    EmptyDataError
        There are no rows.
    TableError
        A column is not there, not numeric, plays two parts, or contradicts itself; the message says where.
    FormatError
        The suffix is not known, or a line has more values than the first line names.
    NonFiniteError
        A feature is infinite, or too large for float32.

    Examples
    --------
    >>> import numpy as np
    >>> trials = {
    ...     "trial": np.array([2, 1, 1]),
    ...     "ms": np.array([0, 4, 0]),
    ...     "x": np.array([7.0, 8.0, 9.0]),
    ...     "answer": np.array([1, 0, 0]),
    ... }
    >>> data = read_table(trials, series="trial", time="ms", target="answer")
    >>> data.sequences, data.keys.tolist(), data.targets.tolist()
    (Sequences(2 sequences, 1 to 2 steps, 1 feature, 0.0 MB), [1, 2], [0, 1])
    >>> data.sequences[0].ravel().tolist()
    [9.0, 8.0]
    """
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    if isinstance(features, str):
        features = (features,)

    def read(*, whole_file: bool) -> Table:
        with connected() as connection:
            types = open_rows(connection, source, query, table, whole_file=whole_file)
            columns = choose_columns(
                connection, types, series=series, time=time, features=features, targets=targets, group=group
            )
            return _Reader(connection, columns, per_step).read(one_target=isinstance(target, str))

    try:
        try:
            return read(whole_file=False)
        except duckdb.Error:
            if not is_text_file(source):
                raise
            # The types that the first rows suggest do not fit a later one; now look at all rows.
            return read(whole_file=True)
    except duckdb.Error as error:
        with connected() as connection:
            check_source(connection, source)
        raise TableError(f"the table cannot be read: {said_by_duckdb(error)}") from error


@dataclass(frozen=True)
class _Reader:
    """Sorts the view `rows` into the table `sorted`, and reads that."""

    connection: DuckDBPyConnection
    columns: Columns
    per_step: bool

    def read(self, *, one_target: bool) -> Table:
        self.connection.execute(f"CREATE TEMP TABLE sorted AS {self.columns.select()}")
        self.check_rows()
        per_series = self.summarise()
        keys = per_series["s"]
        offsets = np.concatenate(([0], np.cumsum(per_series["n"], dtype=np.int64)))
        values, per_row = self.fetch(int(offsets[-1]))
        times = per_row.get("t")
        if times is not None:
            self.check_times(times, keys, offsets)
        sequences = Sequences(values, offsets, self.columns.features)
        names = [f"y{k}" for k in range(len(self.columns.targets))]
        targets: Array | list[Array] | None = None
        if names:
            source = per_row if self.per_step else per_series
            stacked = _stacked([source[name] for name in names], one_target)
            targets = np.split(stacked, offsets[1:-1]) if self.per_step else stacked
        return Table(
            sequences=as_sequences(sequences, allow_missing=True),
            keys=keys,
            times=times,
            targets=targets,
            groups=per_series.get("g"),
            target_names=self.columns.targets,
        )

    def check_rows(self) -> None:
        """Raise if there are no rows, or one without series, time, target or group."""
        columns = self.columns
        parts = {"s": columns.series, "t": columns.time, "g": columns.group}
        parts |= {f"y{k}": name for k, name in enumerate(columns.targets)}
        named = {part: name for part, name in parts.items() if name is not None}
        counts = ", ".join(f"count(*) - count({part})" for part in named)
        rows, *lacking = self.connection.execute(f"SELECT count(*), {counts} FROM sorted").fetchall()[0]
        if not rows:
            raise EmptyDataError("the table has no rows.")
        for name, number in zip(named.values(), lacking, strict=True):
            if number:
                row, key, _ = first_row(self.connection, name, columns.missing(name), shown=columns.series)
                raise TableError(f"{name!r} is missing in {number} rows; the first is row {row}, of series {key}.")

    def summarise(self) -> dict[str, Array]:
        """Return the key s and the number of rows n of every series, and what must be one value in each."""
        fixed = {} if self.per_step else {f"y{k}": name for k, name in enumerate(self.columns.targets)}
        if self.columns.group is not None:
            fixed["g"] = self.columns.group
        ranges = "".join(f", min({part}) AS {part}, max({part}) AS {part}_last" for part in fixed)
        summary = self.fetch_arrays(f"SELECT s, count(*) AS n{ranges} FROM sorted GROUP BY s ORDER BY s")
        for part, name in fixed.items():
            varying = np.flatnonzero(summary[part] != summary[f"{part}_last"])
            if len(varying):
                first, last = summary[part][varying[0]], summary[f"{part}_last"][varying[0]]
                hint = "" if part == "g" else "\n  If it has one value per step, read it with per_step=True."
                raise TableError(
                    f"{name!r} must be one value in a series, but series {summary['s'][varying[0]]} has "
                    f"{first} and {last}.{hint}"
                )
        return summary

    def fetch(self, rows: int) -> tuple[NDArray[np.float32], dict[str, Array]]:
        """Return the features, shape (R, I), and by name what else there is per row."""
        features = [f"f{j}" for j in range(len(self.columns.features))]
        others = [] if self.columns.time is None else ["t"]
        if self.per_step:
            others += [f"y{k}" for k in range(len(self.columns.targets))]
        values = np.empty((rows, len(features)), np.float32)
        pieces: dict[str, list[Array]] = {name: [] for name in others}
        for start, piece in self.pieces(rows, [*features, *others]):
            with np.errstate(over="ignore"):  # infinity is refused later, by its place
                for j, name in enumerate(features):
                    values[start : start + _CHUNK, j] = piece[name]
            for name in others:
                pieces[name].append(piece[name])
        return values, {name: np.concatenate(arrays) for name, arrays in pieces.items()}

    def pieces(self, rows: int, names: list[str]) -> Iterator[tuple[int, dict[str, Array]]]:
        for start in range(0, rows, _CHUNK):
            where = f"rowid >= {start} AND rowid < {start + _CHUNK}"
            yield start, self.fetch_arrays(f"SELECT {', '.join(names)} FROM sorted WHERE {where}")

    def fetch_arrays(self, sql: str) -> dict[str, Array]:
        """Return the columns of a result without NULL; a NaN comes back masked, and is unmasked."""
        found = self.connection.execute(sql).fetchnumpy()
        return {name: np.asarray(np.ma.getdata(column)) for name, column in found.items()}

    def check_times(self, times: Array, keys: Array, offsets: NDArray[np.int64]) -> None:
        again = times[1:] == times[:-1]
        again[offsets[1:-1] - 1] = False  # the next series may begin at any time
        if again.any():
            row = int(again.argmax())
            key = keys[np.searchsorted(offsets, row, side="right") - 1]
            raise TableError(
                f"series {key} has more than one row for {self.columns.time!r} {times[row]}.\n"
                "  Every time may occur once in a series: remove, average or renumber the repeats."
            )


def _stacked(columns: list[Array], one_target: bool) -> Array:
    """Return one column as it is, and several as the columns of a 2-D array."""
    if one_target:
        return columns[0]
    if any(column.dtype == object for column in columns):
        columns = [column.astype(object) for column in columns]
    return np.column_stack(columns)


def writing_options(path: Path) -> str:
    """Return how a file of this suffix is written, in SQL; raise `FormatError` where it cannot be."""
    options = FORMATS.get(path.suffix.lower())
    if options is None:
        raise FormatError(f"{path} must end in one of {', '.join(FORMATS)}.")
    return options


def write_table(path: str | PathLike[str], columns: Mapping[str, Array]) -> None:
    """Write a CSV, TSV, Parquet or JSON-lines file, by the suffix of its name, whole or not at all.

    Parameters
    ----------
    path : str or path
    columns : dict of str to array of shape (R,)
        NaN is written as empty, and ``datetime64[D]`` as a date.

    Raises
    ------
    FormatError
        The suffix is not known.
    TableError
        The columns differ in length, or hold something that has no place in a table.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "answers.csv"
    >>> write_table(path, {"trial": np.array([1, 2]), "answer": np.array(["left", "right"])})
    >>> path.read_text().split()
    ['trial,answer', '1,left', '2,right']
    """
    path = Path(path)
    options = writing_options(path)
    # DuckDB reads a column as one block of memory, first entry first.
    arrays = {str(name): np.ascontiguousarray(column) for name, column in columns.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        shown = ", ".join(f"{name}: {array.shape}" for name, array in arrays.items()) or "none"
        raise TableError(f"columns must have one axis and one length, but are {shown}.")
    days = [name for name, array in arrays.items() if array.dtype == np.dtype("datetime64[D]")]
    arrays |= {name: arrays[name].astype("datetime64[us]") for name in days}  # DuckDB takes no days from NumPy
    names = ", ".join(
        f"{identifier(name)}::DATE AS {identifier(name)}" if name in days else identifier(name) for name in arrays
    )
    with connected() as connection, replacing(path) as temporary:
        try:
            connection.register("columns", arrays)
            target = literal(str(temporary))
            connection.execute(f"COPY (SELECT {names} FROM columns) TO {target} ({options})")
        except (duckdb.Error, TypeError) as error:
            raise TableError(f"{path} cannot be written: {error}") from error
