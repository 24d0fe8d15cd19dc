"""DuckDB underneath: a connection that may spill to disk, and every kind of source as one view."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from longspan.errors import EmptyDataError, FormatError, TableError
from longspan.io._lines import check_lines
from longspan.io._paths import existing_file

__all__ = [
    "FORMATS",
    "check_source",
    "connected",
    "identifier",
    "is_text_file",
    "literal",
    "open_rows",
    "said_by_duckdb",
]

# Without BOOLEAN: a target of "yes" and "no" stays text, and comes back as such from a prediction.
_TYPES = "auto_type_candidates=['BIGINT', 'DOUBLE', 'TIME', 'DATE', 'TIMESTAMP', 'TIMESTAMPTZ', 'VARCHAR']"
# How the files of a suffix are read. Column names are always in the first line of text files.
_READERS = {
    ".csv": f"read_csv({{}}, header=true, sample_size={{}}, {_TYPES})",
    ".txt": f"read_csv({{}}, header=true, sample_size={{}}, {_TYPES})",
    ".tsv": f"read_csv({{}}, header=true, delim='\t', sample_size={{}}, {_TYPES})",
    ".parquet": "read_parquet({})",
    ".jsonl": "read_json({}, format='newline_delimited', sample_size={})",
    ".ndjson": "read_json({}, format='newline_delimited', sample_size={})",
    ".json": "read_json({}, sample_size={})",
}
_DELIMITED = {".csv", ".txt", ".tsv"}
_DATABASES = {".duckdb", ".db"}
_COMPRESSIONS = {".gz", ".zst"}
# How the files of a suffix are written.
FORMATS = {
    ".csv": "FORMAT csv, HEADER true",
    ".tsv": "FORMAT csv, HEADER true, DELIMITER '\t'",
    ".parquet": "FORMAT parquet",
    ".jsonl": "FORMAT json",
    ".ndjson": "FORMAT json",
}
_SAMPLE = 20480
_WHOLE_FILE = -1


@contextmanager
def connected() -> Iterator[DuckDBPyConnection]:
    """Open a DuckDB of its own, which spills to a temporary folder beyond half of the memory."""
    with TemporaryDirectory(prefix="longspan-", ignore_cleanup_errors=True) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": folder,
            "memory_limit": "50%",
            "python_enable_replacements": False,  # a table's name must not find variables of this package
            "TimeZone": "UTC",  # what a time without an offset means must not depend on the machine
            "autoinstall_known_extensions": False,  # reading a file must not download anything
        }
        with duckdb.connect(config=settings) as connection:
            yield connection


def identifier(name: str) -> str:
    """Return `name` as SQL for a column or a table, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as SQL for a string, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def said_by_duckdb(error: duckdb.Error) -> str:
    """Return the first paragraph of an error of DuckDB, without its kind."""
    return str(error).split("\n\n")[0].partition("Error: ")[-1].strip() or str(error)


def is_text_file(source: Any) -> bool:
    """Whether types are guessed from the first rows of `source`, so that a later row may contradict."""
    return isinstance(source, str | PathLike) and "sample_size" in _READERS.get(_suffix(source), "")


def open_rows(
    connection: DuckDBPyConnection,
    source: Any,
    query: str | None,
    table: str | None,
    *,
    whole_file: bool,
    as_text: bool = False,
) -> dict[str, str]:
    """Make the view `rows`, and return the types of its columns by their names; `as_text` guesses none of CSV files."""
    if isinstance(source, str | PathLike):
        _open_file(connection, source, table, _WHOLE_FILE if whole_file else _SAMPLE, as_text=as_text)
    elif source is not None:
        _register(connection, source)
    elif query is None:
        raise TableError("there is nothing to read: pass a file or a table, or a query.")
    statement = "SELECT * FROM source" if query is None else _select(connection, query)
    _create_view(connection, "rows", statement)
    return _types(connection, "rows")


def _open_file(
    connection: DuckDBPyConnection, source: str | PathLike[str], table: str | None, sample: int, *, as_text: bool
) -> None:
    relation = _file_relation(connection, source, table, sample)
    if as_text:
        relation = relation.replace(_TYPES, "all_varchar=true")
    try:
        _create_view(connection, "source", f"SELECT * FROM {relation}")
    except TableError:
        check_source(connection, source)
        raise
    check_source(connection, source, len(_types(connection, "source")))


