"""Lines of a text file that do not have the columns of its first line."""

import csv
from collections.abc import Iterator
from os import PathLike, fspath

from duckdb import DuckDBPyConnection

from longspan.errors import FormatError

__all__ = ["check_lines"]

_DELIMITERS = ",;\t|"
_PIECE = 10_000
# Every line is one value, whatever is in it.
_LINES = (
    "read_csv(?, columns={'line': 'VARCHAR'}, header=false, auto_detect=false, delim='\x01', quote='', escape='', "
    "skip=0, null_padding=true)"
)


def check_lines(connection: DuckDBPyConnection, source: str | PathLike[str], columns: list[str]) -> None:
    """Raise where a line longer than the first made DuckDB take all of the columns for one, or skip the header."""
    first = next(_lines(connection, source), "").lstrip("\ufeff")
    delimiter = max(_DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    if len(header) < 2 or len(columns) == len(header):
        return
    reader = csv.reader(_lines(connection, source), delimiter=delimiter)
    for fields in reader:
        if fields and len(fields) != len(header):
            raise FormatError(
                f"line {reader.line_num} of {fspath(source)} has {len(fields)} values, "
                f"but line 1 names {len(header)} columns: {', '.join(header)}."
            )


def _lines(connection: DuckDBPyConnection, source: str | PathLike[str]) -> Iterator[str]:
    found = connection.cursor().execute(f"SELECT line FROM {_LINES}", [fspath(source)])
    while piece := found.fetchmany(_PIECE):
        yield from (line or "" for (line,) in piece)
