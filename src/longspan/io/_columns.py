"""Which column of a table plays which part, and the checks on them before anything large is read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from duckdb import DuckDBPyConnection

from longspan.errors import EmptyDataError, TableError
from longspan.io._duck import identifier, literal

__all__ = ["Columns", "check_there", "choose_columns", "first_row"]

_NUMERIC = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    *("FLOAT", "DOUBLE", "DECIMAL", "BIGNUM", "BOOLEAN"),
}
_FLOATS = {"FLOAT", "DOUBLE"}
_TEXTS = {"VARCHAR", "ENUM"}
# NumPy has no such types, so DuckDB would hand them over as objects.
_CASTS = {"HUGEINT": "DOUBLE", "UHUGEINT": "DOUBLE", "DECIMAL": "DOUBLE", "BIGNUM": "DOUBLE"}
_CASTS |= {"ENUM": "VARCHAR", "UUID": "VARCHAR"}


@dataclass(frozen=True)
class Columns:
    """The columns of a table by the parts they play, and the SQL types of all."""

    series: str
    time: str | None
    features: tuple[str, ...]
    targets: tuple[str, ...]
    group: str | None
    types: Mapping[str, str]
    months: bool = False
    """Whether the time is text such as 2024-05, which stands for the first day of the month."""

    def select(self) -> str:
        """Return SQL for the rows, as s, t, f0, f1, ..., y0, y1, ..., g, sorted by s and t."""
        parts = [f"{self._plain(self.series)} AS s"]
        parts.append(f"{self._time()} AS t")
        parts += [f"{self._number(name)} AS f{j}" for j, name in enumerate(self.features)]
        parts += [f"{self._plain(name)} AS y{k}" for k, name in enumerate(self.targets)]
        if self.group is not None:
            parts.append(f"{self._plain(self.group)} AS g")
        return f"SELECT {', '.join(parts)} FROM rows ORDER BY 1, 2"

    def missing(self, name: str) -> str:
        """Return SQL for whether `value`, of the column `name`, is missing."""
        return "value IS NULL" + (" OR isnan(value)" if self.types[name] in _FLOATS else "")

    def _time(self) -> str:
        if self.time is None:
            return "row_number() OVER ()"
        return f"CAST({identifier(self.time)} || '-01' AS TIMESTAMP)" if self.months else self._plain(self.time)

    def _plain(self, name: str) -> str:
        if self.types[name] in _FLOATS:
            return f"nullif({identifier(name)}, 'nan')"
        cast = _CASTS.get(_kind(self.types[name]))
        return identifier(name) if cast is None else f"CAST({identifier(name)} AS {cast})"

    def _number(self, name: str) -> str:
        kind = "FLOAT" if self.types[name] == "FLOAT" else "DOUBLE"
        return f"coalesce(CAST({identifier(name)} AS {kind}), 'nan'::{kind})"


def choose_columns(
    connection: DuckDBPyConnection,
    types: Mapping[str, str],
    *,
    series: str,
    time: str | None,
    features: Sequence[str] | None,
    targets: Sequence[str],
    group: str | None,
) -> Columns:
    """Check that the named columns of `rows` are there and fit, and choose features where none are named."""
    named = [name for name in (series, time, *targets, group) if name is not None]
    for name in (*named, *(features or ())):
        check_there(name, types)
    _check_parts(features or (), targets)
    months = False
    if time is not None and _kind(types[time]) in _TEXTS:
        months = _holds_months(connection, time)
        if not months:
            _refuse_text(connection, time)
    for name in features or ():
        _check_numeric(connection, name, types[name], series)
    if features is None:
        others = [name for name in types if name not in named]
        features = [name for name in others if _kind(types[name]) in _NUMERIC]
        for name in others:
            _check_not_nearly_numeric(connection, name, types[name])
    if not features:
        _check_rows(connection)
        raise TableError(f"no numeric column is left for the features. The columns are: {_listed(types)}.")
    return Columns(series, time, tuple(features), tuple(targets), group, types, months)


def first_row(connection: DuckDBPyConnection, name: str, condition: str, shown: str) -> tuple[int, str, str]:
    """Return the number (from 1), `shown` and `name` of the first row whose `value` meets a condition."""
    row, key, value = connection.execute(
        f"SELECT * FROM (SELECT row_number() OVER () AS number, {identifier(shown)} AS shown, "
        f"{identifier(name)} AS value FROM rows) WHERE {condition} ORDER BY number LIMIT 1"
    ).fetchall()[0]
    return row, key, value


def _kind(type_name: str) -> str:
    return type_name.partition("(")[0]


def _listed(types: Mapping[str, str]) -> str:
    return ", ".join(types)


def check_there(name: str, types: Mapping[str, str]) -> None:
    """Raise, with a name that is close, for a column that is not among them."""
    if name in types:
        return
    if not isinstance(name, str):
        raise TableError(f"a column is named by text, as {str(name)!r}, and not by {name!r}.")
    folded = {column.casefold(): column for column in types}
    close = get_close_matches(name.casefold(), folded, n=1)
    hint = f"\n  Did you mean {folded[close[0]]!r}?" if close else ""
    raise TableError(f"there is no column {name!r}. The columns are: {_listed(types)}.{hint}")


def _check_parts(features: Sequence[str], targets: Sequence[str]) -> None:
    """Raise for a column that is learned twice, or learned from itself."""
    for what, names in (("features", features), ("targets", targets)):
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise TableError(f"{repeated[0]!r} is named twice among the {what}.")
    both = [name for name in features if name in targets]
    if both:
        raise TableError(f"{both[0]!r} is a feature and the target too: it would be predicted from itself.")


def _check_rows(connection: DuckDBPyConnection) -> None:
    if not connection.execute("SELECT 1 FROM rows LIMIT 1").fetchall():
        raise EmptyDataError("the table has no rows.")


_MONTH = f"regexp_full_match(value, {literal('[0-9]{4}-(0[1-9]|1[0-2])')})"


def _holds_months(connection: DuckDBPyConnection, time: str) -> bool:
    """Whether a column of text has months, as 2024-05, and nothing else."""
    return bool(_count(connection, time, _MONTH)) and not _count(connection, time, f"NOT {_MONTH}")


def _refuse_text(connection: DuckDBPyConnection, time: str) -> None:
    """Raise for a time that is text, by which '10' comes before '9'."""
    _check_rows(connection)
    found = connection.execute(
        f"SELECT DISTINCT value FROM (SELECT {identifier(time)} AS value FROM rows LIMIT 1000) "
        "WHERE value IS NOT NULL ORDER BY value LIMIT 3"
    ).fetchall()
    examples = ", ".join(repr(value) for (value,) in found)
    numbers = not _count(connection, time, _NO_NUMBER)
    cast = f"CAST({identifier(time)} AS {'DOUBLE' if numbers else 'TIMESTAMP'})"
    raise TableError(
        f"the time {time!r} is text, and would be sorted as text: {examples or 'all of it is missing'}.\n"
        f"  Turn it into a number or a time:  {_replacing(time, cast)}"
    )


def _replacing(name: str, expression: str) -> str:
    """Return the query, as it is typed in Python and in a shell, that puts an expression in place of a column."""
    sql = f"SELECT * REPLACE ({expression} AS {identifier(name)}) FROM source"
    escaped = sql.replace("\\", "\\\\").replace('"', '\\"')
    return f'query="{escaped}"'


_NO_NUMBER = "value IS NOT NULL AND TRY_CAST(value AS DOUBLE) IS NULL"
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\s*")
_COMMA_NUMBER = f"regexp_full_match(value, {literal(_DECIMAL_COMMA.pattern)})"


def _decimal_hint(name: str) -> str:
    number = f"CAST(replace({identifier(name)}, ',', '.') AS DOUBLE)"
    return f"  If its commas are decimal:  {_replacing(name, number)}"


def _check_numeric(connection: DuckDBPyConnection, name: str, type_name: str, series: str) -> None:
    if _kind(type_name) in _NUMERIC:
        return
    if type_name != "VARCHAR":
        raise TableError(f"the feature {name!r} is of type {type_name}, and only numbers can be learned from.")
    if _count(connection, name, _NO_NUMBER):
        row, key, value = first_row(connection, name, _NO_NUMBER, shown=series)
        missing = f"  If that means missing:  {_replacing(name, f'TRY_CAST({identifier(name)} AS DOUBLE)')}"
        raise TableError(
            f"the feature {name!r} is not numeric: row {row}, of series {key}, has {value!r}.\n"
            + (_decimal_hint(name) if _DECIMAL_COMMA.fullmatch(str(value)) else missing)
        )


def _check_not_nearly_numeric(connection: DuckDBPyConnection, name: str, type_name: str) -> None:
    """Raise for a column that is text only because of a few entries: dropping it silently would mislead."""
    if type_name != "VARCHAR":
        return
    numbers, wrong = _count(connection, name, "TRY_CAST(value AS DOUBLE) IS NOT NULL"), 0
    commas = _count(connection, name, _COMMA_NUMBER)
    if numbers or commas:
        wrong = _count(connection, name, _NO_NUMBER)
    if commas and numbers + commas > wrong - commas:
        row, _, value = first_row(connection, name, _COMMA_NUMBER, shown=name)
        raise TableError(
            f"the column {name!r} holds text such as {value!r}, in row {row}.\n"
            f"{_decimal_hint(name)}\n  Or name the features to use with features=."
        )
    if numbers > wrong:
        row, _, value = first_row(connection, name, _NO_NUMBER if wrong else "value IS NOT NULL", shown=name)
        raise TableError(
            f"the column {name!r} holds {numbers} numbers, but is text: row {row} has {value!r}.\n"
            "  Name the features to use with features=, or turn it into numbers with query=."
        )


def _count(connection: DuckDBPyConnection, name: str, condition: str) -> int:
    sql = f"SELECT count(*) FROM (SELECT {identifier(name)} AS value FROM rows) WHERE {condition}"
    return int(connection.execute(sql).fetchall()[0][0])
