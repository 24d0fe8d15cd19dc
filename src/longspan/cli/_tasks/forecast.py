"""What comes next: a forecaster, tested from origins before the end by models that have not seen what came."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from longspan.cli._columns import Columns
from longspan.cli._history import History, history_in_words, read_history
from longspan.cli._options import Task
from longspan.cli._output import counted, plain
from longspan.cli._tasks._job import Job, Plan, Tested
from longspan.errors import DataError, LongspanWarning, TrainingWarning

MEASURES = {"MASE": "mase", "pinball loss": "pinball", "coverage": "coverage"}


class Forecast(Job[History]):
    """Learn how series go on. The model learns from everything; a copy of it is tested."""

    task = Task.FORECAST
    unit = ("series", "series")
    without_network = "no network did better on the windows held out than the linear forecast: the model gives that one"

    def check(self, source: str, columns: Columns, plan: Plan) -> None:
        """Raise for options that do not go together."""
        columns.check_placed(self.task)
        for flag, given in (("--test", plan.data), ("--test-fraction", plan.fraction)):
            if given is not None:
                message = "belongs to the other tasks: forecasts are tested from --backtest N origins before the end."
                raise typer.BadParameter(message, param_hint=flag)

    def read(self, source: str, columns: Columns) -> History:
        """Read series."""
        return read_history(source, columns)

    def facts(self, data: History, source: str) -> dict[str, Any]:
        """Return numbers of series and steps."""
        return data.facts(source)

    def in_words(self, facts: Mapping[str, Any]) -> str:
        """Return the facts as a line."""
        return history_in_words(facts)

    def count(self, data: History) -> int:
        """Return the number of series."""
        return len(data.values)

    def parts(self, data: History, plan: Plan) -> tuple[History, History | None]:
        """Return everything twice: a backtest holds out what it needs."""
        return data, None if plan.origins == 0 else data

    def hold_out(self, data: History, fraction: float, seed: int) -> tuple[History, History]:
        """Return everything twice."""
        return data, data

    def read_test(self, source: str, training: History) -> History:
        """Read the same columns of another file."""
        return read_history(source, training.columns)

    def fit(self, estimator: Any, training: History) -> None:
        """Train on all series to their ends."""
        estimator.fit(**training.past())

    def notes(self, training: History) -> dict[str, Any]:
        """Remember the columns and what the series are called."""
        return training.columns.notes() | {"series": plain(training.keys)}

    def test(self, estimator: Any, training: History, testing: History, plan: Plan) -> Tested:
        """Backtest a copy from the last origins; if series are too short for that, warn and go on."""
        try:
            return backtest(estimator, testing, plan.origins or 1)
        except DataError as error:
            warnings.warn(f"the forecasts were not tested: {error}", LongspanWarning, stacklevel=2)
            return Tested({}, "", (), [], forecast_pictures(estimator, testing, estimator.horizon_))


def backtest(estimator: Any, history: History, origins: int, horizon: int | None = None) -> Tested:
    """Measure forecasts of fresh copies of an estimator, each fitted on what lies before its origin."""
    with _interruptible():
        found = estimator.backtest(**history.past(), folds=origins, horizon=horizon)
    pooled = {
        method: {MEASURES[measure]: value for measure, value in values.items()}
        for method, values in found.pooled.items()
    }
    model, *simple = pooled
    rows: list[tuple[Any, ...]] = [
        ("model" if method == model else method, values["mase"], values["pinball"], f"{values['coverage']:.1%}")
        for method, values in pooled.items()
    ]
    result = {
        "score": pooled[model],
        **{method.replace(" ", "_"): pooled[method] for method in simple},
        "backtest": found.to_dict(),
    }
    share = f"in {found.levels[-1] - found.levels[0]:.0%} interval"
    title = f"on the last {counted(origins * found.horizon, 'step')}"
    if origins > 1:
        title += f", from {origins} origins of {counted(found.horizon, 'step')}"
    return Tested(
        result,
        f"{title}, by models that had not seen them; in units of the error of seasonal naive before",
        ("", "MASE", "pinball", share),
        rows,
        {"backtest.png": lambda: _draw_backtest(found, history)} | forecast_pictures(estimator, history, found.horizon),
    )


def _draw_backtest(found: Any, history: History) -> Any:
    from longspan.cli import _pictures as draw

    return draw.fans(
        lambda number, axes: found.plot(number, axes=axes), [history.name(n) for n in range(len(history.values))]
    )


def forecast_pictures(estimator: Any, history: History, horizon: int) -> dict[str, Any]:
    """Return what draws the forecast, unless what it needs to know of steps to come is missing."""
    from longspan.cli import _pictures as draw

    try:
        ahead = history.ahead(horizon)
    except DataError:
        return {}
    names = [history.name(number) for number in range(len(history.values))]
    return {
        "forecast.png": lambda: draw.fans(
            lambda number, axes: estimator.plot_forecast(**ahead, horizon=horizon, series=number, axes=axes), names
        )
    }


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a series of fits, each of which would keep what it has and leave the others to go on."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "training was interrupted", TrainingWarning)
            yield
    except TrainingWarning:
        raise KeyboardInterrupt from None
