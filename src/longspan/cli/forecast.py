"""``longspan forecast``: how series go on, with quantiles."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._history import History, check_later, read_history
from longspan.cli._models import load_model
from longspan.cli._options import Json, Task, Verbose
from longspan.cli._output import Output
from longspan.cli._pictures import give_pictures
from longspan.cli._rows import OutFile, check_out, give
from longspan.cli._tasks.forecast import backtest as run_backtest
from longspan.cli._tasks.forecast import forecast_pictures
from longspan.cli._values import read_levels
from longspan.errors import ModelFileError

if TYPE_CHECKING:
    from longspan.cli._rows import Rows

HELP = (
    "Forecast how series go on, with a model of train --task forecast.\n\n"
    "Without DATA the series of training go on from their ends. What is known of steps to come (--known of train) "
    "stands in DATA, in rows after the last value, one for each step."
)
EXAMPLES = """For example:

  longspan forecast sales.longspan --horizon 12 --out forecast.csv
  longspan forecast sales.longspan history.csv --pictures drawn
  longspan forecast sales.longspan history.csv --backtest 5"""


def forecast(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file that longspan train --task forecast wrote.")],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The past of these series or of others; else of training.")
    ] = None,
    *,
    horizon: Annotated[
        int | None, typer.Option(metavar="STEPS", help="Steps to forecast.", show_default="as when training")
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(metavar="LEVEL,...", help="Which ones.", show_default="as when training")
    ] = None,
    backtest: Annotated[
        int | None,
        typer.Option(help="Test instead: train anew for so many origins before the end of DATA.", min=1),
    ] = None,
    series: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COL", help="In place of the column of training.")] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="What to read: 'SELECT ... FROM source'.")] = None,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="The table of a .duckdb file.")] = None,
    out: OutFile = None,
    pictures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Draw the forecasts here.")] = None,
    verbose: Verbose = None,
    json: Json = False,
) -> None:
    """Load, read, forecast or test, write."""
    output = Output(json, verbose)
    check_out(out, besides=[data, model])
    forecaster = load_model(model, Task.FORECAST)
    columns = _columns(forecaster, series=series, time=time, query=query, table=table)
    if data is None:
        _check_needs_no_data(columns, backtest=backtest)
    history = None if data is None else read_history(data, columns)
    result: dict[str, Any] = {"model": model, "data": data, "out": out}
    if backtest is not None and history is not None:
        if out is not None:
            raise typer.BadParameter("a backtest gives scores and no rows.", param_hint="--out")
        forecaster.set_params(verbose=int(output.shows_progress))
        tested = run_backtest(forecaster, history, backtest, horizon)
        output.table(tested.columns, tested.rows, title=tested.title)
        result |= tested.result
        draws = dict(tested.pictures)
    else:
        steps = forecaster.horizon_ if horizon is None else horizon
        levels = None if quantiles is None else read_levels(quantiles)
        rows = _rows(forecaster, history, columns, steps, levels)
        result |= {"horizon": steps} | give(output, rows, out, as_name="forecast")
        draws = _pictures(forecaster, history, steps)
    output.result(result | give_pictures(output, pictures, draws))


def _columns(forecaster: Any, **given: str | None) -> Columns:
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(Columns.from_notes(forecaster.notes_), **named)


def _check_needs_no_data(columns: Columns, *, backtest: int | None) -> None:
    if backtest is not None:
        raise typer.BadParameter("there is nothing to test on: name a file with the past.", param_hint="--backtest")
    if columns.known:
        names = ", ".join(columns.known)
        message = f"the model asks for {names} of the steps to come: name a file with the past and with them."
        raise typer.BadParameter(message, param_hint="DATA")


def _rows(
    forecaster: Any, history: History | None, columns: Columns, horizon: int, levels: tuple[Any, ...] | None
) -> "Rows":
    """Return one row for each step to come of each series."""
    import numpy as np

    given = {} if history is None else history.ahead(horizon)
    quantiles = forecaster.predict_quantiles(**given, horizon=horizon, quantiles=levels)
    count = len(quantiles)
    rows: Rows = {}
    if columns.series is not None:
        keys = _remembered_keys(forecaster, count) if history is None else history.keys
        rows[columns.series] = np.repeat(keys, horizon)
    if columns.time is None:
        rows["step"] = np.tile(np.arange(1, horizon + 1), count)
    else:
        times = forecaster.predict_times(given.get("X"), horizon, times=given.get("times"))
        if history is not None:
            check_later(history, times)
        rows[columns.time] = _without_zeros(times.ravel())
    names = forecaster.quantiles if levels is None else levels
    channels = quantiles[:, :, None] if quantiles.ndim == 3 else quantiles
    for channel in range(channels.shape[2]):
        before = "" if quantiles.ndim == 3 else f"{columns.targets[channel]}_"
        for place, level in enumerate(names):
            rows[f"{before}q{100 * level:g}"] = channels[:, :, channel, place].ravel()
    return rows


def _without_zeros(times: Any) -> Any:
    """Return days and whole numbers where the times are nothing else."""
    simple = times.astype("datetime64[D]" if times.dtype.kind == "M" else "int64")
    return simple if (simple == times).all() else times


def _remembered_keys(forecaster: Any, count: int) -> Any:
    import numpy as np

    keys = forecaster.notes_.get("series")
    if not isinstance(keys, list) or len(keys) != count or not all(isinstance(key, str | int | float) for key in keys):
        raise ModelFileError("the notes in the model file do not name the series of training.")
    return np.array(keys)


def _pictures(forecaster: Any, history: History | None, horizon: int) -> dict[str, Any]:
    from longspan.cli import _pictures as draw

    if history is not None:
        return forecast_pictures(forecaster, history, horizon)
    keys = forecaster.notes_.get("series") or []
    return {
        "forecast.png": lambda: draw.fans(
            lambda number, axes: forecaster.plot_forecast(horizon=horizon, series=number, axes=axes),
            [f"series {key}" for key in keys] if len(keys) > 1 else [""],
        )
    }
