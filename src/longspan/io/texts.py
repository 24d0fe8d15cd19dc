"""Texts: columns of a table as they are written in it, and whole files of text."""

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import duckdb
import numpy as np

from longspan.errors import EmptyDataError, FormatError, TableError
from longspan.io._columns import check_there
from longspan.io._duck import check_source, connected, identifier, open_rows, said_by_duckdb
from longspan.io._paths import existing_file

__all__ = ["read_text_file", "read_texts"]


def read_texts(
    source: str | PathLike[str], columns: Sequence[str], *, query: str | None = None, table: str | None = None
) -> dict[str, list[str]]:
    """Read columns of text, in the order of the file.

    In CSV and TSV files numbers are kept as they are written: ``007`` is no 7. A query needs types, and makes it one.

    Parameters
    ----------
    source : path
        A file that `read_table` reads, or a pattern.
    columns : list of str
    query, table : str, optional
        As in `read_table`.

    Returns
    -------
    dict of str to list of str
        By the name of the column.

    Raises
    ------
    DataFileNotFoundError, FormatError, EmptyDataError, TableError
        If the file, a column or a text is missing; the message says where.
    """
    try:
        with connected() as connection:
            types = open_rows(connection, source, query, table, whole_file=True, as_text=query is None)
            for name in columns:
                check_there(name, types)
            parts = ", ".join(f"CAST({identifier(name)} AS VARCHAR) AS c{n}" for n, name in enumerate(columns))
            found = connection.execute(f"SELECT {parts} FROM rows").fetchnumpy()
    except duckdb.Error as error:
        with connected() as connection:
            check_source(connection, source)
        raise TableError(f"the table cannot be read: {said_by_duckdb(error)}") from error
    return {name: _checked(found[f"c{n}"], name) for n, name in enumerate(columns)}


def _checked(column: Any, name: str) -> list[str]:
    if not len(column):
        raise EmptyDataError("the table has no rows.")
    missing = np.flatnonzero(np.ma.getmaskarray(column))
    if len(missing):
        raise TableError(f"{name!r} is missing in {len(missing)} rows; the first is row {missing[0] + 1}.")
    return [str(text) for text in column]


def read_text_file(path: str | PathLike[str]) -> str:
    """Read a file of text in UTF-8.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataFileNotFoundError
        The file is not there; the message lists similar names.
    EmptyDataError
        There is no text in it.
    FormatError
        It is no text, or its encoding is not UTF-8.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "book.txt"
    >>> _ = path.write_text("Call me Ishmael.", "utf-8")
    >>> read_text_file(path)
    'Call me Ishmael.'
    """
    content = existing_file(path).read_bytes()
    if b"\0" in content[: 1 << 16]:
        raise FormatError(f"{fspath(path)} is no text: it has zero bytes, as programs, pictures and archives have.")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{fspath(path)} is no text in UTF-8: byte {error.start:,} is 0x{content[error.start]:02x}.\n"
            f"  If it is text in another encoding, convert it first:  iconv -f latin1 -t utf-8"
        ) from error
    if not text.strip():
        raise EmptyDataError(f"{fspath(path)} is empty: there is no text in it.")
    return text