def check_source(connection: DuckDBPyConnection, source: Any, n_columns: int = 0) -> None:
    """Name the line of a CSV file that does not fit its first line, if it was read as other columns or not at all."""
    if not isinstance(source, str | PathLike) or _suffix(source) not in _DELIMITED:
        return
    files = [fspath(source)]
    if not Path(source).exists():
        found = connection.execute("SELECT file FROM glob(?) ORDER BY file", files).fetchall()
        files = [file for (file,) in found]
    with suppress(duckdb.Error):  # what is no text has no lines
        for file in files:
            check_lines(connection, _unpatterned(file), file, n_columns)


def _types(connection: DuckDBPyConnection, view: str) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE {view}").fetchall()
    return {name: kind for name, kind, *_ in described}


def _create_view(connection: DuckDBPyConnection, name: str, statement: str) -> None:
    try:
        connection.execute(f"CREATE TEMP VIEW {name} AS {statement}\n")
    except duckdb.Error as error:
        what = "the query failed" if name == "rows" else "the file cannot be read"
        raise TableError(f"{what}: {said_by_duckdb(error)}") from error


def _select(connection: DuckDBPyConnection, query: str) -> str:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise TableError(f"the query is not SQL: {said_by_duckdb(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise TableError(f"the query must be one SELECT, but is {len(statements)} statements: {query[:60]!r}")
    return str(statements[0].query)


def _register(connection: DuckDBPyConnection, source: Any) -> None:
    source = _named_by_text(source)
    try:
        connection.register("source", source)
    except (duckdb.Error, TypeError) as error:
        raise TableError(
            f"a {type(source).__name__} cannot be read as a table.\n"
            "  Pass a path, a pandas or Arrow table, or a dict of NumPy arrays."
        ) from error


def _named_by_text(source: Any) -> Any:
    """Return a pandas table or a dict with columns that are named by text, as SQL needs them."""
    frame = hasattr(source, "iloc") and hasattr(source, "columns")
    if not frame and not isinstance(source, dict):
        return source
    given = list(source.columns if frame else source)
    names = [str(name) for name in given]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise TableError(f"the table has several columns that are named {repeated[0]!r}.")
    if names == given:
        return source
    return source.set_axis(names, axis="columns") if frame else dict(zip(names, source.values(), strict=True))


def _suffix(path: str | PathLike[str]) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-1:] and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _file_relation(connection: DuckDBPyConnection, source: str | PathLike[str], table: str | None, sample: int) -> str:
    path, suffix = fspath(source), _suffix(source)
    if suffix not in _READERS and suffix not in _DATABASES:
        known = ", ".join([*_READERS, *sorted(_DATABASES)])
        raise FormatError(f"{path} has a name that ends in {suffix!r}; what can be read ends in {known}.")
    if not (any(mark in path for mark in "*?[") and _matches(connection, path)):
        if existing_file(path).stat().st_size == 0:
            raise EmptyDataError(f"{path} is empty: it has no bytes.")
        path = _unpatterned(path)
    if suffix in _DATABASES:
        return _database_relation(connection, fspath(source), table)
    return _READERS[suffix].format(literal(path), sample)


def _unpatterned(path: str) -> str:
    """Return a pattern for one file: marks that stand in its name must not be read as a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _matches(connection: DuckDBPyConnection, pattern: str) -> bool:
    return bool(connection.execute("SELECT count(*) FROM glob(?)", [pattern]).fetchall()[0][0])


def _database_relation(connection: DuckDBPyConnection, path: str, table: str | None) -> str:
    try:
        connection.execute(f"ATTACH {literal(path)} AS source_file (READ_ONLY)")
    except duckdb.Error as error:
        raise FormatError(f"{path} cannot be opened by DuckDB: {said_by_duckdb(error)}") from error
    found = connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_catalog = 'source_file' ORDER BY ALL"
    ).fetchall()
    chosen = [entry for entry in found if table in (None, entry[1])]
    if len(chosen) != 1:
        names = ", ".join(name for _, name in found) or "none"
        asked = "table= must name one" if table is None else f"there is no table {table!r}"
        raise TableError(f"{asked} of the tables in {path}: {names}.")
    return f"source_file.{identifier(chosen[0][0])}.{identifier(chosen[0][1])}"
