"""Lines of a text file that do not have the columns of its first line."""

import csv
from collections.abc import Iterator

from duckdb import DuckDBPyConnection

from longspan.errors import FormatError

__all__ = ["check_lines"]

_DELIMITERS = ",;\t|"
_PIECE = 10_000
# Every line is one value, whatever is in it.
_LINES = (
    "read_csv(?, columns={'line': 'VARCHAR'}, header=false, auto_detect=false, delim='\x01', quote='', escape='', "
    "null_padding=true)"
)


def check_lines(connection: DuckDBPyConnection, path: str, name: str, n_columns: int) -> None:
    """Raise for a line longer or shorter than the first, where DuckDB found other columns than the first line has."""
    first = next(_lines(connection, f"{_LINES} LIMIT 1", path), "").lstrip("\ufeff")
    delimiter = max(_DELIMITERS, key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    if len(header) < 2 or len(header) == n_columns or first.startswith("#"):
        return
    reader = csv.reader(_lines(connection, _LINES, path), delimiter=delimiter)
    for fields in reader:
        if fields and len(fields) != len(header) and not fields[0].startswith("#"):
            raise FormatError(
                f"line {reader.line_num} of {name} has {len(fields)} values, "
                f"but line 1 names {len(header)} columns: {', '.join(header)}."
            )


def _lines(connection: DuckDBPyConnection, relation: str, path: str) -> Iterator[str]:
    found = connection.execute(f"SELECT line FROM {relation}", [path])
    while piece := found.fetchmany(_PIECE):
        yield from (line or "" for (line,) in piece)
