"""Rows that a command gives: shown, listed in JSON, or written to a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._models import check_can_write
from longspan.cli._output import Output, plain, shown
from longspan.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = dict[str, NDArray[Any]]

OutFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write all of it as .csv, .tsv, .parquet or .jsonl.")
]

_ROWS_SHOWN = 10


def check_out(out: Path | None, *, besides: Iterable[str | Path | None]) -> None:
    """Raise before the work where the rows could not be written afterwards."""
    if out is None:
        return
    check_can_write(out, besides=[source for source in besides if source is not None])
    from longspan.io.tables import writing_options

    try:
        writing_options(out)
    except FormatError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error


def give(output: Output, rows: "Rows", out: Path | None, *, as_name: str, listed: bool = True) -> dict[str, Any]:
    """Write the rows or show the first of them; return what JSON has of them, by `as_name`, if `listed`."""
    count = len(next(iter(rows.values())))
    if out is not None:
        from longspan.io import write_table

        write_table(out, rows)
        output.say(f"{count:,} rows: {out}")
        return {}
    _show(output, rows, count)
    return {as_name: _records(rows)} if output.json and listed else {}


def _show(output: Output, rows: "Rows", count: int) -> None:
    first = [column[:_ROWS_SHOWN].tolist() for column in rows.values()]
    cells = (
        [shown(cell) if isinstance(cell, float) else str(cell) for cell in row] for row in zip(*first, strict=True)
    )
    output.table(list(rows), cells)
    if count > _ROWS_SHOWN:
        output.say(f"... and {count - _ROWS_SHOWN:,} more rows; --out FILE.csv writes all of them.")


def _records(rows: "Rows") -> list[dict[str, Any]]:
    """Return one dict a row."""
    columns = [plain(column) for column in rows.values()]
    return [dict(zip(rows, cells, strict=True)) for cells in zip(*columns, strict=True)]


def step_names(lengths: "NDArray[Any]", times: "NDArray[Any] | None") -> "NDArray[Any]":
    """Return what each step is called: its time, or its number in the sequence."""
    import numpy as np

    return np.concatenate([np.arange(length) for length in lengths]) if times is None else times
