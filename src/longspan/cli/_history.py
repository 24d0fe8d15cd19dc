"""Series that are forecast: their values, times, and what is known of the steps to come."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._data import is_ts, need_target
from longspan.cli._output import counted
from longspan.errors import DataError, EmptyDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHOLE_TABLE = "longspan_series"


@dataclass(frozen=True)
class History:
    """Series up to their last value, and what is known beyond.

    Attributes
    ----------
    values : list of array (T_i, K)
        NaN is a gap.
    times : list of array (T_i,), or None
    known : list of array (T_i + F_i, C), or None
        The F_i rows after the last value are those of steps to come.
    later : list of array (F_i,), or None
        Their times.
    static : array (N, S), or None
    keys : array (N,)
    columns : Columns
    """

    values: "list[NDArray[Any]]"
    times: "list[NDArray[Any]] | None"
    known: "list[NDArray[Any]] | None"
    later: "list[NDArray[Any]] | None"
    static: "NDArray[Any] | None"
    keys: "NDArray[Any]"
    columns: Columns

    def past(self) -> dict[str, Any]:
        """Return the arguments of `LSTMForecaster.fit`."""
        known = self.known
        if known is not None:
            known = [part[: len(values)] for part, values in zip(known, self.values, strict=True)]
        return {"X": self.values, "times": self.times, "known": known, "static": self.static}

    def ahead(self, horizon: int) -> dict[str, Any]:
        """Return the arguments of `LSTMForecaster.predict`, with what is known of `horizon` steps to come."""
        return self.past() | {"known": self._known_ahead(horizon)}

    def _known_ahead(self, horizon: int) -> "list[NDArray[Any]] | None":
        if self.known is None:
            return None
        cut = []
        for number, (part, values) in enumerate(zip(self.known, self.values, strict=True)):
            future = len(part) - len(values)
            if future < horizon:
                targets, names = " and ".join(self.columns.targets), ", ".join(self.columns.known)
                raise DataError(
                    f"{self.name(number)} has {counted(future, 'row')} after its last {targets}, but {horizon} are "
                    f"needed: one for each step of the horizon, with {names} filled in and {targets} left empty."
                )
            cut.append(part[: len(values) + horizon])
        return cut

    def name(self, number: int) -> str:
        """Return what a series is called in a message."""
        return "the series" if self.columns.series is None else f"series {self.keys[number]}"

    def facts(self, source: str) -> dict[str, Any]:
        """Return what a person wants to see confirmed about the data."""
        lengths = [len(part) for part in self.values]
        found: dict[str, Any] = {
            "source": source,
            "series": len(self.values),
            "shortest": min(lengths),
            "longest": max(lengths),
            "target": list(self.columns.targets),
            "known": list(self.columns.known),
            "static": list(self.columns.static),
        }
        if self.times is not None:
            found["first"] = min(part[0] for part in self.times)
            found["last"] = max(part[-1] for part in self.times)
        return found


def history_in_words(facts: Mapping[str, Any]) -> str:
    """Return the sentence of what `History.facts` found."""
    steps = f"{facts['shortest']:,} to {facts['longest']:,} steps"
    if facts["shortest"] == facts["longest"]:
        steps = counted(facts["longest"], "step")
    parts = [counted(facts["series"], "series", "series"), steps]
    if "first" in facts:
        parts.append(f"{short_time(facts['first'])} to {short_time(facts['last'])}")
    parts += [f"{what}: {', '.join(facts[what])}" for what in ("known", "static") if facts[what]]
    return f"{facts['source']}: {', '.join(parts)}"


def short_time(time: Any) -> str:
    """Return a time without what is 0 in it.

    Examples
    --------
    >>> import numpy as np
    >>> short_time(np.datetime64("2024-05-01T00:00:00.000")), short_time(np.float64(3))
    ('2024-05-01', '3')
    """
    text = str(time) if getattr(time, "dtype", None) is None or time.dtype.kind == "M" else f"{time:g}"
    return text.partition(".")[0].removesuffix("T00:00:00").replace("T", " ")


def read_history(source: str, columns: Columns) -> History:
    """Read one or many series; without a column of series, the table is one."""
    if is_ts(source):
        raise typer.BadParameter("a .ts file holds no series with a future to forecast.", param_hint="--task")
    need_target(columns)
    from longspan.io import read_table

    repeated = [name for name in (*columns.known, *columns.static) if name in columns.targets]
    if repeated:
        raise typer.BadParameter(f"{repeated[0]} is the target too, which is not known.", param_hint="--known")
    table = read_table(
        source,
        series=columns.series or _WHOLE_TABLE,
        time=columns.time,
        features=(*columns.targets, *columns.known, *columns.static),
        query=columns.query if columns.series else _as_one_series(columns.query),
        table=columns.table,
    )
    rows = [table.sequences[number].astype(float) for number in range(len(table.keys))]
    offsets = table.sequences.offsets
    times = None if table.times is None else [table.times[a:b] for a, b in pairwise(offsets)]
    return _split(rows, times, table.keys, replace(columns, query=None))


def _as_one_series(query: str | None) -> str:
    inner = "SELECT * FROM source" if query is None else query.strip().rstrip(";")
    return f'SELECT *, 0 AS "{_WHOLE_TABLE}" FROM ({inner})'


def _split(
    rows: "list[NDArray[Any]]", times: "list[NDArray[Any]] | None", keys: "NDArray[Any]", columns: Columns
) -> History:
    """Deal the columns, and the rows before and after the last value of each series."""
    import numpy as np

    many, ahead = len(columns.targets), len(columns.targets) + len(columns.known)
    history = History([], None, None, None, None, keys, columns)
    ends, static = [], []
    for number, part in enumerate(rows):
        seen = np.flatnonzero(~np.isnan(part[:, :many]).all(axis=1))
        if not len(seen):
            raise EmptyDataError(
                f"{history.name(number)} holds no value of {', '.join(columns.targets)}: leave it out."
            )
        ends.append(int(seen[-1]) + 1)
        static.append(_one_value(part[:, ahead:], columns.static, history.name(number)))
    return replace(
        history,
        values=[part[:end, :many] for part, end in zip(rows, ends, strict=True)],
        times=None if times is None else [part[:end] for part, end in zip(times, ends, strict=True)],
        later=None if times is None else [part[end:] for part, end in zip(times, ends, strict=True)],
        known=[part[:, many:ahead] for part in rows] if columns.known else None,
        static=np.stack(static) if columns.static else None,
    )


def _one_value(part: "NDArray[Any]", names: tuple[str, ...], series: str) -> "NDArray[Any]":
    """Return the first row of numbers that must be the same in all."""
    import numpy as np

    varying = np.flatnonzero((part != part[:1]).any(axis=0) & ~np.isnan(part).all(axis=0))
    if len(varying):
        name, found = names[varying[0]], part[part[:, varying[0]] != part[0, varying[0]], varying[0]]
        raise DataError(
            f"{name!r} must be one value in a series, but {series} has {part[0, varying[0]]:g} and {found[0]:g}.\n"
            f"  What changes and is known in advance goes to --known."
        )
    first: NDArray[Any] = part[0]
    return first


def check_later(history: History, times: "NDArray[Any]") -> None:
    """Raise where the rows to come are not those of the steps that are forecast.

    Parameters
    ----------
    times : array (N, H)
    """
    if history.later is None or history.known is None:
        return
    for number, (later, wanted) in enumerate(zip(history.later, times, strict=True)):
        given = later[: len(wanted)]
        wrong = (given.astype(wanted.dtype) != wanted).nonzero()[0]
        if len(wrong):
            raise DataError(
                f"{history.name(number)} goes on with a row at {short_time(given[wrong[0]])}, but the step that is "
                f"forecast is {short_time(wanted[wrong[0]])}: there must be a row for every step to come."
            )
